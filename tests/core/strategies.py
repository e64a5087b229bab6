"""Invoices as Hypothesis draws them: arithmetic worth checking, in currencies of 0, 2 and 3 digits."""

from typing import Any

from hypothesis import strategies as st

from gateway.core.invoice import Invoice
from gateway.core.parse import parse
from tests.core.samples import TYPES, document, encoded

Document = dict[str, Any]

CURRENCIES = {"JPY": 0, "USD": 2, "KWD": 3}
TAXES = ({"category": "S", "rate": "20"}, {"category": "S", "rate": "7.5"}, {"category": "E", "rate": "0"})


def figure(number: int, places: int) -> str:
    """A number of minor units as a canonical decimal."""
    digits = f"{abs(number):0{places + 1}}"
    text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"-{text}" if number < 0 else text


def figures(most: int, places: int, least: int = 0) -> st.SearchStrategy[str]:
    """Canonical decimals."""
    return st.builds(figure, st.integers(least, most), st.just(places))


taxes: st.SearchStrategy[list[dict[str, str]]] = st.one_of(
    st.just([]), st.sampled_from(TAXES).map(lambda tax: [tax]), st.just(list(TAXES[:2]))
)


def adjustments(digits: int) -> st.SearchStrategy[list[Document]]:
    """Discounts or charges."""
    own = st.fixed_dictionaries({"amount": figures(500, digits)}, optional={"taxes": taxes})
    return st.lists(own, max_size=2)


def lines(digits: int) -> st.SearchStrategy[list[Document]]:
    """One to five lines, with quantities and prices that need rounding."""
    quantity = st.one_of(figures(20, 0), figures(5_000, 3), figures(5, 0, -5))
    own = st.lists(st.fixed_dictionaries({"amount": figures(300, digits)}), max_size=2)
    line = st.fixed_dictionaries(
        {"id": st.just("1"), "item": st.just({"id": "i"}), "quantity": quantity, "unit_price": figures(999_999, 4)},
        optional={"taxes": taxes, "discounts": own, "charges": own},
    )
    return st.lists(line, min_size=1, max_size=5)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A valid invoice that states no computed total."""
    currency = draw(st.sampled_from(sorted(CURRENCIES)))
    digits = CURRENCIES[currency]
    stated = st.fixed_dictionaries(
        {}, optional={"prepaid_total": figures(900, digits), "rounding": figures(9, digits, -9)}
    )
    return document(
        currency=currency,
        prices_include_tax=draw(st.booleans()),
        lines=draw(lines(digits)),
        discounts=draw(adjustments(digits)),
        charges=draw(adjustments(digits)),
        totals=draw(stated),
    )


def read(value: Document) -> Invoice:
    """The document as the gateway reads it."""
    return parse(encoded(value), TYPES)
