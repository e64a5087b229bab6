"""Totals of any invoice, against fractions. Source: EN 16931 BR-CO-10 to BR-CO-17, contract 1 and 6."""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from math import floor
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import TotalsMismatch
from gateway.core.money import plain
from gateway.core.totals import STATED, Totals, checked_totals
from tests.core.strategies import CURRENCIES, Document, documents, figure, read

COMPUTED = [name for name in STATED if name not in ("prepaid_total", "rounding")]


def half_up(value: Fraction, digits: int) -> Fraction:
    """Rounded half up, away from zero, in other words than the gateway's."""
    nearest = Fraction(floor(abs(value) * 10**digits + Fraction(1, 2)), 10**digits)
    return nearest if value >= 0 else -nearest


def of(name: str, entries: list[Document]) -> Fraction:
    """The sum of a field over a list."""
    return sum((Fraction(entry[name]) for entry in entries), Fraction(0))


def amount_of(line: Document, digits: int) -> Fraction:
    """Quantity x price - discounts + charges, rounded."""
    exactly = Fraction(line["quantity"]) * Fraction(line["unit_price"])
    return half_up(exactly - of("amount", line.get("discounts", [])) + of("amount", line.get("charges", [])), digits)


def entries_of(value: Document) -> list[tuple[list[Document], Fraction]]:
    """Every line, discount and charge with its taxes and its signed amount."""
    digits = CURRENCIES[value["currency"]]
    return (
        [(line.get("taxes", []), amount_of(line, digits)) for line in value["lines"]]
        + [(one.get("taxes", []), -Fraction(one["amount"])) for one in value["discounts"]]
        + [(one.get("taxes", []), Fraction(one["amount"])) for one in value["charges"]]
    )


def unit(value: Document) -> Fraction:
    """The minor unit of the invoice's currency."""
    return Fraction(1, 10 ** CURRENCIES[value["currency"]])


def net_of(value: Document) -> Document:
    """The same invoice with prices that do not include tax."""
    return value | {"prices_include_tax": False}


@settings(max_examples=80, deadline=None)
@given(documents())
def test_br_co_10_to_16_hold(value: Document) -> None:
    """Whether prices include tax or not, in currencies of 0, 2 and 3 digits."""
    totals = checked_totals(read(value))
    assert totals.line_total == sum(totals.lines)
    assert totals.tax_exclusive_total == totals.line_total - totals.discount_total + totals.charge_total
    assert totals.tax_total == sum(group.tax for group in totals.tax_groups)
    assert totals.tax_inclusive_total == totals.tax_exclusive_total + totals.tax_total
    assert totals.amount_due == totals.tax_inclusive_total - totals.prepaid_total + totals.rounding
    assert totals.prepaid_total == Decimal(value["totals"].get("prepaid_total", "0"))
    assert totals.rounding == Decimal(value["totals"].get("rounding", "0"))
    digits = CURRENCIES[value["currency"]]
    for amount in (*totals.lines, *(getattr(totals, name) for name in STATED)):
        assert amount.as_tuple().exponent == -digits
        assert not (amount == 0 and amount.is_signed())


@settings(max_examples=80, deadline=None)
@given(documents().map(net_of))
def test_net_prices_come_to_what_fractions_say(value: Document) -> None:
    """Each line, discount and charge, and the tax of each group (BR-CO-11, 12, 17)."""
    totals, digits = checked_totals(read(value)), CURRENCIES[value["currency"]]
    assert [Fraction(net) for net in totals.lines] == [amount_of(line, digits) for line in value["lines"]]
    assert Fraction(totals.discount_total) == of("amount", value["discounts"])
    assert Fraction(totals.charge_total) == of("amount", value["charges"])
    taxable: dict[tuple[str, Fraction], Fraction] = defaultdict(Fraction)
    for taxes, amount in entries_of(value):
        for tax in taxes:
            taxable[tax["category"], Fraction(tax["rate"])] += amount
    expected = {key: (base, half_up(base * key[1] / 100, digits)) for key, base in taxable.items()}
    assert {
        (group.category, Fraction(group.rate)): (Fraction(group.taxable), Fraction(group.tax))
        for group in totals.tax_groups
    } == expected


@settings(max_examples=80, deadline=None)
@given(documents())
def test_gross_prices_come_to_what_was_stated(value: Document) -> None:
    """With `prices_include_tax` the customer pays the sum of the gross amounts, to the last minor unit."""
    totals = checked_totals(read(value | {"prices_include_tax": True}))
    assert Fraction(totals.tax_inclusive_total) == sum((amount for _, amount in entries_of(value)), Fraction(0))


