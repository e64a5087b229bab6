"""What holds for every conversation with an upstream. Source: contract 2 and 6, house 4, RFC 9110."""

from collections.abc import Generator
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, Struct

from gateway.core.answer import ENCODER
from gateway.core.exchange import (
    UNAUTHORIZED,
    Reply,
    Request,
    Seen,
    Step,
    Unreadable,
    advance,
    day,
    decoder,
    doubt,
    figure,
    identity,
    judge,
    retry_after,
    segment,
    settled,
    text_of,
    words,
)
from gateway.core.result import Absent, Created, NotSent, Outcome, Rejected, Stated, Unknown

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
CREATED = Created(Stated(id="1"), 201)
REFUSAL = Rejected(422, "7", "no")


@pytest.mark.parametrize(
    ("status", "expected", "reason"),
    [
        *((status, NotSent, "unauthorized") for status in (401, 402, 403)),
        (429, NotSent, "rate-limited"),
        *((status, Unknown, "redirect") for status in (101, 300, 301, 302, 303, 307, 308, 399)),
        *((status, Unknown, "server-error") for status in (408, 500, 501, 502, 503, 504, 599)),
    ],
)
def test_a_status_that_means_the_same_everywhere_is_judged(status: int, expected: type, reason: str) -> None:
    """Contract 6: 402 and 403 are not sent, 3xx and 5xx unknown."""
    found = judge(Reply(status, b"so it is"), UNAUTHORIZED, NOW)
    assert isinstance(found, expected)
    assert isinstance(found, NotSent | Unknown)
    assert (found.reason, found.http_status) == (reason, status)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 400, 404, 409, 410, 413, 422])
def test_another_status_is_the_dialects_to_judge(status: int) -> None:
    """Also 404."""
    reply = Reply(status)
    assert judge(reply, UNAUTHORIZED, NOW) is reply


def test_a_dialect_says_which_statuses_turn_a_request_away_unread() -> None:
    """Where an API uses another one, or one of them for something else."""
    assert isinstance(judge(Reply(407), frozenset((407,)), NOW), NotSent)
    assert isinstance(judge(Reply(403), frozenset((401,)), NOW), Reply)


def test_a_judgement_carries_the_upstreams_words() -> None:
    """Bounded, in one line; a redirect says where to."""
    found = judge(Reply(500, b"<h1>\r\nOops\x00</h1>" + b"x" * 9999), UNAUTHORIZED, NOW)
    assert isinstance(found, Unknown)
    assert found.detail.startswith("the upstream answered 500: <h1> Oops </h1>xxx")
    assert len(found.detail) < 300
    redirect = judge(Reply(302, headers={"location": "https://elsewhere/" + "x" * 999}), UNAUTHORIZED, NOW)
    assert isinstance(redirect, Unknown)
    assert redirect.detail.startswith("the upstream redirected to https://elsewhere/x")
    assert len(redirect.detail) < 300
    silent = judge(Reply(302), UNAUTHORIZED, NOW)
    assert isinstance(silent, Unknown)
    assert silent.detail == "the upstream redirected to nowhere"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("99999999999999999999", 86_400.0),
        ("Tue, 30 Jun 2026 12:00:30 GMT", 30.0),
        ("Tue, 30 Jun 2026 12:00:30 -0000", 30.0),
        ("Tue, 30 Jun 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("１２", None),
        ("Tue, 99 Jun 2026 12:00:30 GMT", None),
        ("Tue, 30 Jun 2026 12:00:30 +99999999999999999999", None),
        ("30 Jun 99999999999999999999 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, seconds: float | None) -> None:
    """Seconds or a date (RFC 9110 section 10.2.3); what cannot be read is none."""
    assert retry_after(Reply(429, headers={"retry-after": text}), NOW) == seconds


def test_an_answer_without_retry_after_has_none() -> None:
    """The gateway's own delay applies."""
    assert retry_after(Reply(429), NOW) is None


date_parts = st.sampled_from(
    [
        "Tue,",
        "30",
        "99",
        "Jun",
        "2026",
        "0",
        "99999",
        "12:00:30",
        "25:61",
        "GMT",
        "+9999999999999",
        "-0000",
        "(",
        ",",
        "é",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.text(), st.lists(date_parts, max_size=7).map(" ".join)), st.binary(max_size=50), st.integers(100, 599)
)
def test_no_answer_is_an_exception(header: str, body: bytes, status: int) -> None:
    """After a request was sent, whatever comes back is judged."""
    found = judge(Reply(status, body, {"retry-after": header, "location": header}), UNAUTHORIZED, NOW)
    if isinstance(found, NotSent) and found.retry_after is not None:
        assert found.retry_after >= 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"", "status 500"), (b" \n ", "status 500"), (b"a\n\tb", "a b"), (b"\xff", "�"), (b"x" * 500, "x" * 200)],
)
def test_words_are_one_line_of_text(body: bytes, expected: str) -> None:
    """The beginning of an answer, or its status where it has no words."""
    assert words(Reply(500, body)) == expected


