"""Lanes: so many at once, so many who wait in order, no faster than the rate, and none while the breaker is open."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


@settings(max_examples=200, deadline=None)
@given(
    at_once=st.integers(1, 4),
    queue=st.integers(1, 4),
    steps=st.lists(st.sampled_from(("come", "hasty", "leave", "give-up")), max_size=40),
)
def test_whatever_happens_no_place_is_lost_or_taken_twice(at_once: int, queue: int, steps: list[str]) -> None:
    """Whoever comes, waits, gives up or leaves, in whatever order."""

    async def play() -> None:
        road = Road(Width(at_once, queue), Rules(min_calls=10**6))
        waiting: list[asyncio.Task[Pass | NotSent]] = []
        placed: list[Pass] = []
        for step in steps:
            if step in ("come", "hasty"):
                come = road.lane.enter(lambda: MINUTE, patient=step == "come")
                waiting.append(asyncio.create_task(come))
            elif step == "leave" and placed:
                road.lane.leave(placed.pop(0), Sign.GOOD)
            elif step == "give-up" and waiting:
                waiting.pop(0).cancel()
            await turns()
            done = [task for task in waiting if task.done()]
            waiting = [task for task in waiting if not task.done()]
            placed += [got for task in done if isinstance(got := task.result(), Pass)]
            assert road.counts() == (len(placed), len(waiting))
            assert len(placed) <= at_once
            assert len(waiting) <= queue
            assert not waiting or len(placed) == at_once
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for place in placed:
            road.lane.leave(place, Sign.GOOD)
        assert [type(await road.lane.enter(lambda: 0.0, patient=False)) for _ in range(at_once)] == [Pass] * at_once

    asyncio.run(play())


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
