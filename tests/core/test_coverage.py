"""What `check` says of rules is true: against every kind of invoice, one by one. Source: contract 4 (`check`)."""

from datetime import date

import pytest
from hypothesis import HealthCheck, example, given, settings
from msgspec import structs

from gateway.core.config import AmountRange, DateRange, When
from gateway.core.coverage import Search, facts_of, layout, rule_findings
from gateway.core.money import Amount
from gateway.core.region import MANDATORY, Region
from gateway.core.routing import PATHS, compile_rules, present
from tests.core.agreement import RULES, agrees
from tests.core.brute import config_of, takes
from tests.core.samples import TYPES
from tests.proof.rows import ROWS

ROW = next(row for row in ROWS if row.name == "rules")
USD_BELOW = When(currency="USD", amount=AmountRange(below=Amount("10.005")))


@settings(max_examples=ROW.commit, deadline=None, suppress_health_check=list(HealthCheck))
@given(RULES)
@example([When(has="discounts.percent", lacks="discounts.amount")])
@example([When(has="lines.discounts.taxes.id", lacks="lines.taxes.id")])
@example([USD_BELOW, When(currency="USD", amount=AmountRange(min=Amount("10.001"))), When(currency="USD")])
@example([USD_BELOW, When(currency="USD", amount=AmountRange(min=Amount("10.011"))), When(currency="USD")])
def test_the_analysis_agrees_with_trying_every_kind_of_invoice(found: list[When]) -> None:
    """No false alarm and no miss: rules that match nothing, that are never reached, and invoices that no rule takes."""
    agrees(found)


def conditions(*found: When) -> list[tuple[str, str | None]]:
    """The findings of rules with these conditions, by code and rule."""
    return [(one.code, one.rule) for one in rule_findings(layout(config_of(found), TYPES))]


TIERS = [When(currency="USD"), *(When(labels={"tier": name}) for name in "abcd")]
OTHERS = '"r1", "r2", "r3" and "r4"'
ALL_TIERS = When(currency=["USD", "EUR"], labels={"tier": list("abcd")})


def test_what_takes_too_long_is_said_to_be_undecided() -> None:
    """A bound on the work, and never a guess: neither for a rule nor for what no rule takes."""
    plan = layout(config_of([*TIERS, ALL_TIERS]), TYPES, steps=1)
    found = [(one.code, one.rule) for one in rule_findings(plan)]
    assert ("not-decided", "r5") in found
    assert found[-1] == ("not-decided", None)
    assert conditions(*TIERS, ALL_TIERS) == [("never-reached", "r5"), ("no-rule", None)]


@pytest.mark.parametrize(
    ("steps", "names"), [(4, None), (5, '"r1", "r2", "r3" and "r4"'), (99, '"r1", "r2", "r3" and "r4"')]
)
def test_rules_that_shadow_in_vain_are_left_out_if_that_is_seen_in_time(steps: int, names: str | None) -> None:
    """What is told of the others is true either way."""
    (one,) = [each for each in rule_findings(layout(config_of([*TIERS, ALL_TIERS]), TYPES, steps)) if each.rule == "r5"]
    assert one.code == ("not-decided" if names is None else "never-reached")
    assert names is None or f"earlier rules {names}, take" in one.words


def test_a_witness_that_does_not_behave_is_no_finding() -> None:
    """What the regions say is told only if the rules themselves say the same."""
    found = [When(currency="USD"), When(currency="USD", has="note")]
    plan = layout(config_of(found), TYPES)
    others = compile_rules(config_of([When(currency="EUR"), When()]).routes)
    assert [one.code for one in rule_findings(plan)] == ["never-reached", "no-rule"]
    assert list(rule_findings(structs.replace(plan, rules=others))) == []


def test_seventeen_labels_are_more_than_an_invoice_has() -> None:
    """Sixteen is the most; as a condition and by `has`."""
    names = [f"labels.l{number}" for number in range(17)]
    assert conditions(When(has=names[:16]), When()) == []
    assert conditions(When(has=names), When()) == [("never-matches", "r0")]
    assert conditions(When(has=[*names[:16], "labels"]), When()) == []


def test_labels_and_metadata_of_any_name_can_be_there() -> None:
    """Also where the names that come to mind are taken by conditions."""
    assert conditions(When(has="labels", lacks=["labels.other", "labels.other1"]), When()) == []
    assert conditions(When(has="metadata", lacks="metadata.other"), When()) == []


def test_discounts_and_charges_of_lines_have_lines_of_their_own() -> None:
    """They share the taxes of their line, and each may want others."""
    wanted = ["lines.charges.reason", "lines.discounts.taxes.id", "lines.charges.taxes", "lines.discounts.percent"]
    plan = layout(config_of([When(has=wanted, lacks="lines.charges.taxes.id")]), TYPES)
    point = Search(plan).outside(plan.zones[0].region or Region(), ())
    assert point is not None
    assert takes(plan.rules[0], facts_of(plan.witness(point)))


def test_a_billing_period_has_both_its_ends() -> None:
    """One is not there without the other."""
    assert conditions(When(has="billing_period.start"), When()) == []
    assert conditions(When(has="billing_period.start", lacks="billing_period.end"), When()) == [("never-matches", "r0")]


def test_there_is_always_another_name() -> None:
    """Also where those that come to mind are taken."""
    plan = layout(config_of([When(customer=["customer", "customer-2"])]), TYPES)
    (one,) = rule_findings(plan)
    assert one.witness is not None
    assert one.witness.fields.customer == "customer-3"
    plan = layout(config_of([When(country=["US", "DE"]), When(lacks="customer.billing_address.country")]), TYPES)
    (one,) = rule_findings(plan)
    assert one.witness is not None
    assert one.witness.fields.country == "AD"


def test_the_ends_of_amounts_and_days_are_no_invoices() -> None:
    """There is no amount of sixteen digits, and no day before the first."""
    least = Amount("-999999999999999.99")
    assert conditions(When(currency="USD", amount=AmountRange(below=least)), When()) == [("never-matches", "r0")]
    assert conditions(When(currency="USD", amount=AmountRange(min=least)), When(currency="USD"), When()) == [
        ("never-reached", "r1")
    ]
    assert conditions(When(issue_date=DateRange(until=date.min)), When()) == [("never-matches", "r0")]


def test_extensions_are_there_only_if_a_dialect_has_any() -> None:
    """Of the document and of a line."""
    found = config_of([When(has="extensions"), When(has="lines.extensions"), When()])
    assert list(rule_findings(layout(found, TYPES))) == []
    none = {"mute": (None, None)}
    codes = [(one.code, one.rule) for one in rule_findings(layout(found, none))]
    assert codes == [("never-matches", "r0"), ("never-matches", "r1")]


@pytest.mark.parametrize("path", sorted(PATHS))
def test_every_field_can_be_asked_for_and_be_there(path: str) -> None:
    """The invoice that is made for `has` has it, that for `lacks` has not; what every invoice has cannot be lacked."""
    for when, wanted in ((When(has=path), True), (When(lacks=path), False)):
        plan = layout(config_of([When(client="ann", currency="EUR"), when]), TYPES)
        point = None if plan.zones[1].region is None else Search(plan).outside(plan.zones[1].region, ())
        if point is None:
            assert (wanted, path in MANDATORY) == (False, True)
        else:
            assert present(plan.witness(point).invoice, path.split(".")) is wanted
            assert point.within(plan.zones[1].region or Region())
