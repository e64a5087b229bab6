"""The lag of the event loop: how much later than asked for a sleep ends."""

import asyncio

import pytest

from gateway.shell import lag


class Time:
    """A clock that goes on while somebody sleeps; each sleep takes longer than asked for by the next of `late`."""

    def __init__(self, *late: float) -> None:
        self.late = list(late)
        self.seconds = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        """Now."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Until there is nothing left to tell."""
        if not self.late:
            raise asyncio.CancelledError
        self.slept.append(seconds)
        self.seconds += seconds + self.late.pop(0)


async def test_it_is_what_a_sleep_takes_too_long() -> None:
    """Each sleep alone, and never less than nothing."""
    time, seen = Time(0.0, 0.25, -0.001, 2.0), list[float]()
    with pytest.raises(asyncio.CancelledError):
        await lag.watch(seen.append, time.clock, time.sleep)
    assert seen == pytest.approx([0.0, 0.25, 0.0, 2.0])
    assert time.slept == [lag.SECONDS] * 4
