"""What only the store in PostgreSQL has: a server that can refuse, fail and come back, and others that share it."""
# ruff: noqa: S608 - the statements are the test's own

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from time import monotonic, time
from typing import Any

import asyncpg
import pytest
from msgspec import structs

from gateway.core.journal import Entry, State, stepped
from gateway.shell.journal import IdTaken, Query, StoreError, UnstorableError
from gateway.shell.journal import postgres_database as database
from gateway.shell.journal.postgres import MOST_CONNECTIONS, PostgresStore
from tests.support.postgres import WITH_PASSWORD, Server, postgres_store, server
from tests.support.running import Peer, playing
from tests.support.stores import OPERATIONS, Clock, entry

REPLICAS = 3
BRIEF = 0.3
"""Seconds of patience where an operation is meant to run out of it."""


@pytest.fixture
def running() -> Iterator[Server]:
    """The server, for a test that changes how it runs; afterwards it runs as before."""
    used = server()
    yield used
    used.recover()
    for name in ("fsync", "default_transaction_read_only"):
        used.configure(name, None)


@pytest.fixture
def url() -> str:
    """A fresh, empty database."""
    return server().new_database()


@pytest.fixture
async def replicas(url: str) -> AsyncIterator[list[PostgresStore]]:
    """Several stores that are open on one database."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(postgres_store(url)) for _ in range(REPLICAS)]


async def refusal(url: str, patience: float = 5.0) -> str:
    """Why a store does not open; it is closed then."""
    store = PostgresStore(url, patience=patience)
    with pytest.raises(StoreError) as caught:
        await store.open()
    assert not store.alive()
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


# ------------------------------------------------------------------ what it refuses


async def test_a_server_with_fsync_off_is_refused(running: Server, url: str) -> None:
    """It could lose what it has committed."""
    running.configure("fsync", "off")
    assert "fsync is off" in await refusal(url)


async def test_a_database_with_synchronous_commit_off_is_refused(url: str) -> None:
    """It could lose what it has just committed."""
    name = server().sql("SELECT current_database()", url=url)
    server().sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    assert "synchronous_commit is off" in await refusal(url)


async def test_a_server_that_is_not_durable_any_more_is_refused(running: Server, url: str) -> None:
    """Every new connection is asked, not only the first: after a failover it can be another server."""
    async with postgres_store(url) as store:
        running.configure("fsync", "off")
        await running.restart()
        with pytest.raises(StoreError, match="fsync is off"):
            await store.claim(entry())
        running.configure("fsync", "on")
        assert (await store.claim(entry()))[0]


async def test_an_old_server_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text tells both versions."""
    monkeypatch.setattr(database, "OLDEST_SERVER", 99)
    assert re.search(r": its version is \d+; it has to be 99 or newer$", await refusal(url))


async def test_a_newer_schema_is_refused(url: str) -> None:
    """Only ever forward: nobody knows what a newer gateway made of it."""
    async with postgres_store(url):
        pass
    newer = len(database.MIGRATIONS) + 1
    server().sql(f"INSERT INTO invoice_gateway.schema_version VALUES ({newer})", url=url)
    assert f"newer version (schema {newer}; this one knows {newer - 1})" in await refusal(url)


@pytest.mark.parametrize(
    ("url", "place", "why"),
    [
        ("postgresql://me:s3cret@127.0.0.1:1/db", "127.0.0.1:1", "Connection refused"),
        ("postgresql://me:s3cret@nowhere.invalid/db", "nowhere.invalid", "the host name does not resolve"),
        ("postgresql://me:s3cret@/db?host=/nowhere&port=7", "/nowhere:7", "No such file or directory"),
        ("postgresql:///db?host=/nowhere&password=s3cret", "/nowhere", "No such file or directory"),
    ],
)
async def test_an_unreachable_server_is_named_without_the_password(url: str, place: str, why: str) -> None:
    """Where it should be, and what is wrong."""
    assert await refusal(url) == f"PostgreSQL at {place}: {why}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3/cret@host/db",
        "postgresql://me:s3#cret@host/db",
        "postgresql://me:s3?cret@host/db",
        "postgresql://me:s3@cret@host/db",
        "postgresql://me:s3[cret@host/db",
        "postgresql://me:s3cret@127.0.0.1:port/db",
        "postgresql://me:s3cret@127.0.0.1/db?sslmode=cret",
    ],
)
async def test_of_a_url_that_cannot_be_understood_no_password_is_told(url: str) -> None:
    """Whatever it is taken for: a port, a host, a path."""
    text = await refusal(url)
    assert text.endswith("its URL cannot be understood; signs such as / # ? @ in a password have to be percent-encoded")
    assert "s3" not in text
    assert "cret" not in text


