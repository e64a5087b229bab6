"""One invoice out of a region: which fields must come along for it, and whether there is any such invoice at all.

Each field that has to be there can be brought there by one leaf of the invoice below it. A leaf brings its own kin
along (a discount has an amount), and can only be had if none of all that has to be absent. Leaves never exclude each
other otherwise, so looking at one field after the other is exact.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import cache

from msgspec import Struct

from gateway.core.config import Sample
from gateway.core.losses import FIELDS
from gateway.core.money import DIGITS, LIMIT, Amount, plain
from gateway.core.region import (
    ALL,
    AMOUNT,
    CLIENT,
    COUNTRY,
    CURRENCY,
    CUSTOMER,
    DATE,
    KEYED,
    MANDATORY,
    SUPPLIER,
    THERE,
    Region,
    Some,
    Space,
    Span,
)

LEAVES = tuple(".".join(leaf[1:].replace("/*", "").split("/")) for leaf in FIELDS)
"""Every field of an invoice that a caller can set, as a path."""

MOST = {"labels.": 16, "metadata.": 50}
VALUED = (COUNTRY, SUPPLIER)
_ALWAYS = (CLIENT, CURRENCY, CUSTOMER)
PLAIN = {
    CLIENT: ("local",),
    CURRENCY: ("USD", "EUR"),
    CUSTOMER: ("customer",),
    SUPPLIER: ("supplier",),
    COUNTRY: ("US", "DE"),
}
"""What a field is if nothing speaks against it."""
_AMOUNT, _DAY = Decimal(100), Decimal(date(2026, 1, 1).toordinal())


class Wish(Struct, frozen=True):
    """What a point should be if the region allows: values by their field, and leaves."""

    words: Mapping[str, Collection[str]] = {}
    leaves: tuple[str, ...] = ()


class Point(Struct, frozen=True):
    """An invoice by what conditions ask for: values, the leaves that are there, amount and day; and who sends it."""

    words: Mapping[str, str]
    leaves: frozenset[str]
    spans: Mapping[str, Decimal]

    def word(self, field: str) -> str | None:
        """What the field is, as a region says it."""
        if field in self.words:
            return self.words[field]
        if field in self.leaves or field in MANDATORY:
            return THERE
        return (
            THERE if not field.startswith(KEYED) and any(one.startswith(f"{field}.") for one in self.leaves) else None
        )

    def within(self, region: Region) -> bool:
        """Whether the region has it."""
        return all(self.spans[field] in span for field, span in region.spans.items()) and all(
            self.word(field) in some for field, some in region.words.items()
        )

    def sample(self) -> Sample:
        """The point as an operator would write it down."""
        labels = {name[7:]: self.words.get(name, "x") for name in sorted(self.leaves) if name.startswith("labels.")}
        return Sample(
            currency=self.words[CURRENCY],
            country=self.words.get(COUNTRY),
            customer=self.words[CUSTOMER],
            supplier=self.words.get(SUPPLIER),
            labels=labels,
            amount=Amount(plain(self.spans[AMOUNT])),
            issue_date=date.fromordinal(int(self.spans[DATE])),
            has=sorted(one for one in self.leaves if one not in VALUED and not one.startswith("labels.")),
        )


NOTHING = Wish()


def realize(region: Region, space: Space, wish: Wish = NOTHING) -> Point | None:
    """An invoice of the region, as small and plain as can be; None if there is none."""
    absent = frozenset(name for name, some in region.words.items() if some.values == {None} and not some.but)
    wanted = [name for name, some in region.words.items() if None not in some and name not in (CLIENT, *MANDATORY)]
    leaves: set[str] = set()
    for path in sorted(wanted, key=lambda path: (not path.startswith(KEYED), path)):
        if not path.startswith(KEYED) and any(one.startswith(f"{path}.") or one == path for one in leaves):
            continue
        leaf = next((one for one in _below(path, region) if _can_be(one, absent, space)), None)
        if leaf is None:
            return None
        leaves.update(kin(leaf))
    for leaf in wish.leaves:
        if _can_be(leaf, absent, space):
            leaves.update(kin(leaf))
    spans = {AMOUNT: _amount(region, space), DATE: _nearest(region.spans.get(DATE, ALL[DATE]), _DAY)}
    if spans[AMOUNT] is None or any(sum(one.startswith(name) for one in leaves) > most for name, most in MOST.items()):
        return None
    valued = [*_ALWAYS, *(one for one in leaves if one in VALUED or one.startswith("labels."))]
    words = {name: _pick(name, space.words(region, name), wish) for name in valued}
    return Point(words, frozenset(leaves), {name: value for name, value in spans.items() if value is not None})


def _pick(field: str, some: Some, wish: Wish) -> str:
    """A value of the set: one that is wished for, a plain one, or else the first."""
    plain_words = PLAIN.get(field, ("x",))
    for word in (*wish.words.get(field, ()), *plain_words):
        if word in some:
            return word
    if not some.but:
        return min(word for word in some.values if word is not None)
    return next(name for number in range(2, len(some.values) + 3) if (name := f"{plain_words[0]}-{number}") in some)


def _amount(region: Region, space: Space) -> Decimal | None:
    """An amount of the span, which no invoice may have if it is the very end of what amounts can be."""
    currency = _pick(CURRENCY, space.words(region, CURRENCY), NOTHING) if region.spans.get(AMOUNT) else "USD"
    span = region.spans.get(AMOUNT, ALL[AMOUNT])
    least = Decimal(1).scaleb(-DIGITS[currency]) - LIMIT
    span = span.both(Span(least, LIMIT))
    return None if span.is_empty() else _nearest(span, _AMOUNT)


def _nearest(span: Span, value: Decimal) -> Decimal:
    """The value if it is in the span, a whole one if there is any, or its first."""
    if value in span:
        return value
    whole = span.least.to_integral_value("ROUND_CEILING")
    return whole if whole in span else span.least


def _can_be(leaf: str, absent: frozenset[str], space: Space) -> bool:
    return space.extensions.get(leaf, True) and not any(part in absent for one in kin(leaf) for part in _parts(one))


def _below(path: str, region: Region) -> Iterable[str]:
    """The leaves that make a field be there; of labels and metadata one that no condition is about."""
    if f"{path}." in KEYED:
        names = (f"{path}.other{number or ''}" for number in range(len(region.words) + 1))
        return (next(name for name in names if name not in region.words),)
    return below(path)


@cache
def below(path: str) -> tuple[str, ...]:
    """The leaves of a field; a key is one."""
    if f"{path}." in KEYED:
        return (f"{path}.other",)
    return (path,) if path.startswith(KEYED) else tuple(one for one in LEAVES if f"{one}.".startswith(f"{path}."))


@cache
def kin(leaf: str) -> tuple[str, ...]:
    """The leaf and those that have to come along."""
    return tuple(dict.fromkeys(_kin(leaf)))


def _kin(leaf: str) -> Iterator[str]:
    yield leaf
    if leaf.startswith("billing_period."):
        yield from ("billing_period.start", "billing_period.end")
    for kind in ("discounts", "charges"):
        for prefix in (kind, f"lines.{kind}"):
            if leaf.startswith(f"{prefix}."):
                yield f"{prefix}.amount"
    before, taxed, _ = leaf.rpartition(".taxes.") if ".taxes." in leaf else ("", "", "")
    if taxed:
        yield from (f"{before}.taxes.category", f"{before}.taxes.rate")
    if before in ("lines.discounts", "lines.charges"):
        yield from _kin(f"lines.taxes.{leaf.removeprefix(f'{before}.taxes.')}")


@cache
def _parts(leaf: str) -> tuple[str, ...]:
    """The leaf and the fields around it; a key may hold points of its own."""
    if leaf.startswith(KEYED):
        return (leaf.partition(".")[0], leaf)
    tokens = leaf.split(".")
    return tuple(".".join(tokens[:length]) for length in range(1, len(tokens) + 1))
