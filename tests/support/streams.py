"""What can go wrong with a connection, and one direction of it that can go wrong."""

import asyncio
import socket
import struct
from typing import Literal, assert_never, get_args

from msgspec import Struct

Kind = Literal["latency", "slicer", "slow", "stall", "half-close", "reset", "cut"]
"""Late bytes; bytes in small pieces; hardly any bytes a second; no bytes any more; FIN in one direction, while the
other goes on; RST to one side and FIN to the other; FIN to both."""
Way = Literal["request", "answer"]
Phase = Literal[
    "connect",
    "request-head",
    "request-body",
    "waiting",
    "before-answer",
    "answer-head",
    "answer-body",
    "idle",
    "between",
]
"""The moment: in the middle of a part; `waiting` for the answer; `before-answer` when that has come and nothing of it
went on; `idle` while a connection waits for its next request; `between` when that one has come, and is held back."""
KINDS: tuple[Kind, ...] = get_args(Kind)
WAYS: tuple[Way, ...] = get_args(Way)
PHASES: tuple[Phase, ...] = get_args(Phase)

WAITING_SECONDS = 0.1
"""After a request has passed: whoever wants to be struck while it waits answers later than that."""
LATENCY_SECONDS = 0.03
SLICE_BYTES = 11
SLOW_SECONDS = 0.02
"""For each byte."""


class Fault(Struct, frozen=True):
    """What goes wrong, in which direction, and when."""

    kind: Kind
    way: Way
    phase: Phase


class Stream:
    """One direction of a connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.wait = 0.0
        self.size = 0
        self.pause = 0.0
        self.flows = asyncio.Event()
        self.flows.set()
        self._ended = False

    async def send(self, part: bytes) -> None:
        """Pass bytes on, as far as the direction is well."""
        await self.flows.wait()
        await asyncio.sleep(self.wait)
        size = self.size or len(part) or 1
        for start in range(0, len(part), size):
            if self._ended:
                return
            self._writer.write(part[start : start + size])
            await self._writer.drain()
            if self.size:
                await asyncio.sleep(self.pause)

    def finish(self) -> None:
        """FIN: no bytes follow in this direction."""
        if not self._ended and not self._writer.is_closing():
            self._ended = True
            self._writer.write_eof()

    def heal(self) -> None:
        """Let everything through again, what was held back first."""
        self.wait, self.size, self.pause = 0.0, 0, 0.0
        self.flows.set()

    def close(self, *, abruptly: bool = False) -> None:
        """FIN, or RST if `abruptly`; nothing is read from there either."""
        if self._writer.is_closing():
            return
        self._ended = True
        if abruptly:
            kept = self._writer.get_extra_info("socket")
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        self._writer.close()


def strike(kind: Kind, hurt: Stream, other: Stream) -> None:
    """Let it go wrong now: in the direction that is `hurt`, while the `other` one mostly goes on."""
    match kind:
        case "latency":
            hurt.wait = LATENCY_SECONDS
        case "slicer":
            hurt.size = SLICE_BYTES
        case "slow":
            hurt.size, hurt.pause = 1, SLOW_SECONDS
        case "stall":
            hurt.flows.clear()
        case "half-close":
            hurt.finish()
        case "reset" | "cut":
            hurt.close(abruptly=kind == "reset")
            other.close()
        case _:
            assert_never(kind)
