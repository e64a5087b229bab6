"""The simulated Katsu Pay answers as its page says, and is strict where the page is open."""

import json
from decimal import Decimal
from typing import Any

import pytest

from gateway.core.exchange import Reply, Request
from gateway.sandbox.katsupay import Simulation

CREATE = "/api/v1/Invoice/Create"
JSON = ("Content-Type", "application/json")
PRODUCT = "b0000000-0000-4000-8000-00000000000"
TWENTY = {"taxId": "7a000000-0000-4000-8000-000000000020", "taxPercentageValue": 20}
SEVEN = {"taxId": "7a000000-0000-4000-8000-000000000007", "taxPercentageValue": 7}
FIVE = {"taxId": "7a000000-0000-4000-8000-000000000005", "taxPercentageValue": 5.50}
SMALL: dict[str, Any] = {
    "counterPartyId": "c1000000-0000-4000-8000-000000000088",
    "receivingAccountId": "ac000000-0000-4000-8000-000000000001",
    "dueDate": "2026-07-30T00:00:00.000Z",
    "currency": 2,
    "products": [{"productId": PRODUCT + "1", "quantity": 2, "unitPrice": 50.25}],
}
FULL: dict[str, Any] = {
    **SMALL,
    "counterPartyName": "Ada Ltd",
    "accountName": "Main",
    "products": [*SMALL["products"], {"productId": PRODUCT + "7", "quantity": 1, "unitPrice": 0}],
    "taxes": [TWENTY, SEVEN],
    "discount": {"discountType": 1, "discountValue": 10},
    "description": "June",
    "billingCycle": 7,
    "recuringInvoice": True,
    "notification": [1, 2],
    "paymentMethods": [1],
    "beforeDueDates": [3, 1],
    "afterDueDates": [],
    "onDueDate": True,
    "sendInvoice": False,
}
NULLABLE = ["counterPartyName", "accountName", "description", "discount", "taxes", "paymentMethods", "beforeDueDates"]


def post(body: object, path: str = CREATE, headers: tuple[tuple[str, str], ...] = (JSON,)) -> Request:
    """A request that creates an invoice; bytes are sent as they stand."""
    return Request("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)


def read(reply: Reply) -> Any:
    """The JSON of a reply with exact numbers."""
    return json.loads(reply.body, parse_float=Decimal)


def amount(body: object, quirk: str | None = None) -> Decimal:
    """The amount that is computed."""
    return Decimal(read(Simulation().answer(post(body), quirk))["data"]["amount"])


def lines(*products: tuple[int, float]) -> dict[str, Any]:
    """An invoice with these quantities and prices."""
    made = [{"productId": PRODUCT + "1", "quantity": quantity, "unitPrice": price} for quantity, price in products]
    return {**SMALL, "products": made}


def discounted(body: dict[str, Any], kind: int, value: float) -> dict[str, Any]:
    """The invoice with a discount."""
    return {**body, "discount": {"discountType": kind, "discountValue": value}}


def test_every_field_of_the_page_is_accepted() -> None:
    """All request fields at once, answered in the page's second shape."""
    reply = Simulation().answer(post(FULL))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert read(reply) == {
        "succeeded": True,
        "message": None,
        "errors": None,
        "data": {"invoiceId": "20000000-0000-4000-8000-000000000001", "amount": Decimal("114.87")},
    }


def test_each_invoice_is_stored_with_its_total() -> None:
    """Two equal requests are two invoices."""
    simulation = Simulation()
    ids = [read(simulation.answer(post(SMALL)))["data"]["invoiceId"] for _ in range(2)]
    assert [(entry["id"], entry["number"], entry["total"]) for entry in simulation.stored()] == [
        (identity, None, "100.50") for identity in ids
    ]
    assert ids[0] != ids[1]
    assert Simulation().stored() == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (lines((3, 19.99), (1, 0.03)), "60.00"),
        ({**lines((1, 0.50)), "taxes": [SEVEN]}, "0.54"),
        ({**lines((1, 0.03)), "taxes": [TWENTY, SEVEN]}, "0.04"),
        ({**lines((1, 1)), "taxes": [FIVE]}, "1.06"),
        (discounted(lines((1, 0.05)), 1, 50), "0.02"),
        (discounted(lines((1, 100)), 1, 12.345), "87.65"),
        (discounted({**lines((1, 100)), "taxes": [TWENTY]}, 2, 10), "108.00"),
        (discounted({**lines((1, 100)), "taxes": [TWENTY]}, 1, 10), "108.00"),
        (discounted(lines((1, 100)), 2, 100), "0.00"),
        (lines((2147483647, 999999999999.99)), "2147483646999978525163.53"),
    ],
)
def test_the_amount_is_products_less_discount_plus_taxes(body: object, expected: str) -> None:
    """Each tax on the discounted sum, half a cent up; no float."""
    assert amount(body) == Decimal(expected)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *(("POST", path, 200) for path in (CREATE.lower(), CREATE.upper())),
        *(("POST", path, 404) for path in ("/api/v1/Invoice", CREATE + "/", "")),
        ("GET", CREATE, 405),
        ("POST", CREATE + "?version=1", 400),
    ],
)
def test_there_is_one_path_in_any_case(method: str, path: str, status: int) -> None:
    """As ASP.NET has it; no other path, no other method, no query."""
    assert Simulation().answer(Request(method, path, json.dumps(SMALL).encode(), (JSON,))).status == status


