"""How faults are worded: pointers, quoted values, the nearest word that is known."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

from gateway.core.codes import CONTROL
from gateway.core.errors import Fault
from gateway.core.plainjson import Number


def escape(token: str) -> str:
    """A reference token of a pointer (RFC 6901 section 3); half a surrogate pair, which no UTF-8 can say, is a `?`."""
    return token.replace("~", "~0").replace("/", "~1").encode("utf-8", "replace").decode()


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "…"?`, or nothing."""
    return _nearest(word[:64], tuple(known))


# Remembered because a caller makes the same mistake again and again, and comparing with all currencies takes its time.
@lru_cache(maxsize=1024)
def _nearest(word: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(word, known, n=5, cutoff=0.6)
    # Of words that are about as close, people mean the one that begins alike.
    best = max(
        close, key=lambda other: sum(mine == theirs for mine, theirs in zip(word, other, strict=False)), default=""
    )
    return f'; did you mean "{best}"?' if best else ""


def unknown(pointer: str, value: str, known: Iterable[str], wanted: str) -> Fault:
    """The fault of a value that is not on its list."""
    return Fault(pointer, "unknown-code", f"{quoted(value)} is not {wanted}{nearest(value, known)}")


def quoted(value: str) -> str:
    """The value between quotation marks, cut to what a person can read, without control characters."""
    return f'"{CONTROL.sub("?", value[:64])}{"…" if len(value) > 64 else ""}"'


def described(value: object) -> str:  # noqa: PLR0911 - a table
    """What a plain value is, for people: `a number`, `the string "x"`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Number() | int() | float():
            return "a number"
        case str():
            return f"the string {quoted(value)}"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"a {type(value).__name__}"
