"""The simulated ONLYOFFICE binds, refuses, stores and computes as the real server's source says."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from gateway.core.exchange import Reply, Request
from gateway.sandbox import simulation
from gateway.sandbox.onlyoffice import Simulation

INVOICE = "/api/2.0/crm/invoice"
TOKEN = "sandbox-token"
LINE: dict[str, Any] = {"invoiceItemID": 501, "quantity": "1", "price": "100.00"}
MINIMAL: dict[str, Any] = {
    "number": "INV-1",
    "issueDate": "2026-06-30",
    "contactId": 10,
    "dueDate": "2026-07-30",
    "language": "en-US",
    "currency": "USD",
    "exchangeRate": 1,
    "terms": "Payable within 30 days",
    "invoiceLines": [LINE],
}
EVERY_LINE_FIELD: dict[str, Any] = {
    "invoiceItemID": 502,
    "invoiceTax1ID": 7,
    "invoiceTax2ID": 10,
    "quantity": 2,
    "price": 7.7,
    "discount": 25,
    "description": "Brake pads",
    "ID": 1234,
}
EVERY_FIELD: dict[str, Any] = {
    "number": "INV-9",
    "issueDate": "2026-01-02",
    "templateType": 1,
    "contactId": 10,
    "consigneeId": 11,
    "entityId": 3,
    "billingAddressID": 31,
    "deliveryAddressID": 33,
    "dueDate": "2026-02-01",
    "language": "es-ES",
    "currency": "rub",
    "exchangeRate": 54.32,
    "purchaseOrderNumber": "PO-1",
    "terms": "Terms",
    "description": "Description",
    "invoiceLines": [EVERY_LINE_FIELD],
}
GENERIC = "Value does not fall within the expected range."
CURRENCIES = (
    "AED AMD AOA ARS AUD AZN BDT BGN BRL BYN BYR CAD CHF CLP CNY COP CRC CUP CZK DKK DOP DZD ETB EUR GBP GEL HKD HRK"
    " HUF IDR ILS INR JPY KES KRW KWD KZT LTL LVL MAD MDL MGA MNT MUR MXN MYR NGN NOK NZD OMR PHP PKR PLN QAR RON RSD"
    " RUB SAR SEK SGD THB TND TRY TTD UAH USD UZS VEF VES VND XAF XOF XPF ZAR"
).split()
# The names of the answer on the vendor's page, lines 101 to 309.
PAGE = {
    "": "InvoiceLines Status Number IssueDate TemplateType Contact Consignee Entity DueDate Language Currency"
    " ExchangeRate PurchaseOrderNumber Terms Description FileID CreateOn CreateBy Cost CanEdit CanDelete ID",
    "Status": "Title ID",
    "Contact": "SmallFotoUrl MediumFotoUrl DisplayName IsCompany IsPrivate IsShared ShareType Currency CanEdit"
    " CanDelete ID",
    "Entity": "EntityType EntityId EntityTitle",
    "Currency": "Title Symbol Abbreviation CultureName IsConvertable IsBasic",
    "CreateBy": "Id DisplayName",
}
PAGE_LINE = "InvoiceID InvoiceItemID InvoiceTax1ID InvoiceTax2ID SortOrder Description Quantity Price Discount ID"


def send(
    api: Simulation,
    method: str = "POST",
    path: str = INVOICE,
    body: object = None,
    *,
    token: str | None = TOKEN,
    kind: str | None = "application/json",
    quirk: str | None = None,
) -> Reply:
    """One request; `body` is text as it is, or anything else as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    headers = [] if kind is None else [("Content-Type", kind)]
    if token is not None:
        headers.append(("Authorization", token))
    return api.answer(Request(method, path, text.encode(), tuple(headers)), quirk)


def read(reply: Reply) -> Any:
    """The envelope, without floats."""
    return json.loads(reply.body, parse_float=Decimal)


def minimal(**more: Any) -> dict[str, Any]:
    """The smallest invoice, with other members."""
    return MINIMAL | more


def without(name: str) -> dict[str, Any]:
    """The smallest invoice without a member."""
    return {key: value for key, value in MINIMAL.items() if key != name}


def with_line(**more: Any) -> dict[str, Any]:
    """The smallest invoice, with other members in its line."""
    return minimal(invoiceLines=[LINE | more])


