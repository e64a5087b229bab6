"""The parts of the README that are generated from the code, so that they cannot tell anything else."""

import json
import re
from pathlib import Path

import msgspec
from msgspec import inspect

from gateway.core.dialect import Dialect
from gateway.core.result import Disposition
from gateway.shell.catalog import dialects
from gateway.shell.metrics import Metrics
from tests.bench import figures, pages
from tests.proof.__main__ import FIGURES
from tests.proof.rows import ROWS

README = Path(__file__).parent.parent.parent / "README.md"
PROTECTION = {
    "enforced": "the API refuses a second one",
    "lookup": "the gateway can ask for it",
    "none": "none: a person has to look",
}
SHOWN: tuple[Disposition, ...] = ("approximated", "folded", "derived", "dropped")


def parts() -> dict[str, str]:
    """Every generated part by its name."""
    return {
        "dialects": dialect_table(),
        "settings": settings_table(),
        "proof": proof_table(),
        "speed": pages.comparison(figures.read()),
        "costs": pages.costs(figures.read()),
        "metrics": metrics_table(),
    }


def written(text: str) -> str:
    """The README's text with its generated parts as they should be."""
    for name, part in parts().items():
        pattern = rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(pattern, lambda found, part=part: f"{found[1]}{part}\n{found[2]}", text, flags=re.DOTALL)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"the README has no part {name}")
    return text


def dialect_table() -> str:
    """A row a dialect: what it is, what protects it, how it reckons, what it refuses."""
    rows = ["| dialect | API | against a second creation | money rule | refused |", "|---|---|---|---|---|"]
    for name, dialect in sorted(dialects().items()):
        refused = sorted({field for field, fate in dialect.fields.items() if fate.disposition == "refused"})
        shown = ", ".join(f"`{field}`" for field in refused) or "–"
        rows.append(
            f"| `{name}` | {dialect.api}, `{dialect.endpoint}` | {PROTECTION[dialect.protection]} |"
            f" {dialect.money_rule} | {shown} |"
        )
    return "\n".join(rows)


def settings_table() -> str:
    """A row a dialect: credentials, settings, crosswalks, extension fields."""
    rows = ["| dialect | `auth` | `settings` | `crosswalk` | `extensions` of an invoice |", "|---|---|---|---|---|"]
    for name, dialect in sorted(dialects().items()):
        auth = " or ".join(f"`{kind}`" for kind in dialect.auth)
        tables = ", ".join(f"**{kind}**" if required else kind for kind, required in dialect.crosswalks.items())
        rows.append(f"| `{name}` | {auth} | {_fields(dialect.settings)} | {tables} | {_extension(dialect)} |")
    return "\n".join([*rows, "", '**Bold**: required. A crosswalk may also be `"same"`, or `{ file = "….csv" }`.'])


def _fields(kind: type[msgspec.Struct]) -> str:
    node = inspect.type_info(kind)
    assert isinstance(node, inspect.StructType)
    return ", ".join(f"**{field.encode_name}**" if field.required else field.encode_name for field in node.fields)


def _extension(dialect: Dialect) -> str:
    if dialect.extension is None:
        return "–"
    names = _folded(_fields(dialect.extension))
    return (
        names if dialect.line_extension is None else f"{names}; of a line: {_folded(_fields(dialect.line_extension))}"
    )


def _folded(names: str) -> str:
    """A run of numbered fields in short: `custom_1 … custom_20`."""
    return re.sub(r"(\w+_)1(?:, \1\d+)+, (\1\d+)", r"\1… \2", names).replace("_… ", "_1 … ")


def proof_table() -> str:
    """A row a claim: how often it is tried on every commit, and what the longest run found, and when."""
    longest = json.loads(FIGURES.read_text())
    rows = ["| tried | on every commit | the longest run | violations | seconds | on |", "|---|--:|--:|--:|--:|---|"]
    for row in ROWS:
        one = longest[row.name]
        measured = f"{one['runs']:,} | {one['violations']:,} | {one['seconds']:,.0f} | {one['date']}"
        rows.append(f"| {row.claim} | {row.count(1.0, commit=True):,} | {measured} |")
    return "\n".join(rows)


def metrics_table() -> str:
    """A row a metric."""
    rows = ["| metric | labels | what it says |", "|---|---|---|"]
    names = Metrics().registry._collector_to_names  # noqa: SLF001 - the library has no other list of them
    for collector in names:
        name = getattr(collector, "_name", "")
        if name.startswith("invoice_gateway_"):
            kind, labels = getattr(collector, "_type", ""), getattr(collector, "_labelnames", ())
            shown = f"{name}_total" if kind == "counter" else name
            rows.append(f"| `{shown}` | {', '.join(labels) or '–'} | {getattr(collector, '_documentation', '')} |")
    return "\n".join(
        [*rows, "", "Beside them the process, platform and garbage collector metrics of the Python client."]
    )
