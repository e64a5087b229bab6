"""The comparison as a picture: bars of invoices a second, readable on a light page and on a dark one."""

from html import escape
from pathlib import Path

from tests.bench.figures import COLUMNS, Part, Row, shown

FILE = Path(__file__).parent / "bench.svg"
WIDTH, LEFT, RIGHT = 860, 300, 150
TOP, STEP, BAR = 44, 30, 18
HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
STYLE = """\
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; } .small { fill: #59636e; font-size: 12px; }
  .bar { fill: #8c959f; } .own { fill: #1f6feb; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .small { fill: #9198a1; } .bar { fill: #656c76; } .own { fill: #4493f8; }
  }"""


def drawn(part: Part) -> str:
    """The picture of the part that compares; bars in the order of its rows."""
    rows = [row for row in part.rows if "rate" in row.figures]
    most = max((row.figures["rate"].median for row in rows), default=1.0)
    height = TOP + STEP * len(rows) + 20
    how = f"{part.form} form, medians of {part.rounds} rounds of {part.seconds:g} s"
    how += f", {part.date}, {part.machine.processor}"
    return "\n".join(
        [
            HEAD.format(width=WIDTH, height=height, label=f"{COLUMNS['rate']} of each program, on one core"),
            f"<style>\n{STYLE}\n</style>",
            f'<text class="title" x="10" y="20">{COLUMNS["rate"]} on one core, and {COLUMNS["cpu"]}</text>',
            *(_bar(row, most, index) for index, row in enumerate(rows)),
            f'<text class="small" x="10" y="{height - 6}">{escape(how)}</text>',
            "</svg>\n",
        ]
    )


def _bar(row: Row, most: float, index: int) -> str:
    rate, cpu = row.figures["rate"].median, row.figures["cpu"].median
    top, width = TOP + STEP * index, max(rate / most * (WIDTH - LEFT - RIGHT), 1.0)
    kind = "bar own" if index == 0 else "bar"
    words = escape(row.words.replace("**", "").replace("`", ""))
    return (
        f'<text x="{LEFT - 10}" y="{top + 14}" text-anchor="end">{words}</text>'
        f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR}" rx="3"/>'
        f'<text x="{LEFT + width + 8:.1f}" y="{top + 14}">{shown(rate)}'
        f'<tspan class="small" dx="8">{shown(cpu)} µs</tspan></text>'
    )
