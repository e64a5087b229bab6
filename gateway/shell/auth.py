"""Outgoing credentials: the header that tells an upstream who the gateway is. One token holder per OAuth credential."""

import asyncio
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from gateway.core.config import Auth, OAuth
from gateway.core.exchange import Reply, Request, Unreadable, decoder
from gateway.core.result import NotSent, Unknown
from gateway.core.telling import forms
from gateway.shell.secrets import resolve

Headers = tuple[tuple[str, str], ...]
Exchange = Callable[[Request], Awaitable[Reply | NotSent | Unknown]]
"""One request without credentials, and what became of it."""

REMEMBERED = 4
"""Credentials of late that are never told either: what is under way was shown them."""
MARGIN = 30.0
"""Seconds before its end in which a token is not used any more."""


class Credentials(Protocol):
    """What an upstream is shown."""

    names: tuple[str, ...]
    """The names of the headers; their values are nobody's business."""

    def ready(self) -> Headers | None:
        """The headers for the next request, if nothing has to be fetched for them."""

    async def headers(self, exchange: Exchange) -> Headers | NotSent:
        """The headers for the next request; `NotSent` if they cannot be had."""

    def refused(self, used: Headers) -> bool:
        """The upstream did not accept these; whether there can be others for the next request."""

    def secrets(self) -> Sequence[str]:
        """What must never be told, in all its forms: what is shown, and what was of late."""


class Fixed:
    """A header from secrets, which `read` reads: at the start, and again once it was refused.

    `read` raises `ValueError` where a secret cannot be had.
    """

    def __init__(self, read: Callable[[], Headers]) -> None:
        self._read = read
        self._headers = read()
        self._secrets = deque((_secrets(self._headers),), REMEMBERED)
        self.names = tuple(name for name, _ in self._headers)

    def ready(self) -> Headers:
        """The header."""
        return self._headers

    async def headers(self, exchange: Exchange) -> Headers:  # noqa: ARG002 - nothing has to be fetched
        """The header."""
        return self._headers

    def refused(self, used: Headers) -> bool:
        """Whether the secrets were replaced meanwhile."""
        with suppress(ValueError):  # just being replaced: what was read last is all there is
            self._headers = self._read()
            if (found := _secrets(self._headers)) not in self._secrets:
                self._secrets.append(found)
        return self._headers != used

    def secrets(self) -> Sequence[str]:
        """See `Credentials`."""
        return tuple(form for each in self._secrets for form in each)


def _secrets(headers: Headers) -> tuple[str, ...]:
    """All forms of what headers show: as they are, without the word before them, and the password of `Basic …`."""
    found = list[str]()
    for _, value in headers:
        scheme, _, shown = value.rpartition(" ")
        found += (value, shown)
        if scheme == "Basic":
            with suppress(ValueError):  # a header may be anything that an operator configures
                found.append(b64decode(shown).decode().partition(":")[2])
    return tuple(dict.fromkeys(form for secret in found for form in forms(secret)))


class TokenAnswer(Struct, frozen=True):
    """The answer of a token endpoint (RFC 6749 section 5.1)."""

    access_token: str
    expires_in: float | str | None = None


class TokenRequest(Struct, frozen=True, omit_defaults=True):
    """The body of a token request, in JSON."""

    grant_type: str
    client_id: str
    client_secret: str
    redirect_uri: str | None = None


class _Shown(Struct, frozen=True):
    """What of a token request must never be told."""

    client_secret: str = ""


_read_token = decoder(TokenAnswer)


class TokenHolder:
    """The one holder of a credential's token: a new token may end the previous one, so nobody else asks for one."""

    names: tuple[str, ...] = ("Authorization",)

    def __init__(self, request: Callable[[], Request], now: Callable[[], float]) -> None:
        self._request = request
        self._now = now
        self._secrets: deque[tuple[str, ...]] = deque(maxlen=2 * REMEMBERED)
        self._lock = asyncio.Lock()
        self._shown: Headers | None = None
        self._until = 0.0

    def ready(self) -> Headers | None:
        """The token as a header, if there is one that lasts."""
        return None if self._shown is None or self._now() >= self._until else self._shown

    async def headers(self, exchange: Exchange) -> Headers | NotSent:
        """The token as a header, fetched if there is none that lasts."""
        async with self._lock:
            if (shown := self.ready()) is not None:
                return shown
            answer = await self._fetch(exchange)
            if isinstance(answer, NotSent):
                return answer
            self._shown = (("Authorization", f"Bearer {answer.access_token}"),)
            self._secrets.append(forms(answer.access_token))
            self._until = self._now() + lifetime(answer.expires_in)
            return self._shown

    async def _fetch(self, exchange: Exchange) -> TokenAnswer | NotSent:
        try:
            request = self._request()
        except ValueError as error:
            return NotSent("token", f"no token: {error}")
        self._secrets.append(forms(msgspec.json.decode(request.body, type=_Shown).client_secret))
        seen = await exchange(request)
        if isinstance(seen, NotSent):
            return seen
        if isinstance(seen, Unknown):
            return NotSent("token", f"no token: {seen.detail}", seen.http_status)
        if seen.status not in (200, 201):
            return NotSent("token", f"no token: the token endpoint answered {seen.status}", seen.status)
        try:
            answer = _read_token(seen)
        except Unreadable:
            answer = TokenAnswer("")
        if not (answer.access_token and answer.access_token.isascii() and answer.access_token.isprintable()):
            # Its words are not told: they could hold the token.
            return NotSent("token", "no token: the token endpoint's answer has none that can be sent", seen.status)
        return answer

    def secrets(self) -> Sequence[str]:
        """See `Credentials`."""
        return tuple(dict.fromkeys(form for each in self._secrets for form in each))

    def refused(self, used: Headers) -> bool:
        """Forget the token, unless a new one was fetched in the meantime; there can always be another."""
        if used == self._shown:
            self._shown = None
        return True


def lifetime(expires_in: float | str | None) -> float:
    """Seconds for which a token is used: what the endpoint said less a margin, an hour if it said nothing."""
    try:
        stated = float(expires_in) if expires_in is not None else 3600.0
    except ValueError:
        stated = 3600.0
    return max(stated - MARGIN, 1.0) if stated > 0 else 1.0


def fixed(auth: Auth, folder: Path) -> Fixed:
    """The credentials of every kind but OAuth.

    Raises:
        ValueError: a secret cannot be had.
    """
    return Fixed(partial(header, auth, folder))


def header(auth: Auth, folder: Path) -> Headers:
    """The header that shows these credentials.

    Raises:
        ValueError: a secret cannot be had.
    """
    if auth.basic is not None:
        pair = f"{resolve(auth.basic.username, folder)}:{resolve(auth.basic.password, folder)}"
        return (("Authorization", f"Basic {b64encode(pair.encode()).decode()}"),)
    if auth.bearer is not None:
        return (("Authorization", f"Bearer {resolve(auth.bearer, folder)}"),)
    if auth.header is not None:
        return ((auth.header.name, resolve(auth.header.value, folder)),)
    return ()


def token_request(oauth: OAuth, folder: Path) -> Request:
    """The request for a token by client credentials.

    Raises:
        ValueError: a secret cannot be had.
    """
    wanted = TokenRequest(
        "client_credentials",
        resolve(oauth.client_id, folder),
        resolve(oauth.client_secret, folder),
        oauth.redirect_uri,
    )
    headers = (("content-type", "application/json"), ("accept", "application/json"))
    return Request("POST", oauth.token_path, msgspec.json.encode(wanted), headers)
