"""The configuration file: every fault named at once, by file, line and place; crosswalk files, secrets, revisions."""

import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from gateway import demo
from gateway.core.crosswalk import Entry
from gateway.shell.configuration import ConfigurationError, Loaded, load
from gateway.shell.lines import line_of
from tests.support.running import Edit, added, configured, replaced

NOWHERE = "http://127.0.0.1:1"


def written(folder: Path, *edits: Edit) -> Path:
    """The demo's configuration, edited, as a file."""
    return configured(folder, NOWHERE, *edits)


def faults(path: Path, *, with_secrets: bool = True) -> list[str]:
    """What is wrong with the file."""
    with pytest.raises(ConfigurationError) as refusal:
        load(path, with_secrets=with_secrets)
    return list(refusal.value.messages)


def line(path: Path, marker: str) -> int:
    """The one line with this text."""
    found = [number for number, text in enumerate(path.read_text().split("\n"), 1) if marker in text]
    assert len(found) == 1, (marker, found)
    return found[0]


def test_the_demos_configuration_is_good() -> None:
    """All five upstreams, five rules, and nothing to warn of but what is known."""
    loaded = load(demo.CONFIG)
    assert len(loaded.upstreams) == len(loaded.rules) == 5
    assert not [warning for warning in loaded.warnings if "plain text" in warning]


class Wrong(Struct, frozen=True):
    """An edit that makes the configuration wrong, the text on the line that is at fault, and what is said of it."""

    edit: Edit
    marker: str
    place: str
    words: tuple[str, ...] = ()
    above: int = 0
    """How many lines above that text the value begins."""


