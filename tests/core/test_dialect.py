"""The contract of a mapping: drafts, ids, the money rule. Source: contract, principles 1, 2 and 5; contract 6."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from gateway.core.crosswalk import Crosswalk, Entry
from gateway.core.dialect import Draft, translate
from gateway.core.errors import Untranslatable
from gateway.core.exchange import Request
from gateway.core.invoice import Tax
from gateway.core.losses import LEAVES
from gateway.core.money import Amount
from gateway.core.result import Stated
from gateway.core.totals import checked_totals
from tests.core.samples import CUSTOMERS, MUTE, TINY, Extension, LineExtension, draft, invoice, line, upstream

REQUEST = Request("POST", "/bills", b"{}")
S20 = Tax("S", Amount("20.00"))


def faults(own: Draft) -> list[tuple[str, str]]:
    """Pointer and code of what was refused."""
    return [(fault.pointer, fault.code) for fault in own.faults]


def test_an_invoice_is_translated_with_every_loss() -> None:
    """Request, claim, expectation, reference, losses."""
    found = invoice(note="n", number="INV-1", extensions={"tiny": {"colour": "red"}})
    translation = translate(found, checked_totals(found), upstream())
    assert translation.request.body == b'{"customer":"88","total":20.00,"number":"INV-1","colour":"red"}'
    assert dict(translation.request.headers)["x-desk"] == "front"
    assert translation.claim == Decimal("20.00")
    assert translation.expected.number == "INV-1"
    assert translation.reference == {"number": "INV-1"}
    assert [one.pointer for one in translation.losses] == ["/note"]


def test_every_reason_is_named_at_once() -> None:
    """Contract 2, `untranslatable`: each with its pointer."""
    found = invoice(customer={"id": "nobody"}, totals={"prepaid_total": "1.00"})
    with pytest.raises(Untranslatable) as caught:
        translate(found, checked_totals(found), upstream())
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [
        ("/customer/id", "no-crosswalk-entry"),
        ("/totals/prepaid_total", "money"),
    ]
    assert caught.value.detail.startswith("tiny-eu cannot carry it: /customer/id: ")
    assert caught.value.detail.endswith(", and 1 more")


def test_a_single_reason_is_not_counted() -> None:
    """The problem's `detail`."""
    own = draft()
    own.refuse("/number", "missing", "tiny needs it")
    with pytest.raises(Untranslatable) as caught:
        own.translation(REQUEST, None, Stated())
    assert caught.value.detail == "tiny-eu cannot carry it: /number: tiny needs it"


def test_a_loss_is_reported_once() -> None:
    """Also where several lines bring it about."""
    own = draft()
    for detail in ("a", "a", "b"):
        own.lose("/prices_include_tax", "folded", None, detail)
    losses = own.translation(REQUEST, None, Stated()).losses
    assert [one.detail for one in losses] == ["a", "b"]


def test_an_extension_is_the_dialects_own_struct() -> None:
    """Of the document, and of each line; absent fields where the caller sent none."""
    found = invoice(extensions={"tiny": {"tip": "1.50"}}, lines=[line(), line(extensions={"tiny": {"shelf": "s"}})])
    own = draft(found)
    assert own.extension() == Extension(tip=Amount("1.50"))
    assert own.line_extension(0) is None
    assert own.line_extension(1) == LineExtension("s")
    assert draft().extension() == Extension()
    assert draft(dialect=MUTE).extension() is None
    assert draft(dialect=MUTE).line_extension(0) is None
    other = structs.replace(TINY, name="other")
    assert draft(found, dialect=other).extension() == Extension()
    assert draft(found, dialect=other).line_extension(1) is None


def test_an_id_comes_from_the_crosswalk() -> None:
    """Canonical id to the upstream's id, of the type that was configured."""
    own = draft()
    assert own.find("customers", "/customer/id", "acct-88") == Entry(88)
    assert own.find_text("customers", "/customer/id", "acct-88") == "88"
    assert own.find_number("customers", "/customer/id", "acct-88") == 88
    assert faults(own) == []


