"""One event per step. Source: house, idea 5."""

import re
from typing import get_args

import msgspec
import pytest

from gateway.core.answer import ENCODER
from gateway.core.events import (
    FINDINGS,
    Answered,
    BreakerTurned,
    Claimed,
    Committed,
    Concluded,
    Defect,
    Event,
    Finding,
    InDoubt,
    JournalFailed,
    Postponed,
    Purged,
    Reconciled,
    Refused,
    Reloaded,
    Replayed,
    Resolved,
    Retried,
    Routed,
    Sending,
    Shadowed,
)
from gateway.core.money import Amount
from gateway.core.result import Discrepancy, Loss

LOSSES = (Loss("/note", "dropped", None, "no field"),)
DISCREPANCIES = (Discrepancy("/number", "1", "2"),)
TWENTY = Amount("20.00")

EVENTS: list[Event] = [
    Routed("req", "billing:1", "default", "eu"),
    Claimed("req", "0199", "billing:1", "web", "eu", waits=True),
    Sending("req", "0199", "eu"),
    Answered("req", "0199", "eu", "unknown", "timeout", None, 15.0),
    Concluded("req", "0199", "billing:1", "web", "default", "eu", "created", "USD", TWENTY, (), (), 0.2, 0.1),
    Shadowed("req", "0199", "default", "eu", "us", "losses", ("/note",), ("/number",)),
    Postponed("0199", "eu", "connect", 2.5),
    Retried("0199", "eu", "rate-limited", 0.2),
    BreakerTurned("eu", "half-open"),
    Replayed("req", "0199", "created"),
    Reconciled("0199", "web", "eu", "adopted", None, 31.5, "USD", TWENTY, LOSSES, DISCREPANCIES),
    Resolved("0199", "eu", "not_sent", "ann"),
    Committed(16, 0.002),
    JournalFailed("claim", "disk full", "0199"),
    InDoubt({"eu": (2, 60.5), "us": (0, 0.0)}),
    Purged(500),
    Reloaded("refused", "sha256:0", ("gateway.toml:1: not TOML",)),
    Defect("KeyError", ("gateway.py:12",), "req"),
    Refused("req", "no-route", 422, 0.001),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_is_a_value_with_a_tag(event: Event) -> None:
    """Written and read again as what it was; the tag is the event's name."""
    text = ENCODER.encode(event)
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(event).__name__).lower()
    assert msgspec.json.decode(text)["type"] == name
    assert msgspec.json.decode(text, type=Event) == event
    with pytest.raises(AttributeError):
        setattr(event, event.__struct_fields__[0], "other")


def test_every_kind_of_event_is_in_the_union() -> None:
    """Listeners match on it."""
    assert {type(event) for event in EVENTS} == set(get_args(Event))


def test_every_finding_is_listed() -> None:
    """Metrics count each of them from the start."""
    assert get_args(Finding) == FINDINGS