CHARGEOVER = '[upstreams.chargeover-us]\ndialect = "chargeover"\n'
WRONG = {
    "unknown table": Wrong(added("[sever]\nlisten = 1"), "[sever]", "sever", ("sever", "server")),
    "unknown key": Wrong(
        replaced(CHARGEOVER, f'{CHARGEOVER}timout = "5s"\n'), "timout", "upstreams.chargeover-us.timout", ("timeout",)
    ),
    "unknown key of the server": Wrong(
        replaced("[server]\n", '[server]\nmax_bodi = "1MiB"\n'), "max_bodi", "server.max_bodi", ("max_body",)
    ),
    "unknown setting": Wrong(
        replaced('settings = { tax = "server"', 'settings = { taxes = "server"'),
        "{ taxes = ",
        "upstreams.chargeover-us.settings.taxes",
        ('"tax"',),
    ),
    "wrong setting": Wrong(
        replaced('tax = "server"', 'tax = "sever"'),
        'tax = "sever"',
        "upstreams.chargeover-us.settings.tax",
        ("none", "server"),
    ),
    "missing setting": Wrong(
        replaced(', terms = "Payable within 30 days."', ""),
        'settings = { language = "en-US" }',
        "upstreams.onlyoffice-eu.settings.terms",
        ("required",),
    ),
    "missing setting that has a rule of its own": Wrong(
        replaced('language = "en-US", ', ""),
        'settings = { terms = "Payable within 30 days." }',
        "upstreams.onlyoffice-eu.settings.language",
        ("required",),
    ),
    "setting on no list": Wrong(
        replaced('language = "en-US"', 'language = "tlh"'),
        'language = "tlh"',
        "upstreams.onlyoffice-eu.settings",
        ("tlh", "en-US"),
    ),
    "wrong time": Wrong(
        replaced(CHARGEOVER, f'{CHARGEOVER}timeout = "5 sec"\n'), '"5 sec"', "upstreams.chargeover-us.timeout", ("15s",)
    ),
    "wrong size": Wrong(replaced("[server]\n", '[server]\nmax_body = "1MB"\n'), '"1MB"', "server.max_body", ("1MiB",)),
    "wrong type": Wrong(
        replaced("[server]\n", '[server]\nmax_in_flight = "9"\n'),
        'max_in_flight = "9"',
        "server.max_in_flight",
        ("whole number",),
    ),
    "out of range": Wrong(
        replaced("[server]\n", "[server]\nmax_in_flight = 0\n"), "max_in_flight = 0", "server.max_in_flight", ("1",)
    ),
    "unknown dialect": Wrong(
        replaced('dialect = "chargeover"', 'dialect = "chargover"'),
        '"chargover"',
        "upstreams.chargeover-us.dialect",
        ('did you mean "chargeover"', "katsupay"),
    ),
    "no URL": Wrong(
        replaced(f'"{NOWHERE}/chargeover"', '"chargeover.example"'),
        '"chargeover.example"',
        "upstreams.chargeover-us.base_url",
        ("https://host",),
    ),
    "broken URL": Wrong(
        replaced(f'"{NOWHERE}/chargeover"', '"http://[::"'), '"http://[::"', "upstreams.chargeover-us.base_url"
    ),
    "plain HTTP": Wrong(
        replaced(f'"{NOWHERE}/chargeover"', '"http://chargeover.example"'),
        '"http://chargeover.example"',
        "upstreams.chargeover-us.base_url",
        ("https", "insecure_http"),
    ),
    "two credentials": Wrong(
        replaced(
            'auth = { header = { name = "Authorization"', 'auth = { bearer = "b", header = { name = "Authorization"'
        ),
        'bearer = "b"',
        "upstreams.onlyoffice-eu.auth",
        ("header", "bearer"),
    ),
    "unknown crosswalk": Wrong(
        replaced("terms = { 0 = 1", "term = { 0 = 1"), "term = {", "upstreams.chargeover-us.crosswalk.term", ("terms",)
    ),
    "wrong crosswalk": Wrong(
        replaced("currencies = { USD = 1, EUR = 2 }", 'currencies = "sam"'),
        '"sam"',
        "upstreams.chargeover-us.crosswalk.currencies",
        ("same",),
    ),
    "unknown upstream": Wrong(
        replaced('to = "chargeover-us"', 'to = "chargover-us"'), '"chargover-us"', "routes.4.to", ("chargeover-us",)
    ),
    "unknown upstream of a split": Wrong(
        replaced('to = "chargeover-us"', "split = { chargeover-eu = 1 }"),
        "split =",
        "routes.4.split",
        ("chargeover-us",),
    ),
    "unknown upstream of a fallback": Wrong(
        replaced('to = "chargeover-us"', 'to = "chargeover-us"\nfallback = ["katsupay"]'),
        "fallback =",
        "routes.4.fallback",
        ("katsupay",),
    ),
    "weight of nothing": Wrong(
        replaced('to = "chargeover-us"', "split = { chargeover-us = 0 }"), "split =", "routes.4.split.chargeover-us"
    ),
    "to and split": Wrong(
        replaced('to = "chargeover-us"', 'to = "chargeover-us"\nsplit = { chargeover-us = 1 }'),
        'name = "default"',
        "routes.4",
        ("to or split",),
        above=1,
    ),
    "neither to nor split": Wrong(
        replaced('\nto = "chargeover-us"', ""), 'name = "default"', "routes.4", ("to or split",), 1
    ),
    "the same rule twice": Wrong(
        replaced('name = "default"', 'name = "europe" # again'), "# again", "routes.4.name", ("europe",)
    ),
    "amount without a currency": Wrong(
        replaced('to = "chargeover-us"', 'to = "chargeover-us"\nwhen = { amount = { min = "1" } }'),
        "when = { amount",
        "routes.4.when.amount",
        ("currency",),
    ),
    "amount that is a float": Wrong(
        replaced('to = "chargeover-us"', 'to = "chargeover-us"\nwhen = { currency = "USD", amount = { min = 1.5 } }'),
        "min = 1.5",
        "routes.4.when.amount.min",
        ('"1.5"',),
    ),
    "unknown currency": Wrong(
        replaced('currency = "USD" }\nto', 'currency = "USX" }\nto'), '"USX"', "routes.0.when.currency", ("USX",)
    ),
    "unknown country": Wrong(
        replaced('to = "chargeover-us"', 'to = "chargeover-us"\nwhen = { country = ["DE", "UK"] }'),
        '"UK"',
        "routes.4.when.country",
        ("UK",),
    ),
    "unknown path": Wrong(
        replaced('has = ["references.order"]', 'has = ["references.ordr"]'),
        '"references.ordr"',
        "routes.2.when.has",
        ("references.order",),
    ),
    "unknown condition": Wrong(
        replaced('when = { labels = { product = "crm" }, has = ["due_date"] }', 'when = { label = "crm" }'),
        "label =",
        "routes.3.when.label",
        ("labels",),
    ),
    "no address": Wrong(
        replaced('\nlisten = "127.0.0.1:0"', '\nlisten = "8080"'), 'listen = "8080"', "server.listen", ("host:port",)
    ),
    "open to all": Wrong(
        replaced('\nlisten = "127.0.0.1:0"', '\nlisten = "0.0.0.0:0"'), "0.0.0.0:0", "server.listen", ("clients",)
    ),
    "client without a token": Wrong(
        added("[clients.billing]\noperator = true"), "[clients.billing]", "clients.billing", ("token",)
    ),
    "client with both": Wrong(
        added(f'[clients.billing]\ntoken = "t"\ntoken_sha256 = "{"0" * 64}"'),
        "[clients.billing]",
        "clients.billing",
        ("not both",),
    ),
    "hash that is none": Wrong(
        added('[clients.billing]\ntoken_sha256 = "abc"'), '"abc"', "clients.billing.token_sha256", ("64",)
    ),
    "client of an unknown upstream": Wrong(
        added('[clients.billing]\ntoken = "t"\nupstreams = ["chargeover"]'),
        'upstreams = ["chargeover"]',
        "clients.billing.upstreams",
        ("chargeover-us",),
    ),
    "variable that is not set": Wrong(
        replaced('password = "sandbox-private"', 'password = { env = "GATEWAY_TEST_UNSET" }'),
        "GATEWAY_TEST_UNSET",
        "upstreams.chargeover-us.auth.basic.password",
        ("GATEWAY_TEST_UNSET", "not set"),
    ),
    "secret file that is missing": Wrong(
        replaced('password = "sandbox-private"', 'password = { file = "secrets/co" }'),
        "secrets/co",
        "upstreams.chargeover-us.auth.basic.password",
        ("secrets/co", "No such file"),
    ),
    "reference to both": Wrong(
        replaced('password = "sandbox-private"', 'password = { env = "A", file = "b" }'),
        'file = "b"',
        "upstreams.chargeover-us.auth.basic.password",
        ("not both",),
    ),
    "client's secret that is missing": Wrong(
        added('[clients.billing]\ntoken = [{ file = "gone" }, "other"]'),
        'file = "gone"',
        "clients.billing.token",
        ("gone",),
    ),
    "crosswalk file that is missing": Wrong(
        replaced('customers = { "acct-88" = 88, "acct-89" = 89 }', 'customers = { file = "gone.csv" }'),
        "gone.csv",
        "upstreams.chargeover-us.crosswalk.customers.file",
        ("gone.csv", "No such file"),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_fault_is_named_by_file_line_and_place(name: str, tmp_path: Path) -> None:
    """One message for one fault, with the nearest valid name where there is one."""
    wrong = WRONG[name]
    path = written(tmp_path, wrong.edit)
    (message,) = faults(path)
    assert message.startswith(f"{path}:{line(path, wrong.marker) - wrong.above}: {wrong.place}: ")
    for word in wrong.words:
        assert word in message.partition(f" {wrong.place}: ")[2]


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    """Those of the schema, of the names, of settings, files and secrets, each once and in one go."""
    names = (
        "unknown table",
        "wrong time",
        "unknown upstream",
        "unknown setting",
        "variable that is not set",
        "no address",
    )
    path = written(tmp_path, *(WRONG[name].edit for name in names))
    found = faults(path)
    assert len(found) == len(names)
    for name in names:
        place, number = WRONG[name].place, line(path, WRONG[name].marker)
        assert [message for message in found if message.startswith(f"{path}:{number}: {place}: ")], name


def test_a_fault_does_not_bring_others_with_it(tmp_path: Path) -> None:
    """What could not be read is not also contradicted, unknown or missing."""
    path = written(tmp_path, replaced('to = "chargeover-us"', "to = 5"))
    (message,) = faults(path)
    assert "routes.4.to" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[server\n", ("not TOML", "line 1")),
        (b"a = 1\na = 2\n", ("not TOML", "line 2")),
        (b"\xff", ("not UTF-8",)),
        (b"a = " + b"[" * 5000 + b"]" * 5000, ("nested too deep",)),
        (b"", ("upstreams", "routes")),
        (b'[upstreams]\n[[routes]]\nname = "x"\n', ("upstreams",)),
    ],
)
def test_what_is_no_configuration_is_said_with_the_file(content: bytes, words: tuple[str, ...], tmp_path: Path) -> None:
    """Not TOML, not UTF-8, or nothing in it."""
    path = tmp_path / "gateway.toml"
    path.write_bytes(content)
    found = faults(path)
    assert all(message.startswith(str(path)) for message in found)
    for word in words:
        assert word in "\n".join(found)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The path and the reason, and no exception of another kind."""
    assert faults(tmp_path / "gone.toml") == [f"{tmp_path / 'gone.toml'}: cannot be read: No such file or directory"]
    assert "cannot be read" in faults(tmp_path)[0]


def test_messages_never_hold_a_secret(tmp_path: Path) -> None:
    """Also where the fault is the secret's own."""
    path = written(
        tmp_path,
        replaced('password = "sandbox-private"', 'password = "geheim-1\\n"'),
        replaced('value = "sandbox-key"', 'value = ["geheim-2"]'),
        added('[clients.a]\ntoken = { envi = "geheim-3" }\n[clients.b]\ntoken_sha256 = "t"'),
    )
    assert "geheim-1" not in "\n".join(faults(path))


# ------------------------------------------------------------------ secrets


def test_secrets_need_not_be_there_where_none_is_used(tmp_path: Path) -> None:
    """`explain` works on a machine that has none."""
    edits = [WRONG[name].edit for name in ("variable that is not set", "client's secret that is missing")]
    assert load(written(tmp_path, *edits), with_secrets=False).upstreams


def test_secrets_stand_in_files_beside_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to it, wherever the gateway was started."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "co").write_text("geheim\n")
    monkeypatch.chdir("/")
    assert load(written(tmp_path, WRONG["secret file that is missing"].edit))


def test_a_secret_file_without_anything_is_a_fault(tmp_path: Path) -> None:
    """An empty secret is none."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "co").write_text("\n")
    (message,) = faults(written(tmp_path, WRONG["secret file that is missing"].edit))
    assert "empty" in message


def test_a_secret_in_plain_text_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its place, without its value; not where it is a reference, and not for the sandbox on this machine."""
    monkeypatch.setenv("GATEWAY_TEST_SECRET", "geheim")
    path = written(
        tmp_path,
        replaced(f'"{NOWHERE}/chargeover"', '"https://chargeover.example"'),
        replaced('username = "sandbox-public"', 'username = { env = "GATEWAY_TEST_SECRET" }'),
        added('[clients.billing]\ntoken = "plain-token"\n[clients.other]\ntoken = { env = "GATEWAY_TEST_SECRET" }'),
    )
    warnings = [one for one in load(path).warnings if "plain text" in one]
    assert len(warnings) == 2
    assert "chargeover-us" in warnings[0]
    assert "password" in warnings[0]
    assert "billing" in warnings[1]
    assert not [one for one in warnings if "sandbox-private" in one or "plain-token" in one or "geheim" in one]


BASIC = '{ basic = { username = "sandbox-public", password = "sandbox-private" } }'


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (replaced(f"auth = {BASIC}\n", ""), ("chargeover-us", "basic")),
        (replaced(BASIC, '{ bearer = "b" }'), ("chargeover-us", "basic", "bearer")),
        (replaced("currencies = { USD = 1, EUR = 2 }\n", ""), ("chargeover-us", "currencies")),
    ],
    ids=["no credentials", "credentials that do not fit", "missing crosswalk"],
)
def test_what_is_hardly_meant_is_warned_of(edit: Edit, words: tuple[str, ...], tmp_path: Path) -> None:
    """It may be: a proxy can add credentials, and callers can send the upstream's own ids."""
    (warning,) = load(written(tmp_path, edit)).warnings
    assert all(word in warning for word in words)


