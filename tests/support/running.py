"""A gateway that really listens before a sandbox that really listens, both on ports that were free."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from ssl import SSLContext
from typing import Any

from aiohttp import ClientSession, ClientTimeout
from msgspec import Struct
from yarl import URL

from gateway import demo
from gateway.sandbox.server import start, stop
from gateway.shell import logs
from gateway.shell.configuration import Loaded, load
from gateway.shell.service import Service
from gateway.shell.tracer import Tracer
from tests.support import published

PRODUCTS = {
    "mykaarma": "workshop",
    "katsupay": "wallet",
    "exsited": "subscription",
    "onlyoffice": "crm",
    "chargeover": "fleet",
}
"""The label that leads the demo's invoice to a dialect."""

NAMES = {
    "mykaarma": "mykaarma-north",
    "katsupay": "katsupay-lagos",
    "exsited": "exsited-sydney",
    "onlyoffice": "onlyoffice-eu",
    "chargeover": "chargeover-us",
}
"""The demo's upstream of each dialect."""

UNUSED = "127.0.0.1:1"
"""Nothing listens there: a connection is refused at once."""

Edit = Callable[[str], str]
"""A change of the configuration's text."""


class Answer(Struct, frozen=True):
    """An answer that was read completely; header names as aiohttp compares them, whatever their case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The body's JSON."""
        return json.loads(self.content)


class World:
    """A gateway and its sandbox while they run."""

    def __init__(self, service: Service, path: Path, sandbox: str, session: ClientSession, log: BytesIO) -> None:
        self.path = path
        self.service = service
        self.sandbox = sandbox
        self.session = session
        self._log = log

    async def ask(self, method: str, url: str, **more: Any) -> Answer:
        """One request, by a whole URL; redirects are not followed."""
        async with self.session.request(method, URL(url, encoded=True), allow_redirects=False, **more) as answer:
            found = Answer(answer.status, answer.headers, await answer.read())
        if url.startswith(f"{self.service.url}/"):
            path = URL(url, encoded=True).raw_path
            wrong = list(published.complaints(method, path, found.status, found.headers, found.content))
            assert not wrong, f"{method} {path}: {wrong[:5]}"
        return found

    async def api(self, method: str, path: str, **more: Any) -> Answer:
        """One request to the API."""
        return await self.ask(method, self.service.url + path, **more)

    async def send(self, sent: object, **more: Any) -> Answer:
        """`POST /v1/invoices`."""
        return await self.api("POST", "/v1/invoices", json=sent, **more)

    async def explain(self, sent: object, query: str = "", **more: Any) -> Answer:
        """`POST /v1/invoices/explain`."""
        return await self.api("POST", f"/v1/invoices/explain{query}", json=sent, **more)

    async def metrics(self) -> str:
        """The exposition on the operations port."""
        return (await self.ask("GET", f"{self.service.ops_url}/metrics")).content.decode()

    async def arm(self, dialect: str, fault: str, **more: Any) -> None:
        """Switch a fault or quirk of the sandbox on."""
        answer = await self.ask("POST", f"{self.sandbox}/_sandbox/{dialect}/faults", json={"fault": fault, **more})
        assert answer.status == 200, answer.content

    async def stored(self, dialect: str) -> list[dict[str, Any]]:
        """The invoices that the sandbox holds."""
        found: list[dict[str, Any]] = (await self.ask("GET", f"{self.sandbox}/_sandbox/{dialect}/invoices")).json
        return found

    async def requests(self, dialect: str, method: str | None = None) -> list[dict[str, Any]]:
        """The requests that the sandbox saw, oldest first; of one method, if told."""
        found = (await self.ask("GET", f"{self.sandbox}/_sandbox/{dialect}/requests")).json
        return [request for request in found if method in (None, request["method"])]

    async def seen(self, dialect: str) -> None:
        """Wait until a creating request has reached the sandbox."""
        for _ in range(500):
            if await self.requests(dialect, "POST"):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("no request came")

    def logged(self) -> list[dict[str, Any]]:
        """What the gateway logged until now."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]


def invoice(dialect: str = "chargeover", **changes: Any) -> dict[str, Any]:
    """The demo's invoice, labelled for a dialect; `None` removes a member."""
    found = json.loads(demo.INVOICE.read_text())
    found["labels"] = {"product": PRODUCTS[dialect]}
    found["external_id"] = f"{found['external_id']}:{dialect}"
    found |= deepcopy(changes)
    return {name: value for name, value in found.items() if value is not None}


