"""The HTTP API over real sockets: every problem with all its members, limits, tokens, headers and pages."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, web
from msgspec import Struct

from gateway.core.events import Event, Refused
from gateway.core.problem_index import PROBLEMS
from gateway.shell import logs
from gateway.shell.clients import Clients
from gateway.shell.limits import Limits
from gateway.shell.server import Api
from tests.support.engines import until
from tests.support.running import NAMES, Answer, added, invoice, replaced, running, timeout, unreachable

JSON = "application/json"
BILLING = "token-of-billing"
NARROW = "token-of-narrow"
CLIENTS = added(f"""
[clients.billing]
token_sha256 = ["{sha256(b"an old one").hexdigest()}", "{sha256(BILLING.encode()).hexdigest()}"]
[clients.narrow]
token = ["{NARROW}", "another"]
upstreams = ["katsupay-lagos"]
""")

RETRYABLE = {
    "malformed-json": False,
    "unauthenticated": False,
    "forbidden": False,
    "not-found": False,
    "method-not-allowed": False,
    "request-timeout": True,
    "too-large": False,
    "unsupported-media-type": False,
    "invalid-invoice": False,
    "totals-mismatch": False,
    "no-route": False,
    "untranslatable": False,
    "rejected": False,
    "upstream-unavailable": True,
    "rate-limited": True,
    "overloaded": True,
    "outcome-unknown": True,
    "in-progress": True,
    "external-id-reused": False,
    "already-concluded": False,
    "invalid-request": False,
    "journal-unavailable": True,
    "internal": False,
}
STATUS = {
    "malformed-json": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "request-timeout": 408,
    "too-large": 413,
    "unsupported-media-type": 415,
    "invalid-invoice": 422,
    "totals-mismatch": 422,
    "no-route": 422,
    "untranslatable": 422,
    "rejected": 422,
    "upstream-unavailable": 503,
    "rate-limited": 429,
    "overloaded": 503,
    "outcome-unknown": 504,
    "in-progress": 409,
    "external-id-reused": 422,
    "already-concluded": 409,
    "invalid-request": 400,
    "journal-unavailable": 503,
    "internal": 500,
}
OUTCOME = {
    "no-route": "not_sent",
    "untranslatable": "not_sent",
    "rejected": "rejected",
    "upstream-unavailable": "not_sent",
    "outcome-unknown": "unknown",
    "in-progress": "pending",
}
"""Source of all three: contract 2."""


def check(answer: Answer, slug: str) -> dict[str, Any]:
    """The problem, after every member and header was looked at that all problems have."""
    assert answer.status == STATUS[slug], answer.content
    assert answer.headers["Content-Type"].partition(";")[0] == "application/problem+json"
    assert "Server" not in answer.headers
    found: dict[str, Any] = answer.json
    assert found["type"] == f"/problems/{slug}"
    assert found["status"] == answer.status
    assert found["title"]
    assert found["detail"]
    assert found["instance"] == answer.headers["X-Request-Id"]
    assert found["retryable"] is RETRYABLE[slug]
    assert found.get("outcome") == OUTCOME.get(slug)
    assert ("Retry-After" in answer.headers) is RETRYABLE[slug]
    assert "Traceback" not in answer.content.decode()
    for fault in found.get("errors", []):
        assert set(fault) == {"pointer", "code", "detail"}
        assert fault["pointer"] == "" or fault["pointer"].startswith("/")
    return found


def bearer(token: str) -> dict[str, str]:
    """The header of a caller."""
    return {"Authorization": f"Bearer {token}"}


# ------------------------------------------------------------------ bodies


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"{",
        b"nonsense",
        b'{"a": NaN}',
        b"\xef\xbb\xbf{}",
        b'{"note": "\xff"}',
        b'{"note": "\xc3',
        json.dumps({}).encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b"{}{}",
        b"{'a': 1}",
    ],
    ids=lambda body: str(body[:20]),
)
@pytest.mark.parametrize("path", ["/v1/invoices", "/v1/invoices/explain"])
async def test_what_is_not_json_is_malformed(path: str, body: bytes, tmp_path: Path) -> None:
    """Not JSON, not UTF-8, a byte order mark, nested too deep: 400, and nothing is sent."""
    async with running(tmp_path) as world:
        check(await world.api("POST", path, data=body, headers={"Content-Type": JSON}), "malformed-json")
        assert await world.requests("chargeover") == []


@pytest.mark.parametrize("body", [b"null", b"[]", b"1", b'"x"', b"{}", b'{"lines": {}}'])
async def test_json_that_is_no_invoice_is_invalid(body: bytes, tmp_path: Path) -> None:
    """It could be read, so it is 422 and each fault has its place."""
    async with running(tmp_path) as world:
        answer = await world.api("POST", "/v1/invoices", data=body, headers={"Content-Type": JSON})
        assert check(answer, "invalid-invoice")["errors"]


async def test_every_fault_of_an_invoice_is_named_at_once(tmp_path: Path) -> None:
    """Wherever they are, with the pointer into what was sent."""
    wrong = invoice(currency="USX", due_date="2026-02-30", colour="red", number="")
    wrong["lines"][1]["unit_price"] = 149.5
    wrong["lines"][2]["quantity"] = "1e3"
    wrong["customer"]["billing_address"]["country"] = "UK"
    async with running(tmp_path) as world:
        found = check(await world.send(wrong), "invalid-invoice")
        assert {fault["pointer"] for fault in found["errors"]} == {
            "/currency",
            "/due_date",
            "/colour",
            "/number",
            "/lines/1/unit_price",
            "/lines/2/quantity",
            "/customer/billing_address/country",
        }
        assert await world.requests("chargeover") == []


async def test_every_wrong_total_is_named_with_both_figures(tmp_path: Path) -> None:
    """Expected and received; the invoice is named, and nothing is sent."""
    sent = invoice(totals={"tax_exclusive_total": "410.00", "tax_total": "82.01", "amount_due": "500.00"})
    async with running(tmp_path) as world:
        found = check(await world.send(sent), "totals-mismatch")
        assert found["external_id"] == sent["external_id"]
        told = {fault["pointer"]: fault["detail"] for fault in found["errors"]}
        assert {"/totals/tax_total", "/totals/amount_due"} == set(told)
        assert "82.00" in told["/totals/tax_total"]
        assert "82.01" in told["/totals/tax_total"]
        assert "492.00" in told["/totals/amount_due"]
        assert "500.00" in told["/totals/amount_due"]
        assert await world.requests("chargeover") == []


async def test_without_a_route_each_rule_says_what_failed(tmp_path: Path) -> None:
    """One entry a rule, with its name and the place of its condition."""
    edit = replaced('name = "default"\nto = ', 'name = "default"\nwhen = { country = "DE" }\nto = ')
    async with running(tmp_path, edit) as world:
        found = check(await world.send(invoice("chargeover")), "no-route")
        rules = ["workshops", "wallets", "subscriptions", "europe", "default"]
        assert len(found["errors"]) == len(rules)
        for rule, fault in zip(rules, found["errors"], strict=True):
            assert rule in fault["detail"]
        assert found["errors"][-1]["pointer"] == "/customer/billing_address/country"
        assert found["external_id"] == invoice("chargeover")["external_id"]


async def test_what_cannot_be_translated_is_named_all_at_once(tmp_path: Path) -> None:
    """Every missing crosswalk entry, each with its pointer."""
    sent = invoice("chargeover")
    sent["customer"]["id"] = "acct-unknown"
    sent["lines"][0]["item"]["id"] = "gold"
    sent["lines"][4]["item"]["id"] = "silver"
    async with running(tmp_path) as world:
        found = check(await world.send(sent), "untranslatable")
        pointers = {fault["pointer"] for fault in found["errors"]}
        assert {"/customer/id", "/lines/0/item/id", "/lines/4/item/id"} <= pointers
        assert await world.requests("chargeover") == []


async def test_a_refusal_is_a_problem_with_the_upstreams_answer(tmp_path: Path) -> None:
    """Who said no, with which status and code, in which words."""
    async with running(tmp_path) as world:
        await world.arm("katsupay", "camel-case-400")
        found = check(await world.send(invoice("katsupay")), "rejected")
        assert found["upstream"]["name"] == "katsupay-lagos"
        assert found["upstream"]["http_status"] == 400
        assert found["errors"]
        assert found["invoice"]


async def test_an_upstream_that_cannot_be_reached_is_a_problem_that_may_be_retried(tmp_path: Path) -> None:
    """503 with Retry-After; the address of the upstream is the operator's business."""
    async with running(tmp_path, unreachable("chargeover")) as world:
        answer = await world.send(invoice("chargeover"))
        found = check(answer, "upstream-unavailable")
        assert found["external_id"] == invoice("chargeover")["external_id"]
        assert int(answer.headers["Retry-After"]) > 0
        assert b"127.0.0.1" not in answer.content


