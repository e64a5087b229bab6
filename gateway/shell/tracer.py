"""Where spans begin: a tracer puts one around a function once, when a gateway is built.

Without one the function stays what it is, so that spans cost nothing where nobody asks for them.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from aiohttp.typedefs import Middleware

from gateway.core.events import Event
from gateway.core.journal import Entry
from gateway.shell import trace
from gateway.shell.exchanges import Sends
from gateway.shell.trace import Trace

P = ParamSpec("P")
T = TypeVar("T")
Step = Callable[P, Coroutine[Any, Any, T]]
Work = Callable[Concatenate[Entry, P], Coroutine[Any, Any, T]]


class Tracer(Protocol):
    """Puts spans around functions; its `listeners` hear what is to be noted in them."""

    listeners: tuple[Callable[[Event], None], ...]

    def around(self, inner: Middleware) -> Middleware:
        """A middleware, with a span around each request; it asks for the request's trace with `taken`."""

    def taken(self, header: str | None) -> Trace | None:
        """The trace of the request, given its `traceparent`."""

    def part(self, name: str, part: Callable[P, T]) -> Callable[P, T]:
        """A function that does a part of what is being done."""

    def step(self, name: str, step: Step[P, T]) -> Step[P, T]:
        """The same of one that waits."""

    def work(self, name: str, work: Work[P, T]) -> Work[P, T]:
        """Work on an invoice that no request waits for; its span refers to the request that brought it."""

    def turns(self, sends: Sends, base_url: str) -> Sends:
        """A sender, with a span around each turn with its upstream."""

    async def close(self) -> None:
        """Send what is left, for a short time."""


class Untraced:
    """Puts nothing around anything; see `Tracer`."""

    listeners: tuple[Callable[[Event], None], ...] = ()
    taken = staticmethod(trace.taken)

    def around(self, inner: Middleware) -> Middleware:
        """See `Tracer.around`."""
        return inner

    def part(self, _: str, part: Callable[P, T]) -> Callable[P, T]:
        """See `Tracer.part`."""
        return part

    def step(self, _: str, step: Step[P, T]) -> Step[P, T]:
        """See `Tracer.step`."""
        return step

    def work(self, _: str, work: Work[P, T]) -> Work[P, T]:
        """See `Tracer.work`."""
        return work

    def turns(self, sends: Sends, _: str) -> Sends:
        """See `Tracer.turns`."""
        return sends

    async def close(self) -> None:
        """See `Tracer.close`."""


UNTRACED = Untraced()
