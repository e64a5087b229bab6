"""Every fault of a value against a type, with its pointer. Source: contract 1 and 3, RFC 6901."""

from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, Raw, Struct, inspect

from gateway.core import plainjson, schema, wording
from gateway.core.config import Config
from gateway.core.errors import Fault, capped
from gateway.core.invoice import Invoice
from gateway.core.money import Amount, decode_amount
from gateway.core.placeholder import placeholder
from gateway.core.plainjson import Number


class Inner(Struct, frozen=True):
    """A struct inside another."""

    need: Annotated[str, Meta(min_length=2, max_length=3)]


class Outer(Struct, frozen=True):
    """A field of every type that the canonical structs, the configuration or a dialect's settings use."""

    text: str
    inner: Inner
    many: Annotated[tuple[Inner, ...], Meta(min_length=1, max_length=2)]
    word: Literal["a", "b"]
    amount: Amount
    day: date
    flag: bool
    whole: Annotated[int, Meta(ge=2, le=9)]
    either: int | str
    raw: Raw
    table: Annotated[dict[Annotated[str, Meta(max_length=3)], int], Meta(min_length=1, max_length=2)]
    real: Annotated[float, Meta(ge=0.5, lt=2)] = 1.0
    least: Annotated[int, Meta(ge=2)] = 2
    most: Annotated[int, Meta(le=9)] = 9
    moment: datetime | None = None
    open: Any = None
    nothing: None = None
    form: Annotated[str, Meta(pattern="^x+$")] = "x"
    union: str | list[str] | None = None


GOOD: dict[str, object] = {
    "text": "t", "inner": {"need": "no"}, "many": [{"need": "no"}], "word": "a", "amount": "1.50", "day": "2026-06-30",
    "flag": True, "whole": 2, "either": "x", "raw": {"a": [1]}, "table": {"a": 1},
}  # fmt: skip


def codes(value: object, kind: object = Outer, pointer: str = "") -> dict[str, str]:
    """The codes of the faults by pointer."""
    return {fault.pointer: fault.code for fault in schema.faults(value, kind, pointer)}


def detail(value: object, kind: object) -> str:
    """The words of the only fault."""
    (fault,) = schema.faults(value, kind)
    return fault.detail


def test_a_good_value_has_no_faults() -> None:
    """And comes back as it was."""
    faults, repaired = schema.examine(GOOD, Outer)
    assert faults == []
    assert msgspec.convert(repaired, Outer, dec_hook=decode_amount) == msgspec.convert(
        GOOD | {"raw": Raw(b'{"a":[1]}')}, Outer, dec_hook=decode_amount
    )


