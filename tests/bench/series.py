"""What an invoice costs the gateway as something grows: connections, lines, rows of the journal; and by the store."""

import json
import time
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from sqlite3 import Connection

from msgspec import structs

from gateway.core.ids import uuid7
from gateway.core.journal import Entry
from gateway.shell.journal.sqlite_file import claim
from gateway.shell.journal.sqlite_schema import opened
from tests.bench import journal, same, scene
from tests.bench.contestants import gateway
from tests.bench.figures import Row
from tests.bench.machine import CORES, LOAD_CORE, PROGRAM_CORE
from tests.bench.rounds import Form, Sample, Setting, Tick, in_turns, load, row, sample
from tests.bench.scene import upstream, workplace
from tests.bench.wrk import Load
from tests.support.postgres import server

WITH_DETAILS = 100_000
"""The newest rows have their details still; those of older ones were removed, as after `keep_bodies`."""
BATCH = 10_000
A_WAVE = 500
"""From so many connections on a measurement takes longer."""
SECOND_CORE = CORES[2] if len(CORES) > 2 else LOAD_CORE
FEW = 16
"""Connections for invoices of many lines, each of which takes a while."""
COSTS = ("rate", "cpu", "p50", "p99")


async def connections(form: Form, tick: Tick) -> list[Row]:
    """The same load over more and more connections."""
    with workplace() as name:
        async with upstream(scene.amount(same.body())) as there:
            wanted = load(Path(name), same.body(), form)
            settings = {str(count): Setting(gateway, wider(wanted, count)) for count in form.connections}
            found = await in_turns(settings, dict.fromkeys(settings, there), form, tick)
    return [row(name, f"{int(name):,} connections", found[name], *COSTS, "memory") for name in settings]


def wider(wanted: Load, connections: int) -> Load:
    """The load over so many connections; longer where what is under way at its end would count for something."""
    seconds = wanted.seconds * max(1.0, connections / A_WAVE)
    return structs.replace(wanted, connections=connections, seconds=seconds)


async def lines(form: Form, tick: Tick) -> list[Row]:
    """Invoices of more and more lines."""
    found: dict[str, list[Sample]] = {}
    with workplace() as name:
        for count in form.lines:  # each amount has an upstream of its own
            body = json.dumps(scene.invoice(count)).encode()
            async with upstream(scene.amount(body)) as there:
                settings = {str(count): Setting(gateway, load(Path(name), body, form, connections=FEW))}
                found |= await in_turns(settings, dict.fromkeys(settings, there), form, tick)
    return [row(name, f"{int(name):,} lines", found[name], *COSTS) for name in found]


async def journal_rows(form: Form, tick: Tick) -> list[Row]:
    """A journal that already holds more and more invoices."""
    found = []
    with workplace() as name:
        path, wanted = Path(name) / "journal.db", load(Path(name), same.body(), form)
        async with upstream(scene.amount(same.body())) as there:
            for before, count in pairwise((0, *form.journal_rows)):
                fill(path, before, count)
                start = partial(gateway, journal=f"sqlite://{path}")
                samples = []
                for _ in range(form.rounds):
                    samples.append(await sample(Setting(start, wanted), there, form.warm))
                    tick()
                found.append(row(str(count), f"{count:,} invoices in the journal", samples, *COSTS, "memory"))
    return found


def fill(path: Path, before: int, count: int) -> None:
    """Put concluded invoices into a SQLite journal, by its own schema, until there are `count`."""
    _, concluded = journal.sample()
    with closing(opened(path, 0.0)) as db:
        db.execute("PRAGMA synchronous = off")  # what is measured comes after it
        for first in range(before, count, BATCH):
            db.execute("BEGIN")
            _insert(db, concluded, range(first, min(first + BATCH, count)), count)
            db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _insert(db: Connection, concluded: Entry, numbers: range, count: int) -> None:
    now = time.time_ns() // 1_000_000  # of today: nothing is old enough to be removed while it is measured
    bare = structs.replace(concluded, body=b"", dispatch=b"", result=b"", response=b"")
    for number in numbers:
        claim(
            db,
            structs.replace(
                concluded if number >= count - WITH_DETAILS else bare,
                id=uuid7(now - count + number, number.to_bytes(10, "big")),
                external_id=f"before:{number}",
                upstream_id=f"before:{number}",
            ),
        )


async def stores(form: Form, tick: Tick) -> list[Row]:
    """SQLite beside PostgreSQL, and two gateways over PostgreSQL."""
    postgres = server()
    with workplace() as name:
        wanted = load(Path(name), same.body(), form)

        def over_postgres(cores: tuple[int, ...]) -> Setting:
            url = postgres.new_database()
            return Setting(partial(gateway, journal=url), wanted, cores)

        async with upstream(scene.amount(same.body())) as there:
            settings = {
                "sqlite": Setting(gateway, wanted),
                "postgresql": over_postgres((PROGRAM_CORE,)),
                "two": over_postgres((PROGRAM_CORE, SECOND_CORE)),
            }
            found = await in_turns(settings, dict.fromkeys(settings, there), form, tick)
    shared = ", the second of which is also that of load, upstream and database" if SECOND_CORE == LOAD_CORE else ""
    words = {
        "sqlite": "SQLite",
        "postgresql": "PostgreSQL, itself on the core of the load",
        "two": f"two gateways over PostgreSQL, on two cores{shared}",
    }
    return [row(each, words[each], found[each], *COSTS, "memory") for each in settings]
