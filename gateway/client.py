"""A client of the gateway for Python programs: sends invoices, and sends them again wherever that is safe.

    async with Client("https://invoices.example", token) as gateway:
        result = await gateway.send(invoice)

What comes back is the canonical result, or `GatewayError` with the problem (RFC 9457). An invoice always goes under its
own `external_id`, so that it is created once however often it is sent: see "Never twice, never lost" in the README.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from random import random
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from msgspec import Struct, structs
from yarl import URL

from gateway import __version__
from gateway.core.answer import Result, UpstreamAnswer
from gateway.core.errors import Fault
from gateway.core.exchange import Reply, retry_after, words
from gateway.core.explain import Explanation
from gateway.core.invoice import Invoice
from gateway.core.money import encode_amount

__all__ = ["Client", "Details", "GatewayError", "Invoice", "Result"]

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
"""Seconds: between two tries is a random part of the first, doubled with each try up to the longest."""
_PASSING = frozenset((408, 425, 429, 502, 503, 504))
"""The statuses after which another try may do better, of whoever stands before the gateway."""
_ENCODER = msgspec.json.Encoder(enc_hook=encode_amount)
SUBMIT = "/v1/invoices"
T = TypeVar("T")


class Details(Struct, frozen=True, omit_defaults=True):
    """The members of a problem; `status` is None where nobody answered."""

    type: str = "about:blank"
    title: str = ""
    status: int | None = None
    detail: str = ""
    instance: str | None = None
    retryable: bool = False
    external_id: str | None = None
    invoice: str | None = None
    outcome: str | None = None
    errors: tuple[Fault, ...] = ()
    upstream: UpstreamAnswer | None = None

    @property
    def slug(self) -> str:
        """The gateway's name of the problem, such as `rejected`; empty if it is none of the gateway's."""
        return self.type.rpartition("/problems/")[2] if "/problems/" in self.type else ""


class GatewayError(Exception):
    """The answer is no, or there is none.

    Of an invoice that was sent, `problem.outcome` says what is known: `rejected`, `not_sent`, or `unknown` and
    `pending`, after which it may exist. None: the gateway did not take it. The same invoice may always be sent again.
    """

    def __init__(self, problem: Details) -> None:
        super().__init__(problem.detail or problem.title or f"status {problem.status}")
        self.problem = problem


class Client:
    """Speaks with one gateway over kept connections, while it is entered; any number of calls at once."""

    def __init__(self, url: str, token: str | None = None, *, patience: float = 60.0, timeout: float = 60.0) -> None:
        """The gateway at `url`.

        Args:
            url: scheme and host, and the path before `/v1` if there is one.
            token: this client's, as the gateway's operator gave it out.
            patience: seconds within which another try may begin.
            timeout: seconds that one try may take; longer than the `timeout` of the gateway's upstreams, best.

        Raises:
            ValueError: the URL is none of HTTP.
        """
        self.url = address(url)
        self._patience = patience
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(10.0, timeout))
        self._headers = {"User-Agent": f"invoice-gateway-client/{__version__}"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            timeout=self._timeout,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, invoice: Invoice | Mapping[str, object] | bytes) -> Result:
        """Have the invoice created, once; the result is `created`, or `pending` if somebody left it to the gateway.

        After a broken connection, a timeout, or a problem that is `retryable`, it is sent again.

        Raises:
            GatewayError: it was not created, or nobody knows.
            ValueError: it has no `external_id`, without which it could be created twice; or its bytes are not JSON.
        """
        body = invoice if isinstance(invoice, bytes) else _ENCODER.encode(invoice)
        name = external_id(body)
        if not name:
            raise ValueError("an invoice needs an external_id to be sent")
        return self._result(await self._ask("POST", SUBMIT, body), name)

    async def explain(self, invoice: Invoice | Mapping[str, object] | bytes) -> Explanation:
        """What would be done with the invoice; nothing is sent to an upstream.

        Raises:
            GatewayError: it would be refused.
        """
        body = invoice if isinstance(invoice, bytes) else _ENCODER.encode(invoice)
        return self._read(await self._ask("POST", "/v1/invoices/explain", body), Explanation)

    async def get(self, invoice: str) -> Result:
        """What is known of an invoice by the gateway's id.

        Raises:
            GatewayError: there is none (`not-found`), or no answer.
        """
        segment = quote(invoice, safe="").replace(".", "%2E")
        return self._read(await self._ask("GET", f"/v1/invoices/{segment}"), Result)

    async def lookup(self, external_id: str) -> Result | None:
        """What is known of an invoice by its `external_id`; None if the gateway knows of none.

        Raises:
            GatewayError: no answer.
        """
        seen = await self._ask("GET", f"/v1/invoices?{urlencode({'external_id': external_id})}")
        return next(iter(self._read(seen, _Page).items), None)

    def _result(self, seen: Reply, name: str) -> Result:
        """The result of the invoice `name`, and of no other."""
        result = self._read(seen, Result)
        if result.external_id != name:
            detail = f"{self.url} answered for {result.external_id!r} when {name!r} was sent"
            raise GatewayError(_foreign(seen, detail))
        return result

    def _read(self, seen: Reply, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(seen.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            detail = f"{self.url} answered {seen.status}, and not as an invoice gateway does"
            raise GatewayError(_foreign(seen, detail)) from None

    async def _ask(self, method: str, path: str, body: bytes = b"") -> Reply:
        """The answer that is no problem; another try as long as that helps and patience lasts."""
        begun, tries, doubt = time.monotonic(), 0, False
        while True:
            seen = await self._once(method, path, body)
            problem = seen if isinstance(seen, Details) else _problem(seen, self.url)
            if problem is None:
                assert isinstance(seen, Reply)  # noqa: S101 - for the type checker
                return seen
            wanted = retry_after(seen, datetime.now(UTC)) if isinstance(seen, Reply) else None
            pause = _pause(tries, wanted, random())  # noqa: S311 - nobody gains by guessing it
            if not problem.retryable or time.monotonic() - begun + pause > self._patience:
                problem = _doubted(problem) if doubt else problem
                raise GatewayError(problem if path == SUBMIT else structs.replace(problem, outcome=None))
            doubt = doubt or problem.outcome in ("unknown", "pending")
            tries += 1
            await asyncio.sleep(pause)

    async def _once(  # noqa: PLR0911 - a table of what can go wrong
        self, method: str, path: str, body: bytes
    ) -> Reply | Details:
        """What one request was answered, or why it was not."""
        if self._session is None:
            raise RuntimeError("a client works while it is entered: async with Client(…) as gateway")
        headers = {"Content-Type": "application/json"} if body else {}
        where = URL(self.url + path, encoded=True)
        try:
            async with self._session.request(
                method, where, data=body or None, headers=headers, allow_redirects=False
            ) as answer:
                return Reply(
                    answer.status, await answer.read(), {name.lower(): text for name, text in answer.headers.items()}
                )
        except aiohttp.ConnectionTimeoutError:
            return self._silence("no connection in time", "not_sent")
        except aiohttp.ClientConnectorCertificateError as error:
            return structs.replace(self._silence(str(error), "not_sent"), retryable=False)
        except aiohttp.ClientConnectorDNSError:
            return self._silence("the host name does not resolve", "not_sent")
        except aiohttp.ClientConnectorError as error:
            return self._silence(os.strerror(error.errno) if error.errno else str(error), "not_sent")
        except TimeoutError:
            return self._silence("no answer in time", "unknown")
        except (aiohttp.ClientError, OSError) as error:
            return self._silence(f"the connection broke ({type(error).__name__})", "unknown")

    def _silence(self, why: str, outcome: str) -> Details:
        return Details(title="The gateway did not answer", detail=f"{self.url}: {why}", retryable=True, outcome=outcome)


def address(url: str) -> str:
    """The URL of a gateway, without a slash at its end.

    Raises:
        ValueError: it is none of HTTP.
    """
    try:
        parts = URL(url)
    except ValueError:
        parts = URL()
    if parts.scheme not in ("http", "https") or not parts.host or parts.query_string or parts.fragment:
        raise ValueError(f"{url!r} is no address such as https://invoices.example")
    return url.rstrip("/")


def external_id(body: bytes) -> str:
    """The `external_id` of an invoice in JSON; empty where it has none.

    Raises:
        ValueError: it is no JSON object in UTF-8, or its `external_id` is no text.
    """
    try:
        return _NAMED.decode(body).external_id
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


class _Named(Struct, frozen=True):
    external_id: str = ""


_NAMED = msgspec.json.Decoder(_Named)


class _Page(Struct, frozen=True):
    """What a list is answered with."""

    items: tuple[Result, ...]


def _problem(seen: Reply, url: str) -> Details | None:
    """The problem that an answer states, or, where somebody else than a gateway speaks, comes to; None for none."""
    if 200 <= seen.status < 300:
        return None
    try:
        found = msgspec.json.decode(seen.body, type=Details)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = Details()
    if found.slug:
        doubtful = seen.status == 500 and found.outcome is None  # a defect of the gateway, wherever it was
        return structs.replace(found, outcome="unknown") if doubtful else found
    return structs.replace(
        _foreign(seen, f"{url} answered {seen.status}, and not as an invoice gateway does: {words(seen)}"),
        retryable=seen.status in _PASSING,
    )


def _foreign(seen: Reply, detail: str) -> Details:
    """An answer that is none of a gateway; below 300 or above 499 the invoice may have gone through to it."""
    doubtful = seen.status < 300 or seen.status >= 500 or seen.status == 408
    return Details(
        title="This is no answer of an invoice gateway",
        status=seen.status,
        detail=detail,
        outcome="unknown" if doubtful else None,
    )


def _doubted(problem: Details) -> Details:
    """The problem of the last try after one that may have been read: only what the gateway knows ends a doubt."""
    known = problem.status == 422 or problem.outcome == "pending"
    return problem if known else structs.replace(problem, outcome="unknown")


def _pause(tries: int, wanted: float | None, share: float) -> float:
    """Seconds until the next try: full jitter, on top of what the gateway wants."""
    return (wanted or 0.0) + share * min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries, 10))
