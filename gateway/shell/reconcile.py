"""The worker that settles doubts, and delivers what callers left to the gateway.

It takes what is due: an invoice in doubt is looked up at its upstream, one that was being sent when its process died is
in doubt, one that waits is sent. Its absence is believed only after the upstream's timeout and the dialect's settle
time, since until then it may still appear.
"""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import assert_never

from msgspec import structs

from gateway.core.dispatch import Dispatch, dispatch_of, packed
from gateway.core.errors import JournalUnavailable
from gateway.core.events import Event, Finding, InDoubt, Reconciled
from gateway.core.journal import STATES, Entry, State, stepped
from gateway.core.policy import delay
from gateway.core.result import Absent, Created, NotSent, Outcome, Rejected, Unknown
from gateway.core.results import attempts_of, kept, made, response, stored
from gateway.shell.delivery import LEASE_MARGIN, Delivery
from gateway.shell.exchanges import Ended
from gateway.shell.journal.journal import Journal, Recorded
from gateway.shell.logs import defect
from gateway.shell.setup import Current
from gateway.shell.tracer import UNTRACED, Tracer

POLL_SECONDS = 1.0
TELL_SECONDS = 5.0
SPARE = 64
"""What the worker begins beyond all places at upstreams: who finds none is soon done, and comes again later."""


