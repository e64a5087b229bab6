"""The canonical result. Source: contract 2."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert, structs

from gateway.core.answer import (
    ENCODER,
    Attempt,
    Resolution,
    Result,
    TakenRoute,
    Timings,
    UpstreamAnswer,
    discrepancies,
    moment,
    outcome_faults,
    span,
    upstream_answer,
)
from gateway.core.dialect import Translation
from gateway.core.errors import Fault
from gateway.core.exchange import Request
from gateway.core.money import Amount
from gateway.core.result import (
    Created,
    Discrepancy,
    Loss,
    NotSent,
    Outcome,
    Rejected,
    Stated,
    Totals,
    Unknown,
    UpstreamWarning,
)

CREATED = Created(Stated(id="1234"), 201, "201", "made", {"guid": "g"})


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (CREATED, UpstreamAnswer("u", "tiny", 201, "201", "made", {"guid": "g"})),
        (Rejected(422, "E7", "no"), UpstreamAnswer("u", "tiny", 422, "E7", "no")),
        (NotSent("connect", "refused"), UpstreamAnswer("u", "tiny", None, None, "refused")),
        (NotSent("unauthorized", "who?", 401), UpstreamAnswer("u", "tiny", 401, None, "who?")),
        (Unknown("server-error", "oops", 502, "X"), UpstreamAnswer("u", "tiny", 502, "X", "oops")),
    ],
)
def test_an_answer_says_who_answered_and_what(outcome: Outcome, expected: UpstreamAnswer) -> None:
    """The upstream's own code and words; null where it said nothing."""
    assert upstream_answer("u", "tiny", outcome) == expected


FAULTS = (Fault("/lines/0", "E1", "a"), Fault("", "E2", "b"))


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Rejected(422, "E7", "no", FAULTS), FAULTS),
        (Rejected(422, "E7", "no"), (Fault("", "E7", "no"),)),
        (Rejected(422, None, "no"), (Fault("", "upstream", "no"),)),
        (CREATED, ()),
        (NotSent("connect", "refused"), ()),
        (Unknown("timeout", "slow"), ()),
    ],
)
def test_a_rejection_has_faults(outcome: Outcome, expected: tuple[Fault, ...]) -> None:
    """The upstream's own list, or its only words."""
    assert outcome_faults(outcome) == expected


def found(expected: Stated, stated: Stated) -> tuple[Discrepancy, ...]:
    """The discrepancies of an invoice."""
    return discrepancies(Translation(Request("POST", "/"), None, expected, ()), Created(stated, 201))


TEXTS = ("number", "currency", "issue_date", "due_date")
AMOUNTS = ("tax_exclusive_total", "tax_total", "tax_inclusive_total", "amount_due")


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_the_upstream_reports_otherwise_is_a_discrepancy(name: str) -> None:
    """With what was expected and what was received."""
    one, other = convert({name: "a"}, Stated), convert({name: "b"}, Stated)
    assert found(one, other) == (Discrepancy(f"/{name}", "a", "b"),)
    assert found(one, one) == ()


@pytest.mark.parametrize("name", AMOUNTS)
def test_an_amount_that_the_upstream_reports_otherwise_is_a_discrepancy(name: str) -> None:
    """In fixed point; the same amount with other zeros is none."""
    expected = Stated(totals=Totals(**{name: Decimal("1207.19")}))
    assert found(expected, Stated(totals=Totals(**{name: Decimal("1.2072E+3")}))) == (
        Discrepancy(f"/totals/{name}", "1207.19", "1207.2"),
    )
    assert found(expected, Stated(totals=Totals(**{name: Decimal("1207.190")}))) == ()


def test_what_either_side_did_not_say_is_no_discrepancy() -> None:
    """Null is not a statement."""
    whole = Stated("1", "n", "open", "o", "p", "u", "USD", "2026-06-30", "2026-07-30", Totals(*[Decimal(1)] * 4))
    assert found(whole, Stated()) == ()
    assert found(Stated(), whole) == ()


def test_a_moment_is_in_utc_with_milliseconds() -> None:
    """RFC 3339, as the contract shows it; from seconds since 1970."""
    assert moment(datetime(2026, 6, 30, 10, 15, 2, 331_900, UTC).timestamp()) == "2026-06-30T10:15:02.331Z"
    assert moment(0) == "1970-01-01T00:00:00.000Z"


@given(
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2199, 12, 31)),  # noqa: DTZ001 - as UTC below
    st.integers(0, 999),
    st.sampled_from((0, 1, 500, 999)),
)
def test_a_moment_is_its_time_without_what_is_below_a_millisecond(at: datetime, milli: int, micro: int) -> None:
    """To the microsecond that a clock tells."""
    at = at.replace(microsecond=1000 * milli + micro, tzinfo=UTC)
    assert moment(at.timestamp()) == at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(("seconds", "text"), [(0.2119, "0.212"), (0.0, "0.000"), (15.0, "15.000")])
