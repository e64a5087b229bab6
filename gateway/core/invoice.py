"""The canonical invoice: what callers send. Names follow UBL 2.1 / EN 16931 (business terms in the docstrings)."""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

from gateway.core import codes
from gateway.core.money import DIGITS, Amount

# What `extra_json_schema` says is checked elsewhere (`parse`); it is here so that the published schema says it, too.
_CLEAN = {"pattern": codes.CLEAN}

Id = Annotated[str, Meta(min_length=1, max_length=255, extra_json_schema=_CLEAN)]
Text = Annotated[str, Meta(min_length=1, max_length=4000, extra_json_schema=_CLEAN)]
Currency = Annotated[str, Meta(min_length=2, max_length=3, extra_json_schema={"enum": sorted(DIGITS)})]
Country = Annotated[str, Meta(min_length=2, max_length=3, extra_json_schema={"enum": sorted(codes.COUNTRIES)})]
Identifiers = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64)], Id],
    Meta(max_length=20, description="scheme (an ISO 6523 code such as 0088, or a dialect's name) to value"),
]
Labels = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=63, extra_json_schema=_CLEAN)],
        Annotated[str, Meta(max_length=255, extra_json_schema=_CLEAN)],
    ],
    Meta(max_length=16),
]
Metadata = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=64, extra_json_schema=_CLEAN)],
        Annotated[str, Meta(max_length=500, extra_json_schema=_CLEAN)],
    ],
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
    country: Country | None = None


class Party(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The seller (BG-4) or the buyer (BG-7); `id` is the caller's own id of the party."""

    id: Id | None = None
    name: Text | None = None
    email: Id | None = None
    tax_id: Id | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None
    identifiers: Identifiers = {}


Buyer = Annotated[Party, Meta(extra_json_schema={"required": ["id"], "properties": {"id": {"type": "string"}}})]


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
    currency: Currency
    customer: Buyer
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
