"""Texts for a terminal: how a problem reads, and what the journal holds."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.core.errors import Fault, Problem
from gateway.core.problem_index import title


def table(rows: Iterable[tuple[str, ...]], indent: str = "  ") -> Iterator[str]:
    """Rows with their columns aligned; the last column is as long as it is."""
    kept = list(rows)
    widths = [max(len(row[column]) for row in kept) for column in range(len(kept[0]) - 1)] if kept else []
    for row in kept:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield indent + "  ".join([*cells, row[-1]]).rstrip()


def problem(found: Problem) -> str:
    """A problem with all its faults."""
    lines = [f"{title(type(found))} ({type(found).slug})", *table(_fault_rows(found.faults))]
    if not found.faults:
        lines.append(f"  {found.detail}")
    return "\n".join(lines)


def _fault_rows(faults: Iterable[Fault]) -> Iterator[tuple[str, str]]:
    return ((fault.pointer or "-", fault.detail) for fault in faults)


def records(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Results as a table, one a line."""
    rows = [("id", "outcome", "external_id", "upstream", "id there", "last tried", "words")]
    for one in found:
        attempts, made = one["attempts"], one["invoice"] or {}
        rows.append(
            (
                one["id"],
                one["outcome"],
                one["external_id"],
                one["upstream"]["name"],
                made.get("id") or "-",
                attempts[-1]["started_at"] if attempts else "-",
                one["upstream"]["message"] or "",
            )
        )
    return table(rows, "")


def record(found: Mapping[str, Any]) -> str:
    """A result with what an operator needs to settle a doubt."""
    made, upstream, told = found["invoice"] or {}, found["upstream"], found.get("upstream_response")
    lines = [f"{found['id']}: {found['outcome']}" + (", adopted" if found["adopted"] else "")]
    rows = [
        ("external_id", found["external_id"]),
        ("upstream", f"{upstream['name']} ({upstream['dialect'] or 'details purged'})"),
        ("says", " ".join(str(upstream[key]) for key in ("http_status", "code", "message") if upstream[key])),
        ("id there", made.get("id")),
        ("number", made.get("number")),
        ("amount due", (made.get("totals") or {}).get("amount_due")),
        ("rule", found["route"]["rule"]),
        ("config", found["route"]["config"]),
    ]
    lines += table((name, str(value)) for name, value in rows if value)
    for one in found["attempts"]:
        seconds = f"{one['seconds']} s" if one["seconds"] else "unfinished"
        lines.append(f"  attempt at {one['started_at']}: {one['upstream']}, {one['outcome']}, {seconds}")
    for one in found["discrepancies"]:
        lines.append(f"  {one['pointer']}: expected {one['expected']}, received {one['received']}")
    if word := found.get("resolution"):
        lines.append(f"  resolved by {word['by']} at {word['at']}: {word['reason']}")
    if told:
        lines += [f"  the upstream answered {told['http_status']}:", f"    {told['body']}"]
    return "\n".join(lines)