def test_words_of_an_upstream_are_made_safe() -> None:
    """Bounded, one line, no control characters."""
    assert text_of("a\x00b\x9f\u2003c\n") == "a b c"
    assert text_of(None) == ""
    assert text_of("x" * 2000) == "x" * 1000
    assert text_of("abc", 2) == "ab"


Talk = Generator[Request, Seen, Outcome | Absent]


def talk(error: Exception | None = None, early: Exception | None = None) -> Talk:
    """A conversation of one turn; gives up before its request or after the reply, if told so."""
    if early is not None:
        raise early
    yield Request("POST", "/bills")
    if error is not None:
        raise error
    return CREATED


def test_a_conversation_goes_request_by_request() -> None:
    """The next request, then how it ended."""
    conversation = talk()
    assert advance(conversation, None) == Request("POST", "/bills")
    assert advance(conversation, Reply(201)) == CREATED


def test_what_was_seen_is_told_to_the_conversation() -> None:
    """It judges replies and ends."""

    def echo() -> Talk:
        seen = yield Request("GET", "/")
        return Absent(repr(type(seen).__name__))

    conversation = echo()
    advance(conversation, None)
    assert advance(conversation, Unknown("timeout", "")) == Absent("'Unknown'")


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("x"), Unreadable("x"), RecursionError(), ZeroDivisionError()]
)
def test_a_conversation_that_gives_up_before_its_first_request_sent_nothing(error: Exception) -> None:
    """House 4: certainly not processed."""
    assert advance(talk(early=error), None) == NotSent("mapping", f"the mapping gave up: {type(error).__name__}")


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("x"), RecursionError(), MemoryError()])
def test_a_conversation_that_gives_up_later_leaves_a_doubt(error: Exception) -> None:
    """House 4: perhaps processed; the words name the kind of mistake, not the invoice."""
    conversation = talk(error)
    advance(conversation, None)
    assert advance(conversation, Reply(200)) == Unknown("mapping", f"the mapping gave up: {type(error).__name__}")


def test_an_unreadable_answer_is_a_doubt() -> None:
    """With the status it came under."""
    conversation = talk(Unreadable("status 201, not JSON"))
    advance(conversation, None)
    assert advance(conversation, Reply(201)) == Unknown("unreadable", "status 201, not JSON", 201)
    conversation = talk(Unreadable("x"))
    advance(conversation, None)
    assert advance(conversation, NotSent("connect", "")) == Unknown("unreadable", "x", None)


def test_a_conversation_may_end_without_a_request() -> None:
    """A lookup that has nothing to ask for."""

    def silent() -> Talk:
        yield from ()
        return Absent("nothing to ask for")

    step: Step = advance(silent(), None)
    assert step == Absent("nothing to ask for")


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (Absent(), REFUSAL),
        (CREATED, msgspec.structs.replace(CREATED, adopted=True)),
        (Unknown("timeout", "slow"), Unknown("timeout", "slow")),
        (NotSent("connect", "refused", 503), Unknown("lookup-failed", "refused", 503)),
    ],
)
def test_a_refusal_stands_only_if_the_invoice_is_not_there(found: Outcome | Absent, outcome: Outcome) -> None:
    """Contract 6: an error inside a 2xx is looked up before it is called rejected."""
    assert settled(found, REFUSAL) == outcome


