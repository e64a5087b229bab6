"""Load in a process of its own: so many invoices a second to each of some upstreams, whatever becomes of them.

A latency counts from the moment at which an invoice was due, not from that at which it could be sent, so that a gateway
which stands still for a second is seen to do so by everybody who was due in it.
"""

import asyncio
import os
import random
import sys
import time
from pathlib import Path

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from msgspec import Struct

from gateway.shell.commands import loop_factory
from tests.support.running import invoice

ROOT = Path(__file__).parents[2]
PATIENCE = ClientTimeout(total=30)
HEADERS = {"Content-Type": "application/json"}


class Asked(Struct, frozen=True, kw_only=True):
    """Load on the gateway at `url` for `seconds`: `rates` of invoices a second by dialect.

    Without rates, so many callers as `callers` send to `dialect` as fast as they are answered. What is heard in the
    first `warm` seconds does not count.
    """

    url: str
    seconds: float
    warm: float = 1.0
    rates: dict[str, float] = {}
    dialect: str = ""
    callers: int = 0


class Told(Struct, frozen=True):
    """Seconds until the answers of a dialect came, and how many of them had which status; 0 where there was none."""

    latencies: list[float]
    statuses: dict[int, int]


class Load:
    """The load while it runs."""

    def __init__(self, asked: Asked, session: ClientSession) -> None:
        self._asked = asked
        self._session = session
        self._began = time.monotonic()
        self._run = f"{os.getpid()}:{random.randrange(2**32):08x}"  # noqa: S311 - a name
        self._number = 0
        self.told: dict[str, Told] = {}

    async def run(self) -> None:
        """Everything that was asked for, to its end."""
        asked = self._asked
        async with asyncio.TaskGroup() as group:
            for dialect, rate in asked.rates.items():
                group.create_task(self._steadily(dialect, rate, group))
            for _ in range(asked.callers):
                group.create_task(self._fast(asked.dialect))

    @property
    def _passed(self) -> float:
        return time.monotonic() - self._began

    async def _steadily(self, dialect: str, rate: float, group: asyncio.TaskGroup) -> None:
        for number in range(round(rate * self._asked.seconds)):
            due = number / rate
            await asyncio.sleep(max(due - self._passed, 0.0))
            group.create_task(self._send(dialect, due))

    async def _fast(self, dialect: str) -> None:
        while self._passed < self._asked.seconds:
            await self._send(dialect, self._passed)

    async def _send(self, dialect: str, due: float) -> None:
        self._number += 1
        name = f"{self._run}:{self._number}"
        body = msgspec.json.encode(invoice(dialect, external_id=name, number=name[-24:]))
        status = 0
        try:
            async with self._session.post(f"{self._asked.url}/v1/invoices", data=body, headers=HEADERS) as answer:
                await answer.read()
                status = answer.status
        except (ClientError, OSError, TimeoutError):
            pass
        if due >= self._asked.warm:
            told = self.told.setdefault(dialect, Told([], {}))
            told.latencies.append(self._passed - due)
            told.statuses[status] = told.statuses.get(status, 0) + 1


async def loaded(asked: Asked) -> dict[str, Told]:
    """What is heard under this load, which is made by another process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        said, _ = await process.communicate(msgspec.json.encode(asked))
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return msgspec.json.decode(said, type=dict[str, Told])


async def _main(asked: Asked) -> dict[str, Told]:
    async with ClientSession(connector=TCPConnector(limit=0), timeout=PATIENCE) as session:
        load = Load(asked, session)
        await load.run()
        return load.told


if __name__ == "__main__":
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(_main(order))))
