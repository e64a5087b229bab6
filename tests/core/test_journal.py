"""What is remembered of an invoice. Source: contract 2 and 6, reliability ("States", "Settling doubts")."""

import json
import random
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from gateway.core.invoice import Invoice
from gateway.core.journal import (
    EDGES,
    FREE,
    PENDING,
    Impossible,
    Met,
    State,
    canonical,
    fingerprint,
    met,
    stepped,
)
from gateway.core.journal import STATES as STATE_OF
from gateway.core.parse import parse, recall
from gateway.core.result import Created, NotSent, Outcome, Rejected, Stated, Unknown, name
from tests.core.entries import NOW, STATES, entry, whole
from tests.core.samples import TYPES, document, encoded, invoice, line
from tests.core.strategies import Document, documents

# The states and their edges -----------------------------------------------------------------------------------------

ALLOWED: set[tuple[State, State]] = {
    *(("waiting", "sending"), ("waiting", "waiting"), ("waiting", "not_sent")),
    *(("sending", "created"), ("sending", "rejected"), ("sending", "not_sent"), ("sending", "unknown")),
    *(("sending", "sending"), ("sending", "waiting")),  # a stand-in; a delivery that was left to the gateway
    *(("unknown", "created"), ("unknown", "not_sent"), ("unknown", "rejected"), ("unknown", "waiting")),
    ("unknown", "unknown"),  # looked into in vain
    *(("rejected", "sending"), ("rejected", "waiting"), ("not_sent", "sending"), ("not_sent", "waiting")),
}
EVERY = list(product(STATES, STATES))


@pytest.mark.parametrize(("state", "following"), sorted(ALLOWED))
def test_an_edge_can_be_taken(state: State, following: State) -> None:
    """One for every line of the graph."""
    assert stepped(entry(state), following, NOW).state == following


@pytest.mark.parametrize(("state", "following"), [edge for edge in EVERY if edge not in ALLOWED])
def test_no_other_edge_can_be_taken(state: State, following: State) -> None:
    """A defect of the gateway, caught before it is written; it says between which states."""
    with pytest.raises(Impossible, match=f"^{state} to {following}$"):
        stepped(entry(state), following, NOW)


def test_there_are_no_other_states() -> None:
    """Every state has its edges, and leads to states only."""
    assert set(EDGES) == set(STATES)
    assert {following for ends in EDGES.values() for following in ends} <= set(STATES)


def test_what_was_created_stays_so() -> None:
    """Nothing leads out of it: created at most once."""
    assert EDGES["created"] == frozenset()


def test_a_doubt_is_never_sent_again_at_once() -> None:
    """It has to be proven absent, or settled, first; `sending` leads to itself for a stand-in only."""
    before = {state for state in STATES if "sending" in EDGES[state]}
    assert before == {"waiting", "rejected", "not_sent", "sending"}


def test_a_doubt_stays_one_until_somebody_settles_it() -> None:
    """Nothing but a doubt, a conclusion, or the proof that it is absent follows."""
    assert EDGES["unknown"] == {"unknown", "created", "rejected", "not_sent", "waiting"}


@pytest.mark.parametrize(
    "outcome",
    [
        Created(Stated(), 201),
        Rejected(422, None, "no"),
        NotSent("connect", "refused"),
        Unknown("timeout", "slow"),
    ],
)
def test_an_outcome_leads_to_the_state_of_its_name(outcome: Outcome) -> None:
    """From where it is being sent."""
    state = STATE_OF[type(outcome)]
    assert state == name(outcome)
    assert stepped(entry("sending"), state, NOW).state == name(outcome)


def test_a_key_is_bound_by_created_unknown_and_pending() -> None:
    """Contract 2; after the two others it may be sent again, corrected."""
    assert {"rejected", "not_sent"} == FREE
    assert set(STATES) - FREE == {"created", "unknown", *PENDING}
    assert {"waiting", "sending"} == PENDING


