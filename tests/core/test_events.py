"""One event per step. Source: house, idea 5."""

from typing import get_args

import msgspec
import pytest

from gateway.core.answer import ENCODER
from gateway.core.events import Answered, Concluded, Event, Refused, Routed, Sending
from gateway.core.money import Amount

EVENTS: list[Event] = [
    Routed("req", "0199", "billing:1", "default", "eu"),
    Sending("req", "0199", "eu"),
    Answered("req", "0199", "eu", "unknown", "timeout", None, 15.0),
    Concluded("req", "0199", "billing:1", "web", "default", "eu", "created", "USD", Amount("20.00"), (), (), 0.2, 0.1),
    Refused("req", "no-route", 422, 0.001),
]


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_a_value_with_a_tag(event: Event) -> None:
    """Written and read again as what it was; the tag is the event's name."""
    text = ENCODER.encode(event)
    assert msgspec.json.decode(text)["type"] == type(event).__name__.lower()
    with pytest.raises(AttributeError):
        event.request_id = "other"  # type: ignore[misc]  # that it cannot is the claim


def test_every_kind_of_event_is_in_the_union() -> None:
    """Listeners match on it."""
    assert {type(event) for event in EVENTS} == set(get_args(Event))
