"""Hostile requests over HTTP: a real gateway on real sockets, 32 requests at once, the sandbox's upstreams behind it.

Every request is answered, by an invoice or by a problem that says where; nothing but a deadline of the caller's own
makes it a 5xx, and nothing of a secret or a party is ever logged. One seed is one request: `request(seed)` makes it.
"""

import asyncio
import json
import re
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit

import uvloop
from msgspec import Struct

from tests.fuzz import canaries
from tests.fuzz.bodies import NAMING, POINTER
from tests.fuzz.fragments import HOSTILE, TEXTS
from tests.fuzz.mutation import Sample, mutated, sample
from tests.fuzz.wire import Answer, Hangs, Line
from tests.proof import pool
from tests.proof.row import Found, Tick
from tests.support.running import PRODUCTS, World, invoice, running

CHUNK = 1000
AT_ONCE = 32
JSON = "application/problem+json"
ODD = (
    *(
        b"",
        b" ",
        b"x",
        b"*/*",
        b"0",
        b"-1",
        b"1e3",
        b"99999999999999999999",
        b"\xff\xfe",
        b"\xc3\xa9",
        b'"',
        b'""',
        b"a" * 300,
    ),
    *(
        b"a=b; c=d",
        b",,,",
        b";",
        b"../..",
        b"%00",
        b"\xd9\xa1",
        b"null",
        b"true",
        b"\t",
        b"q=0",
        b"text/html",
        b"'",
        b"\\",
    ),
)
VALUES: dict[bytes, tuple[bytes, ...]] = {
    b"Content-Type": (
        b"application/json; charset=utf-8",
        b"APPLICATION/JSON",
        b"application/json;",
        b"application/jsonx",
        b"json",
    ),
    b"Content-Encoding": (b"identity", b"gzip", b"br", b"deflate, gzip", b"IDENTITY", b"zstd"),
    b"Idempotency-Key": (b'"order-1"', b"order-1", b"order 1", b"a" * 128, b"a" * 129),
    b"Prefer": (b"respond-async", b"respond-async, wait=0", b"wait=1;respond-async", b'respond-async="x"', b"wait=1e9"),
    b"X-Request-Timeout-Ms": (b"20000", b"600000", b"600001", b"1", b"5", b"20", b"0", b"1.5"),
    b"traceparent": (
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-00000000000000000000000000000000-0000000000000000-00",
        b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
    b"Authorization": (
        b"Bearer",
        b"Bearer  ",
        b"Basic eDp5",
        b"bearer " + canaries.OTHER_TOKEN.encode(),
        b"Bearer \xff",
    ),
    b"Accept": (b"text/html", b"application/xml;q=1"),
    b"Accept-Encoding": (b"gzip", b"*;q=0"),
    b"Range": (b"bytes=0-0", b"bytes=9-1"),
    b"If-None-Match": (b"*", b'"x"'),
    b"If-Modified-Since": (b"Wed, 21 Oct 2015 07:28:00 GMT",),
    b"Cookie": (b"a=b", b"$Version=1; x"),
    b"Forwarded": (b"for=1.2.3.4", b"for=_;;;"),
    b"X-Forwarded-For": (b"1.2.3.4, \xff",),
    b"X-HTTP-Method-Override": (b"DELETE",),
    b"Host": (b"evil.example", b"[::1]:99999", b"a b"),
}
IDS = (
    *("x", "", "..", "../..", "%2e%2e", "..%2f..", "%00", "a%0d%0ab", ";", "%3f", "%23", "%ff", "%e9", "%ed%a0%80"),
    *("0190a000-0000-7000-8000-000000000000", "0" * 36, "-" * 36, "0190A000-0000-7000-8000-000000000000", "x" * 3000),
)
PATHS = (
    *("/", "//", "/v1", "/v1/", "/v1/invoices/", "/v1//invoices", "/v1/invoices/x/y/z", "/v2/invoices", "/metrics"),
    *(
        "/problems/",
        "/problems/nothing",
        "/problems/%2e%2e",
        "/problems/invalid-invoice",
        "/v1/upstreams",
        "/.git/config",
    ),
    *(
        "/v1/invoices/explain/",
        "/v1/invoices/%ff/resolve",
        "/%",
        "/%zz",
        "/?",
        "/v1/upstreams?x=%zz&&=&a",
        "/v1/%c3%adnvoices",
    ),
)
QUERIES = (
    *(
        "",
        "?",
        "?limit=1",
        "?limit=0",
        "?limit=99999999999",
        "?limit=%D9%A1",
        "?limit=",
        "?outcome=created",
        "?outcome=x",
    ),
    *(
        "?cursor=x",
        "?cursor=0190a000-0000-7000-8000-000000000000",
        "?external_id=%00",
        "?external_id=%ff",
        "?client=canary",
    ),
    *(
        "?a=1&a=2",
        "?include=upstream_response",
        "?include=,,upstream_response",
        "?all_upstreams=true",
        "?all_upstreams=%00",
    ),
    *("?external_id=" + "x" * 3000, "?client=%ED%A0%80", "?limit=1&limit=2", "?&&&", "?=x", "?external_id=a;b"),
)
SHARED = re.compile(rb'"fuzz:[0-6]:')
"""The names that several requests have."""
METHODS = ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "POST", "TRACE", "PROPFIND", "M-SEARCH")
VERDICT = b'{"outcome":"created","reason":"seen in the portal","upstream_id":"4711"}'


