"""Incoming requests: who calls, and how often it may. Of tokens only hashes are kept, compared in constant time."""

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

from aiolimiter import AsyncLimiter

from gateway.core import plan
from gateway.core.config import Client
from gateway.core.errors import RateLimited, Unauthenticated
from gateway.core.plan import Caller
from gateway.shell.lanes import limiter
from gateway.shell.secrets import resolve, tokens

NO_TOKEN = "no-token"  # noqa: S105 - a reason, and no password
UNKNOWN_TOKEN = "unknown-token"  # noqa: S105 - the same

LOCAL = Caller(plan.LOCAL, operator=True)
"""Everybody who reaches a listener on loopback, where no clients are configured."""


class Clients:
    """The configured clients by the hashes of their tokens; how much each sent `before` counts on.

    Raises:
        ValueError: a token cannot be had.
    """

    def __init__(self, clients: Mapping[str, Client], folder: Path, before: "Clients | None" = None) -> None:
        self._known: list[tuple[bytes, Caller]] = []
        old: Mapping[str, AsyncLimiter] = {} if before is None else before.limits
        self.limits: dict[str, AsyncLimiter] = {}
        for name, client in clients.items():
            if client.rate is not None:
                made = limiter(client.rate)
                kept = old.get(name, made)
                self.limits[name] = kept if _alike(kept, made) else made
        for name, client in clients.items():
            caller = plan.caller_of(clients, name)
            hashed = client.token_sha256 or []
            hashes = [hashed] if isinstance(hashed, str) else hashed
            digests = [bytes.fromhex(text) for text in hashes]
            digests += [sha256(resolve(secret, folder).encode()).digest() for secret in tokens(client)]
            self._known += [(digest, caller) for digest in digests]

    async def count(self, caller: Caller) -> None:
        """Count a request of this caller.

        Raises:
            RateLimited: it sends faster than it may.
        """
        if (limit := self.limits.get(caller.name)) is not None:
            if not limit.has_capacity():
                words = f"{caller.name} may send {limit.max_rate:g} requests in {limit.time_period:g} s"
                raise RateLimited(words, retry_after=limit.time_period / limit.max_rate)
            await limit.acquire()

    def caller(self, authorization: str | None) -> Caller:
        """Who sent this `Authorization` header.

        Raises:
            Unauthenticated: nobody that is known.
        """
        if not self._known:
            return LOCAL
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("send Authorization: Bearer TOKEN", reason=NO_TOKEN)
        digest = sha256(token.strip().encode("utf-8", "replace")).digest()
        found = None
        for known, caller in self._known:  # all of them, so that the time says nothing
            if compare_digest(known, digest):
                found = caller
        if found is None:
            raise Unauthenticated("the token is not known", reason=UNKNOWN_TOKEN)
        return found


def _alike(one: AsyncLimiter, other: AsyncLimiter) -> bool:
    return (one.max_rate, one.time_period) == (other.max_rate, other.time_period)
