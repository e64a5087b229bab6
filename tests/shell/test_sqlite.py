"""What only the SQLite store has: a file that is exclusive and checked, shared commits, and a thread."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Semaphore
from typing import Any

import pytest
from msgspec import structs

from gateway.core.journal import Entry, stepped
from gateway.shell.journal import Query, StoreError, sqlite_file, sqlite_schema
from gateway.shell.journal.sqlite import SqliteStore
from gateway.shell.journal.sqlite_schema import APPLICATION_ID, MIGRATIONS, PAGE_BYTES
from tests.support.stores import STATES, Clock, entry, opened

ROOT = Path(__file__).parents[2]
NOBODY = 65534
LARGE = bytes(100_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "journal.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """An open, empty store."""
    made = SqliteStore(path, Clock())
    await made.open()
    yield made
    await made.close()


def run(code: str, path: Path) -> "subprocess.Popen[str]":
    """Another process that runs the code, which can use a store."""
    beginning = "import asyncio, resource, sys\nfrom pathlib import Path\n"
    beginning += "from gateway.shell.journal import Query, StoreError\n"
    beginning += "from gateway.shell.journal.sqlite import SqliteStore\nfrom tests.support.stores import entry\n"
    beginning += "store = SqliteStore(Path(sys.argv[1]))\n"
    return subprocess.Popen(  # noqa: S603 - the code is written here
        (sys.executable, "-c", beginning + code, str(path)), stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def sql(path: Path, *statements: str) -> list[Any]:
    """The first row of the last statement, in a connection of its own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return [db.execute(statement).fetchone() for statement in statements][-1:]


async def refusal(path: Path) -> str:
    """Why the file cannot be opened, in one line that names it; nothing of the attempt remains."""
    store = SqliteStore(path)
    with pytest.raises(StoreError) as refused:
        await store.open()
    assert not store.alive()
    words = str(refused.value)
    assert "\n" not in words
    assert words.startswith(str(path))
    await store.close()
    return words.removeprefix(str(path)).removeprefix(":").strip()


# ------------------------------------------------------------------ opening


