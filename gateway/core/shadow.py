"""An invoice translated for a second upstream too, which it is never sent to: what would be otherwise there. Pure."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from gateway.core.dialect import Translation, Upstream, translate
from gateway.core.errors import Untranslatable
from gateway.core.losses import pattern
from gateway.core.plan import Plan

Likeness = Literal["same", "losses", "money", "untranslatable"]
LIKENESSES: tuple[Likeness, ...] = ("same", "losses", "money", "untranslatable")


class Compared(Struct, frozen=True):
    """How an invoice would fare there.

    `untranslatable`: not at all, for what is `refused`; `money`: another amount would be claimed; `losses`: other
    fields would be lost, those in `more` only there, those in `fewer` only here. Fields are patterns, with `*` for an
    index or a key. An amount that an upstream decides itself is not compared.
    """

    likeness: Likeness
    more: tuple[str, ...] = ()
    fewer: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def compared(plan: Plan, shadow: Upstream) -> Compared:
    """The plan beside one for `shadow`."""
    try:
        there = translate(plan.invoice, plan.totals, shadow)
    except Untranslatable as problem:
        return Compared("untranslatable", refused=_patterns(fault.pointer for fault in problem.faults))
    here = plan.leg.translation
    lost_here, lost_there = ({loss.pointer for loss in each.losses} for each in (here, there))
    more, fewer = _patterns(lost_there - lost_here), _patterns(lost_here - lost_there)
    if _claims_otherwise(here, there):
        return Compared("money", more, fewer)
    return Compared("losses" if more or fewer else "same", more, fewer)


def _claims_otherwise(here: Translation, there: Translation) -> bool:
    return here.claim is not None and there.claim is not None and here.claim != there.claim


def _patterns(pointers: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({pattern(pointer) for pointer in pointers}))
