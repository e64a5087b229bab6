"""A store of the simulation: entries in memory that survive their process, and a process that can die at each step."""

import math
from collections.abc import Awaitable, Callable

from msgspec import structs

from gateway.core.journal import FREE, Doubts, Entry
from gateway.shell.journal import IdTaken, Query

Step = Callable[[str], Awaitable[None]]
"""Waits, and may fail with `StoreError` or never come back; told which step it is."""


class Disk:
    """What is durable."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.keys: dict[tuple[str, str], str] = {}

    def find(self, client: str, external_id: str) -> Entry | None:
        """The entry under this key."""
        found = self.keys.get((client, external_id))
        return None if found is None else self.entries[found]


class DiskStore:
    """A `Store` over a disk. Each operation has a step before it is durable and one before it is answered."""

    def __init__(self, disk: Disk, step: Step, clock: Callable[[], float], *, exclusive: bool) -> None:
        self._disk = disk
        self._step = step
        self.now = clock
        self._exclusive = exclusive

    def alive(self) -> bool:
        """Always: its death is its process's."""
        return True

    async def open(self) -> None:
        """Whoever opens an exclusive store is alone: what was being sent has lost its sender."""
        if self._exclusive:
            for entry in self._disk.entries.values():
                if entry.state == "sending":
                    self._disk.entries[entry.id] = structs.replace(entry, due_at=self.now())

    async def close(self) -> None:
        """Nothing to let go."""

    async def claim(self, entry: Entry) -> tuple[bool, Entry]:
        """See `Store.claim`."""
        await self._step("claim")
        held = self._disk.find(entry.client, entry.external_id)
        if held is not None and held.state not in FREE:
            await self._step("claim answered")
            return False, held
        if held is not None:
            entry = structs.replace(entry, id=held.id, created_at=held.created_at, revision=held.revision + 1)
        self._disk.entries[entry.id] = entry
        self._disk.keys[entry.client, entry.external_id] = entry.id
        await self._step("claim durable")
        return True, entry

    async def replace(self, was: Entry, now: Entry) -> bool:
        """See `Store.replace`."""
        await self._step("replace")
        if now.upstream_id is not None and any(
            (each.upstream, each.upstream_id) == (now.upstream, now.upstream_id) and each.id != now.id
            for each in self._disk.entries.values()
        ):
            raise IdTaken
        stored = self._disk.entries.get(was.id)
        if stored is None or stored.revision != was.revision:
            await self._step("replace refused")
            return False
        self._disk.entries[now.id] = now
        await self._step("replace durable")
        return True

    async def get(self, entry_id: str) -> Entry | None:
        """See `Store.get`."""
        await self._step("get")
        return self._disk.entries.get(entry_id)

    async def find(self, client: str, external_id: str) -> Entry | None:
        """See `Store.find`."""
        await self._step("find")
        return self._disk.find(client, external_id)

    async def page(self, query: Query) -> list[Entry]:
        """See `Store.page`; all of them."""
        await self._step("page")
        return sorted(self._disk.entries.values(), key=lambda entry: entry.id, reverse=True)[: query.limit]

    async def take(self, owner: str, lease: float, limit: int) -> list[Entry]:
        """See `Store.take`."""
        await self._step("take")
        now = self.now()
        due = [entry for entry in self._disk.entries.values() if entry.due_at is not None and entry.due_at <= now]
        taken = []
        for entry in sorted(due, key=lambda each: each.due_at or 0.0)[:limit]:
            lost = entry.state == "sending"
            made = structs.replace(
                entry,
                state="unknown" if lost else entry.state,
                doubted_at=(entry.doubted_at or entry.updated_at) if lost else entry.doubted_at,
                owner=owner,
                due_at=now + lease,
                updated_at=now,
                revision=entry.revision + 1,
            )
            self._disk.entries[entry.id] = made
            taken.append(made)
        await self._step("taken")
        return taken

    async def doubts(self) -> list[Doubts]:
        """See `Store.doubts`; the simulation does not look at them."""
        return []

    async def purge(self, before: str, limit: int, *, since: float = math.inf) -> int:  # noqa: ARG002
        """See `Store.purge`; nothing gets old here."""
        return 0
