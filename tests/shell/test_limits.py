"""How much is taken at once: places for deliveries, and a reserve for those who ask what is known."""

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from gateway.core.errors import Overloaded
from gateway.shell.limits import Limits, Places
from tests.support.engines import BILLING, LATER, POLICY, Side, created, working
from tests.support.running import invoice, replaced, running, timeout

ONE = structs.replace(POLICY, at_once=1)


def test_a_place_is_given_back_whatever_happens() -> None:
    """Also where something breaks in it."""
    places = Places()
    for _ in range(5):
        with pytest.raises(KeyError), places.one(1):
            raise KeyError
    with places.one(1), pytest.raises(Overloaded), places.one(1):
        pass
    assert places.taken == 0


@pytest.mark.parametrize(("most", "reserve"), [(1, 8), (32, 8), (33, 8), (36, 9), (256, 64), (1000, 250)])
def test_the_reserve_is_a_quarter_and_never_nothing(most: int, reserve: int) -> None:
    """So many may ask beside those who send."""
    assert Limits(1, 1.0, most).reserve == reserve


async def test_where_every_place_is_taken_a_new_invoice_is_shed(tmp_path: Path) -> None:
    """Certainly not sent, and not even claimed; afterwards there is room again."""
    async with working(tmp_path, policy=ONE, chargeover=Side(created("1"), created("2"))) as works:
        first = await works.held()
        with pytest.raises(Overloaded) as caught:
            await works.submit(external_id="another")
        assert caught.value.retry_after
        assert await works.store.inner.find("billing", "another") is None
        works.side.open.set()
        assert (await first).result.outcome == "created"
        assert (await works.submit(external_id="another")).result.outcome == "created"


async def test_what_is_known_can_be_asked_where_every_place_is_taken(tmp_path: Path) -> None:
    """A replay, a doubt, an invoice that is being sent just then: the same answers as ever, and nothing is sent."""
    side = Side(created("1"), created("2"))
    async with working(tmp_path, policy=ONE, chargeover=side) as works:
        await works.submit(external_id="known")
        first = await works.held(external_id="slow")
        posts = works.side.posts
        again = await works.submit(external_id="known")
        assert (again.replayed, again.result.outcome) == (True, "created")
        waiting = await works.submit(external_id="slow", preference=LATER)
        assert waiting.result.outcome == "pending"
        assert works.side.posts == posts
        works.side.open.set()
        await first


async def test_callers_with_one_key_are_not_counted_as_deliveries(tmp_path: Path) -> None:
    """Sixteen wait for the one that is sent, and all hear its outcome."""
    async with working(tmp_path, policy=ONE) as works:
        first = await works.held()
        others = [asyncio.create_task(works.submit(BILLING)) for _ in range(16)]
        await asyncio.sleep(0.05)
        works.side.open.set()
        answers = await asyncio.gather(first, *others)
        assert {answer.result.outcome for answer in answers} == {"created"}
        assert works.side.posts == 1


async def test_reads_go_on_where_every_place_is_taken(tmp_path: Path) -> None:
    """Over real sockets: the one under way, lists and replays; a new invoice is shed before it is claimed."""
    edits = (replaced("[server]\n", "[server]\nmax_in_flight = 1\n"), timeout("10s"))
    async with running(tmp_path, *edits) as world:
        known = await world.send(invoice("katsupay"))
        await world.arm("chargeover", "delay", seconds=1.0, method="POST")
        first = asyncio.create_task(world.send(invoice()))
        await world.seen("chargeover")
        shed = await world.send(invoice("katsupay", external_id="another"))
        assert (shed.status, shed.json["type"]) == (503, "/problems/overloaded")
        replay = await world.send(invoice("katsupay"))
        assert (replay.status, replay.headers["Idempotent-Replayed"]) == (200, "true")
        read = await world.api("GET", known.headers["Location"])
        assert (read.status, read.content) == (200, known.content)
        pending = await world.api("GET", "/v1/invoices?outcome=pending")
        assert [one["external_id"] for one in pending.json["items"]] == [invoice()["external_id"]]
        assert not first.done()
        assert (await first).status == 201
        assert 'invoice_gateway_shed_total{reason="in-flight"} 1.0' in await world.metrics()
        assert len(await world.requests("katsupay", "POST")) == 1
