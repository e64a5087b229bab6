"""How far `send` is: a bar on a terminal, a line now and then elsewhere. Both go to standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
from rich.text import Text

from gateway.shell.sending.tally import Tally

LINE_SECONDS = 10.0
"""Between two lines where there is no terminal."""


class Shown(Protocol):
    """Shows how far it is."""

    def show(self, tally: Tally, seconds: float) -> None:
        """Show it; `seconds` have passed."""


class Bar:
    """A bar on a terminal, and below it how many of which outcome."""

    def __init__(self, live: Live, total: int | None) -> None:
        self._live = live
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
            expand=True,
        )
        self._task = self._progress.add_task("", total=total, pace="")

    def show(self, tally: Tally, seconds: float) -> None:
        """See `Shown`."""
        self._progress.update(self._task, completed=tally.done, pace=tally.pace(seconds))
        self._live.update(Group(self._progress, Text(f"  {tally.counts()}")), refresh=True)


class Plain:
    """A line every ten seconds."""

    def __init__(self, stream: TextIO, every: float = LINE_SECONDS) -> None:
        self._stream = stream
        self._every = every
        self._due = every

    def show(self, tally: Tally, seconds: float) -> None:
        """See `Shown`."""
        if seconds < self._due:
            return
        self._due = seconds + self._every
        of = "" if tally.total is None else f" of {tally.total:,}"
        with suppress(OSError):  # nobody reads it any more
            self._stream.write(f"{tally.done:,}{of}: {tally.counts()}; {tally.pace(seconds)}\n")
            self._stream.flush()


@contextmanager
def shown(total: int | None) -> Iterator[Shown]:
    """What fits where standard error goes."""
    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Plain(sys.stderr)
        return
    with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        yield Bar(live, total)
