"""Metrics as Prometheus reads them: the contract's names and labels, there from the start, counting what happened."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import Struct
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.core.breaker import Open, Rules
from gateway.core.errors import Problem
from gateway.core.events import (
    Claimed,
    Committed,
    Defect,
    Event,
    Finding,
    InDoubt,
    JournalFailed,
    Postponed,
    Purged,
    Reconciled,
    Refused,
    Reloaded,
    Replayed,
    Resolved,
    Routed,
)
from gateway.core.losses import LEAVES
from gateway.core.plan import Book
from gateway.core.problem_index import PROBLEMS
from gateway.core.result import Discrepancy, Loss
from gateway.core.routing import Rule
from gateway.shell.catalog import dialects
from gateway.shell.compose import book
from gateway.shell.configuration import load
from gateway.shell.journal import Query
from gateway.shell.lanes import Lane, Width
from gateway.shell.metrics import OUTCOMES, Metrics
from tests.support.engines import QUIET, Side, created, until, working
from tests.support.running import NAMES, World, configured, invoice, replaced, running, timeout, unreachable
from tests.support.traffic import CLIENTS, every_outcome

PREFIX = "invoice_gateway_"
LABELS: dict[str, set[str]] = {
    "requests_total": {"route", "upstream", "outcome"},
    "problems_total": {"problem"},
    "request_duration_seconds": {"outcome"},
    "upstream_duration_seconds": {"upstream", "outcome"},
    "overhead_seconds": set(),
    "in_flight": {"upstream"},
    "losses_total": {"upstream", "pointer", "disposition"},
    "discrepancies_total": {"upstream", "pointer"},
    "invoiced_amount_total": {"upstream", "currency"},
    "unresolved_invoices": {"upstream"},
    "unresolved_oldest_age_seconds": {"upstream"},
    "reconciliations_total": {"upstream", "result"},
    "journal_commit_seconds": set(),
    "config_info": {"revision"},
    "config_reloads_total": {"result"},
    "auth_failures_total": {"reason"},
    "event_loop_lag_seconds": set(),
}
"""Source: contract 5, and what operations adds to it."""

KINDS = {
    "_total": "counter",
    "_age_seconds": "gauge",
    "_seconds": "histogram",
    "in_flight": "gauge",
    "_invoices": "gauge",
    "_info": "gauge",
}


class Sample(Struct, frozen=True):
    """One line of the exposition."""

    name: str
    labels: dict[str, str]
    value: float


def samples(text: str) -> list[Sample]:
    """The gateway's own lines, read by Prometheus' own parser."""
    return [
        Sample(one.name.removeprefix(PREFIX), dict(one.labels), float(one.value))
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if one.name.startswith(PREFIX)
    ]


def value(found: list[Sample], name: str, **labels: str) -> float:
    """The sum over the lines with these labels; there must be one."""
    chosen = [one.value for one in found if one.name == name and labels.items() <= one.labels.items()]
    assert chosen, (name, labels)
    return sum(chosen)


async def scrape(world: World) -> list[Sample]:
    """The lines now."""
    return samples(await world.metrics())


async def test_every_metric_of_the_contract_is_there_from_the_start(tmp_path: Path) -> None:
    """With its name, its kind and just its labels; `invoiced_amount` has no currency before there is an invoice."""
    async with running(tmp_path) as world:
        assert (await world.send(invoice())).status == 201
        text = await world.metrics()
        families = {one.name: one for one in text_string_to_metric_families(text)}
        for name, labels in LABELS.items():
            kind = next(kind for ending, kind in KINDS.items() if name.endswith(ending))
            family = families[PREFIX + (name.removesuffix("_total") if kind == "counter" else name)]
            assert family.type == kind, name
            assert family.documentation
            for one in family.samples:
                assert set(one.labels) - {"le"} == labels, one


async def test_what_can_be_counted_is_counted_from_zero(tmp_path: Path) -> None:
    """Every combination that is known in advance: otherwise a first failure would be no increase."""
    async with running(tmp_path) as world:
        found = await scrape(world)
        rules = {"workshops": "mykaarma", "wallets": "katsupay", "subscriptions": "exsited", "europe": "onlyoffice"}
        for rule, dialect in (rules | {"default": "chargeover"}).items():
            for outcome in ("created", "rejected", "not_sent", "unknown"):
                assert value(found, "requests_total", route=rule, upstream=NAMES[dialect], outcome=outcome) == 0
        for slug in PROBLEMS:
            assert value(found, "problems_total", problem=slug) == 0
        for reason in ("no-token", "unknown-token", "forbidden"):
            assert value(found, "auth_failures_total", reason=reason) == 0
        for result in ("applied", "refused"):
            assert value(found, "config_reloads_total", result=result) == 0
        for dialect, name in NAMES.items():
            assert value(found, "in_flight", upstream=name) == 0
            for outcome in OUTCOMES:
                assert value(found, "upstream_duration_seconds_count", upstream=name, outcome=outcome) == 0
            assert value(found, "discrepancies_total", upstream=name, pointer="/totals/amount_due") == 0
            for leaf, fate in dialects()[dialect].fates.items():
                for disposition in fate.losses:
                    assert value(found, "losses_total", upstream=name, pointer=leaf, disposition=disposition) == 0


async def test_split_and_fallback_are_counted_from_zero_too(tmp_path: Path) -> None:
    """Whichever upstream a rule may end at."""
    edit = replaced(
        'name = "default"\nto = "chargeover-us"',
        'name = "default"\nsplit = { chargeover-us = 1, onlyoffice-eu = 1 }\nfallback = ["katsupay-lagos"]',
    )
    async with running(tmp_path, edit) as world:
        found = await scrape(world)
        for name in ("chargeover-us", "onlyoffice-eu", "katsupay-lagos"):
            assert value(found, "requests_total", route="default", upstream=name, outcome="created") == 0


async def test_a_created_invoice_is_counted_once_everywhere(tmp_path: Path) -> None:
    """Outcome, durations, overhead, losses with `*` for indices, and the money."""
    async with running(tmp_path) as world:
        answer = await world.send(invoice("chargeover"))
        found = await scrape(world)
        at = {"route": "default", "upstream": "chargeover-us"}
        assert value(found, "requests_total", outcome="created", **at) == 1
        assert value(found, "requests_total") == 1
        assert value(found, "request_duration_seconds_count", outcome="created") == 1
        assert value(found, "upstream_duration_seconds_count", upstream="chargeover-us", outcome="created") == 1
        assert value(found, "overhead_seconds_count") == 1
        assert value(found, "invoiced_amount_total", upstream="chargeover-us", currency="USD") == 492
        assert value(found, "losses_total", upstream="chargeover-us") == len(answer.json["losses"])
        rates = {"upstream": "chargeover-us", "pointer": "/lines/*/taxes/*/rate"}
        assert value(found, "losses_total", disposition="derived", **rates) == 5
        assert value(found, "problems_total") == 0
        assert value(found, "in_flight") == 0


@pytest.mark.parametrize(
    ("fault", "outcome", "problem"),
    [
        ("errors-in-200", "rejected", "rejected"),
        ("store-then-reset", "unknown", "outcome-unknown"),
        ("rate-limit", "not_sent", "upstream-unavailable"),
    ],
)
async def test_what_was_not_created_is_counted_by_its_outcome(
    fault: str, outcome: str, problem: str, tmp_path: Path
) -> None:
    """Also as a problem; no money, no losses."""
    async with running(tmp_path) as world:
        await world.arm("mykaarma", fault, method="POST", times=3, retry_after=0)
        await world.send(invoice("mykaarma"))
        found = await scrape(world)
        at = {"route": "workshops", "upstream": "mykaarma-north"}
        assert value(found, "requests_total", outcome=outcome, **at) == 1
        assert value(found, "requests_total") == 1
        assert value(found, "problems_total", problem=problem) == 1
        assert value(found, "problems_total") == 1
        assert value(found, "request_duration_seconds_count", outcome=outcome) == 1
        exchanges = 3 if outcome == "not_sent" else 1
        assert value(found, "upstream_duration_seconds_count", upstream="mykaarma-north", outcome=outcome) == exchanges
        assert value(found, "losses_total") == 0
        assert value(found, "invoiced_amount_total") == 0


async def test_a_fallback_is_counted_where_it_ended(tmp_path: Path) -> None:
    """One invoice; three exchanges with the first, which cannot be reached, and one with the second."""
    edit = replaced('name = "default"\nto = ', 'name = "default"\nfallback = ["onlyoffice-eu"]\nto = ')
    async with running(tmp_path, edit, unreachable("chargeover")) as world:
        assert (await world.send(invoice("chargeover"))).status == 201
        found = await scrape(world)
        assert value(found, "requests_total", route="default", upstream="onlyoffice-eu", outcome="created") == 1
        assert value(found, "requests_total") == 1
        assert value(found, "upstream_duration_seconds_count", upstream="chargeover-us", outcome="not_sent") == 3
        assert value(found, "retries_total", upstream="chargeover-us", reason="connect") == 2


async def test_money_that_another_counted_is_not_counted_again(tmp_path: Path) -> None:
    """The worker adopted the invoice before its sender heard of it: one invoice, one amount."""
    counted = Counted(tmp_path)
    async with working(tmp_path, chargeover=Side(created("1"), lookups=[created("1")])) as works:
        sending = await works.held()
        works.clock.seconds += QUIET
        (taken,) = await works.store.inner.take("another", 60.0, 10)
        works.side.open.set()
        await works.engine.reconciler.settle(taken)
        await sending
    for event in works.told:
        counted.metrics.hear(event)
    assert value(counted.now(), "invoiced_amount_total") == 492.0
    assert value(counted.now(), "requests_total", outcome="created") == 1


async def test_a_refused_request_is_a_problem_and_no_invoice(tmp_path: Path) -> None:
    """Nothing was routed."""
    async with running(tmp_path) as world:
        await world.send({})
        await world.api("GET", "/nope")
        found = await scrape(world)
        assert value(found, "problems_total", problem="invalid-invoice") == 1
        assert value(found, "problems_total", problem="not-found") == 1
        assert value(found, "requests_total") == 0


async def test_a_discrepancy_is_counted_by_its_place(tmp_path: Path) -> None:
    """The upstream reports one cent more."""
    async with running(tmp_path) as world:
        await world.arm("chargeover", "total-off-by-a-cent", method="POST")
        await world.send(invoice("chargeover"))
        found = await scrape(world)
        for pointer in ("/totals/amount_due", "/totals/tax_inclusive_total"):
            assert value(found, "discrepancies_total", upstream="chargeover-us", pointer=pointer) == 1


async def test_an_explanation_counts_nothing(tmp_path: Path) -> None:
    """It sends nothing."""
    async with running(tmp_path) as world:
        before = await scrape(world)
        await world.explain(invoice())
        # What the journal and the event loop do by themselves goes on.
        after = [one for one in await scrape(world) if not re.match("journal_commit|event_loop", one.name)]
        assert [one for one in after if one not in before] == []


async def test_no_label_comes_from_an_invoice(tmp_path: Path) -> None:
    """Whatever callers write, and however it ends, the set of label values stays as it was declared."""
    odd = {"external_id": "CANARY-1", "number": "CANARY-2", "note": "CANARY-3", "metadata": {"CANARY-4": "CANARY-5"}}
    async with running(tmp_path, timeout("5s")) as world:
        for dialect in NAMES:
            for fault in (None, "rate-limit", "store-then-reset", "garbage"):
                if fault is not None:
                    await world.arm(dialect, fault, method="POST")
                await world.send(invoice(dialect, **odd))
        wrong = invoice("chargeover", **odd)
        wrong["CANARY-6"] = 1
        await world.send(wrong)
        await world.api("GET", "/CANARY-7")
        text = await world.metrics()
        assert "CANARY" not in text
        found = samples(text)
        assert {one.labels["pointer"] for one in found if one.name == "losses_total"} <= set(LEAVES)
        assert {one.labels["problem"] for one in found if one.name == "problems_total"} == set(PROBLEMS)
        assert {one.labels["upstream"] for one in found if "upstream" in one.labels} == set(NAMES.values())


async def test_the_revision_in_force_is_told(tmp_path: Path) -> None:
    """One line of value 1, with the revision that results name."""
    async with running(tmp_path) as world:
        revision = (await world.send(invoice())).json["route"]["config"]
        (line,) = [one for one in await scrape(world) if one.name == "config_info"]
        assert line.labels == {"revision": revision}
        assert line.value == 1


async def test_the_process_is_measured_too(tmp_path: Path) -> None:
    """Process and Python collectors (contract 5)."""
    async with running(tmp_path) as world:
        names = {one.name for one in text_string_to_metric_families(await world.metrics())}
        assert {"process_cpu_seconds", "process_resident_memory_bytes", "python_info"} <= names


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        ({}, 401, "no-token"),
        ({"Authorization": "Bearer wrong"}, 401, "unknown-token"),
        ({"Authorization": "Bearer n"}, 403, "forbidden"),
    ],
)
async def test_a_refused_client_is_a_problem(sent: dict[str, str], status: int, reason: str, tmp_path: Path) -> None:
    """Bad tokens can be alerted on, by what is wrong with them; nothing was shed."""
    async with running(tmp_path, CLIENTS) as world:
        assert (await world.send(invoice(), headers=sent)).status == status
        found = await scrape(world)
        assert value(found, "problems_total", problem="unauthenticated" if status == 401 else "forbidden") == 1
        assert value(found, "auth_failures_total", reason=reason) == 1
        assert value(found, "auth_failures_total") == 1
        assert value(found, "shed_total") == 0


async def test_a_figure_leads_to_its_trace_where_the_caller_records_it(tmp_path: Path) -> None:
    """An exemplar on request and upstream, in OpenMetrics alone; none of a trace that nobody keeps."""
    seen, other = f"00-{'a' * 32}-{'b' * 16}-01", f"00-{'c' * 32}-{'d' * 16}-00"
    async with running(tmp_path) as world:
        for name, header in (("1", seen), ("2", other)):
            sent = await world.send(invoice(external_id=name), headers={"traceparent": header})
            assert sent.status == 201
        assert (await world.send(invoice(external_id="3"))).status == 201
        wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
        text = (await world.ask("GET", f"{world.service.ops_url}/metrics", headers=wanted)).content.decode()
        shown = [line for line in text.splitlines() if "trace_id" in line]
        assert {line.partition("{")[0] for line in shown} == {
            f"{PREFIX}request_duration_seconds_bucket",
            f"{PREFIX}upstream_duration_seconds_bucket",
        }
        assert all(f'# {{trace_id="{"a" * 32}"}}' in line for line in shown)
        assert "trace_id" not in await world.metrics()


async def test_ten_upstreams_are_at_most_two_thousand_series(tmp_path: Path) -> None:
    """All dialects twice, every rule led to both, after traffic of every outcome: buckets and all count."""
    async with running(tmp_path, doubled, timeout("5s")) as world:
        await every_outcome(world, "a")
        await every_outcome(world, "b")
        await every_outcome(world, "c")
        text = await world.metrics()
        found = samples(text)
        assert len({one.labels["upstream"] for one in found if one.name == "in_flight"}) == 10
        for outcome in OUTCOMES:
            assert value(found, "requests_total", outcome=outcome) > 0
        series = [line for line in text.splitlines() if not line.startswith("#")]
        assert len(series) <= 2000


async def test_a_currency_that_a_crosswalk_names_is_counted_from_zero(tmp_path: Path) -> None:
    """So that an increase sees its first invoice, too."""
    async with running(tmp_path) as world:
        found = await scrape(world)
        for currency in ("USD", "EUR"):
            assert value(found, "invoiced_amount_total", upstream="chargeover-us", currency=currency) == 0


async def test_the_event_loops_lag_is_looked_at_all_the_time(tmp_path: Path) -> None:
    """It is there soon after the start."""
    async with running(tmp_path) as world:
        for _ in range(200):
            if value(await scrape(world), "event_loop_lag_seconds_count") > 1:
                return
        raise AssertionError("nobody looks")


def doubled(text: str) -> str:
    """The configuration with a twin beside each upstream, and every rule shared between both."""
    head, _, rest = text.partition("[upstreams.")
    upstreams, _, routes = f"[upstreams.{rest}".partition("[[routes]]")
    twins = upstreams
    for name in NAMES.values():
        twins = twins.replace(name, f"{name}-twin")
    routes = re.sub(r'to = "([\w-]+)"', r"split = { \1 = 1, \1-twin = 1 }", routes)
    return f"{head}{upstreams}{twins}[[routes]]{routes}"


# ------------------------------------------------------------------ the journal's


class Counted:
    """The metrics of the demo's configuration, and what each event changes in them."""

    def __init__(self, folder: Path) -> None:
        loaded = load(configured(folder, "http://127.0.0.1:1"))
        self.metrics = Metrics()
        self.book = book(loaded)
        self.metrics.adopt(self.book, {})

    def now(self) -> list[Sample]:
        """The lines now."""
        return samples(generate_latest(self.metrics.registry).decode())

    def changed(self, event: Event) -> dict[str, float]:
        """The lines that an event changed, without the histograms' buckets, and by how much."""
        before = {(one.name, *sorted(one.labels.items())): one.value for one in self.now()}
        self.metrics.hear(event)
        found = {(one.name, *sorted(one.labels.items())): one.value for one in self.now()}
        return {
            " ".join([str(key[0]), *("=".join(pair) for pair in key[1:])]): value - before.get(key, 0)
            for key, value in found.items()
            if value != before.get(key) and not str(key[0]).endswith("_bucket")
        }


