"""Never twice, never lost, over real sockets: replays, doubts that settle, deliveries left to the gateway, restarts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout

from gateway.shell.configuration import load
from tests.support.running import (
    NAMES,
    Answer,
    Edit,
    World,
    added,
    configured,
    invoice,
    replaced,
    running,
    sandbox,
    serving,
    timeout,
    unreachable,
)

DIALECTS = sorted(NAMES)
ASKABLE = ("chargeover", "exsited", "onlyoffice")
UNASKABLE = ("katsupay", "mykaarma")
CREATION = {name: {"method": "POST"} | ({"path": "/invoices"} if name == "exsited" else {}) for name in DIALECTS}
QUICK = added('[reconcile]\ndelays = ["50ms", "100ms"]')
LATER = {"Prefer": "respond-async"}


def settled_at_once(text: str) -> str:
    """An edit by which an absence is believed as soon as the exchange's time is over: half a second."""
    return timeout("500ms")(text).replace("\ndialect = ", '\nsettle = "0s"\ndialect = ')


async def creations(world: World, dialect: str) -> int:
    """How many creating requests the sandbox has seen."""
    path = CREATION[dialect].get("path", "")
    return sum(path in request["path"] for request in await world.requests(dialect, "POST"))


async def told(world: World, external_id: str) -> dict[str, Any]:
    """What the gateway knows of an invoice."""
    found = (await world.api("GET", f"/v1/invoices?external_id={external_id}")).json
    assert len(found["items"]) == 1
    assert found["next"] is None
    result: dict[str, Any] = found["items"][0]
    return result


async def concluded(world: World, external_id: str, *outcomes: str) -> dict[str, Any]:
    """Wait until the gateway knows one of these outcomes of an invoice."""
    for _ in range(400):
        result = await told(world, external_id)
        if result["outcome"] in outcomes:
            return result
        await asyncio.sleep(0.02)
    raise AssertionError(f"it is still {result['outcome']}")


@asynccontextmanager
async def again(folder: Path, url: str, *edits: Edit) -> AsyncIterator[World]:
    """A gateway before a sandbox that outlives it."""
    log = BytesIO()
    async with (
        serving(load(configured(folder, url, *edits)), log) as service,
        ClientSession(timeout=ClientTimeout(total=20)) as session,
    ):
        yield World(service, folder / "gateway.toml", url, session, log)


# ------------------------------------------------------------------ the same request again


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_same_invoice_again_is_answered_from_the_journal(dialect: str, tmp_path: Path) -> None:
    """Byte for byte the first answer, 200 and marked; also written otherwise; the upstream sees one creation."""
    async with running(tmp_path) as world:
        first = await world.send(invoice(dialect))
        assert first.status == 201
        sent = dict(reversed(invoice(dialect).items()))
        for body in (invoice(dialect), sent, sent | {"prices_include_tax": False}):
            again = await world.send(body)
            assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
            assert again.headers["Location"] == first.headers["Location"]
            assert again.content == first.content
        assert await creations(world, dialect) == 1
        assert (await world.api("GET", first.headers["Location"])).content == first.content


async def test_the_header_may_stand_in_for_the_external_id(tmp_path: Path) -> None:
    """`Idempotency-Key` is the external_id of an invoice without one, and so the same key."""
    async with running(tmp_path) as world:
        bare = invoice("chargeover", external_id=None)
        first = await world.send(bare, headers={"Idempotency-Key": '"key-1"'})
        assert (first.status, first.json["external_id"]) == (201, "key-1")
        assert (await world.send(invoice("chargeover", external_id="key-1"))).status == 200


async def test_many_at_once_are_one_invoice(tmp_path: Path) -> None:
    """Twenty callers, one name: one creation, one 201, and everybody hears the same invoice."""
    async with running(tmp_path) as world:
        await world.arm("chargeover", "delay", seconds=0.2, method="POST")
        answers = await asyncio.gather(*(world.send(invoice("chargeover")) for _ in range(20)))
        assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
        assert len({answer.json["invoice"]["id"] for answer in answers}) == 1
        assert await creations(world, "chargeover") == 1


