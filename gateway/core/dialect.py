"""The contract of a mapping: what a module in `mappings/` has to say about the API whose dialect it speaks.

A mapping is one value, `DIALECT`. Its functions are pure: `translate` decides before anything is sent, `create` and
`lookup` are conversations that are fed with what was seen. Shared code never asks which dialect it has.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

import msgspec
from msgspec import Struct

from gateway.core.crosswalk import Crosswalk, Entry
from gateway.core.errors import Fault, Untranslatable
from gateway.core.exchange import UNAUTHORIZED, Conversation, Request, Search
from gateway.core.invoice import Adjustment, Invoice, Tax
from gateway.core.loss_finder import loss_finder
from gateway.core.losses import Fate, expand
from gateway.core.money import ZERO, decode_amount, exact, plain, rate_text
from gateway.core.result import Disposition, Loss, Stated
from gateway.core.totals import Totals
from gateway.core.wording import quoted

Protection = Literal["enforced", "lookup", "none"]
"""How a second creation is prevented: by the API itself, by asking it, or only by a person."""


class Translation(Struct, frozen=True):
    """An invoice in a dialect: the first request, and what is needed to judge and to find what it created.

    `claim` is what the upstream will claim, None where it decides that itself; `reference` are the words by which
    `lookup` recognises the invoice.
    """

    request: Request
    claim: Decimal | None
    expected: Stated
    losses: tuple[Loss, ...]
    reference: Mapping[str, str] = {}


class Dialect(Struct, frozen=True, dict=True):
    """One way to say invoices.

    `fields` gives each canonical field's fate, `crosswalks` the kinds of ids it translates (true: cannot do without),
    `settle` the seconds after its timeout in which an absent invoice may still appear, `unauthorized` the statuses by
    which the API turns a request away unread, `closes_on` those after which its connection must not be used again.
    """

    name: str
    api: str
    endpoint: str
    auth: tuple[str, ...]
    settings: type[Struct]
    extension: type[Struct] | None
    fields: Mapping[str, Fate]
    crosswalks: Mapping[str, bool]
    protection: Protection
    money_rule: str
    translate: Callable[["Draft"], Translation]
    create: Callable[[Translation, bool], Conversation]
    line_extension: type[Struct] | None = None
    lookup: Callable[[Translation], Search] | None = None
    settle: float = 0.0
    unauthorized: frozenset[int] = UNAUTHORIZED
    closes_on: frozenset[int] = frozenset()

    @cached_property
    def fates(self) -> dict[str, Fate]:
        """The fate of every canonical field."""
        return expand(self.fields)

    @cached_property
    def declared_losses(self) -> Callable[[Invoice], list[Loss]]:
        """The losses of an invoice that follow from the declared fates."""
        return loss_finder(self.fates)

    @cached_property
    def no_extension(self) -> Struct | None:
        """The extension of an invoice that has none: every field absent."""
        return None if self.extension is None else self.extension()

    @cached_property
    def extension_decoders(self) -> tuple[Callable[[bytes], Struct] | None, Callable[[bytes], Struct] | None]:
        """Decoders of the document's and the lines' extension, None where there is none."""
        document, line = (
            None if kind is None else msgspec.json.Decoder(kind, dec_hook=decode_amount).decode
            for kind in (self.extension, self.line_extension)
        )
        return document, line


class Upstream(Struct, frozen=True):
    """A configured counterpart; `settle` is its dialect's, unless the operator knows better."""

    name: str
    dialect: Dialect
    settings: Any
    crosswalk: Crosswalk = Crosswalk()
    settle: float = 0.0


def translate(invoice: Invoice, totals: Totals, upstream: Upstream) -> Translation:
    """The invoice in the upstream's dialect, with every loss.

    Raises:
        Untranslatable: with every reason at once.
    """
    with exact():
        return upstream.dialect.translate(Draft(invoice, totals, upstream))


