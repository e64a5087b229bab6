"""What callers ask of the gateway: the same invoice again is never sent twice, and hears what became of it."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.core.errors import ExternalIdReused, Forbidden, NoRoute, Problem, TotalsMismatch, Untranslatable
from gateway.core.events import Answered, Claimed, Concluded, Reconciled, Replayed, Routed, Sending
from gateway.core.money import Amount
from gateway.core.plan import Caller
from gateway.core.result import NotSent, Outcome, Totals, Unknown
from gateway.core.results import stored_json
from gateway.shell.fresh import new_id
from gateway.shell.records import Verdict
from tests.support.engines import (
    BILLING,
    FIRST,
    KEY,
    LATER,
    NOT_SENT,
    QUIET,
    REJECTED,
    ROOT,
    SALES,
    SECOND,
    UNKNOWN,
    Side,
    created,
    working,
)
from tests.support.running import invoice, replaced

OTHER: dict[str, Any] = {"note": "another content"}


# ------------------------------------------------------------------ the first time


async def test_one_event_a_step_and_all_of_one_request(tmp_path: Path) -> None:
    """Routed, claimed, sending, answered, concluded; each names the request, and all but the first the invoice."""
    async with working(tmp_path) as works:
        result = (await works.submit()).result
        told: list[Any] = works.told
        assert [type(event) for event in told] == [Routed, Claimed, Sending, Answered, Concluded]
        assert {event.request_id for event in told} == {"request-1"}
        assert {event.invoice for event in told[1:]} == {result.id}
        (claimed,) = works.heard(Claimed)
        assert (claimed.external_id, claimed.client, claimed.upstream, claimed.waits) == (KEY, "billing", FIRST, False)
        (concluded,) = works.heard(Concluded)
        assert (concluded.rule, concluded.upstream, concluded.outcome) == ("default", FIRST, "created")
        assert (concluded.client, concluded.external_id) == ("billing", KEY)
        assert (concluded.currency, str(concluded.amount)) == ("USD", "492.00")
        assert 0 <= concluded.upstream_seconds <= concluded.seconds


async def test_the_times_of_an_invoice_are_those_that_passed(tmp_path: Path) -> None:
    """In all from its arrival, and those of the upstreams; each attempt with its own."""
    first, second = Side(NOT_SENT), Side(created("2"))
    async with working(tmp_path, chargeover=first, onlyoffice=second) as works:

        async def two() -> None:
            works.clock.seconds += 2.0

        async def three() -> None:
            works.clock.seconds += 3.0

        first.before, second.before = two, three
        works.store.arm("claim", two)
        result = (await works.submit()).result
        assert (result.timings.total, result.timings.upstream) == ("7.000", "5.000")
        assert [attempt.seconds for attempt in result.attempts] == ["2.000", "3.000"]
        assert [attempt.started_at for attempt in result.attempts] == [
            "2027-01-15T08:00:00.000Z",
            "2027-01-15T08:00:04.000Z",
        ]
        (concluded,) = works.heard(Concluded)
        assert (concluded.seconds, concluded.upstream_seconds) == (7.0, 5.0)


@pytest.mark.parametrize("outcome", [REJECTED, UNKNOWN, NOT_SENT])
async def test_only_a_created_invoice_has_a_time_and_a_body(outcome: Outcome, tmp_path: Path) -> None:
    """Nothing that looks like success in any other result."""
    async with working(tmp_path, chargeover=Side(outcome), onlyoffice=Side(outcome), katsupay=Side(outcome)) as works:
        result = (await works.submit()).result
        assert (result.created_at, result.invoice, result.adopted) == (None, None, False)
        assert result.outcome in ("rejected", "unknown", "not_sent")


async def test_the_id_at_the_upstream_of_another_invoice_is_a_doubt(tmp_path: Path) -> None:
    """One upstream invoice belongs to one entry (contract 6): two cannot both be it, so nobody knows of the second."""
    async with working(tmp_path, chargeover=Side(created("88"))) as works:
        assert (await works.submit()).result.outcome == "created"
        second = await works.submit(external_id="another")
        assert (second.result.outcome, second.result.invoice) == ("unknown", None)
        entry = await works.entry("another")
        assert (entry.state, entry.upstream_id) == ("unknown", None)
        assert entry.due_at is not None
        assert [event.outcome for event in works.heard(Concluded)] == ["created", "unknown"]
        assert (await works.submit()).result.outcome == "created"


# ------------------------------------------------------------------ again, after it was created


@pytest.mark.parametrize("first", [Side(created("1")), Side(NOT_SENT)], ids=["by the first", "by a stand-in"])
async def test_what_was_created_is_replayed_byte_for_byte(first: Side, tmp_path: Path) -> None:
    """The same key and content: the same answer, and no second exchange."""
    async with working(tmp_path, chargeover=first) as works:
        once = await works.submit()
        exchanges = len(works.heard(Sending))
        works.clock.seconds += 86_400.0 * 365
        for number in range(2, 5):
            again = await works.submit(request_id=f"request-{number}")
            assert again.replayed
            assert stored_json(again.entry) == stored_json(once.entry)
            assert again.result == once.result
        assert not once.replayed
        assert len(works.heard(Sending)) == exchanges
        assert [event.request_id for event in works.heard(Replayed)] == ["request-2", "request-3", "request-4"]
        assert {(event.invoice, event.outcome) for event in works.heard(Replayed)} == {(once.result.id, "created")}
        assert len(works.heard(Concluded)) == 1


async def test_the_same_content_may_be_written_in_another_way(tmp_path: Path) -> None:
    """Order of members, absent and default ones, `1.5` and `1.50`: it is the same invoice."""
    async with working(tmp_path) as works:
        await works.submit()
        lines = invoice()["lines"]
        for line in lines:
            line["quantity"] = line["quantity"] + ("0" if "." in line["quantity"] else ".00")
        again = await works.submit(lines=[dict(reversed(line.items())) for line in lines], prices_include_tax=False)
        assert again.replayed


async def test_after_a_restart_it_is_replayed(tmp_path: Path) -> None:
    """The journal is a file."""
    async with working(tmp_path) as works:
        once = await works.submit()
    async with working(tmp_path, clock=works.clock) as works:
        again = await works.submit()
        assert again.replayed
        assert stored_json(again.entry) == stored_json(once.entry)
        assert works.side.requests == []


CREATED_AT = replaced('name = "default"\nfallback', 'name = "default"\nwhen = { country = "DE" }\nfallback')


async def test_what_cannot_be_planned_any_more_is_replayed_if_it_was_created(tmp_path: Path) -> None:
    """The route is gone; what was done stays done, and what was not is refused."""
    async with working(tmp_path) as works:
        once = await works.submit()
    async with working(tmp_path, CREATED_AT, clock=works.clock) as works:
        again = await works.submit()
        assert again.replayed
        assert again.result == once.result
        with pytest.raises(ExternalIdReused):
            await works.submit(**OTHER)
        with pytest.raises(NoRoute):
            await works.submit(external_id="new")
        with pytest.raises(NoRoute):
            await works.submit(SALES)


async def test_what_cannot_be_planned_any_more_and_was_not_created_says_why(tmp_path: Path) -> None:
    """A key that nothing binds is no answer."""
    async with working(tmp_path, chargeover=Side(REJECTED)) as works:
        await works.submit()
    async with working(tmp_path, CREATED_AT, clock=works.clock) as works:
        with pytest.raises(NoRoute) as refused:
            await works.submit()
        assert refused.value.external_id == KEY


# ------------------------------------------------------------------ again, after a doubt


async def test_a_doubt_is_asked_about_and_what_is_found_is_adopted(tmp_path: Path) -> None:
    """The same key asks the upstream, and does not send; 200 with `adopted` and the content compared."""
    found = created("88", totals=Totals(amount_due=Amount("492.01")))
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=(found,))) as works:
        once = await works.submit()
        assert once.result.outcome == "unknown"
        again = await works.submit()
        assert (again.result.outcome, again.result.adopted, again.replayed) == ("created", True, True)
        assert again.result.id == once.result.id
        assert again.result.invoice == found.invoice
        assert [(one.pointer, one.expected, one.received) for one in again.result.discrepancies] == [
            ("/totals/amount_due", "492.00", "492.01")
        ]
        assert [(one.upstream, one.outcome) for one in again.result.attempts] == [(FIRST, "unknown")]
        assert (works.side.posts, works.side.looks) == (1, 1)
        third = await works.submit()
        assert stored_json(third.entry) == stored_json(again.entry)
        assert (works.side.posts, works.side.looks) == (1, 1)


async def test_what_is_absent_before_its_time_stays_in_doubt(tmp_path: Path) -> None:
    """It may still appear: nothing is sent, and the caller hears when to ask again."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        await works.submit()
        works.clock.seconds += QUIET - 3.0
        again = await works.submit()
        assert again.result.outcome == "unknown"
        assert again.retry_after == 3.0
        assert (works.side.posts, works.side.looks) == (1, 1)


