"""What is decided before anything is sent. Source: contract 2, 3 and 6, principles 1 and 5."""

from typing import Any

import msgspec
import pytest

from gateway.core.config import Route, When
from gateway.core.crosswalk import Crosswalk, Entry
from gateway.core.errors import Forbidden, NoRoute, Problem, TotalsMismatch, Untranslatable
from gateway.core.plan import Book, Caller, make_plan, named, next_leg
from gateway.core.routing import compile_rules
from gateway.core.totals import checked_totals
from tests.core.samples import CUSTOMERS, TINY, TYPES, invoice, upstream

ALL = Caller("billing")
NOBODY = Crosswalk({"customers": {"someone": Entry(1)}})
UPSTREAMS = {
    "a": upstream("a"),
    "b": upstream("b"),
    "deaf": upstream("deaf", crosswalk=NOBODY),
    "blind": upstream("blind", crosswalk=Crosswalk()),
}


def book(*routes: Route) -> Book:
    """A configuration with these rules."""
    return Book(compile_rules(routes), UPSTREAMS, "sha256:test", TYPES)


def test_an_invoice_is_planned_without_being_sent() -> None:
    """Rule, upstream, translation, and those that stand in."""
    plan = make_plan(invoice(), ALL, book(Route("r", to="a", fallback=["b"])))
    assert (plan.decision.rule, plan.leg.upstream.name, plan.rest) == ("r", "a", ("b",))
    assert plan.invoice.external_id == "billing:1"
    assert plan.totals == checked_totals(plan.invoice)
    assert plan.leg.translation.request.path == "/bills"


def test_a_fallback_follows_after_untranslatable() -> None:
    """Contract 6; those before it are not tried again."""
    plan = make_plan(invoice(), ALL, book(Route("r", to="deaf", fallback=["blind", "a", "b"])))
    assert (plan.decision.upstream, plan.leg.upstream.name, plan.rest) == ("deaf", "a", ("b",))


def test_the_first_upstreams_reasons_are_told_where_none_can_carry_it() -> None:
    """It is the one that the invoice is routed to."""
    with pytest.raises(Untranslatable, match="deaf cannot carry it") as caught:
        make_plan(invoice(), ALL, book(Route("r", to="deaf", fallback=["blind"])))
    assert caught.value.external_id == "billing:1"
    assert [fault.pointer for fault in caught.value.faults] == ["/customer/id"]


def test_without_another_upstream_there_is_no_next_leg() -> None:
    """After the last one was not sent."""
    found = invoice()
    with pytest.raises(Untranslatable, match="no other upstream"):
        next_leg(found, checked_totals(found), (), book())


@pytest.mark.parametrize(
    ("changes", "upstream", "problem"),
    [
        ({"totals": {"amount_due": "1.00"}}, "a", TotalsMismatch),
        ({"currency": "EUR"}, "a", NoRoute),
        ({}, "b", Forbidden),
        ({}, "deaf", Untranslatable),
    ],
)
def test_a_problem_says_which_invoice_it_is_about(
    changes: dict[str, Any], upstream: str, problem: type[Problem]
) -> None:
    """Whatever comes up once it is read."""
    caller = Caller("shop", upstreams=frozenset(("a", "deaf")))
    with pytest.raises(problem) as caught:
        make_plan(invoice(**changes), caller, book(Route("r", When(currency="USD"), to=upstream)))
    assert caught.value.external_id == "billing:1"


def test_only_problems_are_named() -> None:
    """Another exception passes as it is."""
    with pytest.raises(ZeroDivisionError), named(invoice()):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("upstreams", "name", "may"),
    [(None, "a", True), (frozenset("a"), "a", True), (frozenset("b"), "a", False), (frozenset(), "a", False)],
)
def test_a_caller_may_use_its_upstreams(upstreams: frozenset[str] | None, name: str, may: bool) -> None:
    """All, where none are listed."""
    assert Caller("c", upstreams=upstreams).may_use(name) is may


def test_an_invoice_routed_to_a_forbidden_upstream_is_refused() -> None:
    """Contract 6: `forbidden`, also where a fallback would be allowed."""
    caller = Caller("shop", upstreams=frozenset("b"))
    with pytest.raises(Forbidden, match='rule "r" leads to a, which shop may not use') as caught:
        make_plan(invoice(), caller, book(Route("r", to="a", fallback=["b"])))
    assert caught.value.external_id == "billing:1"


def test_a_fallback_that_the_caller_may_not_use_is_left_out() -> None:
    """It is as if it were not there."""
    caller = Caller("shop", upstreams=frozenset(("a", "deaf")))
    assert make_plan(invoice(), caller, book(Route("r", to="a", fallback=["b"]))).rest == ()
    with pytest.raises(Untranslatable):
        make_plan(invoice(), caller, book(Route("r", to="deaf", fallback=["b"])))


def test_the_client_can_be_a_condition() -> None:
    """The caller's name, not a word of the invoice."""
    rules = book(Route("web", When(client="web"), to="a"), Route("rest", to="b"))
    assert make_plan(invoice(), Caller("web"), rules).decision.rule == "web"
    assert make_plan(invoice(), ALL, rules).decision.rule == "rest"


def test_a_plan_is_a_value() -> None:
    """Nothing of it can be changed after the decision."""
    plan = make_plan(invoice(), ALL, book(Route("r", to="a")))
    with pytest.raises(AttributeError):
        plan.rest = ("b",)  # type: ignore[misc]  # that it cannot is the claim
    assert msgspec.structs.replace(plan, rest=("b",)).rest == ("b",)
    assert (TINY.name, CUSTOMERS.has("customers")) == ("tiny", True)
