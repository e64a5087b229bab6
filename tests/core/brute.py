"""Rules as Hypothesis draws them, and every kind of invoice that they could tell apart: by counting, not by regions."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from itertools import chain, combinations, product
from math import prod
from typing import Any

from hypothesis import strategies as st

from gateway.core.config import AmountRange, Config, DateRange, Route, UpstreamConfig, When
from gateway.core.money import DIGITS, Amount
from gateway.core.parse import parse
from gateway.core.routing import Facts, Rule
from gateway.core.totals import checked_totals
from tests.core.samples import TYPES, document, encoded, line

CLIENTS = ("ann", "bob")
Document = dict[str, Any]
Change = Callable[[Document], object]

TAX, NAMED = {"category": "Z", "rate": "0"}, {"category": "Z", "rate": "0", "id": "none"}


def _line(**more: Any) -> Change:
    return lambda found: found["lines"].append(line(quantity="0", **more))


def _off(**more: Any) -> Document:
    return {"amount": "0", **more}


FEATURES: dict[str, Change] = {
    "references.order": lambda found: found.setdefault("references", {}).update(order="o"),
    "references.contract": lambda found: found.setdefault("references", {}).update(contract="c"),
    "note": lambda found: found.update(note="n"),
    "number": lambda found: found.update(number="1"),
    "supplier.name": lambda found: found.setdefault("supplier", {}).update(name="n"),
    "discounts.amount": lambda found: found.update(discounts=[_off()]),
    "discounts.percent": lambda found: found.update(discounts=[_off(percent="0")]),
    "lines.taxes.rate": _line(taxes=[TAX]),
    "lines.taxes.id": _line(taxes=[NAMED]),
    "lines.discounts.amount": _line(discounts=[_off()]),
    "lines.discounts.taxes.rate": _line(taxes=[TAX], discounts=[_off(taxes=[TAX])]),
    "lines.discounts.taxes.id": _line(taxes=[NAMED], discounts=[_off(taxes=[NAMED])]),
    "labels.more": lambda found: found.setdefault("labels", {}).update(more="m"),
    "metadata.k": lambda found: found.setdefault("metadata", {}).update(k="v"),
    "metadata.more": lambda found: found.setdefault("metadata", {}).update(more="v"),
    "billing_period": lambda found: found.update(
        billing_period={"start": found["issue_date"], "end": found["issue_date"]}
    ),
}
"""Each way to make a field be there, by the field."""

PATHS = tuple(
    "references references.order references.contract note number supplier supplier.id supplier.name customer"
    " lines.item.id discounts discounts.percent discounts.amount lines.taxes lines.taxes.id lines.discounts"
    " lines.discounts.taxes lines.discounts.taxes.id labels labels.product labels.tier labels.more metadata"
    " metadata.k billing_period.start billing_period.end customer.billing_address.country".split()
)


def some(*words: str) -> st.SearchStrategy[str | list[str]]:
    """A word or a list of them, which may be empty or say a word twice."""
    return st.one_of(st.sampled_from(words), st.lists(st.sampled_from(words), max_size=3))


_bound = st.none() | st.sampled_from([Amount(text) for text in ("-5", "10", "10.5", "10.001", "10.009", "11")])
_day = st.none() | st.sampled_from([date(2026, 1, 1), date(2026, 2, 1), date(2026, 2, 2), date.min, date.max])
_paths = st.lists(st.sampled_from(PATHS), max_size=2)


@st.composite
def whens(draw: st.DrawFn) -> When:
    """The conditions of a rule; few at a time, so that rules get into each other's way."""
    choice: dict[str, st.SearchStrategy[Any]] = {
        "client": some(*CLIENTS, "eve"),
        "currency": some("USD", "JPY", "KWD"),
        "country": some("DE", "NO"),
        "customer": some("acct-1", "acct-2", ""),
        "supplier": some("us", "them"),
        "labels": st.dictionaries(st.sampled_from(["product", "tier"]), some("a", "b"), min_size=1),
        "issue_date": st.builds(DateRange, _day, _day),
        "has": _paths,
        "lacks": _paths,
        "amount": st.builds(AmountRange, _bound, _bound),
    }
    names = draw(st.lists(st.sampled_from(sorted(choice)), max_size=3, unique=True))
    made = {name: draw(choice[name]) for name in names}
    if "amount" in made:
        made["currency"] = draw(st.sampled_from(["USD", "JPY", "KWD"]))
    return When(**made)


