"""Exchanges with upstreams: leads a conversation turn by turn, before one deadline for all of them."""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from gateway.core.exchange import MOST_TURNS, Reply, Request, Search, Seen, advance
from gateway.core.result import Absent, NotSent, Outcome, Unknown

Clock = Callable[[], float]
"""Seconds from any beginning, which never go back."""


class Sends(Protocol):
    """Sends requests to one upstream; `shell.client.Sender` is the real one."""

    async def send(self, request: Request, left: Callable[[], float]) -> Seen:
        """What became of a request; `left` are the seconds until the deadline, after which nothing may be sent."""

    def distrust(self) -> None:
        """The credentials that were shown last did not do."""


class Counterpart(Struct, frozen=True):
    """How to reach an upstream: its sender, and the seconds that an exchange may take."""

    sender: Sends
    timeout: float


class Ended(Struct, frozen=True):
    """How an exchange ended, with the first and the last answer as they came."""

    outcome: Outcome | Absent
    first: Reply | None = None
    last: Reply | None = None


class Exchanges:
    """Every exchange goes through here."""

    def __init__(self, counterparts: Mapping[str, Counterpart], clock: Clock) -> None:
        self._counterparts = counterparts
        self._clock = clock
        self.in_flight = dict.fromkeys(counterparts, 0)

    def timeout(self, upstream: str) -> float:
        """The seconds that an exchange with the upstream may take; 0 where there is no such upstream any more."""
        found = self._counterparts.get(upstream)
        return found.timeout if found is not None else 0.0

    async def lead(self, upstream: str, conversation: Search, deadline: float) -> Ended:
        """Lead a conversation to its end. No turn of it begins after the `deadline`, which is by the clock given."""
        counterpart = self._counterparts[upstream]
        self.in_flight[upstream] += 1
        try:
            ended = await self._lead(counterpart.sender, conversation, deadline)
        finally:
            self.in_flight[upstream] -= 1
        if isinstance(ended.outcome, NotSent) and ended.outcome.reason == "unauthorized":
            # Some upstreams say so inside an answer that only the mapping can read.
            counterpart.sender.distrust()
        return ended

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
