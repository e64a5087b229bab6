"""The invoices that are mutated, and the configuration that they meet: the demo's routes, upstreams that know more."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import structs

from gateway.core.plan import Book, Caller
from gateway.shell.catalog import dialects
from gateway.shell.compose import book
from gateway.shell.configuration import load
from tests.fuzz.mutation import Sample, sample
from tests.support import conversations
from tests.support.running import NAMES, PRODUCTS, configured, invoice, replaced

CALLER = Caller("fuzz", upstreams=frozenset(NAMES.values()) - {"katsupay-lagos"})
"""May use all upstreams but one."""
MOST_BYTES = 1100
ROUTES = """\
[[routes]]
name = "small"
when = { amount = { below = "30" }, currency = "USD", lacks = ["due_date"], country = "US" }
to = "onlyoffice-eu"
fallback = ["chargeover-us", "katsupay-lagos"]

[[routes]]
name = "workshops"
"""


@cache
def rules() -> Book:
    """The demo's configuration, with one more rule, and the upstreams of the conversations in the demo's places."""
    with TemporaryDirectory() as folder:
        path = configured(Path(folder), "http://127.0.0.1:1", replaced('[[routes]]\nname = "workshops"\n', ROUTES))
        found = book(load(path))
    richer = {
        name: structs.replace(conversations.upstream(dialects()[dialect], {}), name=name)
        for dialect, name in NAMES.items()
    }
    return structs.replace(found, upstreams=richer)


@cache
def samples() -> tuple[Sample, ...]:
    """The demo's invoices, and those of all conversations that are not too long."""
    found = {json.dumps(invoice(dialect)).encode() for dialect in PRODUCTS}
    for path in conversations.files():
        document = conversations.document(conversations.read(path))
        document["labels"] = {"product": PRODUCTS[path.parent.name]}
        found.add(json.dumps(document, separators=(",", ":")).encode())
    return tuple(sample(body) for body in sorted(found, key=lambda body: (len(body), body)) if len(body) < MOST_BYTES)
