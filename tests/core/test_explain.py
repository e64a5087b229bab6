"""`explain`: every decision without sending. Source: contract 2 and 6, principle 5."""

import json
from typing import Any

import pytest

from gateway.core.answer import ENCODER
from gateway.core.config import Route, When
from gateway.core.crosswalk import Crosswalk
from gateway.core.errors import Forbidden, InvalidInvoice, NoRoute, TotalsMismatch
from gateway.core.explain import MASK, Explanation, Target, explain, taker
from gateway.core.plan import Book, Caller, make_plan
from gateway.core.routing import compile_rules
from tests.core.samples import MUTE, TYPES, document, encoded, invoice, upstream

UPSTREAMS = {
    "tiny-eu": upstream(),
    "deaf": upstream("deaf", crosswalk=Crosswalk()),
    "mute": upstream("mute", dialect=MUTE),
}
TARGETS = {
    "tiny-eu": Target("https://tiny.example/v1", ("Authorization",)),
    "deaf": Target("https://deaf.example", ("X-Key",)),
    "mute": Target("https://mute.example", ()),
}
ROUTES = (
    Route("euro", When(currency="EUR"), to="mute"),
    Route("usd", When(currency="USD"), to="deaf", fallback=["tiny-eu", "mute"]),
)
BOOK = Book(compile_rules(ROUTES), UPSTREAMS, "sha256:6b1f0c", TYPES)
ALL = Caller("billing")


def explained(caller: Caller = ALL, *, all_upstreams: bool = False, **changes: Any) -> Explanation:
    """What is said about the smallest invoice with changes."""
    return explain(encoded(document(**changes)), None, caller, BOOK, TARGETS, all_upstreams=all_upstreams)


def test_the_explanation_is_as_the_contract_shows_it() -> None:
    """Route, totals, and each upstream with its verdict."""
    found = json.loads(ENCODER.encode(explained(note="n")))
    assert found["route"]["rule"] == "usd"
    assert found["route"]["config"] == "sha256:6b1f0c"
    assert [(one["rule"], one["failed"]) for one in found["route"]["tried"]] == [("euro", 'currency is "USD", not EUR')]
    assert found["totals"]["amount_due"] == "20.00"
    deaf, tiny = found["upstreams"]
    assert deaf == {
        "name": "deaf", "dialect": "tiny", "verdict": "untranslatable", "request": None, "claim": None,
        "protection": "none", "losses": [],
        "errors": [{
            "pointer": "/customer/id", "code": "no-crosswalk-entry",
            "detail": '[upstreams.deaf.crosswalk.customers] has no entry for "acct-88"',
        }],
    }  # fmt: skip
    assert tiny == {
        "name": "tiny-eu", "dialect": "tiny", "verdict": "sendable",
        "request": {
            "method": "POST", "url": "https://tiny.example/v1/bills",
            "headers": {
                "content-type": "application/json", "accept": "application/json", "x-desk": "front",
                "Authorization": MASK,
            },
            "body": '{"customer":"88","total":20.00}',
        },
        "claim": "20.00", "protection": "none",
        "losses": [{
            "pointer": "/note", "disposition": "dropped", "upstream_field": None,
            "detail": "the API has no field for it",
        }],
        "errors": [],
    }  # fmt: skip


def test_the_request_is_the_one_that_would_be_sent() -> None:
    """Byte for byte, by the same functions."""
    plan = make_plan(invoice(), ALL, BOOK)
    view = explained().upstreams[-1]
    assert view.request is not None
    assert view.request.body.encode() == plan.leg.translation.request.body
    assert view.claim == plan.leg.translation.claim
    assert plan.leg.upstream.name == view.name


def test_it_ends_with_the_upstream_that_would_be_sent_to() -> None:
    """Those after it would never see the invoice."""
    assert [view.name for view in explained().upstreams] == ["deaf", "tiny-eu"]
    assert [view.name for view in explained(currency="EUR").upstreams] == ["mute"]


def test_all_upstreams_can_be_asked_for() -> None:
    """A table over all, in the order of the configuration."""
    found = explained(all_upstreams=True)
    assert [(view.name, view.verdict, view.protection) for view in found.upstreams] == [
        ("tiny-eu", "sendable", "none"),
        ("deaf", "untranslatable", "none"),
        ("mute", "sendable", "lookup"),
    ]
    assert found.upstreams[2].claim is None


@pytest.mark.parametrize("everywhere", [False, True])
def test_where_it_goes_is_said_also_among_all_upstreams(everywhere: bool) -> None:
    """To the first of the rule's that can carry it; to none if none of them can, whoever else could."""
    found = explained(all_upstreams=everywhere)
    going = taker(found)
    assert found.route.to == ("deaf", "tiny-eu", "mute")
    assert going is not None
    assert going.name == "tiny-eu"
    going = taker(explained(currency="EUR", all_upstreams=everywhere))
    assert going is not None
    assert going.name == "mute"
    caller = Caller("shop", upstreams=frozenset(("deaf",)))
    found = explained(caller, all_upstreams=everywhere)
    assert (found.route.to, taker(found)) == (("deaf",), None)
    assert taker(explained(customer={"id": "acct-1"}, all_upstreams=everywhere)) is not None


def test_that_no_upstream_can_carry_it_is_an_answer() -> None:
    """No problem."""
    caller = Caller("shop", upstreams=frozenset(("deaf",)))
    assert [view.verdict for view in explained(caller).upstreams] == ["untranslatable"]


def test_a_caller_sees_only_its_upstreams() -> None:
    """Also in the table over all; an invoice that is routed elsewhere is forbidden."""
    caller = Caller("shop", upstreams=frozenset(("deaf", "mute")))
    assert [view.name for view in explained(caller, all_upstreams=True).upstreams] == ["deaf", "mute"]
    with pytest.raises(Forbidden):
        explained(Caller("shop", upstreams=frozenset(("tiny-eu",))), all_upstreams=True)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"number": 5}, InvalidInvoice),
        ({"totals": {"tax_total": "1.00"}}, TotalsMismatch),
        ({"currency": "JPY"}, NoRoute),
    ],
)
def test_what_would_be_refused_is_refused(changes: dict[str, Any], problem: type[Exception]) -> None:
    """With the same problem as when sending."""
    with pytest.raises(problem):
        explained(**changes)