class Call(Struct, frozen=True):
    """A request, and what it may bring about."""

    sent: bytes
    method: str
    short: bool = False


@cache
def samples() -> tuple[Sample, ...]:
    """The demo's invoices, for a party that must not be told of."""
    return tuple(sample(canaries.planted(json.dumps(invoice(dialect)).encode())) for dialect in PRODUCTS)


def request(seed: int) -> Call:
    """The request of a seed."""
    rng = Random(seed)  # noqa: S311 - a seed must choose the same again
    method, path, body = _target(rng, seed)
    headers = {b"Host": b"gateway.example", b"Authorization": b"Bearer " + canaries.CLIENT_TOKEN.encode()}
    if body is not None:
        headers[b"Content-Type"] = b"application/json"
    while rng.random() < 0.35:
        name = rng.choice(tuple(VALUES))
        headers[name] = rng.choice(VALUES[name] if rng.random() < 0.6 else ODD)
    if body is not None:
        headers[b"Content-Length"] = b"%d" % len(body)
    if body is not None and SHARED.search(body):  # whoever has no time may leave a doubt, and others hear of that
        headers.pop(b"X-Request-Timeout-Ms", None)
    lines = b"".join(b"%s: %s\r\n" % header for header in headers.items())
    head = f"{method} {path} HTTP/1.1\r\n".encode()
    wait = headers.get(b"X-Request-Timeout-Ms", b"").strip()
    return Call(head + lines + b"\r\n" + (body or b""), method, wait.isdigit() and int(wait) < 5000)


def _target(rng: Random, seed: int) -> tuple[str, str, bytes | None]:
    """Method, path and body."""
    if (chance := rng.random()) < 0.4:
        return "POST", "/v1/invoices", named(mutated(rng, rng.choice(samples()), samples()), seed)
    if chance < 0.55:
        return "POST", "/v1/invoices", named(rng.choice(samples()).body, seed if chance < 0.5 else seed % 7)
    if chance < 0.68:
        return "POST", "/v1/invoices/explain" + rng.choice(QUERIES), mutated(rng, rng.choice(samples()), samples())
    if chance < 0.78:
        return "GET", "/v1/invoices" + rng.choice(QUERIES), None
    own = rng.choice(IDS) if rng.random() < 0.7 else quote(rng.choice(TEXTS))[:3000]
    if chance < 0.84:
        return "GET", f"/v1/invoices/{own}{rng.choice(QUERIES)}", None
    if chance < 0.9:
        verdict = rng.choice((VERDICT, rng.choice(HOSTILE), mutated(rng, sample(VERDICT), samples())))
        return "POST", f"/v1/invoices/{own}/resolve", verdict
    method = rng.choice(METHODS)
    return method, rng.choice(PATHS) + rng.choice(QUERIES), b"{}" if method in ("PUT", "PATCH", "POST") else None


