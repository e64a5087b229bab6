"""The invoices that conditions allow, as a region: one set of values for each field, and all combinations of them.

A field is a path as `has` and `lacks` name it; None is its absence, `THERE` any presence where values play no part.
What ties fields together (a label is there only if `labels` is) is no matter of regions but of `point`.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from decimal import ROUND_CEILING, Decimal

from msgspec import Struct

from gateway.core import schema
from gateway.core.codes import COUNTRIES
from gateway.core.config import When, Words
from gateway.core.invoice import Id, Labels, Metadata
from gateway.core.money import DIGITS, EXACT, LIMIT

THERE = ""
CLIENT, CURRENCY, CUSTOMER, SUPPLIER = "client", "currency", "customer.id", "supplier.id"
COUNTRY = "customer.billing_address.country"
AMOUNT, DATE = "#amount", "#issue_date"
KEYED = ("labels.", "metadata.")
MANDATORY = frozenset(
    "external_id issue_date currency customer customer.id lines lines.id lines.item lines.item.id lines.quantity"
    " lines.unit_price".split()
)
"""What every invoice has."""


class Some(Struct, frozen=True):
    """These values; with `but`, all others."""

    values: frozenset[str | None]
    but: bool = False

    def __contains__(self, value: str | None) -> bool:
        return (value in self.values) is not self.but

    def both(self, other: "Some") -> "Some":
        """What is in both."""
        match self.but, other.but:
            case True, True:
                return Some(self.values | other.values, but=True)
            case True, False:
                return Some(other.values - self.values)
            case False, True:
                return Some(self.values - other.values)
            case _:
                return Some(self.values & other.values)

    def without(self, other: "Some") -> "Some":
        """What is in this one alone."""
        return self.both(Some(other.values, but=not other.but))

    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return not (self.but or self.values)


class Span(Struct, frozen=True):
    """The amounts, or the days by their ordinals, from `least` to below `limit`."""

    least: Decimal
    limit: Decimal

    def __contains__(self, value: Decimal) -> bool:
        return self.least <= value < self.limit

    def both(self, other: "Span") -> "Span":
        """What is in both."""
        return Span(max(self.least, other.least), min(self.limit, other.limit))

    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return self.least >= self.limit


class Region(Struct, frozen=True):
    """The sets of the fields that are not free, values and spans apart."""

    words: Mapping[str, Some] = {}
    spans: Mapping[str, Span] = {}


class Constraint(Struct, frozen=True):
    """One condition of a rule: its place below `when`, how an operator would say it, and what it leaves."""

    place: str
    said: str
    region: Region


ALL = {AMOUNT: Span(-LIMIT, LIMIT), DATE: Span(Decimal(1), Decimal(date.max.toordinal() + 1))}
_ANY, _ONCE, _OPTIONAL = Some(frozenset(), but=True), Some(frozenset((THERE,))), Some(frozenset((THERE, None)))
_PRESENT, _ABSENT = Some(frozenset((None,)), but=True), Some(frozenset((None,)))
_FIXED = {
    CURRENCY: Some(frozenset(DIGITS)),
    COUNTRY: Some(COUNTRIES | {None}),
    CUSTOMER: _PRESENT,
    SUPPLIER: _ANY,
}


class Space(Struct, frozen=True):
    """What there can be at all: the clients that may call, and whether any dialect has extensions."""

    clients: frozenset[str]
    extensions: Mapping[str, bool] = {}

    def every(self, field: str) -> Some:
        """All that a field can be."""
        if field == CLIENT:
            return Some(self.clients)
        if (fixed := _FIXED.get(field)) is not None:
            return fixed
        if field.startswith(KEYED):
            return (_ANY if field.startswith("labels.") else _OPTIONAL) if _is_key(field) else _ABSENT
        return _ONCE if field in MANDATORY else _OPTIONAL

    def words(self, region: Region, field: str) -> Some:
        """What the region leaves of a field."""
        return region.words[field] if field in region.words else self.every(field)

    def both(self, one: Region, other: Region) -> Region | None:
        """What is in both regions; None for nothing."""
        words, spans = dict(one.words), dict(one.spans)
        for field, some in other.words.items():
            words[field] = self.words(one, field).both(some)
            if words[field].is_empty():
                return None
        for field, span in other.spans.items():
            spans[field] = spans.get(field, ALL[field]).both(span)
            if spans[field].is_empty():
                return None
        return Region(words, spans)

    def without(self, one: Region, other: Region) -> Iterator[Region]:
        """What is in `one` alone, as regions that have nothing in common."""
        words, spans = dict(one.words), dict(one.spans)
        for field, some in other.words.items():
            left = self.words(one, field)
            if not (rest := left.without(some)).is_empty():
                yield Region({**words, field: rest}, dict(spans))
            words[field] = left.both(some)
        for field, span in other.spans.items():
            whole = spans.get(field, ALL[field])
            before, after = (
                Span(whole.least, min(whole.limit, span.least)),
                Span(max(whole.least, span.limit), whole.limit),
            )
            for part in (before, after):
                if not part.is_empty():
                    yield Region(dict(words), {**spans, field: part})
            spans[field] = whole.both(span)


def _is_key(field: str) -> bool:
    name, _, key = field.partition(".")
    return not schema.faults({key: ""}, Labels if name == "labels" else Metadata)


def listed(words: Words | None) -> list[str]:
    """One word or a list of them, as a list."""
    return [words] if isinstance(words, str) else list(words or ())


def constraints(when: When, space: Space) -> Iterator[Constraint]:
    """The conditions of a rule; the region of all of them is the rule's."""
    for name, field, words in (
        ("client", CLIENT, when.client),
        ("currency", CURRENCY, when.currency),
        ("country", COUNTRY, when.country),
        ("customer", CUSTOMER, when.customer),
        ("supplier", SUPPLIER, when.supplier),
    ):
        if words is not None:
            yield _one_of(name, name, field, listed(words), space)
    for name, words in when.labels.items():
        yield _one_of("labels", f"label {name}", f"labels.{name}", listed(words), space)
    yield from _spans(when)
    for name, wanted in (("has", _PRESENT), ("lacks", _ABSENT)):
        for path in listed(getattr(when, name)):
            yield _constraint(name, f"{name} {path}", path, space.every(path).both(wanted))


