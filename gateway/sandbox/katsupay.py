"""Katsu Pay, `POST /api/v1/Invoice/Create`, simulated from its page.

The page has two shapes; the generated one (`products`, `taxes`, `discount`) is served, and the other is a quirk of the
answer. There is no way to read an invoice back. Numbers behind enumerations are this sandbox's own, since the page
does not explain its examples.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from gateway.core.exchange import Reply, Request
from gateway.core.money import HUNDRED, ZERO, exact, fits, plain, rounded, total
from gateway.sandbox import checks
from gateway.sandbox.simulation import header, json_reply

PATH = "/api/v1/invoice/create"
KEY = "sandbox-key"
COUNTERPARTIES = ("c1000000-0000-4000-8000-000000000088", "c1000000-0000-4000-8000-000000000089")
ACCOUNTS = ("ac000000-0000-4000-8000-000000000001",)
PRODUCTS = tuple(f"b0000000-0000-4000-8000-{number:012d}" for number in range(1, 8))
TAXES = {
    "7a000000-0000-4000-8000-000000000020": Decimal(20),
    "7a000000-0000-4000-8000-000000000007": Decimal(7),
    "7a000000-0000-4000-8000-000000000005": Decimal("5.5"),
}
CURRENCIES = {2: "USD", 3: "EUR", 4: "JPY"}
PERCENT, AMOUNT = 1, 2
CENT = Decimal("0.01")
JSON = "application/json; charset=utf-8"

_INTEGERS = checks.nullable(checks.items(checks.integer()))
_TEXT = checks.nullable(checks.text)
_PRODUCT: dict[str, checks.Check] = {
    "productId": checks.uuid,
    "quantity": checks.integer(1),
    "unitPrice": checks.number(digits=2),
}
_TAX: dict[str, checks.Check] = {"taxId": checks.uuid, "taxPercentageValue": checks.number(most=100)}
_DISCOUNT: dict[str, checks.Check] = {"discountType": checks.integer(PERCENT, AMOUNT), "discountValue": checks.number()}
FIELDS: dict[str, checks.Check] = {
    "counterPartyId": checks.uuid,
    "receivingAccountId": checks.uuid,
    "counterPartyName": _TEXT,
    "accountName": _TEXT,
    "dueDate": checks.moment,
    "currency": checks.integer(min(CURRENCIES), max(CURRENCIES)),
    "products": checks.items(checks.members(_PRODUCT, _PRODUCT), least=1),
    "taxes": checks.nullable(checks.items(checks.members(_TAX, _TAX))),
    "discount": checks.nullable(checks.members(_DISCOUNT, _DISCOUNT)),
    "description": _TEXT,
    "billingCycle": checks.integer(1, 9),
    "recuringInvoice": checks.boolean,
    "notification": _INTEGERS,
    "paymentMethods": _INTEGERS,
    "beforeDueDates": _INTEGERS,
    "afterDueDates": _INTEGERS,
    "onDueDate": checks.boolean,
    "sendInvoice": checks.boolean,
}
REQUIRED = ("counterPartyId", "receivingAccountId", "dueDate", "currency", "products")
_BODY = checks.members(FIELDS, REQUIRED)

Fields = dict[str, Any]


class Simulation:
    """Two counterparties, one account, seven products and three taxes exist; the server computes the amount."""

    name: ClassVar[str] = "katsupay"
    quirks: ClassVar[Mapping[str, str]] = {
        "succeeded-false": "200 with `succeeded` false; nothing is stored",
        "pascal-case-400": "400 in the wrapper with PascalCase names; nothing is stored",
        "camel-case-400": "400 in the wrapper with camelCase names; nothing is stored",
        "flat-shape": "stored; 200 in the first shape of the page, without `succeeded`",
        "without-id": "stored; `succeeded` is true but `data` has no invoiceId",
        "text-plain": "stored; the right JSON under the content type text/plain",
        "amount-off-by-a-cent": "stored; the amount is one cent more than it should be",
        "tax-before-discount": "stored; taxes are computed on the sum before the discount",
        "echo": "stored; 200 with the request's own JSON",
    }

    def __init__(self) -> None:
        self._invoices: list[Fields] = []

    def stored(self) -> list[Fields]:
        """The invoices; the API has no invoice number."""
        return list(self._invoices)

    def answer(self, request: Request, quirk: str | None = None) -> Reply:
        """The reply to a request; quirks concern requests with the right path, method and credentials only."""
        path, _, query = request.path.partition("?")
        if path.lower() != PATH:
            return Reply(404)
        if request.method != "POST":
            return Reply(405, headers={"allow": "POST"})
        if header(request, "x-api-key") not in (None, KEY):
            return _wrapped(401, None, "Unauthorized")
        if not checks.is_json(request):
            return _problem(415, "Unsupported Media Type", {})
        if query:
            return _invalid([("$", "there are no query parameters")], quirk)
        return self._create(request, quirk)

    def _create(self, request: Request, quirk: str | None) -> Reply:
        try:
            sent = checks.body_of(request)
        except ValueError as error:
            return _invalid([("$", f"the body is not JSON: {error}")], quirk)
        # Only what has passed the first is safe to calculate with.
        if wrong := list(_BODY(sent, "$")) or list(_inconsistent(checks.decimals(sent))):
            return _invalid(wrong, quirk)
        body: Fields = checks.decimals(sent)
        if unknown := list(_unknown(body)):
            return _wrapped(404, None, "Resource not found", unknown)
        if quirk in ("pascal-case-400", "camel-case-400"):
            return _invalid([("$", "a quirk of the sandbox")], quirk)
        if quirk == "succeeded-false":
            return _wrapped(200, None, "Invoice was not created", ["a quirk of the sandbox"])
        return _told(self._store(body, quirk), quirk)

    def _store(self, body: Fields, quirk: str | None) -> Fields:
        amount = amount_of(body, tax_first=quirk == "tax-before-discount")
        if quirk == "amount-off-by-a-cent":
            amount += CENT
        count = len(self._invoices) + 1
        identity = f"20000000-0000-4000-8000-{count:012d}"
        invoice = {"id": identity, "number": None, "total": plain(amount), "request": body}
        self._invoices.append(invoice)
        return invoice


def amount_of(body: Fields, *, tax_first: bool = False) -> Decimal:
    """Products less the discount, plus each tax rounded half up, in the currency's major unit.

    `tax_first` computes the taxes on the products alone.
    """
    with exact():
        products = _sum(body)
        net = products - _discount(body, products)
        base = products if tax_first else net
        rates = [tax["taxPercentageValue"] for tax in body.get("taxes") or ()]
        return rounded(net, 2) + total(rounded(base * rate / HUNDRED, 2) for rate in rates)


def _sum(body: Fields) -> Decimal:
    return total(line["quantity"] * line["unitPrice"] for line in body["products"])


def _discount(body: Fields, products: Decimal) -> Decimal:
    discount = body.get("discount")
    if discount is None:
        return ZERO
    value: Decimal = discount["discountValue"]
    return rounded(products * value / HUNDRED, 2) if discount["discountType"] == PERCENT else value


def _inconsistent(body: Fields) -> Iterator[checks.Wrong]:
    """What is wrong although every type is right."""
    for index, tax in enumerate(body.get("taxes") or ()):
        known = TAXES.get(tax["taxId"].lower())
        if known is not None and known != tax["taxPercentageValue"]:
            yield f"$.taxes[{index}].taxPercentageValue", f"must be {known}, the tax's own"
    discount = body.get("discount")
    if discount is None:
        return
    with exact():
        most = HUNDRED if discount["discountType"] == PERCENT else _sum(body)
    if discount["discountValue"] > most:
        yield "$.discount.discountValue", f"must be at most {plain(most)}"
    if discount["discountType"] == AMOUNT and not fits(discount["discountValue"], 2):
        yield "$.discount.discountValue", "must have at most 2 decimal places"


def _unknown(body: Fields) -> Iterator[str]:
    """Ids of a right form that do not exist."""
    wanted = [
        (COUNTERPARTIES, [body["counterPartyId"]]),
        (ACCOUNTS, [body["receivingAccountId"]]),
        (PRODUCTS, [line["productId"] for line in body["products"]]),
        (tuple(TAXES), [tax["taxId"] for tax in body.get("taxes") or ()]),
    ]
    return (f"{identity} does not exist" for known, ids in wanted for identity in ids if identity.lower() not in known)


def _told(invoice: Fields, quirk: str | None) -> Reply:
    """The answer for an invoice that was stored."""
    amount = Decimal(invoice["total"])
    match quirk:
        case "flat-shape":
            return json_reply(200, _flat(invoice["request"], invoice["id"], amount))
        case "echo":
            return json_reply(200, invoice["request"])
        case "without-id":
            return _wrapped(200, {"amount": amount})
        case _:
            kind = "text/plain" if quirk == "text-plain" else JSON
            return _wrapped(200, {"invoiceId": invoice["id"], "amount": amount}, kind=kind)


def _flat(body: Fields, identity: str, amount: Decimal) -> Fields:
    return {
        "invoiceId": identity,
        "counterpartyId": body["counterPartyId"],
        "amount": amount,
        "currency": CURRENCIES[int(body["currency"])],
        "status": "Pending",
        "createdDate": "2026-06-30T00:00:00.000Z",
        "dueDate": body["dueDate"],
    }


def _wrapped(
    status: int,
    data: Fields | None,
    message: str | None = None,
    errors: list[str] | None = None,
    kind: str = JSON,
) -> Reply:
    body = {"succeeded": data is not None, "message": message, "errors": errors, "data": data}
    return json_reply(status, body, content_type=kind)


def _invalid(wrong: list[checks.Wrong], quirk: str | None) -> Reply:
    """400 in one of the three shapes that this technology is known for."""
    texts = [f"{at} {words}" for at, words in wrong]
    if quirk == "camel-case-400":
        return _wrapped(400, None, "Validation failed", texts)
    if quirk == "pascal-case-400":
        return json_reply(400, {"Succeeded": False, "Message": "Validation failed", "Errors": texts, "Data": None})
    named: dict[str, list[str]] = {}
    for at, words in wrong:
        named.setdefault(at, []).append(words)
    return _problem(400, "One or more validation errors occurred.", named)


def _problem(status: int, title: str, errors: dict[str, list[str]]) -> Reply:
    body = {"type": f"https://httpstatuses.io/{status}", "title": title, "status": status, "traceId": "00-sandbox-00"}
    return json_reply(status, {**body, "errors": errors}, content_type="application/problem+json")
