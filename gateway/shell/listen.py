"""Listens for HTTP, with limits on how long and how large a request's head may be. The server is aiohttp's."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from structlog.typing import FilteringBoundLogger

from gateway.core.errors import Fault, Internal, InvalidRequest, Problem
from gateway.shell import logs, problems
from gateway.shell.fresh import new_id

KEEP_ALIVE_SECONDS = 75.0
"""How long a connection may be idle; longer than the minute that load balancers keep one."""
HEAD_SECONDS = 10.0
"""Within that a request's head has to be there, once it began."""
BEGIN_SECONDS = 0.05
"""Within that a request that has come is looked at."""
LINGER_SECONDS = 2.0
"""How long what still comes of a refused body is read away, so that its sender gets to read the answer."""
HEAD_BYTES = 8190
"""The longest line of a request's head, and the longest header."""
MOST_HEADERS = 64


Handler = Callable[[Any], Awaitable[web.StreamResponse]]
Entry = Callable[[Handler], Handler]
"""Makes what is asked first of what an application is asked."""


def plain(asked: Handler) -> Handler:
    """The application itself."""
    return asked


class Connection(RequestHandler):
    """A caller's connection: one that dribbles its request's head is closed, one that is no HTTP is told a problem."""

    __slots__ = ("_head_ends",)

    def __init__(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - passed on as they are
        super().__init__(*args, **more)
        self._head_ends: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """See `RequestHandler`; begins to count where this leaves a head unfinished."""
        super().data_received(data)
        if not self._idle():
            self._stop_counting()
        elif self._head_ends is None:
            self._head_ends = self._loop.call_later(HEAD_SECONDS, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See `RequestHandler`."""
        self._stop_counting()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # what the event loop looks at is this very value
        """Who has said all still hears the answer; whether the connection stays open for that."""
        if self._request_count == 0 or self._idle() or self._broken_off():
            return False
        self.close()
        self._loop.call_later(BEGIN_SECONDS, self._end_if_broken_off)  # it may not have begun to be looked at
        return True

    def _broken_off(self) -> bool:
        """Whether a body is waited for that will never come whole."""
        return self._current_request is not None and not self._current_request.content.is_eof()

    def _end_if_broken_off(self) -> None:
        if self._broken_off():
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """See `RequestHandler`, which logs it; the answer is a problem as everywhere."""
        super().handle_error(request, status, exc, message)
        fault = Fault("", "http", "the request is not HTTP/1.1, or its head is too large")
        problem: Problem = InvalidRequest(fault.detail, (fault,))
        if status >= 500:
            problem = Internal("the gateway made a mistake")
        request_id = new_id()
        response = problems.response(problem, request_id)
        response.headers["X-Request-Id"] = request_id
        response.force_close()
        return response

    def _idle(self) -> bool:
        """Whether the next request is waited for, or the rest of its head."""
        return self._waiter is not None and not self._waiter.done()

    def _stop_counting(self) -> None:
        if self._head_ends is not None:
            self._head_ends.cancel()
            self._head_ends = None


class _Server(web.Server):
    """As `made`, with a `Connection` for each connection."""

    def __init__(self, made: web.Server, entry: Entry, **more: Any) -> None:  # noqa: ANN401 - passed on as they are
        super().__init__(entry(made.request_handler), request_factory=made.request_factory, **more)
        self._more = more

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=asyncio.get_running_loop(), **self._more)


class Runner(web.AppRunner):
    """Runs an application, asked through an `entry`."""

    def __init__(self, app: web.Application, log: FilteringBoundLogger, entry: Entry = plain) -> None:
        self._entry = entry
        # A packed body is refused; unpacking it all the same would only make aiohttp stumble over a broken one.
        super().__init__(
            app,
            access_log=None,
            logger=logs.bridge(log),
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            max_line_size=HEAD_BYTES,
            max_field_size=HEAD_BYTES,
            max_headers=MOST_HEADERS,
            lingering_time=LINGER_SECONDS,
        )

    async def finish(self, seconds: float) -> None:
        """Stop listening; what is under way has so many seconds."""
        self._shutdown_timeout = seconds
        await self.cleanup()

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._entry, **self._kwargs)
