"""The delivery of an invoice: the one loop that converses with upstreams, and what callers and listeners hear of it."""

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from msgspec import Struct

from gateway.core import answer
from gateway.core.answer import Attempt, Result, TakenRoute, Timings, moment, span
from gateway.core.errors import Untranslatable
from gateway.core.events import Answered, Concluded, Event, Routed, Sending
from gateway.core.exchange import MOST_TURNS, Conversation, Request, advance
from gateway.core.plan import Book, Caller, Leg, Plan, make_plan, next_leg
from gateway.core.result import Absent, Created, NotSent, Outcome, Unknown, name
from gateway.shell.client import Sender


class Counterpart(Struct, frozen=True):
    """How to reach an upstream: its sender, and the seconds that an exchange may take."""

    sender: Sender
    timeout: float


class Delivered(Struct, frozen=True):
    """What became of an invoice, and the result that says so."""

    outcome: Outcome
    result: Result


def uuid7(milliseconds: int, randomness: bytes) -> str:
    """A UUID of version 7 (RFC 9562 section 5.7): ordered by time, then random; `randomness` are 10 bytes."""
    digits = f"{milliseconds:012x}7{randomness.hex()[:3]}{8 + randomness[1] % 4:x}{randomness.hex()[5:20]}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_id() -> str:
    """An id for an invoice or a request."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


class Gateway:
    """Takes invoices and delivers them."""

    def __init__(self, book: Book, counterparts: Mapping[str, Counterpart], tell: Callable[[Event], None]) -> None:
        self.book = book
        self._counterparts = counterparts
        self._tell = tell
        self.in_flight = dict.fromkeys(counterparts, 0)

    async def submit(self, body: bytes, key: str | None, caller: Caller, request_id: str) -> Delivered:
        """Deliver an invoice.

        Raises:
            Problem: it was refused before anything was sent.
        """
        began = time.monotonic()
        plan = make_plan(body, key, caller, self.book)
        invoice_id, invoice, decision = new_id(), plan.invoice, plan.decision
        self._tell(Routed(request_id, invoice_id, invoice.external_id, decision.rule, decision.upstream))
        # The journal's claim belongs here: what follows may reach an upstream.
        delivery = _Delivery(request_id, invoice_id)
        outcome, leg = await self._deliver(plan, delivery)
        result = self._result(plan, leg, delivery, outcome, time.monotonic() - began)
        self._tell(
            Concluded(
                request_id,
                invoice_id,
                invoice.external_id,
                caller.name,
                decision.rule,
                leg.upstream.name,
                result.outcome,
                invoice.currency,
                leg.translation.claim if leg.translation.claim is not None else plan.totals.amount_due,
                result.losses,
                result.discrepancies,
                time.monotonic() - began,
                delivery.seconds,
            )
        )
        return Delivered(outcome, result)

    async def _deliver(self, plan: Plan, delivery: "_Delivery") -> tuple[Outcome, Leg]:
        """Try the plan's upstream, then while it is certainly not sent those that stand in for it."""
        leg, rest = plan.leg, plan.rest
        while True:
            outcome = await self._attempt(leg, delivery)
            if not isinstance(outcome, NotSent):
                return outcome, leg
            try:
                leg, rest = next_leg(plan.invoice, plan.totals, rest, self.book)
            except Untranslatable:
                return outcome, leg

    async def _attempt(self, leg: Leg, delivery: "_Delivery") -> Outcome:
        upstream = leg.upstream
        self._tell(Sending(delivery.request_id, delivery.invoice_id, upstream.name))
        started, began = datetime.now(UTC), time.monotonic()
        self.in_flight[upstream.name] += 1
        try:
            outcome = await self.converse(upstream.name, upstream.dialect.create(leg.translation, False))
        finally:
            self.in_flight[upstream.name] -= 1
        if isinstance(outcome, NotSent) and outcome.reason == "unauthorized":
            # Some upstreams say so inside an answer that only the mapping can read.
            self._counterparts[upstream.name].sender.distrust()
        seconds = time.monotonic() - began
        delivery.attempts.append(Attempt(upstream.name, name(outcome), moment(started), span(seconds)))
        delivery.seconds += seconds
        reason = outcome.reason if isinstance(outcome, (NotSent, Unknown)) else None
        told = (upstream.name, name(outcome), reason, outcome.http_status, seconds)
        self._tell(Answered(delivery.request_id, delivery.invoice_id, *told))
        return outcome

    async def converse(self, upstream: str, conversation: Conversation) -> Outcome:
        """Lead a conversation to its end; all of its turns share one deadline."""
        counterpart = self._counterparts[upstream]
        deadline = time.monotonic() + counterpart.timeout
        step = advance(conversation, None)
        for _ in range(MOST_TURNS):
            if not isinstance(step, Request):
                break
            seen = await counterpart.sender.send(step, lambda: deadline - time.monotonic())
            step = advance(conversation, seen)
        match step:
            case Request():
                conversation.close()
                return Unknown("mapping", f"more than {MOST_TURNS} turns")
            case Absent():
                return Unknown("mapping", "a creation cannot end with an absence")
            case outcome:
                return outcome

    def _result(self, plan: Plan, leg: Leg, delivery: "_Delivery", outcome: Outcome, seconds: float) -> Result:
        upstream, translation = leg.upstream, leg.translation
        created = outcome if isinstance(outcome, Created) else None
        return Result(
            id=delivery.invoice_id,
            external_id=plan.invoice.external_id,
            outcome=name(outcome),
            adopted=created is not None and created.adopted,
            created_at=moment(datetime.now(UTC)) if created else None,
            invoice=created.invoice if created else None,
            upstream=answer.upstream_answer(upstream.name, upstream.dialect.name, outcome),
            route=TakenRoute(plan.decision.rule, self.book.revision),
            losses=translation.losses,
            discrepancies=answer.discrepancies(translation, created) if created else (),
            warnings=created.warnings if created else (),
            attempts=tuple(delivery.attempts),
            timings=Timings(span(seconds), span(delivery.seconds)),
        )


class _Delivery:
    """What is known of a delivery while it is under way."""

    def __init__(self, request_id: str, invoice_id: str) -> None:
        self.request_id = request_id
        self.invoice_id = invoice_id
        self.attempts: list[Attempt] = []
        self.seconds = 0.0