async def test_whoever_waits_in_vain_for_another_request_is_told_so(tmp_path: Path) -> None:
    """409 after the deadline, with the place to read it; the first request goes on undisturbed."""
    async with running(tmp_path, timeout("600ms")) as world:
        await world.arm("mykaarma", "delay", seconds=0.5, method="POST")
        first = asyncio.create_task(world.send(invoice("mykaarma"), headers=LATER))
        assert (await first).status == 202
        await world.seen("mykaarma")
        while (await told(world, invoice("mykaarma")["external_id"]))["outcome"] == "pending":
            answer = await world.send(invoice("mykaarma"))
            if answer.status == 409:
                problem = answer.json
                assert problem["type"] == "/problems/in-progress"
                assert (problem["outcome"], problem["retryable"]) == ("pending", True)
                assert answer.headers["Location"] == f"/v1/invoices/{problem['invoice']}"
                assert "Retry-After" in answer.headers
        assert await creations(world, "mykaarma") == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_name_belongs_to_one_content(dialect: str, tmp_path: Path) -> None:
    """Other content under the name of a created invoice is refused, and sent nowhere."""
    async with running(tmp_path) as world:
        assert (await world.send(invoice(dialect))).status == 201
        other = await world.send(invoice(dialect, note="another"))
        assert (other.status, other.json["type"]) == (422, "/problems/external-id-reused")
        assert other.json["retryable"] is False
        assert await creations(world, dialect) == 1


async def test_a_refused_invoice_may_be_sent_corrected(tmp_path: Path) -> None:
    """After a refusal the name is free; the corrected invoice keeps the gateway's id."""
    async with running(tmp_path) as world:
        await world.arm("katsupay", "succeeded-false", method="POST")
        refused = await world.send(invoice("katsupay"))
        assert refused.json["outcome"] == "rejected"
        corrected = await world.send(invoice("katsupay", note="corrected"))
        assert (corrected.status, corrected.json["id"]) == (201, refused.json["invoice"])


async def test_a_caller_who_leaves_does_not_end_the_work(tmp_path: Path) -> None:
    """What was begun is finished and remembered."""
    async with running(tmp_path) as world:
        await world.arm("chargeover", "delay", seconds=0.3, method="POST")
        sending = asyncio.create_task(world.send(invoice("chargeover")))
        await world.seen("chargeover")
        sending.cancel()
        result = await concluded(world, invoice("chargeover")["external_id"], "created")
        assert [one["outcome"] for one in result["attempts"]] == ["created"]


# ------------------------------------------------------------------ doubts


@pytest.mark.parametrize("dialect", ASKABLE)
@pytest.mark.parametrize("fault", ["store-then-status", "store-then-reset", "store-then-html", "truncated-json"])
async def test_a_doubt_about_what_was_stored_settles_by_itself(fault: str, dialect: str, tmp_path: Path) -> None:
    """Unknown at first; then it is found by its reference and adopted, and sent again it is a replay."""
    async with running(tmp_path, QUICK) as world:
        await world.arm(dialect, fault, **CREATION[dialect])
        answer = await world.send(invoice(dialect))
        assert (answer.status, answer.json["retryable"]) == (504, True)
        result = await concluded(world, invoice(dialect)["external_id"], "created")
        stored = await world.stored(dialect)
        assert len(stored) == 1
        assert result["adopted"] is True
        assert result["invoice"]["id"] == stored[0]["id"]
        assert result["id"] == answer.json["invoice"]
        again = await world.send(invoice(dialect))
        assert (again.status, again.json) == (200, result)
        assert await creations(world, dialect) == 1


@pytest.mark.parametrize("dialect", ASKABLE)
async def test_a_caller_who_asks_again_settles_the_doubt_at_once(dialect: str, tmp_path: Path) -> None:
    """The upstream is asked for the caller's sake, whenever the worker would have."""
    async with running(tmp_path, added('[reconcile]\ndelays = ["1h"]')) as world:
        await world.arm(dialect, "store-then-reset", **CREATION[dialect])
        assert (await world.send(invoice(dialect))).status == 504
        again = await world.send(invoice(dialect))
        assert (again.status, again.json["outcome"], again.json["adopted"]) == (200, "created", True)
        assert await creations(world, dialect) == 1


@pytest.mark.parametrize("dialect", ASKABLE)
async def test_what_is_proven_absent_may_be_sent_again(dialect: str, tmp_path: Path) -> None:
    """Unknown, then not_sent once its absence is believed; the same request then creates it, once."""
    async with running(tmp_path, QUICK, settled_at_once) as world:
        await world.arm(dialect, "reset", **CREATION[dialect])
        first = await world.send(invoice(dialect))
        assert first.status == 504
        early = await world.send(invoice(dialect))
        assert early.status == 504, "its absence is not believed before its time"
        assert await creations(world, dialect) == 1
        await concluded(world, invoice(dialect)["external_id"], "not_sent")
        again = await world.send(invoice(dialect))
        assert (again.status, again.json["id"]) == (201, first.json["invoice"])
        assert len(await world.stored(dialect)) == 1


