"""myKaarma Payments API, "Create Invoice" (v4), simulated from its page.

What the page leaves open is decided strictly: no null, no unknown member, UUIDs for ids, an amount is required. The
page gives no status for failures; 400, 401 and 403 are what its sibling pages and the meaning of the codes suggest.
"""

import re
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import unquote

from gateway.core.exchange import Reply, Request
from gateway.core.money import plain
from gateway.sandbox import checks
from gateway.sandbox.simulation import header, json_reply

AUTHORIZED = "d0000000-0000-4000-8000-000000000001"
DEPARTMENTS = (AUTHORIZED, "d0000000-0000-4000-8000-000000000002")
CUSTOMERS = ("c0000000-0000-4000-8000-000000000088", "c0000000-0000-4000-8000-000000000089")
ORDERS = {"70000000-0000-4000-8000-000000001001": "RO1001", "70000000-0000-4000-8000-000000001002": "RO1002"}
DEALERS = ("de000000-0000-4000-8000-000000000001",)
ASSOCIATES = ("a0000000-0000-4000-8000-000000000001",)
USER = "aa000000-0000-4000-8000-000000000001"
CREDENTIALS = b64encode(b"sandbox:sandbox").decode()

TITLES = {
    100001: "NULL_CREDENTIALS",
    100003: "WRONG_CREDENTIAL",
    100005: "INTERNAL_SERVER_EXCEPTION",
    100006: "INVALID_REQUEST_DATA",
    100010: "INVALID_DEALER_TOKEN",
    100012: "EMPTY_REQUEST_UUIDS",
    100013: "INVALID_DEPARTMENT_TOKEN",
    100014: "INVALID_SCOPE_DEPARTMENT",
    150000: "NO_PREFERRED_DEALER_ID",
}
INVALID = 100006

_MONEY = checks.number(digits=2)
FIELDS: dict[str, checks.Check] = {
    "amount": _MONEY,
    "description": checks.text,
    "refundedAmount": _MONEY,
    "paidDate": checks.moment,
    "signatureFileName": checks.text,
    "reminderDate": checks.moment,
    "reminderMileage": checks.integer(0, checks.INT64),
    "fileName": checks.text,
    "paymentDeclines": checks.text,
    "invoiceAttributes": checks.entries(checks.text),
    "dealerUuid": checks.uuid,
    "orderUuid": checks.uuid,
    "customerUuid": checks.uuid,
    "dealerAssociateDepartmentUuid": checks.uuid,
    "dealerAssociateUuid": checks.uuid,
    "attachInvoice": checks.boolean,
}
_BODY = checks.members(FIELDS, required=["amount"])
_COPIED = (
    *("description", "refundedAmount", "paidDate", "fileName", "reminderMileage", "reminderDate"),
    *("signatureFileName", "paymentDeclines", "invoiceAttributes"),
)

KNOWN: dict[str, tuple[Collection[str], int]] = {
    "dealerUuid": (DEALERS, 100010),
    "orderUuid": (ORDERS, INVALID),
    "customerUuid": (CUSTOMERS, INVALID),
    "dealerAssociateDepartmentUuid": (DEPARTMENTS, INVALID),
    "dealerAssociateUuid": (ASSOCIATES, INVALID),
}
"""The ids that exist, and the error code of one that does not."""

_PATH = re.compile(r"/payment/v4/departments/([^/]+)/invoices(?:/([^/]+))?")

Coded = tuple[int, str]
"""An error code and its description."""


class Simulation:
    """Departments, customers, orders and one employee exist; invoices are created and read back."""

    name: ClassVar[str] = "mykaarma"
    quirks: ClassVar[Mapping[str, str]] = {
        "errors-in-200": "200 with errors and no invoice; nothing is stored",
        "errors-with-guid": "stored; 200 with errors and with the invoice",
        "warning": "stored; 200 with warning 150000",
        "error-100005": "stored; 200 with error 100005 and no invoice",
        "singular-error": "400 with one `error` whose code is a string; nothing is stored",
        "without-guid": "stored; the invoice in the answer has an id but no guid",
        "without-ids": "stored; the invoice in the answer has neither id nor guid",
    }

    def __init__(self) -> None:
        self._invoices: dict[str, dict[str, Any]] = {}

    def stored(self) -> list[dict[str, Any]]:
        """The invoices; the API has no invoice number."""
        return [
            {"id": guid, "number": None, "total": plain(invoice["amount"]), "invoice": invoice}
            for guid, invoice in self._invoices.items()
        ]

    def answer(self, request: Request, quirk: str | None = None) -> Reply:
        """The reply to a request; quirks concern the creation of an invoice only."""
        path, _, query = request.path.partition("?")
        match = _PATH.fullmatch(path)
        if match is None:
            return json_reply(404, {"status": 404, "error": "Not Found", "path": path})
        department, guid = (unquote(part).lower() if part else None for part in match.groups())
        wanted = "POST" if guid is None else "GET"
        if request.method != wanted:
            return json_reply(405, {"status": 405, "error": "Method Not Allowed", "path": path}, allow=wanted)
        if (refusal := _unauthorized(request) or _out_of_scope(department)) is not None:
            return refusal
        if query:
            return _failed(400, (INVALID, "there are no query parameters"))
        return self._create(request, quirk) if guid is None else self._read(guid)

    def _read(self, guid: str) -> Reply:
        invoice = self._invoices.get(guid)
        return _told(invoice) if invoice else _failed(404, (INVALID, f"there is no invoice {guid}"))

    def _create(self, request: Request, quirk: str | None) -> Reply:
        if not checks.is_json(request):
            return json_reply(415, {"status": 415, "error": "Unsupported Media Type"})
        try:
            body = checks.body_of(request)
        except ValueError as error:
            return _failed(400, (INVALID, f"the body is not JSON: {error}"))
        if wrong := _wrong(body):
            return _failed(400, *wrong)
        if quirk == "singular-error":
            return json_reply(400, {"error": {"errorCode": str(INVALID), "errorDescription": "a quirk of the sandbox"}})
        if quirk == "errors-in-200":
            return _failed(200, (INVALID, "a quirk of the sandbox"))
        return _told_with(quirk, self._store(checks.decimals(body)))

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        count = len(self._invoices) + 1
        guid = f"10000000-0000-4000-8000-{count:012d}"
        invoice = {"id": 5000 + count, "guid": guid, "invoiceStatus": "UNPAID", **_invoice(body)}
        self._invoices[guid] = invoice
        return invoice


