"""The simulated ChargeOver says what the vendor's page and clients say, and refuses everything else."""

import json
from base64 import b64encode
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from gateway.core.exchange import Reply, Request
from gateway.sandbox import simulation
from gateway.sandbox.chargeover import Simulation

INVOICE = "/api/v3/invoice"
MINIMAL: dict[str, Any] = {"customer_id": 88, "line_items": [{"item_id": 239, "line_rate": 95, "line_quantity": 2}]}
ADDRESS = ("addr1", "addr2", "addr3", "city", "state", "postcode", "country", "notes")
PAYCYCLES = "evy dly 1wk 2wk 116 4wk 8wk 30d mon 2mn 12w fst lst qtr six yrl 2yr 3yr 4yr 5yr 10y one".split()
EVERY_FIELD: dict[str, Any] = {
    "refnumber": "R-1",
    "external_key": "k-1",
    "customer_id": 88,
    "customer_token": "tok-acct-88",
    "customer_external_key": "acct-88",
    "date": "2026-02-27",
    "currency_id": 2,
    "class_id": 9,
    "paycycle": "one",
    "terms_id": 2,
    "admin_id": 1,
    **{f"{kind}_{part}": f"{kind} {part}" for kind in ("bill", "ship") for part in ADDRESS},
    "no_dunning": True,
    "no_latefees": False,
    "no_procfees": True,
    "memo": "Thank you / merci",
    **{f"custom_{number}": f"c{number}" for number in range(1, 21)},
    "line_items": [
        {
            "item_id": 240,
            "paycycle": "evy",
            "descrip": "Brake pads",
            "line_rate": 149.5,
            "line_quantity": 1,
            **{f"custom_{number}": f"l{number}" for number in range(1, 11)},
        }
    ],
    "tags": ["a", "b"],
}


def send(
    api: Simulation,
    method: str = "POST",
    path: str = INVOICE,
    body: object = None,
    *,
    keys: str | None = "sandbox-public:sandbox-private",
    kind: str = "application/json",
    quirk: str | None = None,
) -> Reply:
    """One request; `body` is text as it is, or anything else as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    headers = [("Content-Type", kind)]
    if keys is not None:
        headers.append(("Authorization", f"Basic {b64encode(keys.encode()).decode()}"))
    return api.answer(Request(method, path, text.encode(), tuple(headers)), quirk)


def read(reply: Reply) -> Any:
    """The envelope, without floats."""
    return json.loads(reply.body, parse_float=Decimal)


def created(api: Simulation, body: object = MINIMAL, **more: Any) -> Any:
    """The invoice that a body becomes, as a read by id answers it."""
    reply = send(api, body=body, **more)
    assert (reply.status, read(reply)["status"]) == (201, "OK"), reply.body
    return read(send(api, "GET", f"{INVOICE}/{read(reply)['response']['id']}"))["response"]


def minimal(**more: Any) -> dict[str, Any]:
    """The smallest invoice, with other members."""
    return MINIMAL | more


def with_line(**more: Any) -> dict[str, Any]:
    """The smallest invoice, with other members in its line."""
    return minimal(line_items=[MINIMAL["line_items"][0] | more])


def test_it_is_a_simulation() -> None:
    """The class has the shape of the contract."""
    api: simulation.Simulation = Simulation()
    assert api.name == "chargeover"
    assert api.stored() == []


def test_a_creation_is_answered_as_the_page_says() -> None:
    """201, a Location, the envelope, and nothing but the id."""
    reply = send(Simulation(), body=MINIMAL)
    envelope = read(reply)
    number = envelope["response"]["id"]
    assert reply.status == 201
    assert reply.headers["location"].endswith(f"/api/v3/invoice/{number}")
    assert envelope == {"code": 201, "status": "OK", "message": "", "details": {}, "response": {"id": number}}


@pytest.mark.parametrize("keys", [None, "sandbox-public:wrong", "wrong:sandbox-private", "sandbox-public"])
def test_wrong_keys_are_answered_as_the_page_says(keys: str | None) -> None:
    """401 with the page's words, for every way to be wrong."""
    api = Simulation()
    reply = send(api, body=MINIMAL, keys=keys)
    assert reply.status == 401
    assert read(reply) == {
        "code": 401,
        "status": "Error",
        "message": "Invalid or incorrect authorization [Missing (basic) authorization header.]",
        "details": {},
        "response": False,
    }
    assert api.stored() == []


