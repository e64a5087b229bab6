"""The engine: its parts work by themselves, begin again when they break, and stop in order."""

import asyncio
from pathlib import Path

import pytest

from gateway.core.events import Concluded, Defect, InDoubt, JournalFailed, Purged, Reconciled
from gateway.core.journal import stepped
from gateway.shell import reconcile, retention
from gateway.shell.journal import StoreError
from tests.support.engines import FIRST, LATER, POLICY, SECOND, THIRD, UNKNOWN, Side, created, until, working


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that look again as soon as they can."""
    monkeypatch.setattr(reconcile, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(reconcile, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(retention, "EVERY_SECONDS", 0.01)


@pytest.mark.usefixtures("quick")
async def test_once_started_it_works_by_itself(tmp_path: Path) -> None:
    """Not before; then what waits is delivered, doubts are settled, and old details removed, without being asked."""
    script = Side(UNKNOWN, created("2"), lookups=[created("1")])
    async with working(tmp_path, chargeover=script) as works:
        await works.submit(external_id="old")
        await works.submit(external_id="waits", preference=LATER)
        await asyncio.sleep(0.05)
        assert works.side.posts == 1
        assert works.heard(InDoubt) == []
        works.engine.start()
        await until(lambda: [one.outcome for one in works.heard(Concluded)] == ["unknown", "created"])
        works.clock.seconds += 60
        await until(lambda: [one.finding for one in works.heard(Reconciled)] == ["adopted"])
        works.clock.seconds += POLICY.keep_bodies + 1.0
        await until(lambda: sum(one.entries for one in works.heard(Purged)) == 2)
        assert works.heard(Defect) == []


@pytest.mark.usefixtures("quick")
async def test_what_is_in_doubt_is_told_for_every_upstream(tmp_path: Path) -> None:
    """How many and for how long; none is told too."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=None)) as works:
        await works.submit()
        works.clock.seconds += 5
        works.engine.start()
        await until(lambda: bool(works.heard(InDoubt)))
        doubts = works.heard(InDoubt)[0].doubts
        assert doubts[FIRST] == (1, 5.0)
        assert (doubts[SECOND], doubts[THIRD]) == ((0, 0.0), (0, 0.0))
        assert len(doubts) == 5


@pytest.mark.usefixtures("quick")
async def test_a_part_that_breaks_is_told_and_begins_again(tmp_path: Path) -> None:
    """Its place, and nothing of the message; the other parts do not notice."""

    async def broken() -> None:
        raise ZeroDivisionError("Harbour Freight Lines")

    async with working(tmp_path) as works:
        works.store.arm("take", broken)
        works.engine.start()
        await until(lambda: bool(works.heard(Defect)))
        (defect,) = works.heard(Defect)
        assert (defect.kind, defect.request_id) == ("ZeroDivisionError", None)
        assert any(place.startswith("test_engine.py:") for place in defect.places)
        assert "Harbour" not in str(defect)
        await works.submit(preference=LATER)
        await until(lambda: [one.outcome for one in works.heard(Concluded)] == ["created"])
        assert len(works.heard(Defect)) == 1


@pytest.mark.usefixtures("quick")
async def test_an_outage_of_the_store_is_no_defect(tmp_path: Path) -> None:
    """It is told; deliveries and the removal of details go on as soon as the store is back."""
    async with working(tmp_path, chargeover=Side(created("1"), created("2"))) as works:
        await works.submit(external_id="old")
        await works.submit(preference=LATER)
        works.store.down = True
        works.engine.start()
        await until(lambda: {one.operation for one in works.heard(JournalFailed)} >= {"take", "purge"})
        assert works.side.posts == 1
        works.store.mend()
        await until(lambda: [one.outcome for one in works.heard(Concluded)] == ["created", "created"])
        works.clock.seconds += POLICY.keep_bodies + 1
        await until(lambda: sum(one.entries for one in works.heard(Purged)) > 0)
        assert works.heard(Defect) == []


@pytest.mark.usefixtures("quick")
async def test_to_stop_finishes_what_is_under_way_and_closes_the_store(tmp_path: Path) -> None:
    """What was taken is concluded and durable before the file is let go."""
    async with working(tmp_path) as works:
        works.side.open.clear()
        works.engine.start()
        await works.submit(preference=LATER)
        await works.side.reached.wait()
        stopping = asyncio.create_task(works.engine.stop())
        await asyncio.sleep(0.05)
        assert not stopping.done()
        assert works.store.alive()
        works.side.open.set()
        await stopping
        assert [one.outcome for one in works.heard(Concluded)] == ["created"]
        assert not works.store.alive()
        with pytest.raises(StoreError):
            await works.store.inner.get("1")
        assert works.side.posts == 1
    async with working(tmp_path) as works:
        assert (await works.entry()).state == "created"


@pytest.mark.usefixtures("quick")
async def test_after_the_stop_nothing_works_any_more(tmp_path: Path) -> None:
    """No part is left behind; to stop what was stopped is no fault either."""
    async with working(tmp_path) as works:
        works.engine.start()
        await until(lambda: bool(works.heard(InDoubt)))
        await works.engine.stop()
        told = len(works.told)
        await asyncio.sleep(0.05)
        assert len(works.told) == told
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await works.engine.stop()


async def test_an_outcome_that_could_not_be_written_is_before_the_store_is_closed(tmp_path: Path) -> None:
    """The store comes back while it stops."""
    async with working(tmp_path, chargeover=Side(created("4711"))) as works:
        works.store.arm("replace", *["fails"] * 3)
        submitting = asyncio.create_task(works.submit())
        await until(lambda: bool(works.heard(JournalFailed)))
        await works.engine.stop()
        assert (await submitting).result.outcome == "created"
    async with working(tmp_path) as works:
        entry = await works.entry()
        assert (entry.state, entry.upstream_id) == ("created", "4711")


@pytest.mark.usefixtures("quick")
async def test_what_waits_is_delivered_after_a_restart(tmp_path: Path) -> None:
    """By whoever opens the file next, once."""
    async with working(tmp_path) as works:
        await works.submit(preference=LATER)
        assert works.side.posts == 0
    async with working(tmp_path, clock=works.clock) as again:
        again.engine.start()
        await until(lambda: [one.outcome for one in again.heard(Concluded)] == ["created"])
        assert (again.side.posts, again.side.repeats) == (1, [False])
        assert (await again.submit()).replayed


@pytest.mark.usefixtures("quick")
async def test_what_was_being_sent_is_in_doubt_after_a_restart(tmp_path: Path) -> None:
    """It is looked for at once, and not sent again as if nothing had been."""
    async with working(tmp_path) as works:
        waiting = (await works.submit(preference=LATER)).entry
        sent = stepped(waiting, "sending", works.clock(), due_at=works.clock() + 1e6)
        assert await works.store.inner.replace(await works.entry(), sent)
    async with working(tmp_path, clock=works.clock, chargeover=Side(lookups=[created("77")])) as again:
        again.engine.start()
        await until(lambda: [one.finding for one in again.heard(Reconciled)] == ["adopted"])
        assert (again.side.posts, again.side.looks) == (0, 1)
        assert (await again.entry()).upstream_id == "77"
