"""The example configuration in `deploy/` is good, and shows everything there is."""

import re
from pathlib import Path

import pytest

from gateway.core.config import Tracing
from gateway.shell.configuration import load
from gateway.shell.trial_commands import check

EXAMPLE = Path(__file__).parent.parent.parent / "deploy" / "gateway.toml"
SECRETS = sorted(set(re.findall(r'env = "([A-Z_]+)"', EXAMPLE.read_text())) - {"NAME"})


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variables that the example names."""
    for name in SECRETS:
        monkeypatch.setenv(name, "a-secret")


@pytest.mark.usefixtures("secrets")
def test_check_finds_the_example_good(capsys: pytest.CaptureFixture[str]) -> None:
    """`invoice-gateway check deploy/gateway.toml` exits 0, without a warning."""
    assert check(EXAMPLE) == 0
    assert capsys.readouterr().err == ""


def test_check_names_each_missing_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """Without its environment, each secret is named on a line of its own."""
    assert check(EXAMPLE) == 1
    complaints = capsys.readouterr().err
    assert len(SECRETS) == 9
    for name in SECRETS:
        assert f"the environment variable {name} is not set" in complaints


@pytest.mark.usefixtures("secrets")
def test_what_the_example_has_as_comments_is_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Spans, which are off without that table."""
    assert load(EXAMPLE).config.tracing is None
    keys = "|".join(Tracing.__struct_fields__)
    text, count = re.subn(rf"^# (?=\[tracing\]|(?:{keys}) = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    (tmp_path / "gateway.toml").write_text(text)
    (tmp_path / "collector-token").write_text("a-secret")
    (tmp_path / "customers.csv").write_bytes((EXAMPLE.parent / "customers.csv").read_bytes())
    assert check(tmp_path / "gateway.toml") == 0, capsys.readouterr().err
    assert capsys.readouterr().err == ""
    config = load(tmp_path / "gateway.toml").config
    assert count == 1 + len(Tracing.__struct_fields__)
    assert config.tracing is not None
    assert set(config.tracing.headers) == {"Authorization"}


@pytest.mark.usefixtures("secrets")
def test_the_example_has_the_five_dialects() -> None:
    """Each of those that the gateway begins with has an upstream in it."""
    loaded = load(EXAMPLE)
    shown = {upstream.dialect.name for upstream in loaded.upstreams.values()}
    assert shown == {"chargeover", "exsited", "katsupay", "mykaarma", "onlyoffice"}
