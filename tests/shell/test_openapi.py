"""The published document: valid, complete, and true of what a gateway takes and answers."""

import ast
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from openapi_spec_validator import validate

from gateway import demo
from gateway.core.errors import Problem
from gateway.core.losses import FIELDS
from gateway.core.parse import parse
from gateway.core.problem_index import PROBLEMS
from gateway.shell import docs, problems, server
from gateway.shell.catalog import dialects, extension_types
from gateway.shell.clients import Clients
from gateway.shell.limits import Limits
from gateway.shell.openapi import HEADERS, PARAMETERS
from gateway.shell.server import Api
from tests.core.samples import document as smallest
from tests.core.samples import line
from tests.support import published
from tests.support.running import added, invoice, running

DOCUMENT = published.document()
SAMPLES = Path(__file__).parent.parent / "mappings"
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def test_the_document_is_valid() -> None:
    """OpenAPI 3.1, with every schema in JSON Schema 2020-12."""
    validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_every_route_is_in_the_document_and_no_other() -> None:
    """Method by method; HEAD is GET without a body."""
    engine: Any = SimpleNamespace(gateway=None, records=None, current=None)
    app = Api(engine, Clients({}, Path()), {}, Limits(1, 1.0, 1), tell=print).application()
    routes = {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if isinstance(route.resource, web.Resource) and route.method != "HEAD"
    }
    assert routes == set(OPERATIONS)


def test_every_problem_is_in_the_document() -> None:
    """As an example of an answer, with its status, title and whether the same request may be sent again."""
    answers = [answer for operation in OPERATIONS.values() for answer in operation["responses"].items()]
    answers.append(("405", DOCUMENT["components"]["responses"]["method-not-allowed"]))
    found: set[str] = set()
    for status, answer in answers:
        content = answer["content"].get("application/problem+json", {"examples": {}})
        for slug, example in content["examples"].items():
            kind: type[Problem] = PROBLEMS[slug]
            assert example["value"]["type"] == f"/problems/{slug}"
            assert str(kind.status) == status
            assert example["value"]["retryable"] is kind.retryable
            assert published.faults(content["schema"], example["value"]) == []
            found.add(slug)
    assert found == set(PROBLEMS)


def test_every_header_that_the_server_names_is_in_the_document() -> None:
    """Those it reads are parameters or the token, those it sets are headers of answers."""
    form = re.compile(r"[A-Z][a-z]+(-[A-Z][A-Za-z]+)+|X-[A-Za-z-]+|WWW-[A-Za-z-]+|Allow|Location|Prefer|traceparent")
    named = {
        node.value
        for module in (server, problems, docs)
        for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and form.fullmatch(node.value)
    }
    assert {"Retry-After", "X-Request-Id", "Idempotent-Replayed"} <= named
    assert named - {"Content-Encoding"} <= set(HEADERS) | set(PARAMETERS)
    assert set(HEADERS) <= named


def test_every_canonical_field_is_in_the_schema() -> None:
    """The pattern of each leads to a member of the schema of the invoice."""
    for field in FIELDS:
        node: Any = published.ref("Invoice")
        for word in field.removeprefix("/").split("/"):
            node = published.resolved(node)
            node = next((each for each in node.get("anyOf", [node]) if each.get("type") != "null"), node)
            node = published.resolved(node)
            node = node["properties"][word] if word != "*" else node.get("items", node.get("additionalProperties"))
        assert node is not None, field


def test_the_extensions_of_every_dialect_are_in_the_schema() -> None:
    """Of the document and of lines, member by member."""
    schemas = DOCUMENT["components"]["schemas"]
    for name, dialect in dialects().items():
        for place, kind in (("Invoice", dialect.extension), ("Line", dialect.line_extension)):
            properties = schemas[place]["properties"]["extensions"]["properties"]
            assert (name in properties) is (kind is not None)
            if kind is not None:
                assert set(published.resolved(properties[name])["properties"]) == set(kind.__struct_encode_fields__)


