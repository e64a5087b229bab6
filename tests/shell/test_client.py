"""The HTTP client against real sockets: what was never sent, what may have been read, and what is an answer."""

import asyncio
import gzip
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from gateway.core.exchange import Reply, Request
from gateway.core.result import NotSent, Unknown
from gateway.shell import client
from gateway.shell.auth import Fixed
from gateway.shell.client import Sender, Way
from gateway.shell.wire import MOST_BYTES
from tests.support.certificates import LOOPBACK, shown
from tests.support.ports import free_port
from tests.support.running import Peer, Play, address, answering, invoice, ok, playing, replaced, running
from tests.support.ways import ANONYMOUS, DIALECT, POST, WAYS, Made, opened, send, within


async def silent(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - a play
    """Accept the connection, and never say or read a thing."""
    await asyncio.sleep(60)


async def unanswered(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - a play
    """Read the request, and never answer."""
    await peer.read(reader)
    await asyncio.sleep(60)


async def closing(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close at once."""


def resetting(*, read: bool) -> Play:
    """Reset the connection, before or after the request was read."""

    async def play(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if read:
            await peer.read(reader)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return play


# ------------------------------------------------------------------ certainly not sent


async def test_a_refused_connection_is_not_sent(way: Way) -> None:
    """Nobody listens there."""
    seen = await send(way, f"http://127.0.0.1:{free_port()}")
    assert isinstance(seen, NotSent)
    assert seen.reason == "connect"


async def test_a_name_that_does_not_resolve_is_not_sent(way: Way) -> None:
    """RFC 6761 keeps `.invalid` unresolvable; the detail does not repeat the operator's host name."""
    seen = await send(way, "http://nowhere.invalid")
    assert isinstance(seen, NotSent)
    assert "nowhere" not in seen.detail


async def test_a_connection_that_is_not_made_in_time_is_not_sent(way: Way, full: int) -> None:
    """The deadline may come before the connection's own limit; nothing was written all the same."""
    seen = await send(way, f"http://127.0.0.1:{full}", seconds=0.3)
    assert isinstance(seen, NotSent)
    assert seen.reason == "connect-timeout"


async def test_the_limit_of_a_connection_holds_below_a_long_deadline(
    way: Way, full: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller does not wait for the whole deadline where nobody accepts."""
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.2)
    began = asyncio.get_running_loop().time()
    seen = await send(way, f"http://127.0.0.1:{full}", seconds=30)
    assert isinstance(seen, NotSent)
    assert asyncio.get_running_loop().time() - began < 5


async def test_tls_that_is_never_agreed_is_not_sent(way: Way) -> None:
    """A server that accepts the connection and then says nothing has not read a request, since none could be sent."""
    async with playing(silent) as peer:
        seen = await send(way, f"https://127.0.0.1:{peer.port}", seconds=0.3)
    assert isinstance(seen, NotSent)
    assert seen.reason == "connect-timeout"


@pytest.mark.parametrize("said", [b"", ok(), b"\x15\x03\x01\x00\x02\x02\x28", None])
async def test_tls_to_a_port_without_tls_is_not_sent(way: Way, said: bytes | None) -> None:
    """Whether it closes, answers in plain HTTP, sends an alert or resets: no request could be sent."""

    async def plain(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(16)  # the beginning of a handshake
        if said is None:
            await resetting(read=False)(peer, reader, writer)
        else:
            writer.write(said)

    async with playing(plain) as peer:
        seen = await send(way, f"https://127.0.0.1:{peer.port}", seconds=2)
    assert isinstance(seen, NotSent)


async def test_a_certificate_that_nobody_vouches_for_is_not_sent(way: Way, tmp_path: Path) -> None:
    """The upstream is not who it should be, so it is told nothing."""
    async with playing(answering(ok()), ssl=shown(tmp_path, LOOPBACK)) as peer:
        seen = await send(way, f"https://127.0.0.1:{peer.port}", seconds=2)
    assert isinstance(seen, NotSent)
    assert "TLS" in seen.detail
    assert peer.requests == []


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_a_deadline_that_has_passed_is_not_sent(way: Way, seconds: float) -> None:
    """No connection is even tried."""
    async with playing(answering(ok())) as peer:
        seen = await send(way, peer.url, seconds=seconds)
        assert isinstance(seen, NotSent)
        assert seen.reason == "deadline"
        assert peer.connections == 0


async def test_a_url_without_a_host_is_not_sent(way: Way) -> None:
    """The configuration refuses it; here it is no exception either."""
    assert isinstance(await send(way, "http://"), NotSent)


# ------------------------------------------------------------------ perhaps read


@pytest.mark.parametrize(
    "play",
    [closing, resetting(read=False), resetting(read=True), answering(b"")],
    ids=["closed-at-once", "reset-unread", "reset-after-reading", "closed-after-reading"],
)
async def test_a_connection_that_breaks_is_unknown(way: Way, play: Play) -> None:
    """Once it stood, nobody can tell whether the request was read."""
    async with playing(play) as peer:
        seen = await send(way, peer.url)
    assert isinstance(seen, Unknown)
    assert seen.reason == "connection"


async def test_a_request_that_is_not_answered_in_time_is_unknown(way: Way) -> None:
    """It was read, and nobody knows what became of it."""
    async with playing(unanswered) as peer:
        seen = await send(way, peer.url, seconds=0.2)
        assert len(peer.requests) == 1
    assert isinstance(seen, Unknown)
    assert seen.reason == "timeout"


@pytest.mark.parametrize("whole", [1, 7])
async def test_a_deadline_is_not_rounded_up(way: Way, whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would make one above five seconds end at the next whole one; read off the timers that it sets."""
    loop, asked = asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at

    def noting(when: float, *more: Any, **named: Any) -> asyncio.TimerHandle:
        asked.append(when)
        return call_at(when, *more, **named)

    monkeypatch.setattr(loop, "call_at", noting)
    async with playing(answering(ok())) as peer:
        seconds = whole + 0.5 - loop.time() % 1  # so that it ends in the middle of a second
        end = loop.time() + seconds
        assert isinstance(await send(way, peer.url, seconds=seconds), Reply)
    assert [when for when in asked if abs(when - end) < 0.1]
    assert not [when for when in asked if end + 0.1 < when < end + 1.5]


HALF = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": 1'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        HALF,
        HALF[:20],
        CHUNKED + b"5\r\n{}",
        CHUNKED + b"2\r\n{}\r\n",
        CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
        b"\x16\x03\x01nonsense\r\n\r\n",
        b"HTTP/1.1 abc Odd\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: nameless\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=lambda answer: str(answer[:60]),
)
async def test_an_answer_that_is_none_is_unknown(way: Way, answer: bytes) -> None:
    """Half an answer, a broken one, or something that is not HTTP: the request was read."""
    async with playing(answering(answer)) as peer:
        seen = await send(way, peer.url, seconds=2)
        assert len(peer.requests) == 1
    assert isinstance(seen, Unknown), seen


async def test_an_answer_that_stalls_is_unknown(way: Way) -> None:
    """Half of it came, the rest not before the deadline."""

    async def stalling(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        writer.write(HALF)
        await asyncio.sleep(60)

    async with playing(stalling) as peer:
        seen = await send(way, peer.url, seconds=0.2)
    assert isinstance(seen, Unknown)
    assert seen.reason == "timeout"


@pytest.mark.parametrize("sized", [True, False], ids=["content-length", "until-closed"])
async def test_an_oversized_answer_is_unknown_and_not_read_on(way: Way, *, sized: bool) -> None:
    """10 MiB are read and no more; its status is told."""
    sent, more = 0, MOST_BYTES * 20

    async def endless(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await peer.read(reader)
        length = f"Content-Length: {more}\r\n" if sized else ""
        writer.write(f"HTTP/1.1 201 Created\r\n{length}\r\n".encode())
        while sent < more:
            writer.write(b" " * 2**18)
            await writer.drain()
            sent += 2**18

    async with playing(endless) as peer:
        seen = await send(way, peer.url, seconds=20)
        assert isinstance(seen, Unknown)
        assert (seen.reason, seen.http_status) == ("oversized", 201)
        assert sent < more / 2  # what the buffers of two sockets hold was written too


async def test_an_answer_of_just_ten_mebibytes_is_read(way: Way) -> None:
    """The limit itself is allowed."""
    async with playing(answering(ok(b" " * MOST_BYTES))) as peer:
        seen = await send(way, peer.url, seconds=20)
    assert isinstance(seen, Reply)
    assert len(seen.body) == MOST_BYTES == 10 * 2**20


async def test_an_answer_of_a_byte_more_is_unknown(way: Way) -> None:
    """However it is sent."""
    for answer in (ok(b" " * (MOST_BYTES + 1)), CHUNKED + b"%x\r\n" % (MOST_BYTES + 1) + b" " * (MOST_BYTES + 1)):
        async with playing(answering(answer)) as peer:
            seen = await send(way, peer.url, seconds=20)
        assert isinstance(seen, Unknown)
        assert seen.reason == "oversized"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_never_followed(way: Way, status: str) -> None:
    """Where it leads to hears nothing, and the server that redirects nothing more; what came of it is unknown."""
    async with playing(answering(ok())) as target:
        redirect = ok(b"", status, f"Location: {target.url}/login")
        async with playing(answering(redirect, redirect)) as peer:
            seen = await send(way, peer.url)
            assert len(peer.requests) == 1
        assert target.connections == 0
    assert isinstance(seen, Unknown)
    assert (seen.reason, seen.http_status) == ("redirect", int(status[:3]))


@pytest.mark.parametrize("status", ["500 Error", "502 Bad", "503 Busy", "504 Slow", "408 Timeout", "599 Odd"])
async def test_a_server_error_is_unknown(way: Way, status: str) -> None:
    """A 5xx says nothing about whether the request was processed (RFC 9110 section 15.6)."""
    async with playing(answering(ok(b"{}", status))) as peer:
        seen = await send(way, peer.url)
    assert isinstance(seen, Unknown)
    assert seen.http_status == int(status[:3])


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "429 Too Many"])
async def test_a_request_that_was_turned_away_is_not_sent(way: Way, status: str) -> None:
    """Credentials that cannot be renewed are not tried twice."""
    async with playing(answering(ok(b"{}", status, "Retry-After: 3"), ok())) as peer:
        seen = await send(way, peer.url)
        assert len(peer.requests) == 1
    assert isinstance(seen, NotSent)
    assert seen.http_status == int(status[:3])


async def test_a_rate_limit_carries_its_delay(way: Way) -> None:
    """In seconds."""
    async with playing(answering(ok(b"{}", "429 Too Many", "Retry-After: 3"))) as peer:
        seen = await send(way, peer.url)
    assert isinstance(seen, NotSent)
    assert seen.retry_after == 3


async def test_a_connection_that_an_upstream_dropped_while_idle_sends_nothing_twice(
    way: Way,
) -> None:
    """The second request finds the connection closed; it is on a new one, or unknown, but never written to both."""
    async with playing(answering(ok())) as peer:
        assert isinstance(await send(way, peer.url), Reply)
        seen = await send(way, peer.url)
        assert len(peer.requests) <= 2
        assert isinstance(seen, Reply) is (len(peer.requests) == 2)


async def test_a_post_on_a_reused_connection_that_breaks_is_not_repeated(way: Way) -> None:
    """The upstream read it and closed; aiohttp must not try again on a fresh connection."""

    async def second_breaks(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(ok())(peer, reader, writer)
        await peer.read(reader)

    async with playing(second_breaks) as peer:
        assert isinstance(await send(way, peer.url), Reply)
        seen = await send(way, peer.url)
        assert isinstance(seen, Unknown)
        assert (peer.connections, len(peer.requests)) == (1, 2)


# ------------------------------------------------------------------ answers


async def test_an_answer_is_given_as_it_came(way: Way) -> None:
    """Status and bytes; header names in lower case, values as they are."""
    body = b'{"id": 1, "x": "\xc3\xa4\x00"}'
    async with playing(answering(ok(body, "422 No", "X-Request-ID: AbC", "CONTENT-TYPE: Text/Plain"))) as peer:
        seen = await send(way, peer.url)
    assert isinstance(seen, Reply)
    assert (seen.status, seen.body) == (422, body)
    assert (seen.headers["x-request-id"], seen.headers["content-type"]) == ("AbC", "Text/Plain")
    assert all(name == name.lower() for name in seen.headers)


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b'{"id": 1}', mtime=0), b'{"id": 1}', b"\x1f\x8b", gzip.compress(b" " * 2**24, mtime=0)],
    ids=["packed", "not packed", "cut off", "a bomb"],
)
async def test_an_answer_labelled_gzip_is_not_unpacked(way: Way, body: bytes) -> None:
    """We asked for none; what comes is the dialect's to find unreadable, and a small one cannot become a huge one."""
    async with playing(answering(ok(body, "200 OK", "Content-Encoding: gzip"))) as peer:
        seen = await send(way, peer.url)
    assert isinstance(seen, Reply)
    assert seen.body == body


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "nonsense"])
async def test_an_answer_of_any_other_encoding_is_no_exception(way: Way, encoding: str) -> None:
    """Its bytes are given as they came."""
    async with playing(answering(ok(b"{}", "200 OK", f"Content-Encoding: {encoding}"))) as peer:
        seen = await send(way, peer.url)
    assert isinstance(seen, Reply)
    assert seen.body == b"{}"


