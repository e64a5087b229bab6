"""One canonical invoice to each of the five upstreams, over real sockets: created once, and answered in one form."""

import asyncio
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError

from tests.support.running import NAMES, PRODUCTS, World, invoice, running

RULES = {
    "mykaarma": "workshops",
    "katsupay": "wallets",
    "exsited": "subscriptions",
    "onlyoffice": "europe",
    "chargeover": "default",
}
UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
SECONDS = r"\d+\.\d{3}"
STATUSES = {"draft", "open", "paid", "partially_paid", "void", "unknown"}
DISPOSITIONS = {"dropped", "approximated", "folded", "derived"}
DUE = "492.00"


@pytest.fixture(params=sorted(NAMES))
async def dialect(request: pytest.FixtureRequest) -> str:
    """Each of the five."""
    return str(request.param)


async def test_the_invoice_is_created_once_with_the_right_total(dialect: str, tmp_path: Path) -> None:
    """201; the sandbox holds one invoice, for the money that the caller meant, and the others hold none."""
    async with running(tmp_path) as world:
        answer = await world.send(invoice(dialect))
        assert answer.status == 201, answer.content
        (stored,) = await world.stored(dialect)
        assert Decimal(stored["total"]) == Decimal(DUE)
        assert answer.json["invoice"]["id"] == stored["id"]
        for other in set(NAMES) - {dialect}:
            assert await world.stored(other) == []


async def test_the_result_has_every_member_of_the_contract(dialect: str, tmp_path: Path) -> None:
    """Contract 2, member by member; absent values are null, no member is missing and none is there beside them."""
    async with running(tmp_path) as world:
        answer = await world.send(invoice(dialect))
    result = answer.json
    assert set(result) == {
        "id",
        "external_id",
        "outcome",
        "adopted",
        "created_at",
        "invoice",
        "upstream",
        "route",
        "losses",
        "discrepancies",
        "warnings",
        "attempts",
        "timings",
    }
    assert re.fullmatch(UUID7, result["id"])
    assert answer.headers["Location"] == f"/v1/invoices/{result['id']}"
    assert result["external_id"] == invoice(dialect)["external_id"]
    assert (result["outcome"], result["adopted"]) == ("created", False)
    assert re.fullmatch(MOMENT, result["created_at"])
    assert abs((datetime.now(UTC) - datetime.fromisoformat(result["created_at"])).total_seconds()) < 60
    assert result["route"]["rule"] == RULES[dialect]
    assert re.fullmatch(r"sha256:[0-9a-f]{12,64}", result["route"]["config"])
    assert (result["discrepancies"], result["warnings"]) == ([], [])
    check_upstream(result["upstream"], dialect)
    check_invoice(result["invoice"])
    check_losses(result["losses"])
    check_times(result, dialect)


def check_upstream(upstream: dict[str, Any], dialect: str) -> None:
    """Who answered, and in which words."""
    assert set(upstream) == {"name", "dialect", "http_status", "code", "message", "ids"}
    assert (upstream["name"], upstream["dialect"]) == (NAMES[dialect], dialect)
    assert upstream["http_status"] in (200, 201)
    assert isinstance(upstream["ids"], dict)


def check_invoice(stated: dict[str, Any]) -> None:
    """What the upstream says of the invoice, or null."""
    assert set(stated) == {
        "id",
        "number",
        "status",
        "status_raw",
        "payment_status",
        "url",
        "currency",
        "issue_date",
        "due_date",
        "totals",
    }
    assert stated["id"]
    assert isinstance(stated["id"], str)
    assert stated["status"] in STATUSES
    assert set(stated["totals"]) >= {"tax_inclusive_total", "amount_due"}
    for name, amount in stated["totals"].items():
        assert amount is None or re.fullmatch(r"-?\d+(\.\d+)?", amount), name
    assert stated["totals"]["amount_due"] in (DUE, None)
    assert stated["currency"] in ("USD", None)
    assert stated["number"] in ("INV-2026-000417", None)


def check_losses(losses: list[dict[str, Any]]) -> None:
    """Each with its place in what was sent, and what became of it."""
    assert losses
    for loss in losses:
        assert set(loss) == {"pointer", "disposition", "upstream_field", "detail"}
        assert loss["pointer"].startswith("/")
        assert loss["disposition"] in DISPOSITIONS
    places = [(loss["pointer"], loss["disposition"]) for loss in losses]
    assert len(places) == len(set(places))


def check_times(result: dict[str, Any], dialect: str) -> None:
    """One attempt, and seconds as text that add up."""
    (attempt,) = result["attempts"]
    assert set(attempt) == {"upstream", "outcome", "started_at", "seconds"}
    assert (attempt["upstream"], attempt["outcome"]) == (NAMES[dialect], "created")
    assert re.fullmatch(MOMENT, attempt["started_at"])
    assert set(result["timings"]) == {"total", "upstream"}
    for text in (attempt["seconds"], *result["timings"].values()):
        assert re.fullmatch(SECONDS, text)
    assert result["timings"]["upstream"] == attempt["seconds"]
    assert Decimal(result["timings"]["upstream"]) <= Decimal(result["timings"]["total"])


