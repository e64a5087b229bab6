"""Exsited (WebAlive) v3, `POST /api/v3/orders/{order_id}/invoices`.

Vendor page: "Invoice POST API Documentation" of developer.exsited.com.
Lost: all but number and note, since the order at Exsited decides customer, lines, dates, tax and total; what it made of
them is compared afterwards. Without a reference to an order nothing can be said.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from msgspec import Raw, Struct

from gateway.core.dialect import Dialect, Draft, Translation
from gateway.core.errors import Fault
from gateway.core.exchange import (
    UNAUTHORIZED,
    Conversation,
    Reply,
    Request,
    Search,
    Unreadable,
    day,
    decoder,
    doubt,
    figure,
    identity,
    segment,
    settled,
    text_of,
)
from gateway.core.losses import carried, derived, dropped
from gateway.core.money import plain
from gateway.core.result import Absent, Created, NotSent, Rejected, Stated, Status, Totals, Unknown
from gateway.core.wire import JSON, body

STATUSES: dict[str, Status] = {"ACTIVE": "open", "VOID": "void", "VOIDED": "void", "DELETED": "void", "DRAFT": "draft"}
PAID: dict[str, Status] = {"PAID": "paid", "PARTIALLY_PAID": "partially_paid"}
PAGE = 50
MOST_PAGES = 20


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """`currency`: what the orders are in; an invoice in another one is not sent."""

    currency: str | None = None


class NewInvoice(Struct, frozen=True, omit_defaults=True):
    """`invoice`: all that the API takes."""

    id: str
    invoice_note: str


class InvoiceRequest(Struct, frozen=True):
    """The body of the request."""

    invoice: NewInvoice


class Named(Struct, frozen=True):
    """A currency; v3 has its name, v4 also its code."""

    name: str | None = None
    code: str | None = None


class InvoiceRead(Struct, frozen=True):
    """`invoice`: what the order came to. Figures are text in v3, numbers in v4."""

    id: str | int | None = None
    uuid: str | None = None
    status: str | None = None
    payment_status: str | None = None
    currency: Named | str | None = None
    issue_date: str | None = None
    due_date: str | None = None
    subtotal: Raw = Raw()
    tax: Raw = Raw()
    total: Raw = Raw()
    due: Raw = Raw()
    invoice_note: str | None = None


class Answer(Struct, frozen=True):
    """An invoice, or errors: a list of objects or of texts, a map from field to texts, or one text."""

    invoice: InvoiceRead | None = None
    object: str | None = None
    code: str | int | None = None
    message: str | None = None
    errors: list[dict[str, Any] | str] | dict[str, Any] | str | None = None


class Pagination(Struct, frozen=True):
    """`pagination` of a list; `records` counts those of all pages."""

    records: Raw = Raw()


class Listed(Struct, frozen=True):
    """`order` of a list."""

    invoices: list[InvoiceRead]
    pagination: Pagination | None = None


class ListAnswer(Struct, frozen=True):
    """The invoices of an order."""

    order: Listed


read_answer = decoder(Answer)
read_list = decoder(ListAnswer)


def create(translation: Translation, repeat: bool) -> Conversation:
    """Create; on a repeat a refusal may mean that the first try succeeded."""
    seen = yield translation.request
    if not isinstance(seen, Reply):
        return seen
    answer = read_answer(seen)
    if seen.status < 300:
        return normalize(seen, answer)
    faults = _faults(answer.errors)
    if any(fault.code in ("401", "403") for fault in faults):
        return NotSent("unauthorized", f"the upstream refused the credentials: {faults[0].detail}", seen.status)
    words = text_of(answer.message) or (faults[0].detail if faults else "")
    if not words or not (faults or answer.code or answer.object == "error"):  # a message alone may be anybody's
        raise Unreadable(f"status {seen.status} without a reason that could be read")
    refusal = Rejected(seen.status, str(answer.code or seen.status), words, faults)
    return settled((yield from lookup(translation)), refusal) if repeat else refusal


def _faults(errors: object) -> tuple[Fault, ...]:
    """The upstream's errors, whichever of the four shapes they have."""
    match errors:
        case str():
            return (Fault("", "upstream", text_of(errors)),)
        case dict():
            return tuple(Fault("", "upstream", text_of(f"{field}: {_joined(said)}")) for field, said in errors.items())
        case list():
            return tuple(_fault(each) for each in errors)
        case _:
            return ()


