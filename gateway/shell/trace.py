"""W3C Trace Context: the trace that a request belongs to, taken over from the caller and passed on to upstreams.

Source: w3.org/TR/trace-context, "traceparent Header". `tracestate` is vendors' own and goes nowhere.
"""

import os
import re
from contextvars import ContextVar

from msgspec import Struct

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")


class Trace(Struct, frozen=True):
    """A trace: its id, and whether its caller records it (bit 0 of the flags)."""

    trace_id: str
    sampled: bool

    def onward(self) -> str:
        """The `traceparent` of a request that is made for it: the same trace, a new parent."""
        return f"00-{self.trace_id}-{os.urandom(8).hex()}-{self.sampled:02x}"


CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""The trace of what is being done; tasks take it over from whoever begins them."""


def taken(header: str | None) -> Trace | None:
    """The trace that a `traceparent` names; None where there is none, or it is not valid and so to be ignored."""
    found = _TRACEPARENT.fullmatch(header or "")
    if found is None or (found[3] and header is not None and header.startswith("00")):
        return None
    return Trace(found[1], bool(int(found[2], 16) & 1))
