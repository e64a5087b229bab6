"""The HTTP client against real sockets: what was never sent, what may have been read, and what is an answer."""

import asyncio
import gzip
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.core.exchange import Reply, Request, Seen
from gateway.core.result import NotSent, Unknown
from gateway.shell import client
from gateway.shell.auth import Fixed
from gateway.shell.catalog import dialects
from gateway.shell.client import MOST_BYTES, Sender
from tests.support.running import Peer, Play, address, answering, invoice, ok, playing, replaced, running

POST = Request("POST", "/invoices", b'{"amount":1}', (("content-type", "application/json"),))
GET = Request("GET", "/invoices/1")
DIALECT = dialects()["mykaarma"]
ANONYMOUS = Fixed(tuple)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """The gateway's session for upstreams."""
    made = client.session()
    yield made
    await client.closed(made)


def within(seconds: float) -> Callable[[], float]:
    """The seconds that are left of so many from now."""
    end = asyncio.get_running_loop().time() + seconds
    return lambda: end - asyncio.get_running_loop().time()


async def send(session: aiohttp.ClientSession, url: str, request: Request = POST, seconds: float = 5.0) -> Seen:
    """One request by a sender of its own."""
    return await Sender(url, DIALECT, ANONYMOUS, session).send(request, within(seconds))


def free_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


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


async def test_a_refused_connection_is_not_sent(session: aiohttp.ClientSession) -> None:
    """Nobody listens there."""
    seen = await send(session, f"http://127.0.0.1:{free_port()}")
    assert isinstance(seen, NotSent)
    assert seen.reason == "connect"


async def test_a_name_that_does_not_resolve_is_not_sent(session: aiohttp.ClientSession) -> None:
    """RFC 6761 keeps `.invalid` unresolvable; the detail does not repeat the operator's host name."""
    seen = await send(session, "http://nowhere.invalid")
    assert isinstance(seen, NotSent)
    assert "nowhere" not in seen.detail


async def test_a_connection_that_is_not_made_in_time_is_not_sent(session: aiohttp.ClientSession, full: int) -> None:
    """The deadline may come before the connection's own limit; nothing was written all the same."""
    seen = await send(session, f"http://127.0.0.1:{full}", seconds=0.3)
    assert isinstance(seen, NotSent)
    assert seen.reason == "connect-timeout"


