"""What `diff` finds: where two configurations send an invoice, and as what; and only what has an effect."""

from typing import Any

import pytest
from msgspec import structs

from gateway.core.comparison import Change, Side, changes, compared, course
from gateway.core.config import Route, When
from gateway.core.crosswalk import Crosswalk, Entry
from gateway.core.dialect import Upstream
from gateway.core.errors import Fault, InvalidInvoice, MalformedJson, TotalsMismatch
from gateway.core.explain import Target
from gateway.core.plan import Book, Caller
from gateway.core.result import Loss
from gateway.core.routing import compile_rules
from tests.core.samples import MUTE, TYPES, Settings, document, encoded, invoice, upstream

ALL = Caller("billing")


def side(*routes: Route, caller: Caller = ALL, url: str = "https://x.example", **upstreams: Upstream) -> Side:
    """A configuration with these rules; `tiny` and `mute` carry any invoice, `deaf` none."""
    known = {
        "tiny": upstream("tiny"),
        "mute": upstream("mute", dialect=MUTE),
        "deaf": upstream("deaf", crosswalk=Crosswalk()),
    } | upstreams
    targets = {name: Target(url, ("Authorization",)) for name in known}
    return Side(caller, Book(compile_rules(routes or (Route("all", to="tiny"),)), known, "sha256:0", TYPES), targets)


def found(old: Side, new: Side, **sent: Any) -> list[tuple[str, str, str | None, str | None]]:
    """The changes for the smallest invoice."""
    return [(one.kind, one.place, one.old, one.new) for one in compared(encoded(document(**sent)), old, new).changes]


def test_the_same_configuration_differs_in_nothing() -> None:
    """Whatever becomes of the invoice."""
    for routes in ((), (Route("a", to="deaf"),), (Route("a", When(currency="EUR"), to="tiny"),)):
        assert found(side(*routes), side(*routes), note="n") == []


def test_what_has_no_effect_on_the_invoice_is_no_change() -> None:
    """Another name of the rule, rules that do not take it, other words for why no rule does, other upstreams."""
    euros = Route("euros", When(currency="EUR"), to="mute")
    assert found(side(Route("a", to="tiny")), side(euros, Route("b", to="tiny"))) == []
    assert found(side(euros), side(structs.replace(euros, name="other"), euros)) == []
    assert found(side(), side(mute=upstream("mute", crosswalk=Crosswalk()))) == []


def test_an_invoice_that_goes_elsewhere_is_found_with_what_is_lost_there() -> None:
    """What is lost anew comes first; requests of different upstreams are not compared, nor what both lose alike."""
    fields = dict(MUTE.fields)
    other = structs.replace(MUTE, fields={**fields, "/number": fields["/note"], "/note": fields[""]})
    new = side(Route("a", to="mute"), mute=upstream("mute", dialect=other))
    assert found(side(), new, note="n", number="1", metadata={"k": "v"}) == [
        ("upstream", "", "tiny", "mute"),
        ("losses", "/number", None, "dropped: the API has no field for it"),
        ("losses", "/note", "dropped: the API has no field for it", None),
    ]


def test_by_a_stand_in_it_goes_elsewhere_too() -> None:
    """Where the first can no longer carry it."""
    rule = Route("a", to="tiny", fallback=["mute"])
    gone = upstream("tiny", crosswalk=Crosswalk())
    assert found(side(rule), side(rule, tiny=gone)) == [("upstream", "", "tiny", "mute")]


@pytest.mark.parametrize(
    ("new", "slug"),
    [
        (side(Route("a", to="deaf")), "untranslatable"),
        (side(Route("a", When(currency="EUR"), to="tiny")), "no-route"),
        (side(caller=Caller("billing", upstreams=frozenset(("mute",)))), "forbidden"),
    ],
)
def test_an_invoice_that_is_refused_from_now_on_is_found(new: Side, slug: str) -> None:
    """And one that no longer is; with the reason on the side that refuses it."""
    assert found(side(), new) == [("problem", "", "tiny", slug)]
    assert found(new, side()) == [("problem", "", slug, "tiny")]
    assert course(invoice(), new).errors[0].detail
    assert course(invoice(), new).upstream is None


