"""Exsited: what holds for every order id, every number and every list of an order's invoices."""

import json
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.dialect import Translation
from gateway.core.errors import Untranslatable
from gateway.core.exchange import Reply, Request, Step, advance
from gateway.core.result import Absent, Created, Unknown
from mappings.exsited import DIALECT, MOST_PAGES, PAGE
from tests.support import conversations

# What could leave a segment of a path, whole or in part, plain or encoded, mixed with what any text may hold.
PIECES = st.one_of(
    st.sampled_from(
        [".", "..", "/", "\\", "%2e", "%2F", "%252e", "?", "#", ";", "&", "@", ":", "//", "\n", "\t", "．", "／"]
    ),
    st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=8),
)
HOSTILE = st.lists(PIECES, min_size=1, max_size=6).map("".join).filter(lambda text: len(text) <= 255)


def translated(**changes: Any) -> Translation:
    """The smallest invoice, changed by pointers that are written with __ for a slash, as it goes to Exsited."""
    named = {"/" + pointer.replace("__", "/"): value for pointer, value in changes.items()}
    document = conversations.document({"invoice": "ex-plain", "changes": named})
    return conversations.translated(document, conversations.upstream(DIALECT, {}))


def attempted(**changes: Any) -> Translation | Untranslatable:
    """The translation, or why there is none."""
    try:
        return translated(**changes)
    except Untranslatable as problem:
        return problem


def stays(path: str, place: int, text: str) -> bool:
    """Whether the path is what it should be, and its segment at `place` is the text and nothing but."""
    segments = path.split("/")
    own = segments[place]
    plain = own.isascii() and not set(own) & set("?#;\\&: \n\t")
    return plain and own not in (".", "..") and unquote(own) == text


@settings(max_examples=2000, deadline=None)
@given(HOSTILE)
def test_an_order_never_leaves_its_place_in_the_path(order: str) -> None:
    """It is percent-encoded as one segment, or refused by its pointer."""
    translation = attempted(references__order=order)
    if isinstance(translation, Untranslatable):
        assert [fault.pointer for fault in translation.faults] == ["/references/order"]
        assert not order.strip(".") or "/" in order or "\\" in order
        return
    path = translation.request.path
    assert path.split("/")[:4] == ["", "api", "v3", "orders"]
    assert path.split("/")[5:] == ["invoices"]
    assert stays(path, 4, order)


@settings(max_examples=2000, deadline=None)
@given(HOSTILE)
def test_a_number_never_leaves_its_place_in_the_path_of_a_lookup(number: str) -> None:
    """It is percent-encoded as one segment; only a number of dots, or with dots alone between slashes, is refused."""
    translation = attempted(number=number)
    if isinstance(translation, Untranslatable):
        assert [fault.pointer for fault in translation.faults] == ["/number"]
        assert any(part and not part.strip(".") for part in number.replace("\\", "/").split("/"))
        return
    step = searched(translation, [])
    assert isinstance(step, Request)
    assert step.path.split("/")[:4] == ["", "api", "v3", "invoices"]
    assert len(step.path.split("/")) == 5
    assert stays(step.path, 4, number)


def test_the_same_invoice_has_the_same_idempotency_key() -> None:
    """Equal content has an equal key, other content or another order another one."""
    keys = [
        dict(translated(**changes).request.headers)["x-idempotency-key"]
        for changes in ({}, {"issue_date": "2026-06-29"}, {"note": "Other"}, {"references__order": "ORD-2"})
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def searched(translation: Translation, replies: list[Reply]) -> Step:
    """Where a lookup is after these replies."""
    assert DIALECT.lookup is not None
    search = DIALECT.lookup(translation)
    step = advance(search, None)
    for seen in replies:
        step = advance(search, seen)
    return step


def page(found: list[dict[str, Any]], records: int | None = None) -> Reply:
    """One page of an order's invoices; `records` counts all of them, where the server says so."""
    order = {"invoices": found} | ({} if records is None else {"pagination": {"records": records}})
    return Reply(200, json.dumps({"order": order}).encode())


NOTES = st.sampled_from(["inv-1", "Thank you.\ninv-1", "Thank you. inv-1 ", "as inv-1\ninv-2", "inv-10", "", None])
MADE = st.fixed_dictionaries(
    {"id": st.sampled_from(["INV-7", "INV-8"]), "invoice_note": NOTES, "total": st.sampled_from(["100.00", 100, "110"])}
)


@settings(max_examples=500)
@given(st.lists(MADE, max_size=6), st.integers(1, 6))
def test_an_invoice_that_carries_our_reference_is_never_taken_for_absent(
    found: list[dict[str, Any]], size: int
) -> None:
    """On whichever page: ours if note and total agree, in doubt if only the note; absent only if no note names it."""
    pages = [found[start : start + size] for start in range(0, len(found), size)] or [[]]
    replies = [Reply(404, b"{}"), *(page(each, len(found)) for each in pages)]
    step: Step | None = None
    for count in range(2, len(replies) + 1):
        step = searched(translated(), replies[:count])
        if not isinstance(step, Request):
            break
    named = [made for made in found if "inv-1" in (made["invoice_note"] or "").split()]
    ours = [made for made in named if made["invoice_note"].split()[-1] == "inv-1" and made["total"] != "110"]
    assert isinstance(step, Created if ours else Unknown if named else Absent)


def test_a_short_page_is_the_last_where_the_server_counts_nothing() -> None:
    """Without a count, a page with fewer invoices than asked for ends the search, a full one does not."""
    full = page([{"id": "INV-7", "invoice_note": "inv-0"}] * PAGE)
    step = searched(translated(), [Reply(404, b"{}"), full])
    assert isinstance(step, Request)
    assert step.path.endswith(f"?limit={PAGE}&offset={PAGE}")
    assert isinstance(searched(translated(), [Reply(404, b"{}"), full, page([])]), Absent)


def test_a_search_without_an_end_is_given_up() -> None:
    """After so many pages nobody knows; absent it is not."""
    full = page([{"id": "INV-7", "invoice_note": "inv-0"}] * PAGE, 10**9)
    step = searched(translated(), [Reply(404, b"{}"), *[full] * MOST_PAGES])
    assert step == Unknown("lookup-too-long", f"the order has more than {MOST_PAGES * PAGE} invoices")


@pytest.mark.parametrize("status", [201, 400, 422, 451])
def test_a_list_under_another_status_than_200_says_nothing(status: int) -> None:
    """Neither that the invoice is there, though it is in the list, nor that it is not."""
    translation = translated()
    ours = {"id": "INV-9", "invoice_note": translation.reference["external_id"]}
    body = page([ours], 1).body
    assert isinstance(searched(translation, [Reply(404, b"{}"), Reply(200, body)]), Created)
    assert isinstance(searched(translation, [Reply(404, b"{}"), Reply(status, body)]), Unknown)