def test_limits_that_are_kept_need_no_warning(tmp_path: Path) -> None:
    """Everything that can be configured is done; neither the demo nor the example is warned of."""
    path = written(
        tmp_path,
        added('[journal]\nurl = "sqlite:///var/lib/gateway.db"\n[delivery]\nattempts = 2\n[reconcile]\n[breaker]'),
        added('[clients.billing]\ntoken = { env = "HOME" }\nrate = 5'),
        replaced(CHARGEOVER, f"{CHARGEOVER}queue = 5\nrate = 5\n"),
    )
    assert load(path).warnings == ()
    assert load(demo.CONFIG).warnings == ()


def test_every_file_that_it_was_read_from_is_known(tmp_path: Path) -> None:
    """Itself, crosswalks and secrets: those are watched."""
    (tmp_path / "token").write_text("secret")
    (tmp_path / "key").write_text("secret")
    (tmp_path / "journal-url").write_text("sqlite://journal.db")
    (tmp_path / "customers.csv").write_text("id,upstream_id\nacct-88,88\nacct-89,89\n")
    path = written(
        tmp_path,
        added('[journal]\nurl = { file = "journal-url" }'),
        added('[clients.billing]\ntoken = [{ file = "token" }, { env = "HOME" }]'),
        replaced('customers = { "acct-88" = 88, "acct-89" = 89 }', 'customers = { file = "customers.csv" }'),
        replaced('password = "sandbox-private"', 'password = { file = "key" }'),
    )
    found = [each.relative_to(tmp_path).as_posix() for each in load(path).files]
    assert found[0] == "gateway.toml"
    assert set(found) == {"gateway.toml", "customers.csv", "journal-url", "key", "token"}


