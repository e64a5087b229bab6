"""Retention: the details of old invoices go, their names and outcomes stay for ever."""

import asyncio
from pathlib import Path

import pytest

from gateway.core.errors import ExternalIdReused, JournalUnavailable
from gateway.core.events import JournalFailed, Purged
from gateway.core.results import stored
from gateway.shell import retention
from gateway.shell.retention import Retention
from tests.support.engines import (
    LATER,
    NOT_SENT,
    REJECTED,
    ROOT,
    UNKNOWN,
    Script,
    Side,
    created,
    until,
    working,
)

KEPT = 86_400.0


async def test_a_name_outlives_the_details(tmp_path: Path) -> None:
    """The same invoice is still a replay, with its id at the upstream; other content is still refused."""
    async with working(tmp_path, chargeover=Side(created("77"))) as works:
        once = await works.submit()
        work = Retention(works.engine.current, works.engine.journal, works.told.append)
        await work.round()
        assert (await works.entry()).body
        works.clock.seconds += KEPT + 1.0
        await work.round()
        entry = await works.entry()
        assert (entry.body, entry.dispatch, entry.result, entry.response) == (b"", b"", b"", b"")
        again = await works.submit()
        assert (again.replayed, again.result.outcome, again.result.id) == (True, "created", once.result.id)
        assert again.result.invoice is not None
        assert again.result.invoice.id == "77"
        assert [one.code for one in again.result.warnings] == ["purged"]
        with pytest.raises(ExternalIdReused):
            await works.submit(note="another")
        assert works.side.posts == 1
        assert works.heard(Purged) == [Purged(1)]


async def test_what_is_not_over_keeps_its_details(tmp_path: Path) -> None:
    """What is in doubt has to be looked up by them, what waits has to be sent."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        await works.submit(external_id="doubt")
        await works.submit(external_id="waits", preference=LATER)
        works.clock.seconds += 10 * KEPT
        await Retention(works.engine.current, works.engine.journal, works.told.append).round()
        for key in ("doubt", "waits"):
            assert (await works.entry(key)).body
        assert works.heard(Purged) == []


async def test_much_is_removed_a_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody waits long behind it."""
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    async with working(tmp_path, chargeover=Side(*(created(str(number)) for number in range(6)))) as works:
        for number in range(5):
            await works.submit(external_id=f"key-{number}")
        works.clock.seconds += KEPT + 1.0
        await Retention(works.engine.current, works.engine.journal, works.told.append).round()
        assert works.heard(Purged) == [Purged(5)]


async def test_what_is_not_old_yet_is_kept(tmp_path: Path) -> None:
    """To the second; where nothing was removed nothing is told."""
    async with working(tmp_path) as works:
        before = (await works.submit()).entry
        work = Retention(works.engine.current, works.engine.journal, works.told.append)
        works.clock.seconds += KEPT
        await work.round()
        assert await works.entry() == before
        works.clock.seconds += 1
        await work.round()
        await work.round()
        assert works.heard(Purged) == [Purged(1)]


@pytest.mark.parametrize(("said", "outcome"), [(REJECTED, "rejected"), (NOT_SENT, "not_sent")])
async def test_a_name_that_was_free_stays_so(said: Script, outcome: str, tmp_path: Path) -> None:
    """What became of it can still be read; it is sent again as any other, under the same id."""
    async with working(tmp_path, fallback=False, chargeover=Side(said, created("2"))) as works:
        first = (await works.submit()).result
        works.clock.seconds += KEPT + 1
        await Retention(works.engine.current, works.engine.journal, works.told.append).round()
        left = stored(await works.engine.records.read(first.id, ROOT))
        assert (left.id, left.outcome, left.external_id, left.invoice) == (first.id, outcome, first.external_id, None)
        again = await works.submit(note="corrected")
        assert (again.result.outcome, again.result.id, again.replayed) == ("created", first.id, False)
        assert (await works.entry()).body


async def test_what_is_being_sent_keeps_its_details(tmp_path: Path) -> None:
    """However long it takes, its outcome finds all that it needs."""
    async with working(tmp_path) as works:
        sending = await works.held()
        works.clock.seconds += 10 * KEPT
        before = await works.entry()
        await Retention(works.engine.current, works.engine.journal, works.told.append).round()
        assert await works.entry() == before
        assert works.heard(Purged) == []
        works.side.open.set()
        assert (await sending).result.outcome == "created"


async def test_an_outage_is_told_and_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next time it goes on."""
    monkeypatch.setattr(retention, "EVERY_SECONDS", 0.01)
    async with working(tmp_path) as works:
        await works.submit()
        works.clock.seconds += KEPT + 1
        work = Retention(works.engine.current, works.engine.journal, works.told.append)
        works.store.arm("purge", "fails")
        with pytest.raises(JournalUnavailable):
            await work.round()
        works.store.arm("purge", "fails", "fails")
        running = asyncio.create_task(work.run())
        await until(lambda: bool(works.heard(Purged)))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert [failed.operation for failed in works.heard(JournalFailed)] == ["purge"] * 3
        assert works.heard(Purged) == [Purged(1)]


async def test_a_key_that_is_used_again_keeps_its_details_from_then_on(tmp_path: Path) -> None:
    """Refused long ago, corrected and created today: the result of today stays readable as long as any other."""
    async with working(tmp_path, chargeover=Side(REJECTED, created("2"))) as works:
        await works.submit()
        works.clock.seconds += KEPT * 2
        await works.submit(note="corrected")
        work = Retention(works.engine.current, works.engine.journal, works.told.append)
        await work.round()
        assert (await works.entry()).result
        works.clock.seconds += KEPT + 1
        await work.round()
        assert not (await works.entry()).result
