"""A circuit breaker: a value that ages. It leaves an upstream alone that does not work, and asks again with one probe.

    Closed   → Open      so many of its calls failed within the window, or several connections in a row
    Open     → HalfOpen  its time is over, and somebody asks: that one is the probe, nobody else gets through
    HalfOpen → Closed    the probe was answered
             → Open      it was not: for twice as long

What the upstream refuses, and what never left the gateway, says nothing of its health. Source: reliability.
"""

from enum import Enum
from typing import Literal, assert_never

from msgspec import Struct

from gateway.core.result import Absent, Created, NotSent, Outcome, Rejected, Unknown

IN_A_ROW = 5
"""So many connections in a row that could not be made open it, however few calls there were."""

MOST_SECONDS = 120.0
"""It stays open no longer than this, however often a probe failed."""


class Rules(Struct, frozen=True):
    """When a breaker opens: at `failure_rate` of at least `min_calls` within `window` seconds; for `open` seconds."""

    window: float = 30.0
    min_calls: int = 10
    failure_rate: float = 0.5
    open: float = 15.0


class Tally(Struct, frozen=True):
    """The calls that ended in one tenth of a window, and how many of them failed."""

    tenth: int
    calls: int = 0
    failed: int = 0


class Closed(Struct, frozen=True):
    """Everybody gets through. `tallies` are those of the window, `unconnected` the calls in a row without a connection.

    Calls are counted by tenths of the window, so that it costs the same however many there are; `calls` and `failed`
    are the sums of the tallies.
    """

    tallies: tuple[Tally, ...] = ()
    unconnected: int = 0
    calls: int = 0
    failed: int = 0


class Open(Struct, frozen=True):
    """Nobody gets through before `until`; `times` is how often it opened without a good call in between."""

    until: float
    times: int = 1


class HalfOpen(Struct, frozen=True):
    """A probe is under way."""

    times: int


Breaker = Closed | Open | HalfOpen

State = Literal["closed", "half-open", "open"]
STATES: dict[type, State] = {Closed: "closed", HalfOpen: "half-open", Open: "open"}
"""What each is called; their order is that of the contract's metric."""


class Sign(Enum):
    """What a call says of the upstream's health."""

    GOOD = "good"
    FAILED = "failed"
    UNCONNECTED = "unconnected"
    ALIVE = "alive"
    NOTHING = "nothing"


def sign(outcome: Outcome | Absent, *, hurried: bool = False) -> Sign:  # noqa: PLR0911 - a table
    """What an outcome says: `ALIVE` is a refusal, which only tells a probe something.

    `hurried`: the caller gave it so little time that no answer in time says nothing.
    """
    match outcome:
        case NotSent(reason="connect-timeout") | Unknown(http_status=None) if hurried:
            return Sign.NOTHING
        case NotSent(reason="connect" | "connect-timeout"):
            return Sign.UNCONNECTED
        case NotSent(http_status=None) | Unknown(reason="mapping"):
            return Sign.NOTHING
        case Unknown():
            return Sign.FAILED
        case NotSent(http_status=status):
            return Sign.FAILED if (status or 0) >= 500 else Sign.ALIVE
        case Rejected():
            return Sign.ALIVE
        case Created() | Absent():
            return Sign.GOOD
        case _:
            assert_never(outcome)


def passes(breaker: Breaker, now: float) -> bool:
    """Whether a call would get through now."""
    match breaker:
        case Closed():
            return True
        case Open(until):
            return now >= until
        case HalfOpen():
            return False
        case _:
            assert_never(breaker)


def admitted(breaker: Breaker) -> tuple[Breaker, bool]:
    """The breaker once a call that `passes` begins, and whether that call is the probe."""
    match breaker:
        case Open(times=times):
            return HalfOpen(times), True
        case _:
            return breaker, False


def learned(breaker: Breaker, said: Sign, now: float, rules: Rules, *, probe: bool) -> Breaker:
    """The breaker after a call ended; `probe`: it was the probe. A call from before it opened tells it nothing."""
    match breaker:
        case HalfOpen(times) if probe:
            return _probed(times, said, now, rules)
        case Closed():
            return _counted(breaker, said, now, rules)
        case _:
            return breaker


def _probed(times: int, said: Sign, now: float, rules: Rules) -> Breaker:
    match said:
        case Sign.GOOD | Sign.ALIVE:
            return Closed()
        case Sign.NOTHING:  # it never left: the next one is the probe
            return Open(now, times)
        case _:
            return Open(now + min(rules.open * 2**times, MOST_SECONDS), times + 1)


def _counted(closed: Closed, said: Sign, now: float, rules: Rules) -> Breaker:
    if said not in (Sign.GOOD, Sign.FAILED, Sign.UNCONNECTED):
        return closed
    failed, tenth = said is not Sign.GOOD, int(now / rules.window * 10)
    if not closed.tallies or closed.tallies[-1].tenth != tenth:
        closed = _moved(closed, tenth)
    *before, last = closed.tallies
    calls, failures = closed.calls + 1, closed.failed + failed
    unconnected = closed.unconnected + 1 if said is Sign.UNCONNECTED else 0
    if unconnected >= IN_A_ROW or (calls >= rules.min_calls and failures >= rules.failure_rate * calls):
        return Open(now + min(rules.open, MOST_SECONDS))
    return Closed((*before, Tally(tenth, last.calls + 1, last.failed + failed)), unconnected, calls, failures)


def _moved(closed: Closed, tenth: int) -> Closed:
    """The window as it ends with this tenth, in which nothing has been counted yet."""
    recent = tuple(tally for tally in closed.tallies if tally.tenth > tenth - 10)
    calls, failed = sum(tally.calls for tally in recent), sum(tally.failed for tally in recent)
    return Closed((*recent, Tally(tenth)), closed.unconnected, calls, failed)
