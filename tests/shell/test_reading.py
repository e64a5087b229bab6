"""Reading back over real sockets: results, pages of lists, upstreams' own words, verdicts, a store that fails."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout

from gateway.core.ids import uuid7
from gateway.shell import logs
from gateway.shell.configuration import load
from gateway.shell.journal.sqlite import SqliteStore
from gateway.shell.service import Service
from tests.support.engines import Gated
from tests.support.running import Answer, World, added, configured, invoice, running, sandbox
from tests.support.stores import entry, opened

CLIENTS = added("""
[clients.billing]
token = "of-billing"
[clients.sales]
token = "of-sales"
[clients.root]
token = "of-root"
operator = true
""")
BILLING, SALES, ROOT = ({"Authorization": f"Bearer of-{name}"} for name in ("billing", "sales", "root"))
NOBODY = "01900000-0000-7000-8000-000000000000"
NEVER = added('[reconcile]\ndelays = ["1h"]')
CREATED = {"outcome": "created", "upstream_id": "INV-77", "reason": "seen in the portal"}
NOT_SENT = {"outcome": "not_sent", "reason": "the portal does not have it"}


async def send(world: World, dialect: str, who: Mapping[str, str] = BILLING, **changes: Any) -> Answer:
    """An invoice of a client's."""
    return await world.send(invoice(dialect, **changes), headers=who)


async def listed(world: World, query: str = "", who: Mapping[str, str] = BILLING) -> tuple[list[str], str | None]:
    """The external_ids of a page, and the cursor of the next."""
    answer = await world.api("GET", f"/v1/invoices{query}", headers=who)
    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, "application/json")
    assert set(answer.json) == {"items", "next"}
    return [one["external_id"] for one in answer.json["items"]], answer.json["next"]


async def each_outcome(world: World) -> dict[str, Answer]:
    """An invoice of each outcome; its external_id is the outcome."""
    found = {"created": await send(world, "chargeover", external_id="created")}
    await world.arm("katsupay", "succeeded-false", method="POST")
    found["rejected"] = await send(world, "katsupay", external_id="rejected")
    await world.arm("onlyoffice", "rate-limit", method="POST", retry_after=60)
    found["not_sent"] = await send(world, "onlyoffice", external_id="not_sent")
    await world.arm("mykaarma", "store-then-reset", method="POST")
    found["unknown"] = await send(world, "mykaarma", external_id="unknown")
    await world.arm("exsited", "rate-limit", path="/invoices", retry_after=60, times=0)
    later = BILLING | {"Prefer": "respond-async"}
    found["pending"] = await send(world, "exsited", later, external_id="pending")
    return found


def refused(answer: Answer, status: int, slug: str) -> dict[str, Any]:
    """A problem with this status and slug; its members."""
    assert (answer.status, answer.json["type"]) == (status, f"/problems/{slug}"), answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = answer.json
    return found


# ------------------------------------------------------------------ one invoice


async def test_a_client_reads_its_own_invoice_and_an_operator_every(tmp_path: Path) -> None:
    """Byte for byte the answer that the sender had; for others, and for ids that are none, there is nothing."""
    async with running(tmp_path, CLIENTS) as world:
        first = await send(world, "chargeover")
        place = first.headers["Location"]
        assert place == f"/v1/invoices/{first.json['id']}"
        for who in (BILLING, ROOT):
            read = await world.api("GET", place, headers=who)
            assert (read.status, read.content) == (200, first.content)
        anothers = refused(await world.api("GET", place, headers=SALES), 404, "not-found")
        assert anothers["retryable"] is False
        for text in (NOBODY, "x", "%00", "%FF", "..%2Fupstreams", "a" * 2000):
            refused(await world.api("GET", f"/v1/invoices/{text}", headers=BILLING), 404, "not-found")
        assert anothers["detail"].replace(first.json["id"], "") == 'there is no invoice ""'
        refused(await world.api("GET", place), 401, "unauthenticated")


