"""What the gateway costs when nobody sends anything: memory of idle connections, and the time until it is ready."""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

from tests.bench.contestants import gateway
from tests.bench.figures import Row, spread
from tests.bench.machine import PROGRAM_CORE
from tests.bench.program import Running, running
from tests.bench.rounds import MEGABYTE, Form, Tick
from tests.bench.scene import TOKEN, Place, workplace
from tests.support.ports import free_port

KILOBYTE = 1e3
LOOK_SECONDS = 0.002
PATIENCE_SECONDS = 30.0
NOBODY = "127.0.0.1:9"
"""The upstream, which is not asked."""


async def asked(port: int, path: str, *, keep: bool) -> tuple[bytes, asyncio.StreamWriter]:
    """The head of the answer to a GET, and the connection, which is kept open or closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        end = "keep-alive" if keep else "close"
        head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\nConnection: {end}\r\n\r\n"
        writer.write(head.encode())
        found = await reader.readuntil(b"\r\n\r\n")
        sizes = (int(line[15:]) for line in found.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        await reader.readexactly(next(sizes, 0))
    except BaseException:
        writer.close()
        raise
    if not keep:
        writer.close()
    return found, writer


async def idle(form: Form, tick: Tick) -> list[Row]:
    """Memory of a gateway that has just started, and of each connection that was used once and is kept."""
    empty, each = [], []
    for _ in range(form.rounds):
        with workplace() as name:
            place = Place(Path(name), free_port(), NOBODY)
            async with AsyncExitStack() as stack:
                program = await stack.enter_async_context(running(gateway(place), PROGRAM_CORE, place.folder / "log"))
                await asked(place.port, "/problems/none", keep=False)
                before = program.resident()
                for _ in range(form.idle):
                    _, writer = await asked(place.port, "/problems/none", keep=True)
                    stack.callback(writer.close)
                empty.append(before / MEGABYTE)
                each.append((program.resident() - before) / form.idle / KILOBYTE)
        tick()
    return [
        Row("started", "just started", {"memory": spread(empty)}),
        Row("idle", f"each of {form.idle:,} idle connections", {"bytes": spread(each)}),
    ]


async def start(form: Form, tick: Tick) -> list[Row]:
    """The time from the start of the program until `/readyz` says yes."""
    seconds = []
    for _ in range(form.starts):
        with workplace() as name:
            place, ops = Place(Path(name), free_port(), NOBODY), free_port()
            command = partial(gateway, ops_port=ops)(place)
            began = time.perf_counter()
            async with running(command, PROGRAM_CORE, place.folder / "log", wait=False) as program:
                await ready(program, ops)
                seconds.append((time.perf_counter() - began) * 1000)
        tick()
    return [Row("start", "from its start until it is ready", {"start": spread(seconds)})]


async def ready(program: Running, port: int) -> None:
    """Wait until `/readyz` on the operations port says yes."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            program.runs()
            with suppress(OSError, asyncio.IncompleteReadError):
                head, _ = await asked(port, "/readyz", keep=False)
                if b" 200 " in head.partition(b"\r\n")[0]:
                    return
            await asyncio.sleep(LOOK_SECONDS)
