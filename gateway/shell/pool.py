"""The fast way to upstreams: connections of its own, kept for a while, without aiohttp's objects for every request.

The plain way is its reference: both pass the same tests. How a connection is made (names, addresses, TLS) is aiohttp's
in both, and what the fast way cannot write goes the plain way.
"""

import asyncio
from typing import cast

import aiohttp
from yarl import URL

from gateway.core.exchange import Request
from gateway.shell import client
from gateway.shell.auth import Headers
from gateway.shell.client import COMMON, DNS_SECONDS, Plain, Time, Turn
from gateway.shell.heads import Heads
from gateway.shell.wire import Answer, Wire

MOST_FREE = 10_000
"""Connections to one host that are kept while nobody needs them."""
UNLIMITED = aiohttp.ClientTimeout(total=None, sock_connect=None)
"""The time to connect is limited for all addresses together."""


class Dialer(aiohttp.TCPConnector):
    """Makes connections as aiohttp does, and hands them over as wires."""

    def __init__(self, pool: "Pool") -> None:
        super().__init__(limit=0, ttl_dns_cache=DNS_SECONDS)
        self._factory = pool.wire  # type: ignore[assignment] # aiohttp's own are for its own requests

    async def dial(self, request: aiohttp.ClientRequest) -> Wire:
        """A connection to where this request would go; raises `aiohttp.ClientConnectorError`."""
        made: object = await self._create_connection(request, [], UNLIMITED)
        return cast("Wire", made)


class Host:
    """A scheme, a host and a port: what a connection to it is made for, and those that nobody needs just now."""

    def __init__(self, request: aiohttp.ClientRequest) -> None:
        self.request = request
        self.free: list[Wire] = []
        """The one that was used last is the last."""


class Pool:
    """The fast way. Without `reuse` every request has a connection of its own."""

    def __init__(self, plain: Plain, *, reuse: bool = True) -> None:
        self._plain = plain
        self._keep = client.KEEP_ALIVE_SECONDS
        self._most_free = MOST_FREE if reuse else 0
        self._common = COMMON if reuse else (*COMMON, ("Connection", "close"))
        self._loop = asyncio.get_running_loop()
        self._dialer = Dialer(self)
        self._hosts: dict[object, Host] = {}
        self._open: set[Wire] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed: asyncio.Event | None = None

    def to(self, base_url: str) -> Turn:
        """The turns with one upstream; the plain way's where there is more to its address than can be written here."""
        plain = self._plain.to(base_url)
        try:
            url = URL(base_url, encoded=True)
            request = aiohttp.ClientRequest("GET", url, loop=self._loop)
        except ValueError:  # no URL, or one without a host
            return plain
        if url.scheme not in ("http", "https") or url.raw_user is not None or url.raw_path_qs != url.raw_path:
            return plain
        host = self._hosts.setdefault(request.connection_key, Host(request))
        heads = Heads(url, self._common)

        async def turn(request: Request, headers: Headers, time: Time) -> Answer:
            written = heads.written(request, headers)
            if written is None:
                return await plain(request, headers, time)
            return await self._turn(host, written, time)

        return turn

    async def _turn(self, host: Host, written: bytes, time: Time) -> Answer:
        end = self._loop.time() + time.seconds
        wire = self._free(host) or await self._dialed(host, time)
        if time.left() <= 0:  # the process was paused: its claim may be somebody else's by now
            self._release(host, wire)
            raise aiohttp.ConnectionTimeoutError
        try:
            return await wire.ask(written, end)
        except asyncio.CancelledError:
            wire.abort()
            raise
        finally:
            self._release(host, wire)

    async def _dialed(self, host: Host, time: Time) -> Wire:
        if self._closed is not None:
            raise aiohttp.ClientConnectionError
        try:
            async with asyncio.timeout(time.connect):
                wire = await self._dialer.dial(host.request)
        except TimeoutError:
            raise aiohttp.ConnectionTimeoutError from None
        if wire.stands():  # only here: uvloop does not tell a connection of its end that was given up before
            self._open.add(wire)
        return wire

    def _free(self, host: Host) -> Wire | None:
        """The connection that was used last, if it was not long ago and nothing has come over it since."""
        oldest = self._loop.time() - self._keep
        while host.free:
            wire = host.free.pop()
            if wire.since > oldest and wire.quiet():
                return wire
            wire.abort()
        return None

    def _release(self, host: Host, wire: Wire) -> None:
        if not wire.usable or len(host.free) >= self._most_free or self._closed is not None:
            wire.abort()
            return
        wire.since = self._loop.time()
        host.free.append(wire)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(self._keep, self._sweep)

    def _sweep(self) -> None:
        """Close what nobody has needed for long, and look again when that may be true of others."""
        oldest = self._loop.time() - self._keep
        self._sweeping, left = None, list[float]()
        for host in self._hosts.values():
            kept, old = list[Wire](), list[Wire]()
            for wire in host.free:
                (kept if wire.usable and wire.since > oldest else old).append(wire)
            for wire in old:
                wire.abort()
            host.free = kept
            left += [wire.since for wire in kept[:1]]
        if left:
            self._sweeping = self._loop.call_at(min(left) + self._keep, self._sweep)

    def wire(self) -> Wire:
        """A connection that is about to be made."""
        return Wire(self._loop, self._gone)

    def _gone(self, wire: Wire) -> None:
        self._open.discard(wire)
        if self._closed is not None and not self._open:
            self._closed.set()

    async def close(self) -> None:
        """Close all connections, and wait until they are gone."""
        self._closed = asyncio.Event()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for wire in tuple(self._open):
            wire.abort()
        if self._open:
            await self._closed.wait()
        await self._dialer.close()
