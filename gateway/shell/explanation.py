"""What `explain` shows a person: the rule, totals, losses, refusals, request; or where else it can go."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from rich.table import Table
from rich.text import Text

from gateway.core.errors import Fault
from gateway.core.explain import Explanation, RequestView, UpstreamView, taker
from gateway.core.losses import FIELDS, pattern
from gateway.core.money import plain
from gateway.core.result import Disposition, Loss
from gateway.shell.screen import Part, Verbatim, indented, shown, table, text, width

PROTECTIONS = {"enforced": "the API itself", "lookup": "asking for it", "none": "nothing but a person"}
_TOTALS = ("line_total", "discount_total", "charge_total", "tax_total", "tax_inclusive_total", "amount_due")
_STYLES: dict[Disposition, str] = {"dropped": "red", "approximated": "magenta", "folded": "cyan", "derived": "yellow"}
_SHORT: dict[Disposition, str] = {
    "dropped": "dropped",
    "approximated": "approx.",
    "folded": "folded",
    "derived": "derived",
}
_ORDER = {place: number for number, place in enumerate(FIELDS)}
_INDENT, _GAP = 2, 1
_NONE = "–"


def explanation(found: Explanation, *, everywhere: bool) -> str:
    """What would be done with an invoice; `everywhere`: at every upstream, as a table of what each would lose."""
    return shown(_parts(found, everywhere=everywhere))


def _parts(found: Explanation, *, everywhere: bool) -> Iterator[Part]:
    yield _headline(found)
    yield Text()
    yield indented(_rules(found))
    yield Text()
    yield indented(_totals(found))
    if everywhere:
        yield from _comparison(found)
        return
    for view in found.upstreams:
        yield Text()
        yield from _upstream(view)


def _headline(found: Explanation) -> Text:
    """Where it goes, in one sentence."""
    going, rule = taker(found), f'rule "{found.route.rule}" ({found.route.config})'
    if going is None:
        names = " and ".join(found.route.to)
        words = f"cannot be sent: {rule} leads to {names}, which cannot carry it"
    else:
        words = f"goes to {going.name} by {rule}"
    return text(found.external_id, "bold").append_text(text(f" {words}", "red" if going is None else "green"))


def _rules(found: Explanation) -> Table:
    made = table("rule", "why not", whole={0})
    for one in found.route.tried:
        made.add_row(text(one.rule), text(one.failed))
    made.add_row(text(found.route.rule, "green"), text("takes it", "green"))
    return made


def _totals(found: Explanation) -> Table:
    made = table("", "", right={1})
    for name in _TOTALS:
        made.add_row(text(name.replace("_", " ")), text(plain(getattr(found.totals, name))))
    return made


def _upstream(view: UpstreamView) -> Iterator[Part]:
    """What would become of the invoice at one upstream."""
    able = view.verdict == "sendable"
    words = "can carry it" if able else "cannot carry it"
    yield text(f"{view.name} ({view.dialect}): ", "bold").append_text(text(words, "green" if able else "red"))
    if view.request is None:
        yield indented(_refusals((view,)))
        return
    facts = table("", "")
    facts.add_row("claim", text(_claim(view) or "decided by the upstream, compared afterwards"))
    facts.add_row("second creation prevented by", PROTECTIONS[view.protection])
    yield indented(facts)
    if view.losses:
        yield indented(text(_count(len(view.losses), "loss", "losses") + ":"))
        yield indented(_losses(view.losses), 4)
    yield from _request(view.request)


def _claim(view: UpstreamView) -> str | None:
    return None if view.claim is None else plain(view.claim)


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _losses(losses: tuple[Loss, ...]) -> Table:
    """The losses by field, lines counted together."""
    made = table("field", "×", "becomes", "why", right={1}, whole={0})
    counted = Counter((pattern(loss.pointer), loss.disposition, loss.detail) for loss in losses)
    for (place, disposition, detail), count in counted.items():
        made.add_row(text(place), str(count), Text(disposition, _STYLES[disposition]), text(detail))
    return made


def _refusals(views: Iterable[UpstreamView]) -> Table:
    made = table("field", "why not", whole={0})
    for view in views:
        for fault in view.errors:
            made.add_row(*_fault(fault))
    return made


def _fault(fault: Fault) -> tuple[Text, Text]:
    return text(fault.pointer or "-", "red"), text(fault.detail)


def _request(request: RequestView) -> Iterator[Verbatim]:
    """The request; JSON is laid out, with each number as it is sent."""
    yield Verbatim("")
    yield Verbatim(f"  {request.method} {request.url}")
    for name, value in request.headers.items():
        yield Verbatim(f"  {name}: {value}")
    yield Verbatim("\n".join(f"  {line}" for line in _laid_out(request.body).splitlines()), json=True)


def _laid_out(body: str) -> str:
    try:
        return msgspec.json.format(body, indent=2)
    except msgspec.DecodeError:
        return body


def _comparison(found: Explanation) -> Iterator[Part]:
    """Where the invoice can go, what each upstream would lose of it, and why others cannot carry it."""
    yield Text()
    yield indented(_summary(found))
    able = [view for view in found.upstreams if view.verdict == "sendable"]
    for views in _blocks(able):
        if any(view.losses for view in views):
            yield Text()
            yield indented(_matrix(views))
    if unable := [view for view in found.upstreams if view.verdict != "sendable"]:
        yield Text()
        made = table("upstream", "field", "why not", whole={0, 1})
        for view in unable:
            for fault in view.errors:
                made.add_row(text(view.name), *_fault(fault))
        yield indented(made)


def _summary(found: Explanation) -> Table:
    columns = ("", "upstream", "API", "carries it", "claim", "losses", "second one prevented by")
    made = table(*columns, right={4, 5}, whole={1, 2, 3})
    going = taker(found)
    for view in found.upstreams:
        able = view.verdict == "sendable"
        taking = going is not None and going.name == view.name
        made.add_row(
            "→" if taking else "",
            text(view.name, "bold" if taking else ""),
            text(view.dialect),
            Text("yes", "green") if able else Text("no", "red"),
            text((_claim(view) or "decided there") if able else _NONE),
            str(len(view.losses)) if able else _NONE,
            PROTECTIONS[view.protection],
        )
    return made


def _blocks(views: Sequence[UpstreamView]) -> Iterator[Sequence[UpstreamView]]:
    """So many upstreams side by side as there is room for."""
    places = (len(_counted(place, count)) for view in views for place, (_, count) in _lost(view).items())
    room = width() - _INDENT - max(places, default=0) - _GAP
    widest = max((len(line) for view in views for line in _heading(view).split("\n")), default=0)
    count = max(1, room // (max(widest, *map(len, _SHORT.values())) + _GAP))
    return (views[at : at + count] for at in range(0, len(views), count))


def _heading(view: UpstreamView) -> str:
    """The name on as many lines as it has parts, so that a column is narrow."""
    return view.name.replace("-", "-\n")


def _lost(view: UpstreamView) -> dict[str, tuple[Disposition, int]]:
    """What becomes of each field that is lost there, and how many times."""
    counts = Counter(pattern(loss.pointer) for loss in view.losses)
    return {place: (loss.disposition, counts[place]) for loss in view.losses for place in (pattern(loss.pointer),)}


def _counted(place: str, count: int) -> str:
    return place if count == 1 else f"{place} × {count}"


def _matrix(views: Sequence[UpstreamView]) -> Table:
    """Each field that any of them would lose, in the order of the canonical invoice; a blank is carried as it is."""
    lost = [_lost(view) for view in views]
    made = table("lost", *(_heading(view) for view in views), whole={0}, gap=_GAP)
    for place in sorted(
        {place for each in lost for place in each}, key=lambda name: (_ORDER.get(name, len(_ORDER)), name)
    ):
        found = [each.get(place) for each in lost]
        cells = (Text() if one is None else Text(_SHORT[one[0]], _STYLES[one[0]]) for one in found)
        made.add_row(text(_counted(place, max(one[1] for one in found if one is not None))), *cells)
    return made
