"""On which line of a TOML file something stands, and what is wrong there."""

import tomllib
from pathlib import Path

from msgspec import Struct


class Complaint(Struct, frozen=True):
    """One fault of the file: where and in words; without a line where there is nothing to read."""

    line: int | None
    place: str
    code: str
    words: str

    def text(self, path: Path) -> str:
        """As it is told."""
        return f"{path}: {self.words}" if self.line is None else f"{path}:{self.line}: {self.place}: {self.words}"


def place_of(text: str, pointer: str, document: object) -> tuple[int, str]:
    """The line of what a pointer leads to, and its place in words."""
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    return line_of(text, tokens, document), ".".join(tokens) or "the document"


def line_of(text: str, tokens: list[str], document: object) -> int:
    """The line on which the value at `tokens`, or the nearest thing around it that is there, begins.

    The document is read up to each line in question: the first part of it that holds the value ends on its line.
    """
    while tokens and not _holds(document, tokens):
        tokens = tokens[:-1]
    lines = text.split("\n")  # as editors count them; TOML has no other line break
    low, high = 1, len(lines)
    while low < high:
        middle = end = (low + high) // 2
        while (part := _parse("\n".join(lines[:end]))) is None:
            end += 1  # inside a value of several lines
        if _holds(part, tokens):
            high = middle
        else:
            low = end + 1
    return max(low, 1)


def _parse(text: str) -> object | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _holds(document: object, tokens: list[str]) -> bool:
    for token in tokens:
        if isinstance(document, list) and token.isdigit() and int(token) < len(document):
            document = document[int(token)]
        elif isinstance(document, dict) and token in document:
            document = document[token]
        else:
            return False
    return True