def config_of(whens: Iterable[When]) -> Config:
    """Rules with these conditions, each to the same upstream."""
    routes = [Route(f"r{index}", when, to="tiny-eu") for index, when in enumerate(whens)]
    clients: Any = dict.fromkeys(CLIENTS)
    return Config({"tiny-eu": UpstreamConfig("tiny", "https://tiny.example")}, routes, clients=clients)


def _paths_of(whens: list[When]) -> set[str]:
    return {path for when in whens for words in (when.has, when.lacks) for path in words or ()}


def _words(whens: list[When], name: str, other: str) -> list[str | None]:
    """The words that rules say of a field, and another one."""
    found = [getattr(when, name) for when in whens]
    said = {word for words in found if words is not None for word in ([words] if isinstance(words, str) else words)}
    return [*sorted(said - {""}), other]


def _amounts(whens: list[When]) -> Iterator[tuple[str, Decimal]]:
    """Each currency with the amounts around the bounds that there are for it."""
    bounds = [bound for when in whens if when.amount is not None for bound in (when.amount.min, when.amount.below)]
    for currency in _words(whens, "currency", "CHF"):
        assert currency is not None
        unit = Decimal(1).scaleb(-DIGITS[currency])
        ends = {bound.quantize(unit, ROUND_CEILING) for bound in bounds if bound is not None}
        yield from ((currency, amount) for amount in sorted({Decimal(20), *ends, *(end - unit for end in ends)}))


def _days(whens: list[When]) -> list[date]:
    ranges = [when.issue_date for when in whens if when.issue_date is not None]
    days = {date(2026, 6, 30), *(bound for each in ranges for bound in (each.from_, each.until) if bound is not None)}
    return sorted(days | {day - timedelta(1) for day in days if day > date.min})


def _touch(feature: str, path: str) -> bool:
    return f"{feature}.".startswith(f"{path}.") or f"{path}.".startswith(f"{feature}.")


def kinds(whens: list[When]) -> tuple[int, Iterator[Facts]]:
    """How many kinds of invoices there are, and each of them."""
    paths = _paths_of(whens)
    labels = sorted(
        {name for when in whens for name in when.labels} | {path[7:] for path in paths if path[:7] == "labels."}
    )
    features = [name for name in FEATURES if any(_touch(name, path) for path in paths)]
    optional = [
        [*words, None] if len(words) > 1 or any(_touch(path, field) for path in paths) else [None]
        for field, words in (
            ("customer.billing_address.country", _words(whens, "country", "US")),
            ("supplier.id", _words(whens, "supplier", "we")),
        )
    ]
    axes: list[list[Any]] = [
        list(CLIENTS),
        list(_amounts(whens)),
        _words(whens, "customer", "acct-88"),
        *optional,
        _days(whens),
        list(chain.from_iterable(combinations(features, count) for count in range(len(features) + 1))),
        *([None, "a", "b", "c"] for _ in labels),
    ]
    count = prod(len(axis) for axis in axes)
    return count, (_facts(values[:7], dict(zip(labels, values[7:], strict=True))) for values in product(*axes))


def _facts(values: tuple[Any, ...], labels: dict[str, str | None]) -> Facts:
    client, (currency, amount), customer, country, supplier, day, features = values
    found = document(
        currency=currency,
        issue_date=day.isoformat(),
        customer={"id": customer} | ({"billing_address": {"country": country}} if country else {}),
        lines=[line(quantity="1", unit_price=format(amount, "f"))],
    )
    if supplier is not None:
        found["supplier"] = {"id": supplier}
    if said := {name: word for name, word in labels.items() if word is not None}:
        found["labels"] = said
    for name in features:
        FEATURES[name](found)
    invoice = parse(encoded(found), TYPES)
    return Facts(invoice, checked_totals(invoice), client)


def takes(rule: Rule, facts: Facts) -> bool:
    """Whether all conditions of the rule hold."""
    return all(condition.holds(facts) for condition in rule.conditions)
