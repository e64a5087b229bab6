"""Every fault of a plain value against a struct type, each with its pointer.

msgspec stops at the first fault; this is the slow way that is taken to name all of them. It reads the same types
through `msgspec.inspect`, so that there is one schema. Used for invoices, extensions and the configuration.
"""

import operator
import re
from collections.abc import Callable
from datetime import date, datetime
from functools import cache, lru_cache
from math import isfinite
from typing import Any, cast

import msgspec
from msgspec import Raw, inspect

from gateway.core.codes import CONTROL, FORMS, UNTOLD
from gateway.core.errors import MOST_FAULTS, Fault
from gateway.core.money import is_decimal_text
from gateway.core.placeholder import bare, placeholder
from gateway.core.plainjson import Number, write_json
from gateway.core.wording import described, escape, nearest, quoted


def faults(value: object, kind: object, pointer: str = "") -> list[Fault]:
    """Every fault of `value` against the type `kind`."""
    return examine(value, kind, pointer)[0]


def examine(value: object, kind: object, pointer: str = "") -> tuple[list[Fault], object]:
    """The faults, and `value` repaired: what is wrong left out or replaced, so that other checks can go on."""
    examination = _Examination()
    repaired = examination.node(value, _node(kind), pointer)
    return examination.faults, repaired


@lru_cache
def _node(kind: object) -> inspect.Type:
    return inspect.type_info(kind)


class _Wrong(Exception):  # noqa: N818 - never leaves this module
    """The value cannot be used at all."""


