"""What the commands do. Words for people go to standard output, complaints to standard error."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from gateway import demo as tour
from gateway.sandbox import server as sandbox_server
from gateway.shell import check as examination
from gateway.shell.configuration import ConfigurationError, Loaded, load
from gateway.shell.journal import StoreError
from gateway.shell.service import Service

GARBAGE = (10_000, 20, 50)
"""When cycles are looked for: there are few, and looking every 700 objects took a twentieth of the time."""


class Ports(Struct, frozen=True):
    """Where the demo listens; 0 for any free port."""

    api: int
    ops: int
    sandbox: int


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


def check(path: Path, *, strict: bool = False, as_json: bool = False) -> int:
    """`check FILE`: exit 1 if there is a fault."""
    checked = examination.check(path, strict=strict)
    if as_json:
        say(examination.as_json(checked))
        return 0 if checked.good else 1
    for one in checked.findings:
        complain(one.text(path))
    if checked.good:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in checked.counts.items())
        say(f"{path}: good ({counts}, revision {checked.revision})")
        return 0
    faults = sum(one.severity == "fault" for one in checked.findings)
    complain(f"{faults} fault{'s' if faults > 1 else ''}")
    return 1


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

    return _run(run)


def _run(main: Callable[[], Awaitable[int | None]]) -> int:
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


def sandbox(port: int) -> int:
    """`sandbox`."""

    async def run() -> None:
        stopped = stop_asked()
        runner, bound = await sandbox_server.start("127.0.0.1", port)
        say(sandbox_server.describe(f"http://127.0.0.1:{bound}"))
        try:
            await stopped
        finally:
            await sandbox_server.stop(runner)

    return _run(run)


def demo(ports: Ports, *, once: bool) -> int:
    """`demo`."""

    async def run() -> int:
        runner, bound = await sandbox_server.start("127.0.0.1", ports.sandbox)
        folder = TemporaryDirectory(prefix="invoice-gateway-")
        try:
            loaded = tour.configuration(load(tour.CONFIG), ports.api, ports.ops, bound, Path(folder.name))
            service = Service(loaded, tour.quiet_log())
            await service.start()
            try:
                good = await tour.run(service.url, service.ops_url, f"http://127.0.0.1:{bound}", say)
                if not once:
                    say("Everything stays up until you press Ctrl-C.")
                    await stop_asked()
            finally:
                await service.stop()
        finally:
            await sandbox_server.stop(runner)
            folder.cleanup()
        return 0 if good else 1

    return _run(run)
