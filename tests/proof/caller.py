"""Somebody who sends an invoice until its outcome is known, remembers what was said, and holds the gateway to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from msgspec import Struct

from gateway.shell.catalog import dialects
from tests.proof.scene import body_of
from tests.proof.witness import Witness

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.1
JSON = {"Content-Type": "application/json"}


class Heard(Struct, frozen=True):
    """What was said of an invoice, and how many creations of it had arrived at the upstreams by then."""

    status: int
    outcome: str
    id: str | None
    upstream_id: str | None
    arrivals: int
    replayed: bool = False
    problem: str | None = None


@asynccontextmanager
async def session() -> AsyncIterator[ClientSession]:
    """A client that reuses no connection, since the next gateway can have the port of a dead one."""
    connector = TCPConnector(limit=0, force_close=True)
    async with ClientSession(connector=connector, timeout=ClientTimeout(total=PATIENCE_SECONDS)) as made:
        yield made


class Caller:
    """Sends one invoice; `url` says where, since gateways come and go."""

    def __init__(
        self, session: ClientSession, url: Callable[[], str], witness: Witness, key: str, dialect: str, **changes: Any
    ) -> None:
        self.key = key
        self.askable = dialects()[dialect].lookup is not None
        self.heard: list[Heard] = []
        self._session = session
        self._url = url
        self._witness = witness
        self._body = body_of(key, dialect, **changes)

    async def send(self, *, later: bool = False) -> Heard | None:
        """Send the invoice; what was said, or None where nothing was."""
        headers = JSON | ({"Prefer": "respond-async"} if later else {})
        try:
            async with self._session.post(f"{self._url()}/v1/invoices", data=self._body, headers=headers) as answer:
                said: dict[str, Any] = msgspec.json.decode(await answer.read())
        except (ClientError, OSError, ValueError, TimeoutError):
            return None
        heard = Heard(
            answer.status,
            said.get("outcome") or "none",
            said.get("invoice") if answer.status >= 400 else said["id"],
            _upstream_id(said) if answer.status < 300 else None,
            len(self._witness.of(self.key)),
            "Idempotent-Replayed" in answer.headers,
            said.get("type") if answer.content_type == "application/problem+json" else None,
        )
        self.heard.append(heard)
        return heard

    async def insist(self, *, later: bool = False) -> str | None:
        """Send it again and again until it has an outcome that lasts; what is wrong if it gets none."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            heard = await self.send(later=later)
            if heard is not None and self.final(heard):
                return None
            await asyncio.sleep(PAUSE_SECONDS)
        return f"{self.key} has no outcome after {PATIENCE_SECONDS:g} s; {self.story()}"

    def final(self, heard: Heard) -> bool:
        """Whether sending it again would say the same; a doubt stays only where nobody can be asked."""
        return heard.outcome in ("created", "rejected") or (heard.outcome == "unknown" and not self.askable)

    async def stored(self, outcome: str | None = None) -> dict[str, Any] | None:
        """What the gateway says of it to somebody who only reads; of that outcome alone, if told."""
        wanted = {"external_id": self.key} | ({"outcome": outcome} if outcome else {})
        async with self._session.get(f"{self._url()}/v1/invoices", params=wanted) as answer:
            items: list[dict[str, Any]] = msgspec.json.decode(await answer.read())["items"]
        if not items:
            return None
        async with self._session.get(f"{self._url()}/v1/invoices/{items[0]['id']}") as answer:
            found: dict[str, Any] = msgspec.json.decode(await answer.read())
        return found

    async def settled(self) -> str | None:
        """Wait, without sending anything, until nobody works on it any more; what is wrong if that does not end."""
        end = time.monotonic() + PATIENCE_SECONDS
        found = None
        while time.monotonic() < end:
            found = await self.stored()
            if found is None or found["outcome"] in ("created", "rejected", "not_sent"):
                return None
            if found["outcome"] == "unknown" and not self.askable:
                return None
            await asyncio.sleep(PAUSE_SECONDS)
        return f"{self.key} is still {found and found['outcome']} after {PATIENCE_SECONDS:g} s"

    async def wrongs(self) -> list[str]:
        """Everything that is not as it is claimed to be, now that all is over."""
        final = await self.stored()
        found = [*self._at_the_upstreams(), *self._said(final)]
        if final is not None and final["outcome"] == "unknown" and await self.stored("unknown") is None:
            found.append("it is in doubt, and not listed so")
        return [f"{self.key}: {each}; {self.story()}" for each in found]

    def story(self) -> str:
        """What arrived of it, and what was said of it the last times."""
        arrived = ", ".join(map(str, self._witness.of(self.key)[-4:]))
        return f"arrived: {arrived or 'nothing'}; heard: {self.heard[-4:]}"

    def _at_the_upstreams(self) -> list[str]:
        arrivals = self._witness.of(self.key)
        found = []
        if sum(arrival.stored for arrival in arrivals) > 1:
            found.append("duplicate: created more than once")
        if any(arrival.stored for arrival in arrivals[:-1]):
            found.append("sent again although it exists")
        return found

    def _said(self, final: dict[str, Any] | None) -> list[str]:
        arrivals = self._witness.of(self.key)
        ids = [each for arrival in arrivals for each in arrival.ids]
        if final is None:
            return ["lost: nobody knows it"] if arrivals or self.heard else []
        found, outcome = [], final["outcome"]
        if outcome == "created" and ids != [_upstream_id(final)]:
            found.append(f"it is said to be created as {_upstream_id(final)}, and exists as {ids}")
        if outcome in ("rejected", "not_sent") and ids:
            found.append(f"lost: it is said to be {outcome}, and exists as {ids}")
        if outcome == "pending" or (outcome == "unknown" and self.askable):
            found.append(f"lost: it is still {outcome}")
        for heard in self.heard:
            if heard.outcome == "created" and (heard.id, heard.upstream_id) != (final["id"], _upstream_id(final)):
                found.append(f"{heard} was said, and now it is {outcome}")
            if heard.outcome in ("rejected", "not_sent") and any(each.stored for each in arrivals[: heard.arrivals]):
                found.append(f"{heard} was said, and it existed")
            if heard.id not in (None, final["id"]):
                found.append(f"{heard} was said, and its id is {final['id']} now")
        return found


def _upstream_id(said: dict[str, Any]) -> str | None:
    invoice = said.get("invoice") or {}
    return None if invoice.get("id") is None else str(invoice["id"])
