"""`send`: every invoice of a file created once, however the run before it ended; every other one told by its line."""

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from gateway.__main__ import main
from gateway.client import Client, Details
from gateway.core.errors import MalformedJson
from gateway.shell.sending.index import ResultsError
from gateway.shell.sending.lines import Line, Source, flowing
from gateway.shell.sending.results import details, opened
from gateway.shell.sending.run import Run, fatal
from gateway.shell.sending.tally import Tally
from tests.support.running import UNUSED, Peer, World, invoice, ok, playing, running

PATIENCE_SECONDS = 60.0


class Told(Struct, frozen=True):
    """How a command ended."""

    code: int | None
    out: str
    err: str


@asynccontextmanager
async def started(*arguments: str | Path, **more: Any) -> AsyncIterator[Process]:
    """`send` as a process of its own; gone at the end whatever happens."""
    command = (sys.executable, "-m", "gateway", "send", *map(str, arguments))
    process = await asyncio.create_subprocess_exec(*command, **{"stdin": PIPE, "stdout": PIPE, "stderr": PIPE} | more)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: Process, given: bytes | None = None) -> Told:
    """What it said, once it has ended; there is never a stack trace."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, err = await process.communicate(given)
    assert b"Traceback" not in (err or b""), err
    return Told(process.returncode, (out or b"").decode(), (err or b"").decode())


async def send(*arguments: str | Path, given: bytes | None = None, **more: Any) -> Told:
    """One run."""
    async with started(*arguments, **more) as process:
        return await ended(process, given)


def month(count: int, dialect: str = "chargeover") -> list[dict[str, Any]]:
    """So many invoices."""
    return [invoice(dialect, external_id=f"june:{number}", number=f"N-{number}") for number in range(count)]


def written(folder: Path, found: Iterable[object]) -> Path:
    """A file with these invoices; text as it is."""
    path = folder / "june.ndjson"
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in found))
    return path


def results(path: Path) -> list[dict[str, Any]]:
    """What the results file of a file says; each line is whole."""
    text = Path(f"{path}.results.ndjson").read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


async def created(world: World) -> Counter[str]:
    """How often each number is at the upstream."""
    return Counter(one["number"] for one in await world.stored("chargeover"))


def once(count: int) -> dict[str, int]:
    """Every invoice of a month, and each once."""
    return {f"N-{number}": 1 for number in range(count)}


# ------------------------------------------------------------------ what comes of a file


async def test_every_invoice_is_created_and_told(tmp_path: Path) -> None:
    """Exit 0; a result a line, counts and money; the second run sends nothing and says the same."""
    path = written(tmp_path, month(12))
    async with running(tmp_path) as world:
        first = await send(path, "--url", world.service.url)
        asked = len(await world.requests("chargeover"))
        again = await send(path, "--url", f"{world.service.url}/")
        assert len(await world.requests("chargeover")) == asked
        assert await created(world) == once(12)
    assert (first.code, again.code, first.err, again.err) == (0, 0, "", "")
    assert re.search(r"^created +12 +0$", first.out, re.MULTILINE)
    assert re.search(r"^created +0 +12$", again.out, re.MULTILINE)
    for told in (first, again):
        assert "USD 5,904.00" in told.out
        assert told.out.endswith(f"results: {path}.results.ndjson\n")
    found = results(path)
    assert sorted((one["line"], one["external_id"]) for one in found) == [(n + 1, f"june:{n}") for n in range(12)]
    assert all(one["outcome"] == "created" and one["invoice"]["id"] for one in found)


WRONG = {
    "{": "malformed-json",
    "[]": "malformed-json",
    json.dumps(invoice(external_id=None)): "invalid-invoice",
    json.dumps(invoice(external_id="june:0", number="other")): "external-id-reused",
    json.dumps(invoice(external_id="w:1", totals={"amount_due": "1.00"})): "totals-mismatch",
    json.dumps(invoice(external_id="w:2", customer={"id": "nobody"})): "untranslatable",
    json.dumps(invoice(external_id="w:3", lines=[{"quantity": 2}])): "invalid-invoice",
}
"""Lines that cannot be created, and the problem that each is told by."""


async def test_every_fault_of_a_file_is_told_by_its_line(tmp_path: Path) -> None:
    """In the results and at the end; the others are created. What only the configuration can mend is sent again."""
    path = written(tmp_path, [*month(2), *WRONG, "", month(2)[1]])
    async with running(tmp_path) as world:
        first = await send(path, "--url", world.service.url)
        again = await send(path, "--url", world.service.url)
        assert await created(world) == once(2)
    assert (first.code, again.code) == (1, 1)
    problems = {one["line"]: one["type"] for one in results(path) if "type" in one}
    assert problems == {number: f"/problems/{slug}" for number, slug in enumerate(WRONG.values(), 3)}
    assert re.search(r"^ +line 6 +june:0 +external-id-reused +line 1 has the same external_id", first.out, re.MULTILINE)
    assert re.search(r"^repeated +1 +0$", first.out, re.MULTILINE)
    assert [one["line"] for one in results(path)].count(8) == 2
    assert len(results(path)) == 2 + len(WRONG) + 1
    for number in range(3, 3 + len(WRONG)):
        assert f"line {number} " in again.out


async def test_a_corrected_line_is_sent_and_a_changed_one_is_told(tmp_path: Path) -> None:
    """Refused before: as it is now. Created before: the gateway has it otherwise, which is no success."""
    wrong = invoice(external_id="june:1", number="N-1", totals={"amount_due": "1.00"})
    path = written(tmp_path, [month(1)[0], wrong])
    async with running(tmp_path) as world:
        assert (await send(path, "--url", world.service.url)).code == 1
        written(tmp_path, month(2))
        assert (await send(path, "--url", world.service.url)).code == 0
        written(tmp_path, [month(2)[0] | {"note": "changed"}, month(2)[1]])
        told = await send(path, "--url", world.service.url)
        assert await created(world) == once(2)
    assert told.code == 1
    assert re.search(r"line 1 +june:0 +external-id-reused", told.out)


async def test_a_csv_is_sent_as_well(tmp_path: Path) -> None:
    """A row a line of an invoice; a header with faults is wrong usage."""
    path = tmp_path / "june.csv"
    path.write_text(
        "external_id;number;issue_date;due_date;currency;customer.id;lines.*.id;lines.*.item.id;lines.*.quantity;"
        "lines.*.unit_price;lines.*.taxes.0.category;lines.*.taxes.0.rate\n"
        "june:0;N-0;2026-06-30;2026-07-30;USD;acct-88;1;labour;2;95.00;S;20\n"
        "june:0;;;;;;2;oil-filter;1;16.00;S;20\n"
        "june:1;N-1;2026-06-30;2026-07-30;USD;acct-88;1;labour;1;95.00;S;20\n"
    )
    async with running(tmp_path) as world:
        told = await send(path, "--url", world.service.url)
        assert await created(world) == once(2)
        path.write_text("external_id,curency\n")
        wrong = await send(path, "--url", world.service.url)
    assert (told.code, wrong.code) == (0, 2)
    assert "USD 361.20" in told.out
    assert 'did you mean "currency"' in wrong.err


async def test_standard_input_is_sent_as_it_comes(tmp_path: Path) -> None:
    """With a results file by name, by which it can be resumed."""
    kept = tmp_path / "kept.ndjson"
    given = "".join(f"{json.dumps(one)}\n" for one in month(3)).encode()
    async with running(tmp_path) as world:
        arguments = ("-", "--url", world.service.url, "--results", kept)
        for now, before in ((3, 0), (0, 3)):
            told = await send(*arguments, given=given)
            assert (told.code, kept.read_text().count("\n")) == (0, 3)
            assert re.search(rf"^created +{now} +{before}$", told.out, re.MULTILINE)
        assert await created(world) == once(3)


async def test_nobody_has_to_read_the_summary(tmp_path: Path) -> None:
    """A pipe whose reader has gone changes nothing of the answer, which is a no here."""
    path = written(tmp_path, [*month(1), "{"])
    read, write = os.pipe()
    os.close(read)
    async with running(tmp_path) as world:
        told = await send(path, "--url", world.service.url, stdout=write)
    os.close(write)
    assert (told.code, told.err, len(results(path))) == (1, "", 2)


async def test_on_a_terminal_there_is_a_bar(tmp_path: Path) -> None:
    """How many of how many, the rate, and the outcomes; nothing of it on standard output."""
    path = written(tmp_path, month(2))
    main_end, terminal = pty.openpty()
    async with running(tmp_path) as world:
        told = await send(path, "--url", world.service.url, stderr=terminal, env={**os.environ, "TERM": "xterm"})
    os.close(terminal)
    shown = os.read(main_end, 100_000).decode()
    os.close(main_end)
    assert told.code == 0
    assert all(words in shown for words in ("━", "2/2", "100%", "/s", "created 2"))
    assert "━" not in told.out


# ------------------------------------------------------------------ ends of all kinds


@asynccontextmanager
async def under_way(world: World, path: Path, dialect: str = "chargeover") -> AsyncIterator[Process]:
    """A run over a slow upstream, in the middle of it."""
    await world.arm(dialect, "delay", seconds=0.05, times=0, method="POST")
    known = len(lines(path))
    async with started(path, "--url", world.service.url, "--concurrency", "4") as process:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(lines(path)) < known + 6:  # noqa: ASYNC110 - another process writes them
                await asyncio.sleep(0.01)
        yield process


def lines(path: Path) -> list[bytes]:
    """The lines of the results file so far."""
    kept = Path(f"{path}.results.ndjson")
    return kept.read_bytes().splitlines() if kept.exists() else []


def tear(path: Path) -> None:
    """Leave the results file as if the last line had been cut by a kill."""
    with Path(f"{path}.results.ndjson").open("ab") as kept:
        kept.write(b'{"line":1,"content":"0000')


async def test_a_run_that_is_killed_is_gone_on_with(tmp_path: Path) -> None:
    """SIGKILL in the middle, three times, and a torn last line: one final result each, and once at the upstream.

    The upstream is one that would create an invoice again if it were asked to.
    """
    path = written(tmp_path, month(60, "mykaarma"))
    async with running(tmp_path) as world:
        for _ in range(3):
            async with under_way(world, path, "mykaarma") as process:
                process.send_signal(signal.SIGKILL)
                assert (await ended(process)).code == -signal.SIGKILL
            tear(path)
        assert len(await world.stored("mykaarma")) < 60
        told = await send(path, "--url", world.service.url)
        assert len(await world.stored("mykaarma")) == 60
    assert told.code == 0
    found = results(path)
    assert all(one["outcome"] == "created" for one in found)
    assert sorted(one["external_id"] for one in found) == sorted(f"june:{number}" for number in range(60))
    assert len({one["invoice"]["id"] for one in found}) == 60


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_run_hears_what_is_under_way_and_says_how_to_go_on(
    sign: signal.Signals, tmp_path: Path
) -> None:
    """Exit 130 and a summary; nothing that was sent is left without its result; the next run does the rest."""
    path = written(tmp_path, month(60))
    async with running(tmp_path) as world:
        async with under_way(world, path) as process:
            process.send_signal(sign)
            told = await ended(process)
        assert len(results(path)) == len(await world.stored("chargeover")) < 60
        again = await send(path, "--url", world.service.url)
        assert await created(world) == once(60)
    assert (told.code, again.code) == (130, 0)
    assert re.search(r"^left +\d+", told.out, re.MULTILINE)
    assert told.err == "interrupted: run the same command again to go on\n"


async def silent(peer: Peer, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Read a request, and never answer."""
    await peer.read(reader)
    await reader.read()


