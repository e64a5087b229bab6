"""Outgoing credentials: the header an upstream gets, and the one holder of a token that is fetched seldom."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from gateway.core.config import Auth, Basic, Header, OAuth, SecretRef
from gateway.core.exchange import Reply, Request, Seen
from gateway.core.result import NotSent, Unknown
from gateway.shell.auth import MARGIN, REMEMBERED, TokenHolder, fixed, lifetime, token_request
from gateway.shell.catalog import dialects
from gateway.shell.client import Sender
from gateway.shell.secrets import resolve
from tests.support.running import Peer, answering, invoice, ok, playing, running, timeout
from tests.support.ways import Made

POST = Request("POST", "/invoices", b"{}")
EXSITED = dialects()["exsited"]
OAUTH = OAuth("/api/v1/oauth2/token", "the-client", "the-secret", "https://gateway.example/callback")
WANTED = token_request(OAUTH, Path())


def left() -> float:
    """Time enough."""
    return 5.0


def sent(peer: Peer, name: str) -> list[str]:
    """The values of a header in the requests that a peer read."""
    lines = [line for request in peer.requests for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n")]
    return [line.decode().partition(": ")[2] for line in lines if line.lower().startswith(name.encode() + b":")]


@pytest.mark.parametrize(
    ("credentials", "name", "value"),
    [
        (Auth(bearer="abc"), "authorization", "Bearer abc"),
        (Auth(header=Header("X-Api-Key", "k 1")), "x-api-key", "k 1"),
        (Auth(header=Header("Authorization", "plain-token")), "authorization", "plain-token"),
    ],
)
async def test_a_fixed_header_is_sent_as_it_is_configured(
    credentials: Auth, name: str, value: str, way_of: Made
) -> None:
    """`bearer` with its scheme word, `header` without any."""
    way = way_of()
    async with playing(answering(ok())) as peer:
        assert isinstance(await Sender(peer.url, EXSITED, fixed(credentials, Path()), way).send(POST, left), Reply)
    await way.close()
    assert sent(peer, name) == [value]


async def test_basic_credentials_are_sent_in_utf_8(tmp_path: Path) -> None:
    """RFC 7617: user, colon, password; a colon in the password stays; values may stand in files."""
    (tmp_path / "password").write_text("gehé:im\n")
    headers = await fixed(Auth(basic=Basic("user", SecretRef(file="password"))), tmp_path).headers(_nothing)
    ((name, value),) = headers
    assert (name, value.split()[0]) == ("Authorization", "Basic")
    assert b64decode(value.split()[1]).decode() == "user:gehé:im"


async def _nothing(_: Request) -> Seen:
    raise AssertionError("nothing has to be fetched")


async def test_without_credentials_no_header_is_sent() -> None:
    """Where the API has none."""
    none = fixed(Auth(), Path())
    assert await none.headers(_nothing) == ()
    assert none.names == ()


@pytest.mark.parametrize("text", ["", "a\nb", "a\rb", "a\x00b", "\n", "a\x7f"])
def test_a_secret_that_cannot_stand_in_a_header_is_refused(text: str, tmp_path: Path) -> None:
    """When it is read, not when an invoice is on its way; the message does not hold it."""
    (tmp_path / "secret").write_bytes(text.encode())
    with pytest.raises(ValueError, match=r"empty|control character") as refusal:
        resolve(SecretRef(file="secret"), tmp_path)
    assert "a\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["a\nb", ""])
def test_a_secret_in_plain_text_must_stand_in_a_header_too(text: str, tmp_path: Path) -> None:
    """TOML can write a line break, and nothing at all, which any caller could guess."""
    with pytest.raises(ValueError, match=r"control character|empty"):
        resolve(text, tmp_path)


@pytest.mark.parametrize(
    "reference", [SecretRef(), SecretRef(env="A", file="b"), SecretRef(env="GATEWAY_TEST_UNSET"), SecretRef(env="")]
)
def test_a_reference_that_leads_nowhere_is_refused(reference: SecretRef, tmp_path: Path) -> None:
    """Neither or both of `env` and `file`, or a variable that is not set."""
    with pytest.raises(ValueError, match=r"needs|not set"):
        resolve(reference, tmp_path)


def test_a_secret_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its value, as it is."""
    monkeypatch.setenv("GATEWAY_TEST_SECRET", " a b ")
    assert resolve(SecretRef(env="GATEWAY_TEST_SECRET"), tmp_path) == " a b "


