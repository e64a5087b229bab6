"""The PostgreSQL database of a journal: what it holds, and what is asked of it. Plain functions and statements."""
# ruff: noqa: S608 - statements are made of names that are all written here; values are bound

from typing import TypeAlias

from asyncpg import Connection, Record
from asyncpg.pool import PoolConnectionProxy
from msgspec import convert, structs

from gateway.core.journal import EDGES, FREE, Entry
from gateway.shell.journal import Query, StoreError

Connected: TypeAlias = "PoolConnectionProxy[Record] | Connection[Record]"

OLDEST_SERVER = 12
MIGRATION_SECONDS = 300.0
MOST_CLAIMS = 10
"""How often a key is asked for again that others take and free in between."""

LOCK = 0x496E7647
"""The advisory lock under which the schema is brought up to date: "InvG"."""

MIGRATIONS = (
    """
    CREATE SCHEMA invoice_gateway;
    CREATE TABLE invoice_gateway.schema_version (
        version integer PRIMARY KEY, since timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE TABLE invoice_gateway.entries (
        id text COLLATE "C" PRIMARY KEY, client text COLLATE "C" NOT NULL, external_id text COLLATE "C" NOT NULL,
        fingerprint text NOT NULL, state text COLLATE "C" NOT NULL, upstream text COLLATE "C" NOT NULL,
        owner text NOT NULL, created_at double precision NOT NULL, updated_at double precision NOT NULL,
        revision integer NOT NULL, upstream_id text COLLATE "C", due_at double precision, doubted_at double precision,
        checks integer NOT NULL, body bytea, dispatch bytea, result bytea, response bytea
    );
    CREATE UNIQUE INDEX entries_key ON invoice_gateway.entries (client, external_id);
    CREATE INDEX entries_client ON invoice_gateway.entries (client, id);
    CREATE UNIQUE INDEX entries_upstream ON invoice_gateway.entries (upstream, upstream_id)
        WHERE upstream_id IS NOT NULL;
    CREATE INDEX entries_due ON invoice_gateway.entries (due_at, id) WHERE due_at IS NOT NULL;
    CREATE INDEX entries_state ON invoice_gateway.entries (state, id) WHERE state <> 'created';
    CREATE INDEX entries_body ON invoice_gateway.entries (id) WHERE body IS NOT NULL;
    """,
)
"""Each brings the schema from the version that is its place to the next; none is ever changed."""

FIELDS = Entry.__struct_fields__
KEY = ("id", "client", "external_id", "created_at")
BLOBS = ("body", "dispatch", "result", "response")
CONCLUDED = ", ".join(f"'{state}'" for state in sorted({"created", *FREE}))


def _read(name: str) -> str:
    return f"coalesce({name}, '') AS {name}" if name in BLOBS else name


def values(entry: Entry, names: tuple[str, ...]) -> list[object]:
    """What is bound for these fields; NULL is what is empty."""
    return [getattr(entry, name) or None if name in BLOBS else getattr(entry, name) for name in names]


def _updating(*kept: str) -> tuple[str, tuple[str, ...]]:
    """The statement that writes all but the key and what is kept, to one revision; and the fields that it writes."""
    names = tuple(name for name in FIELDS if name not in KEY + kept)
    changes = ", ".join(f"{name} = ${number}" for number, name in enumerate(names, 3))
    text = f"UPDATE invoice_gateway.entries SET {changes} WHERE id = $1 AND revision = $2 RETURNING true"
    return text, names


COLUMNS = ", ".join(map(_read, FIELDS))
LISTED = ", ".join(_read(name) for name in FIELDS if name not in ("body", "response"))
INSERT = f"""
    INSERT INTO invoice_gateway.entries ({", ".join(FIELDS)})
    VALUES ({", ".join(f"${number}" for number in range(1, len(FIELDS) + 1))})
    ON CONFLICT (client, external_id) DO NOTHING RETURNING true
"""
UPDATES = {
    (True, True): _updating("body", "dispatch"),
    (True, False): _updating("body"),
    (False, True): _updating("dispatch"),
    (False, False): _updating(),
}
"""By whether the body is kept, and whether the dispatch is: they are large, and seldom change."""
# What many entries have, as arrays: the one statement for all of them has the same text however many they are.
_TYPES = dict.fromkeys(("created_at", "updated_at", "due_at", "doubted_at"), "double precision")
_TYPES |= {"revision": "integer", "checks": "integer"} | dict.fromkeys(BLOBS, "bytea")


