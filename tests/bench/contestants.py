"""The programs that are measured beside each other, each a real one, doing the same job."""

import shutil
import sys
from collections.abc import Callable

from msgspec import Struct

from tests.bench import nginx, tools
from tests.bench.program import Command
from tests.bench.scene import Place, gateway_config, peer_environment, tables
from tests.bench.tools import Missing


class Contestant(Struct, frozen=True):
    """A program: what it is, how it is started, and what it does not do that the gateway does."""

    name: str
    words: str
    command: Callable[[Place], Command]
    note: str = ""
    translates: bool = True


def gateway(place: Place, journal: str = "sqlite://journal.db", ops_port: int = 0) -> Command:
    """The gateway as users start it, with everything on."""
    config = gateway_config(place, journal, ops_port)
    return Command((sys.executable, "-m", "gateway", "serve", "--config", str(config)), place.port)


def _unjournaled(place: Place) -> Command:
    config = gateway_config(place)
    return Command((sys.executable, "-m", "tests.bench.nothing", str(config)), place.port)


def _passing(place: Place) -> Command:
    return Command((sys.executable, "-m", "tests.bench.passing", str(place.port), place.upstream), place.port)


def _fastapi(module: str) -> Callable[[Place], Command]:
    def command(place: Place) -> Command:
        words = (str(tools.fastapi()), "-m", "uvicorn", f"{module}:app", "--port", str(place.port))
        quiet = ("--no-access-log", "--log-level", "warning", "--app-dir", str(tools.PEERS / "fastapi"))
        return Command((*words, *quiet), place.port, peer_environment(place))

    return command


def _node(place: Place) -> Command:
    folder, node = tools.node(), shutil.which("node")
    if node is None:
        raise Missing("Node is not installed")
    return Command((node, "server.js"), place.port, peer_environment(place, NODE_ENV="production"), folder)


def _nginx(kind: str) -> Callable[[Place], Command]:
    def command(place: Place) -> Command:
        if kind != "proxy":  # the modules are of the same build
            tools.debian()
        words = nginx.gateway(kind, place.folder, place.port, place.upstream, tables())
        return Command(words, place.port, {**peer_environment(place), **tools.environment()})

    return command


NOT_DONE = "no token, replay, journal, losses, metrics or log"

CONTESTANTS = (
    Contestant("gateway", "**Invoice Gateway**, everything on", gateway),
    Contestant("unjournaled", "the same, journal off", _unjournaled, "a store for this benchmark that keeps nothing"),
    Contestant("passing", "its two connections, nothing between", _passing, "passes the invoice on as it is", False),
    Contestant("node", "Node: fastify + undici", _node, NOT_DONE),
    Contestant("fastapi-aiohttp", "FastAPI + pydantic + aiohttp client", _fastapi("with_aiohttp"), NOT_DONE),
    Contestant("fastapi-httpx", "FastAPI + pydantic + httpx", _fastapi("with_httpx"), NOT_DONE),
    Contestant("lua", "nginx + Lua, translating", _nginx("lua"), NOT_DONE),
    Contestant("njs", "nginx + njs, translating", _nginx("njs"), NOT_DONE),
    Contestant("proxy", "nginx `proxy_pass`: the limit", _nginx("proxy"), "passes the invoice on as it is", False),
)
"""The gateway first: the others are compared with it."""

NAMES = {each.name: each for each in CONTESTANTS}
