"""The load: wrk on the core of the load, so many connections kept alive, each invoice under a name of its own.

A connection sends its next invoice when it has heard of the last one, so a program that stands still gets less load:
the percentiles are those of what was sent, at the rate that the program could do.
"""

import asyncio
import os
import re
from itertools import count
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.bench.machine import LOAD_CORE, pinned
from tests.bench.tools import environment, program

SCRIPT = Path(__file__).parent / "load.lua"
GRACE_SECONDS = 30.0
_runs = count(1)


class Load(Struct, frozen=True):
    """So many connections for so long, with the body in a file; each rests for `pause` ms on average."""

    body: Path
    token: str
    seconds: float
    connections: int = 64
    pause: int = 0


class Heard(Struct, frozen=True):
    """What wrk tells: requests with any answer, those that were refused or broke, percentiles in milliseconds."""

    requests: int
    seconds: float
    refused: int
    broken: int
    p50: float
    p99: float
    p999: float
    worst: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


async def loaded(url: str, load: Load) -> Heard:
    """What is heard under a load.

    Raises:
        AssertionError: wrk failed, or an invoice was answered otherwise than with a success.
    """
    name = f"{os.getpid() % 10**6:06d}{next(_runs):06d}"  # with the number of the request as long as the mark
    command = [*pinned(LOAD_CORE), program("wrk"), "-t1", f"-c{load.connections}", "--timeout", "60s"]
    command += [f"-d{max(round(load.seconds), 1)}s", "-s", str(SCRIPT), f"{url}/v1/invoices", "--"]
    command += [str(load.body), name, str(load.pause), f"Bearer {load.token}"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environment()
    )
    try:
        async with asyncio.timeout(load.seconds + GRACE_SECONDS):
            said = (await process.communicate())[0].decode()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    told = re.search(r"^TOLD (.*)$", said, re.MULTILINE)
    assert told is not None, said
    heard = msgspec.json.decode(told[1], type=Heard)
    assert heard.refused == heard.broken == 0, said
    return heard
