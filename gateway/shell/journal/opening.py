"""Which store the configuration asks for."""

from collections.abc import Callable
from pathlib import Path

from gateway.core.config_faults import JOURNALS
from gateway.shell.journal import Store, StoreError
from gateway.shell.journal.sqlite import SqliteStore

Hear = Callable[[int, float], None]
"""Told of each commit: how many writes, how many seconds."""


def store_of(url: str, folder: Path, hear: Hear) -> Store:
    """The store at `url`, not yet open; a relative path is relative to `folder`.

    Raises:
        StoreError: there is no such kind of store, or its library is not installed.
    """
    if url.startswith("sqlite://"):
        return SqliteStore(folder / url.removeprefix("sqlite://"), hear=hear)
    if not url.startswith(JOURNALS):
        raise StoreError("[journal] url must be sqlite:// and a path, or postgresql://…")
    try:
        from gateway.shell.journal.postgres import PostgresStore  # noqa: PLC0415 - an extra
    except ImportError:
        raise StoreError("PostgreSQL needs an extra: install invoice-gateway[postgres]") from None
    return PostgresStore(url, hear=hear)
