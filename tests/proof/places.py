"""Where journals are: fresh places, each for one proof, and how a gateway is configured for it."""

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Literal

import asyncpg
from msgspec import Struct

from tests.proof.spawner import Victim, spawn
from tests.proof.victim import Asked
from tests.support.postgres import Server, server
from tests.support.running import Edit, added, configured, replaced

Kind = Literal["sqlite", "postgres"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgres")
MARGIN = 0.1


class Times(Struct, frozen=True):
    """What is configured of times, as it is written."""

    timeout: str = "350ms"
    settle: str = "700ms"
    delays: tuple[str, ...] = ("50ms", "100ms", "200ms")


class Place:
    """A folder, and in it, or at a server, a journal."""

    def __init__(self, folder: Path, journal: str) -> None:
        self.folder = folder
        self.journal = journal
        self._count = 0

    def configuration(self, upstreams: str, times: Times, *edits: Edit) -> Path:
        """The demo's configuration for this journal and these upstreams, as a file."""
        own = f'settle = "{times.settle}"\ntimeout = "{times.timeout}"'
        tables = f"[journal]\nurl = {json.dumps(self.journal)}\n[reconcile]\ndelays = {json.dumps(times.delays)}"
        return configured(
            self.folder, upstreams, replaced("\ndialect = ", f"\n{own}\ndialect = "), added(tables), *edits
        )

    async def spawn(
        self,
        config: Path,
        step: str | None = None,
        *,
        sign: signal.Signals = signal.SIGKILL,
        lives: float | None = None,
        guarded: bool = True,
    ) -> Victim:
        """A gateway on this journal; gets a signal at a step, or is killed after some seconds, if told so."""
        self._count += 1
        log = str(self.folder / f"{self._count}.log")
        asked = Asked(config=str(config), log=log, step=step, sign=sign, margin=MARGIN, guarded=guarded)
        victim = await spawn(asked, lives)
        if victim.complaint:
            await victim.end()
            raise AssertionError(f"a gateway did not start: {victim.complaint}")
        return victim

    def logs(self) -> str:
        """What the gateways of this place said, for somebody who looks into a violation."""
        paths = sorted(self.folder.glob("*.log"), key=lambda path: int(path.stem))
        return "\n".join(f"--- {path.stem}\n{path.read_text()[-4000:]}" for path in paths[-3:])


@asynccontextmanager
async def place(kind: Kind, at: Server | None = None) -> AsyncIterator[Place]:
    """A fresh place; of PostgreSQL a database at the server of this test run, or at another."""
    with TemporaryDirectory(prefix="proof-") as folder:
        if kind == "sqlite":
            yield Place(Path(folder), "sqlite://journal.db")
        else:
            async with database(at or server()) as url:
                yield Place(Path(folder), url)


@asynccontextmanager
async def database(at: Server) -> AsyncIterator[str]:
    """An empty database: one that another proof has left, or a new one, which takes longer to make."""
    left = _left.setdefault(at.folder, [])
    name = left.pop() if left else None
    if name is None:
        name = f"proof_{token_hex(6)}"
        await _said(at.url, f"CREATE DATABASE {name}")
    yield at.database(name)
    await _said(at.database(name), EMPTY)
    left.append(name)


_left: dict[Path, list[str]] = {}

EMPTY = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    TRUNCATE invoice_gateway.entries;
"""
"""Whatever a dead gateway had begun ends, too."""


async def _said(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()