async def test_a_file_in_use_is_refused(path: Path) -> None:
    """By another process, from when it was opened until it ends; though nothing was written since."""
    waiting = "async def main():\n  await store.open(); print('open', flush=True); await asyncio.sleep(60)\n"
    with run(waiting + "asyncio.run(main())", path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        assert await refusal(path) == "is in use by another process: one gateway per file, or PostgreSQL for several"
        other.kill()
    async with opened(lambda: SqliteStore(path)) as store:
        assert await store.page(Query()) == []


async def test_a_file_in_use_is_refused_in_the_same_process_too(store: SqliteStore) -> None:
    """A second store, and anybody who only wants to read; the first goes on, and cannot be opened twice."""
    assert (await refusal(store.path)).startswith("is in use")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sql(store.path, "PRAGMA busy_timeout = 0", "SELECT * FROM entries")
    with pytest.raises(StoreError, match="open already"):
        await store.open()
    assert (await store.claim(entry()))[0]


async def test_a_file_that_is_being_written_is_refused(path: Path) -> None:
    """By a process that does not know of the gateway, an administrator's shell."""
    async with opened(lambda: SqliteStore(path)):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert (await refusal(path)).startswith("is in use")
        db.execute("ROLLBACK")


async def test_a_missing_folder_is_named(path: Path) -> None:
    """It is not made: the path may be a mistake."""
    wrong = path.parent / "missing" / "journal.db"
    assert await refusal(wrong) == f"there is no folder {wrong.parent}; make it, or choose another path"
    assert not wrong.parent.exists()


async def test_a_folder_is_refused(path: Path) -> None:
    """A file in it is meant."""
    assert await refusal(path.parent) == "is a folder; choose the path of a file in it"


def test_what_is_not_a_database_is_refused(path: Path) -> None:
    """And stays as it is."""
    path.write_bytes(b"invoices\n" * 100)
    assert asyncio.run(refusal(path)) == "is no SQLite database; choose another path"
    assert path.read_bytes() == b"invoices\n" * 100


@pytest.mark.parametrize(
    "made",
    ["CREATE TABLE theirs (a)", "PRAGMA user_version = 1", "PRAGMA application_id = 1; CREATE TABLE entries (a)"],
)
def test_the_database_of_another_program_is_refused(path: Path, made: str) -> None:
    """And stays as it is, to the byte."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(made)
    before = path.read_bytes()
    assert asyncio.run(refusal(path)) == "is a database of another program; choose another path"
    assert path.read_bytes() == before


async def test_a_newer_version_is_refused(path: Path) -> None:
    """And stays as it is: an older program cannot know what it would break."""
    async with opened(lambda: SqliteStore(path)):
        pass
    sql(path, "PRAGMA user_version = 7")
    assert (
        await refusal(path)
        == f"was written by a newer version (schema 7; this one knows {len(MIGRATIONS)}); run that one"
    )
    assert sql(path, "PRAGMA user_version") == [(7,)]


def test_a_damaged_file_is_refused(path: Path) -> None:
    """With what to do about it."""
    asyncio.run(_made(path))
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)
    assert asyncio.run(refusal(path)) == "is damaged: restore it from a backup"


def test_a_file_that_cannot_be_written_is_refused() -> None:
    """Not at the first invoice, but when it is opened; nor is one made where none can be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        asyncio.run(_made(path))
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        with without_rights():
            words = asyncio.run(refusal(path))
            new = asyncio.run(refusal(path.with_name("new.db")))
        path.chmod(0o666)
        with without_rights():
            only_the_file = asyncio.run(refusal(path))
        Path(folder).chmod(0o755)
    assert words == "cannot be written: look at the permissions of the file and its folder"
    assert new == "cannot be opened: look at the permissions of the file and its folder"
    assert only_the_file == "cannot be written: look at the permissions of the file and its folder"


@contextmanager
def without_rights() -> Iterator[None]:
    """As somebody for whom permissions hold: they do not for root."""
    root = os.geteuid() == 0
    if root:
        os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)


async def _made(path: Path) -> None:
    async with opened(lambda: SqliteStore(path)):
        pass


async def test_a_setting_that_does_not_hold_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place where there can be no write-ahead log, say: what SQLite answers counts, not what it was asked for."""
    monkeypatch.setitem(sqlite_schema.SETTINGS, "page_size", 1000)
    assert await refusal(path) == "cannot have page_size 1000, only 16384; put it on a local disk"


async def test_what_cannot_be_foreseen_is_refused_too(path: Path) -> None:
    """Whatever it is: nobody waits for it, and everybody hears of it."""
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    store = SqliteStore(path, lambda: 1 / 0)
    with pytest.raises(StoreError, match="the journal has ended: ZeroDivisionError"):
        await store.open()
    assert not store.alive()
    assert isinstance(heard[0]["exception"], ZeroDivisionError)


async def test_an_opening_that_nobody_waits_for_can_be_closed(path: Path) -> None:
    """The caller lost patience: the file is free again afterwards."""
    store = SqliteStore(path)
    opening = asyncio.create_task(store.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await asyncio.wait_for(store.close(), 10)
    assert not store.alive()
    await _made(path)


def test_the_file_is_ours_and_durable(path: Path) -> None:
    """Its header says whose it is and of which version; every commit waits for the disk; no memory is shared."""
    for _ in range(2):
        with closing(sqlite_schema.opened(path, 0.0)) as db:
            answers = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")}
            assert answers == {"synchronous": 2, "journal_mode": "wal"}
            assert {one.name for one in path.parent.iterdir()} == {"journal.db", "journal.db-wal"}
    assert sql(path, "PRAGMA page_size") == [(PAGE_BYTES,)]
    assert sql(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert sql(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


async def test_the_schema_is_brought_up_to_date_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step in a transaction with its number: one that fails leaves no trace, and is tried again."""
    first = entry(state="created")
    async with opened(lambda: SqliteStore(path)) as store:
        await store.claim(first)
    good = "CREATE TABLE second (a) STRICT;".replace("(a)", "(a TEXT)")
    monkeypatch.setattr(
        sqlite_schema, "MIGRATIONS", (*MIGRATIONS, good, "CREATE TABLE third (a TEXT); SELECT * FROM no;")
    )
    assert (await refusal(path)).startswith("cannot be used: no such table")
    assert sql(path, "PRAGMA user_version") == [(3,)]
    assert sql(path, "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table'") == [("entries,sent,second",)]
    monkeypatch.setattr(sqlite_schema, "MIGRATIONS", (*MIGRATIONS, good, "CREATE TABLE third (a TEXT) STRICT;"))
    for _ in range(2):
        async with opened(lambda: SqliteStore(path)) as store:
            assert await store.get(first.id) == first
    assert sql(path, "PRAGMA user_version") == [(4,)]


