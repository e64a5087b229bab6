"""The gateway and the sandbox as programs of their own, started as users start them, known by where they listen."""

import asyncio
import json
import os
import re
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30.0
"""A program that does not listen, or does not end, within that has failed."""
LAST_LINES = 20


class Program:
    """A program while it runs; `url` and `ops_url` are where it listens."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said = deque[str](maxlen=LAST_LINES)
        self._reading: asyncio.Task[None] | None = None
        self.pid = process.pid
        self.url = ""
        self.ops_url = ""

    async def begin(self, hear: Callable[["Program", str], bool]) -> None:
        """Wait for the line that says where it listens; from then on its words are read, and only the last are kept."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while line := await self._line():
                if hear(self, line):
                    break
        assert self.url, "".join(self._said)
        self._reading = asyncio.create_task(self._read())

    async def _line(self) -> str:
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode()
        self._said.append(line)
        return line

    async def _read(self) -> None:
        while await self._line():
            pass

    def send(self, sign: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        with suppress(ProcessLookupError):
            self._process.send_signal(sign)

    async def ended(self) -> int:
        """Wait until it has ended; its exit code."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._process.wait()

    async def end(self) -> int:
        """Ask it to end, and see to it that it does; its exit code."""
        self.send(signal.SIGTERM)
        try:
            code = await self.ended()
        except TimeoutError:
            self.send(signal.SIGKILL)
            code = await self._process.wait()
        if self._reading is not None:
            await self._reading
        return code

    def resident(self) -> int:
        """The memory that it has, in KiB (`VmRSS`)."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1])


def _gateway(program: Program, line: str) -> bool:
    with suppress(ValueError):
        said = json.loads(line)
        if said.get("event") == "listening":
            program.url, program.ops_url = said["api"], said["ops"]
    return bool(program.url)


def _sandbox(program: Program, line: str) -> bool:
    if found := re.search(r"http://[\d.]+:\d+", line):
        program.url = found.group()
    return bool(program.url)


async def start(*arguments: str, hear: Callable[[Program, str], bool]) -> Program:
    """The command line of the gateway with these arguments, once it listens."""
    # What measures the tests would only make it slow.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env=environment,
        start_new_session=True,  # an interrupt from the keyboard is for who asked
    )
    program = Program(process)
    try:
        await program.begin(hear)
    except BaseException:
        await program.end()
        raise
    return program


async def serve(config: Path) -> Program:
    """A gateway."""
    return await start("serve", "--config", str(config), hear=_gateway)


@asynccontextmanager
async def gateway(config: Path, *, abruptly: bool = False) -> AsyncIterator[Program]:
    """A gateway, ended afterwards; killed if `abruptly`, or else it finishes what its upstreams never answer."""
    program = await serve(config)
    try:
        yield program
    finally:
        if abruptly:
            program.send(signal.SIGKILL)
        await program.end()


@asynccontextmanager
async def sandbox() -> AsyncIterator[Program]:
    """A sandbox, ended afterwards."""
    program = await start("sandbox", "--port", "0", hear=_sandbox)
    try:
        yield program
    finally:
        await program.end()
