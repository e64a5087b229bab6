"""Several real gateways on one PostgreSQL."""

from tests.proof import replicas


async def test_sixty_four_callers_with_one_key_at_three_gateways_get_one_invoice() -> None:
    """One creation arrives, one caller hears 201, and all hear the same id in the end; fifty times."""
    found = await replicas.run(50, 1, lambda: None)
    assert not found.violations, str(found)
