"""Totals of an invoice: computed by EN 16931's rules and checked against what the caller stated. Exact decimals.

Source: EN 16931-1 BR-CO-10 to BR-CO-17 and contract 1; rounding half up at the currency's ISO 4217 exponent.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from operator import attrgetter

from msgspec import Struct

from gateway.core.errors import Fault, TotalsMismatch
from gateway.core.invoice import Adjustment, Invoice, Line, Tax
from gateway.core.money import HUNDRED, LIMIT, ZERO, exact, plain, rounded, total

Rates = tuple[tuple[str, Decimal], ...]
"""The taxes of a line: (category, rate) pairs."""


class TaxGroup(Struct, frozen=True):
    """The tax of one (category, rate) over the document (BG-23)."""

    category: str
    rate: Decimal
    taxable: Decimal
    tax: Decimal


class Totals(Struct, frozen=True):
    """All totals of an invoice at its currency's exponent; `lines` are the net amounts (BT-131) in their order."""

    lines: tuple[Decimal, ...]
    tax_groups: tuple[TaxGroup, ...]
    line_total: Decimal
    discount_total: Decimal
    charge_total: Decimal
    tax_exclusive_total: Decimal
    tax_total: Decimal
    tax_inclusive_total: Decimal
    prepaid_total: Decimal
    rounding: Decimal
    amount_due: Decimal


STATED = (
    "line_total",
    "discount_total",
    "charge_total",
    "tax_exclusive_total",
    "tax_total",
    "tax_inclusive_total",
    "prepaid_total",
    "rounding",
    "amount_due",
)
stated = attrgetter(*STATED)
"""The figures by these names."""


def line_amount(line: Line) -> Decimal:
    """Quantity x unit price, less discounts, plus charges: unrounded, gross where prices include tax."""
    amount = line.quantity * line.unit_price
    if line.discounts:
        amount -= total(discount.amount for discount in line.discounts)
    if line.charges:
        amount += total(charge.amount for charge in line.charges)
    return amount


def checked_totals(invoice: Invoice) -> Totals:
    """The totals, after every stated one was found to agree.

    Raises:
        TotalsMismatch: with each figure that does not agree, expected and received.
    """
    with exact():
        totals = compute(invoice)
        if faults := list(_faults(invoice, totals)):
            more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
            raise TotalsMismatch(f"{faults[0].pointer}: {faults[0].detail}{more}", tuple(faults))
    return totals


def compute(invoice: Invoice) -> Totals:
    """The totals; to be called within `money.exact()`."""
    digits = invoice.digits
    amounts = [rounded(line_amount(line), digits) for line in invoice.lines]
    entries = [(line.taxes, amount) for line, amount in zip(invoice.lines, amounts, strict=True)]
    entries += [(discount.taxes, -discount.amount) for discount in invoice.discounts]
    entries += [(charge.taxes, charge.amount) for charge in invoice.charges]
    if invoice.prices_include_tax:
        nets, taxed = _without_tax([(_rates(taxes), amount) for taxes, amount in entries], len(amounts), digits)
    else:
        nets, taxed = [amount for _, amount in entries], _with_tax(entries, digits)
    first, second = len(amounts), len(amounts) + len(invoice.discounts)
    lines, discounts, charges = nets[:first], nets[first:second], nets[second:]
    tax_exclusive = total(nets)
    tax = total(group.tax for group in taxed)
    prepaid = rounded(invoice.totals.prepaid_total or ZERO, digits)
    rounding = rounded(invoice.totals.rounding or ZERO, digits)
    zero = rounded(ZERO, digits)
    return Totals(
        lines=tuple(lines),
        tax_groups=tuple(taxed),
        line_total=total(lines),
        discount_total=zero - total(discounts),
        charge_total=zero + total(charges),
        tax_exclusive_total=tax_exclusive,
        tax_total=zero + tax,
        tax_inclusive_total=tax_exclusive + tax,
        prepaid_total=prepaid,
        rounding=rounding,
        amount_due=tax_exclusive + tax - prepaid + rounding,
    )


def _rates(taxes: tuple[Tax, ...]) -> Rates:
    return tuple((tax.category, tax.rate) for tax in taxes)


def _with_tax(entries: Iterable[tuple[tuple[Tax, ...], Decimal]], digits: int) -> list[TaxGroup]:
    """Tax on net amounts (BR-CO-17): per group, so that cents of single lines do not add up."""
    taxable: dict[tuple[str, Decimal], Decimal] = defaultdict(Decimal)
    for taxes, amount in entries:
        for tax in taxes:
            taxable[tax.category, tax.rate] += amount
    return [
        TaxGroup(category, rate, base, rounded(base * rate / HUNDRED, digits))
        for (category, rate), base in taxable.items()
    ]


