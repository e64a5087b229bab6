"""Texts for a terminal: aligned, complete, and without what does not belong there."""

from gateway.core.errors import Fault, Forbidden, InvalidInvoice
from gateway.shell.report import problem, table


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
