"""Stores that are full, killed, read-only or frozen while invoices come: nothing is sent without a durable claim."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import ClientSession
from msgspec import Struct

from tests.proof.caller import Caller, session
from tests.proof.places import Kind, Place, Times, place
from tests.proof.row import Found, Tick, all_of
from tests.proof.spawner import Victim
from tests.proof.witness import Witness, witnessing
from tests.support.postgres import Server

TIMES = Times(timeout="20s", settle="0s")
REFUSED_SECONDS = 7.0
"""Within that a caller hears that nothing was sent; the journal's own patience is 5 s."""
ANSWERED_SECONDS = 12.0
"""Within that a caller hears the outcome of what was in flight; it is written with patience, twice."""
RECOVERED_SECONDS = 10.0
"""Within that everybody can send again, once the store is back."""
STRANGERS = 3
DIALECT = "onlyoffice"
BALLAST = {f"{number:02}": "x" * 500 for number in range(50)}
"""Makes an invoice larger than a page of SQLite's: into one that has room it does not fit."""
FEW_PAGES = 1
"""SQLite takes the number of pages that there are, if that is more."""
MANY_PAGES = 2**30


class Scene(Struct, frozen=True):
    """What an outage is made of."""

    place: Place
    victim: Victim
    server: Server | None


Act = Callable[[Scene], Awaitable[None]]


class Outage(Struct, frozen=True):
    """How an outage begins and ends."""

    name: str
    kind: Kind
    begin: Act
    end: Act


def _served(act: Callable[[Server], object]) -> Act:
    """Something that is done to the server."""

    async def done(scene: Scene) -> None:
        assert scene.server is not None
        await asyncio.to_thread(act, scene.server)

    return done


async def _no_space(scene: Scene) -> None:
    """No file of the process grows any more."""
    size = (scene.place.folder / "journal.db-wal").stat().st_size
    _, most = resource.prlimit(scene.victim.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(scene.victim.pid, resource.RLIMIT_FSIZE, (size, most))


async def _space(scene: Scene) -> None:
    _, most = resource.prlimit(scene.victim.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(scene.victim.pid, resource.RLIMIT_FSIZE, (most, most))


async def _pages(scene: Scene, pages: int) -> None:
    scene.victim.order(pages)


OUTAGES = (
    Outage("file size limit", "sqlite", _no_space, _space),
    Outage("full", "sqlite", partial(_pages, pages=FEW_PAGES), partial(_pages, pages=MANY_PAGES)),
    Outage("killed", "postgres", _served(Server.kill), _served(Server.start)),
    Outage("read-only", "postgres", _served(lambda at: at.read_only(True)), _served(lambda at: at.read_only(False))),
    Outage("frozen", "postgres", _served(Server.freeze), _served(Server.thaw)),
)


class Play:
    """An outage while it is played."""

    def __init__(self, scene: Scene, outage: Outage, witness: Witness, asking: ClientSession) -> None:
        self.scene = scene
        self.outage = outage
        self.witness = witness
        self.asking = asking
        self.wrong: list[str] = []

    def caller(self, key: str) -> Caller:
        """Somebody with an invoice."""
        return Caller(self.asking, lambda: self.scene.victim.url, self.witness, key, DIALECT, metadata=BALLAST)

    async def run(self) -> list[str]:
        """One invoice is in flight when it begins, others come while it lasts; afterwards all are created once."""
        before, inside = self.caller("sim-1"), [self.caller(f"sim-{number + 2}") for number in range(STRANGERS)]
        await self.caller("sim-0").insist()
        probing = asyncio.create_task(self._probed())
        try:
            await self._during(before, inside)
            await self.outage.end(self.scene)
            began = time.monotonic()
            wrong = [await caller.insist() for caller in (before, *inside)]
            self.wrong += [each for each in wrong if each is not None]
            if (seconds := time.monotonic() - began) > RECOVERED_SECONDS:
                self.wrong.append(f"callers waited {seconds:.1f} s after it was over")
        finally:
            probing.cancel()
        for caller in (before, *inside):
            self.wrong += await caller.wrongs()
            if len(self.witness.of(caller.key)) != 1:
                self.wrong.append(f"{caller.key} was not sent once: {caller.story()}")
        if not self.scene.victim.alive:
            self.wrong.append("the gateway died of it")
        return self.wrong

    async def _during(self, before: Caller, inside: list[Caller]) -> None:
        self.witness.held = held = asyncio.Event()
        self.witness.arrived.clear()
        flying = asyncio.create_task(self._timed(before))
        await self.witness.arrived.wait()
        await self.outage.begin(self.scene)
        arrived = self.witness.requests
        held.set()
        others = await asyncio.gather(*map(self._timed, inside))
        if self.witness.requests != arrived:
            self.wrong.append(f"{self.witness.requests - arrived} requests were sent without a durable claim")
        for caller, seconds in zip(inside, others, strict=True):
            said = [(heard.status, heard.outcome, heard.problem) for heard in caller.heard]
            if said != [(503, "not_sent", "/problems/upstream-unavailable")]:
                self.wrong.append(f"{caller.key} heard {said}")
            if seconds > REFUSED_SECONDS:
                self.wrong.append(f"{caller.key} waited {seconds:.1f} s to hear it")
        seconds = await flying
        if [(heard.status, heard.outcome) for heard in before.heard] != [(201, "created")]:
            self.wrong.append(f"what was in flight heard {before.heard}")
        if seconds > ANSWERED_SECONDS:
            self.wrong.append(f"what was in flight waited {seconds:.1f} s")

    async def _timed(self, caller: Caller) -> float:
        began = time.monotonic()
        await caller.send()
        return time.monotonic() - began

    async def _probed(self) -> None:
        """Probes find it well all the time: restarting it, or sending callers elsewhere, would help nobody."""
        while True:
            for path in ("readyz", "livez"):
                async with self.asking.get(f"{self.scene.victim.ops_url}/{path}") as answer:
                    if answer.status != 200:
                        self.wrong.append(f"{path} says {answer.status}")
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _scene(outage: Outage, witness: Witness) -> AsyncIterator[Scene]:
    """A gateway on a journal that can go away, with the patience of production."""
    server = await asyncio.to_thread(Server) if outage.kind == "postgres" else None
    try:
        async with place(outage.kind, server) as at:
            victim = await at.spawn(at.configuration(witness.url, TIMES))
            try:
                yield Scene(at, victim, server)
            finally:
                await victim.end()
    finally:
        if server is not None:
            await asyncio.to_thread(server.end)


async def _played(outage: Outage) -> list[str]:
    async with witnessing() as witness, session() as asking, _scene(outage, witness) as scene:
        wrong = await Play(scene, outage, witness, asking).run()
        return [f"{outage.kind} {outage.name}: {each}\n{scene.place.logs()}" for each in wrong]


async def run(outages: list[Outage], tick: Tick) -> Found:
    """Let these outages happen, each to a gateway and a store of its own."""
    return await all_of([partial(_played, each) for each in outages], tick)