# ------------------------------------------------------------------ tokens


class Endpoint:
    """A token endpoint that gives `token-1`, `token-2` …, each on its own request."""

    def __init__(self, **more: object) -> None:
        self.asked: list[Request] = []
        self.more = more

    async def __call__(self, request: Request) -> Seen:
        """The next token, after a turn of the event loop."""
        await asyncio.sleep(0)
        self.asked.append(request)
        return Reply(200, json.dumps({"access_token": f"token-{len(self.asked)}", **self.more}).encode())


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Now."""
        return self.now


def header(number: int) -> tuple[tuple[str, str], ...]:
    """The header of the token with this number."""
    return (("Authorization", f"Bearer token-{number}"),)


def test_a_token_is_asked_for_in_json() -> None:
    """Client credentials with the redirect URI, which exsited wants; without credentials in the header."""
    assert (WANTED.method, WANTED.path) == ("POST", "/api/v1/oauth2/token")
    assert json.loads(WANTED.body) == {
        "grant_type": "client_credentials",
        "client_id": "the-client",
        "client_secret": "the-secret",
        "redirect_uri": "https://gateway.example/callback",
    }
    assert dict(WANTED.headers)["content-type"] == "application/json"
    assert "redirect_uri" not in json.loads(token_request(OAuth("/t", "a", "b"), Path()).body)


async def test_many_requests_at_once_share_one_token() -> None:
    """A new token may end the previous one, so there is one fetch."""
    endpoint, holder = Endpoint(), TokenHolder(lambda: WANTED, Clock())
    found = await asyncio.gather(*(holder.headers(endpoint) for _ in range(100)))
    assert set(found) == {header(1)}
    assert endpoint.asked == [WANTED]


async def test_a_token_is_used_until_shortly_before_its_end() -> None:
    """A margin, so that none ends on its way."""
    endpoint, clock = Endpoint(expires_in=3600), Clock()
    holder = TokenHolder(lambda: WANTED, clock)
    for passed, number in ((0, 1), (3600 - MARGIN - 1, 1), (3600 - MARGIN, 2), (3600, 2), (7200 - 2 * MARGIN, 3)):
        clock.now = 1000.0 + passed
        assert await holder.headers(endpoint) == header(number), passed
    assert MARGIN > 0


@pytest.mark.parametrize(
    ("expires_in", "used"),
    [
        (None, 3600 - MARGIN),
        (3600, 3600 - MARGIN),
        ("3600", 3600 - MARGIN),
        (90.5, 90.5 - MARGIN),
        (10, 1.0),
        (0, 1.0),
        (-5, 1.0),
        ("soon", 3600 - MARGIN),
        ("nan", 1.0),
        ("-inf", 1.0),
    ],
)
def test_the_lifetime_of_a_token(expires_in: float | str | None, used: float) -> None:
    """As stated less the margin; an hour if it is not stated; never so short that each request fetches one."""
    assert lifetime(expires_in) == used


async def test_a_refused_token_is_fetched_anew_by_the_first_that_notices() -> None:
    """Ten requests are told that token 1 is bad: one fetch, and nobody throws token 2 away."""
    endpoint, holder = Endpoint(), TokenHolder(lambda: WANTED, Clock())
    assert await holder.headers(endpoint) == header(1)
    for _ in range(10):
        holder.refused(header(1))
        assert await holder.headers(endpoint) == header(2)
    assert len(endpoint.asked) == 2


FAILURES: list[Seen] = [
    NotSent("connect", "refused"),
    Unknown("timeout", "no answer"),
    Unknown("connection", "broke"),
    *(
        Reply(status, b'{"access_token": "geheim-token", "error": "the-secret"}')
        for status in (202, 204, 400, 404, 418)
    ),
    Reply(200, b""),
    Reply(200, b"<html>geheim-token</html>"),
    Reply(200, b"[]"),
    Reply(200, b"{}"),
    Reply(200, b'{"access_token": null}'),
    Reply(200, b'{"access_token": ""}'),
    Reply(200, b'{"access_token": 5}'),
    Reply(200, b'{"access_token": "geheim-token", "expires_in": []}'),
    Reply(200, b'{"access_token": "geheim-token", "expires_in": {"x": 1}'),
    Reply(200, '{"access_token": "geheim-tökén"}'.encode()),
    Reply(200, b'{"access_token": "geheim-token\\nX-Evil: 1"}'),
    Reply(200, b'{"access_token": "geheim-token\\rX-Evil: 1"}'),
    Reply(200, b'{"access_token": "geheim-token\\u0000"}'),
    Reply(200, b'{"access_token": "\xff"}'),
    Reply(200, b"[" * 100_000),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: str(failure)[:60])
async def test_no_token_is_not_sent_whatever_went_wrong(failure: Seen) -> None:
    """The invoice never left, and the next asks again. What the endpoint said could hold a secret: it is not told."""
    endpoint, holder = Endpoint(), TokenHolder(lambda: WANTED, Clock())

    async def failing(_: Request) -> Seen:
        return failure

    found = await holder.headers(failing)
    assert isinstance(found, NotSent)
    for secret in ("geheim", "the-secret", "the-client"):
        assert secret not in found.detail
    assert await holder.headers(endpoint) == header(1)


async def test_a_fetch_that_is_cancelled_leaves_the_holder_usable() -> None:
    """A caller's deadline ends the fetch; the next one is free to try."""
    endpoint, holder = Endpoint(), TokenHolder(lambda: WANTED, Clock())

    async def hanging(_: Request) -> Seen:
        await asyncio.sleep(60)
        raise AssertionError("cancelled before")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await holder.headers(hanging)
    assert await holder.headers(endpoint) == header(1)


