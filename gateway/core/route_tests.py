"""Tests of routes, as they stand beside the rules: where an invoice has to go, or how it has to be refused."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from gateway.core.config import Config, ExpectedProblem, RouteTest, Sample
from gateway.core.errors import NoRoute, Problem
from gateway.core.finding import Finding, Witness
from gateway.core.invoice import Invoice
from gateway.core.parse import parse
from gateway.core.plan import LOCAL, Book, caller_of, check_permission, next_leg
from gateway.core.problem_index import PROBLEMS
from gateway.core.routing import Decision, Facts, select
from gateway.core.sample import invoice_of
from gateway.core.totals import checked_totals
from gateway.core.wording import nearest, quoted


class Ran(Struct, frozen=True):
    """What became of a test's invoice: the rule and the upstream, or the problem."""

    rule: str | None
    upstream: str | None
    problem: Problem | None
    witness: Witness | None


def run(test: RouteTest, body: bytes | None, config: Config, book: Book) -> Ran:
    """Route the test's invoice, and translate it if that is what the test is about; `body` is that of its file."""
    name, sample = test.client or LOCAL, test.fields or Sample()
    invoice: Invoice | None = None
    decision: Decision | None = None
    problem: Problem | None = None
    try:
        invoice = invoice_of(sample, book.extension_types) if body is None else parse(body, book.extension_types)
        totals = checked_totals(invoice)
        decision = select(book.rules, Facts(invoice, totals, name))
        check_permission(caller_of(config.clients, name), decision)
        if isinstance(test.expect, ExpectedProblem):
            next_leg(invoice, totals, (decision.upstream, *decision.fallback), book)
    except Problem as found:
        problem = found
    witness = None if invoice is None else Witness(name, sample, invoice)
    if decision is None:
        return Ran(None, None, problem, witness)
    return Ran(decision.rule, decision.upstream, problem, witness)


def tested(config: Config, bodies: Mapping[int, bytes], book: Book) -> Iterator[Finding]:
    """The tests that fail, and then the rules that no test reaches; `bodies` are those of the files, by the test."""
    reached = set()
    for index, test in enumerate(config.tests):
        if wrong := list(_unknown(test, config)):
            yield from (_fault(index, name, words) for name, words in wrong)
        elif test.invoice is None or index in bodies:
            ran = run(test, bodies.get(index), config, book)
            reached.add(ran.rule)
            if (words := _difference(test, ran, book)) is not None:
                yield _fault(index, "", f"{quoted(test.name)} {words}", ran)
    for index, route in enumerate(config.routes):
        if config.tests and route.name not in reached:
            yield Finding(
                "warning", "untested", f"/routes/{index}", f"no test reaches rule {quoted(route.name)}", route.name
            )


def _fault(index: int, name: str, words: str, ran: Ran | None = None) -> Finding:
    place = f"/tests/{index}/{name}" if name else f"/tests/{index}"
    rule, witness = (None, None) if ran is None else (ran.rule, ran.witness)
    return Finding("fault", "test" if ran else "test-unclear", place, words, rule, witness)


def _unknown(test: RouteTest, config: Config) -> Iterator[tuple[str, str]]:
    """What a test says that cannot be meant."""
    if test.invoice is not None and test.fields is not None:
        yield "fields", "needs invoice or fields, and not both"
    expected = test.expect
    if isinstance(expected, ExpectedProblem):
        yield from _missing("expect", "problem", expected.problem, PROBLEMS)
    else:
        yield from _missing("expect", "upstream", expected, config.upstreams)
    if test.rule is not None:
        yield from _missing("rule", "rule", test.rule, [route.name for route in config.routes])
    if test.client is not None:
        yield from _missing("client", "client", test.client, config.clients or (LOCAL,))


def _missing(name: str, kind: str, word: str, known: Iterable[str]) -> Iterator[tuple[str, str]]:
    if word not in known:
        yield name, f"there is no {kind} {quoted(word)}{nearest(word, known)}"


def _difference(test: RouteTest, ran: Ran, book: Book) -> str | None:
    """What happened instead of what is expected."""
    happened = _happened(ran)
    if isinstance(test.expect, ExpectedProblem):
        slug = None if ran.problem is None else type(ran.problem).slug
        expected, good = f"the problem {test.expect.problem}", slug == test.expect.problem
    else:
        expected, good = test.expect, ran.problem is None and test.expect in _upstreams(test, ran, book)
    if not good:
        return f"expects {expected}, but {happened}"
    if test.rule is not None and test.rule != ran.rule:
        return f"expects rule {quoted(test.rule)}, but {happened}"
    return None


def _happened(ran: Ran) -> str:
    if ran.problem is None:
        return f"rule {quoted(ran.rule or '')} leads to {ran.upstream}"
    why = f"{type(ran.problem).slug}: {ran.problem.detail}"
    if isinstance(ran.problem, NoRoute):
        why += "".join(f"; {fault.detail}" for fault in ran.problem.faults)
    return why if ran.rule is None else f"rule {quoted(ran.rule)} leads to {ran.upstream}: {why}"


def _upstreams(test: RouteTest, ran: Ran, book: Book) -> list[str | None]:
    """Where the invoice may go: of a split any, unless the test says by which `external_id`."""
    if test.invoice is not None or (test.fields is not None and test.fields.external_id is not None):
        return [ran.upstream]
    rule = next(rule for rule in book.rules if rule.name == ran.rule)
    return [name for name, _ in rule.targets]
