"""Money: the decimal grammar, ISO 4217 exponents, rounding. Decimal only; no float comes near.

Sources: contract 1 for the grammar, ISO 4217 (list one, with the codes that were replaced lately) for the exponents.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, InvalidOperation, localcontext
from functools import lru_cache
from typing import Any, Self, cast

GRAMMAR = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,6})?")
NEGATIVE_ZERO = re.compile(r"-0(?:\.0+)?")
LIMIT = Decimal(10) ** 15
ZERO = Decimal(0)
HUNDRED = Decimal(100)

# Wide enough for quantity x price (42 digits) summed over a thousand lines; the default of 28 would round silently.
EXACT = Context(prec=80, rounding=ROUND_HALF_UP, traps=[InvalidOperation])

_OTHER_EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_TWO_DECIMALS = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF"
    " CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK"
    " HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR"
    " MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP"
    " SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR"
    " ZMW ZWG"
)

DIGITS: dict[str, int] = dict.fromkeys(_TWO_DECIMALS.split(), 2) | {
    code: digits for digits, codes in _OTHER_EXPONENTS.items() for code in codes.split()
}
"""The exponent (decimal places of the minor unit) of each ISO 4217 code."""

_QUANTA = tuple(Decimal(1).scaleb(-digits) for digits in range(7))


class Amount(Decimal):
    """A decimal that came from outside: what a caller sends is in the canonical grammar, an upstream's may be wider.

    It has a type of its own so that msgspec asks `decode_amount` and `encode_amount` about it.
    """

    __slots__ = ("places", "shortest")

    places: int
    """Significant decimal places: trailing zeros do not count."""
    shortest: str
    """Without zeros at its end: the same text for all that are equal."""

    def __new__(cls, text: str) -> Self:
        """The amount that `text` says."""
        made = super().__new__(cls, text)
        made.places = max(0, -int(made.normalize(EXACT).as_tuple().exponent))
        made.shortest = f"{made:.{made.places}f}"
        return made


def is_decimal_text(text: str) -> bool:
    """Whether `text` is a canonical decimal: no exponent, no sign but minus, no negative zero, ASCII digits only."""
    return GRAMMAR.fullmatch(text) is not None and NEGATIVE_ZERO.fullmatch(text) is None


def _amount(kind: type[Any], text: Any) -> Amount:  # noqa: ANN401 - it is whatever was sent
    if kind is not Amount or not isinstance(text, str) or not is_decimal_text(text):
        raise ValueError("not a decimal string")
    return Amount(text)


_Decode = Callable[[type[Any], Any], Amount]
decode_amount = cast("_Decode", lru_cache(maxsize=8192)(_amount))
"""The `dec_hook` of msgspec: turns canonical text into an `Amount`.

Remembered because prices and rates repeat; only what is valid, at most 23 characters, is ever remembered.

Raises:
    ValueError: the text is not a string in the grammar, or the type is not `Amount`.
    TypeError: the text is a list or an object.
"""


def encode_amount(value: object) -> str:
    """The `enc_hook` of msgspec: an `Amount` as fixed-point text.

    Raises:
        NotImplementedError: `value` is something else.
    """
    if isinstance(value, Decimal):
        return plain(value)
    raise NotImplementedError(type(value).__name__)


def exact() -> AbstractContextManager[Context]:
    """A block in which Decimal arithmetic on canonical amounts is exact."""
    return localcontext(EXACT)


def rounded(value: Decimal, digits: int) -> Decimal:
    """`value` at `digits` decimal places, half up (away from zero), the rule of EN 16931."""
    return EXACT.plus(value.quantize(_QUANTA[digits], ROUND_HALF_UP, EXACT))  # plus: there is no -0.00


def rounded_even(value: Decimal, digits: int) -> Decimal:
    """`value` at `digits` decimal places, half to even: how .NET's `Math.Round` rounds."""
    return value.quantize(_QUANTA[digits], ROUND_HALF_EVEN, EXACT)


def fits(value: Decimal, digits: int) -> bool:
    """Whether `value` has no more than `digits` significant decimal places (trailing zeros do not count)."""
    if isinstance(value, Amount):
        return value.places <= digits
    return not EXACT.remainder(value, _QUANTA[digits])


def total(values: Iterable[Decimal]) -> Decimal:
    """The sum, zero for nothing."""
    return sum(values, ZERO)


def plain(value: Decimal) -> str:
    """Fixed-point text, never an exponent."""
    return format(value, "f")


@lru_cache(maxsize=256)
def rate_text(rate: Decimal) -> str:
    """A rate without trailing zeros, as crosswalk tables name it."""
    return plain(trimmed(rate))


def trimmed(value: Decimal) -> Decimal:
    """The same value without trailing zeros after the point, and never with an exponent: for JSON numbers."""
    if value == value.to_integral_value():
        return value.quantize(_QUANTA[0], context=EXACT)
    return value.normalize(EXACT)
