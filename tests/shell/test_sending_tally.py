"""What is told of a file's invoices: counts, money without a float, times, and what was not created."""

import os
from decimal import Decimal
from io import StringIO

import msgspec
import pytest

from gateway.shell.sending.index import Record
from gateway.shell.sending.progress import Plain
from gateway.shell.sending.tally import MOST_SHOWN, Tally, span


def record(**members: object) -> Record:
    """A record of the results file."""
    found = {"line": 1, "content": "c", "gateway": "http://g", **members}
    return msgspec.convert(found, Record)


def created(amount: str | None = "0.10", currency: str | None = "USD") -> Record:
    """Of a created invoice."""
    return record(outcome="created", invoice={"currency": currency, "totals": {"amount_due": amount}})


REJECTED = record(line=7, external_id="a", outcome="rejected", type="/problems/rejected", detail="no such customer")


def test_every_line_is_counted_by_its_outcome() -> None:
    """Now and before apart; a problem without an outcome by its name."""
    tally = Tally(10)
    tally.add(created())
    tally.add(created(), before=True)
    tally.add(REJECTED)
    tally.add(record(type="/problems/malformed-json"))
    tally.add(record())
    tally.repeat()
    assert tally.now == {"created": 1, "rejected": 1, "malformed-json": 1, "no answer": 1, "repeated": 1}
    assert tally.before == {"created": 1}
    assert (tally.done, tally.sent, tally.all_created) == (6, 0, False)
    text = "\n".join(tally.summary(1.0))
    assert [line.split() for line in text.splitlines()[:3]] == [
        ["outcome", "now", "before"], ["created", "1", "1"], ["malformed-json", "1", "0"],
    ]  # fmt: skip
    assert "left                    4" in text
    assert "line 7  a  rejected        no such customer" in text


def test_money_is_summed_exactly_by_currency() -> None:
    """A thousand times ten cents; amounts that no upstream told are counted."""
    tally = Tally()
    for _ in range(1000):
        tally.add(created())
    tally.add(created("9007199254740993.01", "EUR"))
    tally.add(created(None))
    tally.add(created("5", None))
    tally.add(record(outcome="created"))
    assert tally.amounts == {
        "USD": Decimal(100),
        "EUR": Decimal("9007199254740993.01"),
        "without a currency": Decimal(5),
    }
    text = "\n".join(tally.summary(1.0))
    assert "EUR 9,007,199,254,740,993.01, USD 100.00, without a currency 5; of 2 the upstream told no amount" in text
    assert tally.all_created


def test_what_an_upstream_says_otherwise_is_told() -> None:
    """It is created, but perhaps for other money."""
    tally = Tally()
    wrong = {"pointer": "/totals/amount_due", "expected": "1.00", "received": "1.20"}
    tally.add(created())
    assert "otherwise" not in "".join(tally.summary(1.0))
    tally.add(record(outcome="created", discrepancies=[wrong]), before=True)
    assert "the upstream says 1 otherwise than they were sent" in "\n".join(tally.summary(1.0))


def test_the_first_that_were_not_created_are_shown() -> None:
    """And how many there are."""
    tally = Tally()
    for _ in range(MOST_SHOWN + 5):
        tally.add(REJECTED)
    shown = [line for line in tally.summary(1.0) if "no such customer" in line]
    assert len(shown) == MOST_SHOWN
    assert f"not created (the first {MOST_SHOWN} of {MOST_SHOWN + 5}):" in list(tally.summary(1.0))


def test_times_are_told_at_two_digits() -> None:
    """Half of the answers, and 95 % of them, came within that."""
    tally = Tally()
    assert tally.percentile(0.5) == 0
    for milliseconds in range(1, 101):
        tally.took(milliseconds / 1000)
    tally.took(12.345)
    assert (tally.percentile(0.5), tally.percentile(0.95), tally.percentile(1.0)) == (51, 96, 12_000)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.9, "59.9 s"),
        (60, "1 min 0 s"),
        (250, "4 min 10 s"),
        (7500, "2 h 5 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_a_time_reads_as_people_say_it(seconds: float, text: str) -> None:
    """Its two largest units."""
    assert span(seconds) == text


def test_the_pace_is_that_of_this_run() -> None:
    """What was there before takes no time and does not count."""
    tally = Tally(1000)
    assert tally.pace(0.0) == "0/s"
    for _ in range(500):
        tally.add(created(), before=True)
    for _ in range(100):
        tally.add(created())
        tally.took(0.01)
    assert tally.pace(10.0) == "10/s, 40.0 s left"
    tally.total = None
    assert tally.pace(10.0) == "10/s"


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    """Not more often than asked for; with or without an end in sight; nobody has to read it."""
    stream, tally = StringIO(), Tally(4)
    tally.add(created())
    plain = Plain(stream, 10.0)
    for seconds in range(0, 25, 2):
        plain.show(tally, float(seconds))
    assert stream.getvalue() == "1 of 4: created 1; 0/s\n" * 2
    tally.total = None
    plain.show(tally, 100.0)
    assert stream.getvalue().endswith("\n1: created 1; 0/s\n")
    stream.close()


def test_nobody_has_to_read_how_far_it_is() -> None:
    """A reader that has gone ends nothing."""
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    Plain(stream, 0.0).show(Tally(), 1.0)
    with pytest.raises(BrokenPipeError):
        stream.close()
