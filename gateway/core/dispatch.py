"""How an invoice is sent, as the journal holds it: durable before the first byte, so that its sender is not needed."""

from decimal import Decimal

import msgspec
from msgspec import Raw, Struct, structs

from gateway.core.answer import Attempt
from gateway.core.dialect import Translation
from gateway.core.journal import Entry
from gateway.core.losses import remembered
from gateway.core.money import encode_amount
from gateway.core.result import Disposition, Loss


class Dispatch(Struct, frozen=True, kw_only=True):
    """How an invoice is sent.

    `claim` names this sending alone: what is learned of it is never taken for what became of another. `names` are the
    upstreams that may have it, in their order, `rest` those of them that may still stand in while it is certainly not
    sent; `quiet_until` is when its absence is believed; `deliver_by` is None where a caller waits for the answer;
    `repeat`: it was sent before, and proven absent, so that only the same upstream may have it; `where` is where that
    upstream was then, empty if that is not known; `traceparent` names the request that brought it, where that is
    recorded.
    """

    claim: str
    dialect: str
    rule: str
    config: str
    currency: str
    amount: Decimal
    translation: Translation
    names: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    started_at: float = 0.0
    quiet_until: float = 0.0
    deliver_by: float | None = None
    attempts: tuple[Attempt, ...] = ()
    repeat: bool = False
    where: str = ""
    traceparent: str | None = None


class _Claim(Struct):
    """A dispatch, read no further than to its claim."""

    claim: str


class _Losing(Struct):
    """A dispatch as it was held before its losses were apart, read no further than to them."""

    class Translation(Struct):
        losses: tuple[Loss, ...]

    translation: Translation


class _Losses(Struct, frozen=True, array_like=True):
    """The losses of a translation in a third of the bytes: most differ from another by their pointer alone.

    Each of `places` is a pointer, and which of `kinds` is lost there.
    """

    kinds: tuple[tuple[Disposition, str | None, str], ...] = ()
    places: tuple[tuple[str, int], ...] = ()

    def told(self) -> tuple[Loss, ...]:
        """Each of them, in their order."""
        return tuple(Loss(pointer, *self.kinds[number]) for pointer, number in self.places)


_PACK = msgspec.msgpack.Encoder(enc_hook=encode_amount)
_Packed = tuple[_Losses, Dispatch] | Dispatch
"""The losses of a dispatch, and the rest of it; before they were apart it was one."""
_PackedClaim = tuple[Raw, _Claim] | _Claim
_PackedLosses = tuple[_Losses, Raw] | _Losing
_UNPACK: msgspec.msgpack.Decoder[_Packed] = msgspec.msgpack.Decoder(_Packed)
_CLAIM: msgspec.msgpack.Decoder[_PackedClaim] = msgspec.msgpack.Decoder(_PackedClaim)
_LOSSES: msgspec.msgpack.Decoder[_PackedLosses] = msgspec.msgpack.Decoder(_PackedLosses)


def packed(dispatch: Dispatch) -> bytes:
    """A dispatch as the journal holds it."""
    translation = dispatch.translation
    rest = structs.replace(dispatch, translation=structs.replace(translation, losses=()))
    return _PACK.encode((_grouped(translation.losses), rest))


@remembered
def _grouped(losses: tuple[Loss, ...]) -> Raw:
    kinds: dict[tuple[Disposition, str | None, str], int] = {}
    places = []
    for loss in losses:
        kind = (loss.disposition, loss.upstream_field, loss.detail)
        places.append((loss.pointer, kinds.setdefault(kind, len(kinds))))
    return Raw(_PACK.encode(_Losses(tuple(kinds), tuple(places))))


def dispatch_of(entry: Entry) -> Dispatch:
    """How the entry is, or was, sent."""
    found = _UNPACK.decode(entry.dispatch)
    if isinstance(found, Dispatch):
        return found
    losses, rest = found
    return structs.replace(rest, translation=structs.replace(rest.translation, losses=losses.told()))


def claim_of(entry: Entry) -> str | None:
    """The name of the sending that the entry tells of; None once its details are purged."""
    if not entry.dispatch:
        return None
    found = _CLAIM.decode(entry.dispatch)
    return found.claim if isinstance(found, _Claim) else found[1].claim


def losses_of(entry: Entry) -> tuple[Loss, ...]:
    """What the entry's translation loses; nothing once its details are purged."""
    if not entry.dispatch:
        return ()
    found = _LOSSES.decode(entry.dispatch)
    return found.translation.losses if isinstance(found, _Losing) else found[0].told()
