"""The myKaarma Payments API v4, `POST /payment/v4/departments/{departmentUuid}/invoices`.

Vendor page: "Create Invoice" of docs.mykaarma.com.
Lost: everything about lines; the API has one amount. Number, due date, purchase order and metadata are attributes.
Cannot be said: a currency, the department has one; more than two decimals. An error can stand beside an invoice inside
a 200. There is no way to ask for an invoice whose id is not known.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Raw, Struct

from gateway.core.dialect import Dialect, Draft, Translation
from gateway.core.errors import Fault
from gateway.core.exchange import (
    Conversation,
    Reply,
    Request,
    Unreadable,
    day,
    decoder,
    figure,
    identity,
    segment,
    text_of,
)
from gateway.core.invoice import Text
from gateway.core.losses import carried, dropped, folded
from gateway.core.money import ZERO, Amount, fits, plain, rounded
from gateway.core.result import Created, NotSent, Outcome, Rejected, Stated, Totals, Unknown, UpstreamWarning
from gateway.core.wire import JSON, body
from gateway.core.wording import escape

# Error codes that say that the gateway may not do this (credentials), and that nobody knows what happened.
UNAUTHORIZED = frozenset(("100001", "100002", "100003", "100004", "100008", "100009"))
INDETERMINATE = frozenset(("100005", "100007"))

Moment = Annotated[datetime, Meta(tz=True)]


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """`department` and the currency that it bills in; the others are sent with every invoice that names none."""

    department: str
    currency: str
    dealer: str | None = None
    associate: str | None = None
    associate_department: str | None = None
    attach_invoice: bool | None = None

    def __post_init__(self) -> None:
        """Refuse a department that could not stand in a path."""
        segment(self.department)


class Extension(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Fields that only myKaarma has; times with a zone, such as 2026-06-30T10:15:00Z."""

    refundedAmount: Amount | None = None
    paidDate: Moment | None = None
    signatureFileName: Text | None = None
    reminderDate: Moment | None = None
    reminderMileage: int | None = None
    fileName: Text | None = None
    paymentDeclines: Text | None = None
    invoiceAttributes: dict[str, str] = {}
    dealerUuid: Text | None = None
    dealerAssociateUuid: Text | None = None
    dealerAssociateDepartmentUuid: Text | None = None
    attachInvoice: bool | None = None
    departmentUuid: Text | None = None


class InvoiceRequest(Struct, frozen=True, omit_defaults=True):
    """The body of the request."""

    amount: Decimal
    invoiceAttributes: dict[str, str]
    description: str | None = None
    refundedAmount: Decimal | None = None
    paidDate: str | None = None
    signatureFileName: str | None = None
    reminderDate: str | None = None
    reminderMileage: int | None = None
    fileName: str | None = None
    paymentDeclines: str | None = None
    dealerUuid: str | None = None
    orderUuid: str | None = None
    customerUuid: str | None = None
    dealerAssociateDepartmentUuid: str | None = None
    dealerAssociateUuid: str | None = None
    attachInvoice: bool | None = None


class Error(Struct, frozen=True):
    """One of `errors`, or `error` of a sibling endpoint, whose code is text."""

    errorCode: int | str | None = None
    errorTitle: str | None = None
    errorMessage: str | None = None
    errorDescription: str | None = None


class Warned(Struct, frozen=True):
    """One of `warnings`."""

    warningCode: int | str | None = None
    warningTitle: str | None = None
    warningMessage: str | None = None
    warningDescription: str | None = None


class InvoiceRead(Struct, frozen=True):
    """`invoice`: what was created."""

    id: int | None = None
    guid: str | None = None
    invoiceStatus: str | None = None
    amount: Raw = Raw()
    invoiceDate: str | None = None


class Answer(Struct, frozen=True):
    """One shape for everything, success or not."""

    errors: list[Error] | None = None
    error: Error | None = None
    warnings: list[Warned] | None = None
    invoice: InvoiceRead | None = None


read_answer = decoder(Answer)


def create(translation: Translation, repeat: bool) -> Conversation:  # noqa: ARG001 - nothing protects a repeat
    """Create; there is nothing to ask afterwards."""
    seen = yield translation.request
    if not isinstance(seen, Reply):
        return seen
    answer = read_answer(seen)
    errors = [*(answer.errors or []), *([answer.error] if answer.error else [])]
    made = answer.invoice
    if made is not None and (identity(made.guid) or identity(made.id)):
        if seen.status >= 300:
            raise Unreadable(f"status {seen.status} with an invoice inside")
        return normalize(seen, answer, errors, made)
    return _failed(seen, errors) if errors else _neither(seen)


