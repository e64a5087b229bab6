"""`diff` on the command line: which invoices another configuration would send elsewhere, or translate otherwise."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, assert_never

import msgspec
from msgspec import Struct
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.core.comparison import Side, compared
from gateway.core.errors import Problem
from gateway.core.money import encode_amount
from gateway.shell.commands import complain, loaded_or_none, say
from gateway.shell.compose import book, offline_targets
from gateway.shell.configuration import Loaded
from gateway.shell.differences import Difference, Tally, Totals, Unread, lines_of, summary
from gateway.shell.explain_command import called_by
from gateway.shell.screen import clean, console

SAME, DIFFERENT, TROUBLE = 0, 1, 2
"""Exit codes, as those of diff(1); lines that could not be read are trouble."""


class Options(Struct, frozen=True):
    """What is compared: two configurations, over the invoices of a file (`-` for standard input), as this client's."""

    old: Path
    new: Path
    sample: str
    client: str
    as_json: bool


def diff(options: Options) -> int:
    """`diff OLD NEW --sample FILE`: exit 0 if nothing is different, 1 if something is, 2 if not all was compared."""
    sides = _sides(options)
    if sides is None:
        return TROUBLE
    tally = Tally()
    try:
        with _opened(options.sample) as file:
            for found in _findings(_lines(file, options.sample), sides, tally):
                _tell(found, options)
    except OSError as error:
        complain(f"{options.sample}: cannot be read: {error.strerror}")
        return TROUBLE
    except KeyboardInterrupt:
        complain("interrupted: not all was compared")
        return TROUBLE
    totals = tally.totals()
    if totals.different and not options.as_json:
        say("")
    say(_json(totals) if options.as_json else summary(totals))
    return TROUBLE if totals.unread else DIFFERENT if totals.different else SAME


def _sides(options: Options) -> tuple[Side, Side] | None:
    """Both configurations; None, with every fault of both told, if one cannot be used."""
    old, new = (loaded_or_none(path, with_secrets=False) for path in (options.old, options.new))
    if old is None or new is None:
        return None
    try:
        return _side(old, options.client), _side(new, options.client)
    except ValueError as error:
        complain(str(error))
        return None


def _side(loaded: Loaded, client: str) -> Side:
    try:
        return Side(called_by(loaded, client), book(loaded), offline_targets(loaded))
    except ValueError as error:
        raise ValueError(f"{loaded.files[0]}: {error}") from None


@contextmanager
def _opened(sample: str) -> Iterator[BinaryIO]:
    if sample == "-":
        yield sys.stdin.buffer
    else:
        with Path(sample).open("rb") as file:
            yield file


def _lines(file: BinaryIO, sample: str) -> Iterator[tuple[int, bytes]]:
    """The lines that say something, with their numbers; a terminal is shown how far it is."""
    if not sys.stderr.isatty():
        yield from _said(file)
        return
    size = None if sample == "-" else Path(sample).stat().st_size or None
    columns = (TextColumn("{task.fields[name]}", markup=False), BarColumn(), TextColumn("{task.fields[line]:,} lines"))
    on = console(sys.stderr)
    with Progress(
        *columns, TimeRemainingColumn(), console=on, transient=True, redirect_stdout=sys.stdout.isatty()
    ) as bar:
        task = bar.add_task("", total=size, name=clean(sample), line=0)
        for number, line in _said(file):
            yield number, line
            bar.update(task, advance=len(line), line=number)


def _said(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    return ((number, line) for number, line in enumerate(file, 1) if line.strip())


def _findings(
    lines: Iterator[tuple[int, bytes]], sides: tuple[Side, Side], tally: Tally
) -> Iterator[Difference | Unread]:
    for number, line in lines:
        try:
            found = compared(line, *sides)
        except Problem as problem:
            tally.unread += 1
            yield Unread(number, problem.external_id, problem.slug, problem.detail, problem.faults)
            continue
        tally.add(found)
        if found.changes:
            yield Difference(number, found.external_id, found.old, found.new, found.changes)


def _tell(found: Difference | Unread, options: Options) -> None:
    if options.as_json:
        say(_json(found))
        return
    match found:
        case Unread():
            whys = "; ".join(f"{one.pointer or 'the invoice'}: {one.detail}" for one in found.errors) or found.detail
            complain(clean(f"{options.sample}:{found.line}: {found.problem}: {whys}"))
        case Difference():
            kinds = ", ".join(dict.fromkeys(one.kind for one in found.changes))
            say(clean(f"{options.sample}:{found.line}: {found.external_id}: {kinds}"))
            for line in lines_of(found):
                say(clean(f"    {line}"))
        case _:
            assert_never(found)


def _json(found: Difference | Unread | Totals) -> str:
    return msgspec.json.encode(found, enc_hook=encode_amount).decode()
