"""What is told of an upstream's words: no secret in any notation, bounded, without control characters."""

import pytest

from gateway.core.errors import Fault
from gateway.core.exchange import Reply
from gateway.core.result import Created, Outcome, Rejected, Stated, Totals, Unknown, UpstreamWarning
from gateway.core.telling import MOST_TEXT, forms, masked, told

SECRET = 'pass/word"1é&'
HIDDEN = forms(SECRET)


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        'pass/word\\"1é&',
        'pass/word\\"1\\u00e9&',
        'pass\\/word\\"1\\u00e9&',
        "pass%2Fword%221%C3%A9%26",
        "pass/word%221%C3%A9%26",
        "pass/word&quot;1é&amp;",
    ],
)
def test_a_secret_is_masked_in_every_notation(text: str) -> None:
    """As it is, in JSON with and without escapes, in a URL, in HTML; in words and in what is kept of the answer."""
    assert told(Unknown("x", f"before {text} after"), HIDDEN) == Unknown("x", "before *** after")
    assert masked(Reply(400, f"<{text}>".encode()), HIDDEN) == Reply(400, b"<***>")


@pytest.mark.parametrize("length", range(6, len(SECRET)))
def test_the_beginning_of_a_secret_at_the_end_of_cut_words_is_masked(length: int) -> None:
    """Words are cut before anybody looks for secrets in them."""
    assert told(Unknown("x", f"before {SECRET[:length]}"), HIDDEN).detail == "before ***"


def test_what_is_too_short_to_be_recognised_is_left() -> None:
    """Seven characters, and five of the beginning of a longer one: they would mask words that mean nothing by it."""
    assert forms("sandbox") == ()
    assert told(Unknown("x", f"by {SECRET[:5]}"), HIDDEN).detail == f"by {SECRET[:5]}"


def outcome(words: str) -> Outcome:
    """A success with these words wherever an upstream has any."""
    stated = Stated("1", status_raw=words, url=words, totals=Totals())
    return Created(stated, 200, words, words, {"token": words}, (UpstreamWarning(words, words),))


def test_all_words_of_an_outcome_are_looked_at_and_nothing_else_is_changed() -> None:
    """At every depth; the invoice's id, figures and what is absent stay as they are."""
    assert told(outcome(SECRET), HIDDEN) == outcome("***")
    assert told(outcome("fine"), HIDDEN) == outcome("fine")
    refused = Rejected(400, SECRET, "no", (Fault("", "x", SECRET),))
    assert told(refused, HIDDEN) == Rejected(400, "***", "no", (Fault("", "x", "***"),))


def test_an_id_is_never_changed() -> None:
    """It is what the invoice is found by."""
    assert told(Created(Stated(SECRET), 200), HIDDEN) == Created(Stated(SECRET), 200)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a\x00b", "a b"),
        ("a\x1b[2Jb", "a [2Jb"),
        ("x" * 2000, "x" * MOST_TEXT),
        ("two  blanks", "two  blanks"),
        ("/\udcff/", "/ /"),
    ],
)
def test_words_are_bounded_and_hold_no_control_characters(words: str, expected: str) -> None:
    """Those that are short and clean are left as they are."""
    assert told(Unknown("x", words), ()).detail == expected


def test_an_answer_without_a_secret_is_kept_as_it_came() -> None:
    """And where there was no answer, there is none."""
    reply = Reply(200, b"\xff{}")
    assert masked(reply, HIDDEN) is reply
    assert masked(None, HIDDEN) is None
