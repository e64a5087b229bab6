"""Records: each client sees its own, operators see all, and an operator's word settles a doubt once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import (
    AlreadyConcluded,
    Forbidden,
    InProgress,
    InvalidRequest,
    JournalUnavailable,
    NotFound,
    Problem,
)
from gateway.core.events import Resolved
from gateway.core.plan import Caller
from gateway.core.result import Absent
from gateway.core.results import stored
from gateway.shell.journal import Query
from gateway.shell.records import Verdict
from tests.support.engines import (
    BILLING,
    FIRST,
    KEY,
    LATER,
    NOT_SENT,
    REJECTED,
    ROOT,
    SALES,
    UNKNOWN,
    Script,
    Side,
    Works,
    created,
    working,
)

CREATED = Verdict("created", "seen there", "4711")
ABSENT = Verdict("not_sent", "not there")


async def resolve(works: Works, entry_id: str, verdict: Verdict = CREATED, caller: Caller = ROOT) -> Any:
    """An operator's word; the result."""
    return await works.engine.records.resolve(entry_id, verdict, caller)


async def doubt(works: Works, **changes: Any) -> str:
    """The id of an invoice in doubt."""
    result = (await works.submit(**changes)).result
    assert result.outcome == "unknown"
    return result.id


# ------------------------------------------------------------------ reading


async def test_an_entry_is_its_clients_and_every_operators(tmp_path: Path) -> None:
    """For everybody else it is as if there were none."""
    async with working(tmp_path) as works:
        entry = (await works.submit()).entry
        for caller in (BILLING, ROOT, Caller("billing", upstreams=frozenset())):
            assert await works.engine.records.read(entry.id, caller) == await works.entry()
        with pytest.raises(NotFound, match=entry.id):
            await works.engine.records.read(entry.id, SALES)
        with pytest.raises(NotFound, match='no invoice "x"'):
            await works.engine.records.read("x", ROOT)


async def test_a_page_is_of_the_caller_whatever_it_asks_for(tmp_path: Path) -> None:
    """An operator may ask for one client's, or for everybody's."""
    async with working(tmp_path, chargeover=Side(*map(created, "123"))) as works:
        for caller in (BILLING, SALES, ROOT):
            await works.submit(caller)
            works.clock.seconds += 1
        wanted = {
            (BILLING, None): ["billing"],
            (BILLING, "sales"): ["billing"],
            (SALES, "billing"): ["sales"],
            (ROOT, None): ["root", "sales", "billing"],
            (ROOT, "billing"): ["billing"],
            (ROOT, "nobody"): [],
            (Caller("nobody"), None): [],
        }
        for (caller, client), clients in wanted.items():
            found = await works.engine.records.page(Query(client=client), caller)
            assert [entry.client for entry in found] == clients
        assert len(await works.engine.records.page(Query(limit=2), ROOT)) == 2


@pytest.mark.parametrize("entry_id", ["\0", "1\x1f", "\udc80"])
async def test_an_id_that_no_store_can_hold_is_nobodys(entry_id: str, tmp_path: Path) -> None:
    """PostgreSQL has no NUL in a text; the journal is not asked, and does not fail."""
    async with working(tmp_path) as works:
        works.store.down = True
        with pytest.raises(NotFound):
            await works.engine.records.read(entry_id, ROOT)


async def test_what_cannot_be_read_is_a_problem_of_the_journal(tmp_path: Path) -> None:
    """Nothing is invented."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        entry_id = await doubt(works)
        works.store.down = True
        for asking in (
            works.engine.records.read(entry_id, BILLING),
            works.engine.records.page(Query(), BILLING),
            works.engine.records.resolve(entry_id, CREATED, ROOT),
        ):
            with pytest.raises(JournalUnavailable):
                await asking
        works.store.mend()
        works.store.arm("replace", "fails")
        with pytest.raises(JournalUnavailable):
            await resolve(works, entry_id)
        assert (await works.entry()).state == "unknown"
        assert works.heard(Resolved) == []


# ------------------------------------------------------------------ an operator's word


async def test_an_operators_created_ends_a_doubt(tmp_path: Path) -> None:
    """Durable, with the id there, who, why and when; callers hear it from then on, and the worker lets it be."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        entry_id = await doubt(works)
        works.clock.seconds += 7
        result = await resolve(works, entry_id)
        entry = await works.entry()
        assert stored(entry) == result
        assert (entry.state, entry.upstream_id, entry.due_at, entry.doubted_at) == ("created", "4711", None, None)
        assert (result.outcome, result.adopted, result.invoice.id) == ("created", False, "4711")
        assert result.created_at == result.resolution.at == "2027-01-15T08:00:07.000Z"
        assert (result.resolution.by, result.resolution.reason) == ("root", "seen there")
        assert [attempt.outcome for attempt in result.attempts] == ["unknown"]
        assert works.heard(Resolved) == [Resolved(entry_id, FIRST, "created", "root")]
        answer = await works.submit()
        assert (answer.replayed, answer.result) == (True, result)
        await works.work(3600)
        assert (works.side.posts, works.side.looks) == (1, 0)


