"""What follows an attempt. Source: reliability ("Which failure is what", "Around it"), house 6."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.core.policy import (
    RETRIED,
    Again,
    Elsewhere,
    Over,
    Step,
    Tried,
    backoff,
    delay,
    following,
    pause,
)
from gateway.core.result import Created, NotSent, Outcome, Rejected, Stated, Unknown

CREATED = Created(Stated(id="1"), 201)
REJECTED = Rejected(422, "7", "no")
UNKNOWN = Unknown("timeout", "no answer")
AWAY = NotSent("unauthorized", "who?", 401)
CONNECT = NotSent("connect", "refused")
BUSY = NotSent("rate-limited", "too many", 429, 4.0)
OUTCOMES: tuple[Outcome, ...] = (CREATED, REJECTED, UNKNOWN, AWAY, CONNECT, BUSY)
"""One of each kind that is treated in its own way."""
FINAL = (CREATED, REJECTED, UNKNOWN)
ATTEMPTS = 3
FOREVER = 1e9


def tried(*outcomes: Outcome, at: str = "a") -> tuple[Tried, ...]:
    """Attempts at one upstream."""
    return tuple(Tried(at, outcome) for outcome in outcomes)


def after(*outcomes: Outcome, left: float = FOREVER, chance: float = 1.0, attempts: int = ATTEMPTS) -> Step:
    """What follows attempts at one upstream."""
    return following(tried(*outcomes), attempts, left, chance)


# Every history ------------------------------------------------------------------------------------------------------


def played(answers: tuple[Outcome, ...], attempts: int, left: float) -> Iterator[tuple[tuple[Tried, ...], Step]]:
    """Each history on the way, and the step after it: upstreams a, b, c … answer in turn as they are asked."""
    history: tuple[Tried, ...] = ()
    at = 0
    for answer in answers:
        history = (*history, Tried("abcdef"[at], answer))
        step = following(history, attempts, left, 1.0)
        yield history, step
        match step:
            case Over():
                return
            case Elsewhere():
                at += 1


HISTORIES = list(product(OUTCOMES, repeat=5))


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
@pytest.mark.parametrize("left", [FOREVER, 1.0, 0.0])
def test_in_every_history_only_what_was_certainly_not_sent_is_sent_again(attempts: int, left: float) -> None:
    """All 7,776 of five answers: nothing follows one that may have been read, and no upstream is asked too often."""
    assert len(HISTORIES) == 7776
    for answers in HISTORIES:
        for history, step in played(answers, attempts, left):
            last = history[-1].outcome
            asked = sum(each.upstream == history[-1].upstream for each in history)
            assert (step == Over(last)) is (last in FINAL), history
            assert isinstance(step, Over) is (last in FINAL), history
            assert asked <= attempts, history
            if isinstance(step, Again):
                assert last in (CONNECT, BUSY), history
                assert step.seconds < left, history
            if last == AWAY:
                assert step == Elsewhere(), history


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("bound", FINAL)
def test_what_may_exist_binds_whatever_follows(bound: Outcome, place: int) -> None:
    """Even a history that can never be: a doubt, and then something that was not sent. No other upstream may see it."""
    for others in product((AWAY, CONNECT, BUSY), repeat=4):
        answers = (*others[:place], bound, *others[place:])
        for ats in ("aaaaa", "abcde", "aabbc"):
            history = tuple(Tried(at, answer) for at, answer in zip(ats, answers, strict=True))
            assert following(history, 9, FOREVER, 0.0) == Over(bound)


# What is tried again, and when --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", RETRIED)
def test_a_connection_that_could_not_be_made_is_tried_again(reason: str) -> None:
    """So often at one upstream, and then the next may have it."""
    no = NotSent(reason, "no")
    assert [after(*[no] * tries) for tries in (1, 2, 3)] == [Again(0.05), Again(0.2), Elsewhere()]
    assert after(no, attempts=1) == Elsewhere()


@pytest.mark.parametrize("reason", ["unauthorized", "breaker", "busy", "deadline", "mapping", "url", "token"])
def test_nothing_else_is_tried_again_at_the_same_upstream(reason: str) -> None:
    """It would be refused again, or there is no time."""
    assert after(NotSent(reason, "no")) == Elsewhere()


def test_each_upstream_has_its_own_tries() -> None:
    """Those at others before it do not count."""
    history = (*tried(CONNECT, CONNECT, CONNECT), *tried(CONNECT, at="b"))
    assert following(history, ATTEMPTS, FOREVER, 1.0) == Again(0.05)
    assert following((*history, *tried(CONNECT, CONNECT, at="b")), ATTEMPTS, FOREVER, 1.0) == Elsewhere()


def test_the_upstreams_own_word_on_when_is_kept_if_it_fits() -> None:
    """`Retry-After`, if it ends before the deadline; never sooner than the pause."""
    assert after(BUSY) == Again(4.0)
    assert after(BUSY, left=4.0) == Elsewhere()
    assert after(BUSY, left=4.1) == Again(4.0)
    assert after(structs.replace(BUSY, retry_after=0.0)) == Again(0.05)


def test_a_pause_must_fit_too() -> None:
    """Nothing begins after the deadline."""
    assert after(CONNECT, left=0.05) == Elsewhere()
    assert after(CONNECT, left=0.05, chance=0.5) == Again(0.025)


def test_pauses_grow_with_full_jitter() -> None:
    """From 0 to 50 ms, 200 ms, 800 ms, and 2 s at most."""
    assert [pause(tries, 1.0) for tries in range(1, 6)] == [0.05, 0.2, 0.8, 2.0, 2.0]
    assert [pause(tries, 0.0) for tries in range(1, 6)] == [0.0] * 5
    assert pause(2, 0.5) == 0.1


# Waits --------------------------------------------------------------------------------------------------------------

DELAYS = (1.0, 5.0, 30.0, 300.0)


@pytest.mark.parametrize(
    ("checks", "seconds"), [(0, 1.0), (1, 5.0), (2, 30.0), (3, 300.0), (4, 300.0), (1_000_000, 300.0)]
)
def test_a_doubt_is_looked_into_after_each_delay(checks: int, seconds: float) -> None:
    """The last repeats; jitter takes off up to half."""
    assert delay(DELAYS, checks, 0.0) == seconds
    assert delay(DELAYS, checks, 0.5) == seconds * 0.75
    assert delay(DELAYS, checks, 1.0) == seconds / 2


def test_one_delay_is_enough() -> None:
    """It repeats."""
    assert [delay((7.0,), checks, 0.0) for checks in range(3)] == [7.0, 7.0, 7.0]


JITTER = st.floats(0, 1)
CHECKS = st.integers(0, 10**9)


@given(st.lists(st.floats(0.001, 1e6), min_size=1).map(tuple), CHECKS, JITTER)
def test_a_delay_is_between_its_half_and_itself(delays: tuple[float, ...], checks: int, jitter: float) -> None:
    """Whatever the dice say."""
    whole_one = delays[checks] if checks < len(delays) else delays[-1]
    assert whole_one / 2 <= delay(delays, checks, jitter) <= whole_one


@pytest.mark.parametrize(
    ("checks", "seconds"), [*enumerate((1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300)), (10**9, 300)]
)
def test_a_delivery_is_tried_again_after_twice_the_time(checks: int, seconds: float) -> None:
    """From one second to five minutes, and no number of tries is too large; jitter takes off up to half."""
    assert backoff(checks, 0.0) == seconds
    assert backoff(checks, 0.5) == seconds * 0.75
    assert backoff(checks, 1.0) == seconds / 2


@given(CHECKS, JITTER)
def test_a_delivery_is_never_tried_again_at_once(checks: int, jitter: float) -> None:
    """And at the latest after five minutes."""
    assert 0.5 <= backoff(checks, jitter) <= 300.0
    assert isinstance(backoff(checks, jitter), float)
