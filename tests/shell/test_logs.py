"""Logs: one JSON line a step from an allow-list of fields; no secret and nothing of a party, whatever happens."""

import asyncio
import json
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.shell import logs
from tests.support.running import NAMES, added, invoice, replaced, running, timeout

FIELDS = {
    "listening": {"api", "ops", "config"},
    "stopped": set[str](),
    "claimed": {"request_id", "invoice", "external_id", "client", "upstream", "waits"},
    "sending": {"request_id", "invoice", "upstream"},
    "answered": {"request_id", "invoice", "upstream", "outcome", "reason", "http_status", "seconds"},
    "concluded": {
        "request_id",
        "invoice",
        "external_id",
        "client",
        "rule",
        "upstream",
        "outcome",
        "losses",
        "discrepancies",
        "seconds",
        "upstream_seconds",
    },
    "refused": {"request_id", "problem", "status", "seconds"},
    "defect": {"request_id", "kind", "places"},
    "http": {"kind"},
}
"""What each event may say beside time, level and its own name."""

CANARY = "Kanarienvogel"
FAULTS = (
    None,
    "rate-limit",
    "store-then-reset",
    "status",
    "html",
    "garbage",
    "truncated-json",
    "redirect",
    "wrong-types",
)


def canaries(dialect: str) -> dict[str, Any]:
    """The demo's invoice with a canary wherever the caller may write freely."""
    address = {
        "line1": f"{CANARY}-line1",
        "line2": f"{CANARY}-line2",
        "city": f"{CANARY}-city",
        "region": f"{CANARY}-region",
        "postal_code": f"{CANARY}-code",
        "country": "US",
    }
    found = invoice(dialect, note=f"{CANARY}-note", number=f"{CANARY}-number")
    found["customer"] |= {
        "name": f"{CANARY}-name",
        "email": f"{CANARY}@canary.example",
        "tax_id": f"{CANARY}-tax",
        "billing_address": address,
        "shipping_address": address,
    }
    found["supplier"] = {"name": f"{CANARY}-supplier"}
    found["metadata"] = {f"{CANARY}-key": f"{CANARY}-value"}
    for line in found["lines"]:
        line["description"] = f"{CANARY}-line"
    return found


@pytest.mark.parametrize("dialect", NAMES)
async def test_no_log_line_holds_anything_of_a_party_or_a_secret(dialect: str, tmp_path: Path) -> None:
    """Through every outcome, at every upstream: canaries in the invoice, in its names, and in the configuration."""
    clients = added('[clients.billing]\ntoken = "canary-client-token"')
    header = {"Authorization": "Bearer canary-client-token"}
    async with running(tmp_path, clients, timeout("5s")) as world:
        for number, fault in enumerate(FAULTS):
            if fault is not None:
                await world.arm(dialect, fault, method="POST", path="invoice" if dialect == "exsited" else None)
            sent = canaries(dialect) | {"external_id": f"number-{number}"}
            await world.send(sent, headers=header)
            await world.send(sent, headers=header)
        wrong = canaries(dialect)
        wrong |= {"currency": CANARY, CANARY: CANARY, "totals": {"amount_due": CANARY}}
        await world.send(wrong, headers=header)
        wrong = canaries(dialect)
        wrong["customer"]["id"] = wrong["lines"][0]["item"]["id"] = CANARY
        await world.send(wrong, headers=header)
        await world.send(canaries(dialect) | {"totals": {"amount_due": "1.23"}}, headers=header)
        await world.send(canaries(dialect), headers={"Authorization": f"Bearer {CANARY}"})
        await world.api("POST", "/v1/invoices", data=CANARY, headers=header | {"Content-Type": "application/json"})
        await world.api("GET", f"/{CANARY}?{CANARY}={CANARY}", headers={"X-Canary": CANARY})
        events = world.logged()
    outcomes = {event["outcome"] for event in events if event["event"] == "concluded"}
    assert outcomes >= {"created", "not_sent", "unknown"}
    text = json.dumps(events, ensure_ascii=False)
    for secret in (CANARY, "canary", "sandbox-private", "sandbox-key", "sandbox-secret", "sandbox-token", "Bearer"):
        assert secret not in text


async def test_each_step_is_a_line_of_known_fields(tmp_path: Path) -> None:
    """Claimed, sending, answered, concluded, with the same request id that the caller was given."""
    async with running(tmp_path) as world:
        answer = await world.send(invoice())
        refusal = await world.send({})
        events = world.logged()
    assert [event["event"] for event in events] == [
        "listening",
        "claimed",
        "sending",
        "answered",
        "concluded",
        "refused",
    ]
    for event in events:
        assert set(event) == {"event", "level", "timestamp", *FIELDS[event["event"]]}
        assert event["level"] == "info"
        assert event["timestamp"].endswith("Z")
    ids = {event["request_id"] for event in events[1:5]}
    assert ids == {answer.headers["X-Request-Id"]}
    assert events[-1]["request_id"] == refusal.headers["X-Request-Id"]
    assert events[-1]["problem"] == "invalid-invoice"
    concluded = events[4]
    assert concluded["external_id"] == invoice()["external_id"]
    assert concluded["invoice"] == answer.json["id"]
    assert (concluded["rule"], concluded["upstream"], concluded["outcome"]) == ("default", "chargeover-us", "created")
    assert concluded["client"] == "local"


async def test_what_became_of_an_exchange_is_told_with_its_reason(tmp_path: Path) -> None:
    """So that an operator can tell a refused connection from a rate limit."""
    async with running(tmp_path) as world:
        await world.arm("chargeover", "rate-limit", method="POST")
        await world.send(invoice())
        (answered,) = [event for event in world.logged() if event["event"] == "answered"]
    assert (answered["outcome"], answered["reason"], answered["http_status"]) == ("not_sent", "rate-limited", 429)


async def test_what_the_http_server_has_to_say_is_a_line_without_its_words(tmp_path: Path) -> None:
    """They quote the request, which may hold a token."""
    async with running(tmp_path) as world:
        where = urlsplit(world.service.url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {CANARY}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.0 400")
        writer.close()
        await writer.wait_closed()
        event = world.logged()[-1]
    assert set(event) == {"event", "level", "timestamp", *FIELDS["http"]}
    assert (event["event"], event["level"], event["kind"]) == ("http", "warning", "BadHttpMessage")


async def test_a_problem_of_the_caller_is_no_error(tmp_path: Path) -> None:
    """An operator may alert on the level: only defects of the gateway have it."""
    async with running(tmp_path, replaced("[server]\n", '[server]\nmax_body = "1KiB"\n')) as world:
        assert (await world.send(invoice())).status == 413
        assert {event["level"] for event in world.logged()} == {"info"}


def test_a_line_is_one_line() -> None:
    """Whatever is in it; bytes that end with a line break."""
    stream = BytesIO()
    logs.logger(stream).info("event", text="a\nb\u2028c", number=1)
    assert stream.getvalue().count(b"\n") == 1
    assert json.loads(stream.getvalue())["text"] == "a\nb\u2028c"
