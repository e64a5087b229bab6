"""The sandbox over real sockets: each simulation below `/NAME`, and `/_sandbox` to switch faults and to look inside."""

import importlib
import pkgutil
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from gateway import sandbox
from gateway.core.exchange import Request
from gateway.sandbox.faults import ACTS, FAULTS, Armed, Turn, written
from gateway.sandbox.simulation import ENCODER, Simulation

REMEMBERED = 100
LARGEST_BODY = 16 * 2**20
PATIENCE = 0.2
"""Seconds that `stop` waits for answers that are under way."""

_NAME = re.compile(r"/([^/?]*)")
_SECRET = re.compile(r"auth|key|token|cookie|secret", re.IGNORECASE)
_armed = msgspec.json.Decoder(Armed).decode


def catalog() -> dict[str, Simulation]:
    """A new simulation of each API: every module beside this one that has a class `Simulation` with a name."""
    found: dict[str, Simulation] = {}
    for module in pkgutil.iter_modules(sandbox.__path__, "gateway.sandbox."):
        kind = getattr(importlib.import_module(module.name), "Simulation", None)
        if kind is not None and kind is not Simulation and hasattr(kind, "name"):
            found[kind.name] = kind()
    return found


@dataclass
class Upstream:
    """One simulated API while it is served: what it was asked, and what is switched on."""

    simulation: Simulation
    requests: deque[dict[str, Any]] = field(default_factory=partial(deque, maxlen=REMEMBERED))
    count: int = 0
    armed: Armed | None = None

    def note(self, request: Request) -> None:
        """Remembers a request, without its credentials."""
        headers = [[name, "***" if _SECRET.search(name) else text] for name, text in request.headers]
        body = request.body.decode("utf-8", "replace")
        self.requests.append({"method": request.method, "path": request.path, "headers": headers, "body": body})
        self.count += 1

    def take(self, request: Request) -> Armed | None:
        """What is switched on for this request, used up once."""
        armed = self.armed
        if armed is None or not armed.matches(request.method, request.path):
            return None
        self.armed = armed.used()
        return armed

    def known(self) -> dict[str, str]:
        """Everything that can be switched on here."""
        return FAULTS | dict(self.simulation.quirks)

    def state(self) -> dict[str, Any]:
        """The state in short."""
        return {"invoices": len(self.simulation.stored()), "requests": self.count, "fault": self.armed}


