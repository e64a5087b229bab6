"""Bytes that are no HTTP, or that two readers may take for different requests, written to the gateway's real socket.

It answers 4xx or closes, never 5xx; it goes on serving; and nothing is left of those connections. One seed is one
connection: `scraps.conversation(seed)` makes what is written to it.
"""

import asyncio
import os
import re
import traceback
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import uvloop

from tests.fuzz import canaries
from tests.fuzz.scraps import GET, Written, conversation
from tests.fuzz.wire import Line
from tests.proof import pool
from tests.proof.row import Found, Tick
from tests.support.running import World, running, timeout

CHUNK = 2500
AT_ONCE = 64
PATIENCE = 0.15
"""Seconds to wait for an answer before the connection is half closed."""
LINGERS = 15
"""Seconds within which nothing is left; the server reads on for ten, so that who sends too much can read why not."""
SECONDS = 15.0
"""Within which the gateway has closed a connection that was half closed."""
ANSWER = re.compile(rb"HTTP/[0-9.]+ ([0-9]{3}) ")


async def heard(port: int, written: Written) -> bytes:
    """All that comes back until the connection is closed.

    Raises:
        TimeoutError: it is not closed.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = b""
    try:
        async with asyncio.timeout(SECONDS):
            with suppress(ConnectionError):
                writer.write(written.sent)
                if written.late:
                    with suppress(TimeoutError):
                        found = await asyncio.wait_for(reader.read(65_536), PATIENCE)
                writer.write_eof()
                while more := await reader.read(65_536):
                    found += more
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return found


async def wrongs(port: int, seed: int) -> list[str]:
    """What is wrong with how the bytes of a seed are taken."""
    written = conversation(seed)
    try:
        found = await heard(port, written)
        statuses = [int(each) for each in ANSWER.findall(found)]
        wrong = [f"answered {status}" for status in statuses if status >= 500]
        if written.strict and set(statuses) - {400}:
            wrong.append(f"taken for requests, which were answered {statuses}")
        if found and not found.startswith(b"HTTP/"):
            wrong.append(f"answered {found[:100]!r}")
    except TimeoutError:
        wrong = [f"not closed within {SECONDS:g} s"]
    except Exception:  # noqa: BLE001 - whatever it is, it is wrong
        wrong = [traceback.format_exc()]
    return [f"seed {seed}, {written.sent[:300]!r}: {each}" for each in wrong]


async def healthy(port: int) -> list[str]:
    """What is wrong with a request as it should be."""
    line = Line(port)
    answer = await line.ask(GET)
    await line.close()
    return [] if answer is not None and answer.status == 200 else [f"a healthy request was answered {answer}"]


async def served(world: World, seeds: range) -> list[str]:
    """All connections of the seeds, some at once; what is wrong with them, and what is left of them."""
    port, waiting, wrong = urlsplit(world.service.url).port or 0, iter(seeds), await _warm(world)
    tasks, files = len(asyncio.all_tasks()), _files()

    async def work() -> None:
        for number, seed in enumerate(waiting):
            wrong.extend(await wrongs(port, seed))
            if number % 10 == 0:
                wrong.extend(await healthy(port))

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    wrong += await healthy(port)
    for _ in range(LINGERS * 100):
        if len(asyncio.all_tasks()) <= tasks and _files() <= files:
            break
        await asyncio.sleep(0.01)
    else:
        left = sorted({str(task.get_coro()) for task in asyncio.all_tasks()})
        wrong.append(f"left over: {len(asyncio.all_tasks()) - tasks} tasks, {_files() - files} files; there are {left}")
    defects = [each for each in world.logged() if each["event"] == "defect"]
    return [*wrong, *(f"a defect is logged: {each}" for each in defects), *await canaries.found_in(world)]


async def _warm(world: World) -> list[str]:
    """What the first requests open is there before anything is counted."""
    await world.metrics()
    return await healthy(urlsplit(world.service.url).port or 0)


def _files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count of names


async def _gateway(seeds: range) -> list[str]:
    with TemporaryDirectory() as folder:
        async with running(Path(folder), canaries.clients(), timeout("5s")) as world:
            return [f"seeds {seeds}: {each}" for each in await served(world, seeds)]


def wrong_in(seeds: range) -> list[str]:
    """What is wrong with a gateway that gets the bytes of the seeds."""
    return uvloop.run(_gateway(seeds))


async def run(count: int, first: int, tick: Tick) -> Found:
    """So many connections, on all processors."""
    return await pool.shared(wrong_in, count, first, tick, CHUNK, measured=False)
