"""What is written to a raw connection: broken, doubtful and truncated HTTP/1.1, and what is no HTTP at all."""

from collections.abc import Callable
from random import Random

from msgspec import Struct

from tests.fuzz import canaries
from tests.fuzz.fragments import NOISE

TOKEN = canaries.CLIENT_TOKEN.encode()
GET = b"GET /v1/upstreams HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + TOKEN + b"\r\n\r\n"
HEAD = (
    b"POST /v1/invoices/explain HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: Bearer " + TOKEN
)
POST = HEAD + b"\r\nContent-Length: 2\r\n\r\n{}"

LINES = (
    *(b"", b"\r\n", b"GET", b"GET /", b"GET / HTTP/1.1 x", b"GET  /  HTTP/1.1", b"get / http/1.1", b"GET / HTTP/9.9"),
    *(
        b"GET / HTTP/2.0",
        b"GET / HTTP/1",
        b"GET / HTTP/1.1.1",
        b"G\x00T / HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"\xff\xfe",
    ),
    *(
        b"GET http:// HTTP/1.1",
        b"GET //[::1 HTTP/1.1",
        b"GET /%zz HTTP/1.1",
        b"CONNECT a:1 HTTP/1.1",
        b"PRI * HTTP/2.0",
    ),
    *(
        b"GET \t/ HTTP/1.1",
        b"GET /\r HTTP/1.1",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1",
        b"A" * 9000,
        b"OPTIONS * HTTP/1.1",
    ),
    *(
        b"GET / HTTP/\xd9\xa1.1",
        b"GET /#x HTTP/1.1",
        b"GET ?x HTTP/1.1",
        b" GET / HTTP/1.1",
        b"GET / HTTP/-1.1",
        b"GET /\xff x",
    ),
)
HEADERS = (
    *(
        b"Host",
        b": x",
        b"A B: x",
        b"A\x00: x",
        b"A: \x00",
        b"A: x\r\n folded",
        b"\tA: x",
        b"A : x",
        b"A: x\ry: z",
        b"A: x\nB: y",
    ),
    *(
        b"A: " + b"x" * 9000,
        b"A" * 9000 + b": x",
        b"\r\n".join(b"A%d: x" % n for n in range(2000)),
        b"Host: a\r\nHost: b",
    ),
    *(
        b"\xc3\xa9: x",
        b"A: \xff",
        b"A: \x7f",
        b"(): x",
        b"Upgrade: websocket\r\nConnection: Upgrade",
        b"Connection: close, x",
    ),
    *(
        b"Expect: 100-continue",
        b"Expect: 417",
        b"Upgrade: h2c\r\nHTTP2-Settings: AAA",
        b"TE: trailers",
        b"Connection: \x00",
    ),
)
FRAMES = (
    *(b"Content-Length: 2\r\nContent-Length: 3", b"Content-Length: 2\r\ncontent-length: 2", b"Content-Length: 2, 2"),
    *(b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 2"),
    *(b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: chunked, chunked"),
    *(
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    ),
    *(
        b"Content-Length: -1",
        b"Content-Length: +2",
        b"Content-Length: 0x2",
        b"Content-Length: 2 2",
        b"Content-Length: \xd9\xa2",
    ),
    *(
        b"Content-Length:",
        b"Content-Length: 2_0",
        b"Content-Length: 2\x00",
        b"Content-Length: 1e1",
        b"Content-Length: 2.0",
    ),
)
"""Lengths that two readers may read in two ways: whoever takes one of these for a request can be told to take two."""
CHUNKS = (
    *(
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"+2\r\n{}\r\n0\r\n\r\n",
        b"2 2\r\n{}\r\n0\r\n\r\n",
    ),
    *(
        b"fffffffffffffffff\r\n{}",
        b"2\r\n{}x\r\n0\r\n\r\n",
        b"\r\n{}\r\n",
        b"2_\r\n{}\r\n0\r\n\r\n",
        b"\xd9\xa2\r\n{}\r\n0\r\n\r\n",
    ),
)


class Written(Struct, frozen=True):
    """What is written to a connection, and whether it may be taken for a request at all."""

    sent: bytes
    strict: bool = False
    late: bool = True


def _line(rng: Random) -> Written:
    return Written(rng.choice(LINES) + b"\r\nHost: a\r\n\r\n")


def _header(rng: Random) -> Written:
    return Written(HEAD + b"\r\n" + rng.choice(HEADERS) + b"\r\nContent-Length: 2\r\n\r\n{}")


def _frame(rng: Random) -> Written:
    return Written(HEAD + b"\r\n" + rng.choice(FRAMES) + b"\r\n\r\n" + b"0\r\n\r\n" + GET, strict=True)


def _chunk(rng: Random) -> Written:
    return Written(HEAD + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + rng.choice(CHUNKS) + GET, strict=True)


def _pipelined(rng: Random) -> Written:
    return Written(GET * rng.randrange(1, 12) + rng.choice((b"", POST, b"x" * 100, GET[:30], POST[:-1])))


def _cut(rng: Random) -> Written:
    whole = rng.choice((GET, POST, GET + POST, HEAD + b"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
    return Written(whole[: rng.randrange(len(whole))])


def _flipped(rng: Random) -> Written:
    found = bytearray(rng.choice((GET, POST)))
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(found))
        found[place : place + rng.randrange(2)] = rng.choice(NOISE)
    return Written(bytes(found) + rng.choice((b"", b"\r\n\r\n")))


def _noise(rng: Random) -> Written:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(200)
    return Written(
        rng.choice(
            (hello, rng.randbytes(rng.randrange(400)), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n" * 50, b"\x00" * 99)
        )
    )


def _longer(rng: Random) -> Written:
    size = rng.choice((b"3", b"1048577", b"99999999999", b"9" * 30, b"1000"))
    return Written(HEAD + b"\r\nContent-Length: " + size + b"\r\n\r\n{}")


KINDS: tuple[Callable[[Random], Written], ...] = (
    *(_line, _header, _header, _frame, _frame, _chunk, _pipelined, _cut, _flipped, _flipped, _noise, _longer),
)


def conversation(seed: int) -> Written:
    """What is written to the connection of a seed."""
    rng = Random(seed)  # noqa: S311 - a seed must choose the same again
    made = rng.choice(KINDS)(rng)
    return Written(made.sent, made.strict, rng.random() < 0.6)
