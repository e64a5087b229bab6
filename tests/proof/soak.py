"""Hours of load on one real gateway: nothing is lost or doubled, and it neither grows nor becomes slow.

At 70 % of what it can do, with a share of faults, of invoices that are left to the gateway, and of invoices that come
again. Callers and upstreams live in one process, which takes its part of the machine: the capacity that is measured is
that of both. At full length the journal takes some 10 GB of disk. A slope of memory and a drift of latency are judged
after half an hour at least, since what is shorter says nothing about them; they are told in any case.
"""

import asyncio
import math
import random
import time
import traceback
from collections import deque
from itertools import count
from statistics import linear_regression, median, quantiles

from aiohttp import ClientSession, ClientTimeout, TCPConnector
from msgspec import Struct

from gateway.sandbox.faults import Armed
from tests.proof.caller import PATIENCE_SECONDS, Caller, Heard
from tests.proof.ledger import lean
from tests.proof.places import Times, place
from tests.proof.row import Found, Tick
from tests.proof.witness import Arrival, Witness, witnessing
from tests.support import programs
from tests.support.programs import Program
from tests.support.running import replaced

DIALECTS = ("chargeover", "onlyoffice")
"""They can be asked, so that every doubt comes to an end."""
SHARE = 0.7
FAULTY, LATER, AGAIN, READ = 0.01, 0.1, 0.1, 0.02
"""Shares: creations that go wrong, invoices left to the gateway, ones that come again, results that are read again."""
FAULTS = (
    *(Armed("store-then-reset"), Armed("store-then-status", status=500), Armed("store-then-close")),
    *(Armed("delay", seconds=0.2), Armed("rate-limit", retry_after=0), Armed("reset")),
)
TIMES = Times(timeout="5s", settle="200ms")
SHORT = replaced("[journal]\n", '[journal]\nkeep_bodies = "1m"\n')
"""Details need not be kept."""
KEPT = 1000
"""Callers whose invoice may come again."""
CALLERS = 16
AT_ONCE = 32
"""As many as an upstream has places for: where the machine has no time, latencies tell so, and not refusals."""
WINDOWS = 40
JUDGED_SECONDS = 1800.0
MOST_GROWTH = 1.0
"""MB an hour."""
MOST_DRIFT = 0.1


class Sample(Struct, frozen=True):
    """A window: when it ended, the memory of the gateway in KiB then, and the p99 of its latencies in seconds."""

    at: float
    resident: int
    p99: float


class Soak:
    """The load while it runs."""

    def __init__(self, gateway: Program, witness: Witness, asking: ClientSession, rng: random.Random) -> None:
        self.gateway = gateway
        self.witness = witness
        self.asking = asking
        self.rng = rng
        self.wrong: list[str] = []
        self.samples: list[Sample] = []
        self._ledgers = [lean(simulation) for simulation in witness.simulations(DIALECTS)]
        self._numbers = count(1)
        self._known = deque[Caller]()
        self._troubled: set[str] = set()
        self._latencies: list[float] = []
        witness.plan = self._plan

    def _plan(self, arrival: Arrival) -> Armed | None:
        if self.rng.random() >= FAULTY:
            return None
        self._troubled.add(arrival.key)
        return self.rng.choice(FAULTS)

    async def capacity(self, seconds: float) -> float:
        """Requests a second from callers who send as fast as they are answered."""
        began, done = time.monotonic(), count()

        async def caller() -> None:
            while time.monotonic() < began + seconds:
                await self.one(time.monotonic())
                next(done)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        return next(done) / (time.monotonic() - began)

    async def steadily(self, requests: int, rate: float, tick: Tick) -> None:
        """So many requests, one after the other at this rate, whatever becomes of them."""
        began = time.monotonic()
        self._latencies.clear()

        free = asyncio.Semaphore(AT_ONCE)

        async def one(due: float) -> None:
            try:
                async with free:
                    await self.one(due)
            except Exception:  # noqa: BLE001 - hours of the others shall not be in vain
                self.wrong.append(traceback.format_exc())
            tick()

        sampling = asyncio.create_task(self._sample(began, max(requests / rate / WINDOWS, 1.0)))
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(requests):
                    due = began + number / rate
                    await asyncio.sleep(max(due - time.monotonic(), 0.0))
                    group.create_task(one(due))
        finally:
            sampling.cancel()

    async def _sample(self, began: float, window: float) -> None:
        while True:
            await asyncio.sleep(window)
            if len(self._latencies) > 1:
                p99 = quantiles(self._latencies, n=100)[98]
                self.samples.append(Sample(time.monotonic() - began, self.gateway.resident(), p99))
                self._latencies.clear()

    async def one(self, due: float) -> None:
        """One request: an invoice that came before, or a new one, followed to its end."""
        if self._known and self.rng.random() < AGAIN:
            await self._again(self.rng.choice(self._known))
            return
        key, later = f"sim-{next(self._numbers)}", self.rng.random() < LATER
        caller = Caller(self.asking, lambda: self.gateway.url, self.witness, key, self.rng.choice(DIALECTS))
        heard = await caller.send(later=later)
        if not (later or key in self._troubled):
            self._latencies.append(time.monotonic() - due)
        self._judge(caller, heard)
        await self._follow(caller, heard, later=later)
        self._known.append(caller)
        self._forget()

    def _judge(self, caller: Caller, heard: Heard | None) -> None:
        """An invoice whose upstream works has an answer, and it is no failure of anybody."""
        if heard is None or heard.status == 500 or (heard.status > 500 and caller.key not in self._troubled):
            self.wrong.append(f"{caller.key}: {heard} was heard")

    async def _follow(self, caller: Caller, heard: Heard | None, *, later: bool) -> None:
        """See that it is created once, and that everything that was said of it is so."""
        plain = heard is not None and heard.outcome == "created" and caller.key not in self._troubled
        if heard is not None and plain and self.rng.random() >= READ:
            arrived = [(each.stored, each.ids) for each in self.witness.of(caller.key)]
            if arrived != [(1, (heard.upstream_id,))]:
                self.wrong.append(f"{caller.key}: {heard} was said, and there is {arrived}")
            return
        ended = await (caller.settled() if later else caller.insist())
        if ended is None and later:
            ended = await caller.insist()  # the result that was not waited for
        self.wrong += [ended] if ended else await caller.wrongs()

    async def _again(self, caller: Caller) -> None:
        """An invoice that is known comes again: it is answered from the journal, and nothing arrives."""
        arrived = len(self.witness.of(caller.key))
        heard = await caller.send()
        if heard is None or heard.status != 200 or not heard.replayed or heard.arrivals > arrived:
            self.wrong.append(f"{caller.key} came again, and heard {heard}")

    def _forget(self) -> None:
        while len(self._known) > KEPT:
            gone = self._known.popleft()
            self.witness.forget(gone.key)
            self._troubled.discard(gone.key)
        for ledger in self._ledgers:
            ledger.forget()