def _fault(error: object) -> Fault:
    if not isinstance(error, dict):
        return Fault("", "upstream", text_of(str(error)))
    field, said = error.get("field"), str(error.get("message") or "no reason given")
    return Fault("", text_of(str(error.get("code") or "upstream")), text_of(f"{field}: {said}" if field else said))


def _joined(said: object) -> str:
    return ", ".join(map(str, said)) if isinstance(said, list) else str(said)


def translate(draft: Draft) -> Translation:
    """The invoice as a call to invoice an order."""
    invoice, totals, settings = draft.invoice, draft.totals, draft.settings
    order = _order(draft)
    if settings.currency is not None and invoice.currency != settings.currency:
        draft.refuse("/currency", "currency", f"the orders are in {settings.currency}, not {invoice.currency}")
    note = f"{invoice.note}\n{invoice.external_id}" if invoice.note else invoice.external_id
    number = invoice.number or invoice.external_id
    # A slash is encoded, but whoever decodes it on the way must not climb by it.
    if any(part and not part.strip(".") for part in re.split(r"[/\\]", number)):
        draft.refuse("/number", "path", f"{number!r} cannot stand in the path of a lookup")
    content = body(InvoiceRequest(NewInvoice(number, note)))
    path = f"/api/v3/orders/{order}/invoices"
    # The same invoice has the same key, other content another; v3 may ignore it, so nothing relies on it.
    key = sha256(path.encode() + b"\n" + content).hexdigest()
    expected = Stated(
        number=number,
        currency=invoice.currency,
        issue_date=invoice.issue_date.isoformat(),
        due_date=invoice.due_date.isoformat() if invoice.due_date else None,
        totals=Totals(totals.tax_exclusive_total, totals.tax_total, totals.tax_inclusive_total, totals.amount_due),
    )
    reference = {"order": order, "id": number, "external_id": invoice.external_id, "currency": invoice.currency}
    reference["total"] = plain(totals.tax_inclusive_total)
    headers = (*JSON, ("x-idempotency-key", key))
    return draft.translation(Request("POST", path, content, headers), None, expected, reference)


def _order(draft: Draft) -> str:
    """The order as a segment of the path: from the crosswalk if there is one, else as it is."""
    order = draft.invoice.references.order
    if order is None:
        draft.refuse("/references/order", "missing", "the API invoices an order")
        return ""
    if draft.upstream.crosswalk.has("orders"):
        order = draft.find_text("orders", "/references/order", order)
    try:
        return segment(order)
    except ValueError as error:
        draft.refuse("/references/order", "path", str(error))
        return ""


def normalize(reply: Reply, answer: Answer) -> Created:
    """The invoice that the order came to.

    Raises:
        Unreadable: it has no id, or is an error inside a 2xx.
    """
    made = answer.invoice
    if made is None or identity(made.id) in (None, "NULL") or answer.object == "error":
        raise Unreadable(f"status {reply.status} without the id of an invoice")
    return Created(_stated(made), reply.status, str(reply.status), ids={"uuid": made.uuid} if made.uuid else {})


def _stated(made: InvoiceRead) -> Stated:
    payment = (made.payment_status or "").upper().replace(" ", "_")
    total, due = figure(made.total), figure(made.due)
    return Stated(
        id=str(made.id),
        number=str(made.id),
        status=PAID.get(payment) or STATUSES.get((made.status or "").upper(), "unknown"),
        status_raw=text_of(made.status) or None,
        payment_status=text_of(made.payment_status).lower() or None,
        currency=_currency(made),
        issue_date=day(made.issue_date),
        due_date=day(made.due_date),
        totals=Totals(figure(made.subtotal), figure(made.tax), total, due),
    )


def _currency(made: InvoiceRead) -> str | None:
    """The ISO code, if the answer has one: as `code`, or as the name."""
    named = made.currency
    words = named if isinstance(named, str) else (named.code or named.name if named else None)
    return words if words is not None and len(words) == 3 and words.isupper() else None


