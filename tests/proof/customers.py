"""The callers of the simulation."""

import asyncio

from gateway.core.dispatch import claim_of
from gateway.core.errors import OutcomeUnknown, Problem
from gateway.shell.gateway import Preference
from tests.proof.process import CLAIMS, Died, Process
from tests.proof.scene import BILLING, body_of
from tests.proof.world import World


async def caller(world: World, key: str, dialect: str, preference: Preference) -> None:
    """Somebody who sends an invoice, and again until it is concluded; some lose patience."""
    rng = world.rng
    await asyncio.sleep(rng.uniform(0.0, 3.0))
    for _ in range(rng.choice((1, 1, 2, 4, 11))):
        if not world.processes:
            await asyncio.sleep(1.0)
            continue
        if await _ask(world, rng.choice(world.processes), key, dialect, preference):
            return
        await asyncio.sleep(rng.uniform(0.0, 6.0))


async def _ask(world: World, process: Process, key: str, dialect: str, preference: Preference) -> bool:
    """One request; whether there is nothing more to ask for."""
    claims: list[str | None] = []
    CLAIMS.set(claims)
    submitted = process.engine.gateway.submit(body_of(key, dialect), None, BILLING, world.make_id(), preference)
    try:
        answer = await process.spawn(submitted)
    except OutcomeUnknown:
        return False
    except Problem:  # whichever it is: nothing was sent for this request
        world.deny(key, claims)
        return False
    except (Died, asyncio.CancelledError):  # the connection broke
        return False
    except Exception as error:
        raise world.violation(f"{key} met a defect: {error!r}") from error
    world.heard.append((key, answer))
    outcome = answer.result.outcome
    world.check(key, outcome, answer.entry.revision)
    if outcome in ("rejected", "not_sent"):
        world.deny(key, [claim_of(answer.entry)])
    return outcome in ("created", "rejected", "pending")
