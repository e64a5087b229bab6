"""Fresh ids of invoices, requests and claims.

Randomness is fetched many ids at a time: each call to the kernel lets go of the interpreter, and another thread has it.
"""

import os
import time

from gateway.core.ids import uuid7

BYTES = 10
"""The randomness of one id."""

_left: list[bytes] = []


def new_id() -> str:
    """An id for an invoice or a request."""
    if not _left:
        fresh = os.urandom(256 * BYTES)
        _left.extend(fresh[begin : begin + BYTES] for begin in range(0, len(fresh), BYTES))
    return uuid7(time.time_ns() // 1_000_000, _left.pop())


# A child would give the same ids as its parent.
os.register_at_fork(after_in_child=_left.clear)
