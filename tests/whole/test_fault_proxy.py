"""Connections to upstreams that break, anyhow, in any direction, at any moment: the table of never twice, never lost.

Gateway and sandbox are real, and so are their sockets; the proxy of `tests/support/proxy.py` stands between them. The
oracle is the sandbox's own store.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from io import BytesIO
from itertools import product
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout

from gateway.shell.catalog import dialects
from gateway.shell.configuration import load
from tests.support.proxy import KINDS, PHASES, WAYS, Fault, Kind, Proxy, Way, proxying
from tests.support.running import (
    NAMES,
    Answer,
    World,
    address,
    configured,
    invoice,
    replaced,
    sandbox,
    serving,
)

DIALECTS = sorted(NAMES)
HARMLESS = ("latency", "slicer")
SECONDS = 0.6
"""The time of an exchange whose connection breaks; others have more than they need."""
SLACK_SECONDS = 1.5
"""What may pass beside that, on a machine that has much to do."""
MOST_TRIES = 200
AT_ONCE = 20
"""Cells that are played side by side."""
PRIMED = ("idle", "between")
"""Moments of a connection that was used before."""
NEVER_ARRIVES = ("request-head", "request-body")
ARRIVES = ("before-answer", "answer-head", "answer-body")


def creates(head: bytes) -> bool:
    """Whether a request creates an invoice."""
    return head.startswith(b"POST ") and b"/oauth2/" not in head.partition(b"\r\n")[0]


def reuses(dialect: str) -> bool:
    """Whether connections to its upstream are used again."""
    return not dialects()[dialect].closes_on


@asynccontextmanager
async def between(folder: Path) -> AsyncIterator[tuple[World, Mapping[str, Proxy]]]:
    """A gateway, a sandbox, and a proxy between them for each dialect."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(sandbox())
        proxies = {each: await stack.enter_async_context(proxying(url, creates)) for each in DIALECTS}

        def through(text: str) -> str:
            for dialect, proxy in proxies.items():
                text = text.replace(address(text, dialect), f"{proxy.url}/{dialect}")
            return text

        own = replaced("\ndialect = ", '\ntimeout = "10s"\nsettle = "0s"\ndialect = ')
        folder.mkdir()
        loaded = load(configured(folder, url, through, own))
        log = BytesIO()
        service = await stack.enter_async_context(serving(loaded, log))
        session = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=20)))
        yield World(service, url, session, log), proxies


class Cell:
    """An upstream of a dialect behind its proxy, and one fault."""

    def __init__(self, world: World, proxy: Proxy, dialect: str, fault: Fault) -> None:
        self.world = world
        self.proxy = proxy
        self.dialect = dialect
        self.fault = fault

    async def play(self, free: asyncio.Semaphore) -> None:
        """Its turn has come."""
        async with free:
            await self.all_that_holds()

    async def all_that_holds(self) -> None:
        """Break the connection of one invoice; what holds whatever happens, and that the next one arrives."""
        if self.fault.phase in PRIMED:
            await self.healthy("before")
        if self.fault.phase == "idle":
            self.proxy.strike(self.fault)
        else:
            # The first connection to an upstream with OAuth is for its token.
            self.proxy.arm(self.fault, skipped=int(self.dialect == "exsited"))
        before = await self.stored()
        began = time.monotonic()
        answer = await self.send("struck")
        if self.fault.kind not in HARMLESS:
            assert time.monotonic() - began < SECONDS + SLACK_SECONDS, self
        self.check_truth(answer, await self.stored() - before)
        answer = await self.concluded(answer, before)
        assert self.proxy.struck == 1 or (self.fault.phase in PRIMED and not reuses(self.dialect)), self
        self.proxy.heal()
        await self.healthy("after")
        if answer.json["outcome"] == "created":
            assert (await self.send("struck")).status == 200, self
            assert await self.stored() - before == 2, self

    async def send(self, name: str) -> Answer:
        """Send the invoice of that name."""
        sent = invoice(self.dialect, external_id=f"{self.dialect}:{name}", number=f"N-{name}")
        short = name == "struck" and self.fault.kind not in HARMLESS
        headers = {"X-Request-Timeout-Ms": f"{SECONDS * 1000:.0f}"} if short else {}
        return await self.world.send(sent, headers=headers)

    async def stored(self) -> int:
        """How many invoices the sandbox holds."""
        return len(await self.world.stored(self.dialect))

    async def healthy(self, name: str) -> None:
        """An invoice that nothing happens to is created at once."""
        answer = await self.send(name)
        assert answer.status == 201, (self, name, answer.content)

    def check_truth(self, answer: Answer, stored: int) -> None:
        """Created only if it is stored, not sent only if it is not; and the fault struck when it says."""
        outcome = answer.json["outcome"]
        assert stored <= 1, self
        assert {"created": stored == 1, "not_sent": stored == 0, "unknown": True}[outcome], (self, outcome, stored)
        if self.fault.kind in HARMLESS:
            assert outcome == "created", (self, answer.content)
        elif self.fault.phase in ARRIVES and self.proxy.struck:
            assert stored == 1, self
        elif self.fault.phase in NEVER_ARRIVES and (self.fault.kind, self.fault.way) not in ANSWER_ONLY:
            assert stored == 0, self

    async def concluded(self, answer: Answer, before: int) -> Answer:
        """Send it again until its outcome is known; never stored twice, and settled where the upstream can be asked."""
        askable = dialects()[self.dialect].lookup is not None
        for _ in range(MOST_TRIES):
            outcome = answer.json["outcome"]
            if outcome == "created":
                assert await self.stored() - before == 1, self
                return answer
            assert outcome in ("not_sent", "unknown"), (self, answer.content)
            if outcome == "unknown" and not askable:
                assert (await self.send("struck")).json["outcome"] == "unknown", self
                assert await self.stored() - before <= 1, self
                return answer
            await asyncio.sleep(0.05)
            answer = await self.send("struck")
        raise AssertionError(f"{self} is still {outcome}")

    def __str__(self) -> str:
        """Where in the table."""
        return f"{self.dialect}: {self.fault.kind} of the {self.fault.way}, {self.fault.phase}"

    __repr__ = __str__


ANSWER_ONLY = {("half-close", "answer"), ("stall", "answer"), ("slow", "answer")}
"""Faults that leave the request alone, whenever they strike."""


@pytest.mark.parametrize(("kind", "way"), list(product(KINDS, WAYS)))
async def test_a_broken_connection_to_an_upstream_is_never_taken_for_something_else(
    kind: Kind, way: Way, tmp_path: Path
) -> None:
    """Every dialect, every moment: truth in time, nothing twice, nothing lost, and the next invoice is created."""
    async with AsyncExitStack() as stack:
        cells = []
        for phase in PHASES:
            world, proxies = await stack.enter_async_context(between(tmp_path / phase))
            cells += [Cell(world, proxies[each], each, Fault(kind, way, phase)) for each in DIALECTS]
        free = asyncio.Semaphore(AT_ONCE)
        ended = await asyncio.gather(*(cell.play(free) for cell in cells), return_exceptions=True)
    wrong = [each for each in ended if each is not None]
    assert not wrong, "\n".join(map(repr, wrong))