@pytest.mark.parametrize(
    "path",
    [
        "/a%2Fb%20c/%C3%A4?q=%26&r=a+b%2B",
        "/orders/..%2F..%2Fadmin/invoices",
        "/orders/%2e%2e%2Fadmin",
        "/invoice?where=refnumber%3AEQUALS%3AA%5C%2CB",
        "/a%25b%3Fc%23d",
        "/%7Euser/a~b;c=d,e@f:g!$'()*",
        "/a//b/",
        "/a%e4%E4",
    ],
)
async def test_a_path_arrives_byte_for_byte(way: Way, path: str) -> None:
    """What the mapping encoded is neither decoded, encoded again nor put in order."""
    async with playing(answering(ok())) as peer:
        await send(way, f"{peer.url}/prefix", Request("GET", path))
    assert peer.requests[0].partition(b"\r\n")[0] == f"GET /prefix{path} HTTP/1.1".encode()


async def test_a_slash_at_the_end_of_the_base_url_is_not_doubled(way: Way) -> None:
    """The mapping's path begins with one."""
    async with playing(answering(ok())) as peer:
        await send(way, f"{peer.url}/", Request("GET", "/invoices/1"))
    assert peer.requests[0].startswith(b"GET /invoices/1 HTTP/1.1\r\n")