async def test_the_limit_of_a_connection_holds_below_a_long_deadline(
    session: aiohttp.ClientSession, full: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller does not wait for the whole deadline where nobody accepts."""
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.2)
    began = asyncio.get_running_loop().time()
    seen = await send(session, f"http://127.0.0.1:{full}", seconds=30)
    assert isinstance(seen, NotSent)
    assert asyncio.get_running_loop().time() - began < 5


async def test_tls_that_is_never_agreed_is_not_sent(session: aiohttp.ClientSession) -> None:
    """A server that accepts the connection and then says nothing has not read a request, since none could be sent."""
    async with playing(silent) as peer:
        seen = await send(session, f"https://127.0.0.1:{peer.port}", seconds=0.3)
    assert isinstance(seen, NotSent)
    assert seen.reason == "connect-timeout"


@pytest.mark.parametrize("said", [b"", ok(), b"\x15\x03\x01\x00\x02\x02\x28", None])
async def test_tls_to_a_port_without_tls_is_not_sent(session: aiohttp.ClientSession, said: bytes | None) -> None:
    """Whether it closes, answers in plain HTTP, sends an alert or resets: no request could be sent."""

    async def plain(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(16)  # the beginning of a handshake
        if said is None:
            await resetting(read=False)(peer, reader, writer)
        else:
            writer.write(said)

    async with playing(plain) as peer:
        seen = await send(session, f"https://127.0.0.1:{peer.port}", seconds=2)
    assert isinstance(seen, NotSent)


async def test_a_certificate_that_nobody_vouches_for_is_not_sent(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The upstream is not who it should be, so it is told nothing."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(signed_by_itself(tmp_path))
    async with playing(answering(ok()), ssl=context) as peer:
        seen = await send(session, f"https://127.0.0.1:{peer.port}", seconds=2)
    assert isinstance(seen, NotSent)
    assert "TLS" in seen.detail
    assert peer.requests == []


def signed_by_itself(folder: Path) -> Path:
    """A certificate for loopback with its key; it opens nothing."""
    path = folder / "loopback.pem"
    parts = (("PRIVATE KEY", KEY), ("CERTIFICATE", CERTIFICATE))
    path.write_text("".join(f"-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n" for kind, text in parts))
    return path


KEY = (
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUeHMHxDGbLTs0wI8L11/0I15E0rxGcKoHLDCJXYwshmhRANCAASc"
    "0EnhkMXXotKbphaHuJcayTU0vhehdQItcL78OgvIt34yNNY0ALN+hXHMr1R4zXTsLNkVwGnV09W4azmHpNSY"
)
CERTIFICATE = (
    "MIIBmzCCAUGgAwIBAgIUD367S4DDfGJvbSbxREhvO8Ew3UcwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2"
    "MTEyMjIxMjYzM1oYDzIxMjYxMDI5MjEyNjMzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC"
    "AASc0EnhkMXXotKbphaHuJcayTU0vhehdQItcL78OgvIt34yNNY0ALN+hXHMr1R4zXTsLNkVwGnV09W4azmHpNSYo28wbTAdBgNV"
    "HQ4EFgQULHmZ7c4NMJt1C/BlrGPIaZ8qM0YwHwYDVR0jBBgwFoAULHmZ7c4NMJt1C/BlrGPIaZ8qM0YwDwYDVR0TAQH/BAUwAwEB"
    "/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZIzj0EAwIDSAAwRQIhAKxhQ1u4c/s4f0BetItWYl1Sc3t7Afot7QnT"
    "SafwOiptAiBjW/EMfbpInAx7fRFcpw9MgEYcqJjafvxU+pRYUMKkbg=="
)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_a_deadline_that_has_passed_is_not_sent(session: aiohttp.ClientSession, seconds: float) -> None:
    """No connection is even tried."""
    async with playing(answering(ok())) as peer:
        seen = await send(session, peer.url, seconds=seconds)
        assert isinstance(seen, NotSent)
        assert seen.reason == "deadline"
        assert peer.connections == 0


async def test_a_url_without_a_host_is_not_sent(session: aiohttp.ClientSession) -> None:
    """The configuration refuses it; here it is no exception either."""
    assert isinstance(await send(session, "http://"), NotSent)


# ------------------------------------------------------------------ perhaps read


@pytest.mark.parametrize(
    "play",
    [closing, resetting(read=False), resetting(read=True), answering(b"")],
    ids=["closed-at-once", "reset-unread", "reset-after-reading", "closed-after-reading"],
)
async def test_a_connection_that_breaks_is_unknown(session: aiohttp.ClientSession, play: Play) -> None:
    """Once it stood, nobody can tell whether the request was read."""
    async with playing(play) as peer:
        seen = await send(session, peer.url)
    assert isinstance(seen, Unknown)
    assert seen.reason == "connection"


async def test_a_request_that_is_not_answered_in_time_is_unknown(session: aiohttp.ClientSession) -> None:
    """It was read, and nobody knows what became of it."""
    async with playing(unanswered) as peer:
        seen = await send(session, peer.url, seconds=0.2)
        assert len(peer.requests) == 1
    assert isinstance(seen, Unknown)
    assert seen.reason == "timeout"


@pytest.mark.parametrize("whole", [1, 7])
async def test_a_deadline_is_not_rounded_up(
    session: aiohttp.ClientSession, whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        assert isinstance(await send(session, peer.url, seconds=seconds), Reply)
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
async def test_an_answer_that_is_none_is_unknown(session: aiohttp.ClientSession, answer: bytes) -> None:
    """Half an answer, a broken one, or something that is not HTTP: the request was read."""
    async with playing(answering(answer)) as peer:
        seen = await send(session, peer.url, seconds=2)
        assert len(peer.requests) == 1
    assert isinstance(seen, Unknown), seen


async def test_an_answer_that_stalls_is_unknown(session: aiohttp.ClientSession) -> None:
    """Half of it came, the rest not before the deadline."""

    async def stalling(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        writer.write(HALF)
        await asyncio.sleep(60)

    async with playing(stalling) as peer:
        seen = await send(session, peer.url, seconds=0.2)
    assert isinstance(seen, Unknown)
    assert seen.reason == "timeout"


@pytest.mark.parametrize("sized", [True, False], ids=["content-length", "until-closed"])
async def test_an_oversized_answer_is_unknown_and_not_read_on(session: aiohttp.ClientSession, *, sized: bool) -> None:
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
        seen = await send(session, peer.url, seconds=20)
        assert isinstance(seen, Unknown)
        assert (seen.reason, seen.http_status) == ("oversized", 201)
        assert sent < more / 2  # what the buffers of two sockets hold was written too


async def test_an_answer_of_just_ten_mebibytes_is_read(session: aiohttp.ClientSession) -> None:
    """The limit itself is allowed."""
    async with playing(answering(ok(b" " * MOST_BYTES))) as peer:
        seen = await send(session, peer.url, seconds=20)
    assert isinstance(seen, Reply)
    assert len(seen.body) == MOST_BYTES == 10 * 2**20


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_never_followed(session: aiohttp.ClientSession, status: str) -> None:
    """Where it leads to hears nothing, and the server that redirects nothing more; what came of it is unknown."""
    async with playing(answering(ok())) as target:
        redirect = ok(b"", status, f"Location: {target.url}/login")
        async with playing(answering(redirect, redirect)) as peer:
            seen = await send(session, peer.url)
            assert len(peer.requests) == 1
        assert target.connections == 0
    assert isinstance(seen, Unknown)
    assert (seen.reason, seen.http_status) == ("redirect", int(status[:3]))


@pytest.mark.parametrize("status", ["500 Error", "502 Bad", "503 Busy", "504 Slow", "408 Timeout", "599 Odd"])
async def test_a_server_error_is_unknown(session: aiohttp.ClientSession, status: str) -> None:
    """A 5xx says nothing about whether the request was processed (RFC 9110 section 15.6)."""
    async with playing(answering(ok(b"{}", status))) as peer:
        seen = await send(session, peer.url)
    assert isinstance(seen, Unknown)
    assert seen.http_status == int(status[:3])


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "429 Too Many"])
async def test_a_request_that_was_turned_away_is_not_sent(session: aiohttp.ClientSession, status: str) -> None:
    """Credentials that cannot be renewed are not tried twice."""
    async with playing(answering(ok(b"{}", status, "Retry-After: 3"), ok())) as peer:
        seen = await send(session, peer.url)
        assert len(peer.requests) == 1
    assert isinstance(seen, NotSent)
    assert seen.http_status == int(status[:3])


async def test_a_rate_limit_carries_its_delay(session: aiohttp.ClientSession) -> None:
    """In seconds."""
    async with playing(answering(ok(b"{}", "429 Too Many", "Retry-After: 3"))) as peer:
        seen = await send(session, peer.url)
    assert isinstance(seen, NotSent)
    assert seen.retry_after == 3


async def test_a_connection_that_an_upstream_dropped_while_idle_sends_nothing_twice(
    session: aiohttp.ClientSession,
) -> None:
    """The second request finds the connection closed; it is on a new one, or unknown, but never written to both."""
    async with playing(answering(ok())) as peer:
        assert isinstance(await send(session, peer.url), Reply)
        seen = await send(session, peer.url)
        assert len(peer.requests) <= 2
        assert isinstance(seen, Reply) is (len(peer.requests) == 2)


async def test_a_post_on_a_reused_connection_that_breaks_is_not_repeated(session: aiohttp.ClientSession) -> None:
    """The upstream read it and closed; aiohttp must not try again on a fresh connection."""

    async def second_breaks(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(ok())(peer, reader, writer)
        await peer.read(reader)

    async with playing(second_breaks) as peer:
        assert isinstance(await send(session, peer.url), Reply)
        seen = await send(session, peer.url)
        assert isinstance(seen, Unknown)
        assert (peer.connections, len(peer.requests)) == (1, 2)


# ------------------------------------------------------------------ answers


async def test_an_answer_is_given_as_it_came(session: aiohttp.ClientSession) -> None:
    """Status and bytes; header names in lower case, values as they are."""
    body = b'{"id": 1, "x": "\xc3\xa4\x00"}'
    async with playing(answering(ok(body, "422 No", "X-Request-ID: AbC", "CONTENT-TYPE: Text/Plain"))) as peer:
        seen = await send(session, peer.url)
    assert isinstance(seen, Reply)
    assert (seen.status, seen.body) == (422, body)
    assert (seen.headers["x-request-id"], seen.headers["content-type"]) == ("AbC", "Text/Plain")
    assert all(name == name.lower() for name in seen.headers)


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b'{"id": 1}', mtime=0), b'{"id": 1}', b"\x1f\x8b", gzip.compress(b" " * 2**24, mtime=0)],
    ids=["packed", "not packed", "cut off", "a bomb"],
)
async def test_an_answer_labelled_gzip_is_not_unpacked(session: aiohttp.ClientSession, body: bytes) -> None:
    """We asked for none; what comes is the dialect's to find unreadable, and a small one cannot become a huge one."""
    async with playing(answering(ok(body, "200 OK", "Content-Encoding: gzip"))) as peer:
        seen = await send(session, peer.url)
    assert isinstance(seen, Reply)
    assert seen.body == body


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "nonsense"])
async def test_an_answer_of_any_other_encoding_is_no_exception(session: aiohttp.ClientSession, encoding: str) -> None:
    """Its bytes are given as they came."""
    async with playing(answering(ok(b"{}", "200 OK", f"Content-Encoding: {encoding}"))) as peer:
        seen = await send(session, peer.url)
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
async def test_a_path_arrives_byte_for_byte(session: aiohttp.ClientSession, path: str) -> None:
    """What the mapping encoded is neither decoded, encoded again nor put in order."""
    async with playing(answering(ok())) as peer:
        await send(session, f"{peer.url}/prefix", Request("GET", path))
    assert peer.requests[0].partition(b"\r\n")[0] == f"GET /prefix{path} HTTP/1.1".encode()


