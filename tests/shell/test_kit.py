"""`new-dialect`: a skeleton whose tests say what is to be done, and that becomes a dialect as the README shows."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.__main__ import main
from tests.test_readme import block

ROOT = Path(__file__).parents[2]
PARTS = ("gateway", "mappings", "tests/mappings", "tests/support", "tests/conftest.py", "pyproject.toml")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what a dialect is made of and tested by; the command runs in it."""
    for part in PARTS:
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, tmp_path / part)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(folder: Path, *module: str) -> tuple[int, str]:
    """A tool in the copy: its exit code and what it said."""
    alone = {name: text for name, text in os.environ.items() if not name.startswith(("COVERAGE_", "PYTEST_"))}
    command = (sys.executable, "-m", *module)
    done = subprocess.run(  # noqa: S603 - our own
        command, cwd=folder, env=alone, capture_output=True, text=True, timeout=240, check=False
    )
    return done.returncode, done.stdout + done.stderr


def contract(folder: Path, name: str, *more: str) -> tuple[int, str]:
    """The contract and the conversations of one dialect."""
    files = ("tests/mappings/test_contract.py", "tests/mappings/test_conversations.py")
    return ran(folder, "pytest", "-q", "--tb=line", "-p", "no:cacheprovider", *files, "-k", name, *more)


def test_a_skeleton_says_what_is_to_be_done_and_becomes_a_dialect(checkout: Path) -> None:
    """Clean from the beginning; fails with places; with the changes of the README it passes everything."""
    assert main(["new-dialect", "ledger"]) == 0
    code, said = contract(checkout, "ledger")
    assert code == 1
    assert "mappings/ledger.py: translate() says the invoice" in said
    assert "to do: every request field of the vendor's page" in said
    for place in ("mappings/ledger.py:1", "gateway/sandbox/ledger.py:1", "tests/mappings/ledger/rejected.json:"):
        assert place in said
    assert clean(checkout, "ledger") == ""

    (checkout / "ledger.diff").write_text(block("ledger"))
    git = ("git", "apply", "--unidiff-zero", "ledger.diff")
    done = subprocess.run(git, cwd=checkout, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert done.returncode == 0, done.stderr
    contract(checkout, "ledger", "--update")
    code, said = contract(checkout, "ledger")
    assert (code, re.findall(r"^\d+ passed", said, re.MULTILINE) != []) == (0, True), said[-2000:]
    assert clean(checkout, "ledger") == ""


def clean(folder: Path, name: str) -> str:
    """What ruff and mypy say against the two modules."""
    modules = (f"mappings/{name}.py", f"gateway/sandbox/{name}.py")
    tools = (("ruff", "format", "--check", "-q"), ("ruff", "check", "-q"), ("mypy", "--no-error-summary"))
    return "".join(said for tool in tools for code, said in [ran(folder, *tool, *modules)] if code)


def test_the_longest_name_is_as_clean(checkout: Path) -> None:
    """No line becomes too long by it."""
    name = "a" * 20
    assert main(["new-dialect", name]) == 0
    for tool in (("format", "--check"), ("check",)):
        code, said = ran(checkout, "ruff", *tool, f"mappings/{name}.py", f"gateway/sandbox/{name}.py")
        assert code == 0, said


@pytest.mark.parametrize("name", ["", "a", "Acme", "acme-corp", "1st", "../acme", "a" * 21, "acme\n"])
def test_a_name_that_is_no_module_is_wrong_usage(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert main(["new-dialect", name]) == 2
    assert "small letters and digits" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_left_alone(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dialect that exists, and one that was begun; none of their files is written."""
    before = (checkout / "mappings/exsited.py").read_text()
    assert main(["new-dialect", "exsited"]) == 2
    assert "mappings/exsited.py exists already" in capsys.readouterr().err
    assert (checkout / "mappings/exsited.py").read_text() == before
    (checkout / "tests/mappings/invoices/begun.json").write_text("{}")
    assert main(["new-dialect", "begun"]) == 2
    assert not (checkout / "mappings/begun.py").exists()


def test_it_needs_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Elsewhere it says so."""
    monkeypatch.chdir(tmp_path)
    assert main(["new-dialect", "acme"]) == 2
    assert "run it in a checkout" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
