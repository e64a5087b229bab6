"""From the caller's ids to the upstream's. Source: contract 3 and 6."""

from decimal import Decimal

import pytest

from gateway.core.crosswalk import KINDS, Crosswalk, Entry

TABLES = Crosswalk(
    {"customers": {"acct-88": Entry(88), "b": Entry("B-1")}, "taxes": {"S:20": Entry(4, Decimal(20))}},
    frozenset(("items",)),
)


@pytest.mark.parametrize(
    ("kind", "key", "entry"),
    [
        ("customers", "acct-88", Entry(88)),
        ("customers", "b", Entry("B-1")),
        ("customers", "c", None),
        ("taxes", "S:20", Entry(4, Decimal(20))),
        ("items", "anything", Entry("anything")),
        ("orders", "o", None),
    ],
)
def test_an_id_is_looked_up_in_its_table(kind: str, key: str, entry: Entry | None) -> None:
    """By table; `same` passes the caller's own id on; without either nothing is known."""
    assert TABLES.find(kind, key) == entry


def test_a_table_goes_before_same() -> None:
    """Where both are there, only what the table has is known."""
    both = Crosswalk({"items": {"a": Entry(1)}}, frozenset(("items",)))
    assert both.find("items", "a") == Entry(1)
    assert both.find("items", "b") is None


@pytest.mark.parametrize(("kind", "known"), [("customers", True), ("items", True), ("orders", False)])
def test_a_kind_is_configured_or_not(kind: str, known: bool) -> None:
    """By a table or by `same`."""
    assert TABLES.has(kind) is known


def test_the_kinds_are_those_of_the_contract() -> None:
    """Customers, items, currencies, taxes, terms and suppliers are in the contract; orders are one dialect's."""
    assert {"customers", "suppliers", "items", "taxes", "currencies", "terms"} <= set(KINDS)
