"""What `explain` shows a person: everything that was decided, and at a glance where an invoice can go."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from gateway.__main__ import main
from gateway.core.explain import Explanation, RequestView, explain, taker
from gateway.core.plan import Caller
from gateway.core.result import Loss
from gateway.shell.compose import book, offline_targets
from gateway.shell.configuration import load
from gateway.shell.explanation import explanation
from tests.support.readme import README
from tests.support.running import NAMES, configured, invoice


@pytest.fixture(autouse=True)
def _columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as what is no terminal, whatever the tests run in."""
    monkeypatch.setenv("COLUMNS", "100")


def explained(folder: Path, dialect: str = "chargeover", *, everywhere: bool = False, **changes: Any) -> Explanation:
    """What would become of the demo's invoice."""
    loaded = load(configured(folder, "http://127.0.0.1:1"))
    body = json.dumps(invoice(dialect, **changes)).encode()
    return explain(body, None, Caller("local"), book(loaded), offline_targets(loaded), all_upstreams=everywhere)


def shown(found: Explanation, *, everywhere: bool = False) -> str:
    """As it is printed."""
    return explanation(found, everywhere=everywhere)


def row(text: str, beginning: str) -> list[str]:
    """The words of the one line that begins so."""
    (line,) = [line for line in text.splitlines() if line.strip().startswith(beginning)]
    return line.split()


def test_an_explanation_has_everything_a_person_asks_for(tmp_path: Path) -> None:
    """Route, totals, claim, protection, losses counted over lines, request."""
    text = shown(explained(tmp_path))
    assert text.startswith('billing:acct-88:2026-06:chargeover goes to chargeover-us by rule "default" (sha256:')
    assert row(text, "workshops") == 'workshops label product is "fleet", not workshop'.split()
    assert row(text, "default") == ["default", "takes", "it"]
    assert row(text, "amount due") == ["amount", "due", "492.00"]
    assert row(text, "second creation") == "second creation prevented by the API itself".split()
    assert row(text, "/lines/*/taxes/*/rate")[:3] == ["/lines/*/taxes/*/rate", "5", "derived"]
    assert "POST http://127.0.0.1:1/chargeover/api/v3/invoice" in text
    assert "Authorization: ***" in text
    assert "/lines/0/" not in text


