"""Rolling restarts: gateways go and come one after the other under load, and no caller notices."""

from pathlib import Path

from tests.support.callers import Load
from tests.support.replicas import REPLICAS, Replicas, drained, replicas


async def roll(world: Replicas, load: Load) -> None:
    """Restart every gateway, one after the other, each under load."""
    for number in range(REPLICAS):
        await load.grows()
        before = load.turned_away
        assert await world.replace(number) == 0, "a gateway did not end well"
        assert load.turned_away > before, "a gateway that was about to end did not say so on its connections"


async def test_gateways_are_restarted_one_by_one_and_no_request_fails(tmp_path: Path) -> None:
    """Not one error and no answer but 201 while all three are replaced; every invoice exists once."""
    async with replicas(tmp_path, drained("500ms")) as world:
        load = Load(world.url)
        async with load.going():
            await roll(world, load)
        failed = "\n".join(load.failed)
        assert not load.failed, f"{len(load.failed)} of {len(load.failed) + load.created} failed:\n{failed}"
        for dialect, told in load.told.items():
            there = await world.stored(dialect)
            assert len(there) == len(told) == len(set(told)), dialect
