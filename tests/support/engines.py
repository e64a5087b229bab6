"""Engines for tests: the real one over a real SQLite file; upstreams that say what they are told to, time by hand."""

import asyncio
import json
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from msgspec import Struct, structs

from gateway.core.breaker import Rules
from gateway.core.dialect import Translation, Upstream
from gateway.core.dispatch import Dispatch, dispatch_of
from gateway.core.events import Event
from gateway.core.exchange import Conversation, Reply, Request, Search, Seen
from gateway.core.ids import uuid7
from gateway.core.journal import Doubts, Entry
from gateway.core.plan import Book, Caller
from gateway.core.result import Absent, Created, NotSent, Outcome, Rejected, Stated, Unknown
from gateway.shell.compose import book
from gateway.shell.configuration import load
from gateway.shell.engine import Engine
from gateway.shell.exchanges import Counterpart
from gateway.shell.gateway import AT_ONCE, Answer, Preference
from gateway.shell.journal import Query, Store, StoreError
from gateway.shell.journal.sqlite import SqliteStore
from gateway.shell.lanes import Width
from gateway.shell.setup import Policy
from tests.support.running import NAMES, Edit, configured, invoice, replaced
from tests.support.stores import Clock

BILLING, SALES, ROOT = Caller("billing"), Caller("sales"), Caller("root", operator=True)
FIRST, SECOND, THIRD = "chargeover-us", "onlyoffice-eu", "katsupay-lagos"
FALLBACK = replaced(
    'name = "default"\nto = ', 'name = "default"\nfallback = ["onlyoffice-eu", "katsupay-lagos"]\nto = '
)
LATER = Preference(respond_async=True)
TIMEOUT = 10.0
SETTLE = 20.0
QUIET = TIMEOUT + SETTLE
"""Seconds after which an absence is believed."""
POLICY = Policy(deliver_by=3600.0, delays=(1.0, 5.0, 30.0), keep_bodies=86_400.0, attempts=1, breaker=Rules(open=0.0))
"""No retries within a delivery, and a breaker that is never open for any time: they have tests of their own."""
KEY = str(invoice()["external_id"])

NOT_SENT = NotSent("connect", "refused")
REJECTED = Rejected(422, "7", "no")
UNKNOWN = Unknown("timeout", "no answer")


def created(number: str, **stated: Any) -> Created:
    """An invoice with this id, of which the upstream says no more than this."""
    return Created(Stated(id=number, **stated), 201)


T = TypeVar("T")
K = TypeVar("K", bound=Event)
Creates = Callable[[Translation, bool], Conversation]
Script = Outcome | Absent | Creates


class Side:
    """The other side of an upstream: what it says to creations and lookups, the last again and again; what it saw.

    Without `lookups` nobody can ask it. While `open` is not set it takes a request and does not answer; each creation
    waits for one of the `gates` too, while there are any; `before` is called before a request counts as sent.
    """

    def __init__(self, *creations: Script, lookups: Iterable[Outcome | Absent] | None = (Absent("nothing"),)) -> None:
        self.creations = list(creations or (created("1"),))
        self.lookups = None if lookups is None else list(lookups)
        self.requests: list[Request] = []
        self.repeats: list[bool] = []
        self.left: list[float] = []
        self.reached = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.gates: list[asyncio.Event] = []
        self.before: Callable[[], Awaitable[None]] | None = None
        self.distrusted = 0

    @property
    def posts(self) -> int:
        """How many creating requests it saw."""
        return sum(request.method != "GET" for request in self.requests)

    @property
    def looks(self) -> int:
        """How often it was asked whether an invoice is there."""
        return len(self.requests) - self.posts

    async def send(self, request: Request, left: Callable[[], float]) -> Seen:
        """See `Sends`."""
        if left() <= 0:
            return NotSent("deadline", "too late")
        if self.before is not None:
            await self.before()
        self.requests.append(request)
        self.left.append(left())
        self.reached.set()
        if request.method != "GET" and self.gates:
            await self.gates.pop(0).wait()
        await self.open.wait()
        return Reply(200, b'{"said": "words of the upstream"}')

    def distrust(self) -> None:
        """See `Sends`."""
        self.distrusted += 1

    def create(self, translation: Translation, repeat: bool) -> Conversation:
        """The creation of its dialect."""
        said = self.creations.pop(0) if len(self.creations) > 1 else self.creations[0]
        self.repeats.append(repeat)
        if not isinstance(said, (Created, Rejected, NotSent, Unknown, Absent)):
            return (yield from said(translation, repeat))
        seen = yield translation.request
        if not isinstance(seen, Reply):
            return seen
        return said  # type: ignore[return-value]  # an absence is what a mapping must not say here

    def look(self, translation: Translation) -> Search:
        """The lookup of its dialect."""
        assert self.lookups is not None
        said = self.lookups.pop(0) if len(self.lookups) > 1 else self.lookups[0]
        seen = yield Request("GET", f"/find/{translation.expected.number}")
        return said if isinstance(seen, Reply) else seen


