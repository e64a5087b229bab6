"""The canonical invoice: what callers send. Names follow UBL 2.1 / EN 16931 (business term in the docstrings).

`parse` has a fast way, one typed decode, and a slow one that is taken only when something is wrong or may be: it finds
every fault at once and names each by its pointer.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from gateway.core import codes, schema
from gateway.core.errors import Fault, InvalidInvoice, MalformedJson
from gateway.core.money import DIGITS, ZERO, Amount, decode_amount

Id = Annotated[str, Meta(min_length=1, max_length=255)]
Text = Annotated[str, Meta(min_length=1, max_length=4000)]
Code = Annotated[str, Meta(min_length=2, max_length=3)]
Identifiers = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64)], Id],
    Meta(max_length=20, description="scheme (an ISO 6523 code such as 0088, or a dialect's name) to value"),
]
Labels = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=63)], Annotated[str, Meta(max_length=255)]],
    Meta(max_length=16),
]
Metadata = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64)], Annotated[str, Meta(max_length=500)]],
    Meta(max_length=50),
]
Extensions = Annotated[dict[str, Raw], Meta(description="dialect name to the fields that only this dialect has")]


class Address(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A postal address (BG-5, BG-8)."""

    line1: Text | None = None
    line2: Text | None = None
    city: Text | None = None
    region: Text | None = None
    postal_code: Id | None = None
    country: Code | None = None


