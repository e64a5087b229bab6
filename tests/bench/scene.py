"""What every contestant gets: the same invoice, the same crosswalks, the same upstream, all from the demo."""

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct

from gateway import demo
from gateway.core.config import Config
from gateway.core.money import plain
from gateway.core.parse import parse
from gateway.core.plan import Caller, make_plan
from gateway.shell.compose import book
from gateway.shell.configuration import load
from tests.bench import nginx
from tests.bench.machine import LOAD_CORE
from tests.bench.program import Command, running
from tests.bench.tools import FOLDER, environment
from tests.support.ports import free_port
from tests.support.running import NAMES, PRODUCTS

DIALECT = "katsupay"
"""The dialect that all of them speak: one request an invoice, and a money rule."""
NAME = "EXTERNAL-ID-OF-24-LETTER"
"""The external_id in the body; the load puts another in its place for each request."""
TOKEN = secrets.token_urlsafe(24)

MORE = """
[clients.billing]
token = "{token}"

[journal]
url = "{journal}"
"""


class Place(Struct, frozen=True):
    """Where a contestant is started: a folder of its own, its port, and the upstream's host and port."""

    folder: Path
    port: int
    upstream: str


def config() -> Config:
    """The demo's configuration."""
    return load(demo.CONFIG).config


def tables() -> dict[str, Any]:
    """What a peer must know to do the same: routes, crosswalks and settings of the one upstream."""
    known = config()
    upstream = known.upstreams[NAMES[DIALECT]]
    header = upstream.auth.header
    assert header is not None
    taxes = upstream.crosswalk["taxes"]
    assert isinstance(taxes, dict)
    labels = [(route.when.labels.get("product"), route) for route in known.routes if route.to == NAMES[DIALECT]]
    return {
        "dialect": DIALECT,
        "path": next(iter(load(demo.CONFIG).upstreams[NAMES[DIALECT]].dialect.endpoint.split(" ")[1:])),
        "header": header.name,
        "key": header.value,
        "account": upstream.settings["receiving_account"],
        "routes": {label: {"rule": route.name, "upstream": route.to} for label, route in labels},
        "customers": upstream.crosswalk["customers"],
        "items": upstream.crosswalk["items"],
        "currencies": upstream.crosswalk["currencies"],
        "taxes": {name: row if isinstance(row, str | int) else row.id for name, row in taxes.items()},
    }


def invoice(lines: int = 5) -> dict[str, Any]:
    """The canonical invoice: the demo's, with so many lines; totals only where they are the demo's own."""
    found: dict[str, Any] = json.loads(demo.INVOICE.read_text())
    found |= {"external_id": NAME, "labels": {"product": PRODUCTS[DIALECT]}}
    own = found["lines"]
    if lines != len(own):
        found["lines"] = [{**own[index % len(own)], "id": str(index + 1)} for index in range(lines)]
        del found["totals"]
    return found


def amount(body: bytes) -> str:
    """The amount due of an invoice."""
    known = book(load(demo.CONFIG))
    plan = make_plan(parse(body, known.extension_types), Caller("billing"), known)
    return plain(plan.totals.amount_due)


def gateway_config(place: Place, journal: str = "sqlite://journal.db", ops_port: int = 0) -> Path:
    """The demo's configuration with a client, a journal, and room for as many callers as are measured."""
    text = demo.CONFIG.read_text().replace(demo.SANDBOX, f"http://{place.upstream}")
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{place.port}").replace("127.0.0.1:8081", f"127.0.0.1:{ops_port}")
    text = text.replace("[server]\n", "[server]\nmax_in_flight = 10000\n", 1)
    text = text.replace("\ndialect = ", "\nmax_in_flight = 10000\ndialect = ")
    path = place.folder / "gateway.toml"
    path.write_text(text + MORE.format(token=TOKEN, journal=journal))
    return path


def peer_environment(place: Place, **more: str) -> Mapping[str, str]:
    """What a peer is told: its port, the upstream, and a file with the tables."""
    path = place.folder / "tables.json"
    path.write_text(json.dumps(tables()))
    return {"PORT": str(place.port), "UPSTREAM": f"http://{place.upstream}", "TABLES": str(path), **more}


def workplace() -> TemporaryDirectory[str]:
    """A folder on the disk that the checkout is on, so that what is durable is really written."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    return TemporaryDirectory(prefix="work-", dir=FOLDER)


@asynccontextmanager
async def upstream(amount: str) -> AsyncIterator[str]:
    """An upstream that answers with an invoice of this amount; its host and port."""
    with workplace() as name:
        folder, port = Path(name), free_port()
        command = Command(nginx.upstream(folder, port, amount), port, environment())
        async with running(command, LOAD_CORE, folder / "log"):
            yield f"127.0.0.1:{port}"
