"""Exchanges: conversations that end, one deadline for all of their turns, and what is in flight."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.core.events import Event
from gateway.core.exchange import MOST_TURNS, Conversation, Reply, Request, Search, Seen
from gateway.core.result import Absent, NotSent, Outcome, Rejected, Unknown
from gateway.shell.exchanges import Counterpart, Ended, Exchanges
from tests.support.engines import REJECTED, UNKNOWN, created
from tests.support.stores import Clock

ASK = Request("POST", "/invoices")


class Replies:
    """A sender that answers with these, one after the other; each takes so many seconds."""

    def __init__(self, *replies: Seen, clock: Clock | None = None, seconds: float = 0.0) -> None:
        self.replies = list(replies)
        self.left: list[float] = []
        self.distrusted = 0
        self.seconds = seconds
        self._clock = clock or Clock()

    async def send(self, request: Request, left: Callable[[], float]) -> Seen:  # noqa: ARG002 - it always says the same
        """The next reply."""
        self.left.append(left())
        self._clock.seconds += self.seconds
        return self.replies.pop(0) if self.replies else Reply(200)

    def distrust(self) -> None:
        """Count."""
        self.distrusted += 1


def nobody(event: Event) -> None:
    """Hears nothing."""


def in_flight(exchanges: Exchanges) -> dict[str, int]:
    """How many exchanges are under way, by upstream."""
    return {name: lane.in_flight for name, lane in exchanges.lanes.items()}


async def led(conversation: Search, sender: Any = None, clock: Clock | None = None) -> Ended:
    """How a conversation ends that may take ten seconds."""
    clock = clock or Clock()
    exchanges = Exchanges({"a": Counterpart(sender or Replies(), 10.0)}, clock, nobody)
    return await exchanges.lead("a", conversation, clock() + 10.0)


def asking(turns: int, end: Outcome | Absent) -> Search:
    """A conversation of so many turns."""
    for _ in range(turns):
        yield ASK
    return end


async def test_an_endless_conversation_ends_unknown() -> None:
    """A mapping that asks for ever is stopped; what it did may have created something."""
    turns = 0
    closed = False

    def endless() -> Conversation:
        nonlocal turns, closed
        try:
            while True:
                turns += 1
                yield ASK
        finally:
            closed = True

    sender = Replies()
    ended = await led(endless(), sender)
    assert isinstance(ended.outcome, Unknown)
    assert ended.outcome.reason == "mapping"
    assert len(sender.left) == MOST_TURNS
    assert turns == MOST_TURNS + 1
    assert closed


@pytest.mark.parametrize("turns", [0, 1, MOST_TURNS])
async def test_a_conversation_of_as_many_turns_as_allowed_may_end(turns: int) -> None:
    """The limit itself is allowed, answer and all."""
    assert (await led(asking(turns, created("40")))).outcome == created("40")


async def test_a_mapping_that_breaks_before_sending_is_not_sent() -> None:
    """No request was made."""

    def broken() -> Conversation:
        if not ASK.headers:
            raise ZeroDivisionError
        yield ASK
        return UNKNOWN

    ended = await led(broken())
    assert isinstance(ended.outcome, NotSent)
    assert (ended.first, ended.last) == (None, None)


async def test_a_mapping_that_breaks_after_sending_is_unknown() -> None:
    """A request was made."""

    def broken() -> Conversation:
        yield ASK
        raise ZeroDivisionError

    ended = await led(broken(), Replies(Reply(201, b"made")))
    assert isinstance(ended.outcome, Unknown)
    assert ended.first == Reply(201, b"made")


async def test_the_first_and_the_last_answer_are_kept() -> None:
    """What a creation was answered, and what a lookup saw at its end; what is no answer is neither."""
    replies = (Unknown("timeout", ""), Reply(201, b"1"), Reply(200, b"2"), Reply(200, b"3"), NotSent("connect", ""))
    ended = await led(asking(5, REJECTED), Replies(*replies))
    assert ended == Ended(REJECTED, Reply(201, b"1"), Reply(200, b"3"))


async def test_all_turns_share_one_deadline() -> None:
    """Each has what those before it left; the clock is asked again at every turn."""
    clock = Clock()
    sender = Replies(clock=clock, seconds=3.0)
    await led(asking(5, UNKNOWN), sender, clock)
    assert sender.left == [10.0, 7.0, 4.0, 1.0, -2.0]


async def test_a_paused_process_sends_nothing_after_its_deadline() -> None:
    """What is left is a question that the sender asks at the last moment, not a figure."""
    clock, seen = Clock(), list[float]()

    class Paused(Replies):
        async def send(self, request: Request, left: Callable[[], float]) -> Seen:  # noqa: ARG002 - it never is
            """Go on long after."""
            clock.seconds += 60.0
            seen.append(left())
            return NotSent("deadline", "too late")

    ended = await led(iter_once(), Paused(), clock)
    assert seen == [-50.0]
    assert ended.outcome == NotSent("deadline", "too late")


def iter_once() -> Conversation:
    """One request; its end is what was seen, if that is one."""
    seen = yield ASK
    return Rejected(422, None, "no") if isinstance(seen, Reply) else seen


@pytest.mark.parametrize(
    ("end", "distrusted"),
    [(NotSent("unauthorized", "in its words"), 1), (NotSent("connect", ""), 0), (Rejected(401, "unauthorized", ""), 0)],
)
async def test_credentials_that_only_the_mapping_saw_refused_are_distrusted(end: Outcome, distrusted: int) -> None:
    """Some upstreams say so inside an answer of status 200."""
    sender = Replies()
    await led(asking(1, end), sender)
    assert sender.distrusted == distrusted


async def test_what_is_in_flight_is_counted_down_whatever_happens() -> None:
    """By upstream; also where the task is cancelled in the middle."""
    clock, reached = Clock(), asyncio.Event()

    class Held(Replies):
        async def send(self, request: Request, left: Callable[[], float]) -> Seen:  # noqa: ARG002 - it never answers
            """Wait for ever."""
            reached.set()
            return await asyncio.Future[Seen]()

    exchanges = Exchanges({"a": Counterpart(Held(), 10.0), "b": Counterpart(Replies(), 5.0)}, clock, nobody)
    assert in_flight(exchanges) == {"a": 0, "b": 0}
    task = asyncio.create_task(exchanges.lead("a", iter_once(), clock() + 10.0))
    await reached.wait()
    assert in_flight(exchanges) == {"a": 1, "b": 0}
    await exchanges.lead("b", iter_once(), clock() + 5.0)
    assert in_flight(exchanges) == {"a": 1, "b": 0}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert in_flight(exchanges) == {"a": 0, "b": 0}


def test_an_upstream_that_is_not_there_any_more_has_no_time() -> None:
    """The journal may name one that left the configuration."""
    exchanges = Exchanges({"a": Counterpart(Replies(), 10.0)}, Clock(), nobody)
    assert (exchanges.timeout("a"), exchanges.timeout("b")) == (10.0, 0.0)