@settings(max_examples=80, deadline=None)
@given(documents(), st.sampled_from(["20", "7.5", "0.01"]))
def test_included_tax_of_one_group_is_that_of_the_contract(value: Document, rate: str) -> None:
    """Gross = the sum, tax = round(gross x rate / (100 + rate)), and the nets keep to theirs but for the largest."""
    digits, taxes = CURRENCIES[value["currency"]], [{"category": "S", "rate": rate}]
    lines = [line | {"taxes": taxes} for line in value["lines"]]
    totals = checked_totals(read(value | {"prices_include_tax": True, "lines": lines, "discounts": [], "charges": []}))
    grosses = [amount_of(line, digits) for line in lines]
    gross, part = sum(grosses, Fraction(0)), Fraction(rate)
    assert Fraction(totals.tax_total) == half_up(gross * part / (100 + part), digits)
    assert Fraction(totals.tax_exclusive_total) == gross - Fraction(totals.tax_total)
    off = [
        index
        for index, (own, net) in enumerate(zip(grosses, totals.lines, strict=True))
        if Fraction(net) != half_up(own * 100 / (100 + part), digits)
    ]
    assert len(off) <= 1
    assert all(abs(grosses[index]) == max(map(abs, grosses)) for index in off)
    for own, net in zip(grosses, totals.lines, strict=True):
        assert abs(Fraction(net) - own * 100 / (100 + part)) <= (len(lines) + 2) * unit(value) / 2


@settings(max_examples=80, deadline=None)
@given(documents(), st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_matter(value: Document, random: Random) -> None:
    """Nor does that of discounts and charges: every total is the same."""
    shuffled = value | {name: list(value[name]) for name in ("lines", "discounts", "charges")}
    for name in ("lines", "discounts", "charges"):
        random.shuffle(shuffled[name])
    one, other = checked_totals(read(value)), checked_totals(read(shuffled))
    assert {name: getattr(one, name) for name in STATED} == {name: getattr(other, name) for name in STATED}


def stating(value: Document, totals: Totals) -> Document:
    """The same document, stating everything that was computed."""
    stated = {name: plain(getattr(totals, name)) for name in STATED}
    lines = [line | {"net_amount": plain(net)} for line, net in zip(value["lines"], totals.lines, strict=True)]
    return value | {"totals": stated, "lines": lines}


@settings(max_examples=80, deadline=None)
@given(documents())
def test_what_was_computed_is_accepted_when_it_is_stated(value: Document) -> None:
    """The totals of an invoice that states all of them are the same."""
    totals = checked_totals(read(value))
    assert checked_totals(read(stating(value, totals))) == totals


@settings(max_examples=80, deadline=None)
@given(documents(), st.sampled_from(COMPUTED), st.sampled_from([-1, 1]))
def test_a_total_that_is_one_minor_unit_off_is_reported(value: Document, name: str, sign: int) -> None:
    """It alone, with expected and received."""
    totals = checked_totals(read(value))
    wrong = plain(getattr(totals, name) + sign * Decimal(1).scaleb(-CURRENCIES[value["currency"]]))
    whole = stating(value, totals)
    with pytest.raises(TotalsMismatch) as caught:
        checked_totals(read(whole | {"totals": whole["totals"] | {name: wrong}}))
    expected = f"expected {plain(getattr(totals, name))}, received {wrong}"
    assert [(fault.pointer, fault.detail) for fault in caught.value.faults] == [(f"/totals/{name}", expected)]


@settings(max_examples=80, deadline=None)
@given(documents(), st.data(), st.sampled_from([-1, 1]))
def test_a_net_amount_that_is_one_minor_unit_off_is_reported(value: Document, data: st.DataObject, sign: int) -> None:
    """Each line's alone."""
    totals = checked_totals(read(value))
    index = data.draw(st.integers(0, len(totals.lines) - 1))
    whole = stating(value, totals)
    wrong = plain(totals.lines[index] + sign * Decimal(1).scaleb(-CURRENCIES[value["currency"]]))
    whole["lines"][index]["net_amount"] = wrong
    with pytest.raises(TotalsMismatch) as caught:
        checked_totals(read(whole))
    assert [fault.pointer for fault in caught.value.faults] == [f"/lines/{index}/net_amount"]


def test_the_strategy_writes_canonical_decimals() -> None:
    """The strategy's own arithmetic."""
    assert [figure(5, 0), figure(-5, 2), figure(12345, 3), figure(0, 2)] == ["5", "-0.05", "12.345", "0.00"]
