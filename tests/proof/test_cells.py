"""Real gateways, killed at every named step, before every behaviour of an upstream, on both stores."""

import pytest

from tests.proof import cells
from tests.proof.places import KINDS, Kind


@pytest.mark.parametrize("step", cells.STEPS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_gateway_killed_at_a_step_creates_nothing_twice_and_loses_nothing(kind: Kind, step: str) -> None:
    """Whatever its upstream made of the invoice: afterwards all agree, and all that was said stays true."""
    found = await cells.run(cells.chosen(kind, step), lambda: None)
    assert not found.violations, str(found)