def created(api: Simulation, body: object = MINIMAL, path: str = INVOICE, **more: Any) -> Any:
    """The invoice that a body becomes, as a read by id answers it."""
    reply = send(api, "POST", path, body, **more)
    assert reply.status == 201, reply.body
    return read(send(api, "GET", f"{INVOICE}/{read(reply)['response']['id']}"))["response"]


def refused(body: object, status: int = 400, stored: int = 0, **more: Any) -> str:
    """The words of a refusal in the envelope, after which there are as many invoices as `stored` says."""
    api = Simulation()
    reply = send(api, body=body, **more)
    envelope = read(reply)
    assert (reply.status, len(api.stored())) == (status, stored), reply.body
    assert (envelope["status"], envelope["statusCode"], "response" in envelope) == (1, status, False)
    assert (envelope["error"]["hresult"], envelope["error"]["data"]) == (-2147024809, {})
    return str(envelope["error"]["message"])


def test_it_is_a_simulation() -> None:
    """The class has the shape of the contract."""
    api: simulation.Simulation = Simulation()
    assert api.name == "onlyoffice"
    assert api.stored() == []


@pytest.mark.parametrize("token", ["sandbox-token", "Bearer sandbox-token"])
def test_the_token_comes_bare_or_as_bearer(token: str) -> None:
    """Both work."""
    created(Simulation(), token=token)


@pytest.mark.parametrize("token", [None, "", "other", "bearer sandbox-token", "Basic sandbox-token", "Bearer other"])
def test_a_wrong_token_is_answered_with_a_word(token: str | None) -> None:
    """401 in plain text, as the page says, for reads too."""
    api = Simulation()
    for method in ("POST", "GET"):
        reply = send(api, method, body=MINIMAL, token=token)
        assert (reply.status, reply.body) == (401, b"Unauthorized")
        assert reply.headers["content-type"] == "text/plain"
    assert api.stored() == []


def test_a_creation_is_answered_in_an_envelope() -> None:
    """201, camel case, and an invoice from memory that knows no time and no user."""
    reply = send(Simulation(), body=MINIMAL)
    envelope = read(reply)
    invoice = envelope.pop("response")
    assert (reply.status, envelope) == (201, {"count": 1, "status": 0, "statusCode": 201})
    assert (invoice["id"], invoice["status"]["id"], invoice["fileID"]) == (1, 1, 0)
    assert invoice["createOn"] == "0001-01-01T00:00:00.0000000Z"
    assert invoice["currency"]["abbreviation"] == "USD"
    assert str(invoice["cost"]) == "100.00"


def test_a_read_knows_the_time_and_the_user() -> None:
    """Apart from that it is what the creation answered."""
    api = Simulation()
    answered = read(send(api, body=MINIMAL))["response"]
    reply = send(api, "GET", f"{INVOICE}/1")
    invoice = read(reply)["response"]
    assert (reply.status, read(reply)["statusCode"]) == (200, 200)
    assert {name for name in invoice if invoice[name] != answered[name]} == {"createOn", "createBy"}


def test_slashes_are_escaped() -> None:
    """Which no reader of JSON may notice."""
    api = Simulation()
    reply = send(api, body=minimal(terms="1/2"))
    assert b'"1\\/2"' in reply.body
    assert read(reply)["response"]["terms"] == "1/2"


def test_every_field_is_taken_and_read_back() -> None:
    """All fields of the page's request and of a real line, in one request."""
    invoice = created(Simulation(), EVERY_FIELD)
    same = ("number", "templateType", "language", "purchaseOrderNumber", "terms", "description")
    assert [invoice[name] for name in same] == [EVERY_FIELD[name] for name in same]
    assert (invoice["contact"]["id"], invoice["consignee"]["id"]) == (10, 11)
    assert (invoice["entity"]["entityId"], invoice["currency"]["abbreviation"]) == (3, "RUB")
    assert (invoice["issueDate"][:10], invoice["dueDate"][:10]) == ("2026-01-02", "2026-02-01")
    assert str(invoice["exchangeRate"]) == "54.32"
    stored = invoice["invoiceLines"][0]
    names = ("invoiceItemID", "invoiceTax1ID", "invoiceTax2ID", "description")
    assert [stored[name] for name in names] == [EVERY_LINE_FIELD[name] for name in names]
    assert [str(stored[name]) for name in ("quantity", "price", "discount")] == ["2.00", "7.70", "25.00"]
    assert (stored["invoiceID"], stored["sortOrder"], stored["id"] != 1234) == (1, 0, True)


