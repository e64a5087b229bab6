"""Callers that send one invoice after the other, and remember everything that they heard."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from types import MappingProxyType

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from tests.support.running import NAMES, invoice

KEEPING = 8
FRESH = 4
"""Callers that keep their connection, and callers that have a new one for each request."""
PACE_SECONDS = 0.16
"""Between two requests of a caller: those who keep connections send 50 a second, and none of them idles for long."""
PATIENCE_SECONDS = 30.0
DIALECTS = sorted(set(NAMES) - {"exsited"})
"""Exsited's sandbox knows one token at a time, so that gateways with one credential end each other's."""
NOTHING: Mapping[str, str] = MappingProxyType({})


class Load:
    """Callers that keep their connections alive, or have a new one for each request, and everything that they heard."""

    def __init__(self, url: str, pace: float = PACE_SECONDS, headers: Mapping[str, str] = NOTHING) -> None:
        self._url = url
        self._pace = pace
        self._headers = headers
        self._numbers = count()
        self.over = False
        self.failed: list[str] = []
        self.told: dict[str, list[str]] = {dialect: [] for dialect in DIALECTS}
        self._wanted, self._grown = 0, asyncio.Event()
        self.turned_away = 0
        """Answers that asked a caller who would have kept its connection for another one."""

    async def caller(self, *, keeps: bool) -> None:
        """Send one invoice after the other."""
        connector = TCPConnector(limit=1, force_close=not keeps)
        async with ClientSession(connector=connector, timeout=ClientTimeout(total=20)) as session:
            while not self.over:
                pace = asyncio.create_task(asyncio.sleep(self._pace))
                await self._send(session, next(self._numbers), keeps=keeps)
                await pace

    async def _send(self, session: ClientSession, number: int, *, keeps: bool) -> None:
        dialect = DIALECTS[number % len(DIALECTS)]
        sent = invoice(dialect, external_id=f"load:{number}", number=f"N-{number}")
        try:
            async with session.post(f"{self._url}/v1/invoices", json=sent, headers=self._headers) as answer:
                said = await answer.read()
        except (ClientError, OSError, TimeoutError) as error:
            self.failed.append(f"{number}: {error!r}")
            return
        self.turned_away += keeps and answer.headers.get("Connection", "").lower() == "close"
        if answer.status == 201:
            self.told[dialect].append(json.loads(said)["invoice"]["id"])
            if self.created >= self._wanted:
                self._grown.set()
        else:
            self.failed.append(f"{number}: {answer.status} {said.decode()}")

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """All callers, from the beginning to the last answer."""
        async with asyncio.TaskGroup() as group:
            for number in range(KEEPING + FRESH):
                group.create_task(self.caller(keeps=number < KEEPING))
            try:
                yield
            finally:
                self.over = True

    async def grows(self) -> None:
        """Wait until there were several answers more for every caller."""
        self._wanted, self._grown = self.created + 3 * (KEEPING + FRESH), asyncio.Event()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._grown.wait()

    @property
    def created(self) -> int:
        """How many invoices were said to be created."""
        return sum(map(len, self.told.values()))
