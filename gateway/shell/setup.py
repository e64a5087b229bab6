"""What a configuration comes to at run time. A request goes by one setup from its arrival to its end."""

from collections.abc import Callable

from msgspec import Struct

from gateway.core.breaker import Rules
from gateway.core.plan import Book
from gateway.shell.exchanges import Exchanges


class Policy(Struct, frozen=True):
    """Seconds: until what waits is given up, between the checks of a doubt, until details are removed.

    `attempts` is how often one upstream is tried while nothing was sent; `breaker` when it is left alone; `at_once` how
    many invoices are delivered at once to callers who wait.
    """

    deliver_by: float = 86_400.0
    delays: tuple[float, ...] = (1.0, 5.0, 30.0, 300.0)
    keep_bodies: float = 30 * 86_400.0
    attempts: int = 3
    breaker: Rules = Rules()
    at_once: int = 256


class Setup(Struct, frozen=True):
    """Rules and upstreams, the ways to them, and how often and how long things are tried."""

    book: Book
    exchanges: Exchanges
    policy: Policy


Current = Callable[[], Setup]
"""The setup that is in force now. Whoever begins something asks once, and keeps to it."""