def test_the_answer_has_the_members_of_the_page() -> None:
    """In Pascal case and bare, with the quirk for it; the list of accesses is left out as nothing is private."""
    invoice = read(send(Simulation(), body=minimal(entityId=3), quirk="bare-pascal-case"))
    for place, names in PAGE.items():
        assert set(invoice[place] if place else invoice) == set(names.split()), place
    assert set(invoice["InvoiceLines"][0]) == set(PAGE_LINE.split())


def test_the_answer_of_the_page_is_200() -> None:
    """The invoice is stored all the same."""
    api = Simulation()
    reply = send(api, body=MINIMAL, quirk="bare-pascal-case")
    assert (reply.status, read(reply)["ID"], str(read(reply)["Cost"])) == (200, 1, "100.00")
    assert len(api.stored()) == 1


@pytest.mark.parametrize(
    "name",
    ["number", "issueDate", "contactId", "dueDate", "currency", "exchangeRate", "terms", "invoiceLines"],
)
def test_what_is_required_may_be_neither_absent_nor_empty(name: str) -> None:
    """The words never say what was missing."""
    for body in (without(name), minimal(**{name: ""}), minimal(**{name: None})):
        assert refused(body) == GENERIC


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"invoiceLines": [{"value": {"ID": "1234"}}]},
        minimal(contactId=12),
        minimal(contactId=-1),
        minimal(consigneeId=12),
        minimal(consigneeId=-1),
        minimal(entityId=4),
        minimal(billingAddressID=32),
        minimal(billingAddressID=31, contactId=11),
        minimal(deliveryAddressID=32),
        minimal(deliveryAddressID=32, consigneeId=11),
        minimal(deliveryAddressID=31, consigneeId=10),
        minimal(deliveryAddressID=1),
        minimal(billingAddressID=1),
        minimal(currency="BHD"),
        minimal(currency="US"),
        minimal(exchangeRate=0),
        minimal(exchangeRate="-1"),
        minimal(invoiceLines=[]),
        minimal(invoiceLines=[1]),
        minimal(invoiceLines="x"),
        minimal(number={"a": 1}),
        minimal(number=["a", "b"]),
        minimal(invoiceLines=[LINE, {}]),
        with_line(invoiceItemID=506),
        with_line(invoiceItemID=0),
        with_line(invoiceTax1ID=6),
        with_line(invoiceTax2ID=11),
        with_line(invoiceTax1ID=-1),
        with_line(quantity=-1),
        with_line(price="-0.01"),
        with_line(discount=-1),
        with_line(discount="100.01"),
    ],
    ids=str,
)
def test_what_does_not_exist_or_is_out_of_range_is_refused(body: object) -> None:
    """400 in words that tell nothing; the page's own example is among them."""
    assert refused(body) == GENERIC


@pytest.mark.parametrize(
    "body",
    [
        minimal(consigneeId=10, deliveryAddressID=32),
        minimal(consigneeId=11, deliveryAddressID=33),
        minimal(contactId=11, entityId=3),
        minimal(billingAddressID=-1, deliveryAddressID=0),
        minimal(language=""),
        minimal(language=None),
        minimal(language="EN-us"),
        minimal(consigneeId=None),
        minimal(unknown={"a": [1]}),
        minimal(contactId="10"),
        minimal(invoiceLines=LINE),
        with_line(invoiceTax1ID=0, discount=100, unknown=None),
        with_line(quantity=0),
        with_line(price="1e2"),
        with_line(description=None),
    ],
    ids=str,
)
def test_what_the_server_binds_is_taken(body: object) -> None:
    """Texts for numbers, nulls at the top, one line without a list, unknown names."""
    created(Simulation(), body)


@pytest.mark.parametrize(("sent", "shown"), [(1, 1), ("Rus", 1), ("eur", 0), ("", 0), ("2147483647", 2**31 - 1)])
def test_the_template_is_a_number_or_a_name(sent: object, shown: int) -> None:
    """It is not checked further; without one it is 0."""
    assert created(Simulation(), minimal(templateType=sent))["templateType"] == shown
    assert created(Simulation())["templateType"] == 0


