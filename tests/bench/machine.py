"""The machine as the kernel tells of it: its cores, and what a program and its children use of them."""

import os
import platform
import re
import resource
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

TICK = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
PROGRAM_CORE = CORES[0]
"""Where the program under test runs, alone."""
LOAD_CORE = CORES[1 % len(CORES)]
"""Where everything else runs: load, upstream, database."""


class Machine(Struct, frozen=True):
    """What the figures were measured on."""

    cores: int
    processor: str
    system: str
    python: str


def this() -> Machine:
    """The machine at hand."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    processor = found[1] if found else platform.machine()
    return Machine(len(CORES), processor, f"{platform.system()} {platform.release()}", platform.python_version())


def pinned(core: int) -> tuple[str, ...]:
    """What a command begins with so that it runs on one core."""
    return ("taskset", "-c", str(core))


def many_files() -> None:
    """Let this process and those it starts hold as many connections as they may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def family(pid: int) -> list[int]:
    """A process and all that it started, and they."""
    found = [pid]
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def cpu(pid: int) -> float:
    """Seconds of CPU that a program, all of its threads and children, used until now; in steps of the kernel's tick."""
    return sum(map(_used, family(pid)))


def _used(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICK  # utime, stime, and those of children that have ended


def resident(pid: int) -> int:
    """Bytes of memory that a program and its children have (`VmRSS`); what they share counts for each."""
    return sum(map(_resident, family(pid)))


def _resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0
