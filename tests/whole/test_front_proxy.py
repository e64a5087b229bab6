"""Connections of callers that break, at any moment: what was begun is finished, and nothing is left behind.

The proxy of `tests/support/proxy.py` stands between a caller and a real gateway.
"""

import asyncio
from itertools import product
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout
from msgspec import Struct

from gateway.shell import client
from tests.support.proxy import Proxy, proxying
from tests.support.running import NAMES, World, invoice, replaced, running
from tests.support.streams import KINDS, PHASES, WAITING_SECONDS, WAYS, Fault, Kind, Phase, Way

DIALECTS = sorted(NAMES)
OF = {phase: DIALECTS[number % len(DIALECTS)] for number, phase in enumerate(PHASES)}
"""The dialect of each moment: the caller's side is the same for all of them."""
PATIENCE = {kind: ClientTimeout(total=1.2 if kind in ("stall", "slow") else 20) for kind in KINDS}
"""How long a caller waits for its answer: not for ever where there is none."""
ARRIVED = ("waiting", "before-answer", "answer-head", "answer-body")
PRIMED = ("idle", "between")
IMPATIENT = replaced("[server]\n", '[server]\nbody_timeout = "300ms"\n')


def submits(head: bytes) -> bool:
    """Whether a request sends an invoice."""
    return head.startswith(b"POST /v1/invoices ")


class Cell(Struct, frozen=True):
    """A caller behind its proxy, and one fault."""

    world: World
    proxy: Proxy
    session: ClientSession
    fault: Fault

    def sent(self, name: str) -> dict[str, object]:
        """The invoice of that name."""
        return invoice(
            OF[self.fault.phase], external_id=f"{self.fault.phase}:{name}", number=f"N-{self.fault.phase}-{name}"
        )

    async def call(self, name: str) -> int:
        """Send an invoice through the proxy; the status that is heard, or 0."""
        try:
            async with self.session.post(
                f"{self.proxy.url}/v1/invoices", json=self.sent(name), timeout=PATIENCE[self.fault.kind]
            ) as answer:
                await answer.read()
                return answer.status
        except (ClientError, TimeoutError):
            return 0

    async def play(self) -> None:
        """Break the caller's connection; the work is finished all the same, and the next call is answered."""
        if self.fault.phase in PRIMED:
            assert await self.call("before") == 201, self.fault
        if self.fault.phase == "waiting":
            delay = {"seconds": 2 * WAITING_SECONDS, "times": 0, "method": "POST"}
            await self.world.arm(OF[self.fault.phase], "delay", **delay)
        if self.fault.phase == "idle":
            self.proxy.strike(self.fault)
        else:
            self.proxy.arm(self.fault)
        heard = await self.call("struck")
        assert heard in (0, 201, 408), (self.fault, heard)
        assert self.proxy.struck == 1, self.fault
        if heard == 201 or self.fault.phase in ARRIVED:
            await self.recorded()
        self.proxy.heal()
        again = await self.world.send(self.sent("struck"))
        assert again.status in (200, 201), (self.fault, again.content)
        assert await self.call("after") == 201, self.fault

    async def recorded(self) -> None:
        """Wait until the gateway knows the invoice as created, without asking it for anything more."""
        for _ in range(200):
            found = await self.world.api("GET", f"/v1/invoices?external_id={self.fault.phase}:struck")
            if [item["outcome"] for item in found.json["items"]] == ["created"]:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{self.fault}: {found.content!r}")


def left() -> tuple[int, int]:
    """Tasks and file descriptors that there are."""
    return len(asyncio.all_tasks()), len(list(Path("/proc/self/fd").iterdir()))


async def no_more_than(before: tuple[int, int]) -> None:
    """Wait until there are as few tasks and file descriptors as there were."""
    for _ in range(300):
        now = left()
        if now[0] <= before[0] and now[1] <= before[1]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"tasks and file descriptors: {before} before, {now} afterwards: {asyncio.all_tasks()}")


@pytest.mark.parametrize(("kind", "way"), list(product(KINDS, WAYS)))
async def test_a_caller_whose_connection_breaks_loses_nothing_and_leaves_nothing_behind(
    kind: Kind, way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every moment: finished and recorded, once; then no task and no file descriptor is left."""
    monkeypatch.setattr(client, "KEEP_ALIVE_SECONDS", 0.2)  # so that idle connections to upstreams are soon gone
    async with running(tmp_path, IMPATIENT) as world:
        before = left()
        await asyncio.gather(*(broken(world, Fault(kind, way, phase)) for phase in PHASES))
        for dialect in DIALECTS:
            names = [2 + (phase in PRIMED) for phase in PHASES if OF[phase] == dialect]
            assert len(await world.stored(dialect)) == sum(names), dialect
        await world.session.close()
        await no_more_than(before)


async def broken(world: World, fault: Fault) -> None:
    """A caller of its own behind a proxy of its own."""
    async with proxying(world.service.url, submits) as proxy, ClientSession() as session:
        await Cell(world, proxy, session, fault).play()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["latency", "slicer"])
async def test_a_slow_caller_reads_the_same(kind: Kind, way: Way, tmp_path: Path) -> None:
    """Every endpoint over one connection whose bytes come late or in pieces: the answer is as without the proxy."""
    phase: Phase = "request-head" if way == "request" else "before-answer"
    async with running(tmp_path) as world, proxying(world.service.url, lambda _: True) as proxy:
        found = (await world.send(invoice())).json["id"]
        proxy.arm(Fault(kind, way, phase))
        for method, path, body in endpoints(found):
            through = await world.ask(method, f"{proxy.url}{path}", json=body)
            direct = await world.api(method, path, json=body)
            assert through.status == direct.status, path
            request_ids = (each.headers["X-Request-Id"].encode() for each in (through, direct))
            assert len(set(map(bytes.replace, (through.content, direct.content), request_ids, (b"", b"")))) == 1, path
        assert proxy.struck == 1
        assert proxy.connections == 1


def endpoints(found: str) -> list[tuple[str, str, object]]:
    """What one may ask, beside sending; `found` is an invoice."""
    return [
        ("GET", f"/v1/invoices/{found}", None),
        ("GET", f"/v1/invoices/{found}?include=upstream_response", None),
        ("GET", "/v1/invoices?outcome=created&limit=1", None),
        ("GET", "/v1/invoices/none", None),
        ("POST", "/v1/invoices/explain?all_upstreams=true", invoice()),
        ("POST", f"/v1/invoices/{found}/resolve", {"outcome": "not_sent", "reason": "nobody looked"}),
        ("GET", "/v1/upstreams", None),
        ("GET", "/problems/", None),
        ("GET", "/problems/rejected", None),
        ("PUT", "/v1/upstreams", None),
    ]
