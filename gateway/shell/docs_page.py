"""The published document as a page for people: endpoints, schemas, problems, and what becomes of each field where."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from shlex import quote
from typing import Any

from gateway.core.codes import CLEAN, FORMS
from gateway.core.dialect import Dialect
from gateway.core.losses import LEAVES
from gateway.core.problem_index import PROBLEMS, title
from gateway.shell.problems import marked
from gateway.shell.schemas import AT

Node = Mapping[str, Any]
"""A part of the document; it is plain JSON, and was made here."""
HOST = "http://localhost:8080"
MOST_SHOWN = 12
"""Of a list of codes so many are shown at once; a longer one is folded away."""

STYLE = """
:root { --ink: #1c2733; --soft: #5b6b7b; --line: #dde4ec; --tint: #eef2f6; --link: #0b5cad }
* { box-sizing: border-box }
html { scroll-padding-top: 1rem }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); margin: 0; display: grid;
  grid-template-columns: 16rem minmax(0, 1fr) }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 2rem 1.25rem;
  border-right: 1px solid var(--line); font-size: .875rem; background: #f8fafc }
nav ul { list-style: none; margin: 0 0 1.25rem; padding: 0 } nav li { margin: .25rem 0; overflow-wrap: anywhere }
nav strong { display: block; margin-bottom: .35rem; font-size: .75rem; letter-spacing: .06em; text-transform: uppercase;
  color: var(--soft) }
main { padding: 2rem 3rem 6rem; max-width: 72rem }
h1 { font-size: 1.75rem; margin: 0 }
h2 { font-size: 1.4rem; margin: 3.5rem 0 1rem; border-bottom: 2px solid var(--line) }
h3 { font-size: 1.05rem; margin: 2.5rem 0 .5rem }
h4 { font-size: .875rem; margin: 1.25rem 0 .25rem; color: var(--soft) }
h3 code { font-size: 1rem } p { margin: .5rem 0; max-width: 46rem }
a { color: var(--link); text-decoration: none } a:hover { text-decoration: underline }
code { background: var(--tint); padding: .1rem .3rem; border-radius: .2rem; font-size: .875em; overflow-wrap: anywhere }
pre { background: var(--ink); color: #e6edf3; padding: .9rem 1.1rem; border-radius: .4rem; overflow-x: auto;
  font-size: .8125rem; line-height: 1.45 }
