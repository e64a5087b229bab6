"""Builds the parts of a gateway from its configuration."""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from gateway.core import config as settings
from gateway.core.breaker import Rules
from gateway.core.events import Committed, Event
from gateway.core.explain import Target
from gateway.core.plan import Book
from gateway.shell import client
from gateway.shell.catalog import extension_types
from gateway.shell.configuration import Loaded
from gateway.shell.journal import Store, StoreError
from gateway.shell.journal.opening import store_of
from gateway.shell.limits import Limits
from gateway.shell.secrets import resolve
from gateway.shell.setup import Policy
from gateway.shell.tracer import UNTRACED, Tracer


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
        config.server.max_in_flight,
    )


def limits(config: settings.Config) -> Limits:
    """What the API takes."""
    server = config.server
    return Limits(settings.size(server.max_body), settings.seconds(server.body_timeout), server.max_in_flight)


def breaker_rules(breaker: settings.Breaker) -> Rules:
    """When an upstream is left alone."""
    window, opened = settings.seconds(breaker.window), settings.seconds(breaker.open)
    return Rules(window, breaker.min_calls, breaker.failure_rate, opened)


FINISH_MARGIN = 10.0
"""Seconds to write what came of it."""


def finish_seconds(config: settings.Config) -> float:
    """Within that everything ends that is under way: a body, and every upstream of the slowest rule, one by one."""
    waits = {name: settings.seconds(each.timeout) for name, each in config.upstreams.items()}
    firsts = {route.name: [route.to] if route.to is not None else list(route.split) for route in config.routes}
    slowest = max(
        max(waits[name] for name in firsts[route.name]) + sum(waits[name] for name in route.fallback)
        for route in config.routes
    )
    return settings.seconds(config.server.body_timeout) + slowest + FINISH_MARGIN


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


def tracer(loaded: Loaded, log: FilteringBoundLogger) -> Tracer:
    """What records spans, if the configuration asks for it. Needs the extra `otel` then; nobody else loads it.

    Raises:
        ValueError: a secret cannot be had.
    """
    tracing = loaded.config.tracing
    if tracing is None:
        return UNTRACED
    from gateway.shell import spans  # noqa: PLC0415 - it imports OpenTelemetry

    headers = {name: resolve(secret, loaded.folder) for name, secret in tracing.headers.items()}
    return spans.opened(tracing, headers, log) or UNTRACED


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
