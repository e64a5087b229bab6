"""A row of the proof: something that is tried many times, and what was found wrong."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

AT_ONCE = 12
MOST_TOLD = 5

Tick = Callable[[], None]
"""Called after each run."""


class Found(Struct, frozen=True):
    """How often something was tried, what was wrong, and what else there is to tell."""

    runs: int
    violations: tuple[str, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For the message of a failing test."""
        told = "\n\n".join(self.violations[:MOST_TOLD])
        return f"{len(self.violations)} violations in {self.runs} runs:\n{told}"


async def all_of(tries: Sequence[Callable[[], Awaitable[list[str]]]], tick: Tick, at_once: int = AT_ONCE) -> Found:
    """Everything tried, several at a time; whatever is raised counts as wrong."""
    began, wrong, free = time.monotonic(), list[str](), asyncio.Semaphore(at_once)

    async def one(tried: Callable[[], Awaitable[list[str]]]) -> None:
        async with free:
            try:
                wrong.extend(await tried())
            except Exception:  # noqa: BLE001 - the others shall be tried all the same
                wrong.append(traceback.format_exc())
            tick()

    async with asyncio.TaskGroup() as group:
        for each in tries:
            group.create_task(one(each))
    return Found(len(tries), tuple(wrong), time.monotonic() - began)
