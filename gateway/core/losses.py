"""What becomes of each canonical field in a dialect: declared as data, and from that the losses of an invoice.

`LEAVES` lists every field that a caller can set, with `*` for an index or a key. A dialect says of each what becomes of
it; a field that does not arrive as it was sent is a loss, named by its pointer.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, inspect

from gateway.core.codes import ICD
from gateway.core.invoice import Invoice
from gateway.core.result import Disposition, Loss
from gateway.core.schema import escape

Declared = Literal["carried", "refused"] | Disposition

# Not sent by definition, or only repeated: labels are for routing, extensions and other dialects' identifiers speak to
# one dialect, computed totals are checked and not data, and a line's discount has the taxes of its line.
_EXEMPT = (
    "/labels/*",
    "/extensions/*",
    "/lines/*/extensions/*",
    "/lines/*/net_amount",
    "/lines/*/discounts/*/taxes/",
    "/lines/*/charges/*/taxes/",
    "/totals/line_total",
    "/totals/discount_total",
    "/totals/charge_total",
    "/totals/tax_exclusive_total",
    "/totals/tax_total",
    "/totals/tax_inclusive_total",
    "/totals/amount_due",
)


class Fate(Struct, frozen=True):
    """What becomes of a canonical field: a disposition, the wire field it goes to, and words for a person.

    `sometimes` lists what else may become of it. Those losses, and all of a field that is `noted`, the mapping itself
    reports, since they depend on the values; the others follow from the field being there.
    """

    disposition: Declared
    wire: str | None = None
    detail: str = ""
    sometimes: tuple[Disposition, ...] = ()
    noted: bool = False

    @property
    def losses(self) -> tuple[Disposition, ...]:
        """Every disposition that a loss of this field can have."""
        own = as_loss(self.disposition)
        return self.sometimes if own is None else (own, *self.sometimes)


def as_loss(declared: Declared) -> Disposition | None:
    """The declared disposition if it is a loss; a field that is carried, or refused, is not lost."""
    return None if declared == "carried" or declared == "refused" else declared  # noqa: PLR1714 - mypy narrows this


def carried(wire: str, *sometimes: Disposition) -> Fate:
    """The field arrives as it was sent, in the wire field `wire`."""
    return Fate("carried", wire, sometimes=sometimes)


def dropped(detail: str = "the API has no field for it") -> Fate:
    """The field does not arrive."""
    return Fate("dropped", None, detail)


def folded(wire: str, detail: str = "", noted: bool = False) -> Fate:
    """The field's money arrives as a part of another."""
    return Fate("folded", wire, detail or f"is a part of {wire}", noted=noted)


def approximated(wire: str, detail: str, *sometimes: Disposition) -> Fate:
    """The field arrives as something near it; the mapping notes how near."""
    return Fate("approximated", wire, detail, sometimes, noted=True)


def derived(detail: str = "the upstream decides it") -> Fate:
    """The upstream has its own."""
    return Fate("derived", None, detail)


def refused(detail: str) -> Fate:
    """An invoice that has the field is untranslatable."""
    return Fate("refused", None, detail)


def _leaves(node: inspect.Type, pattern: str) -> Iterator[str]:
    match node:
        case inspect.Metadata():
            yield from _leaves(node.type, pattern)
        case inspect.UnionType():
            yield from _leaves(next(one for one in node.types if not isinstance(one, inspect.NoneType)), pattern)
        case inspect.StructType():
            for field in node.fields:
                yield from _leaves(field.type, f"{pattern}/{field.encode_name}")
        case inspect.VarTupleType():
            yield from _leaves(node.item_type, f"{pattern}/*")
        case inspect.DictType():
            yield f"{pattern}/*"
        case _:
            yield pattern


LEAVES = tuple(leaf for leaf in _leaves(inspect.type_info(Invoice), "") if not leaf.startswith(_EXEMPT))
"""Every canonical field that can be lost, as a pattern with `*` for indices and keys."""


def expand(fields: Mapping[str, Fate]) -> dict[str, Fate]:
    """The fate of every leaf: that of the longest declared pattern that is the leaf or contains it.

    Raises:
        ValueError: a leaf without a fate, or a declared pattern that contains no leaf.
    """
    fates: dict[str, Fate] = {}
    used: set[str] = set()
    for leaf in LEAVES:
        owners = [pattern for pattern in fields if leaf == pattern or leaf.startswith(f"{pattern}/")]
        if not owners:
            raise ValueError(f"nothing is declared for {leaf}")
        used.update(owners)
        fates[leaf] = fields[max(owners, key=len)]
    if unused := sorted(set(fields) - used):
        raise ValueError(f"no canonical field: {', '.join(unused)}")
    return fates


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
    root = _branch(tree, "")

    def find(invoice: Invoice) -> list[Loss]:
        found: list[Loss] = []
        _collect(invoice, root, found)
        return found

    return find


Tree = dict[str, "Fate | Tree"]
Branch = tuple[tuple[str, "Loss | Branch | _Items | _Keys"], ...]


class _Items:
    """The branch of each item of a list. Losses are constants, so those of an index are made once."""

    def __init__(self, tree: Tree, pointer: str) -> None:
        self.tree = tree
        self.pointer = pointer
        self.known: list[Branch] = []

    def at(self, index: int) -> Branch:
        if index >= 1000:
            return _branch(self.tree, f"{self.pointer}/{index}")
        while len(self.known) <= index:
            self.known.append(_branch(self.tree, f"{self.pointer}/{len(self.known)}"))
        return self.known[index]


class _Keys(Struct, frozen=True):
    """The fate of each entry of a map."""

    fate: Fate
    pointer: str
    schemes: bool


def _branch(tree: Tree, pointer: str) -> Branch:
    return tuple((name, _child(child, name, f"{pointer}/{name}")) for name, child in tree.items())


def _child(child: "Fate | Tree", name: str, pointer: str) -> "Loss | Branch | _Items | _Keys":
    if isinstance(child, Fate):
        return loss(pointer, child)
    if (each := child.get("*")) is None:
        return _branch(child, pointer)
    if isinstance(each, Fate):
        return _Keys(each, pointer, name == "identifiers")
    return _Items(each, pointer)


def _collect(value: object, branch: Branch, found: list[Loss]) -> None:
    for name, child in branch:
        part = getattr(value, name)
        if not part:  # absent, empty, false or zero: nothing that could be lost
            continue
        if isinstance(child, Loss):
            found.append(child)
        elif isinstance(child, _Items):
            for index, item in enumerate(part):
                _collect(item, child.at(index), found)
        elif isinstance(child, _Keys):
            # Identifiers under a dialect's name are meant for that dialect; only those of a standard scheme are lost.
            keys = (key for key in part if not child.schemes or ICD.match(key))
            found.extend(loss(f"{child.pointer}/{escape(key)}", child.fate) for key in keys)
        elif isinstance(child, tuple):
            _collect(part, child, found)


def loss(pointer: str, fate: Fate) -> Loss:
    """The loss of the field at `pointer` by its declared fate."""
    return Loss(pointer, as_loss(fate.disposition) or "dropped", fate.wire, fate.detail)


def pattern(pointer: str) -> str:
    """A pointer with `*` for indices and for the keys of maps: the form that metrics use."""
    tokens = pointer.split("/")
    for index, token in enumerate(tokens):
        if token.isdigit() or (index and tokens[index - 1] in ("identifiers", "metadata")):
            tokens[index] = "*"
    return "/".join(tokens)
