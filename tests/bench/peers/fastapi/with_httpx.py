"""FastAPI and httpx: what a team would write first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from invoices import HEADERS, URL, Invoice, Result, normalize, route, translate


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for all requests."""
    async with httpx.AsyncClient(headers=HEADERS, timeout=15) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/invoices", status_code=201)
async def create(invoice: Invoice, request: Request) -> Result:
    """Route, translate, forward, normalize."""
    taken = route(invoice)
    answer = await request.app.state.client.post(URL, json=translate(invoice))
    return normalize(invoice, taken, answer.status_code, answer.content)