@asynccontextmanager
async def unanswered(path: Path, results_file: Path) -> AsyncIterator[tuple[Run, asyncio.Task[None]]]:
    """A run in this process whose first invoice is under way, and stays so."""
    async with playing(silent) as peer, Client(peer.url) as client:
        with opened(results_file, client.url) as found:
            run = Run(client, found, Tally(), 1)
            going = asyncio.create_task(run.go(flowing(Source(str(path)))))
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not peer.requests:  # noqa: ASYNC110 - a peer has no event for it
                    await asyncio.sleep(0.01)
            yield run, going


async def test_a_second_interrupt_waits_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first waits for what is under way, here an hour; the second does not, and leaves it to the next run."""
    monkeypatch.setattr("gateway.shell.sending.run.GRACE_SECONDS", 3600.0)
    kept = tmp_path / "r"
    async with unanswered(written(tmp_path, month(2)), kept) as (run, going):
        run.interrupt()
        assert not (await asyncio.wait((going,), timeout=0.1))[0]
        run.interrupt()
        await asyncio.wait_for(going, PATIENCE_SECONDS)
    assert (run.interrupted, kept.read_bytes()) == (True, b"")


async def test_answers_are_waited_for_a_short_while_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has not been answered then is left to the next run."""
    monkeypatch.setattr("gateway.shell.sending.run.GRACE_SECONDS", 0.05)
    kept = tmp_path / "r"
    async with unanswered(written(tmp_path, month(2)), kept) as (run, going):
        run.stop("enough")
        await asyncio.wait_for(going, PATIENCE_SECONDS)
    assert (run.stopped, kept.read_bytes()) == ("enough", b"")