def lookup(translation: Translation) -> Search:
    """Ask for the id that we chose; the server may have given its own, so look through the order's invoices then."""
    reference = translation.reference
    seen = yield Request("GET", f"/api/v3/invoices/{quote(reference['id'], safe='')}", headers=JSON)
    if not isinstance(seen, Reply):
        return doubt(seen)
    made = read_answer(seen).invoice if seen.status == 200 else None
    if made is not None and _is_ours(made, reference):
        return normalize(seen, Answer(made))
    if made is None and seen.status != 404:
        return Unknown("lookup-unreadable", f"the lookup was answered {seen.status}", seen.status)
    found = yield from _search(reference)
    if made is None or not isinstance(found, Absent):
        return found
    if not made.invoice_note or reference["external_id"] in made.invoice_note:
        return Unknown("lookup-differs", f"invoice {reference['id']} exists, but not as it was sent", seen.status)
    return Rejected(seen.status, "taken", f"the number {reference['id']} belongs to another invoice")


def _search(reference: Mapping[str, str]) -> Search:
    """Look through the order's invoices for the one whose note carries our reference."""
    differing, offset = None, 0
    for _ in range(MOST_PAGES):
        path = f"/api/v3/orders/{reference['order']}/invoices?limit={PAGE}&offset={offset}"
        seen = yield Request("GET", path, headers=JSON)
        if not isinstance(seen, Reply):
            return doubt(seen)
        if seen.status == 404:
            break
        if seen.status != 200:
            return Unknown("lookup-unreadable", f"the lookup was answered {seen.status}", seen.status)
        listed = read_list(seen).order
        for made in listed.invoices:
            if _is_ours(made, reference):
                return normalize(seen, Answer(made))
            if reference["external_id"] in (made.invoice_note or "").split():
                differing = made
        offset += len(listed.invoices)
        if _is_last(listed, offset):
            break
    else:
        return Unknown("lookup-too-long", f"the order has more than {offset} invoices")
    if differing is not None:
        detail = f"invoice {differing.id} carries the reference, but is not as it was sent"
        return Unknown("lookup-differs", detail, seen.status)
    return Absent("no invoice of the order carries the reference")


def _is_last(listed: Listed, offset: int) -> bool:
    """Whether no page follows: by the count of all, since a server may give fewer than were asked for."""
    records = figure(listed.pagination.records) if listed.pagination is not None else None
    return not listed.invoices or (len(listed.invoices) < PAGE if records is None else offset >= records)


def _is_ours(made: InvoiceRead, reference: Mapping[str, str]) -> bool:
    """Our reference at the end of the note (or the id that we chose, and no note), and the same total and currency."""
    words = (made.invoice_note or "").split()
    named = words[-1] == reference["external_id"] if words else str(made.id) == reference["id"]
    same_currency = _currency(made) in (None, reference["currency"])
    total = figure(made.total)
    return named and same_currency and (total is None or total == Decimal(reference["total"]))


DIALECT = Dialect(
    name="exsited",
    api="Exsited API v3",
    endpoint="POST /api/v3/orders/{order_id}/invoices",
    auth=("oauth", "bearer"),
    settings=Settings,
    extension=None,
    crosswalks={"orders": False},
    protection="lookup",
    settle=120.0,
    money_rule="none before; the order decides, and total and currency are compared afterwards",
    translate=translate,
    create=create,
    lookup=lookup,
    # An expired token is answered with a redirect to a sign-in page, which means that nothing was read.
    unauthorized=UNAUTHORIZED | {302},
    # After a 400 the server may give the same answer to the next request of that connection.
    closes_on=frozenset((400,)),
    fields={
        "/external_id": carried("invoice.invoice_note"),
        "/number": carried("invoice.id"),
        "/issue_date": derived("the order decides it"),
        "/due_date": derived("the order decides it"),
        "/currency": derived("the order decides it"),
        "/exchange_rate": dropped(),
        "/prices_include_tax": derived("the order decides it"),
        "/supplier": derived("the order decides it"),
        "/customer": derived("the order decides it"),
        "/references": dropped(),
        "/references/order": carried("order_id"),
        "/lines": derived("the order decides it"),
        "/discounts": derived("the order decides it"),
        "/charges": derived("the order decides it"),
        "/totals": derived("the order decides it"),
        "/payment_terms": dropped(),
        "/billing_period": dropped(),
        "/recurrence": dropped(),
        "/note": carried("invoice.invoice_note"),
        "/language": dropped(),
        "/delivery": dropped(),
        "/metadata": dropped(),
    },
)