def test_a_password_in_the_journals_url_is_warned_of(tmp_path: Path) -> None:
    """It belongs into the environment or a file; and where the reference leads nowhere, that is a fault."""
    plain = added('[journal]\nurl = "postgresql://gateway:secret@db.example/gateway"')
    (warning,) = load(written(tmp_path, plain)).warnings
    assert "[journal] url" in warning
    assert "secret" not in warning
    referred = added('[journal]\nurl = { env = "NOT_SET_ANYWHERE" }')
    with pytest.raises(ConfigurationError, match=r"journal\.url: the environment variable NOT_SET_ANYWHERE is not set"):
        load(written(tmp_path, referred))
    assert load(written(tmp_path, referred), with_secrets=False).warnings == ()


def test_how_long_an_absent_invoice_may_still_appear_is_the_dialects_or_the_operators(tmp_path: Path) -> None:
    """`settle` of an upstream, else that of its dialect."""
    upstreams = load(written(tmp_path, replaced(CHARGEOVER, f'{CHARGEOVER}settle = "90s"\n'))).upstreams
    assert upstreams["chargeover-us"].settle == 90.0
    assert {name: upstreams[name].settle for name in ("exsited-sydney", "onlyoffice-eu", "katsupay-lagos")} == {
        "exsited-sydney": 120.0,
        "onlyoffice-eu": 600.0,
        "katsupay-lagos": 0.0,
    }


