"""FastAPI and aiohttp's client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, ClientTimeout
from fastapi import FastAPI, Request
from invoices import HEADERS, URL, Invoice, Result, normalize, route, translate


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One session for all requests."""
    async with ClientSession(headers=HEADERS, timeout=ClientTimeout(total=15)) as session:
        app.state.session = session
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/invoices", status_code=201)
async def create(invoice: Invoice, request: Request) -> Result:
    """Route, translate, forward, normalize."""
    taken = route(invoice)
    async with request.app.state.session.post(URL, json=translate(invoice)) as answer:
        return normalize(invoice, taken, answer.status, await answer.read())
