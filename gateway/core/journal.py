"""What is remembered of an invoice: its entry in the journal, and the states that it goes through. Pure.

    waiting  → sending → created | rejected | not_sent | unknown
    unknown  → created   found by its reference and adopted, or an operator's word
             → not_sent  proven absent, or an operator's word
             → rejected  its reference belongs to another invoice
             → waiting   proven absent, and its caller left the delivery to the gateway
    rejected, not_sent → sending | waiting   they do not bind the key: it may be sent again, corrected

No edge leads from `sending` or `unknown` straight back to a send of what may exist already. An upstream's own word that
it created the invoice is believed even where it comes late, and no edge leads there (`gateway.core.overtaken`).
"""

from collections.abc import Mapping
from hashlib import sha256
from operator import attrgetter
from typing import Literal

import msgspec
from msgspec import Struct, structs

from gateway.core.invoice import Invoice
from gateway.core.plainjson import read_json, write_json
from gateway.core.result import Created, NotSent, Rejected, Unknown

State = Literal["waiting", "sending", "created", "rejected", "not_sent", "unknown"]

EDGES: Mapping[State, frozenset[State]] = {
    "waiting": frozenset(("waiting", "sending", "not_sent")),
    "sending": frozenset(("sending", "waiting", "created", "rejected", "not_sent", "unknown")),
    "unknown": frozenset(("unknown", "waiting", "created", "rejected", "not_sent")),
    "rejected": frozenset(("waiting", "sending")),
    "not_sent": frozenset(("waiting", "sending")),
    "created": frozenset(),
}
"""Where each state can lead. `sending` leads to itself where another upstream stands in: certainly not sent before."""

STATES: Mapping[type, State] = {Created: "created", Rejected: "rejected", NotSent: "not_sent", Unknown: "unknown"}
"""The state in which each outcome leaves an entry."""

FREE: frozenset[State] = frozenset(("rejected", "not_sent"))
"""The states that do not bind a key."""

PENDING: frozenset[State] = frozenset(("waiting", "sending"))
"""The states that callers hear of as `pending`."""

FINGERPRINT_VERSION = 1


class Entry(Struct, frozen=True, kw_only=True):
    """What the journal holds under one key (`client`, `external_id`); times are seconds since 1970 by the store.

    `revision` counts the changes: a change is only made to the revision that it was decided on. `owner` is the process
    that works on it. `due_at` is when somebody has to look at it: the end of the claim while it is being sent, the next
    check of a doubt, the next try of what waits; None where nobody has to. `doubted_at` is when a doubt began, `checks`
    how often it was looked into in vain, or tried. `body` is the invoice as it came, `dispatch` a packed `Dispatch`,
    `result` a `Result` in JSON without its losses, `response` what the upstream said, as it came; all are empty once
    they are purged.
    """

    id: str
    client: str
    external_id: str
    fingerprint: str
    state: State
    upstream: str
    owner: str
    created_at: float
    updated_at: float
    revision: int = 1
    upstream_id: str | None = None
    due_at: float | None = None
    doubted_at: float | None = None
    checks: int = 0
    body: bytes = b""
    dispatch: bytes = b""
    result: bytes = b""
    response: bytes = b""


class Doubts(Struct, frozen=True):
    """How many invoices are in doubt at an upstream, and since when the oldest is."""

    upstream: str
    count: int
    since: float


class Impossible(Exception):  # noqa: N818 - it is what the step is
    """A step that no edge allows: a defect of the gateway, caught before it is written."""


def stepped(
    entry: Entry, state: State, now: float, *, due_at: float | None = None, owner: str | None = None, **changes: object
) -> Entry:
    """The entry after a step to `state`.

    Raises:
        Impossible: no edge leads there.
    """
    if state not in EDGES[entry.state]:
        raise Impossible(f"{entry.state} to {state}")
    began = now if entry.doubted_at is None else entry.doubted_at
    made: Entry = structs.replace(
        entry,
        state=state,
        revision=entry.revision + 1,
        updated_at=now,
        due_at=due_at,
        doubted_at=began if state == "unknown" else None,
        owner=entry.owner if owner is None else owner,
        **changes,
    )
    return made


Met = Literal["replay", "doubt", "waiting", "working", "other", "free"]


def met(entry: Entry, mark: str) -> Met:
    """What an invoice with the fingerprint `mark` meets under its key.

    `replay`: it is concluded; `doubt`: it may exist; `waiting`: it will be delivered; `working`: somebody sends it
    now; `other`: the key is bound to another content; `free`: nothing binds the key.
    """
    if entry.state in FREE:
        return "free"
    if entry.fingerprint != mark:
        return "other"
    match entry.state:
        case "created":
            return "replay"
        case "unknown":
            return "doubt"
        case "waiting":
            return "waiting"
        case _:
            return "working"


_SHORTEST = attrgetter("shortest")
"""How amounts are written: nothing else in an invoice asks for a hook."""


def canonical(invoice: Invoice) -> bytes:
    """The invoice as it is kept and compared: equal contents have equal bytes.

    Amounts that are equal are the same (`"1.5"` and `"1.50"`), members that are absent and those at their default too;
    order matters only in lists. Extensions are compared as they came, but for the order of their members.
    """
    text = msgspec.json.encode(_bare(invoice), enc_hook=_SHORTEST, order="deterministic")
    if invoice.extensions or any(line.extensions for line in invoice.lines):
        return write_json(_ordered(read_json(text)))
    return text


_EMPTY = {each.name: each.default for each in structs.fields(Invoice) if isinstance(each.default, Struct)}


def _bare(invoice: Invoice) -> Invoice:
    """The invoice with its empty objects as if they were absent: only the default itself is left out when written."""
    found = {name: empty for name, empty in _EMPTY.items() if empty is not getattr(invoice, name) == empty}
    return structs.replace(invoice, **found) if found else invoice


def fingerprint(content: bytes) -> str:
    """A digest of the canonical content, with its version."""
    return f"{FINGERPRINT_VERSION}:{sha256(content).hexdigest()}"


def _ordered(value: object) -> object:
    match value:
        case dict():
            return {key: _ordered(value[key]) for key in sorted(value)}
        case list():
            return [_ordered(each) for each in value]
        case _:
            return value
