"""One event per step of an invoice's way; the log prints them, metrics count them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from gateway.core.breaker import State
from gateway.core.result import Discrepancy, Loss
from gateway.core.shadow import Likeness


class Routed(Struct, frozen=True, tag="routed"):
    """A rule took the invoice."""

    request_id: str
    external_id: str
    rule: str
    upstream: str


class Claimed(Struct, frozen=True, tag="claimed"):
    """The journal holds the invoice: from here on it is not lost. `waits`: it is delivered later."""

    request_id: str
    invoice: str
    external_id: str
    client: str
    upstream: str
    waits: bool


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
    """The invoice has its outcome; `amount` is what the upstream claims from the customer.

    `ours`: this delivery wrote it into the journal; what another had settled before has been counted with that.
    """

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
    ours: bool = True


class Shadowed(Struct, frozen=True, tag="shadowed"):
    """The invoice was translated for `shadow` too, and not sent there: how it would fare (`gateway.core.shadow`)."""

    request_id: str
    invoice: str
    rule: str
    upstream: str
    shadow: str
    likeness: Likeness
    more: tuple[str, ...] = ()
    fewer: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


class Postponed(Struct, frozen=True, tag="postponed"):
    """An invoice that was left to the gateway was certainly not sent: it is tried again in `seconds`."""

    invoice: str
    upstream: str
    reason: str
    seconds: float


class Retried(Struct, frozen=True, tag="retried"):
    """An exchange certainly sent nothing: it is tried again at the same upstream in `seconds`."""

    invoice: str
    upstream: str
    reason: str
    seconds: float


class BreakerTurned(Struct, frozen=True, tag="breaker-turned"):
    """An upstream is left alone (`open`), tried with one probe (`half-open`), or used again (`closed`)."""

    upstream: str
    state: State


class Replayed(Struct, frozen=True, tag="replayed"):
    """An invoice came again, and heard what is known of it; `outcome` is that."""

    request_id: str
    invoice: str
    outcome: str


Finding = Literal["adopted", "absent", "taken", "unresolved"]
FINDINGS: tuple[Finding, ...] = ("adopted", "absent", "taken", "unresolved")


class Reconciled(Struct, frozen=True, tag="reconciled"):
    """A doubt was looked into.

    `adopted`: it is there; `absent`: it is not; `taken`: its reference belongs to another; `unresolved`: still unknown,
    and `reason` says why. `age` is how many seconds the doubt lasted so far.
    """

    invoice: str
    client: str
    upstream: str
    finding: Finding
    reason: str | None
    age: float
    currency: str
    amount: Decimal
    losses: tuple[Loss, ...] = ()
    discrepancies: tuple[Discrepancy, ...] = ()


class Resolved(Struct, frozen=True, tag="resolved"):
    """An operator said what became of an invoice in doubt."""

    invoice: str
    upstream: str
    outcome: str
    by: str


class Committed(Struct, frozen=True, tag="committed"):
    """The journal wrote: how many entries in one commit, and how long it took."""

    writes: int
    seconds: float


class JournalFailed(Struct, frozen=True, tag="journal-failed"):
    """The journal could not be used for `operation`; `invoice` says what it was about, where it was one."""

    operation: str
    detail: str
    invoice: str | None = None


class InDoubt(Struct, frozen=True, tag="in-doubt"):
    """How many invoices are in doubt at each upstream now, and for how many seconds the oldest."""

    doubts: Mapping[str, tuple[int, float]]


class Purged(Struct, frozen=True, tag="purged"):
    """The details of old entries were removed; their keys stay."""

    entries: int


class Reloaded(Struct, frozen=True, tag="reloaded"):
    """A changed configuration was taken over (`applied`), or not, and the last good one is kept (`refused`).

    `revision` is the one in force now. `faults` say what is wrong; `restart` names the settings that only a restart
    takes over.
    """

    result: Literal["applied", "refused"]
    revision: str
    faults: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


class Defect(Struct, frozen=True, tag="defect"):
    """The gateway made a mistake: where, without any words, which could hold something of an invoice."""

    kind: str
    places: tuple[str, ...]
    request_id: str | None = None


class Refused(Struct, frozen=True, tag="refused"):
    """A request was answered with a problem; `reason` is why it was turned away unread, or what its token lacks."""

    request_id: str
    problem: str
    status: int
    seconds: float
    reason: str | None = None


Event = (
    Routed
    | Claimed
    | Sending
    | Answered
    | Concluded
    | Shadowed
    | Postponed
    | Retried
    | BreakerTurned
    | Replayed
    | Reconciled
    | Resolved
    | Committed
    | JournalFailed
    | InDoubt
    | Purged
    | Reloaded
    | Defect
    | Refused
)