@pytest.mark.parametrize(
    ("name", "value", "pointer", "code"),
    [
        ("text", 1, "/text", "type"),
        ("text", None, "/text", "type"),
        ("text", "a\x07b", "/text", "control-character"),
        ("text", "a\ud800", "/text", "control-character"),
        ("inner", [], "/inner", "type"),
        ("inner", {}, "/inner/need", "missing"),
        ("inner", {"need": ""}, "/inner/need", "length"),
        ("inner", {"need": "1"}, "/inner/need", "length"),
        ("inner", {"need": "1234"}, "/inner/need", "length"),
        ("inner", {"need": "no", "a/b~c": 1}, "/inner/a~1b~0c", "unknown-field"),
        ("many", {}, "/many", "type"),
        ("many", [], "/many", "length"),
        ("many", [{"need": "no"}] * 3, "/many", "length"),
        ("many", [{"need": "no"}, {"need": 1}], "/many/1/need", "type"),
        ("word", "c", "/word", "unknown-code"),
        ("word", 1, "/word", "type"),
        ("amount", Number("1.5"), "/amount", "decimal"),
        ("amount", 1.5, "/amount", "decimal"),
        ("amount", 1, "/amount", "decimal"),
        ("amount", "1e3", "/amount", "decimal"),
        ("amount", True, "/amount", "type"),
        ("amount", None, "/amount", "type"),
        ("day", "2026-02-30", "/day", "date"),
        ("day", "2026-6-30", "/day", "date"),
        ("day", "2026-06-30T00:00:00Z", "/day", "date"),
        ("day", "２０２６-06-30", "/day", "date"),
        ("day", Number("20260630"), "/day", "type"),
        ("day", datetime(2026, 6, 30, tzinfo=UTC), "/day", "type"),
        ("flag", 1, "/flag", "type"),
        ("flag", "true", "/flag", "type"),
        ("whole", 1, "/whole", "range"),
        ("whole", 10, "/whole", "range"),
        ("whole", True, "/whole", "type"),
        ("whole", 2.0, "/whole", "type"),
        ("whole", Number("10"), "/whole", "range"),
        ("whole", Number("2.0"), "/whole", "type"),
        ("whole", Number("2" * 19), "/whole", "type"),
        ("least", 1, "/least", "range"),
        ("most", 10, "/most", "range"),
        ("either", 1.5, "/either", "type"),
        ("table", {}, "/table", "length"),
        ("table", {"a": 1, "b": 1, "c": 1}, "/table", "length"),
        ("table", {"long": 1}, "/table/long", "length"),
        ("table", {"a": "x"}, "/table/a", "type"),
        ("table", {"~/": "x"}, "/table/~0~1", "type"),
        ("table", [], "/table", "type"),
        ("real", 0.4, "/real", "range"),
        ("real", 2, "/real", "range"),
        ("real", float("nan"), "/real", "range"),
        ("real", float("inf"), "/real", "range"),
        ("real", "1", "/real", "type"),
        ("real", True, "/real", "type"),
        ("moment", "2026-06-30", "/moment", "date"),
        ("moment", date(2026, 6, 30), "/moment", "type"),
        ("nothing", 1, "/nothing", "type"),
        ("form", "xy", "/form", "pattern"),
        ("union", 1, "/union", "type"),
        ("union", ["a", 1], "/union/1", "type"),
        ("union", {}, "/union", "type"),
    ],
)  # fmt: skip
def test_a_fault_has_its_pointer_and_code(name: str, value: object, pointer: str, code: str) -> None:
    """One thing is wrong, one thing is named; what is left can still be used."""
    faults, repaired = schema.examine(GOOD | {name: value}, Outer)
    assert [(fault.pointer, fault.code) for fault in faults] == [(pointer, code)]
    msgspec.convert(repaired, Outer, dec_hook=decode_amount)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("whole", Number("9")),
        ("either", 1),
        ("either", Number("1")),
        ("real", 1),
        ("real", 0.5),
        ("day", date(2026, 6, 30)),
        ("moment", "2026-06-30T10:15:00Z"),
        ("moment", datetime(2026, 6, 30, tzinfo=UTC)),
        ("moment", None),
        ("open", {"a": [None]}),
        ("nothing", None),
        ("union", "a"),
        ("union", ["a"]),
        ("union", None),
    ],
)
def test_a_value_of_the_type_is_no_fault(name: str, value: object) -> None:
    """JSON numbers as they were written, TOML's own dates, and every member of a union."""
    faults, repaired = schema.examine(GOOD | {name: value}, Outer)
    assert faults == []
    msgspec.convert(repaired, Outer, dec_hook=decode_amount)


def test_all_faults_are_named_at_once() -> None:
    """Nothing hides behind the first fault."""
    value = {"text": 1, "many": [{}, {"need": "12345"}], "word": "x", "amount": 5, "tekst": 1}
    assert codes(value) == {
        "/text": "type", "/inner": "missing", "/many/0/need": "missing", "/many/1/need": "length",
        "/word": "unknown-code", "/amount": "decimal", "/day": "missing", "/flag": "missing", "/whole": "missing",
        "/either": "missing", "/raw": "missing", "/table": "missing", "/tekst": "unknown-field",
    }  # fmt: skip