def test_an_upstream_that_left_the_configuration_is_not_called_broken_for_ever(tmp_path: Path) -> None:
    """Its breaker was open when it was taken out; nobody will ever close it."""
    counted, gone = Counted(tmp_path), NAMES["chargeover"]
    lanes = {name: Lane(name, Width(), Rules(), lambda: 0.0, lambda _: None) for name in NAMES.values()}
    counted.metrics.adopt(counted.book, lanes)
    lanes[gone].breaker, lanes[gone].waiting = Open(15.0), 3
    states = {"breaker_state": 2.0, "queue_depth": 3.0, "in_flight": 0.0}

    def said() -> dict[str, float]:
        lines = {one.name: one.value for one in counted.now() if one.labels.get("upstream") == gone}
        return {name: lines[name] for name in states}

    assert said() == states
    counted.metrics.adopt(counted.book, {name: lane for name, lane in lanes.items() if name != gone})
    assert said() == dict.fromkeys(states, 0.0)
    counted.metrics.adopt(counted.book, lanes)
    assert said() == states


LOSSES = (Loss("/lines/3/taxes/0/rate", "derived", None, "x"), Loss("/note", "dropped", None, "x"))
DISCREPANCIES = (Discrepancy("/totals/amount_due", "1.00", "1.01"),)


