"""Entries of the journal: one that has everything, one that has what it must, and an invoice with every field."""

from decimal import Decimal
from typing import Any

from gateway.core.answer import Attempt
from gateway.core.dialect import Translation
from gateway.core.dispatch import Dispatch, packed
from gateway.core.exchange import Request
from gateway.core.journal import Entry, State
from gateway.core.money import Amount
from gateway.core.result import Loss, Stated, Totals
from tests.core.samples import document, line

STATES: tuple[State, ...] = ("waiting", "sending", "created", "rejected", "not_sent", "unknown")
BEGAN = 1_782_814_502.119
NOW = 1_782_814_502.331
NOW_TEXT = "2026-06-30T10:15:02.331Z"
LOSSES = (Loss("/note", "dropped", None, "no field"), Loss("/due_date", "approximated", "terms_id", "30 days"))
FIRST = Attempt("tiny-us", "not_sent", "2026-06-30T10:15:01.000Z", "0.100")
TRANSLATION = Translation(
    Request("POST", "/bills?a=b", b'{"total":20.00}\x00\xff', (("content-type", "application/json"), ("x-desk", "f"))),
    Decimal("20.00"),
    Stated(
        *("1", "INV-1", "open", "open-unpaid", "unpaid", "https://x", "USD", "2026-06-30", "2026-07-30"),
        Totals(Decimal("16.67"), Decimal("3.33"), Amount("20.00"), Decimal("2E+1")),
    ),
    LOSSES,
    {"number": "INV-1", "ref": "\N{SNOWMAN}"},
)
"""Everything set, and bytes that are no text."""


def dispatch(**changes: Any) -> Dispatch:
    """A dispatch that has everything, with changes."""
    values: dict[str, Any] = {
        "claim": "0199-claim",
        "dialect": "tiny",
        "rule": "default",
        "config": "sha256:6b1f0c",
        "currency": "USD",
        "amount": Decimal("20.00"),
        "translation": TRANSLATION,
        "names": ("tiny-eu", "mute"),
        "rest": ("b", "c"),
        "started_at": BEGAN,
        "quiet_until": BEGAN + 135.0,
        "deliver_by": BEGAN + 86_400.0,
        "attempts": (FIRST,),
        "repeat": True,
        "where": "https://acme.example",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }
    return Dispatch(**(values | changes))


def entry(state: State = "sending", **changes: Any) -> Entry:
    """An entry that is sent as `dispatch` says, and of which nothing came yet, with changes."""
    values: dict[str, Any] = {
        "id": "0199",
        "client": "billing",
        "external_id": "billing:1",
        "fingerprint": "1:same",
        "state": state,
        "upstream": "tiny-eu",
        "owner": "here",
        "created_at": BEGAN - 1.0,
        "updated_at": BEGAN,
        "revision": 3,
        "due_at": BEGAN + 20.0,
        "doubted_at": BEGAN + 5.0 if state == "unknown" else None,
        "checks": 2,
        "body": b"{}",
        "dispatch": packed(dispatch()),
    }
    return Entry(**(values | changes))


PARTY = {
    "id": "acct-88", "name": "Acme", "email": "a@example.com", "tax_id": "DE1",
    "billing_address": {
        "line1": "1 Road", "line2": "Yard", "city": "Bonn", "region": "NW", "postal_code": "53111", "country": "DE",
    },
    "shipping_address": {"city": "Oslo", "country": "NO"},
    "identifiers": {"0088": "401", "tiny": "7"},
}  # fmt: skip
TAX = {"category": "S", "rate": "7.5", "id": "vat", "identifiers": {"tiny": "9"}}
ADJUSTMENT = {"amount": "1.25", "percent": "2.5", "reason": "old friend", "taxes": [TAX]}


def whole() -> dict[str, Any]:
    """An invoice with every field at something else than its default; its sums are not looked at."""
    return document(
        number="INV-1", due_date="2026-07-30", exchange_rate="1.1", prices_include_tax=True,
        supplier=PARTY | {"id": "us"}, customer=PARTY,
        references={"order": "o", "purchase_order": "p", "contract": "c"},
        lines=[
            line(
                item={"id": "labour", "name": "Labour", "identifiers": {"0160": "1", "tiny": "2"}},
                description="work", unit="HUR", discounts=[ADJUSTMENT], charges=[ADJUSTMENT], taxes=[TAX],
                net_amount="20.5", extensions={"tiny": {"shelf": "a", "deep": [{"x": 1, "y": 2.50}, None, True]}},
            ),
            line(id="2"),
        ],
        discounts=[ADJUSTMENT, ADJUSTMENT | {"reason": "large"}], charges=[ADJUSTMENT],
        totals={
            "line_total": "1", "discount_total": "2", "charge_total": "3", "tax_exclusive_total": "4",
            "tax_total": "5", "tax_inclusive_total": "6", "prepaid_total": "7", "rounding": "8", "amount_due": "9.5",
        },
        payment_terms={"code": "net30", "note": "soon"}, billing_period={"start": "2026-06-01", "end": "2026-06-30"},
        recurrence="P1M", note="thanks", language="en-US", delivery={"send": True},
        labels={"product": "fleet", "area": "north"}, metadata={"run": "5", "by": "cron"},
        extensions={"tiny": {"tip": "1.5", "colour": "r\u00e9d"}, "mute": {}},
    )  # fmt: skip
