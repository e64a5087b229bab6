"""Each alert in a live system, by a real Prometheus: it fires when its fault is there, and is silent when not."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from msgspec import Struct

from tests.support.callers import DIALECTS, Load
from tests.support.postgres import server
from tests.support.programs import Program
from tests.support.prometheus import Prometheus, alerts, scraping
from tests.support.replicas import REPLICAS, Replicas, drained, replicas, target
from tests.support.running import UNUSED, added, invoice, unreachable
from tests.support.traffic import CLIENTS, TOKEN

TIMES = 60
"""A second is a minute, and four weeks last twelve hours: rates over "5 minutes" are made from five scrapes."""
SECONDS = 60.0
"""An alert that did not come or go within that is wrong; it takes a few seconds, and 25 that doubts grow old."""
PACE_SECONDS = 0.6
"""Twelve callers: 20 invoices a second, 5 to each upstream."""
DOUBTS = 20
"""So many invoices end in doubt: 1.7 % of those of an "hour"."""
WRONG_TOKENS = 20
STOPPED_SECONDS, GOING_SECONDS = 0.25, 0.75
ELSEWHERE = f"http://{UNUSED}/exsited"
DESK = {"Authorization": "Bearer desk"}
PATIENT = added("[breaker]\nmin_calls = 1000")
"""Doubts alone open no breaker: connections that cannot be made do."""
OPERATOR = added('[clients.desk]\ntoken = "desk"\noperator = true')
BURNS = {f"InvoiceGatewayErrorBudgetBurn{window}": "" for window in ("1h", "6h", "1d", "3d")}
LAG = "InvoiceGatewayLoopLag"
LASTING = {"InvoiceGatewayErrorBudgetBurn6h", "InvoiceGatewayErrorBudgetBurn1d", "InvoiceGatewayErrorBudgetBurn3d"} | {
    "InvoiceGatewayDiscrepancies"
}
"""What looks back for longer than a test can wait."""


class Scene(Struct, frozen=True):
    """Three gateways, their callers, and the Prometheus that watches them."""

    world: Replicas
    prometheus: Prometheus
    session: ClientSession

    @property
    def first(self) -> Program:
        """The gateway that is harmed where one is enough."""
        return self.world.gateways[0]

    async def ask(self, method: str, path: str, headers: dict[str, str], body: object = None) -> Any:
        """What another gateway answers."""
        url = self.world.gateways[1].url
        async with self.session.request(method, f"{url}{path}", headers=headers, json=body) as answer:
            return await answer.json()

    def configure(self, text: str) -> None:
        """Change the file that all gateways watch, at once and as a whole."""
        written = self.world.config.with_suffix(".new")
        written.write_text(text)
        written.replace(self.world.config)


@asynccontextmanager
async def unheard_of(scene: Scene) -> AsyncIterator[None]:
    """Prometheus is not told of any gateway yet."""
    yield
    scene.prometheus.scrape(*scene.world.targets)


@asynccontextmanager
async def another_total(scene: Scene) -> AsyncIterator[None]:
    """One invoice is a cent more than it was sent as."""
    await scene.world.arm("chargeover", "total-off-by-a-cent")
    yield


@asynccontextmanager
async def broken_configuration(scene: Scene) -> AsyncIterator[None]:
    """The file has a fault until it is put back."""
    good = scene.world.config.read_text()
    scene.configure(good.replace("dialect =", "dialekt =", 1))
    yield
    scene.configure(good)


@asynccontextmanager
async def wrong_tokens(scene: Scene) -> AsyncIterator[None]:
    """Somebody guesses."""
    for number in range(WRONG_TOKENS):
        await scene.ask("POST", "/v1/invoices", {"Authorization": f"Bearer guess-{number}"}, invoice())
    yield


@asynccontextmanager
async def standing_still(scene: Scene) -> AsyncIterator[None]:
    """A gateway does not get on, once a second, as where a machine has too little for it."""

    async def stop_and_go() -> None:
        while True:
            scene.first.send(signal.SIGSTOP)
            await asyncio.sleep(STOPPED_SECONDS)
            scene.first.send(signal.SIGCONT)
            await asyncio.sleep(GOING_SECONDS)

    stopping = asyncio.create_task(stop_and_go())
    try:
        yield
    finally:
        stopping.cancel()
        with suppress(asyncio.CancelledError):
            await stopping
        scene.first.send(signal.SIGCONT)


@asynccontextmanager
async def unanswered(scene: Scene) -> AsyncIterator[None]:
    """An upstream that cannot be asked takes invoices and breaks the connection; an operator settles the doubts."""
    await scene.world.arm("mykaarma", "store-then-reset", times=DOUBTS)
    yield
    doubts = (await scene.ask("GET", f"/v1/invoices?outcome=unknown&limit={2 * DOUBTS}", DESK))["items"]
    assert len(doubts) == DOUBTS
    for each in doubts:
        verdict = {"outcome": "created", "upstream_id": f"seen-{each['id']}", "reason": "seen in the portal"}
        settled = await scene.ask("POST", f"/v1/invoices/{each['id']}/resolve", DESK, verdict)
        assert settled["outcome"] == "created", settled


@asynccontextmanager
async def refusing(scene: Scene) -> AsyncIterator[None]:
    """Nothing listens at an upstream's address, until the configuration has the right one."""
    for number in range(5):
        sent = invoice("exsited", external_id=f"refused:{number}")
        await scene.ask("POST", "/v1/invoices", TOKEN, sent)
    yield
    scene.configure(scene.world.config.read_text().replace(ELSEWHERE, f"{scene.world.sandbox}/exsited"))