def test_a_pointer_can_begin_anywhere() -> None:
    """An extension's faults point into the whole document."""
    assert codes({}, Inner, "/extensions/tiny") == {"/extensions/tiny/need": "missing"}


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (Number("12.5"), Amount, 'write amounts as strings: "12.5", not 12.5'),
        (Number("1e" + "9" * 1000), Amount, 'write amounts as strings: "1e9999999999999999999999", not 1e'),
        ("1e5", Amount, '"1e5" is not a decimal such as "12.50"'),
        (True, Amount, 'must be a decimal string such as "12.50", not true'),
        (False, str, "must be a string, not false"),
        (None, int, "must be a whole number, not null"),
        ([], dict[str, int], "must be an object, not a list"),
        ({}, list[int], "must be a list, not an object"),
        ("x", bool, 'must be true or false, not the string "x"'),
        (time(1), str, "must be a string, not a time"),
        (Number("1"), datetime, "must be a time such as 2026-06-30T10:15:00Z, not a number"),
        (1, bytes, "must be something else, not a number"),
        ("", Annotated[str, Meta(min_length=1)], "must not be empty"),
        ("1", Annotated[str, Meta(min_length=2)], "at least 2 characters"),
        ("123", Annotated[str, Meta(max_length=2)], "at most 2 characters, not 3"),
        ([], Annotated[list[int], Meta(min_length=1)], "at least 1 entry is required"),
        (5, Annotated[int, Meta(le=4)], "must be a whole number to 4"),
        (0, Annotated[int, Meta(ge=1)], "must be a whole number from 1"),
        (-1.0, Annotated[float, Meta(gt=0, le=1)], "must be a number above 0 to 1"),
        ("z", Literal["x", "y"], '"z" is not one of x, y'),
        ("\x7f", str, "holds the control character U+007F"),
        ("y", Annotated[str, Meta(pattern="^x$")], '"y" is not of the form ^x$'),
        ("2026-02-30", date, '"2026-02-30" is not a date YYYY-MM-DD that exists'),
        ("x", datetime, '"x" is not a time such as 2026-06-30T10:15:00Z that exists'),
    ],
)
def test_a_fault_says_what_is_wanted(value: object, kind: object, words: str) -> None:
    """In words that a person who writes JSON can use."""
    assert detail(value, kind).startswith(words)


def test_an_unknown_field_is_answered_with_the_nearest_name() -> None:
    """A slip of the pen is named; nonsense is not guessed at."""
    class_ = GOOD | {"amuont": 1, "qqqqqq": 1}
    near, far = schema.faults(class_, Outer)
    assert near.detail == '"amuont" is not known here; did you mean "amount"?'
    assert far.detail == '"qqqqqq" is not known here'


def test_an_answer_has_an_end() -> None:
    """A thousand faults, and how many more there are."""
    found = schema.faults(dict.fromkeys(map(str, range(2500)), 1), Inner)
    assert len(found) == 2501
    shown = capped(found)
    assert shown[:1000] == found[:1000]
    assert shown[1000:] == [Fault("", "more", "1501 more faults")]
    assert capped(found[:1000]) == found[:1000]


def test_numbers_are_kept_as_they_were_written() -> None:
    """No float comes near, whatever their size."""
    text = b'{"a":[1.10,-0,1e999999999,12345678901234567890],"b":{"c":null,"d":"\xc3\xbc"}}'
    value = plainjson.read_json(text)
    assert value == {
        "a": [Number("1.10"), Number("-0"), Number("1e999999999"), Number("12345678901234567890")],
        "b": {"c": None, "d": "ü"},
    }
    assert plainjson.write_json(value) == text


def test_numbers_compare_by_their_text() -> None:
    """Also in sets and in messages."""
    assert Number("1") != Number("1.0")
    assert Number("1") != 1
    assert len({Number("1"), Number("1")}) == 1
    assert repr(Number("1.0")) == "Number(1.0)"


