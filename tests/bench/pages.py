"""What the README shows of `bench.json`: the comparison, the other costs, and how, when and on what it was measured."""

from collections.abc import Mapping

from tests.bench.figures import COLUMNS, Part, Row, markdown, shown
from tests.bench.parts import LONG, PARTS

COMPARED = [piece.name for piece in PARTS if piece.compared]
IN_SENTENCES = "steps"
NOT_YET = "Not measured yet: `make bench`."


def comparison(parts: Mapping[str, Part]) -> str:
    """The table of the gateway and its alternatives, and what they do otherwise."""
    found = [parts[name] for name in COMPARED if name in parts]
    shown = (f"{markdown(part.rows, compared=True)}\n\n{_notes(part)}\n\n{_measured(part)}" for part in found)
    return "\n\n".join(shown) or NOT_YET


def _measured(part: Part) -> str:
    """When, how and on what a part was measured."""
    short = " (short form)" if part.form != LONG else ""
    on = part.machine
    return (
        f"Measured on {part.date}{short}: medians of {part.rounds} rounds of {part.seconds:g} s;"
        f" {on.processor}, {on.cores} cores, {on.system}, Python {on.python}."
    )


def _notes(part: Part) -> str:
    """What each row leaves out, or why it was not measured; rows with the same note together."""
    notes: dict[str, list[str]] = {}
    for row in part.rows:
        if row.note:
            notes.setdefault(row.note, []).append(row.words)
    return "\n".join(f"- {', '.join(words)}: {note}" for note, words in notes.items())


def costs(parts: Mapping[str, Part]) -> str:
    """The rows of all other parts in one table, and the steps of the core in one sentence."""
    found = [
        parts[piece.name] for piece in PARTS if piece.name in parts and piece.name not in (*COMPARED, IN_SENTENCES)
    ]
    rows = [Row(row.name, f"{part.words}: {row.words}", row.figures, row.note) for part in found for row in part.rows]
    tables = [markdown(rows), _dates(found)] if rows else [NOT_YET]
    return "\n\n".join([*tables, *([_steps(parts[IN_SENTENCES])] if IN_SENTENCES in parts else [])])


def _dates(parts: list[Part]) -> str:
    """On which days, and in which form, these were measured."""
    forms = sorted({f"{part.date} ({part.form} form, {part.rounds} × {part.seconds:g} s)" for part in parts})
    return f"Measured on {', '.join(forms)}."


def _steps(part: Part) -> str:
    told = ", ".join(f"{row.words} {shown(row.figures['step'].median)}" for row in part.rows)
    return f"Each step of the core, in {COLUMNS['step']} ({part.date}): {told}."