@pytest.mark.parametrize(("key", "status"), [("sandbox-key", 200), ("other", 401), ("", 401)])
def test_a_key_is_not_required_but_has_to_be_right(key: str, status: int) -> None:
    """The page asks for none; an operator may need one."""
    simulation = Simulation()
    reply = simulation.answer(post(SMALL, headers=(JSON, ("x-api-KEY", key))))
    assert (reply.status, read(reply)["succeeded"]) == (status, status == 200)
    assert len(simulation.stored()) == (status == 200)


def test_the_content_type_has_to_be_json() -> None:
    """As in the page's curl."""
    reply = Simulation().answer(post(SMALL, headers=(("Content-Type", "text/plain"),)))
    assert (reply.status, reply.headers["content-type"]) == (415, "application/problem+json")


@pytest.mark.parametrize("name", NULLABLE)
def test_null_is_fine_where_dotnet_has_a_reference(name: str) -> None:
    """Strings, lists and objects."""
    assert Simulation().answer(post({**FULL, name: None})).status == 200


@pytest.mark.parametrize("name", ["counterPartyId", "receivingAccountId", "dueDate", "currency", "products"])
def test_what_an_invoice_needs_is_required(name: str) -> None:
    """Who pays to whom, until when, in what, for what."""
    reply = Simulation().answer(post({key: value for key, value in SMALL.items() if key != name}))
    assert (reply.status, read(reply)["errors"]) == (400, {f"$.{name}": ["is required"]})


def changed(place: str, value: object) -> dict[str, Any]:
    """The full invoice with another value at a place such as `products.0.quantity`."""
    body = json.loads(json.dumps(FULL))
    *way, last = [int(step) if step.isdigit() else step for step in place.split(".")]
    node = body
    for step in way:
        node = node[step]
    node[last] = value
    return dict(body)


WRONG = [
    *((name, "1") for name in FULL if not isinstance(FULL[name], str)),
    *((name, 1.5) for name in FULL if not isinstance(FULL[name], float)),
    *((name, True) for name in FULL if not isinstance(FULL[name], bool)),
    *((name, "no-uuid") for name in ("counterPartyId", "receivingAccountId", "products.0.productId", "taxes.0.taxId")),
    *((name, None) for name in ("counterPartyId", "receivingAccountId", "dueDate", "currency", "products")),
    *((name, None) for name in ("billingCycle", "recuringInvoice", "onDueDate", "sendInvoice")),
    *((f"products.0.{name}", None) for name in ("productId", "quantity", "unitPrice")),
    *(("products.0.quantity", value) for value in (0, -1, 1.0, 2**31, "1")),
    *(("products.0.unitPrice", value) for value in (-1, 0.005, "1", 1e20)),
    *(("taxes.0.taxPercentageValue", value) for value in (-1, 101, 19, 20.01, "20", None)),
    *(("discount.discountValue", value) for value in (-1, 100.01, "1", None)),
    *(("discount.discountType", value) for value in (0, 3, "1", None)),
    *(("currency", value) for value in (0, 1, 5, "USD")),
    *(("billingCycle", value) for value in (0, 10)),
    *(("dueDate", value) for value in ("2026-07-30", "2026-07-30T00:00:00", "30.07.2026", "2026-02-30T00:00:00Z")),
    *((f"{name}.0", "1") for name in ("notification", "paymentMethods", "beforeDueDates")),
    ("afterDueDates", [None]),
    ("products", []),
    *((place, {}) for place in ("products.0", "taxes.0", "discount")),
    ("recurringInvoice", True),
    ("counterpartyId", FULL["counterPartyId"]),
    *((place, "x") for place in ("products.0.description", "taxes.0.name", "discount.reason")),
]


@pytest.mark.parametrize(("place", "value"), WRONG)
def test_a_wrong_member_is_refused_with_a_problem(place: str, value: object) -> None:
    """Types, bounds and names to the letter; `errors` is an object there."""
    simulation = Simulation()
    reply = simulation.answer(post(changed(place, value)))
    answer = read(reply)
    assert (reply.status, reply.headers["content-type"]) == (400, "application/problem+json")
    assert answer.keys() == {"type", "title", "status", "traceId", "errors"}
    assert all(at.startswith(f"$.{place.partition('.')[0]}") for at in answer["errors"])
    assert simulation.stored() == []