async def test_a_file_of_the_first_version_keeps_what_it_holds(path: Path) -> None:
    """Whatever its entries had, and nothing they had not."""
    whole = entry(state="created", dispatch=b"how", result=b"{}", response=b"said", upstream_id="1")
    bare = entry(id="0190-00000000", external_id="2", state="rejected", body=b"", dispatch=b"")
    names = Entry.__struct_fields__
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"{MIGRATIONS[0]} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;")
        for one in (whole, bare):
            text = f"INSERT INTO entries ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
            db.execute(text, [None if getattr(one, name) == b"" else getattr(one, name) for name in names])
        db.commit()
    async with opened(lambda: SqliteStore(path)) as store:
        assert [await store.get(one.id) for one in (whole, bare)] == [whole, bare]
        assert (await store.claim(entry(id="3", external_id="2")))[0]
        assert await store.purge("1", 10) == 1


async def test_what_was_being_sent_is_due_at_once_when_it_is_opened(path: Path) -> None:
    """Whoever opened the file is alone: its sender is gone. Nothing else is touched."""
    clock = Clock()
    made = {state: entry(state=state, due_at=clock() + 60) for state in STATES}
    async with opened(lambda: SqliteStore(path, clock)) as store:
        for one in made.values():
            await store.claim(one)
    clock.seconds += 10
    async with opened(lambda: SqliteStore(path, clock)) as store:
        wanted = made | {"sending": structs.replace(made["sending"], due_at=clock())}
        assert {state: await store.get(one.id) for state, one in made.items()} == wanted
        assert [one.id for one in await store.take("me", 60.0, 9)] == [made["sending"].id]


# ------------------------------------------------------------------ crashes and full disks


async def test_a_killed_process_leaves_what_it_committed(path: Path) -> None:
    """Every entry whose claim was answered is there, whole."""
    code = """
async def main():
    await store.open()
    async def claim(number):
        while True:
            claimed, _ = await store.claim(entry(number, body=b"body" * 500))
            print(number, flush=True)
            number += 16
    await asyncio.gather(*(claim(number) for number in range(16)))
asyncio.run(main())
"""
    with run(code, path) as writing:
        assert writing.stdout is not None
        told = [writing.stdout.readline() for _ in range(300)]
        writing.kill()
        told += writing.stdout.readlines()
    numbers = {int(line) for line in told if line.endswith("\n")}
    assert len(numbers) >= 300
    async with opened(lambda: SqliteStore(path)) as store:
        found = {one.id: one for one in await store.page(Query(limit=1_000_000))}
        for number in numbers:
            one = await store.get(entry(number).id)
            assert one is not None
            assert one.body == b"body" * 500
    assert set(found) >= {entry(number).id for number in numbers}


async def changed(store: SqliteStore, work: Callable[[sqlite3.Connection], object]) -> None:
    """Let the store's own connection do something."""
    await store._ask(work)  # noqa: SLF001 - a full disk is made there


