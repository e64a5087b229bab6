"""`/openapi.json`, and `/docs`: the same document as one page that loads nothing and runs nothing."""

import asyncio
from functools import cache

import msgspec
from aiohttp import web

from gateway.shell.catalog import dialects
from gateway.shell.docs_page import page
from gateway.shell.openapi import document

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser may do with the page: nothing but its own style."""


@cache
def published() -> tuple[bytes, str]:
    """The document in JSON, and as a page; made once, which takes a tenth of a second."""
    found = document(dialects())
    return msgspec.json.encode(found), page(found, dialects())


def routes() -> list[web.RouteDef]:
    """The two endpoints. Whoever asks first waits until the document is made, and nobody else does."""

    async def openapi(_: web.Request) -> web.Response:
        text, _html = await asyncio.to_thread(published)
        return web.Response(body=text, content_type="application/json")

    async def docs(_: web.Request) -> web.Response:
        _text, html = await asyncio.to_thread(published)
        return web.Response(text=html, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    return [web.get("/openapi.json", openapi), web.get("/docs", docs)]