class Sandbox:
    """The APIs that are served, as aiohttp handlers."""

    def __init__(self, simulations: Mapping[str, Simulation]) -> None:
        self.upstreams = {name: Upstream(simulation) for name, simulation in simulations.items()}

    def upstream(self, name: str) -> Upstream:
        """The API called `name`.

        Raises:
            web.HTTPNotFound: there is none.
        """
        if name not in self.upstreams:
            words = ENCODER.encode({"error": f"there is no API {name!r} here", "known": list(self.upstreams)})
            raise web.HTTPNotFound(text=words.decode(), content_type="application/json")
        return self.upstreams[name]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Any request below `/NAME`, with the fault that is switched on."""
        asked = _NAME.match(request.raw_path)
        name = asked.group(1) if asked else ""
        upstream = self.upstream(name)
        path = request.raw_path[len(name) + 1 :]
        headers = tuple((str(header), text) for header, text in request.headers.items())
        sent = Request(request.method, path, await request.read(), headers)
        upstream.note(sent)
        armed = upstream.take(sent)
        act = ACTS.get(armed.fault) if armed else None
        if armed is None or act is None:
            return written(upstream.simulation.answer(sent, armed.fault if armed else None))
        return await act(Turn(request, armed, f"/{name}/login", partial(upstream.simulation.answer, sent)))

    async def overview(self, request: web.Request) -> web.Response:
        """`GET /`, for a person."""
        return web.Response(text=_overview(self.upstreams, f"{request.scheme}://{request.host}"))

    async def state(self, _: web.Request) -> web.Response:
        """`GET /_sandbox`."""
        return _json({name: upstream.state() for name, upstream in self.upstreams.items()})

    async def forget(self, _: web.Request) -> web.Response:
        """`DELETE /_sandbox`: all simulations made anew."""
        made = {name: type(upstream.simulation)() for name, upstream in self.upstreams.items()}
        self.upstreams = {name: Upstream(simulation) for name, simulation in made.items()}
        return web.Response(status=204)

    async def invoices(self, request: web.Request) -> web.Response:
        """`GET /_sandbox/NAME/invoices`."""
        return _json(self.upstream(request.match_info["name"]).simulation.stored())

    async def requests(self, request: web.Request) -> web.Response:
        """`GET /_sandbox/NAME/requests`: the last ones, oldest first."""
        return _json(list(self.upstream(request.match_info["name"]).requests))

    async def arm(self, request: web.Request) -> web.Response:
        """`POST /_sandbox/NAME/faults`: replaces what was switched on."""
        upstream = self.upstream(request.match_info["name"])
        try:
            armed = _armed(await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _json({"error": str(error), "known": upstream.known()}, 422)
        if armed.fault not in upstream.known():
            return _json({"error": f"there is no fault {armed.fault!r}", "known": upstream.known()}, 422)
        upstream.armed = armed
        return _json(upstream.state())

    async def clear(self, request: web.Request) -> web.Response:
        """`DELETE /_sandbox/NAME/faults`."""
        self.upstream(request.match_info["name"]).armed = None
        return web.Response(status=204)


def application(simulations: Mapping[str, Simulation]) -> web.Application:
    """The sandbox with these simulations; their classes are called without arguments to make them anew."""
    served = Sandbox(simulations)
    made = web.Application(client_max_size=LARGEST_BODY)
    made.add_routes(
        (
            web.get("/", served.overview),
            web.get("/_sandbox", served.state),
            web.delete("/_sandbox", served.forget),
            web.get("/_sandbox/{name}/invoices", served.invoices),
            web.get("/_sandbox/{name}/requests", served.requests),
            web.post("/_sandbox/{name}/faults", served.arm),
            web.delete("/_sandbox/{name}/faults", served.clear),
            web.route("*", "/{tail:.*}", served.serve),
        )
    )
    return made


async def start(host: str, port: int, simulations: Mapping[str, Simulation] | None = None) -> tuple[web.AppRunner, int]:
    """Serves all simulations, or these; returns what `stop` ends, and the port, which matters if `port` is 0."""
    served = application(catalog() if simulations is None else simulations)
    runner = web.AppRunner(served, shutdown_timeout=PATIENCE, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner, int(runner.addresses[0][1])


async def stop(runner: web.AppRunner) -> None:
    """Ends the server within a second, whatever is still hanging."""
    await runner.cleanup()


def describe(address: str = "http://ADDRESS") -> str:
    """What the sandbox at `address` offers, for a person."""
    return _overview({name: Upstream(simulation) for name, simulation in catalog().items()}, address)


def _overview(upstreams: Mapping[str, Upstream], address: str) -> str:
    name = next(iter(upstreams), "NAME")
    lines = ["Invoice Gateway sandbox: simulated invoicing APIs, not the real ones.", "", "APIs and their quirks"]
    for api, upstream in upstreams.items():
        lines.append(f"  {address}/{api}  ({len(upstream.simulation.stored())} invoices, {upstream.count} requests)")
        lines += [f"      {quirk:<24} {words}" for quirk, words in upstream.simulation.quirks.items()]
    lines += ["", "Faults at any of them", *(f"  {fault:<24} {words}" for fault, words in FAULTS.items())]
    lines += [
        "",
        "Switch a fault or a quirk on for the next request, or with times 0 until it is cleared; members beside them:",
        "seconds, status, retry_after, and method and path (a part of it), which say what requests are meant",
        f'  curl {address}/_sandbox/{name}/faults -d \'{{"fault": "store-then-hang", "seconds": 5, "times": 1}}\'',
        f"  curl -X DELETE {address}/_sandbox/{name}/faults",
        "Look inside, and forget everything",
        f"  curl {address}/_sandbox",
        f"  curl {address}/_sandbox/{name}/invoices",
        f"  curl {address}/_sandbox/{name}/requests",
        f"  curl -X DELETE {address}/_sandbox",
    ]
    return "\n".join(lines) + "\n"


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=ENCODER.encode(value), content_type="application/json")
