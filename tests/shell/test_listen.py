"""Connections that dribble, break off or say too much, over real sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.shell import listen
from tests.support.engines import until
from tests.support.running import World, invoice, replaced, running

HURRY = 0.3
"""Seconds that a head may take here."""
HURRIED = replaced("[server]\n", '[server]\nbody_timeout = "100ms"\n')
HEAD = b"POST /v1/invoices HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
PROBLEM = b"GET /problems/ HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads have little time."""
    monkeypatch.setattr(listen, "HEAD_SECONDS", HURRY)


class Line:
    """A connection to a gateway, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def dribble(self, text: bytes, pause: float) -> float:
        """Send byte after byte until it is closed or all is sent; the seconds that took."""
        began = asyncio.get_running_loop().time()
        for number in range(len(text)):
            if await self.closed(pause):
                break
            self.writer.write(text[number : number + 1])
        return asyncio.get_running_loop().time() - began

    async def closed(self, seconds: float = 5.0) -> bool:
        """Whether it is closed within so many seconds, and without a word."""
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    async def answer(self) -> bytes:
        """The head of an answer."""
        async with asyncio.timeout(5):
            return await self.reader.readuntil(b"\r\n\r\n")


@asynccontextmanager
async def line(world: World) -> AsyncIterator[Line]:
    """A connection to the API."""
    where = urlsplit(world.service.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("before", [b"", PROBLEM])
async def test_a_head_that_dribbles_is_cut_off(before: bytes, tmp_path: Path) -> None:
    """Slow loris: however steadily a byte comes now and then, also as the second request of a connection."""
    async with running(tmp_path) as world, line(world) as slow:
        if before:
            slow.writer.write(before)
            head = await slow.answer()
            await slow.reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        seconds = await slow.dribble(HEAD + b"X-More: " + b"x" * 500, HURRY / 10)
        assert await slow.closed()
        assert HURRY * 0.9 <= seconds < HURRY * 10
        assert (await world.send(invoice())).status == 201


@pytest.mark.usefixtures("hurried")
async def test_a_head_in_pieces_that_comes_in_time_is_read(tmp_path: Path) -> None:
    """And its connection stays good for longer than a head may take."""
    async with running(tmp_path) as world, line(world) as slow:
        for _ in range(2):
            await slow.dribble(PROBLEM, 0.001)
            head = await slow.answer()
            assert head.startswith(b"HTTP/1.1 200 ")
            await slow.reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            assert not await slow.closed(HURRY * 1.5)


@pytest.mark.usefixtures("hurried")
async def test_the_time_for_a_head_is_not_that_of_its_answer(tmp_path: Path) -> None:
    """A body and an upstream may take longer."""
    async with running(tmp_path) as world:
        await world.arm("chargeover", "delay", seconds=HURRY * 2, method="POST")
        assert (await world.send(invoice())).status == 201


async def test_a_body_that_does_not_arrive_ends_its_connection(tmp_path: Path) -> None:
    """408, and nobody waits for the rest; nothing of it is left."""
    async with running(tmp_path, HURRIED) as world:
        before = asyncio.all_tasks()
        async with line(world) as slow:
            slow.writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
            head = await slow.answer()
            assert head.startswith(b"HTTP/1.1 408 ")
            assert b"Connection: close" in head
        await until(lambda: asyncio.all_tasks() <= before)


async def test_a_caller_that_goes_away_in_its_body_takes_no_place(tmp_path: Path) -> None:
    """At once, and not only when the time for a body is over."""
    async with running(tmp_path) as world:
        before = asyncio.all_tasks()
        async with line(world) as gone:
            gone.writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
            await until(lambda: len(asyncio.all_tasks()) > len(before) + 1)
        async with asyncio.timeout(5):
            await until(lambda: asyncio.all_tasks() <= before)


@pytest.mark.parametrize("body", [b"Content-Length: 9\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}\r\n"])
async def test_a_caller_that_half_closes_in_its_body_is_not_waited_for(body: bytes, tmp_path: Path) -> None:
    """It cannot say the rest any more: the connection is closed, soon, and nothing is sent anywhere."""
    async with running(tmp_path) as world, line(world) as half:
        half.writer.write(HEAD + body)
        half.writer.write_eof()
        assert await half.closed(2.0)
        assert await world.requests("chargeover") == []


async def test_a_body_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    """413 after the limit, whatever the length was said to be; its connection is closed."""
    async with (
        running(tmp_path, replaced("[server]\n", '[server]\nmax_body = "10KiB"\n')) as world,
        line(world) as large,
    ):
        large.writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(11):
            large.writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
        head = await large.answer()
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"Connection: close" in head


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"X-Long: " + b"x" * 9000 + b"\r\n\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + b"".join(b"X-%d: x\r\n" % number for number in range(200)) + b"\r\n",
    ],
    ids=["a header", "a path", "many headers"],
)
async def test_a_head_that_is_too_large_is_refused(head: bytes, tmp_path: Path) -> None:
    """400 and a problem as everywhere; the connection is closed."""
    async with running(tmp_path) as world, line(world) as large:
        large.writer.write(head)
        answer = await large.answer()
        assert answer.split()[1] == b"400"
        assert b"Content-Type: application/problem+json" in answer
        problem = json.loads(await large.reader.read())
        assert problem["type"] == "/problems/invalid-request"
        assert f"X-Request-Id: {problem['instance']}".encode() in answer
        assert (await world.send(invoice())).status == 201


@pytest.mark.parametrize("body", [b"zz\r\n", b"-1\r\n", b"2\r\n{}zz\r\n"])
async def test_a_body_that_is_not_framed_as_http_says_is_an_invalid_request(body: bytes, tmp_path: Path) -> None:
    """400 and no stack trace; nothing is sent anywhere."""
    async with running(tmp_path) as world, line(world) as broken:
        broken.writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        broken.writer.write_eof()
        head = await broken.answer()
        assert head.split()[1] == b"400"
        assert await world.requests("chargeover") == []
        assert [one["event"] for one in world.logged() if one["level"] == "error"] == []


async def test_a_caller_that_has_said_all_still_hears_the_answer(tmp_path: Path) -> None:
    """Half-closed after the request: it is answered, and then the connection ends."""
    body = json.dumps(invoice()).encode()
    async with running(tmp_path) as world, line(world) as half:
        half.writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        half.writer.write_eof()
        assert (await half.answer()).startswith(b"HTTP/1.1 201 ")
        await half.reader.read()
        assert await half.closed()


@pytest.mark.parametrize("said", [b"", HEAD[:40], PROBLEM])
async def test_a_connection_on_which_nothing_is_under_way_ends_with_its_caller(said: bytes, tmp_path: Path) -> None:
    """Nothing, half a head, or all that there was to say."""
    async with running(tmp_path) as world, line(world) as half:
        before = asyncio.all_tasks()
        half.writer.write(said)
        if said == PROBLEM:
            await half.answer()
        half.writer.write_eof()
        async with asyncio.timeout(5):
            await half.reader.read()
        await until(lambda: len(asyncio.all_tasks()) <= len(before))


async def test_a_body_that_waits_to_be_asked_for_is_asked_for(tmp_path: Path) -> None:
    """`Expect: 100-continue` (RFC 9110 section 10.1.1)."""
    body = json.dumps(invoice()).encode()
    async with running(tmp_path) as world, line(world) as waiting:
        waiting.writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert await waiting.answer() == b"HTTP/1.1 100 Continue\r\n\r\n"
        waiting.writer.write(body)
        assert (await waiting.answer()).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("path", ["/v1/invoices", "/v1/upstreams", "/problems/"])
async def test_another_expectation_is_ignored(path: str, tmp_path: Path) -> None:
    """The answer is what it is without it."""
    async with running(tmp_path) as world:
        plain = await world.api("GET", path)
        found = await world.api("GET", path, headers={"Expect": "nonsense"})
        assert (found.status, found.content) == (plain.status, plain.content) == (200, plain.content)


async def test_callers_that_come_all_at_once_are_not_lost(tmp_path: Path) -> None:
    """As after a restart: while the gateway is busy with something else, hundreds connect, and all of them stand."""
    async with running(tmp_path) as world:
        where = urlsplit(world.service.url)
        with ExitStack() as stack:
            for _ in range(500):  # nobody takes them meanwhile: the event loop waits for this very line
                stack.enter_context(socket.create_connection((where.hostname or "", where.port or 0), timeout=1))