# ------------------------------------------------------------------ crosswalk files

CSV = replaced('customers = { "acct-88" = 88, "acct-89" = 89 }', 'customers = { file = "tables/customers.csv" }')
TAXES = replaced('taxes = { "S:20" = { id = 7, rate = "20" } }', 'taxes = { file = "tables/taxes.csv" }')


def table(folder: Path, name: str, content: bytes) -> None:
    """A file beside the configuration."""
    (folder / "tables").mkdir(exist_ok=True)
    (folder / "tables" / name).write_bytes(content)


def loaded_with(folder: Path, content: bytes) -> Loaded:
    """The configuration with this table of customers."""
    table(folder, "customers.csv", content)
    return load(written(folder, CSV))


@pytest.mark.parametrize(
    "content",
    [
        b"id,upstream_id\nacct-88,88\nacct-89,89\n",
        b"\xef\xbb\xbfid,upstream_id\r\nacct-88,88\r\nacct-89,89\r\n",
        b"upstream_id,comment,id\n88,ours,acct-88\n89,,acct-89",
        b'"id","upstream_id"\n"acct-88","88"\nacct-89,89\n\n',
        b"id,upstream_id\nacct-88,88,extra\nacct-89,89\n",
    ],
    ids=["plain", "as Excel writes it", "other columns", "quoted", "more cells"],
)
def test_a_table_of_ids_in_a_file(content: bytes, tmp_path: Path) -> None:
    """The columns by their names, in any order; a path is relative to the configuration."""
    crosswalk = loaded_with(tmp_path, content).upstreams["chargeover-us"].crosswalk
    assert crosswalk.find("customers", "acct-88") == Entry("88")
    assert crosswalk.find("customers", "acct-89") == Entry("89")
    assert crosswalk.find("customers", "acct-90") is None


