"""`check` beyond the faults of the file: what rules will do later, and tests of routes. Source: contract 4."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from gateway.__main__ import main
from gateway.core.carriage import carriage_findings, refusals
from gateway.core.config import Sample
from gateway.core.coverage import layout
from gateway.core.errors import NoRoute
from gateway.core.invoice import Invoice
from gateway.core.money import encode_amount
from gateway.core.parse import parse
from gateway.core.routing import Facts, select
from gateway.core.sample import invoice_of
from gateway.core.totals import checked_totals
from gateway.shell.catalog import extension_types
from gateway.shell.check import Checked, check
from gateway.shell.configuration import load
from tests.support.readme import README

PLACE = "http://127.0.0.1:1"
UPSTREAMS = f"""
[upstreams.dollars]
dialect = "mykaarma"
base_url = "{PLACE}"
auth = {{ basic = {{ username = "u", password = "p" }} }}
settings = {{ department = "d", currency = "USD" }}
crosswalk = {{ customers = {{ "acct-88" = "c" }} }}

[upstreams.dinars]
dialect = "mykaarma"
base_url = "{PLACE}"
auth = {{ basic = {{ username = "u", password = "p" }} }}
settings = {{ department = "d", currency = "KWD" }}
crosswalk = {{ customers = {{}} }}

[upstreams.orders]
dialect = "exsited"
base_url = "{PLACE}"
auth = {{ bearer = "b" }}

[upstreams.portal]
dialect = "onlyoffice"
base_url = "{PLACE}"
auth = {{ header = {{ name = "Authorization", value = "t" }} }}
settings = {{ language = "en-US", terms = "30 days" }}
crosswalk = {{ customers = {{ "acct-88" = 10 }}, items = {{ labour = 5 }} }}

[upstreams.charge]
dialect = "chargeover"
base_url = "{PLACE}"
auth = {{ basic = {{ username = "u", password = "p" }} }}
[upstreams.charge.crosswalk]
customers = {{ "acct-88" = 88 }}
items = {{ labour = 5 }}
currencies = {{ USD = 1, EUR = 2 }}
terms = {{ x = 1, 14 = 2 }}

