"""What a configuration's schema cannot say: names that must exist, values that contradict. Source: contract 3 and 6."""

from typing import Any

import msgspec
import pytest

from gateway.core import schema
from gateway.core.config import Config
from gateway.core.config_faults import config_faults, config_warnings, is_loopback, listener
from gateway.core.money import decode_amount
from tests.core.samples import DIALECTS

TINY: dict[str, Any] = {
    "dialect": "tiny",
    "base_url": "https://tiny.example",
    "auth": {"bearer": "secret"},
    "crosswalk": {"customers": "same"},
}
DIGEST = "0" * 64
ANY = "0.0.0.0"  # noqa: S104 - nothing listens here


def document(**changes: Any) -> dict[str, Any]:
    """A configuration without faults, with top-level changes."""
    return {"upstreams": {"eu": TINY, "mute": {"dialect": "mute", "base_url": "http://localhost:9100/mute"}},
            "routes": [{"name": "default", "to": "eu"}]} | changes  # fmt: skip


def found(**changes: Any) -> dict[str, str]:
    """Details of the faults by pointer; no pointer twice."""
    faults, repaired = schema.examine(document(**changes), Config)
    assert faults == []
    later = list(config_faults(msgspec.convert(repaired, Config, dec_hook=decode_amount), DIALECTS))
    assert len({fault.pointer for fault in later}) == len(later)
    return {fault.pointer: fault.detail for fault in later}


def of_upstream(**changes: Any) -> dict[str, str]:
    """The faults of an upstream with changes, by the rest of the pointer."""
    faults = found(upstreams={"e/u": TINY | changes, "eu": TINY})
    assert all(pointer.startswith("/upstreams/e~1u") for pointer in faults)
    return {pointer.removeprefix("/upstreams/e~1u"): detail for pointer, detail in faults.items()}


def of_route(**changes: Any) -> dict[str, str]:
    """The faults of a rule, by the rest of the pointer."""
    faults = found(routes=[{"name": "first", "to": "eu"}, {"name": "r"} | changes])
    assert all(pointer.startswith("/routes/1") for pointer in faults)
    return {pointer.removeprefix("/routes/1"): detail for pointer, detail in faults.items()}


def test_a_configuration_without_faults_has_none() -> None:
    """The sample itself."""
    assert found() == {}
    assert found(clients={"a": {"token": "t", "upstreams": ["eu"]}}, server={"listen": f"{ANY}:8080"}) == {}


@pytest.mark.parametrize(
    "url", ["", "journal.db", "mysql://host/db", "sqlite:journal.db", "sqlite://", "postgresql://"]
)
def test_a_journal_has_a_url_of_a_known_kind(url: str) -> None:
    """With something after it, so that there is no guess about which file or server is meant."""
    assert set(found(journal={"url": url})) == {"/journal/url"}


def test_a_doubt_is_not_looked_into_without_a_pause() -> None:
    """The last delay repeats: at nothing, it would never end."""
    assert set(found(reconcile={"delays": ["1s", "0s", "0ms"]})) == {"/reconcile/delays/1", "/reconcile/delays/2"}


def test_what_is_divided_by_or_waited_for_is_longer_than_nothing() -> None:
    """A window of nothing would end every exchange in an exception; with a timeout of nothing, none begins."""
    assert set(found(breaker={"window": "0s"}, server={"body_timeout": "0ms"})) == {
        "/breaker/window",
        "/server/body_timeout",
    }
    assert set(of_upstream(timeout="0s")) == {"/timeout"}


@pytest.mark.parametrize(
    "url", ["https://host", "https://host/prefix", "https://host:8443/a/b", "https://[::1]:1", "http://127.0.0.1:9100"]
)
def test_spans_go_to_a_url_of_scheme_and_host(url: str) -> None:
    """And a prefix, if it wants."""
    assert found(tracing={"otlp_endpoint": url, "headers": {"x-token": "t"}}) == {}


def test_spans_go_to_http_elsewhere_only_without_headers() -> None:
    """Headers are secrets; a collector in the same cluster is often asked without any."""
    wrong = "is http; use https, or send no headers"
    there = {"otlp_endpoint": "http://collector:4318"}
    assert found(tracing=there) == {}
    assert found(tracing=there | {"headers": {"x-token": "t"}}) == {"/tracing/otlp_endpoint": wrong}
    assert set(found(tracing={"otlp_endpoint": "collector:4317"})) == {"/tracing/otlp_endpoint"}


@pytest.mark.parametrize(
    "url", ["https://host", "https://host/prefix", "https://host:8443/a/b", "https://[::1]:1", "http://127.0.0.1:9100"]
)
def test_an_upstream_has_a_url_of_scheme_and_host(url: str) -> None:
    """And a prefix, if it wants; plain http on the loopback."""
    assert of_upstream(base_url=url) == {}


