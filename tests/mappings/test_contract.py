"""The contract that every dialect found must pass, at every turn of its conversations, rubbish included."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.core.dialect import Dialect, Translation, Upstream
from gateway.core.errors import Untranslatable
from gateway.core.exchange import Reply, Request, advance
from gateway.core.losses import LEAVES
from gateway.core.money import Amount
from gateway.core.result import Created, NotSent, Outcome, Rejected, Unknown
from gateway.core.totals import checked_totals
from gateway.shell.catalog import dialects
from tests.support import conversations

SAID = {path: len(conversations.read(path)["turns"]) for path in conversations.files()}
SENT = [path for path, turns in SAID.items() if turns]
TURNS = [(path, turn) for path in SENT for turn in range(SAID[path])]
IDS = [f"{path.parent.name}-{path.stem}-{turn}" for path, turn in TURNS]
HTML = b"<!doctype html><title>Service Unavailable</title>"
STATUSES = (200, 201, 202, 204, 400, 404, 409, 422)


def dialect_of(path: Path) -> Dialect:
    """The dialect that a conversation is in."""
    return dialects()[path.parent.name]


@cache
def told(path: Path) -> tuple[Dialect, dict[str, Any], Translation]:
    """A conversation: its dialect, what is written of it, and its invoice translated; nobody changes any of them."""
    dialect, written = dialect_of(path), conversations.read(path)
    upstream = conversations.upstream(dialect, written)
    return dialect, written, conversations.translated(conversations.document(written), upstream)


def fed(path: Path, turn: int, rubbish: Reply) -> tuple[Any, dict[str, Any]]:
    """What the conversation comes to if its `turn` is answered with something else; and what is written of it.

    Requests that follow are answered with the same.
    """
    dialect, written, translation = told(path)
    generator = conversations.begun(dialect, translation, written)
    step = advance(generator, None)
    for position in range(60):
        if not isinstance(step, Request):
            return step, written
        seen = rubbish if position >= turn else conversations.reply(written["turns"][position])
        step = advance(generator, conversations.judged(dialect, seen))
    raise AssertionError("the conversation does not end")


def is_creation(written: dict[str, Any], turn: int) -> bool:
    """Whether the turn is the one that creates."""
    return turn == 0 and written.get("starts") != "lookup"


def never_a_false_success(step: Outcome, written: dict[str, Any], turn: int) -> None:
    """A success may only be what was known before the rubbish came."""
    if isinstance(step, Created):
        assert turn > 0
        assert written["turns"][0]["reply"]["status"] in (200, 201)
        assert step.invoice.id == written["outcome"]["Created"]["invoice"]["id"]


@pytest.mark.parametrize(("path", "turn"), TURNS, ids=IDS)
@pytest.mark.parametrize("status", [401, 403, 402])
def test_refused_credentials_mean_not_sent(path: Path, turn: int, status: int) -> None:
    """Where the creation itself is turned away, nothing was created; where a question is, nothing is known."""
    step, written = fed(path, turn, Reply(status, b"Unauthorized"))
    if is_creation(written, turn):
        assert isinstance(step, NotSent)
    else:
        assert not isinstance(step, (NotSent, Rejected))
        never_a_false_success(step, written, turn)


@pytest.mark.parametrize(("path", "turn"), TURNS, ids=IDS)
def test_a_rate_limit_means_not_sent_with_its_delay(path: Path, turn: int) -> None:
    """429 on the creation is `NotSent` and carries Retry-After."""
    step, written = fed(path, turn, Reply(429, b"{}", {"retry-after": "7"}))
    if is_creation(written, turn):
        assert isinstance(step, NotSent)
        assert step.retry_after == 7.0
    else:
        assert not isinstance(step, (NotSent, Rejected))
        never_a_false_success(step, written, turn)


RUBBISH = [
    *[Reply(status, body) for status in (500, 502, 503, 504, 408) for body in (b"", HTML, b'{"errors": ["no"]}')],
    *[Reply(status, HTML, {"content-type": "text/html"}) for status in STATUSES],
    *[
        Reply(status, body)
        for status in STATUSES
        for body in (b"", b"{", b"[]", b"null", b"7", b'"OK"', b"\xff\xfe", b"[" * 9999)
    ],
    *[Reply(status, b"{}") for status in (200, 201, 202, 204)],
]


@pytest.mark.parametrize(("path", "turn"), TURNS, ids=IDS)
def test_rubbish_means_unknown(path: Path, turn: int) -> None:
    """Server errors, HTML and JSON of no or another shape, under any status, are unknown: no success, no refusal."""
    for rubbish in RUBBISH:
        step, written = fed(path, turn, rubbish)
        context = f"{rubbish.status} {rubbish.body[:30]!r}"
        if is_creation(written, turn):
            assert isinstance(step, Unknown), context
        else:
            never_a_false_success(step, written, turn)
            assert isinstance(step, (Unknown, Created)) or rubbish.status == 404, context


@pytest.mark.parametrize(("path", "turn"), TURNS, ids=IDS)
def test_answers_cut_short_or_of_wrong_types_are_no_success(path: Path, turn: int) -> None:
    """The written answer cut at any byte, or with any of its values of another type, raises nothing and adds no id."""
    written = conversations.read(path)
    seen = conversations.reply(written["turns"][turn])
    if not isinstance(seen, Reply):
        return
    for end in range(0, len(seen.body), max(1, len(seen.body) // 40)):
        step, _ = fed(path, turn, Reply(seen.status, seen.body[:end], seen.headers))
        never_a_false_success(step, written, turn)
    for body in wrong_types(seen.body):
        step, _ = fed(path, turn, Reply(seen.status, body, seen.headers))
        assert isinstance(step, (Created, Rejected, NotSent, Unknown)) or "Absent" in written["outcome"]
        if isinstance(step, Unknown):
            assert step.reason != "mapping", f"{body[:200]!r}: {step.detail}"
        if isinstance(step, Created):
            assert step.invoice.id in re.findall(r"[\w-]+", body.decode() + json.dumps(written["turns"])), body


def wrong_types(body: bytes) -> list[bytes]:
    """The body with one value at a time replaced by each of another type."""
    try:
        document = json.loads(body)
    except ValueError:
        return []
    found = []
    others: tuple[Any, ...] = (None, True, 7, "text", [], {}, [1], 1e300)
    for place in places(document):
        for value in others:
            changed = json.loads(body)
            put(changed, place, value)
            found.append(json.dumps(changed).encode())
    return found


def places(document: Any) -> list[list[str | int]]:
    """The path of every value below the top, at most 60."""
    found: list[list[str | int]] = []

    def walk(value: Any, place: list[str | int]) -> None:
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, child in children:
            found.append([*place, key])
            walk(child, [*place, key])

    walk(document, [])
    return found[:60]


def put(document: Any, place: list[str | int], value: Any) -> None:
    """Replace the value at a path."""
    for key in place[:-1]:
        document = document[key]
    document[place[-1]] = value


@pytest.mark.parametrize("path", SENT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_bodies_hold_no_null_and_no_exponent(path: Path) -> None:
    """What is absent is omitted; numbers are written out, digit by digit."""
    _, _, translation = told(path)
    numbers: list[str] = []
    body = json.loads(translation.request.body, parse_float=numbers.append, parse_int=numbers.append)
    assert "null" not in re.sub(rb'"(?:[^"\\]|\\.)*"', b"", translation.request.body).decode(), body
    assert all(re.fullmatch(r"-?\d+(\.\d+)?", number) for number in numbers)


@pytest.mark.parametrize("path", SENT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_claim_is_the_amount_due(path: Path) -> None:
    """The predicted claim is exactly what the invoice says, or the dialect says that the upstream decides it."""
    _, written, translation = told(path)
    invoice = conversations.invoice_of(conversations.document(written))
    if translation.claim is not None:
        assert translation.claim == checked_totals(invoice).amount_due


@pytest.mark.parametrize("name", sorted(dialects()))
def test_every_request_field_of_the_vendors_page_can_be_sent(name: str) -> None:
    """The conversations together send every field that `fields.json` lists from the page."""
    sent: set[str] = set()
    for path in SENT:
        if path.parent.name == name:
            for turn in conversations.read(path)["turns"]:
                sent |= set(paths_of(turn["request"].get("body"), ""))
    page = set(conversations.read(conversations.FOLDER / name / "fields.json")["request"])
    assert page
    assert page - sent == set()


def paths_of(value: Any, place: str) -> list[str]:
    """The fields of a body, such as `line_items[].descrip`."""
    if isinstance(value, list):
        return [path for item in value for path in paths_of(item, f"{place}[]")]
    if isinstance(value, dict):
        here = [f"{place}.{key}".lstrip(".") for key in value]
        return here + [path for key, child in value.items() for path in paths_of(child, f"{place}.{key}".lstrip("."))]
    return []


@pytest.mark.parametrize("name", sorted(dialects()))
def test_nothing_is_left_to_do(name: str) -> None:
    """No file of the dialect has a mark of the skeleton (`invoice-gateway new-dialect`) that it may have come from."""
    root = conversations.FOLDER.parent.parent
    fixtures = sorted((conversations.FOLDER / name).glob("*.json"))
    paths = [root / "mappings" / f"{name}.py", root / "gateway" / "sandbox" / f"{name}.py", *fixtures]
    left = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "to do:" in line
    ]
    assert not left, "\n".join(left)


# Another value for each canonical field: texts become other texts, amounts other amounts that still add up.
OTHER: dict[str, Any] = {
    "/external_id": "other-1",
    "/issue_date": "2026-06-29",
    "/due_date": "2026-07-14",
    "/currency": "EUR",
    "/exchange_rate": "1.25",
    "/prices_include_tax": True,
    "/recurrence": "P3M",
    "/language": "de-DE",
    "/delivery/send": True,
    "/billing_period/start": "2026-05-31",
    "/billing_period/end": "2026-06-29",
    "/totals/prepaid_total": "5.00",
    "/totals/rounding": "0.01",
    "category": "L",
    "rate": "7",
    "quantity": "4",
    "unit_price": "12.50",
    "amount": "2.00",
    "unit": "DAY",
    "country": "NO",
}


def other(leaf: str) -> Any:
    """Another value for a field."""
    return OTHER.get(leaf, OTHER.get(leaf.rpartition("/")[2], "Other"))


def is_named(pointer: str, named: list[str]) -> bool:
    """Whether a loss or a refusal names the field, what contains it, or a part of it."""
    return any(pointer == one or pointer.startswith(f"{one}/") or one.startswith(f"{pointer}/") for one in named)


def base(name: str) -> dict[str, Any]:
    """The invoice that the leaf test changes: everything is there that the dialect does not refuse."""
    return conversations.document(conversations.read(conversations.FOLDER / name / "upstream.json")["base"])


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize("name", sorted(dialects()))
def test_no_field_is_lost_in_silence(name: str, leaf: str) -> None:
    """Each canonical field, changed alone, changes the request, or is named by a loss or a refusal."""
    dialect = dialects()[name]
    to = conversations.upstream(dialect, {})
    before = conversations.translated(base(name), to)
    for pointer, changed in variants(base(name), leaf):
        after = outcome_of(changed, to)
        if isinstance(after, Untranslatable):
            named = [fault.pointer for fault in after.faults]
            same = True
        else:
            named = [loss.pointer for loss in after.losses]
            same = (after.request.path, after.request.body) == (before.request.path, before.request.body)
        assert not same or is_named(pointer, named), named


def outcome_of(document: dict[str, Any], to: Upstream) -> Translation | Untranslatable:
    """The translation, or why there is none."""
    try:
        return conversations.translated(document, to)
    except Untranslatable as problem:
        return problem


def variants(document: dict[str, Any], leaf: str) -> list[tuple[str, dict[str, Any]]]:
    """The invoice with the field changed or added: at its first place, and at its second where there is one."""
    found = []
    for number in ("0", "1"):
        pointer, changed = leaf, json.loads(json.dumps(document))
        if leaf.endswith(("identifiers/*", "metadata/*")):
            pointer = pointer[:-1] + ("0088" if "identifiers" in leaf else "other")
        tokens = pointer.split("/")
        if number == "1" and tokens[:2] != ["", "lines"]:
            continue
        place = ["0" if token == "*" else token for token in tokens]
        if place[1] == "lines":
            place[2] = number
        pointer = "/".join(place)
        agreeing(changed, pointer)
        conversations.change(
            changed, pointer, percent(changed, pointer) if pointer.endswith("/percent") else other(leaf)
        )
        found.append((pointer, changed))
    return found


def agreeing(changed: dict[str, Any], pointer: str) -> None:
    """Make what must be there around the field: an adjustment of an amount, a tax of a category, both dates."""
    parts = pointer.split("/")
    for index, token in enumerate(parts):
        if token in ("discounts", "charges", "taxes") and index < len(parts) - 1:
            holder = "/".join(parts[:index])
            around = get(changed, holder)
            fresh = {"category": "S", "rate": "20"} if token == "taxes" else {"amount": "1.00"}
            around.setdefault(token, []) or around[token].append(fresh)
    if parts[1] == "billing_period":
        changed.setdefault("billing_period", {"start": "2026-06-01", "end": "2026-06-30"})
    if parts[1] in ("totals", "lines", "discounts", "charges", "prices_include_tax"):
        changed["totals"] = {}
    if "amount" in parts or parts[-1] in ("quantity", "unit_price", "prices_include_tax"):
        without_percents(changed)


def without_percents(changed: Any) -> None:
    """Leave out percentages, which would have to agree with the changed amount."""
    if isinstance(changed, dict):
        changed.pop("percent", None)
    for child in changed.values() if isinstance(changed, dict) else changed if isinstance(changed, list) else ():
        without_percents(child)


def get(document: Any, pointer: str) -> Any:
    """What is at the pointer."""
    for token in pointer.split("/")[1:]:
        document = document[int(token)] if isinstance(document, list) else document.setdefault(token, {})
    return document


def percent(changed: dict[str, Any], pointer: str) -> str:
    """A percentage for the adjustment at the pointer, whose amount is made to agree."""
    holder = get(changed, pointer.rpartition("/")[0])
    parts = pointer.split("/")
    invoice = json.loads(json.dumps(changed))
    without_percents(invoice)
    if parts[1] == "lines":
        line = invoice["lines"][int(parts[2])]
        base_amount = Amount(line["quantity"]) * Amount(line["unit_price"])
    else:
        lines = checked_totals(conversations.invoice_of({**invoice, "discounts": [], "charges": []}))
        base_amount = lines.line_total
    holder["amount"] = format((base_amount / 4).quantize(Amount("0.01")), "f")
    return "25"