# ------------------------------------------------------------------ tokens over real sockets


class Issuer:
    """An API with a token endpoint over real sockets: it takes one token, which the test may end."""

    def __init__(self, refusal: bytes) -> None:
        self.refusal = refusal
        self.tokens = 0
        self.refuse = 0
        """How many requests are refused yet, whatever their token."""

    async def __call__(self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the caller leaves."""
        while True:
            request = await peer.read(reader)
            if b"oauth2" in request.partition(b"\r\n")[0]:
                await asyncio.sleep(0.01)
                self.tokens += 1
                writer.write(ok(json.dumps({"access_token": f"token-{self.tokens}", "expires_in": 3600}).encode()))
            elif self.refuse > 0 or f"Bearer token-{self.tokens}\r\n".encode() not in request:
                self.refuse -= 1
                writer.write(self.refusal)
            else:
                writer.write(ok(b'{"fine": 1}'))
            await writer.drain()


@pytest.mark.parametrize(
    "credentials",
    [
        Auth(bearer=SecretRef(file="secret")),
        Auth(header=Header("X-Api-Key", SecretRef(file="secret"))),
        Auth(basic=Basic("user", SecretRef(file="secret"))),
    ],
    ids=["bearer", "header", "basic"],
)
async def test_a_secret_that_was_replaced_is_read_again_once_it_is_refused(
    credentials: Auth, tmp_path: Path, way_of: Made
) -> None:
    """The request was turned away unread: it is sent again with the new one, and the next begins with that."""
    (tmp_path / "secret").write_text("old")
    shown = fixed(credentials, tmp_path)
    old = await shown.headers(_nothing)
    (tmp_path / "secret").write_text("new")
    assert await shown.headers(_nothing) == old
    way = way_of()
    async with playing(answering(ok(b"{}", "401 Unauthorized"), ok(), ok())) as peer:
        sender = Sender(peer.url, EXSITED, shown, way)
        for _ in range(2):
            assert isinstance(await sender.send(POST, left), Reply)
    await way.close()
    new = await shown.headers(_nothing)
    assert new == await fixed(credentials, tmp_path).headers(_nothing) != old
    assert sent(peer, old[0][0].lower()) == [old[0][1], new[0][1], new[0][1]]


@pytest.mark.parametrize("after", ["old", None])
async def test_a_secret_that_is_still_the_same_is_not_sent_again(
    after: str | None, tmp_path: Path, way_of: Made
) -> None:
    """Nor is one that is just being replaced and cannot be read."""
    (tmp_path / "secret").write_text("old")
    shown = fixed(Auth(bearer=SecretRef(file="secret")), tmp_path)
    if after is None:
        (tmp_path / "secret").unlink()
    way = way_of()
    async with playing(answering(ok(b"{}", "401 Unauthorized"), ok())) as peer:
        seen = await Sender(peer.url, EXSITED, shown, way).send(POST, left)
        assert isinstance(seen, NotSent)
        assert seen.reason == "unauthorized"
        assert len(peer.requests) == 1
    await way.close()


async def test_a_token_is_had_for_the_secrets_of_that_time() -> None:
    """A secret that was replaced counts for the next token; without one there is no token, and nothing is sent."""
    wanted = [WANTED, structs.replace(WANTED, body=b'{"new": 1}')]
    endpoint = Endpoint()

    def asked() -> Request:
        if not wanted:
            raise ValueError("secret cannot be read")
        return wanted.pop(0)

    holder = TokenHolder(asked, Clock())
    for _ in range(2):
        headers = await holder.headers(endpoint)
        assert not isinstance(headers, NotSent)
        assert holder.refused(headers)
    assert [one.body for one in endpoint.asked] == [WANTED.body, b'{"new": 1}']
    none = await holder.headers(endpoint)
    assert isinstance(none, NotSent)
    assert (none.reason, none.detail) == ("token", "no token: secret cannot be read")


REFUSALS = {"401": ok(b"{}", "401 Unauthorized"), "302": ok(b"", "302 Found", "Location: /login")}


@asynccontextmanager
async def sending(issuer: Issuer, way_of: Made) -> AsyncIterator[tuple[Sender, Peer]]:
    """A sender before the issuer, and the peer."""
    way = way_of()
    async with playing(issuer) as peer:
        yield Sender(peer.url, EXSITED, TokenHolder(lambda: WANTED, Clock()), way), peer
    await way.close()


def invoices(peer: Peer) -> int:
    """How often an invoice was sent."""
    return sum(b"oauth2" not in request.partition(b"\r\n")[0] for request in peer.requests)


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_token_is_renewed_once_and_the_request_sent_again(refusal: str, way_of: Made) -> None:
    """It was turned away unread, by 401 or, at exsited, by a redirect to its login page."""
    issuer = Issuer(REFUSALS[refusal])
    async with sending(issuer, way_of) as (sender, peer):
        issuer.refuse = 1
        seen = await sender.send(POST, left)
        assert isinstance(seen, Reply)
        assert (issuer.tokens, invoices(peer)) == (2, 2)
        assert isinstance(await sender.send(POST, left), Reply)
        assert (issuer.tokens, invoices(peer)) == (2, 3)


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_token_is_not_renewed_twice(refusal: str, way_of: Made) -> None:
    """A fresh token that is refused too is the operator's to look at: not sent, and no loop."""
    issuer = Issuer(REFUSALS[refusal])
    async with sending(issuer, way_of) as (sender, peer):
        issuer.refuse = 100
        seen = await sender.send(POST, left)
        assert isinstance(seen, NotSent)
        assert seen.reason == "unauthorized"
        assert (issuer.tokens, invoices(peer)) == (2, 2)


async def test_requests_at_once_fetch_one_token_and_renew_it_once(way_of: Made) -> None:
    """Twenty together, first without any token, then with one that has ended."""
    issuer = Issuer(REFUSALS["401"])
    async with sending(issuer, way_of) as (sender, _):
        for tokens in (1, 3):
            seen = await asyncio.gather(*(sender.send(POST, left) for _ in range(20)))
            assert all(isinstance(one, Reply) for one in seen)
            assert issuer.tokens == tokens
            issuer.tokens += 1  # the one that is shown has ended


async def test_another_dialects_redirect_does_not_renew_anything(way_of: Made) -> None:
    """There it is unknown: only exsited is known to mean its token by it."""
    issuer = Issuer(REFUSALS["302"])
    way = way_of()
    async with playing(issuer) as peer:
        sender = Sender(peer.url, dialects()["onlyoffice"], TokenHolder(lambda: WANTED, Clock()), way)
        issuer.refuse = 1
        assert isinstance(await sender.send(POST, left), Unknown)
        assert (issuer.tokens, invoices(peer)) == (1, 1)
    await way.close()


async def test_the_deadline_holds_for_the_token_too(way_of: Made) -> None:
    """An endpoint that does not answer: not sent, in time."""

    async def silent(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - a play
        await peer.read(reader)
        await asyncio.sleep(60)

    way, loop = way_of(), asyncio.get_running_loop()
    end = loop.time() + 0.2
    async with playing(silent) as peer:
        sender = Sender(peer.url, EXSITED, TokenHolder(lambda: WANTED, Clock()), way)
        assert isinstance(await sender.send(POST, lambda: end - loop.time()), NotSent)
        assert invoices(peer) == 0
    await way.close()
    assert loop.time() < end + 2


async def test_waiting_for_anothers_fetch_ends_by_the_own_deadline(way_of: Made) -> None:
    """The one who waits in the queue for the token is not sent either."""

    async def silent(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - a play
        await asyncio.sleep(60)

    way, loop = way_of(), asyncio.get_running_loop()
    began = loop.time()
    async with playing(silent) as peer:
        sender = Sender(peer.url, EXSITED, TokenHolder(lambda: WANTED, Clock()), way)
        slow = asyncio.create_task(sender.send(POST, lambda: began + 0.4 - loop.time()))
        await asyncio.sleep(0.01)
        assert isinstance(await sender.send(POST, lambda: began + 0.1 - loop.time()), NotSent)
        assert not slow.done()
        assert isinstance(await slow, NotSent)
    await way.close()


async def test_upstreams_with_one_credential_share_its_token(tmp_path: Path) -> None:
    """Two upstreams at one host with the same credential: a token for the second would end the first's."""

    def twice(text: str) -> str:
        start = text.index("[upstreams.exsited-sydney]")
        end = text.index("[upstreams.onlyoffice-eu]")
        other = text[start:end].replace("exsited-sydney", "exsited-perth")
        split = "split = { exsited-perth = 1, exsited-sydney = 1 }"
        return text[:start] + other + text[start:].replace('to = "exsited-sydney"', split)

    async with running(tmp_path, twice) as world:
        answers = [await world.send(invoice("exsited", external_id=f"a:{n}", number=f"N-{n}")) for n in range(8)]
        assert {answer.status for answer in answers} == {201}
        assert {answer.json["upstream"]["name"] for answer in answers} == {"exsited-sydney", "exsited-perth"}
        tokens = [one for one in await world.requests("exsited") if "oauth2" in one["path"]]
        assert len(tokens) == 1


@pytest.mark.parametrize("fault", ["redirect", "status", "garbage", "empty", "hang"])
async def test_tokens_and_secrets_are_never_in_an_answer(fault: str, tmp_path: Path) -> None:
    """Neither the token nor what it is had for, in any outcome, nor in `explain`."""
    async with running(tmp_path, timeout("300ms")) as world:
        answers = [await world.explain(invoice("exsited")), await world.send(invoice("exsited"))]
        await world.arm("exsited", fault, times=0, status=401, method="POST")
        answers.append(await world.send(invoice("exsited", external_id="another")))
        for answer in answers:
            for secret in (b"sandbox-token", b"sandbox-secret", b"sandbox-client", b"Bearer "):
                assert secret not in answer.content
        log = json.dumps(world.logged())
        assert "sandbox-token" not in log
        assert "sandbox-secret" not in log


@pytest.mark.parametrize(
    ("credentials", "secrets"),
    [
        (Auth(bearer="bearer-token-1"), {"Bearer bearer-token-1", "bearer-token-1"}),
        (Auth(header=Header("X-Api-Key", "secret-key")), {"secret-key"}),
        (Auth(header=Header("Authorization", "Basic no-base-64")), {"no-base-64"}),
        (Auth(basic=Basic("public-name", "password-1")), {"password-1", b64encode(b"public-name:password-1").decode()}),
        (Auth(), set()),
    ],
)
def test_fixed_credentials_say_what_must_never_be_told(credentials: Auth, secrets: set[str]) -> None:
    """The header as it is, what follows its scheme, and the password that it is made of; not the name."""
    found = set(fixed(credentials, Path()).secrets())
    assert secrets <= found
    assert "public-name" not in found


async def test_the_tokens_of_late_and_the_clients_secret_must_never_be_told() -> None:
    """A request that is under way may be answered with words about the token before."""
    clock = Clock()
    holder = TokenHolder(lambda: WANTED, clock)
    shown = []
    for number in range(REMEMBERED + 1):
        headers = await holder.headers(Endpoint(access_token=f"token-of-late-{number}"))
        assert not isinstance(headers, NotSent)
        shown.append(headers[0][1].removeprefix("Bearer "))
        holder.refused(headers)
    assert "the-secret" in holder.secrets()
    assert set(shown[1:]) <= set(holder.secrets())