@pytest.mark.parametrize("value", [100.51, 0.001])
def test_a_discount_in_money_fits_the_invoice(value: float) -> None:
    """Neither more than the sum nor less than a cent."""
    assert list(read(Simulation().answer(post(discounted(SMALL, 2, value))))["errors"]) == ["$.discount.discountValue"]


def test_the_first_shape_of_the_page_is_refused() -> None:
    """It contradicts the second."""
    flat = {"invoiceId": "1234567890", "counterpartyId": "0987654321", "amount": 1000.00, "currency": "USD"}
    assert Simulation().answer(post(flat)).status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"currency": NaN}', b"[" * 100_000, b'"\\ud800"', [SMALL], 1])
def test_what_is_no_object_is_refused(body: object) -> None:
    """Never an exception."""
    reply = Simulation().answer(post(body))
    assert (reply.status, list(read(reply)["errors"])) == (400, ["$"])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("counterPartyId", "c1000000-0000-4000-8000-000000000001"),
        ("receivingAccountId", "c1000000-0000-4000-8000-000000000088"),
        ("products.1.productId", PRODUCT + "8"),
        ("taxes.0.taxId", PRODUCT + "1"),
    ],
)
def test_an_unknown_id_is_not_found(place: str, value: str) -> None:
    """404 in the wrapper."""
    simulation = Simulation()
    reply = simulation.answer(post(changed(place, value)))
    assert (reply.status, read(reply)["errors"]) == (404, [f"{value} does not exist"])
    assert (read(reply)["succeeded"], read(reply)["data"], simulation.stored()) == (False, None, [])


REFUSED = {"succeeded-false": 200, "pascal-case-400": 400, "camel-case-400": 400}


@pytest.mark.parametrize("quirk", Simulation.quirks)
def test_a_quirk_stores_or_does_not(quirk: str) -> None:
    """What is answered and what is stored differ; a wrong invoice is never stored."""
    simulation = Simulation()
    assert simulation.answer(post({**FULL, "currency": 9}), quirk).status == 400
    assert simulation.stored() == []
    assert simulation.answer(post(FULL), quirk).status == REFUSED.get(quirk, 200)
    assert len(simulation.stored()) == (quirk not in REFUSED)


@pytest.mark.parametrize(("quirk", "wrapped"), [("pascal-case-400", "Errors"), ("camel-case-400", "errors")])
def test_a_wrapped_400_lists_the_faults(quirk: str, wrapped: str) -> None:
    """`errors` is a list there; real faults are named in it."""
    assert read(Simulation().answer(post({**SMALL, "currency": 9}), quirk))[wrapped] == [
        "$.currency must be from 2 to 4"
    ]


def test_the_quirk_of_the_first_shape() -> None:
    """Flat, without `succeeded`."""
    assert read(Simulation().answer(post(SMALL), "flat-shape")) == {
        "invoiceId": "20000000-0000-4000-8000-000000000001",
        "counterpartyId": SMALL["counterPartyId"],
        "amount": Decimal("100.50"),
        "currency": "USD",
        "status": "Pending",
        "createdDate": "2026-06-30T00:00:00.000Z",
        "dueDate": SMALL["dueDate"],
    }


@pytest.mark.parametrize(("quirk", "succeeded", "data"), [("succeeded-false", False, None), ("without-id", True, {})])
def test_the_quirks_of_success_without_an_id(quirk: str, succeeded: bool, data: object) -> None:
    """200 in the right shape, but it does not say which invoice was created."""
    answer = read(Simulation().answer(post(SMALL), quirk))
    assert answer["succeeded"] is succeeded
    assert answer["data"] == (None if data is None else {"amount": Decimal("100.50")})


def test_the_quirk_of_the_content_type() -> None:
    """The same bytes, labelled as text."""
    plain, labelled = Simulation().answer(post(SMALL)), Simulation().answer(post(SMALL), "text-plain")
    assert labelled.body == plain.body
    assert labelled.headers["content-type"] == "text/plain"


def test_the_quirks_of_the_amount() -> None:
    """Other rules than the usual one."""
    taxed = discounted({**lines((1, 100)), "taxes": [TWENTY]}, 2, 10)
    assert amount(taxed, "tax-before-discount") == Decimal("110.00")
    assert amount(taxed, "amount-off-by-a-cent") == Decimal("108.01")


def test_the_quirk_of_an_echo() -> None:
    """The request's own JSON, which proves nothing."""
    assert json.loads(Simulation().answer(post(FULL), "echo").body) == FULL
