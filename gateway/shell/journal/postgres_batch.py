"""Changes that wait for the server at the same time are made by one statement, so that its cost is paid once for all.

Nobody waits for others to come: what arrives while a statement is under way makes up the next one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from gateway.shell.journal import StoreError

MOST = 256
"""The changes of one statement."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Batches(Generic[Asked, Answer]):
    """Collects changes of one kind; `write` makes them, and says for each what became of it, or what is wrong."""

    def __init__(self, write: Callable[[list[Asked]], Awaitable[list[Answer | Exception]]]) -> None:
        self._write = write
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def ask(self, change: Asked) -> Answer:
        """Make a change, together with those who ask meanwhile.

        Raises:
            StoreError: it is not known to be made.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._run())
        return await future

    async def finish(self) -> None:
        """Wait until nothing waits any more."""
        if self._writing is not None:
            await asyncio.wait((self._writing,))

    async def _run(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                # Whoever has gone by now is left out: its change has not begun.
                batch = [(change, future) for change, future in taken if not future.done()]
                for (_, future), answer in zip(batch, await self._answers(batch), strict=True):
                    if future.done():
                        continue
                    if isinstance(answer, Exception):
                        future.set_exception(answer)
                    else:
                        future.set_result(answer)
        finally:
            self._writing = None

    async def _answers(self, batch: list[tuple[Asked, asyncio.Future[Answer]]]) -> list[Answer | Exception]:
        try:
            return await self._write([change for change, _ in batch]) if batch else []
        except StoreError as error:  # everybody hears of it, each in an error of its own
            return [StoreError(str(error), unchanged=error.unchanged) for _ in batch]
        except Exception as error:  # noqa: BLE001 - a defect must not leave anybody waiting
            return [StoreError(type(error).__name__) for _ in batch]
