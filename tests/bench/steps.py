"""The steps of the core by themselves: what pytest-benchmark finds in `test_core.py`."""

import asyncio
import json
import sys
from pathlib import Path

from tests.bench.figures import Row, Spread
from tests.bench.machine import PROGRAM_CORE, pinned
from tests.bench.rounds import Form, Tick
from tests.bench.scene import workplace
from tests.support.programs import ROOT

MICROSECONDS = 1e6


async def steps(form: Form, tick: Tick) -> list[Row]:
    """Microseconds of each step; the range is from its first quartile to its third."""
    with workplace() as name:
        file = Path(name) / "steps.json"
        command = [*pinned(PROGRAM_CORE), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += [f"--benchmark-json={file}", f"--benchmark-max-time={min(form.seconds / 10, 1.0)}"]
        process = await asyncio.create_subprocess_exec(
            *(*command, "--benchmark-disable-gc", "tests/bench/test_core.py"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=ROOT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        found = json.loads(file.read_text())["benchmarks"]
    tick()
    return [_row(each["name"].removeprefix("test_"), each["stats"]) for each in found]


def _row(name: str, stats: dict[str, float]) -> Row:
    values = (float(f"{stats[which] * MICROSECONDS:.5g}") for which in ("median", "q1", "q3"))
    words = name.replace("_", " ").replace("[", ": ").rstrip("]")
    return Row(name, words, {"step": Spread(*values)})
