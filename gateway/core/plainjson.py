"""JSON as plain values, numbers as they were written: for what is looked at by hand, without a float in between."""

import json

import msgspec
from msgspec import Raw


class Number:
    """A JSON number as it was written; it never becomes a float. No struct, so that msgspec asks how to write it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Number({self.text})"


def read_json(body: bytes) -> object:
    """JSON in UTF-8 as plain values with `Number` for numbers; of duplicate keys the last counts.

    Raises:
        ValueError: not JSON, or not UTF-8.
        RecursionError: nested too deep.
    """
    return json.loads(body.decode(), parse_int=Number, parse_float=Number, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def write_json(value: object) -> bytes:
    """The inverse of `read_json`."""
    return msgspec.json.encode(value, enc_hook=_write_number)


def _write_number(value: object) -> Raw:
    if isinstance(value, Number):
        return Raw(value.text.encode())
    raise NotImplementedError(type(value).__name__)
