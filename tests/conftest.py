"""Options of the test run."""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from typing import Any

import coverage
import pytest
import uvloop
from hypothesis import HealthCheck, is_hypothesis_test, settings

from gateway.shell import footing
from gateway.shell.client import Way
from tests.support.ways import WAYS, Made, opened

# How fast examples are made says something of the machine, and nothing of what is tested.
settings.register_profile("here", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("here")
# A commit is judged by the same examples however often it is run; at home every run looks at new ones.
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
if "CI" in os.environ:
    settings.load_profile("ci")


# Eleven thousand tests stay in memory to the end: to look through them for garbage again and again would cost more than
# to collect them.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on the garbage of the tests themselves is collected, and less often."""
    gc.enable()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)


WATCHED = "COVERAGE_PROCESS_CONFIG"
"""By this a process that is started is watched for coverage, too."""


def pytest_configure(config: pytest.Config) -> None:
    """A worker is watched by its session alone, which looks away where it is told to.

    Until then it is watched as any process that is started, and by pytest-cov, which forgets that it has begun.
    """
    early: Any = config.pluginmanager.getplugin("_cov")
    if early is not None and hasattr(config, "workerinput"):
        early.cov_controller.cov.stop()
        coverage.process_startup.coverage.stop()  # type: ignore[attr-defined]  # it is set where one was begun


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What a test starts that is not watched is not watched either."""
    hidden = os.environ.pop(WATCHED, None) if item.get_closest_marker("no_cover") else None
    try:
        return (yield)
    finally:
        if hidden is not None:
            os.environ[WATCHED] = hidden


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update` writes what the mappings make of the conversations now; look at the diff before it is committed."""
    parser.addoption("--update", action="store_true", help="rewrite the conversation files with what comes out now")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long rows and generated examples are not watched for coverage, which would double or triple their time.

    Other tests reach every line: by what they say, and not by chance. Those come first: what is remembered for good
    (`functools.cache`) is computed while somebody watches.
    """
    for item in items:
        if _is_long(item) or (isinstance(item, pytest.Function) and is_hypothesis_test(item.function)):
            item.add_marker(pytest.mark.no_cover)
    # Long ones do not come last, when nobody is left to share them with.
    items.sort(key=lambda item: (item.get_closest_marker("no_cover") is not None, not _is_long(item)))


def _is_long(item: pytest.Item) -> bool:
    return bool({"proof", "fuzz", "whole"} & set(item.path.parts)) or item.path.stem == "test_store_machine"


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What is said of the ways to upstreams holds on both event loops."""
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    both = isinstance(item, pytest.Function) and "way_of" in item.fixturenames
    return loops if both else {"asyncio": loops["asyncio"]}


@pytest.fixture(params=WAYS)
def way_of(request: pytest.FixtureRequest) -> Made:
    """Each of the two ways to upstreams, to be opened by the test."""
    return WAYS[request.param]


@pytest.fixture
async def way(way_of: Made) -> AsyncIterator[Way]:
    """Each of them, open."""
    async with opened(way_of) as made:
        yield made


@pytest.fixture(params=WAYS)
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A gateway that goes the fast way to its upstreams, and one that finds no footing for it."""
    if request.param == "plain":
        monkeypatch.setattr(footing, "VERSION", "none")
    return str(request.param)


@pytest.fixture
def full() -> Iterator[int]:
    """A port whose queue of connections is full: another one is neither accepted nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])
        for one in waiting:
            one.close()
