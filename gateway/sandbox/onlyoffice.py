"""ONLYOFFICE Workspace CRM (Community Server), invoices: `POST /api/2.0/crm/invoice`.

The vendor's page says little; the server is open source, and this is what it does.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec import structs

from gateway.core.exchange import Reply, Request
from gateway.core.money import plain
from gateway.sandbox import strict
from gateway.sandbox.onlyoffice_binding import Sent, bind
from gateway.sandbox.onlyoffice_invoice import (
    CURRENCIES,
    UNEXPECTED,
    Invoice,
    as_created,
    by_number,
    check,
    currency,
    invoice_of,
    is_culture,
    pascal_case,
    taxes,
)
from gateway.sandbox.simulation import header, json_reply, text_reply
from gateway.sandbox.strict import Refused

TOKEN = "sandbox-token"  # noqa: S105 - the credentials of a sandbox are no secrets

_PAGE = "<!doctype html><title>{0}</title><h1>{0}</h1>"
_CRM = ("api", "2.0", "crm")


class Simulation:
    """One portal."""

    name: ClassVar[str] = "onlyoffice"
    quirks: ClassVar[Mapping[str, str]] = {
        "bare-pascal-case": "answers a created invoice as the vendor's page shows it: 200, bare, in PascalCase",
        "error-in-200": "refuses the invoice under HTTP 200: status 1, nothing stored",
        "stored-error-in-200": "stores the invoice and answers HTTP 200 with status 1",
        "stored-then-400": "stores the invoice and answers 400",
        "half-written": "stores the invoice without its last line and answers 500",
        "unauthorized-html": "refuses the token with a page of HTML under 401",
    }

    def __init__(self) -> None:
        self._invoices: list[Invoice] = []

    def answer(self, request: Request, quirk: str | None = None) -> Reply:
        """The reply to a request below `/api/2.0/crm`."""
        if quirk == "unauthorized-html":
            return text_reply(401, _PAGE.format("Unauthorized"), "text/html")
        if (header(request, "authorization") or "").removeprefix("Bearer ") != TOKEN:
            return text_reply(401, "Unauthorized")
        try:
            return self._routed(request, quirk)
        except Refused as refusal:
            return _refusal(refusal.status, str(refusal))

    def stored(self) -> list[dict[str, Any]]:
        """The invoices, oldest first."""
        return [
            {
                "id": str(invoice["id"]),
                "number": invoice["number"],
                "total": plain(invoice["cost"]),
                "lines": len(invoice["invoiceLines"]),
            }
            for invoice in self._invoices
        ]

    def _routed(self, request: Request, quirk: str | None) -> Reply:
        segments, query = strict.target(request)
        segments = (*segments[:-1], segments[-1].removesuffix(".json"))
        if segments[:3] != _CRM:
            return text_reply(404, _PAGE.format("Not Found"), "text/html")
        if (request.method, segments[3:]) == ("POST", ("invoice",)):
            return self._create(bind(request, query), quirk)
        if request.method == "GET":
            return _answer(200, self._read(segments[3:], query))
        raise Refused("The resource was not found", 404)

    def _read(self, segments: tuple[str, ...], query: Mapping[str, str]) -> object:
        match segments:
            case "invoice", "bynumber":
                return by_number(self._found("number", _number(query)))
            case "invoice", "bynumber", "exist":
                number = _number(query)
                return any(invoice["number"] == number for invoice in self._invoices)
            case "invoice", "tax":
                return taxes()
            case "settings", "currency":
                return [currency(code) for code in CURRENCIES]
            case "invoice", which:
                return self._found("id", which)
        raise Refused("The resource was not found", 404)

    def _create(self, sent: Sent, quirk: str | None) -> Reply:
        check(sent)
        if any(invoice["number"] == sent.number for invoice in self._invoices):
            raise Refused(UNEXPECTED)
        if sent.language is None:
            raise Refused("Column 'language' cannot be null", 500)
        if quirk == "error-in-200":
            return _refusal(200, UNEXPECTED)
        lines = sent.lines[:-1] if quirk == "half-written" else sent.lines
        invoice = invoice_of(len(self._invoices) + 1, sent, lines)
        # There is no transaction: from here on every failure leaves the invoice behind.
        self._invoices.append(invoice)
        if quirk == "half-written":
            raise Refused("Lost connection to MySQL server during query", 500)
        if quirk == "stored-then-400" or not is_culture(sent.language):
            raise Refused(UNEXPECTED)
        if quirk == "stored-error-in-200":
            return _refusal(200, UNEXPECTED)
        if quirk == "bare-pascal-case":
            return json_reply(200, pascal_case(as_created(invoice)))
        return _answer(201, as_created(invoice))

    def _found(self, member: str, wanted: str) -> Invoice:
        for invoice in self._invoices:
            if str(invoice[member]) == wanted:
                return invoice
        raise Refused("The item was not found", 404)


def _number(query: Mapping[str, str]) -> str:
    number = next((text for name, text in query.items() if name.lower() == "number"), "")
    if not number:
        raise Refused(UNEXPECTED)
    return number


def _answer(status: int, response: object) -> Reply:
    count = len(response) if isinstance(response, list) else 1
    return _escaped(json_reply(status, {"count": count, "response": response, "status": 0, "statusCode": status}))


def _refusal(status: int, message: str) -> Reply:
    error = {"message": message, "hresult": -2147024809, "data": {}}
    return _escaped(json_reply(status, {"status": 1, "statusCode": status, "error": error}))


def _escaped(reply: Reply) -> Reply:
    """The server escapes every slash, which in JSON stands in strings only."""
    return structs.replace(reply, body=reply.body.replace(b"/", b"\\/"))
