"""The result of an entry: made when an outcome is known, and from what is left of it when nobody stored one. Pure."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct, structs

from gateway.core import answer
from gateway.core.answer import (
    ENCODER,
    Attempt,
    Resolution,
    Result,
    TakenRoute,
    Timings,
    UpstreamAnswer,
    moment,
    outcome_faults,
    upstream_answer,
)
from gateway.core.dispatch import Dispatch, dispatch_of, losses_of
from gateway.core.exchange import Reply
from gateway.core.journal import PENDING, Entry
from gateway.core.losses import remembered
from gateway.core.result import Created, Loss, Outcome, Stated, UpstreamWarning, name

MOST_TEXT = 65_536
UNTIMED = Timings(None, None)

_DECODE = msgspec.json.Decoder(Result).decode
_NO_LOSSES = b'"losses":[]'
"""What stands in a result that is kept. Only its own member reads so: quotes within a string are escaped."""


def outcome_of(entry: Entry) -> str:
    """The entry's state in the word of the contract."""
    return "pending" if entry.state in PENDING else entry.state


def made(
    entry: Entry,
    dispatch: Dispatch,
    outcome: Outcome,
    now: float,
    attempts: Sequence[Attempt],
    *,
    timings: Timings = UNTIMED,
) -> Result:
    """The result of an entry that was sent as `dispatch` says and came to `outcome`."""
    created = outcome if isinstance(outcome, Created) else None
    return Result(
        id=entry.id,
        external_id=entry.external_id,
        outcome=name(outcome),
        adopted=created is not None and created.adopted,
        created_at=moment(now) if created else None,
        invoice=created.invoice if created else None,
        upstream=upstream_answer(entry.upstream, dispatch.dialect, outcome),
        route=TakenRoute(dispatch.rule, dispatch.config),
        losses=dispatch.translation.losses,
        discrepancies=answer.discrepancies(dispatch.translation, created) if created else (),
        warnings=created.warnings if created else (),
        attempts=tuple(attempts),
        timings=timings,
        errors=outcome_faults(outcome),
    )


def kept(result: Result) -> bytes:
    """A result as the journal keeps it: without its losses, which are the larger part, and in the dispatch already."""
    return ENCODER.encode(structs.replace(result, losses=()))


def stored(entry: Entry) -> Result:
    """The entry's result; where none was stored, what is known of it."""
    if entry.result:
        found = _DECODE(entry.result)
        return found if found.losses else structs.replace(found, losses=losses_of(entry))
    return _known(entry) if entry.dispatch else _remnant(entry)


def stored_json(entry: Entry, losses: tuple[Loss, ...] | None = None) -> bytes:
    """The same as it is answered; `losses` are the entry's, where they are known."""
    if not entry.result:
        return ENCODER.encode(stored(entry))
    known = losses_of(entry) if losses is None else losses
    return entry.result.replace(_NO_LOSSES, b'"losses":' + _written(known), 1)


_written: Callable[[tuple[Loss, ...]], bytes] = remembered(ENCODER.encode)


def _known(entry: Entry) -> Result:
    """Of an entry that waits, is being sent, or was when its sender died."""
    dispatch = dispatch_of(entry)
    words = {
        "waiting": "waits for its delivery",
        "sending": "is being sent",
        "unknown": "the gateway did not live to see the answer",
    }
    return Result(
        id=entry.id,
        external_id=entry.external_id,
        outcome=outcome_of(entry),
        adopted=False,
        created_at=None,
        invoice=None,
        upstream=UpstreamAnswer(entry.upstream, dispatch.dialect, message=words.get(entry.state)),
        route=TakenRoute(dispatch.rule, dispatch.config),
        losses=dispatch.translation.losses,
        discrepancies=(),
        warnings=(),
        attempts=attempts_of(entry),
        timings=UNTIMED,
    )


def _remnant(entry: Entry) -> Result:
    """Of an entry whose details were purged: its key, its outcome and its id at the upstream are kept for ever."""
    note = UpstreamWarning("purged", "the details were removed when their time was over")
    created = entry.state == "created"
    return Result(
        id=entry.id,
        external_id=entry.external_id,
        outcome=outcome_of(entry),
        adopted=False,
        created_at=moment(entry.updated_at) if created else None,
        invoice=Stated(id=entry.upstream_id) if created else None,
        upstream=UpstreamAnswer(entry.upstream, None),
        route=TakenRoute(None, None),
        losses=(),
        discrepancies=(),
        warnings=(note,),
        attempts=(),
        timings=UNTIMED,
    )


def attempts_of(entry: Entry) -> tuple[Attempt, ...]:
    """The attempts so far; of one whose sender died only its beginning is known."""
    if entry.result:
        return _DECODE(entry.result).attempts
    dispatch = dispatch_of(entry)
    if entry.state == "waiting":
        return dispatch.attempts
    state = "pending" if entry.state == "sending" else "unknown"
    return (*dispatch.attempts, Attempt(entry.upstream, state, moment(dispatch.started_at), None))


def resolved(entry: Entry, outcome: str, upstream_id: str | None, word: Resolution) -> Result:
    """The result after an operator's word."""
    before = stored(entry)
    created = outcome == "created"
    return structs.replace(
        before,
        outcome=outcome,
        created_at=word.at if created else None,
        invoice=Stated(id=upstream_id) if created else None,
        resolution=word,
    )


class Response(Struct, frozen=True, omit_defaults=True):
    """An upstream's answer as it came, as far as it is text; `truncated` where it went on."""

    http_status: int
    body: str
    truncated: bool = False


def response(reply: Reply | None) -> bytes:
    """The answer as it is kept, in JSON; empty where there was none."""
    if reply is None:
        return b""
    text = reply.body.decode("utf-8", "replace")
    return msgspec.json.encode(Response(reply.status, text[:MOST_TEXT], len(text) > MOST_TEXT))