@pytest.mark.parametrize(
    "url",
    [
        *("", "host", "ftp://host", "https://", "https:///path", "https://host?a=b", "https://host/#x", "//host"),
        *("https://user@host", "https://:password@host", "https://host:99999", "https://host:port", "https://[::1"),
        *("https://[x]", "https://host:0"),
    ],
)
def test_another_url_is_refused(url: str) -> None:
    """No query, no fragment, no credentials, a port that exists; and never an exception."""
    assert of_upstream(base_url=url) == {"/base_url": f'"{url}" is not https://host or https://host/prefix'}


@pytest.mark.parametrize(
    "url",
    [
        *("sqlite://journal.db", "sqlite:///var/lib/invoice-gateway/journal.db", "postgresql://gateway@db/journal"),
        *("postgres://gateway@db:5432/journal", {"env": "JOURNAL_URL"}, {"file": "journal.url"}),
    ],
)
def test_a_journal_is_in_a_file_or_a_database(url: object) -> None:
    """What a reference leads to is not known here."""
    assert found(journal={"url": url}) == {}


@pytest.mark.parametrize(
    "url",
    ["", "journal.db", "/var/lib/journal.db", "sqlite:journal.db", "mysql://db/journal", "file://j", " sqlite://j"],
)
def test_another_journal_is_refused(url: str) -> None:
    """With the forms that there are, and without the words of the URL, which can hold a password."""
    assert found(journal={"url": url}) == {"/journal/url": "must be sqlite:// and a path, or postgresql://…"}


def test_plain_http_has_to_be_asked_for() -> None:
    """Credentials and invoices travel with it."""
    assert of_upstream(base_url="http://host") == {"/base_url": "is http; use https, or say insecure_http = true"}
    assert of_upstream(base_url="http://host", insecure_http=True) == {}


def test_a_dialect_has_to_exist() -> None:
    """The ones there are are listed, the nearest is named; nothing else is said about that upstream."""
    assert of_upstream(dialect="tinny", crosswalk={"x": "same"}) == {
        "/dialect": '"tinny" is not a dialect: mute, tiny; did you mean "tiny"?'
    }


def test_there_is_at_most_one_way_to_authenticate() -> None:
    """Of several, nobody could say which is meant."""
    assert of_upstream(auth={"bearer": "x", "header": {"name": "X", "value": "y"}}) == {
        "/auth": "one of header, bearer, not several"
    }
    assert of_upstream(auth={"header": {"name": "X", "value": "y"}}) == {}
    assert found(upstreams=document()["upstreams"] | {"mute": {"dialect": "mute", "base_url": "https://m"}}) == {}


def warned(**changes: Any) -> list[str]:
    """What the document is warned of with these changes of its upstream."""
    config = msgspec.convert(document(upstreams={"tiny": TINY | changes}), Config, dec_hook=decode_amount)
    return list(config_warnings(config, DIALECTS))


def test_credentials_and_crosswalks_that_a_dialect_wants_are_missed() -> None:
    """A proxy may add the one, callers may send the upstream's own ids: a warning, no fault."""
    assert warned() == []
    assert warned(auth={}) == ["[upstreams.tiny] tiny wants auth = { bearer or header = … }, not none"]
    basic = {"basic": {"username": "u", "password": "p"}}
    assert warned(auth=basic) == ["[upstreams.tiny] tiny wants auth = { bearer or header = … }, not basic"]
    wanted = "[upstreams.tiny] tiny translates customers by a crosswalk, and there is none"
    assert warned(crosswalk={}) == [wanted]


def test_crosswalks_are_those_of_the_dialect() -> None:
    """What it does not know is refused with the nearest name."""
    assert of_upstream(crosswalk={"customers": "same", "tax": "same"}) == {
        "/crosswalk/tax": '"tax" is no crosswalk of tiny; did you mean "taxes"?'
    }
    faults = found(
        upstreams={"eu": TINY, "m": {"dialect": "mute", "base_url": "https://m", "crosswalk": {"a/b": "same"}}}
    )
    assert faults == {"/upstreams/m/crosswalk/a~1b": '"a/b" is no crosswalk of mute'}
    faults = found(
        upstreams={"eu": TINY, "m": {"dialect": "mute", "base_url": "https://m", "crosswalk": {"item": "same"}}}
    )
    assert faults == {"/upstreams/m/crosswalk/item": '"item" is no crosswalk of mute; did you mean "items"?'}


@pytest.mark.parametrize(
    ("client", "wrong"),
    [
        ({"token": "t"}, False),
        ({"token": ["a", {"env": "B"}]}, False),
        ({"token_sha256": DIGEST}, False),
        ({"token_sha256": [DIGEST, DIGEST]}, False),
        ({}, True),
        ({"token": "t", "token_sha256": DIGEST}, True),
    ],
)
def test_a_client_has_a_token_or_its_digest(client: dict[str, Any], wrong: bool) -> None:
    """One of them, and not both."""
    expected = {"/clients/a~1b": "needs token or token_sha256, and not both"} if wrong else {}
    assert found(clients={"a/b": client}) == expected


def test_a_client_may_use_upstreams_that_exist() -> None:
    """The nearest name is given."""
    assert found(clients={"a": {"token": "t", "upstreams": ["eu", "mutee"]}}) == {
        "/clients/a/upstreams": 'there is no [upstreams.mutee]; did you mean "mute"?'
    }


