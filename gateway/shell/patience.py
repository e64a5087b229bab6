"""Patience: nobody waits longer than so many seconds, and one timer watches over all who wait.

All are equally patient, so that whoever came first is the first to give up. A timer for each of them, which hardly ever
comes to its end, would cost more than most of what they wait for.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar, cast

T = TypeVar("T")


class _Waiting:
    """Somebody who waits: the task, when it gives up by the loop's clock, and whether it did."""

    __slots__ = ("before", "end", "over", "task")

    def __init__(self, task: asyncio.Task[object], end: float) -> None:
        self.task = task
        self.end = end
        self.over = False
        self.before = task.cancelling()


class Patience:
    """So many `seconds` of it, for as many as come."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._waiting: dict[_Waiting, None] = {}
        """In the order in which they give up."""
        self._watched = False

    async def wait(self, awaited: Awaitable[T]) -> T:
        """What is awaited.

        Raises:
            TimeoutError: it did not come in time, and was cancelled.
        """
        loop, task = asyncio.get_running_loop(), cast("asyncio.Task[object]", asyncio.current_task())
        waiting = _Waiting(task, loop.time() + self.seconds)
        self._waiting[waiting] = None
        if not self._watched:
            self._watch(loop, waiting.end)
        try:
            return await awaited
        except asyncio.CancelledError:
            if waiting.over and task.cancelling() <= waiting.before + 1:  # nobody else wants it to end
                raise TimeoutError from None
            raise
        finally:
            self._waiting.pop(waiting, None)
            if waiting.over:
                task.uncancel()

    def _watch(self, loop: asyncio.AbstractEventLoop, end: float) -> None:
        self._watched = True
        loop.call_at(end, self._due, loop)

    def _due(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let those give up whose time is over, and come again for the first of the others."""
        self._watched = False
        for waiting in tuple(self._waiting):
            if waiting.end > loop.time():
                self._watch(loop, waiting.end)
                return
            del self._waiting[waiting]  # whatever it still has to do before it is over
            waiting.over = True
            waiting.task.cancel()
