"""The published document: OpenAPI 3.1 of the API, made from the structs, the problems and the table of endpoints."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

import msgspec

from gateway import __version__
from gateway.core import codes
from gateway.core.dialect import Dialect
from gateway.core.errors import MethodNotAllowed, Problem, Unauthenticated
from gateway.core.problem_index import PROBLEMS, explanation, title
from gateway.shell.endpoints import ENDPOINTS, Endpoint, Reply
from gateway.shell.problems import Details
from gateway.shell.requests import CURSOR, MOST_LISTED, STATES
from gateway.shell.schemas import Schema, ref, schemas

INVOICE = Path(__file__).parent.parent / "demo" / "invoice.json"
"""The example of an invoice."""
PROBLEM_JSON = "application/problem+json"

_KEY = codes.EXTERNAL_ID.removeprefix("^").removesuffix(r"$(?!\n)")
_TEXT: Schema = {"type": "string"}

# Name: where it is, its schema, what it says.
PARAMETERS: Mapping[str, tuple[str, Schema, str]] = {
    "id": ("path", _TEXT, "The invoice's id at the gateway."),
    "slug": ("path", {"type": "string", "enum": list(PROBLEMS)}, "The last word of the problem's `type`."),
    "external_id": ("query", _TEXT, "Only the invoice of this name; an operator may find one of each client."),
    "outcome": ("query", {"type": "string", "enum": list(STATES)}, "Only invoices with this outcome."),
    "limit": ("query", {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": 50}, "So many at most."),
    "cursor": ("query", {"type": "string", "pattern": rf"^{CURSOR.pattern}$(?!\n)"}, "The `next` of the page before."),
    "client": ("query", _TEXT, "Only invoices of this client; counts for operators only."),
    "include": (
        "query",
        _TEXT,
        "Words with commas between. `upstream_response` adds the upstream's raw answer; others are ignored.",
    ),
    "all_upstreams": (
        "query",
        {"type": "boolean", "default": False},
        "Look at all upstreams instead of the routed one.",
    ),
    "Idempotency-Key": (
        "header",
        {"type": "string", "pattern": rf'^(?:{_KEY}|"{_KEY}")$(?!\n)'},
        "Stands in for `external_id`, bare or as a quoted string; if both are sent they must be equal.",
    ),
    "Prefer": (
        "header",
        _TEXT,
        "`respond-async` (RFC 7240): the gateway delivers it, 202 at once. With `wait=5` it waits 5 s for the outcome.",
    ),
    "X-Request-Timeout-Ms": (
        "header",
        {"type": "integer", "minimum": 1, "maximum": 10**15 - 1},
        "How many milliseconds the caller waits; what cannot be sent in time is not sent.",
    ),
    "traceparent": ("header", _TEXT, "W3C Trace Context; passed on to the upstream. One that is not valid is ignored."),
}

HEADERS: Mapping[str, tuple[Schema, str]] = {
    "X-Request-Id": (_TEXT, "Finds the request in the logs."),
    "Location": ({"type": "string", "pattern": "^/v1/invoices/"}, "Where the invoice can be read."),
    "Retry-After": ({"type": "integer", "minimum": 0}, "Seconds until the same request may be sent again."),
    "Idempotent-Replayed": ({"type": "string", "const": "true"}, "The answer was known before this request."),
    "Preference-Applied": ({"type": "string", "const": "respond-async"}, "The preference that was followed."),
    "WWW-Authenticate": ({"type": "string", "const": "Bearer"}, "How to authenticate."),
    "Allow": (_TEXT, "The methods that the endpoint knows."),
    "Content-Security-Policy": (_TEXT, "The page loads nothing, and runs nothing."),
}

ABOUT = """\
Services send one canonical invoice to one endpoint. The gateway routes it, translates it into the dialect of one of its
upstream APIs, delivers it once and answers in one form.

- Never twice, never lost: after any failure, send the same request again.
- A translation may lose words, never money; every lost word is named.
- Unknown is never shown as success.

Every problem is `application/problem+json` (RFC 9457); its `type` is a page. Any other method of a path is answered
with 405, and any other path with 404. Beyond what the schemas say, totals must follow from the lines, dates must be in
order and extensions and identifiers must be of known dialects; each fault is named with its pointer.
"""


def document(dialects: Mapping[str, Dialect]) -> dict[str, object]:
    """The document of a gateway with these dialects, as plain values."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Invoice Gateway",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            path: {each.method.lower(): operation(each) for each in ENDPOINTS if each.path == path}
            for path in dict.fromkeys(each.path for each in ENDPOINTS)
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "parameters": {name: _parameter(name) for name in PARAMETERS},
            "headers": {name: _header(name) for name in HEADERS},
            "responses": {
                "method-not-allowed": refusal(405, (MethodNotAllowed,), ("Allow",)),
            },
            "schemas": schemas(dialects)
            | {"Document": {"title": "Document", "type": "object", "required": ["openapi"]}},
        },
    }