async def test_what_is_absent_after_its_time_is_sent_once_more(tmp_path: Path) -> None:
    """Under the same id; the second result is the invoice's."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, created("2"))) as works:
        once = await works.submit()
        works.clock.seconds += QUIET
        again = await works.submit()
        assert (again.result.outcome, again.replayed) == ("created", False)
        assert again.result.id == once.result.id
        assert (works.side.posts, works.side.looks) == (2, 1)
        assert [event.finding for event in works.heard(Reconciled)] == ["absent"]


async def test_where_nobody_can_be_asked_a_doubt_stays_one(tmp_path: Path) -> None:
    """For ever, whoever asks; nothing is sent."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=None)) as works:
        await works.submit()
        doubt = await works.entry()
        assert (doubt.state, doubt.due_at) == ("unknown", None)
        for _ in range(3):
            works.clock.seconds += 86_400.0
            again = await works.submit()
            assert (again.result.outcome, again.replayed, again.retry_after) == ("unknown", True, None)
        assert len(works.side.requests) == 1
        assert await works.entry() == doubt


@pytest.mark.parametrize("said", [NotSent("connect", "refused"), Unknown("timeout", "no answer")])
async def test_a_doubt_that_nobody_answers_stays_one(said: NotSent | Unknown, tmp_path: Path) -> None:
    """The upstream cannot be reached, however long ago it was; nothing is sent."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=(said,))) as works:
        await works.submit()
        works.clock.seconds += 86_400.0
        again = await works.submit()
        assert again.result.outcome == "unknown"
        assert again.retry_after == 5.0
        assert (works.side.posts, works.side.looks) == (1, 1)


async def test_a_doubt_about_an_upstream_that_is_gone_stays_one(tmp_path: Path) -> None:
    """Its absence from the configuration proves nothing; no other upstream sees the invoice."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        await works.submit(labels={"product": "fleet"})
    elsewhere = replaced('to = "chargeover-us"', 'to = "onlyoffice-eu"')
    async with working(tmp_path, elsewhere, fallback=False, clock=works.clock, gone=(FIRST,)) as works:
        works.clock.seconds += 86_400.0
        again = await works.submit(labels={"product": "fleet"})
        assert (again.result.outcome, again.result.upstream.name) == ("unknown", FIRST)
        assert works.sides["onlyoffice"].requests == []


