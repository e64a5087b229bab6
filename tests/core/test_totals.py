"""Totals by example. Source: EN 16931 BR-CO-10 to BR-CO-17, contract 1 and 6."""

from typing import Any

import pytest

from gateway.core.errors import TotalsMismatch
from gateway.core.invoice import Invoice
from gateway.core.money import plain
from gateway.core.parse import semantic_faults
from gateway.core.totals import STATED, checked_totals
from tests.core.samples import document, invoice, line

S20 = [{"category": "S", "rate": "20"}]
S10 = [{"category": "S", "rate": "10"}]


def computed(found: Invoice) -> dict[str, str]:
    """Every total as text."""
    totals = checked_totals(found)
    return {name: plain(getattr(totals, name)) for name in STATED}


def mismatches(**changes: Any) -> dict[str, str]:
    """What does not agree, by pointer."""
    with pytest.raises(TotalsMismatch) as caught:
        checked_totals(invoice(**changes))
    assert all(fault.code in ("mismatch", "too-large") for fault in caught.value.faults)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def test_every_total_follows_from_the_lines() -> None:
    """BR-CO-10 to BR-CO-16, worked out by hand."""
    found = invoice(
        lines=[
            line(
                quantity="3",
                unit_price="19.99",
                discounts=[{"amount": "5.00"}],
                charges=[{"amount": "1.23"}],
                taxes=S20,
            ),
            line(quantity="1.5", unit_price="33.333", taxes=S10),
        ],
        discounts=[{"amount": "10.00", "taxes": S20}],
        charges=[{"amount": "4.50", "taxes": S10}],
        totals={"prepaid_total": "50.00", "rounding": "-0.02"},
    )
    # 3 x 19.99 - 5 + 1.23 = 56.20; 1.5 x 33.333 = 49.9995 -> 50.00; S20: 46.20 -> 9.24; S10: 54.50 -> 5.45
    assert computed(found) == {
        "line_total": "106.20", "discount_total": "10.00", "charge_total": "4.50", "tax_exclusive_total": "100.70",
        "tax_total": "14.69", "tax_inclusive_total": "115.39", "prepaid_total": "50.00", "rounding": "-0.02",
        "amount_due": "65.37",
    }  # fmt: skip


def test_absent_totals_are_zero_at_the_currencys_exponent() -> None:
    """Computed if absent."""
    assert computed(invoice()) == {
        "line_total": "20.00", "discount_total": "0.00", "charge_total": "0.00", "tax_exclusive_total": "20.00",
        "tax_total": "0.00", "tax_inclusive_total": "20.00", "prepaid_total": "0.00", "rounding": "0.00",
        "amount_due": "20.00",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("currency", "quantity", "price", "net"),
    [
        ("USD", "1", "0.005", "0.01"),
        ("USD", "1", "0.004999", "0.00"),
        ("USD", "-1", "0.005", "-0.01"),
        ("JPY", "1", "0.5", "1"),
        ("KWD", "1", "0.0005", "0.001"),
        ("CLF", "1", "0.00005", "0.0001"),
        ("USD", "999999999999999", "0.000001", "1000000000.00"),
    ],
)
def test_a_line_is_rounded_half_up_at_the_currencys_exponent(
    currency: str, quantity: str, price: str, net: str
) -> None:
    """Contract 1, away from zero."""
    totals = checked_totals(invoice(currency=currency, lines=[line(quantity=quantity, unit_price=price)]))
    assert [plain(amount) for amount in totals.lines] == [net]


def test_tax_is_rounded_once_for_each_group() -> None:
    """BR-CO-17: three times 0.33 at 10 % is 0.10, not three times 0.03."""
    totals = checked_totals(invoice(lines=[line(quantity="1", unit_price="0.33", taxes=S10)] * 3))
    assert plain(totals.tax_total) == "0.10"
    assert [(group.category, plain(group.rate), plain(group.taxable)) for group in totals.tax_groups] == [
        ("S", "10", "0.99")
    ]


def test_groups_are_by_category_and_rate() -> None:
    """The same rate in two categories is two groups; 20 and 20.0 are one rate."""
    found = invoice(
        lines=[
            line(taxes=S20),
            line(taxes=[{"category": "S", "rate": "20.0"}]),
            line(taxes=[{"category": "L", "rate": "20"}]),
            line(taxes=[{"category": "E", "rate": "0"}]),
        ]
    )
    groups = {(group.category, plain(group.taxable), plain(group.tax)) for group in checked_totals(found).tax_groups}
    assert groups == {("S", "40.00", "8.00"), ("L", "20.00", "4.00"), ("E", "20.00", "0.00")}


