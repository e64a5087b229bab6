"""An invoice of the simulated Exsited: the orders that exist, and the whole answer that one of them becomes.

In v3 every amount, rate, quantity, version and truth is a string.
"""

from decimal import Decimal
from typing import Any

from msgspec import Struct

from gateway.core.money import HUNDRED, ZERO, exact, plain, rounded, total

ISSUED = "2026-06-30T00:00:00Z"
DUE = "2026-07-30T00:00:00Z"
CREATED = "2026-06-30T10:15:00Z"

Invoice = dict[str, Any]


class OrderLine(Struct, frozen=True):
    """A line of an order; the tax rate is a percentage."""

    item: str
    quantity: Decimal
    price: Decimal
    tax_rate: Decimal


class Order(Struct, frozen=True):
    """An order that exists; due 30 days after its invoice's date."""

    id: str
    currency: str
    account: str
    lines: tuple[OrderLine, ...]


def _lines(tax_rate: str, *lines: tuple[str, str, str]) -> tuple[OrderLine, ...]:
    return tuple(
        OrderLine(item, Decimal(quantity), Decimal(price), Decimal(tax_rate)) for item, quantity, price in lines
    )


_REPAIR = _lines(
    "20",
    ("labour", "2", "95.00"),
    ("brake-pads", "1", "149.50"),
    ("oil-5w30", "5", "8.90"),
    ("oil-filter", "1", "16.00"),
    ("disposal", "1", "10.00"),
)
ORDERS = {
    order.id: order
    for order in (
        Order("ORD-76GOU2-1001", "USD", "ACC-88", _REPAIR),
        Order("ORD-76GOU2-1002", "USD", "ACC-88", _lines("0", ("labour", "1", "100.00"))),
    )
}


def invoice_of(count: int, number: str, order: Order, note: str) -> Invoice:
    """The invoice that an order becomes; `count` makes its uuids."""
    with exact():
        lines = [_line(count, at, line) for at, line in enumerate(order.lines, 1)]
        subtotal = total(Decimal(line["subtotal"]) for line in lines)
        tax = total(Decimal(line["tax"]["amount"]) for line in lines)
        gross = plain(subtotal + tax)
    return {
        "status": "ACTIVE",
        "id": number,
        "type": "LINKED_WITH_ORDER",
        "custom_form": {"uuid": _uuid(1, 0), "name": "Default Invoice"},
        "currency": {"uuid": _uuid(2, 0), "name": order.currency, "link": f"/api/v3/currencies/{order.currency}"},
        "customer_purchase_order_id": "",
        **_dates(),
        "subtotal": plain(subtotal),
        "tax": plain(tax),
        "total": gross,
        "paid": "0.00",
        "due": gross,
        "payment_status": "UNPAID",
        "last_payment": None,
        "discount_amount": "0.00",
        "price_tax_inclusive": "false",
        "invoice_note": note,
        "account_id": order.account,
        "order_id": order.id,
        "kpis": _kpis(gross),
        "created_by": "Sandbox",
        "created_on": CREATED,
        "last_updated_by": "",
        "last_updated_on": "",
        "uuid": _uuid(3, count),
        "version": "1",
        "custom_attributes": [{"name": "site", "value": "workshop"}],
        "custom_objects": [],
        "lines": lines,
    }


def _uuid(kind: int, count: int) -> str:
    return f"{kind:08d}-0000-4000-8000-{count:012d}"


def _dates() -> dict[str, str]:
    """The dates of a bill that does not recur."""
    unset = ("billing_start_date", "alternate_billing_start_date", "billing_end_date", "alternate_billing_end_date")
    issued = dict.fromkeys(("issue_date", "alternate_issue_date"), ISSUED)
    return dict.fromkeys(unset, "") | issued | dict.fromkeys(("due_date", "alternate_due_date"), DUE)


def _kpis(outstanding: str) -> dict[str, str]:
    amounts = dict.fromkeys(("overdue", "payment_applied", "credit_applied", "credit_issued"), "0.00")
    moments = ("last_payment_date", "last_reactivated_on", "last_cancelled_on", "last_amended_on")
    return {"outstanding": outstanding, **amounts, **dict.fromkeys((*moments, "voided_on", "deleted_on"), "")}


def _line(count: int, at: int, line: OrderLine) -> dict[str, Any]:
    subtotal = rounded(line.quantity * line.price, 2)
    tax = rounded(subtotal * line.tax_rate / HUNDRED, 2)
    code = "TAXED" if line.tax_rate > ZERO else "EXEMPT"
    dates = ("charging_start_date", "alternate_charging_start_date", "charging_end_date", "alternate_charging_end_date")
    return {
        "subtotal": plain(subtotal),
        "total": plain(subtotal + tax),
        "tax": {
            "amount": plain(tax),
            "uuid": _uuid(4, 0),
            "code": code,
            "rate": plain(line.tax_rate),
            "link": f"/api/v3/taxes/{code}",
        },
        "accounting_code": {"sales_revenue": "Sales"},
        "item_uuid": _uuid(5, at),
        "item_id": line.item,
        "item_order_quantity": plain(line.quantity),
        "item_uom": "unit",
        "item_warehouse": "Default",
        "pricing_snapshot_uuid": _uuid(6, at),
        **dict.fromkeys(dates, ""),
        "uuid": _uuid(7, count * 1000 + at),
        "version": "1",
    }


def as_v4(invoice: Invoice) -> Invoice:
    """The same invoice with numbers and booleans where v4 has them."""
    kpis = invoice["kpis"]
    return {
        **invoice,
        "version": int(invoice["version"]),
        "discount_amount": Decimal(invoice["discount_amount"]),
        "price_tax_inclusive": invoice["price_tax_inclusive"] == "true",
        "kpis": {**kpis, "outstanding": Decimal(kpis["outstanding"]), "overdue": 0},
        "lines": [_line_as_v4(line) for line in invoice["lines"]],
    }


def _line_as_v4(line: dict[str, Any]) -> dict[str, Any]:
    return {
        **line,
        "version": int(line["version"]),
        "item_order_quantity": int(line["item_order_quantity"]),
        "tax": {**line["tax"], "rate": Decimal(line["tax"]["rate"])},
    }
