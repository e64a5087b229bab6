"""Retries: of what was certainly not sent, under one claim and before one deadline; and a caller's own deadline."""

import asyncio
from itertools import product
from pathlib import Path

import pytest
from msgspec import structs

from gateway.core.answer import moment
from gateway.core.breaker import Closed, Open, Rules
from gateway.core.errors import InProgress
from gateway.core.events import Answered, Retried, Sending
from gateway.core.policy import RETRIED
from gateway.core.result import NotSent, Outcome
from gateway.core.results import stored
from gateway.shell import delivery
from gateway.shell.gateway import Preference
from tests.support.engines import (
    FIRST,
    LATER,
    NOT_SENT,
    POLICY,
    QUIET,
    REJECTED,
    SECOND,
    TIMEOUT,
    UNKNOWN,
    Side,
    Works,
    created,
    until,
    working,
)

THRICE = structs.replace(POLICY, attempts=3)
BUSY = NotSent("rate-limited", "too many", 429, 4.0)
SOON = NotSent("rate-limited", "too many", 429, 0.0)
TURNED_AWAY = NotSent("unauthorized", "who?", 401)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each pause between retries; no time goes by in them."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(delivery, "sleep", sleep)
    return slept


def sent_to(works: Works) -> list[str]:
    """The upstreams of the exchanges, in order."""
    return [event.upstream for event in works.heard(Sending)]


# ------------------------------------------------------------------ every history

SAYS: dict[str, Outcome] = {"no": NOT_SENT, "away": TURNED_AWAY, "unknown": UNKNOWN, "bad": REJECTED}
ENDS = {"no": "not_sent", "away": "not_sent", "unknown": "unknown", "bad": "rejected", "made": "created"}
ANSWERS = [
    says for length in (1, 2, 3) for says in product(ENDS, repeat=length) if "no" not in says[-1:] or length == 3
]


@pytest.mark.usefixtures("pauses")
async def test_in_every_history_only_what_was_not_sent_is_sent_again(tmp_path: Path) -> None:
    """Of up to three answers: it ends at the first that is not a missing connection, and lists each attempt."""
    side = Side()
    async with working(tmp_path, fallback=False, policy=THRICE, chargeover=side) as works:
        for number, says in enumerate(ANSWERS):
            side.creations = [SAYS.get(said) or created(f"id-{number}") for said in says]
            before = len(works.heard(Sending))
            result = (await works.submit(external_id=f"history-{number}")).result
            asked = next((count for count, said in enumerate(says, 1) if said != "no"), len(says))
            assert len(works.heard(Sending)) - before == asked, says
            assert result.outcome == ENDS[says[asked - 1]], says
            assert [one.outcome for one in result.attempts] == ["not_sent"] * (asked - 1) + [result.outcome], says


# ------------------------------------------------------------------ what is tried again, and when


@pytest.mark.parametrize("reason", RETRIED)
async def test_what_was_certainly_not_sent_is_tried_again(reason: str, tmp_path: Path, pauses: list[float]) -> None:
    """Three times in all, under the one claim that is durable; each is told, and listed."""
    side = Side(NotSent(reason, "no"), NotSent(reason, "no"), created("1"))
    async with working(tmp_path, policy=THRICE, jitter=1.0, chargeover=side) as works:
        claims = list[str]()

        async def look() -> None:
            claims.append((await works.dispatch()).claim)

        side.before = look
        answer = await works.submit()
        assert answer.result.outcome == "created"
        assert [one.outcome for one in answer.result.attempts] == ["not_sent", "not_sent", "created"]
        assert len(set(claims)) == 1
        assert pauses == [0.05, 0.2]
        assert [(told.upstream, told.reason, told.seconds) for told in works.heard(Retried)] == [
            (FIRST, reason, 0.05),
            (FIRST, reason, 0.2),
        ]


@pytest.mark.parametrize("end", [TURNED_AWAY, NotSent("mapping", "x"), UNKNOWN, REJECTED, created("1")])
@pytest.mark.usefixtures("pauses")
async def test_nothing_else_is_tried_again(end: Outcome, tmp_path: Path) -> None:
    """What may exist, what was refused, and what would be refused again."""
    async with working(tmp_path, fallback=False, policy=THRICE, chargeover=Side(end)) as works:
        await works.submit()
        assert (works.side.posts, works.heard(Retried)) == (1, [])


@pytest.mark.usefixtures("pauses")
async def test_after_so_many_tries_another_stands_in(tmp_path: Path) -> None:
    """Each has its own tries."""
    async with working(tmp_path, policy=THRICE, chargeover=Side(NOT_SENT), onlyoffice=Side(NOT_SENT)) as works:
        answer = await works.submit()
        assert answer.result.outcome == "created"
        assert sent_to(works) == [FIRST] * 3 + [SECOND] * 3 + ["katsupay-lagos"]