def test_included_tax_is_taken_out_of_each_group() -> None:
    """Contract 6: tax = gross x rate / (100 + rate); the remainder of the nets goes to the largest line."""
    found = invoice(
        prices_include_tax=True,
        lines=[
            line(quantity="1", unit_price="10.00", taxes=S20),
            line(quantity="1", unit_price="10.01", taxes=S20),
            line(quantity="1", unit_price="10.00", taxes=S20),
            line(quantity="1", unit_price="5.00"),
        ],
    )
    totals = checked_totals(found)
    # gross 30.01 -> tax 5.0017 -> 5.00, net 25.01; single nets 8.33 + 8.34 + 8.33 = 25.00, so 0.01 goes to the second
    assert [plain(amount) for amount in totals.lines] == ["8.33", "8.35", "8.33", "5.00"]
    assert plain(totals.tax_total) == "5.00"
    assert plain(totals.tax_inclusive_total) == "35.01"
    assert plain(totals.tax_exclusive_total) == "30.01"


def test_included_tax_of_a_documents_discount_is_taken_out_too() -> None:
    """A discount with a tax is gross as well; one without is what it is."""
    found = invoice(
        prices_include_tax=True,
        lines=[line(quantity="1", unit_price="120.00", taxes=S20)],
        discounts=[{"amount": "12.00", "taxes": S20}, {"amount": "1.00"}],
        charges=[{"amount": "6.00", "taxes": S20}],
    )
    assert {name: computed(found)[name] for name in ("line_total", "discount_total", "charge_total", "tax_total")} == {
        "line_total": "100.00", "discount_total": "11.00", "charge_total": "5.00", "tax_total": "19.00",
    }  # fmt: skip
    assert computed(found)["amount_due"] == "113.00"


def test_the_remainder_of_cents_goes_to_the_largest_line() -> None:
    """Contract 6: to a line even where a charge is larger, to a charge only where no line has its taxes."""
    found = invoice(
        prices_include_tax=True,
        lines=[line(quantity="1", unit_price="10.00", taxes=S20), line(quantity="1", unit_price="10.01", taxes=S20)],
        charges=[{"amount": "11.00", "taxes": S20}, {"amount": "0.05", "taxes": S10}, {"amount": "0.05", "taxes": S10}],
    )
    totals = checked_totals(found)
    # S20: gross 31.01 -> tax 5.17, net 25.84; single nets 8.33 + 8.34 + 9.17 = 25.84
    # S10: gross 0.10 -> tax 0.01, net 0.09; single nets 0.05 + 0.05, so the first of them becomes 0.04
    assert [plain(amount) for amount in totals.lines] == ["8.33", "8.34"]
    assert plain(totals.charge_total) == "9.26"
    found = invoice(
        prices_include_tax=True,
        lines=[line(quantity="1", unit_price="10.00", taxes=S20), line(quantity="1", unit_price="10.00", taxes=S20)],
        charges=[{"amount": "10.01", "taxes": S20}],
    )
    # gross 30.01 -> tax 5.00, net 25.01; single nets 8.33 + 8.33 + 8.34 = 25.00
    totals = checked_totals(found)
    assert [plain(amount) for amount in totals.lines] == ["8.34", "8.33"]
    assert plain(totals.charge_total) == "8.34"


def test_stated_totals_that_agree_are_taken() -> None:
    """However many zeros they are written with."""
    found = invoice(
        lines=[line(net_amount="20", taxes=S20)],
        totals={"line_total": "20.000000", "tax_total": "4", "amount_due": "24.0", "tax_inclusive_total": "24.00"},
    )
    assert plain(checked_totals(found).amount_due) == "24.00"


def test_every_total_that_does_not_agree_is_named() -> None:
    """Checked if present, never overwritten; expected and received in each."""
    wrong = ("line_total", "discount_total", "charge_total", "tax_exclusive_total", "tax_total", "tax_inclusive_total")
    found = mismatches(lines=[line(net_amount="20.01")], totals=dict.fromkeys((*wrong, "amount_due"), "7.77"))
    assert found == {
        "/lines/0/net_amount": "expected 20.00, received 20.01",
        "/totals/line_total": "expected 20.00, received 7.77",
        "/totals/discount_total": "expected 0.00, received 7.77",
        "/totals/charge_total": "expected 0.00, received 7.77",
        "/totals/tax_exclusive_total": "expected 20.00, received 7.77",
        "/totals/tax_total": "expected 0.00, received 7.77",
        "/totals/tax_inclusive_total": "expected 20.00, received 7.77",
        "/totals/amount_due": "expected 20.00, received 7.77",
    }