async def test_a_full_disk_is_told_and_over_once_there_is_room(path: Path) -> None:
    """Everybody who shared the commit hears of it, nothing of it is stored, reads go on; then all is well again."""
    heard: list[int] = []
    async with opened(lambda: SqliteStore(path, hear=lambda writes, _: heard.append(writes))) as store:
        assert isinstance(store, SqliteStore)
        first = entry(body=LARGE)
        await store.claim(first)
        await changed(store, lambda db: db.execute("PRAGMA max_page_count = 40").fetchall())
        new = [entry(body=LARGE) for _ in range(5)]
        gate, busy = await held_up(store)
        asked = asyncio.gather(
            store.replace(first, stepped(first, "created", 1.0)), *map(store.claim, new), return_exceptions=True
        )
        await asyncio.sleep(0)
        gate.open()
        await busy
        answers = await asked
        assert {str(answer) for answer in answers} == {"the journal cannot be written: database or disk is full"}
        assert {(type(one), one.unchanged) for one in answers if isinstance(one, StoreError)} == {(StoreError, True)}
        assert await store.get(first.id) == first
        assert len(await store.page(Query())) == 1
        assert store.alive()
        assert sum(heard) == 1
        await changed(store, lambda db: db.execute("PRAGMA max_page_count = 100000").fetchall())
        assert await store.claim(new[0]) == (True, new[0])
        assert await store.get(new[0].id) == new[0]


def test_a_file_that_may_not_grow_is_told_and_over_once_it_may(path: Path) -> None:
    """The operating system refuses: what was stored before is there, nothing in between, and what comes afterwards."""
    code = """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def limit(size): resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
async def main():
    await store.open()
    for number in range(20): await store.claim(entry(number, body=bytes(50_000)))
    limit(1_200_000)
    refused = set()
    for number in range(20, 60):
        try: await store.claim(entry(number, body=bytes(50_000)))
        except StoreError as error: refused.add(str(error))
    print(sorted(refused), store.alive(), flush=True)
    held = {one.id for one in await store.page(Query(limit=1000))}
    assert held >= {entry(number).id for number in range(20)} and len(held) < 60
    limit(resource.RLIM_INFINITY)
    for number in range(60, 80): assert (await store.claim(entry(number, body=bytes(50_000))))[0]
    found = {one.id for one in await store.page(Query(limit=1000))}
    assert found == held | {entry(number).id for number in range(60, 80)}
    await store.close()
    await store.open()
    assert {one.id for one in await store.page(Query(limit=1000))} == found
    await store.close()
asyncio.run(main())
"""
    with run(code, path) as ran:
        said = ran.communicate()[0]
    assert ran.returncode == 0
    assert said == "['the journal cannot be written: disk I/O error'] True\n"
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_transaction_that_cannot_begin_leaves_nothing_open(store: SqliteStore) -> None:
    """Read-only for a while: told, and over."""
    await changed(store, lambda db: db.execute("PRAGMA query_only = 1").fetchall())
    with pytest.raises(StoreError, match="the journal cannot be written: attempt to write a readonly database") as no:
        await store.claim(entry())
    assert no.value.unchanged
    await changed(store, lambda db: db.execute("PRAGMA query_only = 0").fetchall())
    assert (await store.claim(entry()))[0]


def test_a_commit_that_breaks_may_have_been_one(path: Path) -> None:
    """A disk that fails while it is written: a part of it may be read at the next start. Once closed, nothing is."""
    code = """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    await store.open()
    for number in range(5): await store.claim(entry(number, body=bytes(50_000)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    sure = []
    for number in range(5, 9):
        try: await store.claim(entry(number, body=bytes(50_000)))
        except StoreError as error: sure.append(error.unchanged)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.close()
    try: await store.claim(entry())
    except StoreError as error: print(sure, error.unchanged)
asyncio.run(main())
"""
    with run(code, path) as ran:
        said = ran.communicate()[0]
    assert (ran.returncode, said) == (0, "[False, False, False, False] True\n")


