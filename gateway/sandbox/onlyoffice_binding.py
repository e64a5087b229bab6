"""How ONLYOFFICE binds a request to the parameters of its method, with every trap of it.

The server turns JSON into XML, that into texts by name, and converts those texts. So a number may be written as a
string; names of parameters know no case, names inside a line have three spellings; what is not known is ignored.
Source: CommunityServer, ApiArgumentBuilder.cs, Binder.cs and ApiDateTime.cs.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TypeVar

from msgspec import Struct

from gateway.core.exchange import Request
from gateway.core.money import ZERO
from gateway.core.plainjson import Number
from gateway.sandbox import strict
from gateway.sandbox.strict import Refused

PORTAL_ZONE = timezone(timedelta(hours=-5))
"""West of Greenwich, so that midnight in UTC shows as the day before."""

_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")
_DECIMAL = re.compile(r"\s*[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][+-]?[0-9])?\s*")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:(T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_TEMPLATES = {"eur": 0, "rus": 1}

T = TypeVar("T")


class Line(Struct, frozen=True):
    """A line as the server's method receives it."""

    item: int
    tax1: int
    tax2: int
    quantity: Decimal
    price: Decimal
    discount: Decimal
    description: str


class Sent(Struct, frozen=True):
    """The parameters as the server's method receives them; None where nothing was sent."""

    number: str | None
    issue_date: datetime | None
    template_type: int
    contact: int
    consignee: int
    entity: int
    billing_address: int
    delivery_address: int
    due_date: datetime | None
    language: str | None
    currency: str | None
    exchange_rate: Decimal
    purchase_order_number: str | None
    terms: str | None
    description: str | None
    lines: tuple[Line, ...]


def bind(request: Request, query: Mapping[str, str]) -> Sent:
    """The parameters of a request; those in the query come first, and the first value of a name counts.

    Raises:
        Refused: the body is not a JSON object, or a value cannot be converted.
    """
    given: dict[str, object] = {}
    for source in (query, _body(request)):
        for name, value in source.items():
            given.setdefault(name.lower(), "" if value is None else value)

    def take(name: str, convert: Callable[[str, str], T], default: T) -> T:
        text = _text(given.get(name.lower()))
        return convert(name, text) if text else default

    return Sent(
        number=_text(given.get("number")),
        issue_date=take("issueDate", moment, None),
        template_type=take("templateType", _template, 0),
        contact=take("contactId", whole, 0),
        consignee=take("consigneeId", whole, 0),
        entity=take("entityId", whole, 0),
        billing_address=take("billingAddressID", whole, 0),
        delivery_address=take("deliveryAddressID", whole, 0),
        due_date=take("dueDate", moment, None),
        language=_text(given.get("language")),
        currency=_text(given.get("currency")),
        exchange_rate=take("exchangeRate", decimal, ZERO),
        purchase_order_number=_text(given.get("purchaseordernumber")),
        terms=_text(given.get("terms")),
        description=_text(given.get("description")),
        lines=_lines(given.get("invoicelines")),
    )


def _body(request: Request) -> dict[str, object]:
    """The body; under another content type it is read as a form, in which JSON names nothing."""
    if not strict.is_json(request):
        return {}
    try:
        return strict.object_body(request)
    except Refused:
        raise Refused("Unable to deserialize json") from None


def _text(value: object) -> str | None:
    """A value after its way through XML; None where there is no such text, as with an object or a list."""
    match value:
        case str():
            return _reformatted(value)
        case bool():
            return "true" if value else "false"
        case Number():
            return value.text
    return None


def _reformatted(text: str) -> str:
    """A text that looks like a time comes out as one: its fraction loses the zeros at its end."""
    if (found := _MOMENT.fullmatch(text)) is None or not found[2]:
        return text
    fraction = (found[3] or "")[:7].rstrip("0")
    return f"{found[1]}{found[2]}{'.' if fraction else ''}{fraction}{found[4] or ''}"


def _lines(value: object) -> tuple[Line, ...]:
    """The lines: a list of objects, or one object alone."""
    lines = value if isinstance(value, list) else [value]
    objects = [line for line in lines if isinstance(line, dict)]
    return tuple(map(_line, objects)) if len(objects) == len(lines) else ()


def _line(line: Mapping[str, object]) -> Line:
    def take(name: str, convert: Callable[[str, str], T], default: T) -> T:
        # As it is declared, with a small first letter, or all small: no other spelling is found.
        for spelling in (name, name[0].lower() + name[1:], name.lower()):
            if spelling in line:
                return convert(name, _text(line[spelling]) or "")
        return default

    for ignored in ("ID", "InvoiceID", "SortOrder"):
        take(ignored, whole, 0)
    return Line(
        item=take("InvoiceItemID", whole, 0),
        tax1=take("InvoiceTax1ID", whole, 0),
        tax2=take("InvoiceTax2ID", whole, 0),
        quantity=take("Quantity", decimal, ZERO),
        price=take("Price", decimal, ZERO),
        discount=take("Discount", decimal, ZERO),
        description=take("Description", lambda _, text: text, ""),
    )


def _unconvertible(name: str, kind: str) -> Refused:
    return Refused(f"Failed to convert parameter '{name}' to type '{kind}'")


def whole(name: str, text: str) -> int:
    """A text as a 32-bit integer."""
    if not _INTEGER.fullmatch(text) or not -(2**31) <= int(text) < 2**31:
        raise _unconvertible(name, "Int32")
    return int(text)


def decimal(name: str, text: str) -> Decimal:
    """A text as a decimal, with a point and without thousands separators."""
    if not _DECIMAL.fullmatch(text):
        raise _unconvertible(name, "Decimal")
    return Decimal(text.strip())


def _template(name: str, text: str) -> int:
    return _TEMPLATES[text.lower()] if text.lower() in _TEMPLATES else whole(name, text)


def moment(name: str, text: str) -> datetime | None:
    """A text as a time in the portal's zone: a date, or a date and time with no, three or seven digits of fraction."""
    found = _MOMENT.fullmatch(text)
    if found is None or len(found[3] or "") not in (0, 3, 7):
        raise _unconvertible(name, "ApiDateTime")
    fraction = f".{found[3][:6]}" if found[3] else ""
    try:
        at = datetime.fromisoformat(f"{found[1]}{found[2] or 'T00:00:00'}{fraction}{found[4] or ''}")
        return at.astimezone(PORTAL_ZONE) if at.tzinfo else at.replace(tzinfo=PORTAL_ZONE)
    except (ValueError, OverflowError):
        raise _unconvertible(name, "ApiDateTime") from None
