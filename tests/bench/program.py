"""A program that listens on a port, started on one core, watched and ended."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from msgspec import Struct

from tests.bench.machine import cpu, pinned, resident
from tests.support.programs import ROOT

PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.01
LAST_WORDS = 2000


class Command(Struct, frozen=True):
    """How a program is started, and on which port it listens then."""

    words: Sequence[str]
    port: int
    environment: Mapping[str, str] = {}
    folder: Path = ROOT

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


class Running:
    """A program while it runs."""

    def __init__(self, command: Command, process: asyncio.subprocess.Process, log: Path) -> None:
        self.url = command.url
        self.pid = process.pid
        self._port = command.port
        self._process = process
        self._log = log

    def runs(self) -> None:
        """Say that it runs.

        Raises:
            AssertionError: it has ended; says its last words.
        """
        assert self._process.returncode is None, self._log.read_text(errors="replace")[-LAST_WORDS:]

    async def listens(self) -> None:
        """Wait until it takes a connection.

        Raises:
            AssertionError: it ended instead.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self.runs()
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                    writer.close()
                    return
                await asyncio.sleep(LOOK_SECONDS)

    def cpu(self) -> float:
        """Seconds of CPU until now."""
        return cpu(self.pid)

    def resident(self) -> int:
        """Bytes of memory."""
        return resident(self.pid)

    async def end(self) -> None:
        """End it; what it still has under way nobody waits for."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, sign)
            with suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    await self._process.wait()
                    return
        await self._process.wait()


@asynccontextmanager
async def running(command: Command, core: int, log: Path, *, wait: bool = True) -> AsyncIterator[Running]:
    """A program on a core, its words in a file, once it listens; ended afterwards."""
    keep = {name: text for name, text in os.environ.items() if not name.startswith(("COVERAGE_", "COV_"))}
    keep["PYTHONDONTWRITEBYTECODE"] = ""  # what is installed has bytecode: nobody compiles at every start
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *(*pinned(core), *command.words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=command.folder,
            env={**keep, **command.environment},
            start_new_session=True,
        )
    program = Running(command, process, log)
    try:
        if wait:
            await program.listens()
        yield program
    finally:
        await program.end()