# A step -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "following"), sorted(ALLOWED))
def test_a_step_changes_what_it_must_and_nothing_else(state: State, following: State) -> None:
    """The revision is counted on and the time is noted; nobody has to look at it, unless somebody says when."""
    before = entry(state, upstream_id="77", result=b"r", response=b"s")
    after = stepped(before, following, NOW)
    doubted_at = after.doubted_at
    assert after == structs.replace(
        before, state=following, revision=4, updated_at=NOW, due_at=None, doubted_at=doubted_at
    )


def test_a_step_changes_a_copy() -> None:
    """The entry that was decided on is still what is written over."""
    before = entry("sending")
    stepped(before, "created", NOW)
    assert before == entry("sending")


def test_a_step_says_when_it_has_to_be_looked_at() -> None:
    """Otherwise never: an old time does not linger."""
    assert stepped(entry("sending"), "unknown", NOW, due_at=NOW + 1.0).due_at == NOW + 1.0
    assert stepped(entry("sending", due_at=NOW + 20.0), "unknown", NOW).due_at is None


def test_a_step_keeps_the_owner_unless_there_is_another() -> None:
    """An empty owner is one: nobody."""
    assert stepped(entry("sending"), "unknown", NOW).owner == "here"
    assert stepped(entry("waiting"), "sending", NOW, owner="there").owner == "there"
    assert stepped(entry("sending"), "waiting", NOW, owner="").owner == ""


def test_a_step_carries_other_changes() -> None:
    """What came of it."""
    after = stepped(entry("sending"), "created", NOW, upstream_id="1234", result=b"{}", response=b"x", checks=0)
    assert (after.upstream_id, after.result, after.response, after.checks) == ("1234", b"{}", b"x", 0)
    assert stepped(entry("sending"), "sending", NOW, upstream="b", dispatch=b"d").upstream == "b"


def test_a_doubt_begins_with_the_step_to_it() -> None:
    """At its time."""
    assert stepped(entry("sending"), "unknown", NOW).doubted_at == NOW


def test_a_doubt_lasts_as_long_as_nobody_settles_it() -> None:
    """Its age is counted from its beginning, however often it is looked into."""
    doubt = entry("unknown", doubted_at=NOW - 500.0)
    for check in range(3):
        doubt = stepped(doubt, "unknown", NOW + check, checks=check)
        assert doubt.doubted_at == NOW - 500.0


@pytest.mark.parametrize("following", ["created", "rejected", "not_sent", "waiting"])
def test_a_doubt_ends_with_the_step_out_of_it(following: State) -> None:
    """What is settled is in doubt no more."""
    assert stepped(entry("unknown"), following, NOW).doubted_at is None


def test_a_new_doubt_is_not_as_old_as_the_last() -> None:
    """Proven absent, sent once more, and in doubt again."""
    step = stepped(entry("unknown", doubted_at=NOW - 500.0), "waiting", NOW)
    assert stepped(stepped(step, "sending", NOW + 1), "unknown", NOW + 2).doubted_at == NOW + 2


# What an invoice meets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "same", "other"),
    [
        ("created", "replay", "other"),
        ("unknown", "doubt", "other"),
        ("waiting", "waiting", "other"),
        ("sending", "working", "other"),
        ("rejected", "free", "free"),
        ("not_sent", "free", "free"),
    ],
)
def test_an_invoice_meets_what_is_under_its_key(state: State, same: Met, other: Met) -> None:
    """Contract 2: a replay, a doubt, a wait, or `external-id-reused`; what is not bound is free for any content."""
    assert met(entry(state), "1:same") == same
    assert met(entry(state), "1:another") == other


# The canonical form -------------------------------------------------------------------------------------------------

AMOUNTS = frozenset(
    (
        *("quantity", "unit_price", "amount", "percent", "rate", "net_amount", "exchange_rate"),
        *("line_total", "discount_total", "charge_total", "tax_exclusive_total", "tax_total", "tax_inclusive_total"),
        *("prepaid_total", "rounding", "amount_due"),
    )
)
LINE_DEFAULTS: Document = {
    "description": None, "unit": None, "discounts": [], "charges": [], "taxes": [], "net_amount": None,
    "extensions": {},
}  # fmt: skip
PARTY_DEFAULTS: Document = {
    "name": None, "email": None, "tax_id": None, "billing_address": None, "shipping_address": None, "identifiers": {},
}  # fmt: skip
DEFAULTS: Document = {
    "number": None, "due_date": None, "exchange_rate": None, "prices_include_tax": False, "supplier": None,
    "discounts": [], "charges": [], "billing_period": None, "recurrence": None, "note": None, "language": None,
    "labels": {}, "metadata": {}, "extensions": {},
}  # fmt: skip


