"""What the fast way stands on: that it is there, and that a gateway without it goes the plain way and says so."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.http import HttpResponseParser

from gateway.shell import footing
from gateway.shell.client import Plain
from gateway.shell.pool import Pool
from gateway.shell.ways import Ways
from gateway.shell.wire import parser
from tests.support.running import invoice, running


async def test_the_aiohttp_of_the_lock_files_has_all_that_the_fast_way_needs() -> None:
    """Nothing is lost; the gateway goes the fast way."""
    said = list[str]()
    assert footing.lost(asyncio.get_running_loop()) is None
    ways = Ways(said.append)
    await ways.close()
    assert said == []


class InPython:
    """A parser from elsewhere."""


class Altered:
    """A parser that differs in one answer."""

    def __init__(self, parser: HttpResponseParser, feed: Callable[[Any], Any]) -> None:
        self._parser = parser
        self._feed = feed

    def feed_data(self, piece: bytes) -> Any:
        """What is altered."""
        return self._feed(self._parser.feed_data(piece))

    def feed_eof(self) -> Any:
        """As it was."""
        return self._parser.feed_eof()


def nothing(_: Any) -> Any:
    """No message, whatever came."""
    return (), False, b""


def doubled(found: Any) -> Any:
    """Every answer twice."""
    return tuple(found[0]) * 2, *found[1:]


def broken(_: Any) -> Any:
    """Something else altogether."""
    raise AttributeError


def version(patch: pytest.MonkeyPatch) -> None:
    """Another release."""
    patch.setattr(aiohttp, "__version__", "3.15.0")


def interpreted(patch: pytest.MonkeyPatch) -> None:
    """Built without its extensions."""
    patch.setattr(footing, "HttpResponseParser", InPython)


def renamed(patch: pytest.MonkeyPatch) -> None:
    """Other parameters."""
    patch.setattr(aiohttp.TCPConnector, "_create_connection", lambda *_: None)


def built(patch: pytest.MonkeyPatch) -> None:
    """A factory that nobody calls."""
    patch.setattr(aiohttp.TCPConnector, "_create_direct_connection", lambda *_: None)


def gone(patch: pytest.MonkeyPatch) -> None:
    """Not there at all."""
    patch.delattr(aiohttp.TCPConnector, "_create_direct_connection")


def altered(feed: Callable[[Any], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """A parser whose answers differ."""
    return lambda patch: patch.setattr(footing, "parser", lambda wire, loop: Altered(parser(wire, loop), feed))


LOST = {
    "version": version,
    "in Python": interpreted,
    "renamed": renamed,
    "factory": built,
    "gone": gone,
    "no messages": altered(nothing),
    "doubled": altered(doubled),
    "broken": altered(broken),
}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
async def test_without_a_part_that_it_needs_the_fast_way_is_not_taken(
    lose: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is said why; both kinds of connections are the plain way's."""
    lose(monkeypatch)
    said = list[str]()
    ways = Ways(said.append)
    chosen = [type(way) for way in (ways.kept, ways.single)]
    await ways.close()
    assert len(said) == 1
    assert "aiohttp" in said[0]
    assert chosen == [Plain, Plain]


async def test_with_all_parts_both_kinds_of_connections_are_the_fast_ways() -> None:
    """Those that are kept, and those that are not."""
    ways = Ways(lambda _: None)
    chosen = [type(way) for way in (ways.kept, ways.single)]
    await ways.close()
    assert chosen == [Pool, Pool]


async def test_a_gateway_says_at_start_that_it_goes_the_plain_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, with the reason; invoices go on."""
    monkeypatch.setattr(footing, "VERSION", "2.")
    async with running(tmp_path) as world:
        assert (await world.send(invoice())).status == 201
        said = [line for line in world.logged() if line["event"] == "plain-client"]
    assert [(line["level"], line["reason"]) for line in said] == [
        ("warning", f"aiohttp is {aiohttp.__version__}, not 2.x")
    ]
