"""The decimal grammar, rounding and exponents. Source: contract 1, ISO 4217."""

from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import ValidationError, convert

from gateway.core.money import (
    DIGITS,
    Amount,
    decode_amount,
    encode_amount,
    exact,
    fits,
    is_decimal_text,
    plain,
    rounded,
    rounded_even,
    total,
    trimmed,
)

DIGIT = "0123456789"


def defined(text: str) -> bool:
    """The grammar of contract 1 in other words, without a regular expression."""
    negative = text.startswith("-")
    figure = text[1:] if negative else text
    whole, point, fraction = figure.partition(".")
    return (
        1 <= len(whole) <= 15
        and all(sign in DIGIT for sign in whole + fraction)
        and (whole == "0" or not whole.startswith("0"))
        and (1 <= len(fraction) <= 6 if point else True)
        and not (negative and set(figure) <= {"0", "."})
    )


figures = st.builds(
    "{}{}{}".format,
    st.sampled_from(("", "-", "+", "--", " ")),
    st.text("0123456789", max_size=17),
    st.one_of(st.just(""), st.text("0123456789", max_size=8).map(lambda text: f".{text}")),
)
decimals = st.builds(
    lambda number, places: Decimal(number).scaleb(-places), st.integers(-(10**21), 10**21), st.integers(0, 12)
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(figures, st.text("-+.01９²eE_ \n", max_size=8), st.text(max_size=6)))
def test_the_grammar_is_that_of_the_contract(text: str) -> None:
    """Both definitions agree on whatever is written."""
    assert is_decimal_text(text) is defined(text)


@pytest.mark.parametrize(
    "text", ["0", "0.0", "1", "12.50", "-0.01", "-1", "0.000001", "999999999999999", "999999999999999.999999"]
)
def test_a_canonical_decimal_is_read_exactly(text: str) -> None:
    """What is in the grammar becomes the amount that was written, and is written again as it was."""
    amount = decode_amount(Amount, text)
    assert amount == Decimal(text)
    assert encode_amount(amount) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", ".", "NaN", "Infinity", "-Infinity", "sNaN", "1_000", " 1 ", "1 ", "１２", "1e999999999", "1E+3"),
        *("-0", "-0.00", "+1", "01", "-01", "00", ".5", "5.", "1,5", "0x1", "1000000000000000", "0.0000001", "1\n"),
        *("٣", "²", "1" * 100_000, "0." + "0" * 100_000, "1.5.0"),
    ],
)
def test_other_texts_are_no_decimals(text: str) -> None:
    """Contract 1 and 6: no exponent, no sign but minus, no negative zero, 15 digits before and 6 after the point."""
    assert not is_decimal_text(text)
    with pytest.raises(ValueError, match="not a decimal string"):
        decode_amount(Amount, text)


@pytest.mark.parametrize(("kind", "value"), [(Amount, 1), (Amount, 1.5), (Amount, None), (Decimal, "1"), (str, "1")])
def test_only_strings_become_amounts(kind: type, value: object) -> None:
    """No number comes in by another way than a string, whatever was read before."""
    assert decode_amount(Amount, "1") == 1
    with pytest.raises(ValueError, match="not a decimal string"):
        decode_amount(kind, value)


@pytest.mark.parametrize("value", [[], {}, ["1"], {"1": "1"}])
def test_what_holds_others_becomes_no_amount(value: object) -> None:
    """It cannot be remembered; to msgspec that is as wrong as another text."""
    with pytest.raises(TypeError):
        decode_amount(Amount, value)
    with pytest.raises(ValidationError):
        convert([value], list[Amount], dec_hook=decode_amount)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
def test_equal_amounts_have_the_same_shortest_text(value: Decimal) -> None:
    """However many zeros they were written with."""
    one, other = Amount(f"{value:f}"), Amount(f"{value:f}000")
    assert one.shortest == other.shortest
    assert Decimal(one.shortest) == value


