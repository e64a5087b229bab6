"""What a request asks for beside its invoice: preferences, queries, verdicts. Every fault at once."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from gateway.core import schema, wording
from gateway.core.errors import Fault, InvalidRequest
from gateway.core.journal import PENDING, State
from gateway.core.parse import read_json
from gateway.shell.gateway import AT_ONCE, Preference
from gateway.shell.journal import Query
from gateway.shell.records import Verdict

MOST_LISTED = 200
MOST_WAIT = 60.0

STATES: dict[str, tuple[State, ...]] = {
    "created": ("created",),
    "rejected": ("rejected",),
    "not_sent": ("not_sent",),
    "unknown": ("unknown",),
    "pending": tuple(sorted(PENDING)),
}
"""The states that each outcome of the contract stands for."""

_ID = re.compile(r"[0-9a-f-]{36}")
_PARAMETERS = ("external_id", "outcome", "limit", "cursor", "client")


def preferred(headers: Iterable[str]) -> Preference:
    """What the `Prefer` headers ask for (RFC 7240); what is not understood is ignored, as that says."""
    asynchronous, wait = False, 0.0
    for token in (token.strip() for header in headers for token in header.split(",")):
        name, _, value = (part.strip() for part in token.partition("="))
        if name.lower() == "respond-async":
            asynchronous = True
        elif name.lower() == "wait" and value.strip('"').isdecimal() and len(value) < 10:
            wait = min(float(value.strip('"')), MOST_WAIT)
    return Preference(respond_async=True, wait=wait) if asynchronous else AT_ONCE


def asked(parameters: Mapping[str, str]) -> Query:
    """The entries that a list is asked for; one more than its limit, which tells whether there are more.

    Raises:
        InvalidRequest: with every fault at once.
    """
    faults = [wording.unknown(name, name, _PARAMETERS, "a parameter") for name in parameters if name not in _PARAMETERS]
    outcome, limit, cursor = parameters.get("outcome"), parameters.get("limit", "50"), parameters.get("cursor")
    if outcome is not None and outcome not in STATES:
        faults.append(wording.unknown("outcome", outcome, STATES, "an outcome"))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST_LISTED):
        faults.append(Fault("limit", "range", f"must be a number from 1 to {MOST_LISTED}"))
    if cursor is not None and _ID.fullmatch(cursor) is None:
        faults.append(Fault("cursor", "pattern", "must be the `next` of an earlier answer"))
    if faults:
        raise InvalidRequest(f"{faults[0].pointer}: {faults[0].detail}", tuple(faults))
    return Query(
        client=parameters.get("client"),
        external_id=parameters.get("external_id"),
        states=STATES[outcome] if outcome is not None else (),
        after=cursor,
        limit=int(limit) + 1,
    )


def verdict_of(body: bytes) -> Verdict:
    """An operator's word on a doubt.

    Raises:
        MalformedJson: the body is not JSON.
        InvalidRequest: with every fault at once.
    """
    document = read_json(body)
    faults, repaired = schema.examine(document, Verdict)
    if isinstance(document, dict) and document.get("outcome") == "not_sent" and "upstream_id" in document:
        faults.append(Fault("/upstream_id", "contradiction", "what was not sent has no id at the upstream"))
    if faults:
        raise InvalidRequest(f"{faults[0].pointer}: {faults[0].detail}", tuple(schema.capped(faults)))
    return msgspec.convert(repaired, Verdict)
