"""The demo: a gateway before the sandbox, and one canonical invoice sent to each of the upstream APIs."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from structlog.typing import FilteringBoundLogger

from gateway.shell import logs
from gateway.shell.configuration import Loaded
from gateway.shell.report import table

HERE = Path(__file__).parent
CONFIG = HERE / "gateway.toml"
INVOICE = HERE / "invoice.json"
SANDBOX = "http://127.0.0.1:9100"

PRODUCTS = ("workshop", "wallet", "subscription", "crm", "fleet")
"""The label that the demo's rules route by; each leads to another upstream."""


def configuration(loaded: Loaded, port: int, ops_port: int, sandbox_port: int, folder: Path) -> Loaded:
    """The demo's configuration on other ports, with its journal in `folder`.

    The sandbox forgets everything when it ends, and numbers its invoices from the beginning again; so must the journal.
    """
    replace = msgspec.structs.replace
    config = loaded.config
    server = replace(config.server, listen=f"127.0.0.1:{port}", ops_listen=f"127.0.0.1:{ops_port}")
    upstreams = {
        name: replace(upstream, base_url=upstream.base_url.replace(SANDBOX, f"http://127.0.0.1:{sandbox_port}"))
        for name, upstream in config.upstreams.items()
    }
    journal = replace(config.journal, url=f"sqlite://{folder}/journal.db")
    return replace(loaded, config=replace(config, server=server, upstreams=upstreams, journal=journal))


def quiet_log() -> FilteringBoundLogger:
    """A log that nobody reads: the demo's own words matter on the terminal."""
    return logs.logger(BytesIO())


async def run(url: str, ops_url: str, sandbox_url: str, say: Callable[[str], None]) -> bool:
    """Send the invoice to each upstream and show what came back; whether all were created."""
    invoice = json.loads(INVOICE.read_text())
    say(f"One canonical invoice, {len(PRODUCTS)} upstream APIs (simulated on this machine by the sandbox):\n")
    rows: list[tuple[str, ...]] = [("upstream", "dialect", "answer", "id there", "status", "amount due", "losses")]
    last: dict[str, Any] = {}
    async with aiohttp.ClientSession() as session:
        for product in PRODUCTS:
            sent = {**invoice, "external_id": f"{invoice['external_id']}:{product}", "labels": {"product": product}}
            async with session.post(f"{url}/v1/invoices", json=sent) as response:
                last = await response.json(content_type=None)
                rows.append(_row(response.status, last))
    for line in table(rows):
        say(line)
    say("\nThe last answer, as the caller gets it:\n")
    say(json.dumps(_shortened(last), indent=2, ensure_ascii=False))
    say(_hints(url, ops_url, sandbox_url))
    return all(row[2] == "201 created" for row in rows[1:])


def _row(status: int, answer: dict[str, Any]) -> tuple[str, ...]:
    if status != 201:
        return ("-", "-", f"{status} {answer.get('title')}", "-", "-", "-", "-")
    invoice, upstream = answer["invoice"], answer["upstream"]
    due = invoice["totals"]["amount_due"] or "-"
    return (
        upstream["name"],
        upstream["dialect"],
        f"{status} {answer['outcome']}",
        invoice["id"],
        invoice["status"],
        f"{due} {invoice['currency'] or ''}".strip(),
        str(len(answer["losses"])),
    )


def _shortened(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with one loss of each disposition for all of them; a terminal is only so high."""
    losses = answer.get("losses", [])
    shown = list({loss["disposition"]: loss for loss in losses}.values())
    more = len(losses) - len(shown)
    return {**answer, "losses": [*shown, f"… and {more} more"]} if more else answer


def _hints(url: str, ops_url: str, sandbox_url: str) -> str:
    sample = INVOICE.relative_to(Path.cwd()) if INVOICE.is_relative_to(Path.cwd()) else INVOICE
    json_type = "-H 'Content-Type: application/json'"
    return f"""
Send one yourself; send it again, and it is answered from the journal; or look where it could go, without sending:

  curl -s {url}/v1/invoices {json_type} -d @{sample}
  curl -s '{url}/v1/invoices/explain?all_upstreams=true' {json_type} -d @{sample}

Break an upstream and send another: it is in doubt, and settles by itself (GET {sandbox_url}/ lists all faults):

  curl -s {sandbox_url}/_sandbox/chargeover/faults -d '{{"fault": "store-then-reset", "method": "POST"}}'
  sed 's/2026-06"/2026-07"/' {sample} | curl -s {url}/v1/invoices {json_type} -d @-
  curl -s '{url}/v1/invoices?external_id=billing:acct-88:2026-07'

Also: {url}/v1/invoices, {url}/v1/upstreams, {url}/problems/, {ops_url}/metrics,
{sandbox_url}/_sandbox/chargeover/invoices
"""
