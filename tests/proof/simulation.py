"""The simulation: the production core and delivery loop in virtual time, with a crash possible at every step.

One seed is one world: gateways that die and are paused, a store that fails, a network that loses, delays and lies,
upstreams that are the sandbox's, callers who try again. Then everything heals, and what is claimed is checked:

- no `external_id` has more than one invoice, anywhere
- who was told `created` has one; who was told `rejected` or `not_sent` has none from that attempt
- nothing is sent without a durable claim of it
- every claim ends: in what is true, or in a doubt that nobody can settle but an operator, who then can
"""

import asyncio
import json
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct, structs

from gateway import demo
from gateway.core.dialect import Upstream
from gateway.core.errors import Problem
from gateway.core.events import Event
from gateway.core.exchange import Request
from gateway.core.ids import uuid7
from gateway.core.journal import PENDING, Entry
from gateway.core.plan import Caller
from gateway.sandbox.server import catalog
from gateway.shell import auth
from gateway.shell.compose import book
from gateway.shell.configuration import Loaded, load
from gateway.shell.engine import Engine, Policy
from gateway.shell.exchanges import Counterpart
from gateway.shell.gateway import Answer, Preference
from gateway.shell.journal import StoreError
from gateway.shell.records import Verdict
from tests.proof.disk import Disk, DiskStore
from tests.proof.network import Line
from tests.proof.virtual import VirtualLoop
from tests.support.running import PRODUCTS

EPOCH = 1_760_000_000.0
TIMEOUT = 2.0
POLICY = Policy(deliver_by=60.0, delays=(0.5, 1.0, 2.0))
BILLING = Caller("billing", operator=True)


class Died(BaseException):
    """The process was killed: nothing of it runs on."""


class Guards(Struct, frozen=True):
    """What protects; a negative control takes one out, and the simulation must notice."""

    claim: bool = True
    quiet: bool = True
    deadline: bool = True
    durable: bool = True


class Violation(AssertionError):  # noqa: N818 - it is what happened
    """Something that is claimed is not so."""


class Store(DiskStore):
    """The disk's store, without what a negative control takes out."""

    guards: Guards = Guards()

    async def claim(self, entry: Entry) -> tuple[bool, Entry]:
        """A claim that everybody gets is none."""
        ours, held = await super().claim(entry)
        return (True, structs.replace(held, dispatch=entry.dispatch)) if not self.guards.claim else (ours, held)


