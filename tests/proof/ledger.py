"""The invoices of a simulation that runs for hours: it counts all of them, and holds only the latest."""

from collections.abc import Iterator
from typing import Any

from gateway.sandbox.simulation import Simulation

HELD = 400
"""Older ones are forgotten: by then their callers know what became of them."""


class Ledger:
    """In the place of a simulation's list: its length is how many there ever were, and so new ids go on."""

    def __init__(self) -> None:
        self._held: list[Any] = []
        self._forgotten = 0

    def __len__(self) -> int:
        return self._forgotten + len(self._held)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._held)

    def append(self, invoice: object) -> None:
        """Another one."""
        self._held.append(invoice)

    def forget(self) -> None:
        """Hold no more than the latest; not while a simulation works."""
        if len(self._held) > 2 * HELD:
            self._forgotten += len(self._held) - HELD
            del self._held[:-HELD]


def lean(simulation: Simulation) -> Ledger:
    """The ledger that a simulation writes into from now on."""
    assert isinstance(vars(simulation).get("_invoices"), list), f"{simulation.name} keeps its invoices elsewhere"
    made = vars(simulation)["_invoices"] = Ledger()
    return made
