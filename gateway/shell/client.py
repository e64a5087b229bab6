"""The HTTP client: one request to an upstream becomes a `Reply`, or `NotSent`, or `Unknown`; never an exception.

`Plain` puts requests on the wire by aiohttp's session: the reference of the fast way (`shell.pool`), for which it does
what that one cannot.

Only what fails before the connection stands is certainly not sent. Everything after that may have been read: aiohttp
raises the same error whether the upstream closed before or after it read the request.
"""

import asyncio
import math
import os
import select
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import aiohttp
from aiohttp.connector import Connection
from msgspec import Struct
from yarl import URL

from gateway import __version__
from gateway.core.dialect import Dialect
from gateway.core.exchange import Reply, Request, Seen, judge
from gateway.core.result import NotSent, Unknown
from gateway.shell import trace
from gateway.shell.auth import Credentials, Headers
from gateway.shell.heads import Unwritable, check
from gateway.shell.wire import MOST_BYTES, Answer, oversized

ALLOWED = frozenset(("accept", "accept-language", "content-type", "idempotency-key", "x-idempotency-key"))
"""The headers that a mapping may send. Of what a caller sent nothing goes on by itself; credentials are added."""
COMMON: Headers = (("User-Agent", f"invoice-gateway/{__version__}"), ("Accept-Encoding", "identity"))
"""The headers of every request: nothing packed is asked for, since nothing is unpacked."""
CONNECT_SECONDS = 10.0
# Of the time that is left: less than all of it, so that a connection which is not made in time is told from an answer
# that does not come.
CONNECT_SHARE = 0.9
# Shorter than servers usually keep an idle connection: one that closes just as a request is written makes its outcome
# unknown, and no retry may follow.
KEEP_ALIVE_SECONDS = 4.0
DNS_SECONDS = 30
"""How long the addresses of a host name are used."""


class Time(Struct, frozen=True):
    """The seconds of a turn, and those of them to connect; `left` says how many are left just now."""

    seconds: float
    connect: float
    left: Callable[[], float]


Turn = Callable[[Request, Headers, Time], Awaitable[Answer]]
"""One request to an upstream with all its headers, and its answer; raises what aiohttp raises, or `Unwritable`."""


class Way(Protocol):
    """A way to put requests on the wire."""

    def to(self, base_url: str) -> Turn:
        """The turns with the upstream there."""

    async def close(self) -> None:
        """Close all connections, and wait until they are gone."""


_LEFT: ContextVar[Callable[[], float]] = ContextVar("left")


class Connector(aiohttp.TCPConnector):
    """Connects, and looks at connection and deadline again once it stands: right before the first byte.

    A process that was paused while it connected finds its connection ready when it goes on; by then its claim may be
    somebody else's. What came unasked over an idle connection would be taken for the next request's answer, and an
    invoice be told created by another's words.
    """

    async def connect(self, req: aiohttp.ClientRequest, *args: Any, **more: Any) -> Connection:  # noqa: ANN401
        """See `BaseConnector.connect`; a connection that comes too late is a connect timeout."""
        while True:
            kept = req.connection_key in self._conns
            made = await super().connect(req, *args, **more)
            if not (kept and _spoken(made)):
                break
            made.close()
        if _LEFT.get()() <= 0:
            made.release()
            raise TimeoutError
        return made


