"""Every named step, every behaviour of the upstream, both stores: a real process is killed right there.

Afterwards another gateway starts on the same journal, the caller sends the same invoice again, and the worker settles
what is in doubt. Then everything that is claimed is held against what the upstream has stored.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from aiohttp import ClientSession
from msgspec import Struct, structs

from gateway.sandbox.faults import Armed
from tests.proof.caller import Caller, session
from tests.proof.places import KINDS, Kind, Place, Times, place
from tests.proof.row import Found, Tick, all_of
from tests.proof.spawner import Victim
from tests.proof.witness import Arrival, Witness, witnessing

TIMEOUT, SETTLE = 350, 700  # milliseconds
HANG = 0.5
"""Seconds: longer than the gateway waits."""
LATE = 0.4
"""Seconds until something is stored that nobody waits for any more; what is promised is the settle time."""
SECONDS = 10.0
"""Within that a step is reached."""
SLOWER = (1, 4, 10)
"""A busy machine may use up a deadline before the step: then everything once more, and that many times slower."""

BEHAVIOURS: Mapping[str, Armed | None] = {
    "answers": None,
    "stores, then resets": Armed("store-then-reset"),
    "stores, then 500": Armed("store-then-status", status=500),
    "stores, then hangs": Armed("store-then-hang", seconds=HANG),
    "stores late": Armed("delay", seconds=LATE),
    "stores, then half an answer": Armed("truncated-json"),
    "resets": Armed("reset"),
    "hangs": Armed("hang", seconds=HANG),
    "503": Armed("status", status=503),
    "429": Armed("rate-limit", retry_after=0),
    "429 at every try": Armed("rate-limit", retry_after=0, times=3),
    "a stranger's 422": Armed("status", status=422),
    "refuses": Armed("refuse", times=0),
    "refuses, but stored": Armed("refuse-stored"),
    "refuses connections": None,
}
"""What the upstream makes of the first `times` creations that it reads; of all of them where that is 0."""

WORDS: Mapping[str, Mapping[str, str]] = {
    "refuse": {
        "onlyoffice": "error-in-200",
        "chargeover": "error-in-201",
        "katsupay": "camel-case-400",
        "exsited": "errors-v4",
    },
    "refuse-stored": {
        "onlyoffice": "stored-then-400",
        "chargeover": "stored-error-in-200",
        "katsupay": "without-id",
        "exsited": "status-200",
    },
}
"""How each upstream refuses; where an upstream cannot say something, it answers as it should."""

SENDER = (
    "routed claim-begun claimed sending in-flight answered record-begun recorded concluded".split()  # in this order
)
WORKER = "taken looked-up settled".split()
ASYNC = "claim-begun claimed accepted resume-begun resumed sending in-flight answered record-begun recorded".split()
POSTPONED = "postpone-begun postponed".split()
REPEATED = "repeat-begun repeated".split()
NOT_SENT = ("429 at every try", "refuses connections")
RETRIED = ("429", *NOT_SENT)
ABSENT = ("resets", "hangs", "503")


class Cell(Struct, frozen=True):
    """A step at which a process is killed, and all around it; `later`: the caller leaves the delivery to the gateway.

    `patient`: the caller waits until the worker has settled it before it sends the invoice again.
    """

    kind: Kind
    dialect: str
    step: str
    behaviour: str
    later: bool = False
    patient: bool = False

    def __str__(self) -> str:
        """In a few words."""
        words = [self.kind, self.dialect, self.step, self.behaviour]
        return " / ".join(words + ["async"] * self.later + ["patient"] * self.patient)


def meets(step: str, behaviour: str) -> bool:
    """Whether there is such a moment: where no connection is made, nothing is read by the upstream."""
    return (step, behaviour) != ("in-flight", "refuses connections")


def cells() -> Iterator[Cell]:
    """All of them, also those that cannot be.

    Each step and behaviour with an upstream that can be asked; in between others that can be asked, prevent a second
    creation themselves, or do neither; and some where the caller does not wait.
    """
    for kind in KINDS:
        for place_, step in enumerate(SENDER + WORKER):
            for number, behaviour in enumerate(BEHAVIOURS):
                patient = bool((place_ + number) % 2)
                yield Cell(kind, "onlyoffice", step, behaviour, patient=patient)
                for other, dialect in enumerate(("chargeover", "katsupay", "exsited")):
                    if (place_ + number) % 4 == other:
                        yield Cell(kind, dialect, step, behaviour, patient=not patient)
        yield from (Cell(kind, "onlyoffice", "retried", each) for each in RETRIED)
        for step in ASYNC:
            for behaviour in ("answers", "stores, then resets", "hangs"):
                yield Cell(kind, "onlyoffice", step, behaviour, later=True)
        yield from (Cell(kind, "onlyoffice", step, each, later=True) for step in POSTPONED for each in NOT_SENT)
        yield from (Cell(kind, "onlyoffice", step, each, later=True) for step in REPEATED for each in ABSENT)


def every() -> list[Cell]:
    """All cells that there can be."""
    return [cell for cell in cells() if meets(cell.step, cell.behaviour)]


STEPS = tuple(dict.fromkeys(cell.step for cell in every()))


def chosen(kind: Kind, step: str) -> list[Cell]:
    """The cells of a store and a step."""
    return [cell for cell in every() if (cell.kind, cell.step) == (kind, step)]


class NotReachedError(Exception):
    """No process came to the step."""


class Play:
    """One cell while it is tried."""

    def __init__(self, cell: Cell, slower: int, at: Place, witness: Witness, asking: ClientSession) -> None:
        self.cell = cell
        self.place = at
        self.witness = witness
        times = Times(timeout=f"{TIMEOUT * slower}ms", settle=f"{SETTLE * slower}ms")
        self.config = at.configuration(witness.url, times)
        self.victim: Victim | None = None
        self.caller = Caller(asking, self.url, witness, "sim-1", cell.dialect)

    def url(self) -> str:
        """Where the gateway that lives now listens."""
        assert self.victim is not None
        return self.victim.url

    async def begin(self, step: str | None) -> Victim:
        """Start a gateway in place of the one before."""
        await self.end()
        self.victim = await self.place.spawn(self.config, step)
        return self.victim

    async def end(self) -> None:
        """Leave no process."""
        if self.victim is not None:
            await self.victim.end()
            self.victim = None

    async def run(self) -> list[str]:
        """Kill, begin again, ask again; what is wrong then."""
        cell = self.cell
        kills = ("answered", cell.step) if cell.step in WORKER else (cell.step,)
        for number, step in enumerate(kills):
            if not await self._killed(step, first=number == 0):
                heard = f"{step} was not reached; heard: {self.caller.heard}"
                raise NotReachedError(f"{cell}: {heard}\n{self.place.logs()}")
        await self.witness.listen()
        await self.begin(None)
        wrong = []
        if cell.patient or cell.later:
            wrong.append(await self.caller.settled())
        wrong += [await self.caller.insist(later=cell.later), await self.caller.settled()]
        # A last word, now that everything is over: the same as before, and nothing more is sent for it.
        await self.caller.send(later=cell.later)
        return [each for each in wrong if each is not None] + await self.caller.wrongs()

    async def _killed(self, step: str, *, first: bool) -> bool:
        """A gateway that dies at the step; whether it did."""
        victim = await self.begin(step)

        def seen(_: Arrival) -> None:
            victim.reached = step
            victim.send()

        if step == "in-flight":
            self.witness.seen = seen
        if first:
            await self.caller.send(later=self.cell.later)
        died = await victim.dead(SECONDS)
        self.witness.seen = lambda _: None
        return died and victim.reached == step


def planned(behaviour: str, slower: int, arrival: Arrival) -> Armed | None:
    """What an upstream of this behaviour makes of a creation."""
    armed = BEHAVIOURS[behaviour]
    if armed is None or (armed.times and arrival.number >= armed.times):
        return None
    armed = structs.replace(armed, seconds=armed.seconds * slower)
    return structs.replace(armed, fault=WORDS[armed.fault][arrival.dialect]) if armed.fault in WORDS else armed


async def tried(cell: Cell) -> list[str]:
    """What is wrong after a cell."""
    missed = ""
    for slower in SLOWER:
        try:
            return await played(cell, slower)
        except NotReachedError as error:
            missed = str(error)
    return [missed]


async def played(cell: Cell, slower: int) -> list[str]:
    """What is wrong after a cell that took place."""
    plan = partial(planned, cell.behaviour, slower)
    refuses = cell.behaviour == "refuses connections"
    async with place(cell.kind) as at, witnessing(plan, listens=not refuses) as witness, session() as asking:
        play = Play(cell, slower, at, witness, asking)
        try:
            wrong = await play.run()
        finally:
            await play.end()
        return [f"{cell}: {each}\n{at.logs()}" for each in wrong]


async def run(chosen: list[Cell], tick: Tick) -> Found:
    """Try these cells, several at a time."""
    return await all_of([partial(tried, cell) for cell in chosen], tick)
