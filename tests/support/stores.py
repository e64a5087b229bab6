"""Stores for tests: real ones in real places, entries to put into them, and a clock that is driven by hand."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from gateway.core.dispatch import packed
from gateway.core.journal import Entry, State
from gateway.shell.journal import Query, Store
from gateway.shell.journal.postgres import PostgresStore
from gateway.shell.journal.sqlite import SqliteStore
from tests.core.entries import dispatch
from tests.support.postgres import server

STATES: tuple[State, ...] = ("waiting", "sending", "created", "rejected", "not_sent", "unknown")
Make = Callable[[], Store]
"""Makes a store on one place; it is not open yet."""

_numbers = count(1)


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self, seconds: float = 1_800_000_000.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        """Seconds since 1970."""
        return self.seconds


def entry(number: int | None = None, **changes: Any) -> Entry:
    """An entry whose key and id are its own, unless they are given; a higher number is newer."""
    n = next(_numbers) if number is None else number
    values: dict[str, Any] = {
        "id": f"0190-{n:08}",
        "client": "acme",
        "external_id": f"order:{n}",
        "fingerprint": "1:abc",
        "state": "sending",
        "upstream": "exsited-sydney",
        "owner": "me",
        "created_at": 1_000.25,
        "updated_at": 2_000.5,
        "body": b'{"number": "1"}',
        "dispatch": packed(dispatch()),
        "result": b'{"status": "created"}',
        "response": b"<html>",
    }
    return Entry(**(values | changes))


def entries() -> st.SearchStrategy[Entry]:
    """Any entry; its id, key and upstream's id are its own."""
    text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
    moment = st.floats(-1e12, 1e12)
    blob = st.binary(max_size=300)
    number = st.integers(0, 2**31 - 1)
    return st.builds(
        Entry,
        id=text.map(lambda end: f"{next(_numbers)}:{end}"),
        client=text,
        external_id=text.map(lambda end: f"{next(_numbers)}:{end}"),
        fingerprint=text,
        state=st.sampled_from(STATES),
        upstream=text,
        owner=text,
        created_at=moment,
        updated_at=moment,
        revision=number,
        upstream_id=st.none() | text.map(lambda end: f"{next(_numbers)}:{end}"),
        due_at=st.none() | moment,
        doubted_at=st.none() | moment,
        checks=number,
        body=blob,
        dispatch=blob,
        result=blob,
        response=blob,
    )


@asynccontextmanager
async def _sqlite(folder: Path) -> AsyncIterator[Make]:
    yield lambda: SqliteStore(folder / "journal.db")


@cache
def _database() -> str:
    return server().new_database()


@asynccontextmanager
async def _postgres(_: Path) -> AsyncIterator[Make]:
    url = _database()
    yield lambda: PostgresStore(url)
    # A new schema is had much sooner than a new database.
    server().sql("DROP SCHEMA IF EXISTS invoice_gateway CASCADE", url=url)


PLACES: Mapping[str, Callable[[Path], AbstractAsyncContextManager[Make]]] = {"sqlite": _sqlite, "postgres": _postgres}
"""A fresh, empty place of each kind."""


@asynccontextmanager
async def opened(make: Make) -> AsyncIterator[Store]:
    """A store that is open."""
    store = make()
    await store.open()
    try:
        yield store
    finally:
        await store.close()


OPERATIONS: Mapping[str, Callable[[Store], Coroutine[Any, Any, object]]] = {
    "claim": lambda store: store.claim(entry()),
    "replace": lambda store: store.replace(entry(), entry()),
    "get": lambda store: store.get("1"),
    "find": lambda store: store.find("acme", "1"),
    "page": lambda store: store.page(Query()),
    "take": lambda store: store.take("me", 1.0, 1),
    "doubts": lambda store: store.doubts(),
    "purge": lambda store: store.purge("1", 1),
}
"""Everything that can be asked of a store."""
