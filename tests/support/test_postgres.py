"""The server that tests bring: what it says when it cannot start, and that nobody comes upon its port by chance."""

import socket
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.ports import PORTS, free_port
from tests.support.postgres import NotStartedError, Server


def test_a_server_whose_port_is_taken_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it said is told, and not that there is nothing left to end."""
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = int(taken.getsockname()[1])
        monkeypatch.setattr(postgres, "free_port", lambda: port)
        with pytest.raises(NotStartedError, match="Address already in use"):
            Server()


def test_a_free_port_is_none_that_a_connection_gets() -> None:
    """A program that starts a second later, or starts again, finds it free."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert PORTS[0] <= free_port() < PORTS[1] <= lowest
