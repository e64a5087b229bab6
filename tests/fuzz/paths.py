"""Ids that try to leave their segment of a path: as order of Exsited, as number or name in the lookups of all dialects.

Whatever an id is, the request has exactly the segments that the API's page shows, or nothing is sent. One seed is one
id: `hostile(seed)` makes it.
"""

import json
import re
import traceback
from collections.abc import Iterator
from functools import cache
from itertools import zip_longest
from random import Random
from urllib.parse import unquote

from gateway.core.dialect import Translation, Upstream
from gateway.core.errors import InvalidInvoice, Untranslatable
from gateway.core.exchange import Reply, Request, advance
from gateway.shell import client
from gateway.shell.auth import Fixed
from gateway.shell.catalog import dialects
from tests.proof import pool
from tests.proof.row import Found, Tick
from tests.support import conversations
from tests.support.running import Peer, answering, ok, playing
from tests.support.ways import Made, opened

CHUNK = 1000
PIECES = (
    *(
        "..",
        ".",
        "/",
        "\\",
        "%2f",
        "%2F",
        "%5c",
        "%2e",
        "%2e%2e",
        "..%2f",
        "%252e%252e%252f",
        "../",
        "..;/",
        ";",
        "?",
        "#",
    ),
    *(
        "&",
        "=",
        "@",
        ":",
        "//",
        "\r\n",
        "\n",
        "\r",
        "\0",
        "%00",
        "%0d%0a",
        " ",
        "\t",
        "+",
        "%",
        "%%",
        "%zz",
        "\u2024",
        "．",
        "／",
    ),
    *(
        "\u2215",
        "\u29f8",
        "\ufe52",
        "\u00a0",
        "\u202e",
        "\ufeff",
        "\u0000",
        "é",
        "\U0001f9fe",
        "admin",
        "ORD-1",
        "a" * 60,
    ),
    *("HTTP/1.1", "Host: x", "*", "|", "<", ">", '"', "'", "`", "{", "}", "[", "]", "^", "~", "$", ",", "\x7f", "\x85"),
)
ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%:=&?/")
"""What a path and a query of ours consist of."""
PLACES = ("/references/order", "/number", "/external_id")
NAMES = tuple(sorted(name for name, dialect in dialects().items() if dialect.lookup is not None))
PLAIN = {"exsited": "ex-plain", "onlyoffice": "oo-plain", "chargeover": "co-plain"}
SHAPES: dict[str, tuple[tuple[str, ...], ...]] = {
    "exsited": (("api", "v3", "orders", "*", "invoices"), ("api", "v3", "invoices", "*")),
    "onlyoffice": (("api", "2.0", "crm", "invoice"), ("api", "2.0", "crm", "invoice", "bynumber")),
    "chargeover": (("api", "v3", "invoice"), ("api", "v3", "invoice", "*")),
}
"""The segments of every path that a dialect may request; `*` is an id, and never a dot or two."""
QUERIES = {"exsited": {"limit", "offset"}, "onlyoffice": {"number"}, "chargeover": {"where"}}


def hostile(seed: int) -> str:
    """The id of a seed."""
    rng = Random(seed)  # noqa: S311 - a seed must choose the same again
    made = "".join(rng.choices(PIECES, k=rng.randrange(6)))
    return made[: rng.choice((255, 255, 20))] if rng.random() < 0.95 else made * 50


def translated(name: str, place: str, own: str) -> Translation | None:
    """An invoice with the id at a place, in a dialect; None where it is refused by a pointer.

    Raises:
        AssertionError: it is refused without one.
    """
    document = json.loads(_base(name))
    conversations.change(document, place, own)
    try:
        return conversations.translated(document, _upstream(name))
    except (InvalidInvoice, Untranslatable) as refusal:
        if any(not fault.pointer.startswith("/") for fault in refusal.faults):
            raise AssertionError(refusal.faults) from None
        return None


@cache
def _base(name: str) -> str:
    """The smallest invoice of a dialect, as text."""
    return json.dumps(conversations.document({"invoice": PLAIN[name]}))


@cache
def _upstream(name: str) -> Upstream:
    return conversations.upstream(dialects()[name], {})


def requests(name: str, translation: Translation) -> Iterator[Request]:
    """The creation, and all that a lookup asks while it is told that there is nothing."""
    yield translation.request
    lookup = dialects()[name].lookup
    assert lookup is not None
    conversation = lookup(translation)
    step = advance(conversation, None)
    while isinstance(step, Request):
        yield step
        step = advance(conversation, Reply(404, b"{}"))


def strays(name: str, path: str) -> str | None:
    """Why a path is not one of the dialect's; None if it is."""
    plain, _, query = path.partition("?")
    if odd := set(path) - ALLOWED:
        return f"holds {sorted(odd)}"
    segments = plain.split("/")[1:]
    if not any(_fits(segments, shape) for shape in SHAPES[name]):
        return f"has the segments {segments}"
    names = {each.partition("=")[0] for each in query.split("&")} if query else set()
    return None if names <= QUERIES[name] and path.count("?") <= 1 else f"has the query {query!r}"


def _fits(segments: list[str], shape: tuple[str, ...]) -> bool:
    if len(segments) != len(shape):
        return False
    pairs = zip(segments, shape, strict=True)
    return all(own == wanted or (wanted == "*" and own != "" and not _climbs(own)) for own, wanted in pairs)


def _climbs(own: str) -> bool:
    """Whether a segment goes elsewhere for whoever decodes it before it is split."""
    return any(part and not part.strip(".") for part in re.split(r"[/\\]", unquote(own)))


def tried(seed: int) -> Iterator[str]:
    """What is wrong with the requests for the id of a seed, at every place and in every dialect."""
    own = hostile(seed)
    for name in NAMES:
        for place in PLACES if name == "exsited" else PLACES[1:]:
            translation = translated(name, place, own)
            for request in requests(name, translation) if translation is not None else ():
                if (why := strays(name, request.path)) is not None:
                    yield f"{name} {place} {own!r}: {request.path!r} {why}"


def wrong_in(seeds: range) -> list[str]:
    """The seeds whose ids leave their place."""
    found = list[str]()
    for seed in seeds:
        try:
            found += [f"seed {seed}: {each}" for each in tried(seed)]
        except Exception:  # noqa: BLE001 - whatever it is, it is wrong
            found.append(f"seed {seed}: {traceback.format_exc()}")
    return found


async def run(count: int, first: int, tick: Tick) -> Found:
    """So many ids, on all processors."""
    return await pool.shared(wrong_in, count, first, tick, CHUNK, measured=False)


async def on_the_wire(seeds: range, made: Made) -> list[str]:
    """The ids of the seeds as orders and numbers, sent by the real client: request lines that are not as decided."""
    decided = list[Request]()
    for seed in seeds:
        for place in PLACES:
            translation = translated("exsited", place, hostile(seed))
            decided += requests("exsited", translation) if translation is not None else ()
    async with playing(answering(*[ok()] * len(decided))) as peer, opened(made, reuse=False) as way:
        sender = client.Sender(peer.url, dialects()["exsited"], Fixed(tuple), way)
        for request in decided:
            await sender.send(request, lambda: 10.0)
        read = read_lines(peer)
    wanted = [request.path for request in decided]
    return [f"decided on {one!r}, sent {other!r}" for one, other in zip_longest(wanted, read) if one != other]


def read_lines(peer: Peer) -> list[str]:
    """The paths of the requests that a peer read."""
    return [request.split(b" ")[1].decode("latin-1") for request in peer.requests]
