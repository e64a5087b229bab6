"""The HTTP API: reads requests, calls the gateway, writes answers. One middleware turns every error into a problem."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from msgspec import Struct
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler
from structlog.typing import FilteringBoundLogger

from gateway.core.answer import ENCODER
from gateway.core.errors import (
    Internal,
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
from gateway.core.plan import Caller
from gateway.core.result import Created
from gateway.core.wording import quoted
from gateway.shell import problems
from gateway.shell.clients import Clients
from gateway.shell.gateway import Gateway, new_id

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
JSON = "application/json"
STARTED = web.RequestKey("started", float)
REQUEST_ID = web.RequestKey("request_id", str)


class Limits(Struct, frozen=True):
    """What the server takes: bytes and seconds of a body, requests at once."""

    max_body: int
    body_timeout: float
    max_in_flight: int


class Api:
    """The endpoints of the API."""

    def __init__(
        self,
        gateway: Gateway,
        clients: Clients,
        targets: dict[str, Target],
        limits: Limits,
        *,
        tell: Callable[[Event], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._gateway = gateway
        self._clients = clients
        self._targets = targets
        self._limits = limits
        self._tell = tell
        self._log = log
        self._in_flight = 0

    def application(self) -> web.Application:
        """The API as an application."""
        app = web.Application(middlewares=[self._middleware], client_max_size=self._limits.max_body)
        app.on_response_prepare.extend((_without_banner, _with_request_id))
        app.router.add_post("/v1/invoices", self.submit)
        app.router.add_post("/v1/invoices/explain", self.explain)
        app.router.add_get("/v1/upstreams", self.upstreams)
        app.router.add_get("/problems/", self.problem_index)
        app.router.add_get("/problems/{slug}", self.problem_page)
        return app

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        request[STARTED], request[REQUEST_ID] = time.monotonic(), new_id()
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
        except web.HTTPRequestEntityTooLarge:
            problem = TooLarge(f"the body is larger than {self._limits.max_body} bytes")
        except Exception as defect:  # noqa: BLE001 - the last line: a caller never sees a stack trace
            problem = Internal("the gateway made a mistake; the request id finds it in the logs")
            self._log_defect(request, defect)
        answer = self._refusal(request, problem)
        if allow:
            answer.headers["Allow"] = allow
        return answer

    def _log_defect(self, request: web.Request, defect: Exception) -> None:
        """Log where it happened; the message itself could hold something of the invoice."""
        places, frame = [], defect.__traceback__
        while frame is not None:
            places.append(f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}")
            frame = frame.tb_next
        self._log.error("defect", request_id=request[REQUEST_ID], kind=type(defect).__name__, places=places[-8:])

    def _refusal(self, request: web.Request, problem: Problem) -> web.Response:
        reason = "in-flight" if isinstance(problem, Overloaded) else None
        seconds = time.monotonic() - request[STARTED]
        self._tell(Refused(request[REQUEST_ID], problem.slug, problem.status, seconds, reason))
        return problems.response(problem, request[REQUEST_ID])

    async def submit(self, request: web.Request) -> web.Response:
        """`POST /v1/invoices`."""
        caller = self._caller(request)
        if self._in_flight >= self._limits.max_in_flight:
            raise Overloaded(f"{self._in_flight} requests are under way", retry_after=1.0)
        self._in_flight += 1
        try:
            body = await self._body(request)
            delivered = await self._gateway.submit(body, _key(request), caller, request[REQUEST_ID])
        finally:
            self._in_flight -= 1
        result = delivered.result
        if not isinstance(delivered.outcome, Created):
            problem = problems.of_delivery(delivered)
            seconds = time.monotonic() - request[STARTED]
            self._tell(Refused(request[REQUEST_ID], problem.slug, problem.status, seconds))
            return problems.response(problem, request[REQUEST_ID], result.upstream, result.id)
        headers = {"Location": f"/v1/invoices/{result.id}"}
        return web.Response(status=201, body=ENCODER.encode(result), headers=headers, content_type=JSON)

    async def explain(self, request: web.Request) -> web.Response:
        """`POST /v1/invoices/explain`."""
        caller = self._caller(request)
        body = await self._body(request)
        everywhere = request.query.get("all_upstreams", "").lower() in ("true", "1", "yes")
        found = explain(body, _key(request), caller, self._gateway.book, self._targets, all_upstreams=everywhere)
        return _json(ENCODER.encode(found))

    async def upstreams(self, request: web.Request) -> web.Response:
        """`GET /v1/upstreams`."""
        caller = self._caller(request)
        return _json(msgspec.json.encode({"items": self._upstreams(caller)}))

    def _upstreams(self, caller: Caller) -> list[dict[str, object]]:
        found = []
        for name, upstream in self._gateway.book.upstreams.items():
            dialect = upstream.dialect
            if caller.may_use(name):
                found.append(
                    {
                        "name": name,
                        "dialect": dialect.name,
                        "api": dialect.api,
                        "endpoint": dialect.endpoint,
                        "in_flight": self._gateway.in_flight[name],
                        "protection": dialect.protection,
                        "money_rule": dialect.money_rule,
                        "capabilities": {
                            leaf: {"disposition": fate.disposition, "upstream_field": fate.wire, "detail": fate.detail}
                            for leaf, fate in dialect.fates.items()
                        },
                    }
                )
        return found

    async def problem_page(self, request: web.Request) -> web.Response:
        """`GET /problems/SLUG`."""
        page = problems.page(request.match_info["slug"])
        if page is None:
            raise NotFound("there is no such problem")
        return web.Response(text=page, content_type="text/html")

    async def problem_index(self, request: web.Request) -> web.Response:  # noqa: ARG002 - there is nothing to ask of it
        """`GET /problems/`."""
        return web.Response(text=problems.index_page(), content_type="text/html")

    def _caller(self, request: web.Request) -> Caller:
        return self._clients.caller(request.headers.get("Authorization"))

    async def _body(self, request: web.Request) -> bytes:
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMediaType("send the body without Content-Encoding")
        if request.content_type != JSON:
            raise UnsupportedMediaType(f"send Content-Type: {JSON}")
        if (request.content_length or 0) > self._limits.max_body:
            raise TooLarge(f"the body is larger than {self._limits.max_body} bytes")
        try:
            async with asyncio.timeout(self._limits.body_timeout):
                return await request.read()
        except TimeoutError:
            raise RequestTimeout(f"the body did not arrive within {self._limits.body_timeout:g} s") from None
        except ConnectionError:
            raise RequestTimeout("the connection ended before the body did") from None


def _key(request: web.Request) -> str | None:
    """The `Idempotency-Key`, bare or as a quoted string (RFC 8941)."""
    key = request.headers.get("Idempotency-Key")
    return key[1:-1] if key is not None and len(key) > 1 and key[0] == key[-1] == '"' else key


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=JSON)


async def _without_banner(_: web.BaseRequest, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)


async def _with_request_id(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["X-Request-Id"] = request.get(REQUEST_ID) or new_id()


class Health:
    """What the probes ask."""

    def __init__(self) -> None:
        self.ready = False

    def application(self, registry: CollectorRegistry) -> web.Application:
        """The operations port: metrics and probes."""
        app = web.Application()
        app.on_response_prepare.append(_without_banner)
        app.router.add_get("/metrics", make_aiohttp_handler(registry))
        app.router.add_get("/livez", self.live)
        app.router.add_get("/readyz", self.is_ready)
        return app

    async def live(self, request: web.Request) -> web.Response:  # noqa: ARG002 - a probe says nothing
        """`GET /livez`: the event loop turns."""
        return web.Response(text="ok\n")

    async def is_ready(self, request: web.Request) -> web.Response:  # noqa: ARG002 - a probe says nothing
        """`GET /readyz`: started, and not draining."""
        return web.Response(text="ok\n") if self.ready else web.Response(status=503, text="not ready\n")
