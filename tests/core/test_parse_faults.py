"""What a valid invoice is, field by field, and how each fault is named. Source: contract 1 and 6."""

from typing import Any

import pytest

from gateway.core.errors import InvalidInvoice
from gateway.core.money import Amount
from gateway.core.parse import parse
from tests.core.samples import TYPES, codes, document, encoded, faults, invoice, line

TAX = {"category": "S", "rate": "20"}


def test_the_smallest_invoice_is_read() -> None:
    """What is required is enough; the rest has its default."""
    found = invoice()
    assert (found.external_id, found.currency, found.customer.id, found.digits) == ("billing:1", "USD", "acct-88", 2)
    assert (found.prices_include_tax, found.delivery.send, found.labels, found.discounts) == (False, False, {}, ())
    assert found.lines[0].quantity == Amount("2")


WHOLE: dict[str, Any] = document(
    number="INV-1", due_date="2026-07-30", exchange_rate="1.1", prices_include_tax=True,
    supplier={"id": "us", "name": "Us", "email": "us@example.com", "tax_id": "DE1"},
    customer={
        "id": "acct-88", "name": "A", "identifiers": {"0088": "1", "tiny": "2"},
        "billing_address": {
            "line1": "1", "line2": "2", "city": "C", "region": "R", "postal_code": "P", "country": "NO",
        },
        "shipping_address": {"country": "DE"},
    },
    references={"order": "o", "purchase_order": "p", "contract": "c"},
    lines=[line(
        description="d", unit="HUR", net_amount="18.00", item={"id": "i", "name": "n", "identifiers": {"0160": "x"}},
        discounts=[{"amount": "2.00", "percent": "10", "reason": "r", "taxes": [TAX]}], charges=[{"amount": "0"}],
        taxes=[TAX], extensions={"tiny": {"shelf": "s"}},
    )],
    discounts=[{"amount": "1.00", "taxes": [TAX | {"id": "t", "identifiers": {"tiny": "7"}}]}],
    charges=[{"amount": "1.00"}],
    totals={"prepaid_total": "1.00", "rounding": "0.00"},
    payment_terms={"code": "NET30", "note": "n"}, billing_period={"start": "2026-06-01", "end": "2026-06-30"},
    recurrence="P1M", note="n", language="de-CH", delivery={"send": True}, labels={"product": ""},
    metadata={"k": ""}, extensions={"tiny": {"colour": "red", "tip": "1.5"}},
)  # fmt: skip


def test_every_field_of_the_contract_is_read() -> None:
    """An invoice with all of them, by the fast way and by the slow."""
    fast = parse(encoded(WHOLE), TYPES)
    slow = parse(encoded(WHOLE), TYPES, "billing:1")
    assert fast.customer.billing_address is not None
    assert fast.customer.billing_address.country == "NO"
    assert fast.lines[0].extensions.keys() == {"tiny"}
    for name in set(fast.__struct_fields__) - {"extensions", "lines"}:
        assert getattr(fast, name) == getattr(slow, name)


@pytest.mark.parametrize("name", ["issue_date", "currency", "customer", "lines"])
def test_a_required_field_is_asked_for(name: str) -> None:
    """Contract 1, column "required"; one fault, and none that only follows from it."""
    value = document()
    del value[name]
    assert codes(value) == {f"/{name}": "missing"}


@pytest.mark.parametrize("name", ["id", "item", "quantity", "unit_price"])
def test_a_required_field_of_a_line_is_asked_for(name: str) -> None:
    """By its place in the list."""
    value = line()
    del value[name]
    assert codes(document(lines=[line(), value])) == {f"/lines/1/{name}": "missing"}


def test_the_customers_id_is_required() -> None:
    """A party's id is optional, but not the customer's."""
    assert codes(document(customer={})) == {"/customer/id": "missing"}
    assert codes(document(customer={"id": 5})) == {"/customer/id": "type"}
    assert invoice(supplier={"name": "Us"}).supplier is not None


