"""Claims: of many requests with one key only one sends; without a durable claim nobody does."""

import asyncio
from pathlib import Path

import pytest

from gateway.core.errors import ExternalIdReused, InProgress, OutcomeUnknown, UpstreamUnavailable
from gateway.core.events import Claimed, JournalFailed, Replayed, Sending
from gateway.core.journal import Entry
from gateway.core.result import Created, Outcome
from gateway.core.results import stored
from gateway.shell.gateway import Answer, Preference
from gateway.shell.journal import journal
from tests.support.engines import (
    KEY,
    LATER,
    NOT_SENT,
    QUIET,
    REJECTED,
    UNKNOWN,
    Side,
    Works,
    created,
    until,
    working,
)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that waits for its store no longer than a test does."""
    monkeypatch.setattr(journal, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(journal, "RETRY_SECONDS", (0.01,))


async def left(works: Works) -> Entry:
    """What the file holds once nobody sends any more."""
    for _ in range(400):
        if (entry := await works.entry()).state not in ("sending", "waiting"):
            return entry
        await asyncio.sleep(0.005)
    raise AssertionError("it is still under way")


# ------------------------------------------------------------------ one key, many requests


@pytest.mark.parametrize("end", [created("1"), REJECTED, NOT_SENT, UNKNOWN])
async def test_a_second_request_waits_for_the_first_and_hears_its_answer(end: Outcome, tmp_path: Path) -> None:
    """Whatever it is; nothing is sent twice."""
    async with working(tmp_path, fallback=False, chargeover=Side(end)) as works:
        sending = await works.held()
        others = [asyncio.create_task(works.submit(request_id=f"request-{number}")) for number in range(2, 6)]
        await asyncio.sleep(0.05)
        assert not any(other.done() for other in others)
        works.side.open.set()
        first = await sending
        for other in others:
            second = await other
            assert second.replayed
            assert second.result == first.result
        assert works.side.posts == 1
        assert len(works.heard(Replayed)) == 4
        assert not first.replayed


async def test_many_at_once_are_one(tmp_path: Path) -> None:
    """None of them goes first by any order that the test makes."""
    async with working(tmp_path) as works:
        answers = await asyncio.gather(*(works.submit() for _ in range(32)))
        assert works.side.posts == 1
        assert {answer.result.invoice.id for answer in answers if answer.result.invoice} == {"chargeover-1"}
        assert {answer.result.outcome for answer in answers} == {"created"}
        assert [answer.replayed for answer in answers].count(False) == 1


async def test_what_another_process_sends_is_waited_for_too(tmp_path: Path) -> None:
    """Nobody wakes who waits here: it has to look."""
    async with working(tmp_path) as works:
        sending = await works.held()
        other = asyncio.create_task(works.submit())
        await asyncio.sleep(0.03)
        entry = await works.entry()
        decided = journal.withdrawn(entry, works.clock())
        assert await works.store.inner.replace(entry, decided)
        async with asyncio.timeout(2):
            assert (await other).result == stored(decided)
        works.side.open.set()
        await sending


async def test_a_second_request_does_not_wait_past_its_deadline(tmp_path: Path) -> None:
    """Then it is in progress: 409, and it says which invoice."""
    async with working(tmp_path, allowed=0.1) as works:
        sending = await works.held()
        with pytest.raises(InProgress) as refused:
            await works.submit()
        assert (refused.value.invoice, refused.value.external_id) == ((await works.entry()).id, KEY)
        works.side.open.set()
        assert (await sending).result.outcome == "created"
        assert works.side.posts == 1


async def test_the_deadline_of_a_second_request_begins_with_it(tmp_path: Path) -> None:
    """What it waited for elsewhere is taken off."""
    async with working(tmp_path) as works:
        sending = await works.held()

        async def slowly() -> None:
            works.clock.seconds += 60.0

        works.store.arm("claim", slowly)
        async with asyncio.timeout(2):
            with pytest.raises(InProgress):
                await works.submit()
        works.side.open.set()
        await sending


async def test_a_second_request_that_would_not_wait_hears_that_it_is_pending(tmp_path: Path) -> None:
    """`respond-async`: at once."""
    async with working(tmp_path) as works:
        sending = await works.held()
        second = await works.submit(preference=LATER)
        assert (second.result.outcome, second.result.upstream.message) == ("pending", "is being sent")
        assert [(one.outcome, one.seconds) for one in second.result.attempts] == [("pending", None)]
        works.side.open.set()
        assert (await sending).result.outcome == "created"
        assert works.side.posts == 1


async def test_whoever_stops_waiting_stops_nothing(tmp_path: Path) -> None:
    """The first goes on, and its outcome is kept."""
    async with working(tmp_path) as works:
        sending = await works.held()
        second = asyncio.create_task(works.submit())
        await asyncio.sleep(0.03)
        second.cancel()
        works.side.open.set()
        assert (await sending).result.outcome == "created"
        await asyncio.gather(second, return_exceptions=True)


# ------------------------------------------------------------------ claims that fail


@pytest.mark.parametrize("preference", [Preference(), LATER, Preference(respond_async=True, wait=1.0)])
async def test_without_a_claim_nothing_is_sent(preference: Preference, tmp_path: Path) -> None:
    """The store fails: certainly not created, and the same request may come again."""
    async with working(tmp_path) as works:
        works.store.arm("claim", "fails")
        with pytest.raises(UpstreamUnavailable) as refused:
            await works.submit(preference=preference)
        assert refused.value.external_id == KEY
        assert works.engine.journal._unwritten == set()  # noqa: SLF001 - there is nothing to withdraw
        assert works.side.requests == []
        assert (works.heard(Claimed), works.heard(Sending)) == ([], [])
        assert [event.operation for event in works.heard(JournalFailed)] == ["claim"]
        await works.work(QUIET)
        assert works.side.requests == []
        assert (await works.submit()).result.outcome == "created"
        assert works.side.posts == 1


async def test_a_claim_that_became_durable_all_the_same_is_withdrawn(tmp_path: Path) -> None:
    """Only the word of it was lost: its key must not stay bound by what was never sent."""
    async with working(tmp_path) as works:
        works.store.arm("claim", "loses")
        with pytest.raises(UpstreamUnavailable):
            await works.submit()
        entry = await left(works)
        assert (entry.state, entry.due_at) == ("not_sent", None)
        assert stored(entry).outcome == "not_sent"
        assert stored(entry).upstream.message == "the claim did not become durable in time"
        assert works.side.requests == []
        again = await works.submit(note="corrected")
        assert (again.result.outcome, again.result.id) == ("created", entry.id)


@pytest.mark.usefixtures("hasty")
async def test_a_claim_is_withdrawn_as_soon_as_that_can_be_written(tmp_path: Path) -> None:
    """The store stays away for a while; each failure is told."""
    async with working(tmp_path) as works:
        works.store.arm("claim", "loses")
        works.store.arm("find", "fails", "fails")
        works.store.arm("replace", "fails", "loses")
        with pytest.raises(UpstreamUnavailable):
            await works.submit()
        assert (await left(works)).state == "not_sent"
        await until(lambda: len(works.heard(JournalFailed)) == 5)
        assert [event.operation for event in works.heard(JournalFailed)] == ["claim", *["withdraw"] * 4]


@pytest.mark.usefixtures("hasty")
async def test_a_claim_that_is_not_durable_in_time_is_none(tmp_path: Path) -> None:
    """The store hangs: nothing is sent, now or when it comes back."""
    async with working(tmp_path) as works:
        works.store.arm("claim", "hangs")
        async with asyncio.timeout(2):
            with pytest.raises(UpstreamUnavailable):
                await works.submit()
        assert "no answer" in works.heard(JournalFailed)[0].detail
        assert works.side.requests == []
        works.store.mend()
        assert (await works.submit()).result.outcome == "created"
        assert works.side.posts == 1


@pytest.mark.usefixtures("hasty")
async def test_a_withdrawal_touches_no_claim_but_its_own(tmp_path: Path) -> None:
    """The same invoice came again, and was claimed by then."""
    async with working(tmp_path) as works:
        gate = asyncio.Event()

        async def hold() -> None:
            await gate.wait()

        works.store.arm("claim", "breaks")
        works.store.arm("find", hold)
        with pytest.raises(UpstreamUnavailable):
            await works.submit()
        sending = await works.held()
        gate.set()
        await asyncio.sleep(0.03)
        assert (await works.entry()).state == "sending"
        works.side.open.set()
        assert (await sending).result.outcome == "created"


@pytest.mark.usefixtures("hasty")
async def test_a_withdrawal_settles_the_doubt_of_its_claim(tmp_path: Path) -> None:
    """The worker took the claim for lost before: certainly nothing was sent under it."""
    async with working(tmp_path, chargeover=Side(lookups=(UNKNOWN,))) as works:
        gate = asyncio.Event()

        async def hold() -> None:
            await gate.wait()

        works.store.arm("claim", "loses")
        works.store.arm("find", hold)
        with pytest.raises(UpstreamUnavailable):
            await works.submit()
        await works.work(QUIET)
        assert (await works.entry()).state == "unknown"
        gate.set()
        await until(lambda: not works.engine.journal._unwritten)  # noqa: SLF001 - what is still to be written
        assert (await works.entry()).state == "not_sent"
        assert works.side.posts == 0


@pytest.mark.usefixtures("hasty")
async def test_a_withdrawal_is_of_the_claim_as_it_is(tmp_path: Path) -> None:
    """It changed between the look and the word: it is looked at again."""
    async with working(tmp_path, chargeover=Side(lookups=(UNKNOWN,))) as works:

        async def taken() -> None:
            works.clock.seconds += QUIET
            assert len(await works.store.inner.take("another", 60.0, 10)) == 1

        works.store.arm("claim", "loses")
        works.store.arm("replace", taken)
        with pytest.raises(UpstreamUnavailable):
            await works.submit()
        await works.engine.journal.close()
        assert [event.operation for event in works.heard(JournalFailed)] == ["claim"]
    async with working(tmp_path, clock=works.clock) as works:
        assert (await works.entry()).state == "not_sent"


# ------------------------------------------------------------------ claims that nobody waits for


@pytest.mark.parametrize("trouble", ["loses", "breaks", "hangs"])
@pytest.mark.usefixtures("hasty")
async def test_who_left_the_delivery_to_the_gateway_is_never_told_that_nothing_is_sent(
    trouble: str, tmp_path: Path
) -> None:
    """Nobody knows whether it is in the journal, and what is there is sent: unknown, until it is asked for again."""
    async with working(tmp_path) as works:
        works.store.arm("claim", trouble)
        async with asyncio.timeout(2):
            with pytest.raises(OutcomeUnknown) as refused:
                await works.submit(preference=LATER)
        assert refused.value.external_id == KEY
        works.store.mend()
        await works.work(1.0)
        assert works.side.posts == (trouble == "loses")
        await works.submit(preference=LATER)
        await works.work(1.0)
        assert (await works.entry()).state == "created"
        assert works.side.posts == 1


@pytest.mark.usefixtures("hasty")
async def test_so_many_withdrawals_are_remembered_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is away nothing may grow without end; what is not withdrawn is in doubt, and proven absent."""
    monkeypatch.setattr(journal, "MOST_UNWRITTEN", 2)
    async with working(tmp_path) as works:
        keys = ["a", "b", "c"]
        works.store.arm("claim", *["loses"] * 3)
        works.store.arm("find", *["fails"] * 8)
        for key in keys:
            with pytest.raises(UpstreamUnavailable):
                await works.submit(external_id=key)
        await until(lambda: len(works.heard(JournalFailed)) == 11)
        await asyncio.sleep(0.05)
        assert [(await works.entry(key)).state for key in keys] == ["not_sent", "not_sent", "sending"]
        await works.work(QUIET)
        assert (await works.entry("c")).state == "not_sent"
        assert works.side.posts == 0