def test_every_field_of_the_page_is_taken_and_read_back() -> None:
    """All fields in one request, deprecated ones too; each comes back as it was sent."""
    invoice = created(Simulation(), EVERY_FIELD)
    lines = invoice["line_items"]
    for name, value in EVERY_FIELD.items():
        if name not in ("customer_token", "customer_external_key", "line_items"):
            assert invoice[name] == value, name
    for name, value in EVERY_FIELD["line_items"][0].items():
        assert lines[0][name] == value, name


def test_a_read_has_the_members_of_the_documentation() -> None:
    """Every member of the read that the vendor documents and an unpaid invoice can have."""
    names = (
        "invoice_id refnumber external_key token customer_id currency_id currency_iso4217 currency_symbol terms_id"
        " terms_name terms_days date due_date write_datetime mod_datetime void_datetime subtotal taxes total credits"
        " payments writeoffs applied balance is_paid is_void is_overdue paid_date invoice_status_name"
        " invoice_status_str invoice_status_state memo custom_1 bill_addr1 ship_addr1 url_permalink url_paylink"
        " url_pdflink url_self package_id admin_id brand_id line_items"
    ).split()
    line_names = (
        "line_item_id invoice_id item_id tierset_id descrip line_rate line_quantity line_usage is_base is_free"
        " is_setup is_usage is_recurring is_taxed custom_1 custom_2 custom_3"
    ).split()
    invoice = created(Simulation())
    assert [name for name in names if name not in invoice] == []
    assert [name for name in line_names if name not in invoice["line_items"][0]] == []


def test_defaults_are_the_customers_and_the_servers() -> None:
    """Without them: refnumber is the id, terms are 30 days, the currency is USD, there is no key."""
    invoice = created(Simulation())
    assert invoice["refnumber"] == str(invoice["invoice_id"])
    assert (invoice["external_key"], invoice["currency_iso4217"], invoice["terms_days"]) == (None, "USD", 30)
    assert (invoice["date"], invoice["due_date"]) == ("2026-06-30", "2026-07-30")
    assert {invoice[name] for name in ("no_dunning", "no_latefees", "no_procfees", "is_paid", "is_void")} == {False}
    assert (invoice["invoice_status_str"], invoice["tags"], invoice["class_id"]) == ("open-unpaid", [], None)


@pytest.mark.parametrize(
    ("terms", "day", "due"),
    [(1, "2026-02-27", "2026-02-27"), (2, "2026-02-27", "2026-03-13"), (3, "2024-01-30", "2024-02-29")],
)
def test_the_due_date_follows_from_the_terms(terms: int, day: str, due: str) -> None:
    """There is no due date in the request."""
    assert created(Simulation(), minimal(terms_id=terms, date=day))["due_date"] == due


@pytest.mark.parametrize(
    ("currency", "lines", "amounts"),
    [
        (1, [("95", "2"), ("149.50", "1"), ("8.90", "5")], ("384.00", "76.80", "460.80")),
        (1, [("0.105", "1"), ("0.1", "1")], ("0.21", "0.04", "0.25")),
        (1, [("0.005", "1"), ("0.005", "1")], ("0.01", "0.00", "0.01")),
        (1, [("0.004", "1"), ("0.004", "1")], ("0.01", "0.00", "0.01")),
        (1, [("2.675", "1")], ("2.68", "0.54", "3.22")),
        (1, [("0.1", "3")], ("0.30", "0.06", "0.36")),
        (3, [("12.5", "1")], ("13", "3", "16")),
        (2, [("999999999999.99", "1")], ("999999999999.99", "200000000000.00", "1199999999999.99")),
    ],
)
def test_amounts_are_exact_and_rounded_once(
    currency: int, lines: list[tuple[str, str]], amounts: tuple[str, str, str]
) -> None:
    """Lines are summed exactly, the sum is rounded half up at the currency's exponent, then the tax is."""
    items = ",".join(f'{{"item_id":239,"line_rate":{rate},"line_quantity":{quantity}}}' for rate, quantity in lines)
    api = Simulation()
    invoice = created(api, f'{{"customer_id":88,"currency_id":{currency},"line_items":[{items}]}}')
    assert tuple(str(invoice[name]) for name in ("subtotal", "taxes", "total")) == amounts
    assert invoice["balance"] == invoice["total"]
    assert api.stored()[0]["total"] == amounts[2]


