"""The journal in one SQLite file, for one gateway: durable, exclusive, and quick because commits are shared.

One thread owns the one connection. It takes whatever waits, reads first, then makes all changes in one transaction:
the slow part, waiting for the disk, is paid once for all who wait. If that transaction fails, it fails for all of them.
"""

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from queue import SimpleQueue
from sqlite3 import Connection
from threading import Thread
from typing import TypeVar, TypeVarTuple, cast

from msgspec import Struct

from gateway.core.journal import Doubts, Entry
from gateway.shell.journal import IdTaken, Query, StoreError, UnstorableError
from gateway.shell.journal import sqlite_file as file
from gateway.shell.journal.sqlite_schema import opened

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Asked(Struct, frozen=True, eq=False):
    """One operation, and who waits for it."""

    answer: asyncio.Future[object]
    work: Callable[..., object]
    given: tuple[object, ...]
    writes: bool


UNWRITTEN = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)
"""Errors of a commit after which none of it is in the file; after any other a part may come to light at the next start.

The lowest byte is the kind of the error (sqlite.org/rescode.html).
"""

Answers = list[tuple[asyncio.Future[object], object]]


class SqliteStore:
    """A store in one SQLite file, which nobody else can open meanwhile.

    `hear` is told of every commit: how many changes it held, and how many seconds it took. `clock` is asked from
    another thread, too.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        hear: Callable[[int, float], None] = lambda _, __: None,
    ) -> None:
        self.path = path
        self.now = clock
        self._hear = hear
        self._asked: list[_Asked] = []
        self._queue: SimpleQueue[list[_Asked] | None] = SimpleQueue()
        self._batch: list[_Asked] = []
        self._thread: Thread | None = None
        self._why = "the journal is not open"
        """Why nothing can be asked of it; empty while it can."""

    async def open(self) -> None:
        """Open the file, or make it; what is being sent in it has lost its sender, and is due."""
        if self._thread is not None:
            raise StoreError("the journal is open already")
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[object] = self._loop.create_future()
        self._ended: asyncio.Future[object] = self._loop.create_future()
        # A daemon, so that a gateway which ends without closing does not hang: to the file that is a crash.
        self._thread = Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()
        await self._opened
        self._why = ""

    async def close(self) -> None:
        """Finish what is waiting and let go of the file."""
        if self._thread is not None:
            self._why = "the journal is closed"
            self._hand_over()
            self._queue.put(None)
            await asyncio.shield(self._ended)

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    async def claim(self, entry: Entry) -> tuple[bool, Entry]:
        """Take the key for `entry`, if nothing binds it; with the entry that has the key then."""
        return await self._ask(file.claim, entry, writes=True)

    async def replace(self, was: Entry, now: Entry) -> bool:
        """Write `now` over `was` if that is still stored; a body or dispatch that is the same object stays as it is.

        Raises:
            IdTaken: (`upstream`, `upstream_id`) belongs to another entry.
        """
        return await self._ask(file.replace, was, now, writes=True)

    async def get(self, entry_id: str) -> Entry | None:
        """The entry with this id."""
        return await self._ask(file.one, file.GET, entry_id)

    async def find(self, client: str, external_id: str) -> Entry | None:
        """The entry under this key."""
        return await self._ask(file.one, file.FIND, external_id, client)

    async def page(self, query: Query) -> list[Entry]:
        """Entries, newest first; their bodies and responses are left out."""
        return await self._ask(file.page, query)

    async def take(self, owner: str, lease: float, limit: int) -> list[Entry]:
        """Take up to `limit` entries that are due, oldest due first, for `owner`, for `lease` seconds."""
        return await self._ask(self._take, owner, lease, limit, writes=True)

    async def doubts(self) -> list[Doubts]:
        """What is in doubt, by upstream."""
        return await self._ask(file.doubts)

    async def purge(self, before: str, limit: int, *, since: float = math.inf) -> int:
        """Empty the bodies of up to `limit` concluded entries whose id is below `before`; how many there were."""
        return await self._ask(file.purge, before, limit, since, writes=True)

    def _take(self, db: Connection, owner: str, lease: float, limit: int) -> list[Entry]:
        """By the time at which it is done; in the thread."""
        return file.take(db, self.now(), owner, lease, limit)

    async def _ask(self, work: Callable[[Connection, *Ts], T], *given: *Ts, writes: bool = False) -> T:
        if self._why:
            raise StoreError(self._why, unchanged=True)
        answer: asyncio.Future[object] = self._loop.create_future()
        if not self._asked:
            self._loop.call_soon(self._hand_over)
        self._asked.append(_Asked(answer, work, given, writes))
        return cast("T", await answer)

    def _hand_over(self) -> None:
        """Give the thread all that was asked in one turn of the event loop: to wake it costs more than to ask it."""
        if self._asked:
            self._queue.put(self._asked)
            self._asked = []

    def _run(self) -> None:
        """What the thread does, from beginning to end."""
        failure: BaseException | None = None
        try:
            with closing(opened(self.path, self.now())) as db:
                self._loop.call_soon_threadsafe(_settle, self._opened, None)
                self._serve(db)
        except BaseException as error:  # noqa: BLE001 - those who wait must hear of it, whatever it is
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._over, failure)

    def _serve(self, db: Connection) -> None:
        going = True
        while going:
            taken = [self._queue.get()]
            while not self._queue.empty():
                taken.append(self._queue.get())
            going = taken[-1] is not None
            self._batch = [asked for each in taken if each is not None for asked in each]
            answers = [(asked.answer, _looked(db, asked)) for asked in self._batch if not asked.writes]
            began = time.perf_counter()
            written, committed = _commit(db, [asked for asked in self._batch if asked.writes])
            seconds = time.perf_counter() - began
            self._loop.call_soon_threadsafe(self._tell, answers + written, committed, seconds)

    def _tell(self, answers: Answers, committed: int, seconds: float) -> None:
        """Hand the answers of a batch out; in the event loop."""
        for future, answer in answers:
            _settle(future, answer)
        if committed:
            self._hear(committed, seconds)

    def _over(self, failure: BaseException | None) -> None:
        """Let nobody wait for a thread that has ended; in the event loop."""
        if failure is not None:
            self._why = f"the journal has ended: {_words(failure)}"
        while not self._queue.empty():
            self._batch += self._queue.get() or []
        self._batch += self._asked
        for asked in self._batch:
            _settle(asked.answer, StoreError(self._why))
        _settle(self._opened, failure if isinstance(failure, StoreError) else StoreError(self._why))
        _settle(self._ended, None)
        self._asked, self._batch, self._thread = [], [], None
        if not (failure is None or isinstance(failure, StoreError)):
            self._loop.call_exception_handler({"message": self._why, "exception": failure})


def _settle(future: asyncio.Future[object], answer: object) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _words(error: BaseException) -> str:
    """Why something failed; the words of other errors than SQLite's could be about what is stored."""
    return str(error) if isinstance(error, (sqlite3.Error, StoreError)) else type(error).__name__


