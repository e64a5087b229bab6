"""What every world of the simulation has in common: its configuration, its times, its invoices."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gateway import demo
from gateway.core.plan import Caller
from gateway.shell.configuration import Loaded, load
from gateway.shell.setup import Policy
from tests.support.running import PRODUCTS

EPOCH = 1_760_000_000.0
TIMEOUT = 2.0
POLICY = Policy(deliver_by=60.0, delays=(0.5, 1.0, 2.0))
BILLING = Caller("billing", operator=True)


@cache
def configuration() -> Loaded:
    """The demo's configuration with stand-ins, short times, and a settle time where the dialect has one."""
    text = demo.CONFIG.read_text().replace(
        'to = "chargeover-us"', 'to = "chargeover-us"\nfallback = ["onlyoffice-eu", "katsupay-lagos"]'
    )
    for dialect, settle in (("onlyoffice", "4s"), ("exsited", "3s"), ("chargeover", "0s")):
        text = text.replace(f'dialect = "{dialect}"', f'dialect = "{dialect}"\nsettle = "{settle}"')
    with TemporaryDirectory() as folder:
        path = Path(folder, "gateway.toml")
        path.write_text(text)
        return load(path)


@cache
def _invoice() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(demo.INVOICE.read_text())
    del found["number"]
    return found


def body_of(key: str, dialect: str, **changes: Any) -> bytes:
    """The demo's invoice under another key, for a dialect, with changes."""
    own = {"external_id": key, "labels": {"product": PRODUCTS[dialect]}}
    return json.dumps({**_invoice(), **own, **changes}).encode()
