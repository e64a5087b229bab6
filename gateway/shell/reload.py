"""Reloading: a changed configuration is taken over as a whole, on SIGHUP or when one of its files changed.

If anything is wrong with it nothing changes, and the last good one goes on. A file counts as changed once it has been
the same for two looks: whoever writes it is done then.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gateway.core.config import Config
from gateway.core.events import Event, Reloaded
from gateway.shell.configuration import ConfigurationError, Loaded, load
from gateway.shell.logs import defect

LOOK_SECONDS = 1.0

Stamps = dict[Path, tuple[int, int, int] | None]


class Reloader:
    """Watches the files of a configuration; `adopt` takes a changed one over.

    `adopt` raises `ValueError`, and changes nothing, where that cannot be.
    """

    def __init__(self, loaded: Loaded, adopt: Callable[[Loaded], None], tell: Callable[[Event], None]) -> None:
        self._path = loaded.files[0]
        self._began = loaded.config
        self._loaded = loaded
        self._files = loaded.files
        self._adopt = adopt
        self._tell = tell
        self._asked = asyncio.Event()
        self._known = self._seen = self._stamps()

    def ask(self) -> None:
        """Reload now, whether anything changed or not."""
        self._asked.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()
            stamps, before = self._stamps(), self._seen
            self._seen = stamps
            if self._asked.is_set() or (stamps != self._known and stamps == before):
                self._asked.clear()
                try:
                    await self.reload()
                except Exception as error:  # noqa: BLE001 - whatever it is, the last good one goes on
                    self._tell(defect(error))

    async def reload(self) -> None:
        """Take over what the files say now, if it is good."""
        self._known = self._stamps()
        try:
            loaded = await asyncio.to_thread(load, self._path)
            self._adopt(loaded)
        except (ConfigurationError, ValueError) as error:
            faults = error.messages if isinstance(error, ConfigurationError) else (str(error),)
            # What is wrong may be a file that it names anew; whoever mends that expects it to be looked at.
            self._watch((*self._loaded.files, *(error.files if isinstance(error, ConfigurationError) else ())))
            self._tell(Reloaded("refused", self._loaded.revision, faults))
            return
        self._loaded = loaded
        self._watch(loaded.files)
        self._tell(Reloaded("applied", loaded.revision, restart=tuple(pending(self._began, loaded.config))))

    def _watch(self, files: tuple[Path, ...]) -> None:
        self._files = files
        # What changed since it was read is still to be read.
        self._known = {path: self._known.get(path, stamp) for path, stamp in self._stamps().items()}

    def _stamps(self) -> Stamps:
        return {path: _stamp(path) for path in self._files}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written, or another is put in its place; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def pending(began: Config, now: Config) -> list[str]:
    """The settings that changed since the start, and that only a restart takes over."""
    fixed = {
        "server.listen": (began.server.listen, now.server.listen),
        "server.ops_listen": (began.server.ops_listen, now.server.ops_listen),
        "server.log_level": (began.server.log_level, now.server.log_level),
        "journal.url": (began.journal.url, now.journal.url),
        "tracing": (began.tracing, now.tracing),
    }
    return [name for name, (old, new) in fixed.items() if old != new]