def test_only_decimals_are_encoded() -> None:
    """The hook passes on what it does not know."""
    assert encode_amount(Decimal("1E+3")) == "1000"
    with pytest.raises(NotImplementedError, match="float"):
        encode_amount(1.5)


@settings(max_examples=300, deadline=None)
@given(decimals, st.integers(0, 6))
def test_rounding_is_half_up_away_from_zero(value: Decimal, digits: int) -> None:
    """Against exact fractions: the nearest multiple of the minor unit, halves away from zero, no negative zero."""
    scaled = abs(Fraction(value)) * 10**digits
    expected = Fraction(floor(scaled + Fraction(1, 2)), 10**digits) * (-1 if value < 0 else 1)
    found = rounded(value, digits)
    assert Fraction(found) == expected
    assert found.as_tuple().exponent == -digits
    assert not (found == 0 and found.is_signed())


@settings(max_examples=300, deadline=None)
@given(decimals, st.integers(0, 6))
def test_the_other_rounding_is_half_to_even(value: Decimal, digits: int) -> None:
    """Against exact fractions, which Python rounds half to even."""
    assert Fraction(rounded_even(value, digits)) == Fraction(round(Fraction(value) * 10**digits), 10**digits)


@pytest.mark.parametrize(
    ("text", "digits", "expected"),
    [("0.005", 2, "0.01"), ("-0.005", 2, "-0.01"), ("-0.004", 2, "0.00"), ("2.5", 0, "3"), ("1.0005", 3, "1.001")],
)
def test_halves_go_away_from_zero(text: str, digits: int, expected: str) -> None:
    """The cases by which roundings differ."""
    assert plain(rounded(Decimal(text), digits)) == expected


@settings(max_examples=300, deadline=None)
@given(decimals, st.integers(0, 6))
def test_an_amount_fits_where_rounding_changes_nothing(value: Decimal, digits: int) -> None:
    """`fits` says whether a number of decimal places is enough."""
    assert fits(value, digits) is ((Fraction(value) * 10**digits).denominator == 1)
    assert fits(Amount(plain(value)), digits) is fits(value, digits)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(-(10**21), 10**21), st.integers(-(10**21), 10**21)), max_size=20))
def test_products_and_sums_of_amounts_are_exact(pairs: list[tuple[int, int]]) -> None:
    """Quantity x price of 21 digits each, summed: nothing is rounded in silence."""
    with exact():
        found = total(Decimal(one).scaleb(-6) * Decimal(other).scaleb(-6) for one, other in pairs)
    assert Fraction(found) == sum((Fraction(one * other, 10**12) for one, other in pairs), Fraction(0))


def test_the_sum_of_nothing_is_zero() -> None:
    """An empty sum is a decimal too."""
    assert total([]) == Decimal(0)


@settings(max_examples=200, deadline=None)
@given(decimals)
def test_plain_text_has_no_exponent(value: Decimal) -> None:
    """Fixed-point, whatever the exponent is."""
    assert Decimal(plain(value)) == value
    assert set(plain(value)) <= set("-.0123456789")


@settings(max_examples=200, deadline=None)
@given(st.integers(-(10**21), 10**21), st.integers(0, 6))
def test_trimming_keeps_the_value_and_needs_no_exponent(number: int, places: int) -> None:
    """For JSON numbers: no trailing zero after the point, no exponent."""
    value = Decimal(number).scaleb(-places)
    text = str(trimmed(value))
    assert Decimal(text) == value
    assert "E" not in text
    assert "." not in text or not text.endswith("0")


@pytest.mark.parametrize(
    ("currency", "digits"), [("USD", 2), ("EUR", 2), ("NOK", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("CLF", 4)]
)
def test_exponents_are_those_of_iso_4217(currency: str, digits: int) -> None:
    """The minor unit of each kind of currency."""
    assert DIGITS[currency] == digits


@pytest.mark.parametrize("code", ["usd", "EURO", "XTS", "XXX", "US", ""])
def test_what_is_no_currency_has_no_exponent(code: str) -> None:
    """Only codes that invoices can be in."""
    assert code not in DIGITS