@pytest.mark.parametrize("item", range(501, 506))
def test_the_items_of_the_catalogue_exist(item: int) -> None:
    """A line of one; without tax, quantity and price it is nothing of nothing."""
    line = created(Simulation(), minimal(invoiceLines=[{"invoiceItemID": item}]))["invoiceLines"][0]
    names = ("invoiceItemID", "invoiceTax1ID", "invoiceTax2ID", "quantity", "price", "discount", "description")
    assert [line[name] for name in names] == [item, 0, 0, 0, 0, 0, ""]


@pytest.mark.parametrize("code", CURRENCIES)
def test_every_currency_of_the_portal_is_taken(code: str) -> None:
    """In either case."""
    assert created(Simulation(), minimal(currency=code.lower()))["currency"]["abbreviation"] == code


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (minimal(contactId="ten"), "contactId"),
        (minimal(contactId=10.0), "contactId"),
        (minimal(contactId=True), "contactId"),
        (minimal(contactId=2**31), "contactId"),
        (minimal(templateType="Fra"), "templateType"),
        (minimal(exchangeRate="1,5"), "exchangeRate"),
        (minimal(exchangeRate="NaN"), "exchangeRate"),
        (minimal(exchangeRate="1e999"), "exchangeRate"),
        (minimal(issueDate="30.06.2026"), "issueDate"),
        (minimal(issueDate="20260630"), "issueDate"),
        (minimal(issueDate="2026-02-30"), "issueDate"),
        (minimal(dueDate="2026-06-30 10:00:00"), "dueDate"),
        (minimal(dueDate="2026-06-30T10:00"), "dueDate"),
        (minimal(dueDate="2026-06-30T10:00:00.12Z"), "dueDate"),
        (minimal(dueDate="2026-06-30T10:00:00.510Z"), "dueDate"),
        (minimal(dueDate="2026-06-30T10:00:00.123456"), "dueDate"),
        (minimal(dueDate="0001-01-01T00:00:00Z"), "dueDate"),
        (with_line(quantity=None), "Quantity"),
        (with_line(quantity=""), "Quantity"),
        (with_line(price="1,000.00"), "Price"),
        (with_line(discount=None), "Discount"),
        (with_line(invoiceItemID="x"), "InvoiceItemID"),
        (with_line(invoiceTax1ID=None), "InvoiceTax1ID"),
        (with_line(ID=None), "ID"),
        (with_line(sortOrder=""), "SortOrder"),
    ],
    ids=str,
)
def test_what_cannot_be_converted_is_refused_by_name(body: object, name: str) -> None:
    """Null and the empty text are no numbers inside a line."""
    assert refused(body).startswith(f"Failed to convert parameter '{name}' to type ")


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"contactId":Infinity}', '{"terms":"\\ud800"}'])
def test_what_is_no_json_object_is_refused(body: str) -> None:
    """With words of their own."""
    assert refused(body) == "Unable to deserialize json"


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_json_under_another_type_is_ignored(kind: str | None) -> None:
    """It is read as a form, in which nothing is found."""
    assert refused(MINIMAL, kind=kind) == GENERIC
    created(Simulation(), kind="application/json; charset=utf-8")


def test_names_at_the_top_know_no_case() -> None:
    """Any case will do; of two spellings the first counts."""
    shouted = {name.upper(): value for name, value in MINIMAL.items()}
    assert created(Simulation(), shouted)["number"] == "INV-1"
    assert created(Simulation(), {"NUMBER": "first", **MINIMAL})["number"] == "first"


@pytest.mark.parametrize("spelling", ["InvoiceItemID", "invoiceItemID", "invoiceitemid"])
def test_names_in_a_line_have_three_spellings(spelling: str) -> None:
    """As declared, with a small first letter, all small."""
    created(Simulation(), minimal(invoiceLines=[{spelling: 501}]))


@pytest.mark.parametrize("spelling", ["invoiceItemId", "InvoiceItemId", "INVOICEITEMID", "itemID"])
def test_other_names_in_a_line_are_not_bound(spelling: str) -> None:
    """The item stays 0, which does not exist."""
    assert refused(minimal(invoiceLines=[{spelling: 501}])) == GENERIC


