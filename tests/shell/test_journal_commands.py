"""`invoice-gateway journal`: list, show and resolve, on a file that nobody holds and on one that a gateway holds."""

import asyncio
import json
import re
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from msgspec import Struct

from gateway.__main__ import main
from gateway.core.config import Config, Server
from gateway.core.journal import stepped
from gateway.core.result import Created, Rejected, Stated, Unknown
from gateway.shell.configuration import load
from gateway.shell.desk import _address
from tests.support.engines import LATER, Side, created, working
from tests.support.ports import free_port
from tests.support.running import UNUSED, Edit, added, answering, configured, ok, playing, replaced, sandbox, serving
from tests.support.stores import Clock

NOWHERE = "http://127.0.0.1:1"
NOBODY = "01900000-0000-7000-8000-000000000000"
OPERATOR = added("""
[clients.billing]
token = "of-billing"
[clients.root]
token = { file = "token" }
operator = true
""")
HASHED = added(f"""
[clients.root]
token_sha256 = "{sha256(b"of-root").hexdigest()}"
operator = true
""")
HINT = "; --token-env names the variable with an operator's"
TOKENS = {"OF_ROOT": "of-root", "OF_BILLING": "of-billing", "OF_NOBODY": "of-nobody"}


class Said(Struct, frozen=True):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


class Desk:
    """A configuration, the journal beside it, and the commands that are given."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.config = configured(folder, NOWHERE)
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.ids: dict[str, str] = {}

    def configure(self, sandbox: str, *edits: Edit) -> None:
        """Another configuration over the same journal."""
        (self.folder / "token").write_text("of-root\n")
        self.config = configured(self.folder, sandbox, *edits)

    def environ(self, name: str, value: str) -> None:
        """A variable of the environment."""
        self._monkeypatch.setenv(name, value)

    async def run(self, action: str, *arguments: str) -> Said:
        """A command; what it says is never a stack trace."""
        return await asyncio.to_thread(self._run, action, *arguments)

    def _run(self, action: str, *arguments: str) -> Said:
        try:
            code = main(["journal", action, "--config", str(self.config), *arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(code, out, err)

    async def refused(self, words: str, action: str, *arguments: str, code: int = 1) -> None:
        """A command that is answered with one line on standard error, and nothing else."""
        said = await self.run(action, *arguments)
        assert (said.code, said.out, said.err.count("\n")) == (code, "", 1), said
        assert re.search(words, said.err), said.err


@pytest.fixture
async def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A journal that nobody holds: one invoice created, one refused, one in doubt, one that waits, in this order."""
    for name, token in TOKENS.items():
        monkeypatch.setenv(name, token)
    made = Desk(tmp_path, capsys, monkeypatch)
    made_there = Created(Stated(id="4711", number="INV-7", currency="USD"), 201)
    said = (made_there, Rejected(422, "E7", "no such customer"), Unknown("timeout", "no answer in time"))
    async with working(tmp_path, clock=Clock(4e9), fallback=False, chargeover=Side(*said, created("5"))) as works:
        for name in ("created", "rejected", "unknown"):
            made.ids[name] = (await works.submit(external_id=name)).result.id
            works.clock.seconds += 1
        made.ids["pending"] = (await works.submit(external_id="pending", preference=LATER)).result.id
    return made


@asynccontextmanager
async def held(desk: Desk, *edits: Edit) -> AsyncIterator[str]:
    """A gateway that holds the journal; where it listens."""
    listen = replaced('\nlisten = "127.0.0.1:0"', f'\nlisten = "127.0.0.1:{free_port()}"')
    never = added('[reconcile]\ndelays = ["1h"]')
    async with sandbox() as url:
        desk.configure(url, listen, never, *edits)
        async with serving(load(desk.config), BytesIO()) as service:
            yield service.url


def lines(said: Said) -> list[dict[str, object]]:
    """What was said, as JSON lines."""
    assert said.code == 0, said
    return [json.loads(line) for line in said.out.splitlines()]


# ------------------------------------------------------------------ a file that nobody holds


