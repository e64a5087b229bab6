"""What the tests of the core share: the smallest invoice, and a dialect that no upstream speaks."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from gateway.core.crosswalk import Crosswalk, Entry
from gateway.core.dialect import Dialect, Draft, Translation, Upstream
from gateway.core.errors import Fault, InvalidInvoice
from gateway.core.exchange import Conversation, Reply, Request
from gateway.core.invoice import Invoice
from gateway.core.losses import Fate, carried, dropped, folded
from gateway.core.money import Amount
from gateway.core.parse import parse
from gateway.core.result import Created, Stated, Totals, Unknown
from gateway.core.totals import checked_totals
from gateway.core.wire import JSON, body


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The invented dialect's settings."""

    desk: str = "front"


class Extension(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The fields of a document that only the invented dialect has."""

    colour: Annotated[str, Meta(min_length=1, max_length=10)] | None = None
    tip: Amount | None = None


class LineExtension(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The fields of a line that only the invented dialect has."""

    shelf: str


class Bill(Struct, frozen=True, omit_defaults=True):
    """The invented dialect's request."""

    customer: str
    total: Decimal
    number: str | None = None
    colour: str | None = None


def _translate(draft: Draft) -> Translation:
    invoice, totals = draft.invoice, draft.totals
    customer = draft.find_text("customers", "/customer/id", invoice.customer.id or "", invoice.customer.identifiers)
    draft.only_zero("prepaid_total")
    draft.claims(totals.tax_inclusive_total, totals.amount_due)
    bill = Bill(customer, totals.amount_due, invoice.number, draft.extension().colour)
    request = Request("POST", "/bills", body(bill), (*JSON, ("x-desk", draft.settings.desk)))
    expected = Stated(number=invoice.number, totals=Totals(amount_due=totals.amount_due))
    return draft.translation(request, totals.amount_due, expected, {"number": invoice.number or ""})


def _create(translation: Translation, _again: bool) -> Conversation:
    seen = yield translation.request
    if isinstance(seen, Reply):
        return Created(Stated(id="1"), seen.status)
    return Unknown("test", "no reply")


FIELDS: Mapping[str, Fate] = {
    "": carried("bill"),
    "/note": dropped(),
    "/lines/*/description": dropped("a bill has no lines"),
    "/lines/*/item/identifiers": dropped(),
    "/metadata": dropped(),
    "/discounts/*/amount": folded("total"),
    "/prices_include_tax": folded("total", noted=True),
}

TINY = Dialect(
    name="tiny",
    api="Tiny 1",
    endpoint="POST /bills",
    auth=("bearer", "header"),
    settings=Settings,
    extension=Extension,
    fields=FIELDS,
    crosswalks={"customers": True, "taxes": False},
    protection="none",
    money_rule="total = amount_due",
    translate=_translate,
    create=_create,
    line_extension=LineExtension,
)
MUTE = Dialect(
    name="mute",
    api="Mute 1",
    endpoint="POST /bills",
    auth=("none",),
    settings=Settings,
    extension=None,
    fields=FIELDS,
    crosswalks={},
    protection="lookup",
    money_rule="total = amount_due",
    translate=lambda draft: draft.translation(Request("POST", "/mute"), None, Stated()),
    create=_create,
)
DIALECTS = {"tiny": TINY, "mute": MUTE}
TYPES = {dialect.name: (dialect.extension, dialect.line_extension) for dialect in DIALECTS.values()}


def line(**changes: Any) -> dict[str, Any]:
    """A line of 2 x 10.00."""
    return {"id": "1", "item": {"id": "labour"}, "quantity": "2", "unit_price": "10.00"} | changes


def document(**changes: Any) -> dict[str, Any]:
    """The smallest invoice as JSON values, with top-level changes."""
    return {
        "external_id": "billing:1",
        "issue_date": "2026-06-30",
        "currency": "USD",
        "customer": {"id": "acct-88"},
        "lines": [line()],
    } | changes


def encoded(value: Any) -> bytes:
    """The value as JSON."""
    return json.dumps(value).encode()


def invoice(**changes: Any) -> Invoice:
    """The smallest invoice, with top-level changes."""
    return parse(encoded(document(**changes)), TYPES)


def faults(value: Any, key: str | None = None) -> dict[str, Fault]:
    """The faults of a document (or of bytes) by pointer; there must be some, and no pointer twice."""
    with pytest.raises(InvalidInvoice) as caught:
        parse(value if isinstance(value, bytes) else encoded(value), TYPES, key)
    found = {fault.pointer: fault for fault in caught.value.faults}
    assert len(found) == len(caught.value.faults)
    return found


def codes(value: Any, key: str | None = None) -> dict[str, str]:
    """The codes of the faults by pointer."""
    return {pointer: fault.code for pointer, fault in faults(value, key).items()}


CUSTOMERS = Crosswalk({"customers": {"acct-88": Entry(88)}})


def upstream(name: str = "tiny-eu", dialect: Dialect = TINY, crosswalk: Crosswalk = CUSTOMERS) -> Upstream:
    """An upstream of an invented dialect that knows one customer."""
    return Upstream(name, dialect, Settings(), crosswalk)


def draft(found: Invoice | None = None, crosswalk: Crosswalk = CUSTOMERS, dialect: Dialect = TINY) -> Draft:
    """A draft of the invoice for an invented dialect."""
    found = found or invoice()
    return Draft(found, checked_totals(found), upstream(crosswalk=crosswalk, dialect=dialect))
