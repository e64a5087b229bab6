"""Outcomes whose write came second: who is believed, and what is a contradiction."""

from itertools import product

import pytest
from msgspec import structs

from gateway.core.dispatch import packed
from gateway.core.journal import EDGES, Entry, State
from gateway.core.overtaken import Rebased, Stands, overtaken
from tests.core.entries import NOW, STATES, dispatch, entry

SENT = entry("sending", revision=3)
"""What the outcome was decided on, by who sent it; and by who looked for it."""
LOOKED_FOR = entry("unknown", revision=3)
OUTCOMES: tuple[State, ...] = ("created", "rejected", "not_sent", "unknown", "waiting")
PAIRS = list(product(STATES, OUTCOMES))
"""What is stored, and the outcome that comes second."""


def held(state: State, claim: str = "0199-claim", **changes: object) -> Entry:
    """What is stored: later than what was decided on."""
    return entry(state, revision=7, dispatch=packed(dispatch(claim=claim)), **changes)


def said(state: State, **changes: object) -> Entry:
    """An outcome that was decided on an earlier revision."""
    return entry(state, revision=4, updated_at=NOW, result=b"{}", **changes)


def test_its_own_write_is_known_again() -> None:
    """Only the word of it was lost."""
    assert overtaken(SENT, said("created"), said("created")) == Stands(said("created"), ours=True)


def test_an_entry_that_is_gone_is_a_contradiction() -> None:
    """As after a restore from a backup; the caller hears its outcome all the same."""
    assert overtaken(SENT, None, said("rejected")) == Stands(said("rejected"), contradicts=True)


@pytest.mark.parametrize(("stored", "outcome"), PAIRS)
def test_what_another_sending_came_to_is_left_alone(stored: State, outcome: State) -> None:
    """Whatever it is, unless an invoice was created."""
    if outcome != "created":
        there = held(stored, "another")
        assert overtaken(SENT, there, said(outcome)) == Stands(there)


@pytest.mark.parametrize("stored", ["waiting", "rejected", "not_sent"])
@pytest.mark.parametrize("decided_on", [SENT, LOOKED_FOR])
def test_an_invoice_that_exists_binds_its_key_whatever_came_after(stored: State, decided_on: Entry) -> None:
    """It was believed absent, and another sending came to nothing: nobody may send it a third time."""
    there, now = held(stored, "another"), said("created", upstream_id="1")
    rebased = Rebased(there, structs.replace(now, revision=8), contradicts=True)
    assert overtaken(decided_on, there, now) == rebased


@pytest.mark.parametrize("stored", ["sending", "unknown"])
def test_what_is_created_while_another_sending_is_open_may_be_twice(stored: State) -> None:
    """Its caller hears the truth, and an operator has to look. What a lookup finds may be the other's."""
    there, now = held(stored, "another"), said("created", upstream_id="1")
    assert overtaken(SENT, there, now) == Stands(now, contradicts=True)
    assert overtaken(LOOKED_FOR, there, now) == Stands(there)


@pytest.mark.parametrize("decided_on", [SENT, LOOKED_FOR])
def test_two_sendings_may_have_created_the_same_invoice(decided_on: Entry) -> None:
    """The upstream knew it again, or the lookup saw the other's; another id is another invoice."""
    there = held("created", "another", upstream_id="1")
    assert overtaken(decided_on, there, said("created", upstream_id="1")) == Stands(there)
    for other in (said("created", upstream_id="2"), said("created")):
        assert overtaken(decided_on, there, other) == Stands(other, contradicts=True)


def test_what_is_purged_is_another_sending() -> None:
    """Nothing is left that says whose it was."""
    there = entry("created", dispatch=b"", upstream_id="1")
    assert overtaken(SENT, there, said("rejected")) == Stands(there)


# By what is stored of the same sending, the outcomes that take its place.
WINS: dict[State, set[State]] = {
    "waiting": {"created"},
    "sending": {"created", "rejected", "not_sent", "unknown", "waiting"},
    "unknown": {"created", "rejected", "not_sent", "waiting"},
    "rejected": {"created"},
    "not_sent": {"created"},
    "created": set(),
}
CONTRADICTIONS = {(state, "created") for state in ("waiting", "rejected", "not_sent")} | {
    ("created", state) for state in ("waiting", "rejected", "not_sent")
}


@pytest.mark.parametrize(("stored", "outcome"), PAIRS)
def test_of_one_sending_whoever_knows_more_is_believed(stored: State, outcome: State) -> None:
    """A doubt yields to anything, and everything to an invoice that was created."""
    now, there = said(outcome), held(stored)
    contradicts = (stored, outcome) in CONTRADICTIONS
    if outcome in WINS[stored]:
        assert overtaken(SENT, there, now) == Rebased(there, structs.replace(now, revision=8), contradicts)
        assert outcome in EDGES[stored] or outcome == "created"
    else:
        assert overtaken(SENT, there, now) == Stands(there, contradicts=contradicts)


@pytest.mark.parametrize(
    ("one", "other", "contradicts"), [("1", "2", True), ("1", "1", False), ("1", None, False), (None, "1", False)]
)
def test_two_invoices_of_one_sending_contradict_each_other(
    one: str | None, other: str | None, contradicts: bool
) -> None:
    """The id says whether it is the same; the first stays."""
    there = held("created", upstream_id=one)
    assert overtaken(SENT, there, said("created", upstream_id=other)) == Stands(there, contradicts=contradicts)


def test_a_claim_that_was_only_tried_is_its_own_too() -> None:
    """A stand-in took the place of what failed, and nothing was sent under it: the place is taken back whole."""
    there = held("sending", "tried", upstream="mute")
    now = said("not_sent", upstream="tiny-eu")
    assert overtaken(SENT, there, now, tried="tried") == Rebased(there, structs.replace(now, revision=8))