CHANGES: list[tuple[dict[str, Any], str, str]] = [
    ({"external_id": "-x"}, "/external_id", "pattern"),
    ({"external_id": "x" * 129}, "/external_id", "pattern"),
    ({"external_id": ""}, "/external_id", "pattern"),
    ({"external_id": None}, "/external_id", "type"),
    ({"external_id": 5}, "/external_id", "type"),
    ({"number": ""}, "/number", "length"),
    ({"number": "x" * 256}, "/number", "length"),
    ({"note": ""}, "/note", "length"),
    ({"note": "x" * 4001}, "/note", "length"),
    ({"issue_date": "2026-02-30"}, "/issue_date", "date"),
    ({"issue_date": "2026-02-29"}, "/issue_date", "date"),
    ({"issue_date": "30.06.2026"}, "/issue_date", "date"),
    ({"issue_date": "2026-06-30T00:00:00"}, "/issue_date", "date"),
    ({"issue_date": "0000-01-01"}, "/issue_date", "date"),
    ({"issue_date": None}, "/issue_date", "type"),
    ({"due_date": "2026-06-29"}, "/due_date", "order"),
    ({"due_date": "2026-06-31"}, "/due_date", "date"),
    ({"billing_period": {"start": "2026-06-02", "end": "2026-06-01"}}, "/billing_period/end", "order"),
    ({"billing_period": {"start": "2026-06-02"}}, "/billing_period/end", "missing"),
    ({"billing_period": {"start": "2026-06-02", "end": "x"}}, "/billing_period/end", "date"),
    ({"currency": "EURO"}, "/currency", "length"),
    ({"currency": "usd"}, "/currency", "unknown-code"),
    ({"currency": "XXX"}, "/currency", "unknown-code"),
    ({"exchange_rate": "0"}, "/exchange_rate", "range"),
    ({"exchange_rate": "-1.5"}, "/exchange_rate", "range"),
    ({"prices_include_tax": "true"}, "/prices_include_tax", "type"),
    ({"delivery": {"send": 1}}, "/delivery/send", "type"),
    ({"lines": []}, "/lines", "length"),
    ({"lines": [line()] * 1001}, "/lines", "length"),
    ({"lines": {}}, "/lines", "type"),
    ({"recurrence": "P0M"}, "/recurrence", "range"),
    ({"recurrence": "PT1H"}, "/recurrence", "pattern"),
    ({"recurrence": "monthly"}, "/recurrence", "pattern"),
    ({"language": "english_US"}, "/language", "pattern"),
    ({"language": "en" + "-abcdefgh" * 4}, "/language", "length"),
    ({"labels": {str(n): "x" for n in range(17)}}, "/labels", "length"),
    ({"labels": {"": "x"}}, "/labels/", "length"),
    ({"labels": {"k" * 64: "x"}}, "/labels/" + "k" * 64, "length"),
    ({"labels": {"k": "x" * 256}}, "/labels/k", "length"),
    ({"labels": {"a/b~c": 5}}, "/labels/a~1b~0c", "type"),
    ({"metadata": {str(n): "x" for n in range(51)}}, "/metadata", "length"),
    ({"metadata": {"k" * 65: "x"}}, "/metadata/" + "k" * 65, "length"),
    ({"metadata": {"k": "x" * 501}}, "/metadata/k", "length"),
    ({"metadata": {"k": None}}, "/metadata/k", "type"),
    ({"customer": {"id": "x" * 256}}, "/customer/id", "length"),
    ({"customer": {"id": "c", "billing_address": {"country": "UK"}}}, "/customer/billing_address/country",
     "unknown-code"),
    ({"supplier": {"shipping_address": {"country": "no"}}}, "/supplier/shipping_address/country", "unknown-code"),
    ({"supplier": {"billing_address": {"country": "NOR."}}}, "/supplier/billing_address/country", "length"),
    ({"customer": {"id": "c", "identifiers": {"tinny": "x"}}}, "/customer/identifiers/tinny", "unknown-code"),
    ({"customer": {"id": "c", "identifiers": {"a/b": "x"}}}, "/customer/identifiers/a~1b", "unknown-code"),
    ({"customer": {"id": "c", "identifiers": {"0088": ""}}}, "/customer/identifiers/0088", "length"),
    ({"references": {"order": ""}}, "/references/order", "length"),
    ({"payment_terms": {"code": 30}}, "/payment_terms/code", "type"),
    ({"totals": {"amount_due": "1.001"}}, "/totals/amount_due", "precision"),
    ({"discounts": [{"amount": "0.001"}]}, "/discounts/0/amount", "precision"),
    ({"charges": [{"amount": "1"}, {"amount": "0.001"}]}, "/charges/1/amount", "precision"),
    ({"currency": "JPY", "totals": {"tax_total": "0.5"}}, "/totals/tax_total", "precision"),
    ({"discounts": [{"percent": "10"}]}, "/discounts/0/amount", "missing"),
    ({"discounts": [{"amount": "1", "taxes": [TAX | {"rate": "101"}]}]}, "/discounts/0/taxes/0/rate", "range"),
    ({"charges": [{"amount": "1", "taxes": [TAX | {"rate": "-1"}]}]}, "/charges/0/taxes/0/rate", "range"),
    ({"extensions": {"tinny": {}}}, "/extensions/tinny", "unknown-code"),
    ({"extensions": {"mute": {}}}, "/extensions/mute", "unknown-field"),
    ({"extensions": {"a/b": {}}}, "/extensions/a~1b", "unknown-code"),
    ({"extensions": {"tiny": {"color": "red"}}}, "/extensions/tiny/color", "unknown-field"),
    ({"extensions": {"tiny": {"colour": "x" * 11}}}, "/extensions/tiny/colour", "length"),
    ({"extensions": {"tiny": {"tip": 1.5}}}, "/extensions/tiny/tip", "decimal"),
    ({"extensions": {"tiny": []}}, "/extensions/tiny", "type"),
    ({"curency": "USD"}, "/curency", "unknown-field"),
    ({"a/b~c": 1}, "/a~1b~0c", "unknown-field"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "pointer", "code"), CHANGES)
