"""Both ways to upstreams against peers that speak bytes: where an answer ends, and what becomes of its connection."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from gateway.core.exchange import Reply, Request
from gateway.core.result import NotSent, Unknown
from gateway.shell import client
from gateway.shell.auth import Fixed
from gateway.shell.client import Plain, Sender, Way
from gateway.shell.wire import Wire
from tests.support.certificates import ELSEWHERE, LOOPBACK, shown, trusting
from tests.support.running import Peer, Play, answering, ok, playing
from tests.support.ways import DIALECT, POST, WAYS, Made, opened, send

# Of the body of a single request; the gateway's own are smaller.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
CHUNKED = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
BIG = Request("POST", "/invoices", b" " * 2**23)
"""More than two sockets hold."""


def in_pieces(*pieces: bytes, size: int = 0) -> Play:
    """Answer each request with these, each as it is or in parts of a size, so that they are read one by one."""

    async def play(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.read(reader)
            for piece in pieces:
                for start in range(0, len(piece), size or len(piece)):
                    writer.write(piece[start : start + (size or len(piece))])
                    await writer.drain()
                    await asyncio.sleep(0.001)

    return play


# ------------------------------------------------------------------ where an answer ends


class Told(NamedTuple):
    """What is said to a request, and what is to be read of it: status, body, and whether the connection stays.

    None: only the fast way sees that it must not; aiohttp's own forgets half an answer when it begins with the next.
    """

    pieces: tuple[bytes, ...]
    status: int
    body: bytes
    stays: bool | None


TOLD = {
    "sized": Told((ok(b"abc"),), 200, b"abc", True),
    "head and body apart": Told((ok(b"abc")[:-3], b"abc"), 200, b"abc", True),
    "chunked": Told((CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",), 201, b"abc", True),
    "chunk by chunk": Told((CHUNKED, b"1\r\na\r\n", b"2;x=y\r\nbc\r\n", b"0\r\n\r\n"), 201, b"abc", True),
    "empty": Told((ok(b"", "404 Not Found"),), 404, b"", True),
    "without content": Told((b"HTTP/1.1 204 No Content\r\n\r\n",), 204, b"", True),
    "not modified, as long as it would be": Told(
        (b"HTTP/1.1 304 Not\r\nContent-Length: 5\r\nRetry-After: 1\r\n\r\n",), 304, b"", True
    ),
    "after hints": Told((b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", ok(b"abc")), 200, b"abc", True),
    "after two interims": Told((b"HTTP/1.1 100 C\r\n\r\n" + b"HTTP/1.1 102 P\r\n\r\n", ok(b"abc")), 200, b"abc", True),
    "closing": Told((ok(b"abc", "200 OK", "Connection: close"),), 200, b"abc", False),
    "of HTTP/1.0": Told((b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",), 200, b"abc", False),
    "of HTTP/1.0, staying": Told(
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",), 200, b"abc", True
    ),
    "a second one at once": Told((ok(b"abc") + ok(b"other"),), 200, b"abc", False),
    "half a second one at once": Told((ok(b"abc") + b"HTTP/1.1 201 Cr",), 200, b"abc", None),
    "more than its length": Told((ok(b"abc") + b"\r\n",), 200, b"abc", None),
    "chunked, a second chunked one at once": Told((2 * (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"),), 201, b"abc", False),
    "chunked, half a second one at once": Told(
        (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + b"HTTP/1.1 201 Cr",), 201, b"abc", None
    ),
    "chunked, a second one at once": Told((CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + ok(b"other"),), 201, b"abc", False),
}


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
async def test_an_answer_ends_where_it_says_and_its_connection_is_used_again_only_then(way: Way, told: Told) -> None:
    """Whatever else came with it is nobody's answer; the next request has its own."""
    async with playing(in_pieces(*told.pieces)) as peer:
        seen = [await send(way, peer.url) for _ in range(2)]
        connections = peer.connections
    for each in seen:
        if told.status == 304:
            assert isinstance(each, Unknown)
            assert each.http_status == 304
        else:
            assert isinstance(each, Reply)
            assert (each.status, each.body) == (told.status, told.body)
    surely = told.stays is False or (told.stays is None and not isinstance(way, Plain))
    assert connections in ((2,) if surely else (1, 2))