def replaced(old: str, new: str) -> Edit:
    """An edit that replaces text which is there."""

    def edit(text: str) -> str:
        assert old in text, f"the configuration has no {old!r}"
        return text.replace(old, new)

    return edit


def added(more: str) -> Edit:
    """An edit that appends tables."""
    return lambda text: f"{text}\n{more}\n"


def timeout(wait: str) -> Edit:
    """An edit that gives each upstream this much time."""
    return replaced("\ndialect = ", f'\ntimeout = "{wait}"\ndialect = ')


def unreachable(dialect: str) -> Edit:
    """An edit by which nothing listens where the dialect's upstream should be."""
    return lambda text: text.replace(address(text, dialect), f"http://{UNUSED}/{dialect}")


def address(text: str, dialect: str) -> str:
    """The base URL of a dialect's upstream in the configuration's text."""
    return next(word for word in text.split('"') if word.startswith("http") and word.endswith(f"/{dialect}"))


def configured(folder: Path, sandbox: str, *edits: Edit) -> Path:
    """The demo's configuration on free ports before `sandbox`, edited, as a file in `folder`."""
    text = demo.CONFIG.read_text().replace(demo.SANDBOX, sandbox)
    for port in ("8080", "8081"):
        text = text.replace(f"127.0.0.1:{port}", "127.0.0.1:0")
    for edit in edits:
        text = edit(text)
    path = folder / "gateway.toml"
    path.write_text(text)
    return path


@asynccontextmanager
async def sandbox() -> AsyncIterator[str]:
    """A sandbox; where it listens."""
    runner, port = await start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await stop(runner)


@asynccontextmanager
async def serving(loaded: Loaded, log: BytesIO, tracer: Tracer | None = None) -> AsyncIterator[Service]:
    """A gateway that listens."""
    service = Service(loaded, logs.logger(log, "debug"), tracer=tracer)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


@asynccontextmanager
async def running(folder: Path, *edits: Edit, tracer: Tracer | None = None) -> AsyncIterator[World]:
    """A sandbox and a gateway before it, configured as the demo is, with these edits."""
    log = BytesIO()
    async with sandbox() as url, ClientSession(timeout=ClientTimeout(total=20)) as session:
        path = configured(folder, url, *edits)
        async with serving(load(path), log, tracer) as service:
            yield World(service, path, url, session, log)


class Peer:
    """A server that speaks bytes; knows how often it was connected to, and the requests that it read."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """One request, head and body, remembered."""
        head = await reader.readuntil(b"\r\n\r\n")
        sizes = (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        request = head + await reader.readexactly(next(sizes, 0))
        self.requests.append(request)
        return request


Play = Callable[[Peer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What a peer does with a connection, which it closes afterwards."""


def ok(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    """A whole HTTP answer."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answering(*answers: bytes) -> Play:
    """Read a request, send the first answer, and so on while there are answers; then close."""

    async def play(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await peer.read(reader)
            writer.write(answer)
            await writer.drain()

    return play


@asynccontextmanager
async def playing(play: Play, ssl: SSLContext | None = None) -> AsyncIterator[Peer]:
    """A peer on a free port."""
    peer, tasks = Peer(), set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.connections += 1
        if (task := asyncio.current_task()) is not None:
            tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await play(peer, reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=ssl)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
