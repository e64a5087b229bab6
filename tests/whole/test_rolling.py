"""Rolling restarts: gateways go and come one after the other under load, and no caller notices."""

import asyncio
import json
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from tests.support import programs
from tests.support.balancer import Balancer, balancing
from tests.support.postgres import server
from tests.support.programs import Program
from tests.support.running import NAMES, Edit, added, configured, invoice, replaced

REPLICAS = 3
KEEPING = 8
FRESH = 4
"""Callers that keep their connection, and callers that have a new one for each request."""
PACE_SECONDS = 0.16
"""Between two requests of a caller: those who keep connections send 50 a second, and none of them idles for long."""
PATIENCE_SECONDS = 30.0
DIALECTS = sorted(set(NAMES) - {"exsited"})
"""Exsited's sandbox knows one token at a time, so that gateways with one credential end each other's."""


def drained(delay: str) -> Edit:
    """An edit that gives balancers so much time to notice that a gateway is about to end."""
    return replaced("[server]\n", f'[server]\ndrain_delay = "{delay}"\n')


class Load:
    """Callers that keep their connections alive, and everything that they heard."""

    def __init__(self, url: str) -> None:
        self._url = url
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
                pace = asyncio.create_task(asyncio.sleep(PACE_SECONDS))
                await self._send(session, next(self._numbers), keeps=keeps)
                await pace

    async def _send(self, session: ClientSession, number: int, *, keeps: bool) -> None:
        dialect = DIALECTS[number % len(DIALECTS)]
        sent = invoice(dialect, external_id=f"rolling:{number}", number=f"N-{number}")
        try:
            async with session.post(f"{self._url}/v1/invoices", json=sent) as answer:
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

    async def grows(self) -> None:
        """Wait until there were several answers more for every caller."""
        self._wanted, self._grown = self.created + 3 * (KEEPING + FRESH), asyncio.Event()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._grown.wait()

    @property
    def created(self) -> int:
        """How many invoices were said to be created."""
        return sum(map(len, self.told.values()))


async def roll(config: Path, balancer: Balancer, load: Load, gateways: list[Program]) -> None:
    """Restart every gateway, one after the other, each under load."""
    for number in range(REPLICAS):
        await load.grows()
        before = load.turned_away
        assert await gateways[number].end() == 0, "a gateway did not end well"
        balancer.remove(gateways[number])
        gateways[number] = await programs.serve(config)
        balancer.add(gateways[number])
        await balancer.until_ready(REPLICAS)
        assert load.turned_away > before, "a gateway that was about to end did not say so on its connections"


async def stored(sandbox: str, dialect: str) -> list[dict[str, Any]]:
    """The invoices that the sandbox holds."""
    async with ClientSession() as session, session.get(f"{sandbox}/_sandbox/{dialect}/invoices") as answer:
        found: list[dict[str, Any]] = await answer.json()
        return found


async def test_gateways_are_restarted_one_by_one_and_no_request_fails(tmp_path: Path) -> None:
    """Not one error and no answer but 201 while all three are replaced; every invoice exists once."""
    journal = added(f"[journal]\nurl = {json.dumps(await asyncio.to_thread(lambda: server().new_database()))}")
    gateways: list[Program] = []
    try:
        async with programs.sandbox() as sandbox, balancing() as balancer:
            config = configured(tmp_path, sandbox.url, journal, drained("500ms"))
            for _ in range(REPLICAS):
                gateways.append(await programs.serve(config))
                balancer.add(gateways[-1])
            await balancer.until_ready(REPLICAS)
            load = Load(balancer.url)
            async with asyncio.TaskGroup() as group:
                for number in range(KEEPING + FRESH):
                    group.create_task(load.caller(keeps=number < KEEPING))
                try:
                    await roll(config, balancer, load, gateways)
                finally:
                    load.over = True
            failed = "\n".join(load.failed)
            assert not load.failed, f"{len(load.failed)} of {len(load.failed) + load.created} failed:\n{failed}"
            for dialect, told in load.told.items():
                there = await stored(sandbox.url, dialect)
                assert len(there) == len(told) == len(set(told)), dialect
    finally:
        for gateway in gateways:
            await gateway.end()
