"""The result of an entry, stored or not. Source: contract 2 (result), reliability ("States")."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.core.answer import (
    ENCODER,
    Attempt,
    Resolution,
    Result,
    TakenRoute,
    Timings,
    UpstreamAnswer,
)
from gateway.core.dispatch import packed
from gateway.core.errors import Fault
from gateway.core.exchange import Reply
from gateway.core.journal import State
from gateway.core.money import Amount
from gateway.core.result import (
    Created,
    Discrepancy,
    NotSent,
    Outcome,
    Rejected,
    Stated,
    Totals,
    Unknown,
    UpstreamWarning,
    name,
)
from gateway.core.results import attempts_of, kept, made, outcome_of, resolved, response, stored, stored_json
from tests.core.entries import FIRST, LOSSES, NOW, NOW_TEXT, STATES, dispatch, entry

BEGAN_TEXT = "2026-06-30T10:15:02.119Z"
LAST = Attempt("tiny-eu", "created", BEGAN_TEXT, "0.212")
TIMINGS = Timings("0.219", "0.212")
UNTIMED = Timings(None, None)
ROUTE = TakenRoute("default", "sha256:6b1f0c")
STATED = Stated(id="1234", number="INV-2", totals=Totals(amount_due=Amount("2.001E+1")))
WARNINGS = (UpstreamWarning("150000", "NO_PREFERRED_DEALER_ID"),)
CREATED = Created(STATED, 201, "201", "made", {"guid": "g"}, WARNINGS)
FAULTS = (Fault("/lines/0", "E1", "a"), Fault("", "E2", "b"))
REJECTED = Rejected(422, "E7", "no", FAULTS)
NOT_SENT = NotSent("unauthorized", "who?", 401, 2.5)
UNKNOWN = Unknown("server-error", "oops", 502, "X")
OUTCOMES: list[Outcome] = [CREATED, structs.replace(CREATED, adopted=True), REJECTED, NOT_SENT, UNKNOWN]


def result(**changes: Any) -> Result:
    """What is said of an entry of which nothing came, with changes."""
    values: dict[str, Any] = {
        "id": "0199",
        "external_id": "billing:1",
        "outcome": "pending",
        "adopted": False,
        "created_at": None,
        "invoice": None,
        "upstream": UpstreamAnswer("tiny-eu", "tiny"),
        "route": ROUTE,
        "losses": LOSSES,
        "discrepancies": (),
        "warnings": (),
        "attempts": (FIRST, LAST),
        "timings": UNTIMED,
    }
    return Result(**(values | changes))


def came(outcome: Outcome) -> Result:
    """What the entry comes to."""
    return made(entry(), dispatch(), outcome, NOW, [FIRST, LAST], timings=TIMINGS)


# Made ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adopted", [False, True])
def test_what_was_created_is_told_with_all_that_the_upstream_says(adopted: bool) -> None:
    """What it says otherwise than it was expected to is a discrepancy; `adopted`: it was found after a doubt."""
    assert came(structs.replace(CREATED, adopted=adopted)) == result(
        outcome="created",
        adopted=adopted,
        created_at=NOW_TEXT,
        invoice=STATED,
        upstream=UpstreamAnswer("tiny-eu", "tiny", 201, "201", "made", {"guid": "g"}),
        discrepancies=(Discrepancy("/number", "INV-1", "INV-2"), Discrepancy("/totals/amount_due", "20", "20.01")),
        warnings=WARNINGS,
        timings=TIMINGS,
    )


@pytest.mark.parametrize(
    ("outcome", "changes"),
    [
        (REJECTED, {"upstream": UpstreamAnswer("tiny-eu", "tiny", 422, "E7", "no"), "errors": FAULTS}),
        (
            Rejected(400, None, "no"),
            {"upstream": UpstreamAnswer("tiny-eu", "tiny", 400, None, "no"), "errors": (Fault("", "upstream", "no"),)},
        ),
        (NOT_SENT, {"upstream": UpstreamAnswer("tiny-eu", "tiny", 401, None, "who?")}),
        (UNKNOWN, {"upstream": UpstreamAnswer("tiny-eu", "tiny", 502, "X", "oops")}),
    ],
)
def test_what_was_not_created_is_never_shown_as_if(outcome: Outcome, changes: dict[str, Any]) -> None:
    """No time of creation, no invoice, nothing that the upstream would have said of one; why is said."""
    assert came(outcome) == result(outcome=name(outcome), timings=TIMINGS, **changes)


def test_what_was_not_concluded_in_one_go_has_no_timings() -> None:
    """After a doubt."""
    assert made(entry("unknown"), dispatch(), CREATED, NOW, ()).timings == UNTIMED


def test_it_was_sent_by_the_upstream_that_stood_in() -> None:
    """The entry says by which, the dispatch how."""
    made_there = made(entry(upstream="b"), dispatch(dialect="mute", rule="r", config="c"), UNKNOWN, NOW, (FIRST,))
    assert (made_there.upstream.name, made_there.upstream.dialect) == ("b", "mute")
    assert (made_there.route, made_there.attempts) == (TakenRoute("r", "c"), (FIRST,))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_is_stored_is_what_was_made(outcome: Outcome) -> None:
    """Nothing is lost between the two, and no amount has an exponent: what is answered is the same, byte for byte."""
    text = ENCODER.encode(came(outcome))
    one = entry("created", result=kept(came(outcome)))
    assert stored(one) == came(outcome)
    assert stored_json(one) == stored_json(one, LOSSES) == text
    assert b"E+" not in text


def test_what_the_dispatch_holds_is_not_kept_twice() -> None:
    """The losses: they are the larger part."""
    assert LOSSES[0].pointer.encode() not in kept(came(CREATED))


def test_words_that_look_like_a_place_for_losses_are_words() -> None:
    """An upstream may say anything; what it says comes first in a result."""
    odd = '"losses":[]'
    outcome = structs.replace(
        CREATED, message=odd, ids={odd: odd, "losses": "[]"}, invoice=structs.replace(STATED, number=odd)
    )
    one = entry("created", result=kept(came(outcome)))
    assert stored_json(one) == ENCODER.encode(came(outcome))


def test_what_an_older_version_stored_is_told_as_it_is() -> None:
    """With its losses in it."""
    text = ENCODER.encode(came(CREATED))
    one = entry("created", result=text)
    assert (stored(one), stored_json(one)) == (came(CREATED), text)


# Stored -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("details", [dispatch(rule="another"), None])
def test_a_stored_result_is_answered_byte_for_byte(state: State, details: Any) -> None:
    """In any state, whatever else is known, and even if this version would write it otherwise."""
    text = ENCODER.encode(came(UNKNOWN)).replace(b":", b" : ").replace(b'"X"', b'"\\u0058"')
    text = text.replace(b"10 : 15 : 02", b"10:15:02").replace(b"10 : 15 : 01", b"10:15:01")
    text = text.replace(b"billing : 1", b"billing:1").replace(b"sha256 : ", b"sha256:")
    kept = entry(state, result=text, dispatch=packed(details) if details else b"")
    assert stored_json(kept) == text
    assert stored(kept) == came(UNKNOWN)
    assert stored_json(kept) != ENCODER.encode(stored(kept))


@pytest.mark.parametrize(
    ("state", "outcome", "words", "last"),
    [
        ("waiting", "pending", "waits for its delivery", ()),
        ("sending", "pending", "is being sent", (Attempt("tiny-eu", "pending", BEGAN_TEXT, None),)),
        (
            "unknown",
            "unknown",
            "the gateway did not live to see the answer",
            (Attempt("tiny-eu", "unknown", BEGAN_TEXT, None),),
        ),
    ],
)
def test_without_a_stored_result_what_is_known_is_told(
    state: State, outcome: str, words: str, last: tuple[Attempt, ...]
) -> None:
    """How it is sent, and what was tried; never that it was created."""
    expected = result(
        outcome=outcome, upstream=UpstreamAnswer("tiny-eu", "tiny", message=words), attempts=(FIRST, *last)
    )
    assert stored(entry(state)) == expected
    assert stored_json(entry(state)) == ENCODER.encode(expected)


@pytest.mark.parametrize("state", ["created", "rejected", "not_sent"])
def test_a_concluded_entry_without_its_result_says_nothing_of_a_sending(state: State) -> None:
    """Its outcome is what is known."""
    found = stored(entry(state))
    assert (found.outcome, found.upstream, found.warnings) == (state, UpstreamAnswer("tiny-eu", "tiny"), ())


PURGED = (UpstreamWarning("purged", "the details were removed when their time was over"),)


@pytest.mark.parametrize("state", ["rejected", "not_sent"])
def test_of_a_purged_entry_the_outcome_is_left(state: State) -> None:
    """What the upstream's id would be is not said of what was not created."""
    purged = entry(state, body=b"", dispatch=b"", upstream_id="77")
    expected = result(
        outcome=state,
        upstream=UpstreamAnswer("tiny-eu", None),
        route=TakenRoute(None, None),
        losses=(),
        warnings=PURGED,
        attempts=(),
    )
    assert stored(purged) == expected
    assert stored_json(purged) == ENCODER.encode(expected)