async def test_the_list_is_a_table_newest_first(desk: Desk) -> None:
    """Its columns are aligned, and each line has what an operator looks for."""
    said = await desk.run("list")
    assert (said.code, said.err) == (0, "")
    head, *rows = said.out.splitlines()
    assert re.split(r"  +", head) == ["id", "outcome", "external_id", "upstream", "id there", "last tried", "words"]
    assert [row.split()[:3] for row in rows] == [
        [desk.ids[name], name, name] for name in ("pending", "unknown", "rejected", "created")
    ]
    for title in ("outcome", "external_id", "upstream", "id there", "last tried"):
        place = head.index(title)
        assert all(row[place - 2 : place] == "  " and row[place] != " " for row in rows), title
    assert [row[head.index("id there") :].split()[0] for row in rows] == ["-", "-", "-", "4711"]
    seconds = [row[head.index("last tried") :].split()[0] for row in rows]
    assert seconds == ["-", *(f"2096-10-02T07:06:{second}.000Z" for second in (42, 41, 40))]
    assert rows[0].endswith("waits for its delivery")
    assert rows[1].endswith("no answer in time")
    assert rows[2].endswith("no such customer")
    assert all(row == row.rstrip() for row in rows)


@pytest.mark.parametrize("outcome", ["created", "rejected", "unknown", "pending", "not_sent"])
async def test_a_list_can_be_of_one_outcome_or_key(outcome: str, desk: Desk) -> None:
    """As JSON one line each, just as the API answers it; where there is nothing a person is told so."""
    for option in ("--outcome", "--external-id"):
        found = lines(await desk.run("list", "--json", option, outcome))
        assert [(one["id"], one["outcome"]) for one in found] == [
            (entry_id, name) for name, entry_id in desk.ids.items() if name == outcome
        ]
        if outcome == "not_sent":
            assert await desk.run("list", option, outcome) == Said(0, "nothing\n", "")


async def test_a_list_says_how_to_go_on(desk: Desk) -> None:
    """The hint is on standard error, so that a pipe does not meet it; its words are the option to give."""
    found, hint = list[str](), list[str]()
    for _ in range(4):
        said = await desk.run("list", "--json", "--limit", "1", *hint)
        found += [str(one["id"]) for one in lines(said)]
        hint = said.err.removeprefix("more: ").split()
    assert found == list(desk.ids.values())[::-1]
    assert hint == []
    assert (await desk.run("list", "--limit", "2")).err == f"more: --cursor {desk.ids['unknown']}\n"


async def test_one_invoice_is_shown_with_all_that_settles_a_doubt(desk: Desk) -> None:
    """Who was asked, when, what came of it, and the upstream's own answer."""
    said = await desk.run("show", desk.ids["created"])
    assert (said.code, said.err) == (0, "")
    first, *rest = said.out.splitlines()
    assert first == f"{desk.ids['created']}: created"
    facts = dict(re.findall(r"^  (\S+(?: \S+)?)  +(\S.*)$", "\n".join(rest), re.MULTILINE))
    assert facts["external_id"] == "created"
    assert facts["upstream"] == "chargeover-us (chargeover)"
    assert facts["id there"] == "4711"
    assert facts["number"] == "INV-7"
    assert facts["rule"] == "default"
    assert re.search(r"  attempt at 20\S+Z: chargeover-us, created, 0\.000 s\n", said.out)
    assert '  the upstream answered 200:\n    {"said": "words of the upstream"}\n' in said.out
    doubt = (await desk.run("show", desk.ids["unknown"])).out
    assert f"{desk.ids['unknown']}: unknown" in doubt
    assert "no answer in time" in doubt


async def test_what_is_shown_as_json_is_one_line(desk: Desk) -> None:
    """With the upstream's own answer; null where there was none."""
    (found,) = lines(await desk.run("show", "--json", desk.ids["created"]))
    assert found["upstream_response"] == {"http_status": 200, "body": '{"said": "words of the upstream"}'}
    (found,) = lines(await desk.run("show", "--json", desk.ids["pending"]))
    assert (found["outcome"], found["upstream_response"]) == ("pending", None)


