"""Routing: which rule takes an invoice, and why the others do not. Pure functions over compiled rules."""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256

from msgspec import Struct

from gateway.core.codes import COUNTRIES
from gateway.core.config import Route, When, Words
from gateway.core.errors import Fault, NoRoute
from gateway.core.invoice import Invoice
from gateway.core.losses import FIELDS
from gateway.core.money import DIGITS, plain
from gateway.core.totals import Totals
from gateway.core.wording import escape, nearest, quoted


class Facts(Struct, frozen=True):
    """What conditions are about."""

    invoice: Invoice
    totals: Totals
    client: str


class Condition(Struct, frozen=True):
    """One condition: whether it holds, and in words why it does not."""

    pointer: str
    holds: Callable[[Facts], bool]
    failure: Callable[[Facts], str]


class Rule(Struct, frozen=True):
    """A compiled rule: conditions in the order of the contract, targets with their weights."""

    name: str
    conditions: tuple[Condition, ...]
    targets: tuple[tuple[str, int], ...]
    fallback: tuple[str, ...]
    shadow: str | None = None


class Tried(Struct, frozen=True):
    """A rule that does not take the invoice, and the first of its conditions that failed."""

    rule: str
    failed: str
    pointer: str = ""


class Decision(Struct, frozen=True):
    """Where an invoice goes: the rule, the upstream, and those that stand in while nothing was sent.

    `shadow` is an upstream that it is only compared with.
    """

    rule: str
    upstream: str
    fallback: tuple[str, ...]
    shadow: str | None = None


def compile_rules(routes: Iterable[Route]) -> tuple[Rule, ...]:
    """The rules, ready to be asked."""
    return tuple(
        Rule(
            route.name,
            tuple(_conditions(route.when)),
            tuple(route.split.items()) if route.to is None else ((route.to, 1),),
            tuple(route.fallback),
            route.shadow,
        )
        for route in routes
    )


def select(rules: tuple[Rule, ...], facts: Facts) -> Decision:
    """The first rule whose conditions all hold.

    Raises:
        NoRoute: none does; says for each rule which condition failed.
    """
    for rule in rules:
        for condition in rule.conditions:
            if not condition.holds(facts):
                break
        else:
            target = _target(rule, facts.invoice.external_id)
            fallback = tuple(name for name in rule.fallback if name != target)
            return Decision(rule.name, target, fallback, rule.shadow)
    failed = tuple(
        Fault(one.pointer, "condition", f"rule {quoted(one.rule)}: {one.failed}") for one in tried(rules, facts)
    )
    raise NoRoute(f"none of {len(rules)} rules takes the invoice", failed)


def tried(rules: tuple[Rule, ...], facts: Facts) -> tuple[Tried, ...]:
    """The rules before the one that takes the invoice, with the condition that failed."""
    found = []
    for rule in rules:
        failed = next((condition for condition in rule.conditions if not condition.holds(facts)), None)
        if failed is None:
            break
        found.append(Tried(rule.name, failed.failure(facts), failed.pointer))
    return tuple(found)


def _target(rule: Rule, external_id: str) -> str:
    """The same invoice always goes to the same target; shares are proportional to the weights."""
    if len(rule.targets) == 1:
        return rule.targets[0][0]
    share = int.from_bytes(sha256(external_id.encode()).digest()[:8], "big")
    point = share * sum(weight for _, weight in rule.targets) >> 64
    for name, weight in rule.targets:
        if point < weight:
            return name
        point -= weight
    raise AssertionError("the weights add up")


def _list(words: Words | None) -> list[str]:
    return [words] if isinstance(words, str) else list(words or ())


def _conditions(when: When) -> Iterator[Condition]:
    if when.client is not None:
        yield _one_of("", "client", _list(when.client), lambda facts: facts.client)
    if when.currency is not None:
        yield _one_of("/currency", "currency", _list(when.currency), lambda facts: facts.invoice.currency)
    if when.country is not None:
        yield _one_of("/customer/billing_address/country", "country", _list(when.country), _country)
    if when.customer is not None:
        yield _one_of("/customer/id", "customer", _list(when.customer), lambda facts: facts.invoice.customer.id)
    if when.supplier is not None:
        yield _one_of("/supplier/id", "supplier", _list(when.supplier), _supplier)
    for name, words in when.labels.items():
        yield _label(name, _list(words))
    yield from _ranges(when)
    for path in _list(when.has):
        yield _present(path, wanted=True)
    for path in _list(when.lacks):
        yield _present(path, wanted=False)