def _arrays(names: tuple[str, ...], first: int) -> str:
    return ", ".join(f"${number}::{_TYPES.get(name, 'text')}[]" for number, name in enumerate(names, first))


INSERT_MANY = f"""
    INSERT INTO invoice_gateway.entries ({", ".join(FIELDS)}) SELECT * FROM unnest({_arrays(FIELDS, 1)})
    ON CONFLICT (client, external_id) DO NOTHING RETURNING id
"""
OUTCOME = UPDATES[True, True][1]
REPLACE_MANY = f"""
    UPDATE invoice_gateway.entries AS entry SET {", ".join(f"{name} = given.{name}" for name in OUTCOME)}
    FROM unnest($1::text[], $2::integer[], {_arrays(OUTCOME, 3)}) WITH ORDINALITY
        AS given (given_id, was, {", ".join(OUTCOME)}, number)
    WHERE entry.id = given_id AND entry.revision = was RETURNING given.number
"""
GET = f"SELECT {COLUMNS} FROM invoice_gateway.entries WHERE id = $1"
FIND = f"SELECT {COLUMNS} FROM invoice_gateway.entries WHERE client = $1 AND external_id = $2"
CLOCK = "SELECT extract(epoch FROM clock_timestamp())::double precision"
# The clock is always told, and read only once: an index is not used for a comparison with what may change meanwhile.
TAKE = f"""
    WITH clock AS MATERIALIZED ({CLOCK} AS now),
    due AS (
        SELECT id, due_at AS was_due FROM invoice_gateway.entries WHERE due_at <= (SELECT now FROM clock)
        ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
    ),
    taken AS (
        UPDATE invoice_gateway.entries SET
            state = CASE state WHEN 'sending' THEN 'unknown' ELSE state END,
            doubted_at = CASE state WHEN 'sending' THEN coalesce(doubted_at, updated_at) ELSE doubted_at END,
            owner = $1, due_at = (SELECT now FROM clock) + $2, updated_at = (SELECT now FROM clock),
            revision = revision + 1
        FROM (SELECT id AS due_id, was_due FROM due) AS chosen WHERE id = due_id
        RETURNING {COLUMNS}, was_due
    )
    SELECT now, taken.* FROM clock LEFT JOIN taken ON true ORDER BY was_due, id
"""
DOUBTS = """
    SELECT upstream, count(*), min(coalesce(doubted_at, updated_at)) FROM invoice_gateway.entries
    WHERE state = 'unknown' GROUP BY upstream ORDER BY upstream
"""
PURGE = f"""
    WITH purged AS (
        UPDATE invoice_gateway.entries SET body = NULL, dispatch = NULL, result = NULL, response = NULL WHERE id IN (
            SELECT id FROM invoice_gateway.entries
            WHERE body IS NOT NULL AND id < $1 AND state IN ({CONCLUDED}) AND updated_at < $3
            ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
        ) RETURNING id
    )
    SELECT count(*) FROM purged
"""


async def _version(connection: Connected) -> int:
    """The version of the schema; 0 if there is none."""
    # Asked of the catalog itself: `to_regclass` has a cache, which is not renewed while a lock is waited for.
    there = "SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'invoice_gateway' AND tablename = 'schema_version'"
    if not await connection.fetch(there):
        return 0
    return int(await connection.fetchval("SELECT max(version) FROM invoice_gateway.schema_version"))


async def migrate(connection: Connected) -> None:
    """Bring the schema up to date, unless somebody else does so now; where it is, nothing is written."""
    version = await _version(connection)
    if version < len(MIGRATIONS):
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK, timeout=MIGRATION_SECONDS)
            version = await _version(connection)
            for number, script in enumerate(MIGRATIONS[version:], version + 1):
                await connection.execute(script, timeout=MIGRATION_SECONDS)
                await connection.execute("INSERT INTO invoice_gateway.schema_version VALUES ($1)", number)
    if version > len(MIGRATIONS):
        raise StoreError(
            f"it was written by a newer version (schema {version}; this one knows {len(MIGRATIONS)}); run that one"
        )


