"""Exsited API v3, invoices of an order: https://developer.exsited.com/invoice-post-api-documentation.

The caller names an order and nothing of what is claimed: lines, currency, tax and dates are the order's.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from msgspec import Struct

from gateway.core.exchange import Reply, Request
from gateway.sandbox import strict
from gateway.sandbox.exsited_invoice import ORDERS, Invoice, as_v4, invoice_of
from gateway.sandbox.simulation import header, json_reply, text_reply
from gateway.sandbox.strict import Check, Refused, is_text

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - the credentials of a sandbox are no secrets
REDIRECT_URI = "https://gateway.example/callback"
LIFETIME = 3600
"""How long a token is good, in seconds."""

_LOGIN = "https://exsited.example/login"
_PAGE = "<!doctype html><title>Sign in</title><form action=/login method=post></form>"
_COUNT = re.compile(r"[0-9]{1,9}")
_ORDERINGS = ("id", "created_on", "issue_date", "due_date")

_INVOICE_FIELDS: dict[str, Check] = {
    "id": lambda value: isinstance(value, str) and 1 <= len(value) <= 255,
    "invoice_note": is_text,
}
_CREDENTIALS = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uri": REDIRECT_URI}
_TOKEN_FIELDS: dict[str, Check] = dict.fromkeys(("grant_type", *_CREDENTIALS), is_text)

_REFUSED = "The invoice is not valid"
_V4_ERROR = {
    "object": "error",
    "request_id": "req_sandbox",
    "status": 400,
    "code": "validation_error",
    "message": _REFUSED,
    "doc_url": "https://developer.exsited.com/errors",
}
_V4_FAULT = {"field": "invoice.id", "code": "invalid", "message": _REFUSED, "doc_url": _V4_ERROR["doc_url"]}

_REFUSALS: dict[str, tuple[int, object]] = {
    "object-error": (200, {**_V4_ERROR, "errors": [_V4_FAULT]}),
    "errors-v4": (400, {**_V4_ERROR, "errors": [_V4_FAULT]}),
    "errors-as-strings": (400, {"errors": [_REFUSED]}),
    "errors-as-map": (400, {"errors": {"invoice.id": [_REFUSED]}}),
    "code-401-under-400": (400, {"errors": [{"code": 401, "message": "The access token has expired"}]}),
}


class Token(Struct, frozen=True):
    """The one token pair that counts, and when it ends."""

    access: str
    refresh: str
    until: float


class Simulation:
    """One Exsited account with its orders; `now` gives seconds, for the end of tokens."""

    name: ClassVar[str] = "exsited"
    quirks: ClassVar[Mapping[str, str]] = {
        "expired-302": "ends the current token and redirects to the login page",
        "expired-401": "ends the current token and answers 401",
        "login-page": "answers 200 with the login page's HTML; nothing stored",
        "renumbers": "ignores the invoice id that was sent and gives its own",
        "duplicate-409": "refuses an invoice id that exists with 409 instead of 400",
        "status-200": "answers a created invoice with 200 instead of 201",
        "object-error": "refuses the invoice under 200, with an error object",
        "errors-v4": "refuses the invoice in the form of v4",
        "errors-as-strings": "refuses the invoice; the errors are strings",
        "errors-as-map": "refuses the invoice; the errors are lists of words by field",
        "code-401-under-400": "refuses the token under 400; only the code inside says 401",
        "json-types-of-v4": "answers numbers and booleans where v4 has them, strings elsewhere",
    }

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._token: Token | None = None
        self._tokens = 0
        self._invoices: list[Invoice] = []

    def answer(self, request: Request, quirk: str | None = None) -> Reply:
        """The reply to a request below `/api`; quirks are for the invoices, never for the token endpoint."""
        segments, query = strict.target(request)
        try:
            if (request.method, segments) == ("POST", ("api", "v1", "oauth2", "token")):
                strict.check_query(query)
                return self._issue(strict.object_body(request))
            if quirk == "login-page":
                return text_reply(200, _PAGE, "text/html")
            self._admit(request, quirk)
            return self._routed(request, segments, query, quirk)
        except Refused as refusal:
            if refusal.status == 302:
                return Reply(302, b"", {"location": _LOGIN})
            return json_reply(refusal.status, {"errors": [{"code": refusal.status, "message": str(refusal)}]})

    def stored(self) -> list[dict[str, Any]]:
        """The invoices, oldest first; Exsited's id of an invoice is its number."""
        return [
            {
                "id": invoice["id"],
                "number": invoice["id"],
                "total": invoice["total"],
                "order_id": invoice["order_id"],
                "invoice_note": invoice["invoice_note"],
            }
            for invoice in self._invoices
        ]

    def _issue(self, body: dict[str, object]) -> Reply:
        """A new token, which ends the previous one."""
        refreshing = body.get("grant_type") == "refresh_token"
        fields = _TOKEN_FIELDS | ({"refresh_token": is_text} if refreshing else {})
        strict.check_fields(body, fields)
        if missing := [name for name in fields if name not in body]:
            raise Refused(f"{missing[0]} is required")
        if not refreshing and body["grant_type"] != "client_credentials":
            raise Refused("unsupported grant_type")
        for name, right in _CREDENTIALS.items():
            if body[name] != right:
                raise Refused(f"invalid {name}", 400 if name == "redirect_uri" else 401)
        if refreshing and (self._token is None or body["refresh_token"] != self._token.refresh):
            raise Refused("invalid refresh_token")
        self._tokens += 1
        access, refresh = f"sandbox-token-{self._tokens}", f"sandbox-refresh-{self._tokens}"
        self._token = Token(access, refresh, self._now() + LIFETIME)
        return json_reply(200, {"access_token": access, "refresh_token": refresh, "expires_in": LIFETIME})

    def _admit(self, request: Request, quirk: str | None) -> None:
        if quirk in ("expired-302", "expired-401"):
            self._token = None
        token = self._token
        if token is None or self._now() >= token.until or header(request, "authorization") != f"Bearer {token.access}":
            raise Refused("Unauthorized", 302 if quirk == "expired-302" else 401)

    def _routed(self, request: Request, segments: tuple[str, ...], query: dict[str, str], quirk: str | None) -> Reply:
        match (request.method, *segments):
            case "POST", "api", "v3", "orders", order, "invoices":
                strict.check_query(query)
                return self._create(_known(order), strict.object_body(request), quirk)
            case "GET", "api", "v3", "orders", order, "invoices":
                return json_reply(200, {"order": self._page(_known(order), query, quirk)})
            case "GET", "api", "v3", "invoices", which:
                strict.check_query(query)
                for invoice in self._invoices:
                    if invoice["id"] == which:
                        return json_reply(200, {"invoice": _typed(invoice, quirk)})
                raise Refused("Invoice not found", 404)
        raise Refused("Not found", 404)

    def _create(self, order: str, body: dict[str, object], quirk: str | None) -> Reply:
        wanted = body.get("invoice")
        strict.check_fields(body, {"invoice": lambda value: isinstance(value, dict)})
        if not isinstance(wanted, dict):
            raise Refused("invoice is required")
        strict.check_fields(wanted, _INVOICE_FIELDS, "invoice.")
        if quirk in _REFUSALS:
            return json_reply(*_REFUSALS[quirk])
        sent = None if quirk == "renumbers" else wanted.get("id")
        taken = {invoice["id"] for invoice in self._invoices}
        if sent in taken:
            raise Refused(f"Invoice id {sent} exists already", 409 if quirk == "duplicate-409" else 400)
        count = len(self._invoices) + 1
        while (own := f"INV-76GOU2-{6000 + count}") in taken:
            count += 1
        invoice = invoice_of(len(self._invoices) + 1, sent or own, ORDERS[order], wanted.get("invoice_note", ""))
        self._invoices.append(invoice)
        return json_reply(200 if quirk == "status-200" else 201, {"invoice": _typed(invoice, quirk)})

    def _page(self, order: str, query: dict[str, str], quirk: str | None) -> dict[str, object]:
        strict.check_query(query, ("limit", "offset", "order_by", "direction"))
        limit, offset = _count(query, "limit", 20, 1), _count(query, "offset", 0, 0)
        order_by, direction = query.get("order_by", "created_on"), query.get("direction", "asc").lower()
        if order_by not in _ORDERINGS or direction not in ("asc", "desc"):
            raise Refused("Invalid parameter: order_by or direction")
        found = [invoice for invoice in self._invoices if invoice["order_id"] == order]
        found.sort(key=lambda invoice: str(invoice[order_by]))
        if direction == "desc":
            found.reverse()
        return {
            "invoices": [_typed(invoice, quirk) for invoice in found[offset : offset + limit]],
            "pagination": {
                "records": len(found),
                "limit": limit,
                "offset": offset,
                "previous_page": _link(order, limit, max(0, offset - limit)) if offset else "NULL",
                "next_page": _link(order, limit, offset + limit) if offset + limit < len(found) else "NULL",
            },
        }


def _known(order: str) -> str:
    if order not in ORDERS:
        raise Refused("Order not found", 404)
    return order


def _count(query: dict[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name, str(default))
    if not _COUNT.fullmatch(text) or int(text) < least:
        raise Refused(f"Invalid parameter: {name}")
    return int(text)


def _link(order: str, limit: int, offset: int) -> str:
    return f"/api/v3/orders/{order}/invoices?limit={limit}&offset={offset}"


def _typed(invoice: Invoice, quirk: str | None) -> Invoice:
    return as_v4(invoice) if quirk == "json-types-of-v4" else invoice