def test_an_exempt_customer_pays_no_tax() -> None:
    """The tax is the customer's, and so is the mark on the line."""
    invoice = created(Simulation(), {"customer_external_key": "acct-89", "line_items": MINIMAL["line_items"]})
    assert (invoice["customer_id"], invoice["taxes"], invoice["total"]) == (89, 0, 190)
    assert invoice["line_items"][0]["is_taxed"] == "0"


@pytest.mark.parametrize("item", [239, 240, 241, 242, 243, 90, 91])
def test_the_items_of_the_account_exist(item: int) -> None:
    """A line of one; without rate and quantity it is one of nothing."""
    invoice = created(Simulation(), minimal(line_items=[{"item_id": item}]))
    line = invoice["line_items"][0]
    assert [line[name] for name in ("item_id", "line_rate", "line_quantity")] == [item, 0, 1]
    assert (line["line_item_id"] != invoice["invoice_id"], line["invoice_id"]) == (True, invoice["invoice_id"])
    assert created(Simulation(), minimal(line_items=[{"item_id": item, "line_quantity": 0}]))["total"] == 0


def test_only_a_discount_may_be_negative() -> None:
    """A discount is a line of an item of that type."""
    lines = [*MINIMAL["line_items"], {"item_id": 90, "line_rate": -10, "line_quantity": 1}]
    assert created(Simulation(), minimal(line_items=lines))["total"] == 216
    for item in (239, 91):
        refused(minimal(line_items=[{"item_id": item, "line_rate": -10, "line_quantity": 1}]))


def refused(body: object, **more: Any) -> Any:
    """The envelope of a refusal with 400, after which nothing is stored."""
    api = Simulation()
    reply = send(api, body=body, **more)
    envelope = read(reply)
    assert (reply.status, envelope["code"], envelope["status"]) == (400, 400, "Error"), reply.body
    assert (envelope["details"], envelope["response"], api.stored()) == ({}, False, [])
    return envelope


def without(name: str) -> dict[str, Any]:
    """The smallest invoice without a member."""
    return {key: value for key, value in MINIMAL.items() if key != name}


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "null",
        "",
        '{"customer_id":88,"line_items":[{"item_id":239,"line_rate":NaN}]}',
        '{"customer_id":88,"memo":"\\ud800","line_items":[{"item_id":239}]}',
        without("customer_id"),
        without("line_items"),
        minimal(line_items=[]),
        minimal(line_items={}),
        minimal(line_items=[1]),
        minimal(line_items=[{"descrip": "no item"}]),
        minimal(customer_id=90),
        minimal(customer_id="88"),
        minimal(customer_token="tok-acct-89"),
        minimal(customer_external_key="acct-90"),
        minimal(invoice_date="2026-06-30"),
        minimal(due_date="2026-06-30"),
        minimal(total=190),
        minimal(currency="USD"),
        minimal(memo=None),
        minimal(memo=1),
        minimal(external_key=""),
        minimal(date="30.06.2026"),
        minimal(date="20260630"),
        minimal(date="2026-W27-2"),
        minimal(date="2026-02-30"),
        minimal(date="9999-12-31"),
        minimal(currency_id=4),
        minimal(currency_id="1"),
        minimal(currency_id=True),
        minimal(terms_id=4),
        minimal(terms_id=1.0),
        minimal(class_id=10),
        minimal(admin_id=0),
        minimal(paycycle="weekly"),
        minimal(paycycle=["one"]),
        minimal(no_dunning=1),
        minimal(no_latefees="true"),
        minimal(no_procfees=0),
        minimal(tags="a"),
        minimal(tags=[1]),
        minimal(custom_21="x"),
        minimal(bill_addr4="x"),
        with_line(item_id=238),
        with_line(item_id="239"),
        with_line(item_external_key="x"),
        with_line(paycycle="weekly"),
        with_line(line_rate="95.00"),
        with_line(line_rate=None),
        with_line(line_quantity="2"),
        with_line(line_quantity=-1),
        with_line(line_total=190),
        with_line(custom_11="x"),
        with_line(tags=["x"]),
    ],
    ids=str,
)
def test_what_the_page_does_not_allow_is_refused(body: object) -> None:
    """400 in the page's envelope, and nothing is stored."""
    refused(body)