@pytest.mark.parametrize("upstream_id", ["1234", None])
def test_of_a_purged_creation_its_id_at_the_upstream_is_left(upstream_id: str | None) -> None:
    """And when it was created; that it was purged is a warning."""
    purged = entry("created", body=b"", dispatch=b"", upstream_id=upstream_id, updated_at=NOW)
    expected = result(
        outcome="created",
        created_at=NOW_TEXT,
        invoice=Stated(id=upstream_id),
        upstream=UpstreamAnswer("tiny-eu", None),
        route=TakenRoute(None, None),
        losses=(),
        warnings=PURGED,
        attempts=(),
    )
    assert stored(purged) == expected
    assert stored_json(purged) == ENCODER.encode(expected)


def test_a_purged_result_is_written_as_the_contract_shows_it() -> None:
    """Every member is there; what is not known any more is null."""
    told = json.loads(stored_json(entry("rejected", body=b"", dispatch=b"")))
    assert told == {
        "id": "0199", "external_id": "billing:1", "outcome": "rejected", "adopted": False, "created_at": None,
        "invoice": None,
        "upstream": {
            "name": "tiny-eu", "dialect": None, "http_status": None, "code": None, "message": None, "ids": {},
        },
        "route": {"rule": None, "config": None}, "losses": [], "discrepancies": [],
        "warnings": [{"code": "purged", "message": "the details were removed when their time was over"}],
        "attempts": [], "timings": {"total": None, "upstream": None},
    }  # fmt: skip


