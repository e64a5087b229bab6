"""An invoice of the simulated ChargeOver: what exists in the account, which fields there are, what is computed.

The page lost the names of the request's fields; the names here are those of the vendor's own clients.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct

from gateway.core.money import DIGITS, HUNDRED, ZERO, exact, rounded
from gateway.core.money import total as total_of
from gateway.sandbox import strict
from gateway.sandbox.strict import Check, Refused, is_text, is_truth

TODAY = "2026-06-30"
"""The date of an invoice that names none."""
URL = "https://chargeover.example"


class Customer(Struct, frozen=True):
    """A customer that exists; the tax rate is a percentage."""

    id: int
    external_key: str
    token: str
    tax_rate: Decimal


CUSTOMERS = (Customer(88, "acct-88", "tok-acct-88", Decimal(20)), Customer(89, "acct-89", "tok-acct-89", ZERO))
ITEMS = {239: "ordinary", 240: "ordinary", 241: "ordinary", 242: "ordinary", 243: "ordinary"} | {
    90: "discount",
    91: "charge",
}
CURRENCIES = {1: ("USD", "$"), 2: ("EUR", "€"), 3: ("JPY", "¥")}
TERMS = {1: ("Due on receipt", 0), 2: ("Net 14", 14), 3: ("Net 30", 30)}
DEFAULT_CURRENCY = 1
DEFAULT_TERMS = 3
CLASSES = ADMINS = range(1, 10)
_PAYCYCLES = "evy dly 1wk 2wk 116 4wk 8wk 30d mon 2mn 12w fst lst qtr six yrl 2yr 3yr 4yr 5yr 10y one"
PAYCYCLES = frozenset(_PAYCYCLES.split())

Invoice = dict[str, Any]


def _one_of(known: Mapping[int, object] | range) -> Check:
    return lambda value: strict.whole_of(value) in known


def _is_paycycle(value: object) -> bool:
    return isinstance(value, str) and value in PAYCYCLES


def _is_number(value: object) -> bool:
    return strict.decimal_of(value) is not None


def _is_key(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_tags(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(tag, str) for tag in value)


def _is_lines(value: object) -> bool:
    return isinstance(value, list) and value != [] and all(isinstance(line, dict) for line in value)


_ADDRESS = [
    f"{kind}_{part}"
    for kind in ("bill", "ship")
    for part in ("addr1", "addr2", "addr3", "city", "state", "postcode", "country", "notes")
]
_CUSTOM = [f"custom_{number}" for number in range(1, 21)]
_CUSTOMER_FIELDS = {"customer_id": "id", "customer_token": "token", "customer_external_key": "external_key"}

FIELDS: dict[str, Check] = {
    "refnumber": is_text,
    "external_key": _is_key,
    "customer_id": lambda value: strict.whole_of(value) is not None,
    "customer_token": is_text,
    "customer_external_key": is_text,
    "date": strict.is_day,
    "currency_id": _one_of(CURRENCIES),
    "class_id": _one_of(CLASSES),
    "paycycle": _is_paycycle,
    "terms_id": _one_of(TERMS),
    "admin_id": _one_of(ADMINS),
    **dict.fromkeys(_ADDRESS, is_text),
    **dict.fromkeys(("no_dunning", "no_latefees", "no_procfees"), is_truth),
    "memo": is_text,
    **dict.fromkeys(_CUSTOM, is_text),
    "line_items": _is_lines,
    "tags": _is_tags,
}
LINE_FIELDS: dict[str, Check] = {
    "item_id": _one_of(ITEMS),
    "paycycle": _is_paycycle,
    "descrip": is_text,
    "line_rate": _is_number,
    "line_quantity": _is_number,
    **dict.fromkeys(_CUSTOM[:10], is_text),
}


def invoice_of(number: int, body: dict[str, Any]) -> Invoice:
    """The stored invoice that a body asks for."""
    strict.check_fields(body, FIELDS)
    customer = _customer(body)
    if "line_items" not in body:
        raise Refused("A required parameter was missing: line_items")
    lines = [_line(number, at, line, customer) for at, line in enumerate(body["line_items"])]
    currency_id = strict.whole_of(body.get("currency_id")) or DEFAULT_CURRENCY
    iso, symbol = CURRENCIES[currency_id]
    return {
        "invoice_id": number,
        "refnumber": body.get("refnumber", str(number)),
        "external_key": body.get("external_key"),
        "token": f"tok-invoice-{number}",
        "customer_id": customer.id,
        "currency_id": currency_id,
        "currency_iso4217": iso,
        "currency_symbol": symbol,
        "class_id": strict.whole_of(body.get("class_id")),
        "admin_id": strict.whole_of(body.get("admin_id")),
        "brand_id": 1,
        "package_id": None,
        "paycycle": body.get("paycycle"),
        **_dates(body),
        **_amounts(lines, customer, DIGITS[iso]),
        **_state(number),
        "memo": body.get("memo", ""),
        **{name: body.get(name, "") for name in _ADDRESS},
        **{name: body.get(name) for name in _CUSTOM},
        **{name: body.get(name, False) for name in ("no_dunning", "no_latefees", "no_procfees")},
        "tags": body.get("tags", []),
        "line_items": lines,
    }


def _customer(body: dict[str, Any]) -> Customer:
    given = {member: body[name] for name, member in _CUSTOMER_FIELDS.items() if name in body}
    if not given:
        raise Refused("A required parameter was missing: customer_id")
    if "id" in given:
        given["id"] = strict.whole_of(given["id"])
    for customer in CUSTOMERS:
        if all(getattr(customer, member) == value for member, value in given.items()):
            return customer
    raise Refused("Missing or invalid parameter: customer")


def _line(invoice: int, at: int, line: dict[str, Any], customer: Customer) -> dict[str, Any]:
    strict.check_fields(line, LINE_FIELDS, f"line_items[{at}].")
    if "item_id" not in line:
        raise Refused(f"A required parameter was missing: line_items[{at}].item_id")
    item = strict.whole_of(line["item_id"]) or 0
    rate = strict.decimal_of(line.get("line_rate")) or ZERO
    quantity = strict.decimal_of(line["line_quantity"]) if "line_quantity" in line else Decimal(1)
    if quantity is None or quantity < 0 or (rate < 0 and ITEMS[item] != "discount"):
        raise Refused(f"Invalid parameter: line_items[{at}], a negative amount")
    return {
        "line_item_id": invoice * 1000 + at,
        "invoice_id": invoice,
        "item_id": item,
        "tierset_id": None,
        "descrip": line.get("descrip", ""),
        "line_rate": rate,
        "line_quantity": quantity,
        "line_usage": 0,
        "paycycle": line.get("paycycle"),
        **dict.fromkeys(("is_base", "is_free", "is_setup", "is_usage", "is_recurring"), False),
        "is_taxed": "1" if customer.tax_rate else "0",
        **{name: line.get(name) for name in _CUSTOM[:10]},
    }


def _dates(body: dict[str, Any]) -> dict[str, Any]:
    day = body.get("date", TODAY)
    terms_id = strict.whole_of(body.get("terms_id")) or DEFAULT_TERMS
    name, days = TERMS[terms_id]
    try:
        due = date.fromisoformat(day) + timedelta(days)
    except OverflowError:
        raise Refused("Invalid parameter: date") from None
    return {
        "terms_id": terms_id,
        "terms_name": name,
        "terms_days": days,
        "date": day,
        "due_date": due.isoformat(),
        "write_datetime": f"{TODAY} 10:15:00",
        "mod_datetime": f"{TODAY} 10:15:00",
        "void_datetime": None,
        "paid_date": None,
    }


def _amounts(lines: list[dict[str, Any]], customer: Customer, digits: int) -> dict[str, Decimal]:
    with exact():
        subtotal = rounded(total_of(line["line_rate"] * line["line_quantity"] for line in lines), digits)
        taxes = rounded(subtotal * customer.tax_rate / HUNDRED, digits)
        total = subtotal + taxes
    paid = dict.fromkeys(("credits", "payments", "writeoffs", "applied"), rounded(ZERO, digits))
    return {"subtotal": subtotal, "taxes": taxes, "total": total, **paid, "balance": total}


def _state(number: int) -> dict[str, Any]:
    return {
        **dict.fromkeys(("is_paid", "is_void", "is_overdue"), False),
        "invoice_status_name": "Unpaid",
        "invoice_status_str": "open-unpaid",
        "invoice_status_state": "o",
        "url_permalink": f"{URL}/r/invoice/view/tok-invoice-{number}",
        "url_paylink": f"{URL}/r/paymentmethod/i/tok-invoice-{number}",
        "url_pdflink": f"{URL}/r/invoice/pdf/tok-invoice-{number}",
        "url_self": f"{URL}/api/v3/invoice/{number}",
    }
