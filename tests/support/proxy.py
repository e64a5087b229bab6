"""A TCP proxy that breaks connections: it stands between two real programs, and harms one direction at one moment.

It reads as much of HTTP as it needs to know the moment: heads, and bodies by their length. Only requests that are
`meant` are harmed, each fault strikes once, and what was harmed stays so for the rest of its connection.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.support.streams import WAITING_SECONDS, Fault, Phase, Stream, Way, strike

END = b"\r\n\r\n"


class Connection:
    """A connection through the proxy: a stream in each direction."""

    def __init__(self, reach: Callable[["Connection", Phase], None], streams: dict[Way, Stream]) -> None:
        self._reach = reach
        self.streams = streams
        self.meant = False
        self.requests = 0

    async def relay(self, reader: asyncio.StreamReader, way: Way, meant: Callable[[bytes], bool]) -> None:
        """Pass one message after the other on, and then the end."""
        whole = True
        while whole:
            head, whole = await _read(reader.readuntil(END))
            if head and way == "answer":
                self._reach(self, "before-answer")
            elif head:
                self.meant, self.requests = meant(head), self.requests + 1
                if self.requests > 1:
                    self._reach(self, "between")
            await self._halves(way, "request-head" if way == "request" else "answer-head", head)
            if whole and (length := _length(head)):
                body, whole = await _read(reader.readexactly(length))
                await self._halves(way, "request-body" if way == "request" else "answer-body", body)
            if way == "request" and self.meant:
                asyncio.get_running_loop().call_later(WAITING_SECONDS, self._reach, self, "waiting")
        await self.streams[way].flows.wait()
        self.streams[way].finish()

    async def _halves(self, way: Way, phase: Phase, part: bytes) -> None:
        """A part of a message, with the moment in its middle."""
        middle = len(part) // 2
        await self.streams[way].send(part[:middle])
        if part:
            self._reach(self, phase)
        await self.streams[way].send(part[middle:])

    def strike(self, fault: Fault) -> None:
        """Let the fault happen now."""
        other: Way = "answer" if fault.way == "request" else "request"
        strike(fault.kind, self.streams[fault.way], self.streams[other])


class Proxy:
    """Passes connections on to `target`; `struck` counts the connections that a fault has hit."""

    def __init__(self, target: str, meant: Callable[[bytes], bool]) -> None:
        self._target = urlsplit(target)
        self._meant = meant
        self._armed: Fault | None = None
        self._skipped = 0
        self._open: set[Connection] = set()
        self.connections = 0
        self.struck = 0
        self.url = ""

    def arm(self, fault: Fault, skipped: int = 0) -> None:
        """Let a fault strike once, at its moment; at `connect` after so many connections that are left alone."""
        self._armed, self._skipped = fault, skipped

    def strike(self, fault: Fault) -> None:
        """Strike every connection that is there now."""
        for connection in self._open:
            connection.strike(fault)
            self.struck += 1

    def heal(self) -> None:
        """Let every connection be well again; an end stays an end."""
        for connection in self._open:
            for stream in connection.streams.values():
                stream.heal()

    def _reach(self, connection: Connection, phase: Phase) -> None:
        fault = self._armed
        if fault is None or fault.phase != phase:
            return
        if phase == "connect" and self._skipped:
            self._skipped -= 1
        elif phase == "connect" or connection.meant:
            self._armed = None
            self.struck += 1
            connection.strike(fault)

    async def serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection, until both sides have ended it."""
        far, forth = await asyncio.open_connection(self._target.hostname, self._target.port)
        connection = Connection(self._reach, {"request": Stream(forth), "answer": Stream(back)})
        self._open.add(connection)
        self.connections += 1
        try:
            self._reach(connection, "connect")
            async with asyncio.TaskGroup() as group:
                group.create_task(connection.relay(near, "request", self._meant))
                group.create_task(connection.relay(far, "answer", self._meant))
        except* ConnectionError:
            pass  # one side reset it: the other hears of its end
        finally:
            self._open.discard(connection)
            forth.close()
            back.close()


async def _read(reading: Awaitable[bytes]) -> tuple[bytes, bool]:
    """What there was to read, and whether it was all."""
    try:
        return await reading, True
    except asyncio.IncompleteReadError as error:
        return error.partial, False


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    assert not any(line.startswith(b"transfer-encoding") for line in lines), "only lengths are understood"
    return next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)


@asynccontextmanager
async def proxying(target: str, meant: Callable[[bytes], bool]) -> AsyncIterator[Proxy]:
    """A proxy on a free port before `target`."""
    proxy, tasks = Proxy(target, meant), set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        with suppress(asyncio.CancelledError):
            await proxy.serve(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in (*tasks,):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