def test_a_partys_own_identifier_goes_before_the_crosswalk() -> None:
    """Contract 1: scheme = a dialect's name, the party's id there; other dialects' are not read."""
    own = draft()
    assert own.find_text("customers", "/customer/id", "acct-88", {"tiny": "T-1", "0088": "x"}) == "T-1"
    assert own.find_text("customers", "/customer/id", "acct-88", {"mute": "M-1"}) == "88"


def test_a_missing_entry_is_named_with_its_table() -> None:
    """And translating goes on to find the others."""
    own = draft()
    own.find("items", "/lines/0/item/id", "labour")
    own.find("customers", "/customer/id", "who\x07")
    assert faults(own) == [("/lines/0/item/id", "no-crosswalk-entry"), ("/customer/id", "no-crosswalk-entry")]
    assert own.faults[0].detail == '[upstreams.tiny-eu.crosswalk.items] has no entry for "labour"'
    assert own.faults[1].detail.endswith('"who?"')


@pytest.mark.parametrize("own", ["88", "000088", "9" * 18, 88])
def test_a_whole_number_is_taken_as_one(own: str | int) -> None:
    """From a CSV file it is text."""
    crosswalk = Crosswalk({"customers": {"a": Entry(own)}})
    assert draft(crosswalk=crosswalk).find_number("customers", "/customer/id", "a") == int(own)


@pytest.mark.parametrize("own", ["", "A-1", "-1", "1.0", "１２", "²", "9" * 19, " 1"])
def test_an_id_that_has_to_be_a_number_is_refused_as_text(own: str) -> None:
    """Naming where it came from."""
    found = draft()
    assert found.number("/customer/id", own) == 0
    assert faults(found) == [("/customer/id", "not-a-number")]


@pytest.mark.parametrize(
    ("tax", "key"),
    [
        (S20, "S:20"),
        (Tax("S", Amount("7.50")), "S:7.5"),
        (Tax("E", Amount("0.00")), "E:0"),
        (Tax("S", Amount("100")), "S:100"),
        (Tax("S", Amount("20"), id="vat-de"), "vat-de"),
    ],
)
def test_a_tax_is_found_by_its_id_else_by_category_and_rate(tax: Tax, key: str) -> None:
    """Contract 6: `"S:20"`, without needless zeros."""
    assert draft(crosswalk=Crosswalk({"taxes": {key: Entry(7)}})).find_tax("/lines/0/taxes/0", tax) == Entry(7)


def test_a_tax_has_the_rate_that_the_upstream_holds() -> None:
    """Another rate there would be other money."""
    own = draft(crosswalk=Crosswalk({"taxes": {"S:20": Entry(7, Decimal("20.0")), "vat": Entry(8, Decimal(19))}}))
    assert own.find_tax("/lines/0/taxes/0", S20) == Entry(7, Decimal(20))
    assert faults(own) == []
    own.find_tax("/lines/0/taxes/0", Tax("S", Amount("20"), id="vat"))
    assert faults(own) == [("/lines/0/taxes/0/rate", "money")]
    assert own.faults[0].detail == "the upstream's tax 8 is 19 %, the invoice says 20 %"


def test_a_tax_that_adds_nothing_may_be_dropped() -> None:
    """A rate of 0 that the crosswalk does not have is a word lost, not money; any other is refused."""
    own = draft()
    assert own.find_tax("/lines/0/taxes/0", Tax("E", Amount("0"))) is None
    assert [(one.pointer, one.disposition) for one in own.losses] == [("/lines/0/taxes/0/category", "dropped")]
    own.find_tax("/lines/0/taxes/1", S20)
    assert faults(own) == [("/lines/0/taxes/1", "no-crosswalk-entry")]