async def test_many_lines_that_need_no_sending_leave_room_for_others(tmp_path: Path) -> None:
    """While they are gone through, everything else goes on: the bar, signals."""
    path, turns = written(tmp_path, ["{"] * 1000), 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with opened(tmp_path / "r", "http://h") as found:
        async with Client("http://h") as client:
            tally, turning = Tally(), asyncio.create_task(others())
            await Run(client, found, tally, 1).go(flowing(Source(str(path))))
            turning.cancel()
    assert tally.now == {"malformed-json": 1000}
    assert turns >= 10


async def test_a_pipe_that_is_no_csv_is_told(tmp_path: Path) -> None:
    """It can be read once only, so that this is seen late: with a summary, exit 1."""
    path = tmp_path / "june.csv"
    os.mkfifo(path)
    async with started(path, "--url", f"http://{UNUSED}") as process:
        with await asyncio.to_thread(path.open, "wb", 0) as pipe:
            pipe.write(b"external_id,curency\n")
        told = await ended(process)
    assert told.code == 1
    assert 'did you mean "currency"' in told.err


def told_so_far(path: Path) -> str:
    """The text of the results file."""
    return Path(f"{path}.results.ndjson").read_text()


async def test_a_gateway_that_dies_stops_the_run_until_the_next(tmp_path: Path) -> None:
    """Waited for as long as patience lasts, then exit 1 with the reason; the next run, at the same address, does it."""
    path = written(tmp_path, month(5))
    told = await send(path, "--url", f"http://{UNUSED}", "--patience", "1")
    assert (told.code, told_so_far(path)) == (1, "")
    assert re.search(r"^left +5", told.out, re.MULTILINE)
    assert "Connection refused" in told.err
    assert "run the same command again" in told.err


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [({"fault": "store-then-reset"}, "unknown"), ({"fault": "rate-limit", "retry_after": 600}, "not_sent")],
)
async def test_what_did_not_get_through_is_left_for_the_next_run(
    fault: dict[str, Any], outcome: str, tmp_path: Path
) -> None:
    """Not sent and unknown are sent again, under the same `external_id`: created once."""
    path = written(tmp_path, month(2))
    async with running(tmp_path) as world:
        await world.arm("chargeover", times=1, method="POST", **fault)
        first = await send(path, "--url", world.service.url, "--patience", "0", "--concurrency", "1")
        again = await send(path, "--url", world.service.url)
        assert await created(world) == once(2)
    assert (first.code, again.code) == (1, 0)
    assert [(one["line"], one["outcome"]) for one in results(path)] == [(1, outcome), (2, "created"), (1, "created")]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"type": "/problems/unauthenticated", "detail": "who are you?"}', "--token-env names the variable"),
        (b'{"type": "/problems/not-found", "detail": "nothing here"}', "nothing here"),
        (b"<html>", "not as an invoice gateway does"),
    ],
)
async def test_what_ails_every_invoice_ends_the_run(answer: bytes, words: str, tmp_path: Path) -> None:
    """A token that is none, another server at that address: one answer is enough, and nothing counts as told."""
    path = written(tmp_path, month(50))

    async def no(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.read(reader)
            writer.write(ok(answer, "404 X"))

    async with playing(no) as peer:
        told = await send(path, "--url", peer.url, "--concurrency", "2")
        assert len(peer.requests) <= 4
    assert (told.code, told_so_far(path)) == (1, "")
    assert words in told.err


async def test_results_that_cannot_be_written_end_the_run(tmp_path: Path) -> None:
    """The limit of the process for a file's size stands for a full disk: no torn line, exit 1; later it goes on."""
    path = written(tmp_path, month(30))
    limited = (sys.executable, "-c", LIMITED)
    alone = {
        name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")
    }  # its file has no room
    async with running(tmp_path) as world:
        process = await asyncio.create_subprocess_exec(
            *limited, str(path), "--url", world.service.url, stdout=PIPE, stderr=PIPE, env=alone
        )
        told = await ended(process)
        assert 0 < len(results(path)) < 30
        again = await send(path, "--url", world.service.url)
        assert await created(world) == once(30)
    assert (told.code, again.code) == (1, 0)
    assert "File too large" in told.err


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from gateway.__main__ import main
sys.exit(main(["send", *sys.argv[1:]]))
"""


# ------------------------------------------------------------------ wrong usage


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.ndjson", "--url", "http://h"], "gone.ndjson: cannot be read: No such file"),
        ([".", "--url", "http://h"], "Is a directory"),
        (["june.ndjson", "--url", "gateway"], "'gateway' is no address"),
        (["june.ndjson", "--url", "http://h", "--token-env", "GATEWAY_TEST_UNSET"], "GATEWAY_TEST_UNSET is not set"),
        (["-", "--url", "http://h"], "--results FILE is needed"),
        (["june.ndjson", "--url", "http://h", "--results", "june.ndjson"], "is the file that is to be sent"),
        (["june.ndjson", "--url", "http://h", "--results", "gone/x"], "gone/x: No such file"),
        (["june.ndjson", "--url", "http://h", "--results", "."], "is no regular file"),
        (["june.ndjson", "--url", "http://h", "--results", "/dev/full"], "is no regular file"),
        (["june.ndjson", "--url", "http://h", "--results", "other.txt"], "line 1 is no result"),
        (["june.ndjson", "--url", "http://h", "--results", "torn.txt"], "line 1 is no result"),
        (["june.ndjson"], "--url"),
        (["--url", "http://h"], "FILE"),
        (["june.ndjson", "--url", "http://h", "--concurrency", "0"], "a number from 1 to 256"),
        (["june.ndjson", "--url", "http://h", "--concurrency", "257"], "a number from 1 to 256"),
        (["june.ndjson", "--url", "http://h", "--patience", "-1"], "a number of seconds"),
    ],
)
def test_wrong_usage_begins_nothing(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit 2 with the reason; no file is changed, not even one that was taken for results."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path, month(1))
    (tmp_path / "other.txt").write_text("dear diary\n")
    (tmp_path / "torn.txt").write_text("dear diary")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    try:
        code = main(["send", *arguments])
    except SystemExit as end:
        code = int(end.code or 0)
    assert (code, words in capsys.readouterr().err) == (2, True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_ctrl_c_before_anything_was_sent_is_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the file is counted, too."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.shell.sending.lines.Source.count", interrupted)
    assert main(["send", str(tmp_path / "x"), "--url", "http://h"]) == 130


# ------------------------------------------------------------------ the results file


def test_results_of_another_gateway_are_not_taken_for_ours(tmp_path: Path) -> None:
    """What is created there is not created here."""
    path, line = tmp_path / "r", Line(1, b"{}", "a")
    with opened(path, "http://staging") as found:
        found.write(line, Details(type="/problems/rejected", status=422, detail="no", outcome="rejected"))
    with pytest.raises(ResultsError, match="holds results of http://staging"), opened(path, "http://production"):
        pass
    with opened(path, "http://staging") as found:
        record = found.known(line)
    assert record is not None
    assert (record.word, record.external_id) == ("rejected", "a")


def test_two_runs_do_not_share_a_results_file(tmp_path: Path) -> None:
    """The second is told; once the first has ended it may."""
    path = tmp_path / "r"
    with path.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ResultsError, match="another run writes to it"), opened(path, "http://g"):
            pass
    with opened(path, "http://g") as found:
        found.write(Line(1, b"{"), details(MalformedJson("no")))
    assert path.read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("torn", "kept"),
    [(b"", 1), (b"{", 1), (b'{"line":2,"content":"', 1), (b'{"line":2,"content":"c","gateway":"g"}', 1)],
)
def test_a_torn_last_line_is_taken_away(torn: bytes, kept: int, tmp_path: Path) -> None:
    """Wherever it was torn; it is sent again."""
    path = tmp_path / "r"
    with opened(path, "g") as found:
        found.write(Line(1, b"{"), details(MalformedJson("no")))
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    with opened(path, "g"):
        pass
    assert path.read_bytes() == whole
    assert whole.count(b"\n") == kept


def test_a_disk_without_room_for_what_is_known_is_told(tmp_path: Path) -> None:
    """Not as a trace."""
    with opened(tmp_path / "r", "g") as found:
        found._index._db.execute("PRAGMA max_page_count = 1")  # noqa: SLF001 - a full disk
        lines_of_a_month = [Line(number, b"{}", f"june:{number}") for number in range(1000)]
        with pytest.raises(ResultsError, match="full"):
            list(map(found.earlier, lines_of_a_month))


@pytest.mark.parametrize(
    ("problem", "ends"),
    [
        (Details(type="/problems/rejected", status=422, detail="d"), False),
        (Details(type="/problems/overloaded", status=503, detail="d"), False),
        (Details(type="/problems/forbidden", status=403, detail="d"), False),
        (Details(type="/problems/unauthenticated", status=401, detail="d"), True),
        (Details(type="/problems/method-not-allowed", status=405, detail="d"), True),
        (Details(status=200, detail="d"), True),
        (Details(detail="d"), True),
    ],
)
def test_a_run_ends_where_no_other_invoice_fares_better(problem: Details, ends: bool) -> None:
    """And goes on where one may."""
    assert (fatal(problem) is not None) is ends


async def test_a_defect_ends_the_run_and_is_told(tmp_path: Path) -> None:
    """Never a run that waits for ever, or says that all is well."""
    path = tmp_path / "r"

    async def come() -> AsyncIterator[Line]:
        yield Line(1, b"{}", "a")  # no external_id in it, which `lines` never gives

    with opened(path, "http://h") as found:
        async with Client("http://h") as client:
            run = Run(client, found, Tally(), 1)
            await asyncio.wait_for(run.go(come()), 10)
    assert "external_id" in run.stopped
