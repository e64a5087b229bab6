"""What stands in for a value that cannot be used, so that the checks which follow can go on."""

from typing import Any

from msgspec import Raw, inspect

from gateway.core.codes import SAMPLES


def bare(node: inspect.Type) -> inspect.Type:
    """The type without what is said of it beside."""
    return bare(node.type) if isinstance(node, inspect.Metadata) else node


def placeholder(node: inspect.Type) -> Any:  # noqa: ANN401, C901, PLR0911, PLR0912 - a table; of whatever type is asked for
    """A harmless value of the type, to go on with after a fault."""
    match bare(node):
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
