"""Texts for a terminal: aligned, complete, and without what does not belong there."""

import json
from pathlib import Path
from typing import Any

from gateway.core.errors import Fault, Forbidden, InvalidInvoice
from gateway.core.explain import Explanation, explain
from gateway.core.plan import Caller
from gateway.shell.compose import book, offline_targets
from gateway.shell.configuration import load
from gateway.shell.report import explanation, problem, table
from tests.support.running import configured, invoice


def explained(folder: Path, dialect: str, *, everywhere: bool = False, **changes: Any) -> Explanation:
    """What would become of the demo's invoice."""
    loaded = load(configured(folder, "http://127.0.0.1:1"))
    body = json.dumps(invoice(dialect, **changes)).encode()
    return explain(body, None, Caller("local"), book(loaded), offline_targets(loaded), all_upstreams=everywhere)


def test_a_table_has_aligned_columns() -> None:
    """The last one is as long as it is; nothing hangs over at the end."""
    rows = [("a", "1", "first"), ("long", "22", ""), ("", "", "a last column that is long")]
    assert list(table(rows)) == ["  a     1   first", "  long  22", "            a last column that is long"]
    assert list(table([])) == []
    assert list(table([("only",)], "")) == ["only"]


def test_a_problem_names_every_fault_and_its_place() -> None:
    """Its title and slug first; a fault of the whole body has a dash."""
    found = problem(InvalidInvoice("two", (Fault("/currency", "x", "no such"), Fault("", "y", "empty"))))
    assert found.splitlines() == [
        "The invoice is not valid (invalid-invoice)",
        "  /currency  no such",
        "  -          empty",
    ]


def test_a_problem_without_faults_has_its_detail() -> None:
    """What there is to say."""
    assert problem(Forbidden("not you")).splitlines()[1:] == ["  not you"]


def test_an_explanation_has_everything_a_person_asks_for(tmp_path: Path) -> None:
    """Route, totals, claim, protection, losses counted over lines, request."""
    text = explanation(explained(tmp_path, "chargeover"))
    for words in (
        "billing:acct-88:2026-06:chargeover is taken by rule 'default'",
        "not by 'workshops':",
        "chargeover-us (chargeover): sendable",
        "the API itself",
        "× 5",
        "POST http://127.0.0.1:1/chargeover/api/v3/invoice",
        "Authorization: ***",
    ):
        assert words in text
    assert "/lines/*/taxes/*/rate" in text
    assert "/lines/0/" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_totals_are_written_below_each_other(tmp_path: Path) -> None:
    """Right-aligned, so that the points stand in one column."""
    lines = explanation(explained(tmp_path, "katsupay")).splitlines()
    ends = {len(line) for line in lines if line.strip().startswith(("line total", "tax total", "amount due"))}
    assert len(ends) == 1


def test_what_the_upstream_decides_is_not_called_a_claim(tmp_path: Path) -> None:
    """At exsited the order does."""
    assert "decided by the upstream" in explanation(explained(tmp_path, "exsited"))


def test_an_upstream_that_cannot_carry_it_says_why(tmp_path: Path) -> None:
    """With the place, beside those that can."""
    text = explanation(explained(tmp_path, "chargeover", everywhere=True, due_date=None))
    assert "katsupay-lagos (katsupay): untranslatable" in text
    assert "/due_date" in text
    assert "chargeover-us (chargeover): sendable" in text