def _neither(reply: Reply) -> Unknown:
    return Unknown("unreadable", f"status {reply.status} with neither an invoice nor an error", reply.status)


def _failed(reply: Reply, errors: list[Error]) -> Outcome:
    """Errors without an invoice: what they mean is in their codes, not in the status."""
    faults = tuple(Fault("", str(error.errorCode or "upstream"), _reason(error)) for error in errors)
    for fault in faults:
        if fault.code in INDETERMINATE:
            return Unknown("server-error", fault.detail, reply.status, fault.code)
    for fault in faults:
        if fault.code in UNAUTHORIZED:
            return NotSent("unauthorized", f"the upstream refused the credentials: {fault.detail}", reply.status)
    return Rejected(reply.status, str(errors[0].errorCode or reply.status), faults[0].detail, faults)


def _reason(error: Error) -> str:
    return _words(error.errorTitle, error.errorMessage, error.errorDescription) or "no reason given"


def _words(title: str | None, message: str | None, description: str | None) -> str:
    """Message and description, or else the title: the description alone names what is wrong."""
    return text_of(": ".join(dict.fromkeys(text for text in (message, description) if text)) or title)


def translate(draft: Draft) -> Translation:
    """The invoice as a myKaarma invoice: one amount, and what describes it."""
    invoice, totals, settings, extension = draft.invoice, draft.totals, draft.settings, draft.extension()
    if invoice.currency != settings.currency:
        draft.refuse("/currency", "currency", f"the department bills in {settings.currency}, not {invoice.currency}")
    if not fits(totals.amount_due, 2):
        draft.refuse("/totals/amount_due", "precision", f"{plain(totals.amount_due)} has more than two decimals")
    draft.claims(totals.amount_due, totals.amount_due)
    request = InvoiceRequest(
        amount=totals.amount_due,
        invoiceAttributes=_attributes(draft, extension),
        description=invoice.note,
        refundedAmount=_refunded(draft, extension.refundedAmount),
        paidDate=_moment(draft, "paidDate", extension.paidDate),
        signatureFileName=extension.signatureFileName,
        reminderDate=_moment(draft, "reminderDate", extension.reminderDate),
        reminderMileage=extension.reminderMileage,
        fileName=extension.fileName,
        paymentDeclines=extension.paymentDeclines,
        dealerUuid=_dealer(draft, extension),
        orderUuid=_order(draft),
        customerUuid=draft.find_text(
            "customers", "/customer/id", invoice.customer.id or "", invoice.customer.identifiers
        ),
        dealerAssociateDepartmentUuid=extension.dealerAssociateDepartmentUuid or settings.associate_department,
        dealerAssociateUuid=extension.dealerAssociateUuid or settings.associate,
        attachInvoice=settings.attach_invoice if extension.attachInvoice is None else extension.attachInvoice,
    )
    path = f"/payment/v4/departments/{_department(draft, extension)}/invoices"
    expected = Stated(totals=Totals(amount_due=rounded(totals.amount_due, 2)))
    return draft.translation(Request("POST", path, body(request), JSON), totals.amount_due, expected)


def _department(draft: Draft, extension: Extension) -> str:
    try:
        return segment(extension.departmentUuid or draft.settings.department)
    except ValueError as error:
        draft.refuse(f"/extensions/{draft.upstream.dialect.name}/departmentUuid", "path", str(error))
        return ""


def _dealer(draft: Draft, extension: Extension) -> str | None:
    supplier, dialect = draft.invoice.supplier, draft.upstream.dialect.name
    if supplier is None or (supplier.id is None and dialect not in supplier.identifiers):
        return extension.dealerUuid or draft.settings.dealer
    if extension.dealerUuid is not None:
        pointer = "/supplier/id" if supplier.id is not None else f"/supplier/identifiers/{dialect}"
        draft.lose(pointer, "dropped", None, "the extension's dealerUuid is sent")
        return extension.dealerUuid
    return draft.find_text("suppliers", "/supplier/id", supplier.id or "", supplier.identifiers)


def _order(draft: Draft) -> str | None:
    order = draft.invoice.references.order
    return None if order is None else draft.find_text("orders", "/references/order", order)