@pytest.mark.parametrize("name", ["sized", "chunked", "without content", "chunk by chunk"])
async def test_a_connection_stays_after_an_answer_that_came_alone(way: Way, name: str) -> None:
    """Three requests, one connection."""
    async with playing(in_pieces(*TOLD[name].pieces)) as peer:
        for _ in range(3):
            assert isinstance(await send(way, peer.url), Reply)
        assert peer.connections == 1


@pytest.mark.parametrize("name", [name for name in TOLD if "at once" not in name])
async def test_an_answer_is_the_same_byte_by_byte(way: Way, name: str) -> None:
    """However the network cuts it."""
    told = TOLD[name]
    async with playing(in_pieces(b"".join(told.pieces), size=1)) as peer:
        seen = await send(way, peer.url)
    if told.status == 304:
        assert isinstance(seen, Unknown)
    else:
        assert isinstance(seen, Reply)
        assert (seen.status, seen.body) == (told.status, told.body)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"])
async def test_an_answer_without_a_length_ends_with_its_connection(way: Way, head: bytes) -> None:
    """RFC 9112 section 6.3: there is no other end."""
    async with playing(answering(head + b"abc")) as peer:
        for count in (1, 2):
            seen = await send(way, peer.url)
            assert isinstance(seen, Reply)
            assert seen.body == b"abc"
            assert peer.connections == count


async def test_a_trailer_is_read_away(way: Way) -> None:
    """It is neither body nor the next answer."""
    answer = CHUNKED + b"3\r\nabc\r\n0\r\nX-Sum: 0\r\n\r\n"
    async with playing(in_pieces(answer)) as peer:
        for _ in range(2):
            seen = await send(way, peer.url)
            assert isinstance(seen, Reply)
            assert seen.body == b"abc"


# ------------------------------------------------------------------ when a connection is not used again


async def gone(reader: asyncio.StreamReader) -> None:
    """Read until the other side has closed."""
    while await reader.read(65536):
        pass


