"""The journal in PostgreSQL, for several gateways that share it. An extra: it needs asyncpg.

What is compared with a time is compared with the server's clock, so that gateways need not agree about theirs. Nothing
is ever written twice on suspicion: where the answer to a write is lost, whoever asked hears `StoreError`.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg
from asyncpg import Pool, Record

from gateway.core.journal import Doubts, Entry
from gateway.shell.journal import IdTaken, Query, StoreError, UnstorableError
from gateway.shell.journal import postgres_database as database
from gateway.shell.journal import postgres_words as words
from gateway.shell.journal.postgres_batch import Batches
from gateway.shell.journal.postgres_database import Connected

MOST_CONNECTIONS = 10
PATIENCE_SECONDS = 4.0
"""How long an operation may take in all. Less than who asks waits, so that they hear the reason."""
CLOCK_READINGS = 4


class PostgresStore:
    """A store in a PostgreSQL database, which several gateways can have open.

    `hear` is told of every commit: how many changes it held, and how many seconds it took. `patience` is how many
    seconds an operation may take. `clock` only measures how time goes by; what time it is, the server says.
    """

    def __init__(
        self,
        url: str,
        hear: Callable[[int, float], None] = lambda _, __: None,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._hear = hear
        self._patience = patience
        self._name = "PostgreSQL"
        self._pool: Pool[Record] | None = None
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._clock = clock
        self._closing = False
        self._claims = Batches(self._claim_all)
        self._outcomes = Batches(self._replace_all)
        self._offset = 0.0
        """How far the server's clock is ahead of `clock`."""

    async def open(self) -> None:
        """Connect, refuse a server that is not durable, and bring the schema up to date."""
        if self._pool is not None:
            raise StoreError("the journal is open already")
        self._name = f"PostgreSQL at {words.place(self._url)}"
        self._closing = False
        # Connections are only made when they are needed: asyncpg keeps a least number up in the background, and logs
        # all that it knows of each failure.
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=MOST_CONNECTIONS,
            timeout=self._patience,
            command_timeout=self._patience,
            init=database.admit,
            reset=database.as_it_is,
            server_settings={"application_name": "invoice-gateway"},
        )
        try:
            async with self._connection() as connection:
                await self._set_clock(connection)
            async with self._connection(database.MIGRATION_SECONDS) as connection:
                await database.migrate(connection)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is running, and let go of the connections."""
        pool, self._closing = self._pool, True
        if pool is not None:
            try:
                await asyncio.gather(self._claims.finish(), self._outcomes.finish())
                # The pool turns away who still waits for a connection. Nobody waits longer than `patience`.
                await self._idle.wait()
            finally:
                self._pool = None
                pool.terminate()
                await asyncio.sleep(0)  # then they are gone

    def now(self) -> float:
        """Seconds since 1970 by the server's clock."""
        return self._clock() + self._offset

    def alive(self) -> bool:
        """Whether it is open: it has no parts of its own that could end."""
        return self._pool is not None and not self._closing

    async def claim(self, entry: Entry) -> tuple[bool, Entry]:
        """Take the key for `entry`, if nothing binds it; with the entry that has the key then."""
        self._check_open()
        return await self._claims.ask(entry)

    async def replace(self, was: Entry, now: Entry) -> bool:
        """Write `now` over `was` if that is still stored; a body or dispatch that is the same object stays as it is.

        Raises:
            IdTaken: (`upstream`, `upstream_id`) belongs to another entry.
        """
        self._check_open()
        if now.body is was.body and now.dispatch is was.dispatch:
            return await self._outcomes.ask((was, now))
        return await self._replace(was, now)

    async def _claim_all(self, entries: list[Entry]) -> list[tuple[bool, Entry] | Exception]:
        began = self._clock()
        try:
            async with self._connection() as connection:
                made = await database.insert_many(connection, entries)
        except (IdTaken, UnstorableError) as error:  # nothing is written because of one of them: each is tried alone
            if len(entries) == 1:
                return [UnstorableError(str(error))]
            return [answer for entry in entries for answer in await self._claim_all([entry])]
        self._committed(len(made), began)
        return [(True, entry) if entry.id in made else await self._claim(entry) for entry in entries]

    async def _claim(self, entry: Entry) -> tuple[bool, Entry] | Exception:
        """Take a key that was held a moment ago."""
        began = self._clock()
        try:
            async with self._connection() as connection:
                ours, held = await database.claim(connection, entry)
        except StoreError as error:  # the others of its batch do not hear of it
            return error
        self._committed(ours, began)
        return ours, held

    async def _replace_all(self, changes: list[tuple[Entry, Entry]]) -> list[bool | Exception]:
        began = self._clock()
        try:
            async with self._connection() as connection:
                written = await database.replace_many(connection, changes)
        except (IdTaken, UnstorableError) as error:  # nothing is written because of one of them: each is tried alone
            if len(changes) == 1:
                return [error]
            return [answer for change in changes for answer in await self._replace_all([change])]
        self._committed(sum(written), began)
        return list(written)

    async def _replace(self, was: Entry, now: Entry) -> bool:
        began = self._clock()
        text, names = database.UPDATES[now.body is was.body, now.dispatch is was.dispatch]
        async with self._connection() as connection:
            written = await connection.fetchval(text, was.id, was.revision, *database.values(now, names))
        self._committed(bool(written), began)
        return written is not None

    def _committed(self, writes: int, began: float) -> None:
        if writes:
            self._hear(writes, self._clock() - began)

    async def get(self, entry_id: str) -> Entry | None:
        """The entry with this id."""
        found = await self._fetch(database.GET, entry_id)
        return database.entry_of(found[0]) if found else None

    async def find(self, client: str, external_id: str) -> Entry | None:
        """The entry under this key."""
        found = await self._fetch(database.FIND, client, external_id)
        return database.entry_of(found[0]) if found else None

    async def page(self, query: Query) -> list[Entry]:
        """Entries, newest first; their bodies and responses are left out."""
        text, given = database.listing(query)
        return [database.entry_of(row) for row in await self._fetch(text, *given)]

    async def take(self, owner: str, lease: float, limit: int) -> list[Entry]:
        """Take up to `limit` entries that are due, oldest due first, for `owner`, for `lease` seconds."""
        self._check_open()
        async with self._connection() as connection:
            began = self._clock()
            rows = await connection.fetch(database.TAKE, owner, lease, limit)
            ended = self._clock()
        # The server's clock was read in between. That is only news where it contradicts what is believed of it.
        clock = rows[0]["now"]
        self._offset = min(max(self._offset, clock - ended), clock - began)
        taken = [database.entry_of(row) for row in rows if row["id"] is not None]
        if taken:
            self._hear(1, ended - began)
        return taken

    async def doubts(self) -> list[Doubts]:
        """What is in doubt, by upstream."""
        return [Doubts(*row) for row in await self._fetch(database.DOUBTS)]

    async def purge(self, before: str, limit: int, *, since: float = math.inf) -> int:
        """Empty the bodies of up to `limit` concluded entries whose id is below `before`; how many there were."""
        began = self._clock()
        purged = int((await self._fetch(database.PURGE, before, limit, since))[0][0])
        if purged:
            self._hear(1, self._clock() - began)
        return purged

    async def _set_clock(self, connection: Connected) -> None:
        best = math.inf
        for _ in range(CLOCK_READINGS):
            began = self._clock()
            clock = await connection.fetchval(database.CLOCK)
            ended = self._clock()
            if ended - began < best:
                best, self._offset = ended - began, clock - (began + ended) / 2

    def _check_open(self) -> None:
        if self._pool is None or self._closing:
            raise StoreError("the journal is not open", unchanged=True)

    async def _fetch(self, text: str, *given: object) -> list[Record]:
        self._check_open()
        async with self._connection() as connection:
            return await connection.fetch(text, *given)

    @asynccontextmanager
    async def _connection(self, seconds: float | None = None) -> AsyncIterator[Connected]:
        """A connection, for what is over in time; here the errors of others end."""
        if (pool := self._pool) is None:
            raise StoreError("the journal is not open")
        self._running += 1
        self._idle.clear()
        reached = False
        try:
            async with asyncio.timeout(seconds or self._patience), pool.acquire() as connection:
                reached = True
                try:
                    yield connection
                except asyncpg.UniqueViolationError as error:
                    raise IdTaken(f"{error.constraint_name}: it belongs to another invoice") from None
                except asyncpg.DataError as error:  # before anything was sent, or the statement came to nothing
                    raise UnstorableError(f"{self._name}: {words.why(error)}") from None
                except BaseException:
                    # It is not used again: what it still waits for is not known, nor whether its server may be written.
                    with suppress(asyncpg.InterfaceError):  # it is gone already
                        connection.terminate()
                    raise
        except (IdTaken, UnstorableError):
            raise
        except Exception as error:  # noqa: BLE001 - asyncpg lets any kind through
            unchanged = not reached or words.refused(error)
            raise StoreError(f"{self._name}: {words.why(error)}", unchanged=unchanged) from None
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
