"""Connections to upstreams that break, anyhow, in any direction, at any moment: the table of never twice, never lost.

Gateway and sandbox are real, and so are their sockets; the proxy of `tests/support/proxy.py` stands between them. The
oracle is the sandbox's own store.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from io import BytesIO
from itertools import product
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout

from gateway.shell.catalog import dialects
from gateway.shell.configuration import load
from tests.support.proxy import Proxy, proxying
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
from tests.support.streams import KINDS, PHASES, WAITING_SECONDS, WAYS, Fault, Kind, Way

pytestmark = pytest.mark.usefixtures("each_way")
DIALECTS = sorted(NAMES)
HARMLESS = ("latency", "slicer")
SECONDS = 0.6
"""The time of an exchange whose connection breaks; others have more than they need."""
TICK_SECONDS = 0.05
TICKS = (32, 400)
"""After so many the answer is late: the exchange's time, and a second for a machine that has much to do; or what the
harmless faults may take."""
MOST_TRIES = 200
SETTLE = "2s"
"""Of a slow network: what was sent in time still arrives when its sender has long given up. All others pass a request
on at once or, while it is looked for, not at all."""
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
async def between(folder: Path, kind: Kind) -> AsyncIterator[tuple[World, Mapping[str, Proxy]]]:
    """A gateway, a sandbox, and a proxy between them for each dialect; absence is believed when such a fault allows."""
    settle = SETTLE if kind == "slow" else "0s"
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(sandbox())
        proxies = {each: await stack.enter_async_context(proxying(url, creates)) for each in DIALECTS}

        def through(text: str) -> str:
            for dialect, proxy in proxies.items():
                text = text.replace(address(text, dialect), f"{proxy.url}/{dialect}")
            return text

        own = replaced("\ndialect = ", f'\ntimeout = "10s"\nsettle = "{settle}"\ndialect = ')
        path, log = configured(folder, url, through, own), BytesIO()
        service = await stack.enter_async_context(serving(load(path), log))
        session = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=20)))
        yield World(service, path, url, session, log), proxies


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
        """Break the connection of one invoice; what holds whatever happens, and that the next one arrives.

        On a machine that has much to do its time may be over before the fault could strike: then another is tried.
        """
        strikes = self.fault.phase not in PRIMED or reuses(self.dialect)
        if self.fault.phase in PRIMED:
            await self.healthy("before")
        # The first connection to an upstream with OAuth is for its token.
        self.proxy.arm(self.fault, skipped=int(self.dialect == "exsited"))
        if self.fault.phase == "idle":
            self.proxy.strike(self.fault)
        if self.fault.phase == "waiting":
            path = {"path": "/invoices"} if self.dialect == "exsited" else {}
            await self.world.arm(self.dialect, "delay", seconds=2 * WAITING_SECONDS, method="POST", **path)
        for number in range(MOST_TRIES):
            await self.break_one(f"struck-{number}")
            if self.proxy.struck or not strikes:
                break
        assert self.proxy.struck == 1 or not strikes, self

    async def break_one(self, name: str) -> None:
        """Send an invoice while the fault may strike, until its outcome is known; then another, and it again."""
        before = await self.stored()
        answer = await self.in_time(self.send(name, struck=True))
        self.check_truth(answer, await self.stored() - before)
        if self.fault.kind == "slow":
            self.proxy.heal()  # what it still holds arrives now, before anybody may believe that it never will
        answer = await self.concluded(name, answer, before)
        if self.proxy.struck:
            self.proxy.heal()
            await self.healthy(f"after-{name}")
            if answer.json["outcome"] == "created":
                assert (await self.send(name)).status == 200, self
                assert await self.stored() - before == 2, self

    async def in_time(self, sending: Coroutine[None, None, Answer]) -> Answer:
        """The answer, if it comes before its deadline; what the machine does meanwhile does not count."""
        task = asyncio.create_task(sending)
        for _ in range(TICKS[self.fault.kind in HARMLESS]):
            if (await asyncio.wait((task,), timeout=TICK_SECONDS))[0]:
                return task.result()
        task.cancel()
        raise AssertionError(f"{self}: no answer in time")

    async def send(self, name: str, *, struck: bool = False) -> Answer:
        """Send the invoice of that name; there is not much time for one that is to be struck."""
        sent = invoice(self.dialect, external_id=f"{self.dialect}:{name}", number=f"N-{name}")
        short = struck and self.fault.kind not in HARMLESS
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
        outcome, fault = answer.json["outcome"], self.fault
        assert stored <= 1, self
        assert {"created": stored == 1, "not_sent": stored == 0, "unknown": True}[outcome], (self, outcome, stored)
        if fault.kind in HARMLESS:
            assert outcome == "created", (self, answer.content)
        elif self.proxy.struck and fault.phase in ARRIVES:
            assert stored == 1, self
        elif self.proxy.struck and fault.phase in NEVER_ARRIVES and (fault.kind, fault.way) not in ANSWER_ONLY:
            assert stored == 0, self

    async def concluded(self, name: str, answer: Answer, before: int) -> Answer:
        """Send it again until its outcome is known; never stored twice, and settled where the upstream can be asked."""
        askable = dialects()[self.dialect].lookup is not None
        for _ in range(MOST_TRIES):
            outcome, stored = answer.json["outcome"], await self.stored() - before
            assert stored in {"created": (1,), "not_sent": (0,), "unknown": (0, 1)}[outcome], (self, outcome, stored)
            if outcome == "created":
                return answer
            answer = await self.send(name, struck=True)
            if outcome == "unknown" and not askable:
                assert answer.json["outcome"] == "unknown", self
                assert await self.stored() - before <= 1, self
                return answer
            await asyncio.sleep(0.05)
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
            (folder := tmp_path / phase).mkdir()
            world, proxies = await stack.enter_async_context(between(folder, kind))
            cells += [Cell(world, proxies[each], each, Fault(kind, way, phase)) for each in DIALECTS]
        free = asyncio.Semaphore(AT_ONCE)
        ended = await asyncio.gather(*(cell.play(free) for cell in cells), return_exceptions=True)
    wrong = [each for each in ended if each is not None]
    assert not wrong, "\n".join(map(repr, wrong))
