"""What follows an attempt: another try at the same upstream, another upstream, or the end. Pure.

Only what was certainly not sent is ever sent again. One attempt that may have been read ends it for good, whatever was
tried before it: the rule looks at the whole history, not at the last word alone. Source: reliability, RFC 9110 9.2.2.
"""

from itertools import takewhile

from msgspec import Struct

from gateway.core.result import NotSent, Outcome

RETRIED = ("connect", "connect-timeout", "rate-limited")
"""Why nothing was sent where another try at the same upstream, a moment later, may go through."""


class Tried(Struct, frozen=True):
    """An attempt that ended: at which upstream, and how."""

    upstream: str
    outcome: Outcome


class Again(Struct, frozen=True):
    """The same upstream is tried again in so many seconds."""

    seconds: float


class Elsewhere(Struct, frozen=True):
    """The next upstream may have it, if it can carry it."""


class Over(Struct, frozen=True):
    """Nothing more is sent for this request; `outcome` is what it came to."""

    outcome: Outcome


Step = Again | Elsewhere | Over


def following(history: tuple[Tried, ...], attempts: int, left: float, chance: float) -> Step:
    """What follows the attempts so far, the last of them just ended.

    `attempts` is how often one upstream is tried, `left` the seconds until nothing may be sent any more, `chance` from
    0 to 1.
    """
    for tried in history:
        if not isinstance(tried.outcome, NotSent):
            return Over(tried.outcome)
    match history[-1]:
        case Tried(upstream, NotSent(reason=reason, retry_after=stated)) if reason in RETRIED:
            tries = sum(1 for _ in takewhile(lambda tried: tried.upstream == upstream, reversed(history)))
            wait = max(pause(tries, chance), stated or 0.0)
            if tries < attempts and wait < left:
                return Again(wait)
    return Elsewhere()


def pause(tries: int, chance: float) -> float:
    """Seconds until an upstream is tried again within a delivery: from 0 to 50 ms, 200 ms … 2 s, `chance` from 0 to 1.

    Full jitter: those who failed together do not come together. Source: aws.amazon.com/builders-library, "Timeouts,
    retries, and backoff with jitter".
    """
    return min(0.05 * 4.0 ** (tries - 1), 2.0) * chance


def backoff(checks: int, jitter: float) -> float:
    """Seconds until a delivery is tried again: doubling from one second to five minutes, `jitter` from 0 to 1."""
    return float(min(2 ** min(checks, 9), 300)) * (1 - jitter / 2)


def delay(delays: tuple[float, ...], checks: int, jitter: float) -> float:
    """Seconds until a doubt is looked into again; the last of `delays` repeats. `jitter` takes off up to half."""
    return delays[min(checks, len(delays) - 1)] * (1 - jitter / 2)
