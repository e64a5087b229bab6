"""A route's shadow, in a gateway: compared with, counted, told of, and never sent anything."""

from pathlib import Path

import pytest

from gateway.shell import gateway
from tests.support.running import PRODUCTS, Edit, invoice, replaced, running

DEFAULT = 'name = "default"\nto = "chargeover-us"'


def shadowed(by: str) -> Edit:
    """The demo's last rule, with a shadow."""
    return replaced(DEFAULT, f'{DEFAULT}\nshadow = "{by}"')


async def test_an_invoice_is_compared_and_sent_to_one_upstream_alone(tmp_path: Path) -> None:
    """The difference is counted and told, without a word of the invoice; a replay is not counted again."""
    async with running(tmp_path, shadowed("onlyoffice-eu")) as world:
        for _ in range(2):
            assert (await world.send(invoice())).status in (200, 201)
        await world.send(invoice(external_id="other", labels={"product": PRODUCTS["katsupay"]}))
        text = await world.metrics()
        lines = [line for line in world.logged() if line["event"] == "shadowed"]
        assert await world.requests("onlyoffice") == []
        assert len(await world.stored("chargeover")) == 1
    counted = 'invoice_gateway_shadows_total{result="%s",route="default",upstream="onlyoffice-eu"} %s'
    values = {"same": 0, "losses": 1, "money": 0, "untranslatable": 0}
    for result, value in values.items():
        assert counted % (result, float(value)) in text
    (line,) = lines
    assert (line["upstream"], line["shadow"], line["likeness"]) == ("chargeover-us", "onlyoffice-eu", "losses")
    assert line["more"]
    assert line["refused"] == []


async def test_what_a_shadow_could_not_carry_is_sent_all_the_same(tmp_path: Path) -> None:
    """To where its rule leads; the places are told."""
    async with running(tmp_path, shadowed("exsited-sydney")) as world:
        answer = await world.send(invoice(references=None))
        lines = [line for line in world.logged() if line["event"] == "shadowed"]
    assert answer.status == 201
    (line,) = lines
    assert line["likeness"] == "untranslatable"
    assert "/references/order" in line["refused"]


async def test_a_mistake_in_the_comparison_is_a_defect_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller is answered as ever."""

    def broken(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(gateway, "compared", broken)
    async with running(tmp_path, shadowed("onlyoffice-eu")) as world:
        answer = await world.send(invoice())
        kinds = [line["kind"] for line in world.logged() if line["event"] == "defect"]
    assert answer.status == 201
    assert kinds == ["RecursionError"]
