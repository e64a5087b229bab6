"""From bytes to an invoice or to every fault: hostile bytes and values. Source: contract 1, 2 and 6."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import MOST_FAULTS, InvalidInvoice, MalformedJson, Problem
from gateway.core.invoice import Invoice
from gateway.core.parse import parse
from tests.core.samples import TYPES, codes, document, encoded, faults, line

SMALLEST = encoded(document())


def refused(body: bytes, key: str | None = None) -> Problem | None:
    """The problem, if there is one; no other exception, and nothing that cannot be written as JSON."""
    try:
        invoice = parse(body, TYPES, key)
    except (MalformedJson, InvalidInvoice) as caught:
        problem: Problem = caught
    else:
        assert invoice.external_id
        assert invoice.customer.id
        return None
    msgspec.json.encode((problem.detail, problem.faults))
    assert bool(problem.faults) is isinstance(problem, InvalidInvoice)
    return problem


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_refused_with_a_problem(body: bytes) -> None:
    """Never another exception."""
    assert refused(body) is not None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_broken_body_is_refused_with_a_problem_or_read(data: st.DataObject) -> None:
    """An invoice with bytes overwritten, cut or put in."""
    whole = encoded(document(note="Ünï", extensions={"tiny": {"colour": "red"}}, labels={"a": "b"}))
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 6)))
    scrap = st.sampled_from(
        [b"", b'"', b"\xff", b"\x00", b"\\ud800", b"null", b"1e9", b"{", b"]", b"\xc2\x80", b"\x7f"]
    )
    refused(whole[:start] + data.draw(st.one_of(scrap, st.binary(max_size=3))) + whole[end:])


json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
        st.sampled_from(["1.00", "-1", "USD", "2026-06-30", "\ud800", "\x7f", "x" * 300, "S", "NO", "0088"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)
names = st.one_of(st.sampled_from(Invoice.__struct_fields__), st.text(max_size=3))


@settings(max_examples=400, deadline=None)
@given(json_values, st.dictionaries(names, json_values, max_size=4), st.booleans(), st.one_of(st.none(), st.text()))
def test_arbitrary_values_are_refused_with_a_problem_or_read(
    value: Any, changes: dict[str, Any], escaped: bool, key: str | None
) -> None:
    """Any JSON document, and an invoice with any fields replaced; with and without an `Idempotency-Key`."""
    for found in (value, document(**changes)):
        refused(json.dumps(found, ensure_ascii=escaped).encode("utf-8", "surrogatepass"), key)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"\xef\xbb\xbf" + SMALLEST, "byte order mark"),
        (SMALLEST.decode().encode("utf-16"), "not JSON in UTF-8"),
        (SMALLEST.decode().encode("utf-16-le"), "not JSON in UTF-8"),
        (SMALLEST.decode().encode("utf-32"), "not JSON in UTF-8"),
        (encoded(document(note="ü")).replace(rb"\u00fc", b"\xfc"), "not JSON in UTF-8"),
        (SMALLEST[:-1], "not JSON in UTF-8"),
        (SMALLEST + b"{}", "not JSON in UTF-8"),
        (SMALLEST[:-1] + b",}", "not JSON in UTF-8"),
        (SMALLEST[:-1] + b',"exchange_rate":NaN}', "not JSON in UTF-8"),
        (SMALLEST[:-1] + b',"exchange_rate":-Infinity}', "not JSON in UTF-8"),
        (SMALLEST[:-1] + b',"exchange_rate":01}', "not JSON in UTF-8"),
        (SMALLEST[:-1] + b',"exchange_rate":+1}', "not JSON in UTF-8"),
        (SMALLEST[:-1] + b',"note":"a\nb"}', "not JSON in UTF-8"),
        (b'{"currency":5,"note":"a\nb"}', "not JSON in UTF-8"),
        (b'{"currency":5', "not JSON in UTF-8"),
        (b'{"currency":5,"a":NaN}', "NaN is not JSON"),
        (SMALLEST[:-1] + b',"extensions":{"tiny":{"colour":"\xff"}}}', "not JSON in UTF-8"),
        (SMALLEST[:-1] + b',"extensions":{"other":{"colour":"\xed\xa0\x80"}}}', "not JSON in UTF-8"),
        (b"<xml/>", "not JSON in UTF-8"),
        (b"external_id=a", "not JSON in UTF-8"),
    ],
)
def test_what_is_not_json_in_utf_8_is_malformed(body: bytes, words: str) -> None:
    """Contract 2: not JSON, not UTF-8; a byte order mark by contract 6."""
    with pytest.raises(MalformedJson) as caught:
        parse(body, TYPES)
    assert words in caught.value.detail
    assert caught.value.faults == ()


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"":'])
@pytest.mark.parametrize("around", [b"%s", b'{"currency":5,"note":%s', SMALLEST[:-1] + b',"extensions":{"tiny":%s'])
def test_nesting_too_deep_is_malformed(opening: bytes, around: bytes) -> None:
    """100,000 levels, in whatever place, closed or not."""
    with pytest.raises(MalformedJson, match="too deep"):
        parse(around.replace(b"%s", opening * 100_000), TYPES)


@pytest.mark.parametrize("where", [b'"tiny":{"colour":%s}},"a":1}', b'"tiny":%s}}', b'"tiny":%s},"note":"\\u0001"}'])
def test_no_depth_of_nesting_escapes_as_another_exception(where: bytes) -> None:
    """Just below the limit one reader may still follow while the next one gives up."""
    kinds = set()
    for depth in range(600, 1100):
        nested = b"[" * depth + b"]" * depth
        kinds.add(type(refused(SMALLEST[:-1] + b',"extensions":{' + where.replace(b"%s", nested))))
    assert kinds == {InvalidInvoice, MalformedJson}


@pytest.mark.parametrize("body", [b"[]", b"null", b"true", b'"x"', b"5", b"1e999999999", b"[{}]"])
def test_a_document_that_is_no_object_is_invalid(body: bytes) -> None:
    """One fault, for the whole document; nothing else is said about it."""
    assert codes(body) == {"": "type"}
    with pytest.raises(InvalidInvoice, match="the body: must be an object"):
        parse(body, TYPES)


NUMBERS = ["0", "1", "-1", "12.5", "1e999999999", "-0", "1e5", "9" * 5000, "0.1e-400", "-0.00"]
HALVES = (0xD800, 0xDBFF, 0xDC00, 0xDFFF)
TEXTS = [
    *("NaN", "Infinity", "-Infinity", "1_000", " 1 ", "１２", "1e999999999", "-0", "-0.00", "+1", "01", ".5", "5.", ""),
    *("1000000000000000", "0.0000001", "9" * 100_000, "1,50", "0x10", "1e3", "1 000", "½"),
]


@pytest.mark.parametrize("text", NUMBERS)
@pytest.mark.parametrize("field", ["exchange_rate", "totals", "line"])
def test_a_number_where_an_amount_belongs_gets_a_clear_message(text: str, field: str) -> None:
    """Contract 1: amounts are strings; the message shows how to write it."""
    places: dict[str, tuple[str, dict[str, Any]]] = {
        "exchange_rate": ("/exchange_rate", {"exchange_rate": "@"}),
        "totals": ("/totals/amount_due", {"totals": {"amount_due": "@"}}),
        "line": ("/lines/0/quantity", {"lines": [line(quantity="@")]}),
    }
    place, value = places[field]
    found = faults(encoded(document(**value)).replace(b'"@"', text.encode()))
    assert set(found) == {place}
    assert found[place].code == "decimal"
    assert found[place].detail == f'write amounts as strings: "{text[:24]}", not {text[:24]}'


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("field", ["quantity", "unit_price", "net_amount"])
def test_a_text_that_is_no_decimal_is_refused(text: str, field: str) -> None:
    """Each of them is something that Decimal itself would read, or nearly."""
    found = faults(document(lines=[line(**{field: text})]))
    assert {pointer: fault.code for pointer, fault in found.items()} == {f"/lines/0/{field}": "decimal"}
    assert len(found[f"/lines/0/{field}"].detail) < 200


@pytest.mark.parametrize("value", [True, False, None, [], {}, ["1"]])
def test_other_values_are_no_amounts(value: Any) -> None:
    """Booleans, null, lists and objects."""
    found = faults(document(lines=[line(quantity=value)]))
    assert {pointer: fault.code for pointer, fault in found.items()} == {"/lines/0/quantity": "type"}
    assert found["/lines/0/quantity"].detail.startswith('must be a decimal string such as "12.50", not ')


def test_of_duplicate_keys_the_last_counts() -> None:
    """Contract 6; also where the first one is wrong."""
    assert parse(SMALLEST[:-1] + b',"currency":"EUR"}', TYPES).currency == "EUR"
    assert parse(b'{"currency":5,' + SMALLEST[1:], TYPES).currency == "USD"
    assert codes(SMALLEST[:-1] + b',"currency":5}') == {"/currency": "type"}


@pytest.mark.parametrize(
    "sign", ["\x00", "\x07", "\b", "\r", "\x1f", "\x7f", "\x80", "\x85", "\x9f", *map(chr, HALVES)]
)
@pytest.mark.parametrize("escaped", [True, False])
def test_a_control_character_is_refused(sign: str, escaped: bool) -> None:
    """C0, DEL, C1 and halves of surrogate pairs, escaped or as themselves, in texts, keys and extensions."""
    bodies = [
        document(note=f"a{sign}"),
        document(labels={f"a{sign}": "b"}),
        document(extensions={"tiny": {"colour": f"a{sign}"}}),
        document(lines=[line(item={"id": f"a{sign}"})]),
    ]
    places = ["/note", "/labels/a", "/extensions/tiny/colour", "/lines/0/item/id"]
    for value, place in zip(bodies, places, strict=True):
        problem = refused(json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass"))
        assert isinstance(problem, (MalformedJson, InvalidInvoice))
        if isinstance(problem, InvalidInvoice):
            (fault,) = problem.faults
            assert fault.code == "control-character"
            assert fault.pointer.startswith(place)
            assert f"U+{ord(sign):04X}" in fault.detail


@pytest.mark.parametrize(
    "half", [rb"\ud800", rb"\uDFFF", rb"\ud800\ud800", rb"\udc00\ud800", rb"\uD800\u0041", rb"\ud800x"]
)
@pytest.mark.parametrize("fault", [b"", b',"number":5'])
def test_half_a_surrogate_pair_is_never_read(half: bytes, fault: bytes) -> None:
    """Wherever it stands, alone or beside another fault: it is no character, and no UTF-8 could pass it on."""
    for member in (
        b'"note":"a%s"', b'"labels":{"%s":"x"}', b'"extensions":{"tiny":{"colour":"%s"}}',
        b'"extensions":{"tiny":"%s"}', b'"extensions":{"tiny":{"%s":1}}', b'"extensions":{"%s":{}}', b'"%s":1',
    ):  # fmt: skip
        assert refused(SMALLEST[:-1] + fault + b"," + member.replace(b"%s", half) + b"}") is not None
    whole = SMALLEST[:-1] + b',"note":"\\ud83d\\ude00"}'
    assert parse(whole, TYPES).note == "😀"


def test_newline_and_tab_are_allowed() -> None:
    """Contract 1; and every other script and sign."""
    assert parse(encoded(document(note="a\n\tb Ünï ☃ 😀")), TYPES).note == "a\n\tb Ünï ☃ 😀"


@pytest.mark.parametrize("value", [{"\ud800": 1}, {"labels": {"\ud800": 5}}, {"extensions": {"\udc00": {}}}])
def test_a_fault_about_half_a_character_can_be_written(value: dict[str, Any]) -> None:
    """A pointer is text in UTF-8, whatever the key was."""
    assert refused(encoded({"currency": 5} | value)) is not None


@pytest.mark.parametrize(
    "value",
    [
        {f"{number:x}": 1 for number in range(100_000)},
        document(extensions={f"{number:x}": 1 for number in range(80_000)}),
        document(discounts=[{"amount": "0.000001"}] * 30_000, charges=[5] * 2_000),
        document(note="x" * 1_000_000, number="\x07" * 300),
        document(labels={str(number): "x" for number in range(60_000)}),
        document(lines=[line(item={"id": "i", "identifiers": {f"tinny{n}": "x" for n in range(20)}})] * 1000),
    ],
)
def test_hostile_bodies_get_an_answer_with_an_end(value: dict[str, Any]) -> None:
    """A thousand faults and the number of the others; none of them takes long to find."""
    problem = refused(encoded(value))
    assert problem is not None
    assert 1 <= len(problem.faults) <= MOST_FAULTS + 1
    if len(problem.faults) > MOST_FAULTS:
        assert (problem.faults[-1].pointer, problem.faults[-1].code) == ("", "more")
