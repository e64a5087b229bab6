"""Journals that go away while a gateway runs, or are not there when it starts."""

from tests.proof.rows import outages_and_starts


async def test_nothing_is_sent_without_a_durable_claim_and_afterwards_all_goes_on() -> None:
    """Twenty times: full, killed, read-only, frozen, or unusable from the start."""
    found = await outages_and_starts(20, 1, lambda: None)
    assert found.runs == 20
    assert not found.violations, str(found)
