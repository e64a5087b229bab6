"""A gateway process as it lives and dies: the real `Service` on a real store, which kills itself at a named step."""

import asyncio
import os
import signal
import socket
import sys
import traceback
from io import BytesIO
from pathlib import Path
from typing import Never

import msgspec
from msgspec import Struct

from gateway import demo
from gateway.core.parse import parse
from gateway.core.plan import Caller, make_plan
from gateway.shell import delivery, logs, reconcile
from gateway.shell.catalog import extension_types
from gateway.shell.commands import loop_factory
from gateway.shell.compose import book, journal_store
from gateway.shell.configuration import load
from gateway.shell.journal import StoreError
from gateway.shell.journal import postgres as _postgres  # noqa: F401 - imported before the fork
from gateway.shell.metrics import Metrics
from gateway.shell.service import Service
from tests.proof.scene import body_of
from tests.proof.steps import Stepped, Unguarded, listener
from tests.support.running import PRODUCTS


class Asked(Struct, frozen=True, kw_only=True):
    """What a victim is: its configuration, its log, and the step at which it sends itself a signal, if it does.

    `margin` are the seconds that its claims outlive their deadline; `guarded` is false for the negative control.
    """

    config: str
    log: str = os.devnull
    step: str | None = None
    sign: int = signal.SIGKILL
    margin: float | None = None
    guarded: bool = True


def prepare() -> None:
    """Import and compute once what every gateway needs, as far as that goes without threads and event loops."""
    loop_factory()
    loaded = load(demo.CONFIG)
    Metrics().adopt(book(loaded), {})
    for dialect in PRODUCTS:
        make_plan(parse(body_of("sim-0", dialect), extension_types()), Caller("local"), book(loaded))


def live(asked: bytes, channel: socket.socket) -> Never:
    """Be a gateway until killed, or until nobody is there any more to kill it."""
    try:
        _live(msgspec.json.decode(asked, type=Asked), channel)
    except BaseException:  # noqa: BLE001 - a fork must not go on with what its parent was doing
        sys.stderr.write(traceback.format_exc())
        sys.stderr.flush()
    os._exit(0)


def _live(asked: Asked, channel: socket.socket) -> None:
    _say(channel, pid=os.getpid())
    if not channel.recv(16):  # it is known by its number, and can be killed from here on
        return
    if asked.margin is not None:
        # Only how long a dead process's claim is left alone: at the length of production every cell would wait for it.
        for module in (delivery, reconcile):
            assert "LEASE_MARGIN" in vars(module)
            vars(module)["LEASE_MARGIN"] = asked.margin
    with Path(asked.log).open("ab", buffering=0) as log, asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(asked, channel, log))  # type: ignore[arg-type]  # a raw file writes too


async def _serve(asked: Asked, channel: socket.socket, log: BytesIO) -> None:
    steps = {asked.step}

    def reach(step: str) -> None:
        if step in steps:
            steps.remove(step)
            _say(channel, reached=step)
            os.kill(os.getpid(), asked.sign)

    loaded = load(Path(asked.config))
    wrapper = Stepped if asked.guarded else Unguarded
    store = wrapper(journal_store(loaded, lambda _: None), reach)
    service = Service(loaded, logs.logger(log), store=store, listeners=(listener(reach),))
    try:
        await service.start()
    except StoreError as error:
        _say(channel, complaint=str(error))
        return
    _say(channel, url=service.url, ops_url=service.ops_url)
    channel.setblocking(False)
    # Nothing comes any more when nobody holds the other end.
    while order := await asyncio.get_running_loop().sock_recv(channel, 64):
        await store.limit(int(order))


def _say(channel: socket.socket, **words: object) -> None:
    channel.sendall(msgspec.json.encode(words) + b"\n")
