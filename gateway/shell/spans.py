"""Spans by OpenTelemetry, sent as OTLP over HTTP. The only module that imports it; only imported where it is asked for.

Names and attributes follow OpenTelemetry's semantic conventions for HTTP, but for the paths of URLs, which hold ids of
invoices and what strangers write. What is noted of an invoice is what the log prints of it.
"""

import logging
import os
from asyncio import to_thread
from collections.abc import Callable
from threading import Thread
from time import monotonic
from types import TracebackType
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode
from structlog.typing import FilteringBoundLogger

from gateway import __version__
from gateway.core.config import Tracing
from gateway.core.dispatch import dispatch_of
from gateway.core.errors import Problem
from gateway.core.events import Event
from gateway.core.exchange import Reply, Request, Seen
from gateway.core.journal import Entry
from gateway.shell.exchanges import Sends
from gateway.shell.server import REQUEST_ID
from gateway.shell.trace import CURRENT, Trace, taken
from gateway.shell.tracer import P, Step, T, Work

NOTED = ("request_id", "invoice", "external_id", "client", "rule", "upstream", "outcome", "problem", "finding")
"""The fields of events that are noted, as `invoice_gateway.NAME`; the log prints all of them."""
CLOSE_SECONDS = 2.0
TELL_SECONDS = 60.0
Said = dict[str, str | int]


class Recorded:
    """A span; while it is entered it is what is being done, and what is raised in it fails it."""

    def __init__(self, span: otel.Span) -> None:
        self.span = span
        found = span.get_span_context()
        ids = otel.format_trace_id(found.trace_id), otel.format_span_id(found.span_id)
        self._trace = Trace(ids[0], found.trace_flags.sampled, ids[1], self)

    def note(self, name: str, value: str | int) -> None:
        """Add an attribute, unless the span is over: what goes on behind an answer still tells of itself."""
        if self.span.is_recording():
            self.span.set_attribute(name, value)

    def failed(self, kind: str) -> None:
        """Its status is an error of this kind, which is one of few words."""
        if self.span.is_recording():
            self.span.set_attribute("error.type", kind)
            self.span.set_status(StatusCode.ERROR)

    def saw(self, seen: Seen) -> None:
        """What became of the request that it is about."""
        status = seen.status if isinstance(seen, Reply) else seen.http_status
        if status is not None:
            self.note("http.response.status_code", status)
        if status is not None and status >= 400:
            self.failed(str(status))
        elif not isinstance(seen, Reply):
            self.failed(seen.reason)

    def __enter__(self) -> "Recorded":
        """It is what is being done."""
        self._before = CURRENT.set(self._trace)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """It is over; what an error says stays here."""
        CURRENT.reset(self._before)
        if error is not None:
            self.failed(error.slug if isinstance(error, Problem) else type(error).__name__)
        self.span.end()


class Turns:
    """A sender with a span around each turn; see `exchanges.Sends`."""

    def __init__(self, sends: Sends, begin: Callable[[str], Recorded]) -> None:
        self._sends = sends
        self._begin = begin

    async def send(self, request: Request, left: Callable[[], float]) -> Seen:
        """See `Sends.send`."""
        with self._begin(request.method) as span:
            seen = await self._sends.send(request, left)
            span.saw(seen)
            return seen

    def distrust(self) -> None:
        """See `Sends.distrust`."""
        self._sends.distrust()


