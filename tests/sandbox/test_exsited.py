"""The simulated Exsited says what the vendor's page and SDKs say, and refuses everything else."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from gateway.core.exchange import Reply, Request
from gateway.sandbox import simulation
from gateway.sandbox.exsited import Simulation

TOKENS = "/api/v1/oauth2/token"
ORDER = "ORD-76GOU2-1001"
CREATE = f"/api/v3/orders/{ORDER}/invoices"
CREDENTIALS = {
    "grant_type": "client_credentials",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "redirect_uri": "https://gateway.example/callback",
}
# The names of the answer on the vendor's page, lines 35 to 125.
MEMBERS = (
    "status id type custom_form currency customer_purchase_order_id billing_start_date alternate_billing_start_date"
    " billing_end_date alternate_billing_end_date issue_date alternate_issue_date due_date alternate_due_date subtotal"
    " tax total paid due payment_status last_payment discount_amount price_tax_inclusive invoice_note account_id"
    " order_id kpis created_by created_on last_updated_by last_updated_on uuid version custom_attributes"
    " custom_objects lines"
)
KPIS = (
    "outstanding overdue last_payment_date payment_applied credit_applied credit_issued last_reactivated_on"
    " last_cancelled_on last_amended_on voided_on deleted_on"
)
LINE = (
    "subtotal total tax accounting_code item_uuid item_id item_order_quantity item_uom item_warehouse"
    " pricing_snapshot_uuid charging_start_date alternate_charging_start_date charging_end_date"
    " alternate_charging_end_date uuid version"
)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.seconds


def send(
    api: Simulation,
    method: str,
    path: str,
    body: object = None,
    *,
    token: str | None = None,
    kind: str = "application/json",
    quirk: str | None = None,
) -> Reply:
    """One request; `body` is text as it is, or anything else as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    headers = [("content-type", kind)]
    if token is not None:
        headers.append(("Authorization", f"Bearer {token}"))
    return api.answer(Request(method, path, text.encode(), tuple(headers)), quirk)


def read(reply: Reply) -> Any:
    """The answer, without floats."""
    return json.loads(reply.body, parse_float=Decimal)


def login(api: Simulation) -> str:
    """A token; each one ends the one before."""
    return str(read(send(api, "POST", TOKENS, CREDENTIALS))["access_token"])


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def api(clock: Clock) -> Simulation:
    """An account with its orders and no token."""
    return Simulation(clock)


@pytest.fixture
def token(api: Simulation) -> str:
    """The account's current token."""
    return login(api)


def invoiced(api: Simulation, token: str, path: str = CREATE, quirk: str | None = None, **wanted: str) -> Any:
    """The invoice that was created."""
    reply = send(api, "POST", path, {"invoice": wanted}, token=token, quirk=quirk)
    assert reply.status in (200, 201), reply.body
    return read(reply)["invoice"]


def test_it_is_a_simulation() -> None:
    """The class has the shape of the contract, and needs no argument."""
    made: simulation.Simulation = Simulation()
    assert made.name == "exsited"
    assert made.stored() == []


def test_tokens_are_counted_and_last_an_hour(api: Simulation) -> None:
    """The answer of the token endpoint, twice."""
    answers = [read(send(api, "POST", TOKENS, CREDENTIALS)) for _ in range(2)]
    assert answers == [
        {"access_token": f"sandbox-token-{n}", "refresh_token": f"sandbox-refresh-{n}", "expires_in": 3600}
        for n in (1, 2)
    ]


def test_a_new_token_ends_the_previous_one(api: Simulation, token: str) -> None:
    """Two who share credentials sign each other out."""
    assert send(api, "GET", CREATE, token=token).status == 200
    other = login(api)
    assert send(api, "GET", CREATE, token=token).status == 401
    assert send(api, "GET", CREATE, token=other).status == 200


def test_a_token_expires(api: Simulation, token: str, clock: Clock) -> None:
    """After exactly 3600 seconds."""
    clock.seconds += 3599
    assert send(api, "GET", CREATE, token=token).status == 200
    clock.seconds += 1
    assert send(api, "GET", CREATE, token=token).status == 401