@asynccontextmanager
async def read_only(_: Scene) -> AsyncIterator[None]:
    """PostgreSQL refuses every write, as after a failover."""
    await asyncio.to_thread(server().read_only, True)
    try:
        yield
    finally:
        await asyncio.to_thread(server().read_only, False)


@asynccontextmanager
async def killed(scene: Scene) -> AsyncIterator[None]:
    """A gateway is gone without a word; in the end nobody expects it any more."""
    scene.first.send(signal.SIGKILL)
    yield
    scene.prometheus.scrape(*scene.world.targets[1:])


class Fault(Struct, frozen=True):
    """A fault, and the alerts that it has to raise: name, and what must be said of whom."""

    begin: Callable[[Scene], AbstractAsyncContextManager[None]]
    raises: dict[str, str]


DOWN = "InvoiceGatewayDown"
CENT = 'upstream="chargeover-us", pointer=~"/totals/(tax_inclusive_total|amount_due)"'
STEPS = (
    (Fault(unheard_of, {DOWN: 'instance=""'}),),
    (
        Fault(another_total, {"InvoiceGatewayDiscrepancies": CENT}),
        Fault(broken_configuration, {"InvoiceGatewayReloadFailed": ""}),
        Fault(wrong_tokens, {"InvoiceGatewayAuthFailures": 'reason="unknown-token"'}),
    ),
    (
        Fault(
            unanswered,
            BURNS
            | {
                "InvoiceGatewayUnresolved": 'upstream="mykaarma-north"',
                "InvoiceGatewayUnknownOutcomes": 'upstream="mykaarma-north"',
            },
        ),
        Fault(refusing, {"InvoiceGatewayBreakerOpen": 'upstream="exsited-sydney"'}),
        Fault(standing_still, {LAG: 'instance="FIRST"'}),
    ),
    (Fault(read_only, {"InvoiceGatewayJournalErrors": ""}),),
    (Fault(killed, {DOWN: 'instance="FIRST"'}),),
)
"""Faults of one step are there at once: they do not touch each other."""
FIRING = 'ALERTS{{alertstate="firing", {}}}'
EVER = 'last_over_time(ALERTS{{alertstate="firing", {}}}[1h])'


def raised(scene: Scene, fault: Fault, form: str = FIRING) -> list[str]:
    """A question for each alert of a fault."""
    said = {name: words.replace("FIRST", target(scene.first)) for name, words in fault.raises.items()}
    return [form.format(f'alertname="{name}", {words}') for name, words in said.items()]


async def play(scene: Scene, step: tuple[Fault, ...], before: tuple[Fault, ...]) -> None:
    """Let the faults of a step be there until each of their alerts fires, and nothing else has fired."""
    async with AsyncExitStack() as stack:
        for fault in step:
            await stack.enter_async_context(fault.begin(scene))
        async with asyncio.TaskGroup() as group:
            for question in (each for fault in step for each in raised(scene, fault)):
                group.create_task(scene.prometheus.until(question, SECONDS))
        await nothing_but(scene, *before, *step)


async def nothing_but(scene: Scene, *faults: Fault) -> None:
    """No alert has ever fired but those of these faults. A busy machine may really keep a gateway from getting on."""
    known = [question for fault in faults for question in raised(scene, fault, EVER)]
    other = " unless ".join((EVER.format(f'alertname!="{LAG}"'), *known))
    assert [each["metric"] for each in await scene.prometheus.query(other)] == []


async def silent(scene: Scene, *but: str) -> None:
    """Wait until no alert fires any more but these."""
    others = FIRING.format(f'alertname!~"{"|".join(but)}"')
    await scene.prometheus.until(f"absent({others})", SECONDS)


def test_there_is_a_fault_for_each_alert() -> None:
    """And none for an alert that does not exist."""
    assert {name for step in STEPS for fault in step for name in fault.raises} == {each.name for each in alerts()}


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """All of it, before Prometheus is told of the gateways."""
    async with (
        ClientSession() as session,
        scraping(folder, every="1s", times=TIMES) as prometheus,
        replicas(folder, drained("0s"), CLIENTS, OPERATOR, PATIENT, unreachable("exsited")) as world,
    ):
        yield Scene(world, prometheus, session)


async def test_each_alert_fires_when_its_fault_is_there_and_is_silent_when_not(tmp_path: Path) -> None:
    """One step after the other; afterwards all are silent again, but those that look back for longer."""
    async with scene(tmp_path) as playing:
        load = Load(playing.world.url, PACE_SECONDS, TOKEN)
        async with load.going():
            await play(playing, STEPS[0], ())
            await quiet(playing)
            for number in range(1, len(STEPS) - 1):
                before = tuple(chain.from_iterable(STEPS[:number]))
                await nothing_but(playing, *before)
                await play(playing, STEPS[number], before)
        await every_invoice_is_known(playing)
        await play(playing, STEPS[-1], tuple(chain.from_iterable(STEPS)))
        await silent(playing, *LASTING)


async def every_invoice_is_known(scene: Scene) -> None:
    """What Prometheus counted as created or in doubt is what the upstreams hold, whatever went wrong."""
    held = sum([len(await scene.world.stored(dialect)) for dialect in DIALECTS])
    counted = "sum(last_over_time(invoice_gateway_requests_total{outcome=~'created|unknown'}[1h]))"
    await scene.prometheus.still("5s", *scene.world.targets)
    assert await scene.prometheus.by("", counted) == {"": held}


async def quiet(scene: Scene) -> None:
    """Wait until Prometheus knows all gateways, judges them, and has nothing to say."""
    judged = "job:invoice_gateway_failures:ratio_rate5m == 0"
    await scene.prometheus.until(f"count(up == 1) == {REPLICAS} and on () {judged}", SECONDS)
    await silent(scene)