def _attributes(draft: Draft, extension: Extension) -> dict[str, str]:
    """The free attributes: what has no field of its own, then the caller's metadata, then the extension's."""
    invoice = draft.invoice
    ours = {"external_id": invoice.external_id}
    if invoice.number is not None:
        ours["number"] = invoice.number
    if invoice.due_date is not None:
        ours["due_date"] = invoice.due_date.isoformat()
    if invoice.references.purchase_order is not None:
        ours["purchase_order"] = invoice.references.purchase_order
    theirs = extension.invoiceAttributes
    for key in [key for key in invoice.metadata if key in ours or key in theirs]:
        draft.lose(f"/metadata/{escape(key)}", "dropped", None, "the attribute of that name is taken")
    for key in [key for key in ours if key in theirs]:
        if key == "external_id":
            where = f"/extensions/{draft.upstream.dialect.name}/invoiceAttributes/{key}"
            draft.refuse(where, "reserved", "a reference is never in an extension")
        else:
            pointer = "/references/purchase_order" if key == "purchase_order" else f"/{key}"
            draft.lose(pointer, "dropped", None, "the extension's attribute of that name is sent")
    return invoice.metadata | ours | theirs


def _refunded(draft: Draft, amount: Decimal | None) -> Decimal | None:
    if amount is not None and (amount < ZERO or not fits(amount, 2)):
        where = f"/extensions/{draft.upstream.dialect.name}/refundedAmount"
        draft.refuse(where, "range", f"{plain(amount)} is below zero or has more than two decimals")
    return amount


def _moment(draft: Draft, name: str, moment: datetime | None) -> str | None:
    """A time as the API writes it: UTC, milliseconds, `Z`."""
    if moment is None:
        return None
    try:
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        draft.refuse(f"/extensions/{draft.upstream.dialect.name}/{name}", "range", "there is no such time in UTC")
        return None


def normalize(reply: Reply, answer: Answer, errors: list[Error], made: InvoiceRead) -> Created:
    """What was created. Errors beside an invoice do not unmake it: they are warnings."""
    guid, own = identity(made.guid), identity(made.id)
    amount = figure(made.amount)
    stated = Stated(
        id=guid or own,
        status_raw=text_of(made.invoiceStatus) or None,
        issue_date=day(made.invoiceDate),
        totals=Totals(amount_due=amount),
    )
    warnings = [UpstreamWarning(str(error.errorCode or ""), _reason(error)) for error in errors]
    for each in answer.warnings or []:
        words = _words(each.warningTitle, each.warningMessage, each.warningDescription)
        warnings.append(UpstreamWarning(str(each.warningCode or ""), words))
    ids = {"id": own} if guid and own else {}
    return Created(stated, reply.status, str(reply.status), ids=ids, warnings=tuple(warnings))


DIALECT = Dialect(
    name="mykaarma",
    api="myKaarma Payments API v4",
    endpoint="POST /payment/v4/departments/{departmentUuid}/invoices",
    auth=("basic",),
    settings=Settings,
    extension=Extension,
    crosswalks={"customers": True, "orders": False, "suppliers": False},
    protection="none",
    money_rule="amount is the claim",
    translate=translate,
    create=create,
    fields={
        "/external_id": carried("invoiceAttributes.external_id"),
        "/number": carried("invoiceAttributes.number", "dropped"),
        "/issue_date": dropped("the server sets invoiceDate"),
        "/due_date": carried("invoiceAttributes.due_date", "dropped"),
        "/currency": carried("departmentUuid"),
        "/exchange_rate": dropped(),
        "/prices_include_tax": folded("amount"),
        "/supplier": dropped("the supplier is known by id"),
        "/supplier/id": carried("dealerUuid", "dropped"),
        "/customer": dropped("the customer is known by id"),
        "/customer/id": carried("customerUuid"),
        "/references/order": carried("orderUuid"),
        "/references/purchase_order": carried("invoiceAttributes.purchase_order", "dropped"),
        "/references/contract": dropped(),
        "/lines": dropped("the API has one amount and no lines"),
        "/lines/*/quantity": folded("amount"),
        "/lines/*/unit_price": folded("amount"),
        "/lines/*/discounts/*/amount": folded("amount"),
        "/lines/*/discounts/*/percent": folded("amount"),
        "/lines/*/charges/*/amount": folded("amount"),
        "/lines/*/charges/*/percent": folded("amount"),
        "/lines/*/taxes/*/rate": folded("amount"),
        "/discounts": dropped("the API has one amount and no discounts"),
        "/discounts/*/amount": folded("amount"),
        "/discounts/*/percent": folded("amount"),
        "/discounts/*/taxes/*/rate": folded("amount"),
        "/charges": dropped("the API has one amount and no charges"),
        "/charges/*/amount": folded("amount"),
        "/charges/*/percent": folded("amount"),
        "/charges/*/taxes/*/rate": folded("amount"),
        "/totals": folded("amount"),
        "/payment_terms": dropped(),
        "/billing_period": dropped(),
        "/recurrence": dropped(),
        "/note": carried("description"),
        "/language": dropped(),
        "/delivery": dropped("attachInvoice is a setting"),
        "/metadata": carried("invoiceAttributes", "dropped"),
    },
)
