"""Hostile input as often as on every commit; what once failed, again; and the largest of bodies, each by its name."""

from pathlib import Path

import pytest

from gateway.core.errors import Problem
from gateway.core.exchange import Reply
from gateway.core.result import Created, Stated
from tests.fuzz import bodies, canaries, corpus, paths, replies
from tests.fuzz.calls import Call, wrongs
from tests.fuzz.giants import GIANTS
from tests.fuzz.wire import Answer
from tests.proof.rows import ROWS, Row
from tests.support.ways import Made

FUZZ = [row for row in ROWS if row.name in ("bodies", "calls", "raw", "replies", "paths", "canaries")]


@pytest.mark.parametrize("row", FUZZ, ids=lambda row: row.name)
async def test_hostile_input_brings_about_nothing_that_must_not_be(row: Row) -> None:
    """A failing seed is named in the message."""
    found = await row.run(row.count(1.0, commit=True), 1, lambda: None)
    assert not found.violations, str(found)


@pytest.mark.parametrize("number", range(len(GIANTS)))
def test_a_giant_is_taken_or_refused_in_time(number: int) -> None:
    """No body takes time by the square of anything in it."""
    assert bodies.tried(GIANTS[number](), None) is None


@pytest.mark.parametrize("path", corpus.talks(), ids=lambda path: path.stem)
def test_what_an_upstream_once_confused_us_with_does_so_no_more(path: Path) -> None:
    """The answers that once failed, in the conversations that they were given in."""
    assert list(replies.wrongs(corpus.played(path))) == []


def test_a_seed_is_the_same_body_again() -> None:
    """Otherwise a failing seed would be worth nothing."""
    assert [bodies.body(seed) for seed in range(1, 200)] == [bodies.body(seed) for seed in range(1, 200)]


# ---------------------------------------------------------------- the controls: what must be noticed is


def test_an_exception_that_is_no_problem_is_noticed() -> None:
    """As a mistake in reading a body would be."""
    assert "AttributeError" in (bodies.tried("no bytes", None) or "")  # type: ignore[arg-type]  # that is the mistake


def test_a_refusal_that_is_the_gateways_fault_or_names_no_place_is_noticed() -> None:
    """A 5xx, and an invalid invoice without errors."""

    class Invalid(Problem):
        slug, status = "invalid-invoice", 422

    assert bodies.refused(Problem("a mistake")) is not None
    assert bodies.refused(Invalid("wrong somewhere")) is not None


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (Created(Stated(), 201), "created with the id None"),
        (Created(Stated(id="made up"), 201), "created with an id that nobody said"),
        (Created(Stated(id="made up"), 404), "created under status 404"),
    ],
)
def test_a_false_success_is_noticed(made: Created, expected: str) -> None:
    """Whatever a mapping might make of an answer."""
    case = next(each for each in replies.cases("katsupay") if each.name == "created")
    talk = replies.Talk(case, (case.translation.request,), (Reply(200, b"{}"),), made)
    assert any(each.startswith(expected) for each in replies.wrongs(talk))


def test_a_second_creation_and_a_silent_difference_are_noticed() -> None:
    """Two posts in one conversation; another amount than was sent in an outcome that says nothing of it."""
    case = next(each for each in replies.cases("katsupay") if each.name == "created")
    reply = Reply(200, b'{"invoiceId": "made", "amount": 1.00}')
    talk = replies.Talk(case, (case.translation.request,) * 2, (reply, reply), Created(Stated(id="made"), 200))
    assert "creating requests at [0, 1]" in list(replies.wrongs(talk))
    silent = replies.Talk(case, (case.translation.request,), (reply,), Created(Stated(id="made"), 200))
    assert any("nobody says so" in each for each in replies.wrongs(silent))


@pytest.mark.parametrize(
    "path",
    ["/api/v3/orders/../invoices", "/api/v3/orders/a/b/invoices", "/api/v3/orders/a%2F..%2Fb/invoices", "/api/v3/a b"],
)
def test_a_path_that_is_left_is_noticed(path: str) -> None:
    """Plain, encoded, and with what a path does not hold."""
    assert paths.strays("exsited", path) is not None


PROBLEM = {"content-type": "application/problem+json", "x-request-id": "1"}
CALL = Call(b"", "POST")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        Answer(500, PROBLEM, b'{"type":"/problems/internal","title":"t","detail":"d","status":500}'),
        Answer(504, PROBLEM, b'{"type":"/problems/outcome-unknown","title":"t","detail":"d","status":504}'),
        Answer(400, {**PROBLEM, "content-type": "text/plain"}, b"no"),
        Answer(422, PROBLEM, b'{"type":"/problems/invalid-invoice","title":"t","detail":"d","status":422}'),
        Answer(200, PROBLEM, canaries.CLIENT_TOKEN.encode()),
        Answer(200, {}, b"{}"),
    ],
)
def test_a_wrong_answer_is_noticed(answer: Answer | None) -> None:
    """None at all, a 5xx, a refusal that is no problem or names no place, a secret, no request id."""
    assert list(wrongs(CALL, answer))


async def test_a_path_is_on_the_wire_as_it_was_decided(way_of: Made) -> None:
    """Byte for byte, for a sample of hostile orders; nothing is normalized on the way."""
    assert await paths.on_the_wire(range(60), way_of) == []