async def test_a_reference_that_belongs_to_another_is_refused(tmp_path: Path) -> None:
    """Nothing is adopted twice (contract 6): the second invoice hears which reference is taken."""
    side = Side(created("88"), UNKNOWN, lookups=(created("88"),))
    async with working(tmp_path, chargeover=side) as works:
        await works.submit()
        await works.submit(external_id="another")
        again = await works.submit(external_id="another")
        assert again.result.outcome == "rejected"
        assert again.result.upstream.code == "taken"
        assert "88" in (again.result.upstream.message or "")
        assert [event.finding for event in works.heard(Reconciled)] == ["taken"]
        assert works.side.posts == 2


# ------------------------------------------------------------------ again, after it was certainly not created


@pytest.mark.parametrize("changes", [{}, OTHER], ids=["the same", "corrected"])
@pytest.mark.parametrize("first", [REJECTED, NOT_SENT])
async def test_what_was_not_created_may_be_sent_again(first: Outcome, changes: dict[str, Any], tmp_path: Path) -> None:
    """Under the same key and the same id, corrected or not; the second outcome counts."""
    sides = {dialect: Side(first, created(f"{dialect}-2")) for dialect in ("chargeover", "onlyoffice", "katsupay")}
    async with working(
        tmp_path, chargeover=sides["chargeover"], onlyoffice=sides["onlyoffice"], katsupay=sides["katsupay"]
    ) as works:
        once = await works.submit()
        works.clock.seconds += 1.0
        again = await works.submit(**changes)
        assert (again.result.outcome, again.replayed) == ("created", False)
        assert again.result.id == once.result.id
        assert works.side.posts == 2
        assert [one.outcome for one in again.result.attempts] == ["created"]
        entry = await works.entry()
        assert (entry.upstream_id, entry.created_at) == ("chargeover-2", 1_800_000_000.0)