async def test_what_the_upstream_states_is_what_was_meant(tmp_path: Path) -> None:
    """Each dialect says as much as its API answers; source: mappings.md, "upstream id, other ids"."""
    said = {
        "mykaarma": {"amount_due": DUE},
        "katsupay": {"amount_due": DUE},
        "exsited": {"amount_due": DUE, "number": "INV-2026-000417"},
        "onlyoffice": {"amount_due": DUE, "number": "INV-2026-000417", "currency": "USD", "due_date": "2026-07-30"},
        "chargeover": {"amount_due": DUE, "number": "INV-2026-000417", "currency": "USD", "status": "open"},
    }
    async with running(tmp_path) as world:
        for dialect, expected in said.items():
            stated = (await world.send(invoice(dialect))).json["invoice"]
            found = stated | {"amount_due": stated["totals"]["amount_due"]}
            assert {name: found[name] for name in expected} == expected, dialect


async def test_money_never_passes_through_a_float(tmp_path: Path) -> None:
    """Amounts that no float holds arrive to the cent."""
    line = {"id": "1", "item": {"id": "labour"}, "quantity": "3", "unit_price": "11111111.07"}
    sent = invoice("onlyoffice", lines=[line], totals={"amount_due": "33333333.21"}, number="N-1")
    async with running(tmp_path) as world:
        answer = await world.send(sent)
        assert answer.status == 201, answer.content
        (stored,) = await world.stored("onlyoffice")
        assert stored["total"] == "33333333.21"
        assert answer.json["invoice"]["totals"]["amount_due"] == "33333333.21"


async def test_many_invoices_at_once_are_created_once_each(tmp_path: Path) -> None:
    """Twenty to each upstream, all at the same time; every one is there, under its own name."""
    async with running(tmp_path) as world:
        sent = [
            invoice(dialect, external_id=f"{dialect}:{index}", number=f"N-{index}")
            for dialect in NAMES
            for index in range(20)
        ]
        answers = await asyncio.gather(*(world.send(one) for one in sent))
        assert {answer.status for answer in answers} == {201}
        assert len({answer.json["id"] for answer in answers}) == len(sent)
        for dialect in NAMES:
            told = {one.json["invoice"]["id"] for one in answers if one.json["upstream"]["dialect"] == dialect}
            assert {one["id"] for one in await world.stored(dialect)} == told
            assert len(told) == 20


async def test_a_caller_that_leaves_does_not_stop_the_delivery(tmp_path: Path) -> None:
    """The work goes on and is recorded (reliability.md, "States")."""
    async with running(tmp_path) as world:
        await world.arm("chargeover", "delay", seconds=0.2, method="POST")
        sending = asyncio.create_task(world.send(invoice()))
        await world.seen("chargeover")
        sending.cancel()
        with pytest.raises((asyncio.CancelledError, ClientError)):
            await sending
        assert await concluded(world) == "created"
        assert len(await world.stored("chargeover")) == 1


async def concluded(world: World) -> str:
    """The outcome that is logged in the end."""
    for _ in range(300):
        for event in world.logged():
            if event["event"] == "concluded":
                return str(event["outcome"])
        await asyncio.sleep(0.01)
    raise AssertionError("nothing was concluded")


async def test_labels_and_secrets_are_not_sent(tmp_path: Path) -> None:
    """Labels are for routing only (contract 1)."""
    async with running(tmp_path) as world:
        for dialect in NAMES:
            sent = invoice(dialect)
            sent["labels"]["canary"] = "Kanarienvogel"
            assert (await world.send(sent)).status == 201
            text = json.dumps(await world.requests(dialect))
            assert "Kanarienvogel" not in text
            assert f'"{PRODUCTS[dialect]}"' not in text


async def test_an_invoice_that_is_found_after_a_doubt_is_adopted(tmp_path: Path) -> None:
    """The upstream stored it and answered 400; asked for it, it shows the same content."""
    async with running(tmp_path) as world:
        await world.arm("onlyoffice", "stored-then-400", method="POST")
        found = await world.send(invoice("onlyoffice"))
        assert (found.status, found.json["outcome"], found.json["adopted"]) == (201, "created", True)
        assert len(await world.stored("onlyoffice")) == 1
        straight = await world.send(invoice("chargeover"))
        assert straight.json["adopted"] is False


async def test_a_token_that_is_refused_inside_an_answer_is_not_shown_again(tmp_path: Path) -> None:
    """Exsited can say 401 inside a 400: certainly not created, and the next invoice goes with a new token."""
    async with running(tmp_path) as world:
        await world.arm("exsited", "code-401-under-400", method="POST", path="/invoices")
        refused = await world.send(invoice("exsited"))
        assert (refused.status, refused.json["outcome"]) == (503, "not_sent")
        assert (await world.send(invoice("exsited"))).status == 201
        tokens = [request for request in await world.requests("exsited", "POST") if "token" in request["path"]]
        assert len(tokens) == 2
