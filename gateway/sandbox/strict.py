"""What strict simulations share: reading a request to the letter, and saying no."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import date
from decimal import Decimal
from urllib.parse import parse_qsl, unquote

from gateway.core.exchange import Request
from gateway.core.plainjson import Number, read_json
from gateway.sandbox.simulation import header

Check = Callable[[object], bool]
"""Whether a value, as `object_body` gives it, suits a field."""

_FIGURE = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9])?")
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Refused(Exception):  # noqa: N818 - it is what becomes of the request
    """The simulated API refuses the request, with an HTTP status and words."""

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.status = status


def target(request: Request) -> tuple[tuple[str, ...], dict[str, str]]:
    """The segments of the path and the query, both percent-decoded; of a repeated query name the first counts."""
    path, _, query = request.path.partition("?")
    named: dict[str, str] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        named.setdefault(name, text)
    return tuple(unquote(part) for part in path.removeprefix("/").split("/")), named


def is_json(request: Request) -> bool:
    """Whether the content type is JSON; parameters such as a charset are fine."""
    return (header(request, "content-type") or "").partition(";")[0].strip().lower() == "application/json"


def object_body(request: Request) -> dict[str, object]:
    """The body, which has to be a JSON object sent as JSON; numbers in it are `Number`.

    Raises:
        Refused: it is not.
    """
    if not is_json(request):
        raise Refused("The content type must be application/json.")
    try:
        value = read_json(request.body)
        # Half a surrogate pair can be written in JSON, but not be answered in UTF-8.
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError):
        raise Refused("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise Refused("The body must be a JSON object.")
    return value


def check_fields(given: Mapping[str, object], fields: Mapping[str, Check], place: str = "") -> None:
    """Refuses names that are not among `fields`, and values that do not suit theirs."""
    for name, value in given.items():
        if name not in fields:
            raise Refused(f"Unknown parameter: {place}{name}")
        if not fields[name](value):
            raise Refused(f"Invalid parameter: {place}{name}")


def check_query(query: Mapping[str, str], known: Collection[str] = ()) -> None:
    """Refuses query parameters that are not `known`."""
    for name in query:
        if name not in known:
            raise Refused(f"Unknown parameter: {name}")


def decimal_of(value: object) -> Decimal | None:
    """A JSON number as an exact Decimal; None where it is something else, a string too, or absurdly long."""
    return Decimal(value.text) if isinstance(value, Number) and _FIGURE.fullmatch(value.text) else None


def whole_of(value: object) -> int | None:
    """A JSON number without fraction and exponent; None where it is something else."""
    return int(value.text) if isinstance(value, Number) and _WHOLE.fullmatch(value.text) else None


def is_text(value: object) -> bool:
    """A string, perhaps empty."""
    return isinstance(value, str)


def is_truth(value: object) -> bool:
    """A JSON boolean."""
    return isinstance(value, bool)


def is_day(value: object) -> bool:
    """A date that exists, written YYYY-MM-DD and in no other form of ISO 8601."""
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
