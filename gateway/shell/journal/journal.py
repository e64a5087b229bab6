"""The journal as the gateway uses it: bounded in time, and with a memory for what could not be written at once.

A claim that is not durable is an error: nothing may be sent. An outcome that is not durable is written again and again
in the background: its caller hears the truth all the same, and after a crash the entry is in doubt, not lost.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from gateway.core.answer import ENCODER
from gateway.core.errors import JournalUnavailable, UpstreamUnavailable
from gateway.core.events import Event, JournalFailed
from gateway.core.journal import PENDING, Doubts, Entry, State, dispatch_of, stepped
from gateway.core.result import NotSent
from gateway.core.results import made
from gateway.shell.journal import IdTaken, Query, Store, StoreError

PATIENCE_SECONDS = 5.0
RETRY_SECONDS = (0.05, 0.2, 1.0, 5.0)
LOOK_SECONDS = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
MOST_UNWRITTEN = 10_000
"""Withdrawals that are remembered while the store is out of reach. What is not withdrawn is in doubt, never sent."""

SENDING: frozenset[State] = frozenset(("sending",))

T = TypeVar("T")


class Journal:
    """A store, and what still has to be written to it."""

    def __init__(self, store: Store, tell: Callable[[Event], None]) -> None:
        self._store = store
        self._tell = tell
        self._unwritten: set[asyncio.Task[Entry]] = set()
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self.now = store.now
        self.alive = store.alive

    async def claim(self, entry: Entry) -> tuple[bool, Entry]:
        """Take the key for `entry`; see `Store.claim`. Once this returns true, the claim is durable.

        Raises:
            UpstreamUnavailable: it is not, and nothing may be sent.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._store.claim(entry)
        except (StoreError, TimeoutError) as error:
            self._failed("claim", error, entry.id)
            # It may have become durable all the same, or become so yet; its key must not stay bound by what was never
            # sent.
            if len(self._unwritten) < MOST_UNWRITTEN:
                self._begin(self._withdraw(entry))
            raise UpstreamUnavailable("nothing was sent: the gateway's journal cannot be written") from None

    async def change(self, was: Entry, now: Entry) -> bool:
        """Write a step that somebody asked for; false if the entry was changed meanwhile.

        Raises:
            IdTaken: the upstream's id belongs to another entry.
            JournalUnavailable: it is not known to be written.
        """
        changed = await self._read("change", self._store.replace(was, now))
        self._wake(now.id)
        return changed

    async def advance(self, was: Entry, now: Entry) -> bool:
        """Write a step that must be durable before what follows it; false if it is not, and nothing may follow."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._store.replace(was, now)
        except (StoreError, TimeoutError) as error:
            self._failed("advance", error, now.id)
            return False

    async def record(self, was: Entry, now: Entry, otherwise: Callable[[], Entry] | None = None) -> Entry:
        """Write an outcome, at once or as soon as it can be; the entry as it is then.

        `otherwise` makes what is true instead if the upstream's id in `now` belongs to another entry.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                if await self._store.replace(was, now):
                    self._wake(now.id)
                    return now
        except IdTaken:
            pass
        except (StoreError, TimeoutError) as error:
            self._failed("record", error, now.id)
        writing = self._begin(self._write(was, now, otherwise))
        done, _ = await asyncio.wait((writing,), timeout=PATIENCE_SECONDS)
        return writing.result() if done else now

    async def _write(self, was: Entry, now: Entry, otherwise: Callable[[], Entry] | None) -> Entry:
        failures = 0
        while True:
            try:
                if await self._store.replace(was, now):
                    self._wake(now.id)
                    return now
                stored = await self._store.get(now.id)
            except IdTaken:
                if otherwise is None:
                    self._contradicted(was, now)
                    return was
                now, otherwise = _onto(was, otherwise()), None
                continue
            except StoreError as error:
                self._failed("record", error, now.id)
                await _pause(failures)
                failures += 1
                continue
            if stored is not None and stored.state == "unknown" != now.state and stored.dispatch == was.dispatch:
                # Somebody gave this very sending up while its answer was still awaited; here the answer is.
                was, now = stored, _onto(stored, now)
                continue
            if stored is None or (stored.revision == now.revision and stored.state != now.state != "unknown"):
                self._contradicted(stored, now)
            return stored or now  # this very write, whose answer got lost; or somebody settled it

    async def _withdraw(self, entry: Entry) -> Entry:
        failures = 0
        while True:
            try:
                stored = await self._store.find(entry.client, entry.external_id)
                if stored is None or stored.dispatch != entry.dispatch or stored.state not in PENDING:
                    return entry
                if await self._store.replace(stored, withdrawn(stored, self._store.now())):
                    return entry
            except StoreError as error:
                self._failed("withdraw", error, entry.id)
                await _pause(failures)
                failures += 1

    async def ended(self, entry: Entry, seconds: float, states: frozenset[State] = SENDING) -> Entry:
        """Wait until the entry is in none of `states` any more, at most so long; the entry as it is then.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        woken = asyncio.Event()
        self._waiters.setdefault(entry.id, set()).add(woken)
        looks = 0
        try:
            async with asyncio.timeout(seconds):
                while entry.state in states:
                    # Another process may be the one that sends it, so do not only wait to be woken.
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS[min(looks, len(LOOK_SECONDS) - 1)]):
                            await woken.wait()
                    entry = await self.get(entry.id) or entry
                    looks += 1
        except TimeoutError:
            pass
        finally:
            self._waiters[entry.id].discard(woken)
            if not self._waiters[entry.id]:
                del self._waiters[entry.id]
        return entry

    async def get(self, entry_id: str) -> Entry | None:
        """The entry with this id.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        return await self._read("get", self._store.get(entry_id))

    async def find(self, client: str, external_id: str) -> Entry | None:
        """The entry under this key.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        return await self._read("find", self._store.find(client, external_id))

    async def page(self, query: Query) -> list[Entry]:
        """Entries, newest first.

        Raises:
            JournalUnavailable: they cannot be read.
        """
        return await self._read("page", self._store.page(query))

    async def take(self, owner: str, lease: float, limit: int) -> list[Entry]:
        """Entries that are due; see `Store.take`.

        Raises:
            JournalUnavailable: they cannot be taken.
        """
        return await self._read("take", self._store.take(owner, lease, limit))

    async def doubts(self) -> list[Doubts]:
        """What is in doubt, by upstream.

        Raises:
            JournalUnavailable: it cannot be read.
        """
        return await self._read("doubts", self._store.doubts())

    async def purge(self, before: str, limit: int) -> int:
        """Remove the details of old entries; see `Store.purge`.

        Raises:
            JournalUnavailable: they cannot be removed.
        """
        return await self._read("purge", self._store.purge(before, limit))

    async def close(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Write what is still unwritten, as far as that goes in so many seconds, and close the store."""
        if self._unwritten:
            await asyncio.wait(self._unwritten, timeout=seconds)
        for writing in self._unwritten:
            writing.cancel()
        await self._store.close()

    async def _read(self, operation: str, reading: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await reading
        except (StoreError, TimeoutError) as error:
            self._failed(operation, error)
            raise JournalUnavailable("the gateway's journal is out of reach") from None

    def _begin(self, writing: Coroutine[Any, Any, Entry]) -> asyncio.Task[Entry]:
        task = asyncio.create_task(writing)
        self._unwritten.add(task)
        task.add_done_callback(self._unwritten.discard)
        return task

    def _wake(self, entry_id: str) -> None:
        for woken in self._waiters.get(entry_id, ()):
            woken.set()

    def _contradicted(self, stored: Entry | None, now: Entry) -> None:
        state = "nothing" if stored is None else stored.state
        self._tell(JournalFailed("contradiction", f"{now.state} came of it, and {state} is stored", now.id))

    def _failed(self, operation: str, error: Exception, invoice: str | None = None) -> None:
        detail = str(error) or f"no answer within {PATIENCE_SECONDS:g} s"
        self._tell(JournalFailed(operation, detail, invoice))


def withdrawn(entry: Entry, now: float) -> Entry:
    """An entry that was claimed, and whose claim was given up before anything was sent."""
    outcome = NotSent("journal", "the claim did not become durable in time")
    dispatch = dispatch_of(entry)
    result = made(entry, dispatch, outcome, now, dispatch.attempts)
    return stepped(entry, "not_sent", now, result=ENCODER.encode(result))


def _onto(stored: Entry, now: Entry) -> Entry:
    """What `now` says, as a step from `stored`."""
    return stepped(
        stored,
        now.state,
        now.updated_at,
        due_at=now.due_at,
        upstream_id=now.upstream_id,
        dispatch=now.dispatch,
        result=now.result,
        response=now.response,
    )


async def _pause(failures: int) -> None:
    await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