def test_a_tax_whose_id_the_crosswalk_lacks_is_found_by_category_and_rate() -> None:
    """Its id is a word that is lost; where neither is known, the id is what is missed."""
    vat = Tax("S", Amount("20"), id="vat-de")
    own = draft(crosswalk=Crosswalk({"taxes": {"S:20": Entry(7, Decimal(20))}}))
    assert own.find_tax("/lines/0/taxes/0", vat) == Entry(7, Decimal(20))
    assert [(one.pointer, one.disposition) for one in own.losses] == [("/lines/0/taxes/0/id", "dropped")]
    missed = draft()
    missed.find_tax("/lines/0/taxes/0", vat)
    assert '"vat-de"' in missed.faults[0].detail


def test_a_taxs_own_identifier_goes_before_the_crosswalk() -> None:
    """As a party's."""
    assert draft().find_tax("/lines/0/taxes/0", Tax("E", Amount("0"), identifiers={"tiny": "T"})) == Entry("T")


@pytest.mark.parametrize(
    ("predicted", "causes", "pointers"),
    [
        ("20.00", (), []),
        ("20", (), []),
        ("20.01", (), ["/totals/amount_due"]),
        ("19.99", ("/lines/0", "/lines/1"), ["/lines/0", "/lines/1"]),
    ],
)
def test_a_claim_that_is_not_the_amount_due_is_refused(
    predicted: str, causes: tuple[str, ...], pointers: list[str]
) -> None:
    """Principle 2: what the upstream will claim must equal the invoice."""
    own = draft()
    own.claims(Decimal(predicted), Decimal("20.00"), *causes)
    assert [fault.pointer for fault in own.faults] == pointers
    for fault in own.faults:
        assert (fault.code, fault.detail) == ("money", f"tiny-eu would claim {predicted}, the invoice says 20.00")


def test_an_amount_due_below_zero_is_refused() -> None:
    """Contract 6: credit notes come later."""
    own = draft(invoice(totals={"prepaid_total": "30.00"}))
    own.claims(own.totals.amount_due, own.totals.amount_due)
    assert faults(own) == [("/totals/amount_due", "negative")]
    own = draft(invoice(totals={"prepaid_total": "20.00"}))
    own.claims(own.totals.amount_due, own.totals.amount_due)
    assert faults(own) == []


def test_a_claim_is_not_judged_of_what_was_refused_already() -> None:
    """The prediction of a part is no news."""
    own = draft()
    own.refuse("/lines/0/discounts", "inexact", "x")
    own.claims(Decimal(1), Decimal(2))
    assert faults(own) == [("/lines/0/discounts", "inexact")]


def test_totals_and_adjustments_that_cannot_be_said_are_refused() -> None:
    """Unless they are zero, or absent."""
    own = draft(invoice(totals={"prepaid_total": "1.00", "rounding": "0.00"}, discounts=[{"amount": "1.00"}] * 2))
    own.only_zero("prepaid_total", "rounding", "charge_total")
    own.only_none("discounts", own.invoice.discounts, "why")
    own.only_none("charges", own.invoice.charges, "why")
    assert faults(own) == [("/totals/prepaid_total", "money"), ("/discounts/0", "money"), ("/discounts/1", "money")]


def test_every_field_of_a_dialect_has_a_fate() -> None:
    """By its declaration, expanded to the leaves."""
    assert set(TINY.fates) == set(LEAVES)
    assert TINY.fates["/note"].disposition == "dropped"


@pytest.mark.parametrize(("places", "claim"), [("0.000001", "0.00"), ("999999999999999", "1999999999999998.00")])
def test_translating_is_exact(places: str, claim: str) -> None:
    """The mapping's arithmetic is within `money.exact`."""
    found = invoice(lines=[line(quantity="1", unit_price=places)])
    changes: dict[str, Any] = {"crosswalk": CUSTOMERS}
    translation = translate(found, checked_totals(found), upstream(**changes))
    assert translation.claim == checked_totals(found).amount_due
    assert Decimal(claim) in (translation.claim, translation.claim * 2)
