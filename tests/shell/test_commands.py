"""The command line: exit codes, words for people on the right stream, JSON logs, and an orderly end."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError, ClientSession

from gateway import __version__, demo
from gateway.__main__ import main
from gateway.demo import quiet_log
from gateway.shell import logs, trial_commands
from gateway.shell.catalog import dialects
from gateway.shell.configuration import load
from gateway.shell.service import Service
from tests.support.engines import until
from tests.support.running import NAMES, PRODUCTS, Edit, added, configured, invoice, replaced, sandbox

NOWHERE = "http://127.0.0.1:1"
COMMANDS = {
    "serve": ["--config"],
    "check": ["FILE", "--strict", "--json"],
    "explain": ["--config", "INVOICE", "--all-upstreams", "--client", "--json"],
    "diff": ["OLD", "NEW", "--sample", "--client", "--json"],
    "send": ["FILE", "--url", "--token-env", "--results", "--concurrency", "--patience", "exit codes"],
    "new-dialect": ["NAME"],
    "sandbox": ["--port"],
    "demo": ["--port", "--ops-port", "--sandbox-port", "--once"],
}


def written(folder: Path, *edits: Edit) -> Path:
    """The demo's configuration, edited, as a file."""
    return configured(folder, NOWHERE, *edits)


def run(*arguments: str | Path) -> int:
    """A command in this process; what argparse refuses is an exit code too."""
    try:
        return main([str(one) for one in arguments])
    except SystemExit as end:
        return int(end.code or 0)


# ------------------------------------------------------------------ serve


def test_a_gateway_that_serves_loads_nothing_else() -> None:
    """No sandbox, no analysis of rules, nothing that draws: they would cost memory, and time to start."""
    code = "import sys, gateway.__main__, gateway.shell.commands; print(*sys.modules, sep='\\n')"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - our own
    loaded = ran.stdout.split()
    others = (
        *("gateway.sandbox", "gateway.demo", "gateway.client", "gateway.core.coverage", "gateway.shell.check", "rich"),
        *("gateway.shell.sending", "gateway.shell.trial_commands", "gateway.shell.journal_commands"),
    )
    assert "gateway.shell.service" in loaded
    assert [name for name in loaded if name.startswith(others)] == []


# ------------------------------------------------------------------ check


def test_check_says_good_of_a_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0; one line with what is in it, on standard output."""
    path = written(tmp_path)
    assert run("check", path) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{path}: good (5 upstreams, 5 rules, 0 clients, revision sha256:")
    assert out.count("\n") == 1
    assert "fault" not in err


def test_check_names_every_fault_of_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1; a line each with file and line, and how many, on standard error."""
    path = written(
        tmp_path,
        replaced("[server]\n", "[server]\nx = 1\ny = 2\n"),
        replaced(
            "chargeover-us",
            "us",
        ),
    )
    path.write_text(path.read_text().replace("[upstreams.us]", "[upstreams.uk]", 1))
    assert run("check", path) == 1
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert all(re.match(rf"{re.escape(str(path))}:\d+: ", line) for line in lines[:-1])
    assert len(lines) > 3
    assert lines[-1].startswith(f"{len(lines) - 1} faults")


def test_check_warns_of_secrets_in_plain_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And is content all the same; the secret itself is not shown."""
    assert run("check", written(tmp_path, added('[clients.billing]\ntoken = "geheim"'))) == 0
    err = capsys.readouterr().err
    assert "warning" in err
    assert "plain text" in err
    assert "geheim" not in err


@pytest.mark.parametrize("url", ["postgresql://[::1/x", "postgresql://h:x/d"])
def test_a_journal_with_a_url_that_is_none_is_one_clear_line(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From whoever opens it; `check` opens nothing."""
    path = written(tmp_path, added(f'[journal]\nurl = "{url}"'))
    assert run("check", path) == 0
    capsys.readouterr()
    assert run("serve", "--config", path) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_check_of_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1, and no stack trace."""
    assert run("check", tmp_path / "gone.toml") == 1
    assert "gone.toml: cannot be read" in capsys.readouterr().err


# ------------------------------------------------------------------ explain


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """The demo's invoice for chargeover, in a file."""
    path = tmp_path / "invoice.json"
    path.write_text(json.dumps(invoice("chargeover")))
    return path


