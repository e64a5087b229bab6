"""How late the event loop is. Whatever blocks it delays every invoice at once, and no other metric says so."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from aiohttp import web

SECONDS = 0.1
"""Between two looks: often enough that nothing longer than this stays unseen, and too seldom to cost anything."""


def measured(app: web.Application, observe: Callable[[float], None]) -> web.Application:
    """The application, which observes the event loop's lag in seconds while it runs."""

    async def beside(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(watch(observe))
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app.cleanup_ctx.append(beside)
    return app


async def watch(
    observe: Callable[[float], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Observe for ever how much later than asked for a sleep ends."""
    while True:
        due = clock() + SECONDS
        await sleep(SECONDS)
        observe(max(clock() - due, 0.0))