async def test_every_outcome_can_be_read(tmp_path: Path) -> None:
    """200 with the outcome, also where the sender was told a problem, at the id that the problem named."""
    async with running(tmp_path, CLIENTS, NEVER) as world:
        for outcome, answer in (await each_outcome(world)).items():
            told = answer.json.get("invoice") if answer.status >= 400 else answer.json["id"]
            read = await world.api("GET", f"/v1/invoices/{told}", headers=BILLING)
            assert (read.status, read.json["outcome"], read.json["external_id"]) == (200, outcome, outcome)
            assert (read.json["invoice"] is not None) is (outcome == "created")
            assert bool(read.json.get("errors")) is (outcome == "rejected")


# ------------------------------------------------------------------ the upstream's own words


async def test_the_upstreams_own_words_come_with_every_answer_that_asks_for_them(tmp_path: Path) -> None:
    """On the creation, its replay and the reading alike; nobody else gets them."""
    query = "?include=upstream_response"
    async with running(tmp_path, CLIENTS) as world:
        sent = {"json": invoice(), "headers": BILLING}
        first = await world.api("POST", f"/v1/invoices{query}", **sent)
        replay = await world.api("POST", f"/v1/invoices{query}", **sent)
        read = await world.api("GET", f"{first.headers['Location']}{query}", headers=BILLING)
        assert (first.status, replay.status, read.status) == (201, 200, 200)
        assert first.json == replay.json == read.json
        assert first.json["upstream_response"]["http_status"] == 201
        assert '"status":"OK"' in first.json["upstream_response"]["body"]
        for other in ("", "?include=", "?include=all"):
            bare = await world.api("GET", f"{first.headers['Location']}{other}", headers=BILLING)
            assert "upstream_response" not in bare.json
        both = await world.api("GET", f"{first.headers['Location']}?include=x,upstream_response", headers=BILLING)
        assert both.json == first.json


async def test_where_the_upstream_never_answered_its_words_are_null(tmp_path: Path) -> None:
    """Not sent, in doubt after a broken connection, still pending; what was answered and refused has them."""
    async with running(tmp_path, CLIENTS, NEVER) as world:
        found = await each_outcome(world)
        ids = {name: answer.json["invoice" if answer.status >= 400 else "id"] for name, answer in found.items()}
        for name, wanted in {"rejected": True, "not_sent": False, "unknown": False, "pending": False}.items():
            read = await world.api("GET", f"/v1/invoices/{ids[name]}?include=upstream_response", headers=BILLING)
            assert (read.json["upstream_response"] is not None) is wanted, name
        later = BILLING | {"Prefer": "respond-async"}
        sent = invoice("exsited", external_id="another")
        again = await world.api("POST", "/v1/invoices?include=upstream_response", json=sent, headers=later)
        assert (again.status, again.json["upstream_response"]) == (202, None)


# ------------------------------------------------------------------ lists


async def test_a_list_is_newest_first_and_each_clients_own(tmp_path: Path) -> None:
    """An operator sees everybody's, or those of the client that it names; nobody else can name one."""
    async with running(tmp_path, CLIENTS) as world:
        for number, who in enumerate((BILLING, SALES, BILLING, ROOT, BILLING)):
            assert (await send(world, "chargeover", who, external_id=f"n{number}")).status == 201
        assert await listed(world) == (["n4", "n2", "n0"], None)
        assert await listed(world, "", SALES) == (["n1"], None)
        assert await listed(world, "", ROOT) == (["n4", "n3", "n2", "n1", "n0"], None)
        assert await listed(world, "?client=sales", ROOT) == (["n1"], None)
        assert await listed(world, "?client=sales") == (["n4", "n2", "n0"], None)
        assert await listed(world, "?external_id=n1", ROOT) == (["n1"], None)
        assert await listed(world, "?external_id=n1") == ([], None)


async def test_what_is_listed_is_what_is_read(tmp_path: Path) -> None:
    """Each item is the whole result."""
    async with running(tmp_path, CLIENTS) as world:
        first = await send(world, "chargeover")
        answer = await world.api("GET", "/v1/invoices", headers=BILLING)
        assert answer.content == b'{"items":[' + first.content + b'],"next":null}'


