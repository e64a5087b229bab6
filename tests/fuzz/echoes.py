"""Canaries through everything an upstream can do: all faults of the sandbox, and an upstream that repeats its request.

Secrets are in no answer, no problem, no log and no metric; the names and addresses of parties are in no log and no
metric, and in an answer only where the upstream's own words repeat them.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from itertools import cycle, islice, product, starmap
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from gateway.sandbox.faults import FAULTS
from tests.fuzz import canaries
from tests.proof.row import Found, Tick, all_of
from tests.support.running import NAMES, Edit, Peer, Play, World, added, address, invoice, ok, playing, running, timeout

PASSWORD, KEY, BEARER = "canary-secret-of-basic/1\"'", "canary-secret-of-header&<2>", "canary-secret-of-bearer+3"
CLIENT_SECRET, ACCESS = "canary-secret-of-client 4", "canary-secret-of-access-5"
PLANTED = (PASSWORD, KEY, BEARER, CLIENT_SECRET, ACCESS, b64encode(f"sandbox:{PASSWORD}".encode()).decode())
CREDENTIALS = {
    "mykaarma": {"basic": {"username": "sandbox", "password": PASSWORD}},
    "katsupay": {"header": {"name": "X-Api-Key", "value": KEY}},
    "exsited": {"oauth": {"token_path": "/token", "client_id": "canary-id", "client_secret": CLIENT_SECRET}},
    "onlyoffice": {"header": {"name": "Authorization", "value": BEARER}},
    "chargeover": {"basic": {"username": "sandbox", "password": PASSWORD}},
}
TOKEN = ok(json.dumps({"access_token": ACCESS, "expires_in": 3600}).encode())
STATUSES = (
    "200 OK",
    "201 Created",
    "302 Found",
    "400 Bad",
    "401 No",
    "403 No",
    "404 No",
    "409 No",
    "422 No",
    "429 No",
    "500 No",
)
LONG = "y" * 150
SHAPES: tuple[dict[str, Any], ...] = (
    {"errors": [{"code": 400, "message": "@", "errorCode": "1", "errorMessage": "@", "errorTitle": "@"}]},
    {"errors": ["@"], "succeeded": False, "message": "@"},
    {"errors": {"field": ["@"]}, "message": LONG + "@", "object": "error"},
    {"status": "Error", "code": 400, "message": "@", "response": False},
    {"status": 1, "statusCode": 400, "error": {"message": "@", "data": "@"}},
    {"errors": "@", "error": "@", "detail": "@"},
)


class Echo(Struct, frozen=True):
    """What an upstream of a dialect answers: a status, and a shape around the words of the request."""

    dialect: str
    status: str
    shape: int
    form: str


class Fault(Struct, frozen=True):
    """A fault of the sandbox at a dialect's upstream."""

    dialect: str
    name: str


FORMS = ("json", "html", "plain", "ascii", "url")
ECHOES = tuple(
    Echo(name, status, number % len(SHAPES), FORMS[number % len(FORMS)])
    for number, (name, status) in enumerate(product(NAMES, STATUSES))
)
EVERY_ECHO = tuple(starmap(Echo, product(NAMES, STATUSES, range(len(SHAPES)), FORMS)))
HANGING = {"hang", "store-then-hang", "slow-drip"}
SANDBOX = tuple(Fault(name, fault) for name in NAMES for fault in FAULTS)
CELLS: tuple[Echo | Fault, ...] = (*ECHOES, *SANDBOX)
"""Those of every commit."""


def words(request: bytes, secrets: Sequence[str]) -> str:
    """What an upstream says of a request: its head and its body, and once more what it was shown."""
    return f"{request.decode('utf-8', 'replace')} {' '.join(secrets)}"


def echoing(echo: Echo) -> Play:
    """An upstream that says back all that it was told, cut as its words are cut."""

    async def play(peer: Peer, reader: Any, writer: Any) -> None:
        while True:
            request = await peer.read(reader)
            if request.startswith(b"POST /token"):
                writer.write(TOKEN)
                continue
            writer.write(ok(_body(echo, request), echo.status, f"Location: /login?{quote(_shown(request))}"))

    return play


def _shown(request: bytes) -> str:
    lines = request.decode("utf-8", "replace").split("\r\n")
    return next((line for line in lines if line.lower().startswith(("authorization:", "x-api-key:"))), "")


def _body(echo: Echo, request: bytes) -> bytes:
    said = f"{_shown(request)} {words(request, PLANTED_OF[echo.dialect])}"
    if echo.form == "html":
        return f"<!doctype html><p>{escape(said)}".encode()
    if echo.form == "url":
        return quote(said).encode()
    if echo.form == "plain":
        return said.encode()
    filled = _filled(SHAPES[echo.shape], said)
    return json.dumps(filled, ensure_ascii=echo.form == "ascii").encode()


