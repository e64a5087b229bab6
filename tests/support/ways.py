"""Both ways to put requests on the wire, for the tests that hold for both."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from gateway.core.exchange import Request, Seen
from gateway.shell.auth import Fixed
from gateway.shell.catalog import dialects
from gateway.shell.client import Plain, Sender, Way
from gateway.shell.pool import Pool

POST = Request("POST", "/invoices", b'{"amount":1}', (("content-type", "application/json"),))
DIALECT = dialects()["mykaarma"]
ANONYMOUS = Fixed(tuple)


class Both:
    """A way, and the plain one that the fast one leaves to what it cannot do."""

    def __init__(self, plain: Plain, way: Way) -> None:
        self.to = way.to
        self._all = (way, plain)

    async def close(self) -> None:
        """Close all connections."""
        for way in self._all:
            await way.close()


def plain(*, reuse: bool = True) -> Way:
    """The reference."""
    return Plain(reuse=reuse)


def fast(*, reuse: bool = True) -> Way:
    """The one of the hot path."""
    under = Plain(reuse=reuse)
    return Both(under, Pool(under, reuse=reuse))


class Made(Protocol):
    """Opens a way; needs a running event loop."""

    def __call__(self, *, reuse: bool = True) -> Way:
        """See `Plain` and `Pool`."""


@asynccontextmanager
async def opened(made: Made, *, reuse: bool = True) -> AsyncIterator[Way]:
    """A way while it is open."""
    way = made(reuse=reuse)
    try:
        yield way
    finally:
        await way.close()


WAYS: dict[str, Made] = {"plain": plain, "fast": fast}


def within(seconds: float) -> Callable[[], float]:
    """The seconds that are left of so many from now."""
    end = asyncio.get_running_loop().time() + seconds
    return lambda: end - asyncio.get_running_loop().time()


async def send(way: Way, url: str, request: Request = POST, seconds: float = 5.0) -> Seen:
    """One request by a sender of its own."""
    return await Sender(url, DIALECT, ANONYMOUS, way).send(request, within(seconds))
