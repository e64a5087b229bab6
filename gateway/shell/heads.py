"""Requests as they are written by the fast way: what does not change is put together once for an upstream."""

import re

from msgspec import Struct
from yarl import URL

from gateway.core.exchange import Request
from gateway.shell.auth import Headers

METHODS = frozenset(("DELETE", "GET", "PATCH", "POST", "PUT"))
"""Methods whose answers have a body."""
TYPED = frozenset(("PATCH", "POST", "PUT"))
"""Methods whose requests have a content type even where they have no body, as aiohttp writes them."""
TYPE = "Content-Type: application/octet-stream\r\n"
OWN = frozenset(
    "accept-encoding connection content-length expect host keep-alive te trailer transfer-encoding upgrade"
    " user-agent".split()
)
"""Headers that only the client itself may write."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAKS = re.compile("[\0\r\n\ud800-\udfff]")
# Everything that can be seen, in ASCII, but '#'.
_PATH = re.compile(r"/[!\"$-~]*")


class Unwritable(Exception):  # noqa: N818 - it is what the request is
    """A request that could be taken for something else than it is, were it written."""


def check(request: Request, headers: Headers) -> None:
    """Whether a request can be written.

    Raises:
        Unwritable: there is a break in a header, or a space or worse in the path.
    """
    check_path(request.path)
    check_headers(headers)


def check_path(path: str) -> None:
    """See `check`."""
    if _PATH.fullmatch(path) is None:
        raise Unwritable("path")


def check_headers(headers: Headers) -> None:
    """See `check`."""
    if any(_BREAKS.search(value) or _NAME.fullmatch(name) is None for name, value in headers):
        raise Unwritable("header")


class Lines(Struct, frozen=True):
    """Headers as they are written, those included that every request has if it has no other of that name."""

    text: str
    typed: bool
    """Whether there is a content type."""


class Heads:
    """Writes the requests to one upstream."""

    def __init__(self, url: URL, common: Headers) -> None:
        """`common` are the headers that every request has, beside its host."""
        prefix = "" if url.raw_path == "/" else url.raw_path
        fixed = "".join(f"{name}: {value}\r\n" for name, value in common)
        self._starts = {method: f"{method} {prefix}" for method in METHODS}
        self._middle = f" HTTP/1.1\r\nHost: {url.host_port_subcomponent}\r\n{fixed}"
        self._last: Headers = ()
        self._lines = _lines(())

    def written(self, request: Request, headers: Headers) -> bytes | None:
        """The request, head and body; None where only aiohttp itself can write it.

        Raises:
            Unwritable: see `check`.
        """
        check_path(request.path)
        if headers != self._last:  # most are what they were the last time
            self._lines = _lines(headers)
            self._last = headers
        start, lines, body = self._starts.get(request.method), self._lines, request.body
        if start is None or lines is None:
            return None
        more = TYPE if not lines.typed and (body or request.method in TYPED) else ""
        if body or request.method != "GET":
            more += f"Content-Length: {len(body)}\r\n"
        return f"{start}{request.path}{self._middle}{lines.text}{more}\r\n".encode() + body


def _lines(headers: Headers) -> Lines | None:
    """Headers put together; None if there are some that cannot be written here."""
    check_headers(headers)
    names = {name.lower() for name, _ in headers}
    if names & OWN:
        return None
    text = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return Lines(text if "accept" in names else f"{text}Accept: */*\r\n", "content-type" in names)