def named(body: bytes, number: int) -> bytes:
    """An invoice of a name and number of its own; one number for two invoices is a doubt for good reason."""
    return body.replace(b"INV-2026-000417", b"INV-%d" % number).replace(b"billing:acct-88", b"fuzz:%d" % number)


def wrongs(call: Call, answer: Answer | None) -> Iterator[str]:
    """What is wrong with an answer."""
    if answer is None:
        yield "the connection was closed without an answer"
        return
    if answer.status >= 500 and not (answer.status in (503, 504) and call.short):
        yield f"answered {answer.status}"
    text = answer.body.decode("utf-8", "replace")
    yield from (f"{each!r} is in the answer" for each in canaries.leaked(text, canaries.SECRETS))
    if call.method == "HEAD":
        pass
    elif answer.status >= 400:
        yield from _problem(answer)
    elif answer.status < 300 and answer.headers.get("content-type", "").startswith("application/json"):
        json.loads(answer.body)
    if "x-request-id" not in answer.headers:
        yield "the answer has no X-Request-Id"


def _problem(answer: Answer) -> Iterator[str]:
    if answer.headers.get("content-type", "").partition(";")[0] != JSON:
        yield f"the refusal is {answer.headers.get('content-type')}: {answer.body[:200]!r}"
        return
    problem = json.loads(answer.body)
    if problem["status"] != answer.status or not (problem["type"] and problem["title"] and problem["detail"]):
        yield f"the problem does not say what it is: {problem}"
    errors, slug = problem.get("errors", []), problem["type"].rpartition("/")[2]
    if slug in NAMING and not errors:
        yield f"{slug} names no place"
    if slug in NAMING - {"no-route"}:
        yield from (f"{each} has no pointer" for each in errors if POINTER.fullmatch(each["pointer"]) is None)


async def called(line: Line, seed: int) -> list[str]:
    """One request; what is wrong with its answer."""
    call = request(seed)
    try:
        found = list(wrongs(call, await line.ask(call.sent, bodiless=call.method == "HEAD")))
    except Hangs as hangs:
        found = [str(hangs)]
    except Exception:  # noqa: BLE001 - whatever it is, it is wrong
        found = [traceback.format_exc()]
    return [f"seed {seed}, {call.sent[:400]!r}: {each}" for each in found]


async def served(world: World, seeds: range) -> list[str]:
    """All requests of the seeds, some at once; what is wrong with the answers, the log and the metrics."""
    waiting, wrong = iter(seeds), list[str]()
    port = urlsplit(world.service.url).port or 0

    async def work() -> None:
        line = Line(port)
        for seed in waiting:
            wrong.extend(await called(line, seed))
        await line.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    defects = [each for each in world.logged() if each["event"] == "defect"]
    return [*wrong, *(f"a defect is logged: {each}" for each in defects), *await canaries.found_in(world)]


async def _gateway(seeds: range) -> list[str]:
    with TemporaryDirectory() as folder:
        async with running(Path(folder), canaries.clients()) as world:
            return [f"seeds {seeds}: {each}" for each in await served(world, seeds)]


def wrong_in(seeds: range) -> list[str]:
    """What is wrong with a gateway that gets the requests of the seeds."""
    return uvloop.run(_gateway(seeds))


async def run(count: int, first: int, tick: Tick) -> Found:
    """So many requests, on all processors."""
    return await pool.shared(wrong_in, count, first, tick, CHUNK, measured=False)
