"""The worker at its edges: how much it takes, what it lets finish, and who asks while it works."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import structs

from gateway.core.errors import JournalUnavailable
from gateway.core.events import InDoubt, Purged, Reconciled
from gateway.core.journal import Entry
from gateway.core.result import Absent, Rejected
from gateway.core.results import stored
from gateway.shell import reconcile
from gateway.shell.journal import StoreError
from gateway.shell.journal.opening import store_of
from gateway.shell.journal.sqlite import SqliteStore
from tests.support.engines import (
    BILLING,
    FIRST,
    LATER,
    POLICY,
    QUIET,
    TIMEOUT,
    UNKNOWN,
    Side,
    Works,
    created,
    until,
    working,
)
from tests.support.running import NAMES, invoice


async def waiting(works: Works, keys: Sequence[str]) -> None:
    """Invoices that wait, at an upstream that takes them and does not answer; the oldest first."""
    works.side.open.clear()
    for key in keys:
        await works.submit(preference=LATER, external_id=key)
        works.clock.seconds += 1.0


async def test_so_much_is_worked_on_at_once_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first; what is taken is not taken again, and the rest is another process's as well."""
    monkeypatch.setattr(reconcile, "SPARE", 0)
    side = Side(created("1"), created("2"), created("3"))
    others = set(NAMES.values()) - {FIRST}
    async with working(tmp_path, fallback=False, places=2, gone=others, chargeover=side) as works:
        await waiting(works, ["a", "b", "c"])
        for _ in range(3):
            await works.engine.reconciler.round()
            await asyncio.sleep(0.02)
        assert side.posts == 2
        assert [(await works.entry(key)).state for key in "abc"] == ["sending", "sending", "waiting"]
        side.open.set()
        await works.engine.reconciler.finish()
        await works.work()
        assert [(await works.entry(key)).state for key in "abc"] == ["created"] * 3


async def test_an_upstream_that_hangs_does_not_keep_the_others_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More is due for it than the worker begins beyond all places; what is due elsewhere is begun in the next round."""
    monkeypatch.setattr(reconcile, "SPARE", 1)
    async with working(tmp_path, fallback=False, places=1) as works:
        await waiting(works, ["a", "b", "c"])
        body = json.dumps(invoice("katsupay", external_id="elsewhere")).encode()
        await works.engine.gateway.submit(body, None, BILLING, "request", LATER)
        for _ in range(3):
            await works.engine.reconciler.round()
            await asyncio.sleep(0.02)
        assert (await works.entry("elsewhere")).state == "created"
        assert (await works.entry("a")).state == "sending"


async def test_what_is_taken_is_nobody_elses_until_every_upstream_had_its_time(tmp_path: Path) -> None:
    """As long as the slowest exchange, and the time to write what came of it."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        await works.submit()
        works.clock.seconds += 1.0
        works.side.open.clear()
        await works.engine.reconciler.round()
        await asyncio.sleep(0.02)
        works.clock.seconds += TIMEOUT + 5.0 - 0.5
        assert await works.store.inner.take("another", 60.0, 10) == []
        works.clock.seconds += 0.5
        assert len(await works.store.inner.take("another", 60.0, 10)) == 1


async def test_what_is_being_worked_on_is_not_begun_again(tmp_path: Path) -> None:
    """Its time is over and it is taken again, but this process still works on it."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        await works.submit()
        works.clock.seconds += 1.0
        works.side.open.clear()
        await works.engine.reconciler.round()
        await asyncio.sleep(0.02)
        works.clock.seconds += TIMEOUT + 5.0
        await works.engine.reconciler.round()
        await asyncio.sleep(0.02)
        assert works.side.looks == 1


async def test_a_round_without_a_store_says_so(tmp_path: Path) -> None:
    """Whoever leads the rounds has to know."""
    async with working(tmp_path) as works:
        works.store.arm("take", "fails")
        with pytest.raises(JournalUnavailable):
            await works.engine.reconciler.round()
        await works.engine.reconciler.finish()


async def test_a_dead_senders_doubt_that_nobody_can_be_asked_about_waits_for_an_operator(tmp_path: Path) -> None:
    """Its claim ended: from then on it is in doubt since it was claimed, and nothing is due."""
    async with working(tmp_path, chargeover=Side(lookups=None)) as works:
        sending = await works.held()
        began = works.clock()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await works.work(TIMEOUT + 5.0)
        entry = await works.entry()
        assert (entry.state, entry.due_at, entry.doubted_at) == ("unknown", None, began)
        assert stored(entry).outcome == "unknown"
        assert stored(entry).upstream.message == "the gateway did not live to see the answer"
        await works.work(86_400.0)
        assert await works.entry() == entry
        assert works.side.looks == 0


async def test_a_doubt_keeps_its_age_through_every_check(tmp_path: Path) -> None:
    """Since it began, not since it was last looked into."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=(UNKNOWN, UNKNOWN, created("1")))) as works:
        await works.submit()
        for seconds in (1.0, 5.0, 30.0):
            await works.work(seconds)
        assert [event.age for event in works.heard(Reconciled)] == [1.0, 6.0, 36.0]


