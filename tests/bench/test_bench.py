"""The benchmark compares what can be compared: who does something else is found, and nothing is left out."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from msgspec import structs

from gateway.shell.journal.sqlite import SqliteStore
from tests.bench import figures, machine, pages, picture, same, scene, series
from tests.bench.__main__ import keep, main
from tests.bench.contestants import CONTESTANTS, NAMES
from tests.bench.figures import Part, Row, Spread, spread
from tests.bench.parts import ALONE, LONG, PARTS, SHORT
from tests.bench.same import Done, differences
from tests.bench.tools import PEERS

PEERS_PART = PARTS[0]
RESULT: dict[str, Any] = {
    "id": "1",
    "external_id": "a",
    "outcome": "created",
    "adopted": False,
    "invoice": {"id": "2", "totals": {"amount_due": "492.00"}},
    "upstream": {"name": "katsupay-lagos", "http_status": 200},
    "route": {"rule": "wallets", "config": "sha256:1"},
    "losses": [{"pointer": "/number"}],
}
DONE = Done("POST /path", "key", {"currency": 2}, 201, RESULT)


def part(*rows: Row, form: str = LONG) -> Part:
    """A part with these rows."""
    return Part("words", form, 10.0, 5, "2026-01-01", machine.this(), list(rows))


def measured(name: str, rate: float) -> Row:
    """A row of a contestant that was measured."""
    return Row(name, NAMES[name].words, {"rate": spread([rate]), "cpu": spread([1e6 / rate])}, NAMES[name].note)


async def test_without_the_journal_the_gateway_does_the_same() -> None:
    """Real processes: what is sent upstream and what is answered do not differ."""
    assert await same.unlike(NAMES["unjournaled"], await same.wanted()) == []


async def test_the_two_connections_pass_on_what_they_get() -> None:
    """Real processes: the same body at the upstream, the same answer to the caller."""
    passed = await same.done(NAMES["passing"], same.canned(), same.body())
    assert (passed.line, passed.sent) == ("POST /v1/invoices", same.exactly(same.body()))
    assert (passed.status, passed.answered) == (200, same.exactly(same.canned().encode()))


def test_ids_times_losses_and_the_revision_may_differ() -> None:
    """A peer has none of them, or others."""
    peer = {name: value for name, value in RESULT.items() if name != "losses"}
    peer |= {"id": "9", "created_at": "now", "route": {"rule": "wallets"}}
    assert differences(DONE, structs.replace(DONE, answered=peer)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"line": "POST /other"},
        {"key": ""},
        {"sent": {"currency": 3}},
        {"status": 200},
        {"answered": None},
        *({"answered": RESULT | {name: "other"}} for name in same.COMPARED),
        {"answered": RESULT | {"invoice": {"id": "2", "totals": {"amount_due": "492.0"}}}},
    ],
    ids=str,
)
def test_who_does_something_else_is_found(changes: dict[str, Any]) -> None:
    """Another request, another answer: it is said, and so the contestant is not measured."""
    assert differences(DONE, structs.replace(DONE, **changes))


def test_who_cannot_be_had_stands_in_the_table_with_the_reason() -> None:
    """Nothing is left out silently, in the README as little as on the screen."""
    absent = Row("lua", "nginx + Lua", note="not installed: this is not Debian")
    text = pages.comparison({PEERS_PART.name: part(measured("gateway", 200.0), absent)})
    assert re.search(r"^\| nginx \+ Lua \| not installed: this is not Debian \|", text, re.MULTILINE)


def test_the_first_row_is_compared_with_each_other() -> None:
    """Twice as many is 2, and who is faster shows as less than 1."""
    rows = [measured("gateway", 200.0), measured("node", 100.0), measured("proxy", 800.0)]
    assert [figures.ratio(rows, row) for row in rows] == ["1.00 ×", "2.00 ×", "0.25 ×"]


def test_every_contestant_says_what_it_leaves_out() -> None:
    """Of those that do less than the gateway the note says so."""
    assert [each.name for each in CONTESTANTS if not each.note] == ["gateway"]


def test_a_spread_is_the_median_and_the_range() -> None:
    """Of three rounds the middle one, whatever their order."""
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([3.0, 1.0, 2.0]).width == 0.5


@pytest.mark.parametrize(
    ("before", "now", "kept"), [(LONG, SHORT, LONG), (SHORT, LONG, LONG), (SHORT, SHORT, SHORT), (LONG, LONG, LONG)]
)
def test_a_short_form_never_replaces_a_long_one(tmp_path: Path, before: str, now: str, kept: str) -> None:
    """And other parts stay as they are."""
    file, drawing = tmp_path / "bench.json", tmp_path / "bench.svg"
    keep(PARTS[1], part(form=before), file, drawing)
    keep(PEERS_PART, part(measured("gateway", 1.0), form=before), file, drawing)
    written = keep(PEERS_PART, part(measured("gateway", 2.0), form=now), file, drawing)
    found = figures.read(file)
    assert list(found) == [PEERS_PART.name, PARTS[1].name]
    assert found[PEERS_PART.name].form == kept
    assert found[PEERS_PART.name].row("gateway").figures["rate"].median == (2.0 if written else 1.0)


def test_the_picture_has_a_bar_for_each_that_was_measured() -> None:
    """Well-formed, the gateway's own stands out, lengths are as the figures, and there are colours for a dark page."""
    rows = [measured("gateway", 200.0), measured("node", 100.0), Row("lua", "nginx & Lua", note="not installed")]
    text = picture.drawn(part(*rows))
    bars = [each.attrib for each in ET.fromstring(text).iter() if each.tag.endswith("rect")]  # noqa: S314 - our own
    assert [bar["class"] for bar in bars] == ["bar own", "bar"]
    assert float(bars[0]["width"]) == pytest.approx(2 * float(bars[1]["width"]), rel=0.01)
    assert "prefers-color-scheme: dark" in text


