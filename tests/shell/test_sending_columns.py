"""Invoices in CSV: paths for names, text for cells, and every fault of a header at once."""

import csv
import json
from typing import Any

import pytest

from gateway.core.errors import InvalidInvoice
from gateway.core.parse import parse
from gateway.shell.sending.columns import columns, delimiter, invoice


def said(header: str, *rows: str) -> Any:
    """The invoice that a CSV says."""
    found = columns(next(csv.reader([header])))
    return json.loads(invoice(found, list(csv.reader(rows))))


def test_a_row_is_a_whole_invoice() -> None:
    """Lines, taxes and maps by their paths; what it says is a canonical invoice, amounts as they were written."""
    found = said(
        "external_id,issue_date,currency,customer.id,customer.identifiers.0088,labels.product,prices_include_tax,"
        "delivery.send,lines.0.id,lines.0.item.id,lines.0.quantity,lines.0.unit_price,lines.0.taxes.0.category,"
        "lines.0.taxes.0.rate,totals.amount_due,lines.0.description",
        'a:1,2026-06-30,USD,acct-88,4012345,fleet,TRUE,false,1,labour,2,95.00,S,20,190.00,"Brakes, front"',
    )
    assert found == {
        "external_id": "a:1",
        "issue_date": "2026-06-30",
        "currency": "USD",
        "customer": {"id": "acct-88", "identifiers": {"0088": "4012345"}},
        "labels": {"product": "fleet"},
        "prices_include_tax": True,
        "delivery": {"send": False},
        "lines": [
            {
                "id": "1",
                "item": {"id": "labour"},
                "quantity": "2",
                "unit_price": "95.00",
                "taxes": [{"category": "S", "rate": "20"}],
                "description": "Brakes, front",
            }
        ],
        "totals": {"amount_due": "190.00"},
    }
    assert parse(json.dumps(found).encode(), {}).external_id == "a:1"


def test_empty_cells_are_absent() -> None:
    """A second line without a cell is none; a number in the header names an order, not a place."""
    header = "external_id,note,lines.10.id,lines.2.id,lines.7.id"
    assert said(header, "a,,ten,two,") == {"external_id": "a", "lines": [{"id": "two"}, {"id": "ten"}]}
    assert said(header, "a") == {"external_id": "a"}


def test_rows_of_one_invoice_are_its_lines() -> None:
    """With `lines.*`; the others say the same as the first row or nothing."""
    header = "external_id,note,lines.*.id,lines.*.taxes.0.rate"
    assert said(header, "a,thanks,1,20", "a,,2,", "a,thanks,3,7") == {
        "external_id": "a",
        "note": "thanks",
        "lines": [{"id": "1", "taxes": [{"rate": "20"}]}, {"id": "2"}, {"id": "3", "taxes": [{"rate": "7"}]}],
    }


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12", 12),
        ("true", True),
        ('"12"', "12"),
        ("[1, 2]", [1, 2]),
        ('{"a": 1}', {"a": 1}),
        ("next week", "next week"),
    ],
)
def test_cells_of_extensions_are_json(cell: str, value: object) -> None:
    """Only the dialect knows their types; what is no JSON is text."""
    header = next(csv.reader(["external_id,extensions.chargeover.class_id,lines.0.extensions.chargeover.paycycle"]))
    found = json.loads(invoice(columns(header), [["a", cell, cell]]))
    assert found["extensions"] == {"chargeover": {"class_id": value}}
    assert found["lines"] == [{"extensions": {"chargeover": {"paycycle": value}}}]


def test_an_extension_is_there_as_a_whole_or_by_its_fields() -> None:
    """Of both, the column that comes first."""
    header = ["external_id", "extensions.acme", "extensions.acme.a"]
    assert json.loads(invoice(columns(header), [["a", '{"b": 1}', "2"]]))["extensions"] == {"acme": {"b": 1}}


def test_a_flag_that_is_none_stays_text() -> None:
    """The gateway says what is wrong with it."""
    assert said("external_id,prices_include_tax", "a,maybe")["prices_include_tax"] == "maybe"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("currency", ["no column external_id"]),
        ("", ['"" is not known']),
        ("external_id,curency", ['"curency" is not known;', 'did you mean "currency"?']),
        ("external_id,customer", ["names a group of fields"]),
        ("external_id,lines", ["names a group"]),
        ("external_id,lines.0.taxes", ["names a group"]),
        ("external_id,labels", ["names a group"]),
        ("external_id,lines.first.id", ["must be a number from 0"]),
        ("external_id,lines.1000.id", ["must be a number from 0"]),
        ("external_id,lines.0.taxes.*.rate", ["must be a number from 0"]),
        ("external_id,discounts.*.amount", ["must be a number from 0"]),
        ("external_id,note.text", ['nothing below "note"']),
        ("external_id,note,note", ["twice"]),
        ("a,b,customer", ['"a"', '"b"', '"customer" names']),
    ],
)
def test_every_fault_of_a_header_is_told(header: str, words: list[str]) -> None:
    """With its column, and the nearest name."""
    with pytest.raises(ValueError, match=r"column|known") as error:
        columns(header.split(","))
    assert all(word in str(error.value) for word in words)


def test_rows_that_contradict_each_other_are_no_invoice() -> None:
    """Each with its column; also a row with more cells than the header."""
    found = columns(["external_id", "currency", "lines.*.id"])
    with pytest.raises(InvalidInvoice, match="currency is") as error:
        invoice(found, [["a", "USD", "1"], ["a", "EUR", "2"], ["a", "USD", "3", "x"]])
    assert [(one.pointer, one.code) for one in error.value.faults] == [("/currency", "contradiction"), ("", "columns")]


@pytest.mark.parametrize(
    ("header", "sign"), [("a,b", ","), ("a;b", ";"), ("a\tb,c", "\t"), ("a", ","), ("a;b,c", ";"), ("", ",")]
)
def test_the_header_says_what_separates_cells(header: str, sign: str) -> None:
    """Spreadsheets write semicolons where the comma is the decimal sign."""
    assert delimiter(header) == sign
