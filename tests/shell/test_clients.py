"""Incoming tokens: who calls, compared by hashes, and nothing that could be guessed."""

from hashlib import sha256
from pathlib import Path

import pytest

from gateway.core.config import Client, SecretRef
from gateway.core.errors import RateLimited, Unauthenticated
from gateway.shell.clients import LOCAL, Clients

HASH = sha256(b"hashed-token").hexdigest()
FOLDER = Path()


def test_without_clients_everybody_is_local() -> None:
    """Only a loopback listener starts so; the configuration sees to that."""
    clients = Clients({}, FOLDER)
    for header in (None, "", "Bearer x", "nonsense"):
        assert clients.caller(header) is LOCAL
    assert LOCAL.operator
    assert LOCAL.may_use("anything")


@pytest.mark.parametrize(
    ("client", "token"),
    [
        (Client(token="plain"), "plain"),
        (Client(token=["first", "second"]), "first"),
        (Client(token=["first", "second"]), "second"),
        (Client(token_sha256=HASH), "hashed-token"),
        (Client(token_sha256=HASH.upper()), "hashed-token"),
        (Client(token_sha256=["0" * 64, HASH]), "hashed-token"),
    ],
)
def test_a_token_is_known_however_it_is_configured(client: Client, token: str) -> None:
    """In plain text, as a hash, or as one of two while it is replaced."""
    assert Clients({"billing": client}, FOLDER).caller(f"Bearer {token}").name == "billing"


def test_a_token_by_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment and from a file beside the configuration."""
    monkeypatch.setenv("GATEWAY_TEST_TOKEN", "from-env")
    (tmp_path / "token").write_text("from-file\n")
    clients = Clients(
        {"a": Client(token=SecretRef(env="GATEWAY_TEST_TOKEN")), "b": Client(token=[SecretRef(file="token"), "c"])},
        tmp_path,
    )
    assert [clients.caller(f"Bearer {token}").name for token in ("from-env", "from-file", "c")] == ["a", "b", "b"]


@pytest.mark.parametrize("header", ["Bearer plain", "bearer plain", "BEARER plain", "Bearer  plain", "Bearer plain "])
def test_the_scheme_is_the_same_in_any_case(header: str) -> None:
    """RFC 9110 section 11.1."""
    assert Clients({"billing": Client(token="plain")}, FOLDER).caller(header).name == "billing"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer \u00a0",
        "plain",
        "Basic plain",
        "Bearer plain2",
        "Bearer Plain",
        "Bearer pla",
        "Bearer p lain",
        f"Bearer {HASH}",
        "Bearer \udcff",
        "Bearer ä",
    ],
)
def test_anything_else_is_nobody(header: str | None) -> None:
    """No token, another scheme, a part of a token, or its hash."""
    clients = Clients({"billing": Client(token="plain"), "other": Client(token_sha256=HASH)}, FOLDER)
    with pytest.raises(Unauthenticated):
        clients.caller(header)


def test_a_caller_has_the_rights_of_its_client() -> None:
    """Operator or not, all upstreams or some, none at all if so."""
    clients = Clients(
        {
            "all": Client(token="1"),
            "some": Client(token="2", upstreams=["x"], operator=True),
            "none": Client(token="3", upstreams=[]),
        },
        FOLDER,
    )
    everyone, some, none = (clients.caller(f"Bearer {token}") for token in "123")
    assert (everyone.operator, some.operator) == (False, True)
    assert [caller.may_use("x") for caller in (everyone, some, none)] == [True, True, False]
    assert [caller.may_use("y") for caller in (everyone, some, none)] == [True, False, False]


def test_no_token_is_kept() -> None:
    """Only hashes: a dump of the memory of this object shows none."""
    clients = Clients({"billing": Client(token="plain-token")}, FOLDER)
    assert "plain-token" not in repr(vars(clients))


async def test_a_client_may_send_so_many_in_a_second() -> None:
    """A second's worth at once; then it is told when to come again. Others do not notice."""
    clients = Clients(
        {"fast": Client(token="1", rate=3), "slow": Client(token="2", rate=0.5), "free": Client(token="3")}, FOLDER
    )
    fast, slow, free = (clients.caller(f"Bearer {token}") for token in "123")
    for _ in range(3):
        await clients.count(fast)
    with pytest.raises(RateLimited) as refused:
        await clients.count(fast)
    assert refused.value.retry_after == pytest.approx(1 / 3)
    assert refused.value.detail == "fast may send 3 requests in 1 s"
    await clients.count(slow)
    with pytest.raises(RateLimited) as refused:
        await clients.count(slow)
    assert refused.value.retry_after == 2.0
    for _ in range(1000):
        await clients.count(free)
