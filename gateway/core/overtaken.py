"""What becomes of an outcome whose write came second: the entry had changed since the outcome was decided on. Pure.

Outcomes are compared by the claim that they are of (`Dispatch.claim`): what is learned of one sending is never taken
for what became of another.
"""

from msgspec import Struct, structs

from gateway.core.dispatch import claim_of
from gateway.core.journal import Entry, State

OPEN: frozenset[State] = frozenset(("sending", "unknown"))
"""The states that any outcome of the same sending settles."""


class Rebased(Struct, frozen=True):
    """The outcome is nearer to the truth than what is stored: `now` is it, as a step from `was`."""

    was: Entry
    now: Entry
    contradicts: bool = False


class Stands(Struct, frozen=True):
    """Nothing is to be written; `entry` is what is true for whoever decided, `ours` whether that is its own write."""

    entry: Entry
    ours: bool = False
    contradicts: bool = False


def overtaken(decided_on: Entry, stored: Entry | None, now: Entry, tried: str = "") -> Rebased | Stands:
    """What to do with the outcome `now`, where `stored` is by now in the place of the entry that it was decided on.

    `tried` names another claim of the same sender, under which nothing was sent. Two outcomes contradict each other
    where only one of them says that there is an invoice, or where both do, and it is not the same.
    """
    if stored == now:  # this very write; the word of it was lost
        return Stands(now, ours=True)
    if stored is None:  # as after a restore from a backup
        return Stands(now, contradicts=True)
    if claim_of(stored) in (claim_of(decided_on), claim_of(now), tried):
        return _of_one_sending(stored, now)
    return _of_another(stored, now, found=decided_on.state == "unknown")


def _of_another(stored: Entry, now: Entry, *, found: bool) -> Rebased | Stands:
    """Something else was begun under the key meanwhile; `found`: by a lookup, which may have seen that."""
    if now.state != "created":
        return Stands(stored)
    if stored.state in OPEN:
        return Stands(stored) if found else Stands(now, contradicts=True)
    if stored.state != "created":
        return Rebased(stored, onto(stored, now), contradicts=True)
    same = stored.upstream_id is not None and stored.upstream_id == now.upstream_id
    return Stands(stored) if same else Stands(now, contradicts=True)


def _of_one_sending(stored: Entry, now: Entry) -> Rebased | Stands:
    if stored.state == now.state:
        return Stands(stored, contradicts=len({stored.upstream_id, now.upstream_id} - {None}) > 1)
    if now.state == "created":
        return Rebased(stored, onto(stored, now), contradicts=stored.state not in OPEN)
    if stored.state in OPEN:
        return Rebased(stored, onto(stored, now))
    return Stands(stored, contradicts=stored.state == "created" and now.state != "unknown")


def onto(stored: Entry, now: Entry) -> Entry:
    """What `now` says, as a step from `stored`; an edge leads there."""
    return structs.replace(now, revision=stored.revision + 1)
