"""The delivery of an invoice that the journal holds: attempt, stand-ins while it is certainly not sent, outcome."""

import math
from asyncio import sleep
from collections.abc import Callable

from msgspec import Struct, structs

from gateway.core.answer import Attempt, Result, Timings, moment, span
from gateway.core.dispatch import Dispatch, dispatch_of, packed
from gateway.core.errors import Untranslatable
from gateway.core.events import Answered, Concluded, Event, Postponed, Retried, Sending
from gateway.core.exchange import Reply
from gateway.core.invoice import Invoice
from gateway.core.journal import STATES, Entry, stepped
from gateway.core.parse import recall
from gateway.core.plan import Leg, next_leg
from gateway.core.policy import Again, Elsewhere, Over, Tried, backoff, delay, following
from gateway.core.result import Absent, Created, NotSent, Outcome, Unknown, name
from gateway.core.results import kept, made, response, stored
from gateway.core.totals import Totals, compute
from gateway.shell.exchanges import Clock
from gateway.shell.journal.journal import Journal
from gateway.shell.setup import Current, Setup

LEASE_MARGIN = 5.0
"""Seconds that a claim outlives its deadline: time to write the outcome before somebody else takes it for lost."""


MOST_ATTEMPTS = 20
"""The latest attempts that a result lists; an invoice that waits for its upstream for a day has hundreds."""


class Work(Struct, frozen=True):
    """An invoice that is being delivered: claimed as `entry` says, until `deadline` by the clock, all by one `setup`.

    `entry` is durable before anything of it is sent. `again`: something may have been sent under this key before, and
    was believed absent. `history` are its attempts. `tried` names a claim that may have taken the place of the
    entry's, and was never sent. Its caller waits until `ends`, whoever stands in.
    """

    setup: Setup
    entry: Entry
    dispatch: Dispatch
    invoice: Invoice
    totals: Totals
    deadline: float
    request_id: str
    began: float
    seconds: float = 0.0
    again: bool = False
    history: tuple[Tried, ...] = ()
    tried: str = ""
    ends: float = math.inf


class Ready(Struct, frozen=True):
    """A dispatch that may begin once it is durable: its claim ends at `due_at`, nothing is sent after `deadline`."""

    dispatch: Dispatch
    due_at: float
    deadline: float


class Delivered(Struct, frozen=True):
    """What became of an invoice: its entry and its result; `retry_after` in seconds, where the upstream said so."""

    entry: Entry
    result: Result
    retry_after: float | None = None