def _filled(shape: Any, said: str) -> Any:
    match shape:
        case str():
            return shape.replace("@", said)
        case list():
            return [_filled(each, said) for each in shape]
        case dict():
            return {name: _filled(each, said) for name, each in shape.items()}
        case _:
            return shape


PLANTED_OF: Mapping[str, Sequence[str]] = {
    "mykaarma": (PASSWORD,),
    "katsupay": (KEY,),
    "exsited": (CLIENT_SECRET, ACCESS),
    "onlyoffice": (BEARER,),
    "chargeover": (PASSWORD,),
}


def planted(url: str, dialect: str) -> Edit:
    """The dialect's upstream is at `url`, and is shown unmistakable secrets."""

    def edit(text: str) -> str:
        name = NAMES[dialect]
        head, found, rest = text.replace(address(text, dialect), url).partition(f"[upstreams.{name}]")
        lines = [line for line in rest.split("\n") if not line.startswith("auth = ")]
        own = "\n".join(lines).replace(f"[upstreams.{name}.auth.oauth]", "[upstreams.unused]", 1)
        if dialect == "exsited":
            start, end = own.index("[upstreams.unused]"), own.index(f"[upstreams.{name}.crosswalk]")
            own = own[:start] + own[end:]
        return head + found + own

    return lambda text: added(_auth(dialect))(edit(text))


def _auth(dialect: str) -> str:
    (kind, fields) = next(iter(CREDENTIALS[dialect].items()))
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in fields.items())
    return f"[upstreams.{NAMES[dialect]}.auth.{kind}]\n{lines}"


async def asked(world: World, dialect: str) -> list[str]:
    """An invoice sent, read, listed and explained; which secrets are in the answers, the log and the metrics."""
    sent = json.loads(canaries.planted(json.dumps(invoice(dialect)).encode()))
    headers = {"Authorization": f"Bearer {canaries.CLIENT_TOKEN}"}
    answers = [
        await world.send(sent, headers=headers),
        await world.explain(sent, "?all_upstreams=true", headers=headers),
        await world.send(sent, headers={"Authorization": "Bearer canary-other-token-88ab30 "}),
        await world.api("GET", "/v1/invoices", headers=headers),
    ]
    for each in answers[-1].json["items"]:
        where = f"/v1/invoices/{each['id']}?include=upstream_response"
        answers.append(await world.api("GET", where, headers=headers))
    secrets = (*PLANTED, *canaries.SECRETS)
    return [
        f"{found!r} is in the answer {answer.status} {answer.content[:2000]!r}"
        for answer in answers
        for found in leaks(answer.content.decode(), secrets)
    ]


def leaks(text: str, secrets: Sequence[str]) -> list[str]:
    """The secrets in a text: whole, in another notation, or most of their beginning."""
    found = canaries.leaked(text, secrets)
    more = {
        each: (quote(each, safe=""), quote(each), escape(each), json.dumps(json.dumps(each)[1:-1])[1:-1])
        for each in PLANTED
    }
    return found + [each for each, forms in more.items() if any(form in text for form in forms)]


async def echoed(echo: Echo) -> list[str]:
    """What leaks from an upstream that repeats its request."""
    with TemporaryDirectory() as folder:
        async with playing(echoing(echo)) as peer:
            edits = (canaries.clients(), timeout("2s"), planted(peer.url, echo.dialect))
            async with running(Path(folder), *edits) as world:
                found = [*await asked(world, echo.dialect), *await canaries.found_in(world, PLANTED)]
                if not peer.requests:
                    found.append("the upstream was never asked")
    return [f"{echo}: {each}" for each in found]


async def failed(fault: Fault) -> list[str]:
    """What leaks where the sandbox fails."""
    with TemporaryDirectory() as folder:
        wait = timeout("400ms" if fault.name in HANGING else "5s")
        async with running(Path(folder), canaries.clients(), wait) as world:
            await world.arm(fault.dialect, fault.name, times=2, seconds=1.0)
            found = [*await asked(world, fault.dialect), *await canaries.found_in(world)]
    return [f"{fault}: {each}" for each in found]


async def _tried(cell: Echo | Fault) -> list[str]:
    return await (echoed(cell) if isinstance(cell, Echo) else failed(cell))


async def run(count: int, seed: int, tick: Tick) -> Found:
    """All cells in any order, over and over; beyond those of every commit, every echo in every form too."""
    every: list[Echo | Fault] = list(CELLS if count <= len(CELLS) else (*CELLS, *EVERY_ECHO))
    Random(seed).shuffle(every)  # noqa: S311 - a seed must choose the same again
    tries = [partial(_tried, each) for each in every]
    return await all_of(list(islice(cycle(tries), count)), tick, 8)