def test_explain_tells_a_person_what_would_be_sent(
    tmp_path: Path, sent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rule and why not the ones before it, totals, losses, and the request, secrets masked."""
    assert run("explain", "--config", written(tmp_path), sent) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for words in (
        'rule "default"',
        "workshops",
        "492.00",
        "chargeover-us",
        f"POST {NOWHERE}/chargeover/api/v3/invoice",
    ):
        assert words in out
    assert "Authorization: ***" in out
    assert "sandbox-private" not in out
    assert "katsupay" not in out


def test_explain_as_json_is_what_the_api_answers(
    tmp_path: Path, sent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Contract 6."""
    assert run("explain", "--config", written(tmp_path), "--json", sent) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= {"route", "totals", "upstreams"}
    assert [one["name"] for one in found["upstreams"]] == ["chargeover-us"]
    assert json.loads(found["upstreams"][0]["request"]["body"])["external_key"]


def test_explain_can_show_all_upstreams(tmp_path: Path, sent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In text and in JSON."""
    path = written(tmp_path)
    assert run("explain", "--config", path, "--all-upstreams", sent) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in NAMES.values())
    assert run("explain", "--config", path, "--all-upstreams", "--json", sent) == 0
    assert {one["name"] for one in json.loads(capsys.readouterr().out)["upstreams"]} == set(NAMES.values())


def test_explain_reads_standard_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` stands for it."""
    body = json.dumps(invoice("katsupay")).encode()
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(body)))
    assert run("explain", "--config", written(tmp_path), "-") == 0
    assert "katsupay-lagos" in capsys.readouterr().out


