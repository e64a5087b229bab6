"""What a request asks for beside its invoice: preferences are bounded, and every fault of a query is named at once."""

import json
import math
from typing import Any

import pytest

from gateway.core.errors import Fault, InvalidRequest, MalformedJson
from gateway.shell.gateway import AT_ONCE, Preference
from gateway.shell.journal import Query
from gateway.shell.records import Verdict
from gateway.shell.requests import MOST_LISTED, MOST_WAIT, STATES, asked, flag, preferred, verdict_of, within

CURSOR = "01900000-0000-7000-8000-000000000000"


def later(wait: float = 0.0) -> Preference:
    """An asynchronous answer, after so many seconds."""
    return Preference(respond_async=True, wait=wait)


def faults(**parameters: str) -> dict[str, Fault]:
    """The faults of a query by their pointers."""
    with pytest.raises(InvalidRequest) as caught:
        asked(parameters)
    return {fault.pointer: fault for fault in caught.value.faults}


def wrong(body: object) -> dict[str, str]:
    """The codes of a verdict's faults by their pointers."""
    with pytest.raises(InvalidRequest) as caught:
        verdict_of(json.dumps(body).encode())
    return {fault.pointer: fault.code for fault in caught.value.faults}


# ------------------------------------------------------------------ Prefer


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ([], AT_ONCE),
        (["respond-async"], later()),
        (["Respond-ASYNC"], later()),
        (["  respond-async  "], later()),
        (["respond-async, wait=5"], later(5)),
        (["respond-async,wait=5"], later(5)),
        (["wait=5, respond-async"], later(5)),
        (["respond-async", "wait=5"], later(5)),
        (["wait=5", "respond-async"], later(5)),
        (["return=minimal", "handling=lenient, respond-async", "WAIT=5"], later(5)),
        (['respond-async, wait="5"'], later(5)),
        (["respond-async, wait = 5"], later(5)),
        (['respond-async=""'], later()),
        (["respond-async; x=y, wait=5;x"], later(5)),
        (['respond-async;a="b, c", wait=5; d'], later(5)),
        (["respond-async, wait=5, wait=9"], later(5)),
        (["wait=5", "respond-async", "wait=9"], later(5)),
        (['a="respond-async, wait=5"'], AT_ONCE),
        (['a="b\\", respond-async"'], AT_ONCE),
    ],
)
def test_preferences_are_read_however_they_are_written(headers: list[str], wanted: Preference) -> None:
    """In one header or several, in any case and order, with spaces, quoted or not (RFC 7240)."""
    assert preferred(headers) == wanted


@pytest.mark.parametrize(
    "text", ["wait", "wait=", "wait=x", "wait=-1", "wait=1.5", "wait=1e3", "wait=²", "wait=٣", 'wait=""', "wait==5"]
)
def test_a_wait_that_is_none_is_ignored(text: str) -> None:
    """What stands beside it counts all the same."""
    assert preferred([f"respond-async, {text}"]) == later()


@pytest.mark.parametrize(
    "text", ["", ",", ",,,", "=", "=respond-async", "async", "respond-asynchronously", "\0", "ü=ü"]
)
def test_what_is_not_understood_is_ignored(text: str) -> None:
    """Alone, and beside what is understood."""
    assert preferred([text]) == AT_ONCE
    assert preferred([text, "respond-async"]) == preferred([f"{text},respond-async"]) == later()


def test_a_wait_alone_asks_for_nothing() -> None:
    """A caller who does not want to leave waits for the outcome anyway."""
    assert preferred(["wait=5"]) == AT_ONCE


@pytest.mark.parametrize(("text", "wanted"), [("60", 60), ("61", 60), ("999999999", 60), ("59", 59), ("0", 0)])
def test_nobody_waits_for_ever(text: str, wanted: float) -> None:
    """A minute at most; a figure that is longer than any time is no figure."""
    assert MOST_WAIT == 60
    assert preferred([f"respond-async, wait={text}"]) == later(wanted)
    assert preferred([f"respond-async, wait={'9' * 5000}"]).wait <= MOST_WAIT


# ------------------------------------------------------------------ X-Request-Timeout-Ms


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, math.inf), ("1", 0.001), ("1500", 1.5), ("000002", 0.002), ("9" * 15, 999_999_999_999.999)],
)
def test_a_caller_may_say_how_long_it_waits(header: str | None, seconds: float) -> None:
    """In milliseconds; no longer than the upstream may take, whatever it says, or if it says nothing."""
    assert within(header) == seconds


@pytest.mark.parametrize("header", ["", "0", "000", "-1", "1.5", "1e3", " 5", "٣", "5s", "9" * 5000])
def test_a_time_that_is_none_is_refused(header: str) -> None:
    """Naming the header."""
    with pytest.raises(InvalidRequest) as caught:
        within(header)
    assert caught.value.faults == (
        Fault("", "range", "X-Request-Timeout-Ms must be a number of milliseconds, at least 1"),
    )


# ------------------------------------------------------------------ lists


def test_without_parameters_the_newest_are_asked_for() -> None:
    """Fifty of them, and one more, which tells whether there are more."""
    assert asked({}) == Query(limit=51)


def test_every_parameter_has_its_place() -> None:
    """All at once."""
    found = asked({"client": "c", "external_id": "e", "outcome": "unknown", "cursor": CURSOR, "limit": "7"})
    assert found == Query(client="c", external_id="e", states=("unknown",), after=CURSOR, limit=8)


