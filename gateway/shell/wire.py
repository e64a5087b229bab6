"""A connection to an upstream, as the fast way uses it: one request is written, one answer is read by aiohttp's parser.

Source of what an answer is: RFC 9112 sections 6 and 9. Bytes of the network are read by aiohttp's parser alone; here is
only decided when its answer is whole, and whether another request may follow on the same connection.
"""

import asyncio
import select
from collections.abc import Callable, Sequence
from typing import cast

import aiohttp
from aiohttp.http import HttpResponseParser, RawResponseMessage

from gateway.core.exchange import Reply
from gateway.core.result import Unknown

MOST_BYTES = 10 * 1024 * 1024
"""No answer may be larger."""
BUFFER = 2**18
"""What the parser is told to hold; asyncio reads no more at once, and what was read is taken out each time."""
INTERIM = frozenset(range(100, 200)) - {101}
"""Statuses that tell of an answer which is still to come."""
HEAD_END = b"\r\n\r\n"
CHUNKS_END = b"0\r\n\r\n"

Answer = Reply | Unknown
Look = Callable[[int], Sequence[object]]


def oversized(status: int) -> Unknown:
    """An answer of which no more is read."""
    return Unknown("oversized", f"the answer is larger than {MOST_BYTES} bytes", status)


class Wire(asyncio.Protocol):
    """A connection: takes one request at a time; `usable` says whether it takes another."""

    def __init__(self, loop: asyncio.AbstractEventLoop, gone: Callable[["Wire"], None]) -> None:
        """`gone` hears of its end."""
        self.usable = False
        self.since = 0.0
        """When it was used last, by the loop's clock."""
        self._loop = loop
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = None
        self._look: Look | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._end = 0.0
        self._waiter: asyncio.Future[Answer] | None = None
        self._forget()

    def _forget(self) -> None:
        """Nothing of an answer is there yet."""
        self._message: RawResponseMessage | None = None
        self._body: aiohttp.StreamReader | None = None
        self._parts: bytearray | None = None
        self._received = self._head = 0
        self._surplus = False

    # ------------------------------------------------------------------ one request, one answer

    def ask(self, request: bytes, end: float) -> "asyncio.Future[Answer]":
        """Write a request; what is read of its answer until `end`, by the loop's clock.

        Raises what aiohttp raises: `TimeoutError`, `aiohttp.ClientError`, `OSError`.
        """
        self._waiter = waiter = self._loop.create_future()
        if self._transport is None or not self.usable:
            self._fail(aiohttp.ClientConnectionResetError("closed before it was used"))
            return waiter
        self._forget()
        self._transport.write(request)
        self._end = end
        if self._timer is None or self._timer_at > end:
            self._watch(end)
        return waiter

    def stands(self) -> bool:
        """Whether it was made, and its end has not come."""
        return self._transport is not None

    def quiet(self) -> bool:
        """Whether nothing has come since the last answer, not even the connection's end: it may be asked again."""
        return self.usable and (self._look is None or not self._look(0))

    def _watch(self, end: float) -> None:
        """One timer a connection, set anew only when it comes: most deadlines never do."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.call_at(end, self._due), end

    def _due(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() < self._end:
            self._watch(self._end)
        else:
            self._fail(TimeoutError())

    def _settle(self, answer: Answer) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)

    def _fail(self, error: Exception) -> None:
        """No answer comes, and nothing more is written."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        self.abort()

    def abort(self) -> None:
        """Close at once: what is not written yet never will be."""
        self.usable = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------------ what the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, TLS included."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type
        self._parser = parser(self, self._loop)
        self._look = _look(self._transport)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """A piece of the answer, or something that nobody asked for."""
        if self._waiter is None or self._parser is None:
            self.abort()
            return
        if not self._received:
            self._head = data.find(HEAD_END) + len(HEAD_END)
        self._received += len(data)
        try:
            messages, upgraded, _ = self._parser.feed_data(data)
        except Exception as error:  # noqa: BLE001 - whatever the parser finds wrong
            self._fail(self._broken(error))
            return
        for message, body in messages:
            self._take(message, body)
        if self._message is not None and self._body is not None:
            self._read(self._message, self._body, data, upgraded=upgraded)

    def _take(self, message: RawResponseMessage, body: aiohttp.StreamReader) -> None:
        if self._message is not None:
            self._surplus = True
        elif message.code not in INTERIM:
            self._message, self._body = message, body

    def _read(self, message: RawResponseMessage, body: aiohttp.StreamReader, data: bytes, *, upgraded: bool) -> None:
        """Take what there is of the body; the answer is whole with its end."""
        if body.total_bytes > MOST_BYTES:
            self._settle(oversized(message.code))
            self.abort()
        elif body.is_eof():
            content = self._content(body)
            self.usable = self.usable and not upgraded and self._ends(message, content, data)
            self._conclude(message, content)
        else:
            self._parts = self._parts or bytearray()
            self._parts += body.read_nowait()

    def _content(self, body: aiohttp.StreamReader) -> bytes:
        last = body.read_nowait()
        return last if self._parts is None else bytes(self._parts + last)

    def _ends(self, message: RawResponseMessage, content: bytes, data: bytes) -> bool:
        """Whether the connection is where the next answer begins: it stays, all was written, nothing came after.

        The parser does not tell of the beginning of another answer, so that the end is looked at here; an answer whose
        end cannot be told for certain is the last one of its connection.
        """
        if message.should_close or self._surplus or self._transport is None or self._transport.get_write_buffer_size():
            return False
        return data.endswith(CHUNKS_END) if message.chunked else self._head + len(content) == self._received

    def _conclude(self, message: RawResponseMessage, content: bytes) -> None:
        headers = {name.lower(): value for name, value in message.headers.items()}
        self._settle(Reply(message.code, content, headers))

    def eof_received(self) -> None:
        """The upstream sends no more; that may end a body, and ends the connection."""
        self._over(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._over(exc)
        if self._timer is not None:
            self._timer.cancel()
        self._transport = self._parser = self._look = None  # they hold each other
        self._gone(self)

    def _over(self, error: Exception | None) -> None:
        """The end of what can be read: of a body that has no other end, or before an answer was whole."""
        self.usable = False
        if self._waiter is None or self._parser is None:
            return
        if error is None and self._message is not None and self._body is not None:
            try:
                self._parser.feed_eof()
            except Exception as broken:  # noqa: BLE001 - whatever the parser finds missing
                self._fail(self._broken(broken))
            else:
                self._conclude(self._message, self._content(self._body))
        elif isinstance(error, OSError):
            self._fail(aiohttp.ClientOSError(*error.args))
        else:
            self._fail(aiohttp.ServerDisconnectedError())

    def _broken(self, error: BaseException) -> aiohttp.ClientPayloadError:
        return aiohttp.ClientPayloadError(type(error).__name__)

    # ------------------------------------------------------------------ what the parser's body asks for

    def pause_reading(self) -> None:
        """Not needed: a body is taken out after each piece, and may not grow beyond its limit."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """See `pause_reading`."""


def parser(wire: Wire, loop: asyncio.AbstractEventLoop) -> HttpResponseParser:
    """The parser of a connection, for all answers that come over it."""
    return HttpResponseParser(
        wire,  # type: ignore[arg-type] # of aiohttp's own protocol it uses no more than a wire has
        loop,
        BUFFER,
        payload_exception=aiohttp.ClientPayloadError,
        read_until_eof=True,
        auto_decompress=False,
    )


def _look(transport: asyncio.Transport) -> Look:
    """A look at what the system has received and the loop not yet read."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return poll.poll
