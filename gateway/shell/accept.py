"""Accepts callers' connections: all that wait, as soon as one is looked at.

uvloop accepts one in each of its turns. While a gateway is busy a turn is as long as all that is ready takes, a tenth
of a second and more: of two thousand callers who came at once half were not let in for as long as the others called.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Sequence
from typing import cast

from aiohttp import web

BACKLOG = 4096
"""Connections that wait until they are accepted: all callers may come at once, as after a restart. The system may say
less (`net.core.somaxconn`); one too many is lost without a word, and its caller waits for nothing."""
MOST_AT_ONCE = 256
"""So many are accepted before others get their turn."""
RETRY_SECONDS = 1.0
"""When to look again where no connection can be accepted, for want of file descriptors."""
ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""An address that the machine does not have; the host's others will do, as `localhost` where there is no IPv6."""

Factory = Callable[[], asyncio.Protocol]


class Listening:
    """Sockets that are listened on, until it is closed; each connection has a protocol from the factory."""

    def __init__(self, sockets: Sequence[socket.socket], factory: Factory) -> None:
        self.sockets = sockets
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        for each in sockets:
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # its connections take this over
            self._watch(each)

    def _watch(self, listener: socket.socket) -> None:
        if listener.fileno() != -1:  # it may be closed by now
            self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(MOST_AT_ONCE):
            try:
                accepted, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # they go on waiting, and would be told of again at once
                self._loop.remove_reader(listener)
                self._loop.call_later(RETRY_SECONDS, self._watch, listener)
                return
            accepted.setblocking(False)
            beginning = self._loop.create_task(self._begin(accepted))
            self._beginning.add(beginning)
            beginning.add_done_callback(self._beginning.discard)

    async def _begin(self, accepted: socket.socket) -> None:
        await self._loop.connect_accepted_socket(self._factory, accepted)

    def close(self) -> None:
        """Listen no more; what was accepted goes on."""
        for each in self.sockets:
            self._loop.remove_reader(each)
            each.close()


class Site(web.BaseSite):
    """Where a runner listens."""

    def __init__(self, runner: web.BaseRunner, host: str, port: int) -> None:
        super().__init__(runner)
        self._host = host
        self._port = port

    @property
    def name(self) -> str:
        """See `BaseSite`."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be listened on.
        """
        await super().start()
        listening = Listening(await _bound(self._host, self._port), cast("web.Server", self._runner.server))
        self._server = cast("asyncio.AbstractServer", listening)  # it is asked for its sockets and closed, no more


async def _bound(host: str, port: int) -> list[socket.socket]:
    """A socket for each address that the host has."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):  # the latter where it cannot even be asked for, as `a..b`
        raise OSError(errno.EADDRNOTAVAIL, f"{host}:{port}: there is no such host") from None
    sockets, absent = list[socket.socket](), None
    for family, address in dict.fromkeys((each[0], each[4]) for each in found):
        try:
            sockets.append(socket.create_server(address, family=family, backlog=BACKLOG))
        except OSError as error:
            if error.errno not in ABSENT:
                for each in sockets:
                    each.close()
                raise _refused(host, port, error) from None
            absent = error
    if absent is not None and not sockets:
        raise _refused(host, port, absent)
    return sockets


def _refused(host: str, port: int, error: OSError) -> OSError:
    return OSError(error.errno, f"{host}:{port}: {os.strerror(error.errno or 0).lower()}")