async def test_the_upstreams_own_word_on_when_is_kept(tmp_path: Path, pauses: list[float]) -> None:
    """`Retry-After`, if it ends before the deadline; else nobody waits for it."""
    async with working(tmp_path, fallback=False, policy=THRICE, chargeover=Side(BUSY, SOON, created("1"))) as works:
        assert (await works.submit()).result.outcome == "created"
        assert pauses == [4.0, 0.0]
        works.side.creations = [structs.replace(BUSY, retry_after=TIMEOUT), created("2")]
        answer = await works.submit(external_id="another")
        assert (answer.result.outcome, answer.retry_after) == ("not_sent", TIMEOUT)
        assert pauses == [4.0, 0.0]


async def test_each_attempt_says_when_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when the first of them did."""
    async with working(tmp_path, policy=THRICE, fallback=False, chargeover=Side(BUSY, created("1"))) as works:

        async def sleep(seconds: float) -> None:
            works.clock.seconds += seconds

        monkeypatch.setattr(delivery, "sleep", sleep)
        result = (await works.submit()).result
        began = [moment(works.clock() - passed) for passed in (BUSY.retry_after or 0.0, 0.0)]
        assert [one.started_at for one in result.attempts] == began


async def test_retries_end_with_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them together have the time of one."""
    side = Side(NOT_SENT)
    policy = structs.replace(POLICY, attempts=10)
    async with working(tmp_path, fallback=False, policy=policy, jitter=1.0, chargeover=side) as works:

        async def sleep(_: float) -> None:
            works.clock.seconds += 3.0

        monkeypatch.setattr(delivery, "sleep", sleep)
        assert (await works.submit()).result.outcome == "not_sent"
        assert side.left == [TIMEOUT, TIMEOUT - 3.0, TIMEOUT - 6.0, TIMEOUT - 9.0]


# ------------------------------------------------------------------ the caller's deadline


async def test_a_caller_may_have_less_time(tmp_path: Path) -> None:
    """Its deadline counts from when it came, and is durable with the claim; never longer than the upstream's own."""
    for within, left in ((4.0, 4.0), (1000.0, TIMEOUT)):
        folder = tmp_path / str(within)
        folder.mkdir()
        async with working(folder) as works:
            await works.submit(preference=Preference(within=within))
            assert works.side.left == [left]
            assert (await works.dispatch()).quiet_until == works.clock() + left + QUIET - TIMEOUT


async def test_a_callers_deadline_holds_for_those_who_stand_in(tmp_path: Path) -> None:
    """What the first took is taken off; where none is left nothing is sent."""
    first, second = Side(NOT_SENT), Side(NOT_SENT)
    async with working(tmp_path, chargeover=first, onlyoffice=second) as works:

        async def slowly() -> None:
            works.clock.seconds += 3.0

        first.before = second.before = slowly
        result = (await works.submit(preference=Preference(within=5.0))).result
        assert (first.left, second.left) == ([2.0], [-1.0])
        assert result.outcome == "not_sent"
        assert works.sides["katsupay"].requests == []


@pytest.mark.parametrize("end", [NotSent("connect-timeout", "no connection"), UNKNOWN])
async def test_who_has_no_time_does_not_close_the_upstream_to_others(end: Outcome, tmp_path: Path) -> None:
    """Less than half of what the upstream may take; who had more learned something of its health."""
    policy = structs.replace(POLICY, breaker=Rules(min_calls=2))
    async with working(tmp_path, policy=policy, fallback=False, chargeover=Side(end)) as works:
        lane = works.engine.current().exchanges.lanes[FIRST]
        for number in range(10):
            await works.submit(external_id=f"hurried-{number}", preference=Preference(within=0.1))
        assert isinstance(lane.breaker, Closed)
        for number in range(2):
            await works.submit(external_id=f"patient-{number}", preference=Preference(within=TIMEOUT / 2))
        assert isinstance(lane.breaker, Open)


async def test_a_callers_deadline_holds_for_a_doubt_that_it_asks_about(tmp_path: Path) -> None:
    """And where it was too short for an answer, the worker looks no later for that."""
    side = Side(UNKNOWN, lookups=(UNKNOWN, created("9")))
    async with working(tmp_path, chargeover=side) as works:
        await works.submit()
        before = await works.entry()
        assert (await works.submit(preference=Preference(within=0.5))).result.outcome == "unknown"
        assert (side.left, await works.entry()) == ([TIMEOUT, 0.5], before)
        assert (await works.submit(preference=Preference(within=0.5))).result.adopted


async def test_what_is_left_to_the_gateway_has_its_own_time(tmp_path: Path) -> None:
    """Its caller does not wait."""
    async with working(tmp_path) as works:
        await works.submit(preference=structs.replace(LATER, within=0.001))
        await works.work()
        assert works.side.left == [TIMEOUT]


async def test_whoever_waits_for_another_waits_no_longer_than_it_has(tmp_path: Path) -> None:
    """The first goes on."""
    async with working(tmp_path) as works:
        sending = await works.held()
        async with asyncio.timeout(2):
            with pytest.raises(InProgress):
                await works.submit(preference=Preference(within=0.05))
        works.side.open.set()
        assert (await sending).result.outcome == "created"


