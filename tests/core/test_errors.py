"""The problems that callers meet. Source: contract 2, RFC 9457."""

import pytest

from gateway.core.errors import Fault, Internal, Problem, Untranslatable
from gateway.core.problem_index import PROBLEMS, explanation, title

# Status, outcome, retryable as in the contract's table; in its spirit where it is silent.
TABLE = [
    ("malformed-json", 400, None, False),
    ("unauthenticated", 401, None, False),
    ("forbidden", 403, None, False),
    ("not-found", 404, None, False),
    ("invalid-request", 400, None, False),
    ("method-not-allowed", 405, None, False),
    ("request-timeout", 408, None, True),
    ("in-progress", 409, "pending", True),
    ("already-concluded", 409, None, False),
    ("too-large", 413, None, False),
    ("unsupported-media-type", 415, None, False),
    ("invalid-invoice", 422, None, False),
    ("totals-mismatch", 422, None, False),
    ("external-id-reused", 422, None, False),
    ("no-route", 422, "not_sent", False),
    ("untranslatable", 422, "not_sent", False),
    ("rejected", 422, "rejected", False),
    ("rate-limited", 429, None, True),
    ("upstream-unavailable", 503, "not_sent", True),
    ("overloaded", 503, None, True),
    ("journal-unavailable", 503, None, True),
    ("outcome-unknown", 504, "unknown", True),
    ("internal", 500, None, False),
]


@pytest.mark.parametrize(("slug", "status", "outcome", "retryable"), TABLE)
def test_a_problem_is_as_the_contract_says(slug: str, status: int, outcome: str | None, retryable: bool) -> None:
    """Status, outcome and whether the same request may be sent again."""
    problem = PROBLEMS[slug]
    assert (problem.status, problem.outcome, problem.retryable) == (status, outcome, retryable)


def test_no_problem_is_missing_from_the_table() -> None:
    """Callers can meet no other."""
    assert sorted(PROBLEMS) == sorted(slug for slug, *_ in TABLE)


def test_a_doubt_is_its_own_problem() -> None:
    """No other says unknown, and only what is under way is pending."""
    assert [slug for slug, problem in PROBLEMS.items() if problem.outcome == "unknown"] == ["outcome-unknown"]
    assert [slug for slug, problem in PROBLEMS.items() if problem.outcome == "pending"] == ["in-progress"]


@pytest.mark.parametrize("problem", PROBLEMS.values())
def test_every_problem_has_a_title_and_a_page(problem: type[Problem]) -> None:
    """The first line of the docstring, and the rest of it."""
    assert title(problem)
    assert not title(problem).endswith(".")
    assert "\n" not in title(problem)
    assert len(explanation(problem)) > 40
    assert PROBLEMS[problem.slug] is problem


def test_a_problem_carries_its_faults() -> None:
    """What is wrong, and where; which invoice it was is said later."""
    fault = Fault("/number", "missing", "required")
    problem = Untranslatable("cannot", (fault,), 2.5)
    assert (str(problem), problem.detail, problem.faults, problem.retry_after) == ("cannot", "cannot", (fault,), 2.5)
    assert (problem.external_id, problem.invoice) == (None, None)
    assert Internal("oops").faults == ()


def test_a_problem_without_words_has_an_empty_title() -> None:
    """Docstrings may be stripped (`python -OO`)."""

    class Bare(Problem):
        __doc__ = None

    assert (title(Bare), explanation(Bare)) == ("", "")