async def test_an_absence_is_judged_by_when_it_was_asked_for(tmp_path: Path) -> None:
    """Not by when the answer came: it may have appeared in between."""
    side = Side(UNKNOWN, lookups=(Absent("nothing"),))
    async with working(tmp_path, chargeover=side) as works:
        await works.submit()
        works.clock.seconds += QUIET - 1.0
        slow = 0

        async def slowly() -> None:
            nonlocal slow
            works.clock.seconds += 5.0
            slow += 1

        side.before = slowly
        await works.work()
        assert (await works.entry()).state == "unknown"
        await works.work(1.0)
        assert (slow, (await works.entry()).state) == (2, "not_sent")


async def test_a_caller_and_the_worker_settle_a_doubt_once(tmp_path: Path) -> None:
    """Both ask, both hear the same: one entry, one id."""
    side = Side(UNKNOWN, lookups=(created("5"),))
    async with working(tmp_path, chargeover=side) as works:
        await works.submit()
        works.clock.seconds += 1.0
        side.open.clear()
        await works.engine.reconciler.round()
        asking = asyncio.create_task(works.submit())
        await until(lambda: side.looks == 2)
        side.open.set()
        answer = await asking
        await works.engine.reconciler.finish()
        entry: Entry = await works.entry()
        assert (entry.state, entry.upstream_id) == ("created", "5")
        assert answer.result == stored(entry)


async def test_an_operators_word_is_not_changed_by_a_late_answer_to_the_worker(tmp_path: Path) -> None:
    """The lookup was under way when it came."""
    side = Side(UNKNOWN, lookups=(Rejected(200, "taken", "another's"),))
    async with working(tmp_path, chargeover=side) as works:
        await works.submit()
        works.clock.seconds += 1.0
        side.open.clear()
        await works.engine.reconciler.round()
        await until(lambda: side.looks == 1)
        was = await works.entry()
        word = structs.replace(was, state="created", upstream_id="5", revision=was.revision + 1, due_at=None)
        assert await works.store.inner.replace(was, word)
        side.open.set()
        await works.engine.reconciler.finish()
        entry = await works.entry()
        assert (entry.state, entry.upstream_id, entry.upstream) == ("created", "5", FIRST)


# ------------------------------------------------------------------ what it tells of doubts

NONE = dict.fromkeys(NAMES.values(), (0, 0.0))


async def test_a_doubt_at_an_upstream_that_is_gone_is_told_too(tmp_path: Path) -> None:
    """It is still a doubt, and has its age."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        await works.submit()
    works.clock.seconds += 0.5
    async with working(tmp_path, clock=works.clock, gone=(FIRST,)) as works:
        works.engine.start()
        await until(lambda: bool(works.heard(InDoubt)))
        assert works.heard(InDoubt)[0].doubts == NONE | {FIRST: (1, 0.5)}


async def test_doubts_are_told_every_few_seconds_and_not_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are a question to the store."""
    monkeypatch.setattr(reconcile, "POLL_SECONDS", 0.01)
    async with working(tmp_path) as works:
        works.engine.start()
        await until(lambda: bool(works.heard(InDoubt)))
        await asyncio.sleep(0.06)
        assert [event.doubts for event in works.heard(InDoubt)] == [NONE]
        works.clock.seconds += reconcile.TELL_SECONDS
        await until(lambda: len(works.heard(InDoubt)) == 2)


async def test_details_are_removed_when_the_policy_says(tmp_path: Path) -> None:
    """In the background, from the start on; what is younger keeps its own."""
    async with working(tmp_path, chargeover=Side(created("1"), created("2"))) as works:
        await works.submit()
        works.clock.seconds += POLICY.keep_bodies - 1.0
        await works.submit(external_id="young")
    works.clock.seconds += 2.0
    async with working(tmp_path, clock=works.clock) as works:
        works.engine.start()
        await until(lambda: bool(works.heard(Purged)))
        assert works.heard(Purged) == [Purged(1)]
        assert (await works.entry()).body == b""
        young = await works.entry("young")
        assert (young.state, young.body != b"") == ("created", True)


# ------------------------------------------------------------------ which store


def test_a_path_is_relative_to_the_configuration(tmp_path: Path) -> None:
    """Or absolute, after `sqlite://`."""
    for url, path in (("sqlite://a/b.db", tmp_path / "a/b.db"), ("sqlite:///srv/b.db", Path("/srv/b.db"))):
        store = store_of(url, tmp_path, lambda _, __: None)
        assert isinstance(store, SqliteStore)
        assert store.path == path


@pytest.mark.parametrize("url", ["mysql://host/db", "journal.db", "", "sqlite:/x"])
def test_a_store_that_nobody_knows_is_refused(url: str, tmp_path: Path) -> None:
    """Saying which there are; never the URL itself, which may hold a password."""
    with pytest.raises(StoreError, match=r"sqlite:// and a path, or postgresql://"):
        store_of(url, tmp_path, lambda _, __: None)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_postgresql_has_a_store_of_its_own(scheme: str, tmp_path: Path) -> None:
    """It is not opened by being made."""
    store = store_of(f"{scheme}://somebody@127.0.0.1:1/none", tmp_path, lambda _, __: None)
    assert type(store).__name__ == "PostgresStore"
    assert not store.alive()