class Process:
    """A gateway while it lives."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.tasks: set[asyncio.Task[Any]] = set()
        self.store = Store(world.disk, self.store_step, world.clock, exclusive=world.replicas == 1)
        self.store.guards = world.guards
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
        """Events are kept, for whoever looks into a seed."""
        self.world.told.append((self.world.clock() - EPOCH, self.name, event))

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that dies with the process."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

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


def brief(entry: Entry) -> str:
    """An entry in a few words."""
    return f"{entry.external_id} {entry.state} at {entry.upstream}, due {entry.due_at}, revision {entry.revision}"


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, guards: Guards) -> None:
        self.rng = rng = random.Random(seed)  # noqa: S311 - a seed must play the same again
        self.guards = guards
        self.loop = asyncio.get_running_loop()
        self.chaos = True
        self.deadliness = rng.choice((0.0, 0.005, 0.02, 0.05))
        self.unreliability = rng.choice((0.0, 0.02, 0.1))
        self.replicas = rng.choice((1, 1, 2, 3))
        self.disk = Disk()
        loaded = configuration()
        self.book = book(loaded)
        if not guards.quiet:
            upstreams = {name: structs.replace(each, settle=-100.0) for name, each in self.book.upstreams.items()}
            self.book = structs.replace(self.book, upstreams=upstreams)
        self.simulations = catalog()
        self.processes: list[Process] = []
        self.restarts: set[asyncio.Task[None]] = set()
        self.late = 0
        self.violations: list[str] = []
        self.stores: list[tuple[str, str, int]] = []
        self.quirks: set[tuple[str, str | None]] = set()
        self.sends: list[tuple[str, str, int]] = []
        self.told: list[tuple[float, str, Event]] = []
        self.heard: list[tuple[str, Answer]] = []

    def violation(self, text: str) -> Violation:
        """Remember what is not as it should be, whoever catches it."""
        self.violations.append(text)
        return Violation(text)

    def clock(self) -> float:
        """Seconds since 1970."""
        return EPOCH + self.loop.time()

    def make_id(self) -> str:
        """The next id."""
        return uuid7(int(self.clock() * 1000), self.rng.randbytes(10))

    def credentials(self, name: str) -> tuple[tuple[str, str], ...]:
        """What the upstream is shown; a new token each time, since the sandbox may let one expire."""
        loaded = configuration()
        upstream = loaded.config.upstreams[name]
        if upstream.auth.oauth is None:
            return auth.fixed(upstream.auth, loaded.folder)._headers  # noqa: SLF001 - to be put into requests here
        asked = auth.token_request(upstream.auth.oauth, loaded.folder)
        answer = self.simulations[upstream.dialect].answer(Request("POST", asked.path, asked.body, asked.headers))
        return (("Authorization", f"Bearer {json.loads(answer.body)['access_token']}"),)

    async def begin(self, name: str) -> None:
        """Start a process; one that dies while it starts is started again."""
        process = Process(self, name)
        self.processes.append(process)
        with suppress(Died):
            await process.run()

    def kill(self, process: Process, place: str) -> None:
        """A process dies, and is started again some time later."""
        self.told.append((self.clock() - EPOCH, process.name, place))  # type: ignore[arg-type]  # for a person
        process.end()
        self.processes.remove(process)
        task = self.loop.create_task(self._again(process.name))
        self.restarts.add(task)
        task.add_done_callback(self.restarts.discard)

    async def _again(self, name: str) -> None:
        await asyncio.sleep(self.rng.uniform(0.1, 5.0))
        await self.begin(name)

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """The network delivers later, whoever is dead by then."""
        self.late += 1

        def arrive() -> None:
            self.late -= 1
            act()

        self.loop.call_later(seconds, arrive)

    def sending(self, key: str, upstream: str, process: Process) -> int:
        """A creating request leaves: it must be covered by a durable claim. The claim's revision."""
        entry = self.disk.find(BILLING.name, key)
        if self.guards.durable and (entry is None or entry.state != "sending" or entry.upstream != upstream):
            raise self.violation(
                f"{key} is sent to {upstream} by {process.name} without a claim: {entry and brief(entry)}"
            )
        revision = entry.revision if entry is not None else 0
        self.sends.append((key, upstream, revision))
        return revision

    def stored(self, key: str, upstream: str, revision: int) -> None:
        """An upstream has created an invoice."""
        self.stores.append((key, upstream, revision))
        if len([each for each in self.stores if each[0] == key]) > 1:
            raise self.violation(f"{key} was created twice: {self.stores}")

    def check(self, key: str, told: str, revision: int) -> None:
        """What was said of an invoice, at that revision of its entry, must be so."""
        made = [each for each in self.stores if each[0] == key]
        if told == "created" and len(made) != 1:
            raise self.violation(f"{key} is said to be created, and is not: {made}")
        if told in ("rejected", "not_sent") and any(sent < revision for _, _, sent in made):
            raise self.violation(f"{key} is said to be {told} at revision {revision}, and exists: {made}")


@cache
def configuration() -> Loaded:
    """The demo's configuration with stand-ins, short times, and a settle time where the dialect has one."""
    text = demo.CONFIG.read_text().replace(
        'to = "chargeover-us"', 'to = "chargeover-us"\nfallback = ["onlyoffice-eu", "katsupay-lagos"]'
    )
    for dialect, settle in (("onlyoffice", "4s"), ("exsited", "3s"), ("chargeover", "0s")):
        text = text.replace(f'dialect = "{dialect}"', f'dialect = "{dialect}"\nsettle = "{settle}"')
    with TemporaryDirectory() as folder:
        path = Path(folder, "gateway.toml")
        path.write_text(text)
        return load(path)


