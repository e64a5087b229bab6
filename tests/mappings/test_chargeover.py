"""ChargeOver: what holds for every invoice, and what the strict simulation makes of the mapping's requests."""

import json
import re
from base64 import b64encode
from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.answer import discrepancies
from gateway.core.dialect import Translation
from gateway.core.errors import Untranslatable
from gateway.core.exchange import Reply, Request, Seen, Step, advance
from gateway.core.result import Absent, Created, Unknown
from gateway.sandbox.chargeover import Simulation
from mappings.chargeover import DIALECT, PAYCYCLES, Paycycle, external_key
from tests.support import conversations

AUTHORIZATION = ("authorization", "Basic " + b64encode(b"sandbox-public:sandbox-private").decode())
EXTERNAL_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}", fullmatch=True)


def plain(**changes: Any) -> dict[str, Any]:
    """The smallest invoice, changed by pointers that are written with __ for a slash."""
    named = {"/" + pointer.replace("__", "/"): value for pointer, value in changes.items()}
    return conversations.document({"invoice": "co-plain", "changes": named})


def translated(document: dict[str, Any], **to: Any) -> Translation:
    """The invoice as it goes to the usual upstream, with settings and crosswalk of its own."""
    return conversations.translated(document, conversations.upstream(DIALECT, to))


def attempted(document: dict[str, Any], **to: Any) -> Translation | Untranslatable:
    """The translation, or why there is none."""
    try:
        return translated(document, **to)
    except Untranslatable as problem:
        return problem


# ---------------------------------------------------------------- the key


@settings(max_examples=500)
@given(EXTERNAL_IDS)
def test_a_key_breaks_neither_a_path_nor_a_filter(external_id: str) -> None:
    """Letters, digits, _ and -, never more than 100; what consists of those is not changed."""
    key = external_key(external_id)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,100}", key)
    assert (key == external_id) == bool(re.fullmatch(r"[A-Za-z0-9_-]{1,100}", external_id))


@settings(max_examples=500)
@given(EXTERNAL_IDS, st.integers(0, 127), st.sampled_from("._:/-"))
def test_two_external_ids_have_two_keys(external_id: str, place: int, sign: str) -> None:
    """Ids that differ in one sign, or behind the hundredth, keep different keys."""
    other = (external_id[: place + 1] + sign + external_id[place + 2 :])[:128]
    assert (external_key(external_id) == external_key(other)) == (external_id == other)


# ---------------------------------------------------------------- the paycycle


@pytest.mark.parametrize("recurrence", sorted(PAYCYCLES))
def test_a_recurrence_is_sent_as_its_paycycle(recurrence: str) -> None:
    """Each interval of the table arrives, and is no loss."""
    translation = translated(plain(recurrence=recurrence))
    assert json.loads(translation.request.body)["paycycle"] == PAYCYCLES[recurrence]
    assert "/recurrence" not in [loss.pointer for loss in translation.losses]


def test_every_paycycle_of_the_page_can_be_said() -> None:
    """Those that are no interval by the extension only; no code has two intervals."""
    page = "evy dly 1wk 2wk 116 4wk 8wk 30d mon 2mn 12w fst lst qtr six yrl 2yr 3yr 4yr 5yr 10y one"
    assert list(get_args(Paycycle)) == page.split()
    assert sorted([*PAYCYCLES.values(), *"evy 116 fst lst one".split()]) == sorted(page.split())


# ---------------------------------------------------------------- the money rule

CURRENCIES = {"JPY": 0, "USD": 2, "BHD": 3}


def amounts(digits: int, least: int = 0, most: int = 99_999) -> st.SearchStrategy[str]:
    """Canonical decimals of at most `digits` places."""
    whole = st.integers(least, most)
    return whole.map(lambda count: format(Decimal(count).scaleb(-digits), "f"))


