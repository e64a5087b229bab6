"""The one loop that delivers: fallback only while certainly not sent, conversations that end, ids in order of time."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.dialect import Translation
from gateway.core.events import Answered, Concluded, Event, Routed, Sending
from gateway.core.exchange import MOST_TURNS, Conversation, Request, Seen
from gateway.core.plan import Caller
from gateway.core.result import Absent, Created, NotSent, Outcome, Rejected, Stated, Unknown
from gateway.shell import client
from gateway.shell.auth import Fixed
from gateway.shell.client import Sender
from gateway.shell.compose import book
from gateway.shell.configuration import load
from gateway.shell.gateway import Counterpart, Delivered, Gateway, new_id, uuid7
from tests.support.running import answering, configured, invoice, ok, playing, replaced, running, unreachable

ANYBODY = Caller("somebody")
FALLBACK = replaced(
    'name = "default"\nto = ', 'name = "default"\nfallback = ["onlyoffice-eu", "katsupay-lagos"]\nto = '
)
FIRST, SECOND, THIRD = "chargeover-us", "onlyoffice-eu", "katsupay-lagos"


def says(outcome: Outcome | Absent) -> Any:
    """A creation that ends so after one request, whatever was seen."""

    def create(translation: Translation, repeat: bool) -> Conversation:  # noqa: ARG001 - the shape of a creation
        yield translation.request
        return outcome  # type: ignore[return-value]  # an absence is what a mapping must not say here

    return create


def created(number: str) -> Created:
    """An invoice with this id."""
    return Created(Stated(id=number), 201)


NOT_SENT = NotSent("connect", "refused")
REJECTED = Rejected(422, "7", "no")
UNKNOWN = Unknown("timeout", "no answer")


class Delivery(msgspec.Struct, frozen=True):
    """A gateway whose upstreams say what they are told to, and what it told."""

    gateway: Gateway
    told: list[Event]

    async def submit(self, **changes: Any) -> Delivered:
        """Submit the demo's invoice for chargeover."""
        body = json.dumps(invoice("chargeover", **changes)).encode()
        return await self.gateway.submit(body, None, ANYBODY, "request-1")


@asynccontextmanager
async def delivering(folder: Path, **creations: Any) -> AsyncIterator[Delivery]:
    """A gateway before a peer that answers everything; the dialects' creations are these."""
    loaded = load(configured(folder, "http://127.0.0.1:1", FALLBACK))
    upstreams = {
        name: msgspec.structs.replace(
            upstream,
            dialect=msgspec.structs.replace(
                upstream.dialect, create=creations.get(upstream.dialect.name, upstream.dialect.create)
            ),
        )
        for name, upstream in loaded.upstreams.items()
    }
    told: list[Event] = []
    session = client.session()
    async with playing(answering(*[ok()] * 200)) as peer:
        counterparts = {
            name: Counterpart(Sender(peer.url, upstream.dialect, Fixed(()), session), 5.0)
            for name, upstream in upstreams.items()
        }
        at = msgspec.structs.replace(book(loaded), upstreams=upstreams)
        yield Delivery(Gateway(at, counterparts, told.append), told)
        await client.closed(session)


# ------------------------------------------------------------------ fallback


@pytest.mark.parametrize("first", [created("1"), REJECTED, UNKNOWN])
async def test_only_what_is_certainly_not_sent_goes_on_to_another_upstream(first: Outcome, tmp_path: Path) -> None:
    """After created, rejected or unknown no other upstream ever sees the invoice."""
    async with delivering(tmp_path, chargeover=says(first), onlyoffice=says(created("2"))) as delivery:
        delivered = await delivery.submit()
        assert delivered.outcome == first
        assert delivered.result.upstream.name == FIRST
        assert [attempt.upstream for attempt in delivered.result.attempts] == [FIRST]
        assert [event.upstream for event in delivery.told if isinstance(event, Sending)] == [FIRST]


