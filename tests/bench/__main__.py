"""`make bench`: what an invoice costs here and at the alternatives; `python -m tests.bench --help` says more."""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from msgspec import structs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.bench import figures, hung, journal, machine, picture, tools
from tests.bench.contestants import NAMES
from tests.bench.figures import Part
from tests.bench.parts import ALONE, FORMS, LONG, PARTS, SHORT, Piece
from tests.bench.rounds import Form

WIDTH = 130
"""Of tables that go into a file."""

EPILOG = """\
examples:
  python -m tests.bench                          every part in full; takes an hour and 5 GB of disk
  python -m tests.bench --short                  every part in small; takes minutes
  python -m tests.bench --short peers start      only these
  python -m tests.bench peers --only gateway --only node --rounds 9

The program under test has the first core for itself; load, upstream and database have the second. What was measured is
written to tests/bench/bench.json, part by part, and the comparison to tests/bench/bench.svg; a part that is not run
keeps its figures, and so does one in full when it is run in small. What cannot be installed stands in the table, with
the reason. `pytest tests/test_readme.py --update` puts the figures into the README.
exit codes: 0 measured, 1 something failed, 2 wrong usage, 130 interrupted
"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    told = [(piece.name, piece.words) for piece in PARTS] + list(ALONE.items())
    listed = "\n".join(f"  {name:<14}{words}" for name, words in told)
    made = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=f"Measure what an invoice costs, on this machine.\n\nparts:\n{listed}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("parts", nargs="*", metavar="PART", help="only these; all of them, if none is named")
    made.add_argument("--short", action="store_true", help="shorter rounds, fewer of them, shorter series")
    made.add_argument("--seconds", type=float, metavar="S", help="seconds of each measurement, at least 1")
    made.add_argument("--rounds", type=int, metavar="N", help="how often each is measured")
    made.add_argument(
        "--only", action="append", choices=list(NAMES), metavar="NAME", help=f"of peers only: {', '.join(NAMES)}"
    )
    return made


@contextmanager
def aside() -> Iterator[None]:
    """Leave the first core to the program under test: this process and what it starts run on the second."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {machine.LOAD_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def measure(piece: Piece, form: Form, only: Sequence[str], console: Console) -> Part:
    """Measure a part, before everybody's eyes."""
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task(piece.name, total=piece.count(form, only))
        with aside():
            rows = await piece.run(form, partial(progress.advance, bar), only)
        progress.update(bar, total=progress.tasks[bar].completed)
    today = datetime.now(UTC).date().isoformat()
    return Part(piece.words, form.name, form.seconds, form.rounds, today, machine.this(), rows)


def keep(piece: Piece, part: Part, file: Path = figures.FILE, drawing: Path = picture.FILE) -> bool:
    """Write what was measured, unless what is there says more: short never replaces long. Whether it did."""
    parts = figures.read(file)
    if part.form != LONG and piece.name in parts and parts[piece.name].form == LONG:
        return False
    parts[piece.name] = part
    figures.write({each.name: parts[each.name] for each in PARTS if each.name in parts}, file)
    if piece.compared:
        drawing.write_text(picture.drawn(part))
    return True


def show(piece: Piece, part: Part, console: Console) -> None:
    """The table of a part, with its spread and its notes."""
    titles, lines = figures.table(part.rows, compared=piece.compared, wide=True)
    table = Table(*titles, title=f"{piece.words} ({part.form}: {part.rounds} rounds of {part.seconds:g} s)")
    for column in table.columns[1:]:
        column.justify = "right"
    for line in lines:
        table.add_row(*(cell.replace("**", "").replace("`", "") for cell in line))
    console.print(table)
    for row in part.rows:
        if row.note:
            console.print(f"{row.words}: {row.note}".replace("**", ""), markup=False, highlight=False, soft_wrap=True)


def alone(name: str, form: Form) -> None:
    """The parts that print for themselves."""
    few = form.name == SHORT
    if name == "journal":
        asyncio.run(journal.main(count=1000 if few else 5000, concurrent=64, rounds=form.rounds))
    else:
        hung.show(asyncio.run(hung.main(hung.Options(seconds=3.0 if few else 10.0, rounds=form.rounds))))


def run(chosen: Sequence[str], form: Form, only: Sequence[str], console: Console) -> None:
    """Measure what was chosen, one part after the other, and show each as soon as it is there."""
    machine.many_files()
    for piece in PARTS:
        if piece.name in chosen:
            part = asyncio.run(measure(piece, form, only, console))
            show(piece, part, console)
            if only or not keep(piece, part):
                console.print("not written down: what is there says more")
    for name in ALONE:
        if name in chosen:
            alone(name, form)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit code."""
    made, console = parser(), Console()
    if not console.is_terminal:
        console.width = WIDTH
    options = made.parse_args(arguments)
    known = [*(piece.name for piece in PARTS), *ALONE]
    if unknown := [name for name in options.parts if name not in known]:
        made.error(f"there is no part {', '.join(unknown)}; there are {', '.join(known)}")
    form = FORMS[SHORT if options.short else LONG]
    given = {"seconds": options.seconds, "rounds": options.rounds}
    form = structs.replace(form, **{name: value for name, value in given.items() if value is not None})
    try:
        for name in tools.PLACES:
            tools.program(name)
        run(options.parts or known, form, options.only or (), console)
    except (AssertionError, tools.Missing) as error:
        console.print(str(error), markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