async def test_an_operators_not_sent_frees_the_key(tmp_path: Path) -> None:
    """As any other."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, created("2"), lookups=None)) as works:
        once = await works.submit()
        await works.engine.records.resolve(once.result.id, Verdict("not_sent", "looked"), ROOT)
        again = await works.submit(**OTHER)
        assert (again.result.outcome, again.result.id) == ("created", once.result.id)


# ------------------------------------------------------------------ other content


@pytest.mark.parametrize("end", [created("1"), UNKNOWN])
async def test_a_bound_key_takes_no_other_content(end: Outcome, tmp_path: Path) -> None:
    """After created and unknown; says which invoice has it, and nothing is sent or asked."""
    async with working(tmp_path, chargeover=Side(end)) as works:
        once = await works.submit()
        works.clock.seconds += 86_400.0
        with pytest.raises(ExternalIdReused) as refused:
            await works.submit(**OTHER)
        assert (refused.value.invoice, refused.value.external_id) == (once.result.id, KEY)
        assert len(works.side.requests) == 1


async def test_a_key_that_is_under_way_takes_no_other_content(tmp_path: Path) -> None:
    """At once: neither while it waits nor while it is being sent."""
    async with working(tmp_path) as works:
        await works.submit(preference=LATER, external_id="waits")
        with pytest.raises(ExternalIdReused):
            await works.submit(external_id="waits", **OTHER)
        sending = await works.held()
        with pytest.raises(ExternalIdReused):
            await works.submit(**OTHER)
        works.side.open.set()
        assert (await sending).result.outcome == "created"
        assert works.side.posts == 1


async def test_each_client_has_its_own_keys(tmp_path: Path) -> None:
    """Two clients with one external_id are two invoices."""
    async with working(tmp_path, chargeover=Side(created("1"), created("2"))) as works:
        one, other = await works.submit(BILLING), await works.submit(SALES, **OTHER)
        assert one.result.id != other.result.id
        assert (one.result.outcome, other.result.outcome) == ("created", "created")
        assert not other.replayed
        assert works.side.posts == 2


# ------------------------------------------------------------------ what is refused leaves nothing behind


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({"totals": {"amount_due": "1.00"}}, TotalsMismatch), ({"customer": {"id": "nobody"}}, Untranslatable)],
)
async def test_what_is_refused_before_it_is_claimed_binds_nothing(
    changes: dict[str, Any], problem: type[Problem], tmp_path: Path
) -> None:
    """Everything that can be known beforehand is, so that no key is left half open."""
    async with working(tmp_path) as works:
        with pytest.raises(problem):
            await works.submit(**changes)
        assert await works.store.inner.find("billing", KEY) is None
        assert works.told == []
        assert (await works.submit()).result.outcome == "created"


async def test_a_client_that_may_not_use_the_upstream_is_refused(tmp_path: Path) -> None:
    """Nor is a fallback that it may not use ever tried."""
    async with working(tmp_path, chargeover=Side(NOT_SENT)) as works:
        with pytest.raises(Forbidden):
            await works.submit(Caller("narrow", upstreams=frozenset({SECOND})))
        narrow = Caller("narrow", upstreams=frozenset({FIRST}))
        assert (await works.submit(narrow)).result.outcome == "not_sent"
        assert works.sides["onlyoffice"].requests == []


# ------------------------------------------------------------------ ids


def test_new_ids_differ_and_begin_with_now() -> None:
    """A thousand at once."""
    found = [new_id() for _ in range(1000)]
    assert len(set(found)) == 1000
    stated = datetime.fromtimestamp((UUID(found[0]).int >> 80) / 1000, UTC)
    assert abs((datetime.now(UTC) - stated).total_seconds()) < 60
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one) for one in found
    )