def samples() -> dict[str, Any]:
    """Every invoice of the mappings' tests, and the demo's."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(SAMPLES.glob("invoices/*.json"))}
    for path in sorted(SAMPLES.glob("*/*.json")):
        whole = json.loads(path.read_text())
        if isinstance(whole, dict) and isinstance(whole.get("invoice"), dict):
            found[f"{path.parent.name}/{path.stem}"] = whole["invoice"]
    return found | {"demo": json.loads(demo.INVOICE.read_text())}


@pytest.mark.parametrize("sample", [pytest.param(each, id=name) for name, each in samples().items()])
def test_the_schema_takes_every_sample_invoice(sample: Any) -> None:
    """What the gateway takes, the schema takes."""
    parse(json.dumps(sample).encode(), extension_types())
    assert published.faults(published.ref("Invoice"), sample) == []


WRONG = [
    {"currency": "XXQ"},
    {"currency": "usd"},
    {"customer": {}},
    {"customer": {"id": None}},
    {"customer": {"id": ""}},
    {"customer": {"id": "x" * 256}},
    {"customer": {"id": "a\u0000b"}},
    {"customer": {"id": "a", "billing_address": {"country": "XX"}}},
    {"customer": {"id": "a", "identifiers": {"acme": "1"}}},
    {"issue_date": "2026-02-30"},
    {"issue_date": "2026-6-30"},
    {"issue_date": None},
    {"external_id": ""},
    {"external_id": "a b"},
    {"external_id": "a\n"},
    {"lines": []},
    {"lines": [line()] * 1001},
    {"lines": [line(quantity=2)]},
    {"lines": [line(quantity="1e3")]},
    {"lines": [line(quantity="-0.00")]},
    {"lines": [line(quantity="01")]},
    {"lines": [line(quantity="1.0000000")]},
    {"lines": [line(quantity="1\n")]},
    {"lines": [line(unit="hur")]},
    {"lines": [line(taxes=[{"category": "X", "rate": "20"}])]},
    {"lines": [line(extensions={"chargeover": {"nope": 1}})]},
    {"lines": [line(extensions={"onlyoffice": {}})]},
    {"extensions": {"acme": {}}},
    {"extensions": {"exsited": {}}},
    {"extensions": {"katsupay": None}},
    {"extensions": {"katsupay": {"billingCycle": "1"}}},
    {"labels": {"": "x"}},
    {"labels": {"x": "y" * 256}},
    {"labels": {str(each): "x" for each in range(17)}},
    {"metadata": {"x": "a\u0007"}},
    {"recurrence": "P"},
    {"recurrence": "PT1H"},
    {"language": "english language"},
    {"prices_include_tax": "yes"},
    {"totals": {"amount_due": 12.5}},
    {"references": {"nope": "x"}},
    {"colour": "red"},
]


@pytest.mark.parametrize("change", WRONG, ids=lambda change: json.dumps(change)[:60])
def test_what_the_schema_refuses_the_gateway_refuses(change: dict[str, Any]) -> None:
    """The schema is nowhere stricter than the gateway, nor laxer where a schema can say it."""
    assert published.faults(published.ref("Invoice"), smallest()) == []
    sent = smallest(**change)
    assert published.faults(published.ref("Invoice"), sent)
    with pytest.raises(Problem):
        parse(json.dumps(sent).encode(), extension_types())


async def test_what_a_gateway_answers_is_what_the_document_says(tmp_path: Path) -> None:
    """Every operation once, and every outcome; each answer of a gateway in these tests is held to the document."""
    async with running(tmp_path, added('[reconcile]\ndelays = ["1h"]')) as world:
        created = await world.send(invoice(), params={})
        await world.arm("katsupay", "succeeded-false", method="POST")
        await world.arm("mykaarma", "store-then-reset", method="POST")
        statuses = {
            "created": created.status,
            "again": (await world.send(invoice())).status,
            "other": (await world.send(invoice(note="another"))).status,
            "later": (await world.send(invoice("onlyoffice"), headers={"Prefer": "respond-async"})).status,
            "rejected": (await world.send(invoice("katsupay"))).status,
            "unknown": (unknown := await world.send(invoice("mykaarma"))).status,
            "list": (await world.api("GET", "/v1/invoices?limit=2")).status,
            "read": (await world.api("GET", f"/v1/invoices/{created.json['id']}?include=upstream_response")).status,
            "explain": (await world.explain(invoice(), "?all_upstreams=true")).status,
            "doubtful flag": (await world.explain(invoice(), "?all_upstreams=perhaps")).status,
            "upstreams": (await world.api("GET", "/v1/upstreams")).status,
            "document": (await world.api("GET", "/openapi.json")).status,
            "page": (await world.api("GET", "/docs")).status,
            "explain by GET": (await world.api("GET", "/v1/invoices/explain")).status,
        }
        place = f"/v1/invoices/{unknown.json['invoice']}/resolve"
        word = {"outcome": "not_sent", "reason": "the portal does not have it"}
        statuses["resolve"] = (await world.api("POST", place, json=word)).status
    assert statuses == {
        "created": 201,
        "again": 200,
        "other": 422,
        "later": 202,
        "rejected": 422,
        "unknown": 504,
        "list": 200,
        "read": 200,
        "explain": 200,
        "doubtful flag": 400,
        "upstreams": 200,
        "document": 200,
        "page": 200,
        "explain by GET": 405,
        "resolve": 200,
    }


async def test_the_document_and_its_page_need_no_token(tmp_path: Path) -> None:
    """As the pages of problems; everything else does."""
    async with running(tmp_path, added('[clients.billing]\ntoken = "of-billing"')) as world:
        for path, operation in DOCUMENT["paths"].items():
            if "get" in operation:
                asked = path.replace("{id}", "x").replace("{slug}", "internal")
                answer = await world.api("GET", asked)
                assert (answer.status == 401) is bool(operation["get"]["security"]), path
        assert (await world.api("GET", "/openapi.json")).json == DOCUMENT
