"""Routing over real sockets: the first rule that matches, splits that stick, fallback, and who may go where."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import NAMES, PRODUCTS, Edit, World, added, invoice, replaced, running, unreachable

DEFAULT = 'name = "default"\nto = "chargeover-us"'
FALLBACK = replaced(DEFAULT, f'{DEFAULT}\nfallback = ["onlyoffice-eu", "katsupay-lagos"]')


async def sent_to(world: World, **changes: Any) -> str:
    """The upstream that creates the demo's invoice."""
    answer = await world.send(invoice(**changes))
    assert answer.status == 201, answer.content
    return str(answer.json["upstream"]["name"])


@pytest.mark.parametrize("dialect", NAMES)
async def test_a_label_leads_to_an_upstream(dialect: str, tmp_path: Path) -> None:
    """By the demo's rules."""
    async with running(tmp_path) as world:
        assert await sent_to(world, labels={"product": PRODUCTS[dialect]}) == NAMES[dialect]


@pytest.mark.parametrize(
    ("when", "changes", "matches"),
    [
        ("", {}, True),
        ('client = "local"', {}, True),
        ('client = "billing"', {}, False),
        ('currency = ["EUR", "USD"]', {}, True),
        ('currency = "EUR"', {}, False),
        ('country = ["DE", "US"]', {}, True),
        ('country = "NO"', {}, False),
        ('customer = "acct-88"', {}, True),
        ('customer = "acct-89"', {}, False),
        ('supplier = "s"', {}, False),
        ('supplier = "s"', {"supplier": {"id": "s"}}, True),
        ('labels = { product = ["fleet", "other"] }', {}, True),
        ('labels = { product = "fleet", more = "x" }', {}, False),
        ('currency = "USD", amount = { min = "492.00" }', {}, True),
        ('currency = "USD", amount = { min = "492.01" }', {}, False),
        ('currency = "USD", amount = { below = "492.00" }', {}, False),
        ('currency = "USD", amount = { min = "10", below = "492.01" }', {}, True),
        ("issue_date = { from = 2026-06-30 }", {}, True),
        ("issue_date = { from = 2026-07-01 }", {}, False),
        ("issue_date = { until = 2026-06-30 }", {}, False),
        ('issue_date = { from = "2026-06-01", until = "2026-07-01" }', {}, True),
        ('has = ["references.order", "number"]', {}, True),
        ('has = "lines.discounts"', {}, False),
        ('lacks = "lines.discounts"', {}, True),
        ('lacks = ["number"]', {}, False),
    ],
)
async def test_a_rule_takes_an_invoice_if_all_its_conditions_hold(
    when: str,
    changes: dict[str, Any],
    matches: bool,
    tmp_path: Path,
) -> None:
    """Contract 3, condition by condition: else the next rule does."""
    first = f'[[routes]]\nname = "first"\nwhen = {{ {when} }}\nto = "chargeover-us"\n'
    second = '[[routes]]\nname = "second"\nto = "katsupay-lagos"\n'
    rest = '[[routes]]\nname = "workshops"'
    edit = replaced(rest, f"{first}\n{second}\n{rest}")
    async with running(tmp_path, edit) as world:
        answer = await world.explain(invoice(**changes))
        assert answer.status == 200, answer.content
        assert answer.json["route"]["rule"] == ("first" if matches else "second")


async def test_a_split_shares_out_and_sticks(tmp_path: Path) -> None:
    """By `external_id`, in proportion to the weights; the same invoice always goes the same way, also explained."""
    edit = replaced(DEFAULT, 'name = "default"\nsplit = { chargeover-us = 3, katsupay-lagos = 1 }')
    async with running(tmp_path, edit) as world:
        shares: Counter[str] = Counter()
        for index in range(80):
            external_id, number = f"split:{index}", f"N-{index}"
            name = await sent_to(world, external_id=external_id, number=number)
            shares[name] += 1
            explained = (await world.explain(invoice(external_id=external_id))).json
            assert [one["name"] for one in explained["upstreams"]] == [name]
        assert set(shares) == {"chargeover-us", "katsupay-lagos"}
        assert 45 <= shares["chargeover-us"] <= 72  # 60 ± 4 standard deviations would be 44.5 to 75.5
        assert len(await world.stored("chargeover")) == shares["chargeover-us"]
        assert len(await world.stored("katsupay")) == shares["katsupay-lagos"]