@cache
def _invoice() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(demo.INVOICE.read_text())
    del found["number"]
    return found


def body_of(key: str, dialect: str) -> bytes:
    """The demo's invoice under another key, for a dialect."""
    return json.dumps({**_invoice(), "external_id": key, "labels": {"product": PRODUCTS[dialect]}}).encode()


async def caller(world: World, key: str, dialect: str, *, later: bool) -> None:
    """Somebody who sends an invoice, and again until it is concluded; some lose patience."""
    rng, body = world.rng, body_of(key, dialect)
    await asyncio.sleep(rng.uniform(0.0, 3.0))
    for _ in range(rng.randrange(1, 12)):
        if not world.processes:
            await asyncio.sleep(1.0)
            continue
        process = rng.choice(world.processes)
        preference = Preference(respond_async=later)
        asked = process.spawn(process.engine.gateway.submit(body, None, BILLING, world.make_id(), preference))
        try:
            answer = await asked
        except Problem:
            answer = None  # nothing was sent for this request
        except (Died, asyncio.CancelledError):
            answer = None  # the connection broke
        if answer is not None:
            world.heard.append((key, answer))
            world.check(key, answer.result.outcome, answer.entry.revision)
            if answer.result.outcome in ("created", "rejected", "pending"):
                return
        await asyncio.sleep(rng.uniform(0.0, 6.0))


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
        caller(world, key, dialect, later=later)
        for key, dialect in keys.items()
        for later in [rng.random() < 0.3]
        for _ in range(rng.choice((1, 1, 2)))
    ]
    await asyncio.gather(*callers)
    world.chaos = False
    await _quiet(world)
    await _resolve(world)
    for key in keys:
        _check_end(world, key)
    for process in world.processes:
        process.end()


async def _quiet(world: World) -> None:
    """Wait until nothing is under way, and nobody can find out more."""
    for _ in range(300):
        await asyncio.sleep(1.0)
        due = [each for each in world.disk.entries.values() if each.state in PENDING or _may_change(world, each)]
        if not due and not world.late and not world.restarts and len(world.processes) == world.replicas:
            return
    raise world.violation(f"it does not end: {[brief(each) for each in world.disk.entries.values()]}")


def _may_change(world: World, entry: Entry) -> bool:
    """Whether somebody will look at the entry, and may find out more: what is stored half will never be whole."""
    return entry.due_at is not None and (entry.external_id, "half-written") not in world.quirks


async def _resolve(world: World) -> None:
    """An operator looks at the upstream, and says what is true."""
    for entry in list(world.disk.entries.values()):
        if entry.state == "unknown":
            askable = world.book.upstreams[entry.upstream].dialect.lookup is not None
            if askable and (entry.external_id, "half-written") not in world.quirks:
                raise world.violation(f"{entry.external_id} could be looked up, and is still in doubt")
            there = any(key == entry.external_id for key, _, _ in world.stores)
            verdict = Verdict("created" if there else "not_sent", "looked", "their-id" + entry.id if there else None)
            await world.processes[0].engine.records.resolve(entry.id, verdict, BILLING)


def _check_end(world: World, key: str) -> None:
    entry = world.disk.find(BILLING.name, key)
    if entry is None:
        if any(made == key for made, _, _ in world.sends):
            raise world.violation(f"{key} was sent, and is forgotten")
        return
    world.check(key, entry.state, entry.revision)
    for told, answer in world.heard:
        if told == key and answer.result.outcome in ("rejected", "not_sent"):
            world.check(key, answer.result.outcome, answer.entry.revision)
        if told == key and answer.result.outcome == "created" and entry.state != "created":
            raise world.violation(f"{key} was said to be created, and is {entry.state} now")


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