async def seeded(folder: Path, count: int) -> list[str]:
    """A journal with so many invoices of billing's; their ids, newest first."""
    ids = [uuid7(1_700_000_000_000 + number, bytes(10)) for number in range(count)]
    async with opened(lambda: SqliteStore(folder / "journal.db")) as store:
        for number, entry_id in enumerate(ids):
            purged: dict[str, Any] = {"state": "created", "due_at": None, "dispatch": b"", "result": b""}
            await store.claim(entry(id=entry_id, client="billing", external_id=f"n{number}", **purged))
    return ids[::-1]


@pytest.mark.parametrize(("limit", "count"), [(1, 4), (3, 7), (3, 6), (50, 101), (200, 401), (200, 200)])
async def test_through_all_pages_nothing_is_missing_and_nothing_twice(limit: int, count: int, tmp_path: Path) -> None:
    """By `next`, which is null on the last page; 50 is what comes where no limit is asked for."""
    ids = await seeded(tmp_path, count)
    query = "" if limit == 50 else f"&limit={limit}"
    async with running(tmp_path, CLIENTS) as world:
        found, sizes, cursor = [], [], ""
        while True:
            answer = await world.api("GET", f"/v1/invoices?{cursor}{query}".replace("?&", "?"), headers=BILLING)
            assert answer.status == 200, answer.content
            found += [one["id"] for one in answer.json["items"]]
            sizes.append(len(answer.json["items"]))
            if (following := answer.json["next"]) is None:
                break
            cursor = f"cursor={following}"
        assert found == ids
        assert sizes == [limit] * (count // limit) + [count % limit] * bool(count % limit)


async def test_each_outcome_can_be_listed_alone(tmp_path: Path) -> None:
    """`pending` too, which is what callers hear of what waits and what is being sent; also together with a key."""
    async with running(tmp_path, CLIENTS, NEVER) as world:
        outcomes = list(await each_outcome(world))
        assert await listed(world) == (outcomes[::-1], None)
        for outcome in outcomes:
            assert await listed(world, f"?outcome={outcome}") == ([outcome], None)
            assert await listed(world, f"?outcome={outcome}&external_id=created") == (
                ["created"] * (outcome == "created"),
                None,
            )


async def test_what_is_being_sent_is_listed_as_pending(tmp_path: Path) -> None:
    """While its upstream thinks, everybody who may sees that it is under way."""
    async with running(tmp_path, CLIENTS) as world:
        await world.arm("chargeover", "delay", seconds=0.4, method="POST")
        sending = world.send(invoice(), headers=BILLING | {"Prefer": "respond-async"})
        assert (await sending).status == 202
        await world.seen("chargeover")
        assert (await listed(world, "?outcome=pending"))[0] == [invoice()["external_id"]]


async def test_an_external_id_finds_its_invoice_whatever_characters_it_has(tmp_path: Path) -> None:
    """Just that one; nothing found is an empty list."""
    async with running(tmp_path, CLIENTS) as world:
        for key in ("a/b:c.d_e-1", "a/b:c.d_e-10", "A/b:c.d_e-1"):
            await send(world, "chargeover", external_id=key)
        assert await listed(world, "?external_id=a%2Fb%3Ac.d_e-1") == (["a/b:c.d_e-1"], None)
        for nothing in ("none", "", "%25", "_", "%FF", "x" * 3000):
            assert await listed(world, f"?external_id={nothing}") == ([], None)
        assert await listed(world, f"?cursor={NOBODY}") == ([], None)


async def test_every_fault_of_a_query_is_named_at_once(tmp_path: Path) -> None:
    """With the parameter as its pointer; the nearest word for one that is misspelt."""
    async with running(tmp_path, CLIENTS) as world:
        query = "?outcom=created&outcome=creatd&limit=201&cursor=x&state=1"
        problem = refused(await world.api("GET", f"/v1/invoices{query}", headers=BILLING), 400, "invalid-request")
        errors = {one["pointer"]: one["detail"] for one in problem["errors"]}
        assert set(errors) == {"outcom", "state", "outcome", "limit", "cursor"}
        assert '"outcome"' in errors["outcom"]
        assert '"created"' in errors["outcome"]
        assert "1 to 200" in errors["limit"]
        assert problem["retryable"] is False


# ------------------------------------------------------------------ an operator's word


async def doubted(world: World, **changes: Any) -> str:
    """The place of an invoice in doubt that nobody can settle but a person."""
    await world.arm("mykaarma", "store-then-reset", method="POST")
    answer = await send(world, "mykaarma", **changes)
    assert answer.status == 504
    return answer.headers["Location"]


async def judge(world: World, place: str, verdict: object, who: Mapping[str, str] = ROOT) -> Answer:
    """`POST …/resolve`."""
    return await world.api("POST", f"{place}/resolve", json=verdict, headers=who)


@pytest.mark.parametrize("verdict", [CREATED, NOT_SENT])
async def test_an_operators_word_is_the_outcome_from_then_on(verdict: dict[str, str], tmp_path: Path) -> None:
    """Who said it and why stays with it; to say it again changes nothing, to say otherwise is too late."""
    async with running(tmp_path, CLIENTS) as world:
        place = await doubted(world)
        said = await judge(world, place, verdict)
        assert (said.status, said.json["outcome"]) == (200, verdict["outcome"])
        assert said.json["resolution"]["by"] == "root"
        assert said.json["resolution"]["reason"] == verdict["reason"]
        assert (said.json["invoice"] or {}).get("id") == verdict.get("upstream_id")
        assert (await world.api("GET", place, headers=BILLING)).json == said.json
        assert (await judge(world, place, verdict)).content == said.content
        otherwise = CREATED | {"upstream_id": "INV-78"} if verdict is CREATED else CREATED
        late = refused(await judge(world, place, otherwise), 409, "already-concluded")
        assert late["invoice"] == said.json["id"]
        assert (await world.api("GET", place, headers=BILLING)).content == said.content


async def test_only_an_operator_may_resolve(tmp_path: Path) -> None:
    """Not even the client whose invoice it is."""
    async with running(tmp_path, CLIENTS) as world:
        place = await doubted(world)
        for who in (BILLING, SALES):
            refused(await judge(world, place, CREATED, who), 403, "forbidden")
        refused(await judge(world, place, CREATED, {}), 401, "unauthenticated")
        refused(await judge(world, f"/v1/invoices/{NOBODY}", CREATED), 404, "not-found")
        assert (await world.api("GET", place, headers=BILLING)).json["outcome"] == "unknown"


async def test_only_a_doubt_can_be_resolved(tmp_path: Path) -> None:
    """What is under way is 409 `in-progress` with a time, what has its outcome 409 `already-concluded`."""
    async with running(tmp_path, CLIENTS, NEVER) as world:
        found = await each_outcome(world)
        for outcome in ("created", "rejected", "not_sent"):
            answer = found[outcome]
            place = f"/v1/invoices/{answer.json['invoice' if answer.status >= 400 else 'id']}"
            problem = refused(await judge(world, place, NOT_SENT), 409, "already-concluded")
            assert outcome in problem["detail"]
        answer = await judge(world, found["pending"].headers["Location"], CREATED)
        problem = refused(answer, 409, "in-progress")
        assert (problem["outcome"], problem["retryable"]) == ("pending", True)
        assert (problem["external_id"], problem["invoice"]) == ("pending", found["pending"].json["id"])
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Location"] == found["pending"].headers["Location"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/outcome", "/reason"}),
        (
            {"outcome": "rejected", "reason": "", "upstream_id": 7, "x": 1},
            {"/outcome", "/reason", "/upstream_id", "/x"},
        ),
        (NOT_SENT | {"upstream_id": "1", "more": 1}, {"/upstream_id", "/more"}),
        (CREATED | {"upstream_id": "x" * 256, "reason": "a\x00b"}, {"/upstream_id", "/reason"}),
        ([], {""}),
    ],
)
async def test_every_fault_of_a_verdict_is_named_at_once(body: object, pointers: set[str], tmp_path: Path) -> None:
    """And nothing is changed."""
    async with running(tmp_path, CLIENTS) as world:
        place = await doubted(world)
        problem = refused(await judge(world, place, body), 400, "invalid-request")
        assert {one["pointer"] for one in problem["errors"]} == pointers
        assert (await world.api("GET", place, headers=BILLING)).json["outcome"] == "unknown"


