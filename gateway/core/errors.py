"""Every problem a caller can meet: its slug, HTTP status, outcome and whether the same request may be sent again.

The first line of a docstring is the problem's `title`; the rest is the page at `/problems/SLUG` (`problem_index`).
Source: RFC 9457 for the form, RFC 6901 for the pointers.
"""

from typing import ClassVar

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong: where (RFC 6901 pointer into what was sent), a stable code, and words for a person."""

    pointer: str
    code: str
    detail: str


MOST_FAULTS = 1000


def capped(found: list[Fault]) -> list[Fault]:
    """At most `MOST_FAULTS` of the faults, and a last one that counts the others."""
    if len(found) <= MOST_FAULTS:
        return found
    return [*found[:MOST_FAULTS], Fault("", "more", f"{len(found) - MOST_FAULTS} more faults")]


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem, and so does everybody who reads it
    """Something went wrong; `reason` is a code for metrics and logs alone, never told to the caller."""

    slug: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    outcome: ClassVar[str | None] = None
    retryable: ClassVar[bool] = False

    def __init__(
        self, detail: str, faults: tuple[Fault, ...] = (), retry_after: float | None = None, reason: str | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = faults
        self.retry_after = retry_after
        self.reason = reason
        self.external_id: str | None = None
        self.invoice: str | None = None


class MalformedJson(Problem):
    """The body is not JSON.

    The body has to be one JSON value (RFC 8259) in UTF-8 without a byte order mark, and not nested absurdly deep.
    The detail says where reading stopped. Nothing was sent to any upstream; mend the body and send it again.
    """

    slug = "malformed-json"
    status = 400


class Unauthenticated(Problem):
    """The request carries no valid token.

    Send `Authorization: Bearer TOKEN` with a token that the operator has configured under `[clients]`.
    """

    slug = "unauthenticated"
    status = 401


class Forbidden(Problem):
    """This client may not do that.

    The token is valid, but its client may not use the upstream that the invoice is routed to, or the endpoint is for
    operators only. Ask the operator to extend `upstreams` or set `operator = true` for this client.
    """

    slug = "forbidden"
    status = 403


class NotFound(Problem):
    """There is nothing here.

    The path names no endpoint, or nothing that this client may see.
    """

    slug = "not-found"
    status = 404


class MethodNotAllowed(Problem):
    """This endpoint does not know that method.

    The `Allow` header of the answer lists the methods it knows.
    """

    slug = "method-not-allowed"
    status = 405


class RequestTimeout(Problem):
    """The body did not arrive in time.

    The limit is `body_timeout` under `[server]`. Nothing was sent to any upstream; send the request again.
    """

    slug = "request-timeout"
    status = 408
    retryable = True


class InProgress(Problem):
    """The same invoice is being worked on right now.

    Another request with this `external_id` has not been answered yet, or an operator is asked to settle what is still
    under way. Send the same request again after `Retry-After`, or read the invoice at `Location`.
    """

    slug = "in-progress"
    status = 409
    outcome = "pending"
    retryable = True


class AlreadyConcluded(Problem):
    """The invoice has its outcome already.

    Only an invoice whose outcome is unknown can be resolved. Read it to see what became of it.
    """

    slug = "already-concluded"
    status = 409


class TooLarge(Problem):
    """The body is too large.

    The limit is `max_body` under `[server]`. An invoice of a thousand lines fits well into the default of 1 MiB.
    """

    slug = "too-large"
    status = 413


class UnsupportedMediaType(Problem):
    """The body is of a type that is not understood.

    Send `Content-Type: application/json` and no `Content-Encoding`; nothing of the body was read.
    """

    slug = "unsupported-media-type"
    status = 415


class InvalidInvoice(Problem):
    """The invoice is not valid.

    Each entry of `errors` names one fault with its pointer: a missing or unknown field, a date that does not exist,
    an amount that is not a decimal string such as "12.50", an unknown code, a control character. All faults are
    listed at once. Nothing was sent to any upstream.
    """

    slug = "invalid-invoice"
    status = 422


class TotalsMismatch(Problem):
    """A total does not follow from the lines.

    Totals that are sent are checked, never overwritten: the rules are BR-CO-10 to BR-CO-16 of EN 16931, rounded half
    up at the currency's ISO 4217 exponent. Each entry of `errors` gives what was expected and what was received.
    """

    slug = "totals-mismatch"
    status = 422


class ExternalIdReused(Problem):
    """This `external_id` belongs to another invoice.

    An invoice with the same `external_id` and other content was created, may have been, or is on its way. An
    `external_id` is the name of one invoice for ever; a corrected invoice is another one and needs another name.
    """

    slug = "external-id-reused"
    status = 422


class InvalidRequest(Problem):
    """A parameter of the request is not valid.

    `errors` names each of them: a query parameter that is unknown or out of range, or a member of the body.
    """

    slug = "invalid-request"
    status = 400


class NoRoute(Problem):
    """No routing rule takes this invoice.

    Each entry of `errors` names a rule and the first of its conditions that failed. Send the invoice with other
    labels, or ask the operator for a rule. Nothing was sent to any upstream.
    """

    slug = "no-route"
    status = 422
    outcome = "not_sent"


class Untranslatable(Problem):
    """The chosen upstream cannot carry this invoice.

    A crosswalk entry or a field that the dialect needs is missing, or the upstream would claim another amount than
    the invoice says. Each entry of `errors` names the place. Nothing was sent; the same `external_id` may be used
    again once the invoice or the configuration is mended.
    """

    slug = "untranslatable"
    status = 422
    outcome = "not_sent"


class Rejected(Problem):
    """The upstream read the invoice and refused it.

    The upstream's own code and words are in `upstream` and `errors`. It created nothing, so the same `external_id`
    may be sent again, corrected.
    """

    slug = "rejected"
    status = 422
    outcome = "rejected"


class UpstreamUnavailable(Problem):
    """The upstream could not take the invoice; it was certainly not created.

    No connection, the upstream refused the gateway's credentials or its rate, or the gateway's journal cannot be
    written, and then nothing is sent. Sending the same request again, after the time in `Retry-After`, is safe.
    """

    slug = "upstream-unavailable"
    status = 503
    outcome = "not_sent"
    retryable = True


class RateLimited(Problem):
    """This client sends faster than it may.

    The limit is `rate` of this client under `[clients]`, in requests a second; it allows for a second's worth at once.
    Nothing was sent to any upstream; send the same request again after `Retry-After`.
    """

    slug = "rate-limited"
    status = 429
    retryable = True


class Overloaded(Problem):
    """The gateway has more requests than it takes at once.

    The limit is `max_in_flight` under `[server]`. Nothing was sent; send the same request again after `Retry-After`.
    """

    slug = "overloaded"
    status = 503
    retryable = True


class OutcomeUnknown(Problem):
    """Nobody knows whether the invoice was created.

    The request reached the upstream and no readable answer came back: a timeout, a broken connection, a server error,
    or an answer that says neither yes nor no. **It may exist.** The gateway asks the upstream wherever that can be
    asked, and `Location` tells what is known. Sending the same request again is safe: it is never sent to the
    upstream a second time unless the first is proven absent. Never send it under another `external_id`.

    An invoice whose delivery is left to the gateway (`Prefer: respond-async`) meets this too if the gateway's journal
    does not answer in time: it may hold the invoice, and then delivers it.
    """

    slug = "outcome-unknown"
    status = 504
    outcome = "unknown"
    retryable = True


class JournalUnavailable(Problem):
    """The journal cannot be read.

    What the gateway remembers is out of reach for the moment. Nothing was changed; ask again after `Retry-After`.
    """

    slug = "journal-unavailable"
    status = 503
    retryable = True


class Internal(Problem):
    """The gateway made a mistake.

    This is a defect of the gateway, not of the request. The request id in `instance` finds it in the logs.
    """