async def test_a_claim_over_a_free_key_that_fails_leaves_the_key_free(tmp_path: Path) -> None:
    """It was rejected before; the correction was never claimed."""
    async with working(tmp_path, chargeover=Side(REJECTED, created("2"))) as works:
        await works.submit()
        works.store.arm("claim", "fails")
        with pytest.raises(UpstreamUnavailable):
            await works.submit(note="corrected")
        assert (await works.entry()).state == "rejected"
        answer: Answer = await works.submit(note="corrected again")
        assert answer.result.outcome == "created"
        with pytest.raises(ExternalIdReused):
            await works.submit(note="corrected")


async def test_a_sender_that_died_is_a_doubt_and_never_sent_again_unasked(tmp_path: Path) -> None:
    """A restart in the middle of an exchange: the entry is in doubt, and the same request asks the upstream."""
    async with working(tmp_path) as works:
        sending = await works.held()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    side = Side(lookups=(created("77"),))
    async with working(tmp_path, clock=works.clock, chargeover=side) as works:
        await works.work()
        answer = await works.submit()
        assert (answer.result.outcome, answer.result.adopted, answer.replayed) == ("created", True, True)
        assert isinstance(side.lookups[0] if side.lookups else None, Created)
        assert (side.posts, side.looks) == (0, 1)