async def test_an_unknown_outcome_says_where_to_ask(tmp_path: Path) -> None:
    """504 with Location and the gateway's own id."""
    async with running(tmp_path) as world:
        await world.arm("chargeover", "store-then-reset", method="POST")
        answer = await world.send(invoice("chargeover"))
        found = check(answer, "outcome-unknown")
        assert answer.headers["Location"] == f"/v1/invoices/{found['invoice']}"


# ------------------------------------------------------------------ limits

SMALL = replaced("[server]\n", '[server]\nmax_body = "2KiB"\n')
HURRIED = replaced("[server]\n", '[server]\nbody_timeout = "100ms"\n')


def padded(size: int) -> bytes:
    """The demo's invoice in so many bytes."""
    body = json.dumps(invoice(lines=invoice()["lines"][:1], totals=None)).encode()
    return body + b" " * (size - len(body))


async def test_a_body_of_just_the_limit_is_taken(tmp_path: Path) -> None:
    """2 KiB are 2048 bytes."""
    async with running(tmp_path, SMALL) as world:
        answer = await world.api("POST", "/v1/invoices", data=padded(2048), headers={"Content-Type": JSON})
        assert answer.status == 201


@pytest.mark.parametrize("path", ["/v1/invoices", "/v1/invoices/explain"])
async def test_a_body_over_the_limit_is_too_large(path: str, tmp_path: Path) -> None:
    """By its Content-Length, or when it comes in chunks and turns out to be."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield padded(1024)

    async with running(tmp_path, SMALL) as world:
        for body in (padded(2049), chunks()):
            answer = await world.api("POST", path, data=body, headers={"Content-Type": JSON})
            assert "2048" in check(answer, "too-large")["detail"]


async def test_a_body_that_is_announced_too_large_is_not_waited_for(tmp_path: Path) -> None:
    """The answer comes before any of it was sent."""
    async with running(tmp_path, SMALL) as world:
        head = "POST /v1/invoices HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n"
        check(await raw(world.service.url, head.encode()), "too-large")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/problem+json"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": ""},
        {"Content-Type": JSON, "Content-Encoding": "gzip"},
        {"Content-Type": JSON, "Content-Encoding": "deflate"},
        {"Content-Type": JSON, "Content-Encoding": "identity, gzip"},
        {"Content-Type": JSON, "Content-Encoding": "nonsense"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
@pytest.mark.parametrize("path", ["/v1/invoices", "/v1/invoices/explain"])
async def test_another_type_or_encoding_is_not_understood(
    path: str, headers: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """JSON as it is, and nothing else; a packed body is not even unpacked, so it may well be broken."""
    body = gzip.compress(padded(0)) if headers.get("Content-Encoding") == "gzip" else padded(0)
    async with running(tmp_path) as world:
        for _ in range(2):
            check(await world.api("POST", path, data=body, headers=headers), "unsupported-media-type")
    assert caplog.records == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "APPLICATION/JSON"},
        {"Content-Type": JSON, "Content-Encoding": "identity"},
        {"Content-Type": JSON, "Content-Encoding": "IDENTITY"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
async def test_json_is_json_however_it_is_written(headers: dict[str, str], tmp_path: Path) -> None:
    """Types are the same in any case (RFC 9110 section 8.3.1)."""
    async with running(tmp_path) as world:
        assert (await world.api("POST", "/v1/invoices", data=padded(0), headers=headers)).status == 201


async def raw(url: str, sent: bytes, *, close: bool = False) -> Answer:
    """What a server answers to these bytes; an answer of status 0 where it says nothing."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        writer.write(sent)
        await writer.drain()
        if close:
            return Answer(0, {}, b"")
        async with asyncio.timeout(5):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            headers = {name.title(): value for name, value in headers.items()}
            body = await reader.readexactly(int(headers.get("Content-Length", "0")))
        return Answer(int(head[0].split()[1]), headers, body)
    except asyncio.IncompleteReadError:
        return Answer(0, {}, b"")
    finally:
        writer.close()
        await writer.wait_closed()


