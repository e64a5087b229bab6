"""The named steps of an invoice's way, at which a process can be killed: seen by a listener, and around the store."""

from collections.abc import Callable, Mapping

from msgspec import structs

from gateway.core.events import Answered, Claimed, Concluded, Event, Retried, Routed, Sending
from gateway.core.journal import Entry, State
from gateway.shell.journal import Store
from gateway.shell.journal.sqlite import SqliteStore

Reach = Callable[[str], None]
"""Told of each step when it is reached; may not come back."""

CHANGES: Mapping[tuple[State, State], tuple[str, str]] = {
    ("sending", "sending"): ("stand-in-begun", "stood-in"),
    ("sending", "waiting"): ("postpone-begun", "postponed"),
    ("waiting", "sending"): ("resume-begun", "resumed"),
    ("unknown", "waiting"): ("repeat-begun", "repeated"),
}
"""What a change of state is called before it is written, and once it is durable."""


def called(was: Entry, now: Entry) -> tuple[str, str]:
    """The same for any change: an outcome is recorded, a doubt is settled or looked into in vain."""
    own = CHANGES.get((was.state, now.state))
    return own or (("looked-up", "settled") if was.state == "unknown" else ("record-begun", "recorded"))


def listener(reach: Reach) -> Callable[[Event], None]:
    """A listener that knows the steps which are events."""

    def hear(event: Event) -> None:
        match event:
            case Routed():
                reach("routed")
            case Claimed(waits=True):
                reach("accepted")
            case Sending():
                reach("sending")
            case Answered():
                reach("answered")
            case Retried():
                reach("retried")
            case Concluded():
                reach("concluded")
            case _:
                pass

    return hear


class Stepped:
    """A store that says when it is about to write something, and when that is durable."""

    def __init__(self, store: Store, reach: Reach) -> None:
        self._store = store
        self._reach = reach
        self.open = store.open
        self.close = store.close
        self.now = store.now
        self.alive = store.alive
        self.get = store.get
        self.find = store.find
        self.page = store.page
        self.doubts = store.doubts
        self.purge = store.purge

    async def limit(self, pages: int) -> None:
        """Let the SQLite file grow no further than to so many pages, nor shrink: to SQLite that is a full disk."""
        assert isinstance(self._store, SqliteStore)
        await self._store._ask(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchall())  # noqa: SLF001

    async def claim(self, entry: Entry) -> tuple[bool, Entry]:
        """See `Store.claim`."""
        self._reach("claim-begun")
        ours, held = await self._store.claim(entry)
        if ours:
            self._reach("claimed")
        return ours, held

    async def replace(self, was: Entry, now: Entry) -> bool:
        """See `Store.replace`."""
        before, after = called(was, now)
        self._reach(before)
        if written := await self._store.replace(was, now):
            self._reach(after)
        return written

    async def take(self, owner: str, lease: float, limit: int) -> list[Entry]:
        """See `Store.take`."""
        taken = await self._store.take(owner, lease, limit)
        if taken:
            self._reach("taken")
        return taken


class Unguarded(Stepped):
    """The negative control: a claim that everybody gets is none."""

    async def claim(self, entry: Entry) -> tuple[bool, Entry]:
        """True, whoever has the key."""
        ours, held = await super().claim(entry)
        if ours:
            return True, held
        return True, structs.replace(entry, id=held.id, created_at=held.created_at, revision=held.revision)
