"""The gateway without its listeners: journal, deliveries, doubts and records, wired together over one store."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from gateway.core.events import Event
from gateway.core.plan import Book
from gateway.shell.delivery import Delivery
from gateway.shell.exchanges import Clock, Counterpart, Exchanges, awake
from gateway.shell.fresh import new_id
from gateway.shell.gateway import Gateway
from gateway.shell.journal import Store
from gateway.shell.journal.journal import Journal
from gateway.shell.logs import defect
from gateway.shell.reconcile import Reconciler
from gateway.shell.records import Records
from gateway.shell.retention import Retention
from gateway.shell.setup import Policy, Setup
from gateway.shell.tracer import UNTRACED, Tracer


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
        clock: Clock = awake,
        jitter: Callable[[], float] = random.random,
        make_id: Callable[[], str] = new_id,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._setup = Setup(book, Exchanges(counterparts, clock, tell, policy.breaker), policy)
        owner = make_id()
        self.journal = Journal(store, tell, tracer)
        self.delivery = Delivery(self.current, self.journal, tell, clock=clock, jitter=jitter, make_id=make_id)
        self.reconciler = Reconciler(self.current, self.delivery, self.journal, tell, owner, tracer=tracer)
        parts = (self.current, self.delivery, self.journal, self.reconciler, tell)
        self.gateway = Gateway(*parts, owner=owner, tracer=tracer)
        self.records = Records(self.journal, tell)
        self._retention = Retention(self.current, self.journal, tell)
        self._tasks: list[asyncio.Task[None]] = []

    def current(self) -> Setup:
        """What is in force now."""
        return self._setup

    def adopt(self, book: Book, counterparts: Mapping[str, Counterpart], policy: Policy) -> None:
        """Go by this from now on; what is under way ends by what it began with."""
        exchanges = Exchanges(counterparts, self._clock, self._tell, policy.breaker, self._setup.exchanges)
        self._setup = Setup(book, exchanges, policy)

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
