"""The journal as the gateway uses it: bounded in time, never silent about what it could not do, and it writes on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from gateway.core.dispatch import packed
from gateway.core.errors import JournalUnavailable
from gateway.core.events import Event, JournalFailed
from gateway.core.journal import PENDING, Entry, State, stepped
from gateway.shell.journal import IdTaken, Query
from gateway.shell.journal import journal as module
from gateway.shell.journal.journal import Journal, Recorded
from gateway.shell.journal.sqlite import SqliteStore
from tests.core.entries import dispatch
from tests.support.engines import Gated, until
from tests.support.stores import Clock, entry

READS: dict[str, Callable[[Journal], Awaitable[object]]] = {
    "get": lambda journal: journal.get("1"),
    "find": lambda journal: journal.find("acme", "1"),
    "page": lambda journal: journal.page(Query()),
    "take": lambda journal: journal.take("me", 1.0, 1),
    "doubts": lambda journal: journal.doubts(),
    "purge": lambda journal: journal.purge("1", 1),
    "change": lambda journal: journal.change(entry(), entry()),
}


class Desk:
    """A journal over a store that can be troubled, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.db"
        self.store = Gated(SqliteStore(self.path, Clock()))
        self.told: list[Event] = []
        self.journal = Journal(self.store, self.told.append)

    def failed(self) -> list[str]:
        """The operations that failed."""
        return [event.operation for event in self.told if isinstance(event, JournalFailed)]

    async def put(self, state: State = "sending", **changes: Any) -> Entry:
        """An entry in the file."""
        made = entry(state=state, **changes)
        ours, held = await self.store.inner.claim(made)
        assert ours
        return held


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """A journal that waits for its store no longer than a test does."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.01,))
    made = Desk(tmp_path)
    await made.store.open()
    yield made
    made.store.mend()
    await made.journal.close()


def ended(was: Entry, state: State, **changes: Any) -> Entry:
    """The entry after an outcome."""
    return stepped(was, state, was.updated_at + 1.0, **({"result": state.encode()} | changes))


async def recorded(desk: Desk, was: Entry, now: Entry, **more: Any) -> Entry:
    """What is true of the entry after an outcome was written."""
    return (await desk.journal.record(was, now, **more)).entry


def saying(made: Entry) -> Callable[[], Entry]:
    """A function that answers with the entry."""
    return lambda: made


# ------------------------------------------------------------------ what cannot be read or asked


@pytest.mark.parametrize("trouble", ["fails", "hangs"])
@pytest.mark.parametrize("operation", READS)
async def test_a_store_that_cannot_be_used_is_a_problem_and_no_wait(operation: str, trouble: str, desk: Desk) -> None:
    """503 after a while at most, and the operation that failed is told."""
    desk.store.arm("replace" if operation == "change" else operation, trouble)
    async with asyncio.timeout(2):
        with pytest.raises(JournalUnavailable):
            await READS[operation](desk.journal)
    assert desk.failed() == [operation]


async def test_a_failure_is_told_with_what_it_was_about(desk: Desk) -> None:
    """The entry's id, and the store's words; where it said none, that it said none."""
    was = await desk.put()
    desk.store.arm("replace", "fails", "hangs")
    assert not await desk.journal.advance(was, ended(was, "created"))
    assert not await desk.journal.advance(was, ended(was, "created"))
    assert desk.told == [
        JournalFailed("advance", "the disk is gone", was.id),
        JournalFailed("advance", "no answer within 0.2 s", was.id),
    ]


async def test_a_change_tells_whether_it_was_made(desk: Desk) -> None:
    """Only to the revision that it was decided on; an id that is another's is its own answer."""
    was = await desk.put("unknown")
    assert await desk.journal.change(was, ended(was, "not_sent"))
    assert not await desk.journal.change(was, ended(was, "created"))
    await desk.put("created", upstream_id="7")
    other = await desk.put("unknown")
    with pytest.raises(IdTaken):
        await desk.journal.change(other, ended(other, "created", upstream_id="7"))
    assert desk.failed() == []


# ------------------------------------------------------------------ outcomes


@pytest.mark.parametrize("trouble", ["fails", "loses"])
async def test_an_outcome_is_written_until_it_is(trouble: str, desk: Desk) -> None:
    """However often the store fails; each time is told, and there is one outcome in the end."""
    was = await desk.put()
    desk.store.arm("replace", trouble, "fails", "fails")
    now = ended(was, "created", upstream_id="1")
    known = await recorded(desk, was, now)
    assert known == now
    await until(lambda: len(desk.failed()) == 3)
    assert set(desk.failed()) == {"record"}
    assert await desk.journal.get(was.id) == now


async def test_an_outcome_of_another_entrys_id_is_what_is_true_instead(desk: Desk) -> None:
    """The doubt that the caller of `record` makes of it; also where the store failed first."""
    await desk.put("created", upstream_id="7")
    for troubles in ([], ["fails"], ["loses"]):
        was = await desk.put()
        desk.store.arm("replace", *troubles)
        doubt = ended(was, "unknown", due_at=5.0)
        known = await recorded(desk, was, ended(was, "created", upstream_id="7"), otherwise=saying(doubt))
        assert known == await desk.journal.get(was.id) == doubt