def test_a_fault_of_the_document_is_named_by_its_pointer(changes: dict[str, Any], pointer: str, code: str) -> None:
    """Exactly one fault, exactly where it is."""
    assert codes(document(**changes)) == {pointer: code}


LINE_CHANGES: list[tuple[dict[str, Any], str, str]] = [
    ({"id": ""}, "/id", "length"),
    ({"item": {"id": "i", "name": ""}}, "/item/name", "length"),
    ({"item": {"id": "i", "identifiers": {"X": "1"}}}, "/item/identifiers/X", "unknown-code"),
    ({"item": {}}, "/item/id", "missing"),
    ({"unit": "HOUR"}, "/unit", "pattern"),
    ({"description": "x" * 4001}, "/description", "length"),
    ({"net_amount": 20}, "/net_amount", "decimal"),
    ({"taxes": [{"category": "X", "rate": "0"}]}, "/taxes/0/category", "unknown-code"),
    ({"taxes": [{"rate": "0"}]}, "/taxes/0/category", "missing"),
    ({"taxes": [{"category": "S"}]}, "/taxes/0/rate", "missing"),
    ({"taxes": [TAX, {"category": "S", "rate": "100.5"}]}, "/taxes/1/rate", "range"),
    ({"taxes": [TAX | {"identifiers": {"tin": "1"}}]}, "/taxes/0/identifiers/tin", "unknown-code"),
    ({"taxes": [TAX | {"id": ""}]}, "/taxes/0/id", "length"),
    ({"discounts": [{"amount": "1", "taxes": [TAX]}]}, "/discounts/0/taxes", "contradiction"),
    ({"charges": [{"amount": "1"}, {"amount": "1", "taxes": [TAX]}]}, "/charges/1/taxes", "contradiction"),
    ({"extensions": {"tiny": {}}}, "/extensions/tiny/shelf", "missing"),
    ({"extensions": {"mute": {"shelf": "s"}}}, "/extensions/mute", "unknown-field"),
    ({"extensions": {"tin": {}}}, "/extensions/tin", "unknown-code"),
    ({"discount": []}, "/discount", "unknown-field"),
]