async def test_what_is_not_sent_goes_to_the_next_in_order(tmp_path: Path) -> None:
    """Each attempt is listed with its outcome; the result is the last one's."""
    creations = {"chargeover": says(NOT_SENT), "onlyoffice": says(NOT_SENT), "katsupay": says(created("3"))}
    async with delivering(tmp_path, **creations) as delivery:
        delivered = await delivery.submit()
        result = delivered.result
        assert delivered.outcome == created("3")
        assert [(one.upstream, one.outcome) for one in result.attempts] == [
            (FIRST, "not_sent"),
            (SECOND, "not_sent"),
            (THIRD, "created"),
        ]
        assert (result.upstream.name, result.upstream.dialect, result.route.rule) == (THIRD, "katsupay", "default")
        assert [type(event) for event in delivery.told] == [Routed, *[Sending, Answered] * 3, Concluded]


@pytest.mark.parametrize("second", [REJECTED, UNKNOWN])
async def test_a_fallback_ends_where_it_is_not_certain_any_more(second: Outcome, tmp_path: Path) -> None:
    """The third upstream is not asked after the second said no, or nothing."""
    creations = {"chargeover": says(NOT_SENT), "onlyoffice": says(second), "katsupay": says(created("3"))}
    async with delivering(tmp_path, **creations) as delivery:
        delivered = await delivery.submit()
        assert delivered.outcome == second
        assert [attempt.upstream for attempt in delivered.result.attempts] == [FIRST, SECOND]


async def test_without_any_upstream_left_it_is_not_sent(tmp_path: Path) -> None:
    """All were tried, each once."""
    creations = dict.fromkeys(("chargeover", "onlyoffice", "katsupay"), says(NOT_SENT))
    async with delivering(tmp_path, **creations) as delivery:
        delivered = await delivery.submit()
        assert delivered.outcome == NOT_SENT
        assert [attempt.upstream for attempt in delivered.result.attempts] == [FIRST, SECOND, THIRD]


async def test_what_cannot_be_translated_goes_to_the_next(tmp_path: Path) -> None:
    """Chargeover has no terms of 13 days; the first attempt is the fallback's."""
    async with delivering(tmp_path, onlyoffice=says(created("2"))) as delivery:
        delivered = await delivery.submit(due_date="2026-07-13")
        assert [attempt.upstream for attempt in delivered.result.attempts] == [SECOND]
        assert delivered.result.upstream.name == SECOND


async def test_a_fallback_that_cannot_carry_it_is_left_out(tmp_path: Path) -> None:
    """Not sent by the first, untranslatable at the second: the third gets it."""
    creations = {"chargeover": says(NOT_SENT), "onlyoffice": says(created("2")), "katsupay": says(created("3"))}
    async with delivering(tmp_path, **creations) as delivery:
        delivered = await delivery.submit(number="2026-06-30T10:15 is a timestamp")
        assert [attempt.upstream for attempt in delivered.result.attempts] == [FIRST, THIRD]


async def test_a_fallback_that_nobody_can_carry_ends_as_it_was(tmp_path: Path) -> None:
    """Not sent by the first, untranslatable at all others: still not sent, and safe to send again."""
    creations = {"chargeover": says(NOT_SENT)}
    sent = invoice()["lines"]
    for line in sent:
        line["item"]["identifiers"] = {"chargeover": "239"}
        line["item"]["id"] = "unknown elsewhere"
    async with delivering(tmp_path, **creations) as delivery:
        delivered = await delivery.submit(lines=sent)
        assert delivered.outcome == NOT_SENT
        assert [attempt.upstream for attempt in delivered.result.attempts] == [FIRST]


async def test_over_real_sockets_a_refused_connection_falls_back(tmp_path: Path) -> None:
    """The first does not listen, the second stores it once; attempts tell both."""
    async with running(tmp_path, FALLBACK, unreachable("chargeover")) as world:
        answer = await world.send(invoice("chargeover"))
        assert answer.status == 201
        assert [(one["upstream"], one["outcome"]) for one in answer.json["attempts"]] == [
            (FIRST, "not_sent"),
            (SECOND, "created"),
        ]
        assert len(await world.stored("onlyoffice")) == 1
        assert await world.stored("katsupay") == []


