"""ONLYOFFICE: the money rule against a second implementation in fractions, the columns' limits, the strict sandbox."""

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.core.dialect import Translation
from gateway.core.errors import Untranslatable
from gateway.core.exchange import Reply
from gateway.core.totals import checked_totals
from gateway.sandbox.onlyoffice import TOKEN, Simulation
from mappings.onlyoffice import DIALECT, LANGUAGES, Settings
from tests.support import conversations

RATES = {7: Fraction(20), 8: Fraction(7), 9: Fraction(0), 10: Fraction("5.5")}
"""What the taxes of `upstream.json` are at the portal."""

TAXES: tuple[dict[str, str], ...] = (
    {"category": "S", "rate": "20"},
    {"category": "S", "rate": "7"},
    {"category": "S", "rate": "5.5", "id": "city"},
    {"category": "E", "rate": "0"},
    {"category": "Z", "rate": "0"},
)
NAMED = ("/lines/", "/totals/", "/prices_include_tax")
"""What a refusal of a drawn invoice can be about."""

PRICES = st.one_of(
    st.integers(0, 200).map(lambda n: f"{n}"),
    st.integers(0, 99_999).map(lambda n: f"{n // 100}.{n % 100:02}"),
    st.integers(0, 9_999).map(lambda n: f"{n // 1000}.{n % 1000:03}"),
)
QUANTITIES = st.one_of(
    st.integers(1, 20).map(str),
    st.integers(0, 400).map(lambda n: f"{n // 4}.{n % 4 * 25:02}"),
    st.integers(0, 9_999).map(lambda n: f"{n // 1000}.{n % 1000:03}"),
)


@st.composite
def lines(draw: st.DrawFn, digits: int) -> dict[str, Any]:
    """A line: a discount by percentage or amount, a charge, up to three taxes."""
    line: dict[str, Any] = {"id": "1", "item": {"id": "labour"}, "quantity": draw(QUANTITIES)}
    line["unit_price"] = draw(PRICES)
    line["taxes"] = draw(st.lists(st.sampled_from(TAXES), max_size=3, unique_by=str))
    percent = draw(st.sampled_from((None, None, "10", "33.33", "100", "2.5")))
    if percent is not None:
        exactly = Decimal(line["quantity"]) * Decimal(line["unit_price"]) * Decimal(percent) / 100
        amount = exactly.quantize(Decimal(1).scaleb(-digits), "ROUND_HALF_UP")
        line["discounts"] = [{"amount": format(amount, "f"), "percent": percent}]
    elif draw(st.booleans()):
        line["discounts"] = [{"amount": amount} for amount in draw(st.lists(PRICES, max_size=2))]
    line["charges"] = [{"amount": amount} for amount in draw(st.lists(PRICES, max_size=1))]
    return line


@st.composite
def invoices(draw: st.DrawFn) -> dict[str, Any]:
    """One to four lines, in currencies of 0, 2 and 3 digits."""
    currency, digits = draw(st.sampled_from((("USD", 2), ("USD", 2), ("JPY", 0), ("KWD", 3))))
    changes = {
        "/currency": currency,
        "/prices_include_tax": draw(st.sampled_from((False, False, True))),
        "/lines": draw(st.lists(lines(digits), min_size=1, max_size=4)),
    }
    return conversations.document({"invoice": "oo-plain", "changes": changes})


def translated(document: dict[str, Any]) -> Translation:
    """The invoice as it goes to the usual upstream."""
    return conversations.translated(document, conversations.upstream(DIALECT, {}))


def attempted(document: dict[str, Any]) -> Translation | Untranslatable:
    """The translation, or why there is none."""
    try:
        return translated(document)
    except Untranslatable as problem:
        return problem


def even(value: Fraction) -> Fraction:
    """Two decimals, half to even, as Python rounds a fraction."""
    return Fraction(round(value * 100), 100)


def cost(body: dict[str, Any]) -> Fraction:
    """What the server's source computes of a request."""
    due = Fraction(0)
    for line in body["invoiceLines"]:
        net = even(Fraction(line["price"]) * Fraction(line["quantity"]))
        net -= even(net * Fraction(line.get("discount", "0")) / 100)
        taxes = [int(line[name]) for name in ("invoiceTax1ID", "invoiceTax2ID") if name in line]
        due += net + sum((even(net * RATES[tax] / 100) for tax in taxes), Fraction(0))
    return due


def numbers_as_text(body: bytes) -> dict[str, Any]:
    """A request's body with its numbers as they are written."""
    found: dict[str, Any] = json.loads(body, parse_float=str, parse_int=str)
    return found


