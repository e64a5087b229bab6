"""Three gateways as programs, over one PostgreSQL and before one sandbox, behind a balancer."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from tests.support import programs
from tests.support.balancer import Balancer, balancing
from tests.support.postgres import server
from tests.support.programs import Program
from tests.support.running import Edit, added, configured, replaced

REPLICAS = 3


class Replicas:
    """The gateways while they run; `url` is the balancer's, `config` the file that all of them read."""

    def __init__(self, config: Path, sandbox: str, balancer: Balancer) -> None:
        self.config = config
        self.sandbox = sandbox
        self.url = balancer.url
        self.gateways: list[Program] = []
        self._balancer = balancer

    @property
    def targets(self) -> list[str]:
        """Where their metrics are, as `host:port`."""
        return [target(gateway) for gateway in self.gateways]

    async def begin(self) -> None:
        """Start all of them."""
        async with asyncio.TaskGroup() as group:
            for _ in range(REPLICAS):
                group.create_task(self._start(0))
        await self._balancer.until_ready(REPLICAS)

    async def _start(self, number: int) -> None:
        gateway = await programs.serve(self.config)
        self.gateways.insert(number, gateway)
        self._balancer.add(gateway)

    async def end(self) -> None:
        """End all of them, without waiting for anybody to notice."""
        for gateway in self.gateways:
            gateway.send(signal.SIGINT)
        for gateway in self.gateways:
            await gateway.end()

    async def replace(self, number: int) -> int:
        """Ask one to end, and start another in its place; the exit code of the first."""
        code = await self.gateways[number].end()
        self._balancer.remove(self.gateways.pop(number))
        await self._start(number)
        await self._balancer.until_ready(REPLICAS)
        return code

    async def stored(self, dialect: str) -> list[dict[str, Any]]:
        """The invoices that the sandbox holds."""
        async with ClientSession() as session, session.get(f"{self.sandbox}/_sandbox/{dialect}/invoices") as answer:
            found: list[dict[str, Any]] = await answer.json()
            return found

    async def arm(self, dialect: str, fault: str, **more: object) -> None:
        """Switch a fault or quirk of the sandbox on."""
        url, asked = f"{self.sandbox}/_sandbox/{dialect}/faults", {"fault": fault, "method": "POST", **more}
        async with ClientSession() as session, session.post(url, json=asked) as answer:
            assert answer.status == 200, await answer.text()


def drained(delay: str) -> Edit:
    """An edit that gives balancers so much time to notice that a gateway is about to end."""
    return replaced("[server]\n", f'[server]\ndrain_delay = "{delay}"\n')


def target(gateway: Program) -> str:
    """Where the metrics of a gateway are, as `host:port`: what Prometheus calls its instance."""
    return gateway.ops_url.removeprefix("http://")


@asynccontextmanager
async def replicas(folder: Path, *edits: Edit) -> AsyncIterator[Replicas]:
    """Three gateways that are ready, configured as the demo is, with these edits; their journal is empty."""
    journal = added(f"[journal]\nurl = {json.dumps(await asyncio.to_thread(lambda: server().new_database()))}")
    async with programs.sandbox() as sandbox, balancing() as balancer:
        found = Replicas(configured(folder, sandbox.url, journal, *edits), sandbox.url, balancer)
        try:
            await found.begin()
            yield found
        finally:
            await found.end()