# ------------------------------------------------------------------ conversations


async def test_an_endless_conversation_ends_unknown(tmp_path: Path) -> None:
    """A mapping that asks for ever is stopped; what it did may have created something."""
    turns = 0
    closed = False

    def endless(translation: Translation, repeat: bool) -> Conversation:  # noqa: ARG001 - the shape of a creation
        nonlocal turns, closed
        try:
            while True:
                turns += 1
                yield translation.request
        finally:
            closed = True

    async with delivering(tmp_path, chargeover=endless) as delivery:
        delivered = await delivery.submit()
        assert isinstance(delivered.outcome, Unknown)
        assert delivered.outcome.reason == "mapping"
        assert turns == MOST_TURNS + 1
        assert closed


async def test_a_conversation_of_as_many_turns_as_allowed_may_end(tmp_path: Path) -> None:
    """The limit itself is allowed, answer and all."""

    def long(translation: Translation, repeat: bool) -> Conversation:  # noqa: ARG001 - the shape of a creation
        for _ in range(MOST_TURNS):
            yield translation.request
        return created("40")

    async with delivering(tmp_path, chargeover=long) as delivery:
        assert (await delivery.submit()).outcome == created("40")


async def test_a_mapping_that_breaks_before_sending_is_not_sent(tmp_path: Path) -> None:
    """No request was made, so it goes on to the fallback."""

    def broken(translation: Translation, repeat: bool) -> Conversation:
        if not repeat:
            raise ZeroDivisionError
        yield translation.request
        return UNKNOWN

    async with delivering(tmp_path, chargeover=broken, onlyoffice=says(created("2"))) as delivery:
        delivered = await delivery.submit()
        assert [attempt.outcome for attempt in delivered.result.attempts] == ["not_sent", "created"]


async def test_a_mapping_that_breaks_after_sending_is_unknown(tmp_path: Path) -> None:
    """A request was made; no other upstream may see the invoice."""

    def broken(translation: Translation, repeat: bool) -> Conversation:  # noqa: ARG001 - the shape of a creation
        yield translation.request
        raise ZeroDivisionError

    async with delivering(tmp_path, chargeover=broken, onlyoffice=says(created("2"))) as delivery:
        delivered = await delivery.submit()
        assert isinstance(delivered.outcome, Unknown)
        assert [attempt.upstream for attempt in delivered.result.attempts] == [FIRST]


async def test_a_creation_that_ends_with_an_absence_is_unknown(tmp_path: Path) -> None:
    """A mapping's mistake: an absence is a lookup's word."""
    async with delivering(tmp_path, chargeover=says(Absent()), onlyoffice=says(created("2"))) as delivery:
        delivered = await delivery.submit()
        assert isinstance(delivered.outcome, Unknown)
        assert [attempt.upstream for attempt in delivered.result.attempts] == [FIRST]