@settings(max_examples=600, deadline=None)
@given(invoices())
def test_what_is_sent_comes_to_the_amount_due_or_is_not_sent(document: dict[str, Any]) -> None:
    """Claim, amount due, a second implementation of the rule, and what the sandbox stores: all the same."""
    translation = attempted(document)
    if isinstance(translation, Untranslatable):
        assert all(fault.pointer.startswith(NAMED) for fault in translation.faults)
        return
    body = numbers_as_text(translation.request.body)
    assert translation.claim is not None
    assert Fraction(translation.claim) == cost(body)
    assert translation.claim == checked_totals(conversations.invoice_of(document)).amount_due
    portal = Simulation()
    assert sent(translation, portal).status == 201
    assert [Decimal(stored["total"]) for stored in portal.stored()] == [translation.claim]


def sent(translation: Translation, portal: Simulation) -> Reply:
    """What the strict sandbox answers to the request."""
    own = structs.replace(translation.request, headers=(*translation.request.headers, ("Authorization", TOKEN)))
    return portal.answer(own)


@settings(max_examples=300, deadline=None)
@given(invoices())
def test_the_columns_keep_every_number_as_it_is_sent(document: dict[str, Any]) -> None:
    """No number has more than two decimals, is negative, or does not fit into decimal(10,2)."""
    translation = attempted(document)
    if isinstance(translation, Untranslatable):
        return
    body = numbers_as_text(translation.request.body)
    for line in body["invoiceLines"]:
        for name in ("quantity", "price", "discount"):
            value = Fraction(line.get(name, "0"))
            assert value == even(value)
            assert 0 <= value <= Fraction("99999999.99")


@pytest.mark.parametrize("name", ["quantity", "unit_price"])
@pytest.mark.parametrize(
    ("text", "fits"),
    [("99999999.99", True), ("0.01", True), ("100000000", False), ("100000000.00", False), ("-0.01", False)],
)
def test_a_number_beyond_its_column_is_refused(name: str, text: str, fits: bool) -> None:
    """decimal(10,2) holds 0 to 99,999,999.99; the server would cut anything else in silence."""
    line = {"id": "1", "item": {"id": "labour"}, "quantity": "1", "unit_price": "1"} | {name: text}
    document = conversations.document({"invoice": "oo-plain", "changes": {"/lines": [line]}})
    if fits:
        assert translated(document).claim == Decimal(text)
        return
    with pytest.raises(Untranslatable) as raised:
        translated(document)
    assert (f"/lines/0/{name}", "decimal(10,2)") in [(fault.pointer, fault.code) for fault in raised.value.faults]


@pytest.mark.parametrize(
    ("price", "claim"),
    [("0.15", "0.17"), ("0.25", None), ("0.35", "0.39"), ("0.45", None), ("0.55", "0.61"), ("0.24", "0.26")],
)
def test_half_a_cent_of_tax_goes_to_the_even_cent(price: str, claim: str | None) -> None:
    """10 % of 0.15 and 0.35 are rounded up by both rules; of 0.25 and 0.45 only by ours: refused."""
    tax = {"category": "S", "rate": "10"}
    line = {"id": "1", "item": {"id": "labour"}, "quantity": "1", "unit_price": price, "taxes": [tax]}
    document = conversations.document({"invoice": "oo-plain", "changes": {"/lines": [line]}})
    to = conversations.upstream(DIALECT, {"crosswalk": {"taxes": {"S:10": {"id": 12, "rate": "10"}}}})
    if claim is not None:
        assert conversations.translated(document, to).claim == Decimal(claim)
        return
    with pytest.raises(Untranslatable) as raised:
        conversations.translated(document, to)
    assert [(fault.pointer, fault.code) for fault in raised.value.faults] == [("/lines/0/taxes", "money")]


@pytest.mark.parametrize("name", ["created", "extension"])
def test_the_sandbox_takes_every_field(name: str) -> None:
    """The kitchen sinks, canonical and extension, go through the strict sandbox whole."""
    written = conversations.read(conversations.FOLDER / "onlyoffice" / f"{name}.json")
    portal = Simulation()
    translation = translated(conversations.document(written))
    assert sent(translation, portal).status == 201
    assert [Decimal(stored["total"]) for stored in portal.stored()] == [translation.claim]


def test_settings_that_fail_after_an_invoice_is_stored_are_refused() -> None:
    """A language that not every .NET knows, and terms without a word."""
    with pytest.raises(ValueError, match="the language 'tlh' is none of"):
        Settings(language="tlh", terms="Net 30")
    with pytest.raises(ValueError, match="must not be empty"):
        Settings(language="en-US", terms="")


@pytest.mark.parametrize("name", sorted(LANGUAGES))
def test_every_language_on_the_list_is_known_to_the_server(name: str) -> None:
    """An unknown one would be stored and then refused; in any spelling it is sent as the list has it."""
    document = conversations.document({"invoice": "oo-plain", "changes": {"/language": name}})
    translation = translated(document)
    assert json.loads(translation.request.body)["language"] == LANGUAGES[name]
    assert sent(translation, Simulation()).status == 201