async def test_an_operators_not_sent_frees_the_key(tmp_path: Path) -> None:
    """With other content too; the id of the gateway stays."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, created("2"))) as works:
        entry_id = await doubt(works)
        result = await resolve(works, entry_id, ABSENT)
        assert (result.outcome, result.created_at, result.invoice) == ("not_sent", None, None)
        answer = await works.submit(note="corrected")
        assert (answer.result.outcome, answer.result.id, answer.replayed) == ("created", entry_id, False)
        assert answer.result.resolution is None
        assert works.side.posts == 2


@pytest.mark.parametrize("verdict", [CREATED, ABSENT, Verdict("created", "no id to be had")])
async def test_to_say_the_same_again_changes_nothing(verdict: Verdict, tmp_path: Path) -> None:
    """Whoever says it, and for whatever reason: the first word stands, and is told once."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        entry_id = await doubt(works)
        first = await resolve(works, entry_id, verdict)
        entry = await works.entry()
        again = Verdict(verdict.outcome, "another reason", verdict.upstream_id)
        assert await resolve(works, entry_id, again, Caller("second", operator=True)) == first
        assert await works.entry() == entry
        assert len(works.heard(Resolved)) == 1


@pytest.mark.parametrize("second", [ABSENT, Verdict("created", "x", "4712"), Verdict("created", "x")])
async def test_to_say_otherwise_is_too_late(second: Verdict, tmp_path: Path) -> None:
    """Another outcome, or another id."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        entry_id = await doubt(works)
        await resolve(works, entry_id)
        with pytest.raises(AlreadyConcluded, match="created") as caught:
            await resolve(works, entry_id, second)
        assert (caught.value.invoice, caught.value.external_id) == (entry_id, KEY)


async def test_only_an_operator_may_resolve(tmp_path: Path) -> None:
    """Nobody else learns even whether there is such an invoice."""
    async with working(tmp_path, chargeover=Side(UNKNOWN)) as works:
        entry_id = await doubt(works)
        for caller in (BILLING, SALES):
            for asked_for in (entry_id, "none"):
                with pytest.raises(Forbidden):
                    await resolve(works, asked_for, CREATED, caller)
        with pytest.raises(NotFound):
            await resolve(works, "none")
        assert (await works.entry()).state == "unknown"


@pytest.mark.parametrize("said", [created("4711"), REJECTED, NOT_SENT])
@pytest.mark.parametrize("verdict", [CREATED, ABSENT])
async def test_what_the_upstream_said_no_operator_overrules(said: Script, verdict: Verdict, tmp_path: Path) -> None:
    """It was no doubt, even if the words are the same."""
    async with working(tmp_path, fallback=False, chargeover=Side(said)) as works:
        entry = (await works.submit()).entry
        with pytest.raises(AlreadyConcluded, match=entry.state):
            await resolve(works, entry.id, verdict)
        assert await works.entry() == entry


async def test_what_is_under_way_cannot_be_resolved(tmp_path: Path) -> None:
    """Neither what waits nor what is being sent."""
    async with working(tmp_path) as works:
        waiting = (await works.submit(external_id="waits", preference=LATER)).entry
        sending = await works.held()
        for entry in (waiting, await works.entry()):
            with pytest.raises(InProgress) as caught:
                await resolve(works, entry.id)
            assert (caught.value.invoice, caught.value.external_id) == (entry.id, entry.external_id)
        works.side.open.set()
        assert (await sending).result.outcome == "created"


async def test_an_id_that_is_anothers_is_refused_and_nothing_changed(tmp_path: Path) -> None:
    """The fault names the member; the right id is taken afterwards."""
    async with working(tmp_path, chargeover=Side(created("4711"), UNKNOWN)) as works:
        await works.submit(external_id="first")
        entry_id = await doubt(works)
        before = await works.entry()
        with pytest.raises(InvalidRequest, match='"4711" to another') as caught:
            await resolve(works, entry_id)
        assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/upstream_id", "taken")]
        assert await works.entry() == before
        assert (await resolve(works, entry_id, Verdict("created", "x", "4712"))).outcome == "created"


async def test_a_doubt_that_changes_meanwhile_is_read_again(tmp_path: Path) -> None:
    """The worker found it first: its finding stands, and the operator is told to look again."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=[created("99")])) as works:
        entry_id = await doubt(works)
        works.store.arm("replace", lambda: works.work(60))
        with pytest.raises(InProgress, match="read it again"):
            await resolve(works, entry_id)
        result = stored(await works.entry())
        assert (result.adopted, result.invoice and result.invoice.id) == (True, "99")
        assert works.heard(Resolved) == []


async def test_of_two_operators_one_is_heard(tmp_path: Path) -> None:
    """At the same moment, of different minds."""
    async with working(tmp_path, chargeover=Side(UNKNOWN, lookups=[Absent("nothing")])) as works:
        entry_id = await doubt(works)
        both = (resolve(works, entry_id), resolve(works, entry_id, ABSENT))
        found = await asyncio.gather(*both, return_exceptions=True)
        assert len([one for one in found if isinstance(one, Problem)]) == 1
        assert len(works.heard(Resolved)) == 1
        assert (await works.entry()).state == works.heard(Resolved)[0].outcome
