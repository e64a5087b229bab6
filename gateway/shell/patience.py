"""Patience: nobody waits longer than so many seconds, and one timer watches over all who wait.

All are equally patient, so that whoever came first is the first to give up. A timer for each of them, which hardly ever
comes to its end, would cost more than most of what they wait for.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """So many `seconds` of it, for as many as come."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: dict[asyncio.Timeout, float] = {}
        """When each of those who wait gives up, by the loop's clock; the first to do so is the first."""
        self._watched = False

    async def wait(self, awaited: Awaitable[T]) -> T:
        """What is awaited.

        Raises:
            TimeoutError: it did not come in time, and was cancelled.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as timeout:
            self._ends[timeout] = end = loop.time() + self.seconds
            if not self._watched:
                self._watch(loop, end)
            try:
                return await awaited
            finally:
                self._ends.pop(timeout, None)

    def _watch(self, loop: asyncio.AbstractEventLoop, end: float) -> None:
        self._watched = True
        loop.call_at(end, self._due, loop)

    def _due(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let those give up whose time is over, and come again for the first of the others."""
        self._watched = False
        for timeout, end in tuple(self._ends.items()):
            if end > loop.time():
                self._watch(loop, end)
                return
            del self._ends[timeout]  # whatever it still has to do before it is over
            timeout.reschedule(end)
