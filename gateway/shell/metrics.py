"""Metrics: a listener of events. Names and labels are fixed (contract 5); no label value comes from an invoice.

Every combination that is known in advance exists at 0 from the start, so that a rate over it is never absent.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from gateway import __version__
from gateway.core.breaker import STATES
from gateway.core.dialect import Upstream
from gateway.core.errors import Forbidden, Unauthenticated
from gateway.core.events import (
    FINDINGS,
    Answered,
    Committed,
    Concluded,
    Event,
    InDoubt,
    JournalFailed,
    Reconciled,
    Refused,
    Reloaded,
    Replayed,
    Retried,
    Shadowed,
)
from gateway.core.plan import Book
from gateway.core.policy import RETRIED
from gateway.core.problem_index import PROBLEMS
from gateway.core.routing import Rule
from gateway.core.shadow import LIKENESSES
from gateway.shell import trace
from gateway.shell.clients import NO_TOKEN, UNKNOWN_TOKEN
from gateway.shell.lanes import Lane
from gateway.shell.lost import Lost

PREFIX = "invoice_gateway_"
OUTCOMES = ("created", "rejected", "not_sent", "unknown")
DISCREPANCIES = (
    "/number",
    "/currency",
    "/issue_date",
    "/due_date",
    "/totals/tax_exclusive_total",
    "/totals/tax_total",
    "/totals/tax_inclusive_total",
    "/totals/amount_due",
)
REQUEST_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
COMMIT_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
OPERATIONS = ("claim", "advance", "record", "change", "withdraw", "get", "find", "page", "take", "doubts", "purge")
AUTH_FAILURES = (NO_TOKEN, UNKNOWN_TOKEN, Forbidden.slug)
LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
OVERHEAD_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no annotation there


class Metrics:
    """The registry, and what events do to it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.requests = self._counter("requests", "Invoices by their outcome", "route", "upstream", "outcome")
        self.problems = self._counter("problems", "Requests answered with a problem", "problem")
        self.durations = self._seconds("request_duration", "Time from an invoice's arrival to its answer", "outcome")
        self.upstream_durations = self._seconds(
            "upstream_duration", "Time of an exchange with an upstream", "upstream", "outcome"
        )
        self.overhead = self._times("overhead", "Time of an invoice that was not an upstream's", OVERHEAD_SECONDS)
        self.in_flight = self._gauge("in_flight", "Exchanges under way", "upstream")
        self.queued = self._gauge("queue_depth", "Exchanges that wait for a place", "upstream")
        turned = "Whether an upstream is used: 0 closed, 1 half-open, 2 open"
        self.breaker = self._gauge("breaker_state", turned, "upstream")
        again = "Exchanges tried again, since certainly nothing was sent, by why not"
        self.retries = self._counter("retries", again, "upstream", "reason")
        lost = "Canonical fields that an upstream did not get as they were sent"
        self.losses = Lost(f"{PREFIX}losses", lost, self.registry)
        self.discrepancies = self._counter(
            "discrepancies", "What upstreams reported otherwise than they were sent", "upstream", "pointer"
        )
        self.amounts = self._counter("invoiced_amount", "Money of created invoices", "upstream", "currency")
        self.unresolved = self._gauge("unresolved_invoices", "Invoices in doubt: they may exist", "upstream")
        oldest = "How long the oldest invoice in doubt has been so"
        self.unresolved_age = self._gauge("unresolved_oldest_age_seconds", oldest, "upstream")
        looked = "Doubts that were looked into, by what was found"
        self.reconciliations = self._counter("reconciliations", looked, "upstream", "result")
        self.replays = self._counter("replays", "Invoices that came again, by what was known of them", "outcome")
        compared = "Invoices translated for an upstream that they were not sent to, by how they would fare there"
        self.shadows = self._counter("shadows", compared, "route", "upstream", "result")
        self._begin_own()
        self._prepare()
        self._counted = self._counts()

    def _begin_own(self) -> None:
        """The metrics of the gateway itself, whatever the invoice."""
        self.commits = self._times("journal_commit", "Time of a commit of the journal", COMMIT_SECONDS)
        failed = "Operations of the journal that failed; a contradiction is one where two outcomes are known"
        self.journal_errors = self._counter("journal_errors", failed, "op")
        self.shed = self._counter("shed", "Requests turned away unread", "reason")
        unwelcome = "Requests of nobody who is known, or of a client that may not do what it asked for"
        self.auth_failures = self._counter("auth_failures", unwelcome, "reason")
        self.loop_lag = self._times("event_loop_lag", "How late the event loop gets to what is due", LAG_SECONDS)
        taken = "Changed configurations, taken over or refused"
        self.reloads = self._counter("config_reloads", taken, "result")
        in_force = "The configuration in force"
        self.config = Gauge(f"{PREFIX}config_info", in_force, ("revision",), registry=self.registry)
        self._gauge("build_info", "The version", "version")(__version__).set(1)
        self._watched = set[str]()

    def adopt(self, book: Book, lanes: Mapping[str, Lane]) -> None:
        """Count by this configuration from now on."""
        self.config.clear()
        self.config.labels(book.revision).set(1)
        self._prepare_routes(book.rules)
        for upstream in book.upstreams.values():
            self._prepare_upstream(upstream)
        self._watch(lanes)

    # Each is a function from label values to its child, which is looked up once: `labels` costs more than counting.

    def _counter(self, name: str, words: str, *labels: str) -> Callable[..., Counter]:
        return cache(Counter(f"{PREFIX}{name}", words, labels, registry=self.registry).labels)

    def _gauge(self, name: str, words: str, *labels: str) -> Callable[..., Gauge]:
        return cache(Gauge(f"{PREFIX}{name}", words, labels, registry=self.registry).labels)

    def _seconds(self, name: str, words: str, *labels: str) -> Callable[..., Histogram]:
        return cache(self._times(name, words, REQUEST_SECONDS, *labels).labels)

    def _times(self, name: str, words: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}{name}_seconds", words, labels, buckets=buckets, registry=self.registry)

    def _prepare_routes(self, rules: tuple[Rule, ...]) -> None:
        for rule in rules:
            if rule.shadow is not None:
                for likeness in LIKENESSES:
                    self.shadows(rule.name, rule.shadow, likeness)
            for target in {*(name for name, _ in rule.targets), *rule.fallback}:
                for outcome in OUTCOMES:
                    self.requests(rule.name, target, outcome)

    def _prepare(self) -> None:
        for slug in PROBLEMS:
            self.problems(slug)
        for outcome in OUTCOMES:
            self.durations(outcome)
        for outcome in (*OUTCOMES, "pending"):
            self.replays(outcome)
        for operation in (*OPERATIONS, "contradiction"):
            self.journal_errors(operation)
        self.shed("in-flight")
        for reason in AUTH_FAILURES:
            self.auth_failures(reason)
        for result in ("applied", "refused"):
            self.reloads(result)

    def _prepare_upstream(self, upstream: Upstream) -> None:
        name = upstream.name
        for gauge in (self.in_flight, self.queued, self.breaker, self.unresolved, self.unresolved_age):
            gauge(name)
        for outcome in OUTCOMES:
            self.upstream_durations(name, outcome)
        for finding in FINDINGS:
            self.reconciliations(name, finding)
        for reason in RETRIED:
            self.retries(name, reason)
        for pointer in DISCREPANCIES:
            self.discrepancies(name, pointer)
        for currency in upstream.crosswalk.tables.get("currencies", ()):
            self.amounts(name, currency)
        for leaf, fate in upstream.dialect.fates.items():
            for disposition in fate.losses:
                self.losses.prepare(name, leaf, disposition)

    def _watch(self, lanes: Mapping[str, Lane]) -> None:
        """Read the state of the lanes whenever the metrics are asked for."""
        for name in self._watched - lanes.keys():  # it left the configuration: nothing is said of it any more
            for gauge in (self.in_flight, self.queued, self.breaker):
                gauge(name).set_function(float)
        self._watched = set(lanes)
        for name, lane in lanes.items():
            self.in_flight(name).set_function(partial(getattr, lane, "in_flight"))
            self.queued(name).set_function(partial(getattr, lane, "waiting"))
            self.breaker(name).set_function(partial(_breaker_state, lane))

    def hear(self, event: Event) -> None:
        """Count an event; most are for the log alone."""
        count = self._counted.get(type(event))
        if count is not None:
            count(event)

    def _counts(self) -> dict[type, Callable[[Any], object]]:
        """What each kind of event comes to."""
        return {
            Answered: self._answered,
            Concluded: self._concluded,
            Committed: lambda event: self.commits.observe(event.seconds),
            InDoubt: self._in_doubt,
            JournalFailed: lambda event: self.journal_errors(event.operation).inc(),
            Reconciled: self._reconciled,
            Refused: self._refused,
            Reloaded: lambda event: self.reloads(event.result).inc(),
            Replayed: lambda event: self.replays(event.outcome).inc(),
            Retried: lambda event: self.retries(event.upstream, event.reason).inc(),
            Shadowed: lambda event: self.shadows(event.rule, event.shadow, event.likeness).inc(),
        }

    def _answered(self, event: Answered) -> None:
        self.upstream_durations(event.upstream, event.outcome).observe(event.seconds, _exemplar())

    def _in_doubt(self, event: InDoubt) -> None:
        for name, (count, age) in event.doubts.items():
            self.unresolved(name).set(count)
            self.unresolved_age(name).set(age)

    def _refused(self, event: Refused) -> None:
        self.problems(event.problem).inc()
        if event.problem in (Unauthenticated.slug, Forbidden.slug):
            self.auth_failures(event.reason or event.problem).inc()
        elif event.reason is not None:
            self.shed(event.reason).inc()

    def _concluded(self, event: Concluded) -> None:
        self.requests(event.rule, event.upstream, event.outcome).inc()
        self.durations(event.outcome).observe(event.seconds, _exemplar())
        self.overhead.observe(max(event.seconds - event.upstream_seconds, 0.0))
        if event.outcome == "created" and event.ours:
            self._created(event)

    def _reconciled(self, event: Reconciled) -> None:
        self.reconciliations(event.upstream, event.finding).inc()
        if event.finding == "adopted":
            self._created(event)

    def _created(self, event: Concluded | Reconciled) -> None:
        self.losses.count(event.upstream, event.losses)
        for discrepancy in event.discrepancies:
            self.discrepancies(event.upstream, discrepancy.pointer).inc()
        if event.amount is not None and event.amount > 0:
            # Prometheus counts in floats: good enough for a graph, and nothing is ever computed from it.
            self.amounts(event.upstream, event.currency).inc(float(event.amount))


def _exemplar() -> dict[str, str] | None:
    """The trace that a figure belongs to, where somebody records it: the others cannot be looked at."""
    found = trace.CURRENT.get()
    return {"trace_id": found.trace_id} if found is not None and found.sampled else None


def _breaker_state(lane: Lane) -> float:
    return float(tuple(STATES).index(type(lane.breaker)))
