"""`invoice-gateway send`: the invoices of a file, each created once, however often the command is run."""

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gateway.client import Client
from gateway.core.config import SecretRef
from gateway.shell.commands import complain, loop_factory, say
from gateway.shell.secrets import resolve
from gateway.shell.sending.index import ResultsError
from gateway.shell.sending.lines import Source, flowing
from gateway.shell.sending.progress import shown
from gateway.shell.sending.results import opened
from gateway.shell.sending.run import Run
from gateway.shell.sending.tally import Tally, span

INTERRUPTED = 130
"""The exit code after Ctrl-C or SIGTERM, by the custom of shells."""
LOOK_SECONDS = 0.25


class Order(Struct, frozen=True):
    """What the command line asks for."""

    file: str
    url: str
    token_env: str | None
    results: Path | None
    concurrency: int
    patience: float

    @property
    def kept(self) -> Path:
        """The results file.

        Raises:
            ValueError: there is none for standard input, or it is the file that is sent.
        """
        if self.results is None and self.file == "-":
            raise ValueError("--results FILE is needed to send from standard input, or nothing could be resumed")
        path = self.results or Path(f"{self.file}.results.ndjson")
        with suppress(OSError):
            if path.samefile(self.file):
                raise ValueError("--results is the file that is to be sent")
        return path


def send(order: Order) -> int:
    """`send FILE --url URL`: exit 1 unless all are created, 2 if nothing could begin, 130 if it was interrupted."""
    try:
        token = None if order.token_env is None else resolve(SecretRef(env=order.token_env), Path())
        client = Client(order.url, token, patience=order.patience)
        source, path = Source(order.file), order.kept
        tally = Tally(source.count())
        with opened(path, client.url) as results:
            run = Run(client, results, tally, order.concurrency)
            seconds = _sent(run, source, client, tally)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        complain(f"{order.file}: cannot be read: {error.strerror or error}")
        return 2
    except (ValueError, ResultsError) as error:
        complain(str(error))
        return 2
    _tell(path, run, tally, seconds)
    if run.interrupted:
        return INTERRUPTED
    return 0 if tally.all_created and not run.stopped else 1


def _sent(run: Run, source: Source, client: Client, tally: Tally) -> float:
    """Send everything; how many seconds that took."""
    begun = time.monotonic()

    async def go() -> None:
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sign, run.interrupt)
        with shown(tally.total) as view:

            async def look() -> None:
                while True:
                    view.show(tally, time.monotonic() - begun)
                    await asyncio.sleep(LOOK_SECONDS)

            looking = asyncio.create_task(look())
            try:
                async with client:
                    await run.go(flowing(source))
            except (OSError, ValueError) as error:
                run.stop(f"{source.name} cannot be read on: {error}")
            except ResultsError as error:
                run.stop(str(error))
            finally:
                looking.cancel()
                view.show(tally, time.monotonic() - begun)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(go())
    return time.monotonic() - begun


def _tell(path: Path, run: Run, tally: Tally, seconds: float) -> None:
    try:
        for line in tally.summary(seconds):
            say(line)
        say(f"results: {path}")
    except BrokenPipeError:  # the reader of a pipe has gone; what was sent is sent
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if run.interrupted:
        complain("interrupted: run the same command again to go on")
    elif run.stopped:
        complain(f"stopped after {span(seconds)}: {run.stopped}")
        complain("run the same command again to go on: what is created is not sent again")