async def test_a_refused_connection_falls_back_in_order(tmp_path: Path) -> None:
    """To the second, and to the third if that does not listen either, each tried three times; each attempt is told."""
    async with running(tmp_path, FALLBACK, unreachable("chargeover"), unreachable("onlyoffice")) as world:
        answer = await world.send(invoice())
        assert answer.status == 201
        assert [(one["upstream"], one["outcome"]) for one in answer.json["attempts"]] == [
            *[("chargeover-us", "not_sent")] * 3,
            *[("onlyoffice-eu", "not_sent")] * 3,
            ("katsupay-lagos", "created"),
        ]
        assert answer.json["route"]["rule"] == "default"
        assert len(await world.stored("katsupay")) == 1


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        ("rate-limit", {"times": 0, "retry_after": 0}),
        ("status", {"status": 401}),
        ("status", {"status": 403}),
        ("status", {"status": 402}),
    ],
)
async def test_what_was_turned_away_unread_falls_back(fault: str, more: dict[str, int], tmp_path: Path) -> None:
    """A rate limit or refused credentials: certainly not created."""
    async with running(tmp_path, FALLBACK) as world:
        await world.arm("chargeover", fault, method="POST", **more)
        assert await sent_to(world) == "onlyoffice-eu"
        assert await world.stored("chargeover") == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("reset", 504),
        ("store-then-reset", 504),
        ("status", 504),
        ("garbage", 504),
        ("redirect", 504),
        ("error-in-201", 422),
    ],
)
async def test_what_may_exist_or_was_refused_never_falls_back(fault: str, status: int, tmp_path: Path) -> None:
    """No other upstream ever sees it."""
    async with running(tmp_path, FALLBACK) as world:
        await world.arm("chargeover", fault, method="POST")
        answer = await world.send(invoice())
        assert answer.status == status
        for dialect in ("onlyoffice", "katsupay"):
            assert await world.requests(dialect) == []


async def test_without_any_upstream_it_is_not_sent_and_may_be_sent_again(tmp_path: Path) -> None:
    """503; the same invoice is created as soon as one of them listens."""
    edits: list[Edit] = [unreachable(dialect) for dialect in ("chargeover", "onlyoffice", "katsupay")]
    (tmp_path / "down").mkdir()
    async with running(tmp_path / "down", FALLBACK, *edits) as world:
        answer = await world.send(invoice())
        assert answer.status == 503
        assert answer.json["upstream"]["name"] == "katsupay-lagos"
    async with running(tmp_path, FALLBACK, *edits[:1]) as world:
        assert await sent_to(world) == "onlyoffice-eu"


async def test_a_client_without_permission_is_not_sent_elsewhere(tmp_path: Path) -> None:
    """Its invoice is routed to an upstream that it may not use: forbidden, whatever the fallback."""
    clients = added('[clients.billing]\ntoken = "t"\nupstreams = ["onlyoffice-eu"]')
    async with running(tmp_path, FALLBACK, clients) as world:
        answer = await world.send(invoice(), headers={"Authorization": "Bearer t"})
        assert (answer.status, answer.json["type"]) == (403, "/problems/forbidden")
        for dialect in NAMES:
            assert await world.requests(dialect) == []


async def test_a_fallback_leaves_out_what_the_client_may_not_use(tmp_path: Path) -> None:
    """The second is not for it, the third is."""
    clients = added('[clients.billing]\ntoken = "t"\nupstreams = ["chargeover-us", "katsupay-lagos"]')
    async with running(tmp_path, FALLBACK, clients, unreachable("chargeover")) as world:
        answer = await world.send(invoice(), headers={"Authorization": "Bearer t"})
        assert answer.status == 201
        assert [one["upstream"] for one in answer.json["attempts"]] == ["chargeover-us"] * 3 + ["katsupay-lagos"]
        assert await world.requests("onlyoffice") == []