HEAD = "POST /v1/invoices HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("framing", ["Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"])
async def test_a_body_that_does_not_arrive_in_time_is_not_waited_for(framing: str, tmp_path: Path) -> None:
    """The limit holds for the whole of it, so that slow callers cannot keep all places taken."""
    async with running(tmp_path, HURRIED) as world:
        check(await raw(world.service.url, (HEAD + framing).encode()), "request-timeout")


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        HEAD + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        HEAD + "Content-Length: abc\r\n\r\n",
        HEAD + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEAD + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        "POST /v1/invoices HTTP/9.9\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET /v1/upstreams HTTP/1.1\r\nHost: x\r\nX: " + "x" * 20_000 + "\r\n\r\n",
        "GET /" + "x" * 20_000 + " HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /v1/upstreams HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer Kanarienvogel\x00\r\n\r\n",
        "GET /v1/upstreams HTTP/1.1\r\nHost: x\r\nAuthorization Bearer Kanarienvogel\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[len(HEAD) :][:50] if sent.startswith(HEAD) else sent[:40]),
)
async def test_broken_http_is_the_callers_fault(
    sent: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A 4xx without a stack trace; never `internal`, no defect in the logs, and nothing of it beside them."""
    async with running(tmp_path, HURRIED) as world:
        answer = await raw(world.service.url, sent.encode())
        assert 400 <= answer.status < 500, answer
        assert b"Traceback" not in answer.content
        assert b"File " not in answer.content
        assert not [line for line in world.logged() if line["event"] == "defect"]
        assert "Kanarienvogel" not in json.dumps(world.logged())
        assert (await world.send(invoice())).status == 201
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


GONE = ["request-timeout"]


async def test_a_caller_that_leaves_in_the_middle_is_no_defect(tmp_path: Path) -> None:
    """Nothing is sent, nothing is counted as a mistake of the gateway, and its place is free again."""
    edits = (replaced("[server]\n", "[server]\nmax_in_flight = 1\n"),)
    async with running(tmp_path, *edits) as world:
        for _ in range(3):
            await raw(world.service.url, (HEAD + "Content-Length: 100\r\n\r\n{").encode(), close=True)
        assert (await world.send(invoice())).status == 201
        await until(lambda: [line["problem"] for line in world.logged() if line["event"] == "refused"] == GONE * 3)
        assert not [line for line in world.logged() if line["event"] == "defect"]


async def test_a_client_that_sends_too_fast_is_told_when_to_come_again(tmp_path: Path) -> None:
    """429 before the body is read, whatever it asks for; other clients do not notice."""
    clients = """
[clients.fast]
token = "fast"
rate = 2
[clients.other]
token = "other"
"""
    async with running(tmp_path, added(clients)) as world:
        fast, other = ({"Authorization": f"Bearer {name}"} for name in ("fast", "other"))
        assert (await world.send(invoice(), headers=fast)).status == 201
        assert (await world.api("GET", "/v1/invoices", headers=fast)).status == 200
        found = check(await world.send(invoice("katsupay"), headers=fast), "rate-limited")
        assert found["detail"] == "fast may send 2 requests in 1 s"
        check(await world.api("GET", "/v1/upstreams", headers=fast), "rate-limited")
        assert await world.requests("katsupay") == []
        assert (await world.send(invoice("katsupay"), headers=other)).status == 201


async def test_a_caller_may_say_how_long_it_waits(tmp_path: Path) -> None:
    """The deadline is its own: nobody knows by then. What is no time is refused before anything is sent."""
    async with running(tmp_path, timeout("10s")) as world:
        await world.arm("chargeover", "delay", seconds=1.0, method="POST")
        check(await world.send(invoice(), headers={"X-Request-Timeout-Ms": "200"}), "outcome-unknown")
        check(await world.send(invoice("katsupay"), headers={"X-Request-Timeout-Ms": "soon"}), "invalid-request")
        assert await world.requests("katsupay") == []


async def test_too_many_requests_at_once_are_shed(tmp_path: Path) -> None:
    """503 before the body is read, where even those who only ask are too many; afterwards there is room."""
    async with running(tmp_path, replaced("[server]\n", "[server]\nmax_in_flight = 1\n")) as world:
        head = (HEAD + "Content-Length: 100000\r\n\r\n").encode()
        where = urlsplit(world.service.url)
        lines = [await asyncio.open_connection(where.hostname, where.port) for _ in range(9)]
        for _, writer in lines:
            writer.write(head)
        async with asyncio.timeout(5):
            while (found := await raw(world.service.url, head)).status != 503:
                pass
        check(found, "overloaded")
        check(await world.send(invoice("katsupay")), "overloaded")
        assert (await world.api("GET", "/v1/invoices")).status == 200
        for _, writer in lines:
            writer.transport.abort()
        async with asyncio.timeout(5):
            while (answer := await world.send(invoice("katsupay"))).status == 503:
                pass
        assert answer.status == 201
        assert 'invoice_gateway_shed_total{reason="in-flight"}' in await world.metrics()


# ------------------------------------------------------------------ who calls


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("wrong"),
        bearer(BILLING + "x"),
        bearer(BILLING[:-1]),
        bearer(BILLING.upper()),
        bearer("ä"),
        {"Authorization": BILLING},
        {"Authorization": f"Basic {BILLING}"},
        {"Authorization": "Bearer"},
        bearer(sha256(BILLING.encode()).hexdigest()),
    ],
    ids=lambda headers: headers.get("Authorization", "none")[:30],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/invoices"), ("POST", "/v1/invoices/explain"), ("GET", "/v1/upstreams")]
)
async def test_without_a_known_token_nothing_is_done(
    method: str, path: str, headers: dict[str, str], tmp_path: Path
) -> None:
    """401 at every endpoint; the hash of a token is no token."""
    async with running(tmp_path, CLIENTS) as world:
        answer = await world.api(method, path, json=invoice(), headers=headers)
        check(answer, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")  # RFC 9110 section 11.6.1
        assert await world.requests("chargeover") == []


@pytest.mark.parametrize("token", ["an old one", BILLING])
async def test_each_of_two_tokens_is_known(token: str, tmp_path: Path) -> None:
    """While one is replaced by the other; the scheme's case does not matter."""
    async with running(tmp_path, CLIENTS) as world:
        assert (await world.send(invoice(), headers=bearer(token))).status == 201
        answer = await world.explain(invoice(), headers={"Authorization": f"bearer {token}"})
        assert answer.status == 200


async def test_a_client_may_only_use_its_upstreams(tmp_path: Path) -> None:
    """403 where its invoice is routed elsewhere, also in `explain`; nothing is sent."""
    async with running(tmp_path, CLIENTS) as world:
        found = check(await world.send(invoice("chargeover"), headers=bearer(NARROW)), "forbidden")
        assert found["external_id"] == invoice("chargeover")["external_id"]
        check(await world.explain(invoice("chargeover"), headers=bearer(NARROW)), "forbidden")
        assert await world.requests("chargeover") == []
        assert (await world.send(invoice("katsupay"), headers=bearer("another"))).status == 201


async def test_a_client_sees_only_its_upstreams(tmp_path: Path) -> None:
    """The others do not exist for it."""
    async with running(tmp_path, CLIENTS) as world:
        seen = (await world.api("GET", "/v1/upstreams", headers=bearer(NARROW))).json["items"]
        assert [one["name"] for one in seen] == ["katsupay-lagos"]
        seen = (await world.explain(invoice("katsupay"), "?all_upstreams=true", headers=bearer(NARROW))).json
        assert [one["name"] for one in seen["upstreams"]] == ["katsupay-lagos"]


# ------------------------------------------------------------------ paths, methods, headers


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v2/invoices", "/problems/nope", "/v1/invoices/", "/%00", "//"])
async def test_a_path_that_is_none_is_not_found(path: str, tmp_path: Path) -> None:
    """Also as a problem."""
    async with running(tmp_path) as world:
        check(await world.api("GET", path), "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/invoices", "POST"),
        ("DELETE", "/v1/invoices", "POST"),
        ("PATCH", "/v1/invoices/explain", "POST"),
        ("POST", "/v1/upstreams", "GET"),
        ("POST", "/problems/rejected", "GET"),
    ],
)
async def test_a_method_that_is_not_known_says_which_are(method: str, path: str, allowed: str, tmp_path: Path) -> None:
    """405 with `Allow` (contract 6)."""
    async with running(tmp_path) as world:
        answer = await world.api(method, path, json={})
        check(answer, "method-not-allowed")
        assert allowed in [word.strip() for word in answer.headers["Allow"].split(",")]
        assert method not in answer.headers["Allow"]


