"""The image: what its build takes in, what is left in it, and how it runs. Nothing here needs a Docker engine."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gateway import __version__
from tests.support.manifests import ROOT, tool
from tests.support.pods import CONFIG, USER
from tests.support.running import configured

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
TEXT = DOCKERFILE.read_text()
STEPS = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).splitlines()
FINAL = STEPS[max(number for number, step in enumerate(STEPS) if step.startswith("FROM")) :]
LOCKS = [*sorted(ROOT.glob("*.lock")), *sorted((ROOT / "deploy").glob("*.lock"))]


def hadolint(path: Path) -> str:
    """The complaints of hadolint."""
    command = [tool("hadolint"), "--no-color", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout  # noqa: S603 - our own


def test_hadolint_finds_nothing() -> None:
    """Not even what it only remarks upon."""
    assert hadolint(DOCKERFILE) == ""


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('CMD ["serve", "--config"', 'CMD serve "--config"', "DL3025"),
        ("FROM ${PYTHON_IMAGE}\n", "FROM python:latest\n", "DL3007"),
        ("WORKDIR /build", "WORKDIR build", "DL3000"),
    ],
)
def test_hadolint_notices_a_fault(old: str, new: str, code: str, tmp_path: Path) -> None:
    """A shell around the gateway, a tag that moves, a folder that depends on another."""
    assert old in TEXT
    (tmp_path / "Dockerfile").write_text(TEXT.replace(old, new))
    assert code in hadolint(tmp_path / "Dockerfile")


def pins(path: Path) -> dict[str, list[str]]:
    """The requirements of a lock file with their hashes."""
    entries = re.findall(r"^([\w.-]+)==\S+(.*?)(?=^[\w.-]+==|\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
    return {canonicalize_name(name): re.findall(r"--hash=sha256:[0-9a-f]{64}", rest) for name, rest in entries}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lock_file_names_hashes_and_no_index(path: Path) -> None:
    """So that it installs the same from every index."""
    found = pins(path)
    assert len(found) > 20
    assert [name for name, hashes in found.items() if not hashes] == []
    assert re.findall(r"https?://|file:|^-[a-z-]*index|^--find-links", path.read_text(), re.MULTILINE) == []


def needed(name: str, extra: str = "") -> set[str]:
    """A distribution and all that it requires, on any platform."""
    found: set[str] = {canonicalize_name(name)}
    for line in requires(name) or []:
        requirement = Requirement(line)
        if "extra" not in str(requirement.marker) or (extra and f'"{extra}"' in str(requirement.marker)):
            own = canonicalize_name(requirement.name)
            found |= needed(own) if own in INSTALLED else {own}
    return found


INSTALLED = pins(ROOT / "requirements-dev.lock")


def removed(steps: list[str]) -> set[str]:
    """What is uninstalled before the list of contents is made."""
    found = re.search(r"bin/pip uninstall --yes ([\w\- ]+?) +&&", "\n".join(steps))
    return set(found[1].split()) if found else set()


def test_the_image_holds_what_runs_and_nothing_else() -> None:
    """What the lock file has for the build alone, and pip itself, is taken out; what the extras need stays."""
    locked = set(pins(ROOT / "requirements.lock"))
    runs = needed("invoice-gateway", "postgres") | needed("invoice-gateway", "otel")
    assert {"asyncpg", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= locked & runs
    assert removed(STEPS) == locked - runs | {"pip", "setuptools"}


def test_pip_is_not_left_in_the_last_stage() -> None:
    """Neither installed nor as the wheel that Python could install it from."""
    assert any("-m pip uninstall" in step and "setuptools wheel pip" in step and "ensurepip" in step for step in FINAL)


def test_everything_is_installed_by_its_hash() -> None:
    """Each `pip install` takes a lock file, or the wheel just built, and resolves nothing."""
    installs = re.findall(r"bin/pip install ([^&]+)", "\n".join(STEPS))
    assert len(installs) == 3
    assert all("--no-deps" in each for each in installs)
    assert all(re.search(r"--require-hashes -r [\w.-]+\.lock|dist/\*\.whl", each) for each in installs)


def test_the_build_sees_what_it_copies_and_no_more() -> None:
    """`.dockerignore` shuts everything out but the source of each COPY, and compiled files in those."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    copied = [name for step in STEPS if re.match(r"COPY (?!--from)", step) for name in step.split()[1:-1]]
    assert [rules[0], rules[-1]] == ["*", "**/__pycache__"]
    assert sorted(rules[1:-1]) == sorted(f"!{name}" for name in copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_runs_the_gateway_as_nobody() -> None:
    """Directly, so that it hears SIGTERM; on the configuration that the manifests mount; listing what is in it."""
    words = dict(step.split(" ", 1) for step in FINAL if not step.startswith("RUN"))
    command = json.loads(words["ENTRYPOINT"]) + json.loads(words["CMD"])
    assert command == ["invoice-gateway", "serve", "--config", CONFIG]
    assert words["USER"] == f"{USER}:{USER}"
    assert words["STOPSIGNAL"] == "SIGTERM"
    assert f'org.opencontainers.image.version="{__version__}"' in words["LABEL"]
    assert "--output-file /opt/invoice-gateway/sbom.cdx.json" in "\n".join(STEPS)
    assert words["COPY"] == "--from=build /opt/invoice-gateway /opt/invoice-gateway"


def compiled(folder: Path) -> set[str]:
    """The modules of Python's own library whose bytecode is in the folder."""
    library = sysconfig.get_path("stdlib").lstrip("/")
    return {str(path) for path in (folder / library).rglob("*.pyc") if "site-packages" not in path.parts}


def test_a_start_compiles_nothing_of_python_itself(tmp_path: Path) -> None:
    """The base image has no bytecode. What the build imports is all that a gateway does until it listens."""
    found = re.search(r"bin/python -c\s+'([^']+)'", "\n".join(FINAL))
    assert found is not None
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, "-c", found[1]], env=environment, cwd=ROOT, check=True, timeout=60)  # noqa: S603
    built = compiled(tmp_path / "bytecode")
    assert len(built) > 100
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(configured(tmp_path, "http://127.0.0.1:9"))]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE) as process:  # noqa: S603
        try:
            assert process.stdout is not None
            assert b'"listening"' in process.stdout.readline()
        finally:
            process.kill()
    assert compiled(tmp_path / "bytecode") - built == set()


def test_no_base_image_moves_unseen() -> None:
    """Each stage is built from the one argument, whose default has a tag, and which may hold a digest."""
    assert {step.split()[1] for step in STEPS if step.startswith("FROM")} == {"${PYTHON_IMAGE}"}
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+-slim-\w+$", TEXT, re.MULTILINE)
