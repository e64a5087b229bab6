"""The rows of the proof: what is tried, how often on every commit, and how often by `make prove`."""

import random
from collections.abc import Awaitable, Callable
from itertools import cycle, islice

from msgspec import Struct, structs

from tests.fuzz import bodies, calls, echoes, paths, raw, replies
from tests.proof import cells, kills, machines, outages, pauses, published, replicas, rules, seeds, soak, starts
from tests.proof.row import Found, Tick

Run = Callable[[int, int, Tick], Awaitable[Found]]
"""Tries something so many times, from a seed on."""


class Row(Struct, frozen=True):
    """A row: its name, what it claims, how often it is tried on every commit and to prove it.

    A `control` finds what it looks for in so many tries, or is wrong; fewer would say nothing.
    """

    name: str
    claim: str
    commit: int
    prove: int
    run: Run
    control: bool = False

    def count(self, scale: float, *, commit: bool) -> int:
        """How often it is tried at a scale."""
        times = self.commit if commit else self.prove
        return times if self.control else max(1, round(times * scale))


async def simulation(count: int, seed: int, tick: Tick) -> Found:
    """The seeded simulation."""
    return await seeds.run(count, seed, tick)


async def simulation_controls(_: int, __: int, tick: Tick) -> Found:
    """The simulation without a guard."""
    return await seeds.controls(tick)


async def every_cell(count: int, seed: int, tick: Tick) -> Found:
    """All cells in any order, over and over; every other time those who were patient are not."""
    every, rng = cells.every(), random.Random(seed)  # noqa: S311 - a seed must choose the same again
    rng.shuffle(every)
    turned = [structs.replace(cell, patient=not cell.patient) for cell in every]
    return await cells.run(list(islice(cycle([*every, *turned]), count)), tick)


async def random_kills(count: int, seed: int, tick: Tick) -> Found:
    """Two thirds of them on SQLite."""
    third = count // 3
    chosen = kills.settings(count - third, seed, "sqlite") + kills.settings(third, seed + 1, "postgres")
    return await kills.run(chosen, tick)


async def unguarded_kills(count: int, seed: int, tick: Tick) -> Found:
    """The negative control: here it is wrong if nothing is found."""
    found = await kills.run(kills.negative(count, seed), tick)
    noticed = any("duplicate" in each for each in found.violations)
    return structs.replace(found, violations=() if noticed else ("no duplicate was found without the guard",))


async def outages_and_starts(count: int, _: int, tick: Tick) -> Found:
    """All starts and all outages, over and over."""
    starting = await starts.run(list(islice(cycle(starts.BREAKS), (count * 9 + 10) // 20)), tick)
    running = await outages.run(list(islice(cycle(outages.OUTAGES), count - starting.runs)), tick)
    violations = starting.violations + running.violations
    return Found(starting.runs + running.runs, violations, starting.seconds + running.seconds)


async def pauses_at_steps(count: int, _: int, tick: Tick) -> Found:
    """All pauses, over and over."""
    return await pauses.run(list(islice(cycle(pauses.PAUSES), count)), tick)


CELLS = len(cells.every())
PAUSES = len(pauses.PAUSES)
SOAK = "load with faults: nothing lost or doubled; from half an hour on no growth, no drift"
ECHOES = len(echoes.CELLS)

ROWS = (
    Row("simulation", "seeded worlds, a crash possible at every step: no violation", 10_000, 1_000_000, simulation),
    Row("simulation-controls", "worlds without a guard: each is noticed", 3, 3, simulation_controls, control=True),
    Row(
        "cells", "SIGKILL at every step × every upstream × both stores: once, never lost", CELLS, 10 * CELLS, every_cell
    ),
    Row("kills", "SIGKILL at random moments: once, never lost", 300, 10_000, random_kills),
    Row("kills-control", "the same without the guard: duplicates are found", 40, 40, unguarded_kills, control=True),
    Row("pauses", "a gateway stands still at a step: sends nothing late", PAUSES, 1_000, pauses_at_steps),
    Row("replicas", "64 callers, one key, 3 gateways: one creation, one id", 50, 2_000, replicas.run),
    Row("machines", "breaker, lane and store: any steps in any order, as their models say", 500, 50_000, machines.run),
    Row("outages", "stores that fail: nothing is sent without a durable claim", 20, 300, outages_and_starts),
    Row(
        "soak",
        "load with faults: nothing lost or doubled; from half an hour on no growth, no drift",
        300,
        5_000_000,
        soak.run,
    ),
    Row("published", "requests made from the published document: answered as it says", 500, 100_000, published.run),
    Row("bodies", "hostile bodies: planned, or refused by a 4xx that names places", 1_000_000, 50_000_000, bodies.run),
    Row("calls", "hostile requests over HTTP, 32 at once: answered, no 5xx", 20_000, 5_000_000, calls.run),
    Row("raw", "bytes that are no HTTP: 4xx or closed, nothing left over", 5_000, 500_000, raw.run),
    Row("replies", "hostile answers of all upstreams: never created without an id", 250_000, 10_000_000, replies.run),
    Row("paths", "ids that climb: every request keeps its path", 10_000, 1_000_000, paths.run),
    Row("rules", "generated rules: `check` says what trying every kind of invoice shows", 100, 50_000, rules.run),
    Row("canaries", "faults, and upstreams that echo: no secret is told, no name logged", ECHOES, 2_000, echoes.run),
)
