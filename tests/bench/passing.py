"""The gateway's two connections with nothing between them, for the benchmark alone: what is left if all else were free.

`python -m tests.bench.passing PORT HOST:PORT` passes every body on as it came, and the answer back.
"""

import asyncio
import sys

from aiohttp import web

from gateway.core.exchange import Reply, Request
from gateway.shell import logs, written
from gateway.shell.accept import Site
from gateway.shell.client import CONNECT_SECONDS, Plain, Time
from gateway.shell.commands import look_seldom, loop_factory, stop_asked
from gateway.shell.listen import Handler, Runner
from gateway.shell.pool import Pool

SECONDS = 20.0
HEADERS = (("Content-Type", written.JSON),)


async def serve(port: int, upstream: str) -> None:
    """Passes on until it is asked to stop."""
    plain = Plain()
    way = Pool(plain)
    turn = way.to(f"http://{upstream}")
    time = Time(SECONDS, CONNECT_SECONDS, lambda: SECONDS)

    def entry(_: Handler) -> Handler:
        async def passed(request: web.Request) -> web.StreamResponse:
            answer = await turn(Request(request.method, request.raw_path, await request.read()), HEADERS, time)
            if not isinstance(answer, Reply):
                raise web.HTTPBadGateway
            return written.json(answer.body, answer.status)

        return passed

    runner = Runner(web.Application(), logs.logger(), entry)
    await runner.setup()
    await Site(runner, "127.0.0.1", port).start()
    look_seldom()
    try:
        await stop_asked()
    finally:
        await runner.finish(SECONDS)
        await way.close()
        await plain.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(int(sys.argv[1]), sys.argv[2]))
