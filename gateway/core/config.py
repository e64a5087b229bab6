"""The configuration: the TOML document as frozen structs.

Reading the file, secrets and crosswalk files is the shell's business; here everything is a value.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from gateway.core import codes
from gateway.core.money import Amount

Wait = Annotated[str, Meta(pattern=codes.WAIT)]
Size = Annotated[str, Meta(pattern=codes.SIZE)]
Name = Annotated[str, Meta(min_length=1, max_length=63)]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$(?!\n)")]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]

_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_BYTES = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "B": 1}


def seconds(text: str) -> float:
    """A time such as `15s` in seconds."""
    digits = text.rstrip("smhd")
    return float(Decimal(digits) * _SECONDS[text[len(digits) :]])


def size(text: str) -> int:
    """A size such as `1MiB` in bytes."""
    digits = text.rstrip("KMGiB")
    return int(digits) * _BYTES[text[len(digits) :]]


class SecretRef(Struct, frozen=True, forbid_unknown_fields=True):
    """A secret by reference: an environment variable or a file, exactly one of them."""

    env: str | None = None
    file: str | None = None


Secret = str | SecretRef


class Basic(Struct, frozen=True, forbid_unknown_fields=True):
    """HTTP Basic (RFC 7617)."""

    username: Secret
    password: Secret


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """A header of a fixed value."""

    name: HeaderName
    value: Secret


class OAuth(Struct, frozen=True, forbid_unknown_fields=True):
    """OAuth 2 client credentials, with a JSON token request."""

    token_path: Annotated[str, Meta(pattern=codes.PATH)]
    client_id: Secret
    client_secret: Secret
    redirect_uri: str | None = None


class Auth(Struct, frozen=True, forbid_unknown_fields=True):
    """How the gateway shows an upstream who it is: exactly one of these, or none."""

    basic: Basic | None = None
    header: Header | None = None
    bearer: Secret | None = None
    oauth: OAuth | None = None

    @property
    def kind(self) -> str:
        """The name of the one that is set."""
        return next((name for name in self.__struct_fields__ if getattr(self, name) is not None), "none")


class TaxRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A tax at the upstream, with the rate that it has there."""

    id: int | str
    rate: Amount | None = None


Table = str | dict[str, int | str | TaxRow]
"""`"same"`, a table from the caller's ids, or `{ file = "….csv" }`."""


class UpstreamConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One configured counterpart."""

    dialect: str
    base_url: str
    auth: Auth = Auth()
    timeout: Wait = "15s"
    max_in_flight: Count = 32
    queue: Count = 64
    rate: Annotated[float, Meta(gt=0)] | None = None
    settle: Wait | None = None
    insecure_http: bool = False
    settings: dict[str, Any] = {}
    crosswalk: dict[str, Table] = {}


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """The listeners and their limits."""

    listen: str = "127.0.0.1:8080"
    ops_listen: str = "127.0.0.1:8081"
    max_body: Size = "1MiB"
    max_in_flight: Count = 256
    body_timeout: Wait = "10s"
    drain_delay: Wait = "5s"
    log_level: Literal["debug", "info", "warning"] = "info"


Digest = Annotated[str, Meta(pattern=codes.SHA256)]


Two = Meta(min_length=1, max_length=2)


class Client(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may call: a token in plain text or by reference, or its SHA-256; two of them while one is replaced."""

    token: Secret | Annotated[list[Secret], Two] | None = None
    token_sha256: Digest | Annotated[list[Digest], Two] | None = None
    operator: bool = False
    upstreams: list[str] | None = None
    rate: Annotated[float, Meta(gt=0)] | None = None


Words = str | list[str]


class AmountRange(Struct, frozen=True, forbid_unknown_fields=True):
    """A range of `tax_inclusive_total`: `min` inclusive, `below` exclusive."""

    min: Amount | None = None
    below: Amount | None = None


class DateRange(Struct, frozen=True, forbid_unknown_fields=True):
    """A range of dates: `from` inclusive, `until` exclusive."""

    from_: date | None = field(default=None, name="from")
    until: date | None = None


class When(Struct, frozen=True, forbid_unknown_fields=True):
    """The conditions of a rule; all that are set must hold."""

    client: Words | None = None
    currency: Words | None = None
    country: Words | None = None
    customer: Words | None = None
    supplier: Words | None = None
    labels: dict[str, Words] = {}
    amount: AmountRange | None = None
    issue_date: DateRange | None = None
    has: Words | None = None
    lacks: Words | None = None


class Route(Struct, frozen=True, forbid_unknown_fields=True):
    """A routing rule: to one upstream, or split between several by weight. Its `shadow` is only compared."""

    name: Name
    when: When = When()
    to: str | None = None
    split: dict[str, Count] = {}
    fallback: list[str] = []
    shadow: str | None = None


class Sample(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An invoice by what rules ask for; all that it needs beside that is filled in."""

    currency: str = "USD"
    country: str | None = None
    customer: str = "customer"
    supplier: str | None = None
    labels: dict[str, str] = {}
    amount: Amount = Amount("100")
    issue_date: date = date(2026, 1, 1)
    has: Words = []
    external_id: str | None = None


class InvoiceFile(Struct, frozen=True, forbid_unknown_fields=True):
    """An invoice as callers send it, in a file of its own."""

    file: str


class ExpectedProblem(Struct, frozen=True, forbid_unknown_fields=True):
    """That an invoice is refused, by the slug of the problem."""

    problem: str


class RouteTest(Struct, frozen=True, forbid_unknown_fields=True):
    """Where an invoice has to go, or how it has to be refused; run by `check`."""

    name: Name
    expect: str | ExpectedProblem
    invoice: InvoiceFile | None = None
    fields: Sample | None = None
    rule: str | None = None
    client: str | None = None


class Journal(Struct, frozen=True, forbid_unknown_fields=True):
    """Where invoices are remembered: `sqlite://` and a path, or `postgresql://…`."""

    url: Secret = "sqlite://journal.db"
    keep_bodies: Wait = "30d"


class Delivery(Struct, frozen=True, forbid_unknown_fields=True):
    """How often a delivery is tried."""

    attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    deliver_by: Wait = "24h"


class Reconcile(Struct, frozen=True, forbid_unknown_fields=True):
    """When doubts are looked into; the last delay repeats."""

    delays: Annotated[tuple[Wait, ...], Meta(min_length=1)] = ("1s", "5s", "30s", "5m")


class Breaker(Struct, frozen=True, forbid_unknown_fields=True):
    """When an upstream is left alone."""

    window: Wait = "30s"
    min_calls: Count = 10
    failure_rate: Annotated[float, Meta(gt=0, le=1)] = 0.5
    open: Wait = "15s"


class Tracing(Struct, frozen=True, forbid_unknown_fields=True):
    """Where spans are sent (OTLP over HTTP), under which name; `sample` is the share of traces that begin here."""

    otlp_endpoint: str = "http://127.0.0.1:4318"
    headers: dict[HeaderName, Secret] = {}
    service_name: Name = "invoice-gateway"
    sample: Annotated[float, Meta(ge=0, le=1)] = 1.0


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole document."""

    upstreams: Annotated[dict[Name, UpstreamConfig], Meta(min_length=1)]
    routes: Annotated[list[Route], Meta(min_length=1)]
    tests: list[RouteTest] = []
    server: Server = Server()
    clients: dict[Name, Client] = {}
    journal: Journal = Journal()
    delivery: Delivery = Delivery()
    reconcile: Reconcile = Reconcile()
    breaker: Breaker = Breaker()
    tracing: Tracing | None = None
