"""The invoice of a sample: what it says, and the least that an invoice needs beside it. For `check` and its tests."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect

from gateway.core.config import Sample
from gateway.core.errors import Fault
from gateway.core.invoice import Invoice
from gateway.core.money import encode_amount, plain
from gateway.core.parse import ExtensionTypes, invalid, parse
from gateway.core.placeholder import placeholder
from gateway.core.point import below, kin
from gateway.core.region import KEYED, MANDATORY, listed
from gateway.core.routing import PATHS
from gateway.core.wording import nearest, quoted

Document = dict[str, Any]
_LISTS = ("lines", "discounts", "charges", "taxes")
_ZERO = ("amount", "percent", "rate", "discount_total", "charge_total", "tax_total", "prepaid_total", "rounding")
_TOTALS = ("line_total", "tax_exclusive_total", "tax_inclusive_total", "amount_due", "net_amount")
_WORDS: Mapping[str, object] = {
    "exchange_rate": "1",
    "prices_include_tax": True,
    "send": True,
    "category": "Z",
    "country": "US",
    "unit": "C62",
    "recurrence": "P1M",
    "language": "en",
    "identifiers": {"0088": "x"},
}
_DATES = ("due_date", "start", "end")


def invoice_of(sample: Sample, types: ExtensionTypes, own: Mapping[str, object] | None = None) -> Invoice:
    """The invoice; `own` has values for single leaves in place of the plain ones.

    Raises:
        InvalidInvoice: the sample says something that no invoice can say.
    """
    paths = listed(sample.has)
    unknown = [path for path in paths if path not in PATHS and not path.startswith(KEYED)]
    if unknown:
        raise invalid([Fault("", "unknown-path", f"{quoted(path)} is no field of an invoice{nearest(path, PATHS)}")
                       for path in unknown])  # fmt: skip
    leaves = dict.fromkeys(one for path in paths for one in kin(below(path)[0]))
    found = _base(sample)
    for leaf in leaves:
        if leaf not in MANDATORY:
            _put(found, leaf, _value(leaf, sample, types))
    for leaf, value in (own or {}).items():
        _put(found, leaf, value)
    _agree(found)
    return parse(msgspec.json.encode(found, enc_hook=encode_amount), types)


def _base(sample: Sample) -> Document:
    found: Document = {
        "external_id": sample.external_id or "sample",
        "issue_date": sample.issue_date,
        "currency": sample.currency,
        "customer": {"id": sample.customer},
        "lines": [{"id": "1", "item": {"id": "item"}, "quantity": "1", "unit_price": plain(sample.amount)}],
    }
    if sample.country is not None:
        found["customer"]["billing_address"] = {"country": sample.country}
    if sample.supplier is not None:
        found["supplier"] = {"id": sample.supplier}
    return found | ({"labels": dict(sample.labels)} if sample.labels else {})


def _value(leaf: str, sample: Sample, types: ExtensionTypes) -> object:
    name = leaf.rpartition(".")[2]
    if leaf.startswith(KEYED):
        return "x"
    if name == "extensions":
        return _extension(types, 0 if leaf == name else 1)
    if name in _DATES:
        return sample.issue_date
    if name in _ZERO:
        return "0"
    return plain(sample.amount) if name in _TOTALS else _WORDS.get(name, "x")


def _extension(types: ExtensionTypes, which: int) -> Document:
    """The least extension of the first dialect that has one."""
    made = [(name, kinds[which]) for name, kinds in types.items() if kinds[which] is not None]
    return {name: placeholder(inspect.type_info(kind)) for name, kind in made[:1]}


def _put(found: Document, leaf: str, value: object) -> None:
    """Set a leaf; discounts and charges of a line have lines of their own, since they share its taxes."""
    if leaf.startswith(KEYED):
        name, _, key = leaf.partition(".")
        found.setdefault(name, {}).setdefault(key, value)
        return
    *path, last = leaf.split(".")
    node = found
    for name in path:
        if name == "lines":
            node = _line(found, ".".join(path[1:2]))
        elif name in _LISTS:
            node = node.setdefault(name, [{}])[0]
        else:
            node = node.setdefault(name, {})
    node[last] = value


def _line(found: Document, kind: str) -> Document:
    """The line of that kind; the first has the money."""
    lines: list[Document] = found["lines"]
    if kind not in _LISTS[1:3]:
        return lines[0]
    for line in lines[1:]:
        if kind in line:
            return line
    lines.append({"id": str(len(lines) + 1), "item": {"id": "item"}, "quantity": "1", "unit_price": "0", kind: [{}]})
    return lines[-1]


def _agree(found: Document) -> None:
    """A discount or charge of a line takes the taxes of its line."""
    for line in found["lines"]:
        for kind in _LISTS[1:3]:
            if taxes := [one for each in line.get(kind, ()) for one in each.get("taxes", ())]:
                line["taxes"] = taxes