@pytest.mark.parametrize(("name", "value"), [("unitPrice", 9), ("PRICE", 9), ("prIce", 9)])
def test_a_line_without_a_price_costs_nothing(name: str, value: int) -> None:
    """The price of the catalogue is not used, and a misspelt one is not found."""
    assert (
        created(Simulation(), minimal(invoiceLines=[{"invoiceItemID": 501, "quantity": 1, name: value}]))["cost"] == 0
    )


def test_the_query_wins() -> None:
    """Over the body, whatever the case of the name; the first value counts."""
    path = f"{INVOICE}?Number=from%20query&number=second&contactid=11"
    invoice = created(Simulation(), path=path)
    assert (invoice["number"], invoice["contact"]["id"]) == ("from query", 11)


def test_a_number_that_looks_like_a_time_is_rewritten() -> None:
    """Its fraction loses the zeros at the end; a date alone stays."""
    written = {
        "2026-06-30T10:00:00.500Z": "2026-06-30T10:00:00.5Z",
        "2026-06-30T10:00:00.000": "2026-06-30T10:00:00",
        "2026-06-30T10:00:00.1234567Z": "2026-06-30T10:00:00.1234567Z",
        "2026-06-30": "2026-06-30",
        "INV-1.500": "INV-1.500",
    }
    assert {number: created(Simulation(), minimal(number=number))["number"] for number in written} == written


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("2026-06-30", "2026-06-30T00:00:00.0000000-05:00"),
        ("2026-06-30T10:15:00", "2026-06-30T10:15:00.0000000-05:00"),
        ("2026-06-30T00:00:00Z", "2026-06-29T19:00:00.0000000-05:00"),
        ("2026-06-30T00:00:00+03:00", "2026-06-29T16:00:00.0000000-05:00"),
        ("2026-06-30T10:15:00.123Z", "2026-06-30T05:15:00.1230000-05:00"),
        ("2026-06-30T10:15:00.1234567", "2026-06-30T10:15:00.1234560-05:00"),
        ("2026-06-30T10:15:00.000Z", "2026-06-30T05:15:00.0000000-05:00"),
    ],
)
def test_times_are_shown_in_the_portals_zone(sent: str, shown: str) -> None:
    """Midnight in UTC is the day before."""
    assert created(Simulation(), minimal(issueDate=sent))["issueDate"] == shown


@pytest.mark.parametrize(
    ("name", "sent", "stored"),
    [
        ("price", '"1.005"', "1.01"),
        ("price", "1.005", "1.01"),
        ("price", '"1.004"', "1.00"),
        ("quantity", "0.125", "0.13"),
        ("discount", "33.333", "33.33"),
        ("price", "99999999.99", "99999999.99"),
        ("price", "100000000", "99999999.99"),
        ("quantity", "123456789.1", "99999999.99"),
    ],
)
def test_columns_keep_two_decimals_and_ten_digits(name: str, sent: str, stored: str) -> None:
    """Half up, and cut, and nobody is told."""
    line = f'{{"invoiceItemID":501,"{name}":{sent}}}'
    body = json.dumps(without("invoiceLines"))[:-1] + f',"invoiceLines":[{line}]}}'
    assert str(created(Simulation(), body)["invoiceLines"][0][name]) == stored


def test_the_exchange_rate_is_a_column_too() -> None:
    """Checked as it was sent, kept rounded."""
    assert str(created(Simulation(), minimal(exchangeRate="0.001"))["exchangeRate"]) == "0.00"


