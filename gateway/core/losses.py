"""What becomes of each canonical field in a dialect: declared as data, and from that the losses of an invoice.

`LEAVES` lists every field that a caller can set and that can be lost, with `*` for an index or a key. A dialect says of
each what becomes of it; a field that does not arrive as it was sent is a loss, named by its pointer.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Literal, TypeVar

from msgspec import Struct, inspect

from gateway.core.invoice import Invoice
from gateway.core.result import Disposition, Loss

T = TypeVar("T")
MOST_REMEMBERED = 200
"""What follows from more is not remembered: a hostile invoice can have a hundred thousand losses, others the next."""
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


FIELDS = tuple(_leaves(inspect.type_info(Invoice), ""))
"""Every field that a caller can set, as a pattern with `*` for indices and keys."""

LEAVES = tuple(leaf for leaf in FIELDS if not leaf.startswith(_EXEMPT))
"""Those of them that can be lost."""


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


def remembered(made: Callable[[tuple[Loss, ...]], T]) -> Callable[[tuple[Loss, ...]], T]:
    """What is made of losses, remembered, since invoices of one sort lose the same."""
    kept = lru_cache(maxsize=128)(made)

    def found(losses: tuple[Loss, ...]) -> T:
        return (kept if len(losses) <= MOST_REMEMBERED else made)(losses)

    return found