def test_a_question_without_an_answer_leaves_a_doubt() -> None:
    """Not having asked is not a no."""
    assert doubt(NotSent("connect", "refused")) == Unknown("lookup-failed", "refused", None)
    assert doubt(Unknown("timeout", "slow", 504)) == Unknown("lookup-failed", "slow", 504)


class Answer(Struct, frozen=True):
    """An answer with one field."""

    id: int


def test_an_answer_is_read_by_its_content() -> None:
    """Whatever its content type says."""
    assert decoder(Answer)(Reply(200, b'{"id":1,"more":2}', {"content-type": "text/html"})) == Answer(1)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"id":', b'{"id":"1"}', b"{}", b"\xff", b'{"id":1}x', b"[" * 100_000]
)
def test_an_answer_of_another_shape_is_unreadable(body: bytes) -> None:
    """HTML, truncated JSON, wrong types, other encodings, absurd nesting."""
    with pytest.raises(Unreadable, match="status 200, "):
        decoder(Answer)(Reply(200, body))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("12.50", "12.50"),
        ('"12.50"', "12.50"),
        ('" 12.50 "', None),
        ("-1", "-1"),
        ("1e3", "1000"),
        ("1.5E-7", "0.00000015"),
        ("0.0000000", "0.0000000"),
        ("0.10000000000000001", "0.10000000000000001"),
        ("", None),
        ("null", None),
        ('""', None),
        ("true", None),
        ("[1]", None),
        ('"NaN"', None),
        ("1e999999999", None),
        ('"1,5"', None),
        ('"１"', None),
        ("9" * 19, None),
    ],
)
def test_a_figure_is_read_from_its_text(raw: str, expected: str | None) -> None:
    """Exactly, whether a number or a string; and it is passed on in fixed point, as contract 1 writes amounts."""
    found = figure(Raw(raw.encode()))
    assert found == (None if expected is None else Decimal(expected))
    if found is not None:
        assert ENCODER.encode(found).decode() == f'"{expected}"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-30", "2026-06-30"),
        ("2026-06-30T00:00:00Z", "2026-06-30"),
        ("2026-06-30 12:00", "2026-06-30"),
        (None, None),
        ("", None),
        ("30.06.2026", None),
        ("2026-06", None),
        ("2026-06--1", None),
        ("----------", None),
        ("２０２６-06-30", None),
        (" 2026-06-30", None),
    ],
)
def test_a_day_is_what_an_answer_begins_with(text: str | None, expected: str | None) -> None:
    """`YYYY-MM-DD` as it stands, or nothing."""
    assert day(text) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=12))
def test_a_segment_cannot_leave_its_place_in_the_path(text: str) -> None:
    """Encoded so that it is read back as it was, in one segment; or refused."""
    try:
        found = segment(text)
    except ValueError:
        assert not text.strip(".") or "/" in text or "\\" in text
    else:
        assert unquote(found) == text
        assert not set(found) & set("/\\?#;% &") - {"%"}


@pytest.mark.parametrize("text", ["", ".", "..", "...", "../../admin", "a/b", "a\\b", chr(0xD800)])
def test_text_that_could_leave_its_segment_is_refused(text: str) -> None:
    """RFC 3986 section 3.3; house 8."""
    with pytest.raises(ValueError, match=r"cannot stand|surrogates"):
        segment(text)


@pytest.mark.parametrize(
    ("own", "expected"),
    [(1, "1"), ("INV-1", "INV-1"), ("ü 1", "ü 1"), ("\ufffe", "\ufffe"), ("x" * 255, "x" * 255)],
)
def test_an_id_is_text(own: int | str, expected: str) -> None:
    """A number as it is written."""
    assert identity(own) == expected


@pytest.mark.parametrize("own", [None, 0, -1, "", " ", "0", "\u2028", "\x85", "a\x00b", "x" * 256])
def test_what_can_be_no_id_is_none(own: int | str | None) -> None:
    """Absent, blank, zero, beyond its length, or with control characters: nothing is created under it."""
    assert identity(own) is None
