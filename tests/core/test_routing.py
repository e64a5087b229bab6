"""Which rule takes an invoice, and why the others do not. Source: contract 2 (`no-route`), 3 and 6."""

import tomllib
from typing import Any

import msgspec
import pytest

from gateway.core import schema
from gateway.core.config import Config, Route, When
from gateway.core.errors import NoRoute
from gateway.core.money import decode_amount
from gateway.core.routing import Facts, compile_rules, present, route_faults, select, tried
from gateway.core.totals import checked_totals
from tests.core.samples import invoice, line

TAX = {"category": "S", "rate": "20"}


def facts(client: str = "billing", **changes: Any) -> Facts:
    """An invoice of 20.00 USD, with changes, from a client."""
    found = invoice(**changes)
    return Facts(found, checked_totals(found), client)


def when(toml: str) -> When:
    """A condition as an operator writes it."""
    value = tomllib.loads(f"when = {toml}")["when"]
    faults, repaired = schema.examine(value, When)
    assert faults == []
    return msgspec.convert(repaired, When, dec_hook=decode_amount)


def failure(toml: str, found: Facts) -> str | None:
    """Why a rule with this condition does not take the invoice; None if it does. Asked of all three functions."""
    rules = compile_rules([Route("r", when(toml), to="u")])
    failed = tried(rules, found)
    if not failed:
        assert select(rules, found).upstream == "u"
        return None
    with pytest.raises(NoRoute) as caught:
        select(rules, found)
    (fault,) = caught.value.faults
    assert (fault.pointer, fault.code, fault.detail) == (
        failed[0].pointer, "condition", f'rule "r": {failed[0].failed}',
    )  # fmt: skip
    return f"{failed[0].pointer}: {failed[0].failed}"


NORWEGIAN = {"id": "acct-88", "billing_address": {"country": "NO"}}

HOLDS: list[tuple[str, dict[str, Any]]] = [
    ("{}", {}),
    ("{ client = 'billing' }", {}),
    ("{ client = ['shop', 'billing'] }", {}),
    ("{ currency = 'USD' }", {}),
    ("{ currency = ['EUR', 'USD'] }", {}),
    ("{ country = ['DE', 'NO'] }", {"customer": NORWEGIAN}),
    ("{ customer = 'acct-88' }", {}),
    ("{ supplier = 'us' }", {"supplier": {"id": "us"}}),
    ("{ labels = { product = ['workshop', 'fleet'] } }", {"labels": {"product": "fleet", "more": "x"}}),
    ("{ labels = { product = 'fleet', tier = 'a' } }", {"labels": {"product": "fleet", "tier": "a"}}),
    ("{ labels = { 'team/x' = '' } }", {"labels": {"team/x": ""}}),
    ("{ amount = { min = '20.00' }, currency = 'USD' }", {}),
    ("{ amount = { min = '20', below = '20.01' }, currency = 'USD' }", {}),
    ("{ amount = {}, currency = 'USD' }", {}),
    ("{ issue_date = { from = 2026-06-30 } }", {}),
    ("{ issue_date = { from = '2026-06-30', until = '2026-07-01' } }", {}),
    ("{ issue_date = { until = 2026-07-01 } }", {}),
    ("{ issue_date = {} }", {}),
    ("{ has = 'number' }", {"number": "1"}),
    ("{ has = ['references.order', 'note'] }", {"references": {"order": "o"}, "note": "n"}),
    ("{ has = 'references' }", {"references": {"contract": "c"}}),
    ("{ has = 'lines.discounts' }", {"lines": [line(), line(discounts=[{"amount": "1.00"}])]}),
    ("{ has = 'lines.discounts.percent' }", {"lines": [line(discounts=[{"amount": "2.00", "percent": "10"}])]}),
    ("{ has = 'lines.item.name' }", {"lines": [line(), line(item={"id": "i", "name": "n"})]}),
    ("{ has = 'customer.billing_address.country' }", {"customer": NORWEGIAN}),
    ("{ has = 'customer.identifiers' }", {"customer": {"id": "c", "identifiers": {"0088": "1"}}}),
    ("{ has = 'supplier' }", {"supplier": {"id": "us"}}),
    ("{ has = 'labels.app.kubernetes.io/name' }", {"labels": {"app.kubernetes.io/name": "x"}}),
    ("{ has = 'labels' }", {"labels": {"a": "b"}}),
    ("{ has = 'metadata.k' }", {"metadata": {"k": ""}}),
    ("{ has = 'totals.amount_due' }", {"totals": {"amount_due": "20.00"}}),
    ("{ has = 'totals.rounding' }", {"totals": {"rounding": "0.00"}}),
    ("{ has = 'lines.net_amount' }", {"lines": [line(net_amount="20.00")]}),
    ("{ has = 'prices_include_tax' }", {"prices_include_tax": True}),
    ("{ has = 'delivery.send' }", {"delivery": {"send": True}}),
    ("{ has = 'extensions' }", {"extensions": {"tiny": {}}}),
    ("{ lacks = ['references.order', 'supplier.name', 'lines.taxes', 'delivery', 'delivery.send', 'totals'] }", {}),
    ("{ lacks = ['metadata.k', 'labels.a.b', 'labels', 'discounts.taxes.id', 'prices_include_tax'] }", {}),
    ("{ lacks = 'labels.a' }", {"labels": {"a.b": "x"}}),
]


