"""How an invoice is sent, as the journal holds it. Source: contract 6, reliability ("Settling doubts")."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.core.dispatch import claim_of, dispatch_of, losses_of, packed
from gateway.core.journal import Entry
from gateway.core.money import Amount, encode_amount
from gateway.core.result import Loss, Stated
from tests.core.entries import LOSSES, TRANSLATION, dispatch, entry

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
KINDS = st.sampled_from(["dropped", "approximated", "folded", "derived"])
FEW = st.sampled_from(["", "no field", "30 days"])
ANY_LOSSES = st.lists(st.builds(Loss, TEXT, KINDS, st.none() | FEW, FEW), max_size=9).map(tuple)


def held(**changes: Any) -> Entry:
    """An entry with a dispatch with these changes."""
    return entry(dispatch=packed(dispatch(**changes)))


def test_a_dispatch_is_held_as_it_is() -> None:
    """Every field, none of which is at its default; the translation down to the bytes of the request."""
    found = dispatch_of(held())
    assert found == dispatch()
    assert found.translation.request.body == TRANSLATION.request.body
    assert found.translation.expected == TRANSLATION.expected
    assert all(getattr(found, field.name) != field.default for field in structs.fields(found))


def test_what_a_dispatch_need_not_have_is_absent_when_it_is_read() -> None:
    """A caller waits for the answer, nothing was tried yet, the upstream decides what it claims."""
    silent = structs.replace(TRANSLATION, claim=None, expected=Stated(), losses=(), reference={})
    bare = dispatch(rest=(), deliver_by=None, attempts=(), repeat=False, translation=silent)
    assert dispatch_of(entry(dispatch=packed(bare))) == bare


@given(st.decimals(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False))
def test_decimals_are_held_exactly(amount: Decimal, claim: Decimal) -> None:
    """With the zeros at their end."""
    found = dispatch_of(held(amount=amount, translation=structs.replace(TRANSLATION, claim=claim)))
    assert (str(found.amount), str(found.translation.claim)) == (str(amount), str(claim))


@pytest.mark.parametrize("text", ["20.00", "-0.5", "1.20719E+3", "0", "999999999999999.999999"])
def test_an_amount_is_held_as_its_value(text: str) -> None:
    """One that a caller or an upstream stated is a decimal like any other."""
    found = dispatch_of(held(amount=Amount(text)))
    assert found.amount == Decimal(text)


@given(st.binary(), st.text(st.characters(exclude_categories=["Cs"])))
def test_requests_are_held_byte_for_byte(body: bytes, words: str) -> None:
    """Whatever they hold."""
    request = structs.replace(TRANSLATION.request, body=body, headers=(("x", words),))
    found = dispatch_of(held(translation=structs.replace(TRANSLATION, request=request, reference={words: words})))
    assert (found.translation.request, found.translation.reference) == (request, {words: words})


@given(ANY_LOSSES)
def test_losses_are_held_in_their_order(losses: tuple[Loss, ...]) -> None:
    """Those that differ by their pointer alone, those that differ in all, and the same twice."""
    one = held(translation=structs.replace(TRANSLATION, losses=losses))
    assert dispatch_of(one).translation.losses == losses_of(one) == losses


def test_what_is_lost_for_one_reason_is_held_with_it_once() -> None:
    """Most of what an invoice loses, it loses for want of a field."""
    losses = tuple(
        Loss(f"/lines/{number}/description", "dropped", None, "the API has no field") for number in range(99)
    )
    assert packed(dispatch(translation=structs.replace(TRANSLATION, losses=losses))).count(b"the API has no field") == 1


def test_the_claim_is_read_alone() -> None:
    """As it is in the whole."""
    assert claim_of(held(claim="0199-other")) == "0199-other"


def test_what_was_written_before_losses_were_apart_is_read_the_same() -> None:
    """A journal keeps what an older version wrote: the dispatch as it is, losses and all."""
    before = msgspec.msgpack.Encoder(enc_hook=encode_amount).encode(dispatch())
    one = entry(dispatch=before)
    assert (dispatch_of(one), claim_of(one), losses_of(one)) == (dispatch(), dispatch().claim, LOSSES)


def test_of_what_was_purged_nothing_is_read() -> None:
    """Neither its claim nor its losses."""
    assert (claim_of(entry(dispatch=b"")), losses_of(entry(dispatch=b""))) == (None, ())
