"""Breaker, lane and store against models of what they claim: any steps in any order, as often as it takes."""

import asyncio
import multiprocessing
import time
import traceback
from concurrent.futures import ProcessPoolExecutor

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.core.test_breaker import BreakerMachine
from tests.proof.row import Found, Tick
from tests.shell.test_lanes import LaneMachine
from tests.shell.test_store_machine import StoreMachine

MACHINES: dict[str, type[RuleBasedStateMachine]] = {
    "breaker": BreakerMachine,
    "lane": LaneMachine,
    "store": StoreMachine,
}
STEPS = 100
CHUNK = 100


def wrong_in(name: str, count: int, chance: int) -> str | None:
    """What is wrong with a machine after so many histories, if anything; `chance` chooses them."""
    chosen = settings(
        max_examples=count,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(seed(chance)(MACHINES[name]), settings=chosen)
    except Exception:  # noqa: BLE001 - whatever it is, it is told
        return f"{name}, seed {chance}:\n{traceback.format_exc(chain=False)}"
    return None


async def run(count: int, first: int, tick: Tick) -> Found:
    """So many histories of each machine, on all processors."""
    began, loop, wrong = time.monotonic(), asyncio.get_running_loop(), list[str]()
    sizes = [min(CHUNK, count - at) for at in range(0, count, CHUNK)]
    with ProcessPoolExecutor(None, multiprocessing.get_context("spawn")) as pool:
        tries = [
            loop.run_in_executor(pool, wrong_in, name, size, first + number)
            for number, size in enumerate(sizes)
            for name in MACHINES
        ]
        for number, done in enumerate(asyncio.as_completed(tries)):
            wrong += [each for each in [await done] if each is not None]
            if number % len(MACHINES) == 0:
                for _ in range(CHUNK):
                    tick()
    return Found(count, tuple(wrong), time.monotonic() - began)