def test_ids_in_a_file_may_hold_anything(tmp_path: Path) -> None:
    """Commas, quotes, and letters of any alphabet; spaces belong to them."""
    found = loaded_with(tmp_path, 'id,upstream_id\n"a,b","say ""x"""\nÄ Ö,ключ\n'.encode())
    crosswalk = found.upstreams["chargeover-us"].crosswalk
    assert crosswalk.find("customers", "a,b") == Entry('say "x"')
    assert crosswalk.find("customers", "Ä Ö") == Entry("ключ")


def test_a_table_may_be_the_same(tmp_path: Path) -> None:
    """The upstream knows our ids, whatever they are."""
    path = written(tmp_path, replaced('customers = { "acct-88" = 88, "acct-89" = 89 }', 'customers = "same"'))
    crosswalk = load(path).upstreams["chargeover-us"].crosswalk
    assert crosswalk.find("customers", "anybody") == Entry("anybody")
    assert crosswalk.find("items", "anything") is None


def test_taxes_in_a_file_have_a_rate(tmp_path: Path) -> None:
    """A decimal, or nothing."""
    table(tmp_path, "taxes.csv", b"id,upstream_id,rate\nS:20,7,20\nS:5.5,8,5.50\nfree,9,\n")
    crosswalk = load(written(tmp_path, TAXES)).upstreams["onlyoffice-eu"].crosswalk
    assert crosswalk.find("taxes", "S:20") == Entry("7", Decimal(20))
    assert crosswalk.find("taxes", "S:5.5") == Entry("8", Decimal("5.50"))
    assert crosswalk.find("taxes", "free") == Entry("9", None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id,upstream\nacct-88,88\n", ("upstream_id", "column")),
        (b"upstream_id\n88\n", ("column id",)),
        (b"", ("column",)),
        (b"id;upstream_id\nacct-88;88\n", ("column",)),
        (b"id,upstream_id\nacct-88,88\nacct-88,89\n", (":3:", "acct-88")),
        (b"id,upstream_id\nacct-88,\n", (":2:", "empty")),
        (b"id,upstream_id\n,88\n", (":2:", "empty")),
        (b"id,upstream_id\nacct-88\n", (":2:", "empty")),
        (b"id,upstream_id\n\xff,88\n", ("UTF-8",)),
        (b"id,upstream_id\na,1\nb," + b"x" * 200_000, ("limit",)),
    ],
)
def test_a_table_that_is_wrong_is_named_by_its_own_line(content: bytes, words: tuple[str, ...], tmp_path: Path) -> None:
    """And by the line of the configuration that refers to it."""
    table(tmp_path, "customers.csv", content)
    path = written(tmp_path, CSV)
    (message,) = faults(path)
    assert message.startswith(
        f"{path}:{line(path, 'customers.csv')}: upstreams.chargeover-us.crosswalk.customers.file: "
    )
    assert "tables/customers.csv" in message
    for word in words:
        assert word in message


def test_a_fault_of_one_rule_does_not_hide_one_of_another(tmp_path: Path) -> None:
    """Rule 1 is not rule 10."""
    more = "".join(f'\n[[routes]]\nname = "more-{number}"\nto = "gone"\n' for number in range(5, 11))
    path = written(tmp_path, replaced('name = "wallets"', "name = 5"), added(more))
    assert len(faults(path)) == 1 + 6


