"""What callers ask of the gateway: deliver an invoice, once, whatever happened to the requests before."""

import math
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct, structs

from gateway.core.answer import Result
from gateway.core.dispatch import Dispatch, packed
from gateway.core.errors import ExternalIdReused, InProgress, JournalUnavailable, Overloaded, Problem
from gateway.core.events import Claimed, Event, Replayed, Routed, Shadowed
from gateway.core.invoice import Invoice
from gateway.core.journal import PENDING, Entry, State, canonical, fingerprint, met
from gateway.core.parse import parse
from gateway.core.plan import Caller, Plan, choose, planned
from gateway.core.results import stored
from gateway.core.shadow import compared
from gateway.shell import logs, trace
from gateway.shell.delivery import Delivery, Work
from gateway.shell.journal.journal import SENDING, Journal
from gateway.shell.limits import RETRY_SECONDS
from gateway.shell.reconcile import Reconciler
from gateway.shell.setup import Current, Setup
from gateway.shell.tracer import UNTRACED, Tracer


class Preference(Struct, frozen=True):
    """How a caller wants its answer (RFC 7240): at once and without the outcome, or after up to `wait` seconds.

    `within` is how many seconds it waits at all (`X-Request-Timeout-Ms`).
    """

    respond_async: bool = False
    wait: float = 0.0
    within: float = math.inf


AT_ONCE = Preference()
"""The caller waits for the outcome."""


class Answer(Struct, frozen=True):
    """What a caller hears of an invoice; `replayed` if it was concluded before this request came."""

    entry: Entry
    result: Result
    replayed: bool = False
    retry_after: float | None = None


