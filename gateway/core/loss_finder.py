"""The losses of an invoice that follow from the declared fates alone, found in little time: every invoice is asked."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, cast

from msgspec import Struct, inspect

from gateway.core.codes import ICD
from gateway.core.invoice import Invoice
from gateway.core.losses import Fate, as_loss, loss
from gateway.core.placeholder import bare
from gateway.core.result import Loss
from gateway.core.wording import escape

Tree = dict[str, "Fate | Tree"]
Fields = Mapping[str, inspect.Type]
"""The fields of a struct."""
Shape = tuple[bool, ...]
"""Of the parts of a struct, which are there."""
MOST_SHAPES = 16
"""So many shapes of a struct are remembered: real invoices have few, and hostile ones could have any."""
MOST_ITEMS = 1000
"""The branches of so many items of a list are kept; only hostile lists are longer."""


def loss_finder(fates: Mapping[str, Fate]) -> Callable[[Invoice], list[Loss]]:
    """A function that lists the losses of an invoice that follow from the declared fates alone."""
    tree: Tree = {}
    for leaf, fate in fates.items():
        if as_loss(fate.disposition) is not None and not fate.noted:
            *path, name = leaf[1:].split("/")
            node: Any = tree
            for token in path:
                node = node.setdefault(token, {})
            node[name] = fate
    root = _Branch(tree, _fields(inspect.type_info(Invoice)), "")

    def find(invoice: Invoice) -> list[Loss]:
        found: list[Loss] = []
        root.collect(invoice, found)
        return found

    return find


_Run = tuple[tuple[Loss, ...], int, "_Branch | _Items | _Keys | None"]
"""So many losses, then who is asked of which part."""


class _Step(Struct, frozen=True):
    """What a part that is there comes to: a loss, which is a constant and so made once, or what has to be asked."""

    name: str
    comes_to: "Loss | _Branch | _Items | _Keys"


class _Branch:
    """The fates below a struct. What it comes to depends on which of its parts are there, and is remembered by that."""

    __slots__ = ("_known", "_parts", "_steps")

    def __init__(self, tree: Tree, fields: Fields, pointer: str) -> None:
        self._steps = _steps(tree, fields, pointer)
        names = [step.name for step in self._steps]
        self._parts = attrgetter(*names, names[0])  # one more, so that there are always several
        self._known: dict[Shape, tuple[_Run, ...]] = {}

    def collect(self, value: object, found: list[Loss]) -> None:
        """Add the losses of `value`; what is absent, empty, false or zero cannot be lost."""
        parts = self._parts(value)
        shape = tuple(map(bool, parts))
        runs = self._known.get(shape)
        for losses, place, asked in self._learned(shape) if runs is None else runs:
            found += losses
            if asked is not None:
                asked.collect(parts[place], found)

    def _learned(self, shape: Shape) -> tuple[_Run, ...]:
        """What a struct of this shape comes to, in the order of the steps."""
        runs: list[_Run] = []
        losses: tuple[Loss, ...] = ()
        for place, step in enumerate(self._steps):
            match step.comes_to:
                case _ if not shape[place]:
                    pass
                case Loss() as constant:
                    losses += (constant,)
                case asked:
                    runs.append((losses, place, asked))
                    losses = ()
        if losses:
            runs.append((losses, 0, None))
        if len(self._known) < MOST_SHAPES:
            self._known[shape] = tuple(runs)
        return tuple(runs)


def _steps(tree: Tree, fields: Fields, pointer: str, prefix: str = "") -> list[_Step]:
    """The parts of a struct that can be lost: its own fields, then those of its structs, its lists, its maps."""
    own, inner, lists, maps = list[_Step](), list[_Step](), list[_Step](), list[_Step]()
    for name, child in tree.items():
        place, attribute = f"{pointer}/{name}", prefix + name
        if isinstance(child, Fate):
            own.append(_Step(attribute, loss(place, child)))
        elif (each := child.get("*")) is None:
            inner += _inner(child, bare(fields[name]), place, attribute)
        elif isinstance(each, Fate):
            maps.append(_Step(attribute, _Keys(name, each, place)))
        else:
            lists.append(_Step(attribute, _Items(each, fields[name], place)))
    return [*own, *inner, *lists, *maps]


def _inner(tree: Tree, kind: inspect.Type, pointer: str, attribute: str) -> list[_Step]:
    """A struct within another; the fields of one that is always there are taken for the other's own."""
    if isinstance(kind, inspect.UnionType):
        return [_Step(attribute, _Branch(tree, _fields(_present(kind)), pointer))]
    return _steps(tree, _fields(kind), pointer, f"{attribute}.")


def _fields(kind: inspect.Type) -> Fields:
    return {field.encode_name: field.type for field in cast("inspect.StructType", kind).fields}


def _present(kind: inspect.UnionType) -> inspect.Type:
    return next(bare(one) for one in kind.types if not isinstance(one, inspect.NoneType))


def _item(kind: inspect.Type) -> inspect.Type:
    return bare(cast("inspect.VarTupleType", bare(kind)).item_type)


class _Items:
    """The branch of each item of a list, made as lists get longer."""

    __slots__ = ("_fields", "_kind", "_known", "_pointer", "_tree")

    def __init__(self, tree: Tree, kind: inspect.Type, pointer: str) -> None:
        self._tree = tree
        self._kind = kind
        self._fields: Fields = {}
        self._pointer = pointer
        self._known: list[_Branch] = []

    def collect(self, items: Sequence[object], found: list[Loss]) -> None:
        """Add the losses of the items."""
        known, count = self._known, len(items)
        if count > len(known):
            known += map(self._branch, range(len(known), min(count, MOST_ITEMS)))
        for item, branch in zip(items, known, strict=False):
            branch.collect(item, found)
        if count > MOST_ITEMS:
            for index in range(MOST_ITEMS, count):
                self._branch(index).collect(items[index], found)

    def _branch(self, index: int) -> _Branch:
        self._fields = self._fields or _fields(_item(self._kind))
        return _Branch(self._tree, self._fields, f"{self._pointer}/{index}")


class _Keys:
    """The fate of each key of a map."""

    __slots__ = ("_fate", "_name", "_pointer")

    def __init__(self, name: str, fate: Fate, pointer: str) -> None:
        self._name = name
        self._fate = fate
        self._pointer = pointer

    def collect(self, keys: Iterable[str], found: list[Loss]) -> None:
        """Add the losses of the keys; identifiers under a dialect's name are meant for that dialect alone."""
        lost = (key for key in keys if self._name != "identifiers" or ICD.match(key))
        found.extend(loss(f"{self._pointer}/{escape(key)}", self._fate) for key in lost)