@pytest.mark.parametrize(
    ("lines", "cost"),
    [
        ([("1", "100.00", "0", 7, 0)], "120.00"),
        ([("2", "95.00", "0", 7, 0), ("1", "149.50", "0", 7, 0), ("5", "8.90", "0", 7, 0)], "460.80"),
        ([("0.5", "0.01", "0", 0, 0)], "0.00"),
        ([("1.5", "0.01", "0", 0, 0)], "0.02"),
        ([("0.5", "0.05", "0", 0, 0)], "0.02"),
        ([("1", "0.25", "10", 0, 0)], "0.23"),
        ([("1", "0.35", "10", 0, 0)], "0.31"),
        ([("1", "100", "0", 7, 10)], "125.50"),
        ([("1", "0.50", "0", 8, 0)], "0.54"),
        ([("1", "1.50", "0", 8, 0)], "1.60"),
        ([("1", "1.00", "0", 10, 0)], "1.06"),
        ([("1", "3.00", "0", 10, 0)], "3.16"),
        ([("1", "0.50", "0", 8, 0)] * 3, "1.62"),
        ([("100", "7.7", "25", 7, 8)], "733.42"),
        ([("1", "10", "0", 9, 0)], "10.00"),
        ([("1", "10", "100", 7, 0)], "0.00"),
        ([("99999999.99", "99999999.99", "0", 0, 0)], "9999999998000000.00"),
    ],
)
def test_the_cost_is_rounded_half_to_even_at_every_step(lines: list[tuple[str, str, str, int, int]], cost: str) -> None:
    """Per line: price, then discount, then each tax of what is left."""
    names = ("quantity", "price", "discount", "invoiceTax1ID", "invoiceTax2ID")
    sent = [{"invoiceItemID": 505, **dict(zip(names, line, strict=True))} for line in lines]
    api = Simulation()
    assert str(created(api, minimal(invoiceLines=sent))["cost"]) == cost
    assert api.stored()[0]["total"] == cost


def test_lines_keep_their_order() -> None:
    """Whatever `sortOrder` says."""
    lines = [{"invoiceItemID": item, "sortOrder": 9 - at} for at, item in enumerate((503, 501, 502))]
    stored = created(Simulation(), minimal(invoiceLines=lines))["invoiceLines"]
    assert [(line["invoiceItemID"], line["sortOrder"]) for line in stored] == [(503, 0), (501, 1), (502, 2)]


def test_a_number_is_unique() -> None:
    """The second one is refused in the same words as everything else."""
    api = Simulation()
    created(api)
    reply = send(api, body=minimal(terms="other"))
    assert (reply.status, read(reply)["error"]["message"], len(api.stored())) == (400, GENERIC, 1)
    created(api, minimal(number="INV-2"))


def test_a_long_number_is_cut() -> None:
    """So that the second one with the same first 255 characters is not found to be a duplicate."""
    api = Simulation()
    invoice = created(api, minimal(number="x" * 300, purchaseOrderNumber="y" * 300))
    assert (invoice["number"], invoice["purchaseOrderNumber"]) == ("x" * 255, "y" * 255)
    created(api, minimal(number="x" * 300))


def test_without_a_language_the_database_refuses() -> None:
    """500, and nothing is stored."""
    assert refused(without("language"), status=500) == "Column 'language' cannot be null"


@pytest.mark.parametrize("language", ["xx-XX", "english", "en_US"])
def test_an_unknown_culture_is_refused_after_storing(language: str) -> None:
    """400 in the usual words, although the invoice is there."""
    assert refused(minimal(language=language), stored=1) == GENERIC


def test_a_search_by_number_leaves_out_what_counts() -> None:
    """No contact, no lines, no cost; the id is right."""
    api = Simulation()
    created(api, minimal(number="a/b 1", consigneeId=11, entityId=3))
    reply = send(api, "GET", f"{INVOICE}/bynumber?number={quote('a/b 1', safe='')}")
    found = read(reply)["response"]
    assert (reply.status, found["id"], found["number"]) == (200, 1, "a/b 1")
    assert [found[name] for name in ("contact", "consignee", "entity", "invoiceLines", "cost")] == [None] * 4 + [0]


def test_a_number_can_be_asked_for() -> None:
    """`exist` answers true or false."""
    api = Simulation()
    created(api)
    for number, there in (("INV-1", True), ("INV-2", False)):
        assert read(send(api, "GET", f"{INVOICE}/bynumber/exist?number={number}"))["response"] is there


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{INVOICE}/bynumber?number=INV-0", 404),
        (f"{INVOICE}/bynumber", 400),
        (f"{INVOICE}/bynumber/exist?number=", 400),
        (f"{INVOICE}/7", 404),
        (f"{INVOICE}/x", 404),
        ("/api/2.0/crm/unknown", 404),
    ],
)
def test_what_is_not_there_is_told_in_an_envelope(path: str, status: int) -> None:
    """Unlike a path outside the CRM, which the web server answers."""
    reply = send(Simulation(), "GET", path)
    assert (reply.status, read(reply)["statusCode"], read(reply)["status"]) == (status, status, 1)


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/2.0/people"), ("POST", "/crm/invoice"), ("GET", "/")])
def test_other_paths_are_the_web_servers(method: str, path: str) -> None:
    """A page of HTML."""
    reply = send(Simulation(), method, path)
    assert (reply.status, reply.headers["content-type"]) == (404, "text/html")


