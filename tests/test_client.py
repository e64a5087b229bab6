"""The client for Python programs: one invoice for one `external_id`, whatever happens on the way; and what is known."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.client import FIRST_PAUSE, LONGEST_PAUSE, Client, Details, GatewayError, Invoice, _pause
from gateway.core.money import decode_amount
from tests.support.certificates import LOOPBACK, shown
from tests.support.running import UNUSED, Peer, Play, answering, invoice, ok, playing, replaced, running

RESULT: dict[str, Any] = {
    "id": "0199", "external_id": "billing:1", "outcome": "created", "adopted": False, "created_at": None,
    "invoice": None, "upstream": {"name": "n", "dialect": "d"}, "route": {"rule": "r", "config": "c"},
    "losses": [], "discrepancies": [],
    "warnings": [], "attempts": [], "timings": {"total": None, "upstream": None},
}  # fmt: skip
SENT = {"external_id": "billing:1"}
CREATED = ok(json.dumps(RESULT).encode(), "201 Created")
CLOSED = b""
HTML = b"<html>busy</html>"


def problem(status: int, slug: str, *headers: str, retryable: bool = False, **members: Any) -> bytes:
    """An answer of a gateway that states a problem."""
    body = {"type": f"/problems/{slug}", "title": slug, "status": status, "detail": slug, "retryable": retryable}
    return ok(json.dumps(body | members).encode(), f"{status} X", *headers)


UNKNOWN = problem(504, "outcome-unknown", "Retry-After: 0", retryable=True, outcome="unknown")
UNAVAILABLE = problem(503, "upstream-unavailable", "Retry-After: 0", retryable=True, outcome="not_sent")


def in_turn(*answers: bytes) -> Play:
    """A peer that gives each request its answer, on a connection of its own; nothing at all where that is empty."""
    left = iter(answers)

    async def play(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        writer.write(next(left))
        await writer.drain()

    return play


async def refusal(url: str, patience: float = 0.0, seconds: float = 5.0) -> Details:
    """The problem that sending ends in."""
    async with Client(url, patience=patience, timeout=seconds) as gateway:
        with pytest.raises(GatewayError) as error:
            await gateway.send(SENT)
    assert str(error.value)
    return error.value.problem


# ------------------------------------------------------------------ a real gateway


async def test_an_invoice_is_created_once_in_whatever_form_it_comes(tmp_path: Path) -> None:
    """A struct, a mapping and bytes with the same content are the same invoice; it can be looked up, by both names."""
    sent = invoice()
    body = json.dumps(sent).encode()
    struct = msgspec.json.decode(body, type=Invoice, dec_hook=decode_amount)
    async with running(tmp_path) as world, Client(f"{world.service.url}/", patience=5) as gateway:
        assert await gateway.lookup(sent["external_id"]) is None
        explained = await gateway.explain(struct)
        assert not await world.stored("chargeover")
        results = [await gateway.send(form) for form in (struct, sent, body)]
        assert len(await world.stored("chargeover")) == 1
        assert {one.outcome for one in results} == {"created"}
        assert await gateway.get(results[0].id) == results[0] == await gateway.lookup(sent["external_id"])
    assert [view.name for view in explained.upstreams] == ["chargeover-us"]


async def test_what_the_gateway_refuses_is_its_problem_with_every_member(tmp_path: Path) -> None:
    """Slug, status, outcome, places and upstream, as RFC 9457 and the contract have them."""
    stranger = replaced('"acct-88" = 88', '"acct-88" = 777')
    async with running(tmp_path, stranger) as world, Client(world.service.url, patience=0) as gateway:
        with pytest.raises(GatewayError, match="expected 492") as wrong:
            await gateway.send(invoice(totals={"amount_due": "1.00"}))
        with pytest.raises(GatewayError) as refused:
            await gateway.send(invoice())
        with pytest.raises(GatewayError) as missing:
            await gateway.get("../upstreams")
    assert (wrong.value.problem.slug, wrong.value.problem.status) == ("totals-mismatch", 422)
    assert [fault.pointer for fault in wrong.value.problem.errors] == ["/totals/amount_due"]
    assert (refused.value.problem.slug, refused.value.problem.outcome) == ("rejected", "rejected")
    assert refused.value.problem.upstream is not None
    assert refused.value.problem.upstream.name == "chargeover-us"
    assert (missing.value.problem.slug, missing.value.problem.outcome) == ("not-found", None)


async def test_the_token_goes_with_every_request() -> None:
    """As a bearer token; redirects are not followed with it."""
    moved = ok(b"", "307 Temporary Redirect", "Location: /elsewhere")
    async with playing(in_turn(CREATED, moved)) as peer, Client(peer.url, "geheim", patience=0) as gateway:
        await gateway.send(SENT)
        with pytest.raises(GatewayError):
            await gateway.get("1")
    assert len(peer.requests) == 2
    assert all(b"\r\nAuthorization: Bearer geheim\r\n" in request for request in peer.requests)


# ------------------------------------------------------------------ another try


@pytest.mark.parametrize(
    "first",
    [
        CLOSED,
        CREATED[:-10],
        UNKNOWN,
        UNAVAILABLE,
        problem(429, "rate-limited", "Retry-After: 0", retryable=True),
        problem(409, "in-progress", "Retry-After: 0", retryable=True, outcome="pending"),
        problem(408, "request-timeout", retryable=True),
        ok(HTML, "502 Bad Gateway"),
        ok(HTML, "503 Service Unavailable"),
        ok(b"", "429 Too Many Requests"),
    ],
)
async def test_what_may_do_better_later_is_sent_again_as_it_was(first: bytes) -> None:
    """The same bytes, with the same `external_id`, twice over; then it is created."""
    async with playing(in_turn(first, first, CREATED)) as peer, Client(peer.url, patience=10) as gateway:
        result = await gateway.send(SENT)
    assert result.outcome == "created"
    assert len(peer.requests) == 3
    assert {request.partition(b"\r\n\r\n")[2] for request in peer.requests} == {b'{"external_id":"billing:1"}'}


@pytest.mark.parametrize(
    ("answer", "slug", "outcome"),
    [
        (problem(422, "rejected", outcome="rejected"), "rejected", "rejected"),
        (problem(401, "unauthenticated"), "unauthenticated", None),
        (problem(500, "internal"), "internal", "unknown"),
        (ok(HTML, "404 Not Found"), "", None),
        (ok(b"", "301 Moved", "Location: /"), "", None),
        (ok(HTML), "", "unknown"),
        (ok(b"\xff", "500 X"), "", "unknown"),
        (ok(json.dumps(RESULT | {"external_id": "billing:2"}).encode(), "201 Created"), "", "unknown"),
    ],
)
async def test_what_will_not_do_better_is_not_sent_again(answer: bytes, slug: str, outcome: str | None) -> None:
    """Problems that are not retryable, and answers that are no gateway's, or another invoice's."""
    async with playing(in_turn(answer, CREATED)) as peer:
        found = await refusal(peer.url, patience=30)
    assert (found.slug, found.outcome) == (slug, outcome)
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([CLOSED], "unknown"),
        ([UNKNOWN], "unknown"),
        ([UNAVAILABLE], "not_sent"),
        ([problem(503, "overloaded", "Retry-After: 0", retryable=True)], None),
        ([ok(HTML, "503 X")], "unknown"),
        ([ok(HTML, "429 X")], None),
        (
            [CLOSED, problem(503, "upstream-unavailable", "Retry-After: 9", retryable=True, outcome="not_sent")],
            "unknown",
        ),
        ([UNKNOWN, problem(429, "rate-limited", "Retry-After: 9", retryable=True)], "unknown"),
        ([ok(HTML, "502 X"), problem(401, "unauthenticated")], "unknown"),
        ([CLOSED, problem(422, "rejected", outcome="rejected")], "rejected"),
        ([UNAVAILABLE, problem(422, "untranslatable", outcome="not_sent")], "not_sent"),
        ([CLOSED, problem(409, "in-progress", "Retry-After: 9", retryable=True, outcome="pending")], "pending"),
    ],
)
async def test_a_doubt_stays_one_until_the_gateway_knows(answers: list[bytes], outcome: str | None) -> None:
    """Once one try may have been read, a later one that was not read says nothing of it."""
    async with playing(in_turn(*answers)) as peer:
        found = await refusal(peer.url, patience=0.0 if len(answers) == 1 else 2.0)
    assert found.outcome == outcome
    assert len(peer.requests) == len(answers)


async def test_a_gateway_that_is_not_there_gets_nothing_until_patience_ends() -> None:
    """Certainly not sent, with the reason in words; no longer than asked for."""
    begun = time.monotonic()
    found = await refusal(f"http://{UNUSED}", patience=0.5)
    assert time.monotonic() - begun < 5
    assert (found.outcome, found.status, found.slug) == ("not_sent", None, "")
    assert "Connection refused" in found.detail
    nowhere = await refusal("http://gateway.invalid")
    assert (nowhere.outcome, nowhere.detail.endswith("does not resolve")) == ("not_sent", True)


async def test_a_gateway_that_never_answers_leaves_a_doubt() -> None:
    """A try has its time."""

    async def silent(peer: Peer, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        await reader.read()

    async with playing(silent) as peer:
        found = await refusal(peer.url, seconds=0.2)
    assert (found.outcome, found.detail.endswith("no answer in time")) == ("unknown", True)


async def test_a_certificate_that_is_not_trusted_is_the_end(tmp_path: Path) -> None:
    """At once: nothing was sent, and nothing will be."""
    async with playing(answering(CREATED), ssl=shown(tmp_path, LOOPBACK)) as peer:
        begun = time.monotonic()
        found = await refusal(peer.url.replace("http", "https", 1), patience=60)
    assert time.monotonic() - begun < 30
    assert (found.outcome, peer.requests) == ("not_sent", [])


async def test_a_wait_that_is_longer_than_patience_is_not_begun() -> None:
    """`Retry-After` is kept, or nothing is sent any more."""
    later = problem(503, "overloaded", "Retry-After: 60", retryable=True)
    begun = time.monotonic()
    async with playing(in_turn(later, CREATED)) as peer:
        found = await refusal(peer.url, patience=59)
    assert time.monotonic() - begun < 10
    assert (found.slug, len(peer.requests)) == ("overloaded", 1)


async def test_what_the_gateway_asks_to_wait_is_waited() -> None:
    """Its `Retry-After`, in seconds."""
    begun = time.monotonic()
    later = problem(429, "rate-limited", "Retry-After: 1", retryable=True)
    async with playing(in_turn(later, CREATED)) as peer, Client(peer.url) as gateway:
        await gateway.send(SENT)
    assert time.monotonic() - begun >= 1


@pytest.mark.parametrize(
    ("tries", "wanted", "share", "seconds"),
    [
        (0, None, 1.0, FIRST_PAUSE),
        (3, None, 1.0, 8 * FIRST_PAUSE),
        (3, None, 0.25, 2 * FIRST_PAUSE),
        (3, None, 0.0, 0.0),
        (50_000, None, 1.0, LONGEST_PAUSE),
        (0, 5.0, 0.5, 5.0 + FIRST_PAUSE / 2),
    ],
)
def test_pauses_grow_and_are_spread(tries: int, wanted: float | None, share: float, seconds: float) -> None:
    """Full jitter up to a bound, on top of what the gateway wants."""
    assert _pause(tries, wanted, share) == pytest.approx(seconds)


# ------------------------------------------------------------------ wrong usage


@pytest.mark.parametrize("body", [{}, {"external_id": ""}, b"{}", b'{"external_id": 7}', b"[", b"[" * 100_000, b"\xff"])
async def test_nothing_is_sent_without_an_external_id(body: Any) -> None:
    """Without one it could be created twice."""
    async with playing(in_turn(CREATED)) as peer, Client(peer.url) as gateway:
        with pytest.raises(ValueError, match=r"external_id|JSON|truncated|object|depth|invalid"):
            await gateway.send(body)
    assert peer.connections == 0


@pytest.mark.parametrize(
    "url", ["", "gateway", "localhost:8080", "ftp://host", "http://", "http://h/?a=1", "http://[", "http://h/#x"]
)
def test_an_address_that_is_none_is_told_at_once(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match="is no address"):
        Client(url)


async def test_a_client_works_only_while_it_is_entered() -> None:
    """It says how."""
    with pytest.raises(RuntimeError, match="async with"):
        await Client("http://localhost").send(SENT)


async def test_questions_have_no_outcome() -> None:
    """Only what was sent has one."""
    async with Client(f"http://{UNUSED}", patience=0) as gateway:
        for asked in (gateway.get("1"), gateway.lookup("billing:1"), gateway.explain(SENT)):
            with pytest.raises(GatewayError) as error:
                await asked
            assert error.value.problem.outcome is None
