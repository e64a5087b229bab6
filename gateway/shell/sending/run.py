"""The run of `send`: so many invoices under way at once, each answer kept as it comes, an end at any moment."""

import asyncio
import time
from collections.abc import AsyncIterator

from gateway.client import Client, Details, GatewayError, Result
from gateway.core.errors import ExternalIdReused, Problem
from gateway.shell.sending.index import ResultsError
from gateway.shell.sending.lines import Line
from gateway.shell.sending.results import Results, details
from gateway.shell.sending.tally import Tally

GRACE_SECONDS = 5.0
"""How long answers are waited for once the run is to end."""
BREATH = 100
"""Lines that need no sending, between two looks at the rest of the world."""


class Run:
    """One run over a file; `stopped` is why it ended early, for a person."""

    def __init__(self, client: Client, results: Results, tally: Tally, concurrency: int) -> None:
        self._client = client
        self._results = results
        self._tally = tally
        self._places = asyncio.Semaphore(concurrency)
        self._stop = asyncio.Event()
        self._under_way = set[asyncio.Task[None]]()
        self.stopped = ""
        self.interrupted = False

    def interrupt(self) -> None:
        """End early because somebody wants it; the second time at once."""
        if self.interrupted:
            self.hurry()
        self.interrupted = True
        self.stop("interrupted")

    def stop(self, why: str) -> None:
        """End early: nothing more is sent, and what is under way has a short time for its answer."""
        self.stopped = self.stopped or why
        self._stop.set()

    def hurry(self) -> None:
        """Wait for nothing any more."""
        for task in self._under_way:
            task.cancel()

    async def go(self, lines: AsyncIterator[Line]) -> None:
        """Send the lines.

        Raises:
            OSError: the file cannot be read on.
            ValueError: it is no CSV any more.
        """
        feeding, stopping = asyncio.create_task(self._feed(lines)), asyncio.create_task(self._stop.wait())
        await asyncio.wait((feeding, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not feeding.done():
            feeding.cancel()
            await asyncio.wait((feeding,))
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=GRACE_SECONDS)
        while self._under_way:
            self.hurry()
            await asyncio.wait(self._under_way)
        if not feeding.cancelled():
            feeding.result()

    async def _feed(self, lines: AsyncIterator[Line]) -> None:
        idle = 0
        async for line in lines:
            if self._is_known(line):
                idle += 1
                if idle % BREATH == 0:
                    await asyncio.sleep(0)
                continue
            await self._places.acquire()
            task = asyncio.create_task(self._one(line))
            self._under_way.add(task)
            task.add_done_callback(self._over)
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._places.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.stop(str(error))

    def _is_known(self, line: Line) -> bool:
        """Whether the line needs no sending: it was told before, or it cannot be sent, which is told now."""
        before = self._results.earlier(line) if line.external_id else None
        if before is not None and before[1]:
            self._tally.repeat()
            return True
        if (record := self._results.known(line)) is not None:
            self._tally.add(record, before=True)
            return True
        fault: Problem | None = line.fault
        if before is not None:
            fault = ExternalIdReused(f"line {before[0]} has the same external_id and other content")
        if fault is not None:
            self._keep(line, details(fault))
        return fault is not None

    def _keep(self, line: Line, found: Result | Details) -> None:
        try:
            self._tally.add(self._results.write(line, found))
        except ResultsError as error:
            self.stop(str(error))

    async def _one(self, line: Line) -> None:
        begun = time.monotonic()
        try:
            found: Result | Details = await self._client.send(line.body)
        except GatewayError as error:
            found = error.problem
            if (why := fatal(found)) is not None:
                self.stop(why)
                if found.outcome != "unknown":
                    return
        self._tally.took(time.monotonic() - begun)
        self._keep(line, found)


def fatal(problem: Details) -> str | None:
    """Why no other invoice would fare better; None if one may."""
    if problem.slug in ("unauthenticated", "not-found", "method-not-allowed"):
        hint = "; --token-env names the variable that holds a token" if problem.slug == "unauthenticated" else ""
        return problem.detail + hint
    return problem.detail if problem.status is None or not problem.slug else None
