"""The breaker: every history up to five steps, and what its rules say about when it opens and closes."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import Struct

from gateway.core.breaker import (
    IN_A_ROW,
    MOST_SECONDS,
    STATES,
    Breaker,
    Closed,
    HalfOpen,
    Open,
    Rules,
    Sign,
    admitted,
    learned,
    passes,
    sign,
)
from gateway.core.result import Absent, Created, NotSent, Outcome, Rejected, Stated, Unknown

RULES = Rules(window=10.0, min_calls=4, failure_rate=0.5, open=8.0)


class World(Struct):
    """A breaker, its time, the calls that are under way, and what got through."""

    breaker: Breaker = Closed()
    now: float = 0.0
    under_way: list[bool] = []
    probes: int = 0

    def begin(self) -> bool:
        """Somebody calls; whether it gets through."""
        if not passes(self.breaker, self.now):
            return False
        self.breaker, probe = admitted(self.breaker)
        self.under_way.append(probe)
        self.probes += probe
        return True

    def end(self, said: Sign) -> None:
        """The call that began first ends so."""
        probe = self.under_way.pop(0)
        self.probes -= probe
        self.breaker = learned(self.breaker, said, self.now, RULES, probe=probe)


def after(*said: Sign, now: float = 0.0) -> Breaker:
    """The breaker after calls that ended so, one by one."""
    breaker: Breaker = Closed()
    for each in said:
        breaker = learned(breaker, each, now, RULES, probe=False)
    return breaker


# ------------------------------------------------------------------ every history

STEPS = ("begin", "wait", *Sign)


def histories() -> Iterator[tuple[World, tuple[object, ...]]]:
    """Every history of up to five steps, of a breaker that is about to open, and of one that is open."""
    starts: tuple[Breaker, ...] = (after(*[Sign.FAILED] * 3), Open(until=5.0), Open(until=5.0, times=4))
    for start, length in product(starts, range(6)):
        for steps in product(STEPS, repeat=length):
            world = World(start, 0.0, [])
            for step in steps:
                if step == "begin":
                    world.begin()
                elif step == "wait":
                    world.now += 6.0
                elif world.under_way and isinstance(step, Sign):
                    world.end(step)
            yield world, steps


def test_in_every_history_there_is_at_most_one_probe() -> None:
    """And while it is under way nobody else gets through; once it has ended the breaker is not half-open."""
    seen = 0
    for world, steps in histories():
        seen += 1
        assert world.probes <= 1, steps
        assert (world.probes == 1) is isinstance(world.breaker, HalfOpen), steps
        if isinstance(world.breaker, HalfOpen):
            assert not passes(world.breaker, world.now + 1e9), steps
    assert seen == 3 * sum(len(STEPS) ** length for length in range(6))


def test_in_every_history_an_open_breaker_ends() -> None:
    """Nobody is left alone for ever: the longest time from any point is known."""
    for world, steps in histories():
        if isinstance(world.breaker, Open):
            assert world.breaker.until <= world.now + MOST_SECONDS, steps
            assert passes(world.breaker, world.now + MOST_SECONDS), steps


# ------------------------------------------------------------------ when it opens


@pytest.mark.parametrize("failures", [2, 3, 4])
def test_it_opens_at_so_many_failures_of_so_many_calls(failures: int) -> None:
    """Half of at least four."""
    said = [Sign.GOOD] * (4 - failures) + [Sign.FAILED] * failures
    assert after(*said) == Open(8.0)


def test_below_the_rate_or_the_number_it_stays_closed() -> None:
    """Three calls are too few, however they end; one failure of four is too seldom."""
    assert isinstance(after(*[Sign.FAILED] * 3), Closed)
    assert isinstance(after(Sign.GOOD, Sign.GOOD, Sign.GOOD, Sign.FAILED), Closed)


def test_connections_that_cannot_be_made_open_it_sooner() -> None:
    """Five in a row, whatever was before; anything that worked in between begins anew."""
    good, no = [Sign.GOOD] * 20, Sign.UNCONNECTED
    assert isinstance(after(*good, *[no] * IN_A_ROW), Open)
    assert isinstance(after(*good, *[no] * (IN_A_ROW - 1)), Closed)
    assert isinstance(after(*good, *[no] * (IN_A_ROW - 1), Sign.GOOD, no), Closed)


@pytest.mark.parametrize("said", [Sign.ALIVE, Sign.NOTHING])
def test_what_says_nothing_of_its_health_is_not_counted(said: Sign) -> None:
    """Neither for it nor against it: refusals, and what never left the gateway."""
    assert after(*[said] * 100) == Closed()
    assert after(*[said] * 100, *[Sign.FAILED] * 4) == Open(8.0)


def test_what_is_older_than_the_window_is_forgotten() -> None:
    """To a tenth of it."""
    breaker = after(*[Sign.FAILED] * 3)
    assert isinstance(learned(breaker, Sign.FAILED, 8.9, RULES, probe=False), Open)
    assert isinstance(learned(breaker, Sign.FAILED, 10.0, RULES, probe=False), Closed)


def test_a_thousand_calls_cost_no_more_than_ten() -> None:
    """They are counted, not kept."""
    breaker = after(*[Sign.GOOD] * 1000)
    assert isinstance(breaker, Closed)
    assert len(breaker.tallies) == 1
    for tenth in range(100):
        breaker = learned(breaker, Sign.GOOD, float(tenth), RULES, probe=False)
        assert isinstance(breaker, Closed)
        assert len(breaker.tallies) <= 10


# ------------------------------------------------------------------ the probe


def test_each_probe_that_fails_doubles_the_time() -> None:
    """Up to two minutes; the first that is answered closes it, and the next time begins anew."""
    world, waits = World(Open(0.0), 0.0, []), list[float]()
    for _ in range(6):
        assert world.begin()
        world.end(Sign.FAILED)
        assert isinstance(world.breaker, Open)
        waits.append(world.breaker.until - world.now)
        world.now = world.breaker.until
    assert waits == [16.0, 32.0, 64.0, 120.0, 120.0, 120.0]
    world.begin()
    world.end(Sign.GOOD)
    assert world.breaker == Closed()


@pytest.mark.parametrize("said", [Sign.GOOD, Sign.ALIVE])
def test_a_probe_that_is_answered_closes_it(said: Sign) -> None:
    """Even with a refusal: somebody is there who reads."""
    world = World(Open(0.0, times=3), 1.0, [])
    world.begin()
    world.end(said)
    assert world.breaker == Closed()


def test_a_probe_that_never_left_leaves_the_next_one_to_try() -> None:
    """It had no time left; nothing was learned."""
    world = World(Open(0.0, times=3), 1.0, [])
    world.begin()
    world.end(Sign.NOTHING)
    assert world.breaker == Open(1.0, times=3)
    assert world.begin()


def test_a_call_from_before_it_opened_settles_no_probe() -> None:
    """It took long; what it says is old."""
    world = World(Closed(), 0.0, [])
    world.begin()
    world.breaker, world.now = Open(1.0), 2.0
    world.begin()
    world.end(Sign.GOOD)
    half: Breaker = world.breaker
    world.end(Sign.UNCONNECTED)
    assert (half, type(world.breaker)) == (HalfOpen(1), Open)


# ------------------------------------------------------------------ what calls say


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Created(Stated(), 201), Sign.GOOD),
        (Absent(), Sign.GOOD),
        (Rejected(422, None, "no"), Sign.ALIVE),
        (NotSent("unauthorized", "", 401), Sign.ALIVE),
        (NotSent("rate-limited", "", 429), Sign.ALIVE),
        (NotSent("token", "", 400), Sign.ALIVE),
        (NotSent("token", "", 503), Sign.FAILED),
        (NotSent("token", ""), Sign.NOTHING),
        (NotSent("deadline", ""), Sign.NOTHING),
        (NotSent("connect", ""), Sign.UNCONNECTED),
        (NotSent("connect-timeout", ""), Sign.UNCONNECTED),
        (Unknown("timeout", ""), Sign.FAILED),
        (Unknown("server-error", "", 500), Sign.FAILED),
        (Unknown("mapping", ""), Sign.NOTHING),
    ],
)
def test_an_outcome_says_what_of_the_upstreams_health(outcome: Outcome | Absent, said: Sign) -> None:
    """Only what did not work counts against it; a mistake of a mapping is ours."""
    assert sign(outcome) is said


@pytest.mark.parametrize(
    "outcome", [NotSent("connect-timeout", "x"), Unknown("timeout", "x"), Unknown("lookup-failed", "x")]
)
def test_who_had_no_time_for_an_answer_says_nothing_of_its_health(outcome: Outcome) -> None:
    """An answer does, however little time there was."""
    assert (sign(outcome, hurried=True), sign(outcome) is Sign.NOTHING) == (Sign.NOTHING, False)
    assert sign(Unknown("server-error", "x", 500), hurried=True) is Sign.FAILED
    assert sign(NotSent("connect", "refused"), hurried=True) is Sign.UNCONNECTED


def test_the_states_are_in_the_order_of_the_metric() -> None:
    """0 closed, 1 half-open, 2 open (contract 5)."""
    assert list(STATES.items()) == [(Closed, "closed"), (HalfOpen, "half-open"), (Open, "open")]


# ------------------------------------------------------------------ any history

CALLS = st.tuples(st.integers(0, 12), st.sampled_from((Sign.GOOD, Sign.GOOD, Sign.FAILED, Sign.UNCONNECTED)))


@example([(9, Sign.UNCONNECTED)] * IN_A_ROW)  # so far apart that no window holds enough of them
@given(st.lists(CALLS, max_size=80))
def test_it_opens_with_the_call_that_makes_too_many_of_the_window_fail_and_with_no_other(
    history: list[tuple[int, Sign]],
) -> None:
    """By a list of all calls, each so many tenths of the window after the one before."""
    breaker: Breaker = Closed()
    calls, tenth, in_a_row = list[tuple[int, bool]](), 0, 0
    for gap, said in history:
        tenth += gap
        calls.append((tenth, said is not Sign.GOOD))
        recent = [failed for began, failed in calls if began > tenth - 10]
        in_a_row = in_a_row + 1 if said is Sign.UNCONNECTED else 0
        many = len(recent) >= RULES.min_calls and sum(recent) >= RULES.failure_rate * len(recent)
        breaker = learned(breaker, said, (tenth + 0.5) * RULES.window / 10, RULES, probe=False)
        assert isinstance(breaker, Open) is (many or in_a_row >= IN_A_ROW)
        if isinstance(breaker, Open):
            return


class BreakerMachine(RuleBasedStateMachine):
    """Calls that begin and end in any order, at any time, against what is claimed of a breaker."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker: Breaker = Closed()
        self.now = 0.0
        self.calls: list[bool] = []
        self.failures = 0

    @rule(seconds=st.floats(0.0, 200.0))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds

    @rule()
    def begin(self) -> None:
        """Somebody calls, if it gets through."""
        through, before = passes(self.breaker, self.now), self.breaker
        assert through is (isinstance(before, Closed) or (isinstance(before, Open) and self.now >= before.until))
        if through:
            self.breaker, probe = admitted(before)
            assert probe is isinstance(before, Open)
            self.calls.append(probe)

    @rule(said=st.sampled_from(Sign), data=st.data())
    def end(self, said: Sign, data: st.DataObject) -> None:
        """Any call that is under way ends."""
        if self.calls:
            probe = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
            before = self.breaker
            self.breaker = learned(before, said, self.now, RULES, probe=probe)
            if isinstance(before, Open) or (isinstance(before, HalfOpen) and not probe):
                assert self.breaker is before
            if said in (Sign.GOOD, Sign.ALIVE):
                assert not isinstance(self.breaker, Open) or self.breaker is before or not probe

    @invariant()
    def one_probe(self) -> None:
        """Exactly one while it is half-open, and else none."""
        assert sum(self.calls) == isinstance(self.breaker, HalfOpen)


BreakerMachine.TestCase.settings = settings(max_examples=500, stateful_step_count=50)
test_whatever_happens_it_keeps_its_word = BreakerMachine.TestCase
