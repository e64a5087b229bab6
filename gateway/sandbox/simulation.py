"""What a simulated upstream is: a name, its own switchable quirks, and a function from requests to replies.

A simulation is strict (it refuses what the real API would refuse, and what its page does not mention), stateful (what
was created can be read back), and synchronous. Faults that any upstream can have, such as a delay or a broken
connection, are not its business: `server` has them.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import msgspec

from gateway.core.exchange import Reply, Request


class Simulation(Protocol):
    """One upstream API. `gateway.sandbox` is scanned for modules with a class `Simulation` of this shape.

    Its constructor needs no arguments.
    """

    name: ClassVar[str]
    """The dialect's name; the API is served below `/NAME`."""

    quirks: ClassVar[Mapping[str, str]]
    """Behaviours of this API alone that can be switched on for a request: name to what happens, for people."""

    def answer(self, request: Request, quirk: str | None = None) -> Reply:
        """The reply to `request`, whose path is what follows `/NAME`, with its query; header names as sent."""

    def stored(self) -> list[dict[str, Any]]:
        """The invoices that exist, oldest first: JSON values, with `id`, `number`, `total` as text or None."""


def json_reply(status: int, body: object, **headers: str) -> Reply:
    """A reply with a JSON body; Decimals as exact JSON numbers, header names with `-` for `_`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, ENCODER.encode(body), {"content-type": "application/json", **named})


def text_reply(status: int, text: str, kind: str = "text/plain") -> Reply:
    """A reply that is not JSON."""
    return Reply(status, text.encode(), {"content-type": kind})


ENCODER = msgspec.json.Encoder(decimal_format="number")


def header(request: Request, name: str) -> str | None:
    """A header of the request, whatever its case."""
    return next((text for key, text in request.headers if key.lower() == name), None)
