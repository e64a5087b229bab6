"""What is checked of a world when all is over."""

import asyncio

from gateway.core.dispatch import claim_of
from gateway.core.journal import PENDING, Entry
from gateway.shell.records import Verdict
from tests.proof.scene import BILLING
from tests.proof.world import World, brief


async def quiet(world: World) -> None:
    """Wait until nothing is under way, and nobody can find out more."""
    for _ in range(300):
        await asyncio.sleep(1.0)
        due = [each for each in world.disk.entries.values() if each.state in PENDING or _may_change(world, each)]
        if not due and not world.late and not world.restarts and not any(each.busy() for each in world.processes):
            return
    raise world.violation(f"it does not end: {[brief(each) for each in world.disk.entries.values()]}")


def _may_change(world: World, entry: Entry) -> bool:
    """Whether somebody will look at the entry, and may find out more: what is stored half will never be whole."""
    return entry.due_at is not None and (entry.external_id, "half-written") not in world.quirks


async def resolve(world: World) -> None:
    """An operator looks at the upstream, and says what is true."""
    for entry in list(world.disk.entries.values()):
        if entry.state == "unknown":
            if not world.deaths and claim_of(entry) not in {sent.claim for sent in world.sends}:
                raise world.violation(f"{entry.external_id} is in doubt, and nobody ever sent it: {brief(entry)}")
            askable = world.book.upstreams[entry.upstream].dialect.lookup is not None
            if askable and (entry.external_id, "half-written") not in world.quirks:
                raise world.violation(f"{entry.external_id} could be looked up, and is still in doubt")
            there = bool(world.made(entry.external_id))
            verdict = Verdict("created" if there else "not_sent", "looked", "their-id" + entry.id if there else None)
            await world.processes[0].engine.records.resolve(entry.id, verdict, BILLING)


def check_end(world: World, key: str) -> None:
    """What everybody heard of an invoice, against what is true of it."""
    entry, heard = world.disk.find(BILLING.name, key), [answer for told, answer in world.heard if told == key]
    if entry is None:
        if heard or any(sent.key == key for sent in world.sends):
            raise world.violation(f"{key} was accepted or sent, and is forgotten")
        return
    world.check(key, entry.state, entry.revision)
    for answer in heard:
        world.check(key, answer.result.outcome, answer.entry.revision)
        if answer.result.outcome == "created" and entry.state != "created":
            raise world.violation(f"{key} was said to be created, and is {entry.state} now")
