"""Katsu Pay: the money rule against a second implementation in fractions, discounts and tax, the sandbox."""

import json
import math
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
from gateway.sandbox.katsupay import KEY, Simulation
from mappings.katsupay import DIALECT
from tests.support import conversations

TAX_SETS: tuple[list[dict[str, str]], ...] = (
    [],
    [{"category": "Z", "rate": "0"}],
    [{"category": "S", "rate": "20"}],
    [{"category": "S", "rate": "20"}, {"category": "S", "rate": "5.5", "id": "city"}],
)
NAMED = ("/lines/", "/discounts", "/totals/", "/prices_include_tax")
"""What a refusal of a drawn invoice can be about."""

PRICES = st.one_of(
    st.integers(0, 200).map(str),
    st.integers(0, 99_999).map(lambda n: f"{n // 100}.{n % 100:02}"),
    st.integers(0, 9_999).map(lambda n: f"{n // 1000}.{n % 1000:03}"),
)
QUANTITIES = st.one_of(st.integers(0, 20).map(str), st.integers(1, 400).map(lambda n: f"{n // 4}.{n % 4 * 25:02}"))
CENTS = st.integers(0, 5_000).map(lambda n: f"{n // 100}.{n % 100:02}")


@st.composite
def invoices(draw: st.DrawFn) -> dict[str, Any]:
    """Lines of one set of taxes, most often; discounts of the document with all taxes of the lines, or with none."""
    taxes = draw(st.sampled_from(TAX_SETS))
    own = []
    for _ in range(draw(st.integers(1, 4))):
        line: dict[str, Any] = {"id": "1", "item": {"id": "labour"}, "quantity": draw(QUANTITIES)}
        line["unit_price"] = draw(PRICES)
        line["taxes"] = draw(st.sampled_from((taxes, taxes, taxes, taxes, [])))
        line["discounts"] = [{"amount": amount} for amount in draw(st.lists(CENTS, max_size=1))]
        own.append(line)
    gross, currency = draw(st.sampled_from((False, False, True))), draw(st.sampled_from(("USD", "USD", "JPY")))
    changes = {"/currency": currency, "/prices_include_tax": gross, "/lines": own}
    document = conversations.document({"invoice": "kp-plain", "changes": changes})
    document["discounts"] = draw(discounts(document, taxes))
    return document


