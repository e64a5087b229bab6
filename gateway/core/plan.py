"""What is decided before anything is sent: check, route, translate. Pure; `explain` and sending share it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from msgspec import Struct

from gateway.core.config import Client
from gateway.core.dialect import Translation, Upstream, translate
from gateway.core.errors import Forbidden, Problem, Untranslatable
from gateway.core.invoice import Invoice
from gateway.core.parse import ExtensionTypes
from gateway.core.routing import Decision, Facts, Rule, select
from gateway.core.totals import Totals, checked_totals
from gateway.core.wording import quoted


class Caller(Struct, frozen=True):
    """Who calls; `upstreams` is None for one who may use all of them."""

    name: str
    operator: bool = False
    upstreams: frozenset[str] | None = None

    def may_use(self, upstream: str) -> bool:
        """Whether the caller's invoices may go there."""
        return self.upstreams is None or upstream in self.upstreams


LOCAL = "local"
"""Who calls where no clients are configured."""


def caller_of(clients: Mapping[str, Client], name: str) -> Caller:
    """The client of that name, with its permissions; somebody who is not configured may use all upstreams."""
    client = clients.get(name)
    if client is None:
        return Caller(name)
    return Caller(name, client.operator, None if client.upstreams is None else frozenset(client.upstreams))


class Book(Struct, frozen=True):
    """The rules and upstreams of a configuration, with its revision."""

    rules: tuple[Rule, ...]
    upstreams: Mapping[str, Upstream]
    revision: str
    extension_types: ExtensionTypes


class Leg(Struct, frozen=True):
    """An upstream that can carry the invoice, and how."""

    upstream: Upstream
    translation: Translation


class Chosen(Struct, frozen=True):
    """Where an invoice goes: to the first of `names` that can carry it."""

    totals: Totals
    decision: Decision
    names: tuple[str, ...]


class Plan(Struct, frozen=True):
    """An invoice that can be sent: to `leg`, or while it is certainly not sent to those in `rest`."""

    invoice: Invoice
    totals: Totals
    decision: Decision
    leg: Leg
    rest: tuple[str, ...]


def make_plan(invoice: Invoice, caller: Caller, book: Book) -> Plan:
    """What will be sent, and where.

    Raises:
        Problem: nothing can be sent; says why.
    """
    with named(invoice):
        return planned(invoice, choose(invoice, caller, book), book)


def choose(invoice: Invoice, caller: Caller, book: Book) -> Chosen:
    """Where the invoice goes: the first half of a plan.

    Raises:
        Problem: nowhere; says why.
    """
    totals = checked_totals(invoice)
    decision = select(book.rules, Facts(invoice, totals, caller.name))
    check_permission(caller, decision)
    names = (decision.upstream, *(name for name in decision.fallback if caller.may_use(name)))
    return Chosen(totals, decision, names)


def planned(invoice: Invoice, chosen: Chosen, book: Book) -> Plan:
    """The invoice in the words of where it goes: the second half of a plan.

    Raises:
        Untranslatable: nobody there can carry it.
    """
    leg, rest = next_leg(invoice, chosen.totals, chosen.names, book)
    return Plan(invoice, chosen.totals, chosen.decision, leg, rest)


@contextmanager
def named(invoice: Invoice) -> Iterator[None]:
    """A problem that comes up in here says which invoice it is about."""
    try:
        yield
    except Problem as problem:
        problem.external_id = invoice.external_id
        raise


def check_permission(caller: Caller, decision: Decision) -> None:
    """Refuse a caller whose invoice is routed to an upstream that it may not use.

    Raises:
        Forbidden: it may not.
    """
    if not caller.may_use(decision.upstream):
        raise Forbidden(f"rule {quoted(decision.rule)} leads to {decision.upstream}, which {caller.name} may not use")


def next_leg(invoice: Invoice, totals: Totals, names: tuple[str, ...], book: Book) -> tuple[Leg, tuple[str, ...]]:
    """The first of `names` that can carry the invoice, and those after it.

    Raises:
        Untranslatable: none can; says why the first cannot.
    """
    first: Untranslatable | None = None
    for index, name in enumerate(names):
        upstream = book.upstreams[name]
        try:
            return Leg(upstream, translate(invoice, totals, upstream)), names[index + 1 :]
        except Untranslatable as problem:
            first = first or problem
    raise first or Untranslatable("there is no other upstream")