@pytest.mark.parametrize("dialect", UNASKABLE)
async def test_a_doubt_that_nobody_can_settle_waits_for_an_operator(dialect: str, tmp_path: Path) -> None:
    """It stays unknown, is listed and counted, and never sent again; the operator's word is what callers then hear."""
    async with running(tmp_path, QUICK) as world:
        await world.arm(dialect, "store-then-reset", **CREATION[dialect])
        first = await world.send(invoice(dialect))
        assert (await world.send(invoice(dialect))).status == 504
        listed = (await world.api("GET", "/v1/invoices?outcome=unknown")).json["items"]
        assert [one["id"] for one in listed] == [first.json["invoice"]]
        stored = (await world.stored(dialect))[0]["id"]
        verdict = {"outcome": "created", "upstream_id": stored, "reason": "seen in the portal"}
        resolved = await world.api("POST", f"{first.headers['Location']}/resolve", json=verdict)
        assert (resolved.status, resolved.json["resolution"]["reason"]) == (200, "seen in the portal")
        again = await world.send(invoice(dialect))
        assert (again.status, again.json["invoice"]["id"]) == (200, stored)
        assert await creations(world, dialect) == 1


async def test_an_operator_can_say_that_it_is_not_there(tmp_path: Path) -> None:
    """Then the name is free again."""
    async with running(tmp_path, QUICK) as world:
        await world.arm("mykaarma", "reset", method="POST")
        first = await world.send(invoice("mykaarma"))
        verdict = {"outcome": "not_sent", "reason": "the portal does not have it"}
        assert (await world.api("POST", f"{first.headers['Location']}/resolve", json=verdict)).status == 200
        assert (await world.send(invoice("mykaarma"))).status == 201
        assert len(await world.stored("mykaarma")) == 1


async def test_what_is_in_doubt_is_on_the_dashboard(tmp_path: Path) -> None:
    """How many, since when, and what came of looking into it."""
    async with running(tmp_path, QUICK) as world:
        await world.arm("onlyoffice", "store-then-reset", method="POST")
        await world.send(invoice("onlyoffice"))
        await concluded(world, invoice("onlyoffice")["external_id"], "created")
        text = await world.metrics()
        assert 'invoice_gateway_reconciliations_total{result="adopted",upstream="onlyoffice-eu"} 1.0' in text
        assert 'invoice_gateway_invoiced_amount_total{currency="USD",upstream="onlyoffice-eu"} 492.0' in text
        assert 'invoice_gateway_unresolved_invoices{upstream="onlyoffice-eu"}' in text
        assert "invoice_gateway_journal_commit_seconds_count" in text


# ------------------------------------------------------------------ left to the gateway


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_delivery_can_be_left_to_the_gateway(dialect: str, tmp_path: Path) -> None:
    """202 at once with the place to look; then it is created, once."""
    async with running(tmp_path) as world:
        answer = await world.send(invoice(dialect), headers=LATER)
        assert (answer.status, answer.json["outcome"]) == (202, "pending")
        assert answer.headers["Preference-Applied"] == "respond-async"
        await concluded(world, invoice(dialect)["external_id"], "created")
        read = await world.api("GET", answer.headers["Location"])
        assert (read.status, read.json["outcome"]) == (200, "created")
        assert (await world.send(invoice(dialect), headers=LATER)).status == 200
        assert len(await world.stored(dialect)) == 1


async def test_who_did_not_ask_for_it_hears_of_no_preference(tmp_path: Path) -> None:
    """The same invoice waits for its delivery: 202, but nothing of this request was applied (RFC 7240)."""
    async with running(tmp_path, unreachable("chargeover")) as world:
        await world.send(invoice("chargeover"), headers=LATER)
        answer = await world.send(invoice("chargeover"))
        assert answer.status == 202
        assert "Preference-Applied" not in answer.headers