def _constraint(place: str, said: str, field: str, some: Some) -> Constraint:
    return Constraint(place, said, Region({field: some}))


def _one_of(place: str, name: str, field: str, words: list[str], space: Space) -> Constraint:
    """Words that the field cannot be, such as an empty id, are left out."""
    fit: Collection[str] = [word for word in words if _fits(field, word)]
    said = f"{name} {' or '.join(words)}" if words else f"{name} of an empty list"
    return _constraint(place, said, field, space.every(field).both(Some(frozenset(fit))))


def _fits(field: str, word: str) -> bool:
    if field.startswith("labels."):
        return not schema.faults({"x": word}, Labels)
    return field in (CLIENT, CURRENCY, COUNTRY) or not schema.faults(word, Id)


def _spans(when: When) -> Iterator[Constraint]:
    if (amount := when.amount) is not None:
        digits = DIGITS[listed(when.currency)[0]]
        least = -LIMIT if amount.min is None else _next(amount.min, digits)
        limit = LIMIT if amount.below is None else _next(amount.below, digits)
        said = _said(f"amount of {listed(when.currency)[0]}", amount.min, amount.below)
        yield Constraint("amount", said, Region(spans={AMOUNT: Span(least, limit)}))
    if (dates := when.issue_date) is not None:
        first, end = dates.from_ or date.min, dates.until
        limit = ALL[DATE].limit if end is None else Decimal(end.toordinal())
        said = _said("issue date", dates.from_, end)
        yield Constraint("issue_date", said, Region(spans={DATE: Span(Decimal(first.toordinal()), limit)}))


def _next(bound: Decimal, digits: int) -> Decimal:
    """The least amount of the currency that is not below the bound: amounts are whole minor units."""
    return bound.quantize(Decimal(1).scaleb(-digits), ROUND_CEILING, EXACT)


def _said(name: str, least: object, limit: object) -> str:
    bounds = (f" from {least}" if least is not None else "") + (f" below {limit}" if limit is not None else "")
    return name + (bounds or " of any size")