@pytest.mark.parametrize(("toml", "changes"), HOLDS)
def test_a_condition_holds(toml: str, changes: dict[str, Any]) -> None:
    """Every condition of the contract, with a word or a list of words, bounds inclusive and exclusive."""
    assert failure(toml, facts(**changes)) is None


FAILS: list[tuple[str, dict[str, Any], str]] = [
    ("{ client = ['shop', 'web'] }", {}, ': client is "billing", not shop or web'),
    ("{ currency = 'EUR' }", {}, '/currency: currency is "USD", not EUR'),
    ("{ country = 'NO' }", {}, "/customer/billing_address/country: country is absent, not NO"),
    (
        "{ country = 'NO' }",
        {"customer": {"id": "c", "shipping_address": {"country": "NO"}, "billing_address": {"city": "Oslo"}}},
        "/customer/billing_address/country: country is absent, not NO",
    ),
    ("{ country = 'DE' }", {"customer": NORWEGIAN}, '/customer/billing_address/country: country is "NO", not DE'),
    ("{ customer = 'acct-8' }", {}, '/customer/id: customer is "acct-88", not acct-8'),
    ("{ supplier = 'us' }", {}, "/supplier/id: supplier is absent, not us"),
    ("{ supplier = 'us' }", {"supplier": {"name": "us"}}, "/supplier/id: supplier is absent, not us"),
    ("{ supplier = 'us' }", {"supplier": {"id": "them"}}, '/supplier/id: supplier is "them", not us'),
    ("{ labels = { tier = 'a' } }", {}, "/labels/tier: label tier is absent, not a"),
    ("{ labels = { tier = 'a' } }", {"labels": {"tier": "b\x7f"[:1]}}, '/labels/tier: label tier is "b", not a'),
    ("{ labels = { 'a/b~' = 'a' } }", {"labels": {"a": "a"}}, "/labels/a~1b~0: label a/b~ is absent, not a"),
    (
        "{ amount = { min = '20.01' }, currency = 'USD' }",
        {},
        "/totals/tax_inclusive_total: amount 20.00 is not from 20.01",
    ),
    (
        "{ amount = { below = '20.00' }, currency = 'USD' }",
        {},
        "/totals/tax_inclusive_total: amount 20.00 is not below 20.00",
    ),
    (
        "{ amount = { min = '10.00', below = '5000.00' }, currency = 'USD' }",
        {"lines": [line(unit_price="2500.00")]},
        "/totals/tax_inclusive_total: amount 5000.00 is not from 10.00 below 5000.00",
    ),
    (
        "{ issue_date = { from = 2026-07-01 } }",
        {},
        "/issue_date: issue date 2026-06-30 is not from 2026-07-01",
    ),
    (
        "{ issue_date = { from = 2026-01-01, until = '2026-06-30' } }",
        {},
        "/issue_date: issue date 2026-06-30 is not from 2026-01-01 below 2026-06-30",
    ),
    ("{ has = 'number' }", {}, "/number: number is absent"),
    ("{ has = ['number', 'note'] }", {"number": "1"}, "/note: note is absent"),
    ("{ has = 'references' }", {"references": {}}, "/references: references is absent"),
    ("{ has = 'lines.discounts' }", {}, "/lines/discounts: lines.discounts is absent"),
    ("{ has = 'delivery.send' }", {"delivery": {"send": False}}, "/delivery/send: delivery.send is absent"),
    ("{ has = 'labels.a/b' }", {"labels": {"a": "x"}}, "/labels/a~1b: labels.a/b is absent"),
    ("{ has = 'metadata.a.b' }", {"metadata": {"a": "x"}}, "/metadata/a.b: metadata.a.b is absent"),
    ("{ lacks = 'note' }", {"note": "n"}, "/note: note is there"),
    ("{ lacks = 'lines.taxes' }", {"lines": [line(), line(taxes=[TAX])]}, "/lines/taxes: lines.taxes is there"),
]


