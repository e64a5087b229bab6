"""Invoices that callers leave to the gateway (`respond-async`): durable at once, delivered until their time is over."""

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from gateway.core.dispatch import dispatch_of, packed
from gateway.core.events import Answered, Claimed, Concluded, Defect, Postponed, Replayed, Routed, Sending
from gateway.core.journal import Entry, stepped
from gateway.core.result import NotSent, Outcome
from gateway.core.results import stored
from gateway.shell.gateway import Preference
from tests.support.engines import (
    FIRST,
    LATER,
    NOT_SENT,
    POLICY,
    QUIET,
    REJECTED,
    SECOND,
    THIRD,
    TIMEOUT,
    UNKNOWN,
    Side,
    Works,
    created,
    working,
)

BUSY = NotSent("rate-limited", "too many", 429, 90.0)


def waits(works: Works) -> list[float]:
    """The seconds by which it was put off, each time."""
    return [event.seconds for event in works.heard(Postponed)]


async def test_it_is_answered_at_once_and_delivered_by_the_worker(tmp_path: Path) -> None:
    """Pending, durable, and nothing sent; then the worker sends it."""
    async with working(tmp_path) as works:
        answer = await works.submit(preference=LATER)
        assert (answer.result.outcome, answer.result.upstream.name, answer.replayed) == ("pending", FIRST, False)
        assert answer.result.upstream.message == "waits for its delivery"
        entry = await works.entry()
        assert (entry.state, entry.due_at) == ("waiting", works.clock())
        assert works.side.requests == []
        assert works.heard(Claimed)[0].waits
        await works.work()
        entry = await works.entry()
        assert (entry.state, entry.upstream_id, entry.due_at) == ("created", "chargeover-1", None)
        assert entry.id == answer.result.id
        assert works.side.posts == 1
        assert [type(event) for event in works.told] == [Routed, Claimed, Sending, Answered, Concluded]
        again = await works.submit()
        assert (again.result.outcome, again.replayed) == ("created", True)


async def test_it_is_durable_as_being_sent_before_its_first_byte(tmp_path: Path) -> None:
    """Under a claim of its own, with a deadline from now."""
    async with working(tmp_path) as works:
        await works.submit(preference=LATER)
        waiting = await works.dispatch()
        works.clock.seconds += 60.0
        seen: list[Entry] = []

        async def look() -> None:
            seen.append(await works.entry())

        works.side.before = look
        await works.work()
        (entry,) = seen
        assert (entry.state, entry.due_at) == ("sending", works.clock() + TIMEOUT + 5.0)
        dispatch = dispatch_of(entry)
        assert dispatch.claim != waiting.claim
        assert (dispatch.started_at, dispatch.quiet_until) == (works.clock(), works.clock() + QUIET)
        assert dispatch.deliver_by == waiting.deliver_by == works.clock() - 60.0 + 3600.0
        assert works.side.left == [TIMEOUT]


@pytest.mark.parametrize("trouble", ["fails", "breaks", "loses"])
async def test_what_cannot_be_written_is_not_sent(trouble: str, tmp_path: Path) -> None:
    """It waits for the next time, and is not in doubt: nothing was sent, whether its claim is durable or not."""
    async with working(tmp_path) as works:
        await works.submit(preference=LATER)
        waiting = await works.dispatch()
        works.store.arm("replace", trouble)
        await works.work()
        assert works.side.requests == []
        entry = await works.entry()
        assert (entry.state, entry.due_at, await works.dispatch()) == ("waiting", works.clock() + 1.0, waiting)
        await works.work(1.0)
        assert (await works.entry()).state == "created"
        assert (works.side.posts, works.side.looks) == (1, 0)


