"""Ids of invoices and requests. Source: RFC 9562 section 5.7 and appendix A.6."""

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.ids import uuid7

times = st.integers(0, 2**48 - 1)
random = st.binary(min_size=10, max_size=10)


def test_the_example_of_the_standard_is_made() -> None:
    """RFC 9562 appendix A.6: its time, its `rand_a` and its `rand_b`."""
    made = uuid7(0x017F22E279B0, bytes.fromhex("cc3108c4dc0c0c07398f"))
    assert made.upper() == "017F22E2-79B0-7CC3-98C4-DC0C0C07398F"


@given(times, random)
def test_an_id_is_of_version_seven(milliseconds: int, randomness: bytes) -> None:
    """With the variant of the standard, the time in its first 48 bits, in the one text form."""
    made = uuid7(milliseconds, randomness)
    found = UUID(made)
    assert (found.version, found.variant, found.int >> 80) == (7, RFC_4122, milliseconds)
    assert str(found) == made


@given(times, times, random, random)
def test_ids_are_in_the_order_of_time(first: int, second: int, one: bytes, other: bytes) -> None:
    """As text, whatever the random part is."""
    if first != second:
        assert (uuid7(first, one) < uuid7(second, other)) is (first < second)


@given(times, random)
def test_none_of_a_millisecond_is_below_that_without_randomness(milliseconds: int, randomness: bytes) -> None:
    """So that everything older than a point of time is below one id."""
    assert uuid7(milliseconds, bytes(10)) <= uuid7(milliseconds, randomness) <= uuid7(milliseconds, b"\xff" * 10)


def test_every_bit_that_is_not_fixed_is_random() -> None:
    """74 of them."""
    none, every = UUID(uuid7(0, bytes(10))).int, UUID(uuid7(0, b"\xff" * 10)).int
    assert (none ^ every).bit_count() == 74
    single = [UUID(uuid7(0, (1 << bit).to_bytes(10, "big"))).int ^ none for bit in range(80)]
    assert sum(change.bit_count() for change in single) == 74