# ------------------------------------------------------------------ an upstream that is left alone


async def test_while_it_is_left_alone_another_stands_in_at_once(tmp_path: Path, pauses: list[float]) -> None:
    """No time is lost with an upstream that does not work; without another the caller hears when to come again."""
    policy = structs.replace(THRICE, breaker=Rules(min_calls=2, open=15.0))
    side = Side(UNKNOWN)
    async with working(tmp_path, policy=policy, chargeover=side) as works:
        for number in range(2):
            await works.submit(external_id=f"first-{number}")
        assert isinstance(works.engine.current().exchanges.lanes[FIRST].breaker, Open)
        answer = await works.submit(external_id="next")
        assert (answer.result.outcome, answer.result.upstream.name) == ("created", SECOND)
        assert [one.reason for one in works.heard(Answered)][-2:] == ["breaker", None]
        assert (side.posts, pauses) == (2, [])
    (alone := tmp_path / "alone").mkdir()
    async with working(alone, fallback=False, policy=policy, chargeover=Side(UNKNOWN)) as works:
        for number in range(2):
            await works.submit(external_id=f"first-{number}")
        answer = await works.submit(external_id="next")
        assert (answer.result.outcome, answer.retry_after) == ("not_sent", 15.0)


async def test_a_doubt_is_not_looked_into_while_its_upstream_is_left_alone(tmp_path: Path) -> None:
    """It stays a doubt, and is looked into later; an answer to that lets everybody through again."""
    policy = structs.replace(POLICY, breaker=Rules(min_calls=1, open=100.0))
    async with working(tmp_path, policy=policy, chargeover=Side(UNKNOWN, lookups=[created("9")])) as works:
        await works.submit()
        await works.work(1.0)
        assert ((await works.entry()).state, works.side.looks) == ("unknown", 0)
        await works.work(100.0)
        assert stored(await works.entry()).adopted
        assert (await works.submit(external_id="next")).result.outcome == "unknown"


async def test_a_worker_does_not_queue_where_callers_wait(tmp_path: Path) -> None:
    """What was left to the gateway waits in the journal instead, and holds nobody up."""
    side = Side(created("1"), created("2"))
    async with working(tmp_path, places=1, fallback=False, chargeover=side) as works:
        sending = await works.held(external_id="first")
        await works.submit(preference=LATER)
        await works.work()
        assert (await works.entry()).state == "waiting"
        works.side.open.set()
        await sending
        await works.work(100.0)
        assert (await works.entry()).state == "created"


async def test_who_waits_before_another_try_does_not_fill_the_gateway(tmp_path: Path) -> None:
    """As many as may wait in the queue; the others hear at once when the upstream wants to be asked again."""
    policy = structs.replace(THRICE, at_once=4)
    async with working(tmp_path, policy=policy, queue=2, fallback=False, chargeover=Side(BUSY)) as works:
        waiting = [asyncio.create_task(works.submit(external_id=f"waits-{number}")) for number in range(2)]
        await until(lambda: len(works.heard(Retried)) == 2)
        no = await works.submit(external_id="one-more")
        assert (no.result.outcome, no.retry_after) == ("not_sent", BUSY.retry_after)
        assert (await works.submit(external_id="else", labels={"product": "crm"})).result.outcome == "created"
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        again = asyncio.create_task(works.submit(external_id="later"))
        await until(lambda: len(works.heard(Retried)) == 3)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)


async def test_who_waits_for_what_another_sends_does_not_fill_the_gateway(tmp_path: Path) -> None:
    """The same callers again and again, or many who leave it to the gateway and wait: some hear at once how it is."""
    async with working(tmp_path, queue=2, fallback=False) as works:
        first = await works.held()
        others = [asyncio.create_task(works.submit()) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(InProgress):
            await works.submit()
        later = await works.submit(external_id="later", preference=Preference(respond_async=True, wait=60.0))
        assert later.result.outcome == "pending"
        works.side.open.set()
        assert {answer.result.outcome for answer in await asyncio.gather(first, *others)} == {"created"}


async def test_an_upstream_that_hangs_holds_nobody_else_up(tmp_path: Path) -> None:
    """Its places and its queue are full; who goes elsewhere does not notice."""
    hangs, well = (Side(*(created(str(number)) for number in range(20))) for _ in range(2))
    async with working(tmp_path, places=2, queue=2, fallback=False, chargeover=hangs, onlyoffice=well) as works:
        works.side.open.clear()
        hanging = [asyncio.create_task(works.submit(external_id=f"hangs-{number}")) for number in range(4)]
        await until(lambda: works.engine.current().exchanges.lanes[FIRST].waiting == 2)
        no = await works.submit(external_id="one-more")
        assert (no.result.outcome, no.retry_after) == ("not_sent", 1.0)
        for number in range(10):
            answer = await works.submit(external_id=f"else-{number}", labels={"product": "crm"})
            assert answer.result.outcome == "created"
        works.side.open.set()
        assert {(await task).result.outcome for task in hanging} == {"created"}
