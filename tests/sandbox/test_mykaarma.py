"""The simulated myKaarma answers as its page says, and is strict where the page is open."""

import json
from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest

from gateway.core.exchange import Reply, Request
from gateway.sandbox.mykaarma import Simulation

INVOICES = "/payment/v4/departments/d0000000-0000-4000-8000-000000000001/invoices"
FOREIGN = INVOICES.replace("000000000001", "000000000002")
CUSTOMER = "c0000000-0000-4000-8000-000000000088"
ORDER = "70000000-0000-4000-8000-000000001001"
SIGNED = ("Authorization", "Basic " + b64encode(b"sandbox:sandbox").decode())
JSON = ("Content-Type", "application/json")
SMALL = {"amount": 12.5, "customerUuid": CUSTOMER}
FULL = {
    "amount": 125.5,
    "description": "Brake pads",
    "refundedAmount": 1,
    "paidDate": "2025-03-28T11:34:46.511Z",
    "signatureFileName": "signature.png",
    "reminderDate": "2025-09-28T11:34:46.511Z",
    "reminderMileage": 60000,
    "fileName": "invoice.pdf",
    "paymentDeclines": "none",
    "invoiceAttributes": {"gatewayReference": "A-1"},
    "dealerUuid": "de000000-0000-4000-8000-000000000001",
    "orderUuid": ORDER,
    "customerUuid": CUSTOMER,
    "dealerAssociateDepartmentUuid": "d0000000-0000-4000-8000-000000000001",
    "dealerAssociateUuid": "a0000000-0000-4000-8000-000000000001",
    "attachInvoice": True,
}


def post(body: object, path: str = INVOICES, headers: tuple[tuple[str, str], ...] = (SIGNED, JSON)) -> Request:
    """A request that creates an invoice; bytes are sent as they stand."""
    return Request("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)


def read(reply: Reply) -> Any:
    """The JSON of a reply with exact numbers."""
    return json.loads(reply.body, parse_float=Decimal)


def codes(reply: Reply) -> list[int]:
    """The error codes of a reply."""
    return [error["errorCode"] for error in read(reply)["errors"]]


def test_every_field_of_the_page_is_accepted_and_answered() -> None:
    """All request fields at once, and the answer has all documented members."""
    reply = Simulation().answer(post(FULL))
    assert reply.status == 200
    answer = read(reply)
    assert (answer["errors"], answer["warnings"]) == ([], [])
    copied = set(FULL) & set(answer["invoice"])
    assert {name: answer["invoice"].pop(name) for name in copied} == {name: FULL[name] for name in copied}
    assert answer["invoice"] == {
        "id": 5001,
        "guid": "10000000-0000-4000-8000-000000000001",
        "invoiceStatus": "UNPAID",
        "invoiceDate": "2026-06-30T10:15:00.000Z",
        "paymentDealer": {"dealerUuid": FULL["dealerUuid"]},
        "paymentDealerOrder": {
            "orderNumber": "RO1001",
            "orderType": "RO",
            "departmentUuid": "d0000000-0000-4000-8000-000000000001",
            "dealerOrderUuid": ORDER,
        },
        "paymentCustomer": {"customerUuid": CUSTOMER},
        "paymentUser": {
            "id": 71,
            "dealerAssociateUUID": FULL["dealerAssociateUuid"],
            "userUUID": "aa000000-0000-4000-8000-000000000001",
            "dealerDepartmentUUID": FULL["dealerAssociateDepartmentUuid"],
        },
    }


def test_what_was_not_sent_is_null() -> None:
    """A small invoice is answered with the same members."""
    full, small = (read(Simulation().answer(post(body)))["invoice"] for body in (FULL, SMALL))
    assert small.keys() == full.keys()
    assert small["paymentDealerOrder"] is None
    assert small["description"] is None


def test_an_invoice_can_be_read_back() -> None:
    """GET answers what POST answered."""
    simulation = Simulation()
    created = read(simulation.answer(post(FULL)))
    found = simulation.answer(Request("GET", f"{INVOICES}/{created['invoice']['guid']}", headers=(SIGNED,)))
    assert read(found) == created


def test_an_unknown_invoice_is_not_found() -> None:
    """GET with a guid that was never given out."""
    reply = Simulation().answer(Request("GET", f"{INVOICES}/10000000-0000-4000-8000-000000000001", headers=(SIGNED,)))
    assert (reply.status, codes(reply)) == (404, [100006])


def test_each_invoice_is_stored_with_its_total() -> None:
    """Two equal requests are two invoices, and no figure passes a float."""
    simulation = Simulation()
    for _ in range(2):
        simulation.answer(post(b'{"amount":123456789012345.10,"orderUuid":"%b"}' % ORDER.encode()))
    stored = simulation.stored()
    assert [entry["total"] for entry in stored] == ["123456789012345.10"] * 2
    assert [entry["number"] for entry in stored] == [None, None]
    assert stored[0]["id"] != stored[1]["id"]


def test_a_new_simulation_is_empty_and_counts_anew() -> None:
    """The guids are the same in each run."""
    assert Simulation().stored() == []
    assert Simulation().answer(post(SMALL)) == Simulation().answer(post(SMALL))


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ((JSON,), 100001),
        ((JSON, ("Authorization", "Basic " + b64encode(b"sandbox:wrong").decode())), 100003),
        ((JSON, ("Authorization", SIGNED[1].replace("Basic", "Bearer"))), 100003),
        ((JSON, ("Authorization", "")), 100003),
    ],
)
def test_credentials_are_required(headers: tuple[tuple[str, str], ...], code: int) -> None:
    """Basic authentication."""
    simulation = Simulation()
    reply = simulation.answer(post(SMALL, headers=headers))
    assert (reply.status, codes(reply), simulation.stored()) == (401, [code], [])


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (FOREIGN, 403, 100014),
        (INVOICES.replace("d0000000", "dddddddd"), 400, 100013),
        (INVOICES.replace("d0000000-0000-4000-8000-000000000001", "x%2Fy"), 400, 100013),
        (INVOICES + "?notify=true", 400, 100006),
    ],
)
def test_the_department_has_to_be_the_credentials_own(path: str, status: int, code: int) -> None:
    """Authenticated is not authorized; nor are there query parameters."""
    reply = Simulation().answer(post(SMALL, path))
    assert (reply.status, codes(reply)) == (status, [code])


