"""From bytes to an invoice, or to every fault at once.

There is a fast way, one typed decode and a few comparisons, and a slow one that is taken only when something is wrong
or may be: it names each fault by its pointer.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from gateway.core import codes, plainjson, schema, wording
from gateway.core.errors import MOST_FAULTS, Fault, InvalidInvoice, MalformedJson, capped
from gateway.core.invoice import Invoice, Line, Party, Tax
from gateway.core.money import DIGITS, HUNDRED, ZERO, Amount, decode_amount, fits
from gateway.core.totals import STATED, stated

_DECODER = msgspec.json.Decoder(Invoice, dec_hook=decode_amount)
_KEY = re.compile(codes.EXTERNAL_ID)

ExtensionTypes = Mapping[str, tuple[type[Struct] | None, type[Struct] | None]]
"""Dialect name to the struct of its document extension and of its line extension; None where it has none."""


def parse(body: bytes, extension_types: ExtensionTypes, key: str | None = None) -> Invoice:
    """The invoice in `body`; `key` is the `Idempotency-Key` header, which may stand in for `external_id`.

    Raises:
        MalformedJson: `body` is not JSON in UTF-8.
        InvalidInvoice: with every fault at once.
    """
    try:
        body.decode()  # msgspec does not look into what it keeps raw
        invoice = _fast(body, key)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedJson(_place(body, error)) from None
    if invoice is None:
        return _slow(body, extension_types, key)
    if faults := semantic_faults(invoice, extension_types):
        raise invalid(faults)
    return invoice


def recall(canonical: bytes) -> Invoice:
    """The invoice that was kept in its canonical form; it was checked when it came."""
    return _DECODER.decode(canonical)


def _fast(body: bytes, key: str | None) -> Invoice | None:
    """The invoice, or None where something is wrong or may be."""
    try:
        invoice = _DECODER.decode(body)
    except msgspec.ValidationError:
        return None
    if codes.may_hold_control(body):
        return None
    if invoice.external_id:
        return invoice if key is None or key == invoice.external_id else None
    if key is None or _KEY.search(key) is None:
        return None
    return msgspec.structs.replace(invoice, external_id=key)


def _slow(body: bytes, extension_types: ExtensionTypes, key: str | None) -> Invoice:
    """By the schema first, then by what a schema cannot say of all that was not wrong already."""
    document = read_json(body)
    try:
        faults, repaired = schema.examine(document, Invoice)
    except (RecursionError, UnicodeEncodeError) as error:  # an extension so deep, or with half a surrogate pair
        raise MalformedJson(_place(body, error)) from None
    if isinstance(document, dict):
        faults += _key_faults(document, key)
    invoice = msgspec.convert(repaired, Invoice, dec_hook=decode_amount)
    places = frozenset(fault.pointer for fault in faults)
    faults += [fault for fault in semantic_faults(invoice, extension_types) if not _is_below(fault.pointer, places)]
    if faults:
        raise invalid(faults)
    return msgspec.structs.replace(invoice, external_id=invoice.external_id or key or "")


def _is_below(pointer: str, places: frozenset[str]) -> bool:
    """Whether one of `places` is the pointer or holds it."""
    while pointer and pointer not in places:
        pointer = pointer.rpartition("/")[0]
    return pointer in places


def invalid(faults: list[Fault]) -> InvalidInvoice:
    """The problem for `faults`, with a summary that counts them."""
    first = faults[0]
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    return InvalidInvoice(f"{first.pointer or 'the body'}: {first.detail}{more}", tuple(capped(faults)))


def read_json(body: bytes) -> object:
    """The body as plain values, numbers as `plainjson.Number`.

    Raises:
        MalformedJson: `body` is not JSON in UTF-8.
    """
    try:
        return plainjson.read_json(body)
    except (ValueError, RecursionError) as error:
        raise MalformedJson(_place(body, error)) from None


def _place(body: bytes, error: Exception) -> str:
    if body.startswith(b"\xef\xbb\xbf"):
        return "the body starts with a byte order mark"
    if isinstance(error, RecursionError):
        return "the body is nested too deep"
    return f"the body is not JSON in UTF-8: {error}" if body.strip() else "the body is empty"


def _key_faults(document: dict[str, object], key: str | None) -> Iterator[Fault]:
    stated = document.get("external_id")
    if "external_id" not in document and not key:
        yield Fault("/external_id", "missing", "required, here or in the Idempotency-Key header")
    elif "external_id" not in document:
        yield from schema.faults(key, Annotated[str, Meta(pattern=codes.EXTERNAL_ID)], "/external_id")
    elif key is not None and isinstance(stated, str) and stated != key:
        yield Fault("/external_id", "contradiction", "differs from the Idempotency-Key header")


def semantic_faults(invoice: Invoice, extension_types: ExtensionTypes) -> list[Fault]:
    """What a schema cannot say: codes on their lists, dates in order, extensions of known dialects."""
    found = list(_header_faults(invoice))
    if invoice.customer.id is None:
        found.append(Fault("/customer/id", "missing", "required"))
    for name, party in (("customer", invoice.customer), ("supplier", invoice.supplier)):
        if party is not None:
            found += _party_faults(f"/{name}", party, extension_types)
    sound: tuple[Tax, ...] = ()
    for index, line in enumerate(invoice.lines):
        if _is_suspect(line, sound):
            found += _line_faults(f"/lines/{index}", line, extension_types)
        else:
            sound = line.taxes  # most often those of the next lines, too
    for name, adjustments in (("discounts", invoice.discounts), ("charges", invoice.charges)):
        for index, adjustment in enumerate(adjustments):
            found += _tax_faults(f"/{name}/{index}", adjustment.taxes, extension_types)
    if invoice.extensions:
        found += _extension_faults("/extensions", invoice.extensions, extension_types, lambda types: types[0])
    if invoice.currency in DIGITS:
        found += _precision_faults(invoice)
    return found


def _header_faults(invoice: Invoice) -> Iterator[Fault]:
    if invoice.currency not in DIGITS:
        yield wording.unknown("/currency", invoice.currency, DIGITS, "an ISO 4217 code")
    if invoice.due_date is not None and invoice.due_date < invoice.issue_date:
        yield Fault("/due_date", "order", f"is before the issue date, {invoice.issue_date}")
    if invoice.billing_period is not None and invoice.billing_period.end < invoice.billing_period.start:
        yield Fault("/billing_period/end", "order", "is before the start")
    if invoice.exchange_rate is not None and invoice.exchange_rate <= ZERO:
        yield Fault("/exchange_rate", "range", "must be above zero")
    if invoice.recurrence is not None and not any(digit in invoice.recurrence for digit in "123456789"):
        yield Fault("/recurrence", "range", "must be longer than nothing")


def _precision_faults(invoice: Invoice) -> Iterator[Fault]:
    """Amounts of the document must be exact in the currency's minor unit (BR-DEC-01 to BR-DEC-18)."""
    for name, adjustments in (("discounts", invoice.discounts), ("charges", invoice.charges)):
        for index, adjustment in enumerate(adjustments):
            if not fits(adjustment.amount, invoice.digits):
                yield _imprecise(f"/{name}/{index}/amount", adjustment.amount, invoice)
    digits = invoice.digits
    for name, amount in zip(STATED, stated(invoice.totals), strict=True):
        if amount is not None and amount.places > digits:
            yield _imprecise(f"/totals/{name}", amount, invoice)


