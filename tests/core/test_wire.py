"""How values are written for upstreams: bodies without floats, prices that keep a line's net."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from gateway.core.dialect import Draft
from gateway.core.money import Amount, exact, fits
from gateway.core.wire import body, price
from tests.core.samples import draft, invoice, line
from tests.core.strategies import Document, documents, read

S20 = [{"category": "S", "rate": "20"}]


class Wire(Struct, frozen=True, omit_defaults=True):
    """A request of an upstream."""

    amount: Decimal
    other: Decimal | None = None
    text: str | None = None


@pytest.mark.parametrize("text", ["0.10", "12.50", "1000", "999999999999999.999999", "-0.01", "0.000001"])
@pytest.mark.parametrize("kind", [Decimal, Amount])
def test_a_decimal_becomes_an_exact_json_number(kind: type[Decimal], text: str) -> None:
    """The literal that was meant, no float and no string."""
    assert body(Wire(kind(text))) == f'{{"amount":{text}}}'.encode()


def test_what_is_absent_is_omitted() -> None:
    """No null in any body."""
    assert body(Wire(Decimal(1), text="ü")) == '{"amount":1,"text":"ü"}'.encode()


def priced(
    changes: Document, places: int, prices_include_tax: bool = False, whole: bool = False, fine: bool = False
) -> tuple[str, str, Draft]:
    """Quantity and price of the only line, and the draft."""
    own = draft(invoice(lines=[line(**changes)], prices_include_tax=prices_include_tax))
    with exact():
        quantity, unit_price = price(own, 0, places, whole, fine)
    return str(quantity), str(unit_price), own


DISCOUNT = {"discounts": [{"amount": "2.00"}]}


@pytest.mark.parametrize(
    ("changes", "places", "whole", "expected"),
    [
        ({}, 2, False, ("2", "10.00")),
        ({}, 2, True, ("2", "10.00")),
        ({"quantity": "0.5"}, 2, False, ("0.5", "10.00")),
        ({"quantity": "1.25", "unit_price": "10.00"}, 2, False, ("1.25", "10.00")),
        ({"quantity": "-2"}, 2, True, ("-2", "10.00")),
        ({"unit_price": "0.125"}, 3, True, ("2", "0.125")),
        ({"unit_price": "10.000000"}, 2, True, ("2", "10.000000")),
    ],
)
def test_a_price_that_can_be_said_is_said(
    changes: Document, places: int, whole: bool, expected: tuple[str, str]
) -> None:
    """As the caller wrote it, without a loss."""
    quantity, unit_price, own = priced(changes, places, whole=whole)
    assert (quantity, unit_price) == expected
    assert own.losses == []
    assert own.faults == []


@pytest.mark.parametrize(
    ("changes", "gross", "whole", "expected", "lost"),
    [
        (DISCOUNT, False, True, ("2", "9.00"), ["unit_price", "discounts/0/amount"]),
        ({"charges": [{"amount": "0.50"}]}, False, True, ("2", "10.25"), ["unit_price", "charges/0/amount"]),
        ({"taxes": S20, "unit_price": "12.00"}, True, True, ("2", "10.00"), ["unit_price"]),
        ({"quantity": "0.5"}, False, True, ("1", "5.00"), ["quantity", "unit_price"]),
        ({"quantity": "0.125"}, False, False, ("1", "1.25"), ["quantity", "unit_price"]),
        ({"quantity": "0.5", "unit_price": "0.25"}, False, False, ("1", "0.13"), ["quantity", "unit_price"]),
        ({"quantity": "1.6", **DISCOUNT}, False, False, ("1.6", "8.75"), ["unit_price", "discounts/0/amount"]),
        (
            {"quantity": "1.5", **DISCOUNT}, False, False, ("1", "13.00"),
            ["quantity", "unit_price", "discounts/0/amount"],
        ),
    ],
)  # fmt: skip
def test_a_price_is_folded_where_nothing_else_will_do(
    changes: Document, gross: bool, whole: bool, expected: tuple[str, str], lost: list[str]
) -> None:
    """Discounts, charges and tax into the price, a quantity that is not whole into 1 x the net; each is a loss."""
    quantity, unit_price, own = priced(changes, 2, gross, whole)
    assert (quantity, unit_price) == expected
    assert own.faults == []
    noted = {one.pointer for one in own.losses if one.disposition == "folded"}
    assert noted == {f"/lines/0/{name}" for name in lost} | ({"/prices_include_tax"} if gross else set())
    into = f"1 x {unit_price}" if "quantity" in lost else "price"
    assert {one.detail for one in own.losses if one.pointer.startswith("/lines")} == {f"folded into {into}"}


@pytest.mark.parametrize(
    ("changes", "places", "gross", "named"),
    [
        ({"quantity": "3", "discounts": [{"amount": "1.00"}]}, 2, False, ["discounts"]),
        (
            {"quantity": "3", "discounts": [{"amount": "1.00"}], "charges": [{"amount": "0.02"}]},
            2,
            False,
            ["discounts", "charges"],
        ),
        ({"quantity": "3", "unit_price": "0.333"}, 2, False, ["unit_price"]),
        ({"quantity": "3", "unit_price": "10.00", "taxes": S20}, 2, True, ["unit_price"]),
        ({"quantity": "0", "charges": [{"amount": "1.00"}]}, 2, False, ["charges"]),
        ({"quantity": "0.25", "unit_price": "1.00"}, 1, False, ["unit_price"]),
    ],
)
def test_a_price_that_cannot_be_said_exactly_is_refused(
    changes: Document, places: int, gross: bool, named: list[str]
) -> None:
    """A translation may lose words, never money; the refusal names what stands in the way."""
    *_, own = priced(changes, places, gross)
    causes = [f"/lines/0/{name}" for name in named] + ["/prices_include_tax"] * gross
    assert [fault.pointer for fault in own.faults] == causes
    assert {fault.code for fault in own.faults} == {"inexact"}


def test_a_finer_price_is_taken_where_only_the_product_counts() -> None:
    """`fine`: 3 x 0.333 is refused by a net of 1.00, 4 x 0.125 is not by one of 0.50."""
    assert priced({"quantity": "4", "unit_price": "0.125"}, 2, fine=True)[:2] == ("4", "0.125")
    assert priced({"quantity": "4", "unit_price": "0.125"}, 2)[2].faults
    assert priced({"quantity": "3", "unit_price": "0.333"}, 2, fine=True)[2].faults


@settings(max_examples=100, deadline=None)
@given(documents(), st.integers(0, 6), st.booleans(), st.booleans())
def test_whatever_is_sent_multiplies_to_the_net_exactly(value: Document, places: int, whole: bool, fine: bool) -> None:
    """Or it is refused; the loss of every folded field is noted, and nothing else is."""
    own = draft(read(value))
    for index, net in enumerate(own.totals.lines):
        faults, losses = len(own.faults), len(own.losses)
        with exact():
            quantity, unit_price = price(own, index, places, whole, fine)
            product = quantity * unit_price
        given_line = own.invoice.lines[index]
        if len(own.faults) > faults:
            causes = (f"/lines/{index}/", "/prices_include_tax")
            assert all(fault.pointer.startswith(causes) for fault in own.faults[faults:])
            continue
        assert product == net
        assert fits(quantity, 0 if whole else places)
        changed = (quantity, unit_price) != (given_line.quantity, given_line.unit_price)
        assert fine or fits(unit_price, places)
        assert (len(own.losses) > losses) or not changed
        assert unit_price.is_finite()
        assert json.loads(body(Wire(unit_price, quantity)), parse_float=Decimal, parse_int=Decimal) == {
            "amount": unit_price,
            "other": quantity,
        }
