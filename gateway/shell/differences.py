"""What `diff` tells: invoices that are different, lines that are no invoices, and the totals of each way."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from gateway.core.comparison import Change, Compared, Course, Kind
from gateway.core.errors import Fault
from gateway.core.losses import pattern
from gateway.core.money import EXACT, ZERO
from gateway.shell.screen import indented, shown, table, text

MOST_TOLD = 4
"""So many changes of a kind are told of an invoice, for people."""


class Difference(Struct, frozen=True, tag="difference", tag_field="type"):
    """An invoice that would go elsewhere or be translated otherwise."""

    line: int
    external_id: str
    old: Course
    new: Course
    changes: tuple[Change, ...]


class Unread(Struct, frozen=True, tag="unread", tag_field="type"):
    """A line that is no invoice."""

    line: int
    external_id: str | None
    problem: str
    detail: str
    errors: tuple[Fault, ...]


class Way(Struct, frozen=True):
    """From where to where: the rule, and the upstream or the problem; None where no rule takes the invoice."""

    old_rule: str | None
    old: str
    new_rule: str | None
    new: str


class Moved(Struct, frozen=True):
    """The invoices of one way, how many of them are different, and their amounts due by currency."""

    way: Way
    invoices: int
    different: int
    amounts: dict[str, Decimal]


class Totals(Struct, frozen=True, tag="totals", tag_field="type"):
    """All that was compared."""

    invoices: int
    different: int
    unread: int
    ways: tuple[Moved, ...]


class Tally:
    """Counts what was compared, way by way."""

    def __init__(self) -> None:
        self.unread = 0
        self._counts: Counter[Way] = Counter()
        self._different: Counter[Way] = Counter()
        self._amounts: defaultdict[Way, dict[str, Decimal]] = defaultdict(dict)

    def add(self, found: Compared) -> None:
        """One more invoice."""
        way = Way(found.old.rule, end(found.old), found.new.rule, end(found.new))
        self._counts[way] += 1
        self._different[way] += bool(found.changes)
        amounts = self._amounts[way]
        amounts[found.currency] = EXACT.add(amounts.get(found.currency, ZERO), found.amount_due)

    def totals(self) -> Totals:
        """All of it; the ways that most invoices take first, those where something is different before all others."""
        moved = [Moved(way, count, self._different[way], self._amounts[way]) for way, count in self._counts.items()]
        moved.sort(key=lambda one: (-one.different, -one.invoices))
        return Totals(self._counts.total(), self._different.total(), self.unread, tuple(moved))


def end(course: Course) -> str:
    """Where it ends: the upstream, or the slug of the problem."""
    return course.upstream or course.problem or ""


def lines_of(found: Difference) -> Iterator[str]:
    """What is otherwise, for a person: lines of an invoice counted together; not all of it."""
    alike: defaultdict[tuple[Kind, str, str | None, str | None], list[str]] = defaultdict(list)
    for one in found.changes:
        alike[one.kind, pattern(one.place), one.old, one.new].append(one.place)
    told, left = Counter[Kind](), Counter[Kind]()
    for (kind, place, old, new), places in alike.items():
        told[kind] += 1
        if told[kind] > MOST_TOLD:
            left[kind] += len(places)
        elif kind in ("upstream", "problem") and not place:
            yield f"{kind}: {_ended(found.old)} → {_ended(found.new)}"
        else:
            where = f"{place} × {len(places)} " if len(places) > 1 else f"{places[0]} " if place else ""
            yield f"{kind}: {where}{old or 'nothing'} → {new or 'nothing'}"
    yield from (f"{kind}: and {count} more" for kind, count in left.items())


def _ended(course: Course) -> str:
    """Where it goes and by which rule, or why it goes nowhere."""
    rule = "" if course.rule is None else f' by rule "{course.rule}"'
    why = "".join(f": {one.detail}" for one in course.errors[:1])
    return f"{end(course)}{rule}{why}"


def summary(totals: Totals) -> str:
    """All that was compared, for a person."""
    words = f"{totals.different:,} of {totals.invoices:,} invoices would go elsewhere or be translated otherwise"
    if totals.unread:
        words += f"; {totals.unread:,} line{'s' if totals.unread > 1 else ''} could not be read"
    columns = ("old rule", "goes to", "new rule", "goes to", "invoices", "different", "amount due")
    made = table(*columns, right={4, 5, 6}, whole={0, 1, 2, 3, 6})
    for one in totals.ways:
        amounts = "\n".join(f"{amount:,f} {code}" for code, amount in sorted(one.amounts.items()))
        ends = (one.way.old_rule or "–", one.way.old, one.way.new_rule or "–", one.way.new)
        style = "bold" if one.different else ""
        made.add_row(*(text(each, style) for each in ends), f"{one.invoices:,}", f"{one.different:,}", amounts)
    return shown((text(words, "bold"), text(""), indented(made)) if totals.ways else (text(words),))
