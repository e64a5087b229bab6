"""Processes that stand still at a step, as in a paused machine, while another gateway settles their invoice.

When they go on they must not send what is given up or sent by then, and what they say must be what became of it.
"""

import asyncio
import signal
from collections.abc import Sequence
from functools import partial
from itertools import product

from msgspec import Struct

from tests.proof.caller import Caller, session
from tests.proof.places import Place, Times, place
from tests.proof.row import Found, Tick, all_of
from tests.proof.spawner import Victim
from tests.proof.witness import Witness, witnessing

TIMES = Times(timeout="1s", settle="100ms")
SECONDS = 10.0


class Pause(Struct, frozen=True):
    """Where a gateway stands still, and which upstream the invoice is for."""

    step: str
    dialect: str


PAUSES = tuple(
    Pause(step, dialect)
    for step, dialect in product(
        ("routed", "claim-begun", "claimed", "sending", "in-flight", "answered", "record-begun", "recorded"),
        ("onlyoffice", "chargeover", "katsupay"),
    )
)


class Play:
    """A pause while it is played."""

    def __init__(self, pause: Pause, at: Place, witness: Witness, callers: Sequence[Caller]) -> None:
        self.pause = pause
        self.place = at
        self.witness = witness
        self.first, self.second = callers

    async def run(self, sleeper: Victim) -> list[str]:
        """One gateway stands still with the invoice, the other settles it, then the first goes on."""
        if self.pause.step == "in-flight":
            self.witness.seen = lambda _: sleeper.send(signal.SIGSTOP)
        sending = asyncio.create_task(self.first.send())
        try:
            if not await asyncio.to_thread(sleeper.stands_still, SECONDS):
                return [f"it was not reached; heard: {self.first.heard}"]
            wrong = [await self.second.insist(), await self.second.settled()]
            sleeper.send(signal.SIGCONT)
            async with asyncio.timeout(SECONDS):
                await sending
        finally:
            sending.cancel()
        # What was in doubt may be known now; whoever asks again hears it.
        wrong += [await caller.insist() for caller in (self.first, self.second)]
        found = [each for each in wrong if each is not None]
        return found + await self.first.wrongs() + await self.second.wrongs()


async def _played(pause: Pause) -> list[str]:
    async with place("postgres") as at, witnessing() as witness, session() as asking:
        config = at.configuration(witness.url, TIMES)
        sleeper = await at.spawn(config, pause.step, sign=signal.SIGSTOP)
        other = await at.spawn(config)
        try:
            callers = [
                Caller(asking, partial(getattr, victim, "url"), witness, "sim-1", pause.dialect)
                for victim in (sleeper, other)
            ]
            wrong = await Play(pause, at, witness, callers).run(sleeper)
        finally:
            await sleeper.end()
            await other.end()
        return [f"paused at {pause.step} / {pause.dialect}: {each}\n{at.logs()}" for each in wrong]


async def run(pauses: list[Pause], tick: Tick) -> Found:
    """Let these gateways stand still for a while."""
    return await all_of([partial(_played, each) for each in pauses], tick)
