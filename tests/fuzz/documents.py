"""Any JSON that an upstream may have said, read without its mapping: what it holds, and what it says of an invoice."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

FIGURE = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?")


def currency(one: dict[str, Any]) -> str | None:
    """The ISO code that an object states, under any of the names that it has."""
    found = one.get("currency") or one.get("Currency") or one.get("currency_iso4217")
    if isinstance(found, dict):
        found = found.get("code") or found.get("abbreviation") or found.get("Abbreviation") or found.get("name")
    text = scalar(found) or ""
    return text if len(text) == 3 and text.isascii() and text.isupper() and text.isalpha() else None


def amount(value: object) -> Decimal | None:
    """A figure as an exact number; None where it is none that anybody would read."""
    text = scalar(value) or ""
    return Decimal(text) if FIGURE.fullmatch(text) else None


class Number(str):
    """A number of a JSON text, as it is written."""

    __slots__ = ()


def parsed(body: bytes) -> list[Any]:
    """The JSON of a body; an object with a member twice is several of them, so that nothing is overlooked."""
    try:
        text = body.decode("utf-8", "replace")
        return [json.loads(text, parse_int=Number, parse_float=Number, parse_constant=Number, object_pairs_hook=_pairs)]
    except (ValueError, RecursionError):
        return []


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else {**found, "": [dict([pair]) for pair in pairs]}


def scalar(value: object) -> str | None:
    """A text or number as text; a whole number without its fraction or exponent."""
    if isinstance(value, Number):
        return _whole(value)
    return value if isinstance(value, str) else None


def _whole(text: Number) -> str:
    try:
        return str(int(text)) if len(text) < 20 and text.lstrip("-").isdigit() else str(text)
    except ValueError:
        return str(text)


def objects(document: object) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(document, dict):
        yield document
    for child in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from objects(child)


def scalars(document: object) -> Iterator[str]:
    """Every text and number in a document."""
    if (text := scalar(document)) is not None:
        yield text
    for child in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from scalars(child)
