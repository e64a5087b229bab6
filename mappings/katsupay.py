"""Katsu Pay (Sabi), `POST /api/v1/Invoice/Create`.

Vendor page: "Create Invoice" of sabi-docs; of its two shapes the generated one is sent, both answers are read.
Lost: number, issue date, all texts of lines, addresses. The caller's reference goes to the end of the description.
Cannot be said: tax that differs between lines; charges of the document; prepaid amounts and rounding; a line discount
that is no round unit price. There is no way to ask for an invoice again.
"""

from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, Raw, Struct, structs

from gateway.core.dialect import Dialect, Draft, Translation
from gateway.core.errors import Fault
from gateway.core.exchange import Conversation, Reply, Request, Unreadable, day, decoder, figure, identity, text_of
from gateway.core.invoice import Tax, Text
from gateway.core.losses import carried, dropped, folded, refused
from gateway.core.money import HUNDRED, ZERO, rounded, total
from gateway.core.result import Created, Rejected, Stated, Totals
from gateway.core.wire import JSON, body, price

PLACES = 2


class DiscountTypes(Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers by which this account says the two kinds of discount."""

    percent: int
    amount: int


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """`discount_before_tax`: whether the account takes the discount off before it computes tax."""

    receiving_account: str
    account_name: str | None = None
    discount_types: DiscountTypes | None = None
    discount_before_tax: bool = True
    recurrence: dict[str, int] = {}


class Extension(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Fields that only Katsu Pay has; the numbers are enumerations of the account."""

    notification: tuple[int, ...] | None = None
    paymentMethods: tuple[int, ...] | None = None
    beforeDueDates: tuple[int, ...] | None = None
    afterDueDates: tuple[int, ...] | None = None
    onDueDate: bool | None = None
    billingCycle: int | None = None
    recuringInvoice: bool | None = None
    counterPartyName: Text | None = None
    accountName: Text | None = None


class Product(Struct, frozen=True):
    """`products[]`."""

    productId: str
    quantity: Annotated[int, Meta(ge=1)]
    unitPrice: Decimal


class TaxRequest(Struct, frozen=True):
    """`taxes[]`, of the whole invoice."""

    taxId: str
    taxPercentageValue: Decimal


class Discount(Struct, frozen=True):
    """`discount`, of the whole invoice."""

    discountType: int
    discountValue: Decimal


class InvoiceRequest(Extension, frozen=True, omit_defaults=True, kw_only=True):
    """The body of the request; `recuringInvoice` is how the API spells it."""

    counterPartyId: str
    receivingAccountId: str
    dueDate: str
    currency: int
    products: list[Product]
    taxes: list[TaxRequest] | None = None
    discount: Discount | None = None
    description: str | None = None
    sendInvoice: bool | None = None


class Answer(Struct, frozen=True):
    """The wrapper of a success and of most errors, or the flat invoice of the page's first example."""

    succeeded: bool | None = None
    message: str | None = None
    errors: list[str] | dict[str, list[str]] | None = None
    data: "Made | None" = None
    title: str | None = None
    invoiceId: str | None = None
    amount: Raw = Raw()
    currency: str | None = None
    status: str | int | None = None
    dueDate: str | None = None


class Made(Struct, frozen=True):
    """`data`: the new invoice."""

    invoiceId: str | None = None
    amount: Raw = Raw()


class PascalAnswer(Struct, frozen=True):
    """The wrapper as the error middleware writes it."""

    Succeeded: bool | None = None
    Message: str | None = None
    Errors: list[str] | None = None


read_answer = decoder(Answer)
read_pascal = decoder(PascalAnswer)


def create(translation: Translation, repeat: bool) -> Conversation:  # noqa: ARG001 - nothing protects a repeat
    """Create; there is nothing to ask afterwards."""
    seen = yield translation.request
    if not isinstance(seen, Reply):
        return seen
    answer, pascal = read_answer(seen), read_pascal(seen)
    if seen.status < 300 and answer.succeeded is not False and pascal.Succeeded is not False:
        return normalize(seen, answer)
    if seen.status >= 400 and True in (answer.succeeded, pascal.Succeeded):
        raise Unreadable(f"status {seen.status} with a success inside")
    words = text_of(answer.message or pascal.Message or answer.title)
    faults = _faults(answer.errors if answer.errors is not None else pascal.Errors)
    refused = False in (answer.succeeded, pascal.Succeeded)
    if seen.status >= 400 and not (refused or faults or answer.title):  # a message alone may be anybody's
        raise Unreadable(f"status {seen.status} without a reason that could be read")
    return Rejected(seen.status, str(seen.status), words or "no reason given", faults)


def _faults(errors: list[str] | dict[str, list[str]] | None) -> tuple[Fault, ...]:
    """The upstream's own list of errors; a map is of its field names."""
    named = errors.items() if isinstance(errors, dict) else [("", errors or [])]
    return tuple(
        Fault("", "upstream", text_of(f"{name}: {text}" if name else text)) for name, texts in named for text in texts
    )


def translate(draft: Draft) -> Translation:
    """The invoice as a Katsu Pay invoice."""
    invoice, totals, settings = draft.invoice, draft.totals, draft.settings
    if invoice.due_date is None:
        draft.refuse("/due_date", "missing", "the API requires a due date")
    products = [_product(draft, index) for index in range(len(invoice.lines))]
    taxes = _taxes(draft)
    discount = _discount(draft, products)
    draft.only_none("charges", invoice.charges, "the API has no charge of the document")
    draft.only_zero("prepaid_total", "rounding")
    claim = predict(products, taxes, _reduction(products, discount, settings), settings.discount_before_tax)
    causes = [pointer for pointer, there in (("/discounts", discount), ("/lines/0/taxes", taxes)) if there]
    draft.claims(claim, totals.amount_due, *causes)
    due = (invoice.due_date or invoice.issue_date).isoformat()
    request = InvoiceRequest(
        **_optional(draft),
        counterPartyId=draft.find_text(
            "customers", "/customer/id", invoice.customer.id or "", invoice.customer.identifiers
        ),
        receivingAccountId=settings.receiving_account,
        dueDate=f"{due}T00:00:00.000Z",
        currency=draft.find_number("currencies", "/currency", invoice.currency),
        products=products,
        taxes=taxes or None,
        discount=discount,
        description=f"{invoice.note}\n{invoice.external_id}" if invoice.note else invoice.external_id,
        sendInvoice=invoice.delivery.send,
    )
    expected = Stated(
        currency=invoice.currency,
        due_date=due,
        totals=Totals(tax_inclusive_total=totals.tax_inclusive_total, amount_due=totals.amount_due),
    )
    return draft.translation(Request("POST", "/api/v1/Invoice/Create", body(request), JSON), claim, expected)


def _optional(draft: Draft) -> dict[str, Any]:
    """Wire fields that an extension, a canonical field and a setting could fill, in this order of precedence."""
    invoice, settings, extension = draft.invoice, draft.settings, draft.extension()
    passed = structs.asdict(extension)
    if extension.counterPartyName is None:
        passed["counterPartyName"] = invoice.customer.name
    elif invoice.customer.name is not None:
        draft.lose("/customer/name", "dropped", None, "the extension's counterPartyName is sent")
    if extension.accountName is None:
        passed["accountName"] = settings.account_name
    if invoice.recurrence is not None:
        passed |= _recurring(draft, invoice.recurrence, extension)
    return passed


def _recurring(draft: Draft, recurrence: str, extension: Extension) -> dict[str, Any]:
    known = draft.settings.recurrence
    if given := [name for name in ("billingCycle", "recuringInvoice") if getattr(extension, name) is not None]:
        draft.lose("/recurrence", "dropped", None, f"sent as the extension says: {', '.join(given)}")
    if extension.billingCycle is None and recurrence not in known:
        draft.refuse("/recurrence", "missing-setting", f"settings.recurrence has no entry for {recurrence}")
    return {
        "billingCycle": known.get(recurrence) if extension.billingCycle is None else extension.billingCycle,
        "recuringInvoice": True if extension.recuringInvoice is None else extension.recuringInvoice,
    }


def _product(draft: Draft, index: int) -> Product:
    line, pointer = draft.invoice.lines[index], f"/lines/{index}"
    quantity, unit_price = price(draft, index, PLACES, whole=True)
    if quantity < 1:
        draft.refuse(f"{pointer}/quantity", "range", "the API wants a quantity of at least 1")
    if unit_price < ZERO:
        draft.refuse(f"{pointer}/unit_price", "range", "the API wants a price that is not negative")
    own = draft.find_text("items", f"{pointer}/item/id", line.item.id, line.item.identifiers)
    return Product(own, int(quantity), unit_price)


def _taxes(draft: Draft) -> list[TaxRequest]:
    """The taxes of the document: those of its first line, which all lines must have."""
    first = draft.invoice.lines[0].taxes
    found = ((tax, draft.find_tax(f"/lines/0/taxes/{position}", tax)) for position, tax in enumerate(first))
    sent = [(tax, entry) for tax, entry in found if entry is not None]
    if len(sent) < len(first) or any(line.taxes != first for line in draft.invoice.lines):
        _compare(draft, first, [tax for tax, _ in sent])
    return [TaxRequest(str(entry.id), tax.rate) for tax, entry in sent]


def _compare(draft: Draft, first: tuple[Tax, ...], sent: list[Tax]) -> None:
    """What the taxes of later lines lose where those of the first are `sent`; refused where that is money."""
    others = list(enumerate(draft.invoice.lines))[1:]
    others_differ = [index for index, line in others if _rates(line.taxes) != _rates(first)]
    for index in [0, *others_differ] if others_differ else ():
        draft.refuse(f"/lines/{index}/taxes", "money", "the API has one set of taxes for the whole invoice")
    for index, line in others:
        for position, tax in enumerate(line.taxes):
            _note_repeated(draft, tax, f"/lines/{index}/taxes/{position}", sent)


def _note_repeated(draft: Draft, tax: Tax, pointer: str, sent: list[Tax]) -> None:
    """A tax of a later line is said by the first line's; what it has of its own beyond the rate is lost."""
    detail, dialect = "the first line's tax is sent", draft.upstream.dialect.name
    for name in ("category", "id"):
        own = getattr(tax, name)
        if own is not None and own not in [getattr(other, name) for other in sent]:
            draft.lose(f"{pointer}/{name}", "dropped", None, detail)
    own = tax.identifiers.get(dialect)
    if own is not None and own not in [other.identifiers.get(dialect) for other in sent]:
        draft.lose(f"{pointer}/identifiers/{dialect}", "dropped", None, detail)


def _rates(taxes: tuple[Tax, ...]) -> list[Decimal]:
    return sorted(tax.rate for tax in taxes if tax.rate)


def _discount(draft: Draft, products: list[Product]) -> Discount | None:
    """The discounts of the document as one: of their percentages if all have one and it comes to the same money."""
    discounts, types = draft.invoice.discounts, draft.settings.discount_types
    if not discounts:
        return None
    if types is None:
        draft.only_none("discounts", discounts, "needs the setting discount_types")
        return None
    for index, each in enumerate(discounts):
        if each.amount < ZERO:
            draft.refuse(f"/discounts/{index}/amount", "range", "the API wants a discount that is not negative")
    # What prices that include tax take off is less than it says: the discount is sent as the prices are, without tax.
    amount, percents = draft.totals.discount_total, [each.percent for each in discounts]
    by_percent = Discount(types.percent, total(percent for percent in percents if percent is not None))
    if None not in percents and _reduction(products, by_percent, draft.settings) == amount:
        return by_percent
    for index, percent in enumerate(percents):
        if percent is not None:
            draft.lose(f"/discounts/{index}/percent", "folded", "discount", "is a part of the amount")
        if draft.invoice.prices_include_tax:
            draft.lose(f"/discounts/{index}/amount", "folded", "discount", "is sent without tax")
    return Discount(types.amount, amount)


def _reduction(products: list[Product], discount: Discount | None, settings: Settings) -> Decimal:
    """What the discount takes off."""
    if discount is None or settings.discount_types is None:
        return ZERO
    if discount.discountType == settings.discount_types.amount:
        return discount.discountValue
    return rounded(_subtotal(products) * discount.discountValue / HUNDRED, PLACES)


def _subtotal(products: list[Product]) -> Decimal:
    return total(product.quantity * product.unitPrice for product in products)


def predict(products: list[Product], taxes: list[TaxRequest], reduction: Decimal, before_tax: bool) -> Decimal:
    """The money rule: products less discount, then each tax at two decimals, of the sum as the setting says."""
    subtotal = _subtotal(products)
    base = subtotal - reduction if before_tax else subtotal
    tax = total(rounded(base * each.taxPercentageValue / HUNDRED, PLACES) for each in taxes)
    return rounded(subtotal - reduction + tax, PLACES)


def normalize(reply: Reply, answer: Answer) -> Created:
    """A success: in the wrapper, or flat as in the page's first example.

    Raises:
        Unreadable: it has no id.
    """
    if answer.succeeded is True and answer.data is not None:
        own, amount, flat = identity(answer.data.invoiceId), figure(answer.data.amount), Answer()
    elif answer.succeeded is None:
        own, amount, flat = identity(answer.invoiceId), figure(answer.amount), answer
    else:
        own = None
    if own is None:
        raise Unreadable("neither succeeded with an invoiceId nor refused")
    stated = Stated(
        id=own,
        status_raw=text_of(str(flat.status)) if flat.status is not None else None,
        currency=flat.currency,
        due_date=day(flat.dueDate),
        totals=Totals(tax_inclusive_total=amount, amount_due=amount),
    )
    return Created(stated, reply.status, str(reply.status), text_of(answer.message) or None)


DIALECT = Dialect(
    name="katsupay",
    api="Katsu Pay API v1",
    endpoint="POST /api/v1/Invoice/Create",
    auth=("none", "header", "bearer"),
    settings=Settings,
    extension=Extension,
    crosswalks={"customers": True, "items": True, "taxes": False, "currencies": True},
    protection="none",
    money_rule="Σ quantity × unitPrice − discount, then each tax at 2 decimals; of which sum, the setting says",
    translate=translate,
    create=create,
    fields={
        "/external_id": carried("description"),
        "/number": dropped(),
        "/issue_date": dropped(),
        "/due_date": carried("dueDate"),
        "/currency": carried("currency"),
        "/exchange_rate": dropped(),
        "/prices_include_tax": folded("products[].unitPrice", noted=True),
        "/supplier": dropped("receivingAccountId, a setting, is the supplier"),
        "/customer": dropped("the customer is known by id"),
        "/customer/id": carried("counterPartyId"),
        "/customer/name": carried("counterPartyName", "dropped"),
        "/references": dropped(),
        "/lines": dropped(),
        "/lines/*/item/id": carried("products[].productId"),
        "/lines/*/quantity": carried("products[].quantity", "folded"),
        "/lines/*/unit_price": carried("products[].unitPrice", "folded"),
        "/lines/*/discounts/*/amount": folded("products[].unitPrice", noted=True),
        "/lines/*/discounts/*/percent": folded("products[].unitPrice"),
        "/lines/*/charges/*/amount": folded("products[].unitPrice", noted=True),
        "/lines/*/charges/*/percent": folded("products[].unitPrice"),
        "/lines/*/taxes": carried("taxes[].taxId", "dropped"),
        "/lines/*/taxes/*/identifiers": dropped(),
        "/discounts": carried("discount", "folded"),
        "/discounts/*/reason": dropped(),
        "/discounts/*/taxes": dropped("discount_before_tax, a setting, decides what tax it lowers"),
        "/charges": refused("the API has no charge of the document"),
        "/totals": refused("the API cannot say it, unless it is zero"),
        "/payment_terms": dropped(),
        "/billing_period": dropped(),
        "/recurrence": carried("billingCycle", "dropped"),
        "/note": carried("description"),
        "/language": dropped(),
        "/delivery": carried("sendInvoice"),
        "/metadata": dropped(),
    },
)
