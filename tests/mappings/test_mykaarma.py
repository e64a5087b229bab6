"""myKaarma: the amount against totals in fractions, the department's place in the path, times, the strict sandbox."""

import json
import math
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.core.dialect import Translation
from gateway.core.errors import Untranslatable
from gateway.sandbox.mykaarma import AUTHORIZED, CREDENTIALS, Simulation
from mappings.mykaarma import DIALECT, Settings
from tests.support import conversations

DIGITS = {"USD": 2, "JPY": 0, "KWD": 3}
TAXES: tuple[list[dict[str, str]], ...] = (
    [],
    [{"category": "E", "rate": "0"}],
    [{"category": "S", "rate": "20"}],
    [{"category": "S", "rate": "7.5"}],
    [{"category": "S", "rate": "20"}, {"category": "L", "rate": "5.5"}],
)


def figure(places: int, least: int = 0, most: int = 99_999) -> st.SearchStrategy[str]:
    """A decimal of so many places."""
    return st.integers(least, most).map(lambda n: format(Decimal(n).scaleb(-places), "f"))


@st.composite
def invoices(draw: st.DrawFn) -> dict[str, Any]:
    """Net prices, discounts, charges and taxes of every kind, a part of it paid."""
    currency = draw(st.sampled_from(("USD", "USD", "JPY", "KWD")))
    adjustments = st.lists(
        st.fixed_dictionaries({"amount": figure(DIGITS[currency]), "taxes": st.sampled_from(TAXES)}), max_size=2
    )
    own = st.lists(st.fixed_dictionaries({"amount": figure(2, 0, 999)}), max_size=2)
    line = st.fixed_dictionaries(
        {
            "id": st.just("1"),
            "item": st.just({"id": "labour"}),
            "quantity": figure(2, -500, 5_000),
            "unit_price": figure(3, -500, 500_000),
            "discounts": own,
            "charges": own,
            "taxes": st.sampled_from(TAXES),
        }
    )
    changes = {
        "/currency": currency,
        "/lines": draw(st.lists(line, min_size=1, max_size=4)),
        "/discounts": draw(adjustments),
        "/charges": draw(adjustments),
        "/totals": {"prepaid_total": draw(figure(DIGITS[currency])), "rounding": draw(figure(DIGITS[currency], 0, 9))},
    }
    return conversations.document({"invoice": "mk-plain", "changes": changes})


def amount_due(document: dict[str, Any]) -> Fraction:
    """EN 16931 once more: lines and taxes rounded half up, then added."""
    digits = DIGITS[document["currency"]]

    def rounded(value: Fraction) -> Fraction:
        units = Fraction(math.floor(abs(value) * 10**digits + Fraction(1, 2)), 10**digits)
        return units if value >= 0 else -units

    def amounts(adjustments: list[dict[str, Any]]) -> Fraction:
        return sum((Fraction(each["amount"]) for each in adjustments), Fraction(0))

    parts = [
        (rounded(Fraction(line["quantity"]) * Fraction(line["unit_price"]) - amounts(line["discounts"])
                 + amounts(line["charges"])), line["taxes"])
        for line in document["lines"]
    ]  # fmt: skip
    parts += [(-Fraction(each["amount"]), each["taxes"]) for each in document["discounts"]]
    parts += [(Fraction(each["amount"]), each["taxes"]) for each in document["charges"]]
    bases: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for part, taxes in parts:
        for tax in taxes:
            bases[tax["category"], tax["rate"]] += part
    due = sum((part for part, _ in parts), Fraction(0))
    due += sum((rounded(base * Fraction(rate) / 100) for (_, rate), base in bases.items()), Fraction(0))
    return due - Fraction(document["totals"]["prepaid_total"]) + Fraction(document["totals"]["rounding"])


def attempted(document: dict[str, Any]) -> Translation | Untranslatable:
    """The translation, or why there is none."""
    try:
        return translated(document)
    except Untranslatable as problem:
        return problem


def translated(document: dict[str, Any], **own: Any) -> Translation:
    """The invoice as it goes to a department that bills in its currency."""
    to = conversations.upstream(DIALECT, {"settings": {"currency": document["currency"], **own}})
    return conversations.translated(document, to)


@settings(max_examples=600, deadline=None)
@given(invoices())
def test_the_amount_is_the_amount_due_or_nothing_is_sent(document: dict[str, Any]) -> None:
    """Refused only below zero, or where two decimals are not enough."""
    due = amount_due(document)
    translation = attempted(document)
    if isinstance(translation, Untranslatable):
        assert {fault.pointer for fault in translation.faults} == {"/totals/amount_due"}
        assert due < 0 or (due * 100).denominator != 1
        return
    body = json.loads(translation.request.body, parse_float=str, parse_int=str)
    assert translation.claim is not None
    assert Fraction(body["amount"]) == Fraction(translation.claim) == due
    assert due >= 0
    assert (due * 100).denominator == 1


@settings(max_examples=300)
@given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
def test_a_time_is_sent_in_utc_with_milliseconds(moment: datetime, minutes: int) -> None:
    """Whatever its zone; the three digits are cut, not rounded, and a time that UTC does not have is refused."""
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    text = f"{moment.isoformat()}{sign}{hours:02}:{rest:02}"
    document = conversations.document(
        {"invoice": "mk-plain", "changes": {"/extensions/mykaarma": {"paidDate": text, "reminderDate": text}}}
    )
    try:
        expected = moment - timedelta(minutes=minutes)
    except OverflowError:
        with pytest.raises(Untranslatable) as raised:
            translated(document)
        names = [fault.pointer.rpartition("/")[2] for fault in raised.value.faults]
        assert names == ["paidDate", "reminderDate"]
        return
    body = json.loads(translated(document).request.body)
    assert body["paidDate"] == body["reminderDate"] == f"{expected.isoformat(timespec='milliseconds')}Z"


@pytest.mark.parametrize("department", ["", ".", "..", "...", "a/b", "../admin", "a\\b"])
def test_a_department_never_leaves_its_place_in_the_path(department: str) -> None:
    """Neither the setting's nor the extension's."""
    with pytest.raises(ValueError, match="cannot stand in a path"):
        Settings(department=department, currency="USD")
    if department:
        changes = {"/extensions/mykaarma": {"departmentUuid": department}}
        with pytest.raises(Untranslatable) as raised:
            translated(conversations.document({"invoice": "mk-plain", "changes": changes}))
        assert [fault.pointer for fault in raised.value.faults] == ["/extensions/mykaarma/departmentUuid"]


@pytest.mark.parametrize("name", ["created", "extension"])
def test_the_sandbox_takes_every_field(name: str) -> None:
    """The kitchen sinks, canonical and extension, go through the strict sandbox whole."""
    document = conversations.document(conversations.read(conversations.FOLDER / "mykaarma" / f"{name}.json"))
    if name == "extension":
        document["extensions"]["mykaarma"]["departmentUuid"] = AUTHORIZED
    translation, department = translated(document), Simulation()
    header = ("Authorization", f"Basic {CREDENTIALS}")
    reply = department.answer(structs.replace(translation.request, headers=(*translation.request.headers, header)))
    assert reply.status == 200
    assert [Decimal(stored["total"]) for stored in department.stored()] == [translation.claim]
    sent = json.loads(translation.request.body)
    kept = json.loads(reply.body)["invoice"]
    assert kept["invoiceAttributes"] == sent["invoiceAttributes"]
