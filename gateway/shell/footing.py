"""What the fast way to upstreams stands on: parts of aiohttp that any release may change. Looked at once, at start.

Where one of them is not as it was, the gateway goes the plain way: slower, and as safe.
"""

import asyncio
import inspect
from contextlib import suppress

import aiohttp
from aiohttp.http import HttpResponseParser
from msgspec import Struct
from yarl import URL

from gateway.shell.wire import Wire, parser

VERSION = "3.14."
"""The versions whose parts are known."""


class Sample(Struct, frozen=True):
    """Bytes as they come, and what the parser has to say of them."""

    pieces: tuple[bytes, ...]
    seen: tuple[tuple[int, bool, bool], ...]
    """Of each answer: its status, whether the connection ends with it, whether it is chunked."""
    body: bytes = b""
    whole: bool = True
    ends: bool = True
    """Whether the body is whole once no more comes."""


SAMPLES = (
    Sample((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\n{", b"}"), ((200, False, False),), b"{}"),
    Sample((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{",), ((200, False, False),), b"{", whole=False, ends=False),
    Sample(
        (b"HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",), ((201, False, True),), b"{}"
    ),
    Sample((b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n{", b"}"), ((200, True, False),), b"{}", whole=False),
    Sample((b"HTTP/1.0 204 No\r\n\r\n",), ((204, True, False),)),
    Sample(
        (b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",),
        ((103, False, False), (404, False, False)),
    ),
)


def lost(loop: asyncio.AbstractEventLoop) -> str | None:
    """What is not there any more, or not as it was; None if all is well."""
    if not aiohttp.__version__.startswith(VERSION):
        return f"aiohttp is {aiohttp.__version__}, not {VERSION}x"
    if HttpResponseParser.__module__ != "aiohttp._http_parser":
        return "aiohttp is without its parser in C"
    try:
        return _parser(loop) or _connector(loop)
    except Exception as error:  # noqa: BLE001 - whatever is wrong: there is another way
        return f"aiohttp is different: {type(error).__name__}"


def _parser(loop: asyncio.AbstractEventLoop) -> str | None:
    """One parser for all answers of a connection, as the fast way uses it."""
    for sample in SAMPLES:
        if not _reads(parser(Wire(loop, lambda _: None), loop), sample):
            return f"aiohttp's parser reads {sample.pieces[0][:12]!r} differently"
    return None


def _reads(read: HttpResponseParser, sample: Sample) -> bool:
    found = [each for piece in sample.pieces for each in read.feed_data(piece)[0]]
    seen = tuple((message.code, message.should_close, bool(message.chunked)) for message, _ in found)
    body = found[-1][1]
    held = body.is_eof(), body.exception(), body.total_bytes, body.read_nowait()
    with suppress(aiohttp.http.HttpProcessingError if sample.ends else Exception):
        read.feed_eof()
    return (
        seen == sample.seen
        and held == (sample.whole, None, len(sample.body), sample.body)
        and body.is_eof() is sample.ends
    )


def _connector(loop: asyncio.AbstractEventLoop) -> str | None:
    """How connections are made."""
    direct, making = aiohttp.TCPConnector._create_direct_connection, aiohttp.TCPConnector._create_connection  # noqa: SLF001
    names = tuple(inspect.signature(making).parameters)
    request = aiohttp.ClientRequest("GET", URL("http://127.0.0.1:1/"), loop=loop)
    known = names == ("self", "req", "traces", "timeout") and "_factory" in direct.__code__.co_names
    return None if known and request.connection_key.port == 1 else "aiohttp makes connections differently"
