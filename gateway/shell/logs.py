"""Logs: a listener of events that prints each as one JSON line on stdout. Which fields are printed is an allow-list."""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, BinaryIO

import msgspec
import structlog
from msgspec import Struct, structs
from structlog.typing import EventDict, FilteringBoundLogger

from gateway.core.events import (
    Answered,
    Claimed,
    Committed,
    Concluded,
    Defect,
    Event,
    InDoubt,
    JournalFailed,
    Reconciled,
    Refused,
    Reloaded,
    Routed,
    Sending,
    Shadowed,
)
from gateway.shell import trace

_ENCODE = msgspec.json.Encoder(enc_hook=str).encode


def _stamp(_: object, __: str, event: EventDict) -> EventDict:
    event["timestamp"] = datetime.now(UTC)  # the encoder writes it, in RFC 3339
    return event


def _render(_: object, __: str, event: EventDict) -> bytes:
    return _ENCODE(event)


def logger(stream: BinaryIO | None = None, level: str = "info") -> FilteringBoundLogger:
    """A logger of JSON lines: time, level, event, then keys; of this `level` and above."""
    made: FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(stream or sys.stdout.buffer),
        processors=[
            structlog.processors.add_log_level,
            _stamp,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    ).bind()  # at once, and not anew for each line
    return made


def bridge(log: FilteringBoundLogger) -> logging.Logger:
    """A logger for the HTTP server, which tells of broken requests in their own words: only the kind is printed."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kind = record.exc_info[0] if record.exc_info else None
            log.warning("http", kind=kind.__name__ if kind else None)

    made = logging.Logger("http", logging.WARNING)  # noqa: LOG001 - a shared one would collect handlers
    made.addHandler(Handler())
    return made


def defect(error: Exception, request_id: str | None = None) -> Defect:
    """Where a defect is; its message itself could hold something of an invoice."""
    places, frame = [], error.__traceback__
    while frame is not None:
        places.append(f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}")
        frame = frame.tb_next
    return Defect(type(error).__name__, tuple(places[-8:]), request_id)


def listener(log: FilteringBoundLogger) -> Callable[[Event], None]:
    """A listener that prints events; never a party's name or address, never an upstream's words about one.

    An invoice that is created has one line; its steps are printed for those who debug.
    """
    words = _words(steps=log.is_enabled_for(logging.DEBUG))

    def hear(event: Event) -> None:
        said = words.get(type(event), _said)(event)
        if said is not None:
            found = trace.CURRENT.get()
            told = log if found is None else log.bind(trace_id=found.trace_id)
            getattr(told, said.level)(said.event, **said.fields)

    return hear


class _Said(Struct):
    """What is printed of an event."""

    level: str
    event: str
    fields: dict[str, Any]


Words = Callable[[Any], _Said | None]


def _words(*, steps: bool) -> dict[type, Words]:
    """What is printed of each kind of event, where that is not all of it; `steps`: of those, too, that go well."""
    step = _step if steps else _silent
    return {
        Routed: _silent,  # `concluded` says it again
        Committed: _silent,  # for metrics
        InDoubt: _silent,
        Claimed: step,
        Sending: step,
        Answered: lambda event: step(event) if event.outcome == "created" else _said(event),
        Shadowed: lambda event: step(event) if event.likeness == "same" else _said(event),
        Concluded: lambda event: _Said("info", "concluded", _concluded(event)),
        Reconciled: lambda event: _Said("info", "reconciled", _reconciled(event)),
        Refused: lambda event: _Said("info", "refused", _refused(event)),
        JournalFailed: _failed,
        Defect: _failed,
        Reloaded: lambda event: _Said("error" if event.faults else "info", "reloaded", structs.asdict(event)),
    }


def _silent(_: Event) -> None:
    return None


def _said(event: Event) -> _Said:
    return _Said("info", _tag(event), _rounded(event))


def _step(event: Event) -> _Said:
    return _Said("debug", _tag(event), _rounded(event))


def _failed(event: Event) -> _Said:
    return _Said("error", _tag(event), _rounded(event))


def _tag(event: Event) -> str:
    return str(type(event).__struct_config__.tag)


def _rounded(event: Event) -> dict[str, Any]:
    """The event's fields; for events that consist of ids, names of the configuration and figures alone."""
    found = structs.asdict(event)
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}


def _reconciled(event: Reconciled) -> dict[str, Any]:
    return {
        "invoice": event.invoice,
        "client": event.client,
        "upstream": event.upstream,
        "finding": event.finding,
        "age": round(event.age, 3),
        "discrepancies": [one.pointer for one in event.discrepancies],
    }


def _concluded(event: Concluded) -> dict[str, Any]:
    return {
        "request_id": event.request_id,
        "invoice": event.invoice,
        "external_id": event.external_id,
        "client": event.client,
        "rule": event.rule,
        "upstream": event.upstream,
        "outcome": event.outcome,
        "losses": len(event.losses),
        "discrepancies": [one.pointer for one in event.discrepancies],
        "seconds": round(event.seconds, 4),
        "upstream_seconds": round(event.upstream_seconds, 4),
    }


def _refused(event: Refused) -> dict[str, Any]:
    return {
        "request_id": event.request_id,
        "problem": event.problem,
        "status": event.status,
        "seconds": round(event.seconds, 4),
    }