# The word, the attempts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "word"),
    [
        *(("waiting", "pending"), ("sending", "pending"), ("created", "created"), ("rejected", "rejected")),
        *(("not_sent", "not_sent"), ("unknown", "unknown")),
    ],
)
def test_a_state_has_the_word_of_the_contract(state: State, word: str) -> None:
    """What waits and what is being sent is pending."""
    assert outcome_of(entry(state)) == word


@pytest.mark.parametrize("state", STATES)
def test_the_attempts_of_a_result_are_its_own(state: State) -> None:
    """It was made when they were over."""
    assert attempts_of(entry(state, result=ENCODER.encode(result(attempts=(LAST,))))) == (LAST,)
    assert attempts_of(entry(state, result=ENCODER.encode(result(attempts=())))) == ()


@pytest.mark.parametrize(
    ("state", "last"),
    [
        ("waiting", ()),
        ("sending", (Attempt("b", "pending", BEGAN_TEXT, None),)),
        ("unknown", (Attempt("b", "unknown", BEGAN_TEXT, None),)),
    ],
)
def test_of_an_attempt_whose_end_nobody_saw_its_beginning_is_known(state: State, last: tuple[Attempt, ...]) -> None:
    """After those before it; one that waits is not being attempted."""
    second = structs.replace(FIRST, upstream="tiny-eu")
    kept = entry(state, upstream="b", dispatch=packed(dispatch(attempts=(FIRST, second))))
    assert attempts_of(kept) == (FIRST, second, *last)
    assert attempts_of(structs.replace(kept, dispatch=packed(dispatch(attempts=())))) == last


