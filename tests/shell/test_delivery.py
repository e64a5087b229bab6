"""Delivery: fallback only while certainly not sent, durable before the first byte, durable before the answer."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.core.dialect import Translation
from gateway.core.dispatch import dispatch_of
from gateway.core.events import Answered, Claimed, Concluded, JournalFailed, Reconciled, Routed, Sending
from gateway.core.exchange import Conversation
from gateway.core.journal import Entry
from gateway.core.result import Absent, Created, Outcome
from gateway.core.results import stored
from gateway.shell.gateway import AT_ONCE, Preference
from gateway.shell.journal import journal
from tests.support.engines import (
    FALLBACK,
    FIRST,
    LATER,
    NOT_SENT,
    QUIET,
    REJECTED,
    SECOND,
    THIRD,
    TIMEOUT,
    UNKNOWN,
    Side,
    Works,
    created,
    until,
    working,
)
from tests.support.running import invoice, running, unreachable

ENDS = [created("1"), REJECTED, UNKNOWN]
STATES = {"Created": "created", "Rejected": "rejected", "Unknown": "unknown", "NotSent": "not_sent"}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that waits for its store no longer than a test does."""
    monkeypatch.setattr(journal, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(journal, "RETRY_SECONDS", (0.01,))


def sent_to(works: Works) -> list[str]:
    """The upstreams that exchanges began with."""
    return [event.upstream for event in works.heard(Sending)]


# ------------------------------------------------------------------ fallback


@pytest.mark.parametrize("first", ENDS)
async def test_only_what_is_certainly_not_sent_goes_on_to_another_upstream(first: Outcome, tmp_path: Path) -> None:
    """After created, rejected or unknown no other upstream ever sees the invoice."""
    async with working(tmp_path, chargeover=Side(first)) as works:
        result = (await works.submit()).result
        assert result.outcome == STATES[type(first).__name__]
        assert result.upstream.name == FIRST
        assert [attempt.upstream for attempt in result.attempts] == sent_to(works) == [FIRST]
        assert works.sides["onlyoffice"].requests == works.sides["katsupay"].requests == []


async def test_what_is_not_sent_goes_to_the_next_in_order(tmp_path: Path) -> None:
    """Each attempt is listed with its outcome; the result is the last one's."""
    sides: dict[str, Any] = {"chargeover": Side(NOT_SENT), "onlyoffice": Side(NOT_SENT), "katsupay": Side(created("3"))}
    async with working(tmp_path, **sides) as works:
        result = (await works.submit()).result
        assert [(one.upstream, one.outcome) for one in result.attempts] == [
            (FIRST, "not_sent"),
            (SECOND, "not_sent"),
            (THIRD, "created"),
        ]
        assert (result.upstream.name, result.upstream.dialect, result.route.rule) == (THIRD, "katsupay", "default")
        assert [type(event) for event in works.told] == [Routed, Claimed, *[Sending, Answered] * 3, Concluded]
        entry = await works.entry()
        assert (entry.upstream, entry.upstream_id) == (THIRD, "3")


@pytest.mark.parametrize("second", [REJECTED, UNKNOWN])
async def test_a_fallback_ends_where_it_is_not_certain_any_more(second: Outcome, tmp_path: Path) -> None:
    """The third upstream is not asked after the second said no, or nothing."""
    async with working(tmp_path, chargeover=Side(NOT_SENT), onlyoffice=Side(second)) as works:
        result = (await works.submit()).result
        assert result.outcome == STATES[type(second).__name__]
        assert [attempt.upstream for attempt in result.attempts] == sent_to(works) == [FIRST, SECOND]


async def test_without_any_upstream_left_it_is_not_sent(tmp_path: Path) -> None:
    """All were tried, each once."""
    sides: dict[str, Any] = {dialect: Side(NOT_SENT) for dialect in ("chargeover", "onlyoffice", "katsupay")}
    async with working(tmp_path, **sides) as works:
        result = (await works.submit()).result
        assert result.outcome == "not_sent"
        assert [attempt.upstream for attempt in result.attempts] == sent_to(works) == [FIRST, SECOND, THIRD]
        assert (await works.entry()).due_at is None


async def test_what_cannot_be_translated_goes_to_the_next(tmp_path: Path) -> None:
    """Chargeover has no terms of 13 days; the first attempt is the fallback's."""
    async with working(tmp_path) as works:
        result = (await works.submit(due_date="2026-07-13")).result
        assert [attempt.upstream for attempt in result.attempts] == [SECOND]
        assert result.upstream.name == SECOND


async def test_a_fallback_that_cannot_carry_it_is_left_out(tmp_path: Path) -> None:
    """Not sent by the first, untranslatable at the second: the third gets it."""
    async with working(tmp_path, chargeover=Side(NOT_SENT)) as works:
        result = (await works.submit(number="2026-06-30T10:15 is a timestamp")).result
        assert [attempt.upstream for attempt in result.attempts] == [FIRST, THIRD]


async def test_a_fallback_that_nobody_can_carry_ends_as_it_was(tmp_path: Path) -> None:
    """Not sent by the first, untranslatable at all others: still not sent, and safe to send again."""
    sent = invoice()["lines"]
    for line in sent:
        line["item"]["identifiers"] = {"chargeover": "239"}
        line["item"]["id"] = "unknown elsewhere"
    async with working(tmp_path, chargeover=Side(NOT_SENT)) as works:
        result = (await works.submit(lines=sent)).result
        assert result.outcome == "not_sent"
        assert [attempt.upstream for attempt in result.attempts] == [FIRST]


async def test_over_real_sockets_a_refused_connection_falls_back(tmp_path: Path) -> None:
    """The first does not listen, the second stores it once; attempts tell both."""
    async with running(tmp_path, FALLBACK, unreachable("chargeover")) as world:
        answer = await world.send(invoice("chargeover"))
        assert answer.status == 201
        assert [(one["upstream"], one["outcome"]) for one in answer.json["attempts"]] == [
            *[(FIRST, "not_sent")] * 3,
            (SECOND, "created"),
        ]
        assert len(await world.stored("onlyoffice")) == 1
        assert await world.stored("katsupay") == []


# ------------------------------------------------------------------ what mappings do wrong


async def test_a_mapping_that_breaks_before_sending_falls_back(tmp_path: Path) -> None:
    """No request was made."""

    def broken(translation: Translation, repeat: bool) -> Conversation:
        if not repeat:
            raise ZeroDivisionError
        yield translation.request
        return UNKNOWN

    async with working(tmp_path, chargeover=Side(broken)) as works:
        result = (await works.submit()).result
        assert [attempt.outcome for attempt in result.attempts] == ["not_sent", "created"]


async def test_a_mapping_that_breaks_after_sending_does_not_fall_back(tmp_path: Path) -> None:
    """A request was made; no other upstream may see the invoice."""

    def broken(translation: Translation, repeat: bool) -> Conversation:  # noqa: ARG001 - the shape of a creation
        yield translation.request
        raise ZeroDivisionError

    async with working(tmp_path, chargeover=Side(broken)) as works:
        result = (await works.submit()).result
        assert result.outcome == "unknown"
        assert sent_to(works) == [FIRST]


async def test_a_creation_that_ends_with_an_absence_is_unknown(tmp_path: Path) -> None:
    """A mapping's mistake: an absence is a lookup's word."""
    async with working(tmp_path, chargeover=Side(Absent())) as works:
        result = (await works.submit()).result
        assert result.outcome == "unknown"
        assert sent_to(works) == [FIRST]


# ------------------------------------------------------------------ durable before the first byte


async def test_an_invoice_is_durable_before_its_first_byte(tmp_path: Path) -> None:
    """When the exchange begins the file holds the claim: key, upstream, state and how it is sent."""
    side, seen = Side(), list[Entry]()
    async with working(tmp_path, chargeover=side) as works:

        async def look() -> None:
            seen.append(await works.entry())

        side.before = look
        answer = await works.submit()
        (entry,) = seen
        assert (entry.id, entry.state, entry.upstream) == (answer.result.id, "sending", FIRST)
        assert entry.due_at == works.clock() + TIMEOUT + 5.0
        dispatch = dispatch_of(entry)
        assert (dispatch.dialect, dispatch.rule, dispatch.rest) == ("chargeover", "default", (SECOND, THIRD))
        assert dispatch.quiet_until == works.clock() + QUIET
        assert dispatch.translation.request == side.requests[0]


async def test_a_stand_in_is_durable_before_its_first_byte(tmp_path: Path) -> None:
    """The file names it, under a claim of its own and with the attempt before, when the exchange with it begins."""
    first, second, seen = Side(NOT_SENT), Side(created("2")), list[Entry]()
    async with working(tmp_path, chargeover=first, onlyoffice=second) as works:

        async def look() -> None:
            seen.append(await works.entry())

        first.before = second.before = look
        await works.submit()
        assert [(entry.upstream, entry.state) for entry in seen] == [(FIRST, "sending"), (SECOND, "sending")]
        before, after = map(dispatch_of, seen)
        assert before.claim != after.claim
        assert after.translation.request == second.requests[0] != before.translation.request
        assert [attempt.upstream for attempt in after.attempts] == [FIRST]
        assert (after.dialect, after.rest) == ("onlyoffice", (THIRD,))


async def test_a_stand_in_that_cannot_be_written_gets_nothing(tmp_path: Path) -> None:
    """The invoice is not sent, and the caller hears so."""
    async with working(tmp_path, chargeover=Side(NOT_SENT)) as works:
        works.store.arm("replace", "fails")
        result = (await works.submit()).result
        assert (result.outcome, result.upstream.name) == ("not_sent", FIRST)
        assert works.sides["onlyoffice"].requests == []
        assert (await works.entry()).state == "not_sent"
        assert [event.operation for event in works.heard(JournalFailed)] == ["advance"]


@pytest.mark.parametrize("preference", [AT_ONCE, LATER])
async def test_a_stand_in_whose_claim_is_lost_leaves_no_doubt(preference: Preference, tmp_path: Path) -> None:
    """It became durable, and nothing was sent under it: what became of the first upstream is what is true."""
    async with working(tmp_path, chargeover=Side(NOT_SENT)) as works:
        works.store.arm("replace", *["ok"] * (preference is LATER), "loses")
        await works.submit(preference=preference)
        await works.work()
        assert works.sides["onlyoffice"].requests == []
        entry = await works.entry()
        assert (entry.state, entry.upstream) == ("waiting" if preference is LATER else "not_sent", FIRST)
        assert (await works.dispatch()).dialect == "chargeover"
        await works.work(QUIET)
        assert works.heard(Reconciled) == []


@pytest.mark.usefixtures("hasty")
async def test_a_stand_in_that_is_not_durable_in_time_gets_nothing(tmp_path: Path) -> None:
    """A store that hangs is none."""
    async with working(tmp_path, chargeover=Side(NOT_SENT)) as works:
        works.store.arm("replace", "hangs")
        result = (await works.submit()).result
        assert (result.outcome, result.upstream.name) == ("not_sent", FIRST)
        assert works.sides["onlyoffice"].requests == []


async def test_a_stand_in_gets_nothing_once_somebody_else_has_the_invoice(tmp_path: Path) -> None:
    """Its sender was given up while it was paused: the claim is not its any more."""
    first = Side(NOT_SENT)
    async with working(tmp_path, chargeover=first) as works:

        async def give_up() -> None:
            works.clock.seconds += QUIET
            await works.store.inner.take("another", 60.0, 10)
            works.clock.seconds -= QUIET

        first.before = give_up
        await works.submit()
        assert works.sides["onlyoffice"].requests == []


async def test_the_deadline_counts_from_before_the_claim(tmp_path: Path) -> None:
    """A store that takes its time takes it from the attempt, so that the claim never ends before the attempt."""
    side = Side()
    async with working(tmp_path, chargeover=side) as works:

        async def slowly() -> None:
            works.clock.seconds += 4.0

        works.store.arm("claim", slowly)
        await works.submit()
        assert side.left == [TIMEOUT - 4.0]


async def test_the_deadline_of_a_stand_in_counts_from_before_its_claim(tmp_path: Path) -> None:
    """It has its upstream's whole timeout, less what the store took."""
    first, second = Side(NOT_SENT), Side(created("2"))
    async with working(tmp_path, chargeover=first, onlyoffice=second) as works:

        async def slowly() -> None:
            works.clock.seconds += 4.0

        works.clock.seconds += 7.0
        works.store.arm("replace", slowly)
        await works.submit()
        assert second.left == [TIMEOUT - 4.0]


async def test_after_the_deadline_nothing_is_sent(tmp_path: Path) -> None:
    """A process that is paused while it claims is too late by its own clock."""
    async with working(tmp_path) as works:

        async def paused() -> None:
            works.clock.seconds += TIMEOUT

        works.store.arm("claim", paused)
        result = (await works.submit()).result
        assert works.side.requests == []
        assert result.attempts[0].outcome == "not_sent"


# ------------------------------------------------------------------ durable before the answer


@pytest.mark.parametrize("end", [*ENDS, NOT_SENT])
async def test_an_outcome_is_durable_before_its_caller_hears_it(end: Outcome, tmp_path: Path) -> None:
    """State, id, result and the upstream's own words, as they are answered."""
    async with working(tmp_path, chargeover=Side(end), onlyoffice=Side(end), katsupay=Side(end)) as works:
        waiting = asyncio.Event()

        async def hold() -> None:
            await waiting.wait()

        works.store.arm("replace", *["ok"] * 2 * (end is NOT_SENT), hold)
        sending = asyncio.create_task(works.submit())
        await until(lambda: len(works.heard(Answered)) == (3 if end is NOT_SENT else 1))
        await asyncio.sleep(0.02)
        assert not sending.done()
        assert works.heard(Concluded) == []
        waiting.set()
        answer = await sending
        entry = await works.entry()
        assert (entry, stored(entry)) == (answer.entry, answer.result)
        assert entry.state == answer.result.outcome == STATES[type(end).__name__]
        assert entry.upstream_id == ("1" if isinstance(end, Created) else None)
        if end is not NOT_SENT:
            assert b"words of the upstream" in entry.response
        assert works.heard(JournalFailed) == []


@pytest.mark.parametrize("trouble", ["fails", "loses"])
@pytest.mark.parametrize("end", ENDS)
async def test_an_outcome_that_cannot_be_written_at_once_is_heard_all_the_same(
    end: Outcome, trouble: str, tmp_path: Path
) -> None:
    """The caller hears the truth, and the file holds it a moment later; also where only the word of it was lost."""
    async with working(tmp_path, chargeover=Side(end)) as works:
        works.store.arm("replace", trouble)
        answer = await works.submit()
        assert answer.result.outcome == STATES[type(end).__name__]
        assert stored(await works.entry()) == answer.result
        assert [event.operation for event in works.heard(JournalFailed)] == ["record"]


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("end", ENDS)
async def test_a_caller_does_not_wait_for_ever_for_the_store(end: Outcome, tmp_path: Path) -> None:
    """It hears the truth; the outcome is written once the store is back."""
    async with working(tmp_path, chargeover=Side(end)) as works:
        sending = await works.held()
        works.store.down = True
        works.side.open.set()
        async with asyncio.timeout(2):
            answer = await sending
        assert answer.result.outcome == STATES[type(end).__name__]
        assert (await works.entry()).state == "sending"
        works.store.mend()
        entry = await works.engine.journal.ended(await works.entry(), 5.0)
        assert stored(entry) == answer.result


async def test_a_late_answer_settles_what_was_given_up(tmp_path: Path) -> None:
    """Somebody took the claim for lost; its sender knows better, and the caller hears it."""
    async with working(tmp_path) as works:
        sending = await works.held()
        works.clock.seconds += TIMEOUT + 5.0
        (taken,) = await works.store.inner.take("another", 60.0, 10)
        assert taken.state == "unknown"
        works.side.open.set()
        answer = await sending
        assert answer.result.outcome == "created"
        entry = await works.entry()
        assert (entry.state, entry.upstream_id, entry.due_at) == ("created", "chargeover-1", None)
        assert stored(entry) == answer.result


async def test_a_late_answer_never_settles_the_doubt_of_another_sending(tmp_path: Path) -> None:
    """Given up, proven absent, sent again and in doubt again: what became of the first says nothing of the second."""
    side, late, first = Side(created("1"), UNKNOWN), asyncio.Event(), asyncio.Event()
    async with working(tmp_path, chargeover=side) as works:

        async def pause() -> None:
            if not first.is_set():
                first.set()
                await late.wait()

        side.before = pause
        one = asyncio.create_task(works.submit())
        await first.wait()
        await works.work(QUIET)
        assert (await works.entry()).state == "not_sent"
        assert (await works.submit()).result.outcome == "unknown"
        doubt = await works.entry()
        late.set()
        # Both may exist: its caller hears the truth, an operator hears of the contradiction, and the doubt stays.
        assert (await one).result.outcome == "created"
        assert await works.entry() == doubt
        assert [event.operation for event in works.heard(JournalFailed)] == ["contradiction"]
        assert [event.ours for event in works.heard(Concluded)] == [True, False]


async def test_what_waits_begins_with_its_first_upstream_again(tmp_path: Path) -> None:
    """Whoever stood in stood in for one try."""
    sides = [Side(NOT_SENT, created("1")), Side(NOT_SENT), Side(NOT_SENT)]
    async with working(tmp_path, chargeover=sides[0], onlyoffice=sides[1], katsupay=sides[2]) as works:
        await works.submit(preference=LATER)
        await works.work()
        assert (await works.entry()).state == "waiting"
        await works.work(400.0)
        assert (await works.entry()).state == "created"
        assert sent_to(works) == [FIRST, SECOND, THIRD, FIRST]


async def test_a_result_lists_the_latest_attempts(tmp_path: Path) -> None:
    """An invoice that waits for its upstream for a day would list hundreds."""
    sides = [Side(NOT_SENT) for _ in range(3)]
    async with working(tmp_path, chargeover=sides[0], onlyoffice=sides[1], katsupay=sides[2]) as works:
        await works.submit(preference=LATER)
        for _ in range(25):
            await works.work(400.0)
        attempts = (await works.dispatch()).attempts
        assert len(attempts) == 20
        assert attempts[-1].started_at == stored(await works.entry()).attempts[-1].started_at
        assert attempts[-1].upstream == THIRD
