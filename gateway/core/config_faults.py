"""What is wrong with a configuration that its schema cannot say: names that must exist, values that contradict."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.core.config import Config, Route, UpstreamConfig, seconds
from gateway.core.crosswalk import KINDS
from gateway.core.dialect import Dialect
from gateway.core.errors import Fault
from gateway.core.routing import route_faults
from gateway.core.wording import escape, nearest, quoted

JOURNALS = ("sqlite://", "postgresql://", "postgres://")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def listener(text: str) -> tuple[str, int]:
    """Host and port of `host:port`.

    Raises:
        ValueError: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{quoted(text)} is not host:port")
    return host.strip("[]"), int(port)


def config_faults(config: Config, dialects: Mapping[str, Dialect]) -> Iterator[Fault]:
    """What a schema cannot say: names that must exist, and values that contradict each other."""
    yield from _listener_faults(config)
    yield from _journal_faults(config)
    yield from _wait_faults(config)
    if config.tracing is not None:
        otherwise = "send no headers" if config.tracing.headers else None
        yield from _url_faults("/tracing/otlp_endpoint", config.tracing.otlp_endpoint, otherwise)
    for name, upstream in config.upstreams.items():
        yield from _upstream_faults(f"/upstreams/{escape(name)}", upstream, dialects)
    for name, client in config.clients.items():
        place = f"/clients/{escape(name)}"
        if (client.token is None) is (client.token_sha256 is None):
            yield Fault(place, "contradiction", "needs token or token_sha256, and not both")
        yield from _unknown_upstreams(f"{place}/upstreams", client.upstreams or [], config)
    seen: set[str] = set()
    for index, route in enumerate(config.routes):
        if route.name in seen:
            yield Fault(f"/routes/{index}/name", "duplicate", f"another rule is called {quoted(route.name)}")
        seen.add(route.name)
        yield from _route_faults(f"/routes/{index}", route, config)
    yield from route_faults(config.routes)


def _listener_faults(config: Config) -> Iterator[Fault]:
    for name in ("listen", "ops_listen"):
        try:
            host, _ = listener(getattr(config.server, name))
        except ValueError as error:
            yield Fault(f"/server/{name}", "pattern", str(error))
            continue
        if name == "listen" and not config.clients and not is_loopback(host):
            yield Fault("/server/listen", "no-clients", f"{host} is not loopback; without [clients] anybody could send")


def _journal_faults(config: Config) -> Iterator[Fault]:
    url = config.journal.url
    if isinstance(url, str) and (not url.startswith(JOURNALS) or url in JOURNALS):
        yield Fault("/journal/url", "pattern", "must be sqlite:// and a path, or postgresql://…")


def _wait_faults(config: Config) -> Iterator[Fault]:
    waits = {f"/reconcile/delays/{index}": text for index, text in enumerate(config.reconcile.delays)}
    waits |= {f"/upstreams/{escape(name)}/timeout": each.timeout for name, each in config.upstreams.items()}
    waits |= {"/breaker/window": config.breaker.window, "/server/body_timeout": config.server.body_timeout}
    for place, text in waits.items():
        if not seconds(text):
            yield Fault(place, "range", "must be longer than nothing")


def _upstream_faults(place: str, upstream: UpstreamConfig, dialects: Mapping[str, Dialect]) -> Iterator[Fault]:
    otherwise = None if upstream.insecure_http else "say insecure_http = true"
    yield from _url_faults(f"{place}/base_url", upstream.base_url, otherwise)
    kinds = [name for name in upstream.auth.__struct_fields__ if getattr(upstream.auth, name) is not None]
    if len(kinds) > 1:
        yield Fault(f"{place}/auth", "contradiction", f"one of {', '.join(kinds)}, not several")
    dialect = dialects.get(upstream.dialect)
    if dialect is None:
        known = f"is not a dialect: {', '.join(sorted(dialects))}{nearest(upstream.dialect, dialects)}"
        yield Fault(f"{place}/dialect", "unknown-dialect", f"{quoted(upstream.dialect)} {known}")
        return
    for kind in upstream.crosswalk:
        if kind not in dialect.crosswalks:
            known = f"is no crosswalk of {dialect.name}{nearest(kind, dialect.crosswalks or KINDS)}"
            yield Fault(f"{place}/crosswalk/{escape(kind)}", "unknown-field", f"{quoted(kind)} {known}")


def config_warnings(config: Config, dialects: Mapping[str, Dialect]) -> Iterator[str]:
    """What is hardly meant, but may be: a proxy can add credentials, and callers can send the upstream's own ids."""
    for name, upstream in config.upstreams.items():
        dialect, auth = dialects[upstream.dialect], upstream.auth.kind
        if auth not in dialect.auth:
            wanted = " or ".join(dialect.auth)
            yield f"[upstreams.{name}] {dialect.name} wants auth = {{ {wanted} = … }}, not {auth}"
        for kind, required in dialect.crosswalks.items():
            if required and kind not in upstream.crosswalk:
                yield f"[upstreams.{name}] {dialect.name} translates {kind} by a crosswalk, and there is none"


def _url_faults(place: str, text: str, otherwise: str | None) -> Iterator[Fault]:
    """What is wrong with a URL; `otherwise` is what to do if it is http, and None where it may be."""
    try:
        url = urlsplit(text)
        fit = url.scheme in ("http", "https") and url.hostname and url.port != 0
        rest = url.query or url.fragment or "@" in url.netloc
    except ValueError:  # brackets without an address, a port that is none
        fit, rest = False, ""
    if not fit or rest:
        yield Fault(place, "pattern", f"{quoted(text)} is not https://host or https://host/prefix")
    elif url.scheme == "http" and not is_loopback(url.hostname or "") and otherwise is not None:
        yield Fault(place, "insecure", f"is http; use https, or {otherwise}")


def _route_faults(place: str, route: Route, config: Config) -> Iterator[Fault]:
    if (route.to is None) is (not route.split):
        yield Fault(place, "contradiction", "needs to or split, and not both")
    yield from _unknown_upstreams(f"{place}/to", [] if route.to is None else [route.to], config)
    yield from _unknown_upstreams(f"{place}/split", list(route.split), config)
    yield from _unknown_upstreams(f"{place}/fallback", route.fallback, config)
    if route.shadow is not None:
        yield from _unknown_upstreams(f"{place}/shadow", [route.shadow], config)
        if route.shadow == route.to:
            yield Fault(f"{place}/shadow", "contradiction", "is where the invoices go already")
    currency = route.when.currency
    if route.when.amount is not None and not (isinstance(currency, str) or (currency and len(currency) == 1)):
        yield Fault(f"{place}/when/amount", "contradiction", "an amount needs exactly one currency beside it")


def _unknown_upstreams(place: str, names: list[str], config: Config) -> Iterator[Fault]:
    for name in names:
        if name not in config.upstreams:
            detail = f"there is no [upstreams.{name}]{nearest(name, config.upstreams)}"
            yield Fault(place, "unknown-upstream", detail)