def content(value: Any, key: str | None = None) -> bytes:
    """The canonical form of a document, or of its text."""
    return canonical(parse(value if isinstance(value, bytes) else encoded(value), TYPES, key))


def mark(value: Any) -> str:
    """The fingerprint of a document, or of its text."""
    return fingerprint(content(value))


def changed(value: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """The value after every object in it was changed."""
    if isinstance(value, dict):
        return change({key: changed(each, change) for key, each in value.items()})
    return [changed(each, change) for each in value] if isinstance(value, list) else value


def shuffled(value: Any, seed: int) -> Any:
    """The same members in another order, at every depth."""
    dice = random.Random(seed)  # noqa: S311 - an order, no secret

    def shuffle(members: dict[str, Any]) -> dict[str, Any]:
        return dict(dice.sample(list(members.items()), len(members)))

    return changed(value, shuffle)


def padded(value: Any, zeros: int) -> Any:
    """The same amounts with zeros at their end, as many as may be."""

    def pad(members: dict[str, Any]) -> dict[str, Any]:
        return {key: _padded(each, zeros) if key in AMOUNTS else each for key, each in members.items()}

    return changed(value, pad)


def _padded(text: str, zeros: int) -> str:
    digits, _, places = text.partition(".")
    return f"{digits}.{places}{'0' * max(0 if places else 1, min(zeros, 6 - len(places)))}"


def spelled_out(value: Document) -> Document:
    """The same invoice with every member that is at its default said."""
    adjustment = {"percent": None, "reason": None}

    def spell(members: dict[str, Any]) -> dict[str, Any]:
        if "unit_price" in members:
            return LINE_DEFAULTS | members
        if "category" in members:
            return {"id": None, "identifiers": {}} | members
        if "amount" in members:
            return adjustment | members
        return members

    made: Document = changed(value, spell)
    made["customer"] = PARTY_DEFAULTS | made["customer"]
    made["totals"] = dict.fromkeys(("line_total", "tax_total", "amount_due")) | made["totals"]
    for each in made["lines"]:
        each["item"] = {"name": None, "identifiers": {}} | each["item"]
    return DEFAULTS | made


SPACES = st.sampled_from([None, 0, 2, "\t"])


@given(documents(), st.integers(0, 2**32), SPACES)
def test_the_order_and_the_look_of_members_are_no_content(value: Document, seed: int, indent: int | str | None) -> None:
    """JSON objects have no order, and white space says nothing."""
    text = json.dumps(shuffled(value, seed), indent=indent).encode()
    assert content(text) == content(value)


@given(documents(), st.integers(1, 6))
def test_equal_amounts_are_equal_contents(value: Document, zeros: int) -> None:
    """`"1.5"` and `"1.50"`."""
    assert content(padded(value, zeros)) == content(value)


@given(documents())
def test_what_is_at_its_default_is_as_if_absent(value: Document) -> None:
    """However it is spelled out."""
    assert content(spelled_out(value)) == content(value)


@pytest.mark.parametrize(
    "stated",
    [{"references": {}}, {"references": {"order": None}}, {"totals": {}}, {"payment_terms": {}}, {"delivery": {}},
     {"delivery": {"send": False}}],
    ids=str,
)  # fmt: skip
def test_an_object_without_anything_is_as_if_absent(stated: Document) -> None:
    """Members that are absent and those at their default are the same."""
    assert content(document(**stated)) == content(document())


@given(documents())
def test_it_does_not_matter_where_the_key_is_said(value: Document) -> None:
    """In the body or in the `Idempotency-Key` header."""
    rest = {name: each for name, each in value.items() if name != "external_id"}
    assert content(rest, "billing:1") == content(value, "billing:1") == content(value)
    assert content(rest, "billing:2") != content(value)


def test_maps_have_no_order() -> None:
    """Labels, metadata, identifiers."""
    value = whole()
    for seed in range(5):
        assert content_of_any(shuffled(value, seed)) == content_of_any(value)


def content_of_any(value: Any) -> bytes:
    """As `content`, for an invoice whose sums and codes are not looked at."""
    return canonical(recall(encoded(value)))


@pytest.mark.parametrize(
    "text",
    [
        '{"tip": "1.50", "colour": "red"}',
        '{\n"colour" :"red",\t"tip":"1.50"}',
        '{"colour": "\\u0072ed", "tip": "1.50"}',
        '{"colour": "blue", "tip": "1.50", "colour": "red"}',
    ],
)
def test_extensions_are_put_in_order(text: str) -> None:
    """They are kept as they came otherwise; of duplicate keys the last counts."""
    body = encoded(document(extensions={"tiny": "HERE"})).replace(b'"HERE"', text.encode())
    assert content(body) == content(document(extensions={"tiny": {"colour": "red", "tip": "1.50"}}))


def test_extensions_of_a_line_are_put_in_order() -> None:
    """Also where the document has none, and at every depth; lists keep theirs."""

    def of(extension: object) -> bytes:
        return content_of_any(document(lines=[line(), line(extensions={"tiny": extension})]))

    assert of({"a": [{"x": 1, "y": 2}], "b": None}) == of({"b": None, "a": [{"y": 2, "x": 1}]})
    assert of({"a": [1, 2]}) != of({"a": [2, 1]})
    assert of({"a": 1}) != of({"a": 2})


def test_numbers_in_extensions_are_kept_as_they_came() -> None:
    """No float comes between, however many digits there are."""
    figure = "12345678901234567890.123456789012345678901"
    body = encoded(document(extensions={"tiny": "HERE"})).replace(b'"HERE"', f'{{"n": {figure}}}'.encode())
    assert f'"n":{figure}}}'.encode() in canonical(recall(body))


@pytest.mark.parametrize("name", ["lines", "discounts"])
def test_the_order_of_a_list_is_content(name: str) -> None:
    """Of lines and of adjustments."""
    value = whole()
    assert content_of_any(value | {name: value[name][::-1]}) != content_of_any(value)


def test_the_order_of_taxes_is_content() -> None:
    """Of those on a line."""
    taxes = [{"category": "S", "rate": "20"}, {"category": "S", "rate": "7.5"}]
    assert mark(document(lines=[line(taxes=taxes)])) != mark(document(lines=[line(taxes=taxes[::-1])]))


Path = tuple[str | int, ...]

# What is on a list or has a grammar changes to something else there; other texts get longer, amounts and dates later.
INSTEAD = {
    "currency": "EUR", "country": "FR", "category": "Z", "unit": "KGM", "recurrence": "P2M", "language": "de",
}  # fmt: skip


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths to everything that is no object and no list."""
    if isinstance(value, (dict, list)):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(each, (*path, key))
    else:
        yield path


def otherwise(key: str | int, value: Any) -> Any:
    """Something else of the same kind."""
    if key in INSTEAD:
        return INSTEAD[str(key)]
    if key in AMOUNTS:
        return str(Decimal(value) + 1)
    if isinstance(value, str) and re.fullmatch(r"2026-\d\d-\d\d", value):
        return value.replace("2026", "2027")
    if isinstance(value, str):
        return value + "x"
    return {None: 1, True: False, False: True}.get(value, "other")


def with_leaf(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """The value with one leaf changed."""
    if not path:
        return change(value)
    copy = value.copy()
    copy[path[0]] = with_leaf(value[path[0]], path[1:], change)
    return copy


def test_the_whole_invoice_has_every_field() -> None:
    """So that the next two tests look at each of them."""
    seen: dict[type[Struct], set[str]] = {}

    def look(value: object) -> None:
        if isinstance(value, Struct):
            said = {field for field, default in _defaults(type(value)) if getattr(value, field) != default}
            seen[type(value)] = seen.get(type(value), set()) | said
            for field in value.__struct_fields__:
                look(getattr(value, field))
        elif isinstance(value, tuple):
            for each in value:
                look(each)

    look(recall(encoded(whole())))
    assert {kind.__name__ for kind in seen} == {
        "Invoice", "Party", "Address", "References", "Line", "Item", "Tax", "Adjustment", "StatedTotals",
        "PaymentTerms", "Period", "Delivery",
    }  # fmt: skip
    assert seen == {kind: set(kind.__struct_fields__) for kind in seen}


def _defaults(kind: type[Struct]) -> Iterator[tuple[str, object]]:
    for field in structs.fields(kind):
        yield field.name, field.default_factory() if callable(field.default_factory) else field.default


@pytest.mark.parametrize("path", list(leaves(whole())), ids=lambda path: "/".join(map(str, path)))
def test_whatever_is_said_otherwise_is_another_content(path: Path) -> None:
    """Each field by itself, on all its places."""
    value = whole()
    other = with_leaf(value, path, lambda each: otherwise(path[-1], each))
    assert other != value
    assert fingerprint(content_of_any(other)) != fingerprint(content_of_any(value))


@pytest.mark.parametrize("holder", ["labels", "metadata", "extensions"])
def test_a_key_is_content_too(holder: str) -> None:
    """Not only what it stands for."""
    value = whole()
    renamed = {f"{key}x": each for key, each in value[holder].items()}
    assert content_of_any(value | {holder: renamed}) != content_of_any(value)


@given(documents(), st.data())
def test_another_leaf_is_another_content(value: Document, data: st.DataObject) -> None:
    """In any invoice."""
    path = data.draw(st.sampled_from(list(leaves(value))))
    other = with_leaf(value, path, lambda each: otherwise(path[-1], each))
    assert fingerprint(content_of_any(other)) != mark(value)


@given(documents())
def test_what_is_kept_can_be_recalled(value: Document) -> None:
    """With nothing lost: the same invoice, and the same form."""
    found = parse(encoded(value), TYPES)
    again = recall(canonical(found))
    assert again == found
    assert canonical(again) == canonical(found)


def test_the_whole_invoice_can_be_recalled() -> None:
    """With its extensions, and with the external id that came in the header."""
    kept = content_of_any(whole())
    assert canonical(recall(kept)) == kept
    assert json.loads(kept) == json.loads(encoded(whole()).replace(b'"10.00"', b'"10"'))
    value = document()
    del value["external_id"]
    assert recall(content(value, "key:1")).external_id == "key:1"


def test_the_form_of_this_version_does_not_change() -> None:
    """Keys are remembered for ever, so another form needs another version."""
    found = invoice(labels={"b": "2", "a": "1"}, prices_include_tax=False, number="N\u00e91")
    expected = (
        '{"issue_date":"2026-06-30","currency":"USD","customer":{"id":"acct-88"},'
        '"lines":[{"id":"1","item":{"id":"labour"},"quantity":"2","unit_price":"10"}],'
        '"external_id":"billing:1","number":"N\u00e91","labels":{"a":"1","b":"2"}}'
    )
    assert canonical(found) == expected.encode()


@pytest.mark.parametrize(
    ("text", "kept"),
    [("0.00", "0"), ("-1.50", "-1.5"), ("100", "100"), ("999999999999999.999999", "999999999999999.999999"),
     ("0.000001", "0.000001")],
)  # fmt: skip
def test_an_amount_is_kept_exactly(text: str, kept: str) -> None:
    """In fixed point, without zeros at its end."""
    assert (
        json.loads(content(document(exchange_rate=None, lines=[line(unit_price=text)])))["lines"][0]["unit_price"]
        == kept
    )


def test_a_fingerprint_is_a_digest_with_its_version() -> None:
    """SHA-256 (FIPS 180-4, the digest of nothing and of `abc`)."""
    assert fingerprint(b"") == "1:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert fingerprint(b"abc") == "1:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_what_is_no_part_of_an_invoice_is_not_kept() -> None:
    """A defect of the gateway is not written."""
    odd: Invoice = structs.replace(invoice(), note=object())
    with pytest.raises(AttributeError, match="object"):
        canonical(odd)