def _imprecise(pointer: str, amount: Amount, invoice: Invoice) -> Fault:
    detail = f"{amount} has more than the {invoice.digits} decimal places of {invoice.currency}"
    return Fault(pointer, "precision", detail)


def _party_faults(pointer: str, party: Party, dialects: ExtensionTypes) -> Iterator[Fault]:
    for name, address in (("billing_address", party.billing_address), ("shipping_address", party.shipping_address)):
        if address is not None and address.country is not None and address.country not in codes.COUNTRIES:
            place = f"{pointer}/{name}/country"
            yield wording.unknown(place, address.country, codes.COUNTRIES, "an ISO 3166-1 alpha-2 code")
    if party.identifiers:
        yield from _scheme_faults(pointer, party.identifiers, dialects)


def _is_suspect(line: Line, sound: tuple[Tax, ...]) -> bool:
    """Whether a line has anything that `_line_faults` could find fault with; most have not. `sound` taxes are none."""
    if line.extensions or line.item.identifiers or line.discounts or line.charges:
        return True
    return line.taxes != sound and any(tax.identifiers or not _is_sound(tax) for tax in line.taxes)


def _is_sound(tax: Tax) -> bool:
    return not tax.rate or (ZERO < tax.rate <= HUNDRED and tax.category not in _UNTAXED)


