"""What becomes of each field: fates, and the losses that follow from them. Source: contract 2 (`losses`)."""

from itertools import combinations
from typing import Any

import pytest
from msgspec import structs

from gateway.core.loss_finder import loss_finder
from gateway.core.losses import (
    LEAVES,
    MOST_REMEMBERED,
    Fate,
    approximated,
    as_loss,
    carried,
    derived,
    dropped,
    expand,
    folded,
    loss,
    pattern,
    refused,
    remembered,
)
from gateway.core.result import Loss
from tests.core.samples import FIELDS, invoice, line

FIND = loss_finder(expand(FIELDS))


@pytest.mark.parametrize(
    "leaf",
    [
        *("/external_id", "/number", "/currency", "/customer/billing_address/country", "/lines/*/item/identifiers/*"),
        *("/discounts/*/taxes/*/rate", "/metadata/*", "/totals/prepaid_total", "/totals/rounding", "/delivery/send"),
    ],
)
def test_a_field_that_a_caller_can_set_can_be_lost(leaf: str) -> None:
    """Every leaf of the canonical structs, with `*` for indices and keys."""
    assert leaf in LEAVES


@pytest.mark.parametrize(
    "start",
    ["/labels", "/extensions", "/lines/*/extensions", "/lines/*/net_amount", "/totals/amount_due", "/totals/tax"],
)
def test_what_is_never_sent_cannot_be_lost(start: str) -> None:
    """Labels are for routing, extensions speak to one dialect, computed totals are checked."""
    assert not any(leaf.startswith(start) for leaf in LEAVES)


def test_the_longest_pattern_is_a_leafs_fate() -> None:
    """A dialect declares as little as it can."""
    fates = expand({"": carried("x"), "/customer": dropped("no parties"), "/customer/id": carried("id")})
    assert set(fates) == set(LEAVES)
    assert fates["/customer/name"].disposition == "dropped"
    assert fates["/customer/id"].wire == "id"
    assert fates["/number"].wire == "x"


def test_a_leaf_without_a_fate_is_a_mistake() -> None:
    """No field is forgotten in silence; a common beginning of names is no containing."""
    with pytest.raises(ValueError, match=r"nothing is declared for /issue_date"):
        expand({"/issue": carried("x")})


def test_a_pattern_that_contains_no_field_is_a_mistake() -> None:
    """A slip of the pen in a declaration is found."""
    with pytest.raises(ValueError, match=r"no canonical field: /note_, /x"):
        expand({"": carried("x"), "/x": dropped(), "/note_": dropped()})


@pytest.mark.parametrize(
    ("fate", "expected"),
    [
        (carried("w"), Fate("carried", "w")),
        (carried("w", "dropped"), Fate("carried", "w", sometimes=("dropped",))),
        (dropped(), Fate("dropped", None, "the API has no field for it")),
        (dropped("why"), Fate("dropped", None, "why")),
        (folded("w"), Fate("folded", "w", "is a part of w")),
        (folded("w", "how", noted=True), Fate("folded", "w", "how", noted=True)),
        (approximated("w", "how", "dropped"), Fate("approximated", "w", "how", ("dropped",), noted=True)),
        (derived(), Fate("derived", None, "the upstream decides it")),
        (refused("why"), Fate("refused", None, "why")),
    ],
)
def test_a_fate_is_declared_in_one_word(fate: Fate, expected: Fate) -> None:
    """The vocabulary of a mapping."""
    assert fate == expected


@pytest.mark.parametrize(
    ("fate", "losses"),
    [
        (carried("w"), ()),
        (carried("w", "dropped"), ("dropped",)),
        (refused("no"), ()),
        (dropped(), ("dropped",)),
        (approximated("w", "how", "dropped"), ("approximated", "dropped")),
    ],
)
def test_a_fate_names_every_loss_it_can_come_to(fate: Fate, losses: tuple[str, ...]) -> None:
    """The declared set that metrics draw their labels from."""
    assert fate.losses == losses


def test_what_is_carried_or_refused_is_not_lost() -> None:
    """All else is."""
    assert [as_loss(one) for one in ("carried", "refused", "dropped", "folded", "approximated", "derived")] == [
        None, None, "dropped", "folded", "approximated", "derived",
    ]  # fmt: skip


def test_a_loss_tells_where_what_and_why() -> None:
    """Pointer, disposition, the upstream's field, words."""
    assert loss("/a", folded("w", "how")) == Loss("/a", "folded", "w", "how")
    assert loss("/a", carried("w")) == Loss("/a", "dropped", "w", "")


def test_an_invoice_without_the_field_loses_nothing() -> None:
    """A loss is reported only where something was said."""
    assert FIND(invoice()) == []


