"""Whether answers are as the published document says: every real gateway of the tests is held to it."""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from gateway.shell.docs import published

EVERYWHERE = {"content-type", "content-length", "date", "connection"}
"""What HTTP itself says of any answer."""


@cache
def document() -> dict[str, Any]:
    """The document as a gateway serves it."""
    found: dict[str, Any] = json.loads(published()[0])
    return found


@cache
def closed() -> dict[str, Any]:
    """Its components, made so strict that no member may be missing from them."""
    found: dict[str, Any] = deepcopy(document()["components"])
    for schema in found["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return found


def faults(schema: Mapping[str, Any], value: Any, *, strict: bool = False) -> list[str]:
    """What is wrong with a value by one of the document's schemas; `strict` knows no members but the documented."""
    found = _validator(json.dumps(schema), strict=strict).iter_errors(value)
    return [f"/{'/'.join(map(str, error.instance_path))}: {error.message[:200]}" for error in found]


@cache
def _validator(schema: str, *, strict: bool) -> Draft202012Validator:
    components = closed() if strict else document()["components"]
    return Draft202012Validator({**json.loads(schema), "components": components}, validate_formats=True)


def ref(name: str) -> dict[str, str]:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference leads to; anything else is itself."""
    found: Any = document()
    for word in node["$ref"].removeprefix("#/").split("/") if "$ref" in node else ():
        found = found[word]
    return found if "$ref" in node else node


def operations(path: str) -> dict[str, Any]:
    """The operations at a path that was asked for; those of the path as it is written come first."""
    paths: dict[str, dict[str, Any]] = document()["paths"]
    if path in paths:
        return paths[path]
    for template, found in paths.items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
            return found
    return {}


def complaints(method: str, path: str, status: int, headers: Mapping[str, str], content: bytes) -> Iterator[str]:
    """Everything about an answer that the document does not say."""
    found = operations(path)
    operation = found.get("get" if method == "HEAD" else method.lower())
    if operation is None:
        if status not in (404, 405):
            yield f"{status}: there is no such operation"
        answer = document()["components"]["responses"]["method-not-allowed"] if status == 405 else None
    else:
        answer = operation["responses"].get(str(status))
        if answer is None:
            yield f"{status} is not documented"
    if answer is not None:
        yield from _headers(answer["headers"], headers)
        if method != "HEAD":
            yield from _content(answer["content"], headers["Content-Type"], content)


def _headers(documented: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[str]:
    known = {name.lower(): resolved(header) for name, header in documented.items()}
    for name in headers:
        if name.lower() not in EVERYWHERE and name.lower() not in known:
            yield f"the header {name} is not documented"
    for name, header in known.items():
        if (text := headers.get(name)) is not None:
            value: Any = int(text) if header["schema"].get("type") == "integer" else text
            yield from (f"{name}: {fault}" for fault in faults(header["schema"], value))
        elif header["required"]:
            yield f"the header {name} is missing"


def _content(documented: Mapping[str, Any], media_type: str, content: bytes) -> Iterator[str]:
    kind = media_type.partition(";")[0]
    if kind not in documented:
        yield f"{kind} is not documented"
    elif kind.endswith("json"):
        schema, value = documented[kind]["schema"], json.loads(content)
        yield from faults(schema, value)
        if isinstance(value, dict) and "openapi" not in value:
            value.pop("upstream_response", None)  # it is beside the members of the result
            yield from faults(schema, value, strict=True)
