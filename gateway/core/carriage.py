"""What a rule sends an upstream although it can never carry it: a currency, a fraction, an invoice without its order.

Nothing here knows a dialect. Invoices that reach the rule are translated for its upstream, and a refusal counts only
where it cannot depend on ids or on other values: of the currency; of a field that is missing; of a field that the
dialect declares refused; of a fraction, if the same invoice with a whole amount is carried. If one of the rule's
stand-ins does not refuse the same, there is nothing to say.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal

from msgspec import Struct, structs

from gateway.core.config import When
from gateway.core.coverage import Layout, Search, Undecided, decided, facts_of, replaced, undecided
from gateway.core.dialect import Upstream, translate
from gateway.core.errors import Fault, NoRoute, Untranslatable
from gateway.core.finding import Finding, Severity, Witness
from gateway.core.losses import pattern
from gateway.core.money import DIGITS, plain
from gateway.core.point import LEAVES, PLAIN, Point, Wish
from gateway.core.region import AMOUNT, CURRENCY, CUSTOMER, DATE, SUPPLIER, Region, Some, Span, listed
from gateway.core.routing import compile_rules, select
from gateway.core.wording import quoted

PRESENT, ABSENT = Some(frozenset((None,)), but=True), Some(frozenset((None,)))
_NAMES = 10_000
"""So many names are tried to have a split choose the upstream."""
_ROUNDS = 5
"""So many fields that an upstream misses are added one after the other."""
_IDENTIFIERS = ("customer.identifiers", "lines.item.identifiers")


class Way(Struct, frozen=True):
    """A rule and one of its upstreams, with those that stand in."""

    layout: Layout
    book: Mapping[str, Upstream]
    index: int
    upstream: Upstream
    others: tuple[Upstream, ...] = ()
    name: str = ""

    @property
    def rule(self) -> str:
        """The rule's name."""
        return self.layout.zones[self.index].route.name

    def point(self, extra: Region, *leaves: str) -> Point | None:
        """An invoice that reaches the rule, if it can be with these leaves; None if there is none."""
        region = self.layout.space.both(self.layout.zones[self.index].region or Region(), extra)
        tables = self.upstream.crosswalk.tables
        words = {CUSTOMER: tuple(tables.get("customers", ())), SUPPLIER: tuple(tables.get("suppliers", ()))}
        search = Search(self.layout, Wish(words, leaves))
        return None if region is None else search.outside(region, self.layout.zones[: self.index])

    def witness(self, extra: Region, *leaves: str) -> Witness | None:
        """The same as an invoice with ids that the upstream knows."""
        point = self.point(extra, *leaves)
        return None if point is None else self.layout.witness(point, _own(point, self.upstream))

    def named(self, witness: Witness) -> Witness | None:
        """The witness by the name with which a split sends it there; None if the rules say otherwise."""
        named = replaced(witness, self.name) if self.name else witness
        decision = decided(self.layout, named)
        sent = decision is not None and (decision.rule, decision.upstream) == (self.rule, self.upstream.name)
        return named if sent else None

    def fault(self, witness: Witness, pointer: str, code: str = "") -> Fault | None:
        """The upstream's refusal at that place, if all that stand in refuse there as well."""
        found = [
            next(
                (one for one in refusals(witness, upstream) if one.pointer == pointer and code in (one.code, "")), None
            )
            for upstream in (self.upstream, *self.others)
        ]
        return None if None in found else found[0]

    def finding(self, severity: Severity, code: str, words: str, witness: Witness) -> Finding:
        """What is to be said of the rule."""
        said = f"rule {quoted(self.rule)} {words}"
        return Finding(severity, code, f"/routes/{self.index}", said, self.rule, witness)


def refusals(witness: Witness, upstream: Upstream) -> tuple[Fault, ...]:
    """Why the upstream cannot carry the invoice; nothing if it can."""
    try:
        translate(witness.invoice, facts_of(witness).totals, upstream)
    except Untranslatable as problem:
        return problem.faults
    return ()


