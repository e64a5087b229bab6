"""How callers are let in: all that wait at once, on either event loop; and what becomes of those who cannot be."""

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, closing
from typing import ClassVar, TypeVar, cast

import pytest
import uvloop

from gateway.shell import accept
from gateway.shell.accept import BACKLOG, Listening, _bound
from tests.support.ports import free_port

T = TypeVar("T")
CALLERS = 200
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Welcome(asyncio.Protocol):
    """A caller's connection, known from when it is made until it is lost."""

    standing: ClassVar[set["Welcome"]] = set()
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self.transport = cast("asyncio.Transport", transport)
        self.standing.add(self)

    def is_prompt(self) -> bool:
        """Whether what is written leaves at once, and does not wait for more."""
        found: socket.socket = self.transport.get_extra_info("socket")
        return bool(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def connection_lost(self, _: Exception | None) -> None:
        """It is gone."""
        self.standing.discard(self)


@asynccontextmanager
async def listening(listener: socket.socket) -> AsyncIterator[Listening]:
    """Listen, and leave nothing open."""
    made = Listening((listener,), Welcome)
    try:
        yield made
    finally:
        made.close()
        for each in Welcome.standing:
            each.transport.abort()
        await turns_until(lambda: not Welcome.standing)


class Exhausted(socket.socket):
    """A socket that cannot accept a connection, for want of file descriptors, as often as is said."""

    left = 1
    asked = 0

    def accept(self) -> tuple[socket.socket, object]:
        """Fail, or accept."""
        self.asked += 1
        if self.left:
            self.left -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def exhausted() -> Exhausted:
    """Such a socket, listening."""
    listener = Exhausted()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def calling(stack: ExitStack, listener: socket.socket, count: int) -> None:
    """So many callers connect; nobody accepts them yet."""
    for _ in range(count):
        stack.enter_context(socket.create_connection(listener.getsockname()[:2], timeout=1))


async def turns_until(holds: Callable[[], bool]) -> int:
    """How many turns of the event loop it takes."""
    turns = 0
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0)
            turns += 1
    return turns


def played(loop: str, play: Callable[[], Coroutine[object, object, T]]) -> T:
    """What comes of it on an event loop, which finds nothing to complain of."""
    complaints = list[object]()
    with closing(LOOPS[loop]()) as running:
        running.set_exception_handler(lambda _, context: complaints.append(context))
        found = running.run_until_complete(play())
    assert complaints == []
    return found


@pytest.mark.parametrize("loop", LOOPS)
def test_all_who_wait_are_let_in_at_once(loop: str) -> None:
    """Within a few turns of the event loop, however long each of them is; uvloop's own way takes a turn for each."""

    async def play() -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        with ExitStack() as stack:
            async with listening(listener):
                calling(stack, listener, CALLERS)
                turns = await turns_until(lambda: len(Welcome.standing) == CALLERS)
                assert all(each.is_prompt() for each in Welcome.standing)
                return turns

    assert played(loop, play) < CALLERS / 10


@pytest.mark.parametrize("loop", LOOPS)
def test_who_cannot_be_let_in_now_is_let_in_later(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While there are no file descriptors it is not tried all the time."""
    monkeypatch.setattr(accept, "RETRY_SECONDS", 0.2)

    async def play() -> None:
        with ExitStack() as stack, exhausted() as listener:
            async with listening(listener):
                calling(stack, listener, 3)
                await turns_until(lambda: bool(listener.asked))
                for _ in range(20):
                    await asyncio.sleep(0)
                assert listener.asked == 1
                await turns_until(lambda: len(Welcome.standing) == 3)

    played(loop, play)


@pytest.mark.parametrize("loop", LOOPS)
def test_after_its_end_nobody_is_let_in(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where it was about to look again; its address is free."""
    monkeypatch.setattr(accept, "RETRY_SECONDS", 0.01)

    async def play() -> None:
        with ExitStack() as stack, exhausted() as listener:
            address = listener.getsockname()
            async with listening(listener):
                calling(stack, listener, 1)
                await turns_until(lambda: bool(listener.asked))
            await asyncio.sleep(0.05)
            with socket.create_server(address):
                assert (listener.asked, Welcome.standing) == (1, set())

    played(loop, play)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_caller_who_is_gone_is_no_defect(loop: str) -> None:
    """Whoever hangs up before it is let in harms nobody: the next one is let in."""

    async def play() -> None:
        with ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listener:
            async with listening(listener):
                gone = socket.create_connection(listener.getsockname(), timeout=1)
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                gone.close()
                calling(stack, listener, 1)
                await turns_until(lambda: bool(Welcome.standing))

    played(loop, play)


async def test_an_address_in_use_is_told_by_its_name() -> None:
    """The host as it is configured, and the port."""
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"^\[Errno 98\] 127\.0\.0\.1:{port}: address already in use$"):
            await _bound("127.0.0.1", port)


async def test_a_host_that_there_is_not_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether nobody knows it, or its name is none."""
    with pytest.raises(OSError, match=r"a\.\.b:80: there is no such host$"):
        await _bound("a..b", 80)

    async def unknown(*_: object, **__: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(OSError, match=r"nowhere:80: there is no such host$"):
        await _bound("nowhere", 80)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which addresses every host has, at one free port."""
    port = free_port()

    def have(*addresses: str) -> None:
        async def found(*_: object, **__: object) -> list[tuple[object, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)

    return have


async def test_an_address_that_the_machine_has_not_is_left_out(hosts: Callable[..., None]) -> None:
    """As `::1` where there is no IPv6; a host without any other is refused."""
    hosts("192.0.2.1", "127.0.0.1")
    (listener,) = await _bound("host", 1)
    with listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    hosts("192.0.2.1")
    with pytest.raises(OSError, match=r"host:1: cannot assign requested address"):
        await _bound("host", 1)


async def test_where_one_address_is_taken_the_others_are_let_go(hosts: Callable[..., None]) -> None:
    """What was listened on already is free again."""
    hosts("127.0.0.1", "127.0.0.2")
    (first, second) = await _bound("host", 1)
    first.close()
    with second, pytest.raises(OSError, match="address already in use"):
        await _bound("host", 1)
    hosts("127.0.0.1")
    (again,) = await _bound("host", 1)
    again.close()
