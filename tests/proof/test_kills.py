"""Real gateways, killed at random moments while callers send invoices."""

import pytest

from tests.proof import kills
from tests.proof.places import Kind
from tests.proof.rows import unguarded_kills

SHARES: tuple[tuple[Kind, int, int], ...] = (("sqlite", 100, 1), ("sqlite", 100, 1001), ("postgres", 100, 2001))


@pytest.mark.parametrize(("kind", "count", "seed"), SHARES)
async def test_gateways_killed_all_the_time_create_nothing_twice_and_lose_nothing(
    kind: Kind, count: int, seed: int
) -> None:
    """Callers send again until they know; then all agree, and all that was said stays true."""
    found = await kills.run(kills.settings(count, seed, kind), lambda: None)
    assert not found.violations, str(found)


async def test_without_the_guard_the_same_kills_create_duplicates() -> None:
    """The negative control: a claim that everybody gets is noticed."""
    found = await unguarded_kills(40, 1, lambda: None)
    assert not found.violations, str(found)