async def test_what_another_took_meanwhile_is_left_to_it(tmp_path: Path) -> None:
    """Another gateway began to send it: nothing is sent here, and nothing is written over that."""
    async with working(tmp_path) as works:
        await works.submit(preference=LATER)
        taken: list[Entry] = []

        async def take() -> None:
            entry = await works.entry()
            claim = packed(structs.replace(dispatch_of(entry), claim="another's"))
            taken.append(stepped(entry, "sending", works.clock(), due_at=works.clock() + 15.0, dispatch=claim))
            assert await works.store.inner.replace(entry, taken[0])

        works.store.arm("replace", take)
        await works.work()
        assert works.side.requests == []
        assert await works.entry() == taken[0]


async def test_who_waits_is_accepted_even_if_the_journal_cannot_be_read(tmp_path: Path) -> None:
    """It is durable, and will be delivered: pending is the truth."""
    async with working(tmp_path) as works:
        works.store.arm("get", "fails")
        answer = await works.submit(preference=Preference(respond_async=True, wait=5.0))
        assert answer.result.outcome == "pending"
        await works.work()
        assert (await works.entry()).state == "created"


async def test_who_waits_hears_the_outcome_if_it_comes_in_time(tmp_path: Path) -> None:
    """`respond-async, wait=10`: the worker is woken, and wakes, long before."""
    async with working(tmp_path) as works:
        works.engine.start()
        await asyncio.sleep(0.02)
        async with asyncio.timeout(0.7):
            answer = await works.submit(preference=Preference(respond_async=True, wait=10.0))
        assert (answer.result.outcome, answer.replayed) == ("created", False)
        assert answer.result == stored(await works.entry())


async def test_who_waits_hears_that_it_is_pending_if_it_does_not(tmp_path: Path) -> None:
    """No longer than it asked for."""
    async with working(tmp_path) as works, asyncio.timeout(3):
        answer = await works.submit(preference=Preference(respond_async=True, wait=0.05))
        assert answer.result.outcome == "pending"


async def test_who_waits_hears_of_no_try_that_failed(tmp_path: Path) -> None:
    """That is no outcome: it still waits."""
    async with working(tmp_path, fallback=False, chargeover=Side(NOT_SENT)) as works:
        works.engine.start()
        answer = await works.submit(preference=Preference(respond_async=True, wait=0.1))
        assert answer.result.outcome == "pending"
        assert len(works.heard(Postponed)) == 1


async def test_the_same_again_hears_that_it_is_pending(tmp_path: Path) -> None:
    """Whether it would wait or not; one invoice."""
    async with working(tmp_path) as works:
        once = await works.submit(preference=LATER)
        for preference in (LATER, Preference()):
            again = await works.submit(preference=preference)
            assert (again.result.outcome, again.result.id) == ("pending", once.result.id)
        assert [event.outcome for event in works.heard(Replayed)] == ["pending", "pending"]
        await works.work()
        assert works.side.posts == 1


async def test_who_met_a_try_that_came_to_nothing_hears_that_it_waits(tmp_path: Path) -> None:
    """It was being sent when the same came again, and waits for its next try by then: pending, not in progress."""
    async with working(tmp_path, fallback=False, chargeover=Side(NOT_SENT)) as works:
        works.side.open.clear()
        await works.submit(preference=LATER)
        trying = asyncio.create_task(works.work())
        await works.side.reached.wait()
        again = asyncio.create_task(works.submit())
        await asyncio.sleep(0.02)
        works.side.open.set()
        await trying
        assert (await again).result.outcome == "pending"


async def test_after_a_restart_what_waits_is_delivered(tmp_path: Path) -> None:
    """By another engine on the same file; its caller may ask for it under the same id."""
    async with working(tmp_path) as works:
        once = await works.submit(preference=LATER)
    async with working(tmp_path, clock=works.clock) as works:
        await works.work()
        assert works.side.posts == 1
        entry = await works.entry()
        assert (entry.id, entry.state) == (once.result.id, "created")


# ------------------------------------------------------------------ again and again