def test_a_token_can_be_refreshed_once(api: Simulation, token: str) -> None:
    """The refresh token of the current pair, and no other."""
    refresh = CREDENTIALS | {"grant_type": "refresh_token", "refresh_token": "sandbox-refresh-1"}
    fresh = read(send(api, "POST", TOKENS, refresh))["access_token"]
    assert fresh == "sandbox-token-2"
    assert send(api, "GET", CREATE, token=token).status == 401
    assert send(api, "GET", CREATE, token=fresh).status == 200
    assert send(api, "POST", TOKENS, refresh).status == 400


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"client_id": "other"}, 401),
        ({"client_secret": "other"}, 401),
        ({"redirect_uri": "https://other.example"}, 400),
        ({"grant_type": "password"}, 400),
        ({"grant_type": "refresh_token"}, 400),
        ({"grant_type": "refresh_token", "refresh_token": "sandbox-refresh-1"}, 400),
        ({"refresh_token": "sandbox-refresh-1"}, 400),
        ({"scope": "all"}, 400),
        ({"client_secret": 1}, 400),
    ],
    ids=str,
)
def test_a_wrong_token_request_is_refused(api: Simulation, change: dict[str, Any], status: int) -> None:
    """With an error in the form of v3."""
    reply = send(api, "POST", TOKENS, CREDENTIALS | change)
    assert reply.status == status
    assert read(reply)["errors"][0]["code"] == status


@pytest.mark.parametrize("name", list(CREDENTIALS))
def test_every_credential_is_required(api: Simulation, name: str) -> None:
    """The redirect address too, although nobody is redirected."""
    body = {key: value for key, value in CREDENTIALS.items() if key != name}
    assert send(api, "POST", TOKENS, body).status == 400


def test_credentials_are_sent_as_json(api: Simulation) -> None:
    """Not as a form, which OAuth would want."""
    form = "application/x-www-form-urlencoded"
    assert send(api, "POST", TOKENS, "grant_type=client_credentials", kind=form).status == 400
    assert send(api, "POST", TOKENS, CREDENTIALS, kind=form).status == 400


@pytest.mark.parametrize("authorization", [None, "", "sandbox-token-1", "Basic sandbox-token-1", "Bearer other"])
def test_without_the_token_nothing_is_read_or_stored(api: Simulation, authorization: str | None) -> None:
    """401 in the form of v3."""
    assert login(api) == "sandbox-token-1"
    headers = [("content-type", "application/json")]
    if authorization is not None:
        headers.append(("authorization", authorization))
    for method in ("POST", "GET"):
        reply = api.answer(Request(method, CREATE, b'{"invoice":{}}', tuple(headers)))
        assert reply.status == 401
        assert read(reply) == {"errors": [{"code": 401, "message": "Unauthorized"}]}
    assert api.stored() == []


def test_a_creation_answers_every_member_of_the_page(api: Simulation, token: str) -> None:
    """No member more or less, at any depth."""
    reply = send(api, "POST", CREATE, {"invoice": {"id": "INV-1", "invoice_note": "note"}}, token=token)
    invoice = read(reply)["invoice"]
    assert reply.status == 201
    assert list(read(reply)) == ["invoice"]
    assert set(invoice) == set(MEMBERS.split())
    assert set(invoice["kpis"]) == set(KPIS.split())
    assert set(invoice["custom_form"]) == {"uuid", "name"}
    assert set(invoice["currency"]) == {"uuid", "name", "link"}
    assert set(invoice["custom_attributes"][0]) == {"name", "value"}
    for line in invoice["lines"]:
        assert set(line) == set(LINE.split())
        assert set(line["tax"]) == {"amount", "uuid", "code", "rate", "link"}
        assert set(line["accounting_code"]) == {"sales_revenue"}


def leaves(value: object) -> list[object]:
    """All plain values within a value."""
    if isinstance(value, dict | list):
        return [leaf for item in (value.values() if isinstance(value, dict) else value) for leaf in leaves(item)]
    return [value]


def test_every_value_of_v3_is_a_string(api: Simulation, token: str) -> None:
    """Amounts, rates, quantities and versions too; what is unset may be null."""
    invoice = invoiced(api, token)
    assert {type(leaf) for leaf in leaves(invoice)} == {str, type(None)}
    assert (invoice["version"], invoice["price_tax_inclusive"]) == ("1", "false")


