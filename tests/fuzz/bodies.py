"""Hostile bodies in process: whatever is sent is planned, or refused by a problem that says where; never anything else.

One seed is one body: `body(seed)` makes it again.
"""

import re
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from types import FrameType

import msgspec

from gateway.core.dispatch import Dispatch, packed
from gateway.core.errors import Problem
from gateway.core.explain import Target, explain
from gateway.core.journal import canonical, fingerprint
from gateway.core.parse import parse, recall
from gateway.core.plan import Plan, make_plan
from tests.fuzz.giants import GIANTS
from tests.fuzz.invoices import CALLER, rules, samples
from tests.fuzz.mutation import mutated
from tests.proof import pool
from tests.proof.row import Found, Tick

CHUNK = 10_000
RARE = 140_000
"""One in so many is a giant."""
HANGS = 30.0
"""Seconds of the processor after which one body counts as never ended."""
POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*", re.DOTALL)
TARGETS = {name: Target("http://upstream.example", ("Authorization",)) for name in rules().upstreams}
NAMING = frozenset(("invalid-invoice", "totals-mismatch", "untranslatable", "no-route"))
"""The problems whose `errors` name places."""
HEADERS = (
    *("order-1", "", " ", '"', "x" * 129, "a b", "\udcff", "é", "-", "order-1\n", "\u0661", "billing:acct-88:2026-06"),
    *("../..", "a/b:c", "\x7f"),
)


class NeverEnds(BaseException):
    """No exception of the product's; nothing there may catch it."""


def body(seed: int) -> tuple[bytes, str | None]:
    """The body of a seed, and its `Idempotency-Key`."""
    rng = Random(seed)  # noqa: S311 - a seed must choose the same again
    if seed % RARE == 0:
        return GIANTS[seed // RARE % len(GIANTS)](), None
    one = rng.choice(samples())
    key = rng.choice(HEADERS) if rng.random() < 0.05 else None
    return mutated(rng, one, samples()), key


def allowed(sent: bytes) -> float:
    """Seconds of the processor that a body may take, by its length."""
    return 1.0 + 5.0 * len(sent) / 1_048_576


def planned(sent: bytes, key: str | None) -> Plan:
    """Everything that happens to a body before its claim.

    Raises:
        Problem: it is refused.
    """
    invoice = parse(sent, rules().extension_types, key)
    content = canonical(invoice)
    fingerprint(content)
    plan = make_plan(invoice, CALLER, rules())
    again = recall(content)
    assert canonical(again) == content, "what is kept is not what was read"
    leg = plan.leg
    packed(
        Dispatch(
            claim="",
            dialect=leg.upstream.dialect.name,
            rule=plan.decision.rule,
            config="",
            currency=invoice.currency,
            amount=plan.totals.amount_due,
            translation=leg.translation,
            names=(leg.upstream.name, *plan.rest),
            rest=plan.rest,
        )
    )
    return plan


def explained(sent: bytes, key: str | None) -> None:
    """The same for `explain`, at every upstream.

    Raises:
        Problem: it is refused.
    """
    explain(sent, key, CALLER, rules(), TARGETS, all_upstreams=True)


def tried(sent: bytes, key: str | None, *, explains: bool = False) -> str | None:
    """What is wrong with how a body is taken."""
    began = time.process_time()
    try:
        (explained if explains else planned)(sent, key)
    except Problem as problem:
        if wrong := refused(problem):
            return wrong
    except (Exception, NeverEnds):  # noqa: BLE001 - whatever it is, it is wrong
        return traceback.format_exc()
    seconds = time.process_time() - began
    return None if seconds <= allowed(sent) else f"took {seconds:.1f} s for {len(sent)} bytes"


def refused(problem: Problem) -> str | None:
    """What is wrong with a refusal."""
    if not 400 <= problem.status < 500:
        return f"{problem.slug} is no fault of the caller: {problem.detail[:200]}"
    if problem.slug in NAMING and not problem.faults:
        return f"{problem.slug} names no place: {problem.detail[:200]}"
    if problem.slug in NAMING - {"no-route"}:
        odd = [fault.pointer for fault in problem.faults if POINTER.fullmatch(fault.pointer) is None]
        if odd:
            return f"{problem.slug} has pointers that are none: {odd[:3]}"
    msgspec.json.encode((problem.detail, problem.faults, problem.external_id))
    return None


@contextmanager
def ending() -> Iterator[None]:
    """Whatever takes too long in here is stopped."""

    def stop(_: int, __: FrameType | None) -> None:
        raise NeverEnds

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


def wrong_in(seeds: range) -> list[str]:
    """The seeds whose bodies are not taken as they should be, each with what is wrong."""
    found = []
    with ending():
        for seed in seeds:
            if seed % 64 == 0 or seed % RARE == 1:
                signal.setitimer(signal.ITIMER_VIRTUAL, HANGS)
            sent, key = body(seed)
            wrong = tried(sent, key, explains=seed % 64 == 5)
            if wrong is not None:
                found.append(f"seed {seed}, {sent[:300]!r}, key {key!r}: {wrong}")
    return found


async def run(count: int, first: int, tick: Tick) -> Found:
    """So many bodies, on all processors."""
    return await pool.shared(wrong_in, count, first, tick, CHUNK, measured=False)
