"""Bodies that are as large as one may be: each has much of one thing, for whatever takes time by the square of it."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tests.support.running import invoice

MEBIBYTE = 1_048_576
TAX = {"category": "S", "rate": "20"}
LINE = {"id": "1", "item": {"id": "labour"}, "quantity": "1", "unit_price": "1.00"}
TAXED = {**LINE, "taxes": [TAX]}
WRONG: tuple[tuple[str, Any], ...] = (
    *(("quantity", 1), ("unit_price", "1e5"), ("lines", []), ("item", {"id": ""}), ("unit", "x" * 400), ("id", None)),
)
DIALECTS = ("mykaarma", "katsupay", "exsited", "onlyoffice", "chargeover")


def _large(dialect: str, **changes: Any) -> bytes:
    """The demo's invoice without its totals, changed; no longer than a body may be."""
    body = json.dumps(invoice(dialect, totals=None, **changes), separators=(",", ":")).encode()
    assert len(body) <= MEBIBYTE, len(body)
    return body


def _lines(dialect: str, count: int = 1000) -> bytes:
    return _large(dialect, lines=[{**TAXED, "id": str(number)} for number in range(count)])


def _adjusted(dialect: str, name: str, **more: Any) -> bytes:
    """A thousand lines, and as many discounts or charges of the document as there is room for."""
    rates = [{**TAXED, "taxes": [{**TAX, "rate": f"{number % 97}.{number % 89}"}]} for number in range(1000)]
    one = {"amount": "0.01", **more}
    many = (MEBIBYTE - 160_000) // (len(json.dumps(one)) + 1)
    return _large(dialect, lines=rates, **{name: [one] * many})


def _rates(dialect: str) -> bytes:
    """As many discounts as there is room for, each with a tax of its own, on prices that include it."""
    taxed = [
        {"amount": "0.01", "taxes": [{"category": "S", "rate": f"{1 + number % 97}.{1 + number // 97}"}]}
        for number in range(15_000)
    ]
    return _large(dialect, prices_include_tax=True, discounts=taxed)


def _line_discounts(dialect: str) -> bytes:
    one = {"amount": "0.01", "percent": "1"}
    return _large(dialect, lines=[{**TAXED, "discounts": [one] * 25_000}])


def _taxes(dialect: str) -> bytes:
    """One line with very many taxes."""
    return _large(dialect, lines=[{**LINE, "taxes": [{**TAX, "rate": f"{n % 97}.{1 + n}"} for n in range(20_000)]}])


def _keys(holder: str) -> bytes:
    """One object with very many members that it does not know."""
    many = {f"chargeove{number}": "x" for number in range(45_000)}
    return _large("chargeover", **({holder: many} if holder else many))


def _identifiers() -> bytes:
    schemes = {f"chargeove{number}": "x" for number in range(20)}
    return _large("chargeover", lines=[{**LINE, "item": {"id": "1", "identifiers": schemes}}] * 1000)


def _broken(field: str, value: Any) -> bytes:
    """A thousand lines, each wrong in the same way."""
    return _large("chargeover", lines=[{**LINE, field: value}] * 1000)


def _nested(opened: bytes, closed: bytes, depth: int) -> bytes:
    inner = opened * depth + b"1" + closed * depth
    return _large("chargeover").replace(b'"metadata":{', b'"extensions":{"chargeover":' + inner + b'},"metadata":{')


def _text(unit: str) -> bytes:
    """A note of one sign, as long as there is room for."""
    written = json.dumps(unit)[1:-1]
    return _large("chargeover", note="@").replace(
        b'"@"', b'"' + (written * (1_040_000 // len(written))).encode() + b'"'
    )


def _number(digits: int) -> bytes:
    return _large("chargeover").replace(b'"quantity":"2"', b'"quantity":' + b"9" * digits)


def _same_key(count: int) -> bytes:
    return b"{" + b",".join([b'"currency":"USD"'] * count) + b"}"


def _all() -> Iterator[Callable[[], bytes]]:
    for name in DIALECTS:
        yield partial(_lines, name)
        yield partial(_adjusted, name, "discounts")
        yield partial(_adjusted, name, "charges", percent="0.01", taxes=[TAX])
        yield from (partial(make, name) for make in (_rates, _line_discounts, _taxes))
    yield from (partial(_lines, "exsited", count) for count in (1001, 9000))
    yield from (partial(_keys, holder) for holder in ("", "customer", "labels", "metadata", "extensions"))
    yield _identifiers
    yield from (partial(_text, unit) for unit in ("x", "\x07", "\ud800", '"', "ß", "\U0001f9fe", "/", "\n"))
    yield from (partial(_number, digits) for digits in (4301, 1_000_000))
    yield partial(_same_key, 60_000)
    for field, value in WRONG:
        yield partial(_broken, field, value)
    for opened, closed in ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"":', b"}]")):
        yield from (partial(_nested, opened, closed, depth) for depth in (300, 900, 1100, 100_000))
    yield from (partial(_repeated, unit, MEBIBYTE // len(unit)) for unit in (b"[", b'{"a":', b" ", b"[0,"))


def _repeated(unit: bytes, count: int) -> bytes:
    return unit * count


GIANTS = tuple(_all())
"""Each makes one; that takes its time too."""
