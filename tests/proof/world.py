"""A world of the simulation: everything of one seed, and what is claimed of it, checked as it happens."""

import asyncio
import json
import random
from collections.abc import Callable, Iterable
from contextlib import suppress

from msgspec import Struct, structs

from gateway.core.dispatch import claim_of
from gateway.core.events import Defect, Event, JournalFailed
from gateway.core.exchange import Request
from gateway.core.ids import uuid7
from gateway.core.journal import Entry
from gateway.sandbox.server import catalog
from gateway.shell import auth
from gateway.shell.compose import book
from gateway.shell.gateway import Answer
from tests.proof.disk import Disk
from tests.proof.process import Died, Process
from tests.proof.scene import BILLING, EPOCH, configuration


class Guards(Struct, frozen=True):
    """What protects; a negative control takes one out, and the simulation must notice."""

    claim: bool = True
    quiet: bool = True
    deadline: bool = True
    durable: bool = True


class Violation(AssertionError):  # noqa: N818 - it is what happened
    """Something that is claimed is not so."""


class Sent(Struct, frozen=True):
    """A creating request that left, and the claim that covers it."""

    key: str
    upstream: str
    revision: int
    claim: str | None


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, guards: Guards) -> None:
        self.rng = rng = random.Random(seed)  # noqa: S311 - a seed must play the same again
        self.guards = guards
        self.loop = asyncio.get_running_loop()
        self.chaos = True
        self.deadliness = rng.choice((0.0, 0.005, 0.02, 0.05))
        self.unreliability = rng.choice((0.0, 0.02, 0.1, 0.3))
        self.replicas = rng.choice((1, 1, 2, 3))
        self.disk = Disk()
        loaded = configuration()
        self.book = book(loaded)
        if not guards.quiet:
            upstreams = {name: structs.replace(each, settle=-100.0) for name, each in self.book.upstreams.items()}
            self.book = structs.replace(self.book, upstreams=upstreams)
        self.simulations = catalog()
        self.processes: list[Process] = []
        self.restarts: set[asyncio.Task[None]] = set()
        self.late = 0
        self.deaths = 0
        self.violations: list[str] = []
        self.stores: list[Sent] = []
        self.denied: set[str | None] = set()
        self.follows: dict[str | None, str | None] = {}
        self.quirks: set[tuple[str, str | None]] = set()
        self.sends: list[Sent] = []
        self.told: list[tuple[float, str, Event]] = []
        self.heard: list[tuple[str, Answer]] = []

    def violation(self, text: str) -> Violation:
        """Remember what is not as it should be, whoever catches it."""
        self.violations.append(text)
        return Violation(text)

    def clock(self) -> float:
        """Seconds since 1970."""
        return EPOCH + self.loop.time()

    def make_id(self) -> str:
        """The next id."""
        return uuid7(int(self.clock() * 1000), self.rng.randbytes(10))

    def credentials(self, name: str) -> tuple[tuple[str, str], ...]:
        """What the upstream is shown; a new token each time, since the sandbox may let one expire."""
        loaded = configuration()
        upstream = loaded.config.upstreams[name]
        if upstream.auth.oauth is None:
            return auth.header(upstream.auth, loaded.folder)
        asked = auth.token_request(upstream.auth.oauth, loaded.folder)
        answer = self.simulations[upstream.dialect].answer(Request("POST", asked.path, asked.body, asked.headers))
        return (("Authorization", f"Bearer {json.loads(answer.body)['access_token']}"),)

    async def begin(self, name: str) -> None:
        """Start a process; one that dies while it starts is started again."""
        process = Process(self, name)
        self.processes.append(process)
        with suppress(Died):
            await process.run()

    def kill(self, process: Process, place: str) -> None:
        """A process dies, and is started again some time later."""
        self.told.append((self.clock() - EPOCH, process.name, place))  # type: ignore[arg-type]  # for a person
        process.end()
        self.deaths += 1
        self.processes.remove(process)
        task = self.loop.create_task(self._again(process.name))
        self.restarts.add(task)
        task.add_done_callback(self.restarts.discard)

    async def _again(self, name: str) -> None:
        await asyncio.sleep(self.rng.uniform(0.1, 5.0))
        await self.begin(name)

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """The network delivers later, whoever is dead by then."""
        self.late += 1

        def arrive() -> None:
            self.late -= 1
            act()

        self.loop.call_later(seconds, arrive)

    def heard_of(self, event: Event, name: str) -> None:
        """Events are kept, for whoever looks into a seed; two outcomes that contradict each other must not be."""
        self.told.append((self.clock() - EPOCH, name, event))
        if isinstance(event, JournalFailed) and event.operation == "contradiction" and self.guards == Guards():
            self.violation(f"{name}: {event.detail} of {event.invoice}")
        if isinstance(event, Defect):
            self.violation(f"{name}: {event.kind} at {event.places}")

    def sending(self, key: str, upstream: str, process: Process) -> Sent:
        """A creating request leaves: it must be covered by a durable claim."""
        entry = self.disk.find(BILLING.name, key)
        if self.guards.durable and (entry is None or entry.state != "sending" or entry.upstream != upstream):
            found = entry and brief(entry)
            raise self.violation(f"{key} is sent to {upstream} by {process.name} without a claim: {found}")
        sent = Sent(key, upstream, 0, None) if entry is None else Sent(key, upstream, entry.revision, claim_of(entry))
        self.sends.append(sent)
        return sent

    def stored(self, sent: Sent) -> None:
        """An upstream has created an invoice."""
        self.stores.append(sent)
        if len(self.made(sent.key)) > 1:
            raise self.violation(f"{sent.key} was created twice: {self.stores}")
        if self.is_denied(sent):
            raise self.violation(f"{sent.key} was created after its caller had heard that it would not be: {sent}")

    def is_denied(self, sent: Sent) -> bool:
        """Whether somebody heard that nothing would come of its claim, or of one before it in the same delivery."""
        claim = sent.claim
        while claim is not None and claim not in self.denied:
            claim = self.follows.get(claim)
        return claim is not None

    def made(self, key: str) -> list[Sent]:
        """The invoices of a key, at all upstreams."""
        return [each for each in self.stores if each.key == key]

    def check(self, key: str, told: str, revision: int) -> None:
        """What was said of an invoice, at that revision of its entry, must be so."""
        made = self.made(key)
        if told == "created" and len(made) != 1:
            raise self.violation(f"{key} is said to be created, and is not: {made}")
        if told in ("rejected", "not_sent") and any(each.revision < revision for each in made):
            raise self.violation(f"{key} is said to be {told} at revision {revision}, and exists: {made}")

    def deny(self, key: str, claims: Iterable[str | None]) -> None:
        """Nothing came of these claims, its caller heard, and nothing ever must."""
        self.denied.update(claims)
        if any(map(self.is_denied, self.made(key))):
            raise self.violation(f"{key} was created, and its caller heard that it would not be: {self.made(key)}")


def brief(entry: Entry) -> str:
    """An entry in a few words."""
    return f"{entry.external_id} {entry.state} at {entry.upstream}, due {entry.due_at}, revision {entry.revision}"
