"""How values are written for upstreams, the same for every dialect: bodies, and prices that keep a line's net."""

from decimal import Decimal

import msgspec
from msgspec import Struct

from gateway.core.dialect import Draft
from gateway.core.money import fits, plain, rounded

_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=Decimal)

JSON = (("content-type", "application/json"), ("accept", "application/json"))
"""The headers of a request with a JSON body."""


def body(struct: Struct) -> bytes:
    """A request body: decimals as exact JSON numbers, and what is absent omitted (the structs omit defaults)."""
    return _ENCODER.encode(struct)


def price(draft: Draft, index: int, places: int, whole: bool = False, fine: bool = False) -> tuple[Decimal, Decimal]:
    """Quantity and unit price that multiply to the line's net amount exactly, folding where nothing else will do.

    `places` are the decimals that the API keeps of a price (and of a quantity, unless it must be `whole`); `fine`: it
    takes finer prices as long as the product is exact. Discounts, charges and included tax are folded into the price;
    a quantity that is not whole becomes 1 x the net amount. What cannot be said exactly is refused.
    """
    line, net = draft.invoice.lines[index], draft.totals.lines[index]
    quantity, unit_price = line.quantity, line.unit_price
    sayable = fits(quantity, 0 if whole else places)
    adjusted = bool(line.discounts or line.charges)
    if sayable and not adjusted and (fine or fits(unit_price, places)) and quantity * unit_price == net:
        return quantity, unit_price
    fractional = not fits(quantity, 0)
    if (adjusted or draft.invoice.prices_include_tax) and sayable and quantity:
        inner = net / quantity
        if fits(inner, places) and inner * quantity == net:
            _note_folded(draft, index, "unit_price")
            return quantity, rounded(inner, places)
    if fractional and fits(net, places):
        _note_folded(draft, index, "quantity", "unit_price")
        return Decimal(1), rounded(net, places)
    _refuse_inexact(draft, index, places)
    return Decimal(1), net


def _note_folded(draft: Draft, index: int, *names: str) -> None:
    line, net = draft.invoice.lines[index], draft.totals.lines[index]
    into = "price" if names == ("unit_price",) else f"1 x {plain(net)}"
    wire = draft.upstream.dialect.fates["/lines/*/unit_price"].wire
    for name in names:
        draft.lose(f"/lines/{index}/{name}", "folded", wire, f"folded into {into}")
    for kind, adjustments in (("discounts", line.discounts), ("charges", line.charges)):
        for position in range(len(adjustments)):
            draft.lose(f"/lines/{index}/{kind}/{position}/amount", "folded", wire, f"folded into {into}")
    if draft.invoice.prices_include_tax:
        draft.lose("/prices_include_tax", "folded", wire, "prices are sent without tax")


def _refuse_inexact(draft: Draft, index: int, places: int) -> None:
    line, net = draft.invoice.lines[index], draft.totals.lines[index]
    detail = f"{plain(line.quantity)} x a price of {places} decimal places cannot be {plain(net)}"
    causes = [name for name in ("discounts", "charges") if getattr(line, name)] or ["unit_price"]
    for name in causes:
        draft.refuse(f"/lines/{index}/{name}", "inexact", detail)
    if draft.invoice.prices_include_tax:
        draft.refuse("/prices_include_tax", "inexact", detail)
