"""One event per step of an invoice's way; the log prints them, metrics count them, the journal will keep them."""

from decimal import Decimal

from msgspec import Struct

from gateway.core.result import Discrepancy, Loss


class Routed(Struct, frozen=True, tag="routed"):
    """A rule took the invoice."""

    request_id: str
    invoice: str
    external_id: str
    rule: str
    upstream: str


class Sending(Struct, frozen=True, tag="sending"):
    """An exchange with an upstream begins."""

    request_id: str
    invoice: str
    upstream: str


class Answered(Struct, frozen=True, tag="answered"):
    """An exchange ended."""

    request_id: str
    invoice: str
    upstream: str
    outcome: str
    reason: str | None
    http_status: int | None
    seconds: float


class Concluded(Struct, frozen=True, tag="concluded"):
    """The invoice has its outcome; `amount` is what the upstream claims from the customer."""

    request_id: str
    invoice: str
    external_id: str
    client: str
    rule: str
    upstream: str
    outcome: str
    currency: str
    amount: Decimal | None
    losses: tuple[Loss, ...]
    discrepancies: tuple[Discrepancy, ...]
    seconds: float
    upstream_seconds: float


class Refused(Struct, frozen=True, tag="refused"):
    """A request was answered with a problem; `reason` is why the gateway turned it away unread, if it did."""

    request_id: str
    problem: str
    status: int
    seconds: float
    reason: str | None = None


Event = Routed | Sending | Answered | Concluded | Refused
