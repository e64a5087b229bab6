"""Sixty-four callers with one key at three gateways on one PostgreSQL, all at once: one invoice, one id."""

import asyncio
import random
from functools import partial

from gateway.sandbox.faults import Armed
from tests.proof.caller import Caller, Heard, session
from tests.proof.places import Times, place
from tests.proof.row import Found, Tick, all_of
from tests.proof.spawner import Victim
from tests.proof.witness import Witness, witnessing

CALLERS = 64
REPLICAS = 3
TIMES = Times(timeout="5s")
AT_ONCE = 2
"""Rounds that are played side by side, so that gateways have others to think of, too."""
SLOW = Armed("delay", seconds=0.05)
"""The upstream takes its time, so that most callers come while the first is still waiting."""
DIALECTS = ("katsupay", "chargeover", "onlyoffice")


class Cluster:
    """Three gateways and all the callers, while they are there."""

    def __init__(self, victims: list[Victim], witness: Witness, rng: random.Random) -> None:
        self.victims = victims
        self.witness = witness
        self.rng = rng

    async def round(self, number: int) -> list[str]:
        """One key, from all sides; what is wrong then."""
        key = f"sim-{number}"
        dialect = DIALECTS[number % len(DIALECTS)]
        async with session() as asking:
            callers = [
                Caller(asking, partial(self._url, each % REPLICAS), self.witness, key, dialect)
                for each in range(CALLERS)
            ]
            await asyncio.gather(*(self._first(caller) for caller in callers))
            wrong = [each for each in await asyncio.gather(*(caller.insist() for caller in callers)) if each]
            wrong += await callers[0].wrongs()
        heard = [caller.heard for caller in callers]
        return wrong + _disagreement(key, heard) + self._creations(key)

    def _url(self, number: int) -> str:
        return self.victims[number].url

    async def _first(self, caller: Caller) -> None:
        await asyncio.sleep(self.rng.uniform(0.0, 0.02))
        await caller.send()

    def _creations(self, key: str) -> list[str]:
        arrivals = self.witness.of(key)
        return [] if len(arrivals) == 1 else [f"{key}: {len(arrivals)} creations arrived"]


def _disagreement(key: str, heard: list[list[Heard]]) -> list[str]:
    """Every caller hears 201, 200, or that it is under way, and in the end all hear of the same invoice."""
    wrong = [f"{key}: {each} was said" for own in heard for each in own if each.status not in (200, 201, 202, 409)]
    ends = {(own[-1].id, own[-1].upstream_id) for own in heard}
    if len(ends) != 1:
        wrong.append(f"{key}: callers heard of {len(ends)} invoices: {ends}")
    first = sum(each.status == 201 for own in heard for each in own)
    if first != 1:
        wrong.append(f"{key}: {first} callers heard that it was created just now")
    if any(each.status == 200 and not each.replayed for own in heard for each in own):
        wrong.append(f"{key}: 200, and not said to be a replay")
    return wrong


async def run(rounds: int, seed: int, tick: Tick) -> Found:
    """So many rounds at the same three gateways."""
    rng = random.Random(seed)  # noqa: S311 - a seed must choose the same again
    async with place("postgres") as at, witnessing(lambda _: SLOW) as witness:
        config = at.configuration(witness.url, TIMES)
        victims: list[Victim] = []
        try:
            victims += [await at.spawn(config) for _ in range(REPLICAS)]
            cluster = Cluster(victims, witness, rng)
            return await all_of([partial(cluster.round, number) for number in range(rounds)], tick, AT_ONCE)
        finally:
            for victim in victims:
                await victim.end()
