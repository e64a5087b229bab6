"""Logs: one JSON line a step from an allow-list of fields; no secret and nothing of a party, whatever happens."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest
from msgspec import structs

from gateway.core.events import (
    Answered,
    BreakerTurned,
    Claimed,
    Committed,
    Concluded,
    Defect,
    Event,
    InDoubt,
    JournalFailed,
    Postponed,
    Purged,
    Reconciled,
    Refused,
    Reloaded,
    Replayed,
    Resolved,
    Retried,
    Routed,
    Sending,
    Shadowed,
)
from gateway.core.result import Absent, Created, Discrepancy, Loss, NotSent, Rejected, Stated, Unknown
from gateway.shell import logs
from tests.support.engines import LATER, Script, Side, working
from tests.support.running import NAMES, added, invoice, replaced, running, timeout

FIELDS = {
    "listening": {"api", "ops", "config"},
    "plain-client": {"reason"},
    "draining": {"seconds"},
    "stopped": set[str](),
    "reloaded": {"result", "revision", "faults", "restart"},
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
    "shadowed": {"request_id", "invoice", "rule", "upstream", "shadow", "likeness", "more", "fewer", "refused"},
    "retried": {"invoice", "upstream", "reason", "seconds"},
    "breaker-turned": {"upstream", "state"},
    "postponed": {"invoice", "upstream", "reason", "seconds"},
    "replayed": {"request_id", "invoice", "outcome"},
    "reconciled": {"invoice", "client", "upstream", "finding", "age", "discrepancies"},
    "resolved": {"invoice", "upstream", "outcome", "by"},
    "journal-failed": {"operation", "detail", "invoice"},
    "purged": {"entries"},
    "refused": {"request_id", "problem", "status", "seconds"},
    "defect": {"request_id", "kind", "places"},
    "http": {"kind"},
}
"""What each event may say beside time, level and its own name."""

CANARY = "Kanarienvogel"

LOST = (Loss("/note", "dropped", None, CANARY),)
DIFFERS = (Discrepancy("/totals/amount_due", CANARY, CANARY),)
EVENTS: dict[Event, str | None] = {
    Routed("r", "k", "default", "chargeover-us"): None,
    Claimed("r", "1", "k", "billing", "chargeover-us", waits=True): "debug",
    Sending("r", "1", "chargeover-us"): "debug",
    Answered("r", "1", "chargeover-us", "unknown", "timeout", None, 0.123456): "info",
    Concluded(
        *("r", "1", "k", "billing", "default", "chargeover-us", "created", "USD"),
        *(Decimal("987.65"), LOST, DIFFERS, 0.123456, 0.123456),
    ): "info",
    Shadowed("r", "1", "default", "chargeover-us", "exsited-sydney", "same"): "debug",
    Shadowed("r", "1", "default", "chargeover-us", "exsited-sydney", "losses", ("/note",)): "info",
    Postponed("1", "chargeover-us", "connect", 0.123456): "info",
    Retried("1", "chargeover-us", "connect", 0.123456): "info",
    BreakerTurned("chargeover-us", "open"): "info",
    Replayed("r", "1", "pending"): "info",
    Reconciled(
        *("1", "billing", "chargeover-us", "unresolved", CANARY, 0.123456, "USD", Decimal("987.65"), LOST, DIFFERS)
    ): "info",
    Resolved("1", "chargeover-us", "created", "root"): "info",
    Committed(1, 0.1): None,
    JournalFailed("claim", "the disk is full", "1"): "error",
    Purged(7): "info",
    Reloaded("applied", "sha256:1", restart=("journal.url",)): "info",
    Reloaded("refused", "sha256:1", ("gateway.toml:1: not TOML",)): "error",
    Defect("KeyError", ("x.py:1",), "r"): "error",
    Refused("r", "overloaded", 503, 0.123456, "in-flight"): "info",
}
"""One event of each kind and its level; None for what is not printed. A canary is where words of others can be."""
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
        assert event["level"] == ("debug" if event["event"] in ("claimed", "sending", "answered") else "info")
        assert event["timestamp"].endswith("Z")
        assert abs(datetime.fromisoformat(event["timestamp"]) - datetime.now(UTC)) < timedelta(minutes=5)
    ids = {event["request_id"] for event in events[1:5]}
    assert ids == {answer.headers["X-Request-Id"]}
    assert events[-1]["request_id"] == refusal.headers["X-Request-Id"]
    assert events[-1]["problem"] == "invalid-invoice"
    concluded = events[4]
    assert concluded["external_id"] == invoice()["external_id"]
    assert concluded["invoice"] == answer.json["id"]
    assert (concluded["rule"], concluded["upstream"], concluded["outcome"]) == ("default", "chargeover-us", "created")
    assert concluded["client"] == "local"


async def test_an_invoice_is_one_line_unless_something_goes_wrong() -> None:
    """Its steps are for those who debug; an exchange that created nothing is told with its reason."""
    stream = BytesIO()
    hear = logs.listener(logs.logger(stream))
    for outcome in ("created", "not_sent"):
        hear(Claimed("r", "i", "e", "c", "u", waits=False))
        hear(Sending("r", "i", "u"))
        hear(Answered("r", "i", "u", outcome, None, None, 0.1))
    hear(Concluded("r", "i", "e", "c", "rule", "u", "created", "USD", None, (), (), 0.1, 0.1))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["outcome"]) for line in lines] == [("answered", "not_sent"), ("concluded", "created")]


async def test_what_became_of_an_exchange_is_told_with_its_reason(tmp_path: Path) -> None:
    """So that an operator can tell a refused connection from a rate limit."""
    async with running(tmp_path) as world:
        await world.arm("chargeover", "rate-limit", method="POST", times=3, retry_after=0)
        await world.send(invoice())
        answered, *_ = [event for event in world.logged() if event["event"] == "answered"]
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


# ------------------------------------------------------------------ event by event


def printed(*events: Event) -> list[dict[str, Any]]:
    """The lines that events are printed as."""
    stream = BytesIO()
    hear = logs.listener(logs.logger(stream, "debug"))
    for event in events:
        hear(event)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_each_event_is_a_line_of_its_level_and_fields(event: Event) -> None:
    """Nothing of an amount, a loss' words or an upstream's; figures as short as they are read."""
    lines = printed(event)
    assert [line["level"] for line in lines] == [level for level in (EVENTS[event],) if level is not None]
    for line in lines:
        assert line["event"] == str(type(event).__struct_config__.tag)
        assert set(line) == {"event", "level", "timestamp", *FIELDS[line["event"]]}
        text = json.dumps(line)
        assert not any(words in text for words in (CANARY, "987.65", "0.123456"))
        kept = FIELDS[line["event"]] - {"losses", "discrepancies", "seconds", "upstream_seconds", "age"}
        for name in kept:
            said = getattr(event, name)
            assert line[name] == (list(said) if isinstance(said, tuple) else said), name
        for name in line.keys() & {"seconds", "upstream_seconds"}:
            assert line[name] == 0.1235
        if "discrepancies" in line:
            assert line["discrepancies"] == ["/totals/amount_due"]


def test_every_event_that_there_is_has_a_place_here() -> None:
    """Whoever adds one decides what may be printed of it."""
    assert {type(event) for event in EVENTS} | {InDoubt} == set(get_args(Event))
    assert printed(InDoubt({"chargeover-us": (1, 2.0)})) == []


def test_a_defect_says_where_and_not_what() -> None:
    """Its message could hold something of an invoice."""
    try:
        raise KeyError(CANARY)
    except KeyError as error:
        found = logs.defect(error, "r")
    (line,) = printed(found)
    assert (line["kind"], line["request_id"]) == ("KeyError", "r")
    assert line["places"][-1].startswith("test_logs.py:")
    assert CANARY not in json.dumps(structs.asdict(found))


WORDS = [
    NotSent("connect", CANARY),
    Rejected(422, CANARY, CANARY),
    Unknown("timeout", CANARY, 500, CANARY),
    Created(Stated(id="1", number=CANARY, status_raw=CANARY, url=CANARY), 201, CANARY, CANARY),
]


@pytest.mark.parametrize("said", WORDS, ids=lambda said: type(said).__name__)
@pytest.mark.parametrize("found", [*WORDS, Absent(CANARY)], ids=lambda said: f"then_{type(said).__name__}")
async def test_no_line_holds_an_upstreams_words(said: Script, found: Any, tmp_path: Path) -> None:
    """Whatever it says to a creation and to a lookup; for those who wait, and what is left to the gateway."""
    async with working(tmp_path, fallback=False, chargeover=Side(said, lookups=[found])) as works:
        await works.submit(external_id="now")
        await works.submit(external_id="later", preference=LATER)
        for seconds in (0, 2, 60, 60):
            await works.work(seconds)
        await works.submit(external_id="now")
        lines = printed(*works.told)
    assert {line["event"] for line in lines} >= {"claimed", "sending", "answered"}
    assert CANARY not in json.dumps(lines)
    for line in lines:
        assert set(line) == {"event", "level", "timestamp", *FIELDS[line["event"]]}
