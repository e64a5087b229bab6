"""The configuration as a value: the document, its defaults, times and sizes. Source: contract 3 and 6."""

import tomllib
from datetime import date
from typing import Any

import msgspec
import pytest

from gateway.core import schema
from gateway.core.config import Auth, Basic, Config, Header, Journal, OAuth, SecretRef, TaxRow, seconds, size
from gateway.core.money import Amount, decode_amount

SMALLEST = {
    "upstreams": {"tiny-eu": {"dialect": "tiny", "base_url": "https://tiny.example"}},
    "routes": [{"name": "default", "to": "tiny-eu"}],
}

WHOLE = """
[server]
listen = "0.0.0.0:8080"
ops_listen = "0.0.0.0:8081"
max_body = "1MiB"
max_in_flight = 256
drain_delay = "5s"
body_timeout = "10s"

[journal]
url = "sqlite:///var/lib/invoice-gateway/journal.db"
keep_bodies = "30d"

[delivery]
attempts = 3
deliver_by = "24h"

[reconcile]
delays = ["1s", "5s", "30s", "5m"]

[breaker]
window = "30s"
min_calls = 10
failure_rate = 0.5
open = "15s"

[clients.billing]
token_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
operator = false
upstreams = ["chargeover-us"]
rate = 50

[clients.web]
token = [{ env = "WEB_TOKEN" }, { file = "/run/secrets/web" }]

[upstreams.chargeover-us]
dialect = "chargeover"
base_url = "https://acme.chargeover.com"
auth = { basic = { username = { env = "CO_PUBLIC" }, password = { file = "/run/secrets/co" } } }
timeout = "15s"
max_in_flight = 32
queue = 64
rate = 2.5
settle = "2m"
insecure_http = false
settings = { discount_item = 90 }
[upstreams.chargeover-us.crosswalk]
customers = { "acct-88" = 88 }
items = { file = "items.csv" }
taxes = { "S:20" = { id = 4, rate = "20" }, "E:0" = 5, vat = "v" }
terms = "same"

[[routes]]
name = "us-subscriptions"
to = "chargeover-us"
[routes.when]
labels = { product = ["workshop", "fleet"] }
currency = ["USD"]
amount = { min = "10.00", below = "5000.00" }

[[routes]]
name = "all"
when = { client = "web", customer = "c", supplier = ["s"], issue_date = { from = 2026-01-01, until = "2026-07-01" } }
split = { chargeover-us = 90, other = 10 }
fallback = ["third"]
"""


def read(document: object) -> tuple[dict[str, str], Config]:
    """Codes of the faults by pointer, and the configuration as far as it can be used."""
    faults, repaired = schema.examine(document, Config)
    return {fault.pointer: fault.code for fault in faults}, msgspec.convert(repaired, Config, dec_hook=decode_amount)


def upstream(**changes: Any) -> dict[str, Any]:
    """The smallest document with changes of its upstream."""
    return SMALLEST | {"upstreams": {"tiny-eu": SMALLEST["upstreams"]["tiny-eu"] | changes}}  # type: ignore[index]


def test_every_key_of_the_contract_is_read() -> None:
    """The example of contract 3 with the keys of contract 6."""
    faults, config = read(tomllib.loads(WHOLE))
    assert faults == {}
    own = config.upstreams["chargeover-us"]
    assert own.auth.basic == Basic(SecretRef(env="CO_PUBLIC"), SecretRef(file="/run/secrets/co"))
    assert own.settings == {"discount_item": 90}
    assert own.crosswalk["customers"] == {"acct-88": 88}
    assert own.crosswalk["items"] == {"file": "items.csv"}
    assert own.crosswalk["taxes"] == {"S:20": TaxRow(4, Amount("20")), "E:0": 5, "vat": "v"}
    assert own.crosswalk["terms"] == "same"
    assert config.clients["web"].token == [SecretRef(env="WEB_TOKEN"), SecretRef(file="/run/secrets/web")]
    dates = config.routes[1].when.issue_date
    assert dates is not None
    assert (dates.from_, dates.until) == (date(2026, 1, 1), date(2026, 7, 1))
    assert config.routes[1].split == {"chargeover-us": 90, "other": 10}
    assert config.journal == Journal("sqlite:///var/lib/invoice-gateway/journal.db", "30d")