async def test_it_is_tried_again_later_and_later(tmp_path: Path) -> None:
    """One second, two, four … five minutes at most, until it is delivered."""
    side = Side(*[NOT_SENT] * 11, created("1"))
    async with working(tmp_path, fallback=False, chargeover=side) as works:
        await works.submit(preference=LATER)
        await works.work()
        for number in range(11):
            entry = await works.entry()
            assert (entry.state, entry.checks) == ("waiting", number + 1)
            assert entry.due_at == works.clock() + waits(works)[-1]
            await works.work(waits(works)[-1] - 0.5)
            assert side.posts == number + 1
            await works.work(0.5)
        assert waits(works) == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]
        assert (await works.entry()).state == "created"
        assert {(event.upstream, event.reason) for event in works.heard(Postponed)} == {(FIRST, "connect")}
        (concluded,) = works.heard(Concluded)
        assert concluded.outcome == "created"
        assert len(stored(await works.entry()).attempts) == 12


async def test_chance_brings_the_next_try_forward_by_up_to_half(tmp_path: Path) -> None:
    """So that those who failed together do not come together."""
    async with working(tmp_path, fallback=False, jitter=1.0, chargeover=Side(NOT_SENT)) as works:
        await works.submit(preference=LATER)
        await works.work()
        await works.work(10.0)
        assert waits(works) == [0.5, 1.0]


async def test_the_upstreams_own_word_on_when_is_kept(tmp_path: Path) -> None:
    """`Retry-After`, where it is longer than what the gateway would wait."""
    short = NotSent("rate-limited", "too many", 429, 0.25)
    async with working(tmp_path, fallback=False, chargeover=Side(BUSY, short)) as works:
        await works.submit(preference=LATER)
        await works.work()
        await works.work(90.0)
        assert waits(works) == [90.0, 2.0]


async def test_when_its_time_is_over_it_is_not_sent(tmp_path: Path) -> None:
    """The last try that fits was made; every one of them is listed."""
    policy = structs.replace(POLICY, deliver_by=10.0)
    async with working(tmp_path, fallback=False, policy=policy, chargeover=Side(NOT_SENT)) as works:
        await works.submit(preference=LATER)
        for _ in range(20):
            await works.work(0.5)
        entry = await works.entry()
        assert (entry.state, entry.due_at) == ("not_sent", None)
        assert waits(works) == [1.0, 2.0, 4.0]
        assert stored(entry).outcome == "not_sent"
        assert [one.outcome for one in stored(entry).attempts] == ["not_sent"] * 4
        (concluded,) = works.heard(Concluded)
        assert concluded.outcome == "not_sent"


async def test_a_word_on_when_that_is_too_late_ends_it(tmp_path: Path) -> None:
    """There is no use in waiting."""
    policy = structs.replace(POLICY, deliver_by=60.0)
    async with working(tmp_path, fallback=False, policy=policy, chargeover=Side(BUSY)) as works:
        await works.submit(preference=LATER)
        await works.work()
        assert (await works.entry()).state == "not_sent"
        assert works.heard(Postponed) == []


async def test_nothing_is_sent_after_its_time(tmp_path: Path) -> None:
    """The gateway was down for that long."""
    async with working(tmp_path) as works:
        await works.submit(preference=LATER)
    works.clock.seconds += 3600.0
    async with working(tmp_path, clock=works.clock) as works:
        await works.work()
        assert works.heard(Sending) == []
        entry = await works.entry()
        assert entry.state == stored(entry).outcome == "not_sent"
        assert stored(entry).upstream.message == "it could not be delivered in the time it had"
        assert [event.outcome for event in works.heard(Concluded)] == ["not_sent"]


@pytest.mark.parametrize("end", [REJECTED, UNKNOWN])
async def test_what_may_exist_or_was_refused_is_not_tried_again(end: Outcome, tmp_path: Path) -> None:
    """Only what was certainly not sent."""
    async with working(tmp_path, chargeover=Side(end)) as works:
        await works.submit(preference=LATER)
        await works.work()
        assert (await works.entry()).state in ("rejected", "unknown")
        assert works.heard(Postponed) == []
        assert len(works.heard(Sending)) == 1


