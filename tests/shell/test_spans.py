"""Spans: what is recorded of an invoice, under which ids, and what never is."""

from collections.abc import Sequence
from contextvars import Context, copy_context
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from gateway.core.config import Tracing
from gateway.core.events import Answered
from gateway.core.journal import Entry
from gateway.shell import logs
from gateway.shell.spans import Spans, Told, hear
from tests.core.entries import entry
from tests.support.engines import until
from tests.support.running import Edit, added, invoice, running, timeout, unreachable

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ROUTE = "POST /v1/invoices"
QUICK = added('[reconcile]\ndelays = ["50ms", "100ms"]')
LATER = {"Prefer": "respond-async"}
OURS = "invoice_gateway."


class Kept(Spans):
    """Spans that are kept in memory."""

    def __init__(self, sample: float = 1.0, log: BytesIO | None = None) -> None:
        self.memory = InMemorySpanExporter()
        super().__init__(Tracing(sample=sample), SimpleSpanProcessor(self.memory), Told(logs.logger(log or BytesIO())))

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """Those that are over, in the order in which they ended."""
        return self.memory.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        """The one span of this name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found

    async def ended(self, name: str) -> ReadableSpan:
        """The same, once it is over."""
        await until(lambda: any(span.name == name for span in self.spans))
        return self.named(name)


def ids(span: ReadableSpan) -> tuple[str, str]:
    """The ids of a span's trace and of itself."""
    assert span.context is not None
    return format_trace_id(span.context.trace_id), format_span_id(span.context.span_id)


def said(span: ReadableSpan) -> dict[str, Any]:
    """What is noted in a span."""
    return dict(span.attributes or {})


def headers(requests: list[dict[str, Any]]) -> list[str]:
    """The `traceparent` of each request that the sandbox saw."""
    return [text for request in requests for name, text in request["headers"] if name.lower() == "traceparent"]


async def test_an_invoice_leaves_a_tree(tmp_path: Path) -> None:
    """The request, and in it the parts of its way in their order; each within the time of the request."""
    async with running(tmp_path, tracer=(kept := Kept())) as world:
        answer = await world.send(invoice("chargeover"))
    root, parts = kept.spans[-1], kept.spans[:-1]
    assert [span.name for span in parts] == ["route", "translate", "journal claim", "POST", "GET", "journal record"]
    assert root.parent is None
    assert all(span.parent == root.context for span in parts)
    assert [span.kind for span in kept.spans] == [
        *[SpanKind.INTERNAL] * 3,
        *(SpanKind.CLIENT, SpanKind.CLIENT, SpanKind.INTERNAL, SpanKind.SERVER),
    ]
    times = [time for span in parts for time in (span.start_time or 0, span.end_time or 0)]
    assert [root.start_time, *times, root.end_time] == sorted([root.start_time or 0, *times, root.end_time or 0])
    assert {span.status.status_code for span in kept.spans} == {StatusCode.UNSET}
    port = int(world.sandbox.rpartition(":")[2])
    assert said(kept.named("POST")) == {
        "http.request.method": "POST",
        "http.response.status_code": 201,
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    assert said(root) == {
        "http.request.method": "POST",
        "http.response.status_code": 201,
        "http.route": "/v1/invoices",
        "url.scheme": "http",
        f"{OURS}request_id": answer.headers["X-Request-Id"],
        f"{OURS}invoice": answer.json["id"],
        f"{OURS}external_id": answer.json["external_id"],
        f"{OURS}client": "local",
        f"{OURS}rule": "default",
        f"{OURS}upstream": "chargeover-us",
        f"{OURS}outcome": "created",
    }
    assert root.resource.attributes["service.name"] == "invoice-gateway"


@pytest.mark.parametrize("header", [None, f"00-{TRACE}-{PARENT}-01"])
async def test_ids_are_those_of_the_log_and_of_what_the_upstream_gets(header: str | None, tmp_path: Path) -> None:
    """The caller's trace, or one that begins here; each request to an upstream names its own span as the parent."""
    async with running(tmp_path, tracer=(kept := Kept())) as world:
        await world.send(invoice("exsited"), headers={"traceparent": header} if header else {})
        lines = [line for line in world.logged() if "request_id" in line]
        seen = headers(await world.requests("exsited"))
    root = kept.named(ROUTE)
    trace = ids(root)[0]
    assert (trace == TRACE, root.parent is not None) == ((True, True) if header else (False, False))
    if root.parent is not None:
        assert format_span_id(root.parent.span_id) == PARENT
    assert {ids(span)[0] for span in kept.spans} == {trace}
    assert [line["trace_id"] for line in lines] == [trace] * len(lines) != []
    turns = [span for span in kept.spans if span.kind is SpanKind.CLIENT]
    assert len(seen) > len(turns) > 0  # a token is fetched within the turn that needs it
    assert set(seen) == {f"00-{trace}-{ids(span)[1]}-01" for span in turns}


@pytest.mark.parametrize(
    ("sample", "flags", "recorded"),
    [(1.0, None, True), (0.0, None, False), (0.0, "01", True), (1.0, "00", False)],
)
async def test_who_began_a_trace_decides_whether_it_is_recorded(
    sample: float, flags: str | None, recorded: bool, tmp_path: Path
) -> None:
    """The caller, or the share of those that begin here; ids are in the log and go on all the same."""
    async with running(tmp_path, tracer=(kept := Kept(sample))) as world:
        sent = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}"} if flags else {}
        await world.send(invoice("chargeover"), headers=sent)
        (passed,) = headers(await world.requests("chargeover", "POST"))
        logged = {line["trace_id"] for line in world.logged() if "request_id" in line}
    assert bool(kept.spans) is recorded
    assert passed.endswith("-01" if recorded else "-00")
    assert logged == {passed.split("-")[1]}
    assert flags is None or logged == {TRACE}