# An operator's word -------------------------------------------------------------------------------------------------

WORD = Resolution("ann", "seen in their books", NOW_TEXT)


@pytest.mark.parametrize("kept", [entry("unknown"), entry("unknown", result=ENCODER.encode(came(UNKNOWN)))])
@pytest.mark.parametrize(
    ("outcome", "upstream_id", "created_at", "invoice"),
    [
        ("created", "1234", NOW_TEXT, Stated(id="1234")),
        ("created", None, NOW_TEXT, Stated()),
        ("not_sent", None, None, None),
        ("not_sent", "1234", None, None),
    ],
)
def test_an_operators_word_settles_a_doubt(
    kept: Any, outcome: str, upstream_id: str | None, created_at: str | None, invoice: Stated | None
) -> None:
    """Whose it is, why and when is said; all that was known before stays, and the upstream's words are its own."""
    before = stored(kept)
    assert resolved(kept, outcome, upstream_id, WORD) == structs.replace(
        before,
        outcome=outcome,
        created_at=created_at,
        invoice=invoice,
        resolution=WORD,
    )


def test_what_was_resolved_was_not_adopted() -> None:
    """Nobody compared its content."""
    assert resolved(entry("unknown"), "created", "1234", WORD).adopted is False


def test_a_resolution_is_stored_with_its_result() -> None:
    """And answered again."""
    found = resolved(entry("unknown"), "created", "1234", WORD)
    assert stored(entry("created", result=ENCODER.encode(found))) == found


# The upstream's answer ----------------------------------------------------------------------------------------------


def kept_of(body: bytes, status: int = 200) -> dict[str, Any]:
    """The answer as it is kept, read as JSON."""
    found: dict[str, Any] = json.loads(response(Reply(status, body)))
    return found


def test_where_there_was_no_answer_none_is_kept() -> None:
    """Empty, as once it is purged."""
    assert response(None) == b""


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (201, b'{"id": 1}', '{"id": 1}'),
        (500, b"", ""),
        (502, "<h1>\N{SNOWMAN} \x00\x1f\U0001f600</h1>".encode(), "<h1>\N{SNOWMAN} \x00\x1f\U0001f600</h1>"),
        (200, b"a\xff\xfeb", "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"),
        (200, "\N{SNOWMAN}".encode()[:2], "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_an_answer_is_kept_as_it_came_as_far_as_it_is_text(status: int, body: bytes, text: str) -> None:
    """With its status; it was not truncated, and that needs no word."""
    assert kept_of(body, status) == {"http_status": status, "body": text}


@pytest.mark.parametrize("letter", ["a", "\N{SNOWMAN}", "\U0001f600"])
def test_a_long_answer_is_truncated(letter: str) -> None:
    """At 65,536 characters, whatever they take in bytes; that it went on is said."""
    assert kept_of((letter * 65_536).encode()) == {"http_status": 200, "body": letter * 65_536}
    longer = (letter * 65_536 + "z").encode()
    assert kept_of(longer) == {"http_status": 200, "body": letter * 65_536, "truncated": True}


@given(st.binary(max_size=200), st.integers(100, 599))
def test_any_answer_can_be_kept(body: bytes, status: int) -> None:
    """Whatever an upstream sends."""
    assert kept_of(body, status)["http_status"] == status


def test_amounts_of_a_stored_result_are_decimals_again() -> None:
    """No float comes between."""
    found = stored(entry("created", result=ENCODER.encode(came(CREATED)))).invoice
    assert found is not None
    assert found.totals.amount_due == Decimal("20.01")
    assert isinstance(found.totals.amount_due, Decimal)
