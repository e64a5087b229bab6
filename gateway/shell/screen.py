"""What the command line shows a person: coloured in a terminal, elsewhere plain text of a sensible width.

It loads rich, which takes its time and memory: only commands that show something import this, and none that serves.
"""

import sys
from collections.abc import Collection, Iterable
from io import StringIO
from shutil import get_terminal_size
from typing import Literal, TextIO

from msgspec import Struct
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gateway.core.codes import CONTROL

WIDTH, NARROWEST = 100, 40
"""Columns where nobody says how many there are, and the least that anything is laid out for."""
HEIGHT = 24
"""Nothing depends on it, but rich asks for both or does not believe either."""


class Verbatim(Struct, frozen=True):
    """Lines that are never broken, such as an address or a request."""

    words: str
    json: bool = False


Part = Table | Text | Padding | Verbatim


def width() -> int:
    """The columns of the terminal, or of `COLUMNS`."""
    return max(get_terminal_size((WIDTH, HEIGHT)).columns, NARROWEST)


def console(stream: TextIO) -> Console:
    """Writes as suits the stream: in colours if it is a terminal that has any."""
    terminal = True if stream.isatty() else None
    return Console(
        file=stream, force_terminal=terminal, width=width(), height=HEIGHT, highlight=False, markup=False, emoji=False
    )


def shown(parts: Iterable[Part]) -> str:
    """The parts as they are written to standard output, one below the other."""
    to = console(sys.stdout)
    plain = to.color_system is None
    to.file = StringIO()
    for part in parts:
        match part:
            case Verbatim(words=words, json=json):
                made = text(words)
                if json:
                    JSONHighlighter().highlight(made)
                to.print(made, soft_wrap=True)
            case _:
                to.print(part)
    lines: list[str] = to.file.getvalue().split("\n")
    return "\n".join(line.rstrip() if plain else line for line in lines).rstrip("\n")


def clean(words: str) -> str:
    """Words that may be somebody else's: a control character is a `?`, so that none of them commands the terminal."""
    return CONTROL.sub("?", words)


def text(words: str, style: str = "") -> Text:
    """The same in a style."""
    return Text(clean(words), style)


def table(*columns: str, right: Collection[int] = (), whole: Collection[int] = (), gap: int = 2) -> Table:
    """An empty table with these headings and no lines.

    By their numbers, some columns are aligned to the right, and some are whole as long as others can be broken.
    """
    made = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold", show_header=any(columns))
    for number, name in enumerate(columns):
        justify: Literal["right", "left"] = "right" if number in right else "left"
        made.add_column(text(name), justify=justify, overflow="fold", no_wrap=number in whole)
    return made


def indented(part: Table | Text, by: int = 2) -> Padding:
    """The part, further to the right."""
    return Padding(part, (0, 0, 0, by))