async def test_a_caller_may_wait_a_little(tmp_path: Path) -> None:
    """`wait` beside `respond-async`: the outcome, if it comes in that time."""
    async with running(tmp_path) as world:
        answer = await world.send(invoice("chargeover"), headers={"Prefer": "respond-async, wait=5"})
        assert (answer.status, answer.json["outcome"]) == (201, "created")


async def test_what_is_left_to_the_gateway_is_tried_until_it_goes(tmp_path: Path) -> None:
    """Certainly not sent, so tried again with a growing pause; an upstream's own Retry-After is respected."""
    async with running(tmp_path) as world:
        await world.arm("chargeover", "rate-limit", method="POST", retry_after=1, times=2)
        await world.send(invoice("chargeover"), headers=LATER)
        result = await concluded(world, invoice("chargeover")["external_id"], "created")
        assert [one["outcome"] for one in result["attempts"]] == ["not_sent", "not_sent", "created"]
        assert len(await world.stored("chargeover")) == 1


async def test_what_is_left_to_the_gateway_is_given_up_in_the_end(tmp_path: Path) -> None:
    """After `deliver_by` it is not_sent, and its name is free."""
    soon = added('[delivery]\ndeliver_by = "200ms"')
    async with running(tmp_path, soon) as world:
        await world.arm("chargeover", "rate-limit", method="POST", retry_after=1, times=0)
        await world.send(invoice("chargeover"), headers=LATER)
        await concluded(world, invoice("chargeover")["external_id"], "not_sent")
        assert await world.stored("chargeover") == []


@pytest.mark.parametrize("dialect", ASKABLE)
async def test_a_doubt_about_what_was_left_to_the_gateway_ends_in_one_invoice(dialect: str, tmp_path: Path) -> None:
    """Proven absent, it is sent once more without anybody asking."""
    async with running(tmp_path, QUICK, settled_at_once) as world:
        await world.arm(dialect, "reset", **CREATION[dialect])
        await world.send(invoice(dialect), headers=LATER)
        result = await concluded(world, invoice(dialect)["external_id"], "created")
        assert [one["outcome"] for one in result["attempts"]] == ["unknown", "created"]
        assert len(await world.stored(dialect)) == 1


# ------------------------------------------------------------------ restarts


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """What was created is replayed, what waits is delivered, what is in doubt is settled."""
    async with sandbox() as url:
        async with again(tmp_path, url) as world:
            first = await world.send(invoice("chargeover"))
            await world.arm("onlyoffice", "store-then-reset", method="POST")
            await world.send(invoice("onlyoffice"))
            await world.arm("mykaarma", "rate-limit", method="POST", retry_after=1, times=1)
            await world.send(invoice("mykaarma"), headers=LATER)
            await world.seen("mykaarma")
        async with again(tmp_path, url, QUICK) as world:
            replay = await world.send(invoice("chargeover"))
            assert (replay.status, replay.content) == (200, first.content)
            adopted = await concluded(world, invoice("onlyoffice")["external_id"], "created")
            assert adopted["adopted"] is True
            await concluded(world, invoice("mykaarma")["external_id"], "created")
            for dialect in ("chargeover", "onlyoffice", "mykaarma"):
                assert len(await world.stored(dialect)) == 1


async def test_a_created_invoice_is_replayed_although_no_rule_takes_it_any_more(tmp_path: Path) -> None:
    """The configuration changed, what happened did not."""
    only_crm = replaced('name = "default"\n', 'name = "default"\nwhen = { labels = { product = "crm" } }\n')
    async with sandbox() as url:
        async with again(tmp_path, url) as world:
            first = await world.send(invoice("chargeover"))
        async with again(tmp_path, url, only_crm) as world:
            replay = await world.send(invoice("chargeover"))
            assert (replay.status, replay.content) == (200, first.content)
            fresh: Answer = await world.send(invoice("chargeover", external_id="another"))
            assert fresh.json["type"] == "/problems/no-route"


# ------------------------------------------------------------------ reading back


async def test_each_answer_can_be_read_with_the_upstreams_own_words(tmp_path: Path) -> None:
    """`?include=upstream_response`: the status and the text, as they came."""
    async with running(tmp_path) as world:
        created = await world.send(invoice("chargeover"))
        read = (await world.api("GET", f"{created.headers['Location']}?include=upstream_response")).json
        assert read["upstream_response"]["http_status"] == 201
        assert '"status":"OK"' in read["upstream_response"]["body"]
        assert {key: value for key, value in read.items() if key != "upstream_response"} == created.json