async def test_every_answer_names_its_request_and_no_server(tmp_path: Path) -> None:
    """An id of its own on each, whatever it is; no banner on either port."""
    async with running(tmp_path) as world:
        answers = [
            await world.send(invoice()),
            await world.explain(invoice()),
            await world.api("GET", "/v1/upstreams"),
            await world.api("GET", "/problems/"),
            await world.api("GET", "/nope"),
            await world.send({}),
        ]
        ids = {answer.headers["X-Request-Id"] for answer in answers}
        assert len(ids) == len(answers)
        ops = ("/metrics", "/livez", "/readyz", "/nope")
        answers += [await world.ask("GET", world.service.ops_url + path) for path in ops]
        assert not [answer for answer in answers if "Server" in answer.headers]


async def test_a_created_invoice_is_json_with_its_location(tmp_path: Path) -> None:
    """201, `application/json`, and the path at which the result can be asked for."""
    async with running(tmp_path) as world:
        answer = await world.send(invoice())
        assert answer.status == 201
        assert answer.headers["Content-Type"].partition(";")[0] == JSON
        assert answer.headers["Location"] == f"/v1/invoices/{answer.json['id']}"


@pytest.mark.parametrize(
    ("key", "stated", "status"),
    [
        ("k-1", None, 201),
        ('"k-1"', None, 201),
        ("k-1", "k-1", 201),
        ("k-1", "k-2", 422),
        ("not allowed: spaces", None, 422),
        ("", None, 422),
        (None, None, 422),
    ],
)
async def test_an_idempotency_key_stands_in_for_the_external_id(
    key: str | None, stated: str | None, status: int, tmp_path: Path
) -> None:
    """Bare or quoted; where both are there, they must agree."""
    async with running(tmp_path) as world:
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = await world.send(invoice(external_id=stated), headers=headers)
        assert answer.status == status
        if status == 201:
            assert answer.json["external_id"] == "k-1"
        else:
            assert [fault["pointer"] for fault in check(answer, "invalid-invoice")["errors"]] == ["/external_id"]


