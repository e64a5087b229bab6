"""What is asked of the SQLite file of a journal. Plain functions over its connection."""
# ruff: noqa: S608 - statements are made of the names of fields and of conditions, all written here; values are bound

import math
import sqlite3
from collections.abc import Callable
from operator import attrgetter
from sqlite3 import Connection

from msgspec import convert, structs

from gateway.core.journal import FREE, Doubts, Entry
from gateway.shell.journal import IdTaken, Query

ROOM_BYTES = 64
"""What a row takes beside its details."""

FIELDS = Entry.__struct_fields__
KEY = ("id", "client", "external_id", "created_at")
BLOBS = ("body", "dispatch", "result", "response")
SENT = ("body", "dispatch")
ROW = [name for name in FIELDS if name not in SENT]
CONCLUDED = ", ".join(f"'{state}'" for state in sorted({"created", *FREE}))

Values = Callable[[Entry], tuple[object, ...]]


def _read(name: str) -> str:
    return f"ifnull({name}, x'')" if name in BLOBS else f"entries.{name}"


def _bound(name: str) -> str:
    return "nullif(?, x'')" if name in BLOBS else "?"


CHANGED = [name for name in ROW if name not in KEY]
COLUMNS = ", ".join(map(_read, FIELDS))
LISTED = ", ".join("x''" if name in ("body", "response") else _read(name) for name in FIELDS)
WHOLE = "entries LEFT JOIN sent USING (number)"
INSERT = (
    f"INSERT INTO entries ({', '.join(ROW)}) VALUES ({', '.join(map(_bound, ROW))})"
    " ON CONFLICT (client, external_id) DO NOTHING"
)
INSERTED: Values = attrgetter(*ROW)
INSERT_SENT = f"INSERT INTO sent VALUES (?, ?, {', '.join(map(_bound, SENT))})"
UPDATE = f"UPDATE entries SET {', '.join(f'{name} = {_bound(name)}' for name in CHANGED)} WHERE id = ? AND revision = ?"
UPDATE_SENT = f"INSERT OR REPLACE INTO sent SELECT number, id, {', '.join(map(_bound, SENT))} FROM entries WHERE id = ?"
UPDATED: Values = attrgetter(*CHANGED)
GET = f"SELECT {COLUMNS} FROM {WHOLE} WHERE entries.id = ?"
FIND = f"SELECT {COLUMNS} FROM {WHOLE} WHERE external_id = ? AND client = ?"
# An index that is named has to be used: a statement that would have to read the whole table is an error instead.
DUE = "SELECT id FROM entries INDEXED BY entries_due WHERE due_at <= ? ORDER BY due_at, id LIMIT ?"
TAKE = f"""
    UPDATE entries SET
        state = CASE state WHEN 'sending' THEN 'unknown' ELSE state END,
        doubted_at = CASE state WHEN 'sending' THEN ifnull(doubted_at, updated_at) ELSE doubted_at END,
        owner = ?, due_at = ?, updated_at = ?, revision = revision + 1
    WHERE id IN ({DUE})
"""
DOUBTS = """
    SELECT upstream, count(*), min(ifnull(doubted_at, updated_at)) FROM entries INDEXED BY entries_state
    WHERE state <> 'created' AND state = 'unknown' GROUP BY upstream ORDER BY upstream
"""
OLD = f"""
    SELECT number FROM sent INDEXED BY sent_body CROSS JOIN entries USING (number)
    WHERE body IS NOT NULL AND sent.id < ? AND state IN ({CONCLUDED}) AND updated_at < ? ORDER BY sent.id LIMIT ?
"""
PURGE = (
    "UPDATE entries SET result = NULL, response = NULL WHERE number = ?",
    "DELETE FROM sent WHERE number = ?",
)


def _entry(row: tuple[object, ...]) -> Entry:
    return convert(dict(zip(FIELDS, row, strict=True)), Entry)