def test_a_summary_names_the_first_total_and_counts_the_others() -> None:
    """The problem's `detail`."""
    with pytest.raises(TotalsMismatch) as one:
        checked_totals(invoice(totals={"line_total": "1.00"}))
    assert one.value.detail == "/totals/line_total: expected 20.00, received 1.00"
    with pytest.raises(TotalsMismatch) as two:
        checked_totals(invoice(totals={"line_total": "1.00", "amount_due": "1.00"}))
    assert two.value.detail == "/totals/line_total: expected 20.00, received 1.00, and 1 more"


PERCENTS: list[tuple[str, str, bool]] = [
    ("10", "2.00", True),
    ("10", "2", True),
    ("10.0", "2.00", True),
    ("33.333", "6.67", True),
    ("33.333", "6.6666", True),
    ("10", "2.01", False),
    ("10", "1.99", False),
    ("0", "2.00", False),
    ("-10", "-2.00", True),
]


@pytest.mark.parametrize(("percent", "amount", "agrees"), PERCENTS)
@pytest.mark.parametrize("kind", ["discounts", "charges"])
def test_percent_and_amount_of_a_line_must_agree(kind: str, percent: str, amount: str, agrees: bool) -> None:
    """Of quantity x price, exactly or rounded."""
    changes: dict[str, Any] = {
        "lines": [line(), line(**{kind: [{"amount": "0"}, {"amount": amount, "percent": percent}]})]
    }
    if agrees:
        assert checked_totals(invoice(**changes))
    else:
        expected = {"10": "2.00", "0": "0.00"}[percent]
        found = mismatches(**changes)
        assert found == {f"/lines/1/{kind}/1/amount": f"{percent} % is {expected}, received {amount}"}


@pytest.mark.parametrize(("amount", "agrees"), [("8.00", True), ("2.00", True), ("6.00", False)])
@pytest.mark.parametrize("kind", ["discounts", "charges"])
def test_percent_and_amount_of_the_document_must_agree(kind: str, amount: str, agrees: bool) -> None:
    """Of all lines, or of the lines with the same taxes."""
    own = {"amount": amount, "percent": "10", "taxes": S20}
    changes: dict[str, Any] = {
        "lines": [line(taxes=S20), line(unit_price="30.00", taxes=S10)],
        kind: [{"amount": "1.00"}, own],
    }
    if agrees:
        assert checked_totals(invoice(**changes))
    else:
        assert mismatches(**changes) == {f"/{kind}/1/amount": "10 % is 8.00, received 6.00"}


BIG = "999999999999999"


def test_sums_beyond_15_digits_are_refused() -> None:
    """Nothing that the grammar of amounts could not say again."""
    assert "/lines/0" in mismatches(lines=[line(quantity=BIG, unit_price="2")])
    found = mismatches(lines=[line(quantity="1", unit_price=BIG), line(quantity="1", unit_price="1.00")])
    assert found == {"/totals/amount_due": "1000000000000000.00 has more than 15 digits"}
    found = mismatches(
        lines=[line(quantity="1", unit_price=BIG), line(quantity="1", unit_price="1.00")],
        totals={"prepaid_total": "5.00"},
    )
    assert found == {"/totals/amount_due": "999999999999995.00 has more than 15 digits"} | found
    assert checked_totals(invoice(lines=[line(quantity="1", unit_price=BIG)]))
    for quantity in ("100000000000000", "-100000000000000"):
        assert "/lines/0" in mismatches(lines=[line(quantity=quantity, unit_price="10")])
    found = mismatches(lines=[line(quantity="1", unit_price=BIG)], totals={"rounding": "1.00"})
    assert found == {"/totals/amount_due": "1000000000000000.00 has more than 15 digits"}


def test_the_largest_quantity_and_price_are_multiplied_exactly() -> None:
    """42 digits do not round in silence."""
    found = mismatches(lines=[line(quantity=f"{BIG}.999999", unit_price=f"{BIG}.999999")])
    assert found["/lines/0"].startswith("the net amount 999999999999999999998000000000.00 has")


def test_what_the_caller_states_alone_is_taken() -> None:
    """`prepaid_total` and `rounding` follow from nothing."""
    found = invoice(totals={"prepaid_total": "20.00", "rounding": "0.05", "amount_due": "0.05"})
    assert plain(checked_totals(found).amount_due) == "0.05"
    assert semantic_faults(found, {}) == []
    assert document()["lines"] == [line()]


def test_an_amount_due_below_zero_is_computed() -> None:
    """Whether it can be sent is the dialect's to say."""
    assert plain(checked_totals(invoice(totals={"prepaid_total": "30.00"})).amount_due) == "-10.00"