async def test_a_wrong_password_is_not_told() -> None:
    """The text names the user, as the server does; with the right one the store opens."""
    server().sql(
        f"DROP ROLE IF EXISTS {WITH_PASSWORD}", f"CREATE ROLE {WITH_PASSWORD} SUPERUSER LOGIN PASSWORD 'r1ght'"
    )
    there = server().over_tcp(server().new_database())
    wrong, right = (there.replace("postgres@", f"{WITH_PASSWORD}:{word}@") for word in ("s3cret", "r1ght"))
    text = f'PostgreSQL at 127.0.0.1:{server().port}: password authentication failed for user "{WITH_PASSWORD}"'
    assert await refusal(wrong) == text
    async with postgres_store(right) as store:
        assert (await store.claim(entry()))[0]


async def _garbage(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Agree to TLS, and then speak something else."""
    await reader.readexactly(8)
    writer.write(b"S")
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


async def test_failing_tls_is_told() -> None:
    """A server that has none, and one whose TLS is broken, where it is demanded."""
    assert "rejected SSL upgrade" in await refusal(f"{server().over_tcp(server().url)}?sslmode=require")
    async with playing(_garbage) as peer:
        assert "TLS failed: " in await refusal(f"postgresql://me:s3cret@127.0.0.1:{peer.port}/db?sslmode=require")


async def test_a_store_is_opened_once() -> None:
    """A second time it is refused, and stays open."""
    async with postgres_store() as store:
        with pytest.raises(StoreError, match="open already"):
            await store.open()
        assert store.alive()


# ------------------------------------------------------------------ several gateways


async def test_replicas_that_start_at_once_make_the_schema_once(url: str) -> None:
    """On an empty database; all of them open, and find each other's entries."""
    stores = [PostgresStore(url) for _ in range(8)]
    try:
        await asyncio.gather(*(store.open() for store in stores))
        assert server().sql("SELECT count(*) FROM invoice_gateway.schema_version", url=url) == "1"
        _, made = await stores[0].claim(entry())
        assert [await store.get(made.id) for store in stores] == [made] * len(stores)
    finally:
        for store in stores:
            await store.close()


@pytest.mark.parametrize("state", [None, "rejected", "not_sent"])
async def test_of_64_claims_of_one_key_by_several_gateways_one_wins(
    replicas: list[PostgresStore], state: State | None
) -> None:
    """Of a new key and of a free one; all others are told which it was."""
    for _ in range(5):
        first = entry()
        if state is not None:
            await replicas[0].claim(entry(external_id=first.external_id, state=state))
        claims = [entry(external_id=first.external_id, owner=f"gateway-{n}") for n in range(64)]
        answers = await asyncio.gather(*(replicas[n % REPLICAS].claim(claim) for n, claim in enumerate(claims)))
        (winner,) = [made for claimed, made in answers if claimed]
        assert {made for _, made in answers} == {winner}
        assert await replicas[0].find("acme", first.external_id) == winner


async def test_no_entry_is_taken_by_two_gateways(replicas: list[PostgresStore]) -> None:
    """All take at once until nothing is due; each entry is somebody's, and only one's."""
    due = [entry(due_at=float(n)) for n in range(60)]
    await asyncio.gather(*(replicas[0].claim(each) for each in due))

    async def taken(store: PostgresStore, owner: str) -> list[Entry]:
        found: list[Entry] = []
        while some := await store.take(owner, 60.0, 4):
            found += some
        return found

    answers = await asyncio.gather(*(taken(replicas[n % REPLICAS], f"gateway-{n}") for n in range(12)))
    owners = [(one.id, f"gateway-{n}") for n, found in enumerate(answers) for one in found]
    assert sorted(one for one, _ in owners) == sorted(one.id for one in due)
    stored = await replicas[0].page(Query(limit=100))
    assert {(one.id, one.owner) for one in stored} == set(owners)


async def test_what_somebody_takes_at_the_moment_is_not_waited_for(replicas: list[PostgresStore], url: str) -> None:
    """The oldest is just being changed, so the next one is taken."""
    first, second = entry(due_at=1.0), entry(due_at=2.0)
    for each in (first, second):
        await replicas[0].claim(each)
    other = await asyncpg.connect(url)
    async with other.transaction():
        await other.execute("SELECT FROM invoice_gateway.entries WHERE id = $1 FOR UPDATE", first.id)
        assert [one.id for one in await replicas[0].take("me", 60.0, 1)] == [second.id]
    await other.close()
    assert [one.id for one in await replicas[0].take("me", 60.0, 1)] == [first.id]


async def test_a_key_that_is_always_taken_and_freed_is_given_up(url: str) -> None:
    """The claim ends with an error after some tries. Here a trigger lets the change come to nothing."""
    async with postgres_store(url) as store:
        free = entry(state="rejected")
        await store.claim(free)
        server().sql(
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE TRIGGER nothing BEFORE UPDATE ON invoice_gateway.entries FOR EACH ROW EXECUTE FUNCTION nothing()",
            url=url,
        )
        claims = [store.claim(entry(external_id=free.external_id)), store.claim(entry())]
        given_up, made = await asyncio.gather(*claims, return_exceptions=True)
        assert isinstance(given_up, StoreError)
        assert "others take and free this key all the time" in str(given_up)
        assert isinstance(made, tuple), "the others of its batch do not hear of it"


# ------------------------------------------------------------------ failures


@pytest.mark.parametrize("how", ["kill", "fast", "immediate"])
async def test_after_a_crash_what_was_confirmed_is_there_and_the_store_works(running: Server, how: str) -> None:
    """Killed or stopped while it writes; the store recovers by itself once the server is back."""
    confirmed: list[Entry] = []
    failures: list[StoreError] = []
    many = asyncio.Event()

    async def write(store: PostgresStore) -> None:
        try:
            while True:
                claimed, made = await store.claim(entry())
                assert claimed
                confirmed.append(made)
                if len(confirmed) == 50:
                    many.set()
        except StoreError as error:
            failures.append(error)

    async with postgres_store() as store:
        writers = asyncio.gather(*(write(store) for _ in range(16)))
        await many.wait()
        await asyncio.to_thread(running.kill if how == "kill" else lambda: running.stop(how))
        await writers
        with pytest.raises(StoreError):
            await store.get("1")
        await asyncio.to_thread(running.start)
        assert len(failures) == 16
        assert [await store.get(each.id) for each in confirmed] == confirmed
        assert (await store.claim(entry()))[0]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_server_that_stands_still_is_not_waited_for(running: Server, operation: str) -> None:
    """Every operation ends in time with an error; once the server goes on, the store works again."""
    async with postgres_store(patience=BRIEF) as store:
        running.freeze()
        began = monotonic()
        with pytest.raises(StoreError, match="no answer in time"):
            await OPERATIONS[operation](store)
        assert BRIEF * 0.9 < monotonic() - began < BRIEF * 3
        running.thaw()
        assert (await store.claim(entry()))[0]


async def test_many_callers_do_not_wait_longer_for_a_server_that_stands_still(running: Server) -> None:
    """More than there are connections: nobody queues behind the patience of others. No connection is lost by it."""
    async with postgres_store(patience=BRIEF) as store:
        await asyncio.gather(*(store.get("1") for _ in range(50)))
        running.freeze()
        began = monotonic()
        answers = await asyncio.gather(*(store.claim(entry()) for _ in range(50)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreError}
        assert not any(answer.unchanged for answer in answers if isinstance(answer, StoreError))
        assert monotonic() - began < BRIEF * 4
        running.thaw()
        assert all(claimed for claimed, _ in await asyncio.gather(*(store.claim(entry()) for _ in range(50))))


async def test_where_there_is_no_server_nothing_was_changed(running: Server, url: str) -> None:
    """No connection, no statement; the same once the store is closed. One that ended it in between may have made it."""
    async with postgres_store(url, patience=BRIEF) as store:
        running.stop("immediate")
        await asyncio.gather(store.get("1"), return_exceptions=True)
        with pytest.raises(StoreError) as nobody:
            await store.claim(entry())
        assert nobody.value.unchanged
        running.start()
    with pytest.raises(StoreError) as closed:
        await store.claim(entry())
    assert closed.value.unchanged


async def test_opening_and_closing_end_in_time_too(running: Server, url: str) -> None:
    """With a server that takes connections, and stands still."""
    store = PostgresStore(url, patience=BRIEF)
    await store.open()
    running.freeze()
    began = monotonic()
    assert "no answer in time" in await refusal(url, BRIEF)
    await store.close()
    assert monotonic() - began < BRIEF * 6
    assert not store.alive()


async def test_a_server_that_stands_still_at_the_handshake_is_not_waited_for() -> None:
    """It has let the gateway in, and does not say what it is asked of each connection."""

    async def admit(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The start-up message; then "authenticated", its version, its key, and "ready", as in the protocol's pages.
        await reader.readexactly(8)
        writer.write(b"N")
        await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)
        writer.write(b"R\x00\x00\x00\x08\x00\x00\x00\x00" + b"S\x00\x00\x00\x18server_version\x0016.4\x00")
        writer.write(b"K\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x02" + b"Z\x00\x00\x00\x05I")
        await reader.read(100_000)
        await asyncio.sleep(60)

    async with playing(admit) as peer:
        began = monotonic()
        assert "no answer in time" in await refusal(f"postgresql://me@127.0.0.1:{peer.port}/db", 1.0)
        assert monotonic() - began < 1.8


async def test_a_server_that_cannot_be_written_is_read(running: Server, url: str) -> None:
    """Changes are errors, what is there is found, even by a gateway that starts now; afterwards all is well."""
    async with postgres_store(url) as store:
        _, there = await store.claim(entry())
        before = connections(url)
        running.read_only(True)
        with pytest.raises(StoreError, match="cannot execute INSERT in a read-only transaction") as refused:
            await store.claim(entry())
        assert refused.value.unchanged
        assert await store.get(there.id) == there
        assert connections(url).isdisjoint(before), "after a failover, the old ones lead to the wrong server"
        async with postgres_store(url) as another:
            assert await another.get(there.id) == there
        running.read_only(False)
        assert (await store.claim(entry()))[0]


async def test_an_operation_that_is_given_up_costs_no_connection(url: str) -> None:
    """Its caller stops waiting while it waits for a lock; more often than there are connections."""
    async with postgres_store(url) as store:
        other = await asyncpg.connect(url)
        async with other.transaction():
            await other.execute("LOCK TABLE invoice_gateway.entries")
            for _ in range(MOST_CONNECTIONS + 2):
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await store.get("1")
        await other.close()
        assert (await store.claim(entry()))[0]


async def test_a_close_that_is_given_up_leaves_no_connection(url: str) -> None:
    """What still ran has an error, and the server has nobody connected."""
    store, other = PostgresStore(url, patience=60.0), await asyncpg.connect(url)
    await store.open()
    async with asyncio.timeout(10), other.transaction():
        await other.execute("LOCK TABLE invoice_gateway.entries")
        running = asyncio.create_task(store.get("1"))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await store.close()
        with pytest.raises(StoreError):
            await running
    await other.close()
    await no_connections(url)


def connections(url: str) -> set[str]:
    """The server's processes for the gateways that are connected to a database."""
    gateways = "SELECT pid FROM pg_stat_activity WHERE application_name = 'invoice-gateway'"
    return set(server().sql(f"{gateways} AND datname = current_database()", url=url).split())


async def no_connections(url: str) -> None:
    """Wait until the server has nobody connected; it needs a moment to see that somebody is gone."""
    for _ in range(500):
        if not connections(url):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("somebody is still connected")


async def test_no_more_connections_are_made_than_allowed(url: str) -> None:
    """However much is asked at once; the server's operator sees whose they are."""
    async with postgres_store(url) as store:
        await asyncio.gather(*(store.get("nobody") for _ in range(100)))
        assert len(connections(url)) == MOST_CONNECTIONS


async def test_what_waits_is_written_by_one_statement(url: str) -> None:
    """A hundred claims and outcomes take a few commits; what is wrong with one of them is nobody else's matter."""
    commits: list[int] = []
    async with postgres_store(url, lambda writes, _: commits.append(writes)) as store:
        claimed = [one for _, one in await asyncio.gather(*(store.claim(entry()) for _ in range(100)))]
        assert sum(commits) == 100
        assert len(commits) < 10
        commits.clear()
        done = [stepped(one, "created", 1.0, upstream_id=one.id) for one in claimed]
        done[7] = structs.replace(done[7], upstream_id=done[3].upstream_id)
        changes = zip(claimed, done, strict=True)
        answers = await asyncio.gather(*(store.replace(*change) for change in changes), return_exceptions=True)
        assert [kind for kind in map(type, answers) if kind is not bool] == [IdTaken]
        assert answers.count(True) == 99
        assert await store.replace(claimed[0], done[0]) is False


async def test_an_id_that_exists_fails_one_claim_of_many(url: str) -> None:
    """The others of its statement are made all the same."""
    async with postgres_store(url) as store:
        _, there = await store.claim(entry())
        wanted = [entry(), entry(id=there.id), entry()]
        answers = await asyncio.gather(*(store.claim(one) for one in wanted), return_exceptions=True)
        assert [type(answer) for answer in answers] == [tuple, UnstorableError, tuple]


async def test_what_cannot_be_stored_fails_one_of_many(url: str) -> None:
    """Of the claims and of the outcomes; the others of its statement are written."""
    async with postgres_store(url) as store:
        wanted = [entry(), entry(upstream="\0"), entry()]
        answers = await asyncio.gather(*(store.claim(one) for one in wanted), return_exceptions=True)
        assert [type(answer) for answer in answers] == [tuple, UnstorableError, tuple]
        done = [stepped(wanted[0], "created", 1.0, upstream_id="\0"), stepped(wanted[2], "created", 1.0)]
        changes = [store.replace(wanted[0], done[0]), store.replace(wanted[2], done[1])]
        written = await asyncio.gather(*changes, return_exceptions=True)
        assert [type(answer) for answer in written] == [UnstorableError, bool]


@pytest.mark.parametrize("changes", [{"fingerprint": "s3cret\0"}, {"fingerprint": "s3cret", "revision": 2**40}])
async def test_what_cannot_be_stored_is_not_told(changes: dict[str, Any]) -> None:
    """Whether the server refuses it or asyncpg does: an error's text is for the log."""
    async with postgres_store() as store:
        with pytest.raises(StoreError) as caught:
            await store.claim(entry(**changes))
        assert "s3cret" not in str(caught.value)
        assert str(2**40) not in str(caught.value)
        assert "\n" not in str(caught.value)


async def test_an_id_that_exists_under_another_key_is_an_error(url: str) -> None:
    """The text does not tell the values in question."""
    async with postgres_store(url) as store:
        _, there = await store.claim(entry())
        with pytest.raises(StoreError) as caught:
            await store.claim(entry(id=there.id))
        assert "entries_pkey" in str(caught.value)
        assert there.id not in str(caught.value)


# ------------------------------------------------------------------ the clock


async def test_it_is_as_late_as_the_server_says() -> None:
    """To a twentieth of a second, wherever the gateway's own clock begins."""
    url = server().new_database()
    store = PostgresStore(url, clock=lambda: monotonic() + 12_345.0)
    await store.open()
    try:
        assert abs(store.now() - await asked(url)) < 0.05
    finally:
        await store.close()


async def test_a_clock_that_went_wrong_is_set_with_what_is_taken() -> None:
    """As after a machine was suspended: its clock stood still, or the server's jumped."""
    skew = Clock(0.0)
    store = PostgresStore(url := server().new_database(), clock=lambda: monotonic() + skew())
    await store.open()
    try:
        for skew.seconds in (3_600.0, -7_200.0):
            assert abs(store.now() - await asked(url)) > 3_000
            assert await store.take("me", 1.0, 1) == []
            assert abs(store.now() - await asked(url)) < 0.05
    finally:
        await store.close()


async def asked(url: str) -> float:
    """The server's clock."""
    connection = await asyncpg.connect(url)
    try:
        return float(await connection.fetchval(database.CLOCK))
    finally:
        await connection.close()


async def test_what_is_due_is_due_by_the_servers_clock() -> None:
    """Not by the gateway's, which is an hour ahead."""
    ahead = Clock(0.0)
    store = PostgresStore(server().new_database(), clock=lambda: monotonic() + ahead())
    await store.open()
    try:
        later, past = entry(due_at=time() + 1_800), entry(due_at=time() - 1)
        for each in (later, past):
            await store.claim(each)
        ahead.seconds = 3_600.0
        (taken,) = await store.take("me", 60.0, 10)
        assert taken.id == past.id
        assert taken.due_at is not None
        assert 59 < taken.due_at - time() < 61
        assert abs(taken.updated_at - time()) < 1
    finally:
        await store.close()


# ------------------------------------------------------------------ commits, and how entries are found


async def test_every_commit_is_heard_of() -> None:
    """One change each, and its seconds; nothing where nothing was changed."""
    heard: list[tuple[int, float]] = []

    def commits() -> int:
        """How many were heard of since it was last asked."""
        assert all(changes == 1 and 0 < seconds < 5 for changes, seconds in heard)
        count = len(heard)
        heard.clear()
        return count

    async with postgres_store(hear=lambda changes, seconds: heard.append((changes, seconds))) as store:
        assert commits() == 0
        _, first = await store.claim(entry(due_at=1.0))
        assert commits() == 1
        await store.claim(first)
        assert commits() == 0
        (taken,) = await store.take("me", 60.0, 10)
        assert commits() == 1
        await store.take("me", 60.0, 10)
        assert commits() == 0
        done = entry(id=taken.id, external_id=taken.external_id, state="rejected", revision=3)
        assert await store.replace(taken, done)
        assert commits() == 1
        assert not await store.replace(taken, done)
        assert commits() == 0
        assert await store.purge("~", 10) == 1
        assert commits() == 1
        assert await store.purge("~", 10) == 0
        assert commits() == 0
        assert (await store.claim(first))[0]
        assert commits() == 1


SOME: tuple[State, ...] = ("unknown", "waiting")


@pytest.mark.parametrize(
    ("index", "text", "given"),
    [
        ("pkey", database.GET, ["7"]),
        ("key", database.FIND, ["acme", "7"]),
        ("due", database.TAKE, ["me", 1.0, 10]),
        ("state", database.DOUBTS, []),
        ("body", database.PURGE, ["~", 10, 1e12]),
        *(("pkey", text, ["7", 1, *database.values(entry(), names)]) for text, names in database.UPDATES.values()),
        ("pkey", *database.listing(Query())),
        ("client", *database.listing(Query(client="acme", after="5000"))),
        ("key", *database.listing(Query(client="acme", external_id="7"))),
        ("state", *database.listing(Query(states=SOME))),
        ("state", *database.listing(Query(states=SOME, client="acme", after="5000"))),
    ],
)
async def test_every_statement_uses_its_index(full: str, index: str, text: str, given: list[object]) -> None:
    """In a table with many entries that are done with; pages are read in order, and no further than they go."""
    connection = await asyncpg.connect(full)
    try:
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {text}", *given))
    finally:
        await connection.close()
    assert f"using entries_{index} " in plan
    assert "Seq Scan" not in plan
    assert "Filter: (due_at" not in plan
    if index in ("client", "state") and text != database.DOUBTS:
        assert "Sort  (" not in plan


@pytest.fixture(scope="module")
def full() -> str:
    """A database with many entries that are done with, and a few of each other state."""
    states = ", ".join(f"'{state}'" for state in ("waiting", "sending", "rejected", "not_sent", "unknown"))
    url = server().new_database()
    server().sql(
        *database.MIGRATIONS,
        f"""
        INSERT INTO invoice_gateway.entries SELECT
            lpad(n::text, 8, '0'), CASE n % 20 WHEN 0 THEN 'acme' ELSE 'other' END, n,
            '1:abc', CASE n % 400 WHEN 0 THEN (ARRAY[{states}])[1 + n / 400 % 5] ELSE 'created' END, 'exsited', 'me',
            n, n, 1, n, CASE n % 400 WHEN 0 THEN n END, NULL, 0, NULL, NULL, '{{}}', NULL
        FROM generate_series(1, 20000) AS n
        """,
        "VACUUM ANALYZE invoice_gateway.entries",
        url=url,
    )
    return url