async def test_a_slash_at_the_end_of_the_base_url_is_not_doubled(session: aiohttp.ClientSession) -> None:
    """The mapping's path begins with one."""
    async with playing(answering(ok())) as peer:
        await send(session, f"{peer.url}/", GET)
    assert peer.requests[0].startswith(b"GET /invoices/1 HTTP/1.1\r\n")


async def test_a_request_carries_these_headers_and_no_others(session: aiohttp.ClientSession) -> None:
    """The mapping's, the credentials', and what HTTP needs; none that would accept packed answers."""
    async with playing(answering(ok())) as peer:
        sender = Sender(peer.url, DIALECT, Fixed(lambda: (("X-Api-Key", "geheim"),)), session)
        await sender.send(POST, within(5))
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    names = [line.split(b":")[0].decode().lower() for line in head.split(b"\r\n")[1:]]
    expected = ["accept", "accept-encoding", "content-length", "content-type", "host", "user-agent", "x-api-key"]
    assert sorted(names) == expected
    assert b"\r\nAccept-Encoding: identity\r\n" in head
    assert body == POST.body


async def test_cookies_are_not_kept(session: aiohttp.ClientSession) -> None:
    """Neither on the same connection nor on another."""
    first = ok(b"{}", "200 OK", "Set-Cookie: session=abc; Path=/")
    async with playing(answering(first, ok(), ok())) as peer:
        for _ in range(3):
            await send(session, peer.url)
    assert len(peer.requests) == 3
    assert not [request for request in peer.requests if b"cookie" in request.lower()]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_in_the_environment_is_ignored(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invoices go where the configuration says, and nowhere else."""
    async with playing(answering(ok())) as proxy, playing(answering(ok())) as peer:
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        session = client.session()
        assert isinstance(await send(session, peer.url), Reply)
        await client.closed(session)
        assert (proxy.connections, len(peer.requests)) == (0, 1)


async def test_a_netrc_of_the_gateways_user_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials come from the configuration only."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password geheim\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with playing(answering(ok())) as peer:
        session = client.session()
        await send(session, peer.url)
        await client.closed(session)
    assert b"authorization" not in peer.requests[0].lower()


async def test_a_connection_is_used_again(session: aiohttp.ClientSession) -> None:
    """Two requests, one connection."""
    async with playing(answering(ok(), ok())) as peer:
        assert isinstance(await send(session, peer.url), Reply)
        assert isinstance(await send(session, peer.url), Reply)
        assert peer.connections == 1


async def test_without_reuse_every_request_has_its_own_connection() -> None:
    """Whether or not the upstream says that it will close."""
    async with playing(answering(ok(), ok())) as peer:
        session = client.session(reuse=False)
        for _ in range(2):
            assert isinstance(await send(session, peer.url), Reply)
        await client.closed(session)
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


async def test_a_body_that_the_upstream_does_not_read_does_not_hang(session: aiohttp.ClientSession) -> None:
    """A large body to a peer that reads nothing ends by the deadline, unknown."""
    big = Request("POST", "/", b" " * 2**20)
    async with playing(silent) as peer:
        seen = await send(session, peer.url, big, seconds=0.3)
    assert isinstance(seen, Unknown)


async def test_an_answer_that_comes_before_the_body_is_read_counts(session: aiohttp.ClientSession) -> None:
    """A 413 after the head alone: it is the dialect's to judge, or unknown where the connection broke; no exception."""

    async def early(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - a play
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ok(b"{}", "413 Too Large", "Connection: close"))
        await writer.drain()

    async with playing(early) as peer:
        seen = await send(session, peer.url, Request("POST", "/", b" " * 2**20), seconds=2)
    assert isinstance(seen, (Reply, Unknown))


async def test_only_a_cancelled_task_ends_as_one(session: aiohttp.ClientSession) -> None:
    """Cancelling is no outcome; it goes on to whoever cancelled."""
    read = asyncio.Event()

    async def reading(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        read.set()
        await unanswered(peer, reader, writer)

    async with playing(reading) as peer:
        task = asyncio.create_task(send(session, peer.url))
        await read.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("reused", [False, True], ids=["new connection", "kept connection"])
async def test_a_process_that_was_paused_while_it_connected_sends_nothing(
    reused: bool, session: aiohttp.ClientSession
) -> None:
    """The deadline is looked at again right before the first byte; the connection stays good for others."""
    async with playing(answering(*[ok()] * 3)) as peer:
        if reused:
            await send(session, peer.url)
        before = len(peer.requests)
        looks = iter([5.0, 5.0, -1.0])  # for the credentials, for the request, and once the connection stands
        seen = await Sender(peer.url, DIALECT, ANONYMOUS, session).send(POST, lambda: next(looks))
        assert isinstance(seen, NotSent)
        assert len(peer.requests) == before
        assert isinstance(await send(session, peer.url), Reply)
        assert peer.connections == 1


async def unasked(rest: bytes, read: bool) -> tuple[list[bytes], int]:
    """The bodies that two requests get, where `rest` comes after the first answer, unasked; and the connections."""
    said = asyncio.Event()

    async def play(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        writer.write(ok(b'{"number": %d}' % len(peer.requests)))
        if len(peer.requests) == 1:
            await said.wait()
            writer.write(rest)
        await writer.drain()
        await asyncio.sleep(60)

    session = client.session()
    async with playing(play) as peer:
        sender, bodies = Sender(peer.url, DIALECT, ANONYMOUS, session), list[bytes]()
        for number in range(2):
            seen = await sender.send(Request("POST", "/x", b"{}"), lambda: 5.0)
            assert isinstance(seen, Reply)
            bodies.append(seen.body)
            if not read:
                _unread(session)
            said.set()
            await asyncio.sleep(0.05 * (not number))
        connections = peer.connections
    await client.closed(session)
    return bodies, connections


def _unread(session: aiohttp.ClientSession) -> None:
    """Let what comes over idle connections from now on lie where it arrives, as on a machine that is busy."""
    assert session.connector is not None
    for kept in session.connector._conns.values():  # noqa: SLF001 - nobody else needs to know
        for protocol, _ in kept:
            if isinstance(protocol.transport, asyncio.Transport):
                protocol.transport.pause_reading()


TWICE = ok(b'{"number": 99}', "201 Created")


@pytest.mark.parametrize(("rest", "read"), [(TWICE, True), (TWICE, False), (b"HTTP/1.1 201", False), (b"\r\n", False)])
async def test_what_comes_unasked_is_never_taken_for_the_next_answer(rest: bytes, read: bool) -> None:
    """An answer that comes twice, or late: the next request has a connection of its own, and its own answer."""
    assert await unasked(rest, read) == ([b'{"number": 1}', b'{"number": 2}'], 2)
