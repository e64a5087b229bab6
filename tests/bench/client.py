"""What an exchange with an upstream costs the client: the CPU of the plain way and of the fast one, in turns.

The upstream is a process of its own that answers each request with the same bytes, and counts for nothing. CPU is that
of this process, user and system, by the kernel's own accounting.
"""

import argparse
import asyncio
import json
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing import get_context
from statistics import median
from typing import cast

import uvloop
from msgspec import Struct, to_builtins

from gateway.core.exchange import Reply, Request
from gateway.shell.auth import Fixed
from gateway.shell.catalog import dialects
from gateway.shell.client import Sender
from tests.support.running import ok
from tests.support.ways import WAYS

BODY = b"x" * 1500
POST = Request(
    "POST", "/v3/invoices?notify=no", BODY, (("content-type", "application/json"), ("accept", "application/json"))
)
ANSWER = ok(b'{"id": 1, "invoice": "' + b"y" * 600 + b'"}', "201 Created", "Content-Type: application/json")
CREDENTIALS = Fixed(lambda: (("Authorization", "Bearer abcdefghijklmnop"),))


class Options(Struct, frozen=True):
    """How many exchanges in how many rounds, and how many at once; on uvloop, or on asyncio's own loop."""

    count: int = 5000
    rounds: int = 5
    concurrent: int = 32
    loop: str = "uvloop"


class Cost(Struct, frozen=True):
    """Of one exchange, in microseconds: CPU and the time that passed."""

    cpu: float
    wall: float


class Upstream(asyncio.Protocol):
    """Answers whatever comes, once its length has come."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._had = 0
        self._wanted = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A caller."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type

    def data_received(self, data: bytes) -> None:
        """All requests are as long as the first, whose head comes in one piece."""
        if not self._wanted:
            self._wanted = data.index(b"\r\n\r\n") + 4 + len(BODY)
        self._had += len(data)
        if self._had >= self._wanted and self._transport is not None:
            self._had -= self._wanted
            self._transport.write(ANSWER)


def serve(listener: socket.socket) -> None:
    """The upstream's process."""

    async def run() -> None:
        await (await asyncio.get_running_loop().create_server(Upstream, sock=listener)).serve_forever()

    uvloop.run(run())


@asynccontextmanager
async def upstream() -> AsyncIterator[str]:
    """An upstream while it runs; where it listens."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    process = get_context("spawn").Process(target=serve, args=(listener,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.kill()
        process.join()
        listener.close()


async def spend(sender: Sender, count: int, concurrent: int) -> Cost:
    """Exchange so often."""
    left = iter(range(count))

    async def caller() -> None:
        for _ in left:
            seen = await sender.send(POST, lambda: 30.0)
            assert isinstance(seen, Reply), seen
            assert seen.status == 201

    before, began = _cpu(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(concurrent)))
    return Cost((_cpu() - before) / count * 1e6, (time.perf_counter() - began) / count * 1e6)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(options: Options) -> dict[str, list[Cost]]:
    """Every way in every round, in turns."""
    found: dict[str, list[Cost]] = {name: [] for name in WAYS}
    async with upstream() as url:
        ways = {name: made() for name, made in WAYS.items()}
        senders = {name: Sender(url, dialects()["mykaarma"], CREDENTIALS, way) for name, way in ways.items()}
        for sender in senders.values():
            await spend(sender, options.concurrent * 10, options.concurrent)
        for turn in range(options.rounds):
            for name in (*senders,) if turn % 2 else reversed((*senders,)):
                found[name].append(await spend(senders[name], options.count, options.concurrent))
        for way in ways.values():
            await way.close()
    return found


def main(options: Options) -> dict[str, list[Cost]]:
    """Measure on the loop that is asked for."""
    return uvloop.run(measure(options)) if options.loop == "uvloop" else asyncio.run(measure(options))


def medians(costs: list[Cost]) -> Cost:
    """The medians of all rounds."""
    return Cost(median(each.cpu for each in costs), median(each.wall for each in costs))


def show(options: Options, found: dict[str, list[Cost]]) -> None:
    """A table, and how much less CPU the fast way takes."""
    lines = [
        f"{options.rounds} rounds of {options.count} exchanges, {options.concurrent} at once, on {options.loop}",
        "medians, microseconds an exchange",
        f"  {'way':<8}{'CPU':>8}{'from':>8}{'to':>8}{'wall':>8}",
    ]
    for name, costs in found.items():
        cpu, middle = sorted(each.cpu for each in costs), medians(costs)
        lines.append(f"  {name:<8}{middle.cpu:>8.1f}{cpu[0]:>8.1f}{cpu[-1]:>8.1f}{middle.wall:>8.1f}")
    lines.append(f"  plain : fast = {medians(found['plain']).cpu / medians(found['fast']).cpu:.2f} in CPU")
    print("\n".join(lines))  # noqa: T201 - for a person


if __name__ == "__main__":
    usual = Options()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=usual.count)
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--concurrent", type=int, default=usual.concurrent)
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default=usual.loop)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    chosen = Options(asked.count, asked.rounds, asked.concurrent, asked.loop)
    measured = main(chosen)
    if asked.json:
        json.dump({"options": to_builtins(chosen), "rounds": to_builtins(measured)}, sys.stdout, indent=2)
    else:
        show(chosen, measured)