async def test_requests_of_one_connection_have_traces_of_their_own(tmp_path: Path) -> None:
    """Nothing of one is left when the next comes; reads have a span as well."""
    async with running(tmp_path, tracer=(kept := Kept())) as world:
        answer = await world.send(invoice("chargeover"))
        await world.api("GET", answer.headers["Location"])
    read = kept.named("GET /v1/invoices/{id}")
    assert read.parent is None
    assert ids(read)[0] != ids(kept.named(ROUTE))[0]
    assert said(read)[f"{OURS}request_id"] != answer.headers["X-Request-Id"]


async def test_what_the_worker_delivers_is_linked_to_what_brought_it(tmp_path: Path) -> None:
    """A trace of its own, with the same parts, since it may be a day later."""
    async with running(tmp_path, tracer=(kept := Kept())) as world:
        answer = await world.send(invoice("chargeover"), headers=LATER)
        resumed = await kept.ended("resume")
    brought = kept.named(ROUTE)
    assert resumed.parent is None
    assert [(link.context.trace_id, link.context.span_id) for link in resumed.links] == [
        (brought.context.trace_id, brought.context.span_id)
    ]
    names = [span.name for span in kept.spans if span.parent == resumed.context]
    assert names == ["journal advance", "POST", "GET", "journal record"]
    assert said(resumed)[f"{OURS}invoice"] == answer.json["id"]
    assert said(resumed)[f"{OURS}outcome"] == "created"
    concluded = next(line for line in world.logged() if line["event"] == "concluded")
    assert concluded["trace_id"] == ids(resumed)[0] != ids(brought)[0]


