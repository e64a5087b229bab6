"""The invoices of a file, one by one: NDJSON, a JSON object a line, or CSV. A line that is wrong says why."""

import asyncio
import csv
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from hashlib import sha256
from io import TextIOWrapper
from itertools import count
from os import strerror
from pathlib import Path
from stat import S_ISDIR
from typing import BinaryIO

from msgspec import Struct

from gateway.client import external_id
from gateway.core.errors import Fault, InvalidInvoice, MalformedJson, Problem, TooLarge
from gateway.shell.sending.columns import Column, columns, delimiter, invoice

LONGEST = 16 * 1024 * 1024
"""Bytes of a line: longer than what any gateway takes, and short enough to be held."""
BOM = b"\xef\xbb\xbf"


class Line(Struct, frozen=True):
    """An invoice as the file has it; `content` tells it from others, `fault` is why it cannot be sent."""

    number: int
    body: bytes
    external_id: str = ""
    fault: Problem | None = None

    @property
    def content(self) -> str:
        """A digest of what would be sent."""
        return sha256(self.body).hexdigest()


class Source(Struct, frozen=True):
    """Where invoices come from: a file, or standard input if its name is `-`."""

    name: str

    @property
    def is_csv(self) -> bool:
        """Whether it is CSV, by its name; everything else is NDJSON."""
        return self.name.lower().endswith(".csv")

    @property
    def is_file(self) -> bool:
        """Whether it can be read twice; a pipe cannot."""
        return self.name != "-" and Path(self.name).is_file()

    def count(self) -> int | None:
        """How many invoices it has, without a look into them; None if it can be read only once.

        Raises:
            OSError: it cannot be read.
            ValueError: the header of the CSV has faults.
        """
        if self.name != "-" and S_ISDIR(Path(self.name).stat().st_mode):
            raise IsADirectoryError(EISDIR, strerror(EISDIR))
        if not self.is_file:
            return None
        with self._opened() as file:
            return sum(1 for _ in (_groups(file) if self.is_csv else _pieces(file)))

    def lines(self) -> Iterator[Line]:
        """Its invoices.

        Raises:
            OSError: it cannot be read.
            ValueError: the header of the CSV has faults.
        """
        with self._opened() as file:
            yield from _rows(file) if self.is_csv else _objects(file)

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        if self.name == "-":
            yield sys.stdin.buffer
        else:
            with Path(self.name).open("rb") as file:
                yield file


def _pieces(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, by their numbers; of one that is too long the beginning."""
    for number in count(1):
        piece = file.readline(LONGEST + 1)
        if not piece:
            return
        rest = piece
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(LONGEST)
        if number == 1:
            piece = piece.removeprefix(BOM)
        if body := piece.strip():
            yield number, body


def _objects(file: BinaryIO) -> Iterator[Line]:
    for number, body in _pieces(file):
        yield _line(number, body)


def _line(number: int, body: bytes) -> Line:
    if len(body) >= LONGEST:
        return Line(number, body[:1000], "", TooLarge(f"the line is longer than {LONGEST} bytes"))
    try:
        name = external_id(body)
    except ValueError as error:
        return Line(number, body, "", MalformedJson(f"no invoice as a JSON object on one line: {error}"))
    if not name:
        fault = Fault("/external_id", "missing", "required, or the invoice could be created twice")
        return Line(number, body, "", InvalidInvoice(f"{fault.pointer}: {fault.detail}", (fault,)))
    return Line(number, body, name)


Group = tuple[int, list[list[str]]]
"""The rows of an invoice, and the number of the line that they begin on."""


def _groups(file: BinaryIO) -> Iterator[tuple[tuple[Column, ...], Group]]:
    """The invoices of a CSV by their rows."""
    text = TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    header = text.readline()
    reader = csv.reader(text, delimiter=delimiter(header))
    found = columns(next(csv.reader([header], delimiter=delimiter(header)), []))
    place = next(index for index, column in enumerate(found) if column.name == "external_id")
    several = any(column.repeats for column in found)
    kept: Group | None = None
    while True:
        number = reader.line_num + 2
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"line {number}: {error}") from None
        if row is not None and not any(row):
            continue
        if kept and row and several and row[place : place + 1] == kept[1][0][place : place + 1] != [""]:
            kept[1].append(row)
            continue
        if kept:
            yield found, kept
        if row is None:
            text.detach()
            return
        kept = (number, [row])


def _rows(file: BinaryIO) -> Iterator[Line]:
    for found, (number, rows) in _groups(file):
        try:
            yield _line(number, invoice(found, rows))
        except Problem as fault:
            yield Line(number, repr(rows).encode(), "", fault)
        except UnicodeEncodeError:
            yield Line(number, repr(rows).encode(), "", MalformedJson("the row is not UTF-8"))


async def flowing(source: Source) -> AsyncIterator[Line]:
    """The invoices of a source as they come; a pipe is waited for in a thread of its own, which nobody waits for."""
    if source.is_file:
        for line in source.lines():
            yield line
        return
    loop, come = asyncio.get_running_loop(), asyncio.Queue[Line | Exception | None]()
    places = threading.Semaphore(1)

    def read() -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            try:
                for line in source.lines():
                    places.acquire()
                    loop.call_soon_threadsafe(come.put_nowait, line)
            except (OSError, ValueError) as error:
                loop.call_soon_threadsafe(come.put_nowait, error)
            loop.call_soon_threadsafe(come.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    while (read_on := await come.get()) is not None:
        if isinstance(read_on, Exception):
            raise read_on
        places.release()
        yield read_on