def test_another_reason_why_it_cannot_be_translated_is_found() -> None:
    """And another place."""
    other = upstream("mute", crosswalk=Crosswalk())
    assert found(side(Route("a", to="deaf")), side(Route("a", to="mute"), mute=other)) == [
        (
            "problem",
            "/customer/id",
            '[upstreams.deaf.crosswalk.customers] has no entry for "acct-88"',
            '[upstreams.mute.crosswalk.customers] has no entry for "acct-88"',
        )
    ]


def test_another_request_is_found_by_its_places() -> None:
    """Values of its body by their pointers, headers by their names, where it goes; credentials are masked."""
    crosswalk = Crosswalk({"customers": {"acct-88": Entry(89)}})
    new = structs.replace(upstream("tiny", crosswalk=crosswalk), settings=Settings("back"))
    assert found(side(), side(tiny=new)) == [
        ("request", "header x-desk", "front", "back"),
        ("request", "/customer", '"88"', '"89"'),
    ]
    assert found(side(), side(url="https://y.example")) == [
        ("request", "url", "https://x.example/bills", "https://y.example/bills")
    ]


def body(old: str, new: str) -> list[Change]:
    """The changes between two requests of one upstream."""
    taken = course(invoice(), side())
    assert taken.request is not None
    one, other = (structs.replace(taken, request=structs.replace(taken.request, body=each)) for each in (old, new))
    return list(changes(one, other))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('{"a":1,"b":2}', '{"b":2,"a":1}', []),
        ('{"a":1.0}', '{"a":1.00}', [("/a", "1.0", "1.00")]),
        ('{"a":[1,{"b~/":null}]}', '{"a":[1,{"b~/":[]}]}', [("/a/1/b~0~1", "null", "[]")]),
        ('{"a":[]}', '{"a":["x"]}', [("/a", "[]", None), ("/a/0", None, '"x"')]),
        ('{"a":true}', "{}", [("/a", "true", None), ("", None, "{}")]),
        ("a=1", "a=2", [("body", "a=1", "a=2")]),
        ("1", "a=2", [("", "1", None), ("body", None, "a=2")]),
    ],
)
def test_bodies_are_compared_value_by_value(
    old: str, new: str, expected: list[tuple[str, str | None, str | None]]
) -> None:
    """Numbers as they are written, members in any order; what is no JSON as a whole."""
    assert [(one.place, one.old, one.new) for one in body(old, new)] == expected
    assert all(one.kind == "request" for one in body(old, new))


def test_another_claim_and_other_words_for_a_loss_are_found() -> None:
    """Also where the request is the same."""
    one = course(invoice(note="n"), side())
    assert one.claim is not None
    other = structs.replace(one, claim=None, losses=(*one.losses, Loss("/note", "folded", None, "into a line")))
    assert list(changes(one, other)) == [
        Change("claim", "", "20.00", None),
        Change(
            "losses",
            "/note",
            "dropped: the API has no field for it",
            "dropped: the API has no field for it; folded: into a line",
        ),
    ]


def test_two_reasons_for_one_place_are_both_told() -> None:
    """So that the one that is new is seen."""
    old = course(invoice(), side(Route("a", to="deaf")))
    new = structs.replace(old, errors=(*old.errors, Fault("/customer/id", "x", "another")))
    (one,) = changes(old, new)
    assert one.new == f"{one.old}; another"


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (b"{", MalformedJson),
        (encoded(document(currency="usd")), InvalidInvoice),
        (encoded(document(totals={"tax_total": "1.00"})), TotalsMismatch),
    ],
)
def test_what_is_no_invoice_is_a_problem_and_no_difference(sent: bytes, problem: type[Exception]) -> None:
    """Of the line, not of a configuration."""
    with pytest.raises(problem):
        compared(sent, side(), side(Route("a", to="deaf")))


def test_the_amount_is_told_with_its_currency() -> None:
    """For the totals of each way."""
    told = compared(encoded(document(external_id="x:1")), side(), side())
    assert (told.external_id, told.currency, str(told.amount_due)) == ("x:1", "USD", "20.00")