def test_the_order_decides_what_is_claimed(api: Simulation, token: str) -> None:
    """Lines, amounts, dates, account and currency of the first order."""
    invoice = invoiced(api, token, id="INV-1", invoice_note="the reference")
    assert {name: invoice[name] for name in ("id", "invoice_note", "order_id", "account_id", "status", "type")} == {
        "id": "INV-1",
        "invoice_note": "the reference",
        "order_id": ORDER,
        "account_id": "ACC-88",
        "status": "ACTIVE",
        "type": "LINKED_WITH_ORDER",
    }
    assert invoice["currency"]["name"] == "USD"
    amounts = ("subtotal", "tax", "total", "paid", "due", "discount_amount")
    assert [invoice[name] for name in amounts] == ["410.00", "82.00", "492.00", "0.00", "492.00", "0.00"]
    assert invoice["kpis"]["outstanding"] == "492.00"
    assert (invoice["issue_date"], invoice["due_date"]) == ("2026-06-30T00:00:00Z", "2026-07-30T00:00:00Z")
    names = ("item_id", "item_order_quantity", "subtotal", "total")
    assert [tuple(line[name] for name in names) for line in invoice["lines"]] == [
        ("labour", "2", "190.00", "228.00"),
        ("brake-pads", "1", "149.50", "179.40"),
        ("oil-5w30", "5", "44.50", "53.40"),
        ("oil-filter", "1", "16.00", "19.20"),
        ("disposal", "1", "10.00", "12.00"),
    ]
    taxes = [(line["tax"]["rate"], line["tax"]["amount"]) for line in invoice["lines"]]
    assert taxes == [("20", "38.00"), ("20", "29.90"), ("20", "8.90"), ("20", "3.20"), ("20", "2.00")]


def test_the_second_order_is_not_taxed(api: Simulation, token: str) -> None:
    """One line of labour."""
    invoice = invoiced(api, token, "/api/v3/orders/ORD-76GOU2-1002/invoices")
    assert [invoice[name] for name in ("subtotal", "tax", "total")] == ["100.00", "0.00", "100.00"]
    assert [(line["item_id"], line["tax"]["rate"]) for line in invoice["lines"]] == [("labour", "0")]


@pytest.mark.parametrize("wanted", [{}, {"id": "x"}, {"invoice_note": ""}, {"id": "x" * 255}], ids=str)
def test_id_and_note_are_optional(api: Simulation, token: str, wanted: dict[str, str]) -> None:
    """Without an id the server gives one."""
    invoice = invoiced(api, token, **wanted)
    assert invoice["id"] == wanted.get("id", "INV-76GOU2-6001")
    assert invoice["invoice_note"] == wanted.get("invoice_note", "")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        {},
        {"invoice": None},
        {"invoice": []},
        {"invoice": {"id": ""}},
        {"invoice": {"id": "x" * 256}},
        {"invoice": {"id": 1}},
        {"invoice": {"id": None}},
        {"invoice": {"invoice_note": None}},
        {"invoice": {"invoice_note": 1}},
        {"invoice": {"total": "492.00"}},
        {"invoice": {"lines": []}},
        {"invoice": {}, "order_id": ORDER},
        {"id": "INV-1"},
    ],
    ids=str,
)
def test_what_the_page_does_not_know_is_refused(api: Simulation, token: str, body: object) -> None:
    """400 in the form of v3, nothing stored."""
    reply = send(api, "POST", CREATE, body, token=token)
    error = read(reply)["errors"][0]
    assert (reply.status, error["code"], type(error["message"]), api.stored()) == (400, 400, str, [])


def test_a_creation_is_json_and_has_no_query(api: Simulation, token: str) -> None:
    """Another content type, or a query, is refused."""
    assert send(api, "POST", CREATE, {"invoice": {}}, token=token, kind="text/plain").status == 400
    assert send(api, "POST", f"{CREATE}?dry=1", {"invoice": {}}, token=token).status == 400
    assert send(api, "POST", f"{TOKENS}?dry=1", CREDENTIALS).status == 400
    assert send(api, "GET", "/api/v3/invoices/INV-0?expand=1", token=token).status == 400
    assert api.stored() == []


def test_an_invoice_id_is_unique(api: Simulation, token: str) -> None:
    """Over all orders."""
    invoiced(api, token, id="INV-1")
    for path in (CREATE, "/api/v3/orders/ORD-76GOU2-1002/invoices"):
        assert send(api, "POST", path, {"invoice": {"id": "INV-1"}}, token=token).status == 400
    assert len(api.stored()) == 1


