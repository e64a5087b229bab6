"""`make prove`: every row of the proof, as often as it takes to be sure; `python -m tests.proof --help` says more."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.proof.row import Found
from tests.proof.rows import ROWS, Row

FIGURES = Path(__file__).parent / "figures.json"

EPILOG = """\
examples:
  python -m tests.proof                         every row in full; takes hours
  python -m tests.proof --scale 0.01            every row, a hundredth as often
  python -m tests.proof --commit                every row as often as on every commit; takes minutes
  python -m tests.proof --row cells --row kills only these
  python -m tests.proof --row simulation --seed 31337 --scale 0.001

exit codes: 0 nothing is wrong, 1 something is, 2 wrong usage, 130 interrupted
What was measured is written to tests/proof/figures.json, row by row; a row that is not run keeps its figures.
"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    rows = "\n".join(f"  {row.name:<20} {row.prove:>9,}  {row.claim}" for row in ROWS)
    made = argparse.ArgumentParser(
        prog="python -m tests.proof",
        description=f"Prove that no invoice is created twice and none is lost.\n\nrows, how often, what:\n{rows}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [row.name for row in ROWS]
    made.add_argument("--row", action="append", choices=names, metavar="NAME", help="only this row; may be repeated")
    made.add_argument("--scale", type=_scale, default=1.0, metavar="X", help="X times as often, at least once")
    made.add_argument("--commit", action="store_true", help="as often as on every commit, times the scale")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="where chance begins (default: 0)")
    return made


def _scale(text: str) -> float:
    with suppress(ValueError):
        if 0.0 < (scale := float(text)) <= 100.0:
            return scale
    raise argparse.ArgumentTypeError(f"{text} is not a number above 0 and up to 100")


async def prove(row: Row, count: int, seed: int, progress: Progress) -> Found:
    """Try a row so many times, before everybody's eyes."""
    bar = progress.add_task(row.name, total=count)
    found = await row.run(count, seed, partial(progress.advance, bar))
    progress.update(bar, completed=count)
    return found


def note(row: Row, found: Found, seed: int) -> None:
    """Write what was measured into the figures."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    figures[row.name] = {
        "claim": row.claim,
        "runs": found.runs,
        "violations": len(found.violations),
        "seconds": round(found.seconds, 1),
        **({"notes": found.notes} if found.notes else {}),
        "seed": seed,
        "date": datetime.now(UTC).date().isoformat(),
    }
    ordered = {each.name: figures[each.name] for each in ROWS if each.name in figures}
    FIGURES.write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n")


def report(results: Sequence[tuple[Row, Found]], console: Console) -> None:
    """A line for each row, and the first violations of each."""
    table = Table("row", "claim")
    for title in ("runs", "violations", "seconds"):
        table.add_column(title, justify="right")
    for row, found in results:
        style = "bold red" if found.violations else None
        figures = (f"{found.runs:,}", f"{len(found.violations):,}", f"{found.seconds:,.1f}")
        table.add_row(row.name, row.claim, *figures, style=style)
    console.print(table)
    for row, found in results:
        for line in found.notes:
            console.print(f"{row.name}: {line}", markup=False, highlight=False, soft_wrap=True)
        if found.violations:
            console.print(f"{row.name}: {found}", style="red", markup=False, highlight=False, soft_wrap=True)


async def run(options: argparse.Namespace, results: list[tuple[Row, Found]], console: Console) -> None:
    """Try the rows that were asked for, one after the other."""
    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        for row in ROWS:
            if options.row and row.name not in options.row:
                continue
            count = row.count(options.scale, commit=options.commit)
            found = await prove(row, count, options.seed, progress)
            results.append((row, found))
            note(row, found, options.seed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove; the exit code."""
    options = parser().parse_args(arguments)
    console, results = Console(), list[tuple[Row, Found]]()
    try:
        asyncio.run(run(options, results, console))
    except KeyboardInterrupt:
        console.print("interrupted; what was finished until then:")
        report(results, console)
        return 130
    report(results, console)
    return 1 if any(found.violations for _, found in results) else 0


if __name__ == "__main__":
    sys.exit(main())