async def test_the_upstreams_are_listed_with_what_they_can_do(tmp_path: Path) -> None:
    """In flight, capabilities and duplicate protection of each (contract 2)."""
    async with running(tmp_path) as world:
        answer = await world.api("GET", "/v1/upstreams")
        items = {one["dialect"]: one for one in answer.json["items"]}
        assert {dialect: one["name"] for dialect, one in items.items()} == NAMES
        for one in items.values():
            assert one["in_flight"] == 0
            assert one["protection"] in ("enforced", "lookup", "none")
            assert one["capabilities"]["/due_date"]["disposition"]
        assert items["chargeover"]["protection"] == "enforced"
        assert items["katsupay"]["protection"] == "none"


async def test_what_is_in_flight_is_listed(tmp_path: Path) -> None:
    """While an upstream takes its time, and not any more afterwards."""

    async def in_flight() -> int:
        items = (await world.api("GET", "/v1/upstreams")).json["items"]
        return int(next(one["in_flight"] for one in items if one["dialect"] == "chargeover"))

    async with running(tmp_path) as world:
        await world.arm("chargeover", "delay", seconds=0.3, method="POST")
        sending = asyncio.create_task(world.send(invoice()))
        await world.seen("chargeover")
        assert await in_flight() == 1
        assert (await sending).status == 201
        assert await in_flight() == 0


