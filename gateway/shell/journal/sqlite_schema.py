"""The SQLite file of a journal, opened: nobody else's, durable, with the newest schema."""

import os
import sqlite3
from pathlib import Path
from sqlite3 import Connection

from gateway.shell.journal import StoreError, StoreInUseError

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
    # What is written once, with the claim, gets a row of its own: an outcome then does not write it a second time.
    """
    CREATE TABLE entries_2 (
        number INTEGER NOT NULL PRIMARY KEY, id TEXT NOT NULL UNIQUE, client TEXT NOT NULL, external_id TEXT NOT NULL,
        fingerprint TEXT NOT NULL, state TEXT NOT NULL, upstream TEXT NOT NULL, owner TEXT NOT NULL,
        created_at REAL NOT NULL, updated_at REAL NOT NULL, revision INTEGER NOT NULL, upstream_id TEXT, due_at REAL,
        doubted_at REAL, checks INTEGER NOT NULL, result BLOB, response BLOB
    ) STRICT;
    CREATE TABLE sent (number INTEGER NOT NULL PRIMARY KEY, id TEXT NOT NULL, body BLOB, dispatch BLOB) STRICT;
    INSERT INTO entries_2 SELECT
        NULL, id, client, external_id, fingerprint, state, upstream, owner, created_at, updated_at, revision,
        upstream_id, due_at, doubted_at, checks, result, response FROM entries ORDER BY id;
    INSERT INTO sent SELECT number, id, body, dispatch FROM entries JOIN entries_2 USING (id)
        WHERE body IS NOT NULL OR dispatch IS NOT NULL ORDER BY number;
    DROP TABLE entries;
    ALTER TABLE entries_2 RENAME TO entries;
    CREATE UNIQUE INDEX entries_key ON entries (external_id, client);
    CREATE INDEX entries_client ON entries (client, id);
    CREATE UNIQUE INDEX entries_upstream ON entries (upstream, upstream_id) WHERE upstream_id IS NOT NULL;
    CREATE INDEX entries_due ON entries (due_at, id) WHERE due_at IS NOT NULL;
    CREATE INDEX entries_state ON entries (state, id) WHERE state <> 'created';
    CREATE INDEX sent_body ON sent (id) WHERE body IS NOT NULL;
    """,
)
"""Each brings the schema from the version that is its place to the next; none is ever changed."""

PAGE_BYTES = 16_384
"""Of a new file: an invoice's rows fit into few pages, and it is pages that a commit writes."""

SETTINGS = {
    "locking_mode": "exclusive",
    "journal_mode": "wal",
    "synchronous": 2,
    "trusted_schema": 0,
    "wal_autocheckpoint": 500,
    "cache_size": -4000,
    "secure_delete": 1,
}
"""How the file is used: each is asked for, and has to be so then.

A `synchronous` of 2 is FULL, the cache is in KiB; with `secure_delete` what was purged is gone from the file, too.
"""

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

ORPHANS = "UPDATE entries INDEXED BY entries_state SET due_at = ? WHERE state <> 'created' AND state = 'sending'"
"""What is being sent has lost its sender: whoever opens the file is alone."""


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
    # These first: the size has to be known before a new file is looked at (and is nothing to one that has its own), and
    # the lock which the next statement takes must never be let go; nothing is written to a foreign file.
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
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
