"""Problems as they leave the gateway: `application/problem+json` (RFC 9457), and the pages that explain them."""

from html import escape
from math import ceil

import msgspec
from aiohttp import web
from msgspec import Struct

from gateway.core.answer import Result, UpstreamAnswer
from gateway.core.errors import Fault, OutcomeUnknown, Problem, Rejected, Unauthenticated, UpstreamUnavailable
from gateway.core.problem_index import PROBLEMS, explanation, title
from gateway.shell.written import Written

RETRY_SECONDS = 5.0
"""What `Retry-After` says where nothing better is known."""


class Details(Struct, frozen=True, omit_defaults=True):
    """The members of a problem."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    retryable: bool | None = None
    external_id: str | None = None
    invoice: str | None = None
    outcome: str | None = None
    errors: tuple[Fault, ...] = ()
    upstream: UpstreamAnswer | None = None


def response(problem: Problem, request_id: str, upstream: UpstreamAnswer | None = None) -> web.Response:
    """The answer that states `problem`."""
    kind = type(problem)
    details = Details(
        type=f"/problems/{kind.slug}",
        title=title(kind),
        status=kind.status,
        detail=problem.detail,
        instance=request_id,
        retryable=kind.retryable,
        external_id=problem.external_id,
        invoice=problem.invoice,
        outcome=kind.outcome,
        errors=problem.faults,
        upstream=upstream,
    )
    headers: dict[str, str] = {}
    if kind.retryable:
        headers["Retry-After"] = str(ceil(problem.retry_after if problem.retry_after is not None else RETRY_SECONDS))
    if kind is Unauthenticated:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.invoice is not None and kind.outcome in ("unknown", "pending"):
        headers["Location"] = f"/v1/invoices/{problem.invoice}"
    body = msgspec.json.encode(details)
    return Written(status=kind.status, body=body, headers=headers, content_type="application/problem+json")


def of_result(result: Result, retry_after: float | None = None) -> Problem:
    """The problem that a delivery which created nothing for certain ended in."""
    name, words = result.upstream.name, result.upstream.message
    match result.outcome:
        case "rejected":
            problem: Problem = Rejected(f"{name} refused the invoice: {words}", result.errors)
        case "not_sent":
            problem = UpstreamUnavailable(f"{name} did not take the invoice: {words}", retry_after=retry_after)
        case _:
            problem = OutcomeUnknown(f"the invoice may exist at {name}: {words}", retry_after=retry_after)
    problem.external_id, problem.invoice = result.external_id, result.id
    return problem


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; color: #1c2733 }}
h1 {{ font-size: 1.5rem }} code {{ background: #eef2f6; padding: .1rem .3rem; border-radius: .2rem }}
table {{ border-collapse: collapse; margin: 1.5rem 0; width: 100% }}
td, th {{ border-bottom: 1px solid #dde4ec; padding: .4rem .8rem .4rem 0; text-align: left; vertical-align: top }}
a {{ color: #0b5cad }}
</style></head><body>{body}</body></html>
"""


def page(slug: str) -> str | None:
    """The page of a problem; None if there is no such problem."""
    kind = PROBLEMS.get(slug)
    if kind is None:
        return None
    rows = (
        ("HTTP status", str(kind.status)),
        ("Outcome", kind.outcome or "nothing was sent"),
        ("May the same request be sent again?", "yes" if kind.retryable else "no, not as it is"),
    )
    table = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    body = f"<p><code>{slug}</code></p><h1>{escape(title(kind))}</h1><p>{marked(explanation(kind))}</p>"
    return _PAGE.format(
        title=escape(title(kind)), body=f"{body}<table>{table}</table><p><a href='.'>All problems</a></p>"
    )


def index_page() -> str:
    """The list of all problems."""
    rows = "".join(
        f"<tr><td><a href='{slug}'><code>{slug}</code></a></td><td>{kind.status}</td><td>{escape(title(kind))}</td>"
        for slug, kind in PROBLEMS.items()
    )
    return _PAGE.format(title="Problems", body=f"<h1>Problems</h1><table>{rows}</table>")


def marked(text: str) -> str:
    """Text with `code` and **stress** as HTML."""
    parts = escape(text).split("`")
    coded = "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
    pieces = coded.split("**")
    return "".join(f"<strong>{piece}</strong>" if index % 2 else piece for index, piece in enumerate(pieces))