def test_an_order_can_be_invoiced_twice(api: Simulation, token: str) -> None:
    """A blind repetition without an id bills twice, and the server's own ids never meet ours."""
    sent = invoiced(api, token, id="INV-76GOU2-6002")["id"]
    own = [invoiced(api, token)["id"] for _ in range(2)]
    assert len({sent, *own}) == 3
    assert [invoice["total"] for invoice in api.stored()] == ["492.00"] * 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v3/orders/ORD-0/invoices"),
        ("GET", "/api/v3/orders/ORD-0/invoices"),
        ("GET", "/api/v3/invoices/INV-0"),
        ("POST", "/api/v3/invoices"),
        ("POST", "/api/v4/orders/ORD-76GOU2-1001/invoices"),
        ("GET", "/api/v1/oauth2/token"),
        ("DELETE", "/api/v3/invoices/INV-0"),
    ],
)
def test_what_does_not_exist_is_404(api: Simulation, token: str, method: str, path: str) -> None:
    """Orders, invoices and endpoints."""
    reply = send(api, method, path, {"invoice": {}}, token=token)
    assert (reply.status, read(reply)["errors"][0]["code"]) == (404, 404)


def test_an_invoice_is_read_back_by_its_id(api: Simulation, token: str) -> None:
    """Whatever characters it has, once they are percent-encoded."""
    invoice = invoiced(api, token, CREATE.replace("-", "%2D"), id="R 2026/ü-1")
    reply = send(api, "GET", f"/api/v3/invoices/{quote('R 2026/ü-1', safe='')}", token=token)
    assert (reply.status, read(reply)) == (200, {"invoice": invoice})


def test_an_orders_invoices_come_in_pages(api: Simulation, token: str) -> None:
    """With the pagination of v3, which says NULL where there is no page."""
    for number in "abc":
        invoiced(api, token, id=number)
    invoiced(api, token, "/api/v3/orders/ORD-76GOU2-1002/invoices", id="other")
    pages = [read(send(api, "GET", f"{CREATE}?limit=2&offset={offset}", token=token))["order"] for offset in (0, 2)]
    assert [[invoice["id"] for invoice in page["invoices"]] for page in pages] == [["a", "b"], ["c"]]
    assert pages[0]["pagination"] == {
        "records": 3,
        "limit": 2,
        "offset": 0,
        "previous_page": "NULL",
        "next_page": f"{CREATE}?limit=2&offset=2",
    }
    assert pages[1]["pagination"]["next_page"] == "NULL"
    following = read(send(api, "GET", pages[1]["pagination"]["previous_page"], token=token))
    assert following["order"] == pages[0]


def test_a_page_has_twenty_invoices(api: Simulation, token: str) -> None:
    """Unless told otherwise; the last page may be full."""
    ids = [invoiced(api, token)["id"] for _ in range(20)]
    page = read(send(api, "GET", CREATE, token=token))["order"]
    assert ([invoice["id"] for invoice in page["invoices"]], page["pagination"]["next_page"]) == (ids, "NULL")
    invoiced(api, token)
    page = read(send(api, "GET", CREATE, token=token))["order"]
    assert (len(page["invoices"]), page["pagination"]["next_page"]) == (20, f"{CREATE}?limit=20&offset=20")
    assert len({invoice["uuid"] for invoice in page["invoices"]}) == 20


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["b", "a"]),
        ("?limit=1", ["b"]),
        ("?order_by=id", ["a", "b"]),
        ("?order_by=created_on&direction=DESC", ["a", "b"]),
        ("?offset=5", []),
    ],
)
def test_an_orders_invoices_can_be_ordered(api: Simulation, token: str, query: str, ids: list[str]) -> None:
    """Oldest first, unless told otherwise."""
    for number in "ba":
        invoiced(api, token, id=number)
    page = read(send(api, "GET", f"{CREATE}{query}", token=token))["order"]
    assert [invoice["id"] for invoice in page["invoices"]] == ids


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "offset=-1", "page=2", "direction=up", "order_by=note"])
def test_a_wrong_page_is_refused(api: Simulation, token: str, query: str) -> None:
    """Unknown parameters too."""
    assert send(api, "GET", f"{CREATE}?{query}", token=token).status == 400


@pytest.mark.parametrize(("quirk", "status"), [("expired-302", 302), ("expired-401", 401)])
def test_the_current_token_can_be_ended(api: Simulation, token: str, quirk: str, status: int) -> None:
    """The request is not served, and the token stays ended; a new one works."""
    reply = send(api, "POST", CREATE, {"invoice": {}}, token=token, quirk=quirk)
    assert (reply.status, "location" in reply.headers) == (status, status == 302)
    assert send(api, "POST", CREATE, {"invoice": {}}, token=token).status == 401
    assert api.stored() == []
    invoiced(api, login(api))