async def test_what_a_dead_process_was_sending_is_due_at_once(path: Path) -> None:
    """Nobody else can have the file, so its sender is dead, whenever its claim would have ended."""
    clock = Clock()
    sending, waiting = entry(due_at=clock() + 60.0), entry(state="waiting", due_at=clock() + 60.0)
    async with opened(lambda: SqliteStore(path, clock)) as store:
        await store.claim(sending)
        await store.claim(waiting)
        assert await store.take("me", 1.0, 10) == []
    async with opened(lambda: SqliteStore(path, clock)) as store:
        (taken,) = await store.take("me", 1.0, 10)
        assert (taken.id, taken.state) == (sending.id, "unknown")


async def test_what_cannot_be_read_is_told(store: SqliteStore) -> None:
    """To the one who asked, and without what is stored."""
    one = entry()
    await store.claim(one)
    await changed(store, lambda db: db.execute("UPDATE entries SET state = 'lost'"))
    answers = await asyncio.gather(store.get(one.id), store.doubts(), return_exceptions=True)
    assert str(answers[0]) == "the journal cannot be read: ValidationError"
    assert answers[1] == []


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (entry(external_id="\ud800"), "UnicodeEncodeError"),
        (entry(revision=2**64), "OverflowError"),
        (entry(updated_at=float("nan")), "NOT NULL constraint failed: entries.updated_at"),
        (entry(1, external_id="another"), "UNIQUE constraint failed: entries.id"),
    ],
)
async def test_what_cannot_be_held_fails_alone(store: SqliteStore, bad: Entry, words: str) -> None:
    """Its own content is at fault: who shares the commit does not hear of it."""
    await store.claim(entry(1))
    good = [entry(), entry()]
    answers = await asyncio.gather(*map(store.claim, (good[0], bad, good[1])), return_exceptions=True)
    assert (answers[0], answers[2]) == ((True, good[0]), (True, good[1]))
    assert str(answers[1]) == f"the journal cannot hold this: {words}"
    was = good[0]
    if bad.id != entry(1).id:
        now = structs.replace(was, revision=bad.revision, updated_at=bad.updated_at, fingerprint=bad.external_id)
        with pytest.raises(StoreError, match="the journal cannot hold this"):
            await store.replace(was, now)
        assert await store.get(was.id) == was


# ------------------------------------------------------------------ sharing commits


async def test_those_who_wait_share_a_commit(path: Path) -> None:
    """64 claims at once: very few commits hold them all, and each commit is told of, with its seconds."""
    heard: list[tuple[int, float]] = []
    async with opened(lambda: SqliteStore(path, hear=lambda writes, seconds: heard.append((writes, seconds)))) as store:
        await asyncio.gather(*(store.claim(entry()) for _ in range(64)))
        assert sum(writes for writes, _ in heard) == 64
        assert len(heard) <= 16
        assert all(0 < seconds < 5 for _, seconds in heard)
        del heard[:]
        await asyncio.gather(store.page(Query()), store.get("1"), store.doubts())
        assert heard == []


class Gate:
    """Something that the thread is held up with, so that a test decides what waits."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reached = asyncio.Semaphore(0)
        self._open = Semaphore(0)

    def __call__(self, _: sqlite3.Connection) -> None:
        """Stand until it is opened; in the thread."""
        self._loop.call_soon_threadsafe(self._reached.release)
        assert self._open.acquire(timeout=10)

    async def reached(self) -> None:
        """Wait until the thread stands before it."""
        await self._reached.acquire()

    def open(self) -> None:
        """Let it pass once."""
        self._open.release()


async def held_up(store: SqliteStore) -> tuple[Gate, asyncio.Task[None]]:
    """A gate before which the store's thread stands, and what is answered once it has passed."""
    gate = Gate()
    passing = asyncio.create_task(changed(store, gate))
    await gate.reached()
    return gate, passing


async def test_all_that_waits_is_one_commit(path: Path) -> None:
    """While the disk is busy, whoever comes is gathered: one commit for all of them."""
    heard: list[int] = []
    async with opened(lambda: SqliteStore(path, hear=lambda writes, _: heard.append(writes))) as store:
        assert isinstance(store, SqliteStore)
        gate, busy = await held_up(store)
        asked = [asyncio.create_task(store.claim(entry())) for _ in range(64)]
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(busy, *asked)
    assert heard == [64]