async def test_a_doubt_that_is_looked_into_is_linked_to_what_brought_it(tmp_path: Path) -> None:
    """The request failed, by its status; so did the turn that got no answer; what was found is noted."""
    async with running(tmp_path, QUICK, tracer=(kept := Kept())) as world:
        await world.arm("chargeover", "store-then-reset", method="POST")
        assert (await world.send(invoice("chargeover"))).status == 504
        found = await kept.ended("reconcile")
    brought, turn = kept.named(ROUTE), kept.named("POST")
    assert (brought.status.status_code, said(brought)["error.type"]) == (StatusCode.ERROR, "504")
    assert said(brought)[f"{OURS}problem"] == "outcome-unknown"
    assert (turn.status.status_code, said(turn)["error.type"]) == (StatusCode.ERROR, "connection")
    assert [link.context.span_id for link in found.links] == [brought.context.span_id]
    assert said(found)[f"{OURS}finding"] == "adopted"
    assert [span.name for span in kept.spans if span.parent == found.context] == ["GET", "journal record"]


@pytest.mark.parametrize(
    ("edit", "sent", "failed"),
    [
        (timeout("5s"), invoice("chargeover", totals={"amount_due": "1.00"}), {"route": "totals-mismatch"}),
        (timeout("5s"), invoice("chargeover", customer={"id": "nobody"}), {"translate": "untranslatable"}),
        (unreachable("mykaarma"), invoice("mykaarma"), {"POST": "connect", ROUTE: "503"}),
    ],
)
async def test_what_goes_wrong_fails_the_span_that_it_went_wrong_in(
    edit: Edit, sent: object, failed: dict[str, str], tmp_path: Path
) -> None:
    """With a word of few; a request that is refused did not fail, by the conventions."""
    once = added("[delivery]\nattempts = 1")
    async with running(tmp_path, edit, once, tracer=(kept := Kept())) as world:
        await world.send(sent)
    found = {span.name: said(span)["error.type"] for span in kept.spans if span.status.status_code is StatusCode.ERROR}
    assert found == failed


async def test_a_refusal_of_the_upstream_fails_the_turn(tmp_path: Path) -> None:
    """A 4xx is the sender's error, not the receiver's."""
    async with running(tmp_path, tracer=(kept := Kept())) as world:
        await world.arm("chargeover", "status", status=422, method="POST")
        assert (await world.send(invoice("chargeover"))).status >= 400
    assert said(kept.named("POST"))["error.type"] == "422"


async def test_no_span_holds_words_of_an_invoice_a_stranger_or_a_secret(tmp_path: Path) -> None:
    """Neither of parties, nor amounts, nor what stands in a path, a query or a header."""
    canary = "Kanarienvogel"
    sent = invoice("chargeover")
    sent["customer"] |= {"name": canary, "email": f"{canary}@example.org", "tax_id": canary}
    sent["customer"]["billing_address"]["line1"] = canary
    sent |= {"note": canary, "number": f"{canary}-1", "labels": {"product": "fleet", "canary": canary}}
    strange = {"tracestate": f"x={canary}", "X-Canary": canary, "User-Agent": canary, "Authorization": canary}
    async with running(tmp_path, tracer=(kept := Kept())) as world:
        assert (await world.send(sent, headers=strange)).status == 201
        await world.send(sent | {"currency": canary}, headers=strange)
        await world.api("GET", f"/v1/{canary}", headers=strange)
        await world.api("GET", f"/v1/invoices/{canary}?include={canary}", headers=strange)
        await world.api("PROPFIND", "/v1/invoices", headers=strange)
    text = "\n".join(span.to_json() for span in kept.spans)
    assert {span.name for span in kept.spans} >= {"GET", "HTTP", "GET /v1/invoices/{id}", ROUTE}
    for secret in (canary, "492.00", "95.00", "Quay Street", "sandbox-", "Basic "):
        assert secret.lower() not in text.lower()


async def test_what_is_told_after_a_span_is_over_is_not_noted() -> None:
    """What goes on behind an answer still tells of itself; that is no complaint of OpenTelemetry's."""
    log = BytesIO()
    kept = Kept(log=log)

    async def resume(_: Entry) -> Context:
        return copy_context()

    behind = await kept.work("resume", resume)(entry())
    behind.run(hear, Answered("1", "2", "tiny-us", "created", None, 201, 0.1))
    await kept.close()
    assert log.getvalue() == b""
    assert f"{OURS}outcome" not in said(kept.named("resume"))
