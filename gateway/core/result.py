"""What comes out of an exchange: the four outcomes, and what they are made of.

"Certainly not processed" and "perhaps processed" are different types, `NotSent` and `Unknown`; neither is ever taken
for the other, and only `Created` is success.
"""

from decimal import Decimal
from typing import Literal

from msgspec import Struct

from gateway.core.errors import Fault

Disposition = Literal["dropped", "approximated", "folded", "derived"]
Status = Literal["draft", "open", "paid", "partially_paid", "void", "unknown"]


class Loss(Struct, frozen=True, cache_hash=True):
    """A canonical field that the upstream does not get as it was sent."""

    pointer: str
    disposition: Disposition
    upstream_field: str | None
    detail: str


class Discrepancy(Struct, frozen=True):
    """Something the upstream reports otherwise than it was sent."""

    pointer: str
    expected: str
    received: str


class UpstreamWarning(Struct, frozen=True):
    """A warning of the upstream, in its own words."""

    code: str
    message: str


class Totals(Struct, frozen=True):
    """Totals as an upstream states them; None where it is silent."""

    tax_exclusive_total: Decimal | None = None
    tax_total: Decimal | None = None
    tax_inclusive_total: Decimal | None = None
    amount_due: Decimal | None = None


class Stated(Struct, frozen=True):
    """The invoice as the upstream states it, or as it is expected to; dates `YYYY-MM-DD`, None where it is silent."""

    id: str | None = None
    number: str | None = None
    status: Status = "unknown"
    status_raw: str | None = None
    payment_status: str | None = None
    url: str | None = None
    currency: str | None = None
    issue_date: str | None = None
    due_date: str | None = None
    totals: Totals = Totals()


class Created(Struct, frozen=True):
    """The invoice exists at the upstream, and this is its id there.

    `adopted`: it was found by its reference after a doubt, and its content compared.
    """

    invoice: Stated
    http_status: int
    code: str | None = None
    message: str | None = None
    ids: dict[str, str] = {}
    warnings: tuple[UpstreamWarning, ...] = ()
    adopted: bool = False


class Rejected(Struct, frozen=True):
    """The upstream read the invoice and refused it; nothing was created."""

    http_status: int
    code: str | None
    message: str
    faults: tuple[Fault, ...] = ()


class NotSent(Struct, frozen=True):
    """Certainly not created: the upstream never read it, or turned it away before reading."""

    reason: str
    detail: str
    http_status: int | None = None
    retry_after: float | None = None


class Unknown(Struct, frozen=True):
    """It may exist: nobody knows."""

    reason: str
    detail: str
    http_status: int | None = None
    code: str | None = None


class Absent(Struct, frozen=True):
    """A lookup's word that the invoice is not there (now)."""

    detail: str = ""


Outcome = Created | Rejected | NotSent | Unknown

NAMES: dict[type, str] = {Created: "created", Rejected: "rejected", NotSent: "not_sent", Unknown: "unknown"}


def name(outcome: Outcome) -> str:
    """The outcome's word in results, metrics and logs."""
    return NAMES[type(outcome)]