async def test_a_doubt_is_resolved_in_the_operators_name(desk: Desk) -> None:
    """Shown at once, and durable; the same again is no fault, otherwise is."""
    doubt = desk.ids["unknown"]
    word = ("--outcome", "created", "--upstream-id", "4712", "--reason", "seen in the portal")
    said = await desk.run("resolve", doubt, *word)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"{doubt}: created\n")
    assert re.search(r"  resolved by .+ \(command line\) at 20\S+Z: seen in the portal\n", said.out)
    (found,) = lines(await desk.run("show", "--json", doubt))
    assert (found["outcome"], found["invoice"]["id"]) == ("created", "4712")  # type: ignore[index]
    assert lines(await desk.run("resolve", doubt, "--json", *word)) == [found]
    await desk.refused("its outcome is created", "resolve", doubt, "--outcome", "not_sent", "--reason", "x")


async def test_what_cannot_be_resolved_says_why(desk: Desk) -> None:
    """Exit 1, one line."""
    word = ("--outcome", "created", "--reason", "x")
    await desk.refused("its outcome is rejected", "resolve", desk.ids["rejected"], *word)
    await desk.refused("still being delivered", "resolve", desk.ids["pending"], *word)
    await desk.refused("no invoice", "resolve", NOBODY, *word)
    await desk.refused("4711.*another", "resolve", desk.ids["unknown"], *word, "--upstream-id", "4711")


# ------------------------------------------------------------------ a file that a gateway holds


async def test_a_journal_that_is_held_is_asked_through_the_gateway_that_holds_it(desk: Desk) -> None:
    """Nothing to be configured: the address and an operator's token are in the configuration."""
    offline = {action: (await desk.run(action, *rest)).out for action, *rest in asked(desk)}
    async with held(desk, OPERATOR):
        for action, *rest in asked(desk):
            said = await desk.run(action, *rest)
            assert said == Said(0, offline[action], ""), said
        word = ("--outcome", "not_sent", "--reason", "the portal does not have it")
        (found,) = lines(await desk.run("resolve", desk.ids["unknown"], "--json", *word))
        assert (found["outcome"], found["resolution"]["by"]) == ("not_sent", "root")  # type: ignore[index]
        for words, entry_id in {"its outcome is rejected": desk.ids["rejected"], "no invoice": NOBODY}.items():
            said = await desk.run("resolve", entry_id, *word)
            assert (said.code, said.out, words in said.err) == (1, "", True)
        hint = (await desk.run("list", "--limit", "1")).err
        assert hint == f"more: --cursor {desk.ids['pending']}\n"
        more = await desk.run("list", "--json", "--cursor", desk.ids["rejected"])
        assert [one["id"] for one in lines(more)] == [desk.ids["created"]]


def asked(desk: Desk) -> list[tuple[str, ...]]:
    """Commands that say the same, whoever holds the journal."""
    return [("list", "--outcome", "rejected"), ("show", desk.ids["created"])]


@pytest.mark.parametrize("as_json", [False, True])
async def test_without_an_operators_token_the_refusal_is_clear(as_json: bool, desk: Desk) -> None:
    """Only a hash is configured: what has to be shown is said, in one line; with the token itself it goes."""
    options = ["--json"] if as_json else []
    async with held(desk, HASHED):
        said = await desk.run("list", *options)
        assert (said.code, said.out) == (1, "")
        assert said.err == f"send Authorization: Bearer TOKEN{HINT}\n"
        assert len(lines(await desk.run("list", "--json", "--token-env", "OF_ROOT"))) == 4


async def test_the_api_can_be_asked_wherever_it_is(desk: Desk) -> None:
    """By `--url`, with the token of a variable: an operator sees all, another client its own, nobody nothing."""
    async with held(desk, OPERATOR) as url:
        asking = ("--json", "--url", f"{url}/", "--token-env")
        assert len(lines(await desk.run("list", *asking, "OF_ROOT"))) == 4
        assert len(lines(await desk.run("list", *asking, "OF_BILLING"))) == 4
        said = await desk.run("list", *asking, "OF_NOBODY")
        assert (said.code, said.out, said.err) == (1, "", f"the token is not known{HINT}\n")
        word = ("--outcome", "created", "--reason", "x", "--url", url, "--token-env", "OF_BILLING")
        said = await desk.run("resolve", desk.ids["unknown"], *word)
        assert (said.code, said.out, said.err) == (1, "", "only an operator may resolve a doubt\n")
        assert (await desk.run("show", NOBODY, "--url", url, "--token-env", "OF_ROOT")).err.startswith("there is no")


