"""JSON texts, broken in their structure: what was written is cut at the seams of its values, and something else put in.

Works on bytes, so that a mutation costs microseconds. One seed is one mutation.
"""

import re
from collections.abc import Callable, Sequence
from random import Random

from msgspec import Struct

from tests.fuzz.fragments import CODES, DAYS, FIGURES, HOSTILE, KEYS, NOISE, NUMBERS, TEXTS

_TOKEN = re.compile(rb'\s*("(?:[^"\\]|\\.)*"|[-+.\w]+|[][{}:,])')
_FIGURE = re.compile(rb'"?-?[0-9]+(?:\.[0-9]+)?"?')
_DAY = re.compile(rb'"[0-9]{4}-[0-9]{2}-[0-9]{2}')
_CODE = re.compile(rb'"[A-Z][A-Z0-9]{0,3}"')


class Span(Struct, frozen=True):
    """A value: where it is, the name of the member that it is (empty in a list), and what may well stand instead."""

    start: int
    end: int
    name: bytes
    alike: Sequence[bytes]


class Sample(Struct, frozen=True):
    """A JSON text and its values."""

    body: bytes
    spans: tuple[Span, ...]


def sample(body: bytes) -> Sample:
    """A text with the places of all its values; one that is not JSON has none."""
    spans: list[Span] = []
    opened: list[tuple[int, bytes]] = []
    name, last = b"", b""
    for found in _TOKEN.finditer(body):
        token, start, end = found[1], found.start(1), found.end(1)
        if token in b"{[":
            opened.append((start, name))
            name = b""
        elif token in b"}]":
            began, own = opened.pop() if opened else (start, b"")
            spans.append(Span(began, end, own, HOSTILE))
        elif token == b":":
            name = last
            spans.pop()  # it was a name and no value
        elif token == b",":
            name = b""
        else:
            spans.append(Span(start, end, name, _alike(token)))
        last = token
    return Sample(body, tuple(spans))


def _alike(token: bytes) -> Sequence[bytes]:
    if _FIGURE.fullmatch(token):
        return FIGURES if token[:1] == b'"' else NUMBERS
    if _DAY.match(token):
        return DAYS
    return CODES if _CODE.fullmatch(token) else TEXTS


def mutated(rng: Random, one: Sample, others: Sequence[Sample]) -> bytes:
    """The text with one to three of its values replaced, and now and then with its bytes broken too."""
    body, limit = one.body, len(one.body)
    if one.spans and (chance := rng.random()) < 0.92:
        many = 1 if chance < 0.6 else 2 if chance < 0.8 else 3
        for span in sorted(rng.choices(one.spans, k=many), key=_start, reverse=True):
            if span.end <= limit:
                body = body[: span.start] + _instead(rng, one, span, others) + body[span.end :]
                limit = span.start
        if chance > 0.1:
            return body
    return rng.choice(BREAKS)(rng, body)


def _start(span: Span) -> int:
    return span.start


def _instead(rng: Random, one: Sample, span: Span, others: Sequence[Sample]) -> bytes:
    """What is put in the place of a value."""
    chance = rng.random()
    if chance < 0.45:
        return rng.choice(span.alike)
    if chance < 0.65:
        return rng.choice(HOSTILE)
    if chance < 0.75:  # a value from somewhere else
        other = rng.choice(others)
        if other.spans:
            taken = rng.choice(other.spans)
            return other.body[taken.start : taken.end]
    own = one.body[span.start : span.end]
    if not span.name:
        return own + b"," + (own if chance < 0.9 else rng.choice(HOSTILE))
    key = span.name if chance < 0.9 else rng.choice(KEYS)
    return own + b"," + key + b":" + rng.choice(span.alike if chance < 0.85 else HOSTILE)


Break = Callable[[Random, bytes], bytes]


def _cut(rng: Random, body: bytes) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def _left_out(rng: Random, body: bytes) -> bytes:
    start = rng.randrange(len(body) + 1)
    return body[:start] + body[start + rng.randrange(1, 40) :]


def _flipped(rng: Random, body: bytes) -> bytes:
    found = bytearray(body)
    for _ in range(rng.randrange(1, 5)):
        if found:
            found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _noisy(rng: Random, body: bytes) -> bytes:
    start = rng.randrange(len(body) + 1)
    return body[:start] + rng.choice(NOISE) + body[start:]


def _wrapped(rng: Random, body: bytes) -> bytes:
    before, after = rng.choice(
        ((b"[", b"]"), (b'{"invoice":', b"}"), (b"\xef\xbb\xbf", b""), (b" \n", b"\t"), (b"", b"x"))
    )
    return before + body + after


def _encoded(rng: Random, body: bytes) -> bytes:
    return body.decode("latin-1").encode(rng.choice(("utf-16", "utf-32", "utf-16-le", "utf-7", "cp500")))


def _twice(_: Random, body: bytes) -> bytes:
    return body + body


BREAKS: tuple[Break, ...] = (_cut, _left_out, _flipped, _noisy, _wrapped, _encoded, _twice)