@pytest.mark.parametrize("listen", ["127.0.0.1:8080", "localhost:0", "[::1]:8080", "127.8.9.10:1"])
def test_without_clients_a_loopback_listener_starts(listen: str) -> None:
    """Contract 3: none at all, only a loopback listener."""
    assert found(server={"listen": listen}) == {}


@pytest.mark.parametrize("listen", [f"{ANY}:8080", "[::]:8080", "10.0.0.1:80", "gateway.example:80"])
def test_without_clients_no_other_listener_starts(listen: str) -> None:
    """Anybody could send; with clients it does."""
    host, _ = listener(listen)
    expected = f"{host} is not loopback; without [clients] anybody could send"
    assert found(server={"listen": listen}) == {"/server/listen": expected}
    assert found(server={"listen": listen}, clients={"a": {"token": "t"}}) == {}
    assert found(server={"ops_listen": listen}) == {}


@pytest.mark.parametrize(
    ("text", "expected"), [(f"{ANY}:8080", (ANY, 8080)), ("[::1]:0", ("::1", 0)), ("h:65535", ("h", 65_535))]
)
def test_a_listener_is_host_and_port(text: str, expected: tuple[str, int]) -> None:
    """An IPv6 address in brackets."""
    assert listener(text) == expected


@pytest.mark.parametrize(
    "text", ["", "8080", ":8080", "host", "host:", "host:65536", "host:x", "host:１", "h:" + "9" * 5000]
)
def test_another_text_is_no_listener(text: str) -> None:
    """Named by its key."""
    with pytest.raises(ValueError, match=r"is not host:port|integer string"):
        listener(text)
    assert set(found(server={"listen": text, "ops_listen": text})) == {"/server/listen", "/server/ops_listen"}


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("[::1]", True), (ANY, False), ("example", False)],
)
def test_loopback_is_this_machine(host: str, loopback: bool) -> None:
    """By name or by address."""
    assert is_loopback(host) is loopback


def test_a_rule_has_a_name_of_its_own() -> None:
    """Metrics and answers name rules."""
    assert of_route(name="first", to="eu") == {"/name": 'another rule is called "first"'}


@pytest.mark.parametrize("route", [{}, {"to": "eu", "split": {"eu": 1}}])
def test_a_rule_goes_to_one_upstream_or_is_split(route: dict[str, Any]) -> None:
    """One of them, and not both."""
    assert of_route(**route) == {"": "needs to or split, and not both"}


@pytest.mark.parametrize(
    ("route", "place", "name"),
    [
        ({"to": "eus"}, "/to", "eus"),
        ({"to": ""}, "/to", ""),
        ({"split": {"eu": 1, "mutee": 1}}, "/split", "mutee"),
        ({"to": "eu", "fallback": ["mute", "nowhere"]}, "/fallback", "nowhere"),
        ({"to": "eu", "shadow": "euu"}, "/shadow", "euu"),
    ],
)
def test_a_rule_leads_to_upstreams_that_exist(route: dict[str, Any], place: str, name: str) -> None:
    """Wherever one is named."""
    faults = of_route(**route)
    assert set(faults) == {place}
    assert faults[place].startswith(f"there is no [upstreams.{name}]")


def test_a_shadow_is_another_upstream() -> None:
    """One that the invoices go to anyway says nothing; of a split it may be a part."""
    assert of_route(to="eu", shadow="eu") == {"/shadow": "is where the invoices go already"}
    assert of_route(split={"eu": 1, "mute": 1}, shadow="eu") == {}


@pytest.mark.parametrize(
    ("currency", "wrong"), [("USD", False), (["USD"], False), (["USD", "EUR"], True), ([], True), (None, True)]
)
def test_an_amount_needs_exactly_one_currency(currency: str | list[str] | None, wrong: bool) -> None:
    """10.00 of what?"""
    when: dict[str, Any] = {"amount": {"min": "10.00"}} | ({} if currency is None else {"currency": currency})
    expected = {"/when/amount": "an amount needs exactly one currency beside it"} if wrong else {}
    assert of_route(to="eu", when=when) == expected


def test_conditions_that_can_never_be_meant_are_faults() -> None:
    """Unknown codes and paths, as routing names them."""
    assert set(of_route(to="eu", when={"currency": "EUU", "has": "nmber"})) == {"/when/currency", "/when/has"}


def test_all_faults_are_named_at_once() -> None:
    """Of every part of the file."""
    faults = found(
        server={"listen": "x"},
        journal={"url": "x"},
        upstreams={"eu": TINY | {"base_url": "x"}},
        clients={"a": {}},
        routes=[{"name": "r", "to": "us"}, {"name": "r", "to": "eu", "fallback": ["us"]}],
    )
    assert set(faults) == {
        "/server/listen", "/journal/url", "/upstreams/eu/base_url", "/clients/a", "/routes/0/to", "/routes/1/name",
        "/routes/1/fallback",
    }  # fmt: skip