@pytest.mark.parametrize("rate", ["20%", "1e2", "NaN", "twenty", "20,5"])
def test_a_rate_that_is_no_decimal_is_named(rate: str, tmp_path: Path) -> None:
    """With the line of the table."""
    table(tmp_path, "taxes.csv", f'id,upstream_id,rate\nS:20,7,20\nS:19,8,"{rate}"\n'.encode())
    (message,) = faults(written(tmp_path, TAXES))
    assert "tables/taxes.csv:3:" in message
    assert rate in message


def test_every_wrong_row_is_named(tmp_path: Path) -> None:
    """All at once."""
    table(tmp_path, "customers.csv", b"id,upstream_id\na,1\na,2\n,3\nb,\n")
    assert len(faults(written(tmp_path, CSV))) == 3


def test_the_line_of_a_row_counts_lines_of_the_file(tmp_path: Path) -> None:
    """Also after a quoted value of two lines and an empty line."""
    table(tmp_path, "customers.csv", b'id,upstream_id,comment\na,1,"two\nlines"\n\nb,,\n')
    (message,) = faults(written(tmp_path, CSV))
    assert "tables/customers.csv:5:" in message


# ------------------------------------------------------------------ revisions


def test_the_revision_is_that_of_everything_that_was_read(tmp_path: Path) -> None:
    """The same content, the same revision; another byte in the file or in a table, another one."""
    content = b"id,upstream_id\nacct-88,88\n"
    first = loaded_with(tmp_path, content).revision
    assert first.startswith("sha256:")
    assert loaded_with(tmp_path, content).revision == first
    assert loaded_with(tmp_path, content + b"acct-89,89\n").revision != first
    path = written(tmp_path, CSV, added("# a comment"))
    table(tmp_path, "customers.csv", content)
    assert load(path).revision != first


def test_the_revision_knows_which_table_says_what(tmp_path: Path) -> None:
    """Moving a row from one file to another is a change."""
    inline = "items = { labour = 239, brake-pads = 240, oil-5w30 = 241, oil-filter = 242, disposal = 243 }"
    items = replaced(inline, 'items = { file = "tables/items.csv" }')
    head, revisions = b"id,upstream_id\n", set()
    for customers, things in ((b"a,1\nid,upstream_id\nb,2\n", b"c,3\n"), (b"a,1\n", b"b,2\nid,upstream_id\nc,3\n")):
        table(tmp_path, "customers.csv", head + customers)
        table(tmp_path, "items.csv", head + things)
        revisions.add(load(written(tmp_path, CSV, items)).revision)
    assert len(revisions) == 2


# ------------------------------------------------------------------ lines


LINES = '''# one
title = "two"
text = """
four
five"""
after = 6

[table]
eight = 1 # nothing on line 7
inline = { a = 1, b = { c = 2 } }
list = [
  1,
  { x = 13 },

  { x = 15 },
]
dotted.key = 17
"quoted key" = 18
[table.deeper]
a = 20
[[many]]
n = 22

[[many]]
n = 25
[[many.inner]]
z = 27
'''


@pytest.mark.parametrize(
    ("tokens", "number"),
    [
        (["title"], 2),
        (["text"], 3),
        (["after"], 6),
        (["table"], 8),
        (["table", "eight"], 9),
        (["table", "inline", "b", "c"], 10),
        (["table", "list"], 11),
        (["table", "dotted", "key"], 17),
        (["table", "quoted key"], 18),
        (["table", "deeper"], 19),
        (["table", "deeper", "a"], 20),
        (["many"], 21),
        (["many", "0", "n"], 22),
        (["many", "1"], 24),
        (["many", "1", "n"], 25),
        (["many", "1", "inner", "0", "z"], 27),
        (["many", "1", "missing"], 24),
        (["many", "7", "n"], 21),
        (["table", "inline", "missing"], 10),
        (["missing"], 1),
        ([], 1),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, list) else None,
)
def test_the_line_of_a_value(tokens: list[str], number: int) -> None:
    """Where it begins; for what is missing, where the nearest thing around it does."""
    assert line_of(LINES, tokens, tomllib.loads(LINES)) == number