def _unauthorized(request: Request) -> Reply | None:
    sent = header(request, "authorization")
    if sent is None:
        return _failed(401, (100001, "no credentials"))
    scheme, _, credentials = sent.partition(" ")
    right = scheme.lower() == "basic" and credentials.strip() == CREDENTIALS
    return None if right else _failed(401, (100003, "wrong credentials"))


def _out_of_scope(department: str | None) -> Reply | None:
    if department not in DEPARTMENTS:
        return _failed(400, (100013, "there is no such department"))
    if department != AUTHORIZED:
        return _failed(403, (100014, "not authorized for this department"))
    return None


def _wrong(body: Any) -> list[Coded]:  # noqa: ANN401 - any JSON
    """All that is wrong with a body; ids are looked at only where the types are right."""
    if wrong := list(_BODY(body, "$")):
        return [(INVALID, f"{at} {words}") for at, words in wrong]
    if not body.keys() & {"orderUuid", "customerUuid"}:
        return [(100012, "an order or a customer is required")]
    return list(_unknown(body))


def _unknown(body: dict[str, Any]) -> Iterator[Coded]:
    for name, (known, code) in KNOWN.items():
        if name in body and body[name].lower() not in known:
            yield code, f"$.{name} {body[name]} does not exist"


def _invoice(body: dict[str, Any]) -> dict[str, Any]:
    """The invoice as it is answered: all documented members, null where nothing is known."""
    order, customer = body.get("orderUuid"), body.get("customerUuid")
    return {
        "amount": body["amount"],
        "invoiceDate": "2026-06-30T10:15:00.000Z",  # fixed, so that whole answers can be compared
        **{name: body.get(name) for name in _COPIED},
        "refundedAmount": body.get("refundedAmount", Decimal(0)),
        "paymentDealer": {"dealerUuid": body.get("dealerUuid", DEALERS[0])},
        "paymentDealerOrder": _order(order) if order else None,
        "paymentCustomer": {"customerUuid": customer} if customer else None,
        "paymentUser": {
            "id": 71,
            "dealerAssociateUUID": body.get("dealerAssociateUuid"),
            "userUUID": USER,
            "dealerDepartmentUUID": body.get("dealerAssociateDepartmentUuid", AUTHORIZED),
        },
    }


def _order(uuid: str) -> dict[str, Any]:
    number = ORDERS[uuid.lower()]
    return {"orderNumber": number, "orderType": "RO", "departmentUuid": AUTHORIZED, "dealerOrderUuid": uuid}


def _told_with(quirk: str | None, invoice: dict[str, Any]) -> Reply:
    """The answer for an invoice that was stored."""
    match quirk:
        case "error-100005":
            return _failed(200, (100005, "a quirk of the sandbox"))
        case "errors-with-guid":
            return _told(invoice, errors=[(INVALID, "a quirk of the sandbox")])
        case "warning":
            return _told(invoice, warnings=[(150000, "no preferred dealer")])
        case "without-guid":
            return _told({name: value for name, value in invoice.items() if name != "guid"})
        case "without-ids":
            return _told({name: value for name, value in invoice.items() if name not in ("id", "guid")})
        case _:
            return _told(invoice)


def _failed(status: int, *errors: Coded) -> Reply:
    return _told(None, errors, status=status)


def _told(
    invoice: dict[str, Any] | None,
    errors: Sequence[Coded] = (),
    warnings: Sequence[Coded] = (),
    status: int = 200,
) -> Reply:
    body = {
        "errors": [_coded("error", *error) for error in errors],
        "warnings": [_coded("warning", *warning) for warning in warnings],
        "invoice": invoice,
    }
    return json_reply(status, body)


def _coded(kind: str, code: int, words: str) -> dict[str, Any]:
    message = TITLES[code].replace("_", " ").capitalize()
    return {f"{kind}Code": code, f"{kind}Title": TITLES[code], f"{kind}Message": message, f"{kind}Description": words}