def test_a_span_is_text_with_milliseconds(seconds: float, text: str) -> None:
    """Seconds, as the contract shows them."""
    assert span(seconds) == text


def test_what_nobody_knows_is_null() -> None:
    """After a crash, and once the details are purged: no member is left out, and nothing is made up."""
    attempt = Attempt("u", "unknown", "2026-06-30T10:15:02.119Z", None)
    assert json.loads(ENCODER.encode(attempt)) == {
        "upstream": "u", "outcome": "unknown", "started_at": "2026-06-30T10:15:02.119Z", "seconds": None,
    }  # fmt: skip
    assert json.loads(ENCODER.encode(Timings(None, None))) == {"total": None, "upstream": None}
    assert json.loads(ENCODER.encode(TakenRoute(None, None))) == {"rule": None, "config": None}
    assert json.loads(ENCODER.encode(UpstreamAnswer("u", None))) == {
        "name": "u", "dialect": None, "http_status": None, "code": None, "message": None, "ids": {},
    }  # fmt: skip


def test_reasons_and_a_resolution_are_said_where_there_are_any() -> None:
    """An upstream's reasons for a refusal, an operator's word; otherwise the result is as the contract shows it."""
    plain = Result(
        "0199", "billing:1", "rejected", False, None, None, UpstreamAnswer("u", "tiny"), TakenRoute("r", "c"),
        (), (), (), (), Timings(None, None),
    )  # fmt: skip
    assert (plain.errors, plain.resolution) == ((), None)
    word = Resolution("ann", "looked", "2026-06-30T10:15:02.331Z")
    told = json.loads(ENCODER.encode(structs.replace(plain, errors=FAULTS, resolution=word)))
    assert told == json.loads(ENCODER.encode(plain)) | {
        "errors": [
            {"pointer": "/lines/0", "code": "E1", "detail": "a"},
            {"pointer": "", "code": "E2", "detail": "b"},
        ],
        "resolution": {"by": "ann", "reason": "looked", "at": "2026-06-30T10:15:02.331Z"},
    }


def test_a_result_is_written_as_the_contract_shows_it() -> None:
    """Every member, amounts as strings, absent values as null."""
    stated = Stated(
        "1234", "INV-2026-000417", "open", "open-unpaid", "unpaid", "https://x", "USD", "2026-06-30", "2026-07-30",
        Totals(tax_inclusive_total=Amount("1.20719E+3"), amount_due=Decimal("1007.19")),
    )  # fmt: skip
    result = Result(
        id="0199", external_id="billing:acct-88:2026-06", outcome="created", adopted=False,
        created_at="2026-06-30T10:15:02.331Z", invoice=stated,
        upstream=UpstreamAnswer("chargeover-us", "chargeover", 201, "201", None, {"guid": "g"}),
        route=TakenRoute("us-subscriptions", "sha256:6b1f0c"),
        losses=(Loss("/due_date", "approximated", "terms_id", "terms of 30 days"),),
        discrepancies=(Discrepancy("/totals/tax_inclusive_total", "1207.19", "1207.20"),),
        warnings=(UpstreamWarning("150000", "NO_PREFERRED_DEALER_ID"),),
        attempts=(Attempt("chargeover-us", "created", "2026-06-30T10:15:02.119Z", "0.212"),),
        timings=Timings("0.219", "0.212"),
    )  # fmt: skip
    assert json.loads(ENCODER.encode(result)) == {
        "id": "0199", "external_id": "billing:acct-88:2026-06", "outcome": "created", "adopted": False,
        "created_at": "2026-06-30T10:15:02.331Z",
        "invoice": {
            "id": "1234", "number": "INV-2026-000417", "status": "open", "status_raw": "open-unpaid",
            "payment_status": "unpaid", "url": "https://x", "currency": "USD", "issue_date": "2026-06-30",
            "due_date": "2026-07-30",
            "totals": {
                "tax_exclusive_total": None, "tax_total": None, "tax_inclusive_total": "1207.19",
                "amount_due": "1007.19",
            },
        },
        "upstream": {
            "name": "chargeover-us", "dialect": "chargeover", "http_status": 201, "code": "201", "message": None,
            "ids": {"guid": "g"},
        },
        "route": {"rule": "us-subscriptions", "config": "sha256:6b1f0c"},
        "losses": [{
            "pointer": "/due_date", "disposition": "approximated", "upstream_field": "terms_id",
            "detail": "terms of 30 days",
        }],
        "discrepancies": [{"pointer": "/totals/tax_inclusive_total", "expected": "1207.19", "received": "1207.20"}],
        "warnings": [{"code": "150000", "message": "NO_PREFERRED_DEALER_ID"}],
        "attempts": [{
            "upstream": "chargeover-us", "outcome": "created", "started_at": "2026-06-30T10:15:02.119Z",
            "seconds": "0.212",
        }],
        "timings": {"total": "0.219", "upstream": "0.212"},
    }  # fmt: skip