class Gated:
    """A store that can be troubled, one call after the other, and the real one behind it.

    `fails`: nothing is done, and that is certain; `breaks`: nothing is done, and nobody knows; `loses`: it is done, and
    the word of it is lost; `hangs`: nothing is done, and nothing is said before it is mended; `ok`: as it should be.
    What is callable is called first. `down` makes everything fail.
    """

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.now = inner.now
        self.alive = inner.alive
        self.down = False
        self._mended = asyncio.Event()
        self._armed: dict[str, list[str | Callable[[], Awaitable[None]]]] = {}

    def arm(self, operation: str, *troubles: str | Callable[[], Awaitable[None]]) -> None:
        """The next calls of an operation go so."""
        self._armed.setdefault(operation, []).extend(troubles)

    def mend(self) -> None:
        """No trouble any more."""
        self.down = False
        self._armed.clear()
        self._mended.set()

    async def _ask(self, operation: str, ask: Callable[[], Awaitable[T]]) -> T:
        armed = self._armed.get(operation)
        trouble = armed.pop(0) if armed else "ok"
        if callable(trouble):
            await trouble()
        if trouble == "breaks":
            raise StoreError("the line is dead")
        if self.down or trouble == "fails":
            raise StoreError("the disk is gone", unchanged=True)
        if trouble == "hangs":
            await self._mended.wait()
        answer = await ask()
        if trouble == "loses":
            raise StoreError("the word was lost")
        return answer

    async def open(self) -> None:
        """See `Store.open`."""
        await self.inner.open()

    async def close(self) -> None:
        """See `Store.close`."""
        await self.inner.close()

    async def claim(self, entry: Entry) -> tuple[bool, Entry]:
        """See `Store.claim`."""
        return await self._ask("claim", lambda: self.inner.claim(entry))

    async def replace(self, was: Entry, now: Entry) -> bool:
        """See `Store.replace`."""
        return await self._ask("replace", lambda: self.inner.replace(was, now))

    async def get(self, entry_id: str) -> Entry | None:
        """See `Store.get`."""
        return await self._ask("get", lambda: self.inner.get(entry_id))

    async def find(self, client: str, external_id: str) -> Entry | None:
        """See `Store.find`."""
        return await self._ask("find", lambda: self.inner.find(client, external_id))

    async def page(self, query: Query) -> list[Entry]:
        """See `Store.page`."""
        return await self._ask("page", lambda: self.inner.page(query))

    async def take(self, owner: str, lease: float, limit: int) -> list[Entry]:
        """See `Store.take`."""
        return await self._ask("take", lambda: self.inner.take(owner, lease, limit))

    async def doubts(self) -> list[Doubts]:
        """See `Store.doubts`."""
        return await self._ask("doubts", self.inner.doubts)

    async def purge(self, before: str, limit: int, *, since: float = math.inf) -> int:
        """See `Store.purge`."""
        return await self._ask("purge", lambda: self.inner.purge(before, limit, since=since))


