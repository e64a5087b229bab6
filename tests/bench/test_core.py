"""What each step of the core costs, one beside the other: `make bench ARGS=steps`. Not in `make test`."""

import json
from collections import deque
from io import BytesIO

import pytest
from msgspec import structs
from pytest_benchmark.fixture import BenchmarkFixture

from gateway import demo
from gateway.core.dialect import translate
from gateway.core.dispatch import dispatch_of
from gateway.core.events import Answered, Claimed, Committed, Concluded, Event, Routed, Sending
from gateway.core.exchange import advance
from gateway.core.journal import canonical, fingerprint
from gateway.core.parse import parse
from gateway.core.plan import Caller, make_plan
from gateway.core.result import Created
from gateway.core.results import kept, made
from gateway.core.routing import Facts, select
from gateway.core.totals import checked_totals
from gateway.shell import logs
from gateway.shell.catalog import dialects
from gateway.shell.compose import book
from gateway.shell.configuration import load
from gateway.shell.metrics import Metrics
from tests.bench import journal, same
from tests.bench.scene import DIALECT
from tests.support.conversations import FOLDER, document, read, reply, translated, upstream
from tests.support.running import NAMES, PRODUCTS, invoice

KNOWN = book(load(demo.CONFIG))
CALLER = Caller("billing")
BODY = same.body()
INVOICE = parse(BODY, KNOWN.extension_types)
TOTALS = checked_totals(INVOICE)
PLAN = make_plan(INVOICE, CALLER, KNOWN)
EACH = pytest.mark.parametrize("dialect", sorted(NAMES))
NOW = 1_800_000_000.0
UPSTREAM = NAMES[DIALECT]
LABELS = {"upstream": UPSTREAM, "outcome": "created"}
EVENTS: tuple[Event, ...] = (
    Routed("request", INVOICE.external_id, "wallets", UPSTREAM),
    Claimed("request", "id", INVOICE.external_id, "billing", UPSTREAM, waits=False),
    Sending("request", "id", UPSTREAM),
    Answered("request", "id", UPSTREAM, "created", None, 200, 0.001),
    Committed(2, 0.001),
    Concluded(
        request_id="request",
        invoice="id",
        external_id=INVOICE.external_id,
        client="billing",
        rule="wallets",
        upstream=UPSTREAM,
        outcome="created",
        currency=INVOICE.currency,
        amount=TOTALS.amount_due,
        losses=PLAN.leg.translation.losses,
        discrepancies=(),
        seconds=0.002,
        upstream_seconds=0.001,
    ),
)
"""What is told of one invoice."""


def test_parse(benchmark: BenchmarkFixture) -> None:
    """Bytes to an invoice."""
    assert benchmark(parse, BODY, KNOWN.extension_types) == INVOICE


def test_totals(benchmark: BenchmarkFixture) -> None:
    """The totals computed, and the caller's compared with them."""
    assert benchmark(checked_totals, INVOICE).amount_due == TOTALS.amount_due


def test_route(benchmark: BenchmarkFixture) -> None:
    """The rule that takes the invoice."""
    assert benchmark(select, KNOWN.rules, Facts(INVOICE, TOTALS, "billing")).upstream == NAMES[DIALECT]


@EACH
def test_translate(benchmark: BenchmarkFixture, dialect: str) -> None:
    """The invoice in the dialect's words, with its losses and its claim."""
    sent = parse(json.dumps(invoice(dialect)).encode(), KNOWN.extension_types)
    translation = benchmark(translate, sent, TOTALS, KNOWN.upstreams[NAMES[dialect]])
    assert translation.request.method == "POST"


@EACH
def test_plan(benchmark: BenchmarkFixture, dialect: str) -> None:
    """Totals, route and translation."""
    sent = parse(json.dumps(invoice(dialect)).encode(), KNOWN.extension_types)
    plan = benchmark(make_plan, sent, CALLER, KNOWN)
    assert plan.leg.upstream.name == NAMES[dialect]
    assert PRODUCTS[dialect] in dict(plan.invoice.labels).values()


@EACH
def test_normalize(benchmark: BenchmarkFixture, dialect: str) -> None:
    """A whole conversation, from its first request to what came of it."""
    known = read(FOLDER / dialect / "created.json")
    to = upstream(dialects()[dialect], known)
    translation, replies = translated(document(known), to), [reply(turn) for turn in known["turns"]]

    def conversation() -> object:
        talk = to.dialect.create(translation, False)
        step = advance(talk, None)
        for seen in replies:
            step = advance(talk, seen)
        return step

    assert isinstance(benchmark(conversation), Created)


def test_canonical(benchmark: BenchmarkFixture) -> None:
    """The invoice as it is kept and compared."""
    assert fingerprint(benchmark(canonical, INVOICE)) == fingerprint(canonical(INVOICE))


def test_fingerprint(benchmark: BenchmarkFixture) -> None:
    """The digest of it."""
    assert benchmark(fingerprint, canonical(INVOICE)).startswith("1:")


def test_result(benchmark: BenchmarkFixture) -> None:
    """The canonical result, in JSON."""
    claimed, _ = journal.sample()
    dispatch, outcome = dispatch_of(claimed), Created(structs.replace(PLAN.leg.translation.expected, id="1"), 201)
    text = benchmark(lambda: kept(made(claimed, dispatch, outcome, NOW, ())))
    assert b'"outcome":"created"' in text


def test_metrics(benchmark: BenchmarkFixture) -> None:
    """All events of an invoice, counted."""
    metrics = Metrics()
    benchmark(lambda: deque(map(metrics.hear, EVENTS), maxlen=0))
    assert metrics.registry.get_sample_value("invoice_gateway_upstream_duration_seconds_count", LABELS)


def test_log_line(benchmark: BenchmarkFixture) -> None:
    """What is logged of an invoice."""
    stream = BytesIO()
    hear = logs.listener(logs.logger(stream))
    benchmark(hear, EVENTS[-1])
    assert b'"concluded"' in stream.getvalue()
