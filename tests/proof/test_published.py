"""A real gateway, and requests made from what it publishes."""

from tests.proof import published


async def test_requests_made_from_the_document_are_answered_as_it_says() -> None:
    """Right ones and wrong ones, at every operation, five hundred."""
    found = await published.run(500, 1, lambda: None)
    assert found.runs >= 400
    assert not found.violations, str(found)
