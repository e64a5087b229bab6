"""The four outcomes. Source: contract 2."""

import pytest

from gateway.core.result import Created, NotSent, Outcome, Rejected, Stated, Unknown, name


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Created(Stated(), 201), "created"),
        (Rejected(422, None, "no"), "rejected"),
        (NotSent("connect", "refused"), "not_sent"),
        (Unknown("timeout", "no answer"), "unknown"),
    ],
)
def test_an_outcome_has_its_word(outcome: Outcome, word: str) -> None:
    """The words of results, metrics and logs."""
    assert name(outcome) == word


def test_what_the_upstream_did_not_say_is_absent() -> None:
    """Nothing is made up: the status is unknown, all else is null."""
    stated = Stated()
    assert stated.status == "unknown"
    assert all(
        getattr(stated, field) is None for field in stated.__struct_fields__ if field not in ("status", "totals")
    )
    assert all(getattr(stated.totals, field) is None for field in stated.totals.__struct_fields__)
