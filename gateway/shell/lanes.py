"""The way to one upstream: so many exchanges at once, so many more that wait in their order, no faster than its rate.

An upstream that hangs fills its own lane and no other. Whoever does not get through in time is certainly not sent.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiolimiter import AsyncLimiter
from msgspec import Struct

from gateway.core import breaker
from gateway.core.breaker import Breaker, Closed, Open, Rules, Sign
from gateway.core.events import BreakerTurned, Event
from gateway.core.result import NotSent

BUSY_SECONDS = 1.0
"""When to come again where every place is taken."""


class Width(Struct, frozen=True):
    """How many exchanges an upstream has at once, how many may wait for that, and how many may begin in a second."""

    at_once: int = 32
    queue: int = 64
    rate: float | None = None


class Pass(Struct, frozen=True):
    """An exchange that may begin; it gives its place back with `Lane.leave`."""

    probe: bool


class Lane:
    """Lets exchanges with one upstream begin. It `leads` somewhere, so wide and by such rules."""

    def __init__(
        self,
        name: str,
        width: Width,
        rules: Rules,
        clock: Callable[[], float],
        tell: Callable[[Event], None],
        *,
        where: str = "",
    ) -> None:
        self.name = name
        self.leads = (where, width, rules)
        self.width = width
        self._rules = rules
        self._clock = clock
        self._tell = tell
        self._places = asyncio.Semaphore(width.at_once)
        self._limiter = None if width.rate is None else limiter(width.rate)
        self.breaker: Breaker = Closed()
        self.in_flight = 0
        self.waiting = 0
        self._aside = 0

    async def enter(self, left: Callable[[], float], *, patient: bool = True) -> Pass | NotSent:
        """Wait for a place while there is time `left` (seconds); who is not `patient` takes a free one or none."""
        if not breaker.passes(self.breaker, self._clock()):
            return self._closed()
        if self._places.locked() and not (patient and self.waiting < self.width.queue):
            return NotSent("busy", "every place there is taken, and every place to wait for one", None, BUSY_SECONDS)
        if not await self._placed(left):
            return NotSent("busy", "no place there became free in time", None, BUSY_SECONDS)
        if not breaker.passes(self.breaker, self._clock()):  # it turned while this one waited
            self._places.release()
            return self._closed()
        turned, probe = breaker.admitted(self.breaker)
        self._turn(turned)
        self.in_flight += 1
        return Pass(probe)

    def leave(self, taken: Pass, said: Sign) -> None:
        """Give the place back, and say how the exchange went."""
        self.in_flight -= 1
        self._places.release()
        self._turn(breaker.learned(self.breaker, said, self._clock(), self._rules, probe=taken.probe))

    @contextmanager
    def aside(self) -> Iterator[bool]:
        """Wait outside: before another try, or for what somebody else sends; whether there is room, as in the queue.

        Who waits for an upstream that hangs, or that wants to be left alone, must not fill the gateway.
        """
        room = self._aside < self.width.queue
        self._aside += room
        try:
            yield room
        finally:
            self._aside -= room

    async def _placed(self, left: Callable[[], float]) -> bool:
        """Take a place, and a turn by the rate; whether there was time for both."""
        if not self._places.locked() and self._limiter is None:
            return await self._places.acquire()
        self.waiting += 1
        try:
            async with asyncio.timeout(max(left(), 0.0)):
                await self._places.acquire()
                await self._turn_by_rate()
        except TimeoutError:
            return False
        finally:
            self.waiting -= 1
        return True

    async def _turn_by_rate(self) -> None:
        if self._limiter is not None:
            try:
                await self._limiter.acquire()
            except BaseException:  # whoever gives up while it waits gives its place back
                self._places.release()
                raise

    def _turn(self, turned: Breaker) -> None:
        before, self.breaker = self.breaker, turned
        if type(before) is not type(turned):
            self._tell(BreakerTurned(self.name, breaker.STATES[type(turned)]))

    def _closed(self) -> NotSent:
        until = self.breaker.until if isinstance(self.breaker, Open) else self._clock() + BUSY_SECONDS
        wait = max(until - self._clock(), 0.0)
        return NotSent("breaker", "it did not work lately, and is left alone for a while", None, wait)


def limiter(rate: float) -> AsyncLimiter:
    """So many in a second, a second's worth at once; less than one is one in several."""
    return AsyncLimiter(rate, 1.0) if rate >= 1 else AsyncLimiter(1, 1 / rate)
