"""Real gateways that stand still for a while, as paused machines do."""

from tests.proof import pauses


async def test_a_gateway_that_stood_still_sends_nothing_late_and_says_what_is_true() -> None:
    """At every step, while another gateway on the same journal settles the invoice."""
    found = await pauses.run(list(pauses.PAUSES), lambda: None)
    assert not found.violations, str(found)