pre code { background: none; padding: 0; overflow-wrap: normal; font-size: inherit }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
td, th { border-bottom: 1px solid var(--line); padding: .4rem .9rem .4rem 0; text-align: left; vertical-align: top }
th { font-size: .75rem; color: var(--soft); font-weight: 600 } td:first-child { white-space: nowrap }
small { color: var(--soft); font-size: .8125rem } summary { cursor: pointer; color: var(--link); font-size: .875rem }
.verb { display: inline-block; min-width: 3.2rem; text-align: center; border-radius: .25rem; padding: .1rem .4rem;
  font-size: .75rem; font-weight: 700; color: #fff; background: #2f6f4f; vertical-align: .1rem }
.post { background: #0b5cad } .must { color: #a4262c; font-size: .75rem; font-weight: 600 }
.wide { overflow-x: auto } .fates td { min-width: 9rem; font-size: .8125rem } .fates td:first-child { min-width: 0 }
.fates thead th { position: sticky; top: 0; background: #fff; box-shadow: 0 1px var(--line) }
.fate { display: inline-block; border-radius: .25rem; padding: 0 .4rem; font-weight: 600 }
.carried { background: #dcf2e4; color: #1d5b38 }
.approximated, .folded, .derived { background: #fdf0d0; color: #7a4f00 }
.dropped { background: var(--tint); color: var(--soft) } .refused { background: #fbdfe0; color: #8c1c22 }
@media (max-width: 60rem) { body { display: block } nav { position: static; height: auto; border: 0 }
  main { padding: 1rem 1.25rem 4rem } .wide, section { overflow-x: auto } }
"""


def page(document: Node, dialects: Mapping[str, Dialect]) -> str:
    """The whole page."""
    name, version = document["info"]["title"], document["info"]["version"]
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = document["components"]["schemas"]
    about = "".join(_paragraph(part) for part in document["info"]["description"].split("\n\n"))
    body = [
        f"<h1>{escape(name)} <small>{escape(version)}</small></h1>{about}",
        "<p>The same for programs: <a href='/openapi.json'>openapi.json</a> (OpenAPI 3.1).</p>",
        "<h2 id='endpoints'>Endpoints</h2>",
        *(_endpoint(document, *each) for each in operations),
        "<h2 id='problems'>Problems</h2>",
        _problems(),
        "<h2 id='schemas'>Schemas</h2>",
        *(_schema(each, schema) for each, schema in schemas.items()),
        "<h2 id='dialects'>What becomes of each field</h2>",
        _fates(dialects),
    ]
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{escape(name)}</title>"
        f"<meta name='viewport' content='width=device-width, initial-scale=1'><style>{STYLE}</style></head>"
        f"<body>{_navigation(operations, schemas)}<main>{''.join(body)}</main></body></html>\n"
    )


def _paragraph(text: str) -> str:
    """A paragraph of Markdown, or a list."""
    if text.startswith("- "):
        items = (f"<li>{marked(line.removeprefix('- '))}</li>" for line in text.splitlines())
        return f"<ul>{''.join(items)}</ul>"
    return f"<p>{marked(' '.join(text.split()))}</p>"


def _navigation(operations: Iterable[tuple[str, str, Node]], schemas: Iterable[str]) -> str:
    endpoints = [(f"op-{each['operationId']}", each["summary"]) for _, _, each in operations]
    parts = (
        ("Endpoints", endpoints),
        ("More", [("problems", "Problems"), ("dialects", "What becomes of each field")]),
        ("Schemas", [(f"schema-{name}", name) for name in schemas]),
    )
    lists = (
        f"<strong>{head}</strong><ul>"
        + "".join(f"<li><a href='#{anchor}'>{escape(text)}</a></li>" for anchor, text in links)
        + "</ul>"
        for head, links in parts
    )
    return f"<nav>{''.join(lists)}</nav>"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "") -> str:
    head = "".join(f"<th>{each}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table class='{kind}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _endpoint(document: Node, path: str, method: str, operation: Node) -> str:
    parameters = [_resolved(document, each) for each in operation["parameters"]]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    token = "" if operation["security"] else " <small>no token needed</small>"
    head = f"<span class='verb {method}'>{method.upper()}</span> <code>{escape(path)}</code>"
    parts = [
        f"<section id='op-{operation['operationId']}'>",
        f"<h3>{head} {escape(operation['summary'])}{token}</h3><p>{marked(operation['description'])}</p>",
    ]
    if parameters:
        rows = ((_named(each), each["in"], _typed(each["schema"]), marked(each["description"])) for each in parameters)
        parts += ["<h4>Parameters and headers</h4>", _table(("name", "in", "type", "meaning"), rows)]
    if content:
        shown = escape(json.dumps(content["example"], indent=2, ensure_ascii=False))
        parts += [
            f"<h4>Body</h4><p>{_typed(content['schema'])}</p>",
            f"<details><summary>Example</summary><pre><code>{shown}</code></pre></details>",
        ]
    answers = (_answer(document, status, each) for status, each in operation["responses"].items())
    parts += ["<h4>Answers</h4>", _table(("status", "what", "body", "headers"), answers)]
    parts.append(f"<h4>Example</h4><pre><code>{escape(_curl(path, method, operation))}</code></pre></section>")
    return "".join(parts)


def _named(parameter: Node) -> str:
    must = " <span class='must'>required</span>" if parameter["required"] else ""
    return f"<code>{escape(parameter['name'])}</code>{must}"


def _resolved(document: Node, node: Node) -> Node:
    """What a reference into the document leads to."""
    found: Any = document
    if "$ref" not in node:
        return node
    for word in node["$ref"].removeprefix("#/").split("/"):
        found = found[word]
    resolved: Node = found
    return resolved


def _answer(document: Node, status: str, answer: Node) -> tuple[str, str, str, str]:
    ((media_type, content),) = answer["content"].items()
    if (examples := content.get("examples")) is not None:
        meaning = "<br>".join(
            f"<a href='/problems/{slug}'><code>{slug}</code></a> {marked(example['summary'])}"
            for slug, example in examples.items()
        )
    else:
        meaning = marked(answer["description"])
    headers = (
        f"<code>{escape(name)}</code>"
        + ("" if _resolved(document, header)["required"] else " <small>where it applies</small>")
        for name, header in answer["headers"].items()
    )
    shown = _typed(content["schema"]) if "$ref" in content["schema"] else f"<code>{media_type}</code>"
    return f"<strong>{status}</strong>", meaning, shown, "<br>".join(headers)


def _curl(path: str, method: str, operation: Node) -> str:
    words = ["curl", "-s", quote(HOST + path)]
    if operation["security"]:
        words += ["\\\n ", "-H", quote("Authorization: Bearer TOKEN")]
    if method == "post":
        body = operation["requestBody"]["content"]["application/json"]["example"]
        small = len(body) <= 3
        sent = quote(json.dumps(body)) if small else "@invoice.json"
        words += ["\\\n ", "-H", quote("Content-Type: application/json"), "-d", sent]
    return " ".join(words).replace("{id}", "ID").replace("{slug}", next(iter(PROBLEMS)))


def _problems() -> str:
    rows = (
        (
            f"<a href='/problems/{slug}'><code>{slug}</code></a>",
            str(kind.status),
            kind.outcome or "–",
            "yes" if kind.retryable else "no",
            marked(title(kind)),
        )
        for slug, kind in PROBLEMS.items()
    )
    return _table(("problem", "status", "outcome", "same request again?", "meaning"), rows)


def _schema(name: str, schema: Node) -> str:
    about = f"<p>{marked(schema.get('description', ''))}</p>"
    head = f"<section id='schema-{name}'><h3><code>{escape(name)}</code></h3>{about}"
    properties = schema.get("properties")
    if not properties:
        return f"{head}<p>{_typed(schema)}</p></section>"
    required = schema.get("required", ())
    rows = (
        (_named({"name": field, "required": field in required}), _typed(each), marked(each.get("description", "")))
        for field, each in properties.items()
    )
    closed = "" if schema.get("additionalProperties", True) else "<p><small>Unknown members are refused.</small></p>"
    return f"{head}{_table(('member', 'type', ''), rows)}{closed}</section>"


def _typed(schema: Node) -> str:  # noqa: PLR0911 - a table
    """What a schema wants, in words."""
    match schema:
        case {"$ref": str(target)}:
            name = target.removeprefix(AT)
            more = "".join(f", its <code>{escape(member)}</code> required" for member in schema.get("required", ()))
            return f"<a href='#schema-{name}'>{escape(name)}</a>{more}"
        case {"anyOf": list(options)}:
            return " or ".join(_typed(each) for each in options)
        case {"enum": list(codes)}:
            return _codes([str(each) for each in codes])
        case {"type": "array", "items": dict(item)}:
            return f"list of {_typed(item)}{_limits(schema, 'Items', 'entries')}"
        case {"type": "object", "properties": dict(members)}:
            inner = ", ".join(f"<code>{escape(name)}</code>: {_typed(each)}" for name, each in members.items())
            return f"object with {inner}"
        case {"type": "object", "additionalProperties": dict(value)}:
            return f"map to {_typed(value)}{_limits(schema, 'Properties', 'entries')}"
        case {"type": str(kind)}:
            return f"{schema.get('format', kind)}{_limits(schema, 'Length', 'characters')}{_form(schema)}"
        case _:
            return "anything"


def _codes(codes: list[str]) -> str:
    shown = " ".join(f"<code>{escape(code)}</code>" for code in codes)
    if len(codes) <= MOST_SHOWN:
        return shown
    return f"<details><summary>one of {len(codes)} codes</summary>{shown}</details>"


def _limits(schema: Node, what: str, unit: str) -> str:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if most is None:
        return ""
    return f", {least}–{most:,} {unit}" if least else f", at most {most:,} {unit}"


def _form(schema: Node) -> str:
    least, most, pattern = schema.get("minimum"), schema.get("maximum"), schema.get("pattern", CLEAN)
    span = f", {least}–{most:,}" if most is not None else ""
    if pattern == CLEAN:
        return span
    words = FORMS.get(pattern)
    return f"{span}: {escape(words)}" if words else f"{span} <small>of the form</small> <code>{escape(pattern)}</code>"


def _fates(dialects: Mapping[str, Dialect]) -> str:
    """A row for each canonical field, a column for each dialect."""
    rows = ((f"<code>{leaf}</code>", *(_fate(dialect, leaf) for dialect in dialects.values())) for leaf in LEAVES)
    heads = ("field", *(f"{name}<br><small>{escape(each.api)}</small>" for name, each in dialects.items()))
    return f"<p>{marked(FATES)}</p><div class='wide'>{_table(heads, rows, 'fates')}</div>"


FATES = (
    "**carried** as it is; **approximated**: something near it; **folded** into a price or the total, money kept;"
    " **derived**: the upstream has its own, compared afterwards; **dropped**; **refused**: an invoice that has it is"
    " not sent. What was lost of an invoice stands in its result under `losses`, and in `explain` beforehand."
)


def _fate(dialect: Dialect, leaf: str) -> str:
    fate = dialect.fates[leaf]
    wire = f"<br><code>{escape(fate.wire)}</code>" if fate.wire else ""
    detail = f"<br><small>{escape(fate.detail)}</small>" if fate.detail and fate.disposition != "dropped" else ""
    return f"<span class='fate {fate.disposition}'>{fate.disposition}</span>{wire}{detail}"
