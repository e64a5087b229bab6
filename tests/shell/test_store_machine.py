"""The SQLite store against a dictionary: whatever is done to both, in whatever order, both hold the same."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
import uvloop
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from gateway.core.journal import FREE, Doubts, Entry, State
from gateway.shell.journal import IdTaken, Query
from gateway.shell.journal.sqlite import SqliteStore
from tests.support.stores import STATES, Clock, entry

T = TypeVar("T")

MEMORY = Path("/dev/shm")  # noqa: S108 - a real file, where it is written fastest
CLIENTS = st.sampled_from(("acme", "other"))
KEYS = st.sampled_from(("one", "two", "three"))
IDS = st.none() | st.sampled_from(("inv_1", "inv_2"))
UPSTREAMS = st.sampled_from(("exsited-sydney", "katsupay-lagos"))
ANY_STATE = st.sampled_from(STATES)
SOON = st.none() | st.integers(-5, 5)
CONCLUDED = ("created", "rejected", "not_sent")


class Model:
    """What a store does, as plainly as it can be said."""

    def __init__(self) -> None:
        self.held: dict[str, Entry] = {}

    def find(self, client: str, external_id: str) -> Entry | None:
        """The entry under this key."""
        return next((one for one in self.held.values() if (one.client, one.external_id) == (client, external_id)), None)

    def claim(self, new: Entry) -> tuple[bool, Entry]:
        """Whether the key was free, and who has it."""
        found = self.find(new.client, new.external_id)
        if found is not None and found.state not in FREE:
            return False, found
        if found is not None:
            new = structs.replace(new, id=found.id, created_at=found.created_at, revision=found.revision + 1)
        self.held[new.id] = new
        return True, new

    def replace(self, was: Entry, now: Entry) -> bool | None:
        """Whether it was; None if the upstream's id is another's."""
        if was.id not in self.held or self.held[was.id].revision != was.revision:
            return False
        others = {(one.upstream, one.upstream_id) for one in self.held.values() if one.id != was.id}
        if now.upstream_id is not None and (now.upstream, now.upstream_id) in others:
            return None
        self.held[was.id] = now
        return True

    def take(self, now: float, owner: str, lease: float, limit: int) -> list[Entry]:
        """What is due."""
        due = [(one.due_at, one.id) for one in self.held.values() if one.due_at is not None and one.due_at <= now]
        ids = [entry_id for _, entry_id in sorted(due)[:limit]]
        for entry_id in ids:
            one = self.held[entry_id]
            if one.state == "sending":
                doubted_at = one.updated_at if one.doubted_at is None else one.doubted_at
                one = structs.replace(one, state="unknown", doubted_at=doubted_at)
            self.held[entry_id] = structs.replace(
                one, owner=owner, due_at=now + lease, updated_at=now, revision=one.revision + 1
            )
        return [self.held[entry_id] for entry_id in ids]

    def purge(self, before: str, limit: int) -> int:
        """How many were emptied."""
        full = [one for one in self.held.values() if one.state in CONCLUDED and one.body and one.id < before]
        chosen = sorted(full, key=lambda one: one.id)[:limit]
        for one in chosen:
            self.held[one.id] = structs.replace(one, body=b"", dispatch=b"", result=b"", response=b"")
        return len(chosen)

    def page(self, query: Query) -> list[Entry]:
        """What is asked for."""
        wanted = [
            structs.replace(one, body=b"", response=b"")
            for one in self.held.values()
            if query.client in (None, one.client)
            and query.external_id in (None, one.external_id)
            and (not query.states or one.state in query.states)
            and (query.after is None or one.id < query.after)
        ]
        return sorted(wanted, key=lambda one: one.id, reverse=True)[: query.limit]

    def doubts(self) -> list[Doubts]:
        """What is in doubt."""
        found: dict[str, list[float]] = {}
        for one in self.held.values():
            if one.state == "unknown":
                found.setdefault(one.upstream, []).append(one.updated_at if one.doubted_at is None else one.doubted_at)
        return [Doubts(upstream, len(since), min(since)) for upstream, since in sorted(found.items())]


class StoreMachine(RuleBasedStateMachine):
    """A store and the model, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory(dir=MEMORY if MEMORY.exists() else None)
        self.loop = uvloop.new_event_loop()
        self.clock = Clock(1_000.0)
        self.store = SqliteStore(Path(self.folder.name) / "journal.db", clock=self.clock)
        self.model = Model()
        self.number = 0

    def ran(self, work: Coroutine[Any, Any, T]) -> T:
        """What came of it."""
        return self.loop.run_until_complete(work)

    def any_id(self, chosen: int) -> str:
        """The id of an entry; of none, if there is none."""
        ids = sorted(self.model.held)
        return ids[chosen % len(ids)] if ids else "none"

    @initialize()
    def open(self) -> None:
        """A fresh file."""
        self.ran(self.store.open())

    @rule(
        client=CLIENTS,
        key=KEYS,
        state=ANY_STATE,
        upstream=UPSTREAMS,
        due=SOON,
        doubt=SOON,
        descending=st.booleans(),
        body=st.sampled_from((b"", b"body")),
    )
    def claim(
        self,
        *,
        client: str,
        key: str,
        state: State,
        upstream: str,
        due: int | None,
        doubt: int | None,
        descending: bool,
        body: bytes,
    ) -> None:
        """A key, in any state, since the store does not judge states; the newest id is not always the highest."""
        self.number += 1
        new = entry(
            -self.number % 1_000 if descending else self.number,
            client=client,
            external_id=key,
            state=state,
            upstream=upstream,
            created_at=self.clock(),
            updated_at=self.clock(),
            due_at=None if due is None else self.clock() + due,
            doubted_at=None if doubt is None else self.clock() + doubt,
            body=body,
        )
        assert self.ran(self.store.claim(new)) == self.model.claim(new)

    @precondition(lambda self: self.model.held)
    @rule(
        chosen=st.integers(0, 99),
        state=ANY_STATE,
        upstream=UPSTREAMS,
        upstream_id=IDS,
        due=SOON,
        stale=st.integers(-1, 1),
        blobs=st.sets(st.sampled_from(("body", "dispatch", "result", "response"))),
    )
    def replace(
        self,
        *,
        chosen: int,
        state: State,
        upstream: str,
        upstream_id: str | None,
        due: int | None,
        stale: int,
        blobs: set[str],
    ) -> None:
        """A step of some entry, from its revision or another one."""
        held = self.model.held[self.any_id(chosen)]
        was = structs.replace(held, revision=held.revision + stale * (chosen % 2))
        now = structs.replace(
            was,
            state=state,
            upstream=upstream,
            upstream_id=upstream_id,
            revision=was.revision + 1,
            due_at=None if due is None else self.clock() + due,
            **{name: f"{name} {chosen}".encode() for name in blobs},
        )
        expected = self.model.replace(was, now)
        if expected is None:
            with pytest.raises(IdTaken):
                self.ran(self.store.replace(was, now))
        else:
            assert self.ran(self.store.replace(was, now)) is expected

    @rule(limit=st.integers(0, 3), lease=st.integers(0, 5), owner=st.sampled_from("ab"))
    def take(self, limit: int, lease: int, owner: str) -> None:
        """What is due now."""
        assert self.ran(self.store.take(owner, lease, limit)) == self.model.take(self.clock(), owner, lease, limit)

    @rule(chosen=st.integers(0, 99), limit=st.integers(0, 3))
    def purge(self, chosen: int, limit: int) -> None:
        """What is older than some entry."""
        before = self.any_id(chosen)
        assert self.ran(self.store.purge(before, limit)) == self.model.purge(before, limit)

    @rule(
        client=st.none() | CLIENTS,
        key=st.none() | KEYS,
        states=st.lists(ANY_STATE, max_size=3).map(tuple),
        after=st.none() | st.integers(0, 99),
        limit=st.integers(1, 4),
    )
    def page(
        self, client: str | None, key: str | None, states: tuple[State, ...], after: int | None, limit: int
    ) -> None:
        """Any query."""
        cursor = None if after is None else self.any_id(after)
        query = Query(client=client, external_id=key, states=states, after=cursor, limit=limit)
        assert self.ran(self.store.page(query)) == self.model.page(query)

    @rule(seconds=st.integers(0, 6))
    def wait(self, seconds: int) -> None:
        """Time goes by."""
        self.clock.seconds += seconds

    @rule()
    def reopen(self) -> None:
        """What is being sent has lost its sender, and is due."""
        self.ran(self.store.close())
        self.ran(self.store.open())
        for one in list(self.model.held.values()):
            if one.state == "sending":
                self.model.held[one.id] = structs.replace(one, due_at=self.clock())

    @invariant()
    def both_hold_the_same(self) -> None:
        """By id, by key, and in doubt."""

        async def same() -> None:
            held, everything = list(self.model.held.values()), Query(limit=1_000)
            page, doubts, *entries = await asyncio.gather(
                self.store.page(everything),
                self.store.doubts(),
                *(self.store.get(one.id) for one in held),
                *(self.store.find(one.client, one.external_id) for one in held),
            )
            assert page == self.model.page(everything)
            assert doubts == self.model.doubts()
            assert entries == held * 2

        if self.store.alive():
            self.ran(same())

    def teardown(self) -> None:
        """Close everything."""
        self.ran(self.store.close())
        self.loop.close()
        self.folder.cleanup()


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=500, stateful_step_count=50)
