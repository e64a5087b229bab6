"""The worker that settles doubts: what each answer of an upstream comes to, and that nothing ends the worker."""

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from gateway.core.dispatch import dispatch_of
from gateway.core.events import Concluded, Defect, InDoubt, Reconciled
from gateway.core.result import Absent, NotSent, Outcome, Rejected, Unknown
from gateway.core.results import stored
from gateway.shell.reconcile import Reconciler
from gateway.shell.records import Verdict
from tests.support.engines import FIRST, LATER, NOT_SENT, QUIET, REJECTED, ROOT, UNKNOWN, Side, created, until, working

AGAIN = [NotSent("connect", "refused"), Unknown("timeout", "no answer")]


async def test_what_is_found_is_adopted_and_compared(tmp_path: Path) -> None:
    """Created, with what it says otherwise than was sent; counted with its money."""
    found = created("77", currency="EUR")
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=[found])) as works:
        await works.submit()
        await works.work(1.0)
        entry = await works.entry()
        result = stored(entry)
        assert (entry.state, entry.upstream_id, result.adopted) == ("created", "77", True)
        assert [one.pointer for one in result.discrepancies] == ["/currency"]
        (told,) = works.heard(Reconciled)
        assert (told.finding, told.upstream, str(told.amount)) == ("adopted", FIRST, "492.00")
        assert told.discrepancies == result.discrepancies


async def test_a_reference_that_is_anothers_is_a_refusal(tmp_path: Path) -> None:
    """The upstream says so, or the journal does: one invoice there belongs to one entry here."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=[Rejected(200, "taken", "another's")])) as works:
        await works.submit()
        await works.work(1.0)
        assert (await works.entry()).state == "rejected"
    side = Side(created("1"), UNKNOWN, lookups=[created("1")])
    (folder := tmp_path / "second").mkdir()
    async with working(folder, chargeover=side) as works:
        await works.submit(external_id="first")
        await works.submit()
        await works.work(1.0)
        entry = await works.entry()
        assert (entry.state, entry.upstream_id) == ("rejected", None)
        assert stored(entry).errors[0].code == "taken"
        assert works.heard(Reconciled)[0].finding == "taken"


async def test_an_absence_is_believed_only_in_its_time(tmp_path: Path) -> None:
    """Before the quiet time is over it may still appear, and is looked for right at its end."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        await works.submit()
        for seconds in (1.0, 5.0):
            await works.work(seconds)
            assert (await works.entry()).state == "unknown"
        entry = await works.entry()
        assert entry.due_at == dispatch_of(entry).quiet_until
        await works.work(QUIET)
        assert (await works.entry()).state == "not_sent"
        assert [one.finding for one in works.heard(Reconciled)] == ["unresolved", "unresolved", "absent"]


@pytest.mark.parametrize("end", [Absent("nothing"), Rejected(200, "taken", "another's")])
async def test_an_absence_elsewhere_says_nothing_of_where_it_was_sent(end: Outcome | Absent, tmp_path: Path) -> None:
    """The upstream's URL leads to another account now: what is not there, or another's, may exist where it was."""
    async with working(tmp_path, where="https://old.example", chargeover=Side(UNKNOWN)) as works:
        await works.submit()
    side = Side(lookups=[end])
    async with working(tmp_path, where="https://new.example", clock=works.clock, chargeover=side) as works:
        await works.work(QUIET)
        assert side.looks == 1
        assert ((await works.entry()).state, side.posts) == ("unknown", 0)
        (told,) = works.heard(Reconciled)
        assert (told.finding, told.reason) == ("unresolved", f"{FIRST} was elsewhere when it was sent")


async def test_what_is_found_elsewhere_is_adopted(tmp_path: Path) -> None:
    """The upstream moved, and took its invoices along; so it is if nobody knows where it was."""
    for folder, before in ((tmp_path / "known", "https://old.example"), (tmp_path / "not", "")):
        folder.mkdir()
        async with working(folder, where=before, chargeover=Side(UNKNOWN)) as works:
            await works.submit()
        side = Side(lookups=[created("77")])
        async with working(folder, where="https://new.example", clock=works.clock, chargeover=side) as works:
            await works.work(QUIET)
            assert (await works.entry()).state == "created"


@pytest.mark.parametrize("answer", AGAIN)
async def test_a_question_without_an_answer_is_asked_again(answer: Outcome, tmp_path: Path) -> None:
    """With pauses that grow; the last repeats."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=[answer])) as works:
        await works.submit()
        pauses = []
        for _ in range(4):
            now = works.clock.seconds = (await works.entry()).due_at or 0.0
            await works.work()
            entry = await works.entry()
            assert entry.due_at is not None
            pauses.append(entry.due_at - now)
            assert entry.state == "unknown"
        assert pauses == [5.0, 30.0, 30.0, 30.0]


async def test_nobody_is_asked_who_cannot_be(tmp_path: Path) -> None:
    """It stays in doubt, with nothing due, and is listed."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=None)) as works:
        await works.submit()
        await works.work(1000.0)
        entry = await works.entry()
        assert (entry.state, entry.due_at) == ("unknown", None)
        assert [(one.upstream, one.count) for one in await works.store.doubts()] == [(FIRST, 1)]


