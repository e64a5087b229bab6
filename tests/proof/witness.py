"""The other side of the wire for real gateways: the sandbox's strict simulations, with a witness of all that arrives."""

import asyncio
import re
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


Plan = Callable[[Arrival], Armed | None]
"""How the upstream behaves at a creation; None where nothing goes wrong."""


class Witness:
    """All upstreams at one address; remembers each creation that arrived, and what came of it.

    `seen` is told of a creation once it is read, before anything becomes of it.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seen: Callable[[Arrival], None] = lambda _: None
        self.held: asyncio.Event | None = None
        self.arrivals: list[Arrival] = []
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
        return [arrival for arrival in self.arrivals if arrival.key == key]

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
            self.arrivals.append(arrival)
            self._current.set(arrival)
            self.seen(arrival)
            if self.held is not None:
                await self.held.wait()
            armed = self.plan(arrival)
        process = partial(self._process, simulation, sent)
        if armed is None:
            return written(process())
        return await ACTS[armed.fault](Turn(request, armed, f"/{name}/login", process))

    def _arrival(self, sent: Request, name: str) -> Arrival | None:
        found = KEY.search(sent.body) if sent.method == "POST" else None
        return None if found is None else Arrival(key := found.group().decode(), name, len(self.of(key)))

    def _process(self, simulation: Simulation, sent: Request) -> Reply:
        before = len(simulation.stored())
        reply = simulation.answer(sent)
        made = simulation.stored()[before:]
        if (arrival := self._current.get()) is not None:
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