async def test_all_turns_share_one_deadline(tmp_path: Path) -> None:
    """A conversation of many slow turns ends by the upstream's timeout, not by as many of them."""
    seen: list[Seen] = []

    def chatty(translation: Translation, repeat: bool) -> Generator[Request, Seen, Outcome]:  # noqa: ARG001
        for _ in range(20):
            seen.append((yield translation.request))
            if not hasattr(seen[-1], "body"):
                break
        return UNKNOWN

    async def slow(peer: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.read(reader)
            await asyncio.sleep(0.04)
            writer.write(ok())

    async with delivering(tmp_path, chargeover=chatty) as delivery, playing(slow) as peer:
        session = client.session()
        dialect = delivery.gateway.book.upstreams[FIRST].dialect
        counterparts = {FIRST: Counterpart(Sender(peer.url, dialect, Fixed(()), session), 0.15)}
        gateway = Gateway(delivery.gateway.book, counterparts, delivery.told.append)
        began = asyncio.get_running_loop().time()
        await gateway.submit(json.dumps(invoice()).encode(), None, ANYBODY, "r")
        assert asyncio.get_running_loop().time() - began < 0.6
        assert isinstance(seen[-1], (NotSent, Unknown))
        assert 1 < len(seen) < 6
        await client.closed(session)


# ------------------------------------------------------------------ events and results


async def test_one_event_a_step_and_all_of_one_request(tmp_path: Path) -> None:
    """Routed, sending, answered, concluded; each names the request and the invoice."""
    async with delivering(tmp_path, chargeover=says(created("1"))) as delivery:
        delivered = await delivery.submit()
        told: list[Any] = delivery.told
        assert [type(event) for event in told] == [Routed, Sending, Answered, Concluded]
        assert {event.request_id for event in told} == {"request-1"}
        assert {event.invoice for event in told} == {delivered.result.id}
        concluded = told[-1]
        assert (concluded.rule, concluded.upstream, concluded.outcome, concluded.client) == (
            "default",
            FIRST,
            "created",
            "somebody",
        )
        assert concluded.currency == "USD"
        assert str(concluded.amount) == "492.00"
        assert 0 <= concluded.upstream_seconds <= concluded.seconds


async def test_what_is_in_flight_is_counted_down_whatever_happens(tmp_path: Path) -> None:
    """Also where the task is cancelled in the middle."""
    async with delivering(tmp_path, chargeover=says(UNKNOWN)) as delivery:
        await delivery.submit()
        assert set(delivery.gateway.in_flight.values()) == {0}
        task = asyncio.create_task(delivery.submit())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert set(delivery.gateway.in_flight.values()) == {0}


@pytest.mark.parametrize("outcome", [REJECTED, UNKNOWN, NOT_SENT])
async def test_only_a_created_invoice_has_a_time_and_a_body(outcome: Outcome, tmp_path: Path) -> None:
    """Nothing that looks like success in any other result."""
    creations = dict.fromkeys(("chargeover", "onlyoffice", "katsupay"), says(outcome))
    async with delivering(tmp_path, **creations) as delivery:
        result = (await delivery.submit()).result
        assert (result.created_at, result.invoice, result.adopted) == (None, None, False)
        assert result.outcome in ("rejected", "unknown", "not_sent")


# ------------------------------------------------------------------ ids


@settings(deadline=None)
@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid_of_version_7(milliseconds: int, randomness: bytes) -> None:
    """RFC 9562 section 5.7: 48 bits of time, version 7, the variant of RFC 9562."""
    text = uuid7(milliseconds, randomness)
    found = UUID(text)
    assert str(found) == text
    assert found.version == 7
    assert found.variant == "specified in RFC 4122"
    assert found.int >> 80 == milliseconds


@settings(deadline=None)
@given(st.integers(0, 2**48 - 2), st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_a_later_id_sorts_after_an_earlier_one(milliseconds: int, one: bytes, other: bytes) -> None:
    """As text, so that lists and stores are in order of time."""
    assert uuid7(milliseconds, one) < uuid7(milliseconds + 1, other)


def test_all_of_the_randomness_counts() -> None:
    """74 bits of it: each bit of ten bytes but those that version and variant take."""
    base = uuid7(0, bytes(10))
    changed = {uuid7(0, (1 << bit).to_bytes(10, "big")) for bit in range(80)} - {base}
    assert len(changed) == 74


def test_new_ids_differ_and_begin_with_now() -> None:
    """A thousand at once."""
    found = [new_id() for _ in range(1000)]
    assert len(set(found)) == 1000
    stated = datetime.fromtimestamp((UUID(found[0]).int >> 80) / 1000, UTC)
    assert abs((datetime.now(UTC) - stated).total_seconds()) < 60
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one) for one in found
    )
