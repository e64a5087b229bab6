"""A gateway that listens: it starts, takes changed configurations over, drains and stops."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web
from structlog.typing import FilteringBoundLogger

from gateway.core import config as settings
from gateway.core.config_faults import is_loopback, listener
from gateway.core.events import Event
from gateway.shell import lag, logs
from gateway.shell.accept import Site
from gateway.shell.clients import Clients
from gateway.shell.compose import book, finish_seconds, journal_store, limits, policy, targets, tracer
from gateway.shell.configuration import Loaded
from gateway.shell.engine import Engine
from gateway.shell.health import Health
from gateway.shell.journal import Store
from gateway.shell.listen import Entry, Runner, plain
from gateway.shell.metrics import Metrics
from gateway.shell.reload import Reloader
from gateway.shell.server import Api
from gateway.shell.tracer import UNTRACED, Tracer
from gateway.shell.ways import Ways, counterparts


class Parts:
    """What a configuration is made into, over an open store; another can take its place."""

    def __init__(
        self,
        loaded: Loaded,
        store: Store,
        metrics: Metrics,
        tell: Callable[[Event], None],
        *,
        warn: Callable[[str], object],
        tracer: Tracer = UNTRACED,
    ) -> None:
        self.loaded = loaded
        self._host, _ = listener(loaded.config.server.listen)
        self._metrics = metrics
        self._tracer = tracer
        self._ways = Ways(warn)
        senders = self._ways.senders(loaded)
        ready = counterparts(loaded, senders, tracer)
        self.engine = Engine(book(loaded), ready, store, tell, policy(loaded.config), tracer=tracer)
        clients = Clients(loaded.config.clients, loaded.folder)
        self.api = Api(self.engine, clients, targets(senders), limits(loaded.config), tell=tell, tracer=tracer)
        self._count()

    def adopt(self, loaded: Loaded) -> None:
        """Go by another configuration from now on: all of it, or nothing.

        Raises:
            ValueError: a secret cannot be had, or anybody could send; nothing is changed.
        """
        if not loaded.config.clients and not is_loopback(self._host):  # whatever it says of `listen`: that stays
            raise ValueError(f"[clients]: this gateway listens on {self._host}; without clients anybody could send")
        senders = self._ways.senders(loaded)
        clients = Clients(loaded.config.clients, loaded.folder, self.api.clients)
        self.engine.adopt(book(loaded), counterparts(loaded, senders, self._tracer), policy(loaded.config))
        self.api.adopt(clients, targets(senders), limits(loaded.config))
        self._count()
        self.loaded = loaded

    def _count(self) -> None:
        setup = self.engine.current()
        self._metrics.adopt(setup.book, setup.exchanges.lanes)

    async def close(self) -> None:
        """Finish what is under way, and close the store and all connections to upstreams."""
        await self.engine.stop()
        await self._ways.close()


class Service:
    """A gateway that listens; `url` and `ops_url` say where."""

    def __init__(
        self,
        loaded: Loaded,
        log: FilteringBoundLogger | None = None,
        *,
        store: Store | None = None,
        tracer: Tracer | None = None,
        listeners: tuple[Callable[[Event], None], ...] = (),
    ) -> None:
        self._loaded = loaded
        self._store = store
        self._tracer = tracer
        self._log = log or logs.logger(level=loaded.config.server.log_level)
        self._metrics = Metrics()
        self._listeners = (self._metrics.hear, logs.listener(self._log), *listeners)
        self._health = Health()
        self._runners: list[Runner] = []
        self._parts: Parts | None = None
        self._reloader: Reloader | None = None
        self._asked = False
        self._watching: asyncio.Task[None] | None = None
        self.url = ""
        self.ops_url = ""

    async def start(self) -> None:
        """Open the listeners.

        Raises:
            StoreError: the journal cannot be used.
            OSError: an address cannot be listened on.

        Nothing is left open then.
        """
        try:
            await self._start()
        except BaseException:
            await self._close()
            raise

    async def _start(self) -> None:
        loaded, server = self._loaded, self._loaded.config.server
        self._tracer = traced = self._tracer or tracer(loaded, self._log)
        self._listeners += traced.listeners
        store = self._store or journal_store(loaded, self._tell)
        await store.open()
        self._parts = parts = Parts(loaded, store, self._metrics, self._tell, warn=self._warn, tracer=traced)
        parts.engine.start()
        self._health.alive = store.alive
        ops = lag.measured(self._health.application(self._metrics.registry), self._metrics.loop_lag.observe)
        self.ops_url = await self._listen(ops, server.ops_listen)
        self.url = await self._listen(parts.api.application(), server.listen, parts.api.quick)
        self._reloader = Reloader(loaded, parts.adopt, self._tell)
        if self._asked:
            self._reloader.ask()
        self._watching = asyncio.create_task(self._reloader.run())
        self._health.ready = True
        self._log.info("listening", api=self.url, ops=self.ops_url, config=loaded.revision)

    def reload(self) -> None:
        """Read the configuration again, soon, or once it has started; if it is good, go by it."""
        self._asked = True
        if self._reloader is not None:
            self._reloader.ask()

    def _tell(self, event: Event) -> None:
        for hear in self._listeners:
            hear(event)

    def _warn(self, reason: str) -> None:
        self._log.warning("plain-client", reason=reason)

    async def _listen(self, app: web.Application, address: str, entry: Entry = plain) -> str:
        host, port = listener(address)
        runner = Runner(app, self._log, entry)
        self._runners.append(runner)
        await runner.setup()
        await Site(runner, host, port).start()
        bound = runner.addresses[0]
        name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        return f"http://{name}:{bound[1]}"

    async def drain(self, hurry: asyncio.Event) -> None:
        """Give callers `drain_delay` to go elsewhere, unless `hurry` is set meanwhile.

        Probes hear "not ready", and every answer closes its connection.
        """
        self._health.ready = False
        if self._parts is not None:
            self._parts.api.draining = True
            delay = settings.seconds(self._parts.loaded.config.server.drain_delay)
            self._log.info("draining", seconds=delay)
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await hurry.wait()

    async def stop(self) -> None:
        """Stop listening, finish what is under way, close everything."""
        await self._close()
        self._log.info("stopped")

    async def _close(self) -> None:
        self._health.ready = False
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        loaded = self._loaded if self._parts is None else self._parts.loaded
        for runner in reversed(self._runners):
            await runner.finish(finish_seconds(loaded.config))
        if self._parts is not None:
            await self._parts.close()
        if self._tracer is not None:
            await self._tracer.close()