async def test_what_nobody_waits_for_any_more_is_not_begun(path: Path) -> None:
    """A caller that lost patience in the queue: neither its change nor its question is made, its neighbours' are."""
    heard: list[int] = []
    begun: list[int] = []
    async with opened(lambda: SqliteStore(path, hear=lambda writes, _: heard.append(writes))) as store:
        assert isinstance(store, SqliteStore)
        gate, busy = await held_up(store)
        entries = [entry() for _ in range(4)]
        asked = [asyncio.create_task(store.claim(one)) for one in entries]
        question = asyncio.create_task(changed(store, lambda _: begun.append(1)))
        await asyncio.sleep(0)
        for left in (asked[1], asked[3], question):
            left.cancel()
        await asyncio.sleep(0)
        gate.open()
        await asyncio.wait_for(asyncio.gather(busy, *asked, return_exceptions=True), 5)
        found = [await store.get(one.id) for one in entries]
        assert found == [entries[0], None, entries[2], None]
        gate, busy = await held_up(store)
        only = asyncio.create_task(store.claim(entry()))
        await asyncio.sleep(0)
        only.cancel()
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(busy, only, return_exceptions=True)
        assert len(await store.page(Query())) == 2
    assert heard == [2]
    assert begun == []


async def test_who_leaves_while_its_change_is_made_does_not_disturb_the_others(path: Path) -> None:
    """It was begun, so it is made; its answer is nobody's."""
    new = entry()

    def slow(db: sqlite3.Connection) -> tuple[bool, Entry]:
        gate(db)
        return sqlite_file.claim(db, new)

    async with opened(lambda: SqliteStore(path)) as store:
        assert isinstance(store, SqliteStore)
        gate = Gate()
        leaving = asyncio.create_task(store._ask(slow, writes=True))  # noqa: SLF001 - a change that takes its time
        await gate.reached()
        staying = asyncio.create_task(store.get(new.id))
        leaving.cancel()
        await asyncio.sleep(0)
        gate.open()
        assert await asyncio.wait_for(staying, 5) == new
        assert leaving.cancelled()


# ------------------------------------------------------------------ the thread


async def test_a_thread_that_ends_leaves_nobody_waiting(store: SqliteStore) -> None:
    """Those whose turn it was, those in the queue, those who come later: a `StoreError`; and it is not kept quiet."""
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))

    def deadly(db: sqlite3.Connection) -> None:
        gate(db)
        raise SystemExit

    gate, busy = await held_up(store)
    asked = [
        asyncio.create_task(store.claim(entry())),
        asyncio.create_task(changed(store, deadly)),
        asyncio.create_task(store.get("1")),
    ]
    await asyncio.sleep(0)
    gate.open()
    await busy
    await gate.reached()
    asked += [asyncio.create_task(store.claim(entry())) for _ in range(3)]
    await asyncio.sleep(0)
    assert store.alive()
    gate.open()
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5)
    assert {(type(one), str(one)) for one in answers} == {(StoreError, "the journal has ended: SystemExit")}
    assert not store.alive()
    with pytest.raises(StoreError, match="has ended"):
        await store.claim(entry())
    assert [type(context["exception"]) for context in heard] == [SystemExit]
    await store.close()
    await store.open()
    assert await store.page(Query()) == []


async def test_a_fault_in_an_operation_does_not_end_the_thread(store: SqliteStore) -> None:
    """Whoever asked hears of it; a change that fails in a way that nobody thought of takes its commit with it."""

    def broken(_: sqlite3.Connection) -> None:
        raise KeyError("a secret")

    one = entry()
    answers = await asyncio.gather(
        store.claim(one), store._ask(broken, writes=True), changed(store, broken), return_exceptions=True  # noqa: SLF001
    )  # fmt: skip
    assert [str(answer) for answer in answers[1:]] == [
        "the journal cannot be written: KeyError",
        "the journal cannot be read: KeyError",
    ]
    assert store.alive()
    assert await store.get(one.id) in (None, one)
    assert (await store.get(one.id) is None) == isinstance(answers[0], StoreError)
    assert (await store.claim(entry()))[0]


