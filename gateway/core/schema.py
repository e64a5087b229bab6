"""Every fault of a plain value against a struct type, each with its pointer.

msgspec stops at the first fault; this is the slow way that is taken to name all of them. It reads the same types
through `msgspec.inspect`, so that there is one schema. Used for invoices, extensions and the configuration.
"""

import operator
import re
from datetime import date, datetime
from functools import lru_cache
from math import isfinite
from typing import Any

import msgspec
from msgspec import Raw, inspect

from gateway.core.codes import CONTROL, FORMS, SAMPLES, UNTOLD
from gateway.core.errors import MOST_FAULTS, Fault
from gateway.core.money import is_decimal_text
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

    def value(self, value: object, node: inspect.Type, pointer: str) -> object:  # noqa: C901, PLR0911, PLR0912 - a table
        """The usable value, or `_Wrong` after the fault was noted."""
        match node:
            case inspect.Metadata():
                return self.value(value, node.type, pointer)
            case inspect.UnionType():
                return self.value(value, _member(value, node), pointer)
            case inspect.StructType() if isinstance(value, dict):
                return self.struct(value, node, pointer)
            case inspect.DictType() if isinstance(value, dict):
                return self.mapping(value, node, pointer)
            case inspect.ListType() | inspect.VarTupleType() if isinstance(value, list):
                return self.items(value, node, pointer)
            case inspect.StrType() if isinstance(value, str):
                return self.text(value, node, pointer)
            case inspect.CustomType() if isinstance(value, (str, Number, int, float)) and not isinstance(value, bool):
                return self.decimal(value, pointer)
            case inspect.BoolType() if isinstance(value, bool):
                return value
            case inspect.IntType() if _is_int(value):
                return self.integer(value, node, pointer)
            case inspect.FloatType() if isinstance(value, (int, float)) and not isinstance(value, bool):
                return self.real(value, node, pointer)
            case inspect.LiteralType() if isinstance(value, str):
                if value in node.values:
                    return value
                options = ", ".join(map(str, node.values))
                raise self.wrong(pointer, "unknown-code", f"{quoted(value)} is not one of {options}")
            case inspect.DateType() | inspect.DateTimeType():
                return self.moment(value, node, pointer)
            case inspect.NoneType() if value is None:
                return None
            case inspect.RawType():
                return self.raw(value, pointer)
            case inspect.AnyType():
                return value
        raise self.wrong(pointer, "type", f"must be {wanted(node)}, not {described(value)}")

    def struct(self, value: dict[str, object], node: inspect.StructType, pointer: str) -> object:
        repaired: dict[str, object] = {}
        fields = {field.encode_name: field for field in node.fields}
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

    def decimal(self, value: str | Number | float, pointer: str) -> str:
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

    def raw(self, value: object, pointer: str) -> Raw:
        try:
            return Raw(write_json(value))
        except UnicodeEncodeError:
            raise self.wrong(pointer, "control-character", "holds half a surrogate pair") from None

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


def _is_int(value: object) -> bool:
    if isinstance(value, Number):
        return re.fullmatch(r"-?[0-9]{1,18}", value.text) is not None
    return isinstance(value, int) and not isinstance(value, bool)


def _member(value: object, union: inspect.UnionType) -> inspect.Type:
    """The member of the union that `value` is meant to be."""
    wanted, first = _SUITED.get(type(value), ()), None
    for node in union.types:
        if isinstance(_bare(node), wanted):
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


def _bare(node: inspect.Type) -> inspect.Type:
    return _bare(node.type) if isinstance(node, inspect.Metadata) else node


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
    return _WANTED.get(type(_bare(node)), "something else")


def placeholder(node: inspect.Type) -> Any:  # noqa: ANN401, C901, PLR0911, PLR0912 - a table; of whatever type is asked for
    """A harmless value of the type, to go on with after a fault."""
    match _bare(node):
        case inspect.StructType(fields=fields):
            return {field.encode_name: placeholder(field.type) for field in fields if field.required}
        case (
            inspect.ListType(item_type=item, min_length=least) | inspect.VarTupleType(item_type=item, min_length=least)
        ):
            return [placeholder(item)] * (least or 0)
        case inspect.DictType(key_type=key, value_type=item, min_length=least):
            return {placeholder(key): placeholder(item)} if least else {}
        case inspect.UnionType(types=types):
            return None if any(isinstance(one, inspect.NoneType) for one in types) else placeholder(types[0])
        case inspect.StrType(pattern=form) if form in SAMPLES:
            return SAMPLES[form]
        case inspect.StrType(min_length=least):
            return "x" * (least or 1)
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.CustomType():
            return "0"
        case inspect.DateType():
            return "0001-01-01"
        case inspect.BoolType():
            return False
        case inspect.IntType(ge=least):
            return least or 0
        case inspect.FloatType():
            return 1.0
        case inspect.RawType():
            return Raw(b"{}")
        case _:
            return None
