"""Lanes: so many at once, so many who wait in order, no faster than the rate, and none while the breaker is open."""

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.core.breaker import Closed, HalfOpen, Open, Rules, Sign
from gateway.core.events import BreakerTurned, Event
from gateway.core.result import NotSent
from gateway.shell.lanes import Lane, Pass, Width
from tests.proof.virtual import VirtualLoop
from tests.support.stores import Clock

RULES = Rules(window=30.0, min_calls=2, failure_rate=0.5, open=15.0)
MINUTE = 60.0


class Road:
    """A lane, its clock, and what it told."""

    def __init__(self, width: Width, rules: Rules = RULES) -> None:
        self.clock = Clock(0.0)
        self.told: list[Event] = []
        self.lane = Lane("there", width, rules, self.clock, self.told.append)

    async def enter(self, seconds: float = MINUTE, **more: Any) -> Pass:
        """A place that is to be had."""
        taken = await self.lane.enter(lambda: seconds, **more)
        assert isinstance(taken, Pass)
        return taken

    async def refused(self, seconds: float = MINUTE, **more: Any) -> NotSent:
        """A place that is not."""
        no = await self.lane.enter(lambda: seconds, **more)
        assert isinstance(no, NotSent)
        return no

    def state(self) -> type:
        """The state of its breaker."""
        return type(self.lane.breaker)

    def counts(self) -> tuple[int, int]:
        """How many are under way, and how many wait."""
        return self.lane.in_flight, self.lane.waiting


async def turns(count: int = 5) -> None:
    """Let everybody go on who can."""
    for _ in range(count):
        await asyncio.sleep(0)


# ------------------------------------------------------------------ places


async def test_so_many_are_under_way_and_no_more() -> None:
    """Who comes then waits, and goes on when a place becomes free; in the order in which they came."""
    road, order = Road(Width(2, 8)), list[int]()
    taken = [await road.enter() for _ in range(2)]

    async def come(number: int) -> None:
        place = await road.enter()
        order.append(number)
        await turns()
        road.lane.leave(place, Sign.GOOD)

    waiting = [asyncio.create_task(come(number)) for number in range(5)]
    await turns()
    assert (road.counts(), order) == ((2, 5), [])
    for place in taken:
        road.lane.leave(place, Sign.GOOD)
    await asyncio.gather(*waiting)
    assert (road.counts(), order) == ((0, 0), [0, 1, 2, 3, 4])