@pytest.mark.parametrize("quirk", list(Simulation.quirks))
def test_the_token_endpoint_has_no_quirks(api: Simulation, quirk: str) -> None:
    """So that a quirk can stay switched on."""
    assert send(api, "POST", TOKENS, CREDENTIALS, quirk=quirk).status == 200


def test_a_login_page_can_come_with_200(api: Simulation, token: str) -> None:
    """It is HTML, and nothing is stored."""
    reply = send(api, "POST", CREATE, {"invoice": {}}, token=token, quirk="login-page")
    assert (reply.status, reply.headers["content-type"], api.stored()) == (200, "text/html", [])
    assert reply.body.startswith(b"<!doctype html>")


def test_the_server_can_renumber(api: Simulation, token: str) -> None:
    """Our id is ignored, even one that exists; the note stays."""
    invoiced(api, token, id="INV-1")
    invoice = invoiced(api, token, quirk="renumbers", id="INV-1", invoice_note="ours")
    assert (invoice["id"], invoice["invoice_note"]) == ("INV-76GOU2-6002", "ours")


def test_a_duplicate_can_be_409(api: Simulation, token: str) -> None:
    """With the same error."""
    invoiced(api, token, id="INV-1")
    reply = send(api, "POST", CREATE, {"invoice": {"id": "INV-1"}}, token=token, quirk="duplicate-409")
    assert (reply.status, read(reply)["errors"][0]["code"], len(api.stored())) == (409, 409, 1)


def test_a_creation_can_be_200(api: Simulation, token: str) -> None:
    """It is the same invoice."""
    reply = send(api, "POST", CREATE, {"invoice": {}}, token=token, quirk="status-200")
    assert (reply.status, read(reply)["invoice"]["id"]) == (200, api.stored()[0]["id"])


def refusal(api: Simulation, token: str, quirk: str, status: int = 400) -> Any:
    """The answer to a good invoice that is refused; nothing is stored."""
    reply = send(api, "POST", CREATE, {"invoice": {"id": "INV-1"}}, token=token, quirk=quirk)
    assert (reply.status, api.stored()) == (status, [])
    return read(reply)


@pytest.mark.parametrize(("quirk", "status"), [("errors-v4", 400), ("object-error", 200)])
def test_a_refusal_can_be_an_object_of_v4(api: Simulation, token: str, quirk: str, status: int) -> None:
    """Under 400, or under 200."""
    error = refusal(api, token, quirk, status)
    assert (error["object"], error["status"], error["code"]) == ("error", 400, "validation_error")
    assert set(error) == {"object", "request_id", "status", "code", "message", "doc_url", "errors"}
    assert set(error["errors"][0]) == {"field", "code", "message", "doc_url"}


def test_errors_have_other_shapes(api: Simulation, token: str) -> None:
    """Strings, a map, or a code that contradicts the status."""
    assert isinstance(refusal(api, token, "errors-as-strings")["errors"][0], str)
    assert isinstance(refusal(api, token, "errors-as-map")["errors"]["invoice.id"][0], str)
    assert refusal(api, token, "code-401-under-400")["errors"][0]["code"] == 401


def test_the_types_can_be_those_of_v4(api: Simulation, token: str) -> None:
    """Numbers and booleans in some places, exact ones; in the answer only, not in what is stored."""
    invoice = invoiced(api, token, quirk="json-types-of-v4", id="INV-1")
    line = invoice["lines"][0]
    assert (invoice["version"], invoice["price_tax_inclusive"], invoice["total"]) == (1, False, "492.00")
    assert (str(invoice["discount_amount"]), str(invoice["kpis"]["outstanding"])) == ("0.00", "492.00")
    assert invoice["kpis"]["overdue"] == 0
    assert (line["item_order_quantity"], line["tax"]["rate"], line["version"]) == (2, 20, 1)
    again = read(send(api, "GET", "/api/v3/invoices/INV-1", token=token))["invoice"]
    assert again["version"] == "1"


def test_what_is_stored_can_be_looked_at(api: Simulation, token: str) -> None:
    """Id, number and total as text, oldest first."""
    invoiced(api, token, id="INV-1", invoice_note="n")
    assert api.stored() == [
        {"id": "INV-1", "number": "INV-1", "total": "492.00", "order_id": ORDER, "invoice_note": "n"}
    ]