@st.composite
def invoices(draw: st.DrawFn) -> dict[str, Any]:
    """Untaxed invoices of lines and adjustments whose figures are anything but round."""
    currency = draw(st.sampled_from(sorted(CURRENCIES)))
    minor = amounts(CURRENCIES[currency], most=500)
    adjustments = st.lists(st.fixed_dictionaries({"amount": minor}), max_size=2)
    figures = {
        "quantity": st.one_of(amounts(0, most=12), amounts(2, most=999), amounts(4, most=99_999)),
        "unit_price": st.one_of(amounts(2), amounts(CURRENCIES[currency]), amounts(5)),
        "discounts": st.one_of(st.just([]), adjustments),
        "charges": st.one_of(st.just([]), adjustments),
    }
    lines = draw(st.lists(st.fixed_dictionaries(figures), min_size=1, max_size=4))
    named = [{"id": str(number), "item": {"id": "labour"}, **line} for number, line in enumerate(lines)]
    document = plain(currency=currency, lines=named)
    return document | {"discounts": draw(adjustments), "charges": draw(adjustments)}


def half_up(value: Fraction, digits: int) -> Fraction:
    """The value at `digits` places, half away from zero."""
    scaled = abs(value) * 10**digits
    return Fraction(floor(scaled + Fraction(1, 2)), 10**digits) * (1 if value >= 0 else -1)


def due(document: dict[str, Any]) -> Fraction:
    """The amount due by the contract's rule, in fractions."""

    def summed(adjustments: list[dict[str, str]]) -> Fraction:
        return sum((Fraction(each["amount"]) for each in adjustments), Fraction(0))

    digits = CURRENCIES[document["currency"]]
    nets = (
        half_up(
            Fraction(line["quantity"]) * Fraction(line["unit_price"])
            - summed(line["discounts"])
            + summed(line["charges"]),
            digits,
        )
        for line in document["lines"]
    )
    return sum(nets, Fraction(0)) - summed(document["discounts"]) + summed(document["charges"])


@settings(max_examples=600, deadline=None)
@given(invoices())
def test_what_is_sent_comes_to_the_amount_due_or_nothing_is_sent(document: dict[str, Any]) -> None:
    """Σ rate × quantity of the body, counted in fractions, is the amount due and the claim, digit by digit."""
    translation = attempted(document, settings={"tax": "none"})
    if isinstance(translation, Untranslatable):
        assert all(fault.code in ("inexact", "negative") for fault in translation.faults)
        return
    body = json.loads(translation.request.body, parse_float=Fraction, parse_int=Fraction)
    rated = [line["line_rate"] * line["line_quantity"] for line in body["line_items"]]
    assert sum(rated) == due(document) == Fraction(translation.claim or 0)
    digits = CURRENCIES[document["currency"]]
    assert all(amount == half_up(amount, digits) for amount in rated)


# ---------------------------------------------------------------- lookup


def stored(**more: Any) -> dict[str, Any]:
    """An invoice as an answer has it."""
    return {"invoice_id": 7, "refnumber": "N-1", "external_key": "inv-1", "total": 190.0, "subtotal": 190.0} | more


OTHERS = st.fixed_dictionaries(
    {"external_key": st.sampled_from(["inv-1", "inv-2", None]), "total": st.sampled_from([190, "190.00", 191, None])}
)


@given(st.lists(OTHERS, max_size=3))
def test_an_invoice_with_our_key_is_never_taken_for_absent(found: list[dict[str, Any]]) -> None:
    """Whatever else has the number: ours is created if its total agrees, in doubt if not; others are not ours."""
    translation = translated(plain(number="N-1"), settings={"tax": "none"})
    envelope = {"code": 200, "status": "OK", "message": "", "response": [stored(**each) for each in found]}
    step = answered(translation, [Reply(404, b"{}"), Reply(200, json.dumps(envelope).encode())])
    keys = [each["external_key"] for each in found]
    assert isinstance(step, Absent) == all(key == "inv-2" for key in keys)
    if isinstance(step, Created):
        ours = found[keys.index("inv-1")]
        assert Decimal(ours["total"]) == 190


def answered(translation: Translation, replies: list[Reply]) -> Step:
    """How a lookup ends that is given these replies."""
    assert DIALECT.lookup is not None
    search = DIALECT.lookup(translation)
    step = advance(search, None)
    for seen in replies:
        step = advance(search, seen)
    return step