async def test_an_id_that_is_taken_where_nothing_else_is_true_is_a_contradiction(desk: Desk) -> None:
    """It is told, and nothing is changed."""
    await desk.put("created", upstream_id="7")
    was = await desk.put()
    assert await recorded(desk, was, ended(was, "created", upstream_id="7")) == was
    assert desk.failed() == ["contradiction"]
    assert await desk.journal.get(was.id) == was


async def test_the_doubt_of_this_very_sending_is_settled_by_its_answer(desk: Desk) -> None:
    """Somebody else took it for lost."""
    was = await desk.put()
    doubt = ended(was, "unknown", due_at=9.0, result=b"")
    assert await desk.store.replace(was, doubt)
    now = ended(was, "created", upstream_id="1")
    known = await recorded(desk, was, now)
    assert (known.state, known.result, known.upstream_id, known.due_at) == ("created", now.result, "1", None)
    assert known.revision == 3
    assert await desk.journal.get(was.id) == known
    assert desk.failed() == []


async def test_the_doubt_of_another_sending_is_left_alone(desk: Desk) -> None:
    """What became of one claim says nothing of the next under the same key."""
    was = await desk.put(dispatch=packed(dispatch(claim="the first")))
    doubt = ended(was, "unknown", dispatch=packed(dispatch(claim="the second")))
    assert await desk.store.replace(was, doubt)
    assert await recorded(desk, was, ended(was, "rejected")) == doubt
    assert await desk.journal.get(was.id) == doubt
    assert desk.failed() == []


async def test_what_was_created_is_said_even_if_its_key_is_anothers_by_now(desk: Desk) -> None:
    """It was believed absent, and is sent again: two may exist, and an operator has to look."""
    was = await desk.put(dispatch=packed(dispatch(claim="the first")))
    other = ended(was, "unknown", dispatch=packed(dispatch(claim="the second")))
    assert await desk.store.replace(was, other)
    now = ended(was, "created", upstream_id="1")
    assert await desk.journal.record(was, now) == Recorded(now, ours=False)
    assert await desk.journal.get(was.id) == other
    assert desk.failed() == ["contradiction"]


async def test_a_doubt_settles_nothing(desk: Desk) -> None:
    """Who does not know either leaves what is known, or doubted, as it is."""
    states: tuple[State, ...] = ("unknown", "created")
    for state in states:
        was = await desk.put()
        known = ended(was, state)
        assert await desk.store.replace(was, known)
        assert await recorded(desk, was, ended(was, "unknown", due_at=77.0)) == known
    assert desk.failed() == []


async def test_an_invoice_that_was_created_after_all_takes_the_place_of_what_was_believed(desk: Desk) -> None:
    """Its key is bound again before anybody sends it a second time; an operator has to look."""
    was = await desk.put()
    assert await desk.store.replace(was, ended(was, "not_sent"))
    known = await desk.journal.record(was, ended(was, "created", upstream_id="1"))
    assert (known.entry.state, known.entry.upstream_id, known.ours) == ("created", "1", True)
    assert await desk.journal.get(was.id) == known.entry
    assert desk.told == [JournalFailed("contradiction", "created came of it, and not_sent is stored", was.id)]


async def test_what_was_created_stays_so(desk: Desk) -> None:
    """Whatever else is said of the same sending; that is a contradiction."""
    was = await desk.put()
    first = ended(was, "created", upstream_id="1")
    assert await desk.store.replace(was, first)
    assert await desk.journal.record(was, ended(was, "not_sent")) == Recorded(first, ours=False)
    assert desk.told == [JournalFailed("contradiction", "not_sent came of it, and created is stored", was.id)]


async def test_who_wrote_first_is_told_so(desk: Desk) -> None:
    """Only one of two, so that money is counted once; also where the word of its write was lost."""
    for troubles in ([], ["loses"]):
        was = await desk.put()
        desk.store.arm("replace", *troubles)
        first = await desk.journal.record(was, ended(was, "created", result=b"first"))
        second = await desk.journal.record(was, ended(was, "created", result=b"second"))
        assert (first.ours, second.ours, second.entry) == (True, False, first.entry)


async def test_a_stand_in_that_was_never_sent_gives_its_place_back(desk: Desk) -> None:
    """The word of its claim was lost: what is true is what became of the first."""
    was = await desk.put(dispatch=packed(dispatch(claim="the first")))
    stand_in = ended(was, "sending", upstream="mute", dispatch=packed(dispatch(claim="the second")), result=b"")
    desk.store.arm("replace", "loses")
    assert not await desk.journal.advance(was, stand_in)
    now = ended(was, "not_sent")
    known = await recorded(desk, was, now, tried="the second")
    assert (known.state, known.upstream, known.dispatch) == ("not_sent", was.upstream, was.dispatch)
    assert await desk.journal.get(was.id) == known


