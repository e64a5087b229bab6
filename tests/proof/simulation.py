"""The simulation: the production core and delivery loop in virtual time, with a crash possible at every step.

One seed is one world: gateways that die and are paused, a store that fails or loses its word, a network that loses,
delays and lies, upstreams that are the sandbox's, callers who try again. Then everything heals, and what is claimed is
checked:

- no `external_id` has more than one invoice, anywhere
- who was told `created` has one; who was told `rejected` or `not_sent`, or was turned away, has none from that attempt
- nothing is sent without a durable claim of it; nothing that was accepted is forgotten
- no two outcomes of one sending contradict each other
- every claim ends: in what is true, or in a doubt that nobody can settle but an operator, who then can
- where no process dies, only what was sent is ever left in doubt
"""

import asyncio

from gateway.shell.gateway import AT_ONCE, Preference
from tests.proof.customers import caller
from tests.proof.verdicts import check_end, quiet, resolve
from tests.proof.virtual import VirtualLoop
from tests.proof.world import Guards, Violation, World
from tests.support.running import PRODUCTS

PREFERENCES = (AT_ONCE, AT_ONCE, Preference(respond_async=True), Preference(respond_async=True, wait=4.0))


async def play(world: World) -> None:
    """One world, from its beginning to its check.

    Raises:
        Violation: something that is claimed is not so.
    """
    rng = world.rng
    for number in range(world.replicas):
        await world.begin(f"gateway-{number}")
    keys = {f"sim-{number}": rng.choice(sorted(PRODUCTS)) for number in range(rng.randrange(1, 5))}
    callers = [
        caller(world, key, dialect, preference)
        for key, dialect in keys.items()
        for preference in [rng.choice(PREFERENCES)]
        for _ in range(rng.choice((1, 1, 2)))
    ]
    await asyncio.gather(*callers)
    world.chaos = False
    await quiet(world)
    await resolve(world)
    for key in keys:
        check_end(world, key)
    for process in world.processes:
        process.end()


def run(seed: int, guards: Guards = Guards()) -> World:  # noqa: B008 - a frozen value
    """Play a seed in a loop of its own.

    Raises:
        Violation: something that is claimed is not so.
    """
    loop = VirtualLoop()
    loop.set_exception_handler(lambda *_: None)  # what dies in a dead process is nobody's business
    try:
        return loop.run_until_complete(_played(seed, guards))
    finally:
        loop.close()


async def _played(seed: int, guards: Guards) -> World:
    world = World(seed, guards)
    try:
        await play(world)
    finally:
        leftovers = asyncio.all_tasks() - {asyncio.current_task()}
        for task in leftovers:
            task.cancel()
        await asyncio.gather(*leftovers, return_exceptions=True)
    if world.violations:  # one that the gateway took for a defect of its own
        raise Violation(world.violations[0])
    return world
