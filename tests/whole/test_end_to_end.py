"""End to end with the real thing: Prometheus itself says that nothing failed and nothing doubled while gateways go."""

import signal
from decimal import Decimal
from pathlib import Path

from tests.support.callers import Load
from tests.support.prometheus import Prometheus, scraping
from tests.support.replicas import REPLICAS, Replicas, drained, replicas, target
from tests.support.running import NAMES

PACE_SECONDS = 0.6
"""Twelve callers: 20 invoices a second."""
TIMES = 4
"""A quarter of a minute is a minute: it takes Prometheus up to 10 s to learn of another gateway, and 30 s to alarm."""
LIMITED = 2
"""So many requests are answered with 429 at each restart; an exchange is tried three times."""
RESTARTED = {"InvoiceGatewayDown", "InvoiceGatewayLoopLag"}
"""What may be pending, and no more: a gateway ends before Prometheus knows of it, another is busy starting."""


def ever(metric: str, **labels: str) -> str:
    """The last value of every series that there was, those of gateways that are gone among them."""
    chosen = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return f"last_over_time(invoice_gateway_{metric}{{{chosen}}}[1h])"


async def roll(world: Replicas, load: Load, prometheus: Prometheus) -> None:
    """Restart every gateway under load and faults; it ends once Prometheus has seen that it has nothing more to do."""
    for number in range(REPLICAS):
        await world.arm("chargeover", "rate-limit", times=LIMITED, retry_after=0)
        await world.arm("katsupay", "delay", times=5, seconds=0.5)
        await load.grows()
        world.gateways[number].send(signal.SIGTERM)
        await prometheus.still("2s", target(world.gateways[number]))
        assert await world.replace(number) == 0, "a gateway did not end well"
        prometheus.scrape(*world.targets)


async def test_prometheus_says_that_nothing_failed_or_doubled_while_gateways_are_restarted(tmp_path: Path) -> None:
    """What it counted at all six is what callers heard and what the upstreams hold; no alert fired."""
    async with (
        replicas(tmp_path, drained("30s")) as world,
        scraping(tmp_path, *world.targets, every="500ms", times=TIMES) as prometheus,
    ):
        await prometheus.until(f"count(up == 1) == {REPLICAS}")
        load = Load(world.url, PACE_SECONDS)
        async with load.going():
            await roll(world, load, prometheus)
            await prometheus.until(f'count(up{{instance=~"{"|".join(world.targets)}"}} == 1) == {REPLICAS}')
        assert not load.failed, "\n".join(load.failed)
        await prometheus.still("2s", *world.targets)
        await once(world, load, prometheus)
        await well(prometheus)


async def once(world: Replicas, load: Load, prometheus: Prometheus) -> None:
    """Every invoice exists once, and its money: so say Prometheus, the callers and the upstreams."""
    created = await prometheus.by("upstream", f"sum by (upstream) ({ever('requests_total', outcome='created')})")
    money = await prometheus.by("upstream", f"sum by (upstream) ({ever('invoiced_amount_total')})")
    for dialect, told in load.told.items():
        there = await world.stored(dialect)
        assert len(there) == len({each["id"] for each in there}) == len(set(told)) == len(told), dialect
        assert created[NAMES[dialect]] == len(told), dialect
        assert Decimal(money[NAMES[dialect]]) == sum(Decimal(each["total"]) for each in there), dialect
    assert sum(created.values()) == load.created


async def well(prometheus: Prometheus) -> None:
    """Nothing failed, what was limited was tried again, and no alert fired, though every rule was judged."""
    for failures in ("problems_total", "journal_errors_total", "discrepancies_total", "auth_failures_total"):
        assert await prometheus.by("instance", f"{ever(failures)} > 0") == {}, failures
    outcomes = await prometheus.by("outcome", f"sum by (outcome) ({ever('requests_total')}) > 0")
    assert outcomes.keys() == {"created"}
    again = await prometheus.by("reason", f"sum by (reason) ({ever('retries_total')}) > 0")
    assert again == {"rate-limited": REPLICAS * LIMITED}
    judged = await prometheus.query("last_over_time(job:invoice_gateway_failures:ratio_rate5m[1h]) == 0")
    assert judged, "the rules were not judged"
    assert len(await prometheus.query("last_over_time(up[1h])")) == 2 * REPLICAS
    known = await prometheus.by("alertname", "count by (alertname) (last_over_time(ALERTS[1h]))")
    assert known.keys() <= RESTARTED, known
    assert await prometheus.query('last_over_time(ALERTS{alertstate="firing"}[1h])') == []