async def test_what_the_store_can_never_hold_is_given_up(desk: Desk) -> None:
    """It would be tried for ever; the entry is in doubt, and its caller hears the truth."""
    was = await desk.put()
    now = ended(was, "created", upstream_id="1", checks=2**70)
    assert await desk.journal.record(was, now) == Recorded(now, ours=False)
    assert desk.failed() == ["record"] * 2
    assert await desk.journal.get(was.id) == was


async def test_an_outcome_of_an_entry_that_is_not_there_is_a_contradiction(desk: Desk) -> None:
    """As after a restore from a backup; the caller hears its outcome all the same."""
    was = entry()
    now = ended(was, "created")
    assert await recorded(desk, was, now) == now
    assert desk.told == [JournalFailed("contradiction", "created came of it, and nothing is stored", was.id)]


async def test_nobody_waits_for_an_outcome_that_cannot_be_written(desk: Desk) -> None:
    """It goes on in the background, while the truth is told."""
    was = await desk.put()
    desk.store.down = True
    now = ended(was, "created", upstream_id="1")
    async with asyncio.timeout(2):
        assert await recorded(desk, was, now) == now
    assert await desk.store.inner.get(was.id) == was
    desk.store.mend()
    for _ in range(200):
        if (held := await desk.store.inner.get(was.id)) == now:
            break
        await asyncio.sleep(0.005)
    assert held == now


# ------------------------------------------------------------------ waiting for somebody else


async def test_who_waits_is_woken_by_the_outcome(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written here, by whichever way: it need not look for it."""
    monkeypatch.setattr(module, "LOOK_SECONDS", (60.0,))
    for write in (desk.journal.record, desk.journal.change):
        was = await desk.put()
        waiting = asyncio.create_task(desk.journal.ended(was, 60.0))
        await asyncio.sleep(0.01)
        now = ended(was, "created")
        await write(was, now)
        async with asyncio.timeout(2):
            assert await waiting == now


async def test_an_outcome_written_late_wakes_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store failed first."""
    monkeypatch.setattr(module, "LOOK_SECONDS", (60.0,))
    was = await desk.put()
    waiting = asyncio.create_task(desk.journal.ended(was, 60.0))
    await asyncio.sleep(0.01)
    desk.store.arm("replace", "fails")
    now = ended(was, "created")
    await recorded(desk, was, now)
    async with asyncio.timeout(2):
        assert await waiting == now


async def test_who_waits_goes_on_waiting_while_it_is_only_another_step(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put off is no end for who waits for one, and is one for who waits only while it is sent."""
    monkeypatch.setattr(module, "LOOK_SECONDS", (0.01,))
    was = await desk.put()
    patient = asyncio.create_task(desk.journal.ended(was, 60.0, PENDING))
    hurried = asyncio.create_task(desk.journal.ended(was, 60.0))
    await asyncio.sleep(0.01)
    waiting = ended(was, "waiting", due_at=1.0)
    await recorded(desk, was, waiting)
    assert await hurried == waiting
    await asyncio.sleep(0.05)
    assert not patient.done()
    await desk.journal.record(waiting, now := ended(waiting, "not_sent"))
    assert await patient == now


async def test_nobody_waits_longer_than_told(desk: Desk) -> None:
    """The entry as it is then; nothing is left behind of those who waited."""
    was = await desk.put()
    async with asyncio.timeout(2):
        assert await desk.journal.ended(was, 0.03) == was
        assert await desk.journal.ended(was, 0.0) == was
        assert await desk.journal.ended(structs.replace(was, state="created"), 60.0) != was
    assert desk.journal._waiters == {}  # noqa: SLF001 - what must not grow


async def test_who_waits_hears_that_the_journal_is_out_of_reach(desk: Desk) -> None:
    """It cannot say what became of it."""
    was = await desk.put()
    desk.store.down = True
    with pytest.raises(JournalUnavailable):
        await desk.journal.ended(was, 60.0)


# ------------------------------------------------------------------ the end


async def test_what_is_unwritten_is_written_before_the_end(desk: Desk) -> None:
    """The store came back just in time."""
    was = await desk.put()
    desk.store.down = True
    now = ended(was, "created", upstream_id="1")
    await recorded(desk, was, now)
    closing = asyncio.create_task(desk.journal.close(5.0))
    await asyncio.sleep(0.02)
    assert not closing.done()
    desk.store.mend()
    await closing
    store = SqliteStore(desk.path, Clock())
    await store.open()
    assert await store.get(was.id) == now
    await store.close()


async def test_the_end_waits_for_no_store_that_stays_away(desk: Desk) -> None:
    """What is unwritten then is in doubt after the next start, not lost."""
    was = await desk.put()
    desk.store.down = True
    await recorded(desk, was, ended(was, "created"))
    async with asyncio.timeout(2):
        await desk.journal.close(0.05)
    assert not desk.journal.alive()
    store = SqliteStore(desk.path, Clock())
    await store.open()
    (taken,) = await store.take("me", 1.0, 10)
    assert (taken.id, taken.state) == (was.id, "unknown")
    await store.close()