# ------------------------------------------------------------------ pages


@pytest.mark.parametrize("slug", sorted(PROBLEMS))
async def test_every_problem_has_a_page(slug: str, tmp_path: Path) -> None:
    """HTML that names it, its status, and whether the same request may be sent again; the index leads to it."""
    async with running(tmp_path) as world:
        page = await world.api("GET", f"/problems/{slug}")
        assert page.status == 200
        assert page.headers["Content-Type"].partition(";")[0] == "text/html"
        text = page.content.decode()
        assert text.startswith("<!doctype html>")
        assert slug in text
        assert str(STATUS[slug]) in text
        index = await world.api("GET", "/problems/")
        assert f"href='{slug}'" in index.content.decode()


def test_every_problem_has_an_expectation_here() -> None:
    """A new one must say its status, whether it may be retried, and be produced by a test."""
    assert set(RETRYABLE) == set(STATUS) == set(PROBLEMS)


# ------------------------------------------------------------------ mistakes of the gateway


class Broken:
    """A gateway that breaks, as a mistake of ours would, and the engine that it is in."""

    gateway = records = property(lambda self: self)

    def current(self) -> None:
        """Nothing of the kind."""
        raise ZeroDivisionError("Harbour Freight Lines")

    async def submit(self, *_: object) -> None:
        """Break with words of the invoice in the message, as a decoder might."""
        raise KeyError("Harbour Freight Lines")


