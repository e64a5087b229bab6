"""What the journal costs an invoice: the durable claim and the durable outcome, many callers at once.

CPU is the process's own (all of its threads), so for PostgreSQL the server's part is not in it. The store that does
nothing shows what the callers themselves cost; it is taken off.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import structs

from gateway import demo
from gateway.core.dispatch import Dispatch, packed
from gateway.core.exchange import Reply
from gateway.core.journal import Entry, canonical, fingerprint, stepped
from gateway.core.parse import parse
from gateway.core.plan import Caller, make_plan
from gateway.core.result import Created
from gateway.core.results import kept, made, response
from gateway.shell.commands import look_seldom, loop_factory
from gateway.shell.compose import book
from gateway.shell.configuration import load
from gateway.shell.fresh import new_id
from gateway.shell.journal import Store
from gateway.shell.journal.sqlite import SqliteStore
from tests.bench.nothing import Nothing
from tests.support.postgres import postgres_store

BILLING = Caller("billing")


def sample() -> tuple[Entry, Entry]:
    """The demo's invoice as it is claimed, and as it is concluded."""
    known = book(load(demo.CONFIG))
    invoice = parse(demo.INVOICE.read_bytes(), known.extension_types)
    plan = make_plan(invoice, BILLING, known)
    content = canonical(invoice)
    dispatch = Dispatch(
        claim=new_id(),
        dialect=plan.leg.upstream.dialect.name,
        rule=plan.decision.rule,
        config=known.revision,
        currency=invoice.currency,
        amount=plan.totals.amount_due,
        translation=plan.leg.translation,
    )
    claimed = Entry(
        id=new_id(),
        client="billing",
        external_id=invoice.external_id,
        fingerprint=fingerprint(content),
        state="sending",
        upstream=plan.leg.upstream.name,
        owner=new_id(),
        created_at=time.time(),
        updated_at=time.time(),
        due_at=time.time() + 20,
        body=content,
        dispatch=packed(dispatch),
    )
    outcome = Created(structs.replace(plan.leg.translation.expected, id="1"), 201)
    result = kept(made(claimed, dispatch, outcome, time.time(), ()))
    answer = response(Reply(201, json.dumps({"status": "OK", "response": {"id": 1}}).encode()))
    return claimed, stepped(claimed, "created", time.time(), upstream_id="1", result=result, response=answer)


async def measure(store: Store, count: int, concurrent: int) -> tuple[float, float]:
    """CPU seconds and seconds of `count` invoices."""
    claimed, concluded = sample()
    numbers = iter(range(count))
    run = new_id()

    async def caller() -> None:
        for number in numbers:
            entry = structs.replace(claimed, id=new_id(), external_id=f"{run}:{number}")
            ours, entry = await store.claim(entry)
            assert ours
            done = structs.replace(
                concluded, id=entry.id, external_id=entry.external_id, body=entry.body, dispatch=entry.dispatch
            )
            assert await store.replace(entry, structs.replace(done, upstream_id=f"{run}:{number}"))

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(concurrent)))
    return time.process_time() - used, time.perf_counter() - began


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[Store]:
    """A SQLite file."""
    store = SqliteStore(folder / "journal.db")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def main(count: int, concurrent: int, rounds: int) -> None:
    """Measure each store, in turns, and print the medians."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        stores: dict[str, Store] = {
            "nothing": Nothing(),
            "sqlite": await stack.enter_async_context(sqlite(folder)),
            "postgresql": await stack.enter_async_context(postgres_store()),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in stores}
        for turn in range(rounds):
            print(f"\rround {turn + 1} of {rounds}", end="", flush=True)  # noqa: T201 - for a person
            for name, store in stores.items():
                found[name].append(await measure(store, count, concurrent))
        size = sum(each.stat().st_size for each in os.scandir(folder)) / (count * rounds)
    base = sorted(found["nothing"])[rounds // 2][0]
    print(f"\r{count} invoices, {concurrent} at once, medians of {rounds} rounds")  # noqa: T201
    for name in ("sqlite", "postgresql"):
        cpu, seconds = sorted(found[name])[rounds // 2]
        print(f"  {name:<12} {(cpu - base) / count * 1e6:6.1f} µs CPU an invoice {count / seconds:8.0f} invoices/s")  # noqa: T201
    print(f"  on disk (sqlite, details kept): {size / 1024:.1f} KiB an invoice")  # noqa: T201


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--count", type=int, default=5000)
    options.add_argument("--concurrent", type=int, default=64)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    look_seldom()  # as the gateway does
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main(chosen.count, chosen.concurrent, chosen.rounds))
