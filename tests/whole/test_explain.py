"""`explain` says what sending would do: the same bytes, the same losses, the same refusals; and it sends nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import NAMES, Answer, invoice, replaced, running, unreachable

OWN = {"host", "content-length", "user-agent", "accept-encoding", "connection"}
"""Headers that HTTP itself needs; the rest is the dialect's and the credentials'."""


def view(answer: Answer, name: str) -> dict[str, Any]:
    """What is said of one upstream."""
    assert answer.status == 200, answer.content
    found: dict[str, dict[str, Any]] = {one["name"]: one for one in answer.json["upstreams"]}
    return found[name]


@pytest.mark.parametrize("dialect", NAMES)
async def test_what_is_explained_is_what_is_sent_byte_for_byte(dialect: str, tmp_path: Path) -> None:
    """Method, URL, headers and body of the first request; only the credentials are masked, on both sides."""
    async with running(tmp_path) as world:
        sent = invoice(dialect, note='Grüße 😀 "quoted" \\ /\n\ttab')
        explained = view(await world.explain(sent), NAMES[dialect])["request"]
        assert await world.requests(dialect) == []
        assert (await world.send(sent)).status == 201
        (seen,) = [one for one in await world.requests(dialect, "POST") if "oauth2" not in one["path"]]
        assert explained["method"] == seen["method"]
        assert explained["url"] == f"{world.sandbox}/{dialect}{seen['path']}"
        assert explained["body"] == seen["body"]
        headers = {name.lower(): value for name, value in seen["headers"] if name.lower() not in OWN}
        told = {name.lower(): value for name, value in explained["headers"].items()}
        masked = {name: "***" if value == "***" else told[name] for name, value in headers.items()}
        assert told.keys() == headers.keys()
        assert {name: masked[name] for name in told if headers[name] != "***"} == {
            name: value for name, value in headers.items() if value != "***"
        }


@pytest.mark.parametrize("dialect", NAMES)
async def test_what_is_explained_is_what_is_answered(dialect: str, tmp_path: Path) -> None:
    """The same rule, revision and losses; the predicted claim is the total that is stored."""
    async with running(tmp_path) as world:
        answer = await world.explain(invoice(dialect))
        explained = view(answer, NAMES[dialect])
        result = (await world.send(invoice(dialect))).json
        route = answer.json["route"]
        assert {name: route[name] for name in ("rule", "config")} == result["route"]
        assert explained["losses"] == result["losses"]
        assert explained["verdict"] == "sendable"
        (stored,) = await world.stored(dialect)
        assert explained["claim"] in (None, stored["total"])
        assert (explained["claim"] is None) is (dialect in ("exsited", "chargeover"))
        assert explained["protection"] in ("enforced", "lookup", "none")


async def test_an_explanation_has_the_members_of_the_contract(tmp_path: Path) -> None:
    """Contract 6."""
    async with running(tmp_path) as world:
        found = (await world.explain(invoice("chargeover"))).json
        assert {"route", "totals", "upstreams"} <= set(found)
        assert set(found["route"]) == {"rule", "config", "to", "tried"}
        assert found["route"]["to"] == ["chargeover-us"]
        assert [one["rule"] for one in found["route"]["tried"]] == ["workshops", "wallets", "subscriptions", "europe"]
        assert all(one["failed"] for one in found["route"]["tried"])
        assert found["totals"]["tax_total"] == "82.00"
        assert found["totals"]["amount_due"] == "492.00"
        (upstream,) = found["upstreams"]
        assert set(upstream) == {
            "name", "dialect", "verdict", "request", "claim", "protection", "losses", "errors",
        }  # fmt: skip
        assert set(upstream["request"]) == {"method", "url", "headers", "body"}
        assert upstream["errors"] == []


@pytest.mark.parametrize("query", ["?all_upstreams=true", "?all_upstreams=1"])
async def test_all_upstreams_are_explained_at_once(query: str, tmp_path: Path) -> None:
    """A verdict for each, whatever the rule says; still nothing is sent."""
    async with running(tmp_path) as world:
        answer = await world.explain(invoice("chargeover", due_date=None), query)
        verdicts = {one["dialect"]: one["verdict"] for one in answer.json["upstreams"]}
        assert verdicts == {
            "mykaarma": "sendable",
            "katsupay": "untranslatable",
            "exsited": "sendable",
            "onlyoffice": "untranslatable",
            "chargeover": "sendable",
        }
        for dialect in ("katsupay", "onlyoffice"):
            refused = view(answer, NAMES[dialect])
            assert "/due_date" in [one["pointer"] for one in refused["errors"]]
            assert refused["request"] is None
        for dialect in NAMES:
            assert await world.requests(dialect) == []


@pytest.mark.parametrize("query", ["", "?all_upstreams=false", "?all_upstreams="])
async def test_only_the_chosen_upstream_is_explained_otherwise(query: str, tmp_path: Path) -> None:
    """The one it is routed to."""
    async with running(tmp_path) as world:
        found = (await world.explain(invoice("katsupay"), query)).json
        assert [one["name"] for one in found["upstreams"]] == ["katsupay-lagos"]


async def test_what_cannot_be_translated_is_an_answer_with_the_same_errors_as_sending(tmp_path: Path) -> None:
    """200 from `explain`, 422 from sending; the same pointers and words."""
    sent = invoice("chargeover")
    sent["customer"]["id"] = "unknown"
    sent["lines"][0]["item"]["id"] = "unknown"
    async with running(tmp_path) as world:
        explained = view(await world.explain(sent), "chargeover-us")
        problem = (await world.send(sent)).json
        assert explained["verdict"] == "untranslatable"
        assert explained["errors"] == problem["errors"]
        assert len(explained["errors"]) == 2


async def test_a_fallback_is_explained_where_the_first_cannot_carry_it(tmp_path: Path) -> None:
    """Both: why not the first, and what the second would get."""
    edit = replaced(
        'name = "default"\nto = ', 'name = "default"\nfallback = ["onlyoffice-eu", "katsupay-lagos"]\nto = '
    )
    sent = invoice("chargeover", due_date="2026-07-13")
    async with running(tmp_path, edit) as world:
        found = (await world.explain(sent)).json
        assert [(one["name"], one["verdict"]) for one in found["upstreams"]] == [
            ("chargeover-us", "untranslatable"),
            ("onlyoffice-eu", "sendable"),
        ]
        result = (await world.send(sent)).json
        assert result["upstream"]["name"] == "onlyoffice-eu"


async def test_explaining_needs_no_upstream(tmp_path: Path) -> None:
    """None of them is asked, not even for a token."""
    edits = [unreachable(dialect) for dialect in NAMES]
    async with running(tmp_path, *edits) as world:
        answer = await world.explain(invoice("exsited"), "?all_upstreams=true")
        assert {one["verdict"] for one in answer.json["upstreams"]} == {"sendable"}


async def test_credentials_are_masked_in_every_request(tmp_path: Path) -> None:
    """Their headers are named, their values never said."""
    async with running(tmp_path) as world:
        await world.send(invoice("exsited"))  # now there is a token
        answer = await world.explain(invoice(), "?all_upstreams=true")
        secret = {"mykaarma": "Authorization", "katsupay": "X-Api-Key", "exsited": "Authorization"}
        for dialect, name in secret.items():
            assert view(answer, NAMES[dialect])["request"]["headers"][name] == "***"
        text = answer.content.decode()
        for value in ("sandbox-key", "sandbox-token", "sandbox-private", "sandbox-secret", "Basic ", "Bearer "):
            assert value not in text


async def test_explaining_twice_says_the_same(tmp_path: Path) -> None:
    """Nothing in it depends on time or chance."""
    async with running(tmp_path) as world:
        first, second = [await world.explain(invoice(), "?all_upstreams=true") for _ in range(2)]
        assert first.json == second.json


async def test_what_is_no_invoice_is_the_same_problem_as_when_it_is_sent(tmp_path: Path) -> None:
    """All faults, with their pointers."""
    wrong = invoice(currency="USX", lines=[])
    async with running(tmp_path) as world:
        explained, sent = (await world.explain(wrong)).json, (await world.send(wrong)).json
        assert explained | {"instance": ""} == sent | {"instance": ""}
        assert json.dumps(explained["errors"])