def columns(entries: list[Entry], names: tuple[str, ...]) -> list[list[object]]:
    """What is bound for these fields of many entries: an array each."""
    return [list(column) for column in zip(*(values(entry, names) for entry in entries), strict=True)]


async def insert_many(connection: Connected, entries: list[Entry]) -> set[str]:
    """Take the keys that nobody holds; the ids of the entries that have theirs then."""
    # In the same order everywhere, so that gateways which claim the same keys never wait for each other in a circle.
    ordered = sorted(entries, key=lambda entry: (entry.client, entry.external_id))
    return {row["id"] for row in await connection.fetch(INSERT_MANY, *columns(ordered, FIELDS))}


async def replace_many(connection: Connected, changes: list[tuple[Entry, Entry]]) -> list[bool]:
    """Write outcomes over the revisions that they were decided on; for each whether that was still stored."""
    ids, revisions = [was.id for was, _ in changes], [was.revision for was, _ in changes]
    given = columns([now for _, now in changes], OUTCOME)
    done = {row["number"] for row in await connection.fetch(REPLACE_MANY, ids, revisions, *given)}
    return [number in done for number in range(1, len(changes) + 1)]


async def claim(connection: Connected, entry: Entry) -> tuple[bool, Entry]:
    """Take the key; each statement is all there is to its transaction, and only the last of them changes anything."""
    for _ in range(MOST_CLAIMS):
        if await connection.fetchval(INSERT, *values(entry, FIELDS)):
            return True, entry
        for found in map(entry_of, await connection.fetch(FIND, entry.client, entry.external_id)):
            if found.state not in FREE:
                return False, found
            made = structs.replace(entry, id=found.id, created_at=found.created_at, revision=found.revision + 1)
            text, names = UPDATES[False, False]
            if await connection.fetchval(text, found.id, found.revision, *values(made, names)):
                return True, made
    raise StoreError("others take and free this key all the time")


def listing(query: Query) -> tuple[str, list[object]]:
    """The statement that lists entries, and what is bound in it."""
    wanted = {"client =": query.client, "external_id =": query.external_id, "id <": query.after}
    given: list[object] = [value for value in wanted.values() if value is not None]
    names = [name for name, value in wanted.items() if value is not None]
    conditions = [f"{name} ${number}" for number, name in enumerate(names, 1)]
    limit = f"ORDER BY id DESC LIMIT ${len(given) + 1}"
    # A part for each state, since an index has the entries of one state in order; the states are written here, since an
    # index for some of them is not used for one that is not known.
    parts = []
    for state in [f"state = '{state}'" for state in EDGES if state in query.states] or ["true"]:
        where = " AND ".join([*conditions, state])
        parts.append(f"(SELECT {LISTED} FROM invoice_gateway.entries WHERE {where} {limit})")
    return f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS found {limit}", [*given, query.limit]


def entry_of(row: Record) -> Entry:
    """The entry in a row; other columns in it are left out."""
    return convert(dict(row), Entry)


async def as_it_is(_: "Connection[Record]") -> None:
    """Nothing has to be put back: no operation leaves anything behind in its session."""


async def admit(connection: "Connection[Record]") -> None:
    """Refuse a server that this store cannot rely on; asked of every connection, the servers behind a URL can change.

    Raises:
        StoreError: its version is too old, or what it has committed could be lost.
    """
    try:
        if (version := connection.get_server_version().major) < OLDEST_SERVER:
            raise StoreError(f"its version is {version}; it has to be {OLDEST_SERVER} or newer")
        for name in ("fsync", "synchronous_commit"):
            if await connection.fetchval("SELECT current_setting($1)", name) == "off":
                raise StoreError(f"{name} is off, so what is committed could be lost; turn it on")
    except BaseException:
        connection.terminate()  # asyncpg would take its leave, and wait for an answer
        raise
