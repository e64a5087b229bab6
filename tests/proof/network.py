"""The network of the simulation: between the gateway and the sandbox's strict simulations, it loses and delays."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.core.exchange import Reply, Request, Seen, judge
from gateway.core.result import NotSent, Unknown
from gateway.sandbox.simulation import Simulation

if TYPE_CHECKING:
    from tests.proof.process import Process
    from tests.proof.world import Sent

KEY = re.compile(rb"sim-[0-9]+")

SENT_FATES = ("answered",) * 6 + (
    "lost",
    "late",
    "late",
    "stored-lost",
    "stored-500",
    "500",
    "429",
    "garbage",
    "quirk",
    "quirk",
)
"""What becomes of a creating request that left; the upstream stores it in most of them."""


class Line:
    """A process's way to one upstream; what `Sender` is over sockets."""

    def __init__(
        self,
        process: "Process",
        name: str,
        simulation: Simulation,
        credentials: Callable[[], tuple[tuple[str, str], ...]],
        *,
        settle: float | None,
        unauthorized: frozenset[int],
    ) -> None:
        self._process = process
        self._name = name
        self._simulation = simulation
        self._credentials = credentials
        self._settle = settle
        self._unauthorized = unauthorized

    def distrust(self) -> None:
        """The credentials are always good."""

    async def send(self, request: Request, left: Callable[[], float]) -> Seen:
        """See `Sends.send`."""
        world, rng = self._process.world, self._process.world.rng
        if left() <= 0 and world.guards.deadline:
            return NotSent("deadline", "too late")
        try:
            async with asyncio.timeout(left() if world.guards.deadline else None):
                await self._process.step("connect")
        except TimeoutError:
            return NotSent("connect-timeout", "no connection in time")
        if world.chaos and rng.random() < 0.1:
            return NotSent("connect", "refused")
        if world.guards.deadline and left() <= 0:  # right before the first byte
            return NotSent("deadline", "too late")
        seen = await (self._create(request, left) if request.method == "POST" else self._ask(request, left))
        if not isinstance(seen, Reply):
            return seen
        return judge(seen, self._unauthorized, datetime.fromtimestamp(0, UTC))

    async def _ask(self, request: Request, left: Callable[[], float]) -> Reply | Unknown:
        world, rng = self._process.world, self._process.world.rng
        if world.chaos and rng.random() < 0.2:
            await self._pass(left, 1.0)
            return Unknown("timeout", "no answer")
        reply = self._answer(request)
        await self._process.step("asked")
        return reply if left() > 0 else Unknown("timeout", "no answer")

    async def _create(self, request: Request, left: Callable[[], float]) -> Seen:
        world, rng = self._process.world, self._process.world.rng
        key = self._key(request)
        sent = world.sending(key, self._name, self._process)
        # Without the quiet time only what comes late can go wrong, and that is rare in an ordinary world.
        fates = SENT_FATES if world.guards.quiet else (*SENT_FATES, *("late",) * 16)
        fate = rng.choice(fates) if world.chaos else "answered"
        match fate:
            case "lost":
                await self._pass(left, 1.0)
                return Unknown("connection", "broke")
            case "late":
                # It arrives, but after the gateway gave up; within the settle time, where there is one.
                most = left() + (60.0 if self._settle is None else self._settle * 0.98)
                world.later(rng.uniform(0.0, most), lambda: self._store(request, sent, None))
                await self._pass(left, 1.0)
                return Unknown("timeout", "no answer")
            case "429":
                return Reply(429, b"", {"retry-after": str(rng.randrange(5))})
            case "500":
                return Reply(500, b"oops")
        quirk = rng.choice(sorted(self._simulation.quirks)) if fate == "quirk" else None
        reply = self._store(request, sent, quirk)
        await self._process.step("sent")
        match fate:
            case "stored-lost":
                await self._pass(left, rng.random())
                return Unknown("connection", "broke")
            case "stored-500":
                return Reply(502, b"<html>")
            case "garbage":
                return Reply(reply.status, reply.body[: rng.randrange(len(reply.body) or 1)])
        return reply if left() > 0 else Unknown("timeout", "no answer")

    def _store(self, request: Request, sent: "Sent", quirk: str | None) -> Reply:
        """The upstream reads the request; whether it stored anything is looked up there."""
        self._process.world.quirks.add((sent.key, quirk))
        before = len(self._simulation.stored())
        reply = self._answer(request, quirk)
        for _ in range(len(self._simulation.stored()) - before):
            self._process.world.stored(sent)
        return reply

    def _answer(self, request: Request, quirk: str | None = None) -> Reply:
        sent = Request(request.method, request.path, request.body, (*request.headers, *self._credentials()))
        reply = self._simulation.answer(sent, quirk)
        return Reply(reply.status, reply.body, {name.lower(): text for name, text in reply.headers.items()})

    async def _pass(self, left: Callable[[], float], share: float) -> None:
        """Time until the gateway gives up, or a part of it."""
        await asyncio.sleep(max(left() * share, 0.0))
        await self._process.step("waited")

    def _key(self, request: Request) -> str:
        found = KEY.search(request.body) or KEY.search(request.path.encode())
        assert found is not None, request
        return found.group().decode()