async def test_the_queue_has_an_end() -> None:
    """Who comes after that is told at once, and when to come again."""
    road = Road(Width(1, 2))
    await road.enter()
    waiting = [asyncio.create_task(road.enter()) for _ in range(2)]
    await turns()
    no = await road.refused()
    assert (no.reason, no.retry_after) == ("busy", 1.0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert road.counts() == (1, 0)


async def test_nobody_waits_past_its_deadline() -> None:
    """Nothing was sent; the place that becomes free later is the next one's."""
    road = Road(Width(1, 8))
    first = await road.enter()
    assert (await road.refused(0.01)).reason == "busy"
    assert (await road.refused(0.0)).reason == "busy"
    assert road.counts() == (1, 0)
    road.lane.leave(first, Sign.GOOD)
    await road.enter(0.0)


async def test_who_is_not_patient_takes_a_free_place_or_none() -> None:
    """The worker does not queue where callers wait."""
    road = Road(Width(1, 8))
    place = await road.enter(patient=False)
    assert (await road.refused(patient=False)).reason == "busy"
    road.lane.leave(place, Sign.GOOD)
    await road.enter(patient=False)


class LaneMachine(RuleBasedStateMachine):
    """Whoever comes, waits, gives up, is too late or leaves, in whatever order, against what is claimed of a lane."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.began: list[float] = []
        self.waiting: list[asyncio.Task[Pass | NotSent]] = []
        self.placed: list[Pass] = []

    @initialize(at_once=st.integers(1, 4), queue=st.integers(0, 4), rate=st.none() | st.sampled_from((0.5, 2.0, 10.0)))
    def build(self, at_once: int, queue: int, rate: float | None) -> None:
        """Any lane; its breaker only opens where a rule opens it."""
        self.width = Width(at_once, queue, rate)
        self.road = Road(self.width, Rules(min_calls=10**6))

    def pass_time(self, seconds: float) -> None:
        """Let everybody go on who can, until then."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.road.clock.seconds = self.loop.time()
        done = [task for task in self.waiting if task.done()]
        self.waiting = [task for task in self.waiting if not task.done()]
        for task in done:
            if not task.cancelled() and isinstance(got := task.result(), Pass):
                self.placed.append(got)

    @rule(patient=st.booleans(), seconds=st.sampled_from((0.0, 0.3, MINUTE)))
    def come(self, *, patient: bool, seconds: float) -> None:
        """Somebody comes, with so much time."""
        end = self.loop.time() + seconds

        async def enter() -> Pass | NotSent:
            got = await self.road.lane.enter(lambda: end - self.loop.time(), patient=patient)
            if isinstance(got, Pass):
                self.began.append(self.loop.time())
            return got

        self.waiting.append(self.loop.create_task(enter()))
        self.pass_time(0.0)

    @rule(said=st.sampled_from((Sign.GOOD, Sign.FAILED, Sign.NOTHING)), chosen=st.integers(0, 9))
    def leave(self, said: Sign, chosen: int) -> None:
        """Somebody who was let in is ready."""
        if self.placed:
            self.road.lane.leave(self.placed.pop(chosen % len(self.placed)), said)
            self.pass_time(0.0)

    @rule(chosen=st.integers(0, 9))
    def give_up(self, chosen: int) -> None:
        """Somebody who waits goes away."""
        if self.waiting:
            self.waiting[chosen % len(self.waiting)].cancel()
            self.pass_time(0.0)

    @rule(seconds=st.sampled_from((0.1, 1.0, 5.0)))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.pass_time(seconds)

    @rule(seconds=st.sampled_from((0.5, 20.0)))
    def open(self, seconds: float) -> None:
        """Its breaker opens."""
        if isinstance(self.road.lane.breaker, Closed):
            self.road.lane.breaker = Open(self.loop.time() + seconds)

    @invariant()
    def every_place_is_somebodys(self) -> None:
        """Never more than there are; nobody waits beside a free one; nobody is forgotten."""
        if hasattr(self, "road"):
            assert self.road.counts() == (len(self.placed), len(self.waiting))
            assert len(self.placed) <= self.width.at_once
            assert len(self.waiting) <= self.width.queue + (self.width.rate is not None) * self.width.at_once
            assert self.width.rate or not self.waiting or len(self.placed) == self.width.at_once

    @invariant()
    def no_more_begin_than_the_rate_allows(self) -> None:
        """In no stretch of time: a second's worth at once, and then as many as its seconds allow."""
        if hasattr(self, "road") and self.width.rate is not None:
            rate, burst = self.width.rate, max(self.width.rate, 1.0)
            for number, since in enumerate(self.began):
                assert len(self.began) - number <= burst + rate * (self.began[-1] - since) + 1e-6

    def teardown(self) -> None:
        """Nobody is left, and every place is free."""
        for task in self.waiting:
            task.cancel()
        if hasattr(self, "road"):
            self.pass_time(0.0)
            for place in self.placed:
                self.road.lane.leave(place, Sign.GOOD)
            assert self.road.counts() == (0, 0)
            assert not self.road.lane._places.locked()  # noqa: SLF001 - who comes next would only find out by waiting
        self.loop.close()


LaneMachine.TestCase.settings = settings(max_examples=500, stateful_step_count=50)
test_whatever_happens_no_place_is_lost_or_taken_twice = LaneMachine.TestCase


# ------------------------------------------------------------------ the rate


@pytest.mark.parametrize(("rate", "burst", "seconds"), [(5.0, 5, 0.2), (0.5, 1, 2.0)])
def test_no_more_begin_than_the_rate_allows(rate: float, burst: int, seconds: float) -> None:
    """A second's worth at once, then one by one; those who wait are counted."""
    loop = VirtualLoop()

    async def play() -> list[float]:
        road = Road(Width(100, 100, rate))

        async def come() -> float:
            road.lane.leave(await road.enter(), Sign.GOOD)
            return loop.time()

        comers = [asyncio.create_task(come()) for _ in range(burst + 3)]
        await turns(20)
        assert road.lane.waiting == 3
        return sorted(await asyncio.gather(*comers))

    try:
        times = loop.run_until_complete(play())
    finally:
        loop.close()
    assert times[:burst] == [0.0] * burst
    assert times[burst:] == pytest.approx([seconds, 2 * seconds, 3 * seconds])


def test_a_turn_that_does_not_come_in_time_costs_no_place() -> None:
    """The rate is used up for longer than there is time."""
    loop = VirtualLoop()

    async def play() -> None:
        road = Road(Width(1, 8, 0.1))
        road.lane.leave(await road.enter(), Sign.GOOD)
        assert (await road.refused(1.0)).reason == "busy"
        assert road.counts() == (0, 0)
        await road.enter(11.0)

    try:
        loop.run_until_complete(play())
    finally:
        loop.close()


# ------------------------------------------------------------------ the breaker


async def test_while_the_breaker_is_open_nothing_begins() -> None:
    """It says when to come again; then one goes through, and nobody else until that has ended."""
    road = Road(Width(8, 8))
    for _ in range(2):
        road.lane.leave(await road.enter(), Sign.FAILED)
    no = await road.refused()
    assert (no.reason, no.retry_after) == ("breaker", 15.0)
    road.clock.seconds = 15.0
    probe = await road.enter()
    assert (await road.refused()).retry_after == 1.0
    assert road.state() is HalfOpen
    road.lane.leave(probe, Sign.GOOD)
    assert road.state() is Closed
    assert [event.state for event in road.told if isinstance(event, BreakerTurned)] == ["open", "half-open", "closed"]


async def test_who_waits_while_it_opens_does_not_begin() -> None:
    """The upstream went away while they waited for a place: all of them hear so, and leave no place behind."""
    road = Road(Width(1, 8), Rules(min_calls=1, open=15.0))
    first = await road.enter()
    waiting = [asyncio.create_task(road.refused()) for _ in range(3)]
    await turns()
    road.lane.leave(first, Sign.FAILED)
    assert {no.reason for no in await asyncio.gather(*waiting)} == {"breaker"}
    assert road.counts() == (0, 0)
    assert road.lane.breaker == Open(15.0)


async def test_of_many_who_come_when_its_time_is_over_one_is_the_probe() -> None:
    """However many come at once."""
    road = Road(Width(64, 64))
    road.lane.breaker = Open(0.0)
    answers = await asyncio.gather(*(road.lane.enter(lambda: MINUTE) for _ in range(50)))
    assert [type(answer) for answer in answers].count(Pass) == 1