async def test_a_connection_that_nobody_needs_is_closed(way_of: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before upstreams usually would; the next request has a new one."""
    monkeypatch.setattr(client, "KEEP_ALIVE_SECONDS", 0.1)
    closed = asyncio.Event()

    async def play(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        writer.write(ok())
        await gone(reader)
        closed.set()

    async with playing(play) as peer, opened(way_of) as way:
        assert isinstance(await send(way, peer.url), Reply)
        async with asyncio.timeout(5):
            await closed.wait()
        assert isinstance(await send(way, peer.url), Reply)
        assert peer.connections == 2


async def test_a_connection_that_was_paused_beyond_its_time_is_not_used(
    way_of: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody had the time to close it; it is too old all the same."""
    monkeypatch.setattr(client, "KEEP_ALIVE_SECONDS", 0.0)
    async with playing(in_pieces(ok())) as peer, opened(way_of) as way:
        for count in (1, 2):
            assert isinstance(await send(way, peer.url), Reply)
            assert peer.connections == count


async def test_an_answer_to_half_a_request_is_the_last_of_its_connection(way: Way) -> None:
    """The peer may take the rest of the body for a request of its own."""

    async def early(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(ok(b"{}", "422 No"))
        await asyncio.sleep(60)

    async with playing(early) as peer:
        for count in (1, 2):
            seen = await send(way, peer.url, BIG, seconds=5)
            assert isinstance(seen, Reply)
            assert (seen.status, peer.connections, len(peer.requests)) == (422, count, count)


async def test_connections_that_are_open_are_closed_at_the_end(way_of: Made) -> None:
    """The idle one, and the one whose answer is waited for; its outcome is unknown."""
    ended, answered = list[int](), asyncio.Event()

    async def play(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = peer.connections
        await peer.read(reader)
        if number == 1:
            writer.write(ok())
        answered.set()
        await gone(reader)
        ended.append(number)

    async with playing(play) as peer:
        async with opened(way_of) as way:
            slow = asyncio.create_task(send(way, peer.url))
            await answered.wait()
            await slow
            answered.clear()
            waiting = [asyncio.create_task(send(way, peer.url)) for _ in range(2)]
            await answered.wait()
        for each in await asyncio.gather(*waiting):
            assert isinstance(each, Unknown)
            assert each.reason == "connection"
        await ended_are(ended, [1, 2])


# ------------------------------------------------------------------ given up at any moment


async def ended_are(ends: list[int], wanted: list[int]) -> None:
    """Wait until just these connections have gone."""
    for _ in range(500):
        if sorted(ends) == wanted:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(ends)


def until(moment: str, there: asyncio.Event, ends: list[int]) -> Play:
    """A peer that goes on until then, and notes when its connection has gone."""

    async def play(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = peer.connections
        try:
            if number > 1:
                await in_pieces(ok())(peer, reader, writer)
            if moment == "writing":
                await reader.readuntil(b"\r\n\r\n")
            else:
                await peer.read(reader)
            if moment == "body":
                writer.write(ok(b"abc")[:-1])
                await writer.drain()
            there.set()
            await gone(reader)
        finally:
            ends.append(number)

    return play


MOMENTS = ["writing", "waiting", "body"]


@asynccontextmanager
async def at(moment: str) -> AsyncIterator[tuple[Peer, asyncio.Event, list[int]]]:
    """A peer whose first connection comes as far as that."""
    there, ends = asyncio.Event(), list[int]()
    async with playing(until(moment, there, ends)) as peer:
        yield peer, there, ends


@pytest.mark.parametrize("moment", MOMENTS)
async def test_an_exchange_that_is_cancelled_takes_its_connection_with_it(way: Way, moment: str) -> None:
    """What still comes over it would be the answer to something else."""
    async with at(moment) as (peer, there, ends):
        task = asyncio.create_task(send(way, peer.url, BIG if moment == "writing" else POST))
        await there.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(await send(way, peer.url), Reply)
        assert peer.connections == 2
        await ended_are(ends, [1])


@pytest.mark.parametrize("moment", MOMENTS)
async def test_an_exchange_that_is_too_late_takes_its_connection_with_it(way: Way, moment: str) -> None:
    """It is unknown, and the next request has another connection."""
    async with at(moment) as (peer, _, ends):
        seen = await send(way, peer.url, BIG if moment == "writing" else POST, seconds=0.3)
        assert isinstance(seen, Unknown)
        assert seen.reason == "timeout"
        assert isinstance(await send(way, peer.url), Reply)
        assert peer.connections == 2
        await ended_are(ends, [1])


@pytest.mark.parametrize(("first", "second"), [(30.0, 0.3), (0.2, 0.3)], ids=["sooner", "later"])
async def test_each_exchange_of_a_connection_has_its_own_deadline(way: Way, first: float, second: float) -> None:
    """Whatever the one before had."""
    loop = asyncio.get_running_loop()

    async def once(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        writer.write(ok())
        await gone(reader)

    async with playing(once) as peer:
        assert isinstance(await send(way, peer.url, seconds=first), Reply)
        began = loop.time()
        seen = await send(way, peer.url, seconds=second)
        assert isinstance(seen, Unknown)
        assert seen.reason == "timeout"
        assert second <= loop.time() - began + 0.01 < 5
        assert peer.connections == 1


async def test_a_connection_outlives_the_deadline_of_its_exchange(way: Way) -> None:
    """It was answered in time; what was its time does not end the connection."""
    async with playing(in_pieces(ok())) as peer:
        for _ in range(2):
            assert isinstance(await send(way, peer.url, seconds=0.3), Reply)
            await asyncio.sleep(0.4)
        assert peer.connections == 1


async def test_a_deadline_that_was_kept_does_not_end_what_follows(way: Way) -> None:
    """The second exchange goes on when the time of the first is over."""

    async def slower(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for wait in (0.0, 0.5):
            await peer.read(reader)
            await asyncio.sleep(wait)
            writer.write(ok())
        await gone(reader)

    async with playing(slower) as peer:
        assert isinstance(await send(way, peer.url, seconds=0.3), Reply)
        assert isinstance(await send(way, peer.url, seconds=5), Reply)
        assert peer.connections == 1


async def test_a_body_that_a_reset_cuts_off_is_unknown_by_the_fast_way() -> None:
    """It has no other end than the connection's; aiohttp's own takes what there is for all of it."""

    async def resetting(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nabc")
        await writer.drain()
        await asyncio.sleep(0.05)
        kept = writer.get_extra_info("socket")
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with playing(resetting) as peer, opened(WAYS["fast"]) as way:
        seen = await send(way, peer.url)
    assert isinstance(seen, Unknown)
    assert seen.reason == "connection"


async def test_an_exchange_that_is_cancelled_while_it_connects_leaves_nothing(way: Way, full: int) -> None:
    """The way can be closed afterwards; it waits for nobody."""
    task = asyncio.create_task(send(way, f"http://127.0.0.1:{full}"))
    await asyncio.sleep(0.05)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("steps", range(1, 12))
async def test_whenever_an_exchange_is_cancelled_the_way_can_be_closed(way_of: Made, steps: int) -> None:
    """At each of the turns of the loop that it takes, before, within and after connecting."""
    async with playing(in_pieces(ok())) as peer, asyncio.timeout(10), opened(way_of) as way:
        task = asyncio.create_task(send(way, peer.url))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        found = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(found[0], (asyncio.CancelledError, Reply))
        before = len(peer.requests)
        assert isinstance(await send(way, peer.url), Reply)
        assert len(peer.requests) <= before + 2


# ------------------------------------------------------------------ TLS


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both certificates are vouched for, here only."""
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting(LOOPBACK, ELSEWHERE))


@pytest.mark.usefixtures("trusted")
async def test_a_connection_with_tls_is_used_again(way: Way, tmp_path: Path) -> None:
    """It is answered over it, whole or in chunks."""
    async with playing(in_pieces(CHUNKED, b"3\r\nabc\r\n0\r\n\r\n"), ssl=shown(tmp_path, LOOPBACK)) as peer:
        for _ in range(3):
            seen = await send(way, f"https://localhost:{peer.port}")
            assert isinstance(seen, Reply), seen
            assert seen.body == b"abc"
        assert (peer.connections, len(peer.requests)) == (1, 3)
    assert b"\r\nHost: localhost:" in peer.requests[0]


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_of_another_host_is_not_sent(way: Way, tmp_path: Path) -> None:
    """However good it is: the upstream is not who it should be, so it is told nothing."""
    async with playing(in_pieces(ok()), ssl=shown(tmp_path, ELSEWHERE)) as peer:
        seen = await send(way, f"https://localhost:{peer.port}")
        assert isinstance(seen, NotSent), seen
        assert "TLS" in seen.detail
        assert peer.requests == []


@pytest.mark.usefixtures("trusted")
async def test_a_connection_with_tls_that_ended_while_idle_is_not_used(way: Way, tmp_path: Path) -> None:
    """The second request has a connection of its own, or is unknown; it is written once."""
    async with playing(answering(ok()), ssl=shown(tmp_path, LOOPBACK)) as peer:
        assert isinstance(await send(way, f"https://localhost:{peer.port}"), Reply)
        await asyncio.sleep(0.1)
        assert isinstance(await send(way, f"https://localhost:{peer.port}"), Reply)
        assert (peer.connections, len(peer.requests)) == (2, 2)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("moment", MOMENTS)
async def test_an_exchange_over_tls_that_is_too_late_is_unknown(way: Way, moment: str, tmp_path: Path) -> None:
    """As without TLS; and the next one has another connection."""
    there, ends = asyncio.Event(), list[int]()
    async with playing(until(moment, there, ends), ssl=shown(tmp_path, LOOPBACK)) as peer:
        url = f"https://localhost:{peer.port}"
        seen = await send(way, url, BIG if moment == "writing" else POST, seconds=0.5)
        assert isinstance(seen, Unknown), seen
        assert seen.reason == "timeout"
        assert isinstance(await send(way, url), Reply)
        assert peer.connections == 2


# ------------------------------------------------------------------ what is written

WRITTEN = [
    POST,
    Request("GET", "/invoices/1?a=%20", b"", (("accept", "application/json"),)),
    Request("GET", "/search", b"{}"),
    Request("POST", "/empty"),
    Request("PUT", "/invoices/1", b"\x00\xff", (("Content-Type", "text/plain"), ("Idempotency-Key", "k"))),
    Request("DELETE", "/invoices/1"),
    Request("PATCH", "/x", b"a" * 70_000, (("accept-language", "de, en;q=0.5"),)),
    Request("HEAD", "/x"),
    Request("OPTIONS", "/x"),
]


@pytest.mark.parametrize("reuse", [True, False], ids=["kept", "single"])
async def test_both_ways_write_the_same_requests(reuse: bool) -> None:
    """The order of the headers aside."""
    found = {}
    for name, each in WAYS.items():
        async with playing(in_pieces(ok(b""))) as peer, opened(each, reuse=reuse) as way:
            for request in WRITTEN:
                await send(way, peer.url, request)
        host = f"{peer.port}".encode()
        found[name] = [_parts(request.replace(host, b"PORT")) for request in peer.requests]
    assert len(found["plain"]) == len(WRITTEN)
    assert found["plain"] == found["fast"]


def _parts(request: bytes) -> tuple[bytes, list[bytes], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    names = [header.partition(b":") for header in headers]
    return line, sorted(name.lower() + colon + value for name, colon, value in names), body


@pytest.mark.parametrize("base", ["http://of:him@127.0.0.1:{}/v1", "http://127.0.0.1:{}/v1/", "http://127.0.0.1:{}"])
@pytest.mark.parametrize("name", ["X-Api-Key", "User-Agent", "Connection"])
async def test_both_ways_go_by_the_same_addresses_and_credentials(base: str, name: str) -> None:
    """What the fast way cannot write it leaves to the plain one."""
    found = {}
    for way, each in WAYS.items():
        async with playing(in_pieces(ok())) as peer, opened(each) as made:
            sender = Sender(base.format(peer.port), DIALECT, Fixed(lambda: ((name, "close"),)), made)
            assert isinstance(await sender.send(POST, lambda: 5.0), Reply)
        found[way] = _parts(peer.requests[0].replace(f"{peer.port}".encode(), b"PORT"))
    assert found["plain"] == found["fast"]


async def test_a_connection_that_has_ended_is_asked_nothing() -> None:
    """Nobody can tell it from one that ended when it was asked: unknown."""
    loop = asyncio.get_running_loop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await Wire(loop, lambda _: None).ask(b"GET / HTTP/1.1\r\n\r\n", loop.time() + 5)


async def test_the_fast_way_connects_to_nobody_once_it_is_closed() -> None:
    """What was under way was finished before."""
    async with playing(in_pieces(ok())) as peer:
        async with opened(WAYS["fast"]) as way:
            pass
        assert isinstance(await send(way, peer.url), Unknown)
        assert peer.connections == 0


@pytest.mark.parametrize(
    "request_",
    [
        Request("POST", "/a b"),
        Request("POST", "/a\r\nX: y"),
        Request("POST", "/\u00e4"),
        Request("POST", "/a#b"),
        Request("POST", "no-slash"),
        Request("POST", "/x", b"", (("accept", "a\r\nX: y"),)),
        Request("POST", "/x", b"", (("accept", "a\x00"),)),
        Request("POST", "/x", b"", (("accept", "\ud800"),)),
    ],
    ids=repr,
)
async def test_what_could_be_taken_for_another_request_is_not_sent(way: Way, request_: Request) -> None:
    """Mappings encode what they put in; if one forgets to, nothing goes out."""
    async with playing(in_pieces(ok())) as peer:
        seen = await send(way, peer.url, request_)
        assert isinstance(seen, NotSent)
        assert (peer.connections, peer.requests) == (0, [])