def test_the_body_has_to_be_sent_as_json() -> None:
    """The page knows one content type; parameters of it are fine."""
    refused(MINIMAL, kind="text/plain")
    refused(MINIMAL, kind="application/x-www-form-urlencoded")
    created(Simulation(), kind="Application/JSON; charset=utf-8")


def test_a_creation_takes_no_query() -> None:
    """The flags of the old client are not documented."""
    refused(MINIMAL, path=f"{INVOICE}?_flag_emails=0")


@pytest.mark.parametrize("code", PAYCYCLES)
def test_every_payment_cycle_of_the_page_is_known(code: str) -> None:
    """At the invoice and at a line."""
    created(Simulation(), with_line(paycycle=code) | {"paycycle": code})


@pytest.mark.parametrize(
    "customer", [{"customer_id": 89}, {"customer_token": "tok-acct-89"}, {"customer_external_key": "acct-89"}]
)
def test_a_customer_has_three_names(customer: dict[str, Any]) -> None:
    """Any of them will do."""
    assert created(Simulation(), without("customer_id") | customer)["customer_id"] == 89


def test_an_external_key_is_unique() -> None:
    """The second invoice with a key is refused, whatever else differs; other keys and no key are not."""
    api = Simulation()
    created(api, minimal(external_key="k"))
    reply = send(api, body=minimal(external_key="k", memo="other"))
    assert (reply.status, read(reply)["response"], len(api.stored())) == (400, False, 1)
    for body in (minimal(external_key="K"), MINIMAL, MINIMAL):
        created(api, body)
    assert len(api.stored()) == 4


def test_an_invoice_is_found_by_its_external_key() -> None:
    """Percent-encoded or not; a key that nobody used is 404 with null."""
    api = Simulation()
    invoice = created(api, minimal(external_key="a/b:c"))
    created(api)
    reply = send(api, "GET", f"{INVOICE}/{quote('external_key:a/b:c', safe='')}")
    assert (reply.status, read(reply)["response"]) == (200, invoice)
    assert send(api, "GET", f"{INVOICE}/{invoice['invoice_id']}?expand=1").status == 400
    for path in ("external_key:other", "external_key:None", "1", "external_key%3A"):
        missing = send(api, "GET", f"{INVOICE}/{path}")
        assert (missing.status, read(missing)["status"], read(missing)["response"]) == (404, "Error", None)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("refnumber:EQUALS:R-1", ["R-1"]),
        ("refnumber:EQUALS:r-1", []),
        ("refnumber:EQUALS:a\\,b:c", ["a,b:c"]),
        ("refnumber:EQUALS:R-1,customer_id:EQUALS:88", ["R-1"]),
        ("refnumber:EQUALS:R-1,customer_id:EQUALS:89", []),
        ("refnumber:NOTEQUALS:R-1", ["a,b:c", "R-3"]),
        ("refnumber:CONTAINS:R-", ["R-1", "R-3"]),
        ("customer_id:GT:88", ["R-3"]),
        ("customer_id:LT:89", ["R-1", "a,b:c"]),
        ("date:GTE:2026-03-01", ["a,b:c", "R-3"]),
        ("date:LTE:2026-02-01", ["R-1"]),
        ("custom_1:IS:NULL", ["a,b:c", "R-3"]),
        ("custom_1:ISNOT:NULL", ["R-1"]),
    ],
)
def test_invoices_are_found_by_conditions(where: str, found: list[str]) -> None:
    """All conditions hold; a comma of a value is escaped."""
    api = Simulation()
    created(api, minimal(refnumber="R-1", date="2026-01-01", custom_1="x"))
    created(api, minimal(refnumber="a,b:c", date="2026-03-01"))
    created(api, minimal(refnumber="R-3", customer_id=89))
    reply = send(api, "GET", f"{INVOICE}?where={quote(where, safe='')}")
    assert reply.status == 200
    assert [invoice["refnumber"] for invoice in read(reply)["response"]] == found


