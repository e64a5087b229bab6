"""A gateway that remembers nothing, for the benchmark alone: what the journal costs is what it does not cost.

`python -m tests.bench.nothing CONFIG` starts it. It answers as the product does, and would create an invoice twice.
"""

import asyncio
import math
import sys
import time
from pathlib import Path

from gateway.core.journal import Doubts, Entry
from gateway.shell.commands import look_seldom, loop_factory, stop_asked
from gateway.shell.configuration import load
from gateway.shell.journal import Query
from gateway.shell.service import Service


class Nothing:
    """A store that keeps nothing."""

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def alive(self) -> bool:
        """Always."""
        return True

    async def claim(self, entry: Entry) -> tuple[bool, Entry]:
        """At once."""
        return True, entry

    async def replace(self, was: Entry, now: Entry) -> bool:  # noqa: ARG002 - nothing is kept
        """At once."""
        return True

    async def get(self, entry_id: str) -> Entry | None:  # noqa: ARG002
        """Never there."""
        return None

    async def find(self, client: str, external_id: str) -> Entry | None:  # noqa: ARG002
        """Never there."""
        return None

    async def page(self, query: Query) -> list[Entry]:  # noqa: ARG002
        """Always empty."""
        return []

    async def take(self, owner: str, lease: float, limit: int) -> list[Entry]:  # noqa: ARG002
        """Nothing is due."""
        return []

    async def doubts(self) -> list[Doubts]:
        """Nothing is in doubt."""
        return []

    async def purge(self, before: str, limit: int, *, since: float = math.inf) -> int:  # noqa: ARG002
        """Nothing to remove."""
        return 0


async def serve(config: Path) -> None:
    """A gateway over such a store, until it is asked to stop."""
    service = Service(load(config), store=Nothing())
    await service.start()
    look_seldom()
    try:
        await stop_asked()
    finally:
        await service.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(Path(sys.argv[1])))
