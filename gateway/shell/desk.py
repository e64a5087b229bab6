"""The operator's way to the journal: straight to the store, or through the API of the gateway that holds it."""

import getpass
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from gateway.core.answer import Result
from gateway.core.config import Config
from gateway.core.config_faults import listener
from gateway.core.errors import Problem
from gateway.core.plan import Caller
from gateway.core.results import stored_json
from gateway.shell.compose import journal_store
from gateway.shell.configuration import Loaded
from gateway.shell.journal import Query, Store, StoreError, StoreInUseError
from gateway.shell.journal.journal import Journal
from gateway.shell.records import Records, Verdict
from gateway.shell.requests import asked
from gateway.shell.secrets import resolve, tokens

SECONDS = 10.0

Found = dict[str, Any]
"""A result as the API answers it."""


class Desk(Protocol):
    """What an operator asks of the journal.

    Every method raises `Refusal` where the answer is no.
    """

    async def page(self, parameters: Mapping[str, str]) -> tuple[list[Found], str | None]:
        """Results, newest first, and the cursor of those that follow; `parameters` are those of the API."""

    async def show(self, entry_id: str) -> Found:
        """One result, with the upstream's own answer."""

    async def resolve(self, entry_id: str, verdict: Verdict) -> Found:
        """An operator's word on a doubt."""

    async def close(self) -> None:
        """Let go."""


class Refusal(Exception):  # noqa: N818 - it is what the answer is
    """The answer is no; says why, for a person."""


class StoreDesk:
    """Asks a store that nobody else holds, or that several may."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records = Records(Journal(store, lambda _: None), lambda _: None)
        self._caller = Caller(f"{getpass.getuser()} (command line)", operator=True)

    async def page(self, parameters: Mapping[str, str]) -> tuple[list[Found], str | None]:
        """See `Desk`."""
        try:
            query: Query = asked(parameters)
            found = await self._records.page(query, self._caller)
        except Problem as problem:
            raise Refusal(problem.detail) from None
        shown = found[: query.limit - 1]
        return [msgspec.json.decode(stored_json(each)) for each in shown], shown[-1].id if shown != found else None

    async def show(self, entry_id: str) -> Found:
        """See `Desk`."""
        try:
            entry = await self._records.read(entry_id, self._caller)
        except Problem as problem:
            raise Refusal(problem.detail) from None
        found: Found = msgspec.json.decode(stored_json(entry))
        return found | {"upstream_response": msgspec.json.decode(entry.response) if entry.response else None}

    async def resolve(self, entry_id: str, verdict: Verdict) -> Found:
        """See `Desk`."""
        try:
            await self._records.resolve(entry_id, verdict, self._caller)
        except Problem as problem:
            raise Refusal(problem.detail) from None
        return await self.show(entry_id)

    async def close(self) -> None:
        """See `Desk`."""
        await self._store.close()


class ApiDesk:
    """Asks the gateway that holds the journal."""

    def __init__(self, url: str, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        self._url = url.rstrip("/")
        self._session = aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=False)

    async def page(self, parameters: Mapping[str, str]) -> tuple[list[Found], str | None]:
        """See `Desk`."""
        found = await self._ask("GET", f"?{urlencode(parameters)}", _Page)
        return found["items"], found["next"]

    async def show(self, entry_id: str) -> Found:
        """See `Desk`."""
        return await self._ask("GET", f"{_segment(entry_id)}?include=upstream_response", Result)

    async def resolve(self, entry_id: str, verdict: Verdict) -> Found:
        """See `Desk`."""
        body = {name: value for name, value in msgspec.to_builtins(verdict).items() if value is not None}
        await self._ask("POST", f"{_segment(entry_id)}/resolve", Result, json=body)
        return await self.show(entry_id)

    async def close(self) -> None:
        """See `Desk`."""
        await self._session.close()

    async def _ask(self, method: str, path: str, kind: type[Struct], **more: Any) -> Found:  # noqa: ANN401 - passed on
        try:
            where = URL(f"{self._url}/v1/invoices{path}", encoded=True)
            async with self._session.request(method, where, allow_redirects=False, **more) as answer:
                return _read(self._url, answer.status, await answer.read(), kind)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Refusal(f"{self._url} cannot be asked: {error or type(error).__name__}") from None


class _Page(Struct):
    """What a list is answered with."""

    items: list[Result]
    next: str | None


class _No(Struct):
    """What a gateway says of a problem."""

    detail: str


def _read(url: str, status: int, text: bytes, kind: type[Struct]) -> Found:
    """What the gateway said, if it is one."""
    try:
        if status == 200:
            msgspec.json.decode(text, type=kind)
            found: Found = msgspec.json.decode(text)
            return found
        detail = msgspec.json.decode(text, type=_No).detail
    except msgspec.DecodeError:
        raise Refusal(f"{url} answered {status}, and not as an invoice gateway does") from None
    hint = "; --token-env names the variable with an operator's" if status == 401 else ""
    raise Refusal(detail + hint)


def _segment(entry_id: str) -> str:
    """An id as a segment of a path, which it cannot leave."""
    return "/" + quote(entry_id, safe="").replace(".", "%2E")


async def open_desk(loaded: Loaded, url: str | None, token: str | None) -> Desk:
    """The way to the journal: the API at `url` if that is given, else the store; a running gateway if it holds that.

    Raises:
        Refusal: there is none.
    """
    if url is not None:
        return ApiDesk(url, token)
    try:
        store = journal_store(loaded, lambda _: None)
    except StoreError as error:
        raise Refusal(str(error)) from None
    try:
        await store.open()
    except StoreInUseError:
        return ApiDesk(_address(loaded.config), token or _token(loaded))
    except StoreError as error:
        raise Refusal(f"journal: {error}") from None
    return StoreDesk(store)


def _address(config: Config) -> str:
    host, port = listener(config.server.listen)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what listens everywhere listens here
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _token(loaded: Loaded) -> str | None:
    """The token of an operator, if the configuration holds one that can be read."""
    secrets = [secret for client in loaded.config.clients.values() if client.operator for secret in tokens(client)]
    for secret in secrets:
        with suppress(ValueError):
            return resolve(secret, loaded.folder)
    return None