async def test_a_verdict_that_is_no_json_is_malformed(tmp_path: Path) -> None:
    """As an invoice would be; another type of body is not read."""
    async with running(tmp_path, CLIENTS) as world:
        place = f"{await doubted(world)}/resolve"
        json = ROOT | {"Content-Type": "application/json"}
        refused(await world.api("POST", place, data=b"{", headers=json), 400, "malformed-json")
        refused(await world.api("POST", place, data=b"{}", headers=ROOT), 415, "unsupported-media-type")


async def test_an_id_that_belongs_to_another_invoice_is_refused(tmp_path: Path) -> None:
    """One upstream invoice belongs to one entry, whoever says otherwise."""
    async with running(tmp_path, CLIENTS) as world:
        taken = (await send(world, "mykaarma", external_id="first")).json["invoice"]["id"]
        place = await doubted(world)
        problem = refused(await judge(world, place, CREATED | {"upstream_id": taken}), 400, "invalid-request")
        assert [one["pointer"] for one in problem["errors"]] == ["/upstream_id"]
        assert taken in problem["detail"]
        assert (await world.api("GET", place, headers=BILLING)).json["outcome"] == "unknown"
        assert (await judge(world, place, CREATED)).status == 200


# ------------------------------------------------------------------ a store that fails


@asynccontextmanager
async def troubled(folder: Path) -> AsyncIterator[tuple[World, Gated]]:
    """A gateway whose store can be troubled."""
    log, store = BytesIO(), Gated(SqliteStore(folder / "journal.db"))
    async with sandbox() as url, ClientSession(timeout=ClientTimeout(total=20)) as session:
        service = Service(load(configured(folder, url, CLIENTS)), logs.logger(log), store=store)
        await service.start()
        try:
            yield World(service, folder / "gateway.toml", url, session, log), store
        finally:
            store.mend()
            await service.stop()


