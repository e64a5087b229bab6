"""Traces: what of W3C Trace Context is taken over from a caller, printed, and passed on to upstreams."""

import re
from pathlib import Path

import pytest

from gateway.shell.trace import Trace, taken
from tests.support.running import address, answering, invoice, ok, playing, running

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"00-{TRACE}-{PARENT}-00", False),
        (f"00-{TRACE}-{PARENT}-ff", True),
        (f"01-{TRACE}-{PARENT}-01", True),
        (f"cc-{TRACE}-{PARENT}-01-what-comes-later", True),
    ],
)
def test_a_valid_header_is_taken_over(header: str, sampled: bool) -> None:
    """Of a later version as far as this one knows it."""
    assert taken(header) == Trace(TRACE, sampled, PARENT)


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "x"),
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}",
        f" 00-{TRACE}-{PARENT}-01",
    ],
)
def test_any_other_is_ignored(header: str | None) -> None:
    """A request without a trace is none the worse for it."""
    assert taken(header) is None


def test_onward_the_trace_is_the_same_and_its_parent_new() -> None:
    """Each request is a parent of its own."""
    first, second = (Trace(TRACE, sampled=True, span_id=PARENT).onward() for _ in range(2))
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", first)
    assert first != second
    assert Trace(TRACE, sampled=False, span_id=PARENT).onward().endswith("-00")


async def test_a_trace_is_passed_on_and_printed(tmp_path: Path) -> None:
    """To the upstream with the invoice, and in every line of the log that the request causes; its state stays here."""
    refusal = ok(b'{"code": 400, "status": "error", "message": "no", "response": {}}', "400 Bad")
    async with playing(answering(*[refusal] * 2)) as peer:

        def edit(text: str) -> str:
            return text.replace(address(text, "chargeover"), peer.url)

        async with running(tmp_path, edit) as world:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "theirs=secret", "X-Other": "secret"}
            await world.send(invoice("chargeover"), headers=headers)
            lines = [line for line in world.logged() if "request_id" in line]
            await world.send(invoice("chargeover", external_id="without"))
            others = [line for line in world.logged() if "request_id" in line][len(lines) :]
    first, second = peer.requests
    assert re.search(rf"\r\ntraceparent: 00-{TRACE}-(?!{PARENT})[0-9a-f]{{16}}-01\r\n".encode(), first)
    assert b"secret" not in first
    assert b"traceparent" not in second
    assert {line["trace_id"] for line in lines} == {TRACE}
    assert not any("trace_id" in line for line in others)
    assert [line["event"] for line in lines] == [line["event"] for line in others] != []
