"""The canonical result: what every caller gets, whichever upstream it was. Source: contract 2."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, assert_never

import msgspec
from msgspec import Meta, Struct

from gateway.core.dialect import Translation
from gateway.core.errors import Fault
from gateway.core.money import encode_amount, plain
from gateway.core.result import (
    NAMES,
    Created,
    Discrepancy,
    Loss,
    NotSent,
    Outcome,
    Rejected,
    Stated,
    Unknown,
    UpstreamWarning,
)

Word = Annotated[str, Meta(extra_json_schema={"enum": [*NAMES.values(), "pending"]})]
"""An outcome in the word of the contract."""


class UpstreamAnswer(Struct, frozen=True):
    """Who answered, and in its own words; None where it said nothing."""

    name: str
    dialect: str | None
    http_status: int | None = None
    code: str | None = None
    message: str | None = None
    ids: dict[str, str] = {}


class TakenRoute(Struct, frozen=True):
    """The rule that took the invoice, and the revision of the configuration; None once they are purged."""

    rule: str | None
    config: str | None


class Attempt(Struct, frozen=True):
    """One exchange with an upstream; seconds as text, None where the gateway did not live to see its end."""

    upstream: str
    outcome: Word
    started_at: str
    seconds: str | None


class Timings(Struct, frozen=True):
    """Seconds in all, and of it those that upstreams took; None where it was not concluded in one go."""

    total: str | None
    upstream: str | None


class Resolution(Struct, frozen=True):
    """An operator's word on a doubt: whose, why and when."""

    by: str
    reason: str
    at: str


class Result(Struct, frozen=True, omit_defaults=True):
    """What became of an invoice; `errors` are an upstream's reasons for a refusal."""

    id: str
    external_id: str
    outcome: Word
    adopted: bool
    created_at: str | None
    invoice: Stated | None
    upstream: UpstreamAnswer
    route: TakenRoute
    losses: tuple[Loss, ...]
    discrepancies: tuple[Discrepancy, ...]
    warnings: tuple[UpstreamWarning, ...]
    attempts: tuple[Attempt, ...]
    timings: Timings
    errors: tuple[Fault, ...] = ()
    resolution: Resolution | None = None


ENCODER = msgspec.json.Encoder(enc_hook=encode_amount)
"""Decimals as strings, absent values as null."""


def moment(at: float) -> str:
    """A point of time, in seconds since 1970, in UTC with milliseconds (RFC 3339)."""
    seconds, microseconds = divmod(round(at * 1_000_000), 1_000_000)
    return f"{_second(seconds)}.{microseconds // 1000:03d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """A whole second: thousands of moments are within one."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def span(seconds: float) -> str:
    """Seconds as text with milliseconds."""
    return f"{seconds:.3f}"


def upstream_answer(name: str, dialect: str, outcome: Outcome) -> UpstreamAnswer:
    """Who answered, and what."""
    match outcome:
        case Created(http_status=status, code=code, message=message, ids=ids):
            return UpstreamAnswer(name, dialect, status, code, message, ids)
        case Rejected(http_status=status, code=code, message=message):
            return UpstreamAnswer(name, dialect, status, code, message)
        case NotSent(http_status=status, detail=detail):
            return UpstreamAnswer(name, dialect, status, None, detail)
        case Unknown(http_status=status, code=code, detail=detail):
            return UpstreamAnswer(name, dialect, status, code, detail)
        case _:
            assert_never(outcome)


def outcome_faults(outcome: Outcome) -> tuple[Fault, ...]:
    """The upstream's own list of faults, or its only words as one."""
    match outcome:
        case Rejected(faults=faults) if faults:
            return faults
        case Rejected(code=code, message=message):
            return (Fault("", code or "upstream", message),)
        case _:
            return ()


def discrepancies(translation: Translation, created: Created) -> tuple[Discrepancy, ...]:
    """What the upstream reports otherwise than it was expected to."""
    return tuple(_discrepancies(translation.expected, created.invoice))


def _discrepancies(expected: Stated, stated: Stated) -> Iterator[Discrepancy]:
    for name in ("number", "currency", "issue_date", "due_date"):
        wanted, found = getattr(expected, name), getattr(stated, name)
        if wanted is not None and found is not None and wanted != found:
            yield Discrepancy(f"/{name}", wanted, found)
    for name in expected.totals.__struct_fields__:
        wanted, found = getattr(expected.totals, name), getattr(stated.totals, name)
        if wanted is not None and found is not None and wanted != found:
            yield Discrepancy(f"/totals/{name}", plain(wanted), plain(found))
