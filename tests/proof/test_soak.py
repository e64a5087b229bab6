"""A real gateway under load, for a moment; and how a long one is judged."""

import pytest

from tests.proof import soak
from tests.proof.soak import JUDGED_SECONDS, Sample


async def test_a_gateway_under_load_loses_and_doubles_nothing() -> None:
    """With faults, deliveries left to the gateway and repetitions in the mix, every invoice is created once."""
    found = await soak.run(300, 1, lambda: None)
    assert not found.violations, str(found)


def samples(seconds: float, growth: float, slower: float) -> list[Sample]:
    """A run of so many seconds, with memory that grows by MB an hour, and a p99 that ends so much higher."""
    return [
        Sample(
            at := seconds * (number + 1) / 40,
            round((100.0 + growth * at / 3600) * 1e6 / 1024),
            0.01 * (1 + slower * (number >= 20)),
        )
        for number in range(40)
    ]


@pytest.mark.parametrize(
    ("seconds", "growth", "slower", "wrong"),
    [
        (7200.0, 0.0, 0.0, []),
        (7200.0, 0.8, 0.08, []),
        (7200.0, 3.0, 0.0, ["memory grows by 3.0 MB an hour"]),
        (7200.0, 0.0, 0.2, ["p99 is 20% worse in the end"]),
        (JUDGED_SECONDS - 1, 3.0, 0.2, []),
    ],
)
def test_a_long_run_is_judged_by_its_slope_and_its_drift(
    seconds: float, growth: float, slower: float, wrong: list[str]
) -> None:
    """A gateway that grows or becomes slow is noticed; a run that is too short is not judged."""
    assert soak.judged(samples(seconds, growth, slower)) == wrong


def test_the_first_quarter_is_not_judged() -> None:
    """What is filled once, such as caches, is no growth."""
    filled = [
        Sample(each.at, each.resident - 20_000 * (each.at < 1800), each.p99) for each in samples(7200.0, 0.0, 0.0)
    ]
    assert soak.judged(filled) == []