def _spoken(kept: Connection) -> bool:
    """Whether an upstream said something, or ended, while its connection was idle; also what nobody has read yet."""
    if kept.protocol is None or kept.protocol.should_close or kept.transport is None:
        return True
    look = select.poll()
    look.register(kept.transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(look.poll(0))


def session(*, reuse: bool = True) -> aiohttp.ClientSession:
    """A session for upstreams: no cookies, no proxies from the environment, no decompression, no retries.

    Without `reuse` every request has a connection of its own. An upstream needs that if some answers forbid to use
    their connection again: aiohttp gives a connection back before the answer that came over it can be looked at.
    """
    kept = KEEP_ALIVE_SECONDS if reuse else None
    return aiohttp.ClientSession(
        connector=Connector(limit=0, keepalive_timeout=kept, force_close=not reuse, ttl_dns_cache=DNS_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        headers=COMMON,
    )


class Plain:
    """The plain way. Without `reuse` every request has a connection of its own."""

    def __init__(self, *, reuse: bool = True) -> None:
        self._session = session(reuse=reuse)

    def to(self, base_url: str) -> Turn:
        """The turns with the upstream there."""
        return partial(self._turn, base_url)

    async def _turn(self, base_url: str, request: Request, headers: Headers, time: Time) -> Answer:
        check(request, headers)
        _LEFT.set(time.left)
        timeout = aiohttp.ClientTimeout(total=time.seconds, connect=time.connect, ceil_threshold=math.inf)
        async with self._session.request(
            request.method,
            URL(base_url + request.path, encoded=True),
            data=request.body or None,
            headers=headers,
            allow_redirects=False,
            timeout=timeout,
        ) as response:
            return await self._read(response)

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        body = bytearray()
        async for chunk in response.content.iter_chunked(65536):
            body += chunk
            if len(body) > MOST_BYTES:
                response.close()
                return oversized(response.status)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, bytes(body), headers)

    async def close(self) -> None:
        """Close all connections, and wait until they are gone."""
        await self._session.close()
        await asyncio.sleep(0)


class Sender:
    """Sends requests to one upstream, with its credentials."""

    def __init__(self, base_url: str, dialect: Dialect, credentials: Credentials, way: Way) -> None:
        self.base_url = base_url.rstrip("/")
        self.credentials = credentials
        self._unauthorized = dialect.unauthorized
        self._turn = way.to(self.base_url)
        self._shown: Headers = ()

    async def send(self, request: Request, left: Callable[[], float]) -> Seen:
        """The request's reply as far as it is the dialect's to judge; `left` are the seconds until the deadline.

        Refused credentials are renewed once, if they can be, since such a request was turned away unread.
        """
        for attempt in (1, 2):
            headers: Headers | NotSent | None = self.credentials.ready()
            if headers is None:
                headers = await self._credentials(left)
            if isinstance(headers, NotSent):
                return headers
            self._shown = headers
            seen = await self._once(request, headers, left)
            if isinstance(seen, Reply):
                seen = judge(seen, self._unauthorized, datetime.now(UTC))
            if not (isinstance(seen, NotSent) and seen.reason == "unauthorized"):
                return seen
            if not self.credentials.refused(headers) or attempt == 2:
                return seen
        raise AssertionError("the second attempt returns")

    def distrust(self) -> None:
        """The credentials that were shown last did not do; others are fetched for the next request if there can be."""
        self.credentials.refused(self._shown)

    async def _credentials(self, left: Callable[[], float]) -> Headers | NotSent:
        try:
            async with asyncio.timeout(max(left(), 0)):
                return await self.credentials.headers(lambda asked: self._once(asked, (), left))
        except TimeoutError:
            return NotSent("deadline", "no credentials before the deadline")

    async def _once(  # noqa: PLR0911 - a table of what can go wrong
        self, request: Request, credentials: Headers, left: Callable[[], float]
    ) -> Seen:
        seconds, headers = left(), _headers(request) + credentials
        if seconds <= 0:
            return NotSent("deadline", "the deadline passed before the request was sent")
        time = Time(seconds, min(CONNECT_SECONDS, CONNECT_SHARE * seconds), left)
        try:
            return await self._turn(request, headers, time)
        except aiohttp.ConnectionTimeoutError:
            return NotSent("connect-timeout", "no connection in time")
        except aiohttp.ClientConnectorError as error:
            return NotSent("connect", f"no connection: {_reason(error)}")
        except (aiohttp.InvalidURL, Unwritable):
            return NotSent("url", "the URL cannot be requested")
        except TimeoutError:
            return Unknown("timeout", f"no answer within {seconds:.1f} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Unknown("connection", f"the connection broke: {type(error).__name__}")


def _headers(request: Request) -> Headers:
    """What a request says beside its body: of what the mapping wants only what is allowed, and the trace."""
    found = tuple(header for header in request.headers if header[0].lower() in ALLOWED)
    current = trace.CURRENT.get()
    return found if current is None else (*found, ("traceparent", current.onward()))


def _reason(error: aiohttp.ClientConnectorError) -> str:
    """Why there is no connection, without the address (it is the operator's, and callers read this)."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name does not resolve"
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError)):
        return "TLS failed"
    return os.strerror(error.errno) if error.errno else "refused"