def test_every_field_that_is_there_is_a_loss_by_its_pointer() -> None:
    """With the index of a list and the escaped key of a map."""
    found = FIND(
        invoice(
            note="n",
            lines=[line(), line(description="d", item={"id": "i", "identifiers": {"0088": "1", "tiny": "2"}})],
            discounts=[{"amount": "1.00"}, {"amount": "2.00"}],
            metadata={"a/b~c": "x"},
            prices_include_tax=True,
        )
    )
    assert {one.pointer: (one.disposition, one.upstream_field, one.detail) for one in found} == {
        "/note": ("dropped", None, "the API has no field for it"),
        "/lines/1/description": ("dropped", None, "a bill has no lines"),
        "/lines/1/item/identifiers/0088": ("dropped", None, "the API has no field for it"),
        "/discounts/0/amount": ("folded", "total", "is a part of total"),
        "/discounts/1/amount": ("folded", "total", "is a part of total"),
        "/metadata/a~1b~0c": ("dropped", None, "the API has no field for it"),
    }
    assert len(found) == 6


def test_whichever_fields_are_there_those_are_lost() -> None:
    """All ways to say some of seven fields: more than are remembered, and each of them twice."""
    find = loss_finder(expand({"": dropped(), "/lines": carried("w"), "/customer": carried("w")}))
    texts = {"note": "n", "number": "1", "recurrence": "P1M", "language": "de", "due_date": "2026-07-30"}
    said = {**texts, "exchange_rate": "1.1", "prices_include_tax": True}
    always = {"/external_id", "/issue_date", "/currency"}
    for chosen in 2 * [dict(some) for count in range(8) for some in combinations(said.items(), count)]:
        assert {one.pointer for one in find(invoice(**chosen))} == always | {f"/{name}" for name in chosen}


def test_the_losses_of_a_noted_field_are_left_to_the_mapping() -> None:
    """They depend on the values."""
    assert not any(one.pointer == "/prices_include_tax" for one in FIND(invoice(prices_include_tax=True)))


def test_nothing_of_value_is_no_loss() -> None:
    """False, zero and empty say nothing that could be lost."""
    find = loss_finder(expand({"": dropped()}))
    found = {one.pointer for one in find(invoice(delivery={"send": False}, totals={"rounding": "0.00"}, metadata={}))}
    assert found == {
        "/external_id", "/issue_date", "/currency", "/customer/id", "/lines/0/id", "/lines/0/item/id",
        "/lines/0/quantity", "/lines/0/unit_price",
    }  # fmt: skip


def test_every_item_of_a_long_list_has_its_own_pointer() -> None:
    """Lists of discounts have no limit but that of the body."""
    found = FIND(invoice(discounts=[{"amount": "0.01"}] * 1002))
    assert [one.pointer for one in found] == [f"/discounts/{index}/amount" for index in range(1002)]


@pytest.mark.parametrize(
    ("pointer", "form"),
    [
        ("/due_date", "/due_date"),
        ("/lines/17/item/id", "/lines/*/item/id"),
        ("/lines/0/discounts/3/amount", "/lines/*/discounts/*/amount"),
        ("/metadata/who knows", "/metadata/*"),
        ("/customer/identifiers/0088", "/customer/identifiers/*"),
        ("/lines/0/taxes/0/identifiers/tiny", "/lines/*/taxes/*/identifiers/*"),
        ("", ""),
    ],
)
def test_a_metric_sees_a_pointer_without_indices_and_keys(pointer: str, form: str) -> None:
    """Contract 5: no label value comes from an invoice."""
    assert pattern(pointer) == form


def test_every_pattern_of_a_loss_is_declared() -> None:
    """The pattern of whatever is lost is a leaf."""
    changes: dict[str, Any] = {"metadata": {"1": "x", "y": "z"}, "note": "n", "discounts": [{"amount": "1.00"}]}
    for one in loss_finder(expand({"": dropped()}))(invoice(**changes)):
        assert pattern(one.pointer) in LEAVES


def test_what_loses_much_is_not_remembered() -> None:
    """It would fill the memory; what it comes to is found all the same, each time."""
    asked = list[int]()

    @remembered
    def count(losses: tuple[Loss, ...]) -> int:
        asked.append(len(losses))
        return len(losses)

    for many in (MOST_REMEMBERED, MOST_REMEMBERED + 1):
        losses = tuple(Loss(f"/metadata/{number}", "dropped", None, "") for number in range(many))
        assert count(losses) == count(tuple(structs.replace(each) for each in losses)) == many
    assert asked == [MOST_REMEMBERED, MOST_REMEMBERED + 1, MOST_REMEMBERED + 1]