@pytest.mark.parametrize(("changes", "place", "code"), LINE_CHANGES)
def test_a_fault_of_a_line_is_named_by_its_pointer(changes: dict[str, Any], place: str, code: str) -> None:
    """With the line's index."""
    assert codes(document(lines=[line(), line(**changes)])) == {f"/lines/1{place}": code}


@pytest.mark.parametrize("category", ["Z", "E", "AE", "K", "G", "O"])
def test_a_category_without_tax_has_the_rate_0(category: str) -> None:
    """BR-Z-05, BR-E-05, BR-AE-05, BR-IC-05, BR-G-05, BR-O-05 of EN 16931."""
    assert codes(document(lines=[line(taxes=[{"category": category, "rate": "5"}])])) == {
        "/lines/0/taxes/0/rate": "contradiction"
    }
    assert invoice(lines=[line(taxes=[{"category": category, "rate": "0.0"}])])


@pytest.mark.parametrize(
    ("category", "rate"), [("S", "20"), ("L", "7"), ("M", "4"), ("B", "22"), ("S", "0"), ("S", "100")]
)
def test_a_category_with_tax_has_any_percentage(category: str, rate: str) -> None:
    """From 0 to 100."""
    assert invoice(lines=[line(taxes=[{"category": category, "rate": rate}])])


LIMITS: list[dict[str, Any]] = [
    {"number": "x" * 255}, {"note": "x" * 4000}, {"due_date": "2026-06-30"}, {"issue_date": "2028-02-29"},
    {"labels": {f"{n:063}": "x" * 255 for n in range(16)}}, {"metadata": {f"{n:064}": "x" * 500 for n in range(50)}},
    {"lines": [line()] * 1000}, {"recurrence": "P1Y"}, {"exchange_rate": "0.000001"},
    {"billing_period": {"start": "2026-06-01", "end": "2026-06-01"}},
    {"currency": "JPY", "discounts": [{"amount": "5.0"}]},
    {"currency": "KWD", "totals": {"rounding": "0.001"}}, {"lines": [line(quantity="-2", unit_price="-10.00")]},
    {"number": None}, {"customer": {"id": "c", "identifiers": {"0088": "x" * 255}}},
    {"lines": [line(quantity="999999999999999", unit_price="0.000001")]},
    {"lines": [line(taxes=[
        {"category": "E", "rate": "0", "identifiers": {"tiny": "x"}},
        {"category": "S", "rate": "100", "identifiers": {"0088": "x"}},
    ])]},
]  # fmt: skip


@pytest.mark.parametrize("changes", LIMITS)
def test_what_is_just_within_a_limit_is_read(changes: dict[str, Any]) -> None:
    """Every limit is inclusive; quantities and prices may be negative; null is absent."""
    assert invoice(**changes)


def test_all_faults_are_named_at_once() -> None:
    """Those of the schema and those that a schema cannot say, with their exact pointers."""
    value = document(
        currency="EUX", due_date="2026-01-01", number=5, curency="EUR",
        customer={"billing_address": {"country": "UK"}, "emial": "x"},
        lines=[line(quantity=2), line(taxes=[{"category": "Z", "rate": "5"}], unit="hour"), 7],
        discounts=[{"amount": "x", "taxes": [{"category": "S", "rate": "200"}]}],
        extensions={"tiny": {"colour": ""}, "no": {}}, labels={"a/b": None},
    )  # fmt: skip
    del value["external_id"]
    assert codes(value) == {
        "/external_id": "missing", "/currency": "unknown-code", "/due_date": "order", "/number": "type",
        "/curency": "unknown-field", "/customer/id": "missing", "/customer/billing_address/country": "unknown-code",
        "/customer/emial": "unknown-field", "/lines/0/quantity": "decimal", "/lines/1/taxes/0/rate": "contradiction",
        "/lines/1/unit": "pattern", "/lines/2": "type", "/discounts/0/amount": "decimal",
        "/discounts/0/taxes/0/rate": "range", "/extensions/tiny/colour": "length", "/extensions/no": "unknown-code",
        "/labels/a~1b": "type",
    }  # fmt: skip