@pytest.mark.parametrize(("toml", "changes", "words"), FAILS)
def test_a_condition_that_fails_says_so(toml: str, changes: dict[str, Any], words: str) -> None:
    """With its pointer into the invoice and what was found there."""
    assert failure(toml, facts(**changes)) == words


@pytest.mark.parametrize(("total", "taken"), [("9.99", False), ("10.00", True), ("4999.99", True), ("5000.00", False)])
def test_an_amount_is_that_of_the_tax_inclusive_total(total: str, taken: bool) -> None:
    """Not of the amount due; `min` inclusive, `below` exclusive."""
    found = facts(lines=[line(quantity="1", unit_price=total)], totals={"prepaid_total": "1.00"})
    toml = "{ currency = 'USD', amount = { min = '10.00', below = '5000.00' } }"
    assert (failure(toml, found) is None) is taken


def test_all_conditions_must_hold() -> None:
    """The first that fails is named, in the order of the contract."""
    toml = "{ has = 'number', labels = { a = 'b' }, currency = 'USD', client = 'billing' }"
    assert failure(toml, facts()) == "/labels/a: label a is absent, not b"
    assert failure(toml, facts(labels={"a": "b"})) == "/number: number is absent"
    assert failure(toml, facts(labels={"a": "b"}, number="1")) is None


def route(name: str, toml: str = "{}", **changes: Any) -> Route:
    """A rule."""
    return Route(name, when(toml), **({"to": "u"} | changes))


RULES = compile_rules(
    [
        route("norway", "{ country = 'NO' }", to="a"),
        route("euro", "{ currency = 'EUR' }", to="b"),
        route("default", to="c", fallback=["a", "c", "b"]),
        route("never", to="d"),
    ]
)


def test_the_first_match_wins() -> None:
    """Later rules are not asked; earlier ones are known to have failed."""
    found = facts(customer=NORWEGIAN, currency="EUR")
    assert (select(RULES, found).rule, tried(RULES, found)) == ("norway", ())
    decision = select(RULES, facts(currency="EUR"))
    assert (decision.rule, decision.upstream, decision.fallback) == ("euro", "b", ())
    assert [(one.rule, one.failed) for one in tried(RULES, facts())] == [
        ("norway", "country is absent, not NO"),
        ("euro", 'currency is "USD", not EUR'),
    ]


def test_a_fallback_does_not_repeat_the_target() -> None:
    """Tried only while certainly not sent, in the order given."""
    assert select(RULES, facts()).fallback == ("a", "b")


def test_no_route_names_for_each_rule_the_condition_that_failed() -> None:
    """Contract 2."""
    with pytest.raises(NoRoute) as caught:
        select(RULES[:2], facts())
    assert caught.value.detail == "none of 2 rules takes the invoice"
    assert [(fault.pointer, fault.detail) for fault in caught.value.faults] == [
        ("/customer/billing_address/country", 'rule "norway": country is absent, not NO'),
        ("/currency", 'rule "euro": currency is "USD", not EUR'),
    ]


