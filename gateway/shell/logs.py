"""Logs: a listener of events that prints each as one JSON line on stdout. Which fields are printed is an allow-list."""

import logging
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from gateway.core.events import Answered, Concluded, Event, Refused, Routed, Sending

_ENCODE = msgspec.json.Encoder(enc_hook=str).encode


def _render(_: object, __: str, event: EventDict) -> bytes:
    return _ENCODE(event)


def logger(stream: BinaryIO | None = None) -> FilteringBoundLogger:
    """A logger of JSON lines: time, level, event, then keys."""
    made: FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(stream or sys.stdout.buffer),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
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


def listener(log: FilteringBoundLogger) -> Callable[[Event], None]:
    """A listener that prints events; never a party's name or address, never an upstream's words about one."""

    def hear(event: Event) -> None:
        match event:
            case Routed():
                pass  # `concluded` says it again
            case Sending():
                log.info("sending", request_id=event.request_id, invoice=event.invoice, upstream=event.upstream)
            case Answered():
                log.info("answered", **_answered(event))
            case Concluded():
                log.info("concluded", **_concluded(event))
            case Refused():
                log.info("refused", **_refused(event))

    return hear


def _answered(event: Answered) -> dict[str, Any]:
    return {
        "request_id": event.request_id,
        "invoice": event.invoice,
        "upstream": event.upstream,
        "outcome": event.outcome,
        "reason": event.reason,
        "http_status": event.http_status,
        "seconds": round(event.seconds, 4),
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
