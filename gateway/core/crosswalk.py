"""Crosswalks: from the caller's ids to an upstream's ids, table by table. They belong to the operator."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

KINDS = ("customers", "suppliers", "orders", "items", "taxes", "currencies", "terms")


class Entry(Struct, frozen=True):
    """An id at the upstream, of the type that was configured; a tax has the rate that the upstream holds for it."""

    id: int | str
    rate: Decimal | None = None


class Crosswalk(Struct, frozen=True):
    """Kind to table. A kind that is in `same` needs none: the upstream knows the caller's ids."""

    tables: Mapping[str, Mapping[str, Entry]] = {}
    same: frozenset[str] = frozenset()

    def has(self, kind: str) -> bool:
        """Whether anything is configured for this kind."""
        return kind in self.same or kind in self.tables

    def find(self, kind: str, key: str) -> Entry | None:
        """The entry for the caller's `key`, or None."""
        if (table := self.tables.get(kind)) is not None:
            return table.get(key)
        return Entry(key) if kind in self.same else None
