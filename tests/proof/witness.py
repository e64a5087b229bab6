"""The other side of the wire for real gateways: the sandbox's strict simulations, and a witness of what arrives."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial

from aiohttp import web
from msgspec import Struct

from gateway.core.exchange import Reply, Request
from gateway.sandbox.faults import ACTS, Armed, Turn, written
from gateway.sandbox.server import catalog
from gateway.sandbox.simulation import Simulation
from tests.proof.network import KEY

NO_PATIENCE = 0.01
"""Seconds that answers which still hang are waited for in the end."""


class Arrival(Struct):
    """A request to create an invoice, which an upstream has read; `stored` are the invoices that came of it."""

    key: str
    dialect: str
    number: int
    stored: int = 0
    ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In a few words."""
        return f"{self.dialect}#{self.number} stored {list(self.ids)}"


Plan = Callable[[Arrival], Armed | None]
"""How the upstream behaves at a creation; None where nothing goes wrong."""


class Witness:
    """All upstreams at one address; remembers each creation that arrived, and what came of it.

    `seen` is told of a creation once it is read, before anything becomes of it; nothing does until `held` is set, if
    there is such an event.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seen: Callable[[Arrival], None] = lambda _: None
        self.held: asyncio.Event | None = None
        self._arrivals: dict[str, list[Arrival]] = {}
        self.arrived = asyncio.Event()
        self.requests = 0
        self._simulations = catalog()
        self._current: ContextVar[Arrival | None] = ContextVar("arrival", default=None)
        self._runner: web.AppRunner | None = None
        # Bound, but not listening: until `listen` is called, connections are refused.
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def of(self, key: str) -> list[Arrival]:
        """The creations with this key that arrived, oldest first."""
        return self._arrivals.get(key, [])

    def forget(self, key: str) -> None:
        """Nobody asks for this key any more."""
        self._arrivals.pop(key, None)

    def simulations(self, dialects: tuple[str, ...]) -> list[Simulation]:
        """Those of some dialects."""
        return [self._simulations[dialect] for dialect in dialects]

    def created(self) -> int:
        """How many invoices all creations have come to."""
        return sum(arrival.stored for arrivals in self._arrivals.values() for arrival in arrivals)

    async def listen(self) -> None:
        """Take connections, if it does not already."""
        if self._runner is None:
            app = web.Application(client_max_size=2**24)
            app.router.add_route("*", "/{name}/{tail:.*}", self._serve)
            self._runner = web.AppRunner(app, shutdown_timeout=NO_PATIENCE, access_log=None)
            await self._runner.setup()
            await web.SockSite(self._runner, self._socket, backlog=512).start()

    async def end(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._socket.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = request.raw_path[len(name) + 1 :]
        headers = tuple((str(header), text) for header, text in request.headers.items())
        sent = Request(request.method, path, await request.read(), headers)
        self.requests += 1
        simulation, armed = self._simulations[name], None
        if arrival := self._arrival(sent, name):
            self._arrivals.setdefault(arrival.key, []).append(arrival)
            self._current.set(arrival)
            self.arrived.set()
            self.seen(arrival)
            if self.held is not None:
                await self.held.wait()
            armed = self.plan(arrival)
        quirk = armed.fault if armed is not None and armed.fault in simulation.quirks else None
        process = partial(self._process, simulation, sent, quirk)
        if armed is None or quirk is not None:
            return written(process())
        return await ACTS[armed.fault](Turn(request, armed, f"/{name}/login", process))

    def _arrival(self, sent: Request, name: str) -> Arrival | None:
        found = KEY.search(sent.body) if sent.method == "POST" else None
        return None if found is None else Arrival(key := found.group().decode(), name, len(self.of(key)))

    def _process(self, simulation: Simulation, sent: Request, quirk: str | None) -> Reply:
        arrival = self._current.get()
        before = 0 if arrival is None else len(simulation.stored())
        reply = simulation.answer(sent, quirk)
        if arrival is not None:
            made = simulation.stored()[before:]
            arrival.stored += len(made)
            arrival.ids += tuple(str(invoice["id"]) for invoice in made)
        return reply


@asynccontextmanager
async def witnessing(plan: Plan = lambda _: None, *, listens: bool = True) -> AsyncIterator[Witness]:
    """Upstreams that behave as planned; not to be reached until `listen`, if told so."""
    witness = Witness(plan)
    try:
        if listens:
            await witness.listen()
        yield witness
    finally:
        await witness.end()
