"""The faults that any upstream can have: each a function from a turn to what the client sees.

Whether the request was processed is what tells them apart, so it is the first thing that each of them says.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta, Struct, structs

from gateway.core.exchange import Reply
from gateway.core.plainjson import Number, read_json
from gateway.sandbox.simulation import ENCODER, json_reply

MEBIBYTE = b" " * 2**20
PADDING = 64
DRIP = 0.1


class Armed(Struct, frozen=True, forbid_unknown_fields=True):
    """A fault or quirk that is switched on: for the next `times` requests that it matches, or until cleared if 0."""

    fault: str
    times: Annotated[int, Meta(ge=0)] = 1
    seconds: Annotated[float, Meta(ge=0, le=3600)] = 5
    status: Annotated[int, Meta(ge=200, le=599)] = 503
    retry_after: Annotated[int, Meta(ge=0)] | str = 7
    method: str | None = None
    path: str | None = None

    def matches(self, method: str, path: str) -> bool:
        """Whether it is meant for this request: `method` equal, `path` a part of its path."""
        return self.method in (None, method) and (self.path or "") in path

    def used(self) -> "Armed | None":
        """What is still switched on after one request; None when that was the last."""
        if self.times == 0:
            return self
        return None if self.times == 1 else structs.replace(self, times=self.times - 1)


class Turn(Struct, frozen=True):
    """One request to an upstream that is to go wrong; nothing is processed before `process` is called."""

    request: web.Request
    armed: Armed
    login: str
    process: Callable[[], Reply]


Act = Callable[[Turn], Awaitable[web.StreamResponse]]


def written(reply: Reply) -> web.Response:
    """A reply as aiohttp sends it."""
    return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))


async def delay(turn: Turn) -> web.StreamResponse:
    """Processed normally, but only after `seconds`."""
    await asyncio.sleep(turn.armed.seconds)
    return written(turn.process())


async def hang(turn: Turn) -> web.StreamResponse:
    """Not processed; no answer for `seconds`, then the connection is closed."""
    await asyncio.sleep(turn.armed.seconds)
    return _closed(turn)


async def reset(turn: Turn) -> web.StreamResponse:
    """Not processed; the connection is reset."""
    if (transport := turn.request.transport) is not None:
        _linger_not(transport)
        transport.abort()
    return web.Response()


async def store_then_close(turn: Turn) -> web.StreamResponse:
    """Processed; half of the body, then the connection is closed."""
    reply = turn.process()
    with suppress(ConnectionError):
        stream = await _stream(turn, reply, len(reply.body))
        await stream.write(reply.body[: len(reply.body) // 2])
        return _closed(turn, stream)
    return web.Response()


async def status(turn: Turn) -> web.StreamResponse:
    """Not processed; `status`, 503 unless told, with a small JSON body."""
    return written(json_reply(turn.armed.status, {"message": "a fault of the sandbox"}))


async def html(turn: Turn) -> web.StreamResponse:
    """Not processed; `status`, 503 unless told, with a page of HTML."""
    return _page(turn.armed.status)


async def store_then_html(turn: Turn) -> web.StreamResponse:
    """Processed; 200 with a page of HTML."""
    turn.process()
    return _page(200)


async def rate_limit(turn: Turn) -> web.StreamResponse:
    """Not processed; 429 with `retry_after` as Retry-After."""
    return web.Response(status=429, headers={"Retry-After": str(turn.armed.retry_after)})


async def redirect(turn: Turn) -> web.StreamResponse:
    """Not processed; 302 to a login page."""
    return web.Response(status=302, headers={"Location": turn.login})


async def redirect_307(turn: Turn) -> web.StreamResponse:
    """Not processed; 307 to the same address, where a client that follows sends the request again."""
    return web.Response(status=307, headers={"Location": turn.request.raw_path})


async def garbage(turn: Turn) -> web.StreamResponse:
    """Processed; 200 with bytes that are not JSON."""
    turn.process()
    return written(Reply(200, b'{"\xff\xfe\x00: nonsense', {"content-type": "application/json"}))


async def truncated_json(turn: Turn) -> web.StreamResponse:
    """Processed; the right status and a body cut in the middle, with a Content-Length to match."""
    reply = turn.process()
    return written(structs.replace(reply, body=reply.body[: len(reply.body) // 2]))


async def huge(turn: Turn) -> web.StreamResponse:
    """Processed; 64 MiB of spaces before the answer."""
    reply = turn.process()
    with suppress(ConnectionError):
        stream = await _stream(turn, reply)
        for _ in range(PADDING):
            await stream.write(MEBIBYTE)
        await stream.write(reply.body)
        return stream
    return web.Response()


async def slow_drip(turn: Turn) -> web.StreamResponse:
    """Processed; one byte of the answer every 0.1 s; after `seconds` the connection is closed."""
    reply = turn.process()
    end = asyncio.get_running_loop().time() + turn.armed.seconds
    with suppress(ConnectionError):
        stream = await _stream(turn, reply, len(reply.body))
        for index in range(len(reply.body)):
            if asyncio.get_running_loop().time() >= end:
                return _closed(turn, stream)
            await stream.write(reply.body[index : index + 1])
            await asyncio.sleep(DRIP)
        return stream
    return web.Response()


async def empty(turn: Turn) -> web.StreamResponse:
    """Processed; 200 without a body."""
    turn.process()
    return web.Response()


async def wrong_types(turn: Turn) -> web.StreamResponse:
    """Processed; the answer with numbers for strings and strings for numbers, at every depth."""
    reply = turn.process()
    with suppress(ValueError):
        reply = structs.replace(reply, body=ENCODER.encode(_swapped(read_json(reply.body))))
    return written(reply)


async def _stored(act: Act, turn: Turn) -> web.StreamResponse:
    turn.process()
    return await act(turn)


ACTS: dict[str, Act] = {
    "delay": delay,
    "hang": hang,
    "store-then-hang": partial(_stored, hang),
    "reset": reset,
    "store-then-reset": partial(_stored, reset),
    "store-then-close": store_then_close,
    "status": status,
    "store-then-status": partial(_stored, status),
    "html": html,
    "store-then-html": store_then_html,
    "rate-limit": rate_limit,
    "redirect": redirect,
    "redirect-307": redirect_307,
    "garbage": garbage,
    "truncated-json": truncated_json,
    "huge": huge,
    "slow-drip": slow_drip,
    "empty": empty,
    "wrong-types": wrong_types,
}
"""The faults that can be switched on at any upstream."""


def _words(act: Act) -> str:
    if isinstance(act, partial):
        return _words(act.args[0]).replace("Not processed", "Processed")
    return act.__doc__ or ""


FAULTS: dict[str, str] = {name: _words(act) for name, act in ACTS.items()}
"""What each fault does, for people."""


def _page(status: int) -> web.Response:
    text = "<!DOCTYPE html><html><body><h1>Something else answers here</h1></body></html>"
    return web.Response(status=status, text=text, content_type="text/html")


async def _stream(turn: Turn, reply: Reply, length: int | None = None) -> web.StreamResponse:
    """The head of an answer, sent; the body is the caller's to write."""
    stream = web.StreamResponse(status=reply.status, headers=dict(reply.headers))
    stream.content_length = length
    await stream.prepare(turn.request)
    return stream


def _closed(turn: Turn, stream: web.StreamResponse | None = None) -> web.StreamResponse:
    """What the client sees when the connection ends here; aiohttp drops an answer that finds it closed."""
    if (transport := turn.request.transport) is not None:
        transport.close()
    return stream or web.Response()


def _linger_not(transport: asyncio.Transport) -> None:
    """Makes the end of a connection a TCP reset instead of an orderly close."""
    # The copy of the descriptor shares the option; asyncio and uvloop do not agree on what their own object can do.
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as shared:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _swapped(value: Any) -> object:  # noqa: ANN401 - any JSON
    match value:
        case str():
            return len(value)
        case Number():
            return value.text
        case list():
            return [_swapped(item) for item in value]
        case dict():
            return {name: _swapped(item) for name, item in value.items()}
        case _:
            return value