class Draft:
    """An invoice on its way into a dialect: what a mapping reads, and where it notes losses and refusals."""

    def __init__(self, invoice: Invoice, totals: Totals, upstream: Upstream) -> None:
        self.invoice = invoice
        self.totals = totals
        self.upstream = upstream
        self.settings: Any = upstream.settings
        self.losses: list[Loss] = upstream.dialect.declared_losses(invoice)
        self.faults: list[Fault] = []

    def extension(self) -> Any:  # noqa: ANN401 - the dialect's own struct
        """The dialect's extension of the document; one without any field set where the caller sent none."""
        dialect = self.upstream.dialect
        raw, decode = self.invoice.extensions.get(dialect.name), dialect.extension_decoders[0]
        return dialect.no_extension if raw is None or decode is None else decode(bytes(raw))

    def line_extension(self, index: int) -> Any:  # noqa: ANN401 - the dialect's own struct
        """The dialect's extension of a line; None where the caller sent none."""
        extensions = self.invoice.lines[index].extensions
        if not extensions:
            return None
        dialect = self.upstream.dialect
        raw, decode = extensions.get(dialect.name), dialect.extension_decoders[1]
        return None if raw is None or decode is None else decode(bytes(raw))

    def lose(self, pointer: str, disposition: Disposition, wire: str | None, detail: str) -> None:
        """Note a loss that depends on the invoice or the settings; the declared ones are noted already."""
        self.losses.append(Loss(pointer, disposition, wire, detail))

    def refuse(self, pointer: str, code: str, detail: str) -> None:
        """Note a reason why the dialect cannot carry the invoice; translating goes on to find the others."""
        self.faults.append(Fault(pointer, code, detail))

    def find(self, kind: str, pointer: str, key: str, identifiers: Mapping[str, str] | None = None) -> Entry:
        """The upstream's id for the caller's `key`: the party's own identifier, else the crosswalk's entry."""
        own = identifiers.get(self.upstream.dialect.name) if identifiers else None
        entry = self.upstream.crosswalk.find(kind, key) if own is None else Entry(own)
        if entry is None:
            table = f"[upstreams.{self.upstream.name}.crosswalk.{kind}]"
            self.refuse(pointer, "no-crosswalk-entry", f"{table} has no entry for {quoted(key)}")
            return Entry(0)
        return entry

    def find_text(self, kind: str, pointer: str, key: str, identifiers: Mapping[str, str] | None = None) -> str:
        """As `find`, for an API whose id is text."""
        return str(self.find(kind, pointer, key, identifiers).id)

    def find_number(self, kind: str, pointer: str, key: str, identifiers: Mapping[str, str] | None = None) -> int:
        """As `find`, for an API whose id is a whole number."""
        return self.number(pointer, self.find(kind, pointer, key, identifiers).id)

    def number(self, pointer: str, own: int | str) -> int:
        """An id as a whole number; refused where it is none."""
        if isinstance(own, int):
            return own
        if not (own.isascii() and own.isdigit() and len(own) <= 18):
            self.refuse(pointer, "not-a-number", f"the upstream's id must be a whole number, not {quoted(own)}")
            return 0
        return int(own)

    def find_tax(self, pointer: str, tax: Tax) -> Entry | None:
        """The upstream's tax of the same rate: by the tax's id, else by category and rate such as `S:20`.

        None for a tax of rate 0 that the crosswalk does not have: it adds nothing.
        """
        rated = f"{tax.category}:{rate_text(tax.rate)}"
        key = tax.id or rated
        if self.upstream.dialect.name not in tax.identifiers:
            crosswalk = self.upstream.crosswalk
            if tax.id is not None and not crosswalk.find("taxes", key) and crosswalk.find("taxes", rated):
                self.lose(f"{pointer}/id", "dropped", None, f"the crosswalk has the tax as {rated}")
                key = rated
            if not tax.rate and not crosswalk.find("taxes", key):
                self.lose(
                    f"{pointer}/category", "dropped", None, f"the crosswalk has no tax {key}, and it adds nothing"
                )
                return None
        entry = self.find("taxes", pointer, key, tax.identifiers)
        if entry.rate is not None and entry.rate != tax.rate:
            rates = f"{plain(entry.rate)} %, the invoice says {plain(tax.rate)} %"
            self.refuse(f"{pointer}/rate", "money", f"the upstream's tax {entry.id} is {rates}")
        return entry

    def claims(self, predicted: Decimal, expected: Decimal, *causes: str) -> None:
        """The money rule: refuse unless what the upstream will claim is exactly what the invoice says."""
        if self.totals.amount_due < ZERO:
            self.refuse("/totals/amount_due", "negative", f"{plain(self.totals.amount_due)} is below zero")
        if predicted != expected and not self.faults:
            name = self.upstream.name
            detail = f"{name} would claim {plain(predicted)}, the invoice says {plain(expected)}"
            for pointer in causes or ("/totals/amount_due",):
                self.refuse(pointer, "money", detail)

    def only_zero(self, *names: str) -> None:
        """Refuse totals that the API cannot say unless they are zero."""
        for name in names:
            if getattr(self.totals, name) != ZERO:
                self.refuse(f"/totals/{name}", "money", "the API cannot say it, and the claim would be another")

    def only_none(self, name: str, adjustments: tuple[Adjustment, ...], why: str) -> None:
        """Refuse discounts or charges of the document that the API cannot say."""
        for index in range(len(adjustments)):
            self.refuse(f"/{name}/{index}", "money", why)

    def translation(
        self, request: Request, claim: Decimal | None, expected: Stated, reference: Mapping[str, str] | None = None
    ) -> Translation:
        """The finished translation.

        Raises:
            Untranslatable: something was refused.
        """
        if self.faults:
            first, more = self.faults[0], len(self.faults) - 1
            detail = f"{self.upstream.name} cannot carry it: {first.pointer}: {first.detail}"
            raise Untranslatable(detail + (f", and {more} more" if more else ""), tuple(self.faults))
        return Translation(request, claim, expected, tuple(dict.fromkeys(self.losses)), reference or {})