def test_a_summary_names_the_first_fault_and_counts_the_others() -> None:
    """The problem's `detail`."""
    with pytest.raises(InvalidInvoice) as caught:
        parse(encoded(document(number=5, note=6, language=7)), TYPES)
    assert caught.value.detail == "/number: must be a string, not a number, and 2 more"
    with pytest.raises(InvalidInvoice) as caught:
        parse(encoded(document(number=5)), TYPES)
    assert caught.value.detail == "/number: must be a string, not a number"


@pytest.mark.parametrize(
    ("changes", "pointer", "hint"),
    [
        ({"curency": "x"}, "/curency", "currency"),
        ({"due_dat": "x"}, "/due_dat", "due_date"),
        ({"currency": "EUU"}, "/currency", "EUR"),
        ({"extensions": {"tinny": {}}}, "/extensions/tinny", "tiny"),
        ({"extensions": {"tiny": {"color": "x"}}}, "/extensions/tiny/color", "colour"),
        ({"customer": {"id": "c", "identifiers": {"tini": "x"}}}, "/customer/identifiers/tini", "tiny"),
    ],
)
def test_what_is_unknown_is_answered_with_the_nearest_name(changes: dict[str, Any], pointer: str, hint: str) -> None:
    """Fields, codes and dialects."""
    assert f'did you mean "{hint}"?' in faults(document(**changes))[pointer].detail


def without_id(**changes: Any) -> dict[str, Any]:
    """The smallest invoice without its `external_id`."""
    value = document(**changes)
    del value["external_id"]
    return value


def test_the_idempotency_key_stands_in_for_external_id() -> None:
    """Contract 1: one of the two is required."""
    assert parse(encoded(without_id()), TYPES, "header:1").external_id == "header:1"
    assert parse(encoded(document()), TYPES, "billing:1").external_id == "billing:1"
    assert codes(without_id()) == {"/external_id": "missing"}
    assert codes(without_id(), "") == {"/external_id": "missing"}


def test_a_false_alarm_changes_nothing() -> None:
    """A text that only looks as if it held a control character: the slow way reads the same invoice."""
    value = WHOLE | {"note": r"C:\u0001"}
    del value["external_id"]
    slow = parse(encoded(value), TYPES, "header:1")
    assert (slow.external_id, slow.note) == ("header:1", r"C:\u0001")
    assert parse(encoded(value | {"external_id": "own"}), TYPES).external_id == "own"
    assert parse(encoded(value | {"external_id": "own"}), TYPES, "own").external_id == "own"
    fast = parse(encoded(WHOLE), TYPES)
    for name in set(fast.__struct_fields__) - {"extensions", "lines", "external_id", "note"}:
        assert getattr(fast, name) == getattr(slow, name)


@pytest.mark.parametrize("key", ["-x", "a b", "x" * 129, "ä", "a\n"])
def test_a_malformed_idempotency_key_is_refused(key: str) -> None:
    """It has the form of an `external_id`; other faults are named beside it."""
    assert codes(without_id(number=5), key) == {"/external_id": "pattern", "/number": "type"}


@pytest.mark.parametrize("key", ["other", "", "Billing:1"])
def test_an_idempotency_key_that_says_otherwise_is_refused(key: str) -> None:
    """Two names for one invoice would be two invoices."""
    assert codes(document(), key) == {"/external_id": "contradiction"}


def test_a_wrong_external_id_has_one_fault_whatever_the_key_is() -> None:
    """It is wrong, not contradicting or missing as well."""
    assert codes(document(external_id=5), "key") == {"/external_id": "type"}
    assert codes(document(external_id=None), "key") == {"/external_id": "type"}
    assert codes(document(external_id=None)) == {"/external_id": "type"}
