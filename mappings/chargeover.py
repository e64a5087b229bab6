"""ChargeOver REST API v3, `POST /api/v3/invoice`.

Vendor page: "Create an invoice" of developer.chargeover.com, the wire names as in ChargeOver's official clients.
Lost: due dates arrive as terms of so many days; supplier, customer's name, units, periods, metadata are dropped.
Cannot be said: tax (the account has its own), a prepaid amount, rounding, a line discount that is no round unit price.
"""

import re
from decimal import Decimal
from hashlib import sha256
from operator import neg, pos
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta, Raw, Struct

from gateway.core.dialect import Dialect, Draft, Translation
from gateway.core.exchange import (
    BROKEN,
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
    settled,
    text_of,
)
from gateway.core.invoice import Address, Text
from gateway.core.losses import approximated, carried, derived, dropped, folded, refused
from gateway.core.money import ZERO, fits, rounded
from gateway.core.result import Absent, Created, Rejected, Stated, Status, Totals, Unknown
from gateway.core.wire import JSON, body, price

PAYCYCLES = {
    "P1D": "dly", "P1W": "1wk", "P2W": "2wk", "P4W": "4wk", "P8W": "8wk", "P30D": "30d", "P1M": "mon", "P2M": "2mn",
    "P12W": "12w", "P3M": "qtr", "P6M": "six", "P1Y": "yrl", "P2Y": "2yr", "P3Y": "3yr", "P4Y": "4yr", "P5Y": "5yr",
    "P10Y": "10y",
}  # fmt: skip

Paycycle = Literal[
    "evy", "dly", "1wk", "2wk", "116", "4wk", "8wk", "30d", "mon", "2mn", "12w", "fst", "lst", "qtr", "six", "yrl",
    "2yr", "3yr", "4yr", "5yr", "10y", "one",
]  # fmt: skip

STATUSES: dict[str, Status] = {
    "open-unpaid": "open",
    "open-overdue": "open",
    "open-collections": "open",
    "closed-void": "void",
    "closed-paid": "paid",
}


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """`discount_item`, `charge_item`: the items of lines that stand for discounts and charges of the document."""

    discount_item: int | None = None
    charge_item: int | None = None
    purchase_order_field: Annotated[str, Meta(pattern=r"^custom_(?:[1-9]|1[0-9]|20)$(?!\n)")] | None = None
    admin: int | None = None
    class_: int | None = msgspec.field(default=None, name="class")
    tax: Literal["none", "server"] = "none"