def test_a_query_has_pages_and_no_lines() -> None:
    """`limit` and `offset` count invoices; the lines are in the read by id."""
    api = Simulation()
    for ref in "abc":
        created(api, minimal(refnumber=ref))
    page = read(send(api, "GET", f"{INVOICE}?limit=1&offset=1"))["response"]
    assert [invoice["refnumber"] for invoice in page] == ["b"]
    assert "line_items" not in page[0]
    assert len(read(send(api, "GET", INVOICE))["response"]) == 3


@pytest.mark.parametrize(
    "query",
    [
        "where=external_key:EQUALS:k",
        "where=refnumber:LIKE:k",
        "where=refnumber",
        "where=customer_id:EQUALS:x",
        "where=",
        "limit=x",
        "limit=" + "9" * 5000,
        "offset=-1",
        "refnumber=R-1",
    ],
)
def test_a_query_outside_the_documentation_is_refused(query: str) -> None:
    """The external key cannot be filtered, among others."""
    reply = send(Simulation(), "GET", f"{INVOICE}?{query}")
    assert (reply.status, read(reply)["response"]) == (400, False)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v3/invoices"),
        ("GET", "/api/v3/customer"),
        ("PUT", f"{INVOICE}/1001"),
        ("DELETE", f"{INVOICE}/1001"),
        ("POST", "/v3/invoice"),
        ("POST", f"{INVOICE}/"),
    ],
)
def test_other_objects_and_methods_are_not_supported(method: str, path: str) -> None:
    """400, as for an unknown object type."""
    assert send(Simulation(), method, path, MINIMAL).status == 400


def test_an_error_can_come_under_201() -> None:
    """`error-in-201` stores nothing, so that the key is still free."""
    api = Simulation()
    reply = send(api, body=minimal(external_key="k"), quirk="error-in-201")
    assert (reply.status, read(reply)["status"], read(reply)["response"], api.stored()) == (201, "Error", False, [])
    created(api, minimal(external_key="k"))


def test_an_error_can_be_told_of_what_was_stored() -> None:
    """`stored-error-in-200` stores."""
    api = Simulation()
    reply = send(api, body=minimal(external_key="k"), quirk="stored-error-in-200")
    assert (reply.status, read(reply)["status"], read(reply)["response"]) == (200, "Error", False)
    assert [invoice["external_key"] for invoice in api.stored()] == ["k"]


def test_details_can_be_missing_or_a_list() -> None:
    """Both in success and in error."""
    api = Simulation()
    for body in (MINIMAL, {}):
        assert "details" not in read(send(api, body=body, quirk="without-details"))
        assert read(send(api, body=body, quirk="details-as-list"))["details"] == []


def test_an_error_can_answer_true() -> None:
    """As the page's schemas do; a 404 keeps its null."""
    api = Simulation()
    assert read(send(api, body={}, quirk="true-in-errors"))["response"] is True
    assert read(send(api, "GET", f"{INVOICE}/1", quirk="true-in-errors"))["response"] is None


@pytest.mark.parametrize(("currency", "total"), [(1, "228.01"), (3, "229")])
def test_the_total_can_be_off_by_a_cent(currency: int, total: str) -> None:
    """By one minor unit of the currency, and it stays so."""
    invoice = created(Simulation(), minimal(currency_id=currency), quirk="total-off-by-a-cent")
    assert str(invoice["total"]) == str(invoice["balance"]) == total


def test_a_list_can_have_ids_as_text() -> None:
    """In the list, not in the read by id."""
    api = Simulation()
    invoice = created(api)
    listed = read(send(api, "GET", INVOICE, quirk="list-answer-ids-as-text"))["response"][0]
    assert (listed["invoice_id"], listed["customer_id"]) == (str(invoice["invoice_id"]), "88")
    assert isinstance(invoice["invoice_id"], int)
    assert (listed["package_id"], listed["total"], listed["is_paid"]) == (None, 228, False)


def test_what_is_stored_can_be_looked_at() -> None:
    """Id, number and total as text, oldest first."""
    api = Simulation()
    first = created(api, minimal(refnumber="R-1", external_key="k"))
    created(api)
    assert api.stored()[0] == {
        "id": str(first["invoice_id"]),
        "number": "R-1",
        "total": "228.00",
        "external_key": "k",
    }
    assert len({invoice["id"] for invoice in api.stored()}) == 2
