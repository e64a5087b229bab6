"""Retention: the details of old invoices are removed, their keys and outcomes stay for ever."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from gateway.core.errors import JournalUnavailable
from gateway.core.events import Event, Purged
from gateway.core.ids import uuid7
from gateway.shell.journal.journal import Journal
from gateway.shell.setup import Current

EVERY_SECONDS = 3600.0
AT_ONCE = 500


class Retention:
    """Removes details that are older than they are kept."""

    def __init__(self, current: Current, journal: Journal, tell: Callable[[Event], None]) -> None:
        self._current = current
        self._journal = journal
        self._tell = tell

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            with suppress(JournalUnavailable):  # it was told; the next hour is early enough
                await self.round()
            await asyncio.sleep(EVERY_SECONDS)

    async def round(self) -> None:
        """Remove what is old, a few at a time, so that nobody waits long behind it.

        Raises:
            JournalUnavailable: it could not be.
        """
        since = self._journal.now() - self._current().policy.keep_bodies
        before, removed = uuid7(int(since * 1000), bytes(10)), 0
        while (count := await self._journal.purge(before, AT_ONCE, since=since)) > 0:
            removed += count
        if removed:
            self._tell(Purged(removed))
