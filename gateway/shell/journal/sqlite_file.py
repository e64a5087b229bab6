"""The SQLite file of a journal: how it is opened, what it holds, and what is asked of it. Plain functions."""
# ruff: noqa: S608 - statements are made of the names of fields and of conditions, all written here; values are bound

import math
import os
import sqlite3
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from sqlite3 import Connection

from msgspec import convert, structs

from gateway.core.journal import FREE, Doubts, Entry
from gateway.shell.journal import IdTaken, Query, StoreError, StoreInUseError

APPLICATION_ID = 0x496E7647
"""What marks a file as a journal, in its header: "InvG"."""

MIGRATIONS = (
    """
    CREATE TABLE entries (
        id TEXT NOT NULL PRIMARY KEY, client TEXT NOT NULL, external_id TEXT NOT NULL, fingerprint TEXT NOT NULL,
        state TEXT NOT NULL, upstream TEXT NOT NULL, owner TEXT NOT NULL, created_at REAL NOT NULL,
        updated_at REAL NOT NULL, revision INTEGER NOT NULL, upstream_id TEXT, due_at REAL, doubted_at REAL,
        checks INTEGER NOT NULL, body BLOB, dispatch BLOB, result BLOB, response BLOB
    ) STRICT;
    CREATE UNIQUE INDEX entries_key ON entries (external_id, client);
    CREATE INDEX entries_client ON entries (client, id);
    CREATE UNIQUE INDEX entries_upstream ON entries (upstream, upstream_id) WHERE upstream_id IS NOT NULL;
    CREATE INDEX entries_due ON entries (due_at, id) WHERE due_at IS NOT NULL;
    CREATE INDEX entries_state ON entries (state, id) WHERE state <> 'created';
    CREATE INDEX entries_body ON entries (id) WHERE body IS NOT NULL;
    """,
)
"""Each brings the schema from the version that is its place to the next; none is ever changed."""

SETTINGS = {"locking_mode": "exclusive", "journal_mode": "wal", "synchronous": 2, "trusted_schema": 0}
"""How the file is used: each is asked for, and has to be so then. A `synchronous` of 2 is FULL."""

BUSY_SECONDS = 0.2
"""How long a lock on the file is waited for; there can only be one while it is opened."""

REMEDIES = {
    sqlite3.SQLITE_BUSY: "is in use by another process: one gateway per file, or PostgreSQL for several",
    sqlite3.SQLITE_READONLY: "cannot be written: look at the permissions of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: look at the permissions of the file and its folder",
    sqlite3.SQLITE_NOTADB: "is no SQLite database; choose another path",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore it from a backup",
}
"""By the kind of the error, what to do about a file that cannot be opened."""

FIELDS = Entry.__struct_fields__
KEY = ("id", "client", "external_id", "created_at")
BLOBS = ("body", "dispatch", "result", "response")
CONCLUDED = ", ".join(f"'{state}'" for state in sorted({"created", *FREE}))

Values = Callable[[Entry], tuple[object, ...]]


def _read(name: str) -> str:
    return f"ifnull({name}, x'')" if name in BLOBS else name


def _bound(name: str) -> str:
    return "nullif(?, x'')" if name in BLOBS else "?"


def _updating(*kept: str) -> tuple[str, Values]:
    """The statement that writes all but the key and what is kept, to one revision; and what it writes of an entry."""
    names = [name for name in FIELDS if name not in KEY + kept]
    changes = ", ".join(f"{name} = {_bound(name)}" for name in names)
    return f"UPDATE entries SET {changes} WHERE id = ? AND revision = ?", attrgetter(*names)


COLUMNS = ", ".join(map(_read, FIELDS))
LISTED = ", ".join("x''" if name in ("body", "response") else _read(name) for name in FIELDS)
INSERT = (
    f"INSERT INTO entries ({', '.join(FIELDS)}) VALUES ({', '.join(map(_bound, FIELDS))})"
    " ON CONFLICT (client, external_id) DO NOTHING"
)
INSERTED: Values = attrgetter(*FIELDS)
UPDATES = {
    (True, True): _updating("body", "dispatch"),
    (True, False): _updating("body"),
    (False, True): _updating("dispatch"),
    (False, False): _updating(),
}
"""By whether the body is kept, and whether the dispatch is: they are large, and seldom change."""
GET = f"SELECT {COLUMNS} FROM entries WHERE id = ?"
FIND = f"SELECT {COLUMNS} FROM entries WHERE external_id = ? AND client = ?"
# An index that is named has to be used: a statement that would have to read the whole table is an error instead.
DUE = "SELECT id FROM entries INDEXED BY entries_due WHERE due_at <= ? ORDER BY due_at, id LIMIT ?"
TAKE = f"""
    UPDATE entries SET
        state = CASE state WHEN 'sending' THEN 'unknown' ELSE state END,
        doubted_at = CASE state WHEN 'sending' THEN ifnull(doubted_at, updated_at) ELSE doubted_at END,
        owner = ?, due_at = ?, updated_at = ?, revision = revision + 1
    WHERE id IN ({DUE}) RETURNING {COLUMNS}
"""
DOUBTS = """
    SELECT upstream, count(*), min(ifnull(doubted_at, updated_at)) FROM entries INDEXED BY entries_state
    WHERE state <> 'created' AND state = 'unknown' GROUP BY upstream ORDER BY upstream
"""
PURGE = f"""
    UPDATE entries SET body = NULL, dispatch = NULL, result = NULL, response = NULL WHERE id IN (
        SELECT id FROM entries INDEXED BY entries_body
        WHERE body IS NOT NULL AND id < ? AND state IN ({CONCLUDED}) AND updated_at < ? ORDER BY id LIMIT ?
    )
"""
ORPHANS = "UPDATE entries INDEXED BY entries_state SET due_at = ? WHERE state <> 'created' AND state = 'sending'"


