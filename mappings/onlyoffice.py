"""ONLYOFFICE Workspace CRM (Community Server 12), `POST /api/2.0/crm/invoice`.

Vendor page: "Create an invoice" of api.onlyoffice.com; where it and the server's source differ, both answers are read.
Lost: names and addresses of the parties (they are known by id), units, periods, metadata.
Cannot be said: discounts, charges, prepaid amounts and rounding of the document; more than two taxes a line; more than
two decimals; a number that looks like a timestamp, since the server re-formats it.
"""

import re
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from msgspec import Raw, Struct, structs

from gateway.core.dialect import Dialect, Draft, Translation
from gateway.core.exchange import (
    Conversation,
    Reply,
    Request,
    Search,
    Unreadable,
    day,
    decoder,
    doubt,
    figure,
    settled,
    text_of,
)
from gateway.core.losses import carried, dropped, folded, refused
from gateway.core.money import HUNDRED, ZERO, fits, plain, rounded_even, total
from gateway.core.result import Absent, Created, Rejected, Stated, Status, Totals, Unknown, UpstreamWarning
from gateway.core.wire import JSON, body, price

CURRENCIES = tuple(
    (
        "AED AMD AOA ARS AUD AZN BDT BGN BRL BYN BYR CAD CHF CLP CNY COP CRC CUP CZK DKK DOP DZD ETB EUR GBP GEL HKD"
        " HRK HUF IDR ILS INR JPY KES KRW KWD KZT LTL LVL MAD MDL MGA MNT MUR MXN MYR NGN NOK NZD OMR PHP PKR PLN QAR"
        " RON RSD RUB SAR SEK SGD THB TND TRY TTD UAH USD UZS VEF VES VND XAF XOF XPF ZAR"
    ).split()
)
"""The currencies of a portal as it is installed."""

LANGUAGES = {
    name.lower(): name
    for name in (
        "az-Latn-AZ bg-BG cs-CZ da-DK de-AT de-CH de-DE el-GR en-AU en-CA en-GB en-IE en-US es-ES es-MX et-EE fi-FI"
        " fr-BE fr-CA fr-CH fr-FR hu-HU it-IT ja-JP ko-KR lt-LT lv-LV nb-NO nl-BE nl-NL pl-PL pt-BR pt-PT ro-RO ru-RU"
        " sk-SK sl-SI sv-SE tr-TR uk-UA vi-VN zh-CN zh-TW"
    ).split()
}
"""Cultures that every .NET knows; an unknown one fails only after the invoice is stored."""

