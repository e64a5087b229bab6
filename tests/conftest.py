"""Options of the test run."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update` writes what the mappings make of the conversations now; look at the diff before it is committed."""
    parser.addoption("--update", action="store_true", help="rewrite the conversation files with what comes out now")
