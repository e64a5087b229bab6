"""What a request asks for beside its invoice: preferences, queries, verdicts. Every fault at once."""

import math
import re
from collections.abc import Iterable, Mapping

import msgspec

from gateway.core import schema, wording
from gateway.core.codes import CONTROL
from gateway.core.errors import Fault, InvalidRequest, capped
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

CURSOR = re.compile(r"[0-9a-f-]{36}")
_QUOTED = r'"(?:[^"\\]|\\.)*"'
# A name and, if it has one, its value; then its parameters, up to the next comma that is not quoted.
_PREFERENCE = re.compile(rf'(?:^|,)\s*([^\s=;,"]+)(?:\s*=\s*({_QUOTED}|[^\s;,"]*))?(?:[^",]|{_QUOTED})*')
_MILLISECONDS = re.compile(r"[0-9]{1,15}")
_SECONDS = re.compile(r"[0-9]{1,9}")
_LIMIT = re.compile(r"0*([0-9]{1,3})")
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_PARAMETERS = ("external_id", "outcome", "limit", "cursor", "client")


def preferred(headers: Iterable[str]) -> Preference:
    """What the `Prefer` headers ask for (RFC 7240); of one that is given twice the first counts, as that says.

    What is not understood is ignored, and so are the parameters of a preference: these two have none.
    """
    found: dict[str, str] = {}
    for name, value in _PREFERENCE.findall(",".join(headers)):
        found.setdefault(name.lower(), value.strip('"'))
    if "respond-async" not in found:
        return AT_ONCE
    wait = found.get("wait", "")
    return Preference(respond_async=True, wait=min(float(wait), MOST_WAIT) if _SECONDS.fullmatch(wait) else 0.0)


def within(header: str | None) -> float:
    """How many seconds the caller waits, of `X-Request-Timeout-Ms` in milliseconds; infinity where it does not say.

    Raises:
        InvalidRequest: it says something else.
    """
    if header is None:
        return math.inf
    if not (_MILLISECONDS.fullmatch(header) and int(header) >= 1):
        fault = Fault("", "range", "X-Request-Timeout-Ms must be a number of milliseconds, at least 1")
        raise InvalidRequest(fault.detail, (fault,))
    return int(header) / 1000


def asked(parameters: Mapping[str, str]) -> Query:
    """The entries that a list is asked for; one more than its limit, which tells whether there are more.

    Raises:
        InvalidRequest: with every fault at once.
    """
    faults = [wording.unknown(name, name, _PARAMETERS, "a parameter") for name in parameters if name not in _PARAMETERS]
    outcome, limit, cursor = parameters.get("outcome"), parameters.get("limit", "50"), parameters.get("cursor")
    if outcome is not None and outcome not in STATES:
        faults.append(wording.unknown("outcome", outcome, STATES, "an outcome"))
    number = int(found[1]) if (found := _LIMIT.fullmatch(limit)) else 0
    if not 1 <= number <= MOST_LISTED:
        faults.append(Fault("limit", "range", f"must be a number from 1 to {MOST_LISTED}"))
    if cursor is not None and CURSOR.fullmatch(cursor) is None:
        faults.append(Fault("cursor", "pattern", "must be the `next` of an earlier answer"))
    named = {name: parameters[name] for name in ("external_id", "client") if name in parameters}
    faults += [
        Fault(name, "control", "holds a control character") for name, text in named.items() if CONTROL.search(text)
    ]
    if faults:
        raise InvalidRequest(f"{faults[0].pointer}: {faults[0].detail}", tuple(faults))
    return Query(
        client=parameters.get("client"),
        external_id=parameters.get("external_id"),
        states=STATES[outcome] if outcome is not None else (),
        after=cursor,
        limit=number + 1,
    )


def flag(parameters: Mapping[str, str], name: str) -> bool:
    """Whether a parameter says yes; one that is absent or empty says no.

    Raises:
        InvalidRequest: it says neither.
    """
    word = parameters.get(name, "").lower() or "false"
    if word not in _WORDS:
        fault = Fault(name, "unknown-code", f"{wording.quoted(word)} is neither true nor false")
        raise InvalidRequest(f"{name}: {fault.detail}", (fault,))
    return _WORDS[word]


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
        raise InvalidRequest(f"{faults[0].pointer}: {faults[0].detail}", tuple(capped(faults)))
    return msgspec.convert(repaired, Verdict)