def one(db: Connection, text: str, *given: str) -> Entry | None:
    """The entry that the statement finds."""
    rows = db.execute(text, given).fetchall()
    return _entry(rows[0]) if rows else None


def claim(db: Connection, entry: Entry) -> tuple[bool, Entry]:
    """Take the key; see `Store.claim`."""
    _fits(db, entry)
    inserted = db.execute(INSERT, INSERTED(entry))
    if inserted.rowcount == 1:
        db.execute(INSERT_SENT, (inserted.lastrowid, entry.id, entry.body, entry.dispatch))
        return True, entry
    found = _entry(db.execute(FIND, (entry.external_id, entry.client)).fetchone())
    if found.state not in FREE:
        return False, found
    made = structs.replace(entry, id=found.id, created_at=found.created_at, revision=found.revision + 1)
    return _written(db, found, made), made


def replace(db: Connection, was: Entry, now: Entry) -> bool:
    """Write `now` over `was`; see `Store.replace`."""
    try:
        return _written(db, was, now)
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE":
            raise IdTaken(f"{now.upstream} gave this id to another invoice") from None
        raise


def _written(db: Connection, was: Entry, now: Entry) -> bool:
    """Write `now` over that revision; whether it was there. What was sent is large, and seldom changes."""
    same = now.body is was.body and now.dispatch is was.dispatch
    if not same:
        _fits(db, now)
    written = db.execute(UPDATE, (*UPDATED(now), was.id, was.revision)).rowcount == 1
    if written and not same:
        db.execute(UPDATE_SENT, (now.body, now.dispatch, was.id))
    return written


def _fits(db: Connection, entry: Entry) -> None:
    """Refuse what the second of two statements would stumble over: a change is made as a whole or not at all."""
    if len(entry.body) + len(entry.dispatch) + ROOM_BYTES > db.getlimit(sqlite3.SQLITE_LIMIT_LENGTH):
        raise sqlite3.DataError("string or blob too big")


def page(db: Connection, query: Query) -> list[Entry]:
    """Entries, newest first; see `Store.page`."""
    found: list[Entry] = []
    # A statement for each state, since the rows of several are in order only after all of them are read.
    for state in dict.fromkeys(query.states) or (None,):
        keys = {"external_id =": query.external_id, "client =": query.client}
        wanted = {**keys, "state =": state, "entries.id <": query.after}
        conditions = [f"{name} ?" for name, value in wanted.items() if value is not None]
        index = ""
        if query.external_id is not None:
            index = "INDEXED BY entries_key"
        elif state not in (None, "created"):
            index = "INDEXED BY entries_state"
            conditions.append("state <> 'created'")
        elif query.client is not None:
            index = "INDEXED BY entries_client"
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        source = f"entries {index} LEFT JOIN sent USING (number)"
        text = f"SELECT {LISTED} FROM {source} {where} ORDER BY entries.id DESC LIMIT ?"
        given = [value for value in wanted.values() if value is not None]
        found += [_entry(row) for row in db.execute(text, (*given, query.limit))]
    return sorted(found, key=attrgetter("id"), reverse=True)[: query.limit]


def take(db: Connection, now: float, owner: str, lease: float, limit: int) -> list[Entry]:
    """Take what is due; see `Store.take`."""
    due = db.execute(DUE, (now, limit)).fetchall()
    db.execute(TAKE, (owner, now + lease, now, now, limit))
    return [_entry(db.execute(GET, each).fetchone()) for each in due]


def doubts(db: Connection) -> list[Doubts]:
    """What is in doubt, by upstream."""
    return [Doubts(*row) for row in db.execute(DOUBTS)]


def purge(db: Connection, before: str, limit: int, since: float = math.inf) -> int:
    """Empty the bodies of concluded entries; see `Store.purge`."""
    old = db.execute(OLD, (before, since, limit)).fetchall()
    for text in PURGE:
        db.executemany(text, old)
    return len(old)
