"""The simulation, seed after seed, in this process or in several; and its negative controls."""

import asyncio
import time
from collections.abc import Mapping

from tests.proof import pool, simulation
from tests.proof.row import Found, Tick
from tests.proof.world import Guards, Violation

CHUNK = 100
ENOUGH = 1500
"""Seeds within which a world without a guard has to go wrong."""

CONTROLS: Mapping[str, Guards] = {
    "a claim that everybody gets": Guards(claim=False, durable=False),
    "absence believed at once": Guards(quiet=False),
    "sending however late": Guards(deadline=False),
}


def wrong_in(seeds: range, guards: Guards = Guards()) -> list[str]:  # noqa: B008 - a frozen value
    """The seeds whose worlds went wrong, each with what went wrong."""
    found = []
    for seed in seeds:
        try:
            simulation.run(seed, guards)
        except Violation as violation:
            found.append(f"seed {seed}: {violation}")
    return found


def first_wrong(guards: Guards) -> int | None:
    """The first seed whose world goes wrong without a guard; None if none of enough does."""
    return next((seed for seed in range(ENOUGH) if wrong_in(range(seed, seed + 1), guards)), None)


async def run(count: int, first: int, tick: Tick) -> Found:
    """So many seeds from `first` on, on all processors."""
    return await pool.shared(wrong_in, count, first, tick, CHUNK)


async def controls(tick: Tick) -> Found:
    """Each guard taken out by turns; whatever is not noticed is wrong."""
    began, wrong = time.monotonic(), list[str]()
    for name, guards in CONTROLS.items():
        if await asyncio.to_thread(first_wrong, guards) is None:
            wrong.append(f"{name}: not noticed in {ENOUGH} seeds")
        tick()
    return Found(len(CONTROLS), tuple(wrong), time.monotonic() - began)
