"""An event loop whose time is virtual: it goes on only while everybody waits, and then at once."""

import asyncio
import selectors
from typing import Any


class _NoWaiting(selectors.SelectSelector):
    """A selector that never waits; what it would have waited for is added to the time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Nothing is ever ready but what was called."""
        if timeout is None:
            raise AssertionError("everybody waits, and nobody will ever wake")
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop for simulations; `time()` begins at 0."""

    def __init__(self) -> None:
        self._virtual = _NoWaiting()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual.now