def test_explain_of_what_cannot_be_sent_is_a_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1 with each reason and its place."""
    path = tmp_path / "invoice.json"
    wrong = invoice("chargeover")
    wrong["customer"]["id"] = "acct-unknown"
    path.write_text(json.dumps(wrong))
    assert run("explain", "--config", written(tmp_path), path) == 1
    assert "/customer/id" in capsys.readouterr().out


def test_that_others_could_carry_it_is_still_a_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1: where it is routed to, it cannot be sent."""
    path = tmp_path / "invoice.json"
    path.write_text(json.dumps(invoice("chargeover", due_date="2026-07-13")))
    assert run("explain", "--config", written(tmp_path), "--all-upstreams", path) == 1
    out = capsys.readouterr().out
    assert re.search(r"onlyoffice-eu +onlyoffice +yes", out)
    assert re.search(r"chargeover-us +chargeover +no", out)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ("malformed-json",)),
        ("{}", ("invalid-invoice", "/lines", "/currency")),
        (json.dumps(invoice(totals={"amount_due": "1.00"})), ("totals-mismatch", "492.00")),
    ],
)
def test_explain_of_what_is_no_invoice_is_a_no(
    content: str, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1; all faults, on standard error."""
    path = tmp_path / "invoice.json"
    path.write_text(content)
    assert run("explain", "--config", written(tmp_path), path) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert all(word in err for word in words)


def test_explain_needs_no_secrets(tmp_path: Path, sent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A machine that has none may ask."""
    edit = replaced('password = "sandbox-private"', 'password = { env = "GATEWAY_TEST_UNSET" }')
    assert run("explain", "--config", written(tmp_path, edit), sent) == 0
    assert "Authorization: ***" in capsys.readouterr().out


def test_explain_routes_as_if_a_client_called(tmp_path: Path, sent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the rules about clients, and with its permissions."""
    path = written(
        tmp_path,
        added('[clients.billing]\ntoken = "t"\nupstreams = ["katsupay-lagos"]\n[clients.other]\ntoken = "u"'),
        replaced('when = { labels = { product = "wallet" }, has = ["due_date"] }', 'when = { client = "billing" }'),
    )
    assert run("explain", "--config", path, "--client", "billing", sent) == 0
    assert 'rule "wallets"' in capsys.readouterr().out
    assert run("explain", "--config", path, "--client", "other", sent) == 0
    assert 'rule "default"' in capsys.readouterr().out


def test_explain_refuses_a_client_that_may_not(tmp_path: Path, sent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the API would."""
    path = written(tmp_path, added('[clients.billing]\ntoken = "t"\nupstreams = ["katsupay-lagos"]'))
    assert run("explain", "--config", path, "--client", "billing", sent) == 1
    assert "forbidden" in capsys.readouterr().err


def test_explain_knows_the_clients_that_there_are(
    tmp_path: Path, sent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 for any other, with the one that is meant."""
    path = written(tmp_path, added('[clients.billing]\ntoken = "t"'))
    assert run("explain", "--config", path, "--client", "biling", sent) == 2
    assert capsys.readouterr().err == 'there is no client "biling"; did you mean "billing"?\n'
    assert run("explain", "--config", path, sent) == 0


def test_explain_of_a_missing_file_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, with its name."""
    assert run("explain", "--config", written(tmp_path), tmp_path / "gone.json") == 2
    assert "gone.json" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["serve", "explain"])
def test_a_bad_configuration_starts_nothing(
    command: str, tmp_path: Path, sent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1 with the faults."""
    path = written(tmp_path, replaced("[server]\n", "[server]\nx = 1\n"))
    assert run(command, "--config", path, *([sent] if command == "explain" else [])) == 1
    assert "server.x" in capsys.readouterr().err


# ------------------------------------------------------------------ usage


@pytest.mark.parametrize("command", COMMANDS)
def test_help_mentions_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0."""
    assert run(command, "--help") == 0
    out = capsys.readouterr().out
    assert all(option in out for option in COMMANDS[command])


def test_help_mentions_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """With an example, and what exit codes mean."""
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert all(command in out for command in COMMANDS)
    assert "exit codes" in out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """One line."""
    assert run("--version") == 0
    assert capsys.readouterr().out == f"invoice-gateway {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["serve"],
        ["check"],
        ["explain", "x.json"],
        ["explain", "--config", "x.toml"],
        ["sandbox", "--port", "many"],
        ["sandbox", "--port", "65536"],
        ["sandbox", "--port", "-1"],
        ["demo", "--port", "70000"],
        ["demo", "--once", "--ops-port", "²"],
        ["demo", "--nonsense"],
        ["check", "a", "b"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the usage, on standard error."""
    assert run(*arguments) == 2
    assert "usage: invoice-gateway" in capsys.readouterr().err


def test_ctrl_c_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 0 and no stack trace."""

    def interrupted(_: int) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(trial_commands, "sandbox", interrupted)
    assert run("sandbox") == 0


# ------------------------------------------------------------------ real processes


@asynccontextmanager
async def started(*arguments: str | Path) -> AsyncIterator[Process]:
    """The command as a process of its own; gone at the end whatever happens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *map(str, arguments), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: Process) -> str:
    """The next line of standard output."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        return (await process.stdout.readline()).decode()


async def ended(process: Process) -> tuple[int, str, str]:
    """Exit code and what it still said on both streams."""
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def draining(delay: str) -> Edit:
    """An edit by which callers have so long to go elsewhere."""
    return replaced("[server]\n", f'[server]\ndrain_delay = "{delay}"\n')


@pytest.mark.parametrize(("sign", "drains"), [(signal.SIGTERM, ["draining"]), (signal.SIGINT, [])])
async def test_serve_listens_delivers_and_ends_by_a_signal(
    sign: signal.Signals, drains: list[str], tmp_path: Path
) -> None:
    """Ready, one invoice created, exit 0; every line on standard output is JSON, nothing on standard error."""
    async with sandbox() as url, started("serve", "--config", configured(tmp_path, url, draining("1ms"))) as process:
        listening = json.loads(await line(process))
        assert listening["event"] == "listening"
        async with ClientSession() as session:
            async with session.get(f"{listening['ops']}/readyz") as ready:
                assert ready.status == 200
            async with session.post(f"{listening['api']}/v1/invoices", json=invoice()) as answer:
                assert answer.status == 201
        process.send_signal(sign)
        code, out, err = await ended(process)
    assert code == 0
    events = [json.loads(one)["event"] for one in out.splitlines()]
    assert events == ["concluded", *drains, "stopped"]
    assert "Traceback" not in err


async def test_serve_finishes_what_is_under_way(tmp_path: Path) -> None:
    """SIGTERM in the middle of an invoice: its caller still gets the answer, and it is logged."""
    change = replaced("[server]\n", '[server]\ndrain_delay = "1ms"\nlog_level = "debug"\n')
    async with sandbox() as url, started("serve", "--config", configured(tmp_path, url, change)) as process:
        listening = json.loads(await line(process))
        async with ClientSession() as session:
            fault = {"fault": "delay", "seconds": 0.5, "method": "POST"}
            async with session.post(f"{url}/_sandbox/chargeover/faults", json=fault) as armed:
                assert armed.status == 200
            sending = asyncio.create_task(session.post(f"{listening['api']}/v1/invoices", json=invoice()))
            assert [json.loads(await line(process))["event"] for _ in range(2)] == ["claimed", "sending"]
            process.send_signal(signal.SIGTERM)
            answer = await sending
            assert answer.status == 201
            answer.release()
        code, out, _ = await ended(process)
    assert code == 0
    events = [json.loads(one)["event"] for one in out.splitlines()]
    assert events == ["draining", "answered", "concluded", "stopped"]


async def test_serve_gives_callers_time_to_go_elsewhere(tmp_path: Path) -> None:
    """SIGTERM: not ready at once, yet it still takes invoices, and every answer closes its connection; then exit 0."""
    async with sandbox() as url, started("serve", "--config", configured(tmp_path, url, draining("1s"))) as process:
        listening = json.loads(await line(process))
        async with ClientSession() as session:
            async with session.get(f"{listening['api']}/v1/upstreams") as before:
                assert "Connection" not in before.headers
            process.send_signal(signal.SIGTERM)
            assert json.loads(await line(process))["seconds"] == 1.0
            async with session.get(f"{listening['ops']}/readyz") as ready:
                assert ready.status == 503
            async with session.get(f"{listening['ops']}/livez") as live:
                assert live.status == 200
            for path in ("/v1/upstreams", "/v1/nothing"):
                async with session.get(f"{listening['api']}{path}") as answer:
                    assert answer.headers["Connection"] == "close"
            async with session.post(f"{listening['api']}/v1/invoices", json=invoice()) as answer:
                assert (answer.status, answer.headers["Connection"]) == (201, "close")
        code, _, _ = await ended(process)
    assert code == 0


async def test_a_second_signal_does_not_wait_for_callers(tmp_path: Path) -> None:
    """What is under way is finished all the same."""
    async with sandbox() as url, started("serve", "--config", configured(tmp_path, url, draining("1h"))) as process:
        await line(process)
        process.send_signal(signal.SIGTERM)
        assert json.loads(await line(process))["event"] == "draining"
        process.send_signal(signal.SIGTERM)
        code, out, _ = await ended(process)
    assert code == 0
    assert [json.loads(one)["event"] for one in out.splitlines()] == ["stopped"]


async def test_serve_can_be_stopped_while_it_starts(tmp_path: Path) -> None:
    """By a journal that does not answer: exit 0 at once, and nothing was begun."""
    silent = socket.create_server(("127.0.0.1", 0))
    with silent:
        url = f"postgresql://gateway@127.0.0.1:{silent.getsockname()[1]}/journal"
        config = configured(tmp_path, "http://127.0.0.1:9", added(f'[journal]\nurl = "{url}"'))
        async with started("serve", "--config", config) as process:
            peer, _ = await asyncio.get_running_loop().run_in_executor(None, silent.accept)
            with peer:
                process.send_signal(signal.SIGTERM)
                code, out, err = await ended(process)
    assert (code, out, err) == (0, "", "")


async def test_serve_reads_its_configuration_again_on_sighup(tmp_path: Path) -> None:
    """And says what came of it: a mistake changes nothing."""
    async with sandbox() as url:
        config = configured(tmp_path, url)
        async with started("serve", "--config", config) as process:
            await line(process)
            process.send_signal(signal.SIGHUP)
            assert json.loads(await line(process))["result"] == "applied"
            config.write_text("nothing = 1")
            process.send_signal(signal.SIGHUP)
            refused = json.loads(await line(process))
            assert (refused["event"], refused["result"], refused["level"]) == ("reloaded", "refused", "error")
            process.send_signal(signal.SIGINT)
            code, _, _ = await ended(process)
    assert code == 0


async def test_what_is_asked_for_while_it_starts_is_done_once_it_has_started(tmp_path: Path) -> None:
    """A reload that is asked for between reading the file and listening is not lost."""
    log, path = BytesIO(), written(tmp_path)
    service = Service(load(path), logs.logger(log))
    path.write_text("nothing = 1")
    service.reload()
    await service.start()
    try:
        await until(lambda: b'"reloaded"' in log.getvalue())
    finally:
        await service.stop()
    assert b'"refused"' in log.getvalue()


async def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    """Exit 1; which address, and no stack trace."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        edit = replaced('\nlisten = "127.0.0.1:0"', f'\nlisten = "127.0.0.1:{port}"')
        async with started("serve", "--config", written(tmp_path, edit)) as process:
            code, out, err = await ended(process)
        assert code == 1
        assert out == ""
        assert re.fullmatch(rf"cannot listen.*{port}.*\n", err), err
        async with started("sandbox", "--port", str(port)) as process:
            code, _, err = await ended(process)
        assert code == 1
        assert re.fullmatch(rf"cannot listen.*{port}.*\n", err), err


async def test_a_start_that_fails_leaves_nothing_open(tmp_path: Path) -> None:
    """Neither the other listener nor a session; an unclosed one would be a warning, which fails the test."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        edit = replaced('\nlisten = "127.0.0.1:0"', f'\nlisten = "127.0.0.1:{taken.getsockname()[1]}"')
        service = Service(load(written(tmp_path, edit)), quiet_log())
        with pytest.raises(OSError, match="address already in use"):
            await service.start()
        with pytest.raises(ClientConnectionError):
            async with ClientSession() as session, session.get(f"{service.ops_url}/livez"):
                pass


async def test_the_demo_creates_one_invoice_at_each_upstream(tmp_path: Path) -> None:
    """Exit 0 on free ports; a row for each, the last answer, and commands to try."""
    ports = ("--port", "0", "--ops-port", "0", "--sandbox-port", "0")
    async with started("demo", "--once", *ports) as process:
        code, out, err = await ended(process)
    assert (code, err) == (0, "")
    for dialect, name in NAMES.items():
        assert re.search(rf"{name} +{dialect} +201 created", out), name
    assert "curl" in out
    assert str(tmp_path) not in out


async def test_the_demo_stays_up_until_it_is_stopped() -> None:
    """And its hints work: the ports in them are the real ones."""
    async with started("demo", "--port", "0", "--ops-port", "0", "--sandbox-port", "0") as process:
        text = ""
        while "Ctrl-C" not in text:
            text += await line(process)
        found = re.search(r"curl -s (http://127\.0\.0\.1:\d+)/v1/invoices ", text)
        assert found is not None
        async with ClientSession() as session:
            async with session.get(f"{found[1]}/v1/upstreams") as answer:
                assert answer.status == 200
            for url in re.findall(
                r"http://127\.0\.0\.1:\d+/\S*(?:metrics|upstreams|problems/|invoices)(?=[\s,])", text
            ):
                async with session.get(url) as answer:
                    assert answer.status in (200, 405), url
        process.send_signal(signal.SIGINT)
        code, _, err = await ended(process)
    assert (code, err) == (0, "")


async def test_the_sandbox_says_where_it_listens_and_ends_by_a_signal() -> None:
    """Exit 0."""
    async with started("sandbox", "--port", "0") as process:
        text = ""
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", text)):
            text += await line(process)
        async with ClientSession() as session, session.get(f"{found[0]}/_sandbox") as answer:
            assert set(await answer.json()) == set(dialects())
        process.send_signal(signal.SIGTERM)
        code, _, err = await ended(process)
    assert (code, err) == (0, "")


async def test_a_reader_that_leaves_is_no_failure(tmp_path: Path) -> None:
    """As with `| head -1`: no stack trace."""
    path = tmp_path / "invoice.json"
    path.write_text(json.dumps(invoice()))
    command = f"{sys.executable} -m gateway explain --config {written(tmp_path)} --all-upstreams {path} | head -c 1"
    process = await asyncio.create_subprocess_shell(command, stdout=PIPE, stderr=PIPE)
    _, err = await process.communicate()
    assert b"Traceback" not in err


def test_the_demos_files_are_part_of_the_package() -> None:
    """Configuration and invoice are found beside the module, wherever it is installed."""
    assert demo.CONFIG.is_file()
    assert demo.INVOICE.is_file()
    assert set(demo.PRODUCTS) == set(PRODUCTS.values())
