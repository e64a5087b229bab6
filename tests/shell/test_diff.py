"""`diff` on the command line: lines, ways, exit codes; and that what it says is what gateways then do."""

import io
import json
import re
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from gateway.__main__ import main
from gateway.shell import diff_command
from tests.support.readme import README
from tests.support.running import NAMES, PRODUCTS, Edit, added, configured, invoice, replaced, running

NOWHERE = "http://127.0.0.1:1"
ELSEWHERE = replaced('to = "chargeover-us"', 'to = "onlyoffice-eu"')
ITEM = replaced("labour = 239", "labour = 1239")


@pytest.fixture(autouse=True)
def _columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as what is no terminal, whatever the tests run in."""
    monkeypatch.setenv("COLUMNS", "100")


def config(folder: Path, name: str, *edits: Edit) -> Path:
    """The demo's configuration, edited, in a folder of its own."""
    (folder / name).mkdir()
    return configured(folder / name, NOWHERE, *edits)


def sample(folder: Path, *lines: Any) -> Path:
    """Invoices, one a line; text is written as it is."""
    path = folder / "invoices.ndjson"
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in lines))
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The demo's configuration."""
    return config(tmp_path, "old")


def run(*arguments: str | Path) -> int:
    """`diff` in this process."""
    return main(["diff", *map(str, arguments)])


def row(text: str, *beginning: str) -> list[str]:
    """The words of the one line that begins with these."""
    (found,) = [words for line in text.splitlines() if (words := line.split())[: len(beginning)] == list(beginning)]
    return found


