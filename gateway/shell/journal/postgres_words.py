"""What may be told of a PostgreSQL server and its errors: no password, and nothing of an invoice."""

import os
import socket
import ssl
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import asyncpg

from gateway.shell.journal import StoreError

REFUSALS = frozenset(("22", "23", "25", "40", "42", "53"))
"""Classes of errors with which a server refuses a statement: for what it says, its own state, or lack of resources."""
BAD_URL = "its URL cannot be understood; signs such as / # ? @ in a password have to be percent-encoded"


def refused(error: Exception) -> bool:
    """Whether the server itself said that a statement came to nothing, by the class of its error.

    Source: postgresql.org/docs, "Error Codes". One that is shut down in between may have committed before.
    """
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] in REFUSALS


def place(url: str) -> str:
    """Where the server is, as it may be told: without user and password.

    Raises:
        StoreError: the URL cannot be understood, perhaps because of the password, so nothing of it is told.
    """
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.netloc.count("@") < 2 and "@" not in parts.path + parts.query + parts.fragment:
            asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            named = ":".join(asked[name] for name in ("host", "port") if name in asked)
            return parts.netloc.rpartition("@")[2] or named or "its default address"
    raise StoreError(f"PostgreSQL: {BAD_URL}")


def why(error: Exception) -> str:  # noqa: PLR0911 - a table of what can go wrong
    """Why something failed, on one line and without what was written, and without the URL."""
    match error:
        case StoreError():
            return str(error)
        case asyncpg.PostgresError() if not isinstance(error, asyncpg.DataError):
            return " ".join(str(error.args[0]).split())  # without the detail, which tells values as a `DataError` does
        case ssl.SSLError():
            return f"TLS failed: {error.reason}"
        case socket.gaierror():
            return "the host name does not resolve"
        case TimeoutError():
            return "no answer in time"
        case OSError():
            return os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        case ValueError():
            return BAD_URL
        case _:
            return type(error).__name__
