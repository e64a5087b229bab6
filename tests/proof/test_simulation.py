"""The production core and delivery loop in virtual time, with a crash possible at every step."""

import pytest

from tests.proof.rows import ROWS
from tests.proof.seeds import CONTROLS, ENOUGH, first_wrong, wrong_in

SEEDS = next(row.commit for row in ROWS if row.name == "simulation")
SHARE = 500


@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_whatever_crashes_no_invoice_is_created_twice_or_lost(first: int) -> None:
    """A failing seed is named: `tests.proof.simulation.run(seed)` plays it again."""
    assert wrong_in(range(first, first + SHARE)) == []


@pytest.mark.parametrize("control", CONTROLS)
def test_a_world_without_a_guard_goes_wrong_and_is_noticed(control: str) -> None:
    """The negative controls: a proof that cannot find what it looks for proves nothing."""
    assert first_wrong(CONTROLS[control]) is not None, f"{control}: not noticed in {ENOUGH} seeds"