class Defective(Struct, frozen=True):
    """An API before a gateway that breaks, and what it told and logged."""

    url: str
    session: ClientSession
    told: list[Event]
    logged: Callable[[], str]


@asynccontextmanager
async def defective() -> AsyncIterator[Defective]:
    """The API, listening."""
    log, told = BytesIO(), list[Event]()
    engine: Any = Broken()
    limits = Limits(2**20, 5.0, 4)
    listeners = (told.append, logs.listener(logs.logger(log)))

    def tell(event: Event) -> None:
        for hear in listeners:
            hear(event)

    api = Api(engine, Clients({}, Path()), {}, limits, tell=tell)
    runner = web.AppRunner(api.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession() as session:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield Defective(url, session, told, lambda: log.getvalue().decode())
    await runner.cleanup()


@pytest.mark.parametrize("path", ["/v1/invoices", "/v1/invoices/explain"])
async def test_a_mistake_of_the_gateway_is_internal_without_a_trace(path: str) -> None:
    """The caller gets an id, the log the place; neither gets the message, which could hold something of the invoice."""
    async with defective() as broken:
        async with broken.session.post(broken.url + path, json=invoice()) as response:
            answer = Answer(response.status, response.headers, await response.read())
        found = check(answer, "internal")
        assert b"Harbour" not in answer.content
        line = json.loads(broken.logged().splitlines()[0])
        assert (line["event"], line["level"]) == ("defect", "error")
        assert line["request_id"] == found["instance"]
        assert any("test_server.py" in place for place in line["places"])
        assert "Harbour" not in broken.logged()
        assert [event.problem for event in broken.told if isinstance(event, Refused)] == ["internal"]


async def test_a_place_is_free_again_after_a_mistake() -> None:
    """However often it happens, nothing is shed."""
    async with defective() as broken:
        for _ in range(10):
            async with broken.session.post(f"{broken.url}/v1/invoices", json=invoice()) as response:
                assert response.status == 500


async def test_the_probes_answer(tmp_path: Path) -> None:
    """On the operations port only: live, ready; the API does not show them."""
    async with running(tmp_path) as world:
        for path in ("/livez", "/readyz"):
            assert (await world.ask("GET", world.service.ops_url + path)).status == 200
            assert (await world.api("GET", path)).status == 404
        assert (await world.api("GET", "/metrics")).status == 404
