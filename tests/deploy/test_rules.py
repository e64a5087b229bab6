"""The Prometheus Operator gets the rules that Prometheus gets."""

import pytest
import yaml

from tests.support.rules import OPERATOR, of_prometheus, wrapped


def test_the_operators_rules_are_those_of_prometheus(request: pytest.FixtureRequest) -> None:
    """One text is the other, further in; `--update` writes it."""
    text = of_prometheus()
    if request.config.getoption("--update"):
        OPERATOR.write_text(wrapped(text))
    assert OPERATOR.read_text() == wrapped(text)
    assert yaml.safe_load(OPERATOR.read_text())["spec"] == yaml.safe_load(text)


def test_wrapping_keeps_every_rule() -> None:
    """Also expressions of several lines, and lines without anything."""
    text = "# why\ngroups:\n  - name: a\n    rules:\n      - record: b\n        expr: |\n          c\n\n          + d\n"
    assert yaml.safe_load(wrapped(text))["spec"] == yaml.safe_load(text)
