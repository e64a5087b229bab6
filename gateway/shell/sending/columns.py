"""Invoices in CSV: the header names the fields by their paths, such as `customer.id` or `lines.0.quantity`.

A row is an invoice. With columns such as `lines.*.quantity` a row is a line of one, and rows that follow each other
with the same `external_id` are one invoice. Cells are text, as amounts are in the canonical invoice; an empty cell is
absent.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
from msgspec import Raw, Struct, inspect

from gateway.core.errors import Fault, InvalidInvoice
from gateway.core.invoice import Invoice
from gateway.core.wording import nearest, quoted

DELIMITERS = (",", ";", "\t")
EACH = "*"
MOST_INDEX = 1000

Kind = Literal["text", "flag", "json"]


class Column(Struct, frozen=True):
    """A field of the invoice: where it is, and how its cells are read."""

    name: str
    path: tuple[str | int, ...]
    kind: Kind

    @property
    def repeats(self) -> bool:
        """Whether each row of an invoice has its own."""
        return EACH in self.path


def delimiter(header: str) -> str:
    """What separates the cells: whichever of comma, semicolon and tab comes first; no field has one in its name."""
    return min(DELIMITERS, key=lambda sign: header.find(sign) % (len(header) + 1))


def columns(header: Sequence[str]) -> tuple[Column, ...]:
    """What the cells of each row are.

    Raises:
        ValueError: with every fault of the header, a line each.
    """
    found: list[Column] = []
    wrong: list[str] = []
    for name in (one.strip() for one in header):
        try:
            if any(name == other.name for other in found):
                raise ValueError(f"the column {quoted(name)} is there twice")
            found.append(_column(name))
        except ValueError as error:
            wrong.append(str(error))
    if not wrong and all(column.name != "external_id" for column in found):
        wrong.append("no column external_id, without which an invoice could be created twice")
    if wrong:
        raise ValueError("\n".join(wrong))
    return tuple(found)


def _column(name: str) -> Column:
    path: list[str | int] = []
    node = inspect.type_info(Invoice)
    for part in name.split("."):
        node = _bare(node)
        match node:
            case inspect.StructType(fields=fields):
                named = {field.encode_name: field.type for field in fields}
                if part not in named:
                    raise ValueError(f"the column {quoted(name)}: {quoted(part)} is not known{nearest(part, named)}")
                node = named[part]
                path.append(part)
            case inspect.VarTupleType(item_type=item):
                node = item
                path.append(_index(name, part, first=path == ["lines"]))
            case inspect.DictType(value_type=value):
                node = value
                path.append(part)
            case inspect.RawType():
                path.append(part)
            case _:
                raise ValueError(
                    f"the column {quoted(name)}: there is nothing below {quoted('.'.join(map(str, path)))}"
                )
    return Column(name, tuple(path), _kind(name, _bare(node)))


def _index(name: str, part: str, *, first: bool) -> str | int:
    if part == EACH and first:
        return EACH
    if not (part.isascii() and part.isdigit() and int(part[:9]) < MOST_INDEX):
        raise ValueError(
            f"the column {quoted(name)}: {quoted(part)} must be a number from 0, such as in lines.0.quantity"
        )
    return int(part)


def _bare(node: inspect.Type) -> inspect.Type:
    """The type without its limits, and without that it may be absent."""
    while isinstance(node, (inspect.Metadata, inspect.UnionType)):
        inner = node.types if isinstance(node, inspect.UnionType) else (node.type,)
        node = next(one for one in inner if not isinstance(one, inspect.NoneType))
    return node


def _kind(name: str, node: inspect.Type) -> Kind:
    match node:
        case inspect.BoolType():
            return "flag"
        case inspect.RawType():
            return "json"
        case inspect.StructType() | inspect.VarTupleType() | inspect.DictType():
            raise ValueError(f"the column {quoted(name)} names a group of fields, and not one of them")
        case _:
            return "text"


def invoice(found: Sequence[Column], rows: Sequence[Sequence[str]]) -> bytes:
    """The invoice that rows of one `external_id` say, as JSON.

    Raises:
        InvalidInvoice: rows have more cells than the header, or contradict each other.
    """
    faults = list(_faults(found, rows))
    if faults:
        raise InvalidInvoice(faults[0].detail, tuple(faults))
    tree: dict[str | int, object] = {}
    for number, row in enumerate(rows):
        for column, cell in zip(found, row, strict=False):
            if cell and (column.repeats or number == 0):
                _put(tree, [number if part == EACH else part for part in column.path], _value(column.kind, cell))
    return msgspec.json.encode(_listed(tree))


def _faults(found: Sequence[Column], rows: Sequence[Sequence[str]]) -> Iterator[Fault]:
    for row in rows:
        if len(row) > len(found):
            yield Fault("", "columns", f"{len(row)} cells, and the header has {len(found)}")
        for column, cell, first in zip(found, row, rows[0], strict=False):
            if not column.repeats and cell not in ("", first):
                detail = (
                    f"{column.name} is {quoted(first)} in the invoice's first row, and {quoted(cell)} in a later one"
                )
                yield Fault("/" + "/".join(map(str, column.path)), "contradiction", detail)


def _value(kind: Kind, cell: str) -> object:
    """What a cell says; one that says nothing of its kind stays text, and the gateway tells what is wrong with it."""
    match kind:
        case "flag" if cell.lower() in ("true", "false"):
            return cell.lower() == "true"
        case "json":
            try:
                return msgspec.json.decode(cell, type=Raw)
            except msgspec.DecodeError:
                return cell
        case _:
            return cell


def _put(tree: dict[str | int, object], path: Sequence[str | int], value: object) -> None:
    for part in path[:-1]:
        below = tree.setdefault(part, {})
        if not isinstance(below, dict):  # a column for an extension as a whole, and one for a field in it
            return
        tree = below
    tree[path[-1]] = value


def _listed(tree: object) -> object:
    """The tree with lists where its keys are numbers; a place that no cell fills is no place."""
    if not isinstance(tree, dict):
        return tree
    if all(isinstance(key, int) for key in tree):
        return [_listed(tree[key]) for key in sorted(tree)]
    return {key: _listed(value) for key, value in tree.items()}