async def test_two_may_close_at_once(path: Path) -> None:
    """And one who does not wait for it does not spoil it for the other."""
    store = SqliteStore(path)
    await store.open()
    left = asyncio.create_task(store.close())
    other = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    left.cancel()
    await other
    assert not store.alive()
    await _made(path)


def test_a_loop_that_is_gone_does_not_keep_the_file(path: Path) -> None:
    """A program that ends without closing: it does end, and the next one has everything."""
    code = "async def main():\n  await store.open(); await store.claim(entry(1))\nasyncio.run(main())\n"
    with run(code, path) as ran:
        try:
            assert ran.wait(20) == 0
        finally:
            ran.kill()
    assert asyncio.run(_count(path)) == 1


async def _count(path: Path) -> int:
    async with opened(lambda: SqliteStore(path)) as store:
        return len(await store.page(Query()))


def test_a_thread_whose_loop_is_closed_ends(path: Path) -> None:
    """With nobody to tell, it lets go of the file."""
    store = SqliteStore(path)

    async def leave() -> Gate:
        await store.open()
        gate, busy = await held_up(store)
        busy.cancel()
        return gate

    gate = asyncio.run(leave())
    gate.open()
    thread = store._thread  # noqa: SLF001 - nobody else knows of it
    assert thread is not None
    thread.join(5)
    assert not store.alive()
    assert asyncio.run(_count(path)) == 0


# ------------------------------------------------------------------ query plans


class Explained(sqlite3.Connection):
    """A connection that asks first how each statement will be executed."""

    plans: list[str]

    def execute(self, text: str, given: Any = (), /) -> sqlite3.Cursor:
        """The statement, and its plan."""
        self.plans += [row[3] for row in super().execute("EXPLAIN QUERY PLAN " + text, given)]
        return super().execute(text, given)


@pytest.fixture
def explained(path: Path) -> Iterator[Explained]:
    """A connection to an empty journal."""
    sqlite_schema.opened(path, 0.0).close()
    db = sqlite3.connect(path, isolation_level=None, factory=Explained)
    db.plans = []
    yield db
    db.close()


BY_STATE = "SEARCH entries USING INDEX entries_state (state=?)"
DETAILS = "SEARCH sent USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN"
SORTED = "USE TEMP B-TREE FOR ORDER BY"


@pytest.mark.parametrize(
    ("query", "plan"),
    [
        # In the order that is wanted, until the limit is reached.
        (Query(), ["SCAN entries USING INDEX sqlite_autoindex_entries_1", DETAILS]),
        (Query(after="1"), ["SEARCH entries USING INDEX sqlite_autoindex_entries_1 (id<?)", DETAILS]),
        (Query(client="a"), ["SEARCH entries USING INDEX entries_client (client=?)", DETAILS]),
        (Query(client="a", after="1"), ["SEARCH entries USING INDEX entries_client (client=? AND id<?)", DETAILS]),
        *((Query(states=(state,)), [BY_STATE, DETAILS]) for state in STATES if state != "created"),
        (
            Query(states=("unknown",), after="1"),
            ["SEARCH entries USING INDEX entries_state (state=? AND id<?)", DETAILS],
        ),
        (Query(states=("unknown", "waiting")), [BY_STATE, DETAILS, BY_STATE, DETAILS]),
        (Query(states=("unknown",), client="a"), [BY_STATE, DETAILS]),
        (Query(states=("created",)), ["SCAN entries USING INDEX sqlite_autoindex_entries_1", DETAILS]),
        (Query(states=("created",), client="a"), ["SEARCH entries USING INDEX entries_client (client=?)", DETAILS]),
        # One key has few entries, one for each client.
        (Query(external_id="1"), ["SEARCH entries USING INDEX entries_key (external_id=?)", DETAILS, SORTED]),
        (
            Query(external_id="1", client="a", states=("unknown",)),
            ["SEARCH entries USING INDEX entries_key (external_id=? AND client=?)", DETAILS, SORTED],
        ),
    ],
)
def test_a_page_does_not_read_the_whole_table(explained: Explained, query: Query, plan: list[str]) -> None:
    """Whatever is asked for: an index leads there, in order."""
    assert sqlite_file.page(explained, query) == []
    assert explained.plans == plan


