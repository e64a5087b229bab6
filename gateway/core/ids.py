"""Ids of invoices and requests."""


def uuid7(milliseconds: int, randomness: bytes) -> str:
    """A UUID of version 7 (RFC 9562 section 5.7): ordered by time, then random; `randomness` are 10 bytes."""
    time, rest = f"{milliseconds:012x}", randomness.hex()
    return f"{time[:8]}-{time[8:]}-7{rest[:3]}-{'89ab'[randomness[1] % 4]}{rest[5:8]}-{rest[8:]}"