SHED = {"problems_total problem=overloaded": 1.0, "shed_total reason=in-flight": 1.0}


def reconciled(finding: Finding, amount: str = "12.50") -> Reconciled:
    """A doubt that was looked into."""
    at = ("1", "billing", "chargeover-us")
    return Reconciled(*at, finding, None, 3.0, "USD", Decimal(amount), losses=LOSSES, discrepancies=DISCREPANCIES)


def test_what_the_journal_counts_is_there_from_zero(tmp_path: Path) -> None:
    """Doubts, what came of them, replays, failures: for every upstream, result, outcome and operation."""
    found = Counted(tmp_path).now()
    for name in NAMES.values():
        assert value(found, "unresolved_invoices", upstream=name) == 0
        assert value(found, "unresolved_oldest_age_seconds", upstream=name) == 0
        for result in ("adopted", "absent", "taken", "unresolved"):
            assert value(found, "reconciliations_total", upstream=name, result=result) == 0
    for outcome in (*OUTCOMES, "pending"):
        assert value(found, "replays_total", outcome=outcome) == 0
    assert value(found, "journal_errors_total", op="contradiction") == 0
    assert value(found, "journal_commit_seconds_count") == 0


async def test_every_operation_that_can_fail_is_counted_from_zero(tmp_path: Path) -> None:
    """Whatever the journal is asked while its store is down: no failure brings a line of its own."""
    counted = Counted(tmp_path)
    known = {one.labels["op"] for one in counted.now() if one.name == "journal_errors_total"}
    async with working(tmp_path) as works:
        journal, entry = works.engine.journal, (await works.submit()).entry
        sending = await works.held(external_id="sending")
        works.store.down = True
        works.store.arm("claim", "breaks")
        asking = (
            *(journal.get("1"), journal.find("a", "b"), journal.page(Query()), journal.take("me", 1.0, 1)),
            *(journal.doubts(), journal.purge("1", 1), journal.change(entry, entry), works.submit(external_id="new")),
        )
        for one in asking:
            with pytest.raises(Problem):
                await one
        assert not await journal.advance(entry, entry)
        works.side.open.set()
        await until(lambda: {"record", "withdraw"} <= {one.operation for one in works.heard(JournalFailed)})
        works.store.mend()
        await sending
        failed = {one.operation for one in works.heard(JournalFailed)}
    assert failed == known - {"contradiction"}


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (Committed(3, 0.25), {"journal_commit_seconds_count": 1, "journal_commit_seconds_sum": 0.25}),
        (Replayed("r", "1", "pending"), {"replays_total outcome=pending": 1}),
        (Replayed("r", "1", "created"), {"replays_total outcome=created": 1}),
        (JournalFailed("claim", "gone"), {"journal_errors_total op=claim": 1}),
        (JournalFailed("contradiction", "x", "1"), {"journal_errors_total op=contradiction": 1}),
        (reconciled("absent"), {"reconciliations_total result=absent upstream=chargeover-us": 1}),
        (reconciled("taken"), {"reconciliations_total result=taken upstream=chargeover-us": 1}),
        (reconciled("unresolved"), {"reconciliations_total result=unresolved upstream=chargeover-us": 1}),
        (Reloaded("refused", "sha256:1"), {"config_reloads_total result=refused": 1}),
        (Refused("r", "overloaded", 503, 0.1, "in-flight"), SHED),
        (Claimed("r", "1", "k", "billing", "chargeover-us", waits=True), {}),
        (Routed("r", "k", "default", "chargeover-us"), {}),
        (Postponed("1", "chargeover-us", "connect", 1.0), {}),
        (Resolved("1", "chargeover-us", "created", "root"), {}),
        (Purged(7), {}),
        (Defect("KeyError", ("x.py:1",)), {}),
    ],
)
def test_each_event_moves_its_own_metric_and_no_other(event: Event, changes: dict[str, float], tmp_path: Path) -> None:
    """What is for the log alone moves none; a doubt that was not adopted is no money."""
    assert Counted(tmp_path).changed(event) == changes