def _line_faults(pointer: str, line: Line, dialects: ExtensionTypes) -> Iterator[Fault]:
    if line.item.identifiers:
        yield from _scheme_faults(f"{pointer}/item", line.item.identifiers, dialects)
    if line.taxes:
        yield from _tax_faults(pointer, line.taxes, dialects)
    for name, adjustments in (("discounts", line.discounts), ("charges", line.charges)):
        for index, adjustment in enumerate(adjustments):
            if adjustment.taxes and adjustment.taxes != line.taxes:
                place = f"{pointer}/{name}/{index}/taxes"
                yield Fault(place, "contradiction", "a discount or charge of a line takes the taxes of its line")
    if line.extensions:
        yield from _extension_faults(f"{pointer}/extensions", line.extensions, dialects, lambda types: types[1])


# The categories that have no tax by definition (BR-Z-05, BR-E-05, BR-AE-05, BR-IC-05, BR-G-05, BR-O-05).
_UNTAXED = frozenset(("Z", "E", "AE", "K", "G", "O"))


def _tax_faults(pointer: str, taxes: tuple[Tax, ...], dialects: ExtensionTypes) -> Iterator[Fault]:
    for index, tax in enumerate(taxes):
        place = f"{pointer}/taxes/{index}"
        if tax.rate < ZERO or tax.rate > 100:
            yield Fault(f"{place}/rate", "range", "must be a percentage from 0 to 100")
        elif tax.rate and tax.category in _UNTAXED:
            yield Fault(f"{place}/rate", "contradiction", f"category {tax.category} has the rate 0")
        if tax.identifiers:
            yield from _scheme_faults(place, tax.identifiers, dialects)


def _scheme_faults(pointer: str, identifiers: Mapping[str, str], dialects: ExtensionTypes) -> Iterator[Fault]:
    for scheme in identifiers:
        if scheme not in dialects and codes.ICD.match(scheme) is None:
            place = f"{pointer}/identifiers/{wording.escape(scheme)}"
            yield wording.unknown(place, scheme, dialects, "an ISO 6523 code such as 0088, or a dialect")


def _extension_faults(
    pointer: str,
    extensions: Mapping[str, Raw],
    dialects: ExtensionTypes,
    pick: Callable[[tuple[type[Struct] | None, type[Struct] | None]], type[Struct] | None],
) -> Iterator[Fault]:
    for index, (name, raw) in enumerate(extensions.items()):
        place = f"{pointer}/{wording.escape(name)}"
        if name not in dialects:
            yield wording.unknown(
                place, name, dialects if index < MOST_FAULTS else (), "a dialect"
            )  # it takes its time
        elif (kind := pick(dialects[name])) is None:
            yield Fault(place, "unknown-field", f"the dialect {name} has no extension here")
        else:
            yield from schema.faults(read_json(bytes(raw)), kind, place)
