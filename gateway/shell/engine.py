"""The gateway without its listeners: journal, deliveries, doubts and records, wired together over one store."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from msgspec import Struct

from gateway.core.breaker import Rules
from gateway.core.events import Event
from gateway.core.plan import Book
from gateway.shell.delivery import Delivery
from gateway.shell.exchanges import Clock, Counterpart, Exchanges
from gateway.shell.gateway import Gateway, new_id
from gateway.shell.journal import Store
from gateway.shell.journal.journal import Journal
from gateway.shell.logs import defect
from gateway.shell.reconcile import Reconciler
from gateway.shell.records import Records
from gateway.shell.retention import Retention


class Policy(Struct, frozen=True):
    """Seconds: until what waits is given up, between the checks of a doubt, until details are removed.

    `attempts` is how often one upstream is tried while nothing was sent; `breaker` when it is left alone.
    """

    deliver_by: float = 86_400.0
    delays: tuple[float, ...] = (1.0, 5.0, 30.0, 300.0)
    keep_bodies: float = 30 * 86_400.0
    attempts: int = 3
    breaker: Rules = Rules()


class Engine:
    """A store that is open, and everything that works on it. Clock, chance and ids are arguments."""

    def __init__(
        self,
        book: Book,
        counterparts: Mapping[str, Counterpart],
        store: Store,
        tell: Callable[[Event], None],
        policy: Policy,
        *,
        clock: Clock = time.monotonic,
        jitter: Callable[[], float] = random.random,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        self._tell = tell
        owner = make_id()
        self.journal = Journal(store, tell)
        self.exchanges = Exchanges(counterparts, clock, tell, policy.breaker)
        self.delivery = Delivery(
            book,
            self.exchanges,
            self.journal,
            tell,
            clock=clock,
            jitter=jitter,
            make_id=make_id,
            delays=policy.delays,
            attempts=policy.attempts,
        )
        self.reconciler = Reconciler(self.delivery, self.exchanges, self.journal, tell, owner)
        self.gateway = Gateway(
            self.delivery,
            self.exchanges,
            self.journal,
            self.reconciler,
            tell,
            owner=owner,
            deliver_by=policy.deliver_by,
        )
        self.records = Records(self.journal, tell)
        self._retention = Retention(self.journal, tell, policy.keep_bodies)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin the work in the background."""
        self._tasks = [asyncio.create_task(self._run(part.run)) for part in (self.reconciler, self._retention)]

    async def stop(self) -> None:
        """End the work in the background, finish what is under way, and close the store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.reconciler.finish()
        await self.journal.close()

    async def _run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Work for ever: a defect is told, and the work begins again a second later."""
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - it must go on
                self._tell(defect(error))
            await asyncio.sleep(1.0)