def test_the_cpu_of_a_program_is_that_of_its_threads_and_children() -> None:
    """A program that lets a child work, and a thread, has used what they did."""
    burn = "import time\nwhile time.thread_time() < 0.3: pass"
    code = (
        "import subprocess, sys, threading\n"
        f"burn = {burn!r}\n"
        "child = subprocess.Popen([sys.executable, '-c', burn + '\\nprint(1, flush=True)\\ninput()'],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "thread = threading.Thread(target=exec, args=(burn,))\nthread.start()\nthread.join()\n"
        "child.stdout.readline()\nprint(1, flush=True)\ninput()\nchild.communicate(b'\\n')"
    )
    with subprocess.Popen((sys.executable, "-c", code), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:  # noqa: S603 - our own
        assert program.stdout is not None
        program.stdout.readline()
        used, members = machine.cpu(program.pid), machine.family(program.pid)
        program.communicate(b"\n")
    assert len(members) == 2
    assert 0.5 < used < 30.0  # in ticks it would be more


@pytest.mark.parametrize("lines", [1, 5, 300])
def test_an_invoice_of_so_many_lines_can_be_sent(lines: int) -> None:
    """And its name is there once, for the load to put others in its place."""
    body = json.dumps(scene.invoice(lines)).encode()
    assert body.count(scene.NAME.encode()) == 1
    assert float(scene.amount(body)) > 0


async def test_a_filled_journal_is_one_that_the_gateway_opens(tmp_path: Path) -> None:
    """By the store's own schema, to the number that was wanted; the newest with their details."""
    path = tmp_path / "journal.db"
    series.fill(path, 0, 20)
    series.fill(path, 20, 50)
    store = SqliteStore(path)
    await store.open()
    try:
        first, last, none = [await store.find("billing", f"before:{number}") for number in (0, 49, 50)]
    finally:
        await store.close()
    assert first is not None
    assert last is not None
    assert last.state == "created"
    assert last.body
    assert none is None


@pytest.mark.parametrize("file", sorted(PEERS.glob("*/*lock*")), ids=lambda path: path.name)
def test_the_peers_come_by_their_hashes_from_no_named_place(file: Path) -> None:
    """A lock file has a hash for each package, and no address."""
    text = file.read_text()
    assert "://" not in text
    if file.suffix == ".json":
        packages = {name: each for name, each in json.loads(text)["packages"].items() if name}
        assert packages
        assert [name for name, each in packages.items() if not each["integrity"].startswith("sha512-")] == []
    else:
        wanted = re.findall(r"^\S+==.*\\\n(.*)$", text, re.MULTILINE)
        assert wanted
        assert [line for line in wanted if "--hash=sha256:" not in line] == []


def test_the_help_names_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    """And what each of them measures."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for name in (*(piece.name for piece in PARTS), *ALONE):
        assert re.search(rf"^  {name} +\w", said, re.MULTILINE), name


def test_a_part_that_is_not_there_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """With those that are."""
    with pytest.raises(SystemExit) as ended:
        main(["peer"])
    assert ended.value.code == 2
    assert "there is no part peer; there are peers," in capsys.readouterr().err