def operation(endpoint: Endpoint) -> dict[str, object]:
    """An endpoint as an operation."""
    refusals = sorted(endpoint.all_problems, key=lambda problem: problem.status)
    found: dict[str, object] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in endpoint.parameters],
        "responses": {str(reply.status): answered(endpoint, reply) for reply in endpoint.replies}
        | {str(status): refusal(status, tuple(each)) for status, each in groupby(refusals, lambda one: one.status)},
        "security": [{"token": []}] if endpoint.needs_token else [],
    }
    if endpoint.takes is not None:
        content: dict[str, object] = {"schema": ref(endpoint.takes)}
        if (example := body_of(endpoint)) is not None:
            content["example"] = example
        found["requestBody"] = {"required": True, "content": {"application/json": content}}
    return found


def body_of(endpoint: Endpoint) -> object:
    """An example of what is sent there."""
    match endpoint.takes:
        case "Invoice":
            return msgspec.json.decode(INVOICE.read_bytes())
        case "Verdict":
            return {"outcome": "created", "upstream_id": "4711", "reason": "seen in the portal"}
        case _:
            return None


def answered(endpoint: Endpoint, reply: Reply) -> dict[str, object]:
    """An answer that is no problem."""
    schema: Schema = _TEXT if reply.schema is None else ref(reply.schema)
    if "include" in endpoint.parameters:
        more = {"anyOf": [ref("UpstreamResponse"), {"type": "null"}]}
        schema = {**schema, "properties": {"upstream_response": more}}
    found: dict[str, object] = {
        "description": reply.meaning,
        "headers": _headers(("X-Request-Id", *reply.headers), reply.sometimes),
        "content": {reply.media_type: {"schema": schema}},
    }
    if "Location" in reply.headers:
        found["links"] = {"read": {"operationId": "read", "parameters": {"id": "$response.body#/id"}}}
    return found


def refusal(status: int, problems: Iterable[type[Problem]], headers: tuple[str, ...] = ()) -> dict[str, object]:
    """The problems that have one status, as one answer."""
    kinds = {kind.slug: kind for kind in problems}
    narrowed = {
        "type": {"enum": [f"/problems/{slug}" for slug in kinds]},
        "status": {"const": status},
        "title": {"enum": [title(kind) for kind in kinds.values()]},
    }
    always, sometimes = ["X-Request-Id", *headers], ["Location"]
    retryable = [kind.retryable for kind in kinds.values()]
    if any(retryable):
        (always if all(retryable) else sometimes).append("Retry-After")
    if Unauthenticated in kinds.values():
        always.append("WWW-Authenticate")
    if not any(kind.outcome in ("unknown", "pending") for kind in kinds.values()):
        sometimes.remove("Location")
    return {
        "description": " ".join(f"[{slug}](/problems/{slug}): {title(kind)}." for slug, kind in kinds.items()),
        "headers": _headers(always, sometimes),
        "content": {
            PROBLEM_JSON: {
                "schema": {**ref("Problem"), "properties": narrowed},
                "examples": {slug: {"summary": title(kind), "value": _example(kind)} for slug, kind in kinds.items()},
            }
        },
    }


def _example(kind: type[Problem]) -> object:
    found = Details(
        type=f"/problems/{kind.slug}",
        title=title(kind),
        status=kind.status,
        detail=explanation(kind).partition(". ")[0],
        instance="01a20516-6dbc-7a6b-8c2f-76abb31b3455",
        retryable=kind.retryable,
        outcome=kind.outcome,
    )
    return msgspec.json.decode(msgspec.json.encode(found))


def _parameter(name: str) -> dict[str, object]:
    where, schema, meaning = PARAMETERS[name]
    return {"name": name, "in": where, "required": where == "path", "description": meaning, "schema": schema}


def _headers(always: Iterable[str], sometimes: Iterable[str]) -> dict[str, object]:
    required = {name: {"$ref": f"#/components/headers/{name}"} for name in always}
    return required | {name: {**_header(name), "required": False} for name in sometimes}


def _header(name: str) -> dict[str, object]:
    schema, meaning = HEADERS[name]
    return {"description": meaning, "required": True, "schema": schema}