class Gateway:
    """Takes invoices and delivers each of them once."""

    def __init__(
        self,
        current: Current,
        delivery: Delivery,
        journal: Journal,
        reconciler: Reconciler,
        tell: Callable[[Event], None],
        *,
        owner: str,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._current = current
        self._delivery = delivery
        self._journal = journal
        self._reconciler = reconciler
        self._tell = tell
        self._clock = delivery.clock
        self._make_id = delivery.make_id
        self._owner = owner
        self._delivering = 0
        self._choose = tracer.part("route", choose)
        self._planned = tracer.part("translate", planned)

    async def submit(
        self, body: bytes, key: str | None, caller: Caller, request_id: str, preference: Preference = AT_ONCE
    ) -> Answer:
        """Deliver an invoice, unless it was before.

        Raises:
            Problem: nothing was sent for this request; says why.
        """
        began, setup = self._clock(), self._current()
        invoice = parse(body, setup.book.extension_types, key)
        content = canonical(invoice)
        asked = _Asked(setup, invoice, content, fingerprint(content), caller, request_id, began, preference)
        try:
            plan = await self._plan(asked)
            if isinstance(plan, Answer):
                return plan
            self._tell(Routed(request_id, invoice.external_id, plan.decision.rule, plan.decision.upstream))
            while (answer := await self._tried(asked, plan)) is None:
                pass
        except Problem as problem:
            problem.external_id = invoice.external_id
            raise
        return answer

    async def _plan(self, asked: "_Asked") -> Plan | Answer:
        """What will be sent; what is known instead, if it cannot be sent now but was before."""
        try:
            chosen = self._choose(asked.invoice, asked.caller, asked.setup.book)
            return self._planned(asked.invoice, chosen, asked.setup.book)
        except Problem:
            if (answer := await self._known(asked)) is not None:
                return answer
            raise

    async def _known(self, asked: "_Asked") -> Answer | None:
        """What is known of the invoice already; None where nothing binds its key."""
        entry = await self._journal.find(asked.caller.name, asked.invoice.external_id)
        return None if entry is None else await self._met(entry, asked)

    async def _tried(self, asked: "_Asked", plan: Plan) -> Answer | None:
        """Claim the key and deliver the invoice; what is known of it, if it was claimed before; None: try again.

        Raises:
            Overloaded: nothing is known of it, and as many as there may be are being delivered.
        """
        if self._delivering >= asked.setup.policy.at_once:
            if (answer := await self._known(asked)) is not None:
                return answer
            raise Overloaded(f"{self._delivering} invoices are being delivered", retry_after=RETRY_SECONDS)
        self._delivering += 1
        try:
            work = self._work(asked, plan)
            ours, entry = await self._journal.claim(work.entry)
            if ours:
                work = structs.replace(work, entry=entry, again=entry.revision > 1)
                answer = await self._accepted(work, asked)
                self._compare(work, plan)
                return answer
        finally:
            self._delivering -= 1
        return await self._met(entry, asked)

    def _work(self, asked: "_Asked", plan: Plan) -> Work:
        """The claim of an invoice, and what follows once it is durable."""
        setup, invoice, leg, rule = asked.setup, asked.invoice, plan.leg, plan.decision.rule
        later, now = asked.preference.respond_async, self._journal.now()
        ready = self._delivery.prepared(
            setup,
            Dispatch(
                claim="",
                dialect=leg.upstream.dialect.name,
                rule=rule,
                config=setup.book.revision,
                currency=invoice.currency,
                amount=plan.totals.amount_due,
                translation=leg.translation,
                names=(leg.upstream.name, *plan.rest),
                rest=plan.rest,
                deliver_by=now + setup.policy.deliver_by if later else None,
                traceparent=trace.origin(),
            ),
            leg,
            asked.ends,
        )
        entry = Entry(
            id=self._make_id(),
            client=asked.caller.name,
            external_id=invoice.external_id,
            fingerprint=asked.mark,
            state="waiting" if later else "sending",
            upstream=leg.upstream.name,
            owner=self._owner,
            created_at=now,
            updated_at=now,
            due_at=now if later else ready.due_at,
            body=asked.content,
            dispatch=packed(ready.dispatch),
        )
        work = Work(setup, entry, ready.dispatch, invoice, plan.totals, ready.deadline, asked.request_id, asked.began)
        return structs.replace(work, ends=asked.ends)

    async def _accepted(self, work: Work, asked: "_Asked") -> Answer:
        """Deliver what was claimed, or leave it to the worker."""
        entry = work.entry
        waits = entry.state == "waiting"
        self._tell(Claimed(work.request_id, entry.id, entry.external_id, entry.client, entry.upstream, waits))
        if not waits:
            delivered = await self._delivery.deliver(work)
            return self._answer(delivered.entry, delivered.result, delivered.retry_after)
        self._reconciler.wake()
        if asked.preference.wait:
            with suppress(JournalUnavailable):  # it is accepted all the same
                entry = await self._watched(entry, asked, asked.preference.wait, PENDING)
        return self._answer(entry, stored(entry))

    def _compare(self, work: Work, plan: Plan) -> None:
        """Say how the invoice would have fared at its route's shadow. Whatever comes of it, its caller is answered."""
        shadow = work.setup.book.upstreams.get(plan.decision.shadow or "")
        if shadow is None:
            return
        try:
            found = compared(plan, shadow)
        except Exception as error:  # noqa: BLE001 - a mistake here must not touch the invoice
            self._tell(logs.defect(error, work.request_id))
            return
        names = (plan.decision.rule, plan.leg.upstream.name, shadow.name)
        self._tell(Shadowed(work.request_id, work.entry.id, *names, *structs.astuple(found)))

    async def _met(self, entry: Entry, asked: "_Asked") -> Answer | None:
        """What an invoice hears whose key is bound; None once nothing binds it any more."""
        match met(entry, asked.mark):
            case "free":
                return None
            case "other":
                raise about(ExternalIdReused(_reused(entry)), entry)
            case "working":
                return await self._after(entry, asked)
            case "doubt":
                entry = await self._reconciler.settle(entry, asked.ends)
                if met(entry, asked.mark) == "free" and stored(entry).outcome == "not_sent":
                    return None
        return self._replay(entry, asked)

    async def _after(self, entry: Entry, asked: "_Asked") -> Answer:
        """What an invoice hears that is being sent for another request: the answer of that, if it comes in time."""
        if asked.preference.respond_async:
            return self._replay(entry, asked)
        left = min(asked.began + asked.setup.exchanges.timeout(entry.upstream), asked.ends) - self._clock()
        entry = await self._watched(entry, asked, max(left, 0.0), SENDING)
        if entry.state == "sending":
            raise about(InProgress("another request with this external_id is being worked on"), entry)
        return self._replay(entry, asked)

    async def _watched(self, entry: Entry, asked: "_Asked", seconds: float, states: frozenset[State]) -> Entry:
        """The entry once it is in none of `states`, or in so many seconds; at once where too many wait so."""
        lane = asked.setup.exchanges.lanes.get(entry.upstream)
        if lane is None:
            return entry
        with lane.aside() as room:
            return await self._journal.ended(entry, seconds, states) if room else entry

    def _replay(self, entry: Entry, asked: "_Asked") -> Answer:
        result = stored(entry)
        self._tell(Replayed(asked.request_id, entry.id, result.outcome))
        return structs.replace(self._answer(entry, result), replayed=True)

    def _answer(self, entry: Entry, result: Result, retry_after: float | None = None) -> Answer:
        if entry.state == "unknown" and entry.due_at is not None:  # by then more may be known
            retry_after = max(entry.due_at - self._journal.now(), 1.0)
        return Answer(entry, result, retry_after=retry_after)


class _Asked(Struct, frozen=True):
    """A request to deliver an invoice, by the setup that was in force when it came."""

    setup: Setup
    invoice: Invoice
    content: bytes
    mark: str
    caller: Caller
    request_id: str
    began: float
    preference: Preference

    @property
    def ends(self) -> float:
        """When its caller stops waiting, by the clock; what is left to the gateway has its own time."""
        return math.inf if self.preference.respond_async else self.began + self.preference.within


def about(problem: Problem, entry: Entry) -> Problem:
    """The problem, saying which invoice it is about."""
    problem.external_id, problem.invoice = entry.external_id, entry.id
    return problem


def _reused(entry: Entry) -> str:
    states = {"created": "was created", "unknown": "may exist"}
    return f"an invoice with other content {states.get(entry.state, 'is on its way')} under this external_id"
