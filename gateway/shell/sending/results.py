"""The results file: one result or problem a line, in the order of completion, and what it says of an earlier run.

Each line is the gateway's result or problem with three members before it: `line` of the invoice in its file, `content`,
a digest of the invoice, and `gateway`, where it was sent. Nothing is ever changed in the file but a last line that a
killed process left torn, which is taken away.
"""

import fcntl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from io import SEEK_END, FileIO
from itertools import count
from pathlib import Path

import msgspec

from gateway.client import Details, Result
from gateway.core.answer import ENCODER
from gateway.core.errors import Problem
from gateway.core.problem_index import title
from gateway.shell.sending.index import DECODE, Index, Record, ResultsError
from gateway.shell.sending.lines import LONGEST, Line

BEGINNING = b'{"line":'


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
    """A results file while it is open, and what is known by it; `opened` opens one."""

    def __init__(self, path: Path, gateway: str, file: FileIO, index: Index) -> None:
        self._path = path
        self._gateway = gateway
        self._file = file
        self._index = index
        self._size = 0

    def take_up(self) -> None:
        """Read what is there, and take a torn end away.

        Raises:
            ResultsError: it is none of ours, or of another gateway.
        """
        with self._path.open("rb") as old:
            for number in count(1):
                text = old.readline(LONGEST)
                if not text.endswith(b"\n") and (text.startswith(BEGINNING) or BEGINNING.startswith(text)):
                    break  # the end, torn or not
                self._index.keep(self._record(number, text))
                self._size += len(text)
        if self._size != self._file.seek(0, SEEK_END):
            self._file.truncate(self._size)

    def _record(self, number: int, text: bytes) -> Record:
        try:
            record = DECODE(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ResultsError(
                f"{self._path}: line {number} is no result of `send`; name another file by --results"
            ) from None
        if record.gateway != self._gateway:
            raise ResultsError(f"{self._path}: holds results of {record.gateway}; name another file by --results")
        return record

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
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._size)
            raise _failed(self._path, error) from None
        self._size += len(text)


@contextmanager
def opened(path: Path, gateway: str) -> Iterator[Results]:
    """The results file at `path`, made if there is none, for this run alone.

    Raises:
        ResultsError: it cannot be written, is none of ours, or is of another gateway.
    """
    if path.exists() and not path.is_file():
        raise ResultsError(f"{path}: is no regular file")
    try:
        file = path.open("a+b", buffering=0)
    except OSError as error:
        raise _failed(path, error) from None
    with file, closing(Index()) as index:
        found = Results(path, gateway, file, index)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.take_up()
        except BlockingIOError:
            raise ResultsError(f"{path}: another run writes to it") from None
        except OSError as error:
            raise _failed(path, error) from None
        yield found


def _failed(path: Path, error: OSError) -> ResultsError:
    return ResultsError(f"{path}: {error.strerror or error}")
