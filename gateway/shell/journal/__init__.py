"""The journal: what was sent, to whom, and what became of it. Durable before the first byte, and before the answer.

A store keeps entries; there are two, with one interface and one test suite. Whoever works on an entry decides purely
what comes next (`gateway.core.journal`) and writes that with `replace`, which only succeeds on the revision that the
decision was made on.
"""

import math
from typing import Protocol

from msgspec import Struct

from gateway.core.journal import Doubts, Entry, State


class StoreError(Exception):
    """The store cannot be used, now or at all; the text says why, without any secret.

    `unchanged`: certainly nothing was changed; else it is not known whether anything was.
    """

    def __init__(self, text: str, *, unchanged: bool = False) -> None:
        super().__init__(text)
        self.unchanged = unchanged


class StoreInUseError(StoreError):
    """Another process holds the store, and nobody else can have it meanwhile."""


class UnstorableError(StoreError):
    """The store cannot hold just this, now or ever; nothing was changed."""

    def __init__(self, text: str) -> None:
        super().__init__(text, unchanged=True)


class IdTaken(Exception):  # noqa: N818 - it is what the id is
    """The upstream's id belongs to another entry; nothing was changed."""


class Query(Struct, frozen=True, kw_only=True):
    """Which entries are wanted, newest first: of one client or all, by key, in one of `states`, after a cursor's id."""

    client: str | None = None
    external_id: str | None = None
    states: tuple[State, ...] = ()
    after: str | None = None
    limit: int = 50


class Store(Protocol):
    """Keeps entries. Every method raises `StoreError` where the store cannot be used."""

    async def open(self) -> None:
        """Connect, bring the schema up to date (only ever forward), and take over what a dead process left behind.

        Raises:
            StoreError: it cannot be used: locked, unreachable, not durable, or of a newer version.
        """

    async def close(self) -> None:
        """Finish what is waiting and let go. A store that is not open stays so."""

    def now(self) -> float:
        """Seconds since 1970 by the store's clock, the one by which `due_at` is compared."""

    def alive(self) -> bool:
        """Whether the store's own parts still run; says nothing about a server that is elsewhere."""

    async def claim(self, entry: Entry) -> tuple[bool, Entry]:
        """Take the key for `entry`, if nothing binds it.

        True with the entry as it is now stored: new, or in place of one whose state did not bind the key; that keeps
        its `id` and `created_at` and counts its `revision` on. False with the entry that binds the key.
        """

    async def replace(self, was: Entry, now: Entry) -> bool:
        """Write `now` over `was` if that is still the stored revision; whether it was.

        Raises:
            IdTaken: (`upstream`, `upstream_id`) belongs to another entry.
        """

    async def get(self, entry_id: str) -> Entry | None:
        """The entry with this id."""

    async def find(self, client: str, external_id: str) -> Entry | None:
        """The entry under this key."""

    async def page(self, query: Query) -> list[Entry]:
        """Entries, newest first; their bodies and responses are left out."""

    async def take(self, owner: str, lease: float, limit: int) -> list[Entry]:
        """Take up to `limit` entries that are due, oldest due first, for `owner`; nobody else gets them for `lease` s.

        One that was being sent has lost its sender: it comes back as `unknown`, in doubt since it was claimed.
        """

    async def doubts(self) -> list[Doubts]:
        """What is in doubt, by upstream."""

    async def purge(self, before: str, limit: int, *, since: float = math.inf) -> int:
        """Empty the bodies of up to `limit` concluded entries whose id is below `before`; how many there were.

        One that was changed at `since` or later keeps them: its key is older than what it was used for again.
        """