def test_nothing_else_reads_the_whole_table(explained: Explained) -> None:
    """Nor sorts more than it has to."""
    plans: dict[str, list[str]] = {}
    one = entry()
    asked: dict[str, Callable[[], object]] = {
        "claim": lambda: sqlite_file.claim(explained, one),
        "bound": lambda: sqlite_file.claim(explained, one),
        "replace": lambda: sqlite_file.replace(explained, one, stepped(one, "not_sent", 1.0)),
        "free": lambda: sqlite_file.claim(explained, one),
        "get": lambda: sqlite_file.one(explained, sqlite_file.GET, "1"),
        "take": lambda: sqlite_file.take(explained, 1.0, "me", 1.0, 1),
        "doubts": lambda: sqlite_file.doubts(explained),
        "purge": lambda: sqlite_file.purge(explained, "1", 1),
        "orphans": lambda: explained.execute(sqlite_schema.ORPHANS, (1.0,)),
    }
    for name, ask in asked.items():
        explained.plans = []
        ask()
        plans[name] = explained.plans
    by_id = "SEARCH entries USING INDEX sqlite_autoindex_entries_1 (id=?)"
    by_key = "SEARCH entries USING INDEX entries_key (external_id=? AND client=?)"
    due = "SEARCH entries USING COVERING INDEX entries_due (due_at<?)"
    assert plans == {
        "claim": [],
        "bound": [by_key, DETAILS],
        "replace": [by_id],
        "free": [by_key, DETAILS, by_id, by_id.replace("INDEX", "COVERING INDEX")],
        "get": [by_id, DETAILS],
        "take": [due, by_id, "LIST SUBQUERY 1", due],
        "doubts": [BY_STATE, "USE TEMP B-TREE FOR GROUP BY"],
        "purge": ["SEARCH sent USING INDEX sent_body (id<?)", "SEARCH entries USING INTEGER PRIMARY KEY (rowid=?)"],
        "orphans": [BY_STATE],
    }


async def test_what_is_asked_in_one_turn_is_one_commit(path: Path) -> None:
    """However soon the thread begins: it is woken once for all of them."""
    heard: list[int] = []
    async with opened(lambda: SqliteStore(path, hear=lambda writes, _: heard.append(writes))) as store:
        for turn in range(3):
            await asyncio.gather(*(store.claim(entry(id=f"{turn}:{n}", external_id=f"{turn}:{n}")) for n in range(20)))
    assert heard == [20, 20, 20]


def test_what_is_too_large_changes_nothing(path: Path) -> None:
    """Neither of the two rows, be it a claim or a change."""
    with closing(sqlite_schema.opened(path, 0.0)) as db:
        one = entry()
        sqlite_file.claim(db, one)
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 4000)
        large = stepped(one, "sending", 1.0, dispatch=b"." * 4000)
        for change in (
            lambda: sqlite_file.claim(db, entry(id="2", external_id="2", body=b"." * 4000)),
            lambda: sqlite_file.replace(db, one, large),
        ):
            with pytest.raises(sqlite3.DataError):
                change()
        assert sqlite_file.page(db, Query()) == [structs.replace(one, body=b"", response=b"")]


async def test_nobody_else_may_read_what_is_stored(tmp_path: Path) -> None:
    """It holds names and addresses: only its owner may read and write the files."""
    path = tmp_path / "journal.db"
    store = SqliteStore(path)
    await store.open()
    try:
        await store.claim(entry())
        modes = {each.name: each.stat().st_mode & 0o777 for each in os.scandir(tmp_path)}
        assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600}
    finally:
        await store.close()