def _own(point: Point, upstream: Upstream) -> Mapping[str, object]:
    """Values for the leaves whose values matter to this upstream: ids that it knows, terms that it has."""
    crosswalk = upstream.crosswalk
    item = next(iter(crosswalk.tables.get("items", ())), "item")
    own: dict[str, object] = {"lines.item.id": item}
    for leaf, kind, key in zip(_IDENTIFIERS, ("customers", "items"), (point.words[CUSTOMER], item), strict=True):
        if leaf in point.leaves and not crosswalk.find(kind, key):
            own[leaf] = {upstream.dialect.name: "1"}
    if "references.order" in point.leaves:
        own["references.order"] = next(iter(crosswalk.tables.get("orders", ())), "order")
    if "due_date" in point.leaves:
        days = next((int(key) for key in crosswalk.tables.get("terms", ()) if key.isdecimal()), 0)
        own["due_date"] = date.fromordinal(min(int(point.spans[DATE]) + days, date.max.toordinal()))
    return own


def carriage_findings(found: Layout, upstreams: Mapping[str, Upstream]) -> Iterator[Finding]:
    """What the rules send where it can never be carried."""
    for index, zone in enumerate(found.zones):
        route = zone.route
        for name in route.split or listed(route.to):
            others = tuple(upstreams[other] for other in route.fallback if other != name)
            if zone.region is not None:
                try:
                    way = Way(found, upstreams, index, upstreams[name], others)
                    if (named := _name(way)) is not None:
                        yield from _of_way(structs.replace(way, name=named))
                except Undecided:
                    question = f"whether {name} can carry what rule {quoted(route.name)} takes"
                    yield undecided(found, f"/routes/{index}", question, route.name)


def _name(way: Way) -> str | None:
    """An `external_id` by which the rule's split chooses the upstream; None if none is found."""
    rule = compile_rules([structs.replace(way.layout.zones[way.index].route, when=When())])
    point = way.point(Region())
    if point is None:
        return None
    facts = facts_of(way.layout.witness(point))
    for number in range(_NAMES if len(rule[0].targets) > 1 else 1):
        name = f"sample-{number}" if number else ""
        invoice = structs.replace(facts.invoice, external_id=name or facts.invoice.external_id)
        if select(rule, structs.replace(facts, invoice=invoice)).upstream == way.upstream.name:
            return name
    return None


def _of_way(way: Way) -> Iterator[Finding]:
    zone = way.layout.zones[way.index]
    codes = sorted(code for code in way.layout.space.words(zone.region or Region(), CURRENCY).values if code)
    seen = ((code, way.witness(_in(code))) for code in codes)
    reached = {
        code: named for code, witness in seen if witness is not None and (named := way.named(witness)) is not None
    }
    refused = {code: fault for code, witness in reached.items() if (fault := way.fault(witness, "/currency"))}
    if not reached:
        return
    name, carried = way.upstream.name, [code for code in reached if code not in refused]
    if not carried:
        first = next(iter(refused))
        words = f"can send nothing to {name}: {refused[first].detail}"
        yield way.finding("fault", "never-carried", words, reached[first])
        return
    if zone.route.when.currency is not None:
        for code, fault in refused.items():
            yield way.finding("warning", "currency", f"sends {code} to {name}: {fault.detail}", reached[code])
    else:
        yield from _better(way, {code: reached[code] for code in refused})
    plainest = next((code for code in PLAIN[CURRENCY] if code in carried), carried[0])
    yield from _fields(way, plainest, reached[plainest])
    stated = {*listed(zone.route.when.currency), *way.upstream.crosswalk.tables.get("currencies", ())}
    for code in carried:
        if code in stated:
            yield from _fractions(way, code, reached[code])


def _in(code: str) -> Region:
    return Region({CURRENCY: Some(frozenset((code,)))})