@pytest.mark.parametrize("columns", ["40", "100"])
def test_the_request_is_laid_out_and_nothing_of_it_is_changed(
    columns: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers as they are sent, so that no float comes near money on a screen either; no line is broken."""
    monkeypatch.setenv("COLUMNS", columns)
    found = explained(tmp_path)
    (view,) = found.upstreams
    assert view.request is not None
    body = shown(found).partition("Authorization: ***\n")[2]
    assert '"line_rate": 95.00,' in body
    assert msgspec.json.format(body.encode(), indent=-1) == msgspec.json.format(view.request.body.encode(), indent=-1)
    other = structs.replace(view, request=RequestView("PUT", "http://x", {}, "a=b&c=1.00"))
    assert "\n  PUT http://x\n  a=b&c=1.00" in shown(structs.replace(found, upstreams=(other,)))


def test_totals_are_written_below_each_other(tmp_path: Path) -> None:
    """Right-aligned, so that the points stand in one column."""
    lines = shown(explained(tmp_path, "katsupay")).splitlines()
    ends = {len(line) for line in lines if line.strip().startswith(("line total", "tax total", "amount due"))}
    assert len(ends) == 1


def test_what_the_upstream_decides_is_not_called_a_claim(tmp_path: Path) -> None:
    """At exsited the order does."""
    assert "decided by the upstream" in shown(explained(tmp_path, "exsited"))
    assert row(shown(explained(tmp_path, "katsupay")), "claim") == ["claim", "492.00"]


def test_an_invoice_that_nobody_of_its_rule_can_carry_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first line, and then each reason with its place."""
    found = explained(tmp_path, customer={"id": "acct-unknown"})
    assert taker(found) is None
    monkeypatch.setenv("COLUMNS", "140")
    text = shown(found)
    assert 'cannot be sent: rule "default" (' in text.splitlines()[0]
    assert text.splitlines()[0].endswith("leads to chargeover-us, which cannot carry it")
    assert "chargeover-us (chargeover): cannot carry it" in text
    assert row(text, "/customer/id")[1:4] == ["[upstreams.chargeover-us.crosswalk.customers]", "has", "no"]
    assert "POST" not in text


def test_an_invoice_without_losses_has_no_table_of_them(tmp_path: Path) -> None:
    """Neither alone nor beside others; of one loss there is one."""
    found = explained(tmp_path, everywhere=True)
    views = tuple(structs.replace(view, losses=()) for view in found.upstreams)
    assert "losses:" not in shown(structs.replace(found, upstreams=views[:1]))
    assert "lost" not in shown(structs.replace(found, upstreams=views), everywhere=True)
    one = structs.replace(views[0], losses=(Loss("/lines/0", "folded", None, "why"),))
    text = shown(structs.replace(found, upstreams=(one,)))
    assert "1 loss:" in text
    assert row(text, "/lines/*") == ["/lines/*", "1", "folded", "why"]
    text = shown(structs.replace(found, upstreams=(one,)), everywhere=True)
    assert row(text, "/lines/*") == ["/lines/*", "folded"]


def test_where_an_invoice_can_go_is_seen_at_a_glance(tmp_path: Path) -> None:
    """A row an upstream: which takes it, who could, for how much, with how many losses; and why others cannot."""
    text = shown(explained(tmp_path, everywhere=True, due_date=None), everywhere=True)
    assert row(text, "→") == "→ chargeover-us chargeover yes decided there 21 the API itself".split()
    assert row(text, "mykaarma-north") == "mykaarma-north mykaarma yes 492.00 45 nothing but a person".split()
    refused = [line.split() for line in text.splitlines() if line.strip().startswith("katsupay-lagos")]
    assert refused == [
        "katsupay-lagos katsupay no – – nothing but a person".split(),
        "katsupay-lagos /due_date the API requires a due date".split(),
    ]
    assert "POST" not in text
    found = explained(tmp_path, everywhere=True, customer={"id": "acct-unknown"})
    assert "→" not in shown(found, everywhere=True)


def test_the_table_of_losses_has_each_field_once_and_every_upstream_that_can_carry_it(tmp_path: Path) -> None:
    """In the order of the canonical invoice; what is carried as it is is blank."""
    found = explained(tmp_path, everywhere=True, due_date=None)
    text = shown(found, everywhere=True)
    lines = text.splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.split()[:1] == ["lost"]]
    assert lines[start - 1].split() == ["mykaarma-", "exsited-", "chargeover-"]
    assert lines[start].split() == ["lost", "north", "sydney", "us"]
    assert row(text, "/lines/*/quantity") == ["/lines/*/quantity", "×", "5", "folded", "derived"]
    assert row(text, "/lines/*/unit ") == ["/lines/*/unit", "×", "2", "dropped", "derived", "dropped"]
    (reference,) = [line for line in lines if "/references/order" in line]
    assert reference.index("dropped") == lines[start - 1].index("chargeover-")
    places = [line.split()[0] for line in lines[start + 1 : lines.index("", start)]]
    assert places[:3] == ["/issue_date", "/currency", "/customer/id"]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_tables_fit_whatever_the_width(columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every upstream is told, in as many tables as it takes; no line is broken where it would be misread."""
    monkeypatch.setenv("COLUMNS", str(columns))
    text = shown(explained(tmp_path, everywhere=True), everywhere=True)
    lines = text.splitlines()
    assert max(len(line) for line in lines) <= columns
    heads = [number for number, line in enumerate(lines) if line.strip().startswith("lost")]
    if columns >= 80:
        assert all(name in text for name in NAMES.values())
        assert len(heads) == {80: 2, 100: 1, 200: 1}[columns]
        assert all(line.strip().startswith("/") for line in lines[heads[-1] + 1 :])


def test_what_is_no_terminal_gets_plain_text(tmp_path: Path) -> None:
    """No colours, nothing hanging over at the ends of lines."""
    for everywhere in (False, True):
        text = shown(explained(tmp_path, everywhere=everywhere), everywhere=everywhere)
        assert "\x1b" not in text
        assert all(line == line.rstrip() for line in text.splitlines())


def test_a_terminal_gets_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it has none, or they are not wanted; the words are the same."""
    found = explained(tmp_path)
    plain = shown(found)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = shown(found)
    assert "\x1b[32mdefault" in coloured
    assert "POST" in coloured
    monkeypatch.setenv("TERM", "dumb")
    assert shown(found) == plain


def test_what_others_wrote_commands_no_terminal(tmp_path: Path) -> None:
    """Neither an id nor a request; a line stays a line."""
    found = explained(tmp_path, everywhere=True)
    (view, *_) = found.upstreams
    request = RequestView("POST", "http://x/\x1b[2J", {"a": "\x9b2J"}, '{"a":"\x1b"}')
    views = (structs.replace(view, name="n\x1b", request=request),)
    wrong = structs.replace(found, external_id="\x1b]0;x\x07", upstreams=views)
    for everywhere in (False, True):
        text = shown(wrong, everywhere=everywhere)
        assert not {"\x1b", "\x9b", "\x07"} & set(text)


def test_the_readme_shows_what_explain_says(capsys: pytest.CaptureFixture[str]) -> None:
    """The end of what its command prints where nobody says how wide."""
    demo = README.parent / "gateway" / "demo"
    arguments = ["--config", str(demo / "gateway.toml"), str(demo / "invoice.json"), "--all-upstreams"]
    assert main(["explain", *arguments]) == 0
    found = re.search(r"<!-- test: explain -->\n```text\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    assert capsys.readouterr().out.endswith(f"\n\n{found[1]}")