def opened(path: Path, now: float) -> Connection:
    """A connection to the file, which is nobody else's from here on and has the newest schema.

    Raises:
        StoreError: it cannot be used; the text says what to do.
    """
    if not path.parent.is_dir():
        raise StoreError(f"{path}: there is no folder {path.parent}; make it, or choose another path")
    if path.is_dir():
        raise StoreError(f"{path} is a folder; choose the path of a file in it")
    if path.exists() and not os.access(path, os.W_OK):
        raise StoreError(f"{path} cannot be written: look at the permissions of the file and its folder")
    try:
        # Made here, since SQLite would let others read it: it holds names and addresses.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(path.absolute(), timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _prepare(db, now)
        except BaseException:
            db.close()
            raise
    except StoreError as error:
        raise StoreError(f"{path} {error}") from None
    except OSError:
        raise StoreError(f"{path} {REMEDIES[sqlite3.SQLITE_CANTOPEN]}") from None
    except sqlite3.Error as error:
        # The lowest byte is the kind of the error (sqlite.org/rescode.html), the rest only says where it was met.
        kind = error.sqlite_errorcode & 0xFF
        refused = StoreInUseError if kind == sqlite3.SQLITE_BUSY else StoreError
        raise refused(f"{path} {REMEDIES.get(kind, f'cannot be used: {error}')}") from None
    return db


def _prepare(db: Connection, now: float) -> None:
    # This first, so that the lock which the next statement takes is never let go; nothing is written to a foreign file.
    db.execute("PRAGMA locking_mode = exclusive")
    db.execute("BEGIN IMMEDIATE")
    version = _version(db)
    db.execute("ROLLBACK")
    for name, value in SETTINGS.items():
        db.execute(f"PRAGMA {name} = {value}")
        if (answer := db.execute(f"PRAGMA {name}").fetchone()[0]) != value:
            raise StoreError(f"cannot have {name} {value}, only {answer}; put it on a local disk")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
        db.executescript(f"BEGIN IMMEDIATE; {script} {marks} COMMIT")
    db.execute(ORPHANS, (now,))


def _version(db: Connection) -> int:
    """The version of the schema that the file has; 0 if it is new."""
    (mark,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if mark != APPLICATION_ID and (mark or version or tables):
        raise StoreError("is a database of another program; choose another path")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"was written by a newer version (schema {version}; this one knows {len(MIGRATIONS)}); run that one"
        )
    return int(version)


def _entry(row: tuple[object, ...]) -> Entry:
    return convert(dict(zip(FIELDS, row, strict=True)), Entry)


def one(db: Connection, text: str, *given: str) -> Entry | None:
    """The entry that the statement finds."""
    rows = db.execute(text, given).fetchall()
    return _entry(rows[0]) if rows else None


def claim(db: Connection, entry: Entry) -> tuple[bool, Entry]:
    """Take the key; see `Store.claim`. Of the statements only one changes anything, so it is all or nothing."""
    if db.execute(INSERT, INSERTED(entry)).rowcount == 1:
        return True, entry
    found = _entry(db.execute(FIND, (entry.external_id, entry.client)).fetchone())
    if found.state not in FREE:
        return False, found
    made = structs.replace(entry, id=found.id, created_at=found.created_at, revision=found.revision + 1)
    text, values = UPDATES[False, False]
    db.execute(text, (*values(made), found.id, found.revision))
    return True, made


def replace(db: Connection, was: Entry, now: Entry) -> bool:
    """Write `now` over `was`; see `Store.replace`."""
    text, values = UPDATES[now.body is was.body, now.dispatch is was.dispatch]
    try:
        return db.execute(text, (*values(now), was.id, was.revision)).rowcount == 1
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE":
            raise IdTaken(f"{now.upstream} gave this id to another invoice") from None
        raise


def page(db: Connection, query: Query) -> list[Entry]:
    """Entries, newest first; see `Store.page`."""
    found: list[Entry] = []
    # A statement for each state, since the rows of several are in order only after all of them are read.
    for state in dict.fromkeys(query.states) or (None,):
        wanted = {"external_id =": query.external_id, "client =": query.client, "state =": state, "id <": query.after}
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
        text = f"SELECT {LISTED} FROM entries {index} {where} ORDER BY id DESC LIMIT ?"
        given = [value for value in wanted.values() if value is not None]
        found += [_entry(row) for row in db.execute(text, (*given, query.limit))]
    return sorted(found, key=attrgetter("id"), reverse=True)[: query.limit]


def take(db: Connection, now: float, owner: str, lease: float, limit: int) -> list[Entry]:
    """Take what is due; see `Store.take`."""
    places = {entry_id: place for place, (entry_id,) in enumerate(db.execute(DUE, (now, limit)))}
    taken = [_entry(row) for row in db.execute(TAKE, (owner, now + lease, now, now, limit))]
    return sorted(taken, key=lambda entry: places[entry.id])


def doubts(db: Connection) -> list[Doubts]:
    """What is in doubt, by upstream."""
    return [Doubts(*row) for row in db.execute(DOUBTS)]


def purge(db: Connection, before: str, limit: int, since: float = math.inf) -> int:
    """Empty the bodies of concluded entries; see `Store.purge`."""
    return db.execute(PURGE, (before, since, limit)).rowcount