class Written(Struct):
    """A TOML document on its way, and the line of each of its keys."""

    lines: list[str]
    at: dict[tuple[str, ...], int]


SIMPLE = (
    "1",
    '"text"',
    "true",
    "2026-06-30",
    "1.5",
    '"[table] # \\" \\u2028"',
    "'''one line'''",
    "[]",
    "{}",
    '"a\u2028b"',
)
LONG = ('"""\n[[routes]]\nkey = 1\n"""', "'''\n\n'''", "[\n  1,\n  # ]\n  2,\n]", '["]",\n"["]', '"""a\\\n  b"""')
NAMES = st.text("abcdefgh-_0123456789", min_size=1, max_size=6)
NOISE = st.sampled_from(("", "# comment", "# [table]", "   ", "# a \u2028 b \u0085"))


@st.composite
def documents(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Written:
    """A document of tables, arrays of tables and values of one or many lines, with comments and empty lines between."""
    made = Written([], {})
    _keys(draw, made, ())
    for name in draw(st.lists(NAMES, unique=True, max_size=4)):
        kind = draw(st.sampled_from(("table", "array", "deep")))
        key = f"T{name}"
        if kind == "table":
            _header(draw, made, f"[{key}]", (key,))
            _keys(draw, made, (key,))
        elif kind == "deep":
            _header(draw, made, f"[{key}.inner]", (key,), (key, "inner"))
            _keys(draw, made, (key, "inner"))
        else:
            for index in range(draw(st.integers(1, 3))):
                whole = ((key,),) if not index else ()
                _header(draw, made, f"[[{key}]]", *whole, (key, str(index)))
                _keys(draw, made, (key, str(index)))
    return made


def _header(draw: Callable[[st.SearchStrategy[Any]], Any], made: Written, text: str, *paths: tuple[str, ...]) -> None:
    made.lines += draw(st.lists(NOISE, max_size=2))
    made.lines.append(text)
    for path in paths:
        made.at[path] = len(made.lines)


def _keys(draw: Callable[[st.SearchStrategy[Any]], Any], made: Written, place: tuple[str, ...]) -> None:
    for name in draw(st.lists(NAMES, unique=True, max_size=4)):
        made.lines += draw(st.lists(NOISE, max_size=2))
        number = len(made.lines) + 1
        form = draw(st.sampled_from(("simple", "long", "inline", "dotted", "quoted")))
        made.at[*place, name] = number
        if form == "simple":
            made.lines.append(f"{name} = {draw(st.sampled_from(SIMPLE))}")
        elif form == "long":
            made.lines += f"{name} = {draw(st.sampled_from(LONG))}".split("\n")
        elif form == "inline":
            made.lines.append(f"{name} = {{ a = 1, b = {{ c = [1, {{ d = 2 }}] }} }}")
            for path in (("a",), ("b",), ("b", "c"), ("b", "c", "1"), ("b", "c", "1", "d")):
                made.at[(*place, name, *path)] = number
        elif form == "dotted":
            made.lines.append(f"{name}.sub . key = 1")
            made.at[*place, name, "sub"] = made.at[*place, name, "sub", "key"] = number
        else:
            made.lines.append(f'"{name}" = 1  # quoted')


@settings(deadline=None)
@given(documents(), st.booleans())
@example(Written(["# \u2028", "a = 1"], {("a",): 2}), True)
def test_the_line_of_any_value_of_any_document(made: Written, ending: bool) -> None:
    """The one it stands on, as an editor counts lines, whatever stands before it."""
    text = "\n".join(made.lines) + ("\n" if ending else "")
    document = tomllib.loads(text)
    for path, number in made.at.items():
        assert line_of(text, list(path), document) == number, path


def test_a_large_document_is_searched_in_no_time() -> None:
    """The line is found by halving: a thousand faults in a thousand lines are no reason to wait."""
    text = "".join(f'key-{index} = "value"\n' for index in range(1000))
    document = tomllib.loads(text)
    assert [line_of(text, [f"key-{index}"], document) for index in range(0, 1000, 100)] == list(range(1, 1000, 100))