def discounts(document: dict[str, Any], taxes: list[dict[str, str]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Discounts of the document, by percentage or amount."""
    sum_of_lines = checked_totals(conversations.invoice_of(document | {"prices_include_tax": False})).line_total
    places = Decimal(1) if document["currency"] == "JPY" else Decimal("0.01")

    def by_percent(percent: str) -> dict[str, Any]:
        amount = Decimal(sum_of_lines * Decimal(percent) / 100).quantize(places, "ROUND_HALF_UP")
        return {"amount": format(amount, "f"), "percent": percent}

    percents = st.sampled_from(("10", "5", "33.33", "2.5")) if sum_of_lines > 0 else st.nothing()
    one = st.one_of(
        percents.map(by_percent),
        st.integers(0, 500).map(lambda n: {"amount": format((n * places).quantize(places), "f")}),
    )
    return st.lists(
        st.builds(lambda each, own: each | {"taxes": own}, one, st.sampled_from((taxes, taxes, []))), max_size=2
    )


def upstream(before_tax: bool) -> Any:
    """The usual upstream, whose account takes the discount off before or after tax."""
    return conversations.upstream(DIALECT, {"settings": {"discount_before_tax": before_tax}})


def attempted(document: dict[str, Any], before_tax: bool) -> Translation | Untranslatable:
    """The translation, or why there is none."""
    try:
        return conversations.translated(document, upstream(before_tax))
    except Untranslatable as problem:
        return problem


def half_up(value: Fraction) -> Fraction:
    """Two decimals, half away from zero."""
    cents = Fraction(math.floor(abs(value) * 100 + Fraction(1, 2)), 100)
    return cents if value >= 0 else -cents


def amount(body: dict[str, Any], before_tax: bool) -> Fraction:
    """What the API computes of a request, as far as anyone knows."""
    products = sum((Fraction(each["quantity"]) * Fraction(each["unitPrice"]) for each in body["products"]), Fraction(0))
    discount = body.get("discount", {"discountType": "2", "discountValue": "0"})
    off = Fraction(discount["discountValue"])
    if discount["discountType"] == "1":
        off = half_up(products * off / 100)
    base = products - off if before_tax else products
    taxes = (half_up(base * Fraction(tax["taxPercentageValue"]) / 100) for tax in body.get("taxes", []))
    return products - off + sum(taxes, Fraction(0))


def sent(translation: Translation, account: Simulation, quirk: str | None = None) -> Reply:
    """What the strict sandbox answers to the request."""
    own = structs.replace(translation.request, headers=(*translation.request.headers, ("X-Api-Key", KEY)))
    return account.answer(own, quirk)


@settings(max_examples=600, deadline=None)
@given(invoices(), st.booleans())
def test_what_is_sent_comes_to_the_amount_due_or_is_not_sent(document: dict[str, Any], before_tax: bool) -> None:
    """Claim, amount due and a second implementation of the rule: all the same, whichever way discount and tax go."""
    translation = attempted(document, before_tax)
    if isinstance(translation, Untranslatable):
        assert all(fault.pointer.startswith(NAMED) for fault in translation.faults)
        return
    body = json.loads(translation.request.body, parse_float=str, parse_int=str)
    assert translation.claim is not None
    assert Fraction(translation.claim) == amount(body, before_tax)
    assert translation.claim == checked_totals(conversations.invoice_of(document)).amount_due
    assert all(int(each["quantity"]) >= 1 and Fraction(each["unitPrice"]) >= 0 for each in body["products"])


@settings(max_examples=300, deadline=None)
@given(invoices(), st.booleans())
def test_the_sandbox_computes_what_was_predicted(document: dict[str, Any], before_tax: bool) -> None:
    """It computes tax either way; a discount of more than the products is the only thing that it refuses."""
    translation = attempted(document, before_tax)
    if isinstance(translation, Untranslatable):
        return
    account = Simulation()
    reply = sent(translation, account, None if before_tax else "tax-before-discount")
    if reply.status == 400:
        assert b"discountValue must be at most" in reply.body.replace(b"$.discount.", b"")
        return
    assert [Decimal(stored["total"]) for stored in account.stored()] == [translation.claim]


@pytest.mark.parametrize(
    ("before_tax", "taxed", "due"),
    [(True, True, "216.00"), (True, False, None), (False, False, "218.00"), (False, True, None)],
)
def test_a_discount_lowers_the_tax_only_where_the_account_does_so(
    before_tax: bool, taxed: bool, due: str | None
) -> None:
    """10.00 off 190.00 at 20 %: 216.00 or 218.00, and what the account would compute otherwise is refused."""
    taxes = [{"category": "S", "rate": "20"}] if taxed else []
    changes = {"/discounts": [{"amount": "10.00", "taxes": taxes}]}
    document = conversations.document({"invoice": "kp-plain", "changes": changes})
    if due is not None:
        assert conversations.translated(document, upstream(before_tax)).claim == Decimal(due)
        return
    with pytest.raises(Untranslatable) as raised:
        conversations.translated(document, upstream(before_tax))
    assert [fault.pointer for fault in raised.value.faults] == ["/discounts", "/lines/0/taxes"]


@pytest.mark.parametrize("name", ["created", "extension"])
def test_the_sandbox_takes_every_field(name: str) -> None:
    """The kitchen sinks, canonical and extension, go through the strict sandbox whole."""
    written = conversations.read(conversations.FOLDER / "katsupay" / f"{name}.json")
    account = Simulation()
    translation = conversations.translated(conversations.document(written), upstream(True))
    assert sent(translation, account).status == 200
    assert [Decimal(stored["total"]) for stored in account.stored()] == [translation.claim]