class Spans:
    """See `tracer.Tracer`; `way` is where spans go that are over."""

    def __init__(self, tracing: Tracing, way: SpanProcessor, told: "Told") -> None:
        self._provider = TracerProvider(
            ParentBased(TraceIdRatioBased(tracing.sample)),
            Resource.create({SERVICE_NAME: tracing.service_name, SERVICE_VERSION: __version__}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(way)
        self._tracer = self._provider.get_tracer("invoice-gateway", __version__)
        self._told = told
        told.listen()
        self.listeners: tuple[Callable[[Event], None], ...] = (hear,)

    def around(self, inner: Middleware) -> Middleware:
        """See `Tracer.around`."""

        @web.middleware
        async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
            with self._request(request) as span:
                answer = await inner(request, handler)
                span.note("invoice_gateway.request_id", request[REQUEST_ID])
                span.note("http.response.status_code", answer.status)
                if answer.status >= 500:
                    span.failed(str(answer.status))
                return answer

        return traced

    def _request(self, request: web.Request) -> Recorded:
        resource = request.match_info.route.resource
        known = request.method in hdrs.METH_ALL
        name = request.method if known else "HTTP"
        said: Said = {"http.request.method": request.method if known else "_OTHER", "url.scheme": "http"}
        if resource is not None:
            said["http.route"] = resource.canonical
            name = f"{name} {resource.canonical}"
        within = Context()
        if (caller := taken(request.headers.get("traceparent"))) is not None:
            within = otel.set_span_in_context(otel.NonRecordingSpan(_remote(caller)), within)
        return Recorded(self._tracer.start_span(name, within, SpanKind.SERVER, said))

    def taken(self, _: str | None) -> Trace | None:
        """See `Tracer.taken`: what was begun around it."""
        return CURRENT.get()

    def _child(self, name: str, kind: SpanKind = SpanKind.INTERNAL, said: Said | None = None) -> Recorded:
        current, within = CURRENT.get(), Context()
        if current is not None and isinstance(current.span, Recorded):
            within = otel.set_span_in_context(current.span.span, within)
        return Recorded(self._tracer.start_span(name, within, kind, said))

    def part(self, name: str, part: Callable[P, T]) -> Callable[P, T]:
        """See `Tracer.part`."""

        def timed(*args: P.args, **more: P.kwargs) -> T:
            with self._child(name):
                return part(*args, **more)

        return timed

    def step(self, name: str, step: Step[P, T]) -> Step[P, T]:
        """See `Tracer.step`."""

        async def timed(*args: P.args, **more: P.kwargs) -> T:
            with self._child(name):
                return await step(*args, **more)

        return timed

    def work(self, name: str, work: Work[P, T]) -> Work[P, T]:
        """See `Tracer.work`."""

        async def timed(entry: Entry, /, *args: P.args, **more: P.kwargs) -> T:
            with self._of(name, entry):
                return await work(entry, *args, **more)

        return timed

    def _of(self, name: str, entry: Entry) -> Recorded:
        begun = taken(dispatch_of(entry).traceparent)
        links = [] if begun is None else [otel.Link(_remote(begun))]
        told = {"invoice": entry.id, "external_id": entry.external_id, "upstream": entry.upstream}
        said = {f"invoice_gateway.{key}": value for key, value in told.items()}
        return Recorded(self._tracer.start_span(name, Context(), SpanKind.INTERNAL, said, links))

    def turns(self, sends: Sends, base_url: str) -> Sends:
        """See `Tracer.turns`."""
        url = urlsplit(base_url)
        port = url.port or (443 if url.scheme == "https" else 80)
        there: Said = {"server.address": url.hostname or "", "server.port": port}
        return Turns(
            sends, lambda method: self._child(method, SpanKind.CLIENT, {"http.request.method": method, **there})
        )

    async def close(self) -> None:
        """See `Tracer.close`; the thread that still tries then ends with the program."""
        ending = Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        await to_thread(ending.join, CLOSE_SECONDS)
        if not ending.is_alive():  # otherwise its last complaints would go to standard error, in its own words
            self._told.leave()


def hear(event: Event) -> None:
    """Note in the current span what an event tells of an invoice."""
    current = CURRENT.get()
    if current is None or not isinstance(current.span, Recorded):
        return
    for name in NOTED:
        if isinstance(value := getattr(event, name, None), str):
            current.span.note(f"invoice_gateway.{name}", value)


class Told(logging.Handler):
    """Prints that spans were lost, or what else OpenTelemetry complains of: one line a minute, in constant words."""

    def __init__(self, log: FilteringBoundLogger, clock: Callable[[], float] = monotonic) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._clock = clock
        self._source = logging.getLogger("opentelemetry")
        self._next = clock()
        self._unsaid = 0

    def listen(self) -> None:
        """From now on, and nobody else does."""
        self._source.addHandler(self)
        self._source.propagate = False

    def leave(self) -> None:
        """No longer."""
        self._source.removeHandler(self)
        self._source.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`; what stands in for `%s` are words of the collector's, or its address."""
        self._unsaid += 1
        now = self._clock()
        if now >= self._next:
            self._log.warning("tracing", complaint=str(record.msg), times=self._unsaid)
            self._next, self._unsaid = now + TELL_SECONDS, 0


def opened(tracing: Tracing, headers: dict[str, str], log: FilteringBoundLogger) -> Spans | None:
    """Spans that are sent in batches from a queue of bounded length; None where `OTEL_SDK_DISABLED` says so."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    way = OTLPSpanExporter(f"{tracing.otlp_endpoint.rstrip('/')}/v1/traces", headers=headers)
    return Spans(tracing, BatchSpanProcessor(way), Told(log))


def _remote(trace: Trace) -> otel.SpanContext:
    flags = otel.TraceFlags(otel.TraceFlags.SAMPLED if trace.sampled else otel.TraceFlags.DEFAULT)
    return otel.SpanContext(int(trace.trace_id, 16), int(trace.span_id, 16), is_remote=True, trace_flags=flags)