async def test_an_upstream_that_is_gone_is_not_asked(tmp_path: Path) -> None:
    """The doubt stays, and is looked into again: the configuration may get it back."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        await works.submit()
    async with working(tmp_path, gone=[FIRST]) as works:
        await works.work(1000.0)
        entry = await works.entry()
        assert entry.state == "unknown"
        assert entry.due_at is not None


async def test_what_a_dead_sender_left_is_looked_up(tmp_path: Path) -> None:
    """Its claim is over: in doubt since it was made, and settled like any other."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=[created("9")])) as works:
        await works.submit()
        entry = await works.entry()
        dead = structs.replace(entry, state="sending", revision=9, due_at=works.clock(), doubted_at=None, result=b"")
        assert await works.store.inner.replace(entry, dead)
        await works.work(1.0)
        result = stored(await works.entry())
        assert (result.outcome, result.adopted) == ("created", True)
        assert [one.outcome for one in result.attempts] == ["unknown"]


async def test_what_was_left_to_the_gateway_is_sent_once_more(tmp_path: Path) -> None:
    """To the same upstream only, as a repeat; no other may see it after the doubt."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, NOT_SENT, created("2"))) as works:
        await works.submit(preference=LATER)
        await works.work()
        await works.work(QUIET)
        dispatch = dispatch_of(await works.entry())
        assert (dispatch.repeat, dispatch.rest) == (True, ())
        await works.work()
        assert (await works.entry()).state == "waiting"
        await works.work(400.0)
        entry = await works.entry()
        assert (entry.state, entry.upstream) == ("created", FIRST)
        assert works.side.repeats == [False, True, True]


async def test_what_is_sent_again_under_its_key_may_have_arrived_before(tmp_path: Path) -> None:
    """Proven absent, but nobody is infallible: the mapping is told, and looks where the upstream refuses."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, created("2"))) as works:
        await works.submit()
        await works.work(QUIET)
        assert (await works.entry()).state == "not_sent"
        assert (await works.submit()).result.outcome == "created"
        assert works.side.repeats == [False, True]
    (later := tmp_path / "later").mkdir()
    async with working(later, fallback=False, chargeover=Side(REJECTED, created("2"))) as works:
        await works.submit()
        await works.submit(preference=LATER)
        await works.work()
        assert works.side.repeats == [False, True]


async def test_what_two_find_out_is_told_once(tmp_path: Path) -> None:
    """A caller and the worker look at the same time: the invoice's money is counted once."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=[created("77")])) as works:
        await works.submit()
        works.side.open.clear()
        works.side.reached.clear()
        works.clock.seconds += 1.0
        asking = asyncio.create_task(works.submit())
        await works.side.reached.wait()
        working_on_it = asyncio.create_task(works.work())
        await until(lambda: works.side.looks == 2)
        works.side.open.set()
        await asyncio.gather(asking, working_on_it)
        assert [one.finding for one in works.heard(Reconciled)] == ["adopted"]


async def test_what_was_found_before_its_sender_heard_is_counted_once(tmp_path: Path) -> None:
    """It was taken for lost and adopted; its own answer, come late, says the same and counts nothing."""
    async with working(tmp_path, chargeover=Side(created("1"), lookups=[created("1")])) as works:
        sending = await works.held()
        works.clock.seconds += QUIET
        taken = await works.store.inner.take("another", 60.0, 10)
        side = works.side
        side.open.set()
        await works.engine.reconciler.settle(taken[0])
        assert (await sending).result.outcome == "created"
        (adopted,), (concluded,) = works.heard(Reconciled), works.heard(Concluded)
        assert (adopted.finding, concluded.outcome) == ("adopted", "created")
        assert not concluded.ours


async def test_a_defect_does_not_end_the_worker(tmp_path: Path) -> None:
    """It is told, and the next entry is worked on."""

    class Breaks(Side):
        """A side that breaks the sender."""

        def distrust(self) -> None:
            """As a mistake of ours would."""
            raise ZeroDivisionError("Harbour Freight Lines")

    breaks = Breaks(UNKNOWN, lookups=[NotSent("unauthorized", "who?")])
    async with working(tmp_path, chargeover=breaks) as works:
        await works.submit()
        await works.work(1.0)
        (told,) = works.heard(Defect)
        assert told.kind == "ZeroDivisionError"
        breaks.lookups = [created("1")]
        await works.work(100.0)
        assert (await works.entry()).state == "created"


async def test_the_worker_goes_on_after_an_outage(tmp_path: Path) -> None:
    """It polls, tells what is in doubt at every upstream, and works as soon as it can."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=[Absent("no"), created("1")])) as works:
        await works.submit()
        works.store.down = True
        works.clock.seconds += 1.0
        works.engine.start()
        await until(lambda: any(getattr(event, "operation", "") == "take" for event in works.told))
        works.store.mend()
        worker: Reconciler = works.engine.reconciler
        worker.wake()
        await until(lambda: bool(works.heard(InDoubt)))
        assert works.heard(InDoubt)[0].doubts.keys() >= works.engine.current().exchanges.lanes.keys()
        await until(lambda: bool(works.heard(Reconciled)))


async def test_an_upstream_that_is_gone_is_told_of_until_its_doubts_are_settled(tmp_path: Path) -> None:
    """A gauge keeps its last value: that nothing is in doubt any more has to be said."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        await works.submit()
    async with working(tmp_path, gone=[FIRST]) as works:
        worker: Reconciler = works.engine.reconciler
        await worker._tell_doubts()  # noqa: SLF001 - what it does every few seconds
        doubt = await works.entry()
        verdict = Verdict("not_sent", "looked")
        await works.engine.records.resolve(doubt.id, verdict, ROOT)
        await worker._tell_doubts()  # noqa: SLF001
        assert [told.doubts.get(FIRST, (None,))[0] for told in works.heard(InDoubt)] == [1, 0]
