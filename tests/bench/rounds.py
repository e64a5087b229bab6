"""Measuring: contestants in turns, each started anew in every round, alone on its core."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from msgspec import Struct, structs

from tests.bench import wrk
from tests.bench.figures import Row, Spread, spread
from tests.bench.machine import PROGRAM_CORE
from tests.bench.program import Command, Running, running
from tests.bench.scene import TOKEN, Place, workplace
from tests.bench.wrk import Heard, Load
from tests.support.ports import free_port

MEGABYTE = 1e6
REST_SECONDS = 15.0
LOOK_SECONDS = 0.1
MOST_SECONDS = 30.0
Tick = Callable[[], None]
"""Called after each thing that was measured."""


class Form(Struct, frozen=True):
    """How much is measured: seconds of load and of the warming before it, rounds, and how far the series go."""

    name: str
    seconds: float
    warm: float
    rounds: int
    connections: tuple[int, ...]
    lines: tuple[int, ...]
    journal_rows: tuple[int, ...]
    idle: int
    starts: int


class Sample(Struct, frozen=True):
    """One measurement: what was heard, CPU seconds, and bytes of memory afterwards."""

    heard: Heard
    cpu: float
    memory: int


class Setting(Struct, frozen=True):
    """What is measured under which load: programs by the core that each of them has."""

    start: Callable[[Place], Command]
    load: Load
    cores: tuple[int, ...] = (PROGRAM_CORE,)


async def sample(setting: Setting, upstream: str, warm: float) -> Sample:
    """Start, warm, measure, end."""
    async with AsyncExitStack() as stack:
        programs = []
        for core in setting.cores:
            folder = Path(stack.enter_context(workplace()))
            command = setting.start(Place(folder, free_port(), upstream))
            programs.append(await stack.enter_async_context(running(command, core, folder / "log")))
        return await measured(programs, setting.load, warm)


async def measured(programs: Sequence[Running], load: Load, warm: float) -> Sample:
    """What programs that run make of a load, shared between them."""
    share = structs.replace(load, connections=max(load.connections // len(programs), 1))
    if warm:
        await _all(programs, structs.replace(share, seconds=warm))
        await quiet(programs)
    before = sum(program.cpu() for program in programs)
    heard = await _all(programs, share)
    used = sum(program.cpu() for program in programs) - before
    if not all(each.requests for each in heard):  # too short for this load on this machine
        assert load.seconds < MOST_SECONDS, f"no invoice was answered in {load.seconds:g} s"
        return await measured(programs, structs.replace(load, seconds=load.seconds * 4), warm)
    return Sample(_together(heard), used, sum(program.resident() for program in programs))


async def quiet(programs: Sequence[Running]) -> None:
    """Wait until what the last load has left under way is done, at most so long as an upstream may take."""
    with suppress(TimeoutError):
        async with asyncio.timeout(REST_SECONDS):
            while True:
                before = sum(program.cpu() for program in programs)
                await asyncio.sleep(LOOK_SECONDS)
                if sum(program.cpu() for program in programs) - before < LOOK_SECONDS / 5:
                    return


async def _all(programs: Sequence[Running], load: Load) -> list[Heard]:
    return await asyncio.gather(*(wrk.loaded(program.url, load) for program in programs))


def _together(heard: Sequence[Heard]) -> Heard:
    """What was heard of several at once; a percentile is the worst of theirs."""
    if len(heard) == 1:
        return heard[0]
    worst = {name: max(getattr(each, name) for each in heard) for name in ("seconds", "p50", "p99", "p999", "worst")}
    return Heard(requests=sum(each.requests for each in heard), refused=0, broken=0, **worst)


async def in_turns(
    settings: Mapping[str, Setting], upstreams: Mapping[str, str], form: Form, tick: Tick
) -> dict[str, list[Sample]]:
    """Every setting once a round, beginning with another one each time, so that none is always the last."""
    names, found = list(settings), {name: list[Sample]() for name in settings}
    for turn in range(form.rounds):
        shift = turn % len(names)
        for name in (*names[shift:], *names[:shift]):
            found[name].append(await sample(settings[name], upstreams[name], form.warm))
            tick()
    return found


def figures(samples: Sequence[Sample], *wanted: str) -> dict[str, Spread]:
    """The medians of some samples, and their spread; of all figures, or those that are wanted."""
    values = {
        "rate": [each.heard.rate for each in samples],
        "cpu": [each.cpu / each.heard.requests * 1e6 for each in samples],
        "p50": [each.heard.p50 for each in samples],
        "p99": [each.heard.p99 for each in samples],
        "p999": [each.heard.p999 for each in samples],
        "memory": [each.memory / MEGABYTE for each in samples],
    }
    return {name: spread(values[name]) for name in wanted or values}


def row(name: str, words: str, samples: Sequence[Sample], *wanted: str, note: str = "") -> Row:
    """A row of the figures of some samples."""
    return Row(name, words, figures(samples, *wanted), note)


def load(folder: Path, body: bytes, form: Form, connections: int = 64, pause: int = 0) -> Load:
    """The load with this body, which is put into a file of the folder."""
    path = folder / f"invoice-{len(body)}.json"
    path.write_bytes(body)
    return Load(path, TOKEN, form.seconds, connections, pause)