def _better(way: Way, refused: Mapping[str, Witness]) -> Iterator[Finding]:
    """Of a rule that does not ask for the currency: one that its upstream refuses, while a later rule's does not."""
    for code, witness in refused.items():
        try:
            decision = select(way.layout.rules[way.index + 1 :], facts_of(witness))
        except NoRoute:
            continue
        if all(fault.pointer != "/currency" for fault in refusals(witness, way.book[decision.upstream])):
            words = f"sends {code} to {way.upstream.name}, which refuses it; rule {quoted(decision.rule)} after it"
            yield way.finding("warning", "currency", f"{words} leads to {decision.upstream}, which does not", witness)
            return


def _fields(way: Way, code: str, plainest: Witness) -> Iterator[Finding]:
    """Fields that the upstream cannot do without, and those that it declares refused."""
    name, region = way.upstream.name, _in(code)
    for fault in refusals(plainest, way.upstream):
        path = _path(fault)
        if fault.code == "missing" and path in LEAVES and way.fault(plainest, fault.pointer, fault.code):
            words = f"sends {name} invoices without {path}: {fault.detail}"
            if way.point(Region({**region.words, path: PRESENT})) is None:
                yield way.finding("fault", "never-carried", words, plainest)
            else:
                yield way.finding("warning", "missing", f"{words}; has = [{quoted(path)}] keeps them away", plainest)
        elif _is_refused(way, path) and way.fault(plainest, fault.pointer):
            only = way.point(Region({**region.words, path: ABSENT})) is None
            if only:
                words = f"sends {name} only invoices with {path}: {fault.detail}"
                yield way.finding("fault", "never-carried", words, plainest)


def _is_refused(way: Way, path: str) -> bool:
    """Whether the dialect declares all of the field refused."""
    start = "/" + path.replace(".", "/")
    own = [fate for leaf, fate in way.upstream.dialect.fates.items() if f"{leaf}/".startswith(f"{start}/")]
    return bool(own) and all(fate.disposition == "refused" for fate in own)


def _fractions(way: Way, code: str, whole: Witness) -> Iterator[Finding]:
    """Amounts of the currency's minor unit, where whole ones are carried."""
    witness = _refused_fraction(way, code)
    others = [
        _refused_fraction(Way(way.layout, way.book, way.index, other), code)
        for other in way.others
        if all(fault.pointer != "/currency" for fault in refusals(whole, other))
    ]
    if witness is not None and None not in others and (named := way.named(witness)) is not None:
        amount, faults = plain(witness.fields.amount), refusals(witness, way.upstream)
        words = f"sends {way.upstream.name} amounts such as {amount} {code}: {faults[0].detail}"
        yield way.finding("warning", "fraction", words, named)


def _refused_fraction(way: Way, code: str) -> Witness | None:
    """An invoice that the upstream carries, with the least amount more, if then it does not."""
    carried = _carried(way, _in(code))
    unit = Decimal(1).scaleb(-DIGITS[code])
    if carried is None or unit == 1:
        return None
    whole, leaves = carried
    amount = whole.fields.amount.to_integral_value() + unit
    region = Region(_in(code).words, {AMOUNT: Span(amount, amount + unit)})
    return None if _carried(way, region) is not None else way.witness(region, *leaves)


def _carried(way: Way, region: Region) -> tuple[Witness, tuple[str, ...]] | None:
    """An invoice of the region that the upstream carries, and the fields that it needs for that."""
    for own in ((), _IDENTIFIERS):
        leaves: tuple[str, ...] = own
        for _ in range(_ROUNDS):
            if (witness := way.witness(region, *leaves)) is None:
                return None
            faults = refusals(witness, way.upstream)
            if not faults:
                return witness, leaves
            leaves += tuple(path for one in faults if one.code == "missing" and (path := _path(one)) not in leaves)
    return None


def _path(fault: Fault) -> str:
    return ".".join(name for name in pattern(fault.pointer).split("/")[1:] if name != "*")