def test_a_percent_encoded_department_is_the_same() -> None:
    """The path arrives raw."""
    assert Simulation().answer(post(SMALL, INVOICES.replace("d0000000", "%640000000"))).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", INVOICES.removeprefix("/payment"), 404),
        ("POST", INVOICES + "/", 404),
        ("POST", "", 404),
        ("PUT", INVOICES, 405),
        ("GET", INVOICES, 405),
        ("POST", INVOICES + "/10000000-0000-4000-8000-000000000001", 405),
    ],
)
def test_other_paths_and_methods_do_not_exist(method: str, path: str, status: int) -> None:
    """Only what the page and its sibling name."""
    assert Simulation().answer(Request(method, path, b"{}", (SIGNED, JSON))).status == status


def test_the_content_type_has_to_be_json() -> None:
    """As in the page's curl."""
    assert Simulation().answer(post(SMALL, headers=(SIGNED, ("Content-Type", "text/plain")))).status == 415
    assert Simulation().answer(post(SMALL, headers=(SIGNED,))).status == 415
    assert Simulation().answer(post(SMALL, headers=(SIGNED, (JSON[0], JSON[1] + "; charset=utf-8")))).status == 200


WRONG = [
    *((name, None) for name in FULL),
    *((name, 1) for name in FULL if isinstance(FULL[name], (str, dict, bool))),
    *((name, "1") for name in FULL if not isinstance(FULL[name], str)),
    *((name, "not-a-uuid") for name in FULL if name.endswith("Uuid")),
    *((name, -1) for name in ("amount", "refundedAmount", "reminderMileage")),
    *((name, 1.005) for name in ("amount", "refundedAmount", "reminderMileage")),
    *((name, text) for name in ("paidDate", "reminderDate") for text in ("2025-03-28", "2025-02-30T00:00:00Z", "")),
    ("paidDate", "2025-03-28T11:34:46"),
    ("reminderMileage", 2**63),
    ("invoiceAttributes", {"a": 1}),
    ("invoiceAttributes", ["a"]),
    ("invoiceAttributes", {"a": None}),
    ("currency", "USD"),
    ("Amount", 1),
    ("orderUuid", ORDER.replace("1001", "1009")),
    ("customerUuid", CUSTOMER.replace("88", "80")),
    ("dealerAssociateDepartmentUuid", CUSTOMER),
    ("dealerAssociateUuid", CUSTOMER),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_member_is_refused(name: str, value: object) -> None:
    """Types, bounds, names and ids to the letter."""
    simulation = Simulation()
    reply = simulation.answer(post({**FULL, name: value}))
    assert (reply.status, set(codes(reply))) == (400, {100006})
    assert f"$.{name}" in read(reply)["errors"][0]["errorDescription"]
    assert simulation.stored() == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"customerUuid": CUSTOMER}, [100006]),
        ({"amount": 1}, [100012]),
        ({**FULL, "dealerUuid": ORDER}, [100010]),
        ({"amount": "1", "attachInvoice": "true"}, [100006, 100006]),
        ([SMALL], [100006]),
        ("text", [100006]),
        (b"", [100006]),
        (b"{", [100006]),
        (b'{"amount": NaN}', [100006]),
        (b'{"amount": 1e999999999999999999999}', [100006]),
        (b'{"description": "\\ud800"}', [100006]),
        (b"\xff", [100006]),
        (b"[" * 100_000, [100006]),
    ],
)
def test_a_wrong_body_is_refused_with_its_code(body: object, expected: list[int]) -> None:
    """All faults at once, each with code and title."""
    reply = Simulation().answer(post(body))
    assert (reply.status, codes(reply)) == (400, expected)
    for error in read(reply)["errors"]:
        assert error.keys() == {"errorCode", "errorTitle", "errorMessage", "errorDescription"}