def _country(facts: Facts) -> str | None:
    address = facts.invoice.customer.billing_address
    return address.country if address else None


def _supplier(facts: Facts) -> str | None:
    return facts.invoice.supplier.id if facts.invoice.supplier else None


def _label(name: str, words: list[str]) -> Condition:
    return _one_of(f"/labels/{escape(name)}", f"label {name}", words, lambda facts: facts.invoice.labels.get(name))


def _one_of(pointer: str, name: str, words: list[str], pick: Callable[[Facts], str | None]) -> Condition:
    wanted = frozenset(words)

    def failure(facts: Facts) -> str:
        found = pick(facts)
        return f"{name} is {quoted(found) if found is not None else 'absent'}, not {' or '.join(words)}"

    return Condition(pointer, lambda facts: pick(facts) in wanted, failure)


def _ranges(when: When) -> Iterator[Condition]:
    if (amount := when.amount) is not None:
        least, limit = amount.min, amount.below
        yield Condition(
            "/totals/tax_inclusive_total",
            lambda facts: (
                (least is None or facts.totals.tax_inclusive_total >= least)
                and (limit is None or facts.totals.tax_inclusive_total < limit)
            ),
            lambda facts: f"amount {plain(facts.totals.tax_inclusive_total)} is not{_span(least, limit)}",
        )
    if (dates := when.issue_date) is not None:
        first, end = dates.from_, dates.until
        yield Condition(
            "/issue_date",
            lambda facts: (
                (first is None or facts.invoice.issue_date >= first) and (end is None or facts.invoice.issue_date < end)
            ),
            lambda facts: f"issue date {facts.invoice.issue_date} is not{_span(first, end)}",
        )


def _span(least: object, limit: object) -> str:
    return (f" from {least}" if least is not None else "") + (f" below {limit}" if limit is not None else "")


PATHS = frozenset(
    ".".join(tokens[:length])
    for leaf in FIELDS
    for tokens in ([name for name in leaf[1:].split("/") if name != "*"],)
    for length in range(1, len(tokens) + 1)
)
"""What `has` and `lacks` can ask for, beside single keys of these maps."""
_KEYED = ("labels.", "metadata.")


def present(value: object, path: list[str]) -> bool:
    """Whether the invoice says anything at `path`; in a list, in any of its items."""
    if not path and isinstance(value, Struct):
        return any(present(getattr(value, name), []) for name in value.__struct_fields__)
    if not path:
        return value is not None and value is not False and value not in ((), {})
    if isinstance(value, tuple):
        return any(present(item, path) for item in value)
    if isinstance(value, dict):
        return ".".join(path) in value  # a key may hold points of its own
    return value is not None and present(getattr(value, path[0]), path[1:])


def _present(path: str, *, wanted: bool) -> Condition:
    tokens = path.split(".")
    words = f"{path} is absent" if wanted else f"{path} is there"
    pointer = "/" + path.replace(".", "/")
    if path.startswith(_KEYED):
        name, _, key = path.partition(".")
        pointer = f"/{name}/{escape(key)}"
    return Condition(pointer, lambda facts: present(facts.invoice, tokens) is wanted, lambda _: words)


def route_faults(routes: Iterable[Route]) -> Iterator[Fault]:
    """Conditions that can never be meant: unknown codes and paths."""
    for index, route in enumerate(routes):
        for name, known in (("currency", DIGITS), ("country", COUNTRIES)):
            for word in _list(getattr(route.when, name)):
                if word not in known:
                    detail = f"{quoted(word)} is no {name}{nearest(word, known)}"
                    yield Fault(f"/routes/{index}/when/{name}", "unknown-code", detail)
        for name in ("has", "lacks"):
            for path in _list(getattr(route.when, name)):
                if path not in PATHS and not path.startswith(_KEYED):
                    detail = f"{quoted(path)} is no field of an invoice{nearest(path, PATHS)}"
                    yield Fault(f"/routes/{index}/when/{name}", "unknown-path", detail)
