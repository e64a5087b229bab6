"""Shares of a row, tried in processes of their own on all processors."""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from tests.proof.row import Found, Tick

Work = Callable[[range], list[str]]
"""Tries the numbers of a share; what is wrong."""


async def shared(work: Work, count: int, first: int, tick: Tick, chunk: int, *, measured: bool = True) -> Found:
    """So many numbers from `first` on, a chunk a share; `measured` is false where coverage would only cost time."""
    began, loop, wrong = time.monotonic(), asyncio.get_running_loop(), list[str]()
    shares = [range(at, min(at + chunk, first + count)) for at in range(first, first + count, chunk)]
    pool = ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"), initializer=_undisturbed)
    try:
        with _environment(measured=measured):
            tries = [asyncio.create_task(_one(loop, pool, work, share)) for share in shares]
            await asyncio.sleep(0)  # the processes are spawned as the shares are handed over
        for done in asyncio.as_completed(tries):
            share, found = await done
            wrong += found
            for _ in share:
                tick()
    finally:
        pool.shutdown(cancel_futures=True)
    return Found(count, tuple(wrong), time.monotonic() - began)


async def _one(
    loop: asyncio.AbstractEventLoop, pool: ProcessPoolExecutor, work: Work, share: range
) -> tuple[range, list[str]]:
    return share, await loop.run_in_executor(pool, work, share)


@contextmanager
def _environment(*, measured: bool) -> Iterator[None]:
    """What the processes inherit: coverage measures those that find its variables."""
    taken = {} if measured else {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("COVERAGE")}
    try:
        yield
    finally:
        os.environ.update(taken)


def _undisturbed() -> None:
    """An interrupt from the keyboard is for who asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