async def test_a_request_carries_these_headers_and_no_others(way: Way) -> None:
    """The mapping's, the credentials', and what HTTP needs; none that would accept packed answers."""
    async with playing(answering(ok())) as peer:
        sender = Sender(peer.url, DIALECT, Fixed(lambda: (("X-Api-Key", "geheim"),)), way)
        await sender.send(POST, within(5))
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    names = [line.split(b":")[0].decode().lower() for line in head.split(b"\r\n")[1:]]
    expected = ["accept", "accept-encoding", "content-length", "content-type", "host", "user-agent", "x-api-key"]
    assert sorted(names) == expected
    assert b"\r\nAccept-Encoding: identity\r\n" in head
    assert body == POST.body


async def test_cookies_are_not_kept(way: Way) -> None:
    """Neither on the same connection nor on another."""
    first = ok(b"{}", "200 OK", "Set-Cookie: session=abc; Path=/")
    async with playing(answering(first, ok(), ok())) as peer:
        for _ in range(3):
            await send(way, peer.url)
    assert len(peer.requests) == 3
    assert not [request for request in peer.requests if b"cookie" in request.lower()]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_in_the_environment_is_ignored(name: str, way_of: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invoices go where the configuration says, and nowhere else."""
    async with playing(answering(ok())) as proxy, playing(answering(ok())) as peer:
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        way = way_of()
        assert isinstance(await send(way, peer.url), Reply)
        await way.close()
        assert (proxy.connections, len(peer.requests)) == (0, 1)


async def test_a_netrc_of_the_gateways_user_is_ignored(
    way_of: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials come from the configuration only."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password geheim\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with playing(answering(ok())) as peer:
        way = way_of()
        await send(way, peer.url)
        await way.close()
    assert b"authorization" not in peer.requests[0].lower()


async def test_a_connection_is_used_again(way: Way) -> None:
    """Two requests, one connection."""
    async with playing(answering(ok(), ok())) as peer:
        assert isinstance(await send(way, peer.url), Reply)
        assert isinstance(await send(way, peer.url), Reply)
        assert peer.connections == 1


async def test_without_reuse_every_request_has_its_own_connection(way_of: Made) -> None:
    """Whether or not the upstream says that it will close."""
    async with playing(answering(ok(), ok())) as peer:
        way = way_of(reuse=False)
        for _ in range(2):
            assert isinstance(await send(way, peer.url), Reply)
        await way.close()
        assert peer.connections == 2
        assert all(b"\r\nConnection: close\r\n" in request for request in peer.requests)


async def test_a_connection_is_not_used_after_a_status_that_the_dialect_names(tmp_path: Path) -> None:
    """After its 400, exsited's server may answer the next request of that connection with the same."""
    refusal = ok(b'{"errors": [{"code": "x", "message": "no"}]}', "400 Bad")
    oauth = 'token_path = "/api/v1/oauth2/token"\nclient_id = "sandbox-client"\nclient_secret = "sandbox-secret"'
    oauth += '\nredirect_uri = "https://gateway.example/callback"'
    async with playing(answering(refusal, refusal, refusal)) as peer:
        edits = (
            replaced("[upstreams.exsited-sydney.auth.oauth]", "[upstreams.exsited-sydney.auth]"),
            replaced(oauth, 'bearer = "t"'),
            lambda text: text.replace(address(text, "exsited"), peer.url),
        )
        async with running(tmp_path, *edits) as world:
            for number in range(3):
                assert (await world.send(invoice("exsited", external_id=f"no-{number}"))).status == 422
        assert (peer.connections, len(peer.requests)) == (3, 3)


async def test_a_header_that_is_not_utf8_is_told_all_the_same(tmp_path: Path) -> None:
    """A redirect to a place of raw bytes: unknown, as every redirect, and in words that can be written."""
    redirect = b"HTTP/1.1 302 Found\r\nLocation: /\xff\xfe\r\nContent-Length: 0\r\n\r\n"
    async with playing(answering(redirect)) as peer:

        def there(text: str) -> str:
            return text.replace(address(text, "chargeover"), peer.url)

        async with running(tmp_path, there) as world:
            answer = await world.send(invoice())
            assert [line for line in world.logged() if line["event"] == "defect"] == []
    assert (answer.status, answer.json["outcome"]) == (504, "unknown")
    assert "redirected to /" in answer.json["detail"]


async def test_a_body_that_the_upstream_does_not_read_does_not_hang(way: Way) -> None:
    """A large body to a peer that reads nothing ends by the deadline, unknown."""
    big = Request("POST", "/", b" " * 2**20)
    async with playing(silent) as peer:
        seen = await send(way, peer.url, big, seconds=0.3)
    assert isinstance(seen, Unknown)


async def test_an_answer_that_comes_before_the_body_is_read_counts(way: Way) -> None:
    """A 413 after the head alone: it is the dialect's to judge, or unknown where the connection broke; no exception."""

    async def early(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - a play
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ok(b"{}", "413 Too Large", "Connection: close"))
        await writer.drain()

    async with playing(early) as peer:
        seen = await send(way, peer.url, Request("POST", "/", b" " * 2**20), seconds=2)
    assert isinstance(seen, (Reply, Unknown))


async def test_only_a_cancelled_task_ends_as_one(way: Way) -> None:
    """Cancelling is no outcome; it goes on to whoever cancelled."""
    read = asyncio.Event()

    async def reading(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        read.set()
        await unanswered(peer, reader, writer)

    async with playing(reading) as peer:
        task = asyncio.create_task(send(way, peer.url))
        await read.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("reused", [False, True], ids=["new connection", "kept connection"])
async def test_a_process_that_was_paused_while_it_connected_sends_nothing(reused: bool, way: Way) -> None:
    """The deadline is looked at again right before the first byte; the connection stays good for others."""
    async with playing(answering(*[ok()] * 3)) as peer:
        if reused:
            await send(way, peer.url)
        before = len(peer.requests)
        looks = iter([5.0, -1.0])  # for the request, and once the connection stands
        seen = await Sender(peer.url, DIALECT, ANONYMOUS, way).send(POST, lambda: next(looks))
        assert isinstance(seen, NotSent)
        assert len(peer.requests) == before
        assert isinstance(await send(way, peer.url), Reply)
        assert peer.connections == 1


async def unasked(way: Way, rest: bytes, read: bool) -> tuple[list[bytes], int]:
    """The bodies that two requests get, where `rest` comes after the first answer, unasked; and the connections.

    If it is not `read`, it has arrived, and lies where it did, as on a machine that is busy.
    """
    writers = list[asyncio.StreamWriter]()

    async def play(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await peer.read(reader)
        writer.write(ok(b'{"number": %d}' % len(peer.requests)))
        await asyncio.sleep(60)

    async with playing(play) as peer:
        bodies = list[bytes]()
        for _ in range(2):
            seen = await send(way, peer.url)
            assert isinstance(seen, Reply)
            bodies.append(seen.body)
            if len(bodies) == 1:
                os.write(writers[0].get_extra_info("socket").fileno(), rest)
                if read:
                    await asyncio.sleep(0.05)
        return bodies, peer.connections


TWICE = ok(b'{"number": 99}', "201 Created")


@pytest.mark.parametrize(("rest", "read"), [(TWICE, True), (TWICE, False), (b"HTTP/1.1 201", False), (b"\r\n", False)])
async def test_what_comes_unasked_is_never_taken_for_the_next_answer(way: Way, rest: bytes, read: bool) -> None:
    """An answer that comes twice, or late: the next request has a connection of its own, and its own answer."""
    assert await unasked(way, rest, read) == ([b'{"number": 1}', b'{"number": 2}'], 2)


@pytest.mark.parametrize("rest", [b"HTTP/1.1 201", b"\r\n"])
async def test_the_fast_way_sees_also_what_came_unasked_in_part(rest: bytes) -> None:
    """Read and forgotten by aiohttp's own, whose next answer would begin in its middle."""
    async with opened(WAYS["fast"]) as way:
        assert await unasked(way, rest, read=True) == ([b'{"number": 1}', b'{"number": 2}'], 2)
