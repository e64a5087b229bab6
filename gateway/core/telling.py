"""What is told of an upstream's words: bounded, without control characters, and never with the gateway's own secrets.

Some upstreams repeat a request in their errors, its headers too. A mapping reads an answer as it came; whatever is
kept, logged or answered of it goes through here first.
"""

from collections.abc import Sequence
from html import escape
from json import dumps
from typing import TypeVar
from urllib.parse import quote

from msgspec import Struct, structs

from gateway.core.answer import ENCODER
from gateway.core.codes import BACKSLASH, CONTROL, may_hold_control
from gateway.core.exchange import Reply, text_of

MASK = "***"
MOST_TEXT = 1000
LEAST = 8
"""Characters of a secret that is looked for; a shorter one is in words that mean nothing by it."""
LEAST_CUT = 6
"""Characters of its beginning, where a text was cut in the middle of it."""

T = TypeVar("T")


def forms(secret: str) -> tuple[str, ...]:
    """A secret as it may stand in an answer: as it is, in JSON, in a URL and in HTML."""
    if len(secret) < LEAST:
        return ()
    written = dumps(secret)[1:-1]
    found = (secret, written, written.replace("/", "\\/"), dumps(secret, ensure_ascii=False)[1:-1])
    return tuple(dict.fromkeys((*found, quote(secret, safe=""), quote(secret), escape(secret))))


def told(value: T, secrets: Sequence[str]) -> T:
    """An outcome as it is told; `secrets` in all their forms. An invoice's own `id` stays as it is."""
    if _harmless(value, secrets):
        return value
    return _told(value, secrets)  # type: ignore[return-value]  # it is of the type that it was


def _harmless(value: object, secrets: Sequence[str]) -> bool:
    """Whether there is certainly nothing to mask, cut or replace in it. Most often there is not."""
    try:
        text = ENCODER.encode(value)
    except UnicodeEncodeError:  # halves of surrogate pairs: so bytes of a header are read that are not UTF-8
        return False
    if len(text) > MOST_TEXT or BACKSLASH in text or may_hold_control(text):
        return False
    return not any(secret[:LEAST_CUT].encode() in text for secret in secrets)


def _told(value: object, secrets: Sequence[str]) -> object:
    match value:
        case str():
            return _text(value, secrets)
        case tuple():
            return tuple(_told(each, secrets) for each in value)
        case dict():
            return {_told(name, secrets): _told(each, secrets) for name, each in value.items()}
        case Struct():
            changed = {
                name: now
                for name in value.__struct_fields__
                if name != "id" and (now := _told(was := getattr(value, name), secrets)) is not was
            }
            return structs.replace(value, **changed) if changed else value
        case _:
            return value


def _text(text: str, secrets: Sequence[str]) -> str:
    masked = _cut(mask(text, secrets), secrets)
    return masked if len(masked) <= MOST_TEXT and CONTROL.search(masked) is None else text_of(masked, MOST_TEXT)


def mask(text: str, secrets: Sequence[str]) -> str:
    """The text without the secrets."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def _cut(text: str, secrets: Sequence[str]) -> str:
    """The text without the beginning of a secret at its end."""
    for secret in secrets:
        for length in range(min(len(secret), len(text)), LEAST_CUT - 1, -1):
            if text.endswith(secret[:length]):
                return text[:-length] + MASK
    return text


def masked(reply: Reply | None, secrets: Sequence[str]) -> Reply | None:
    """An answer as it is kept."""
    if reply is None:
        return None
    body = reply.body
    for secret in secrets:
        body = body.replace(secret.encode(), MASK.encode())
    return reply if body is reply.body else structs.replace(reply, body=body)
