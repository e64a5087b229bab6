"""The journal as the gateway uses it: bounded in time, and with a memory for what could not be written at once.

A claim that is not durable is an error: nothing may be sent. An outcome that is not durable is written again and again
in the background: its caller hears the truth all the same, and after a crash the entry is in doubt, not lost.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from msgspec import Struct

from gateway.core.dispatch import claim_of, dispatch_of
from gateway.core.errors import JournalUnavailable, OutcomeUnknown, UpstreamUnavailable
from gateway.core.events import Event, JournalFailed
from gateway.core.journal import Doubts, Entry, State, stepped
from gateway.core.overtaken import OPEN, Rebased, Stands, onto, overtaken
from gateway.core.result import NotSent
from gateway.core.results import kept, made
from gateway.shell.journal import IdTaken, Query, Store, StoreError, UnstorableError
from gateway.shell.patience import Patience
from gateway.shell.tracer import UNTRACED, Tracer

PATIENCE_SECONDS = 5.0
RETRY_SECONDS = (0.05, 0.2, 1.0, 5.0)
LOOK_SECONDS = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
MOST_UNWRITTEN = 10_000
"""Withdrawals that are remembered while the store is out of reach. What is not withdrawn is in doubt, never sent."""

SENDING: frozenset[State] = frozenset(("sending",))

T = TypeVar("T")


class Recorded(Struct, frozen=True):
    """What is true of an entry after an outcome was written; `ours`: it is that outcome, by this very write."""

    entry: Entry
    ours: bool


class Journal:
    """A store, and what still has to be written to it."""

    def __init__(self, store: Store, tell: Callable[[Event], None], tracer: Tracer = UNTRACED) -> None:
        self._store = store
        self._claim = tracer.step("journal claim", store.claim)
        self._advance = tracer.step("journal advance", store.replace)
        self._record = tracer.step("journal record", store.replace)
        self._tell = tell
        self._patience = Patience(PATIENCE_SECONDS)
        self._unwritten: set[asyncio.Task[Any]] = set()
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self.now = store.now
        self.alive = store.alive

    async def claim(self, entry: Entry) -> tuple[bool, Entry]:
        """Take the key for `entry`; see `Store.claim`. Once this returns true, the claim is durable.

        Raises:
            UpstreamUnavailable: it is not, and nothing may be sent.
            OutcomeUnknown: it may be, and if so what waits will be sent.
        """
        try:
            return await self._patience.wait(self._claim(entry))
        except (StoreError, TimeoutError) as error:
            self._failed("claim", error, entry.id)
            if not (isinstance(error, StoreError) and error.unchanged):
                self._unsure(entry)
            raise UpstreamUnavailable("nothing was sent: the gateway's journal cannot be written") from None

    def _unsure(self, entry: Entry) -> None:
        """A claim may have become durable, or become so yet.

        Who waits for its answer is told that nothing was sent, and its key must not stay bound by that. Who left the
        delivery to the gateway cannot be told so: another process may see the claim before it is withdrawn, and send.
        """
        if entry.state == "waiting":
            raise OutcomeUnknown("the gateway's journal may hold the invoice, and then it is delivered") from None
        if len(self._unwritten) < MOST_UNWRITTEN:
            self._begin(self._withdraw(entry))

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
            return await self._patience.wait(self._advance(was, now))
        except (StoreError, TimeoutError) as error:
            self._failed("advance", error, now.id)
            return False

    async def record(
        self, was: Entry, now: Entry, *, otherwise: Callable[[], Entry] | None = None, tried: str = ""
    ) -> Recorded:
        """Write an outcome, at once or as soon as it can be.

        `otherwise` makes what is true instead if the upstream's id in `now` belongs to another entry; `tried` names a
        claim that may have taken the place of `was`, and was never sent.
        """
        try:
            if await self._patience.wait(self._record(was, now)):
                self._wake(now.id)
                return Recorded(now, ours=True)
        except IdTaken:
            pass
        except (StoreError, TimeoutError) as error:
            self._failed("record", error, now.id)
        writing = self._begin(self._write(was, now, otherwise, tried))
        done, _ = await asyncio.wait((writing,), timeout=PATIENCE_SECONDS)
        return writing.result() if done else Recorded(now, ours=True)

    async def _write(self, was: Entry, now: Entry, otherwise: Callable[[], Entry] | None, tried: str) -> Recorded:
        decided_on, failures = was, 0
        while True:
            try:
                if await self._store.replace(was, now):
                    self._wake(now.id)
                    return Recorded(now, ours=True)
                stored = await self._store.get(now.id)
            except IdTaken:
                if otherwise is None:
                    self._contradicted(was, now)
                    return Recorded(was, ours=False)
                now, otherwise = onto(was, otherwise()), None
                continue
            except UnstorableError as error:  # the entry stays in doubt
                self._failed("record", error, now.id)
                return Recorded(now, ours=False)
            except StoreError as error:
                self._failed("record", error, now.id)
                await _pause(failures)
                failures += 1
                continue
            match overtaken(decided_on, stored, now, tried):
                case Stands(entry, ours, contradicts):
                    if contradicts:
                        self._contradicted(stored, now)
                    return Recorded(entry, ours)
                case Rebased(was, now, contradicts):
                    if contradicts:
                        self._contradicted(stored, now)

    async def _withdraw(self, entry: Entry) -> None:
        """Free the key of a claim that nothing was sent under, if it became durable."""
        failures, claim = 0, claim_of(entry)
        while True:
            try:
                stored = await self._store.find(entry.client, entry.external_id)
                if stored is None or stored.state not in OPEN or claim_of(stored) != claim:
                    return
                if await self._store.replace(stored, withdrawn(stored, self._store.now())):
                    return
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

    async def purge(self, before: str, limit: int, *, since: float = math.inf) -> int:
        """Remove the details of old entries; see `Store.purge`.

        Raises:
            JournalUnavailable: they cannot be removed.
        """
        return await self._read("purge", self._store.purge(before, limit, since=since))

    async def close(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Write what is still unwritten, as far as that goes in so many seconds, and close the store."""
        if self._unwritten:
            await asyncio.wait(self._unwritten, timeout=seconds)
        for writing in self._unwritten:
            writing.cancel()
        await self._store.close()

    async def _read(self, operation: str, reading: Coroutine[Any, Any, T]) -> T:
        try:
            return await self._patience.wait(reading)
        except (StoreError, TimeoutError) as error:
            self._failed(operation, error)
            raise JournalUnavailable("the gateway's journal is out of reach") from None

    def _begin(self, writing: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
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
    return stepped(entry, "not_sent", now, result=kept(result))


async def _pause(failures: int) -> None:
    await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