def test_the_defaults_are_those_of_the_contract() -> None:
    """Whatever is not written."""
    faults, config = read(SMALLEST)
    assert faults == {}
    own, server = config.upstreams["tiny-eu"], config.server
    assert (own.timeout, own.max_in_flight, own.queue, own.rate, own.settle) == ("15s", 32, 64, None, None)
    assert (own.insecure_http, own.settings, own.crosswalk, own.auth.kind) == (False, {}, {}, "none")
    assert (server.max_body, server.max_in_flight, server.drain_delay, server.body_timeout) == (
        "1MiB",
        256,
        "5s",
        "10s",
    )
    assert config.clients == {}
    assert (config.journal.url, config.journal.keep_bodies) == ("sqlite://journal.db", "30d")
    assert (config.delivery.attempts, config.delivery.deliver_by) == (3, "24h")
    assert config.reconcile.delays == ("1s", "5s", "30s", "5m")
    assert (config.breaker.window, config.breaker.min_calls) == ("30s", 10)
    assert (config.breaker.failure_rate, config.breaker.open) == (0.5, "15s")


@pytest.mark.parametrize(
    ("auth", "kind"),
    [
        ({}, "none"),
        ({"basic": {"username": "u", "password": "p"}}, "basic"),
        ({"header": {"name": "Authorization", "value": {"env": "X"}}}, "header"),
        ({"bearer": {"file": "x"}}, "bearer"),
        ({"oauth": {"token_path": "/oauth/token", "client_id": "i", "client_secret": {"env": "S"}}}, "oauth"),
    ],
)
def test_every_way_to_authenticate_is_read(auth: dict[str, Any], kind: str) -> None:
    """Any value may be plain text or a reference."""
    faults, config = read(upstream(auth=auth))
    assert faults == {}
    assert config.upstreams["tiny-eu"].auth.kind == kind


def test_the_kind_of_an_auth_is_the_one_that_is_set() -> None:
    """By its name in the file."""
    assert Auth(header=Header("a", "b")).kind == "header"
    assert Auth(oauth=OAuth("/t", "i", "s")).kind == "oauth"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://gateway@db/journal", "postgresql://gateway@db/journal"),
        ({"env": "JOURNAL_URL"}, SecretRef(env="JOURNAL_URL")),
        ({"file": "/run/secrets/journal"}, SecretRef(file="/run/secrets/journal")),
    ],
)
def test_the_journals_url_may_be_a_secret(url: object, expected: str | SecretRef) -> None:
    """It can hold a password."""
    faults, config = read(SMALLEST | {"journal": {"url": url, "keep_bodies": "12h"}})
    assert faults == {}
    assert config.journal == Journal(expected, "12h")


