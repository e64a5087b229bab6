"""The example configuration in `deploy/` is good, and shows everything there is."""

import re
from pathlib import Path

import pytest

from gateway.shell.commands import check
from gateway.shell.configuration import load

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
def test_the_example_has_the_five_dialects() -> None:
    """Each of those that the gateway begins with has an upstream in it."""
    loaded = load(EXAMPLE)
    shown = {upstream.dialect.name for upstream in loaded.upstreams.values()}
    assert shown == {"chargeover", "exsited", "katsupay", "mykaarma", "onlyoffice"}
