"""Builds the running gateway from a configuration; the only place that knows all the parts."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import ClientSession, web
from structlog.typing import FilteringBoundLogger

from gateway.core import config as settings
from gateway.core.breaker import Rules
from gateway.core.config_faults import listener
from gateway.core.events import Committed, Event
from gateway.core.explain import Target
from gateway.core.plan import Book
from gateway.shell import auth, client, logs
from gateway.shell.catalog import extension_types
from gateway.shell.clients import Clients
from gateway.shell.configuration import Loaded
from gateway.shell.engine import Engine, Policy
from gateway.shell.exchanges import Counterpart
from gateway.shell.journal import Store, StoreError
from gateway.shell.journal.opening import store_of
from gateway.shell.lanes import Width
from gateway.shell.metrics import Metrics
from gateway.shell.secrets import resolve
from gateway.shell.server import Api, Health, Limits

KEEP_ALIVE_SECONDS = 75.0


class Service:
    """A gateway that listens; `url` and `ops_url` say where."""

    def __init__(
        self,
        loaded: Loaded,
        log: FilteringBoundLogger | None = None,
        *,
        store: Store | None = None,
        listeners: tuple[Callable[[Event], None], ...] = (),
    ) -> None:
        self._loaded = loaded
        self._store = store
        self._listeners = listeners
        self._engine: Engine | None = None
        self._log = log or logs.logger()
        self._health = Health()
        self._runners: list[web.AppRunner] = []
        self._sessions: tuple[ClientSession, ...] = ()
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
        metrics = Metrics(loaded.rules, loaded.upstreams, loaded.revision)
        listeners = (metrics.hear, logs.listener(self._log), *self._listeners)

        def tell(event: Event) -> None:
            for hear in listeners:
                hear(event)

        store = self._store or journal_store(loaded, tell)
        await store.open()
        self._sessions = kept, single = client.session(), client.session(reuse=False)
        senders = _senders(loaded, kept, single)
        counterparts = {
            name: Counterpart(sender, settings.seconds(each.timeout), Width(each.max_in_flight, each.queue, each.rate))
            for name, sender in senders.items()
            for each in [loaded.config.upstreams[name]]
        }
        self._engine = engine = Engine(book(loaded), counterparts, store, tell, policy(loaded.config))
        metrics.watch(engine.exchanges.lanes)
        engine.start()
        api = Api(
            engine.gateway,
            engine.records,
            Clients(loaded.config.clients, loaded.folder),
            targets(senders),
            Limits(settings.size(server.max_body), settings.seconds(server.body_timeout), server.max_in_flight),
            lanes=engine.exchanges.lanes,
            tell=tell,
        )
        self._health.alive = store.alive
        self.ops_url = await self._listen(self._health.application(metrics.registry), server.ops_listen)
        self.url = await self._listen(api.application(), server.listen)
        self._health.ready = True
        self._log.info("listening", api=self.url, ops=self.ops_url, config=loaded.revision)

    async def _listen(self, app: web.Application, address: str) -> str:
        host, port = listener(address)
        # A packed body is refused; unpacking it all the same would only make aiohttp stumble over a broken one.
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=logs.bridge(self._log),
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            shutdown_timeout=60,
        )
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        return f"http://{name}:{bound[1]}"

    async def stop(self) -> None:
        """Stop listening, finish what is under way, close everything."""
        await self._close()
        self._log.info("stopped")

    async def _close(self) -> None:
        self._health.ready = False
        for runner in reversed(self._runners):
            await runner.cleanup()
        if self._engine is not None:
            await self._engine.stop()
        for session in self._sessions:
            await client.closed(session)


def book(loaded: Loaded) -> Book:
    """What the core needs of a configuration."""
    return Book(loaded.rules, loaded.upstreams, loaded.revision, extension_types())


def policy(config: settings.Config) -> Policy:
    """What the configuration says of doubts, deliveries and details."""
    return Policy(
        settings.seconds(config.delivery.deliver_by),
        tuple(settings.seconds(text) for text in config.reconcile.delays),
        settings.seconds(config.journal.keep_bodies),
        config.delivery.attempts,
        breaker_rules(config.breaker),
    )


def breaker_rules(breaker: settings.Breaker) -> Rules:
    """When an upstream is left alone."""
    window, opened = settings.seconds(breaker.window), settings.seconds(breaker.open)
    return Rules(window, breaker.min_calls, breaker.failure_rate, opened)


def journal_store(loaded: Loaded, tell: Callable[[Event], None]) -> Store:
    """The store that the configuration asks for, not yet open.

    Raises:
        StoreError: there is no such store.
    """
    try:
        url = resolve(loaded.config.journal.url, loaded.folder)
    except ValueError as error:
        raise StoreError(f"[journal] url: {error}") from None
    return store_of(url, loaded.folder, lambda writes, seconds: tell(Committed(writes, seconds)))


def targets(senders: dict[str, client.Sender]) -> dict[str, Target]:
    """What `explain` shows of where requests go."""
    return {name: Target(sender.base_url, sender.credentials.names) for name, sender in senders.items()}


def offline_targets(loaded: Loaded) -> dict[str, Target]:
    """The same without any secret being read."""
    return {
        name: Target(upstream.base_url.rstrip("/"), header_names(upstream.auth))
        for name, upstream in loaded.config.upstreams.items()
    }


def header_names(credentials: settings.Auth) -> tuple[str, ...]:
    """The names of the headers that carry the credentials."""
    if credentials.header is not None:
        return (credentials.header.name,)
    return () if credentials.kind == "none" else ("Authorization",)


def _senders(loaded: Loaded, kept: ClientSession, single: ClientSession) -> dict[str, client.Sender]:
    holders: dict[tuple[str, settings.OAuth], auth.TokenHolder] = {}
    found = {}
    for name, upstream in loaded.config.upstreams.items():
        credentials = _credentials(upstream, loaded, holders, time.monotonic)
        dialect = loaded.upstreams[name].dialect
        found[name] = client.Sender(upstream.base_url, dialect, credentials, single if dialect.closes_on else kept)
    return found


def _credentials(
    upstream: settings.UpstreamConfig,
    loaded: Loaded,
    holders: dict[tuple[str, settings.OAuth], auth.TokenHolder],
    now: Callable[[], float],
) -> auth.Credentials:
    """An upstream's credentials; upstreams with one OAuth credential share its holder."""
    oauth = upstream.auth.oauth
    if oauth is None:
        return auth.fixed(upstream.auth, loaded.folder)
    key = (urlsplit(upstream.base_url).netloc, oauth)
    if key not in holders:
        holders[key] = auth.TokenHolder(auth.token_request(oauth, loaded.folder), now)
    return holders[key]
