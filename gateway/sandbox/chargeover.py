"""ChargeOver REST API v3, invoices only: https://developer.chargeover.com/apidocs/rest/.

The server computes everything: it is told rates and quantities, and claims the amounts.
"""

import operator
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from gateway.core.exchange import Reply, Request
from gateway.core.money import DIGITS
from gateway.sandbox import strict
from gateway.sandbox.chargeover_invoice import Invoice, invoice_of
from gateway.sandbox.simulation import header, json_reply
from gateway.sandbox.strict import Refused

PUBLIC_KEY = "sandbox-public"
PRIVATE_KEY = "sandbox-private"

_AUTHORIZATION = "Basic " + b64encode(f"{PUBLIC_KEY}:{PRIVATE_KEY}".encode()).decode()
_UNAUTHORIZED = "Invalid or incorrect authorization [Missing (basic) authorization header.]"
_COUNT = re.compile(r"[0-9]{1,18}")

_FILTERS: dict[str, type[int] | type[str]] = {"customer_id": int} | dict.fromkeys(
    ("refnumber", "date", "token", "custom_1", "custom_2", "custom_3"), str
)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "EQUALS": operator.eq,
    "NOTEQUALS": operator.ne,
    "GT": operator.gt,
    "LT": operator.lt,
    "GTE": operator.ge,
    "LTE": operator.le,
    "CONTAINS": lambda has, wanted: str(wanted) in str(has),
}


class Simulation:
    """One ChargeOver account."""

    name: ClassVar[str] = "chargeover"
    quirks: ClassVar[Mapping[str, str]] = {
        "error-in-201": "refuses the invoice under HTTP 201: status Error, nothing stored",
        "stored-error-in-200": "stores the invoice and answers HTTP 200 with status Error",
        "without-details": "leaves `details` out, as the API of 2015 did",
        "details-as-list": "writes the empty `details` as [], as PHP does",
        "true-in-errors": "puts true for false into `response` of an error, as the page's schemas do",
        "total-off-by-a-cent": "stores the invoice with a total that is one minor unit too high",
        "list-answer-ids-as-text": "writes the ids in answers to a query as strings",
    }

    def __init__(self) -> None:
        self._invoices: list[Invoice] = []

    def answer(self, request: Request, quirk: str | None = None) -> Reply:
        """The reply to a request below `/api/v3`."""
        try:
            return self._routed(request, quirk)
        except Refused as refusal:
            nothing = None if refusal.status == 404 else quirk == "true-in-errors"
            return _reply(refusal.status, nothing, quirk, str(refusal))

    def stored(self) -> list[dict[str, Any]]:
        """The invoices, oldest first; `number` is the `refnumber`."""
        return [
            {
                "id": str(invoice["invoice_id"]),
                "number": invoice["refnumber"],
                "total": format(invoice["total"], "f"),
                "external_key": invoice["external_key"],
            }
            for invoice in self._invoices
        ]

    def _routed(self, request: Request, quirk: str | None) -> Reply:
        if header(request, "authorization") != _AUTHORIZATION:
            raise Refused(_UNAUTHORIZED, 401)
        segments, query = strict.target(request)
        match (request.method, *segments):
            case "POST", "api", "v3", "invoice":
                strict.check_query(query)
                return self._create(strict.object_body(request), quirk)
            case "GET", "api", "v3", "invoice":
                return _reply(200, self._query(query, quirk), quirk)
            case "GET", "api", "v3", "invoice", which:
                strict.check_query(query)
                return _reply(200, self._one(which), quirk)
        raise Refused(f"The object type requested is not supported: {request.method} {'/'.join(segments)}")

    def _create(self, body: dict[str, object], quirk: str | None) -> Reply:
        invoice = invoice_of(len(self._invoices) + 1001, body)
        key = invoice["external_key"]
        if key is not None and any(other["external_key"] == key for other in self._invoices):
            raise Refused("An object with that external_key already exists.")
        if quirk == "error-in-201":
            return _reply(201, False, quirk, "Missing or invalid parameter.", "Error")
        if quirk == "total-off-by-a-cent":
            cent = Decimal(1).scaleb(-DIGITS[invoice["currency_iso4217"]])
            invoice["total"] = invoice["balance"] = invoice["total"] + cent
        self._invoices.append(invoice)
        if quirk == "stored-error-in-200":
            return _reply(200, False, quirk, "Something went wrong.", "Error")
        return _reply(201, {"id": invoice["invoice_id"]}, quirk, location=invoice["url_self"])

    def _one(self, which: str) -> Invoice:
        kind, _, key = which.partition(":")
        member, wanted = ("external_key", key) if kind == "external_key" else ("invoice_id", which)
        for invoice in self._invoices:
            if str(invoice[member]) == wanted and invoice[member] is not None:
                return invoice
        raise Refused("This invoice does not exist.", 404)

    def _query(self, query: dict[str, str], quirk: str | None) -> list[Invoice]:
        strict.check_query(query, ("where", "limit", "offset"))
        found = self._invoices
        for condition in _split(query["where"]) if "where" in query else ():
            found = list(filter(_condition(condition), found))
        offset, limit = (_count(query.get(name, "0")) for name in ("offset", "limit"))
        page = found[offset : offset + limit if limit else None]
        return [_listed(invoice, quirk == "list-answer-ids-as-text") for invoice in page]


def _reply(status: int, response: object, quirk: str | None, message: str = "", word: str = "", **more: str) -> Reply:
    envelope = {
        "code": status,
        "status": word or ("OK" if status < 400 else "Error"),
        "message": message,
        "details": [] if quirk == "details-as-list" else {},
        "response": response,
    }
    if quirk == "without-details":
        del envelope["details"]
    return json_reply(status, envelope, **more)


def _split(where: str) -> list[str]:
    """The conditions of a filter; a comma that belongs to a value has a backslash before it."""
    return [part.replace("\\,", ",") for part in re.split(r"(?<!\\),", where)]


def _condition(condition: str) -> Callable[[Invoice], bool]:
    """Whether an invoice meets a condition FIELD:OPERATOR:VALUE."""
    field, _, rest = condition.partition(":")
    word, _, text = rest.partition(":")
    if field not in _FILTERS:
        raise Refused(f"Invalid parameter: where, {field} cannot be filtered")
    if (word, text) in (("IS", "NULL"), ("ISNOT", "NULL")):
        return lambda invoice: (invoice[field] is None) == (word == "IS")
    if word not in _OPERATORS or (_FILTERS[field] is int and not _COUNT.fullmatch(text)):
        raise Refused(f"Invalid parameter: where, {condition}")
    wanted, holds = _FILTERS[field](text), _OPERATORS[word]
    return lambda invoice: invoice[field] is not None and holds(invoice[field], wanted)


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise Refused("Invalid parameter: limit or offset")
    return int(text)


def _listed(invoice: Invoice, as_text: bool) -> Invoice:
    """An invoice as a query answers it: without its lines."""
    listed = {name: value for name, value in invoice.items() if name != "line_items"}
    ids = {name: str(value) for name, value in listed.items() if name.endswith("_id") and value is not None}
    return listed | ids if as_text else listed
