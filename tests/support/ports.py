"""Ports for programs that must know theirs before they start, or come back to it."""

import secrets
import socket
from contextlib import suppress

PORTS = (20_000, 32_000)
"""Below those that Linux gives to connections and to who asks for any port: one left for a moment is not taken."""


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    while True:
        port = PORTS[0] + secrets.randbelow(PORTS[1] - PORTS[0])  # `random` is the same for all generated examples
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
