"""Real processes, killed at random moments while callers send invoices, and send them again until they know.

The negative control plays the same with the guard taken out: a proof that cannot find what it looks for proves nothing.
"""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from itertools import count

from aiohttp import ClientSession
from msgspec import Struct, structs

from gateway.sandbox.faults import Armed
from tests.proof.caller import Caller, session
from tests.proof.places import Kind, Place, Times, place
from tests.proof.row import Found, Tick, all_of
from tests.proof.spawner import Victim
from tests.proof.witness import Arrival, Witness, witnessing

CALLERS = 6
KILLS = 25
"""In one setting."""
AT_ONCE = 4
"""Settings that are played side by side."""
LIVES = (0.003, 0.15)
"""Seconds that a gateway lives once it listens."""
START = 0.06
"""Seconds within which some die, whether they listen by then or not."""
TIMES = Times()
FAULTS = (
    *(Armed("store-then-reset"), Armed("store-then-status", status=500), Armed("store-then-close")),
    *(Armed("delay", seconds=0.4), Armed("hang", seconds=0.5), Armed("reset"), Armed("rate-limit", retry_after=0)),
)


class Setting(Struct, frozen=True):
    """What is played: on which store, how many kills, where chance begins, with how many gateways at once.

    `troubled`: the upstreams fail, too. `guarded` is false for the negative control.
    """

    kind: Kind
    kills: int
    seed: int
    gateways: int = 1
    dialects: tuple[str, ...] = ("onlyoffice", "chargeover", "exsited", "katsupay")
    troubled: bool = True
    guarded: bool = True


class Play:
    """A setting while it is played."""

    def __init__(self, setting: Setting, at: Place, witness: Witness, asking: ClientSession, tick: Tick) -> None:
        self.setting = setting
        self.rng = random.Random(setting.seed)  # noqa: S311 - a seed must choose the same again
        self.place = at
        self.witness = witness
        self.asking = asking
        self.tick = tick
        self.config = at.configuration(witness.url, TIMES)
        self.living: list[Victim] = []
        self.callers: list[Caller] = []
        self.numbers = count(1)
        self.over = False

    def url(self) -> str:
        """Where one of the gateways that live now listens."""
        return self.rng.choice(self.living).url if self.living else "http://127.0.0.1:1"

    async def run(self) -> list[str]:
        """Kill, and look at what is left then."""
        gateways = self.setting.gateways
        shares = [len(range(each, self.setting.kills, gateways)) for each in range(gateways)]
        last = None
        try:
            async with asyncio.TaskGroup() as group:
                asking = [group.create_task(self._caller()) for _ in range(CALLERS)]
                await asyncio.gather(*map(self._killer, shares))
                self.over = True
                last = await self.place.spawn(self.config, guarded=self.setting.guarded)
                self.living.append(last)
            wrong = [each for each in map(asyncio.Task.result, asking) if each is not None]
            return wrong + await self._judged()
        finally:
            if last is not None:
                await last.end()

    async def _judged(self) -> list[str]:
        settled = await asyncio.gather(*(caller.settled() for caller in self.callers))
        wrongs = [wrong for caller in self.callers for wrong in await caller.wrongs()]
        return [each for each in settled if each is not None] + wrongs

    async def _caller(self) -> str | None:
        while not self.over:
            dialect = self.rng.choice(self.setting.dialects)
            caller = Caller(self.asking, self.url, self.witness, f"sim-{next(self.numbers)}", dialect)
            self.callers.append(caller)
            if wrong := await caller.insist():
                return wrong
        return None

    async def _killer(self, kills: int) -> None:
        for _ in range(kills):
            lives = self.rng.uniform(0.0, START) if self.rng.random() < 0.2 else None
            victim = await self.place.spawn(self.config, lives=lives, guarded=self.setting.guarded)
            self.living.append(victim)
            try:
                if lives is None:
                    await asyncio.sleep(self.rng.uniform(*LIVES))
                    assert victim.alive, "a gateway died by itself"
                    victim.send()
                await victim.dead()
            finally:
                self.living.remove(victim)
                await victim.end()
            self.tick()


def trouble(setting: Setting) -> Callable[[Arrival], Armed | None]:
    """How the upstreams behave: mostly well, though not at once."""
    rng = random.Random(setting.seed + 1)  # noqa: S311 - a seed must choose the same again

    def plan(_: Arrival) -> Armed | None:
        if setting.troubled and rng.random() < 0.3:
            return rng.choice(FAULTS)
        return Armed("delay", seconds=rng.uniform(0.0, 0.04))

    return plan


async def played(setting: Setting, tick: Tick) -> list[str]:
    """What is wrong after a setting."""
    async with place(setting.kind) as at, witnessing(trouble(setting)) as witness, session() as asking:
        play = Play(setting, at, witness, asking, tick)
        wrong = await play.run()
        if not witness.created():
            wrong.append("nothing was ever created")
        return [f"{setting}: {each}" for each in wrong]


async def run(settings: list[Setting], tick: Tick) -> Found:
    """Play these settings, some side by side; a run is a kill."""
    found = await all_of([partial(played, each, tick) for each in settings], lambda: None, AT_ONCE)
    return Found(sum(each.kills for each in settings), found.violations, found.seconds)


def settings(kills: int, seed: int, kind: Kind) -> list[Setting]:
    """So many kills, in settings of not too many; with PostgreSQL there are two gateways in each."""
    gateways = 2 if kind == "postgres" else 1
    shares = [min(KILLS, kills - first) for first in range(0, kills, KILLS)]
    return [Setting(kind, share, seed + 2 * number, gateways) for number, share in enumerate(shares)]


def negative(kills: int, seed: int) -> list[Setting]:
    """The negative control, before an upstream that takes everything and can tell nobody."""
    own = settings(kills, seed, "sqlite")
    return [structs.replace(each, dialects=("katsupay",), troubled=False, guarded=False) for each in own]
