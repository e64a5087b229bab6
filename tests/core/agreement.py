"""The analysis of rules against trying every kind of invoice, one by one: no false alarm and no miss."""

from hypothesis import assume, event
from hypothesis import strategies as st

from gateway.core.config import When
from gateway.core.coverage import Layout, facts_of, layout, rule_findings
from tests.core.brute import config_of, kinds, takes, whens
from tests.core.samples import TYPES

MOST_KINDS = 1500
"""Rule sets that tell more kinds of invoices apart are left out: trying them all takes too long."""
RULES = st.lists(whens(), min_size=1, max_size=5)


def agrees(found: list[When]) -> None:
    """What is said of rules with these conditions is what trying shows, and every witness shows it.

    Raises:
        AssertionError: it is not.
    """
    count, _ = kinds(found)
    assume(count <= MOST_KINDS)
    plan = layout(config_of(found), TYPES)
    expected, findings = tried(found, plan), list(rule_findings(plan))
    for code, _ in expected:
        event(code)
    assert {(one.code, one.rule) for one in findings} == expected
    for one in findings:
        assert one.witness is not None
        facts = facts_of(one.witness)
        taking = [rule.name for rule in plan.rules if takes(rule, facts)]
        match one.code:
            case "never-reached":
                assert one.rule in taking[1:]
            case "no-rule":
                assert taking == []
            case _:
                assert one.rule not in taking


def tried(found: list[When], plan: Layout) -> set[tuple[str, str | None]]:
    """What there is to find, by every kind of invoice."""
    matched: set[str] = set()
    reached: set[str | None] = set()
    for facts in kinds(found)[1]:
        taking = [rule.name for rule in plan.rules if takes(rule, facts)]
        matched.update(taking)
        reached.add(taking[0] if taking else None)
    never = {("never-matches", rule.name) for rule in plan.rules if rule.name not in matched}
    return (
        never | {("never-reached", name) for name in matched - reached} | {("no-rule", None) for _ in reached & {None}}
    )