STATUSES: dict[int, Status] = {1: "draft", 2: "open", 4: "paid"}
# What Newtonsoft's date detection takes for a date, inside any text.
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d|/Date\(")
MOST = Decimal("99999999.99")


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """`language` and `terms` stand in where an invoice has none; `currencies` is the portal's own list."""

    language: str
    terms: str
    template_type: int = 0
    currencies: tuple[str, ...] = CURRENCIES

    def __post_init__(self) -> None:
        """Refuse what would fail only after an invoice is stored."""
        if self.language.lower() not in LANGUAGES:
            raise ValueError(f"the language {self.language!r} is none of {', '.join(LANGUAGES.values())}")
        if not self.terms:
            raise ValueError("the terms must not be empty")


class Extension(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Fields that only ONLYOFFICE has; the ids are the portal's."""

    templateType: int | None = None
    consigneeId: int | None = None
    entityId: int | None = None
    billingAddressID: int | None = None
    deliveryAddressID: int | None = None


class LineRequest(Struct, frozen=True, omit_defaults=True):
    """`invoiceLines[]`; of these names the server minds the case."""

    invoiceItemID: int
    quantity: Decimal
    price: Decimal
    discount: Decimal | None = None
    description: str | None = None
    invoiceTax1ID: int | None = None
    invoiceTax2ID: int | None = None


class InvoiceRequest(Extension, frozen=True, omit_defaults=True, kw_only=True):
    """The body of the request."""

    number: str
    issueDate: str
    dueDate: str
    contactId: int
    language: str
    currency: str
    exchangeRate: Decimal
    terms: str
    invoiceLines: list[LineRequest]
    purchaseOrderNumber: str | None = None
    description: str | None = None


class Titled(Struct, frozen=True):
    """A status: its title is localized, its id is not."""

    id: int | None = None
    title: str | None = None


class Contact(Struct, frozen=True):
    """The customer, as far as it is needed to recognise an invoice."""

    id: int | None = None


class Currency(Struct, frozen=True):
    """A currency of the portal; `abbreviation` is the ISO code."""

    abbreviation: str | None = None


class InvoiceRead(Struct, frozen=True):
    """`response`: the invoice as it is stored."""

    id: int
    status: Titled | None = None
    number: str | None = None
    issueDate: str | None = None
    dueDate: str | None = None
    contact: Contact | None = None
    currency: Currency | None = None
    cost: Raw = Raw()
    invoiceLines: list[dict[str, Raw]] | None = None


class Error(Struct, frozen=True):
    """What went wrong; every 400 has the same words."""

    message: str | None = None


class Answer(Struct, frozen=True):
    """The envelope: `status` 0 is good, 1 is an error."""

    status: int | None = None
    response: InvoiceRead | None = None
    error: Error | None = None


class BareTitled(Struct, frozen=True, rename={"id": "ID", "title": "Title"}):
    """A status as the vendor's page shows it."""

    id: int | None = None
    title: str | None = None


class BareCurrency(Struct, frozen=True, rename="pascal"):
    """A currency as the vendor's page shows it."""

    abbreviation: str | None = None


class Bare(Struct, frozen=True):
    """An invoice without an envelope, as the vendor's page shows it."""

    ID: int = 0
    Status: BareTitled | None = None
    Number: str | None = None
    IssueDate: str | None = None
    DueDate: str | None = None
    Currency: BareCurrency | None = None
    Cost: Raw = Raw()
    InvoiceLines: list[dict[str, Raw]] | None = None


read_answer = decoder(Answer)
read_bare = decoder(Bare)


def create(translation: Translation, repeat: bool) -> Conversation:  # noqa: ARG001 - a refusal is looked up anyway
    """Create; a refusal proves nothing, since the server refuses some invoices after it stored them."""
    seen = yield translation.request
    if not isinstance(seen, Reply):
        return seen
    found, message = _answered(seen)
    if found is not None:
        return normalize(found, seen.status, translation)
    refusal = Rejected(seen.status, str(seen.status), message or "no reason given")
    return settled((yield from lookup(translation)), refusal)


def _answered(reply: Reply) -> tuple[InvoiceRead | None, str | None]:
    """The new invoice, or None and the words of the refusal.

    Raises:
        Unreadable: it is neither.
    """
    answer = read_answer(reply)
    if answer.error is not None or answer.status == 1:
        return None, text_of(answer.error.message) if answer.error else None
    if reply.status >= 400:
        raise Unreadable(f"status {reply.status} without an error inside")
    found = answer.response if answer.status == 0 else _from_bare(read_bare(reply))
    if found is None or found.id <= 0:
        raise Unreadable(f"status {reply.status} without the id of an invoice")
    return found, None


def _from_bare(bare: Bare) -> InvoiceRead:
    return InvoiceRead(
        id=bare.ID,
        status=Titled(bare.Status.id, bare.Status.title) if bare.Status else None,
        number=bare.Number,
        issueDate=bare.IssueDate,
        dueDate=bare.DueDate,
        currency=Currency(bare.Currency.abbreviation) if bare.Currency else None,
        cost=bare.Cost,
        invoiceLines=bare.InvoiceLines,
    )


def translate(draft: Draft) -> Translation:
    """The invoice as a CRM invoice."""
    invoice, totals, settings, customer = draft.invoice, draft.totals, draft.settings, draft.invoice.customer
    number = _number(draft)
    if invoice.due_date is None:
        draft.refuse("/due_date", "missing", "the API requires a due date")
    if invoice.currency not in settings.currencies:
        draft.refuse("/currency", "unknown-currency", f"{invoice.currency} is not on the portal's list")
    lines, rates = zip(*(_line(draft, index) for index in range(len(invoice.lines))), strict=True)
    draft.only_none("discounts", invoice.discounts, "the API has no discount of the document")
    draft.only_none("charges", invoice.charges, "the API has no charge of the document")
    draft.only_zero("prepaid_total", "rounding")
    claim = predict(lines, rates)
    draft.claims(claim, totals.amount_due, *_taxed(draft))
    request = InvoiceRequest(
        **_passed(draft),
        number=number,
        issueDate=invoice.issue_date.isoformat(),
        dueDate=(invoice.due_date or invoice.issue_date).isoformat(),
        contactId=draft.find_number("customers", "/customer/id", customer.id or "", customer.identifiers),
        language=_language(draft),
        currency=invoice.currency,
        exchangeRate=_kept(draft, "/exchange_rate", invoice.exchange_rate or Decimal(1)),
        purchaseOrderNumber=_text(draft, "/references/purchase_order", invoice.references.purchase_order),
        terms=_text(draft, "/payment_terms/note", invoice.payment_terms.note) or settings.terms,
        description=_text(draft, "/note", invoice.note),
        invoiceLines=list(lines),
    )
    expected = Stated(
        number=number,
        currency=invoice.currency,
        issue_date=request.issueDate,
        due_date=request.dueDate,
        totals=Totals(tax_inclusive_total=totals.tax_inclusive_total, amount_due=totals.amount_due),
    )
    reference = {"number": number, "contact": str(request.contactId), "currency": invoice.currency}
    reference |= {"lines": str(len(lines)), "cost": plain(claim)}
    return draft.translation(Request("POST", "/api/2.0/crm/invoice", body(request), JSON), claim, expected, reference)


def _passed(draft: Draft) -> dict[str, Any]:
    """The extension's fields; the template is the setting's where the extension names none."""
    fields = structs.asdict(draft.extension())
    if fields["templateType"] is None:
        fields["templateType"] = draft.settings.template_type
    return fields


def _number(draft: Draft) -> str:
    invoice = draft.invoice
    if invoice.number is None:
        return _text(draft, "/external_id", invoice.external_id) or ""
    draft.lose("/external_id", "dropped", None, "number holds the invoice number")
    return _text(draft, "/number", invoice.number) or ""


def _text(draft: Draft, pointer: str, text: str | None) -> str | None:
    """Text that the server stores as it is; refused where it would be taken for a date."""
    if text is not None and TIMESTAMP.match(text):
        draft.refuse(pointer, "timestamp", "the server would re-format what looks like a timestamp")
    return text


def _language(draft: Draft) -> str:
    wanted, fallback = draft.invoice.language, LANGUAGES[draft.settings.language.lower()]
    if wanted is None:
        return fallback
    if wanted.lower() not in LANGUAGES:
        draft.lose("/language", "approximated", "language", fallback)
    return LANGUAGES.get(wanted.lower(), fallback)


def _kept(draft: Draft, pointer: str, value: Decimal) -> Decimal:
    """A value that decimal(10,2) keeps as it is: anything else is stored rounded or clipped, without a word."""
    if not (ZERO <= value <= MOST and fits(value, 2)):
        draft.refuse(pointer, "decimal(10,2)", f"{plain(value)} is not stored as it is: 0 to {MOST}, two decimals")
    return value


def _line(draft: Draft, index: int) -> tuple[LineRequest, tuple[Decimal, ...]]:
    """The line, and the rates of its taxes."""
    line, pointer = draft.invoice.lines[index], f"/lines/{index}"
    discount = _percent(draft, index)
    quantity, unit_price = (line.quantity, line.unit_price) if discount is not None else _price(draft, index)
    _kept(draft, f"{pointer}/quantity", quantity)
    _kept(draft, f"{pointer}/unit_price", unit_price)
    found = [(entry, tax.rate) for position, tax in enumerate(line.taxes)
             if (entry := draft.find_tax(f"{pointer}/taxes/{position}", tax)) is not None]  # fmt: skip
    if len(found) > 2:
        draft.refuse(f"{pointer}/taxes", "too-many", "the API has room for two taxes a line")
    ids = [draft.number(f"{pointer}/taxes", entry.id) for entry, _ in found] + [None, None]
    if line.description is not None and line.item.name is not None:
        draft.lose(f"{pointer}/item/name", "dropped", None, "description holds the line's description")
    item = draft.find_number("items", f"{pointer}/item/id", line.item.id, line.item.identifiers)
    if line.description is not None or line.item.name is None:
        text = _text(draft, f"{pointer}/description", line.description)
    else:
        text = _text(draft, f"{pointer}/item/name", line.item.name)
    request = LineRequest(item, quantity, unit_price, discount, text, ids[0], ids[1])
    return request, tuple(rate for _, rate in found)


def _percent(draft: Draft, index: int) -> Decimal | None:
    """The line's discounts as one percentage of two decimals, if that comes to the same money."""
    line = draft.invoice.lines[index]
    base = line.quantity * line.unit_price
    if not line.discounts or line.charges or draft.invoice.prices_include_tax or not base:
        return None
    stated = line.discounts[0].percent if len(line.discounts) == 1 else None
    percent = stated if stated is not None else total(each.amount for each in line.discounts) * HUNDRED / base
    sayable = fits(line.quantity, 2) and fits(line.unit_price, 2) and fits(percent, 2) and ZERO <= percent <= HUNDRED
    same = sayable and _discounted(line.quantity, line.unit_price, percent) == draft.totals.lines[index]
    return percent if same else None


def _price(draft: Draft, index: int) -> tuple[Decimal, Decimal]:
    """Quantity and price of a line without a discount on the wire: its own are folded."""
    for position, each in enumerate(draft.invoice.lines[index].discounts):
        if each.percent is not None:
            pointer = f"/lines/{index}/discounts/{position}/percent"
            draft.lose(pointer, "folded", "invoiceLines[].price", "is a part of invoiceLines[].price")
    return price(draft, index, 2)


def _discounted(quantity: Decimal, unit_price: Decimal, percent: Decimal) -> Decimal:
    amount = rounded_even(quantity * unit_price, 2)
    return amount - rounded_even(amount * percent / HUNDRED, 2)


def _taxed(draft: Draft) -> list[str]:
    return [f"/lines/{index}/taxes" for index, line in enumerate(draft.invoice.lines) if line.taxes]


def predict(lines: tuple[LineRequest, ...], rates: tuple[tuple[Decimal, ...], ...]) -> Decimal:
    """The money rule: each line and each of its taxes rounded for itself, half to even, at two decimals."""
    cost = rounded_even(ZERO, 2)
    for line, own in zip(lines, rates, strict=True):
        amount = _discounted(line.quantity, line.price, line.discount or ZERO)
        cost += amount + total(rounded_even(amount * rate / HUNDRED, 2) for rate in own)
    return cost


def normalize(found: InvoiceRead, http_status: int, translation: Translation) -> Created:
    """The stored invoice; lines that are missing from it are a warning."""
    cost = figure(found.cost)
    stored, sent = found.invoiceLines, translation.reference["lines"]
    warnings: tuple[UpstreamWarning, ...] = ()
    if stored is not None and str(len(stored)) != sent:
        warnings = (UpstreamWarning("lines", f"{len(stored)} of {sent} lines are stored"),)
    return Created(_stated(found, cost), http_status, str(http_status), warnings=warnings)


def _stated(found: InvoiceRead, cost: Decimal | None) -> Stated:
    status = found.status or Titled()
    return Stated(
        id=str(found.id),
        number=found.number,
        status=STATUSES.get(status.id or 0, "unknown"),
        status_raw=text_of(status.title) or None,
        payment_status="paid" if status.id == 4 else None,
        currency=found.currency.abbreviation if found.currency else None,
        issue_date=day(found.issueDate),
        due_date=day(found.dueDate),
        totals=Totals(tax_inclusive_total=cost, amount_due=cost),
    )


def lookup(translation: Translation) -> Search:
    """Ask for the number, then read that invoice: only there are its customer, its lines and its money."""
    number = translation.reference["number"]
    seen = yield Request("GET", f"/api/2.0/crm/invoice/bynumber?number={quote(number, safe='')}", headers=JSON)
    if not isinstance(seen, Reply):
        return doubt(seen)
    if seen.status == 404:
        return Absent(f"no invoice has the number {number}")
    brief = read_answer(seen).response
    if seen.status != 200 or brief is None or brief.id <= 0:
        return Unknown("lookup-unreadable", "the lookup's answer has no invoice", seen.status)
    seen = yield Request("GET", f"/api/2.0/crm/invoice/{brief.id}", headers=JSON)
    if not isinstance(seen, Reply):
        return doubt(seen)
    found = read_answer(seen).response
    if seen.status != 200 or found is None or found.id != brief.id:
        return Unknown("lookup-unreadable", f"invoice {brief.id} cannot be read", seen.status)
    return _compared(found, seen.status, translation)


def _compared(found: InvoiceRead, http_status: int, translation: Translation) -> Created | Rejected | Unknown:
    """Ours if customer and currency agree, and only whole if the number, the money and all lines do."""
    reference = translation.reference
    contact = found.contact.id if found.contact else None
    currency = found.currency.abbreviation if found.currency else None
    if contact is None or currency is None:
        return Unknown("lookup-unreadable", f"invoice {found.id} has no customer or no currency", http_status)
    if (str(contact), currency) != (reference["contact"], reference["currency"]):
        return Rejected(http_status, "taken", f"the number {reference['number']} belongs to invoice {found.id}")
    lines = None if found.invoiceLines is None else str(len(found.invoiceLines))
    sent = (reference["number"], Decimal(reference["cost"]), reference["lines"])
    if (found.number, figure(found.cost), lines) != sent:
        detail = f"invoice {found.id} has the customer, but not the number, the cost and the lines that were sent"
        return Unknown("half-written", detail, http_status)
    return normalize(found, http_status, translation)


DIALECT = Dialect(
    name="onlyoffice",
    api="ONLYOFFICE Workspace CRM API 2.0",
    endpoint="POST /api/2.0/crm/invoice",
    auth=("header",),
    settings=Settings,
    extension=Extension,
    crosswalks={"customers": True, "items": True, "taxes": False},
    protection="lookup",
    settle=600.0,
    money_rule="per line round(price × quantity) − round(discount %) + round(each tax), half to even, 2 decimals",
    translate=translate,
    create=create,
    lookup=lookup,
    fields={
        "/external_id": carried("number", "dropped"),
        "/number": carried("number"),
        "/issue_date": carried("issueDate"),
        "/due_date": carried("dueDate"),
        "/currency": carried("currency"),
        "/exchange_rate": carried("exchangeRate"),
        "/prices_include_tax": folded("invoiceLines[].price", noted=True),
        "/supplier": dropped("the portal is the supplier"),
        "/customer": dropped("the customer is known by id"),
        "/customer/id": carried("contactId"),
        "/references": dropped(),
        "/references/purchase_order": carried("purchaseOrderNumber"),
        "/lines": dropped(),
        "/lines/*/item/id": carried("invoiceLines[].invoiceItemID"),
        "/lines/*/item/name": carried("invoiceLines[].description", "dropped"),
        "/lines/*/description": carried("invoiceLines[].description"),
        "/lines/*/quantity": carried("invoiceLines[].quantity", "folded"),
        "/lines/*/unit_price": carried("invoiceLines[].price", "folded"),
        "/lines/*/discounts/*/amount": carried("invoiceLines[].discount", "folded"),
        "/lines/*/discounts/*/percent": carried("invoiceLines[].discount", "folded"),
        "/lines/*/charges/*/amount": folded("invoiceLines[].price", noted=True),
        "/lines/*/charges/*/percent": folded("invoiceLines[].price"),
        "/lines/*/taxes": carried("invoiceLines[].invoiceTax1ID"),
        "/lines/*/taxes/*/category": carried("invoiceLines[].invoiceTax1ID", "dropped"),
        "/lines/*/taxes/*/identifiers": dropped(),
        "/discounts": refused("the API has no discount of the document"),
        "/charges": refused("the API has no charge of the document"),
        "/totals": refused("the API cannot say it, unless it is zero"),
        "/payment_terms/code": dropped(),
        "/payment_terms/note": carried("terms"),
        "/billing_period": dropped(),
        "/recurrence": dropped(),
        "/note": carried("description"),
        "/language": carried("language", "approximated"),
        "/delivery": dropped("the invoice stays a draft"),
        "/metadata": dropped(),
    },
)
