"""Generated sets of rules, in several processes: what `check` says of them against trying every kind of invoice."""

import traceback

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.core.agreement import RULES, agrees
from tests.proof import pool
from tests.proof.row import Found, Tick

CHUNK = 100


def wrong_in(share: range) -> list[str]:
    """What is wrong with so many sets of rules, if anything; where the share begins chooses them."""
    chosen = settings(
        max_examples=len(share),
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    try:
        seed(share.start)(chosen(given(RULES)(agrees)))()
    except Exception:  # noqa: BLE001 - whatever it is, it is told
        return [f"seed {share.start}:\n{traceback.format_exc(chain=False)}"]
    return []


async def run(count: int, first: int, tick: Tick) -> Found:
    """So many sets of rules, on all processors."""
    return await pool.shared(wrong_in, count, first, tick, CHUNK)
