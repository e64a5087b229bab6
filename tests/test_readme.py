"""The README tells the truth: its tables are generated, its commands exist, its answers are what comes back."""

import asyncio
import json
import os
import re
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from gateway import demo
from gateway.__main__ import parser
from gateway.core.problem_index import PROBLEMS
from tests.support import readme
from tests.support.running import invoice, running

TEXT = readme.README.read_text()


def block(name: str) -> str:
    """The fenced block after `<!-- test: NAME -->`."""
    found = re.search(rf"<!-- test: {name} -->\n```\w*\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None, name
    return found[1]


def test_the_generated_parts_are_up_to_date(request: pytest.FixtureRequest) -> None:
    """Tables of dialects, settings and metrics are what the code says; `--update` rewrites them."""
    if request.config.getoption("--update"):
        readme.README.write_text(readme.written(TEXT))
    else:
        assert readme.written(TEXT) == TEXT


def test_the_demo_prints_what_the_readme_shows() -> None:
    """The table at the top is what `make run` prints."""
    command = [
        sys.executable,
        "-m",
        "gateway",
        "demo",
        "--once",
        "--port",
        "0",
        "--ops-port",
        "0",
        "--sandbox-port",
        "0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(block("demo"))


def masked(answer: Any) -> Any:
    """The answer without what differs from one time to another."""
    if isinstance(answer, dict):
        times = ("id", "created_at", "started_at", "seconds", "timings", "url", "config", "number", "ids")
        return {key: masked(value) for key, value in answer.items() if key not in times}
    return [masked(value) for value in answer] if isinstance(answer, list) else answer


async def test_the_readmes_invoice_gets_the_readmes_answer(tmp_path: Path) -> None:
    """The curl of the README, sent to the demo's gateway, is answered as shown, but for ids and times."""
    found = re.search(r"-d '(\{\n.*?\})'\n", TEXT, re.DOTALL)
    assert found is not None
    shown = json.loads(block("answer"))
    async with running(tmp_path) as world:
        answered = await world.send(json.loads(found[1]))
    assert answered.status == 201
    answer = answered.json
    assert all(loss in answer["losses"] for loss in shown["losses"])
    assert len(answer["losses"]) - len(shown["losses"]) == 3
    assert masked({**answer, "losses": []}) == masked({**shown, "losses": []})
    assert answer["upstream"]["ids"]["external_key"] == shown["upstream"]["ids"]["external_key"]
    assert answer.keys() == shown.keys()


async def test_the_readmes_file_is_sent_with_the_readmes_words(tmp_path: Path) -> None:
    """Its CSV, sent to the demo's gateway, comes to what is shown, but for times."""
    (tmp_path / "june.csv").write_text(block("june"))
    async with running(tmp_path) as world:
        command = (sys.executable, "-m", "gateway", "send", "june.csv", "--url", world.service.url)
        where = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(readme.README.parent)}}
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, **where)  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            out, err = await process.communicate()
    assert (process.returncode, err) == (1, b"")
    assert re.sub(r"answers in .*", "…", out.decode()) == re.sub(r"answers in .*", "…", block("send"))


async def test_the_readmes_program_sends_an_invoice(tmp_path: Path) -> None:
    """The function of the README gives the id, or what is wrong and where."""
    found: dict[str, Any] = {}
    exec(block("client"), found)  # noqa: S102 - our own
    async with running(tmp_path) as world:
        assert await found["bill"](world.service.url, None, invoice()) == ("created", "1001")
        wrong = invoice(external_id="w", totals={"amount_due": "1.00"})
        assert (await found["bill"](world.service.url, None, wrong))[2] == ["/totals/amount_due"]


def test_every_command_is_in_the_readme() -> None:
    """The table of commands has each of them, and no other."""
    choices = next(action.choices for action in parser()._actions if action.choices)  # noqa: SLF001 - argparse has no other way
    shown = set(
        re.findall(r"^\| `([\w-]+)[ `]", TEXT.partition("## Command line")[2].partition("\n## ")[0], re.MULTILINE)
    )
    assert shown == set(choices or ())


def test_every_problem_has_a_page_text() -> None:
    """Each problem has a title and says what to do."""
    for slug, problem in PROBLEMS.items():
        title, _, rest = (problem.__doc__ or "").partition("\n")
        assert title.endswith("."), slug
        assert len(rest.split()) > 8, slug


def test_the_files_that_the_readme_names_exist() -> None:
    """Links and paths lead somewhere."""
    root = readme.README.parent
    for path in re.findall(r"\]\(([\w./-]+)\)", TEXT) + re.findall(r"`((?:gateway|mappings|deploy)/[\w./]+)`", TEXT):
        if "acme" not in path:
            assert (root / path).exists(), path
    assert demo.INVOICE.exists()
