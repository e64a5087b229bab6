"""Retention: the details of old invoices go, their names and outcomes stay for ever."""

from pathlib import Path

import pytest

from gateway.core.errors import ExternalIdReused
from gateway.core.events import Purged
from gateway.shell import retention
from gateway.shell.retention import Retention
from tests.support.engines import LATER, UNKNOWN, Side, created, working

KEPT = 86_400.0


async def test_a_name_outlives_the_details(tmp_path: Path) -> None:
    """The same invoice is still a replay, with its id at the upstream; other content is still refused."""
    async with working(tmp_path, chargeover=Side(created("77"))) as works:
        once = await works.submit()
        work = Retention(works.engine.journal, works.told.append, KEPT)
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
        await Retention(works.engine.journal, works.told.append, KEPT).round()
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
        await Retention(works.engine.journal, works.told.append, KEPT).round()
        assert works.heard(Purged) == [Purged(5)]
