"""Whole conversations with an upstream as files: read, replayed against a mapping, and written back.

A file in `tests/mappings/DIALECT/` holds the invoice (or the name of one in `tests/mappings/invoices`, and changes to
it), what differs from the dialect's usual upstream (`upstream.json`), the turns, and what came of them. Replies are
facts about the API; requests, outcome, losses and errors are what the mapping makes of them.
"""

import json
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.core.answer import ENCODER
from gateway.core.crosswalk import Crosswalk, Entry
from gateway.core.dialect import Dialect, Translation, Upstream, translate
from gateway.core.errors import Untranslatable
from gateway.core.exchange import Reply, Request, Seen, advance, judge
from gateway.core.invoice import Invoice
from gateway.core.money import Amount, decode_amount
from gateway.core.parse import parse
from gateway.core.result import Absent, NotSent, Outcome, Unknown
from gateway.core.totals import checked_totals
from gateway.shell.catalog import dialects, extension_types

FOLDER = Path(__file__).parent.parent / "mappings"
NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


def files() -> Iterator[Path]:
    """Every conversation of every dialect."""
    for name in sorted(dialects()):
        yield from sorted(
            path for path in (FOLDER / name).glob("*.json") if path.name not in ("upstream.json", "fields.json")
        )


def read(path: Path) -> dict[str, Any]:
    """A JSON file."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def document(conversation: dict[str, Any]) -> dict[str, Any]:
    """The canonical invoice of a conversation as JSON."""
    named = conversation["invoice"]
    found = read(FOLDER / "invoices" / f"{named}.json") if isinstance(named, str) else json.loads(json.dumps(named))
    for pointer, value in conversation.get("changes", {}).items():
        change(found, pointer, value)
    return found


def change(found: Any, pointer: str, value: Any) -> None:
    """Set, append (`-`) or, with None, remove what is at `pointer`; objects on the way are made."""
    *way, last = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    for token in way:
        found = found[int(token)] if isinstance(found, list) else found.setdefault(token, {})
    if isinstance(found, list):
        if last == "-" or int(last) == len(found):
            found.append(value)
        else:
            found[int(last)] = value
    elif value is None:
        found.pop(last, None)
    else:
        found[last] = value


def upstream(dialect: Dialect, conversation: dict[str, Any]) -> Upstream:
    """The dialect's usual upstream, with the conversation's own settings and crosswalk."""
    usual = read(FOLDER / dialect.name / "upstream.json")
    settings = usual["settings"] | conversation.get("settings", {})
    tables = usual["crosswalk"] | conversation.get("crosswalk", {})
    return Upstream(
        f"{dialect.name}-test",
        dialect,
        msgspec.convert(settings, dialect.settings, dec_hook=decode_amount),
        Crosswalk(
            {
                kind: {key: _entry(own) for key, own in table.items()}
                for kind, table in tables.items()
                if table != "same"
            },
            frozenset(kind for kind, table in tables.items() if table == "same"),
        ),
    )


def _entry(own: Any) -> Entry:
    return Entry(own["id"], Amount(own["rate"])) if isinstance(own, dict) else Entry(own)


def invoice_of(found: dict[str, Any]) -> Invoice:
    """The canonical invoice of a JSON document."""
    return parse(json.dumps(found).encode(), extension_types())


def translated(found: dict[str, Any], to: Upstream) -> Translation:
    """The invoice in the upstream's dialect."""
    invoice = invoice_of(found)
    return translate(invoice, checked_totals(invoice), to)


def reply(turn: dict[str, Any]) -> Reply | NotSent | Unknown:
    """What is seen in a turn: an answer, or why there is none."""
    said = turn["reply"]
    if "not_sent" in said:
        return NotSent(said["not_sent"], said["not_sent"])
    if "unknown" in said:
        return Unknown(said["unknown"], said["unknown"])
    body = said.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply(said["status"], text.encode(), said.get("headers", {}))


def judged(dialect: Dialect, seen: Seen) -> Seen:
    """What the shell makes of an answer before the mapping sees it."""
    return judge(seen, dialect.unauthorized, NOW) if isinstance(seen, Reply) else seen


def begun(dialect: Dialect, translation: Translation, conversation: dict[str, Any]) -> Generator[Request, Seen, Any]:
    """The conversation's generator: a creation, a repeated one, or a lookup."""
    if conversation.get("starts") == "lookup":
        assert dialect.lookup is not None, "the dialect has no lookup"
        return dialect.lookup(translation)
    return dialect.create(translation, bool(conversation.get("repeat")))


def replay(dialect: Dialect, conversation: dict[str, Any]) -> dict[str, Any]:
    """The conversation with what the mapping makes of it now: requests, outcome, losses, claim; or errors."""
    result = {key: value for key, value in conversation.items() if key not in ("outcome", "losses", "claim", "errors")}
    try:
        translation = translated(document(conversation), upstream(dialect, conversation))
    except Untranslatable as problem:
        return result | {"turns": [], "errors": _plain(problem.faults)}
    generator = begun(dialect, translation, conversation)
    step: Request | Outcome | Absent = advance(generator, None)
    turns: list[dict[str, Any]] = []
    for turn in conversation["turns"]:
        assert isinstance(step, Request), f"the mapping ended before turn {len(turns)}: {step}"
        turns.append({"request": _request(step), "reply": turn["reply"]})
        step = advance(generator, judged(dialect, reply(turn)))
    assert not isinstance(step, Request), f"the mapping asks on: {step}"
    result |= {"turns": turns, "outcome": {type(step).__name__: _plain(step)}}
    return result | {"claim": _plain(translation.claim), "losses": _plain(translation.losses)}


def _request(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = {"method": request.method, "path": request.path}
    extra = {name: value for name, value in request.headers if name not in ("content-type", "accept")}
    if extra:
        found["headers"] = extra
    if request.body:
        found["body"] = _literal(request.body)
    return found


def _literal(body: bytes) -> Any:
    """The body as JSON, its numbers as they are written, so that 95.00 is not 95.0."""
    return json.loads(body, parse_float=lambda text: f"number {text}")


def _plain(value: object) -> Any:
    return json.loads(ENCODER.encode(value))