class Works(Struct, frozen=True):
    """An engine at work: its store, its upstreams' other sides by dialect, its time, and what it told."""

    engine: Engine
    store: Gated
    sides: Mapping[str, Side]
    clock: Clock
    told: list[Event]

    @property
    def side(self) -> Side:
        """The other side of the upstream that invoices are routed to."""
        return self.sides["chargeover"]

    async def submit(
        self, caller: Caller = BILLING, preference: Preference = AT_ONCE, request_id: str = "request-1", **changes: Any
    ) -> Answer:
        """Submit the demo's invoice for chargeover."""
        body = json.dumps(invoice("chargeover", **changes)).encode()
        return await self.engine.gateway.submit(body, None, caller, request_id, preference)

    async def held(self, **changes: Any) -> asyncio.Task[Answer]:
        """An invoice that has reached its upstream, and waits for its answer."""
        self.side.reached.clear()
        self.side.open.clear()
        sending = asyncio.create_task(self.submit(**changes))
        await self.side.reached.wait()
        return sending

    async def entry(self, key: str = KEY, client: str = "billing") -> Entry:
        """What the file holds under a key."""
        found = await self.store.inner.find(client, key)
        assert found is not None
        return found

    async def dispatch(self, key: str = KEY) -> Dispatch:
        """How it is being sent, by the file."""
        return dispatch_of(await self.entry(key))

    async def work(self, seconds: float = 0.0) -> None:
        """Some time later, the worker works on all that is due."""
        self.clock.seconds += seconds
        await self.engine.reconciler.round()
        await self.engine.reconciler.finish()

    def heard(self, kind: type[K]) -> list[K]:
        """The events of a kind."""
        return [event for event in self.told if isinstance(event, kind)]


@cache
def _book(*edits: Edit) -> Book:
    with TemporaryDirectory() as folder:
        return book(load(configured(Path(folder), "http://127.0.0.1:1", *edits)))


def _said(upstream: Upstream, side: Side, settle: float) -> Upstream:
    lookup = None if side.lookups is None else side.look
    return structs.replace(
        upstream, settle=settle, dialect=structs.replace(upstream.dialect, create=side.create, lookup=lookup)
    )


@asynccontextmanager
async def working(
    folder: Path,
    *edits: Edit,
    clock: Clock | None = None,
    policy: Policy = POLICY,
    jitter: float = 0.0,
    allowed: float = TIMEOUT,
    settle: float = SETTLE,
    gone: Iterable[str] = (),
    fallback: bool = True,
    places: int = 32,
    queue: int = 64,
    where: str = "",
    **sides: Side,
) -> AsyncIterator[Works]:
    """An engine whose worker does not run by itself; upstreams in `gone` are not configured, all others are `where`."""
    at = _book(*[FALLBACK] * fallback, *edits)
    sides = {dialect: sides.get(dialect, Side(created(f"{dialect}-1"))) for dialect in NAMES}
    upstreams = {
        name: _said(at.upstreams[name], sides[dialect], settle) for dialect, name in NAMES.items() if name not in gone
    }
    clock, told = clock or Clock(), list[Event]()
    store = Gated(SqliteStore(folder / "journal.db", clock))
    engine = Engine(
        structs.replace(at, upstreams=upstreams),
        {
            NAMES[name]: Counterpart(side, allowed, Width(places, queue), where)
            for name, side in sides.items()
            if NAMES[name] not in gone
        },
        store,
        told.append,
        policy,
        clock=clock,
        jitter=lambda: jitter,
        make_id=lambda: uuid7(int(clock() * 1000), os.urandom(10)),
    )
    await store.open()
    try:
        yield Works(engine, store, sides, clock, told)
    finally:
        store.mend()
        for side in sides.values():
            side.open.set()
        await engine.stop()


async def until(so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    for _ in range(1000):
        if so():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never became so")