class Reconciler:
    """Looks into doubts and delivers what waits, in the background and when a caller asks again."""

    def __init__(
        self,
        current: Current,
        delivery: Delivery,
        journal: Journal,
        tell: Callable[[Event], None],
        owner: str,
        *,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._current = current
        self._delivery = delivery
        self._journal = journal
        self._tell = tell
        self._clock = delivery.clock
        self._owner = owner
        self._woken = asyncio.Event()
        self._told_of = set[str]()
        self._working: dict[str, asyncio.Task[None]] = {}
        self._deliver_due = tracer.work("resume", delivery.resume)
        self._settle_due = tracer.work("reconcile", self.settle)

    def wake(self) -> None:
        """Something is due now."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled; whatever is under way then is finished by `finish`."""
        told = -math.inf
        while True:
            self._woken.clear()
            with suppress(JournalUnavailable):  # it was told; until the journal is back there is nothing to work on
                await self.round()
                if self._clock() - told >= TELL_SECONDS:
                    await self._tell_doubts()
                    told = self._clock()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()

    async def round(self) -> None:
        """Take what is due and begin to work on it.

        Raises:
            JournalUnavailable: nothing could be taken.
        """
        # Upstreams that hang keep their own places taken, and what is due elsewhere is begun all the same.
        places = sum(lane.width.at_once for lane in self._current().exchanges.lanes.values())
        free = places + SPARE - len(self._working)
        if free <= 0:
            return
        for entry in await self._journal.take(self._owner, self._lease(), free):
            if entry.id not in self._working:
                task = asyncio.create_task(self._work(entry))
                self._working[entry.id] = task
                task.add_done_callback(partial(self._over, entry.id))

    def _over(self, entry_id: str, _: asyncio.Task[None]) -> None:
        del self._working[entry_id]

    async def finish(self) -> None:
        """Wait for what is under way."""
        if self._working:
            await asyncio.wait(tuple(self._working.values()))

    async def _tell_doubts(self) -> None:
        found = {each.upstream: (each.count, self._journal.now() - each.since) for each in await self._journal.doubts()}
        # One that left the configuration is told of once its last doubt is settled, too: a gauge keeps its value.
        self._told_of |= found.keys() | self._current().exchanges.lanes.keys()
        self._tell(InDoubt({name: found.get(name, (0, 0.0)) for name in self._told_of}))

    def _lease(self) -> float:
        exchanges = self._current().exchanges
        longest = max(map(exchanges.timeout, exchanges.lanes), default=0.0)
        return longest + LEASE_MARGIN

    async def _work(self, entry: Entry) -> None:
        try:
            if entry.state == "waiting":
                await self._deliver_due(entry, self._owner)
            else:
                await self._settle_due(entry)
        except Exception as error:  # noqa: BLE001 - one entry's defect must not end the worker; it is due again later
            self._tell(defect(error))

    async def settle(self, entry: Entry, ends: float = math.inf) -> Entry:
        """Look into a doubt; the entry as it is afterwards, which is still `unknown` where nothing could be learned.

        Whoever asks waits until `ends`, by the clock.
        """
        setup, dispatch = self._current(), dispatch_of(entry)
        upstream = setup.book.upstreams.get(entry.upstream)
        if upstream is None or upstream.dialect.name != dispatch.dialect:
            return await self._unresolved(entry, dispatch, f"there is no upstream {entry.upstream} now")
        if upstream.dialect.lookup is None:
            return await self._unaskable(entry)
        asked_at = self._journal.now()
        whole = self._clock() + setup.exchanges.timeout(upstream.name)
        ended = await setup.exchanges.lead(
            upstream.name, upstream.dialect.lookup(dispatch.translation), min(whole, ends), patient=False
        )
        if ends < whole and isinstance(ended.outcome, (NotSent, Unknown)):
            return entry  # whoever has no time must not put the next look off
        moved = dispatch.where not in ("", setup.exchanges.where(upstream.name))
        if moved and isinstance(ended.outcome, (Absent, Rejected)):  # that says nothing of where it was sent to
            return await self._unresolved(entry, dispatch, f"{upstream.name} was elsewhere when it was sent")
        return await self._judged(entry, dispatch, ended, asked_at)

    async def _judged(self, entry: Entry, dispatch: Dispatch, ended: Ended, asked_at: float) -> Entry:
        """What the upstream's answer to a lookup comes to."""
        match ended.outcome:
            case Created() as found:
                return await self._settled(entry, dispatch, structs.replace(found, adopted=True), ended)
            case Rejected() as taken:
                return await self._settled(entry, dispatch, taken, ended)
            case Absent() as absent if asked_at >= dispatch.quiet_until:
                return await self._absent(entry, dispatch, absent, ended)
            case Absent():
                wait = dispatch.quiet_until - asked_at
                return await self._unresolved(entry, dispatch, "absent, but it may still appear", wait)
            case NotSent(detail=detail) | Unknown(detail=detail):
                return await self._unresolved(entry, dispatch, detail)
            case _:
                assert_never(ended.outcome)

    async def _unaskable(self, entry: Entry) -> Entry:
        """Nobody can be asked: it is listed, metered with its age, and an operator has to look."""
        if entry.due_at is None:
            return entry
        return (await self._journal.record(entry, stepped(entry, "unknown", self._journal.now()))).entry

    async def _settled(self, entry: Entry, dispatch: Dispatch, outcome: Outcome, ended: Ended) -> Entry:
        """Write what a doubt came to."""
        now = self._journal.now()

        def step(outcome: Outcome) -> Entry:
            result = made(entry, dispatch, outcome, now, attempts_of(entry))
            return stepped(
                entry,
                STATES[type(outcome)],
                now,
                upstream_id=outcome.invoice.id if isinstance(outcome, Created) else None,
                result=kept(result),
                response=response(ended.last),
            )

        def of_another() -> Entry:
            taken = f"the reference belongs to another invoice of the gateway, {_id_of(outcome)}"
            return step(Rejected(ended.last.status if ended.last else 0, "taken", taken))

        otherwise = of_another if isinstance(outcome, Created) else None
        recorded = await self._journal.record(entry, step(outcome), otherwise=otherwise)
        finding: dict[State, Finding] = {"created": "adopted", "not_sent": "absent", "rejected": "taken"}
        return self._told(recorded, dispatch, finding.get(recorded.entry.state, "unresolved"), entry)

    async def _absent(self, entry: Entry, dispatch: Dispatch, absent: Absent, ended: Ended) -> Entry:
        """Free the key of an invoice that is proven absent; send it once more if that was left to the gateway."""
        now = self._journal.now()
        if dispatch.deliver_by is None or now >= dispatch.deliver_by:
            outcome = NotSent("absent", f"it did not arrive: {absent.detail}")
            return await self._settled(entry, dispatch, outcome, ended)
        # Only to the same upstream: once it was in doubt there, no other may see it.
        again = structs.replace(dispatch, repeat=True, rest=(), attempts=attempts_of(entry))
        waiting = stepped(entry, "waiting", now, due_at=now, dispatch=packed(again), result=b"", response=b"")
        recorded = await self._journal.record(entry, waiting)
        self.wake()
        return self._told(recorded, dispatch, "absent", entry)

    async def _unresolved(self, entry: Entry, dispatch: Dispatch, reason: str, most: float = math.inf) -> Entry:
        """Look again later, after `most` seconds at the latest."""
        now = self._journal.now()
        wait = min(delay(self._current().policy.delays, entry.checks + 1, self._delivery.jitter()), most)
        due = stepped(entry, "unknown", now, due_at=now + wait, checks=entry.checks + 1)
        recorded = await self._journal.record(entry, due)
        return self._told(recorded, dispatch, "unresolved", entry, reason)

    def _told(
        self, recorded: Recorded, dispatch: Dispatch, finding: Finding, before: Entry, reason: str | None = None
    ) -> Entry:
        """Tell a finding, unless somebody else settled the doubt and told it; the entry as it is."""
        known = recorded.entry
        if recorded.ours:
            result = stored(known)
            told = Reconciled(
                invoice=known.id,
                client=known.client,
                upstream=known.upstream,
                finding=finding,
                reason=reason,
                age=max(0.0, self._journal.now() - (before.doubted_at or before.updated_at)),
                currency=dispatch.currency,
                amount=dispatch.amount,
                losses=result.losses,
                discrepancies=result.discrepancies,
            )
            self._tell(told)
        return known


def _id_of(outcome: Outcome) -> str:
    return outcome.invoice.id or "" if isinstance(outcome, Created) else ""
