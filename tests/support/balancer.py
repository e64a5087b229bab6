"""A plain TCP balancer: new connections go round among the gateways that are ready, and stay where they are.

It knows no HTTP. Every 50 ms it asks each gateway's `/readyz`; a connection to one that is not ready any more is left
alone, so that it is the gateway's to say that it ends.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.support.programs import Program

POLL_SECONDS = 0.05
PATIENCE = ClientTimeout(total=1.0)
PATIENCE_SECONDS = 30.0
CHUNK = 65_536


class Balancer:
    """Where callers connect to: `url`."""

    def __init__(self, session: ClientSession) -> None:
        self.url = ""
        self.connections = 0
        self._session = session
        self._gateways: list[Program] = []
        self._ready: list[Program] = []
        self._turn = count()
        self._polled = asyncio.Event()

    def add(self, gateway: Program) -> None:
        """Another gateway, asked from now on whether it is ready."""
        self._gateways.append(gateway)

    def remove(self, gateway: Program) -> None:
        """One that is gone."""
        self._gateways.remove(gateway)

    async def until_ready(self, gateways: int) -> None:
        """Wait until so many are ready."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self._ready) != gateways:
                await self._polled.wait()

    async def poll(self) -> None:
        """Ask on and on who is ready."""
        while True:
            asked = list(self._gateways)
            said = await asyncio.gather(*map(self._is_ready, asked))
            self._ready = [gateway for gateway, ready in zip(asked, said, strict=True) if ready]
            self._polled.set()
            self._polled.clear()
            await asyncio.sleep(POLL_SECONDS)

    async def _is_ready(self, gateway: Program) -> bool:
        with suppress(ClientError, OSError, TimeoutError):
            async with self._session.get(f"{gateway.ops_url}/readyz", timeout=PATIENCE) as answer:
                return answer.status == 200
        return False

    async def connected(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection, from its beginning to the end of both sides."""
        self.connections += 1
        try:
            chosen = urlsplit(self._ready[next(self._turn) % len(self._ready)].url)
            far, forth = await asyncio.open_connection(chosen.hostname, chosen.port)
            try:
                await asyncio.gather(_copy(near, forth), _copy(far, back))
            finally:
                forth.close()
        finally:
            back.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(CHUNK):
        writer.write(part)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()


@asynccontextmanager
async def balancing() -> AsyncIterator[Balancer]:
    """A balancer on a free port, without any gateway yet."""
    async with ClientSession() as session:
        balancer, tasks = Balancer(session), set[asyncio.Task[None]]()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if (task := asyncio.current_task()) is not None:
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            with suppress(asyncio.CancelledError, OSError, ZeroDivisionError):  # nobody is ready: it is closed
                await balancer.connected(reader, writer)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        balancer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        polling = asyncio.create_task(balancer.poll())
        try:
            yield balancer
        finally:
            server.close()
            for task in (polling, *tasks):
                task.cancel()
            await asyncio.gather(polling, *tasks, return_exceptions=True)