[upstreams.wallet]
dialect = "katsupay"
base_url = "{PLACE}"
settings = {{ receiving_account = "a" }}
crosswalk = {{ customers = {{ "acct-88" = "c" }}, items = {{ labour = "i" }}, currencies = {{ USD = 2, KWD = 3 }} }}
"""
NAMES = ("dollars", "dinars", "orders", "portal", "charge", "wallet")
ROUTE = re.compile(r"^(\w+): (?:(\{.*?\}) )?-> (.+)$")


def routes(text: str) -> str:
    """Rules in short: a line `name: { when } -> to`, or `-> { split … } fallback …`."""
    made = []
    for line in text.strip().splitlines():
        found = ROUTE.match(line.strip())
        assert found is not None, line
        name, when, target = found.groups()
        target, _, stand_in = target.partition(" else ")
        to = f"split = {target}" if target.startswith("{") else f'to = "{target}"'
        made.append(
            f'[[routes]]\nname = "{name}"\nwhen = {when or "{}"}\n{to}\nfallback = {json.dumps(stand_in.split())}\n'
        )
    return "\n".join(made)


def written(folder: Path, rules: str, more: str = "") -> Path:
    """A configuration with these rules, and no upstream but those that they name."""
    text = routes(rules)
    blocks = re.split(r"\n(?=\[upstreams\.\w+\])", UPSTREAMS.strip())
    used = [block for block, name in zip(blocks, NAMES, strict=True) if re.search(rf"\b{name}\b", text + more)]
    path = folder / "gateway.toml"
    path.write_text("\n\n".join([*used, text, more]))
    return path


@pytest.fixture
def examined(tmp_path: Path) -> Callable[..., Checked]:
    """What `check` says of some rules."""
    return lambda rules, more="", **how: check(written(tmp_path, rules, more), **how)


def codes(checked: Checked) -> list[tuple[str, str, str | None]]:
    """Severity, code and rule of each finding but of plain secrets, of upstreams and of what no rule takes."""
    return [
        (one.severity, one.code, one.rule) for one in checked.findings if one.code not in ("configuration", "no-rule")
    ]


# ------------------------------------------------------------------ rules

RULES: list[tuple[str, list[tuple[str, str, str | None]], str]] = [
    ("a: -> charge", [], ""),
    ("a: -> charge\nb: { currency = 'USD' } -> charge", [("fault", "never-reached", "b")], 'earlier rule "a", takes'),
    (
        (
            "a: { currency = 'USD', amount = { below = '10.005' } } -> charge\n"
            "b: { currency = 'USD', amount = { min = '10.01', below = '99' } } -> charge\n"
            "c: { currency = 'EUR' } -> charge\n"
            "d: { currency = 'USD', amount = { min = '99' } } -> charge\n"
            "e: { currency = 'USD', customer = 'acct-88' } -> charge"
        ),
        [("fault", "never-reached", "e")],
        'earlier rules "a", "b" and "d", take',
    ),
    (
        (
            "a: { labels = { tier = ['x', 'y'] }, currency = 'USD' } -> charge\n"
            "b: { lacks = 'labels.tier', currency = 'USD' } -> charge\n"
            "c: { labels = { tier = 'x' }, currency = 'USD', has = 'note' } -> charge"
        ),
        [("fault", "never-reached", "c")],
        'earlier rule "a", takes',
    ),
    (
        (
            "a: { has = 'note', currency = 'USD' } -> charge\nb: { lacks = 'note', currency = 'USD' } -> charge\n"
            "c: { currency = 'USD' } -> charge\nd: { currency = 'EUR' } -> charge"
        ),
        [("fault", "never-reached", "c")],
        'earlier rules "a" and "b", take',
    ),
    (
        (
            "a: { issue_date = { until = 2026-02-01 }, currency = 'USD' } -> charge\n"
            "b: { issue_date = { from = 2026-02-02 }, currency = 'USD' } -> charge\nc: { currency = 'USD' } -> charge"
        ),
        [],
        "",
    ),
    (
        "a: { has = 'note', lacks = 'note' } -> charge",
        [("fault", "never-matches", "a")],
        '"lacks note" contradicts "has note"',
    ),
    (
        "a: { currency = 'USD', has = 'supplier.name', lacks = 'supplier' } -> charge",
        [("fault", "never-matches", "a")],
        '"lacks supplier" contradicts "has supplier.name"',
    ),
    (
        "a: { country = 'NO', lacks = 'customer.billing_address.country' } -> charge",
        [("fault", "never-matches", "a")],
        'contradicts "country NO"',
    ),
    ("a: { currency = [] } -> charge", [("fault", "never-matches", "a")], 'none meets "currency of an empty list"'),
    ("a: { client = 'shop' } -> charge", [("fault", "never-matches", "a")], 'none meets "client shop"'),
    ("a: { lacks = 'lines' } -> charge", [("fault", "never-matches", "a")], 'none meets "lacks lines"'),
    ("a: { customer = '' } -> charge", [("fault", "never-matches", "a")], 'none meets "customer "'),
    ("a: { has = 'labels.' } -> charge", [("fault", "never-matches", "a")], 'none meets "has labels."'),
    (
        "a: { currency = 'JPY', amount = { min = '0.1', below = '0.9' } } -> portal",
        [("fault", "never-matches", "a")],
        'none meets "amount of JPY from 0.1 below 0.9"',
    ),
    (
        "a: { issue_date = { from = 2026-02-01, until = 2026-02-01 } } -> charge",
        [("fault", "never-matches", "a")],
        'none meets "issue date from 2026-02-01 below 2026-02-01"',
    ),
    (
        "a: { labels = { " + ", ".join(f"l{number} = 'x'" for number in range(17)) + " } } -> charge",
        [("fault", "never-matches", "a")],
        '"label l16 x" contradicts "label l0 x" and "label l1 x"',
    ),
]


@pytest.mark.parametrize(("rules", "expected", "words"), RULES)
def test_rules_that_hurt_later_are_found(
    rules: str, expected: list[tuple[str, str, str | None]], words: str, examined: Callable[..., Checked]
) -> None:
    """Shadowed by one or several together, and contradictions: with the reason, and the rules that matter alone."""
    checked = examined(rules)
    assert codes(checked) == expected
    assert checked.good is not any(severity == "fault" for severity, _, _ in expected)
    assert words in "".join(one.words for one in checked.findings if one.code != "configuration")


def test_an_upstream_that_no_rule_names_is_told(tmp_path: Path) -> None:
    """Neither to, split nor fallback; by the line of its table, whatever its name."""
    path = written(tmp_path, "a: -> { charge = 1, portal = 1 } else dollars", "# dinars")
    path.write_text(path.read_text().replace("[upstreams.dinars]", '[upstreams."di/nars"]'))
    line = path.read_text().splitlines().index('[upstreams."di/nars"]') + 1
    found = [one for one in check(path).findings if one.code == "unused-upstream"]
    assert [(one.place, one.line) for one in found] == [("upstreams.di/nars", line)]
    path.write_text(path.read_text().replace('name = "a"\n', 'name = "a"\nshadow = "di/nars"\n'))
    assert [one for one in check(path).findings if one.code == "unused-upstream"] == []


def test_what_no_rule_takes_is_told(examined: Callable[..., Checked]) -> None:
    """A warning with an invoice that has no route; a last rule without conditions ends it."""
    (found,) = [one for one in examined("a: { currency = 'USD' } -> charge").findings if one.code == "no-rule"]
    assert found.severity == "warning"
    assert found.witness is not None
    assert found.witness.invoice.currency != "USD"
    assert [
        one for one in examined("a: { currency = 'USD' } -> charge\nb: -> charge").findings if one.code == "no-rule"
    ] == []


CARRIAGE: list[tuple[str, list[tuple[str, str, str | None]], str]] = [
    ("a: { currency = 'USD' } -> dollars", [], ""),
    ("a: { currency = 'EUR' } -> dollars", [("fault", "never-carried", "a")], "the department bills in USD, not EUR"),
    ("a: { currency = ['USD', 'EUR'] } -> dollars", [("warning", "currency", "a")], "sends EUR to dollars"),
    ("a: { currency = ['USD', 'EUR'] } -> dollars else charge", [], ""),
    ("a: { currency = ['USD', 'CHF'] } -> dollars else charge", [("warning", "currency", "a")], "sends CHF to dollars"),
    ("a: { currency = ['USD', 'CHF'] } -> charge", [("warning", "currency", "a")], 'no entry for "CHF"'),
    ("a: { currency = 'CHF' } -> charge", [("fault", "never-carried", "a")], 'no entry for "CHF"'),
    ("a: -> dollars", [], ""),
    (
        "a: { has = 'note' } -> dollars\nb: -> charge",
        [("warning", "currency", "a")],
        'rule "b" after it leads to charge',
    ),
    ("a: { has = 'note' } -> dollars\nb: { currency = 'USD' } -> charge", [], ""),
    ("a: { has = 'note' } -> charge\nb: -> dollars", [], ""),
    ("a: { has = 'references.order' } -> orders", [], ""),
    ("a: -> orders", [("warning", "missing", "a")], "without references.order: the API invoices an order"),
    ("a: { lacks = 'references.order' } -> orders", [("fault", "never-carried", "a")], "without references.order"),
    (
        "a: { has = 'references.order' } -> orders\nb: -> orders",
        [("fault", "never-carried", "b")],
        "without references",
    ),
    ("a: -> orders else charge", [], ""),
    ("a: -> { orders = 1, charge = 1 }", [("warning", "missing", "a")], "sends orders invoices without"),
    ("a: -> { orders = 1, charge = 1000000 }", [], ""),
    ("a: -> portal", [("warning", "missing", "a")], 'has = ["due_date"] keeps them away'),
    ("a: -> portal else orders", [], ""),
    ("a: { has = ['due_date', 'charges'] } -> portal", [("fault", "never-carried", "a")], "only invoices with charges"),
    (
        "a: { lacks = 'charges', has = 'due_date' } -> portal\nb: { has = 'due_date' } -> portal",
        [("fault", "never-carried", "b")],
        "only invoices with charges",
    ),
    (
        "a: { customer = 'acct-88', lacks = 'charges', has = 'due_date' } -> portal\nb: { has = 'due_date' } -> portal",
        [],
        "",
    ),
    ("a: { has = ['due_date', 'totals'] } -> portal", [], ""),
    ("a: { has = 'recurrence' } -> charge", [], ""),
    ("a: { currency = 'KWD' } -> dinars", [("warning", "fraction", "a")], "amounts such as 100.001 KWD"),
    ("a: { currency = 'KWD', amount = { min = '200.5' } } -> dinars", [("warning", "fraction", "a")], "201.001 KWD"),
    ("a: { currency = 'KWD', amount = { min = '7', below = '7.001' } } -> dinars", [], ""),
    ("a: { currency = 'KWD' } -> dinars else charge", [("warning", "fraction", "a")], ""),
    ("a: { currency = 'KWD', has = 'due_date' } -> wallet", [("warning", "fraction", "a")], "100.001"),
    ("a: { has = 'due_date' } -> wallet", [("warning", "fraction", "a")], "100.001 KWD"),
    ("a: { currency = 'KWD', lacks = 'customer.identifiers' } -> dinars", [], ""),
    ("a: { currency = ['JPY', 'USD'], has = 'due_date' } -> portal", [], ""),
]


@pytest.mark.parametrize(("rules", "expected", "words"), CARRIAGE)
def test_what_an_upstream_can_never_carry_is_found(
    rules: str, expected: list[tuple[str, str, str | None]], words: str, examined: Callable[..., Checked]
) -> None:
    """A currency, a fraction, a missing field, a refused one; nothing where a stand-in takes it, or nobody could."""
    checked = examined(rules)
    assert codes(checked) == expected
    assert words in "".join(one.words for one in checked.findings if one.code != "configuration")


@pytest.mark.parametrize("rules", [rules for rules, expected, _ in (*RULES, *CARRIAGE) if expected])
def test_a_witness_is_an_invoice_that_shows_it(rules: str, tmp_path: Path) -> None:
    """As a caller sends it: it parses, goes where the finding says, and is refused there if the finding says so."""
    path = written(tmp_path, rules)
    loaded = load(path)
    shown = [one for one in check(path).findings if one.witness is not None]
    assert shown
    for one in shown:
        witness = one.witness
        assert witness is not None
        assert parse(json.dumps(json.loads(encoded(witness.invoice))).encode(), extension_types()) == witness.invoice
        try:
            decision = select(loaded.rules, Facts(witness.invoice, checked_totals(witness.invoice), witness.client))
        except NoRoute:
            assert one.code in ("no-rule", "never-matches")
            continue
        assert (decision.rule == one.rule) is (one.code not in ("never-matches", "never-reached"))
        if decision.rule == one.rule:
            assert refusals(witness, loaded.upstreams[decision.upstream])


def encoded(invoice: Invoice) -> bytes:
    """The invoice as JSON."""
    return msgspec.json.encode(invoice, enc_hook=encode_amount)


def test_what_the_rules_themselves_deny_is_no_finding(tmp_path: Path) -> None:
    """The witness has to go where the finding says, by the rules that serve."""
    loaded = load(written(tmp_path, "a: { currency = ['USD', 'EUR'] } -> dollars\nb: -> orders"))
    plan = layout(loaded.config, extension_types())
    assert [one.code for one in carriage_findings(plan, loaded.upstreams)] == ["currency", "missing"]
    for rules in (plan.rules[1:], plan.rules[:1], ()):
        found = carriage_findings(structs.replace(plan, rules=rules), loaded.upstreams)
        assert {one.rule for one in found} <= {rule.name for rule in rules}


def test_what_takes_too_long_to_find_out_of_an_upstream_is_said(tmp_path: Path) -> None:
    """As of the rules."""
    rules = "a: { country = 'DE' } -> charge\nb: { labels = { a = 'x' }, has = 'note' } -> charge\nc: -> charge"
    loaded = load(written(tmp_path, f"{rules}\nd: {{ country = ['DE', 'NO'] }} -> orders"))
    plan = layout(loaded.config, extension_types(), steps=0)
    assert {one.code for one in carriage_findings(plan, loaded.upstreams)} == {"not-decided"}


# ------------------------------------------------------------------ tests of routes

TESTED = (
    "a: { labels = { tier = 'x' }, currency = 'USD' } -> dollars\n"
    "b: { currency = 'EUR' } -> { charge = 1, orders = 1 }\nc: -> charge"
)


def cases(*some: str) -> str:
    """Tests of routes, each a line of TOML keys."""
    return "\n".join(f'[[tests]]\nname = "t{number}"\n{keys}' for number, keys in enumerate(some))


GOOD = (
    'fields = { labels = { tier = "x" } }\nexpect = "dollars"',
    'fields = { currency = "EUR" }\nexpect = "orders"\nrule = "b"',
    'fields = { currency = "EUR" }\nexpect = "charge"',
    'expect = "charge"\nrule = "c"',
    'fields = { currency = "XXX" }\nexpect = { problem = "invalid-invoice" }',
    'invoice = { file = "inv.json" }\nexpect = "charge"\nclient = "local"',
    'fields = { currency = "CHF" }\nexpect = { problem = "untranslatable" }',
    'fields = { has = ["lines", "labels", "metadata.k", "lines.extensions"], country = "NO" }\nexpect = "charge"',
)
WRONG: list[tuple[str, str]] = [
    ('expect = "dollars"', 't0" expects dollars, but rule "c" leads to charge'),
    ('expect = "charge"\nrule = "a"', 't0" expects rule "a", but rule "c" leads to charge'),
    (
        'expect = { problem = "no-route" }',
        'expects the problem no-route, but rule "c" leads to charge: untranslatable: ',
    ),
    ('fields = { customer = "acct-88" }\nexpect = { problem = "no-route" }', 'but rule "c" leads to charge'),
    ('fields = { currency = "EUR", external_id = "e" }\nexpect = "orders"', 'but rule "b" leads to charge'),
    ('fields = { has = "references.oder" }\nexpect = "charge"', 'did you mean "references.order"?'),
    ('expect = "charg"', 'there is no upstream "charg"; did you mean "charge"?'),
    ('expect = { problem = "no-rute" }', 'there is no problem "no-rute"; did you mean "no-route"?'),
    ('expect = "charge"\nrule = "d"', 'there is no rule "d"'),
    ('expect = "charge"\nclient = "shop"', 'there is no client "shop"'),
    ('expect = "charge"\nfields = {}\ninvoice = { file = "gateway.toml" }', "needs invoice or fields, and not both"),
    ('expect = "charge"\ninvoice = { file = "gone.json" }', "gone.json cannot be read: No such file or directory"),
    ('expect = "charge"\ninvoice = { file = "gateway.toml" }', "but malformed-json: "),
]


def test_good_tests_of_routes_are_quiet(tmp_path: Path) -> None:
    """By fields or by a file, by upstream or by problem; of a split either upstream."""
    (tmp_path / "inv.json").write_bytes(encoded(invoice_of(Sample(), extension_types())))
    assert codes(check(written(tmp_path, TESTED, cases(*GOOD)))) == [("warning", "missing", "b")]


@pytest.mark.parametrize(("keys", "words"), WRONG)
def test_a_failing_test_is_a_fault_and_says_what_happened_instead(keys: str, words: str, tmp_path: Path) -> None:
    """With its line; the file cannot be right and its test wrong at once."""
    path = written(tmp_path, TESTED, cases(keys))
    (found,) = [one for one in check(path).findings if one.severity == "fault"]
    assert words in found.words
    lines = path.read_text().splitlines()
    assert found.line is not None
    assert found.line >= lines.index("[[tests]]") + 1


def test_a_test_hears_why_no_rule_takes_its_invoice(examined: Callable[..., Checked]) -> None:
    """The condition that failed, of each rule."""
    checked = examined("a: { currency = 'USD' } -> charge", cases('fields = { currency = "EUR" }\nexpect = "charge"'))
    (found,) = [one for one in checked.findings if one.code == "test"]
    assert found.words.endswith('no-route: none of 1 rules takes the invoice; rule "a": currency is "EUR", not USD')


def test_a_test_calls_as_a_client_with_its_permissions(examined: Callable[..., Checked]) -> None:
    """An upstream that the client may not use is a problem; one that it may is none."""
    more = '[clients.shop]\ntoken = "t"\nupstreams = ["charge"]\n'
    one = 'client = "shop"\nfields = { labels = { tier = "x" } }\nexpect = { problem = "forbidden" }'
    other = 'client = "shop"\nexpect = "charge"'
    failing = [each for each in examined(TESTED, more + cases(one, other)).findings if each.severity == "fault"]
    assert failing == []


def test_rules_that_no_test_reaches_are_told_if_there_are_tests(examined: Callable[..., Checked]) -> None:
    """And not those that nothing reaches: that is said already."""
    rules = f"{TESTED}\nd: -> charge"
    checked = examined(rules, cases('expect = "charge"'))
    assert [one.rule for one in checked.findings if one.code == "untested"] == ["a", "b"]
    assert [one.rule for one in checked.findings if one.code == "never-reached"] == ["d"]
    assert (checked.counts["tests"], checked.counts["rules"], checked.counts["tested_rules"]) == (1, 4, 1)
    assert "tested_rules" not in examined(rules).counts
    assert [one for one in examined(rules).findings if one.code == "untested"] == []


def test_a_failing_test_keeps_no_gateway_from_starting(tmp_path: Path) -> None:
    """`load`, with which `serve` and a reload begin, neither runs tests nor reads their files."""
    path = written(tmp_path, TESTED, cases('expect = "dollars"\ninvoice = { file = "gone.json" }'))
    assert load(path).config.tests[0].expect == "dollars"
    assert all(file.name != "gone.json" for file in load(path).files)


# ------------------------------------------------------------------ on the command line


def test_findings_are_told_with_their_lines_and_witnesses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File, line, place, words; the witness as `fields` of a test would say it; how many faults."""
    path = written(
        tmp_path,
        "a: { currency = 'USD' } -> charge\nb: { currency = 'USD', labels = { x = 'y' } } -> charge\nc: -> charge",
    )
    assert main(["check", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if "plain text" not in line]
    number = path.read_text().splitlines().index('name = "b"')
    assert lines == [
        f'{path}:{number}: routes.1: rule "b" is never reached: what it could take, earlier rule "a", takes',
        '    such as {"client":"local","currency":"USD","amount":"100","labels":{"x":"y"},"issue_date":"2026-01-01"}',
        "1 fault",
    ]


def test_warnings_are_faults_only_if_that_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0 with them, 1 with `--strict`."""
    path = written(tmp_path, "a: -> orders")
    assert main(["check", str(path)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{path}: good (1 upstreams, 1 rules, 0 clients, revision sha256:")
    assert "warning: routes.0: rule" in err
    assert main(["check", "--strict", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "warning: " not in err


def test_check_as_json_has_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for programs, with whole witnesses; the exit code is the same, also of a file that cannot be used."""
    path = written(
        tmp_path, "a: { currency = 'EUR' } -> dollars", cases('fields = { currency = "EUR" }\nexpect = "dollars"')
    )
    assert main(["check", "--json", str(path)]) == 1
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["file"], found["good"], found["counts"]["tests"]) == (str(path), False, 1)
    (one,) = [each for each in found["findings"] if each["severity"] == "fault"]
    assert (one["code"], one["rule"], one["place"]) == ("never-carried", "a", "routes.0")
    assert one["witness"]["invoice"]["lines"][0]["unit_price"] == "100"
    path.write_text(path.read_text().replace('to = "dollars"', 'to = "dolars"'))
    assert main(["check", "--json", str(path)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["good"], found["revision"]) == (False, None)
    assert [(each["code"], each["place"]) for each in found["findings"]] == [("unknown-upstream", "routes.0.to")]


SHOWN = """
[upstreams.chargeover-us]
dialect = "chargeover"
base_url = "http://127.0.0.1:1"
crosswalk = { customers = "same", items = "same", currencies = { USD = 1 } }
auth = { basic = { username = { env = "HOME" }, password = { env = "HOME" } } }

[upstreams.exsited-sydney]
dialect = "exsited"
base_url = "http://127.0.0.1:1"
auth = { bearer = { env = "HOME" } }

[[routes]]
name = "dollars"
when = { currency = "USD" }
to = "chargeover-us"

[[routes]]
name = "fleet"
when = { labels = { product = "fleet" }, currency = "USD" }
to = "chargeover-us"

[[routes]]
name = "orders"
to = "exsited-sydney"
"""


def test_the_readme_shows_what_check_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its example is what comes out, and its table has every code."""
    monkeypatch.chdir(tmp_path)
    Path("gateway.toml").write_text(SHOWN)
    assert main(["check", "gateway.toml"]) == 1
    readme = README.read_text()
    shown = re.search(r"<!-- test: check -->\n```text\n(.*?)```", readme, re.DOTALL)
    assert shown is not None
    assert capsys.readouterr().err == f"{shown[1]}1 fault\n"
    listed = readme.partition("| code |")[2].partition("\n\n")[0]
    codes_shown = set(re.findall(r"`([a-z-]+)`", listed))
    found = {code for _, expected, _ in (*RULES, *CARRIAGE) for _, code, _ in expected}
    assert codes_shown == found | OTHER_CODES


OTHER_CODES = {"no-rule", "unused-upstream", "not-decided", "test", "test-unclear", "file", "untested"}