def targets(split: dict[str, int], count: int = 20_000) -> list[str]:
    """Where a split sends invoices of so many ids."""
    rules = compile_rules([Route("r", split=split)])
    found = facts()
    return [
        select(rules, Facts(msgspec.structs.replace(found.invoice, external_id=f"billing:{number}"), found.totals, "c"))
        .upstream
        for number in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("split", [{"a": 90, "b": 10}, {"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 4}, {"a": 7, "b": 993}])
def test_a_split_is_proportional(split: dict[str, int]) -> None:
    """Weights are positive integers of any sum; within 1 % over 20,000 ids."""
    found = targets(split)
    for name, weight in split.items():
        assert abs(found.count(name) / len(found) - weight / sum(split.values())) < 0.01


def test_a_split_is_sticky() -> None:
    """The same `external_id` always goes to the same upstream; the share counts, not the sum of the weights."""
    assert targets({"a": 90, "b": 10}, 2_000) == targets({"a": 90, "b": 10}, 2_000) == targets({"a": 9, "b": 1}, 2_000)


@pytest.mark.parametrize(
    ("before", "after"), [((90, 10), (80, 20)), ((99, 1), (50, 50)), ((9, 1), (8, 2)), ((1, 1), (1, 3))]
)
def test_a_migration_moves_invoices_only_forward(before: tuple[int, int], after: tuple[int, int]) -> None:
    """From the first to the second, never back."""
    old, new = (targets({"a": one, "b": other}, 5_000) for one, other in (before, after))
    moved = {(was, now) for was, now in zip(old, new, strict=True) if was != now}
    assert moved == {("a", "b")}


def test_a_split_of_one_is_a_target() -> None:
    """Whatever its weight."""
    assert set(targets({"a": 3}, 100)) == {"a"}


def test_a_rule_without_a_target_is_a_mistake_of_the_gateway() -> None:
    """`check` refuses such a configuration; nothing is sent anywhere by default."""
    with pytest.raises(AssertionError, match="the weights add up"):
        select(compile_rules([Route("r")]), facts())


def test_an_upstream_of_a_split_can_be_another_ones_fallback() -> None:
    """The fallback leaves out the one that was chosen."""
    rules = compile_rules([Route("r", split={"a": 1, "b": 1}, fallback=["a", "b"])])
    seen = {(decision.upstream, decision.fallback) for decision in (
        select(rules, facts(external_id=f"id-{number}")) for number in range(50)
    )}  # fmt: skip
    assert seen == {("a", ("b",)), ("b", ("a",))}


@pytest.mark.parametrize(
    ("toml", "place", "detail"),
    [
        ("{ currency = 'EUU' }", "currency", '"EUU" is no currency; did you mean "EUR"?'),
        ("{ currency = ['USD', 'dollars'] }", "currency", '"dollars" is no currency'),
        ("{ country = 'UK' }", "country", '"UK" is no country'),
        ("{ has = 'reference.order' }", "has", '"reference.order" is no field of an invoice; did you mean "references'),
        ("{ lacks = ['note', 'line.discounts'] }", "lacks", '"line.discounts" is no field of an invoice; did you mean'),
        ("{ has = 'zzzzzz' }", "has", '"zzzzzz" is no field of an invoice'),
        ("{ has = '' }", "has", '"" is no field of an invoice'),
        ("{ has = 'lines.0.id' }", "has", '"lines.0.id" is no field of an invoice; did you mean "lines.'),
        ("{ currency = '' }", "currency", '"" is no currency'),
    ],
)  # fmt: skip
def test_what_can_never_be_meant_is_reported(toml: str, place: str, detail: str) -> None:
    """Unknown codes and paths, with the nearest that is known."""
    (fault,) = route_faults([route("fine", "{ country = 'NO' }"), route("r", toml)])
    assert fault.pointer == f"/routes/1/when/{place}"
    assert fault.detail.startswith(detail)
    assert fault.detail == detail or "; did you mean" in detail


@pytest.mark.parametrize(("toml", "changes"), HOLDS)
def test_what_can_be_meant_is_not_reported(toml: str, changes: dict[str, Any]) -> None:
    """Every condition that holds for some invoice."""
    assert changes is not None
    assert list(route_faults([route("r", toml)])) == []


def test_an_absent_list_or_party_has_nothing_in_it() -> None:
    """Whatever lies below."""
    assert not present(None, ["name"])
    assert not present((), ["taxes", "id"])
    assert not present(None, [])


def test_the_contracts_own_example_routes() -> None:
    """The routes of contract 3, read from TOML."""
    document = tomllib.loads("""
        upstreams = { x = { dialect = "tiny", base_url = "https://x" } }
        [[routes]]
        name = "us-subscriptions"
        when = { labels = { product = ["workshop", "fleet"] }, currency = ["USD"], amount = { min = "10.00", below = "5000.00" } }
        to = "chargeover-us"
        [[routes]]
        name = "eu-migration"
        when = { country = ["DE", "NO"], has = ["references.order"] }
        split = { onlyoffice-eu = 90, chargeover-us = 10 }
        fallback = ["katsupay"]
        [[routes]]
        name = "default"
        to = "onlyoffice-eu"
    """)  # noqa: E501 - as the contract writes it
    faults, repaired = schema.examine(document, Config)
    rules = compile_rules(msgspec.convert(repaired, Config, dec_hook=decode_amount).routes)
    assert faults == []
    assert select(rules, facts(labels={"product": "fleet"})).upstream == "chargeover-us"
    migrated = select(rules, facts(customer=NORWEGIAN, references={"order": "o"}))
    assert (migrated.rule, migrated.fallback) == ("eu-migration", ("katsupay",))
    assert migrated.upstream in ("onlyoffice-eu", "chargeover-us")
    assert select(rules, facts()).upstream == "onlyoffice-eu"