def test_every_outcome_of_the_contract_stands_for_its_states() -> None:
    """Together for all there are, each once."""
    for outcome in ("created", "rejected", "not_sent", "unknown"):
        assert asked({"outcome": outcome}).states == (outcome,)
    assert set(asked({"outcome": "pending"}).states) == {"waiting", "sending"}
    assert sorted(STATES) == ["created", "not_sent", "pending", "rejected", "unknown"]


@pytest.mark.parametrize("limit", ["1", "2", "199", "200", "0200", f"{'0' * 5000}7"])
def test_a_limit_within_its_bounds_is_taken(limit: str) -> None:
    """From one to two hundred."""
    assert MOST_LISTED == 200
    assert asked({"limit": limit}).limit == int(limit[-3:]) + 1


@pytest.mark.parametrize(
    "limit", ["0", "201", "1" + "0" * 10, "-1", "", "x", "1.0", "1e2", "+1", " 1", "٣", "²", "9" * 5000]
)
def test_a_limit_beyond_them_is_a_fault(limit: str) -> None:
    """Which says what it has to be."""
    assert faults(limit=limit)["limit"] == Fault("limit", "range", "must be a number from 1 to 200")


@pytest.mark.parametrize(
    "cursor", ["", "x", CURSOR[1:], f"{CURSOR}0", CURSOR.replace("a", "A") + "\n", "G" + CURSOR[1:]]
)
def test_a_cursor_that_nobody_gave_is_a_fault(cursor: str) -> None:
    """It is an id as they are answered."""
    assert faults(cursor=cursor)["cursor"].code == "pattern"


def test_the_words_that_are_meant_are_named() -> None:
    """For a parameter and for an outcome."""
    found = faults(limitt="1", outcome="pendin")
    assert 'did you mean "limit"' in found["limitt"].detail
    assert 'did you mean "pending"' in found["outcome"].detail
    assert "waiting" in faults(outcome="waiting")["outcome"].detail, "a state is no outcome"


@pytest.mark.parametrize("name", ["external_id", "client"])
def test_what_no_store_can_hold_is_a_fault(name: str) -> None:
    """PostgreSQL has no NUL in a text, and half a surrogate pair is no character."""
    for text in ("a\0", "\x1f", "\udc80"):
        assert faults(**{name: text})[name].code == "control"


def test_every_fault_of_a_query_is_found_at_once() -> None:
    """And the first is the detail."""
    with pytest.raises(InvalidRequest, match=r"^state: ") as caught:
        asked({"limit": "0", "state": "x", "outcome": "x", "cursor": "x", "page": "2"})
    assert [fault.pointer for fault in caught.value.faults] == ["state", "page", "outcome", "limit", "cursor"]


# ------------------------------------------------------------------ verdicts


def test_a_verdict_is_read() -> None:
    """With the id at the upstream, without, or with null for it."""
    assert verdict_of(b'{"outcome": "created", "reason": "r", "upstream_id": "1"}') == Verdict("created", "r", "1")
    assert verdict_of(b'{"outcome": "created", "reason": "r"}') == Verdict("created", "r")
    assert verdict_of(b'{"outcome": "created", "reason": "r", "upstream_id": null}') == Verdict("created", "r")
    assert verdict_of(b'{"outcome": "not_sent", "reason": "a\\nb"}') == Verdict("not_sent", "a\nb")


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"outcome": "rejected"}, "/outcome", "unknown-code"),
        ({"outcome": "unknown"}, "/outcome", "unknown-code"),
        ({"outcome": None}, "/outcome", "type"),
        ({"reason": 1}, "/reason", "type"),
        ({"reason": None}, "/reason", "type"),
        ({"reason": ""}, "/reason", "length"),
        ({"reason": "x" * 4001}, "/reason", "length"),
        ({"upstream_id": ""}, "/upstream_id", "length"),
        ({"upstream_id": 1}, "/upstream_id", "type"),
        ({"upstream_id": "x" * 256}, "/upstream_id", "length"),
        ({"upstream-id": "1"}, "/upstream-id", "unknown-field"),
        ({"outcome": "not_sent", "upstream_id": "1"}, "/upstream_id", "contradiction"),
    ],
)
def test_each_fault_of_a_verdict_has_its_place(changes: dict[str, Any], pointer: str, code: str) -> None:
    """And no other is found."""
    assert wrong({"outcome": "created", "reason": "r"} | changes) == {pointer: code}


def test_every_fault_of_a_verdict_is_found_at_once() -> None:
    """What is missing, unknown, wrong, and what contradicts."""
    assert set(wrong({"outcome": "not_sent", "upstream_id": 1, "who": "me"})) == {"/upstream_id", "/who", "/reason"}
    assert set(wrong({})) == {"/outcome", "/reason"}
    others: tuple[object, ...] = ([], "created", 1, None)
    for body in others:
        assert set(wrong(body)) == {""}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"outcome": NaN}', b"[" * 100_000])
def test_a_verdict_that_is_no_json_is_malformed(body: bytes) -> None:
    """However it is not."""
    with pytest.raises(MalformedJson):
        verdict_of(body)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("true", True),
        ("TRUE", True),
        ("1", True),
        ("yes", True),
        ("false", False),
        ("0", False),
        ("no", False),
        ("", False),
    ],
)
def test_a_flag_says_yes_or_no(word: str, says: bool) -> None:
    """In any case; an empty one says no, as an absent one does."""
    assert flag({"everywhere": word}, "everywhere") is says
    assert flag({}, "everywhere") is False


@pytest.mark.parametrize("word", ["perhaps", "2", "truee", " true", "null"])
def test_a_flag_that_says_neither_is_refused(word: str) -> None:
    """And not taken for a no."""
    with pytest.raises(InvalidRequest) as caught:
        flag({"everywhere": word}, "everywhere")
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("everywhere", "unknown-code")]