async def test_a_fallback_works_for_it_too(tmp_path: Path) -> None:
    """In order, while it is certainly not sent."""
    async with working(tmp_path, chargeover=Side(NOT_SENT), onlyoffice=Side(NOT_SENT)) as works:
        await works.submit(preference=LATER)
        await works.work()
        entry = await works.entry()
        assert (entry.state, entry.upstream) == ("created", THIRD)
        assert [one.upstream for one in stored(entry).attempts] == [FIRST, SECOND, THIRD]


async def test_each_try_begins_with_the_first_upstream(tmp_path: Path) -> None:
    """Those that stand in do so only while it cannot take the invoice."""
    side = Side(NOT_SENT, created("1"))
    async with working(tmp_path, chargeover=side, onlyoffice=Side(NOT_SENT), katsupay=Side(NOT_SENT)) as works:
        await works.submit(preference=LATER)
        await works.work()
        await works.work(1.0)
        entry = await works.entry()
        assert (entry.state, entry.upstream, dispatch_of(entry).dialect) == ("created", FIRST, "chargeover")
        assert [one.upstream for one in stored(entry).attempts] == [FIRST, SECOND, THIRD, FIRST]


# ------------------------------------------------------------------ the configuration of the day


async def test_where_its_upstream_is_gone_another_stands_in(tmp_path: Path) -> None:
    """By the configuration as it is now, of those that it was meant for."""
    async with working(tmp_path) as works:
        await works.submit(preference=LATER)
    async with working(tmp_path, clock=works.clock, gone=(FIRST,)) as works:
        await works.work()
        entry = await works.entry()
        assert (entry.state, entry.upstream) == ("created", SECOND)


async def test_where_none_of_its_upstreams_is_left_it_waits(tmp_path: Path) -> None:
    """An operator may put one back; until then nothing is sent anywhere."""
    async with working(tmp_path, fallback=False) as works:
        await works.submit(preference=LATER)
    async with working(tmp_path, fallback=False, clock=works.clock, gone=(FIRST,)) as works:
        await works.work()
        assert (await works.entry()).state == "waiting"
        assert [event.reason for event in works.heard(Postponed)] == ["untranslatable"]
        assert works.heard(Sending) == []
    async with working(tmp_path, fallback=False, clock=works.clock) as works:
        await works.work(1.0)
        assert (await works.entry()).state == "created"
        assert works.side.posts == 1


async def test_a_repeat_waits_for_the_upstream_that_it_was_in_doubt_at(tmp_path: Path) -> None:
    """Proven absent there; once it was in doubt no other upstream may see it, whatever the configuration says."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, NOT_SENT)) as works:
        await works.submit(preference=LATER)
        await works.work()
        works.clock.seconds += QUIET
        await works.engine.reconciler.round()
        await works.engine.reconciler.finish()
        entry = await works.entry()
        assert (entry.state, dispatch_of(entry).repeat) == ("waiting", True)
        await works.work()
        assert (await works.entry()).state == "waiting"
    async with working(tmp_path, clock=works.clock, gone=(FIRST,)) as works:
        await works.work(60.0)
        assert (await works.entry()).state == "waiting"
        assert works.heard(Sending) == []
    side = Side(created("9"))
    async with working(tmp_path, clock=works.clock, chargeover=side) as works:
        await works.work(60.0)
        entry = await works.entry()
        assert (entry.state, entry.upstream, side.repeats) == ("created", FIRST, [True])
        assert works.sides["onlyoffice"].requests == []


async def test_when_its_time_is_over_it_is_not_sent_though_its_upstream_is_gone(tmp_path: Path) -> None:
    """It is concluded as any other, and its key is free again."""
    async with working(tmp_path, fallback=False) as works:
        await works.submit(preference=LATER)
    async with working(tmp_path, fallback=False, clock=works.clock, gone=(FIRST,)) as works:
        await works.work(POLICY.deliver_by)
        entry = await works.entry()
        assert (entry.state, stored(entry).upstream.name) == ("not_sent", FIRST)
        assert works.heard(Defect) == []
