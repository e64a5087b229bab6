"""What a strict simulation asks of a body: exact names, exact JSON types, bounds; every fault with its place."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from gateway.core.exchange import Request
from gateway.core.money import fits
from gateway.core.plainjson import Number, read_json, write_json
from gateway.sandbox.simulation import header

Wrong = tuple[str, str]
"""A place such as `$.products[0].quantity`, and what is wrong there."""

Check = Callable[[object, str], Iterator[Wrong]]
"""All that is wrong with a value at a place."""

INT32 = 2**31 - 1
INT64 = 2**63 - 1

# Bounded, so that arithmetic on what passed takes no time; no invoice needs more.
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9])?")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


def body_of(request: Request) -> Any:  # noqa: ANN401 - any JSON
    """The JSON of a request's body.

    Raises:
        ValueError: it is not JSON, or text in it is not Unicode, or it is nested too deep.
    """
    try:
        value = read_json(request.body)
        write_json(value)  # refuses halves of surrogate pairs, which could not be answered either
    except RecursionError:
        raise ValueError("nested too deep") from None
    return value


def is_json(request: Request) -> bool:
    """Whether the request says that its body is JSON."""
    kind = (header(request, "content-type") or "").partition(";")[0]
    return kind.strip().lower() == "application/json"


def decimals(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The same JSON with a Decimal for each number."""
    match value:
        case Number():
            return Decimal(value.text)
        case list():
            return [decimals(item) for item in value]
        case dict():
            return {name: decimals(item) for name, item in value.items()}
        case _:
            return value


def text(value: object, at: str) -> Iterator[Wrong]:
    """A string."""
    if not isinstance(value, str):
        yield at, "must be a string"


def uuid(value: object, at: str) -> Iterator[Wrong]:
    """A UUID in its usual form with four hyphens."""
    if not isinstance(value, str) or _UUID.fullmatch(value) is None:
        yield at, "must be a UUID"


def boolean(value: object, at: str) -> Iterator[Wrong]:
    """`true` or `false`."""
    if not isinstance(value, bool):
        yield at, "must be true or false"


def moment(value: object, at: str) -> Iterator[Wrong]:
    """A date with time and zone (ISO 8601, extended form) that exists."""
    try:
        exists = isinstance(value, str) and _MOMENT.fullmatch(value) and datetime.fromisoformat(value)
    except ValueError:
        exists = None
    if not exists:
        yield at, "must be a date and time with zone"


def integer(least: int = -INT32 - 1, most: int = INT32) -> Check:
    """A JSON number without point or exponent, within bounds."""

    def check(value: object, at: str) -> Iterator[Wrong]:
        if not isinstance(value, Number) or _INTEGER.fullmatch(value.text) is None:
            yield at, "must be an integer"
        elif not least <= int(value.text) <= most:
            yield at, f"must be from {least} to {most}"

    return check


def number(most: int | None = None, digits: int | None = None) -> Check:
    """A JSON number, not negative, within bounds, with at most `digits` decimal places."""

    def check(value: object, at: str) -> Iterator[Wrong]:
        if not isinstance(value, Number) or _NUMBER.fullmatch(value.text) is None:
            yield at, "must be a number"
            return
        figure = Decimal(value.text)
        if figure < 0 or (most is not None and figure > most):
            yield at, "must not be negative" if most is None else f"must be from 0 to {most}"
        if digits is not None and not fits(figure, digits):
            yield at, f"must have at most {digits} decimal places"

    return check


def nullable(check: Check) -> Check:
    """Null, or what `check` wants."""
    return lambda value, at: iter(()) if value is None else check(value, at)


def items(check: Check, least: int = 0) -> Check:
    """A list of what `check` wants."""

    def examine(value: object, at: str) -> Iterator[Wrong]:
        if not isinstance(value, list):
            yield at, "must be a list"
            return
        if len(value) < least:
            yield at, f"must have at least {least} element"
        for index, item in enumerate(value):
            yield from check(item, f"{at}[{index}]")

    return examine


def entries(check: Check) -> Check:
    """An object with any names whose values are what `check` wants."""

    def examine(value: object, at: str) -> Iterator[Wrong]:
        if not isinstance(value, dict):
            yield at, "must be an object"
            return
        for name, item in value.items():
            yield from check(item, f"{at}.{name}")

    return examine


def members(fields: Mapping[str, Check], required: Collection[str]) -> Check:
    """An object with these names and no others."""

    def examine(value: object, at: str) -> Iterator[Wrong]:
        if not isinstance(value, dict):
            yield at, "must be an object"
            return
        for name in required:
            if name not in value:
                yield f"{at}.{name}", "is required"
        for name, item in value.items():
            check = fields.get(name)
            yield from check(item, f"{at}.{name}") if check else [(f"{at}.{name}", "is not known")]

    return examine
