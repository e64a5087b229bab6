"""Which invoices reach which rule: rules that can take none, rules that get none, and invoices that no rule takes.

A rule is a region; what reaches it is its region without those of the rules before. That is searched for one invoice:
take any point of what is left, see whether a rule takes it, and go on with the pieces around that rule. Every piece is
without the rules that were tried, so the search ends, and finds a point if there is one. It may take long: after
`STEPS` points it gives up, and says so. What is said of an invoice was tried with the rules themselves before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

from gateway.core.config import Config, Route
from gateway.core.errors import NoRoute
from gateway.core.finding import Finding, Witness
from gateway.core.parse import ExtensionTypes
from gateway.core.plan import LOCAL
from gateway.core.point import NOTHING, Point, Wish, realize
from gateway.core.region import CLIENT, Constraint, Region, Space, constraints
from gateway.core.routing import Decision, Facts, Rule, compile_rules, select
from gateway.core.sample import invoice_of
from gateway.core.totals import checked_totals
from gateway.core.wording import escape, quoted

STEPS = 20_000


class Undecided(Exception):  # noqa: N818 - it is an answer
    """The search took too many steps."""


class Zone(Struct, frozen=True):
    """A rule, and the region of invoices that it takes; None where it can take none."""

    route: Route
    constraints: tuple[Constraint, ...]
    region: Region | None


class Layout(Struct, frozen=True):
    """The rules of a configuration as regions, in their order, and as they are asked."""

    space: Space
    zones: tuple[Zone, ...]
    rules: tuple[Rule, ...]
    types: ExtensionTypes
    steps: int = STEPS

    def witness(self, point: Point, own: Mapping[str, object] | None = None) -> Witness:
        """The point as an invoice."""
        sample = point.sample()
        return Witness(point.words[CLIENT], sample, invoice_of(sample, self.types, own))


def layout(config: Config, types: ExtensionTypes, steps: int = STEPS) -> Layout:
    """The rules as regions."""
    kinds = list(types.values())
    extensions = {"extensions": any(kind[0] for kind in kinds), "lines.extensions": any(kind[1] for kind in kinds)}
    space = Space(frozenset(config.clients or (LOCAL,)), extensions)
    zones = tuple(_zone(route, space) for route in config.routes)
    return Layout(space, zones, compile_rules(config.routes), types, steps)


def _zone(route: Route, space: Space) -> Zone:
    found = tuple(constraints(route.when, space))
    region = together(found, space)
    return Zone(route, found, region if region is not None and realize(region, space) is not None else None)


def together(found: Iterable[Constraint], space: Space) -> Region | None:
    """What all of them allow; None where their sets have nothing in common."""
    region: Region | None = Region()
    for one in found:
        region = None if region is None else space.both(region, one.region)
    return region


class Search:
    """A search for an invoice; `met` are the zones that were in its way."""

    def __init__(self, found: Layout, wish: Wish = NOTHING) -> None:
        self.space = found.space
        self.wish = wish
        self.left = found.steps
        self.met: list[Zone] = []

    def outside(self, region: Region, zones: Sequence[Zone]) -> Point | None:
        """An invoice of the region that none of the zones takes; None if there is none.

        Raises:
            Undecided: after too many steps.
        """
        waiting = [region]
        while waiting:
            if not self.left:
                raise Undecided
            self.left -= 1
            piece = waiting.pop()
            point = realize(piece, self.space, self.wish)
            if point is None:
                continue
            taking = next((zone for zone in zones if zone.region is not None and point.within(zone.region)), None)
            if taking is None or taking.region is None:
                return point
            if taking not in self.met:
                self.met.append(taking)
            waiting += self.space.without(piece, taking.region)
        return None


def rule_findings(found: Layout) -> Iterator[Finding]:
    """Rules that take no invoice, and invoices that no rule takes."""
    for index, zone in enumerate(found.zones):
        finding = _never_matches(found, zone, index) if zone.region is None else _never_reached(found, index)
        if finding is not None:
            yield finding
    yield from _no_route(found)


def _never_matches(found: Layout, zone: Zone, index: int) -> Finding:
    """The first condition that the ones before it leave no invoice for, and those of them that matter."""
    count = next(
        number
        for number in range(1, len(zone.constraints) + 1)
        if not _possible(zone.constraints[:number], found.space)
    )
    failing, before = zone.constraints[count - 1], list(zone.constraints[: count - 1])
    for one in list(before):
        if not _possible([*(other for other in before if other is not one), failing], found.space):
            before.remove(one)
    search = Search(found)
    point = search.outside(together(before, found.space) or Region(), ())
    words = f"rule {quoted(zone.route.name)} can take no invoice: "
    if before:
        words += f"{quoted(failing.said)} contradicts {' and '.join(quoted(one.said) for one in before)}"
    else:
        words += f"none meets {quoted(failing.said)}"
    place = f"/routes/{index}/when/{failing.place}"
    witness = None if point is None else found.witness(point)
    return Finding("fault", "never-matches", place, words, zone.route.name, witness)


def _possible(some: Iterable[Constraint], space: Space) -> bool:
    region = together(some, space)
    return region is not None and realize(region, space) is not None


def _never_reached(found: Layout, index: int) -> Finding | None:
    zone, name = found.zones[index], found.zones[index].route.name
    region = zone.region or Region()
    search, place = Search(found), f"/routes/{index}"
    try:
        if search.outside(region, found.zones[:index]) is not None:
            return None
    except Undecided:
        return undecided(found, place, f"whether any invoice reaches rule {quoted(name)}", name)
    cover = _smallest(found, region, [one for one in found.zones[:index] if one in search.met])
    point = realize(region, found.space)
    if point is None or not _goes(found, witness := found.witness(point), found.zones[:index]):
        return None
    names = [quoted(one.route.name) for one in cover]
    takers = f"rule {names[0]}, takes" if len(names) == 1 else f"rules {', '.join(names[:-1])} and {names[-1]}, take"
    words = f"rule {quoted(name)} is never reached: what it could take, earlier {takers}"
    return Finding("fault", "never-reached", place, words, name, witness)


def _smallest(found: Layout, region: Region, zones: list[Zone]) -> list[Zone]:
    """Those of the zones that take all of the region together, without those that are seen to be in vain."""
    search = Search(found)
    with suppress(Undecided):
        for zone in list(zones):
            others = [one for one in zones if one is not zone]
            if search.outside(region, others) is None:
                zones = others
    return zones


def decided(found: Layout, witness: Witness) -> Decision | None:
    """Where the rules really send the witness, None if no rule takes it."""
    try:
        return select(found.rules, facts_of(witness))
    except NoRoute:
        return None


def _goes(found: Layout, witness: Witness, zones: Sequence[Zone]) -> bool:
    """Whether one of these rules really takes the witness."""
    decision = decided(found, witness)
    return decision is not None and decision.rule in [zone.route.name for zone in zones]


def facts_of(witness: Witness) -> Facts:
    """What conditions see of the witness."""
    return Facts(witness.invoice, checked_totals(witness.invoice), witness.client)


def _no_route(found: Layout) -> Iterator[Finding]:
    try:
        point = Search(found).outside(Region(), found.zones)
    except Undecided:
        yield undecided(found, "/routes", "whether every invoice is taken by a rule", None)
        return
    if point is not None and decided(found, witness := found.witness(point)) is None:
        words = "no rule takes an invoice such as this one; a last rule without conditions would"
        yield Finding("warning", "no-rule", "/routes", words, None, witness)


def undecided(found: Layout, place: str, question: str, rule: str | None) -> Finding:
    """What was not found out."""
    return Finding("warning", "not-decided", place, f"{question} was not found out in {found.steps} steps", rule)


def unused_upstreams(config: Config) -> Iterator[Finding]:
    """Upstreams that no rule names."""
    named = {name for route in config.routes for name in (route.to, *route.split, *route.fallback, route.shadow)}
    for name in config.upstreams:
        if name not in named:
            words = (
                "no rule leads there, neither by to or split nor by fallback, and none compares with it as its shadow"
            )
            yield Finding("warning", "unused-upstream", f"/upstreams/{escape(name)}", words)


def replaced(witness: Witness, external_id: str) -> Witness:
    """The witness under another name, by which a split may choose another upstream."""
    invoice = msgspec.structs.replace(witness.invoice, external_id=external_id)
    return Witness(witness.client, msgspec.structs.replace(witness.fields, external_id=external_id), invoice)
