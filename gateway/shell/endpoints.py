"""What each endpoint takes and gives: the table from which the document and its page are made."""

from typing import Literal

from msgspec import Struct

from gateway.core.errors import (
    AlreadyConcluded,
    ExternalIdReused,
    Forbidden,
    InProgress,
    Internal,
    InvalidInvoice,
    InvalidRequest,
    JournalUnavailable,
    MalformedJson,
    NoRoute,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    Problem,
    RateLimited,
    Rejected,
    RequestTimeout,
    TooLarge,
    TotalsMismatch,
    Unauthenticated,
    UnsupportedMediaType,
    Untranslatable,
    UpstreamUnavailable,
)

Problems = tuple[type[Problem], ...]
JSON, HTML = "application/json", "text/html"


class Reply(Struct, frozen=True):
    """An answer that is no problem: its status, what it says, its schema (none: a page), and headers by their names."""

    status: int
    meaning: str
    schema: str | None
    headers: tuple[str, ...] = ()
    sometimes: tuple[str, ...] = ()

    @property
    def media_type(self) -> str:
        """Of its body."""
        return HTML if self.schema is None else JSON


class Endpoint(Struct, frozen=True):
    """A method and a path, what is sent there and what comes back; `takes` is the schema of the body."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    description: str
    replies: tuple[Reply, ...]
    problems: Problems = ()
    parameters: tuple[str, ...] = ()
    takes: str | None = None
    needs_token: bool = True

    @property
    def all_problems(self) -> Problems:
        """Those too that every endpoint has, every one with a token and every one with a body."""
        caller: Problems = (Unauthenticated, RateLimited) if self.needs_token else ()
        return (*self.problems, *caller, *(BODY if self.takes else ()), Internal)


BODY: Problems = (MalformedJson, InvalidRequest, RequestTimeout, TooLarge, UnsupportedMediaType)
CHECKED: Problems = (InvalidInvoice, TotalsMismatch, NoRoute, Forbidden, Overloaded)

SUBMIT = Endpoint(
    "POST",
    "/v1/invoices",
    "submit",
    "Send an invoice",
    "Routed, translated and delivered once. After any failure send the same request again: it is never delivered twice."
    " The `external_id`, or the `Idempotency-Key` header in its place, is the invoice's name for ever.",
    (
        Reply(201, "It was created at the upstream.", "Result", ("Location",)),
        Reply(200, "It was created before, by an earlier request.", "Result", ("Location", "Idempotent-Replayed")),
        Reply(
            202,
            "The gateway delivers it; `Location` tells how it went.",
            "Result",
            ("Location",),
            ("Preference-Applied",),
        ),
    ),
    (
        *CHECKED,
        Untranslatable,
        Rejected,
        InProgress,
        ExternalIdReused,
        UpstreamUnavailable,
        OutcomeUnknown,
        JournalUnavailable,
    ),
    ("Idempotency-Key", "Prefer", "X-Request-Timeout-Ms", "traceparent", "include"),
    "Invoice",
)

ENDPOINTS = (
    SUBMIT,
    Endpoint(
        "GET",
        "/v1/invoices",
        "list",
        "List invoices",
        "Newest first; the caller's own, an operator's are everybody's. Nothing found is an empty list.",
        (Reply(200, "A page of results.", "Page"),),
        (InvalidRequest, Overloaded, JournalUnavailable),
        ("external_id", "outcome", "limit", "cursor", "client", "traceparent"),
    ),
    Endpoint(
        "POST",
        "/v1/invoices/explain",
        "explain",
        "Ask before you send",
        "Takes the same body as sending, by the same code, and sends nothing: the rule and why earlier ones did not"
        " match, totals, losses, refusals, and the upstream's request byte for byte, secrets masked.",
        (Reply(200, "What would become of the invoice.", "Explanation"),),
        CHECKED,
        ("all_upstreams", "Idempotency-Key", "traceparent"),
        "Invoice",
    ),
    Endpoint(
        "GET",
        "/v1/invoices/{id}",
        "read",
        "Read what became of an invoice",
        "Invoices of other clients are not found, unless the caller is an operator.",
        (Reply(200, "What is known of it.", "Result"),),
        (NotFound, Overloaded, JournalUnavailable),
        ("id", "include", "traceparent"),
    ),
    Endpoint(
        "POST",
        "/v1/invoices/{id}/resolve",
        "resolve",
        "Settle a doubt",
        "For operators: what they saw at the upstream, of an invoice whose outcome is unknown. Saying the same again"
        " changes nothing.",
        (Reply(200, "The result after the word.", "Result"),),
        (Forbidden, NotFound, InProgress, AlreadyConcluded, JournalUnavailable),
        ("id", "traceparent"),
        "Verdict",
    ),
    Endpoint(
        "GET",
        "/v1/upstreams",
        "upstreams",
        "See the upstreams",
        "Those that the caller may use: their breakers, what is under way, how a second creation is prevented, and what"
        " becomes of each canonical field.",
        (Reply(200, "How they stand.", "Upstreams"),),
        (),
        ("traceparent",),
    ),
    Endpoint(
        "GET",
        "/problems/",
        "problems",
        "The list of all problems",
        "A page.",
        (Reply(200, "A page.", None),),
        needs_token=False,
    ),
    Endpoint(
        "GET",
        "/problems/{slug}",
        "problem",
        "What a problem means",
        "A page; the `type` of a problem leads here.",
        (Reply(200, "A page.", None),),
        (NotFound,),
        ("slug",),
        needs_token=False,
    ),
    Endpoint(
        "GET",
        "/openapi.json",
        "openapi",
        "This document",
        "OpenAPI 3.1.",
        (Reply(200, "The document.", "Document"),),
        needs_token=False,
    ),
    Endpoint(
        "GET",
        "/docs",
        "docs",
        "This document as a page",
        "It loads nothing from anywhere.",
        (Reply(200, "A page.", None, ("Content-Security-Policy",)),),
        needs_token=False,
    ),
)
