"""`explain` on the command line: the same answer as the API's, for a person or for a program."""

import sys
from pathlib import Path

from gateway.core.answer import ENCODER
from gateway.core.errors import Problem
from gateway.core.explain import explain as explain_invoice
from gateway.core.explain import taker
from gateway.core.plan import LOCAL, Caller, caller_of
from gateway.core.wording import nearest, quoted
from gateway.shell import report
from gateway.shell.commands import complain, loaded_or_none, say
from gateway.shell.compose import book, offline_targets
from gateway.shell.configuration import Loaded
from gateway.shell.explanation import explanation


def explain(path: Path, invoice: str, client: str, *, everywhere: bool, as_json: bool) -> int:
    """`explain --config FILE INVOICE`: exit 1 if the invoice would not be sent, 2 if there is nothing to explain."""
    loaded = loaded_or_none(path, with_secrets=False)
    if loaded is None:
        return 1
    try:
        caller = called_by(loaded, client)
        body = sys.stdin.buffer.read() if invoice == "-" else Path(invoice).read_bytes()
    except ValueError as error:
        complain(str(error))
        return 2
    except OSError as error:
        complain(f"{invoice}: cannot be read: {error.strerror}")
        return 2
    try:
        found = explain_invoice(body, None, caller, book(loaded), offline_targets(loaded), all_upstreams=everywhere)
    except Problem as problem:
        complain(report.problem(problem))
        return 1
    say(ENCODER.encode(found).decode() if as_json else explanation(found, everywhere=everywhere))
    return 0 if taker(found) is not None else 1


def called_by(loaded: Loaded, client: str) -> Caller:
    """The client of that name, with its permissions.

    Raises:
        ValueError: there is none.
    """
    clients = loaded.config.clients
    if client not in clients and client != LOCAL:
        raise ValueError(f"there is no client {quoted(client)}{nearest(client, clients)}")
    return caller_of(clients, client)