def test_the_same_configuration_has_no_difference(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0; how many invoices went which way, and for how much."""
    path = sample(tmp_path, *(invoice(dialect) for dialect in PRODUCTS))
    assert run(old, config(tmp_path, "new"), "--sample", path) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("0 of 5 invoices would go elsewhere or be translated otherwise\n\n")
    for name in NAMES.values():
        (found,) = [line.split() for line in out.splitlines() if name in line]
        assert found[1::2][:2] == [name, name]
        assert found[4:] == ["1", "0", "492.00", "USD"]


def test_invoices_that_go_elsewhere_are_named_by_line_and_id(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1; from where to where by which rule, what is lost otherwise, and the totals of the way."""
    path = sample(tmp_path, invoice("katsupay"), "", invoice("chargeover"))
    assert run(old, config(tmp_path, "new", ELSEWHERE), "--sample", path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"{path}:3: billing:acct-88:2026-06:chargeover: upstream, losses",
        '    upstream: chargeover-us by rule "default" → onlyoffice-eu by rule "default"',
        "    losses: /customer/billing_address/line1 nothing → dropped: the customer is known by id",
    ]
    assert re.fullmatch(r"    losses: and \d+ more", lines[6])
    text = "\n".join(lines[7:])
    assert text.startswith("\n1 of 2 invoices would go elsewhere")
    assert row(text, "default") == "default chargeover-us default onlyoffice-eu 1 1 492.00 USD".split()
    assert row(text, "wallets") == "wallets katsupay-lagos wallets katsupay-lagos 1 0 492.00 USD".split()
    assert text.index("default") < text.index("wallets")


def test_an_invoice_that_is_refused_or_no_longer_is_says_why(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The problem and its first reason."""
    path = sample(tmp_path, invoice("chargeover", due_date="2026-07-13"))
    assert run(old, config(tmp_path, "new", ELSEWHERE), "--sample", path) == 1
    out = capsys.readouterr().out
    assert ': problem\n    problem: untranslatable by rule "default": ' in out
    assert ' → onlyoffice-eu by rule "default"\n' in out
    assert row(out, "default") == "default untranslatable default onlyoffice-eu 1 1 492.00 USD".split()


def test_a_request_that_changes_is_told_by_its_places(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The value as it was and as it would be."""
    assert run(old, config(tmp_path, "new", ITEM), "--sample", sample(tmp_path, invoice("chargeover"))) == 1
    out = capsys.readouterr().out
    assert ": billing:acct-88:2026-06:chargeover: request\n    request: /line_items/0/item_id 239 → 1239\n\n" in out
    lines = invoice("chargeover")["lines"]
    twice = [*lines, {**lines[0], "id": "9"}]
    path = sample(tmp_path, invoice("chargeover", lines=twice, totals=None))
    assert run(old, tmp_path / "new" / "gateway.toml", "--sample", path) == 1
    assert "\n    request: /line_items/*/item_id × 2 239 → 1239\n\n" in capsys.readouterr().out


def test_lines_that_are_no_invoices_are_named_and_stop_nothing(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error; exit 2, since not all was compared, whatever else is found."""
    wrong = invoice("chargeover", currency="usd")
    path = sample(tmp_path, "{", invoice("chargeover"), wrong, invoice("chargeover", totals={"amount_due": "1.00"}))
    for new, different in ((config(tmp_path, "same"), 0), (config(tmp_path, "new", ITEM), 1)):
        assert run(old, new, "--sample", path) == 2
        out, err = capsys.readouterr()
        first, second, third = err.splitlines()
        assert first.startswith(f"{path}:1: malformed-json: ")
        assert second == f'{path}:3: invalid-invoice: /currency: "usd" is not an ISO 4217 code'
        assert third.startswith(f"{path}:4: totals-mismatch: /totals/amount_due: ")
        assert (
            f"{different} of 1 invoices would go elsewhere or be translated otherwise; 3 lines could not be read" in out
        )
    assert run(old, old, "--sample", sample(tmp_path, "[]")) == 2
    out, err = capsys.readouterr()
    assert out == "0 of 0 invoices would go elsewhere or be translated otherwise; 1 line could not be read\n"


def test_as_json_each_finding_is_a_line_and_the_totals_are_the_last(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With everything that was compared; amounts are strings, nothing is on standard error."""
    path = sample(tmp_path, invoice("katsupay"), invoice("chargeover"), "{}")
    assert run(old, config(tmp_path, "new", ITEM), "--sample", path, "--json") == 2
    out, err = capsys.readouterr()
    assert err == ""
    difference, unread, totals = (json.loads(line) for line in out.splitlines())
    assert (difference["type"], difference["line"]) == ("difference", 2)
    assert difference["external_id"] == "billing:acct-88:2026-06:chargeover"
    assert difference["changes"] == [{"kind": "request", "place": "/line_items/0/item_id", "old": "239", "new": "1239"}]
    assert json.loads(difference["new"]["request"]["body"])["line_items"][0]["item_id"] == 1239
    assert difference["new"]["request"]["headers"]["Authorization"] == "***"
    assert (unread["type"], unread["line"], unread["problem"]) == ("unread", 3, "invalid-invoice")
    assert "/currency" in [one["pointer"] for one in unread["errors"]]
    assert (totals["type"], totals["invoices"], totals["different"], totals["unread"]) == ("totals", 2, 1, 1)
    assert totals["ways"][0] == {
        "way": {"old_rule": "default", "old": "chargeover-us", "new_rule": "default", "new": "chargeover-us"},
        "invoices": 1,
        "different": 1,
        "amounts": {"USD": "492.00"},
    }


def test_amounts_are_added_up_by_way_and_currency(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exactly; currencies are never mixed."""
    euros = [invoice("chargeover", currency="EUR", external_id=f"e{number}") for number in range(2)]
    dollars = [invoice("chargeover", external_id=f"d{number}") for number in range(3)]
    assert run(old, old, "--sample", sample(tmp_path, *euros, *dollars, invoice("mykaarma"))) == 0
    out = capsys.readouterr().out
    assert row(out, "default", "chargeover-us")[4:] == ["5", "0", "984.00", "EUR"]
    assert row(out, "1,476.00") == ["1,476.00", "USD"]
    assert row(out, "workshops", "mykaarma-north")[4:] == ["1", "0", "492.00", "USD"]


def test_invoices_can_come_by_standard_input(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` stands for it, also in the places of lines."""
    body = json.dumps(invoice("chargeover")).encode()
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(body)))
    assert run(old, config(tmp_path, "new", ITEM), "--sample", "-") == 1
    assert capsys.readouterr().out.startswith("-:1: billing:")


def test_a_client_is_one_of_both_configurations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its permissions in each; exit 2 where there is none of that name."""
    path = sample(tmp_path, invoice("chargeover"))
    old = config(tmp_path, "old", added('[clients.shop]\ntoken = "t"'))
    new = config(tmp_path, "new", added('[clients.shop]\ntoken = "t"\nupstreams = ["katsupay-lagos"]'))
    assert run(old, new, "--sample", path, "--client", "shop") == 1
    assert row(capsys.readouterr().out, "default")[:4] == ["default", "chargeover-us", "–", "forbidden"]
    other = config(tmp_path, "other", added('[clients.shops]\ntoken = "t"'))
    assert run(old, other, "--sample", path, "--client", "shop") == 2
    assert capsys.readouterr().err == f'{other}: there is no client "shop"; did you mean "shops"?\n'


def test_what_cannot_be_compared_is_trouble(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 with the reason: a configuration with faults, of both at once, or a sample that is not there."""
    path = sample(tmp_path, invoice("chargeover"))
    wrong = [config(tmp_path, name, replaced("[server]\n", "[server]\nx = 1\n")) for name in ("a", "b")]
    assert run(*wrong, "--sample", path) == 2
    err = capsys.readouterr().err
    assert all(f"{each}:" in err for each in wrong)
    assert run(old, wrong[0], "--sample", path) == 2
    assert run(old, old, "--sample", tmp_path / "gone.ndjson") == 2
    assert "gone.ndjson: cannot be read: No such file" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        run(old, old)
    assert ended.value.code == 2


def test_who_stops_it_is_not_told_that_nothing_is_different(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(diff_command, "compared", stop)
    assert run(old, old, "--sample", sample(tmp_path, invoice("chargeover"))) == 2
    assert capsys.readouterr() == ("", "interrupted: not all was compared\n")


NORWAY = replaced(
    '[[routes]]\nname = "default"',
    '[[routes]]\nname = "norway"\nwhen = { country = "NO", has = ["due_date"] }\nto = "onlyoffice-eu"\n\n'
    '[[routes]]\nname = "default"',
)


def test_the_readme_shows_what_diff_says(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its example is what comes out."""
    monkeypatch.chdir(tmp_path)
    old.rename("gateway.toml")
    config(tmp_path, "new", NORWAY, ITEM).rename("changed.toml")
    oslo = {"id": "acct-88", "billing_address": {"city": "Oslo", "country": "NO"}}
    sample(
        tmp_path,
        invoice("chargeover", external_id="billing:4711", customer=oslo),
        *(invoice("katsupay", external_id=f"billing:{number}") for number in (4712, 4713)),
        invoice("chargeover", external_id="billing:4714"),
        invoice("chargeover", external_id="billing:4715", lines=invoice()["lines"][1:], totals=None),
    )
    assert run("gateway.toml", "changed.toml", "--sample", "invoices.ndjson") == 1
    shown = re.search(r"<!-- test: diff -->\n```text\n(.*?)```", README.read_text(), re.DOTALL)
    assert shown is not None
    assert capsys.readouterr().out == shown[1]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.mark.parametrize("path", ["a [bold]sample.ndjson", "-"])
def test_a_terminal_sees_how_far_it_is(
    path: str, old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On standard error, the name as it is; what is found is the same, and on standard output alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    content = "".join(f"{json.dumps(invoice('chargeover', external_id=f'n{number}'))}\n" for number in range(50))
    Path("a [bold]sample.ndjson").write_text(content)
    new = config(tmp_path, "new", ITEM)
    outputs = []
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(content.encode())))
        monkeypatch.setattr(sys, "stderr", stream)
        assert run(old, new, "--sample", path) == 1
        outputs.append((capsys.readouterr().out, stream.getvalue()))
    (plain, nothing), (same, shown) = outputs
    assert (plain, nothing) == (same, "")
    assert f"{path} " in shown
    assert "50 lines" in shown


async def test_what_diff_says_is_what_the_gateways_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same invoices sent to a gateway of each configuration: where they went, or why not."""
    gone = replaced('customers = { "acct-88" = "c0', 'customers = { "acct-1" = "c0')
    edits: dict[str, tuple[Edit, ...]] = {"old": (), "new": (ELSEWHERE, gone)}
    sent = [invoice(dialect, number=f"N-{dialect}") for dialect in PRODUCTS]
    ends: dict[str, list[str]] = {}
    for name, some in edits.items():
        (tmp_path / f"{name}-runs").mkdir()
        async with running(tmp_path / f"{name}-runs", *some) as world:
            answers = [await world.send(each) for each in sent]
            ends[name] = [
                one.json["upstream"]["name"] if one.status == 201 else one.json["type"].rpartition("/")[2]
                for one in answers
            ]
    old, new = (config(tmp_path, name, *some) for name, some in edits.items())
    assert run(old, new, "--sample", sample(tmp_path, *sent), "--json") == 1
    *found, _ = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    told = {one["line"]: (one["old"]["upstream"], one["new"]["upstream"] or one["new"]["problem"]) for one in found}
    pairs = enumerate(zip(ends["old"], ends["new"], strict=True), 1)
    assert told == {line: pair for line, pair in pairs if pair[0] != pair[1]}
    assert told