async def test_an_api_that_cannot_be_asked_is_one_clear_line(desk: Desk) -> None:
    """Nobody listens there, it is no address, or what answers is no gateway."""
    for url in (f"http://{UNUSED}", "nonsense", "ftp://127.0.0.1", "http://127.0.0.1:99999", ""):
        await desk.refused(re.escape(f"{url} cannot be asked: ") + ".", "list", "--url", url)
    for body in (b"<html>", b"", b"\xff", b"[]", b"{}", b'{"items": [7], "next": null}', b'{"items": 1, "detail": 2}'):
        for status in ("200 OK", "502 Bad Gateway"):
            async with playing(answering(ok(body, status))) as peer:
                said = await desk.run("list", "--url", peer.url)
            words = f"{peer.url} answered {status[:3]}, and not as an invoice gateway does\n"
            assert said == Said(1, "", words)
    async with playing(answering(ok(b"{}", "302 Found", "Location: /elsewhere"))) as peer:
        said = await desk.run("list", "--url", peer.url)
    assert said == Said(1, "", f"{peer.url} answered 302, and not as an invoice gateway does\n")
    assert len(peer.requests) == 1


async def test_an_id_cannot_leave_its_place_in_the_path(desk: Desk) -> None:
    """Whatever is given for one, only an invoice is asked for."""
    for entry_id in ("../upstreams", "..", ".", "a/b?c#d", "%2e%2e", "ü"):
        async with playing(answering(ok(b'{"detail": "there is no invoice"}', "404 Not Found"))) as peer:
            said = await desk.run("show", entry_id, "--url", peer.url)
        assert said == Said(1, "", "there is no invoice\n")
        path = peer.requests[0].split()[1]
        assert re.fullmatch(rb"/v1/invoices/[^/?#.]+\?include=upstream_response", path), path


async def test_a_token_that_cannot_be_had_is_one_clear_line(desk: Desk) -> None:
    """The variable is not set, or holds what no token can."""
    desk.environ("BROKEN", "of\nroot")
    for name, words in {"NO_SUCH": "NO_SUCH is not set", "BROKEN": "holds a line break"}.items():
        await desk.refused(f"^--token-env: .*{words}", "list", "--token-env", name, code=2)


async def test_an_operators_token_that_cannot_be_read_is_none(desk: Desk) -> None:
    """Its file is gone: the gateway asks for one, and the refusal says how to give it."""
    async with held(desk, OPERATOR):
        (desk.folder / "token").unlink()
        assert await desk.run("list") == Said(1, "", f"send Authorization: Bearer TOKEN{HINT}\n")


async def test_a_journal_whose_place_cannot_be_had_is_one_clear_line(desk: Desk) -> None:
    """Its reference leads nowhere."""
    desk.config.write_text(desk.config.read_text() + '\n[journal]\nurl = { env = "NO_SUCH" }\n')
    await desk.refused(r"\[journal\] url: the environment variable NO_SUCH is not set", "list")


def test_an_address_of_version_6_keeps_its_brackets() -> None:
    """And what listens everywhere is asked here."""
    for listen, url in {
        "[::1]:8080": "http://[::1]:8080",
        "[::]:8080": "http://[::1]:8080",
        "0.0.0.0:80": "http://127.0.0.1:80",
        "gateway.example:80": "http://gateway.example:80",
    }.items():
        assert _address(Config(server=Server(listen=listen), upstreams={}, routes=[])) == url


async def test_an_argument_that_is_no_text_is_refused(desk: Desk) -> None:
    """As the shell passes what is not UTF-8 on."""
    said = await desk.run("show", "\udcff")
    assert (said.code, said.out) == (2, "")
    assert "is not UTF-8" in said.err


# ------------------------------------------------------------------ faults


