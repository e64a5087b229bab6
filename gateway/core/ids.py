"""Ids of invoices and requests."""


def uuid7(milliseconds: int, randomness: bytes) -> str:
    """A UUID of version 7 (RFC 9562 section 5.7): ordered by time, then random; `randomness` are 10 bytes."""
    digits = f"{milliseconds:012x}7{randomness.hex()[:3]}{8 + randomness[1] % 4:x}{randomness.hex()[5:20]}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