class LineExtension(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Line fields that only ChargeOver has."""

    paycycle: Paycycle | None = None
    custom_1: Text | None = None
    custom_2: Text | None = None
    custom_3: Text | None = None
    custom_4: Text | None = None
    custom_5: Text | None = None
    custom_6: Text | None = None
    custom_7: Text | None = None
    custom_8: Text | None = None
    custom_9: Text | None = None
    custom_10: Text | None = None


class Extension(LineExtension, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Document fields that only ChargeOver has, beside those that its lines have too."""

    custom_11: Text | None = None
    custom_12: Text | None = None
    custom_13: Text | None = None
    custom_14: Text | None = None
    custom_15: Text | None = None
    custom_16: Text | None = None
    custom_17: Text | None = None
    custom_18: Text | None = None
    custom_19: Text | None = None
    custom_20: Text | None = None
    customer_token: Text | None = None
    class_id: int | None = None
    terms_id: int | None = None
    admin_id: int | None = None
    no_dunning: bool | None = None
    no_latefees: bool | None = None
    no_procfees: bool | None = None
    tags: tuple[Text, ...] | None = None


class LineRequest(LineExtension, frozen=True, omit_defaults=True, kw_only=True):
    """`line_items[]`."""

    item_id: int
    line_rate: Decimal
    line_quantity: Decimal
    descrip: str | None = None


class InvoiceRequest(Extension, frozen=True, omit_defaults=True, kw_only=True):
    """The body of the request."""

    external_key: str
    date: str
    currency_id: int
    line_items: list[LineRequest]
    refnumber: str | None = None
    customer_id: int | None = None
    customer_external_key: str | None = None
    memo: str | None = None
    bill_addr1: str | None = None
    bill_addr2: str | None = None
    bill_city: str | None = None
    bill_state: str | None = None
    bill_postcode: str | None = None
    bill_country: str | None = None
    ship_addr1: str | None = None
    ship_addr2: str | None = None
    ship_city: str | None = None
    ship_state: str | None = None
    ship_postcode: str | None = None
    ship_country: str | None = None


class Answer(Struct, frozen=True):
    """The envelope; `response` is an object, a list, a boolean or null, by what was asked and how it went."""

    status: str
    code: int | None = None
    message: str | None = None
    response: Raw = Raw(b"null")


class NewInvoice(Struct, frozen=True):
    """`response` of a creation."""

    id: int


class InvoiceRead(Struct, frozen=True):
    """`response` of a read-back, an element of it in a query."""

    invoice_id: int | str
    external_key: str | None = None
    refnumber: str | None = None
    token: str | None = None
    currency_iso4217: str | None = None
    date: str | None = None
    due_date: str | None = None
    subtotal: Raw = Raw()
    taxes: Raw = Raw()
    total: Raw = Raw()
    balance: Raw = Raw()
    invoice_status_name: str | None = None
    invoice_status_str: str | None = None
    url_permalink: str | None = None


read_answer = decoder(Answer)
Fields = dict[str, Any]


def create(translation: Translation, repeat: bool) -> Conversation:
    """Create, then read the totals back; on a repeat a refusal may mean that the first try succeeded."""
    seen = yield translation.request
    if not isinstance(seen, Reply):
        return seen
    answer = read_answer(seen)
    if seen.status in (200, 201) and answer.status == "OK":
        return (yield from _with_totals(normalize(seen, answer)))
    if answer.status == "OK":
        return Unknown("contradiction", f"status {seen.status} with OK inside", seen.status)
    refusal = Rejected(seen.status, str(answer.code or seen.status), text_of(answer.message) or "no reason given")
    if repeat or seen.status < 300:
        return settled((yield from lookup(translation)), refusal)
    return refusal


def translate(draft: Draft) -> Translation:
    """The invoice as a ChargeOver invoice."""
    invoice, totals, extension = draft.invoice, draft.totals, draft.extension()
    lines = [_line(draft, index) for index in range(len(invoice.lines))]
    lines += _adjustment_lines(draft)
    filled = _filled(draft, extension)
    if draft.upstream.dialect.name in invoice.extensions:
        filled = msgspec.structs.asdict(extension) | filled
    _refuse_tax(draft)
    draft.only_zero("prepaid_total", "rounding")
    draft.claims(predict(lines, invoice.digits), totals.tax_exclusive_total, "/lines")
    request = InvoiceRequest(
        **filled,
        **_customer(draft, extension),
        **_address("bill", invoice.customer.billing_address),
        **_address("ship", invoice.customer.shipping_address),
        external_key=external_key(invoice.external_id),
        refnumber=invoice.number,
        date=invoice.issue_date.isoformat(),
        currency_id=draft.find_number("currencies", "/currency", invoice.currency),
        memo=invoice.note,
        line_items=lines,
    )
    expected = Stated(
        number=invoice.number,
        currency=invoice.currency,
        issue_date=request.date,
        due_date=None if extension.terms_id is not None or invoice.due_date is None else invoice.due_date.isoformat(),
        totals=Totals(totals.tax_exclusive_total, totals.tax_total, totals.tax_inclusive_total, totals.amount_due),
    )
    reference = {"external_key": request.external_key} | ({"refnumber": invoice.number} if invoice.number else {})
    claim = None if draft.settings.tax == "server" else totals.amount_due
    return draft.translation(Request("POST", "/api/v3/invoice", body(request), JSON), claim, expected, reference)


def external_key(external_id: str) -> str:
    """The invoice's key, safe in a path and in a filter; a changed one carries a hash, so that no two become one."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", external_id)
    if safe == external_id and len(safe) <= 100:
        return safe
    return f"{safe[:67]}-{sha256(external_id.encode()).hexdigest()[:32]}"


def _line(draft: Draft, index: int) -> LineRequest:
    line = draft.invoice.lines[index]
    quantity, rate = price(draft, index, min(draft.invoice.digits, 2), fine=True)
    if line.description is not None and line.item.name is not None:
        draft.lose(f"/lines/{index}/item/name", "dropped", None, "descrip holds the description")
    extension = draft.line_extension(index)
    return LineRequest(
        **(msgspec.structs.asdict(extension) if extension is not None else {}),
        item_id=draft.find_number("items", f"/lines/{index}/item/id", line.item.id, line.item.identifiers),
        line_rate=rate,
        line_quantity=quantity,
        descrip=line.description or line.item.name,
    )


def _adjustment_lines(draft: Draft) -> list[LineRequest]:
    """Discounts and charges of the document: lines of the items that the settings name."""
    lines = []
    for name, adjustments, item, sign in (
        ("discounts", draft.invoice.discounts, draft.settings.discount_item, neg),
        ("charges", draft.invoice.charges, draft.settings.charge_item, pos),
    ):
        if adjustments and item is None:
            draft.only_none(name, adjustments, f"needs the setting {name[:-1]}_item")
        elif adjustments and draft.invoice.prices_include_tax and draft.totals.tax_total:
            draft.only_none(name, adjustments, "cannot be said without its tax")
            draft.refuse("/prices_include_tax", "money", f"{name} of the document cannot be said without their tax")
        else:
            lines += [LineRequest(item_id=item or 0, line_rate=sign(each.amount), line_quantity=Decimal(1),
                                  descrip=each.reason) for each in adjustments]  # fmt: skip
    return lines


def _customer(draft: Draft, extension: Extension) -> Fields:
    party = draft.invoice.customer
    if extension.customer_token is not None:
        draft.lose("/customer/id", "dropped", None, "customer_token names the customer")
        return {}
    if "customers" in draft.upstream.crosswalk.same and draft.upstream.dialect.name not in party.identifiers:
        return {"customer_external_key": party.id or ""}
    return {"customer_id": draft.find_number("customers", "/customer/id", party.id or "", party.identifiers)}


def _filled(draft: Draft, extension: Extension) -> Fields:
    """Wire fields that an extension, a canonical field and a setting could fill, in this order of precedence."""
    invoice, settings = draft.invoice, draft.settings
    filled: Fields = {
        "admin_id": settings.admin if extension.admin_id is None else extension.admin_id,
        "class_id": settings.class_ if extension.class_id is None else extension.class_id,
    }
    if invoice.recurrence is not None:
        if extension.paycycle is not None:
            draft.lose("/recurrence", "dropped", None, "the extension has another paycycle")
        elif invoice.recurrence not in PAYCYCLES:
            draft.lose("/recurrence", "dropped", None, f"paycycle cannot be {invoice.recurrence}")
        else:
            filled["paycycle"] = PAYCYCLES[invoice.recurrence]
    if invoice.due_date is not None:
        filled["terms_id"] = _terms(draft, extension, (invoice.due_date - invoice.issue_date).days)
    if (order := invoice.references.purchase_order) is not None:
        name = settings.purchase_order_field
        if name is None or getattr(extension, name) is not None:
            draft.lose("/references/purchase_order", "dropped", None, "purchase_order_field names no free field")
        else:
            filled[name] = order
    return filled


def _terms(draft: Draft, extension: Extension, days: int) -> int:
    if extension.terms_id is not None:
        draft.lose("/due_date", "derived", "terms_id", "the terms of the extension decide it")
        return int(extension.terms_id)
    draft.lose("/due_date", "approximated", "terms_id", f"terms of {days} days")
    return draft.find_number("terms", "/due_date", str(days))


def _address(prefix: str, address: Address | None) -> Fields:
    if address is None:
        return {}
    return {
        f"{prefix}_addr1": address.line1,
        f"{prefix}_addr2": address.line2,
        f"{prefix}_city": address.city,
        f"{prefix}_state": address.region,
        f"{prefix}_postcode": address.postal_code,
        f"{prefix}_country": address.country,
    }


def _refuse_tax(draft: Draft) -> None:
    if draft.settings.tax == "server" or draft.totals.tax_total == ZERO:
        return
    for name in ("lines", "discounts", "charges"):
        for index, taxed in enumerate(getattr(draft.invoice, name)):
            if any(tax.rate for tax in taxed.taxes):
                draft.refuse(f"/{name}/{index}/taxes", "money", 'tax cannot be sent; the setting tax is "none"')


def predict(lines: list[LineRequest], digits: int) -> Decimal:
    """The money rule: the sum of rate x quantity, at the currency's exponent, before tax."""
    exactly = sum((line.line_rate * line.line_quantity for line in lines), ZERO)
    return exactly if not fits(exactly, digits) else rounded(exactly, digits)


def normalize(reply: Reply, answer: Answer) -> Created:
    """What a creation says: an id, and nothing else.

    Raises:
        Unreadable: it has no id.
    """
    try:
        own = identity(msgspec.json.decode(answer.response, type=NewInvoice).id)
    except BROKEN as error:
        raise Unreadable(f"OK without an id: {error}") from None
    if own is None:
        raise Unreadable("OK with an id that is none")
    return Created(Stated(id=own), reply.status, str(answer.code or reply.status), text_of(answer.message) or None)


def _with_totals(created: Created) -> Conversation:
    """Read the new invoice back for its totals; that this fails does not undo the creation."""
    seen = yield Request("GET", f"/api/v3/invoice/{created.invoice.id}", headers=JSON)
    for found in (_read(seen) if isinstance(seen, Reply) else None) or ():
        if str(found.invoice_id) == created.invoice.id:
            return msgspec.structs.replace(created, invoice=_stated(found), ids=_ids(found))
    return created


def _read(reply: Reply) -> list[InvoiceRead] | None:
    """The invoice of a read-back, or those of a query; None where the answer is neither."""
    try:
        answer = read_answer(reply)
        found = msgspec.json.decode(answer.response, type=InvoiceRead | list[InvoiceRead])
    except (*BROKEN, Unreadable):
        return None
    if reply.status != 200 or answer.status != "OK":
        return None
    return found if isinstance(found, list) else [found]


def _ids(found: InvoiceRead) -> dict[str, str]:
    return {name: text for name in ("token", "external_key") if (text := getattr(found, name))}


def _stated(found: InvoiceRead) -> Stated:
    raw, total, balance = found.invoice_status_str, figure(found.total), figure(found.balance)
    partly = STATUSES.get(raw or "") == "open" and total and balance is not None and ZERO < balance < total
    return Stated(
        id=str(found.invoice_id),
        number=found.refnumber,
        status="partially_paid" if partly else STATUSES.get(raw or "", "unknown"),
        status_raw=raw,
        payment_status=found.invoice_status_name.lower() if found.invoice_status_name else None,
        url=found.url_permalink,
        currency=found.currency_iso4217,
        issue_date=day(found.date),
        due_date=day(found.due_date),
        totals=Totals(figure(found.subtotal), figure(found.taxes), total, balance),
    )


def lookup(translation: Translation) -> Search:
    """Ask for the external key, which is unique for ever, then for the invoice number."""
    key, number = translation.reference["external_key"], translation.reference.get("refnumber")
    seen = yield Request("GET", f"/api/v3/invoice/external_key:{quote(key, safe='')}", headers=JSON)
    if not isinstance(seen, Reply):
        return doubt(seen)
    if seen.status != 404:
        return _compared(_read(seen) or [], seen.status, translation)
    if number is None:
        return Absent(f"no invoice has the external key {key}")
    where = quote("refnumber:EQUALS:" + number.replace(",", "\\,"), safe="")
    seen = yield Request("GET", f"/api/v3/invoice?where={where}", headers=JSON)
    if not isinstance(seen, Reply):
        return doubt(seen)
    found = [] if seen.status == 404 else _read(seen)
    # The number alone proves nothing, others may have it; but one without any key may be ours all the same.
    if found is not None and all(each.external_key not in (key, None) for each in found):
        return Absent(f"no invoice has the external key {key}")
    return _compared(found or [], seen.status, translation)


def _compared(found: list[InvoiceRead], http_status: int, translation: Translation) -> Created | Unknown:
    """The invoice that has our key, if its money agrees too; the account's own tax may make another total."""
    made = next((each for each in found if each.external_key == translation.reference["external_key"]), None)
    if made is None:
        return Unknown("lookup-unreadable", "the lookup's answer has no invoice with the external key", http_status)
    if identity(made.invoice_id) is None:
        return Unknown("lookup-unreadable", "the invoice with the external key has an id that is none", http_status)
    stated, wanted = _stated(made), translation.expected.totals
    same = stated.totals.tax_inclusive_total == wanted.tax_inclusive_total
    if translation.claim is None:
        same = same or stated.totals.tax_exclusive_total == wanted.tax_exclusive_total
    if not same:
        detail = f"invoice {made.invoice_id} has the external key, but not the total"
        return Unknown("lookup-differs", detail, http_status)
    return Created(stated, http_status, str(http_status), ids=_ids(made))


DIALECT = Dialect(
    name="chargeover",
    api="ChargeOver REST API v3",
    endpoint="POST /api/v3/invoice",
    auth=("basic",),
    settings=Settings,
    extension=Extension,
    line_extension=LineExtension,
    crosswalks={"customers": True, "items": True, "currencies": True, "terms": False},
    protection="enforced",
    money_rule="Σ line_rate × line_quantity at the currency's exponent; tax by the setting: none, or the account's",
    translate=translate,
    create=create,
    lookup=lookup,
    fields={
        "/external_id": carried("external_key"),
        "/number": carried("refnumber"),
        "/issue_date": carried("date"),
        "/due_date": approximated("terms_id", "terms of so many days", "derived"),
        "/currency": carried("currency_id"),
        "/exchange_rate": dropped(),
        "/prices_include_tax": folded("line_items[].line_rate", noted=True),
        "/supplier": dropped(),
        "/customer": dropped("the customer is known by id"),
        "/customer/id": carried("customer_id", "dropped"),
        "/customer/billing_address": carried("bill_*"),
        "/customer/shipping_address": carried("ship_*"),
        "/references": dropped(),
        "/references/purchase_order": carried("custom_*", "dropped"),
        "/lines": dropped(),
        "/lines/*/item/id": carried("line_items[].item_id"),
        "/lines/*/item/name": carried("line_items[].descrip", "dropped"),
        "/lines/*/description": carried("line_items[].descrip"),
        "/lines/*/quantity": carried("line_items[].line_quantity", "folded"),
        "/lines/*/unit_price": carried("line_items[].line_rate", "folded"),
        "/lines/*/discounts/*/amount": folded("line_items[].line_rate", noted=True),
        "/lines/*/charges/*/amount": folded("line_items[].line_rate", noted=True),
        "/lines/*/taxes": derived("the account's tax configuration decides it"),
        "/discounts": derived("the account's tax configuration decides it"),
        "/discounts/*/amount": carried("line_items[].line_rate"),
        "/discounts/*/percent": dropped("the amount is sent"),
        "/discounts/*/reason": carried("line_items[].descrip"),
        "/charges": derived("the account's tax configuration decides it"),
        "/charges/*/amount": carried("line_items[].line_rate"),
        "/charges/*/percent": dropped("the amount is sent"),
        "/charges/*/reason": carried("line_items[].descrip"),
        "/totals": refused("the API cannot say it, unless it is zero"),
        "/payment_terms": dropped(),
        "/billing_period": dropped(),
        "/recurrence": carried("paycycle", "dropped"),
        "/note": carried("memo"),
        "/language": dropped(),
        "/delivery": dropped("the account's settings decide whether it is sent"),
        "/metadata": dropped("custom fields can be sent by extension"),
    },
)