async def test_what_is_wrong_with_the_command_is_exit_code_2(desk: Desk) -> None:
    """Before anything is asked, and nothing is changed."""
    doubt = desk.ids["unknown"]
    both = ("--outcome", "not_sent", "--upstream-id", "1", "--reason", "x")
    await desk.refused("--upstream-id: .*no id", "resolve", doubt, *both, code=2)
    await desk.refused("--reason: ", "resolve", doubt, "--outcome", "created", "--reason", "", code=2)
    for missing in (("list", "--token-env", "GONE"), ("show", doubt, "--token-env", "GONE")):
        await desk.refused("GONE", *missing, code=2)
    for arguments in (
        ("resolve", doubt, "--outcome", "rejected", "--reason", "x"),
        ("resolve", doubt, "--outcome", "created"),
        ("resolve", doubt, "--reason", "x"),
        ("list", "--outcome", "creatd"),
        ("show",),
    ):
        assert (await desk.run(*arguments)).code == 2
    assert lines(await desk.run("show", "--json", doubt))[0]["outcome"] == "unknown"


async def test_several_faults_are_said_at_once(desk: Desk) -> None:
    """Each by the option that it is in."""
    said = await desk.run("resolve", desk.ids["unknown"], "--outcome", "not_sent", "--upstream-id", "1", "--reason", "")
    assert (said.code, said.out) == (2, "")
    assert {line.partition(":")[0] for line in said.err.splitlines()} == {"--upstream-id", "--reason"}


async def test_what_is_not_there_is_said(desk: Desk) -> None:
    """An id that nobody has, a limit or cursor that is none: exit 1."""
    await desk.refused(f'no invoice "{NOBODY}"', "show", NOBODY)
    await desk.refused("limit: .*1 to 200", "list", "--limit", "201")
    await desk.refused("cursor: ", "list", "--cursor", "x")


async def test_a_configuration_with_faults_is_told_and_nothing_done(desk: Desk) -> None:
    """Each fault with its line, and how many; secrets are not needed."""
    desk.configure(NOWHERE, replaced("[server]\n", "[server]\nx = 1\n"))
    for rest in (("list",), ("show", NOBODY), ("resolve", NOBODY, "--outcome", "created", "--reason", "x")):
        said = await desk.run(*rest)
        assert (said.code, said.out) == (1, "")
        assert re.match(rf"{re.escape(str(desk.config))}:\d+: .*\n1 fault\n$", said.err, re.DOTALL)
    desk.configure(NOWHERE, replaced('"sandbox-private"', '{ env = "GONE" }'))
    assert len(lines(await desk.run("list", "--json"))) == 4


async def test_a_journal_that_cannot_be_used_is_one_clear_line(desk: Desk) -> None:
    """Of a newer version, of another program, in no folder."""
    file = desk.folder / "journal.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version = 99")
    await desk.refused("^journal: .*newer version", "list")
    file.write_bytes(b"no database at all" * 100)
    await desk.refused("^journal: .*no SQLite database", "show", NOBODY)
    desk.configure(NOWHERE, added('[journal]\nurl = "sqlite://gone/journal.db"'))
    await desk.refused("^journal: .*no folder", "list")


async def test_what_was_left_by_a_dead_process_can_be_listed(desk: Desk) -> None:
    """What it was sending is pending until a gateway looks into it."""
    async with working(desk.folder, clock=Clock(4e9)) as works:
        entry = await works.entry("pending")
        assert await works.store.inner.replace(entry, stepped(entry, "sending", works.clock(), due_at=0.0))
    (found,) = lines(await desk.run("list", "--json", "--outcome", "pending"))
    assert found["upstream"]["message"] == "is being sent"  # type: ignore[index]


# ------------------------------------------------------------------ a real process


async def test_as_a_process_it_speaks_to_people_and_pipes(desk: Desk) -> None:
    """JSON lines on standard output, the hint on standard error, the exit code the answer."""
    for limit, code in (("1", 0), ("0", 1)):
        command = (sys.executable, "-m", "gateway", "journal", "list", "--json", "--limit", limit)
        process = await asyncio.create_subprocess_exec(*command, "--config", desk.config, stdout=PIPE, stderr=PIPE)
        out, err = await process.communicate()
        assert process.returncode == code
        assert [json.loads(line)["id"] for line in out.splitlines()] == [desk.ids["pending"]] * (1 - code)
        assert err.decode() == (f"more: --cursor {desk.ids['pending']}\n" if code == 0 else err.decode())
        assert b"Traceback" not in err
