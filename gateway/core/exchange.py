"""An exchange with an upstream: requests, replies, and the rules that hold for every dialect.

A conversation is a generator: it yields requests, is sent what was seen, and returns an outcome. It does no I/O, so the
same code runs against a socket, in `explain` and in a test that feeds it replies.
"""

import re
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct, structs

from gateway.core.codes import CONTROL
from gateway.core.money import Amount
from gateway.core.result import Absent, Created, NotSent, Outcome, Rejected, Unknown


class Request(Struct, frozen=True):
    """One HTTP request, relative to the upstream's `base_url`: the path with its query, percent-encoded."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Reply(Struct, frozen=True):
    """One HTTP answer that was read completely; header names are lower case."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


Seen = Reply | NotSent | Unknown
"""What became of a request: an answer for the dialect to judge, or an end that is the same for all of them."""

Conversation = Generator[Request, Seen, Outcome]
Search = Generator[Request, Seen, Outcome | Absent]

MOST_TURNS = 40
MOST_ID = 255
UNAUTHORIZED = frozenset((401, 402, 403))


class Unreadable(Exception):  # noqa: N818 - it is what the answer is
    """An answer that does not say what its API says; its outcome is unknown."""


def judge(reply: Reply, unauthorized: frozenset[int], now: datetime) -> Seen:
    """The statuses that mean the same at every upstream; the others are the dialect's to judge.

    Source: RFC 9110 section 15; a 5xx is indeterminate, a redirect is never followed.
    """
    status = reply.status
    if status in unauthorized:
        return NotSent("unauthorized", f"the upstream refused the credentials: {words(reply)}", status)
    if status == 429:
        wait = retry_after(reply, now)
        return NotSent("rate-limited", "the upstream's rate limit", status, wait)
    if status < 200 or 300 <= status < 400:
        return Unknown(
            "redirect", f"the upstream redirected to {reply.headers.get('location', 'nowhere')[:200]}", status
        )
    if status == 408 or status >= 500:
        return Unknown("server-error", f"the upstream answered {status}: {words(reply)}", status)
    return reply


def retry_after(reply: Reply, now: datetime) -> float | None:
    """The `Retry-After` of an answer in seconds from `now`; None where it has none that can be read."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), 86_400))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())


def words(reply: Reply) -> str:
    """The beginning of an answer as one line of text without control characters."""
    return text_of(reply.body[:2000].decode("utf-8", "replace"), 200) or f"status {reply.status}"


def text_of(text: str | None, most: int = 1000) -> str:
    """Words of an upstream, made safe to pass on: one line, bounded, no control characters."""
    return " ".join(CONTROL.sub(" ", text or "").split())[:most]


Step = Request | Outcome | Absent


def advance(conversation: Generator[Request, Seen, Outcome | Absent], seen: Seen | None) -> Step:
    """The conversation's next request, or how it ended; `seen` is None at the beginning.

    Nothing leaves a conversation as an exception: before the first request it is `NotSent`, after it `Unknown`.
    """
    try:
        return next(conversation) if seen is None else conversation.send(seen)
    except StopIteration as end:
        ended: Outcome | Absent = end.value
        return ended
    except Exception as error:  # noqa: BLE001 - a mapping's mistake must not lose an invoice
        detail = f"the mapping gave up: {type(error).__name__}"
        if seen is None:
            return NotSent("mapping", detail)
        if isinstance(error, Unreadable):
            return Unknown("unreadable", str(error), getattr(seen, "status", None))
        return Unknown("mapping", detail)


def settled(found: Outcome | Absent, refusal: Rejected) -> Outcome:
    """What a refusal comes to after the upstream was asked whether it stored the invoice all the same."""
    match found:
        case Absent():
            return refusal
        case NotSent():
            return doubt(found)
        case Created():
            return structs.replace(found, adopted=True)
        case _:
            return found


def doubt(seen: NotSent | Unknown) -> Unknown:
    """A question that got no answer: whatever it was about stays unknown."""
    return Unknown("lookup-failed", seen.detail, seen.http_status)


T = TypeVar("T")


def identity(own: str | int | None) -> str | None:
    """The id of an invoice in an answer, as text; None where it is none: blank, zero, or with control characters."""
    text = "" if own is None or (isinstance(own, int) and own <= 0) else str(own)
    return text if text.strip() not in ("", "0") and len(text) <= MOST_ID and CONTROL.search(text) is None else None


BROKEN = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What decoding raises: not JSON of that shape, nested too deep, not UTF-8 (in text that is looked at later)."""


def decoder(kind: type[T]) -> Callable[[Reply], T]:
    """A reader of answers of type `kind`, by content, whatever the content type says.

    The reader raises `Unreadable` where the answer is not of that shape.
    """
    decode = msgspec.json.Decoder(kind).decode

    def read(reply: Reply) -> T:
        try:
            return decode(reply.body)
        except BROKEN as error:
            raise Unreadable(f"status {reply.status}, {error}: {words(reply)}") from None

    return read


# Wider than the canonical grammar, since upstreams write doubles, but no wider than what compares in no time.
_FIGURE = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9])?")

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def figure(raw: Raw) -> Decimal | None:
    """A number in an answer, written as a JSON number or as a string; None where it is absent or none.

    Read from its text, so that no float comes between; an `Amount`, so that it is passed on without an exponent.
    """
    text = bytes(raw)
    return _figure(text) if len(text) <= 48 else None


@lru_cache(maxsize=4096)
def _figure(raw: bytes) -> Decimal | None:
    text = raw.decode("utf-8", "replace").strip().strip('"')
    return Amount(text) if _FIGURE.fullmatch(text) else None


def day(text: str | None) -> str | None:
    """The calendar date that a date or time of an answer begins with, as it stands; None where it has none."""
    found = _DAY.match(text or "")
    return found.group() if found else None


def segment(text: str) -> str:
    """Text as one segment of a path, percent-encoded (RFC 3986).

    Raises:
        ValueError: the text could leave its segment, encoded or not: empty, dots only, or with a slash.
    """
    if not text.strip(".") or "/" in text or "\\" in text:
        raise ValueError(f"{text!r} cannot stand in a path")
    return quote(text, safe="")
