"""Options of the test run."""

import os

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are made says something of the machine, and nothing of what is tested.
settings.register_profile("here", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("here")
# A commit is judged by the same examples however often it is run; at home every run looks at new ones.
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
if "CI" in os.environ:
    settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update` writes what the mappings make of the conversations now; look at the diff before it is committed."""
    parser.addoption("--update", action="store_true", help="rewrite the conversation files with what comes out now")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long rows are not watched for coverage: it would double their time, and other tests reach every line."""
    for item in items:
        if {"proof", "fuzz"} & set(item.path.parts):
            item.add_marker(pytest.mark.no_cover)
