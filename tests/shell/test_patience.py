"""Patience: who waits too long gives up, at its own time; nobody else does, and no timer is left but one."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.shell.patience import Patience
from tests.proof.virtual import VirtualLoop

SECONDS = 5.0
Lasts = float | None
"""How long what is awaited lasts; None: for ever."""


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run it in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)


async def lasting(lasts: Lasts) -> str:
    """What comes after so long."""
    if lasts is None:
        await asyncio.get_running_loop().create_future()
    else:
        await asyncio.sleep(lasts)
    return "came"


@given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 99).filter(lambda n: n != 50)), max_size=12))
def test_each_gives_up_at_its_own_time_and_only_who_waits_too_long(waits: list[tuple[int, int | None]]) -> None:
    """Whenever each comes, and however long what it waits for takes."""

    async def one(patience: Patience, comes: float, lasts: Lasts) -> tuple[str, float]:
        await asyncio.sleep(comes)
        began = asyncio.get_running_loop().time()
        try:
            said = await patience.wait(lasting(lasts))
        except TimeoutError:
            said = "gave up"
        return said, round(asyncio.get_running_loop().time() - began, 6)

    async def main() -> None:
        patience = Patience(SECONDS)
        times = [(comes / 2, None if lasts is None else lasts / 10) for comes, lasts in waits]
        found = await asyncio.gather(*(one(patience, comes, lasts) for comes, lasts in times))
        late = ("gave up", SECONDS)
        assert found == [late if lasts is None or lasts > SECONDS else ("came", lasts) for _, lasts in times]

    run(main())


def test_who_gives_up_slowly_keeps_nobody_waiting() -> None:
    """What is cancelled may have something to do yet; others give up meanwhile."""
    told = list[tuple[str, float]]()

    async def slow() -> None:
        try:
            await lasting(None)
        finally:
            await asyncio.sleep(3 * SECONDS)

    async def one(patience: Patience, name: str, awaited: Coroutine[Any, Any, object]) -> None:
        with pytest.raises(TimeoutError):
            await patience.wait(awaited)
        told.append((name, asyncio.get_running_loop().time()))

    async def main() -> None:
        patience = Patience(SECONDS)
        async with asyncio.TaskGroup() as group:
            group.create_task(one(patience, "slow", slow()))
            await asyncio.sleep(1)
            group.create_task(one(patience, "next", lasting(None)))

    run(main())
    assert told == [("next", SECONDS + 1), ("slow", 4 * SECONDS)]


def test_who_is_cancelled_or_fails_does_not_give_up() -> None:
    """A caller that goes, and an error, are what they are."""

    async def failing() -> None:
        raise LookupError

    async def main() -> None:
        patience = Patience(SECONDS)
        with pytest.raises(LookupError):
            await patience.wait(failing())
        waiting = asyncio.create_task(patience.wait(lasting(None)))
        await asyncio.sleep(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await patience.wait(lasting(SECONDS - 0.5)) == "came"  # the timer of those before comes meanwhile

    run(main())


def test_who_gives_up_can_be_cancelled_as_if_it_never_had() -> None:
    """Giving up leaves no trace on the task; who is cancelled at the same moment is cancelled."""

    async def twice(patience: Patience) -> None:
        with pytest.raises(TimeoutError):
            await patience.wait(lasting(None))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await patience.wait(lasting(None))
        assert asyncio.get_running_loop().time() == SECONDS + 1

    async def failing() -> None:
        try:
            await lasting(None)
        finally:
            raise LookupError

    async def main() -> None:
        patience = Patience(SECONDS)
        loop = asyncio.get_running_loop()
        await asyncio.create_task(twice(patience))
        failed = asyncio.create_task(patience.wait(failing()))
        await asyncio.wait((failed,))
        assert isinstance(failed.exception(), LookupError)
        assert failed.cancelling() == 0
        both = asyncio.create_task(patience.wait(lasting(None)))
        await asyncio.sleep(0)
        loop.call_at(loop.time() + SECONDS, both.cancel)
        await asyncio.wait((both,))
        assert both.cancelled()

    run(main())


def test_there_is_one_timer_for_all() -> None:
    """However many wait, and however many have waited."""

    async def main() -> None:
        loop, patience = asyncio.get_running_loop(), Patience(SECONDS)
        made = list[float]()
        call_at = loop.call_at

        def counted(when: float, *more: Any, **others: Any) -> asyncio.TimerHandle:
            made.append(when)
            return call_at(when, *more, **others)

        loop.call_at = counted  # type: ignore[method-assign, assignment]
        waiting = [asyncio.create_task(patience.wait(lasting(None))) for _ in range(100)]
        for _ in range(100):
            await patience.wait(lasting(0))
        assert made == [SECONDS]
        await asyncio.gather(*waiting, return_exceptions=True)
        await patience.wait(lasting(0))
        assert made == [SECONDS, 2 * SECONDS]

    run(main())