@pytest.mark.parametrize(
    ("quirk", "errors", "warnings", "members", "stored"),
    [
        ("errors-in-200", [100006], [], None, 0),
        ("errors-with-guid", [100006], [], {"id", "guid"}, 1),
        ("warning", [], [150000], {"id", "guid"}, 1),
        ("error-100005", [100005], [], None, 1),
        ("without-guid", [], [], {"id"}, 1),
        ("without-ids", [], [], set(), 1),
    ],
)
def test_a_quirk_under_200(
    quirk: str, errors: list[int], warnings: list[int], members: set[str] | None, stored: int
) -> None:
    """What is answered and what is stored differ."""
    simulation = Simulation()
    reply = simulation.answer(post(SMALL), quirk)
    answer = read(reply)
    assert (reply.status, codes(reply), len(simulation.stored())) == (200, errors, stored)
    assert [warning["warningCode"] for warning in answer["warnings"]] == warnings
    assert (answer["invoice"] and {"id", "guid"} & answer["invoice"].keys()) == members


def test_the_quirk_of_one_error() -> None:
    """The shape of the older API: a single error with a text for a code."""
    simulation = Simulation()
    reply = simulation.answer(post(SMALL), "singular-error")
    assert (reply.status, simulation.stored()) == (400, [])
    assert read(reply) == {"error": {"errorCode": "100006", "errorDescription": "a quirk of the sandbox"}}


def test_every_quirk_is_tested() -> None:
    """The tests above name them all."""
    tested = {"errors-in-200", "errors-with-guid", "warning", "error-100005", "without-guid", "without-ids"}
    assert set(Simulation.quirks) == tested | {"singular-error"}


@pytest.mark.parametrize("quirk", Simulation.quirks)
def test_no_quirk_lets_a_wrong_invoice_in_or_changes_a_read(quirk: str) -> None:
    """Quirks concern the creation of a right invoice."""
    simulation = Simulation()
    assert codes(simulation.answer(post({"amount": 1}), quirk)) == [100012]
    guid = read(simulation.answer(post(SMALL)))["invoice"]["guid"]
    assert read(simulation.answer(Request("GET", f"{INVOICES}/{guid}", headers=(SIGNED,)), quirk))["errors"] == []
