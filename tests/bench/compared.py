"""The comparison: the gateway and what else does the job, and at half load what the gateway adds to the upstream."""

from collections.abc import Sequence
from pathlib import Path

from tests.bench import nginx, same, scene
from tests.bench.contestants import CONTESTANTS, NAMES, Contestant, gateway
from tests.bench.figures import Row
from tests.bench.machine import LOAD_CORE
from tests.bench.program import Command
from tests.bench.rounds import Form, Setting, Tick, figures, in_turns, load, row, sample
from tests.bench.scene import Place, upstream, workplace
from tests.bench.tools import Missing, environment

MOST_TOLD = 300


async def able(contestants: Sequence[Contestant]) -> dict[str, str]:
    """Why a contestant is not measured: it could not be had, does not run, or does something else. Empty: it is."""
    expected, found = await same.wanted(), {}
    for contestant in contestants:
        try:
            wrong = await same.unlike(contestant, expected)
            found[contestant.name] = _short(f"not measured, does something else: {'; '.join(wrong)}") if wrong else ""
        except Missing as missing:
            found[contestant.name] = _short(f"not installed: {missing}")
        except (AssertionError, OSError, TimeoutError) as error:
            found[contestant.name] = _short(f"not measured, does not run: {error}")
    return found


def _short(why: str) -> str:
    return " ".join(why.split())[:MOST_TOLD]


async def peers(form: Form, tick: Tick, chosen: Sequence[str] = ()) -> list[Row]:
    """The contestants in turns, under the same load."""
    contestants = [each for each in CONTESTANTS if not chosen or each.name in chosen]
    why = await able(contestants)
    amount = scene.amount(same.body())
    with workplace() as name:
        async with upstream(amount) as there:
            wanted = load(Path(name), same.body(), form)
            settings = {each.name: Setting(each.command, wanted) for each in contestants if not why[each.name]}
            found = await in_turns(settings, dict.fromkeys(settings, there), form, tick)
    return [
        Row(each.name, each.words, figures(found[each.name]) if each.name in found else {}, why[each.name] or each.note)
        for each in contestants
    ]


async def half(form: Form, tick: Tick) -> list[Row]:
    """Latencies at half of what it can do: of the gateway, of its two connections alone, and of the upstream itself."""
    with workplace() as name:
        folder = Path(name)
        async with upstream(scene.amount(same.body())) as there:
            most = await sample(Setting(gateway, load(folder, same.body(), form)), there, form.warm)
            tick()
            pause = round(2 * 64 / most.heard.rate * 1000)
            wanted = load(folder, same.body(), form, pause=pause)
            settings = {each: Setting(NAMES[each].command, wanted) for each in ("gateway", "passing")}
            settings["upstream"] = Setting(straight, wanted, (LOAD_CORE,))
            found = await in_turns(settings, dict.fromkeys(settings, there), form, tick)
    words = {name: each.words for name, each in NAMES.items()} | {"upstream": "straight to the upstream"}
    return [row(each, words[each], found[each], "rate", "p50", "p99", "p999") for each in settings]


def straight(place: Place) -> Command:
    """An upstream of its own, asked without anything between."""
    return Command(nginx.upstream(place.folder, place.port, scene.amount(same.body())), place.port, environment())
