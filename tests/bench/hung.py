"""What a hung upstream costs another one: the latency of one upstream at a fixed rate, alone and beside others.

Upstream A gets a fixed share of what the gateway can do; beside it upstream B gets nothing, or as much again and works,
or as much again and hangs: it takes each invoice and never answers. Gateway, sandbox and load are processes of their
own, and new ones for every measurement, so that none begins with what another has left.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from aiohttp import ClientSession
from msgspec import Struct, to_builtins

from tests.bench.load import Asked, Told, loaded
from tests.support import programs
from tests.support.running import configured, timeout

A, B = "katsupay", "mykaarma"
"""Two dialects that cost the gateway about the same: one request each, and no lookup."""
SITUATIONS = ("alone", "beside B", "beside B hung")
FOR_EVER = 3600.0
CALLERS = 16


class Options(Struct, frozen=True):
    """How long and how often is measured, at which share of the capacity, and the time of an exchange."""

    seconds: float = 10.0
    rounds: int = 5
    share: float = 0.25
    timeout: str = "15s"


class Figures(Struct, frozen=True):
    """Latencies of A in seconds, and how many answers of A and B had which status."""

    p50: float
    p99: float
    answers: dict[int, int]
    others: dict[int, int]


class Measured(Struct, frozen=True):
    """Everything that was measured: invoices a second, the figures of each round, and what they come to."""

    options: Options
    capacity: float
    rate: float
    rounds: dict[str, list[Figures]]

    def median(self, situation: str, figure: str) -> float:
        """The median of a figure over all rounds, in seconds."""
        return median(float(getattr(each, figure)) for each in self.rounds[situation])

    def ratio(self, to: str) -> float:
        """The p99 of A beside a B that hangs, to that in another situation: the median of the rounds' own ratios."""
        pairs = zip(self.rounds["beside B hung"], self.rounds[to], strict=True)
        return median(hung.p99 / other.p99 for hung, other in pairs)


async def heard(options: Options, asked: Asked, *, hung: bool = False) -> dict[str, Told]:
    """What is heard under a load by fresh processes; `asked` knows everything but where."""
    with TemporaryDirectory(prefix="bench-") as folder:
        async with programs.sandbox() as sandbox:
            config = configured(Path(folder), sandbox.url, timeout(options.timeout))
            if hung:
                await hang(sandbox.url)
            async with programs.gateway(config, abruptly=True) as gateway:
                return await loaded(Asked(**{**to_builtins(asked), "url": gateway.url}))


async def hang(sandbox: str) -> None:
    """Let B take everything from now on, and answer nothing."""
    fault = {"fault": "hang", "times": 0, "seconds": FOR_EVER}
    async with ClientSession() as session, session.post(f"{sandbox}/_sandbox/{B}/faults", json=fault) as answer:
        assert answer.status == 200


async def capacity(options: Options) -> float:
    """Invoices a second that A takes from callers who send as fast as they are answered."""
    asked = Asked(url="", seconds=options.seconds, dialect=A, callers=CALLERS)
    told = (await heard(options, asked))[A]
    return len(told.latencies) / (options.seconds - asked.warm)


async def measure(options: Options, situation: str, rate: float) -> Figures:
    """One situation, once."""
    rates = {A: rate} if situation == "alone" else {A: rate, B: rate}
    asked = Asked(url="", seconds=options.seconds, rates=rates)
    told = await heard(options, asked, hung=situation == "beside B hung")
    latencies = quantiles(told[A].latencies, n=100)
    return Figures(latencies[49], latencies[98], told[A].statuses, told[B].statuses if B in told else {})


async def main(options: Options) -> Measured:
    """Measure every situation in every round, in turns."""
    most = await capacity(options)
    rounds: dict[str, list[Figures]] = {situation: [] for situation in SITUATIONS}
    for turn in range(options.rounds):
        for situation in (*SITUATIONS[turn % 3 :], *SITUATIONS[: turn % 3]):  # so that none is always the last
            print(f"\rround {turn + 1} of {options.rounds}: {situation:<20}", end="", file=sys.stderr, flush=True)  # noqa: T201 - for a person
            rounds[situation].append(await measure(options, situation, options.share * most))
    print(file=sys.stderr)  # noqa: T201
    return Measured(options, most, options.share * most, rounds)


def show(measured: Measured) -> None:
    """The medians as a table."""
    options = measured.options
    lines = [
        f"{measured.capacity:.0f} invoices/s at most; A gets {measured.rate:.0f}/s, and so does B, if it is there;",
        f"medians of {options.rounds} rounds of {options.seconds:g} s, milliseconds",
        f"  {'A':<16}{'p50':>8}{'p99':>8}   answers of A; of B",
    ]
    for situation, rounds in measured.rounds.items():
        p50, p99 = (measured.median(situation, figure) * 1000 for figure in ("p50", "p99"))
        lines.append(f"  {situation:<16}{p50:>8.1f}{p99:>8.1f}   {added(rounds, 'answers')}; {added(rounds, 'others')}")
    alone, beside = measured.ratio("alone"), measured.ratio("beside B")
    lines.append(f"  p99 beside B hung: {alone:.2f} of that alone, {beside:.2f} of that beside B; wanted: at most 2")
    print("\n".join(lines))  # noqa: T201


def added(rounds: list[Figures], which: str) -> str:
    """How many answers had which status, in all rounds; 0 are those that never came."""
    found: dict[int, int] = {}
    for each in rounds:
        for status, count in getattr(each, which).items():
            found[status] = found.get(status, 0) + count
    return ", ".join(f"{status}: {count}" for status, count in sorted(found.items())) or "none"


def as_json(measured: Measured) -> str:
    """Everything that was measured."""
    ratios = {"alone": measured.ratio("alone"), "beside B": measured.ratio("beside B")}
    return json.dumps({**to_builtins(measured, str_keys=True), "ratios": ratios}, indent=2)


if __name__ == "__main__":
    usual = Options()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=usual.seconds)
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--share", type=float, default=usual.share, help="of the capacity, for A and as much for B")
    parser.add_argument("--timeout", default=usual.timeout, help="of an exchange, such as 15s")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    found = asyncio.run(main(Options(chosen.seconds, chosen.rounds, chosen.share, chosen.timeout)))
    print(as_json(found)) if chosen.json else show(found)  # noqa: T201