def _looked(db: Connection, asked: _Asked) -> object:
    try:
        return None if asked.answer.cancelled() else asked.work(db, *asked.given)
    except Exception as error:  # noqa: BLE001 - whoever asked hears of it, and nobody else
        return StoreError(f"the journal cannot be read: {_words(error)}")


def _commit(db: Connection, changes: list[_Asked]) -> tuple[Answers, int]:
    """Make the changes that are still waited for, all or none; what became of each, and how many were committed."""
    if not changes:
        return [], 0
    committing = False
    try:
        db.execute("BEGIN IMMEDIATE")
        answers: Answers = [(asked.answer, _changed(db, asked)) for asked in changes if not asked.answer.cancelled()]
        committing = True
        db.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - everybody hears of it
        with suppress(sqlite3.Error):  # SQLite has rolled back itself after some errors
            db.execute("ROLLBACK")
        unchanged = not committing or (isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF in UNWRITTEN)
        why = f"the journal cannot be written: {_words(error)}"
        return [(asked.answer, StoreError(why, unchanged=unchanged)) for asked in changes], 0
    return answers, len(answers)


def _changed(db: Connection, asked: _Asked) -> object:
    """What became of one change; where its own content is at fault, only it fails, and has changed nothing."""
    try:
        return asked.work(db, *asked.given)
    except IdTaken as error:
        return error
    except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, ValueError, OverflowError) as error:
        return UnstorableError(f"the journal cannot hold this: {_words(error)}")
