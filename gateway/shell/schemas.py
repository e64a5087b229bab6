"""The schemas of the published document: JSON Schema 2020-12 from the structs, so that both cannot tell two things."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import cleandoc

import msgspec
from msgspec import Struct, inspect

from gateway.core import money
from gateway.core.answer import Result
from gateway.core.dialect import Dialect
from gateway.core.errors import Fault
from gateway.core.explain import Explanation
from gateway.core.invoice import Invoice
from gateway.core.results import Response
from gateway.shell.problems import Details
from gateway.shell.records import Verdict
from gateway.shell.standing import Upstreams

Schema = dict[str, object]
AT = "#/components/schemas/"

DECIMAL = rf"^(?!{money.NEGATIVE_ZERO.pattern}$)(?:{money.GRAMMAR.pattern})$(?!\n)"
_PLAIN = r"^-?[0-9]+(?:\.[0-9]+)?$(?!\n)"


class Page(Struct, frozen=True):
    """Results, newest first; `next` is the `cursor` of the following page, null on the last."""

    items: tuple[Result, ...]
    next: str | None


ROOTS: tuple[type[Struct], ...] = (Invoice, Result, Page, Explanation, Verdict, Upstreams, Details, Response, Fault)
"""What is sent and answered; whatever they are made of follows."""

NAMES = {
    "Details": "Problem",
    "Response": "UpstreamResponse",
    "gateway.core.result.Totals": "ResultTotals",
    "gateway.core.totals.Totals": "ComputedTotals",
}
"""Names that are clearer outside, or are needed since two structs have one."""


def ref(name: str) -> Schema:
    """A reference to a schema."""
    return {"$ref": AT + name}


def schemas(dialects: Mapping[str, Dialect]) -> dict[str, Schema]:
    """Every schema by its name; the extensions of a dialect are called `DIALECT.Extension`, `DIALECT.LineExtension`."""
    found = _components(ROOTS, lambda name: NAMES.get(name, name))
    for dialect in dialects.values():
        kinds = [kind for kind in (dialect.extension, dialect.line_extension) if kind is not None]
        found |= _components(kinds, lambda name, dialect=dialect: f"{dialect.name}.{name}")  # type: ignore[misc]
    _extend(found, "Invoice", {name: each.extension for name, each in dialects.items()})
    _extend(found, "Line", {name: each.line_extension for name, each in dialects.items()})
    schemes = "|".join(("[0-9]{4}", *dialects))
    for name in ("Party", "Item", "Tax"):
        _member(found, name, "identifiers")["propertyNames"] = {"pattern": rf"^(?:{schemes})$(?!\n)"}
    # It may stand in the Idempotency-Key header instead; here the empty default is no value that can be sent.
    _member(found, "Invoice", "external_id").pop("default")
    return {"Amount": AMOUNT} | found


AMOUNT: Schema = {
    "title": "Amount",
    "description": "An amount, a quantity or a rate: a decimal as text, so that no float comes near money.",
    "type": "string",
    "pattern": DECIMAL,
    "examples": ["12.50"],
}


def _components(kinds: Iterable[type[Struct]], renamed: Callable[[str], str]) -> dict[str, Schema]:
    _, found = msgspec.json.schema_components(kinds, schema_hook=_custom, ref_template=AT + "{name}")
    written = {}
    nodes = {
        name: node
        for node in _structs(inspect.multi_type_info(kinds))
        for name in (node.cls.__name__, f"{node.cls.__module__}.{node.cls.__name__}")
    }
    for name, schema in found.items():
        node = nodes[name]
        if not (node.cls.__struct_config__.omit_defaults or node.forbid_unknown_fields):
            schema["required"] = [field.encode_name for field in node.fields]  # it is an answer, and says everything
        schema["title"] = renamed(name)
        written[renamed(name)] = _tidied(schema, renamed)
    return written


def _structs(nodes: Iterable[inspect.Type]) -> Iterator[inspect.StructType]:
    """Every struct in the types."""
    for node in nodes:
        match node:
            case inspect.StructType():
                yield node
                yield from _structs(field.type for field in node.fields)
            case inspect.Metadata():
                yield from _structs([node.type])
            case inspect.UnionType():
                yield from _structs(node.types)
            case inspect.VarTupleType():
                yield from _structs([node.item_type])
            case inspect.DictType():
                yield from _structs([node.value_type])
            case _:
                pass


def _custom(kind: type) -> Schema:
    if kind is money.Amount:
        return ref("Amount")
    raise NotImplementedError


def _tidied(schema: Schema, renamed: Callable[[str], str]) -> Schema:
    """The schema with its references renamed, its descriptions in one paragraph and no default that says nothing."""
    own: Schema = {}
    for key, value in schema.items():
        match key, value:
            case "$ref", str():
                name = value.removeprefix(AT)
                own[key] = value if name == "Amount" else AT + renamed(name)
            case "description", str():
                own[key] = " ".join(cleandoc(value).split())
            case "default", None:
                pass
            case "format", "decimal":
                own |= {"pattern": _PLAIN}
            case _:
                own[key] = _inner(value, renamed)
    return own


def _inner(value: object, renamed: Callable[[str], str]) -> object:
    match value:
        case dict():
            return _tidied(value, renamed)
        case list() | tuple():
            return [_inner(each, renamed) for each in value]
        case _:
            return value


def _extend(found: dict[str, Schema], name: str, kinds: Mapping[str, type[Struct] | None]) -> None:
    """Say of the extensions of a document or a line whose they are, and what is in them."""
    properties = {dialect: ref(f"{dialect}.{kind.__name__}") for dialect, kind in kinds.items() if kind is not None}
    member = _member(found, name, "extensions")
    member |= {"properties": properties, "additionalProperties": False}


def _member(found: dict[str, Schema], name: str, member: str) -> Schema:
    properties = found[name]["properties"]
    assert isinstance(properties, dict)  # noqa: S101 - of a struct they are
    schema = properties[member]
    assert isinstance(schema, dict)  # noqa: S101
    return schema