class _Examination:
    """One walk over a value; collects faults."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def wrong(self, pointer: str, code: str, detail: str) -> _Wrong:
        self.faults.append(Fault(pointer, code, detail))
        return _Wrong()

    def node(self, value: object, node: inspect.Type, pointer: str) -> object:
        try:
            return self.value(value, node, pointer)
        except _Wrong:
            return placeholder(node)

    def value(self, value: object, node: inspect.Type, pointer: str) -> object:
        """The usable value, or `_Wrong` after the fault was noted."""
        while (kind := type(node)) is inspect.Metadata or kind is inspect.UnionType:
            node = node.type if isinstance(node, inspect.Metadata) else _member(value, cast("inspect.UnionType", node))
        takes, check = _CHECKS.get(kind, _NOTHING)
        if not takes(value):
            raise self.wrong(pointer, "type", f"must be {wanted(node)}, not {described(value)}")
        return check(self, value, node, pointer)

    def struct(self, value: dict[str, object], node: inspect.StructType, pointer: str) -> object:
        repaired: dict[str, object] = {}
        fields = _fields(node.cls)
        for name in value:
            if name not in fields:
                place = f"{pointer}/{escape(name)}"
                hint = nearest(name, fields) if len(self.faults) < MOST_FAULTS else ""  # it takes its time
                self.wrong(place, "unknown-field", f"{quoted(name)} is not known here{hint}")
        for name, field in fields.items():
            place = f"{pointer}/{name}"
            if name in value:
                try:
                    repaired[name] = self.value(value[name], field.type, place)
                    continue
                except _Wrong:
                    pass
            elif field.required:
                self.wrong(place, "missing", "required")
            if field.required:
                repaired[name] = placeholder(field.type)
        return repaired

    def mapping(self, value: dict[str, object], node: inspect.DictType, pointer: str) -> object:
        if node.max_length is not None and len(value) > node.max_length:
            raise self.wrong(pointer, "length", f"at most {node.max_length} entries, not {len(value)}")
        least = node.min_length or 0
        if len(value) < least:
            raise self.wrong(pointer, "length", f"at least {least} entry is required")
        repaired = {}
        for name, item in value.items():
            place = f"{pointer}/{escape(name)}"
            try:
                self.value(name, node.key_type, place)
            except _Wrong:
                continue
            repaired[name] = self.node(item, node.value_type, place)
        return repaired if len(repaired) >= least else placeholder(node)

    def items(self, value: list[object], node: inspect.ListType | inspect.VarTupleType, pointer: str) -> object:
        if node.max_length is not None and len(value) > node.max_length:
            raise self.wrong(pointer, "length", f"at most {node.max_length} entries, not {len(value)}")
        if node.min_length is not None and len(value) < node.min_length:
            raise self.wrong(pointer, "length", f"at least {node.min_length} entry is required")
        return [self.node(item, node.item_type, f"{pointer}/{index}") for index, item in enumerate(value)]

    def text(self, value: str, node: inspect.StrType, pointer: str) -> str:
        if node.max_length is not None and len(value) > node.max_length:
            raise self.wrong(pointer, "length", f"at most {node.max_length} characters, not {len(value)}")
        if len(value) < (node.min_length or 0):
            least = f"at least {node.min_length} characters" if value else "must not be empty"
            raise self.wrong(pointer, "length", least)
        if node.pattern is not None and re.search(node.pattern, value) is None:
            form = FORMS.get(node.pattern) or f"of the form {node.pattern}"
            shown = "what stands there" if node.pattern in UNTOLD else quoted(value)
            raise self.wrong(pointer, "pattern", f"{shown} is not {form}")
        if (control := CONTROL.search(value)) is not None:
            code = f"U+{ord(control.group()):04X}"
            raise self.wrong(pointer, "control-character", f"holds the control character {code}")
        return value

    def decimal(self, value: str | Number | float, _: inspect.Type, pointer: str) -> str:
        if not isinstance(value, str):
            text = value.text[:24] if isinstance(value, Number) else str(value)
            raise self.wrong(pointer, "decimal", f'write amounts as strings: "{text}", not {text}')
        if not is_decimal_text(value):
            raise self.wrong(pointer, "decimal", f'{quoted(value)} is not a decimal such as "12.50"')
        return value

    def real(self, value: float, node: inspect.FloatType, pointer: str) -> float:
        limits = [
            (word, limit, holds)
            for word, limit, holds in (
                (" above", node.gt, operator.gt),
                (" from", node.ge, operator.ge),
                (" below", node.lt, operator.lt),
                (" to", node.le, operator.le),
            )
            if limit is not None
        ]
        if not isfinite(value) or not all(holds(value, limit) for _, limit, holds in limits):
            span = "".join(f"{word} {limit:g}" for word, limit, _ in limits)
            raise self.wrong(pointer, "range", f"must be a number{span}")
        return value

    def raw(self, value: object, _: inspect.Type, pointer: str) -> Raw:
        try:
            return Raw(write_json(value))
        except UnicodeEncodeError:
            raise self.wrong(pointer, "control-character", "holds half a surrogate pair") from None

    def literal(self, value: str, node: inspect.LiteralType, pointer: str) -> str:
        if value in node.values:
            return value
        options = ", ".join(map(str, node.values))
        raise self.wrong(pointer, "unknown-code", f"{quoted(value)} is not one of {options}")

    def anything(self, value: object, _: inspect.Type, __: str) -> object:
        return value

    def integer(self, value: object, node: inspect.IntType, pointer: str) -> int:
        number = int(value.text) if isinstance(value, Number) else int(str(value))
        if (node.ge is not None and number < node.ge) or (node.le is not None and number > node.le):
            least = "" if node.ge is None else f" from {node.ge}"
            most = "" if node.le is None else f" to {node.le}"
            raise self.wrong(pointer, "range", f"must be a whole number{least}{most}")
        return number

    def moment(self, value: object, node: inspect.DateType | inspect.DateTimeType, pointer: str) -> object:
        day = isinstance(node, inspect.DateType)
        if isinstance(value, date) and isinstance(value, datetime) is not day:
            return value  # TOML has dates of its own
        if not isinstance(value, str):
            raise self.wrong(pointer, "type", f"must be {wanted(node)}, not {described(value)}")
        try:
            return msgspec.to_builtins(msgspec.convert(value, date if day else datetime))
        except msgspec.ValidationError:
            form = "a date YYYY-MM-DD" if day else "a time such as 2026-06-30T10:15:00Z"
            raise self.wrong(pointer, "date", f"{quoted(value)} is not {form} that exists") from None


@cache
def _fields(kind: type) -> dict[str, inspect.Field]:
    """The fields of a struct by their names."""
    return {field.encode_name: field for field in cast("inspect.StructType", _node(kind)).fields}


def _is_int(value: object) -> bool:
    if isinstance(value, Number):
        return re.fullmatch(r"-?[0-9]{1,18}", value.text) is not None
    return isinstance(value, int) and not isinstance(value, bool)


def _is(*kinds: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kinds)


def _is_number(*kinds: type) -> Callable[[object], bool]:
    """Of one of these kinds; true and false are of `int`, but no numbers."""
    return lambda value: isinstance(value, kinds) and not isinstance(value, bool)


_Check = tuple[Callable[[object], bool], Callable[[_Examination, Any, Any, str], object]]
"""Which values a kind of type can look into at all, and how it does."""
_NOTHING: _Check = (_is(), _Examination.anything)
_CHECKS: dict[type, _Check] = {
    inspect.StructType: (_is(dict), _Examination.struct),
    inspect.DictType: (_is(dict), _Examination.mapping),
    inspect.ListType: (_is(list), _Examination.items),
    inspect.VarTupleType: (_is(list), _Examination.items),
    inspect.StrType: (_is(str), _Examination.text),
    inspect.CustomType: (_is_number(str, Number, int, float), _Examination.decimal),
    inspect.BoolType: (_is(bool), _Examination.anything),
    inspect.IntType: (_is_int, _Examination.integer),
    inspect.FloatType: (_is_number(int, float), _Examination.real),
    inspect.LiteralType: (_is(str), _Examination.literal),
    inspect.DateType: (_is(object), _Examination.moment),
    inspect.DateTimeType: (_is(object), _Examination.moment),
    inspect.NoneType: (_is(type(None)), _Examination.anything),
    inspect.RawType: (_is(object), _Examination.raw),
    inspect.AnyType: (_is(object), _Examination.anything),
}


def _member(value: object, union: inspect.UnionType) -> inspect.Type:
    """The member of the union that `value` is meant to be."""
    wanted, first = _SUITED.get(type(value), ()), None
    for node in union.types:
        if isinstance(bare(node), wanted):
            return node
        if first is None and not isinstance(node, inspect.NoneType):
            first = node
    return first or union.types[0]


_SUITED: dict[type, tuple[type, ...]] = {
    type(None): (inspect.NoneType,),
    dict: (inspect.StructType, inspect.DictType),
    list: (inspect.ListType, inspect.VarTupleType),
    str: (inspect.StrType, inspect.LiteralType, inspect.CustomType, inspect.DateType, inspect.DateTimeType),
    bool: (inspect.BoolType,),
    int: (inspect.IntType, inspect.FloatType),
    float: (inspect.FloatType,),
    date: (inspect.DateType,),
    datetime: (inspect.DateTimeType,),
    Number: (inspect.IntType,),
}


_WANTED: dict[type, str] = {
    inspect.StructType: "an object",
    inspect.DictType: "an object",
    inspect.ListType: "a list",
    inspect.VarTupleType: "a list",
    inspect.StrType: "a string",
    inspect.LiteralType: "a string",
    inspect.CustomType: 'a decimal string such as "12.50"',
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.DateType: "a date YYYY-MM-DD",
    inspect.DateTimeType: "a time such as 2026-06-30T10:15:00Z",
}


def wanted(node: inspect.Type) -> str:
    """What the type wants, in words."""
    return _WANTED.get(type(bare(node)), "something else")
