"""What two configurations do with the same invoice, and in what they differ. `diff` asks; nothing is sent."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from gateway.core.errors import Fault, Problem, Untranslatable
from gateway.core.explain import RequestView, Target, explained, taker
from gateway.core.invoice import Invoice
from gateway.core.money import plain
from gateway.core.parse import parse
from gateway.core.plainjson import read_json, write_json
from gateway.core.plan import Book, Caller, named
from gateway.core.result import Loss
from gateway.core.totals import checked_totals
from gateway.core.wording import escape

Kind = Literal["upstream", "problem", "request", "claim", "losses"]
Places = Mapping[str, str]
"""What there is to compare, in words, by its place."""


class Side(Struct, frozen=True):
    """One of the two configurations: its rules and upstreams, where they are, and who calls."""

    caller: Caller
    book: Book
    targets: Mapping[str, Target]


class Course(Struct, frozen=True):
    """What a configuration does with an invoice: the rule, the upstream and what it gets, or the problem."""

    rule: str | None = None
    upstream: str | None = None
    problem: str | None = None
    errors: tuple[Fault, ...] = ()
    request: RequestView | None = None
    claim: Decimal | None = None
    losses: tuple[Loss, ...] = ()


class Change(Struct, frozen=True):
    """One thing that is otherwise, at its place in the request or the invoice; None where there is nothing."""

    kind: Kind
    place: str
    old: str | None
    new: str | None


class Compared(Struct, frozen=True):
    """An invoice under both configurations; no changes where both do the same."""

    external_id: str
    currency: str
    amount_due: Decimal
    old: Course
    new: Course
    changes: tuple[Change, ...]


def compared(body: bytes, old: Side, new: Side) -> Compared:
    """What both do with the invoice.

    Raises:
        Problem: it is not an invoice, whatever the configuration.
    """
    invoice = parse(body, old.book.extension_types)
    with named(invoice):
        totals = checked_totals(invoice)
    before, after = course(invoice, old), course(invoice, new)
    found = tuple(changes(before, after))
    return Compared(invoice.external_id, invoice.currency, totals.amount_due, before, after, found)


def course(invoice: Invoice, side: Side) -> Course:
    """What this configuration does with the invoice."""
    try:
        found = explained(invoice, side.caller, side.book, side.targets)
    except Problem as problem:
        return Course(problem=problem.slug, errors=problem.faults or (Fault("", problem.slug, problem.detail),))
    going, rule = taker(found), found.route.rule
    if going is None:
        return Course(rule, problem=Untranslatable.slug, errors=found.upstreams[0].errors)
    return Course(rule, going.name, request=going.request, claim=going.claim, losses=going.losses)


def changes(old: Course, new: Course) -> Iterator[Change]:
    """In what the two differ; requests to different upstreams are not compared.

    That another rule leads to the same is no change, and neither are other words for why nothing leads anywhere.
    """
    if (old.upstream, old.problem) != (new.upstream, new.problem):
        kind: Kind = "problem" if old.problem or new.problem else "upstream"
        yield Change(kind, "", old.upstream or old.problem, new.upstream or new.problem)
    if old.request is None or new.request is None:
        if old.problem == new.problem == Untranslatable.slug:
            yield from _otherwise("problem", _errors(old), _errors(new))
        return
    if old.upstream == new.upstream:
        yield from _otherwise("request", _request(old.request), _request(new.request))
        yield from _otherwise("claim", _claim(old), _claim(new))
    lost = _otherwise("losses", _losses(old), _losses(new))
    yield from sorted(lost, key=lambda one: (one.new is None, one.old is not None))  # what is lost anew comes first


def _otherwise(kind: Kind, old: Places, new: Places) -> Iterator[Change]:
    for place in dict.fromkeys((*old, *new)):
        before, after = old.get(place), new.get(place)
        if before != after:
            yield Change(kind, place, before, after)


def _errors(found: Course) -> Places:
    return _joined((one.pointer, one.detail) for one in found.errors)


def _claim(found: Course) -> Places:
    return {} if found.claim is None else {"": plain(found.claim)}


def _losses(found: Course) -> Places:
    return _joined((one.pointer, f"{one.disposition}: {one.detail}") for one in found.losses)


def _joined(said: Iterable[tuple[str, str]]) -> Places:
    """Several words for one place are all told."""
    places: dict[str, str] = {}
    for place, words in said:
        places[place] = f"{places[place]}; {words}" if place in places else words
    return places


def _request(found: RequestView) -> Places:
    """Where it goes, its headers, and each value of its body, in any order; the body as a whole if it is no JSON."""
    places = {"method": found.method, "url": found.url} | {f"header {name}": at for name, at in found.headers.items()}
    try:
        return places | dict(_values(read_json(found.body.encode()), ""))
    except ValueError:
        return places | {"body": found.body}


def _values(value: object, place: str) -> Iterator[tuple[str, str]]:
    """Each value of a document, as JSON, by its pointer; a member or item without any is one itself."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if inner and value:
        for name, each in inner:
            yield from _values(each, f"{place}/{escape(str(name))}")
    else:
        yield place, write_json(value).decode()
