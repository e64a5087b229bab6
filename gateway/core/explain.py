"""`explain`: every decision about an invoice without sending it, by the same functions that sending uses."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from gateway.core.dialect import Protection, Translation, Upstream, translate
from gateway.core.errors import Fault, Untranslatable
from gateway.core.invoice import Invoice
from gateway.core.parse import parse
from gateway.core.plan import Book, Caller, check_permission, named
from gateway.core.result import Loss
from gateway.core.routing import Facts, Tried, select, tried
from gateway.core.totals import Totals, checked_totals

MASK = "***"


class RouteView(Struct, frozen=True):
    """The rule that takes the invoice, and why those before it do not.

    The invoice goes to the first of `to` that can carry it.
    """

    rule: str
    config: str
    to: tuple[str, ...]
    tried: tuple[Tried, ...]


class RequestView(Struct, frozen=True):
    """The request that would be sent first, byte for byte but for the credentials."""

    method: str
    url: str
    headers: dict[str, str]
    body: str


class UpstreamView(Struct, frozen=True):
    """What would become of the invoice at one upstream."""

    name: str
    dialect: str
    verdict: Literal["sendable", "untranslatable"]
    request: RequestView | None
    claim: Decimal | None
    protection: Protection
    losses: tuple[Loss, ...]
    errors: tuple[Fault, ...]


class Explanation(Struct, frozen=True):
    """The answer of `explain`."""

    external_id: str
    route: RouteView
    totals: Totals
    upstreams: tuple[UpstreamView, ...]


class Target(Struct, frozen=True):
    """Where an upstream is, and the names of the headers that carry its credentials."""

    base_url: str
    secret_headers: tuple[str, ...]


def explain(
    body: bytes, key: str | None, caller: Caller, book: Book, targets: Mapping[str, Target], *, all_upstreams: bool
) -> Explanation:
    """What would be done with the invoice; nothing is sent.

    Raises:
        Problem: it is not an invoice, or no rule takes it. That an upstream cannot carry it is an answer, no problem.
    """
    return explained(parse(body, book.extension_types, key), caller, book, targets, all_upstreams=all_upstreams)


def explained(
    invoice: Invoice, caller: Caller, book: Book, targets: Mapping[str, Target], *, all_upstreams: bool = False
) -> Explanation:
    """What would be done with an invoice that was read already.

    Raises:
        Problem: as `explain`.
    """
    with named(invoice):
        totals = checked_totals(invoice)
        facts = Facts(invoice, totals, caller.name)
        decision = select(book.rules, facts)
        check_permission(caller, decision)
    to = tuple(name for name in (decision.upstream, *decision.fallback) if caller.may_use(name))
    views: list[UpstreamView] = []
    for name in book.upstreams if all_upstreams else to:
        if caller.may_use(name):
            views.append(view(invoice, totals, book.upstreams[name], targets[name]))
            if views[-1].verdict == "sendable" and not all_upstreams:
                break  # it would go here; those before it could not carry it
    route = RouteView(decision.rule, book.revision, to, tried(book.rules, facts))
    return Explanation(invoice.external_id, route, totals, tuple(views))


def taker(found: Explanation) -> UpstreamView | None:
    """The upstream that the invoice would go to; None if none of its rule's can carry it."""
    views = {one.name: one for one in found.upstreams}
    able = (views[name] for name in found.route.to if name in views and views[name].verdict == "sendable")
    return next(able, None)


def view(invoice: Invoice, totals: Totals, upstream: Upstream, target: Target) -> UpstreamView:
    """What would become of the invoice at this upstream."""
    dialect = upstream.dialect
    try:
        translation = translate(invoice, totals, upstream)
    except Untranslatable as problem:
        return UpstreamView(
            upstream.name, dialect.name, "untranslatable", None, None, dialect.protection, (), problem.faults
        )
    return UpstreamView(
        upstream.name,
        dialect.name,
        "sendable",
        _request(translation, target),
        translation.claim,
        dialect.protection,
        translation.losses,
        (),
    )


def _request(translation: Translation, target: Target) -> RequestView:
    request = translation.request
    headers = dict(request.headers) | dict.fromkeys(target.secret_headers, MASK)
    return RequestView(request.method, target.base_url + request.path, headers, request.body.decode())
