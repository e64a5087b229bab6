"""W3C Trace Context: the trace that a request belongs to, taken over from the caller and passed on to upstreams.

Source: w3.org/TR/trace-context, "traceparent Header". `tracestate` is vendors' own and goes nowhere.
"""

import os
import re
from contextvars import ContextVar

from msgspec import Struct

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Trace(Struct, frozen=True):
    """A trace: its id, whether it is recorded (bit 0 of the flags), and what in it is being done.

    That is the caller's `span_id`, or `span` where the gateway records its own; see `shell.tracer`.
    """

    trace_id: str
    sampled: bool
    span_id: str
    span: object | None = None

    def onward(self) -> str:
        """The `traceparent` of a request that is made for it: the same trace, and the span of ours or a new parent."""
        parent = os.urandom(8).hex() if self.span is None else self.span_id
        return f"00-{self.trace_id}-{parent}-{self.sampled:02x}"


CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""The trace of what is being done; tasks take it over from whoever begins them."""


def taken(header: str | None) -> Trace | None:
    """The trace that a `traceparent` names; None where there is none, or it is not valid and so to be ignored."""
    found = _TRACEPARENT.fullmatch(header or "")
    if found is None or (found[4] and header is not None and header.startswith("00")):
        return None
    return Trace(found[1], bool(int(found[3], 16) & 1), found[2])


def origin() -> str | None:
    """The `traceparent` by which later work refers to what is being done; None where the gateway does not record it."""
    current = CURRENT.get()
    return None if current is None or current.span is None else current.onward()
