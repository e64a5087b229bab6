"""Exchanges with upstreams: leads a conversation turn by turn, each in its lane, before one deadline for all turns."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from gateway.core.breaker import Rules, Sign, sign
from gateway.core.events import Event
from gateway.core.exchange import MOST_TURNS, Reply, Request, Search, Seen, advance
from gateway.core.result import Absent, NotSent, Outcome, Unknown
from gateway.core.telling import masked, told
from gateway.shell.lanes import Lane, Width

Clock = Callable[[], float]
"""Seconds from any beginning, which never go back."""


def awake() -> float:
    """Seconds that go on while the machine is suspended: a claim ends then too, for everybody else."""
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


FAIR_SHARE = 0.5
"""Of its timeout an upstream has to have had so much, or it is not to blame for an answer that did not come."""


class Sends(Protocol):
    """Sends requests to one upstream; `shell.client.Sender` is the real one."""

    async def send(self, request: Request, left: Callable[[], float]) -> Seen:
        """What became of a request; `left` are the seconds until the deadline, after which nothing may be sent."""

    def distrust(self) -> None:
        """The credentials that were shown last did not do."""


class Counterpart(Struct, frozen=True):
    """How to reach an upstream: its sender, the seconds of an exchange, how many at once; and where it is.

    `secrets` are what no word of it may repeat, in all their forms.
    """

    sender: Sends
    timeout: float
    width: Width = Width()
    where: str = ""
    secrets: Callable[[], Sequence[str]] = tuple


class Ended(Struct, frozen=True):
    """How an exchange ended, with the first and the last answer as they came, and the seconds that it took."""

    outcome: Outcome | Absent
    first: Reply | None = None
    last: Reply | None = None
    seconds: float = 0.0


class Exchanges:
    """Every exchange goes through here.

    Lanes that were there `before`, and lead where they led, stay: who is in them counts, and what is known holds.
    """

    def __init__(
        self,
        counterparts: Mapping[str, Counterpart],
        clock: Clock,
        tell: Callable[[Event], None],
        rules: Rules = Rules(),  # noqa: B008 - a frozen value
        before: "Exchanges | None" = None,
    ) -> None:
        self._counterparts = counterparts
        self._clock = clock
        old: Mapping[str, Lane] = {} if before is None else before.lanes
        self.lanes: dict[str, Lane] = {}
        for name, each in counterparts.items():
            lane = Lane(name, each.width, rules, clock, tell, where=each.where)
            kept = old.get(name, lane)
            self.lanes[name] = kept if kept.leads == lane.leads else lane

    def timeout(self, upstream: str) -> float:
        """The seconds that an exchange with the upstream may take; 0 where there is no such upstream any more."""
        found = self._counterparts.get(upstream)
        return found.timeout if found is not None else 0.0

    def where(self, upstream: str) -> str:
        """Where the upstream is."""
        return self._counterparts[upstream].where

    async def lead(self, upstream: str, conversation: Search, deadline: float, *, patient: bool = True) -> Ended:
        """Lead a conversation to its end. No turn of it begins after the `deadline`, which is by the clock given.

        Who is not `patient` does not wait where others wait already.
        """
        counterpart, lane = self._counterparts[upstream], self.lanes[upstream]
        entered = await lane.enter(lambda: deadline - self._clock(), patient=patient)
        if isinstance(entered, NotSent):
            conversation.close()
            return Ended(entered)
        said, began = Sign.NOTHING, self._clock()
        try:
            ended = await self._lead(counterpart.sender, conversation, deadline)
            said = sign(ended.outcome, hurried=(deadline - began) < counterpart.timeout * FAIR_SHARE)
        finally:
            lane.leave(entered, said)
        if isinstance(ended.outcome, NotSent) and ended.outcome.reason == "unauthorized":
            # Some upstreams say so inside an answer that only the mapping can read.
            counterpart.sender.distrust()
        hidden = counterpart.secrets()
        first, last = masked(ended.first, hidden), masked(ended.last, hidden)
        return Ended(told(ended.outcome, hidden), first, last, self._clock() - began)

    async def _lead(self, sender: Sends, conversation: Search, deadline: float) -> Ended:
        first = last = None
        step = advance(conversation, None)
        for _ in range(MOST_TURNS):
            if not isinstance(step, Request):
                return Ended(step, first, last)
            seen = await sender.send(step, lambda: deadline - self._clock())
            if isinstance(seen, Reply):
                first, last = first or seen, seen
            step = advance(conversation, seen)
        if not isinstance(step, Request):
            return Ended(step, first, last)
        conversation.close()
        return Ended(Unknown("mapping", f"more than {MOST_TURNS} turns"), first, last)