# ---------------------------------------------------------------- the simulation


def created_in(simulation: Simulation, translation: Translation) -> Step:
    """How the creation ends at a simulated account."""
    conversation = DIALECT.create(translation, False)
    step = advance(conversation, None)
    while isinstance(step, Request):
        asked = msgspec.structs.replace(step, headers=(*step.headers, AUTHORIZATION))
        seen: Seen = simulation.answer(asked)
        step = advance(conversation, conversations.judged(DIALECT, seen))
    return step


@pytest.mark.parametrize(
    "name", ["created-full", "created-every-extension-field", "document-discount-and-charge", "fraction-folded"]
)
def test_the_strict_simulation_takes_what_the_mapping_sends(name: str) -> None:
    """It knows every field, and claims what was expected before the tax of its own customer."""
    written = conversations.read(Path(__file__).parent / "chargeover" / f"{name}.json")
    translation = conversations.translated(conversations.document(written), conversations.upstream(DIALECT, written))
    step = created_in(Simulation(), translation)
    assert isinstance(step, Created)
    assert step.invoice.totals.tax_exclusive_total == translation.expected.totals.tax_exclusive_total
    differing = {each.pointer for each in discrepancies(translation, step)}
    assert differing <= {"/totals/tax_total", "/totals/tax_inclusive_total", "/totals/amount_due"}


def test_the_strict_simulation_finds_what_was_sent_before() -> None:
    """A second creation is refused by the key, and the lookup finds the first, also by a number with a comma."""
    simulation = Simulation()
    document = plain(number="2026,417 \\ A&B", customer__id="acct-89", external_id="billing:acct-89/06")
    translation = translated(document, settings={"tax": "none"})
    first = created_in(simulation, translation)
    assert isinstance(first, Created)
    repeated = DIALECT.create(translation, True)
    step = advance(repeated, None)
    answers = []
    while isinstance(step, Request):
        seen = simulation.answer(msgspec.structs.replace(step, headers=(*step.headers, AUTHORIZATION)))
        if "external_key:" in step.path:
            seen = Reply(404, b"{}")  # where the path cannot name a key, the number is asked for
        answers.append(seen.status)
        step = advance(repeated, seen)
    assert answers == [400, 404, 200]
    assert isinstance(step, Created)
    assert step.invoice.id == first.invoice.id


# ---------------------------------------------------------------- answers that cannot be read


@pytest.mark.parametrize("own", [b"0", b"-1", b'"\xff"'])
def test_a_creation_without_an_id_that_can_be_one_leaves_a_doubt(own: bytes) -> None:
    """Zero, below zero, not UTF-8."""
    conversation = DIALECT.create(translated(plain()), False)
    advance(conversation, None)
    end = advance(conversation, Reply(201, b'{"status": "OK", "code": 201, "response": {"id": ' + own + b"}}"))
    assert isinstance(end, Unknown)
    assert end.reason == "unreadable"


def test_what_is_read_back_undoes_no_creation() -> None:
    """Not even where it is not UTF-8."""
    conversation = DIALECT.create(translated(plain()), False)
    advance(conversation, None)
    advance(conversation, Reply(201, b'{"status": "OK", "code": 201, "response": {"id": 7}}'))
    end = advance(conversation, Reply(200, b'{"status": "OK", "response": {"invoice_id": 7, "refnumber": "\xff"}}'))
    assert isinstance(end, Created)
    assert end.invoice.id == "7"


def test_an_invoice_that_is_found_without_an_id_that_can_be_one_leaves_a_doubt() -> None:
    """It has the key, and nobody can say which it is."""
    translation = translated(plain())
    assert DIALECT.lookup is not None
    search = DIALECT.lookup(translation)
    advance(search, None)
    found = {"invoice_id": " ", "external_key": translation.reference["external_key"], "total": "190.00"}
    end = advance(search, Reply(200, json.dumps({"status": "OK", "response": [found]}).encode()))
    assert isinstance(end, Unknown)
