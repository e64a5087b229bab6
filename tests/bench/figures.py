"""What was measured: rows of figures by part, as they are kept in `bench.json`, and as tables of them."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from tests.bench.machine import Machine

FILE = Path(__file__).parent / "bench.json"

COLUMNS = {
    "rate": "invoices/s",
    "cpu": "CPU µs each",
    "p50": "p50 ms",
    "p99": "p99 ms",
    "p999": "p99.9 ms",
    "memory": "MB",
    "bytes": "KB each",
    "start": "ms to ready",
    "step": "µs",
}
"""The figures that there are, with their units."""


class Spread(Struct, frozen=True):
    """A figure: the median of the rounds, the least and the most."""

    median: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """How far the rounds lie from their middle, as a share of the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0


class Row(Struct, frozen=True):
    """What one contestant or one setting came to; without figures, the note says why."""

    name: str
    words: str
    figures: dict[str, Spread] = {}
    note: str = ""


class Part(Struct, frozen=True):
    """A part of the benchmark as it was measured: how, when, and on what."""

    words: str
    form: str
    seconds: float
    rounds: int
    date: str
    machine: Machine
    rows: list[Row]

    def row(self, name: str) -> Row:
        """The row of this name."""
        return next(row for row in self.rows if row.name == name)


def spread(values: Sequence[float]) -> Spread:
    """The median of some values, and their range."""
    return Spread(*(float(f"{value:.5g}") for value in (median(values), min(values), max(values))))


def read(path: Path = FILE) -> dict[str, Part]:
    """Everything that was measured until now."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Part]) if path.exists() else {}


def write(parts: dict[str, Part], path: Path = FILE) -> None:
    """Keep it; a part that was not measured again is kept as it was."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(parts), indent=2) + b"\n")


def shown(value: float) -> str:
    """A figure for a person, with three digits that count."""
    for least, digits in ((100.0, 0), (10.0, 1)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.2f}"


def columns(rows: Sequence[Row]) -> list[str]:
    """The figures that any of the rows has, in their order."""
    return [name for name in COLUMNS if any(name in row.figures for row in rows)]


def ratio(rows: Sequence[Row], row: Row) -> str:
    """How many times as many invoices a second the first row makes as this one."""
    first = rows[0].figures.get("rate") if rows else None
    own = row.figures.get("rate")
    return f"{shown(first.median / own.median)} ×" if first and own else ""


def table(rows: Sequence[Row], *, compared: bool = False, wide: bool = False) -> tuple[list[str], list[list[str]]]:
    """The titles and the cells of a table; `wide`: with the spread of each figure, `compared`: with ratios."""
    names = columns(rows)
    titles = ["", *(COLUMNS[name] for name in names), *(["first row"] if compared else ())]
    return titles, [_cells(rows, row, names, compared, wide) for row in rows]


def _cells(rows: Sequence[Row], row: Row, names: list[str], compared: bool, wide: bool) -> list[str]:
    if not row.figures:
        return [row.words, row.note, *([""] * (len(names) - 1 + compared))]
    cells = [_cell(row.figures.get(name), wide) for name in names]
    return [row.words, *cells, *([ratio(rows, row)] if compared else ())]


def _cell(figure: Spread | None, wide: bool) -> str:
    if figure is None:
        return "–"
    return f"{shown(figure.median)} ±{figure.width:.0%}" if wide and figure.width else shown(figure.median)


def markdown(rows: Sequence[Row], *, compared: bool = False) -> str:
    """The table as the README has it."""
    titles, lines = table(rows, compared=compared)
    cells = [titles, ["---", *(["--:"] * (len(titles) - 1))], *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
