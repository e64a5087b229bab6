"""How the upstreams stand now, and what their dialects can say: the answer of `GET /v1/upstreams`."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from gateway.core.breaker import STATES
from gateway.core.dialect import Protection, Upstream
from gateway.core.losses import Declared
from gateway.core.plan import Caller
from gateway.shell.lanes import Lane


class Capability(Struct, frozen=True):
    """What becomes of a canonical field: a disposition, the upstream's field it goes to, words for a person."""

    disposition: Declared
    upstream_field: str | None
    detail: str


class Standing(Struct, frozen=True):
    """An upstream: its breaker, its exchanges under way and waiting, and what becomes of each canonical field there."""

    name: str
    dialect: str
    api: str
    endpoint: str
    breaker: Annotated[str, Meta(extra_json_schema={"enum": list(STATES.values())})]
    in_flight: int
    queued: int
    protection: Protection
    money_rule: str
    capabilities: dict[str, Capability]


class Upstreams(Struct, frozen=True):
    """The upstreams that the caller may use."""

    items: tuple[Standing, ...]


def standings(upstreams: Mapping[str, Upstream], lanes: Mapping[str, Lane], caller: Caller) -> Upstreams:
    """How those stand that the caller may use."""
    names = [name for name in upstreams if caller.may_use(name)]
    return Upstreams(tuple(_standing(name, upstreams[name], lanes[name]) for name in names))


def _standing(name: str, upstream: Upstream, lane: Lane) -> Standing:
    dialect = upstream.dialect
    return Standing(
        name=name,
        dialect=dialect.name,
        api=dialect.api,
        endpoint=dialect.endpoint,
        breaker=STATES[type(lane.breaker)],
        in_flight=lane.in_flight,
        queued=lane.waiting,
        protection=dialect.protection,
        money_rule=dialect.money_rule,
        capabilities={
            leaf: Capability(fate.disposition, fate.wire, fate.detail) for leaf, fate in dialect.fates.items()
        },
    )