def test_of_duplicate_keys_the_last_counts() -> None:
    """Contract 6."""
    assert plainjson.read_json(b'{"a":1,"a":2}') == {"a": Number("2")}


@pytest.mark.parametrize("body", [b"NaN", b"-Infinity", b"{", b"\xff", b'\xef\xbb\xbf""', b"'a'", b'"\n"', b"01"])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    """RFC 8259, in UTF-8 without a byte order mark."""
    with pytest.raises(ValueError, match=r"."):
        plainjson.read_json(body)


def test_only_plain_values_are_written() -> None:
    """The inverse of reading, and no more."""
    with pytest.raises(NotImplementedError, match="complex"):
        plainjson.write_json(1j)


@pytest.mark.parametrize(
    ("token", "escaped"),
    [("a", "a"), ("~", "~0"), ("/", "~1"), ("~1", "~01"), ("a/b~c", "a~1b~0c"), ("\udc00", "?"), ("", "")],
)
def test_a_token_is_escaped(token: str, escaped: str) -> None:
    """RFC 6901 section 3; and a pointer can always be said in UTF-8."""
    assert wording.escape(token) == escaped


def test_a_quotation_is_short_and_harmless() -> None:
    """64 characters, no control characters, no halves of surrogate pairs."""
    assert wording.quoted("a") == '"a"'
    assert wording.quoted("x" * 64) == f'"{"x" * 64}"'
    assert wording.quoted("x" * 65) == f'"{"x" * 64}…"'
    assert wording.quoted("a\x00\x9f\ud800\x7f") == '"a????"'


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.builds(Number, st.just("1.5")),
        st.dates(), st.sampled_from(["same", "15s", "https://x", "env", "x" * 300]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.text(max_size=3), st.sampled_from([*Config.__struct_fields__, "x" * 64])), inner, max_size=4
        ),
    ),
    max_leaves=12,
)  # fmt: skip


def shaped(node: inspect.Type) -> st.SearchStrategy[object]:
    """Values that nearly have the shape of the type, so that faults come up at every depth."""
    match node:
        case inspect.Metadata():
            return shaped(node.type)
        case inspect.UnionType(types=types):
            return st.one_of([shaped(one) for one in types])
        case inspect.StructType(fields=fields):
            names = {field.encode_name: shaped(field.type) for field in fields}
            return st.one_of(json_values, st.fixed_dictionaries({}, optional=names))
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return st.one_of(json_values, st.lists(st.deferred(lambda: shaped(item)), max_size=2))
        case inspect.DictType(value_type=item):
            keys = st.one_of(st.text(max_size=2), st.just("tiny"))
            return st.one_of(json_values, st.dictionaries(keys, shaped(item), max_size=2))
        case _:
            return json_values


@pytest.mark.parametrize("kind", [Config, Invoice, Outer])
def test_what_was_repaired_can_be_used(kind: type[Struct]) -> None:
    """Whatever was sent or configured, the other checks can go on with what is left of it."""

    @settings(max_examples=150, deadline=None)
    @given(shaped(inspect.type_info(kind)))
    def holds(value: object) -> None:
        faults, repaired = schema.examine(value, kind)
        msgspec.convert(repaired, kind, dec_hook=decode_amount)
        msgspec.json.encode(faults)
        assert all(fault.pointer == "" or fault.pointer.startswith("/") for fault in faults)

    holds()


@pytest.mark.parametrize("kind", [Outer, datetime, bytes, float, type(None), datetime | None])
def test_a_placeholder_stands_for_any_type(kind: object) -> None:
    """Something harmless, so that a walk can go on; null where nothing better is known."""
    found = placeholder(inspect.type_info(kind))
    if kind is Outer:
        msgspec.convert(found, Outer, dec_hook=decode_amount)
    else:
        assert found == (1.0 if kind is float else None)