def slope(samples: list[Sample]) -> float:
    """How much memory grows in MB an hour, after the first quarter, in which everything is filled."""
    later = samples[len(samples) // 4 :]
    if len(later) < 2:
        return math.nan
    return linear_regression([each.at for each in later], [each.resident * 1024e-6 for each in later])[0] * 3600


def drift(samples: list[Sample]) -> float:
    """How much the p99 of the last quarter is above that of the second one, as a share of it."""
    quarter = len(samples) // 4
    if not quarter:
        return math.nan
    first, last = samples[quarter : 2 * quarter], samples[-quarter:]
    return median(each.p99 for each in last) / median(each.p99 for each in first) - 1


def judged(samples: list[Sample]) -> list[str]:
    """What is wrong with memory and latency; nothing where it was too short to say."""
    if not samples or samples[-1].at < JUDGED_SECONDS:
        return []
    grown, slower = slope(samples), drift(samples)
    wrong = [f"memory grows by {grown:.1f} MB an hour"] if grown > MOST_GROWTH else []
    return wrong + ([f"p99 is {slower:.0%} worse in the end"] if slower > MOST_DRIFT else [])


def told(samples: list[Sample], rate: float) -> str:
    """The figures in a line."""
    if not samples:
        return f"{rate:.0f} requests/s; too short for any figure"
    first, last = samples[len(samples) // 4], samples[-1]
    memory = f"memory {first.resident / 1024:.1f} to {last.resident / 1024:.1f} MiB ({slope(samples):+.1f} MB/h)"
    latency = f"p99 {first.p99 * 1000:.1f} to {last.p99 * 1000:.1f} ms ({drift(samples):+.0%})"
    verdict = "judged" if last.at >= JUDGED_SECONDS else "too short to judge either"
    return f"{rate:.0f} requests/s for {last.at:.0f} s; {memory}, {latency}; {verdict}"


async def run(requests: int, seed: int, tick: Tick) -> Found:
    """So many requests at 70 % of the capacity."""
    began, rng = time.monotonic(), random.Random(seed)  # noqa: S311 - a seed must choose the same again
    connector = TCPConnector(limit=0)
    async with (
        place("sqlite") as at,
        witnessing() as witness,
        ClientSession(connector=connector, timeout=ClientTimeout(total=PATIENCE_SECONDS)) as asking,
        programs.gateway(at.configuration(witness.url, TIMES, SHORT)) as gateway,
    ):
        soak = Soak(gateway, witness, asking, rng)
        rate = SHARE * await soak.capacity(min(max(requests / 500, 1.0), 30.0))
        await soak.steadily(requests, rate, tick)
    wrong = (*soak.wrong, *judged(soak.samples))
    return Found(requests, wrong, time.monotonic() - began, (told(soak.samples, rate),))
