"""The results file: one result or problem a line, in the order of completion, and what it says of an earlier run.

Each line is the gateway's result or problem with three members before it: `line` of the invoice in its file, `content`,
a digest of the invoice, and `gateway`, where it was sent. Nothing is ever changed in the file but a last line that a
killed process left torn, which is taken away.
"""

import fcntl
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from gateway.client import Details, Result
from gateway.core.answer import ENCODER
from gateway.core.errors import Problem
from gateway.core.problem_index import title
from gateway.shell.sending.index import DECODE, Index, Record
from gateway.shell.sending.lines import Line

BEGINNING = b'{"line":'


class ResultsError(Exception):
    """The results file cannot be used; says why, for a person."""


def details(problem: Problem) -> Details:
    """A problem that was found without asking the gateway, as the gateway would state it."""
    kind = type(problem)
    return Details(
        type=f"/problems/{kind.slug}",
        title=title(kind),
        status=kind.status,
        detail=problem.detail,
        outcome=kind.outcome,
        errors=problem.faults,
    )


class Results:
    """A results file while it is open, and what is known by it."""

    def __init__(self, path: Path, gateway: str) -> None:
        self._path = path
        self._gateway = gateway
        self._index = Index()
        self._file: FileIO | None = None
        self._size = 0

    def __enter__(self) -> Self:
        """Open the file, or make it, and read what is in it.

        Raises:
            ResultsError: it cannot be written, is none of ours, or is of another gateway.
        """
        try:
            self._file = file = self._path.open("a+b", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with self._path.open("rb") as old:
                self._size = self._read(old)
            if self._size != file.tell():
                file.truncate(self._size)
        except BlockingIOError:
            raise self._error("another run writes to it") from None
        except OSError as error:
            raise self._error(error.strerror or str(error)) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        self._index.close()

    def _error(self, why: str) -> ResultsError:
        return ResultsError(f"{self._path}: {why}")

    def _read(self, old: BinaryIO) -> int:
        """Take up what is there; how many bytes of it are whole."""
        kept = 0
        for number, text in enumerate(old, 1):
            if not text.endswith(b"\n") and (text.startswith(BEGINNING) or BEGINNING.startswith(text)):
                break  # torn
            try:
                record = DECODE(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise self._error(f"line {number} is no result of `send`; name another file by --results") from None
            if record.gateway != self._gateway:
                raise self._error(f"holds results of {record.gateway}; name another file by --results")
            if record.is_final:
                self._index.keep(record)
            kept += len(text)
        return kept

    def known(self, line: Line) -> Record | None:
        """What an earlier run found of the same invoice with the same content, if that is final."""
        return self._index.known(line.external_id, line.content)

    def earlier(self, line: Line) -> tuple[int, bool] | None:
        """The number of the line of this run that had the `external_id` before, and whether its content is the same."""
        return self._index.earlier(line.external_id, line.content, line.number)

    def write(self, line: Line, found: Result | Details) -> Record:
        """Write what became of a line.

        Raises:
            ResultsError: it cannot be written.
        """
        head = {"line": line.number, "content": line.content, "gateway": self._gateway}
        if isinstance(found, Details) and found.external_id is None and line.external_id:
            found = msgspec.structs.replace(found, external_id=line.external_id)
        text = msgspec.json.encode(head)[:-1] + b"," + ENCODER.encode(found)[1:] + b"\n"
        self._append(text)
        return DECODE(text)

    def _append(self, text: bytes) -> None:
        file, rest = self._file, memoryview(text)
        assert file is not None  # noqa: S101 - for the type checker
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            with suppress(OSError):
                file.truncate(self._size)
            raise self._error(error.strerror or str(error)) from None
        self._size += len(text)
