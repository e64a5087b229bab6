"""Journals that cannot be used when a gateway starts: it says why in one line, ends with code 1, and sends nothing.

This is the command as it is installed, in a process of its own.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from tests.proof.outages import TIMES
from tests.proof.places import Place
from tests.proof.row import Found, Tick, all_of
from tests.proof.spawner import ROOT, spawn
from tests.proof.victim import Asked
from tests.proof.witness import witnessing
from tests.support.postgres import Server

SECONDS = 20.0


class Broken(Struct, frozen=True):
    """A journal that cannot be used, and the words that the complaint must have; `blocks` limit what can be written."""

    url: str
    words: str
    blocks: str = "unlimited"


Break = Callable[[Path], AbstractAsyncContextManager[Broken]]


@asynccontextmanager
async def _no_folder(_: Path) -> AsyncIterator[Broken]:
    yield Broken("sqlite://nowhere/journal.db", "there is no folder")


@asynccontextmanager
async def _a_folder(folder: Path) -> AsyncIterator[Broken]:
    (folder / "journal.db").mkdir()
    yield Broken("sqlite://journal.db", "is a folder")


@asynccontextmanager
async def _foreign(folder: Path) -> AsyncIterator[Broken]:
    (folder / "journal.db").write_text("no database\n" * 1000)
    yield Broken("sqlite://journal.db", "is no SQLite database")


@asynccontextmanager
async def _unwritable(_: Path) -> AsyncIterator[Broken]:
    yield Broken("sqlite:///proc/journal.db", "cannot be opened")  # not even root can make a file there


@asynccontextmanager
async def _full(_: Path) -> AsyncIterator[Broken]:
    yield Broken("sqlite://journal.db", "journal.db", blocks="0")


@asynccontextmanager
async def _locked(folder: Path) -> AsyncIterator[Broken]:
    config = Place(folder, "sqlite://journal.db").configuration("http://127.0.0.1:1", TIMES)
    victim = await spawn(Asked(config=str(config)))
    try:
        yield Broken("sqlite://journal.db", "is in use by another process")
    finally:
        await victim.end()


@asynccontextmanager
async def _unreachable(_: Path) -> AsyncIterator[Broken]:
    yield Broken("postgresql://postgres@127.0.0.1:1/postgres", "PostgreSQL at 127.0.0.1:1: Connection refused")


@asynccontextmanager
async def _server(setting: str, words: str) -> AsyncIterator[Broken]:
    server = await asyncio.to_thread(Server)
    try:
        url = await asyncio.to_thread(server.new_database)
        name = url.partition("@/")[2].partition("?")[0]
        await asyncio.to_thread(server.sql, f"ALTER DATABASE {name} SET {setting}")
        yield Broken(url, words)
    finally:
        await asyncio.to_thread(server.end)


BREAKS: dict[str, Break] = {
    "no folder": _no_folder,
    "a folder": _a_folder,
    "a foreign file": _foreign,
    "unwritable": _unwritable,
    "full": _full,
    "locked by another gateway": _locked,
    "no server": _unreachable,
    "read-only server": lambda _: _server("default_transaction_read_only = on", "read-only"),
    "server that may lose what is committed": lambda _: _server(
        "synchronous_commit = off", "synchronous_commit is off"
    ),
}


async def _tried(name: str) -> list[str]:
    async with witnessing() as witness:
        with TemporaryDirectory(prefix="proof-") as folder:
            async with BREAKS[name](Path(folder)) as broken:
                config = Place(Path(folder), broken.url).configuration(witness.url, TIMES)
                code, said = await _served(config, broken.blocks)
    wrong = []
    if code != 1:
        wrong.append(f"exit code {code}")
    if len(said.splitlines()) != 1 or not said.startswith("journal: ") or broken.words not in said:
        wrong.append(f"it said: {said}")
    if witness.requests:
        wrong.append("it sent something")
    return [f"start with {name}: {each}" for each in wrong]


async def _served(config: Path, blocks: str) -> tuple[int | None, str]:
    """`serve`, and what it complains of."""
    command = f'ulimit -f {blocks}; exec "$0" -m gateway serve --config "$1"'
    environment = {key: text for key, text in os.environ.items() if not key.startswith("COVERAGE_")}
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", command, sys.executable, str(config)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        _, said = await process.communicate()
        return None, f"it runs on; {said.decode()}"
    return process.returncode, said.decode()


async def run(names: list[str], tick: Tick) -> Found:
    """Start a gateway on each of these."""
    return await all_of([partial(_tried, name) for name in names], tick, at_once=4)
