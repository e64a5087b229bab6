"""What all commands share, and `serve`. Words for people go to standard output, complaints to standard error."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.shell.configuration import ConfigurationError, Loaded, load
from gateway.shell.journal import StoreError
from gateway.shell.service import Service

GARBAGE = (10_000, 20, 50)
"""When cycles are looked for: there are few, and looking every 700 objects took a twentieth of the time."""


def say(text: str) -> None:
    """A line for a person."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """A line for a person whom something went wrong for."""
    sys.stderr.write(text + "\n")


def loaded_or_none(path: Path, *, with_secrets: bool = True) -> Loaded | None:
    """The configuration; None, with every fault told, if it has any."""
    try:
        return load(path, with_secrets=with_secrets)
    except ConfigurationError as error:
        for message in error.messages:
            complain(message)
        count = len(error.messages)
        complain(f"{count} fault{'s' if count > 1 else ''}")
        return None


def serve(path: Path) -> int:
    """`serve --config FILE`."""
    loaded = loaded_or_none(path)
    if loaded is None:
        return 1
    for warning in loaded.warnings:
        complain(f"{path}: warning: {warning}")
    service = Service(loaded)

    async def run() -> None:
        hurry = asyncio.Event()
        stopped = stop_asked(hurry)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, service.reload)
        if not await _begun(service, stopped):
            return
        try:
            if await stopped is signal.SIGTERM:
                await service.drain(hurry)
        finally:
            await service.stop()

    return run_until_ended(run)


def run_until_ended(main: Callable[[], Awaitable[int | None]]) -> int:
    """Run with the fastest event loop there is; an address that is taken is said in one line."""

    async def wrapped() -> int | None:
        return await main()

    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(wrapped()) or 0
    except BrokenPipeError:
        raise
    except StoreError as error:
        complain(f"journal: {error}")
        return 1
    except OSError as error:
        complain(f"cannot listen: {error.strerror or error}")
        return 1


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop, where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - it is not there on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _begun(service: Service, stopped: asyncio.Future[signal.Signals]) -> bool:
    """Start; false where it was asked to stop meanwhile, and is not started."""
    starting = asyncio.ensure_future(service.start())
    await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
        return False
    starting.result()
    look_seldom()
    return True


def look_seldom() -> None:
    """Look for cycles seldom, and never again in what was made to last."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


def stop_asked(hurry: asyncio.Event | None = None) -> asyncio.Future[signal.Signals]:
    """From now on SIGTERM and SIGINT are waited for: which it was; `hurry` is set by a second one."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[signal.Signals] = loop.create_future()

    def stop(sign: signal.Signals) -> None:
        if not stopped.done():
            stopped.set_result(sign)
        elif hurry is not None:
            hurry.set()

    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop, sign)
    return stopped
