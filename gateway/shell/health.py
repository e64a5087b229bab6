"""The operations port: what probes and Prometheus ask."""

from collections.abc import Callable

from aiohttp import HttpVersion11, web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler


async def expected(request: web.Request) -> None:
    """Ask for the body of a caller who waits to be asked (RFC 9110 section 10.1.1); other expectations are ignored."""
    if request.headers["Expect"].lower() == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # it is no part of the answer


async def without_banner(_: web.BaseRequest, response: web.StreamResponse) -> None:
    """Take out which software this is."""
    response.headers.pop("Server", None)


class Health:
    """What the probes ask."""

    def __init__(self) -> None:
        self.ready = False
        self.alive: Callable[[], bool] = lambda: True

    def application(self, registry: CollectorRegistry) -> web.Application:
        """The operations port: metrics and probes."""
        app = web.Application()
        app.on_response_prepare.append(without_banner)
        app.router.add_get("/metrics", make_aiohttp_handler(registry))
        app.router.add_get("/livez", self.live, expect_handler=expected)
        app.router.add_get("/readyz", self.is_ready, expect_handler=expected)
        return app

    async def live(self, request: web.Request) -> web.Response:  # noqa: ARG002 - a probe says nothing
        """`GET /livez`: the event loop turns, and so does the journal's writer."""
        return web.Response(text="ok\n") if self.alive() else web.Response(status=503, text="journal stopped\n")

    async def is_ready(self, request: web.Request) -> web.Response:  # noqa: ARG002 - a probe says nothing
        """`GET /readyz`: started, and not draining."""
        return web.Response(text="ok\n") if self.ready else web.Response(status=503, text="not ready\n")
