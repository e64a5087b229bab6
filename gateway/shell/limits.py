"""How much the API takes at once. Reads and replays keep places of their own: they tell callers the truth."""

from msgspec import Struct

from gateway.core.errors import Overloaded

RETRY_SECONDS = 1.0
"""When to come again, where every place is taken."""


class Limits(Struct, frozen=True):
    """What the API takes: bytes and seconds of a body, and how many invoices are delivered at once."""

    max_body: int
    body_timeout: float
    max_in_flight: int

    @property
    def reserve(self) -> int:
        """How many requests more may ask what is known."""
        return max(self.max_in_flight // 4, 8)


class Places:
    """Places for requests; one that finds none is turned away at once."""

    def __init__(self) -> None:
        self.taken = 0

    def one(self, most: int) -> "Places":
        """A place, of so many, to be had in a `with`.

        Raises:
            Overloaded: all are taken.
        """
        if self.taken >= most:
            raise Overloaded(f"{self.taken} requests are under way", retry_after=RETRY_SECONDS)
        return self

    def __enter__(self) -> None:
        self.taken += 1

    def __exit__(self, *_: object) -> None:
        self.taken -= 1