def _without_tax(entries: list[tuple[Rates, Decimal]], lines: int, digits: int) -> tuple[list[Decimal], list[TaxGroup]]:
    """Net amounts and tax out of gross amounts, per set of rates; a remainder of cents goes to the largest line."""
    nets = [amount for _, amount in entries]
    bases: dict[tuple[str, Decimal], Decimal] = defaultdict(Decimal)
    taxes: dict[tuple[str, Decimal], Decimal] = defaultdict(Decimal)
    alike: dict[Rates, list[int]] = defaultdict(list)
    for index, (rates, _) in enumerate(entries):
        if rates:
            alike[rates].append(index)
    for rates, members in alike.items():
        gross = total(entries[index][1] for index in members)
        divisor = HUNDRED + total(rate for _, rate in rates)
        parts = [rounded(gross * rate / divisor, digits) for _, rate in rates]
        net = gross - total(parts)
        for index in members:
            nets[index] = rounded(entries[index][1] * HUNDRED / divisor, digits)
        largest = max(members, key=lambda index: (index < lines, abs(entries[index][1]), -index))
        nets[largest] += net - total(nets[index] for index in members)
        for rate, part in zip(rates, parts, strict=True):
            bases[rate] += net
            taxes[rate] += part
    groups = [TaxGroup(category, rate, bases[category, rate], tax) for (category, rate), tax in taxes.items()]
    return nets, sorted(groups, key=lambda group: (group.category, group.rate))


def _faults(invoice: Invoice, totals: Totals) -> Iterator[Fault]:
    for index, (line, net) in enumerate(zip(invoice.lines, totals.lines, strict=True)):
        if not -LIMIT < net < LIMIT:
            yield Fault(f"/lines/{index}", "too-large", f"the net amount {plain(net)} has more than 15 digits")
        if line.net_amount is not None and line.net_amount != net:
            yield _mismatch(f"/lines/{index}/net_amount", net, line.net_amount)
        if line.discounts or line.charges:
            base = line.quantity * line.unit_price
            yield from _percent_faults(f"/lines/{index}/discounts", line.discounts, (base,), invoice.digits)
            yield from _percent_faults(f"/lines/{index}/charges", line.charges, (base,), invoice.digits)
    yield from _document_percent_faults(invoice)
    for name, received, expected in zip(STATED, stated(invoice.totals), stated(totals), strict=True):
        if received is not None and received != expected:
            yield _mismatch(f"/totals/{name}", expected, received)
    if abs(totals.amount_due) >= LIMIT or abs(totals.tax_inclusive_total) >= LIMIT:
        yield Fault("/totals/amount_due", "too-large", f"{plain(totals.amount_due)} has more than 15 digits")


def _mismatch(pointer: str, expected: Decimal, received: Decimal) -> Fault:
    return Fault(pointer, "mismatch", f"expected {plain(expected)}, received {plain(received)}")


def _document_percent_faults(invoice: Invoice) -> Iterator[Fault]:
    """A percentage of the document can be of all lines, or of the lines with the adjustment's own taxes."""
    if all(each.percent is None for each in (*invoice.discounts, *invoice.charges)):
        return
    whole, alike = ZERO, defaultdict[Rates, Decimal](Decimal)
    for line in invoice.lines:
        amount = rounded(line_amount(line), invoice.digits)
        whole += amount
        alike[_rates(line.taxes)] += amount
    for name, adjustments in (("discounts", invoice.discounts), ("charges", invoice.charges)):
        for index, adjustment in enumerate(adjustments):
            bases = (whole, alike.get(_rates(adjustment.taxes), ZERO))
            yield from _percent_faults(f"/{name}", (adjustment,), bases, invoice.digits, index)


def _percent_faults(
    pointer: str, adjustments: tuple[Adjustment, ...], bases: tuple[Decimal, ...], digits: int, first: int = 0
) -> Iterator[Fault]:
    for index, adjustment in enumerate(adjustments, first):
        if adjustment.percent is None:
            continue
        exactly = [base * adjustment.percent / HUNDRED for base in bases]
        if not any(adjustment.amount in (amount, rounded(amount, digits)) for amount in exactly):
            expected = plain(rounded(exactly[0], digits))
            detail = f"{plain(adjustment.percent)} % is {expected}, received {plain(adjustment.amount)}"
            yield Fault(f"{pointer}/{index}/amount", "mismatch", detail)
