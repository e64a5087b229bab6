"""Real gateway processes at the price of a fork: one process imports everything once, and forks for every victim.

It is asked over a socket, so that it has no threads and no event loop, which a fork would break. A victim says by a
line on its channel where it listens; the channel's end is its death. Whoever loses the other end of a channel dies, so
nothing is left behind.
"""

import asyncio
import atexit
import gc
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
MOST_BYTES = 65_536
PATIENCE_SECONDS = 20.0
"""A process that has not begun, or ended, within that is a failure of the proof itself."""


class Spawner:
    """The process that forks."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Whatever measures the tests would only make victims slow: what it measured dies with them.
        environment = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}
        self._process = subprocess.Popen(  # noqa: S603 - it is this very module
            (sys.executable, "-m", "tests.proof.spawner", str(theirs.fileno())),
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env=environment,
            start_new_session=True,  # an interrupt from the keyboard is for who asked
        )
        theirs.close()
        atexit.register(self.end)

    def spawn(self, asked: bytes) -> socket.socket:
        """Fork a victim; the channel to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._channel, [asked], [theirs.fileno()])
        return ours

    def end(self) -> None:
        """End it; its victims end with their channels."""
        atexit.unregister(self.end)
        self._channel.close()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@cache
def spawner() -> Spawner:
    """The spawner of this process: started when it is first asked for, ended with the process."""
    return Spawner()


class Victim:
    """A gateway process, from outside."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._process: int | None = None
        self._ended = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self.url = ""
        self.ops_url = ""
        self.pid = 0
        self.complaint = ""
        self.reached = ""
        """The step at which it sent itself a signal."""

    async def begin(self, lives: float | None) -> None:
        """Wait until it listens, or dies before it does, at the latest after `lives` seconds."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            if pid := await self._line():
                self.pid = pid["pid"]
                with suppress(ProcessLookupError):  # it is dead already
                    self._process = os.pidfd_open(self.pid)
                if lives is not None:
                    asyncio.get_running_loop().call_later(lives, self.send)
                self._writer.write(b"go\n")
                said = await self._line() or {}
                self.url, self.ops_url = said.get("url", ""), said.get("ops_url", "")
                self.complaint = said.get("complaint", "")
                self.reached = said.get("reached", "")  # its worker may be faster than its listeners
        self._watch = asyncio.create_task(self._watched())

    async def _line(self) -> dict[str, Any] | None:
        with suppress(ConnectionError):
            line = await self._reader.readline()
            return msgspec.json.decode(line) if line else None
        return None

    async def _watched(self) -> None:
        while said := await self._line():
            self.reached = said["reached"]
        self._ended.set()

    @property
    def alive(self) -> bool:
        """Whether it still runs, as far as it is known by now."""
        return not self._ended.is_set()

    def send(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal; none is ever sent to another process which has its number by then."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, sign)

    def order(self, pages: int) -> None:
        """Limit how large its SQLite file may become; see `Stepped.limit`."""
        self._writer.write(str(pages).encode())

    def stands_still(self, seconds: float) -> bool:
        """Wait until it is stopped; false if it is not after so long."""
        end = time.monotonic() + seconds
        with suppress(FileNotFoundError):  # it is dead
            while time.monotonic() < end:
                if Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                    return True
                time.sleep(0.01)
        return False

    async def dead(self, seconds: float = PATIENCE_SECONDS) -> bool:
        """Wait until it is dead; false if it lives on for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        return not self.alive

    async def end(self) -> None:
        """Leave nothing of it."""
        self.send()
        if self._watch is not None:
            await self._watch
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
        if self._process is not None:
            os.close(self._process)
            self._process = None


async def spawn(asked: msgspec.Struct, lives: float | None = None) -> Victim:
    """A gateway process that listens, or died before it did; killed after so many seconds, if told so."""
    channel = spawner().spawn(msgspec.json.encode(asked))
    try:
        victim = Victim(*await asyncio.open_connection(sock=channel))
    except BaseException:
        channel.close()
        raise
    try:
        await victim.begin(lives)
    except BaseException:
        await victim.end()
        raise
    return victim


def serve(channel: socket.socket) -> None:
    """Fork as often as it is asked, until nobody is there to ask."""
    from tests.proof import victim  # noqa: PLC0415 - only the process that forks needs all of it

    victim.prepare()
    gc.collect()
    gc.freeze()
    while True:
        asked, (*theirs,), _, _ = socket.recv_fds(channel, MOST_BYTES, 1)
        if not asked:
            break
        if os.fork() == 0:
            channel.close()
            victim.live(asked, socket.socket(fileno=theirs[0]))  # never returns
        for each in theirs:
            os.close(each)
        _bury(os.WNOHANG)
    _bury(0)  # the others die with their channels


def _bury(options: int) -> None:
    """Take the leave of those who are dead; their channels told already."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