class Delivery:
    """Delivers invoices that were claimed."""

    def __init__(
        self,
        current: Current,
        journal: Journal,
        tell: Callable[[Event], None],
        *,
        clock: Clock,
        jitter: Callable[[], float],
        make_id: Callable[[], str],
    ) -> None:
        self._current = current
        self._journal = journal
        self._tell = tell
        self.clock = clock
        self.jitter = jitter
        self.make_id = make_id

    def prepared(self, setup: Setup, dispatch: Dispatch, leg: Leg, ends: float = math.inf) -> Ready:
        """How `leg` will be sent, from now on, and no later than `ends` by the clock.

        All of its times are taken here, before it is written: a process that is paused while it waits for the journal
        is too late by its own clock when it goes on.
        """
        upstream, translation = leg.upstream, leg.translation
        began, now = self.clock(), self._journal.now()
        timeout = max(min(setup.exchanges.timeout(upstream.name), ends - began), 0.0)
        dispatch = structs.replace(
            dispatch,
            claim=self.make_id(),
            dialect=upstream.dialect.name,
            translation=translation,
            started_at=now,
            quiet_until=now + timeout + upstream.settle,
            where=setup.exchanges.where(upstream.name),
        )
        return Ready(dispatch, now + timeout + LEASE_MARGIN, began + timeout)

    async def resume(self, entry: Entry, owner: str) -> None:
        """Deliver an invoice that waits, unless its time is over: by the configuration as it is now."""
        setup, dispatch, began, now = self._current(), dispatch_of(entry), self.clock(), self._journal.now()
        invoice = recall(entry.body)
        # A first claim has revision 1, and was taken once since.
        again = dispatch.repeat or entry.revision > 2
        work = Work(setup, entry, dispatch, invoice, compute(invoice), began, owner, began, again=again)
        if dispatch.deliver_by is not None and now >= dispatch.deliver_by:
            await self._conclude(work, NotSent("deadline", "it could not be delivered in the time it had"), None)
            return
        try:
            leg, rest = self._next(work)
        except Untranslatable as problem:
            await self._postpone(work, NotSent("untranslatable", problem.detail))
            return
        ready = self.prepared(setup, structs.replace(dispatch, rest=rest), leg)
        text, upstream = packed(ready.dispatch), leg.upstream.name
        claimed = stepped(entry, "sending", now, due_at=ready.due_at, owner=owner, upstream=upstream, dispatch=text)
        if await self._journal.advance(entry, claimed):
            await self.deliver(structs.replace(work, entry=claimed, dispatch=ready.dispatch, deadline=ready.deadline))
            return
        # The claim may be durable, or become so yet. Nothing is sent under it: the invoice waits again.
        waiting = stepped(entry, "waiting", now, due_at=now + backoff(0, self.jitter()))
        await self._journal.record(entry, waiting, tried=ready.dispatch.claim)

    def _next(self, work: Work) -> tuple[Leg, tuple[str, ...]]:
        """Where an invoice that waits goes now, and who may stand in.

        Raises:
            Untranslatable: nowhere.
        """
        dispatch, book = work.dispatch, work.setup.book
        if not dispatch.repeat:
            names = tuple(name for name in dispatch.names if name in book.upstreams)
            return next_leg(work.invoice, work.totals, names, book)
        upstream = book.upstreams.get(work.entry.upstream)
        if upstream is None or upstream.dialect.name != dispatch.dialect:
            raise Untranslatable(f"there is no upstream {work.entry.upstream} now")
        return Leg(upstream, dispatch.translation), ()

    async def deliver(self, work: Work) -> Delivered:
        """Send the invoice to its upstream, or to those that may stand in while it is certainly not sent."""
        while True:
            outcome, reply, work = await self._attempt(work)
            attempts, left = work.setup.policy.attempts, work.deadline - self.clock()
            match following(work.history, attempts, left, self.jitter()):
                case Again(seconds) if await self._paused(work, outcome, seconds):
                    begun = structs.replace(work.dispatch, started_at=self._journal.now())
                    work = structs.replace(work, dispatch=begun)
                    continue
                case Over():
                    break
                case Again() | Elsewhere():
                    stand_in = self._stand_in(work)
            if stand_in is None:
                break
            if not await self._journal.advance(work.entry, stand_in.entry):
                work = structs.replace(work, tried=stand_in.dispatch.claim)
                break
            work = stand_in
        if isinstance(outcome, NotSent) and work.dispatch.deliver_by is not None:
            return await self._postpone(work, outcome)
        return await self._conclude(work, outcome, reply)

    async def _paused(self, work: Work, outcome: Outcome, seconds: float) -> bool:
        """Wait before another try; false where too many do."""
        reason = outcome.reason if isinstance(outcome, NotSent) else ""
        with work.setup.exchanges.lanes[work.entry.upstream].aside() as room:
            if room:
                self._tell(Retried(work.entry.id, work.entry.upstream, reason, seconds))
                await sleep(seconds)
            return room

    async def _attempt(self, work: Work) -> tuple[Outcome, Reply | None, Work]:
        upstream, dispatch = work.setup.book.upstreams[work.entry.upstream], work.dispatch
        self._tell(Sending(work.request_id, work.entry.id, upstream.name))
        conversation = upstream.dialect.create(dispatch.translation, work.again)
        patient = dispatch.deliver_by is None  # what waits anyway need not wait here
        ended = await work.setup.exchanges.lead(upstream.name, conversation, work.deadline, patient=patient)
        outcome = ended.outcome
        if isinstance(outcome, Absent):
            outcome = Unknown("mapping", "a creation cannot end with an absence")
        seconds = ended.seconds
        reason = outcome.reason if isinstance(outcome, (NotSent, Unknown)) else None
        told = (upstream.name, name(outcome), reason, outcome.http_status, seconds)
        self._tell(Answered(work.request_id, work.entry.id, *told))
        attempt = Attempt(upstream.name, name(outcome), moment(dispatch.started_at), span(seconds))
        dispatch = structs.replace(dispatch, attempts=(*dispatch.attempts, attempt)[-MOST_ATTEMPTS:])
        history = (*work.history, Tried(upstream.name, outcome))
        work = structs.replace(work, dispatch=dispatch, history=history, seconds=work.seconds + seconds)
        return outcome, ended.first, work

    def _stand_in(self, work: Work) -> Work | None:
        """The same invoice for the next upstream that may stand in, to be made durable; None where there is none."""
        try:
            leg, rest = next_leg(work.invoice, work.totals, work.dispatch.rest, work.setup.book)
        except Untranslatable:
            return None
        ready = self.prepared(work.setup, structs.replace(work.dispatch, rest=rest), leg, work.ends)
        now = ready.dispatch.started_at
        dispatch, upstream = packed(ready.dispatch), leg.upstream.name
        entry = stepped(work.entry, "sending", now, due_at=ready.due_at, upstream=upstream, dispatch=dispatch)
        return structs.replace(work, entry=entry, dispatch=ready.dispatch, deadline=ready.deadline)

    async def _postpone(self, work: Work, outcome: NotSent) -> Delivered:
        """Keep an invoice that was left to the gateway, and certainly not sent, for another try."""
        entry, now = work.entry, self._journal.now()
        wait = max(backoff(entry.checks, self.jitter()), outcome.retry_after or 0.0)
        if now + wait >= (work.dispatch.deliver_by or 0.0):
            return await self._conclude(work, outcome, None)
        dispatch = packed(work.dispatch)
        waiting = stepped(entry, "waiting", now, due_at=now + wait, checks=entry.checks + 1, dispatch=dispatch)
        self._tell(Postponed(entry.id, entry.upstream, outcome.reason, wait))
        recorded = await self._journal.record(entry, waiting, tried=work.tried)
        return Delivered(recorded.entry, self._result(work, outcome, now))

    async def _conclude(self, work: Work, outcome: Outcome, reply: Reply | None) -> Delivered:
        now = self._journal.now()
        result = self._result(work, outcome, now)
        entry = self._concluded(work, outcome, result, now, reply)

        def of_another() -> Entry:
            doubt = Unknown("taken", f"{work.entry.upstream} answered with the id of another invoice")
            return self._concluded(work, doubt, self._result(work, doubt, now), now, reply)

        otherwise = of_another if isinstance(outcome, Created) else None
        recorded = await self._journal.record(work.entry, entry, otherwise=otherwise, tried=work.tried)
        known = recorded.entry
        if known.result != entry.result:  # somebody else was faster, or the upstream's id is another's
            result = stored(known)
        self._tell(self._conclusion(work, result, ours=recorded.ours))
        return Delivered(known, result, outcome.retry_after if isinstance(outcome, NotSent) else None)

    def _concluded(self, work: Work, outcome: Outcome, result: Result, now: float, reply: Reply | None) -> Entry:
        due_at = None
        upstream = work.setup.book.upstreams.get(work.entry.upstream)  # it can be gone where nothing was sent
        askable = upstream is not None and upstream.dialect.lookup is not None
        if isinstance(outcome, Unknown) and askable:
            due_at = now + delay(work.setup.policy.delays, 0, self.jitter())
        return stepped(
            work.entry,
            STATES[type(outcome)],
            now,
            due_at=due_at,
            checks=0,
            upstream_id=outcome.invoice.id if isinstance(outcome, Created) else None,
            result=kept(result),
            response=response(reply),
        )

    def _result(self, work: Work, outcome: Outcome, now: float) -> Result:
        timings = Timings(span(self.clock() - work.began), span(work.seconds))
        return made(work.entry, work.dispatch, outcome, now, work.dispatch.attempts, timings=timings)

    def _conclusion(self, work: Work, result: Result, *, ours: bool) -> Concluded:
        return Concluded(
            work.request_id,
            result.id,
            result.external_id,
            work.entry.client,
            work.dispatch.rule,
            work.entry.upstream,
            result.outcome,
            work.dispatch.currency,
            work.dispatch.amount,
            result.losses,
            result.discrepancies,
            self.clock() - work.began,
            work.seconds,
            ours,
        )
