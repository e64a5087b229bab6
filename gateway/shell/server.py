"""The HTTP API: reads requests, calls the gateway, writes answers. One middleware turns every error into a problem."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web
from msgspec import structs

from gateway.core.answer import ENCODER
from gateway.core.errors import (
    Fault,
    Internal,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    Problem,
    RequestTimeout,
    TooLarge,
    UnsupportedMediaType,
)
from gateway.core.events import Event, Refused
from gateway.core.explain import Target, explain
from gateway.core.journal import Entry
from gateway.core.plan import Caller
from gateway.core.result import Loss
from gateway.core.results import stored_json
from gateway.core.wording import quoted
from gateway.shell import docs, logs, problems, trace, written
from gateway.shell.clients import Clients
from gateway.shell.engine import Engine
from gateway.shell.fresh import new_id
from gateway.shell.gateway import Answer, Preference
from gateway.shell.health import expected, without_banner
from gateway.shell.limits import Limits, Places
from gateway.shell.requests import asked, flag, preferred, verdict_of, within
from gateway.shell.standing import standings
from gateway.shell.tracer import UNTRACED, Tracer
from gateway.shell.written import JSON

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
B = TypeVar("B", bytes, bytearray)
SUBMIT = "/v1/invoices"
STARTED = web.RequestKey("started", float)
REQUEST_ID = web.RequestKey("request_id", str)


class Api:
    """The endpoints of the API. While it is `draining`, every answer closes its connection."""

    def __init__(
        self,
        engine: Engine,
        clients: Clients,
        targets: dict[str, Target],
        limits: Limits,
        *,
        tell: Callable[[Event], None],
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._gateway = engine.gateway
        self._records = engine.records
        self._current = engine.current
        self._tell = tell
        self._tracer = tracer
        self._sending, self._asking = Places(), Places()
        self.draining = False
        self.adopt(clients, targets, limits)

    def adopt(self, clients: Clients, targets: dict[str, Target], limits: Limits) -> None:
        """Go by these from now on."""
        self.clients = clients
        self._targets = targets
        self._limits = limits

    def application(self) -> web.Application:
        """The API as an application."""
        app = web.Application(middlewares=[self._tracer.around(self._middleware)])
        app.on_response_prepare.extend((without_banner, _with_request_id, self._closing))
        app.router.add_post(SUBMIT, self.submit, expect_handler=expected)
        app.router.add_get("/v1/invoices", self.page, expect_handler=expected)
        app.router.add_post("/v1/invoices/explain", self.explain, expect_handler=expected)
        app.router.add_get("/v1/invoices/{id:(?!explain$)[^{}/]+}", self.read, expect_handler=expected)
        app.router.add_post("/v1/invoices/{id}/resolve", self.resolve, expect_handler=expected)
        app.router.add_get("/v1/upstreams", self.upstreams, expect_handler=expected)
        app.router.add_get("/problems/", self.problem_index, expect_handler=expected)
        app.router.add_get("/problems/{slug}", self.problem_page, expect_handler=expected)
        app.add_routes(docs.routes())
        return app

    def quick(self, otherwise: Handler) -> Handler:
        """The API as a plain function: an invoice goes straight to `submit`, all else through the application."""
        if self._tracer is not UNTRACED:  # a span asks for the route
            return otherwise

        async def entry(request: web.Request) -> web.StreamResponse:
            if request.raw_path != SUBMIT or request.method != "POST" or "Expect" in request.headers:
                return await otherwise(request)
            answer = await self._middleware(request, self.submit)
            await _with_request_id(request, answer)
            await self._closing(request, answer)
            return answer

        return entry

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        request[STARTED], request[REQUEST_ID] = time.monotonic(), new_id()
        trace.CURRENT.set(self._tracer.taken(request.headers.get("traceparent")))
        allow = ""
        try:
            return await handler(request)
        except Problem as caught:
            problem = caught
        except web.HTTPMethodNotAllowed as refusal:
            allow = ", ".join(sorted(refusal.allowed_methods))
            problem = MethodNotAllowed(f"{request.method} is not known here, but {allow}")
        except web.HTTPNotFound:
            problem = NotFound(f"there is nothing at {quoted(request.path)}")
        except Exception as error:  # noqa: BLE001 - the last line: a caller never sees a stack trace
            problem = Internal("the gateway made a mistake; the request id finds it in the logs")
            self._tell(logs.defect(error, request[REQUEST_ID]))
        answer = self._refusal(request, problem)
        if allow:
            answer.headers["Allow"] = allow
        return answer

    def _refusal(self, request: web.Request, problem: Problem) -> web.Response:
        reason = "in-flight" if isinstance(problem, Overloaded) else problem.reason
        seconds = time.monotonic() - request[STARTED]
        self._tell(Refused(request[REQUEST_ID], problem.slug, problem.status, seconds, reason))
        return problems.response(problem, request[REQUEST_ID])

    async def submit(self, request: web.Request) -> web.Response:
        """`POST /v1/invoices`."""
        caller = await self._caller(request)
        with self._sending.one(self._limits.max_in_flight + self._limits.reserve):
            body = await self._body(request)
            preference = preferred(request.headers.getall("Prefer", ()))
            preference = structs.replace(preference, within=within(request.headers.get("X-Request-Timeout-Ms")))
            answer = await self._gateway.submit(body, _key(request), caller, request[REQUEST_ID], preference)
        return self._answer(request, answer, preference)

    def _answer(self, request: web.Request, answer: Answer, preference: Preference) -> web.Response:
        """The answer to a caller who sent an invoice."""
        result = answer.result
        if result.outcome not in ("created", "pending"):
            problem = problems.of_result(result, answer.retry_after)
            seconds = time.monotonic() - request[STARTED]
            self._tell(Refused(request[REQUEST_ID], problem.slug, problem.status, seconds))
            return problems.response(problem, request[REQUEST_ID], result.upstream)
        headers = {"Location": f"/v1/invoices/{result.id}"}
        status = 201
        if result.outcome == "pending":
            status = 202
            if preference.respond_async:
                headers["Preference-Applied"] = "respond-async"
        elif answer.replayed:
            status, headers["Idempotent-Replayed"] = 200, "true"
        return written.json(_shown(request, answer.entry, result.losses), status, headers)

    async def read(self, request: web.Request) -> web.Response:
        """`GET /v1/invoices/ID`."""
        caller = await self._caller(request)
        with self._asking.one(self._limits.max_in_flight):
            entry = await self._records.read(request.match_info["id"], caller)
        return written.json(_shown(request, entry))

    async def page(self, request: web.Request) -> web.Response:
        """`GET /v1/invoices`."""
        caller = await self._caller(request)
        query = asked(request.query)
        with self._asking.one(self._limits.max_in_flight):
            found = await self._records.page(query, caller)
        shown, more = found[: query.limit - 1], len(found) == query.limit
        items = b",".join(stored_json(entry) for entry in shown)
        following = msgspec.json.encode(shown[-1].id if more else None)
        return written.json(b'{"items":[' + items + b'],"next":' + following + b"}")

    async def resolve(self, request: web.Request) -> web.Response:
        """`POST /v1/invoices/ID/resolve`."""
        caller = await self._caller(request)
        verdict = verdict_of(await self._body(request))
        result = await self._records.resolve(request.match_info["id"], verdict, caller)
        return written.json(ENCODER.encode(result))

    async def explain(self, request: web.Request) -> web.Response:
        """`POST /v1/invoices/explain`."""
        caller = await self._caller(request)
        with self._asking.one(self._limits.max_in_flight):
            body = await self._body(request)
        everywhere = flag(request.query, "all_upstreams")
        found = explain(body, _key(request), caller, self._current().book, self._targets, all_upstreams=everywhere)
        return written.json(ENCODER.encode(found))

    async def upstreams(self, request: web.Request) -> web.Response:
        """`GET /v1/upstreams`."""
        caller = await self._caller(request)
        setup = self._current()
        found = standings(setup.book.upstreams, setup.exchanges.lanes, caller)
        return written.json(msgspec.json.encode(found))

    async def problem_page(self, request: web.Request) -> web.Response:
        """`GET /problems/SLUG`."""
        page = problems.page(request.match_info["slug"])
        if page is None:
            raise NotFound("there is no such problem")
        return web.Response(text=page, content_type="text/html")

    async def problem_index(self, request: web.Request) -> web.Response:  # noqa: ARG002 - there is nothing to ask of it
        """`GET /problems/`."""
        return web.Response(text=problems.index_page(), content_type="text/html")

    async def _caller(self, request: web.Request) -> Caller:
        clients = self.clients
        caller = clients.caller(request.headers.get("Authorization"))
        await clients.count(caller)
        return caller

    async def _body(self, request: web.Request) -> bytes:
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMediaType("send the body without Content-Encoding")
        if request.content_type != JSON:
            raise UnsupportedMediaType(f"send Content-Type: {JSON}")
        limits = self._limits
        if (request.content_length or 0) > limits.max_body:
            raise TooLarge(f"the body is larger than {limits.max_body} bytes")
        try:
            if request.content.is_eof():  # it came with the head, as most do
                return _fitting(request.content.read_nowait(), limits.max_body)
            async with asyncio.timeout(limits.body_timeout):
                return await _read(request, limits.max_body)
        except TimeoutError:
            raise RequestTimeout(f"the body did not arrive within {limits.body_timeout:g} s") from None
        except (ConnectionError, RuntimeError):  # aiohttp's word for a connection that is gone before the first read
            raise RequestTimeout("the connection ended before the body did") from None
        except web.RequestPayloadError:
            fault = Fault("", "body", "the body is not framed as HTTP says")
            raise InvalidRequest(fault.detail, (fault,)) from None

    async def _closing(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Close the connection of a caller who is to go elsewhere, or whose body was not read to its end."""
        unread = request.body_exists and not request.content.is_eof()
        if self.draining or unread:
            response.force_close()
            response.headers["Connection"] = "close"


async def _read(request: web.Request, most: int) -> bytes:
    """The body.

    Raises:
        TooLarge: it is longer than `most` bytes; the rest is not read.
    """
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        _fitting(body, most)
    return bytes(body)


def _fitting(body: B, most: int) -> B:
    if len(body) > most:
        raise TooLarge(f"the body is larger than {most} bytes")
    return body


def _key(request: web.Request) -> str | None:
    """The `Idempotency-Key`, bare or as a quoted string (RFC 8941)."""
    key = request.headers.get("Idempotency-Key")
    return key[1:-1] if key is not None and len(key) > 1 and key[0] == key[-1] == '"' else key


def _shown(request: web.Request, entry: Entry, losses: tuple[Loss, ...] | None = None) -> bytes:
    """The entry's result in JSON, with the upstream's own answer if that was asked for."""
    text = stored_json(entry, losses)
    if "upstream_response" not in request.query.get("include", "").split(","):
        return text
    return text[:-1] + b',"upstream_response":' + (entry.response or b"null") + b"}"


async def _with_request_id(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["X-Request-Id"] = request.get(REQUEST_ID) or new_id()
