"""Hostile answers of upstreams: a turn of a written conversation is answered with something else than was written.

Whatever it is, the mapping raises nothing, creates once, and says that an invoice was created only with an id that it
was told under a good status. One seed is one conversation: `played(seed)` plays it again.
"""

import traceback
from collections.abc import Iterator, Sequence
from functools import cache
from random import Random
from typing import Any

from msgspec import Struct, structs

from gateway.core.answer import discrepancies
from gateway.core.codes import CONTROL
from gateway.core.dialect import Dialect, Translation
from gateway.core.exchange import MOST_TURNS, Reply, Request, Seen, advance
from gateway.core.result import Absent, Created, NotSent, Outcome, Totals, Unknown
from gateway.shell.catalog import dialects
from tests.fuzz.documents import amount, currency, objects, parsed, scalar, scalars
from tests.fuzz.fragments import HOSTILE
from tests.fuzz.mutation import Sample, mutated, sample
from tests.proof import pool
from tests.proof.row import Found, Tick
from tests.support import conversations

CHUNK = 10_000
NAMES = tuple(sorted(dialects()))
STATUSES = (
    *(
        200,
        200,
        200,
        201,
        201,
        202,
        203,
        204,
        206,
        207,
        299,
        100,
        301,
        302,
        303,
        304,
        307,
        308,
        400,
        400,
        401,
        402,
        403,
    ),
    *(
        404,
        404,
        405,
        406,
        408,
        409,
        410,
        411,
        412,
        413,
        415,
        418,
        422,
        425,
        428,
        429,
        431,
        451,
        499,
        500,
        501,
        502,
        503,
    ),
    *(504, 507, 520, 599, 600, 999, 0, 42),
)
HEADERS = (
    {"retry-after": "-1"},
    {"retry-after": "9" * 400},
    {"retry-after": "\u0661"},
    {"retry-after": "Fri, 31 Dec 9999 23:59:59 -9999"},
    {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"},
    {"location": "http://[::1"},
    {"location": "\udcff" * 300},
    {"content-type": "text/html; charset=utf-7"},
    {"content-encoding": "gzip"},
)
PAGES = (
    b"",
    b"<!doctype html><title>Sign in</title>",
    b"OK",
    b"created",
    b"[" * 2000,
    b'{"a":' * 2000,
    b"\xff\xfe",
    b"\x00" * 100,
    b'{"error":"no"}',
    b'{"status":"OK"}',
    b'{"succeeded":true}',
    b'{"invoice":{}}',
    b'{"response":{"id":null}}',
    b'{"id":7}',
)
IDS = ("id", "ID", "guid", "uuid", "invoiceId", "InvoiceId", "invoice_id")
FIGURES = {
    "exsited": {
        "subtotal": "tax_exclusive_total",
        "tax": "tax_total",
        "total": "tax_inclusive_total",
        "due": "amount_due",
    },
    "chargeover": {
        "subtotal": "tax_exclusive_total",
        "taxes": "tax_total",
        "total": "tax_inclusive_total",
        "balance": "amount_due",
    },
    "onlyoffice": {"cost": "tax_inclusive_total", "Cost": "tax_inclusive_total"},
    "mykaarma": {"amount": "amount_due"},
    "katsupay": {"amount": "amount_due", "Amount": "amount_due"},
}
"""What each API calls the figures of an invoice in its answers, from the vendors' pages."""


class Case(Struct, frozen=True):
    """A written conversation and its replies, as they come and cut into values."""

    name: str
    dialect: Dialect
    translation: Translation
    written: dict[str, Any]
    seen: tuple[Seen, ...]
    cut: tuple[Sample, ...]

    @property
    def creates(self) -> bool:
        """Whether its first turn creates."""
        return self.written.get("starts") != "lookup"


class Talk(Struct, frozen=True):
    """What was said in a conversation, and what came of it."""

    case: Case
    requests: tuple[Request, ...]
    replies: tuple[Seen, ...]
    end: Outcome | Absent


@cache
def cases(name: str) -> tuple[Case, ...]:
    """The conversations of a dialect that have turns."""
    dialect, found = dialects()[name], list[Case]()
    for path in conversations.files():
        written = conversations.read(path)
        if path.parent.name == name and written["turns"]:
            to = conversations.upstream(dialect, written)
            seen = tuple(conversations.reply(turn) for turn in written["turns"])
            cut = tuple(sample(each.body if isinstance(each, Reply) else b"{}") for each in seen)
            translation = conversations.translated(conversations.document(written), to)
            found.append(Case(path.stem, dialect, translation, written, seen, cut))
    return tuple(found)


@cache
def replies(name: str) -> tuple[Sample, ...]:
    """Every answer of a dialect's conversations."""
    return tuple(each for case in cases(name) for each in case.cut)


def hostile(rng: Random, case: Case, turn: int) -> Reply:
    """Another answer than was written for a turn."""
    seen, chance = case.seen[turn % len(case.seen)], rng.random()
    status = seen.status if isinstance(seen, Reply) and chance < 0.6 else rng.choice(STATUSES)
    headers = rng.choice(HEADERS) if rng.random() < 0.05 else {}
    others = replies(case.dialect.name)
    if (chance := rng.random()) < 0.8:
        body = mutated(rng, case.cut[turn % len(case.cut)], others)
    elif chance < 0.93:  # words of another conversation
        body = mutated(rng, rng.choice(others), others) if chance < 0.86 else rng.choice(others).body
    else:
        body = rng.choice(PAGES) if chance < 0.97 else rng.choice(HOSTILE)
    return Reply(status, body, headers)


def played(seed: int) -> Talk:
    """One conversation, from one turn on answered otherwise."""
    rng = Random(seed)  # noqa: S311 - a seed must choose the same again
    case = rng.choice(cases(NAMES[seed % len(NAMES)]))
    target, stubborn = rng.randrange(len(case.seen)), rng.random() < 0.3
    conversation = conversations.begun(case.dialect, case.translation, case.written)
    step, requests, seen = advance(conversation, None), list[Request](), list[Seen]()
    while isinstance(step, Request):
        turn = len(requests)
        requests.append(step)
        if turn > MOST_TURNS:
            raise AssertionError("the conversation does not end")
        written = case.seen[turn] if turn < len(case.seen) else None
        if turn == target or written is None or (stubborn and turn > target):
            written = hostile(rng, case, turn)
        seen.append(written)
        step = advance(conversation, conversations.judged(case.dialect, written))
    return Talk(case, tuple(requests), tuple(seen), step)


def wrongs(talk: Talk) -> Iterator[str]:
    """What is wrong with what came of a conversation."""
    case, end = talk.case, talk.end
    creating = [number for number, request in enumerate(talk.requests) if request.method != "GET"]
    if creating != [0][: case.creates]:
        yield f"creating requests at {creating}"
    if isinstance(end, (Unknown, NotSent)) and end.reason == "mapping":
        yield f"the mapping raised: {end.detail}"
    if isinstance(end, Absent) and case.creates:
        yield "an absence is no outcome of a creation"
    if isinstance(end, Created):
        yield from _false_success(talk, end)


def _false_success(talk: Talk, made: Created) -> Iterator[str]:
    good = [each for each in talk.replies if isinstance(each, Reply) and each.status < 300]
    first = talk.replies[0]
    if not 200 <= made.http_status < 300:
        yield f"created under status {made.http_status}"
    if talk.case.creates and not made.adopted and not (isinstance(first, Reply) and first in good):
        yield f"created, and the creation was answered {first}"
    own = made.invoice.id
    documents = [document for each in good for document in parsed(each.body)]
    if own is None or own.strip() in ("", "0", "None", "True", "False") or CONTROL.search(own):
        yield f"created with the id {own!r}"
    elif own not in {text for document in documents for text in scalars(document)}:
        yield f"created with an id that nobody said: {own!r}"
    else:
        yield from _silent(talk, made, [one for document in documents for one in objects(document) if _has(one, own)])


def _has(one: dict[str, Any], own: str) -> bool:
    return any(scalar(one.get(name)) == own for name in IDS)


def _silent(talk: Talk, made: Created, told: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A difference of money that is in all that was told of the invoice, and in no discrepancy."""
    if made.invoice.totals == Totals() and len(talk.replies) > 1:
        return  # what was read back said nothing that could be read
    expected, named = (
        talk.case.translation.expected,
        {each.pointer for each in discrepancies(talk.case.translation, made)},
    )
    for wire, name in FIGURES[talk.case.dialect.name].items():
        wanted, pointer = getattr(expected.totals, name), f"/totals/{name}"
        figures = [amount(one[wire]) for one in told if wire in one]
        differs = wanted is not None and figures and all(one is not None and one != wanted for one in figures)
        if differs and pointer not in named:
            yield f"{wire} is {figures}, not {wanted}, and nobody says so"
    currencies = [currency(one) for one in told]
    if (
        currencies
        and all(one is not None and one != expected.currency for one in currencies)
        and "/currency" not in named
    ):
        yield f"the currency is {currencies}, not {expected.currency}, and nobody says so"


def tried(seed: int) -> list[str]:
    """What is wrong with the conversation of a seed."""
    try:
        talk = played(seed)
        return [f"{each}: {described(talk)}" for each in wrongs(talk)]
    except Exception:  # noqa: BLE001 - whatever it is, it is wrong
        return [traceback.format_exc()]


def described(talk: Talk) -> str:
    """A conversation in a line."""
    said = [
        each if not isinstance(each, Reply) else structs.replace(each, body=each.body[:600]) for each in talk.replies
    ]
    return f"{talk.case.dialect.name}/{talk.case.name} answered {said}"


def wrong_in(seeds: range) -> list[str]:
    """The seeds whose conversations end as they must not, each with what is wrong."""
    return [f"seed {seed}: {each}" for seed in seeds for each in tried(seed)]


async def run(count: int, first: int, tick: Tick) -> Found:
    """So many conversations, on all processors."""
    return await pool.shared(wrong_in, count, first, tick, CHUNK, measured=False)