@pytest.mark.parametrize(
    ("document", "faults"),
    [
        ({}, {"/upstreams": "missing", "/routes": "missing"}),
        (SMALLEST | {"upstreams": {}}, {"/upstreams": "length"}),
        (SMALLEST | {"routes": []}, {"/routes": "length"}),
        (SMALLEST | {"upstreams": {"": {"dialect": "d", "base_url": "u"}}}, {"/upstreams/": "length"}),
        (SMALLEST | {"upstreams": {"a": 5}}, {"/upstreams/a": "type"}),
        (SMALLEST | {"sever": {}}, {"/sever": "unknown-field"}),
        (SMALLEST | {"server": {"listn": "x"}}, {"/server/listn": "unknown-field"}),
        (SMALLEST | {"server": {"max_body": "1MB"}}, {"/server/max_body": "pattern"}),
        (SMALLEST | {"server": {"max_in_flight": 0}}, {"/server/max_in_flight": "range"}),
        (SMALLEST | {"routes": [{"to": "tiny-eu"}]}, {"/routes/0/name": "missing"}),
        (SMALLEST | {"routes": [{"name": "r", "split": {"a": 0, "b": 1.5}}]},
         {"/routes/0/split/a": "range", "/routes/0/split/b": "type"}),
        (SMALLEST | {"routes": [{"name": "r", "to": "u", "when": {"amount": {"min": 10}}}]},
         {"/routes/0/when/amount/min": "decimal"}),
        (SMALLEST | {"routes": [{"name": "r", "to": "u", "when": {"issue_date": {"from": "2026-02-30"}}}]},
         {"/routes/0/when/issue_date/from": "date"}),
        (SMALLEST | {"routes": [{"name": "r", "to": "u", "when": {"labels": {"a/b": 5}}}]},
         {"/routes/0/when/labels/a~1b": "type"}),
        (SMALLEST | {"reconcile": {"delays": []}}, {"/reconcile/delays": "length"}),
        (SMALLEST | {"reconcile": {"delays": ["1s", "soon", 5]}},
         {"/reconcile/delays/1": "pattern", "/reconcile/delays/2": "type"}),
        (SMALLEST | {"breaker": {"failure_rate": 1.5}}, {"/breaker/failure_rate": "range"}),
        (SMALLEST | {"breaker": {"failure_rate": 0}}, {"/breaker/failure_rate": "range"}),
        (SMALLEST | {"delivery": {"attempts": 11}}, {"/delivery/attempts": "range"}),
        (SMALLEST | {"journal": {}}, {}),
        (SMALLEST | {"journal": {"url": 5}}, {"/journal/url": "type"}),
        (SMALLEST | {"journal": {"url": {"evn": "X"}}}, {"/journal/url/evn": "unknown-field"}),
        (SMALLEST | {"journal": {"keep_bodies": "a month"}}, {"/journal/keep_bodies": "pattern"}),
        (SMALLEST | {"journal": {"keep": "30d"}}, {"/journal/keep": "unknown-field"}),
        (SMALLEST | {"delivery": {"deliver_by": "24"}}, {"/delivery/deliver_by": "pattern"}),
        (SMALLEST | {"clients": {"a": {"token_sha256": ["x"]}}}, {"/clients/a/token_sha256/0": "pattern"}),
        (SMALLEST | {"clients": {"a": {"token": [5]}}}, {"/clients/a/token/0": "type"}),
        (SMALLEST | {"clients": {"a": {"token": {"evn": "X"}}}}, {"/clients/a/token/evn": "unknown-field"}),
        (upstream(rate=-1), {"/upstreams/tiny-eu/rate": "range"}),
        (upstream(rate=float("inf")), {"/upstreams/tiny-eu/rate": "range"}),
        (upstream(timeout="15"), {"/upstreams/tiny-eu/timeout": "pattern"}),
        (upstream(auth={"basic": {"username": "u"}}), {"/upstreams/tiny-eu/auth/basic/password": "missing"}),
        (upstream(auth={"header": {"name": "a b", "value": "v"}}), {"/upstreams/tiny-eu/auth/header/name": "pattern"}),
        (upstream(auth={"oauth": {"token_path": "x", "client_id": "i", "client_secret": "s"}}),
         {"/upstreams/tiny-eu/auth/oauth/token_path": "pattern"}),
        (upstream(crosswalk={"taxes": {"S:20": {"rate": "20"}}}),
         {"/upstreams/tiny-eu/crosswalk/taxes/S:20/id": "missing"}),
        (upstream(crosswalk={"items": {"a": True}}), {"/upstreams/tiny-eu/crosswalk/items/a": "type"}),
    ],
)  # fmt: skip
def test_a_fault_of_the_document_is_named_and_the_rest_can_be_used(document: object, faults: dict[str, str]) -> None:
    """Unknown keys are refused; what is left is checked further."""
    assert read(document)[0] == faults


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("15s", 15.0), ("500ms", 0.5), ("5m", 300.0), ("24h", 86_400.0), ("30d", 2_592_000.0), ("0.5s", 0.5)),
        *(("0s", 0.0), ("1.5h", 5_400.0), ("0.001ms", 0.000_001), ("999999d", 86_399_913_600.0)),
    ],
)
def test_a_time_is_read_in_seconds(text: str, expected: float) -> None:
    """In the units that the contract uses."""
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("512B", 512), ("64KiB", 65_536), ("1MiB", 1_048_576), ("2GiB", 2_147_483_648)]
)
def test_a_size_is_read_in_bytes(text: str, expected: int) -> None:
    """In binary units."""
    assert size(text) == expected