@pytest.mark.parametrize(("method", "path"), [("DELETE", f"{INVOICE}/1"), ("PUT", INVOICE), ("POST", f"{INVOICE}/tax")])
def test_other_methods_are_not_there(method: str, path: str) -> None:
    """404, and nothing is stored."""
    api = Simulation()
    assert (send(api, method, path, MINIMAL).status, api.stored()) == (404, [])


def test_paths_may_end_in_json() -> None:
    """For creation and for reading."""
    api = Simulation()
    created(api, path=f"{INVOICE}.json")
    assert read(send(api, "GET", f"{INVOICE}/1.json"))["response"]["number"] == "INV-1"


def test_the_portal_lists_its_taxes() -> None:
    """With id, name and rate in percent."""
    envelope = read(send(Simulation(), "GET", f"{INVOICE}/tax"))
    assert envelope["count"] == 4
    rates = {tax["id"]: str(tax["rate"]) for tax in envelope["response"]}
    assert rates == {7: "20", 8: "7", 9: "0", 10: "5.5"}
    assert all(tax["name"] for tax in envelope["response"])


def test_the_portal_lists_its_currencies() -> None:
    """The same that it takes."""
    envelope = read(send(Simulation(), "GET", "/api/2.0/crm/settings/currency"))
    assert [currency["abbreviation"] for currency in envelope["response"]] == CURRENCIES
    assert envelope["count"] == len(CURRENCIES) == 74


def test_an_error_can_come_under_200() -> None:
    """`error-in-200` stores nothing."""
    api = Simulation()
    reply = send(api, body=MINIMAL, quirk="error-in-200")
    assert (reply.status, read(reply)["status"], "error" in read(reply), api.stored()) == (200, 1, True, [])


def test_an_error_can_be_told_of_what_was_stored() -> None:
    """Under 200 or under 400; the invoice is whole."""
    for quirk, status in (("stored-error-in-200", 200), ("stored-then-400", 400)):
        api = Simulation()
        reply = send(api, body=MINIMAL, quirk=quirk)
        assert (reply.status, read(reply)["status"]) == (status, 1)
        assert read(send(api, "GET", f"{INVOICE}/1"))["response"]["cost"] == 100


def test_an_invoice_can_be_half_written() -> None:
    """500, and the last line is missing in what is there; a repetition meets a number that is taken."""
    api = Simulation()
    body = minimal(invoiceLines=[LINE, LINE | {"price": "7"}])
    assert send(api, body=body, quirk="half-written").status == 500
    invoice = read(send(api, "GET", f"{INVOICE}/1"))["response"]
    assert (len(invoice["invoiceLines"]), invoice["cost"]) == (1, 100)
    assert send(api, body=body).status == 400


def test_a_refused_token_can_be_a_page() -> None:
    """HTML under 401, whatever the token."""
    api = Simulation()
    reply = send(api, body=MINIMAL, quirk="unauthorized-html")
    assert (reply.status, reply.headers["content-type"], api.stored()) == (401, "text/html", [])


@pytest.mark.parametrize("quirk", ["error-in-200", "stored-error-in-200", "stored-then-400", "half-written"])
def test_a_quirk_does_not_save_a_wrong_invoice(quirk: str) -> None:
    """What is refused anyway is refused as always."""
    assert refused({}, quirk=quirk) == GENERIC


def test_what_is_stored_can_be_looked_at() -> None:
    """Id, number and total as text, oldest first, and how many lines."""
    api = Simulation()
    created(api)
    created(api, minimal(number="INV-2"))
    assert api.stored() == [
        {"id": "1", "number": "INV-1", "total": "100.00", "lines": 1},
        {"id": "2", "number": "INV-2", "total": "100.00", "lines": 1},
    ]