async def test_while_the_store_is_down_nothing_is_sent_and_nothing_invented(tmp_path: Path) -> None:
    """Readings and verdicts are 503 with a time, an invoice is not_sent; it stays ready, and is well again after."""
    async with troubled(tmp_path) as (world, store):
        first = await send(world, "chargeover", external_id="before")
        place = first.headers["Location"]
        store.down = True
        for answer in (
            await world.api("GET", place, headers=BILLING),
            await world.api("GET", "/v1/invoices", headers=BILLING),
            await world.api("GET", "/v1/invoices?external_id=before", headers=BILLING),
            await judge(world, place, CREATED),
        ):
            problem = refused(answer, 503, "journal-unavailable")
            assert (problem["retryable"], "outcome" in problem) == (True, False)
            assert int(answer.headers["Retry-After"]) > 0
        for key in ("before", "new"):
            answer = await send(world, "chargeover", external_id=key)
            problem = refused(answer, 503, "upstream-unavailable")
            assert (problem["outcome"], problem["retryable"], problem["external_id"]) == ("not_sent", True, key)
            assert int(answer.headers["Retry-After"]) > 0
        assert len(await world.requests("chargeover", "POST")) == 1
        for probe in ("/readyz", "/livez"):
            assert (await world.ask("GET", world.service.ops_url + probe)).status == 200
        store.mend()
        assert (await world.api("GET", place, headers=BILLING)).content == first.content
        assert (await send(world, "chargeover", external_id="new")).status == 201


async def test_without_the_stores_thread_it_is_not_alive(tmp_path: Path) -> None:
    """`/livez` says 503, so that it is started anew; nothing is sent meanwhile."""
    async with troubled(tmp_path) as (world, store):
        assert (await world.ask("GET", f"{world.service.ops_url}/livez")).status == 200
        await store.inner.close()
        assert (await world.ask("GET", f"{world.service.ops_url}/livez")).status == 503
        assert (await world.ask("GET", f"{world.service.ops_url}/readyz")).status == 200
        refused(await send(world, "chargeover"), 503, "upstream-unavailable")
        assert await world.requests("chargeover", "POST") == []
