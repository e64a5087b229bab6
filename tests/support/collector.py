"""A collector of spans that really listens: OTLP over HTTP, read with OpenTelemetry's own definition of it."""

import asyncio
from collections.abc import Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from tests.support.running import Edit, Peer, added, ok


async def collecting(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take whatever comes."""
    while True:
        await peer.read(reader)
        writer.write(ok(b"", "200 OK", "Content-Type: application/x-protobuf"))
        await writer.drain()


async def hanging(peer: Peer, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Read, and never answer."""
    await peer.read(reader)
    await asyncio.Event().wait()


def to(url: str, *more: str) -> Edit:
    """An edit that has spans sent there."""
    return added("\n".join(("[tracing]", f'otlp_endpoint = "{url}"', *more)))


def batches(peer: Peer) -> Iterator[ResourceSpans]:
    """What the collector took."""
    for request in peer.requests:
        yield from ExportTraceServiceRequest.FromString(request.partition(b"\r\n\r\n")[2]).resource_spans


def spans(peer: Peer) -> list[Span]:
    """All spans that it took."""
    return [span for batch in batches(peer) for scope in batch.scope_spans for span in scope.spans]
