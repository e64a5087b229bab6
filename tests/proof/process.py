"""A gateway of the simulation: the production engine over a store that fails, in a process that dies and is paused."""

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import structs

from gateway.core.dialect import Upstream
from gateway.core.dispatch import claim_of
from gateway.core.events import Event
from gateway.core.journal import Entry
from gateway.shell.engine import Engine
from gateway.shell.exchanges import Counterpart
from gateway.shell.journal import StoreError
from tests.proof.disk import DiskStore
from tests.proof.network import Line
from tests.proof.scene import POLICY, TIMEOUT, configuration

if TYPE_CHECKING:
    from tests.proof.world import World

CLAIMS: ContextVar[list[str | None]] = ContextVar("claims")
"""The claims that a request has asked for, durable or not."""


class Died(BaseException):
    """The process was killed: nothing of it runs on."""


class Store(DiskStore):
    """The disk's store, without what a negative control takes out."""

    follows: dict[str | None, str | None] = {}
    shared = False
    """A claim that everybody gets is none."""

    async def claim(self, entry: Entry) -> tuple[bool, Entry]:
        """See `Store.claim`; the request remembers which it was."""
        CLAIMS.get().append(claim_of(entry))
        ours, held = await super().claim(entry)
        return (True, structs.replace(held, dispatch=entry.dispatch)) if self.shared else (ours, held)

    async def replace(self, was: Entry, now: Entry) -> bool:
        """See `Store.replace`; which claim followed upon which is remembered."""
        if now.state == "sending":
            self.follows[claim_of(now)] = claim_of(was)
        return await super().replace(was, now)


class Process:
    """A gateway while it lives."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.tasks: set[asyncio.Task[Any]] = set()
        self.store = Store(world.disk, self.store_step, world.clock, exclusive=world.replicas == 1)
        self.store.follows, self.store.shared = world.follows, not world.guards.claim
        lines = {
            name: Counterpart(self._line(name, upstream), TIMEOUT) for name, upstream in world.book.upstreams.items()
        }
        self.engine = Engine(
            world.book,
            lines,
            self.store,
            self.hear,
            POLICY,
            clock=asyncio.get_running_loop().time,
            jitter=world.rng.random,
            make_id=world.make_id,
        )

    def _line(self, name: str, upstream: Upstream) -> Line:
        """What is stored late is there within the settle time, where the upstream can be asked; else whenever."""
        world, askable = self.world, upstream.dialect.lookup is not None
        settle = configuration().upstreams[name].settle if askable else None
        simulation = world.simulations[upstream.dialect.name]
        unauthorized = upstream.dialect.unauthorized
        credentials = partial(world.credentials, name)
        return Line(self, name, simulation, credentials, settle=settle, unauthorized=unauthorized)

    def hear(self, event: Event) -> None:
        """What the engine tells."""
        self.world.heard_of(event, self.name)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that dies with the process."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def busy(self) -> bool:
        """Whether something is still to be written."""
        return bool(self.engine.journal._unwritten)  # noqa: SLF001 - nobody else needs to know

    async def step(self, place: str) -> None:
        """Time passes, a little or, where the process is paused, a lot; it may die before or after."""
        world = self.world
        self._may_die(place)
        chance = world.rng.random() if world.chaos else 1.0
        if chance < 0.02:
            await asyncio.sleep(world.rng.uniform(1.0, 12.0))
        elif chance < 0.7:
            await asyncio.sleep(world.rng.uniform(0.0, 0.05))
        self._may_die(place)

    def _may_die(self, place: str) -> None:
        world = self.world
        if not self.alive:
            raise Died
        if world.chaos and world.rng.random() < world.deadliness:
            world.kill(self, place)
            raise Died

    async def store_step(self, place: str) -> None:
        """As `step`, for a store that may fail too, before or after a change is durable."""
        await self.step(place)
        if self.world.chaos and self.world.rng.random() < self.world.unreliability:
            raise StoreError(f"fault at {place}")

    async def run(self) -> None:
        """Open the store and begin."""
        await self.store.open()
        self.engine.start()

    def end(self) -> None:
        """Nothing of the process runs on."""
        self.alive = False
        engine = self.engine
        for task in (*self.tasks, *engine._tasks, *engine.reconciler._working.values(), *engine.journal._unwritten):  # noqa: SLF001 - a kill asks nobody
            task.cancel()