class Party(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The seller (BG-4) or the buyer (BG-7); `id` is the caller's own id of the party."""

    id: Id | None = None
    name: Text | None = None
    email: Id | None = None
    tax_id: Id | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None
    identifiers: Identifiers = {}


class Tax(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One tax on a line: the category of UNCL 5305 (BT-151) and the rate in percent (BT-152)."""

    category: Literal["S", "Z", "E", "AE", "K", "G", "O", "L", "M", "B"]
    rate: Amount
    id: Id | None = None
    identifiers: Identifiers = {}


class Adjustment(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A discount (BG-20, BG-27) or a charge (BG-21, BG-28); `percent` must agree with `amount` if it is sent."""

    amount: Amount
    percent: Amount | None = None
    reason: Text | None = None
    taxes: tuple[Tax, ...] = ()


class Item(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is sold (BG-31); `id` is the caller's own id of the item."""

    id: Id
    name: Text | None = None
    identifiers: Identifiers = {}


class Line(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An invoice line (BG-25)."""

    id: Id
    item: Item
    quantity: Amount
    unit_price: Amount
    description: Text | None = None
    unit: Annotated[str, Meta(pattern=codes.UNIT)] | None = None
    discounts: tuple[Adjustment, ...] = ()
    charges: tuple[Adjustment, ...] = ()
    taxes: tuple[Tax, ...] = ()
    net_amount: Amount | None = None
    extensions: Extensions = {}


class References(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Documents that this invoice refers to: BT-14, BT-13, BT-12."""

    order: Id | None = None
    purchase_order: Id | None = None
    contract: Id | None = None


class StatedTotals(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The totals that a caller states (BG-22); any subset. `prepaid_total` and `rounding` are theirs to say."""

    line_total: Amount | None = None
    discount_total: Amount | None = None
    charge_total: Amount | None = None
    tax_exclusive_total: Amount | None = None
    tax_total: Amount | None = None
    tax_inclusive_total: Amount | None = None
    prepaid_total: Amount | None = None
    rounding: Amount | None = None
    amount_due: Amount | None = None


class PaymentTerms(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Payment terms (BT-20)."""

    code: Id | None = None
    note: Text | None = None


class Period(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The period that is billed (BG-14), both days inclusive."""

    start: date
    end: date


class Delivery(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the upstream shall do with the invoice once it exists."""

    send: bool = False


class Invoice(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The canonical invoice."""

    issue_date: date
    currency: Code
    customer: Party
    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=1000)]
    external_id: Annotated[str, Meta(pattern=codes.EXTERNAL_ID)] = ""
    number: Id | None = None
    due_date: date | None = None
    exchange_rate: Amount | None = None
    prices_include_tax: bool = False
    supplier: Party | None = None
    references: References = References()
    discounts: tuple[Adjustment, ...] = ()
    charges: tuple[Adjustment, ...] = ()
    totals: StatedTotals = StatedTotals()
    payment_terms: PaymentTerms = PaymentTerms()
    billing_period: Period | None = None
    recurrence: Annotated[str, Meta(pattern=codes.DURATION)] | None = None
    note: Text | None = None
    language: Annotated[str, Meta(max_length=35, pattern=codes.LANGUAGE)] | None = None
    delivery: Delivery = Delivery()
    labels: Labels = {}
    metadata: Metadata = {}
    extensions: Extensions = {}

    @property
    def digits(self) -> int:
        """Decimal places of the invoice's currency."""
        return DIGITS[self.currency]


_DECODER = msgspec.json.Decoder(Invoice, dec_hook=decode_amount)

ExtensionTypes = Mapping[str, tuple[type[Struct] | None, type[Struct] | None]]
"""Dialect name to the struct of its document extension and of its line extension; None where it has none."""


def parse(body: bytes, extension_types: ExtensionTypes, key: str | None = None) -> Invoice:
    """The invoice in `body`; `key` is the `Idempotency-Key` header, which may stand in for `external_id`.

    Raises:
        MalformedJson: `body` is not JSON in UTF-8.
        InvalidInvoice: with every fault at once.
    """
    try:
        invoice = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise invalid(_all_faults(body, extension_types, key) or [Fault("", "invalid", str(error))]) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedJson(_place(body, error)) from None
    suspicious = codes.may_hold_control(body)
    if key is not None or not invoice.external_id or suspicious:
        if faults := _all_faults(body, extension_types, key):
            raise invalid(faults)
        invoice = msgspec.structs.replace(invoice, external_id=invoice.external_id or key or "")
    elif faults := semantic_faults(invoice, extension_types):
        raise invalid(faults)
    return invoice


def _all_faults(body: bytes, extension_types: ExtensionTypes, key: str | None) -> list[Fault]:
    """The slow way: what the schema says, then what a schema cannot say of all that was not wrong already."""
    document = read_json(body)
    faults, repaired = schema.examine(document, Invoice)
    if isinstance(document, dict):
        faults += _key_faults(document.get("external_id"), key)
    places = tuple(fault.pointer for fault in faults)
    rest = semantic_faults(msgspec.convert(repaired, Invoice, dec_hook=decode_amount), extension_types)
    return faults + [fault for fault in rest if not _is_below(fault.pointer, places)]


def _is_below(pointer: str, places: tuple[str, ...]) -> bool:
    return any(pointer == place or pointer.startswith(f"{place}/") for place in places)


def invalid(faults: list[Fault]) -> InvalidInvoice:
    """The problem for `faults`, with a summary that counts them."""
    first = faults[0]
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    return InvalidInvoice(f"{first.pointer or 'the body'}: {first.detail}{more}", tuple(faults))


def read_json(body: bytes) -> object:
    """The body as plain values, numbers as `schema.Number`.

    Raises:
        MalformedJson: `body` is not JSON in UTF-8.
    """
    try:
        return schema.read_json(body)
    except (ValueError, RecursionError) as error:
        raise MalformedJson(_place(body, error)) from None


def _place(body: bytes, error: Exception) -> str:
    if body.startswith(b"\xef\xbb\xbf"):
        return "the body starts with a byte order mark"
    if isinstance(error, RecursionError):
        return "the body is nested too deep"
    return f"the body is not JSON in UTF-8: {error}" if body.strip() else "the body is empty"


def _key_faults(stated: object, key: str | None) -> Iterator[Fault]:
    if stated is None and not key:
        yield Fault("/external_id", "missing", "required, here or in the Idempotency-Key header")
    elif stated is None:
        yield from schema.faults(key, Annotated[str, Meta(pattern=codes.EXTERNAL_ID)], "/external_id")
    elif key is not None and stated != key:
        yield Fault("/external_id", "contradiction", "differs from the Idempotency-Key header")


def semantic_faults(invoice: Invoice, extension_types: ExtensionTypes) -> list[Fault]:
    """What a schema cannot say: codes on their lists, dates in order, extensions of known dialects."""
    found: list[Fault] = []
    if invoice.currency not in DIGITS:
        found.append(schema.unknown("/currency", invoice.currency, DIGITS, "an ISO 4217 code"))
    if invoice.due_date is not None and invoice.due_date < invoice.issue_date:
        found.append(Fault("/due_date", "order", f"is before the issue date, {invoice.issue_date}"))
    if invoice.billing_period is not None and invoice.billing_period.end < invoice.billing_period.start:
        found.append(Fault("/billing_period/end", "order", "is before the start"))
    if invoice.exchange_rate is not None and invoice.exchange_rate <= ZERO:
        found.append(Fault("/exchange_rate", "range", "must be above zero"))
    if invoice.recurrence is not None and not any(digit in invoice.recurrence for digit in "123456789"):
        found.append(Fault("/recurrence", "range", "must be longer than nothing"))
    if invoice.customer.id is None:
        found.append(Fault("/customer/id", "missing", "required"))
    for name, party in (("customer", invoice.customer), ("supplier", invoice.supplier)):
        if party is not None:
            found += _party_faults(f"/{name}", party, extension_types)
    for index, line in enumerate(invoice.lines):
        found += _line_faults(f"/lines/{index}", line, extension_types)
    for name, adjustments in (("discounts", invoice.discounts), ("charges", invoice.charges)):
        for index, adjustment in enumerate(adjustments):
            found += _tax_faults(f"/{name}/{index}", adjustment.taxes, extension_types)
    if invoice.extensions:
        found += _extension_faults("/extensions", invoice.extensions, extension_types, lambda types: types[0])
    return found


def _party_faults(pointer: str, party: Party, dialects: ExtensionTypes) -> Iterator[Fault]:
    for name, address in (("billing_address", party.billing_address), ("shipping_address", party.shipping_address)):
        if address is not None and address.country is not None and address.country not in codes.COUNTRIES:
            place = f"{pointer}/{name}/country"
            yield schema.unknown(place, address.country, codes.COUNTRIES, "an ISO 3166-1 alpha-2 code")
    if party.identifiers:
        yield from _scheme_faults(pointer, party.identifiers, dialects)


def _line_faults(pointer: str, line: Line, dialects: ExtensionTypes) -> Iterator[Fault]:
    if line.item.identifiers:
        yield from _scheme_faults(f"{pointer}/item", line.item.identifiers, dialects)
    if line.taxes:
        yield from _tax_faults(pointer, line.taxes, dialects)
    for name, adjustments in (("discounts", line.discounts), ("charges", line.charges)):
        for index, adjustment in enumerate(adjustments):
            if adjustment.taxes and adjustment.taxes != line.taxes:
                place = f"{pointer}/{name}/{index}/taxes"
                yield Fault(place, "contradiction", "a discount or charge of a line takes the taxes of its line")
    if line.extensions:
        yield from _extension_faults(f"{pointer}/extensions", line.extensions, dialects, lambda types: types[1])


# The categories that have no tax by definition (BR-Z-05, BR-E-05, BR-AE-05, BR-IC-05, BR-G-05, BR-O-05).
_UNTAXED = frozenset(("Z", "E", "AE", "K", "G", "O"))


def _tax_faults(pointer: str, taxes: tuple[Tax, ...], dialects: ExtensionTypes) -> Iterator[Fault]:
    for index, tax in enumerate(taxes):
        place = f"{pointer}/taxes/{index}"
        if tax.rate < ZERO or tax.rate > 100:
            yield Fault(f"{place}/rate", "range", "must be a percentage from 0 to 100")
        elif tax.rate and tax.category in _UNTAXED:
            yield Fault(f"{place}/rate", "contradiction", f"category {tax.category} has the rate 0")
        if tax.identifiers:
            yield from _scheme_faults(place, tax.identifiers, dialects)


def _scheme_faults(pointer: str, identifiers: Mapping[str, str], dialects: ExtensionTypes) -> Iterator[Fault]:
    for scheme in identifiers:
        if scheme not in dialects and codes.ICD.match(scheme) is None:
            place = f"{pointer}/identifiers/{schema.escape(scheme)}"
            yield schema.unknown(place, scheme, dialects, "an ISO 6523 code such as 0088, or a dialect")


def _extension_faults(
    pointer: str,
    extensions: Mapping[str, Raw],
    dialects: ExtensionTypes,
    pick: Callable[[tuple[type[Struct] | None, type[Struct] | None]], type[Struct] | None],
) -> Iterator[Fault]:
    for name, raw in extensions.items():
        place = f"{pointer}/{schema.escape(name)}"
        if name not in dialects:
            yield schema.unknown(place, name, dialects, "a dialect")
        elif (kind := pick(dialects[name])) is None:
            yield Fault(place, "unknown-field", f"the dialect {name} has no extension here")
        else:
            yield from schema.faults(schema.read_json(bytes(raw)), kind, place)