def test_an_adopted_invoice_is_counted_as_any_created_one(tmp_path: Path) -> None:
    """Its money, losses and discrepancies; an amount that is nothing, or less, is not counted."""
    counted = Counted(tmp_path)
    there = {
        "reconciliations_total result=adopted upstream=chargeover-us": 1,
        "losses_total disposition=derived pointer=/lines/*/taxes/*/rate upstream=chargeover-us": 1,
        "losses_total disposition=dropped pointer=/note upstream=chargeover-us": 1,
        "discrepancies_total pointer=/totals/amount_due upstream=chargeover-us": 1,
    }
    money = {"invoiced_amount_total currency=USD upstream=chargeover-us": 12.5}
    assert counted.changed(reconciled("adopted")) == there | money
    assert counted.changed(reconciled("adopted", "0")) == there
    assert counted.changed(reconciled("adopted", "-1")) == there


def test_a_configuration_that_is_taken_over_is_the_one_in_force(tmp_path: Path) -> None:
    """One line, with its revision; what its rules can count begins at 0, and what was counted stays."""
    counted = Counted(tmp_path)
    assert counted.changed(Reloaded("applied", "sha256:new")) == {"config_reloads_total result=applied": 1}
    rule = Rule("another", (), (("chargeover-us", 1),), ())
    counted.metrics.adopt(Book((rule,), {}, "sha256:new", {}), {})
    found = counted.now()
    assert [one.labels for one in found if one.name == "config_info"] == [{"revision": "sha256:new"}]
    assert value(found, "config_reloads_total") == 1
    assert value(found, "requests_total", route="another", upstream="chargeover-us", outcome="created") == 0


def test_what_is_in_doubt_is_a_gauge(tmp_path: Path) -> None:
    """It goes up, and down to nothing again."""
    counted = Counted(tmp_path)
    name = "chargeover-us"
    counted.metrics.hear(InDoubt({name: (3, 61.5), "katsupay-lagos": (1, 2.0)}))
    found = counted.now()
    assert value(found, "unresolved_invoices", upstream=name) == 3
    assert value(found, "unresolved_oldest_age_seconds", upstream=name) == 61.5
    counted.metrics.hear(InDoubt({name: (0, 0.0), "katsupay-lagos": (1, 3.0)}))
    found = counted.now()
    assert value(found, "unresolved_invoices", upstream=name) == 0
    assert value(found, "unresolved_oldest_age_seconds", upstream=name) == 0
    assert value(found, "unresolved_invoices") == 1
