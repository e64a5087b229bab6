"""The parts of the benchmark: what each measures, and how many measurements that takes."""

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from tests.bench import compared, resting, series, steps
from tests.bench.contestants import CONTESTANTS
from tests.bench.figures import Row
from tests.bench.rounds import Form, Tick

LONG, SHORT = "long", "short"
FORMS = {
    LONG: Form(
        name=LONG,
        seconds=10.0,
        warm=3.0,
        rounds=5,
        connections=(1, 8, 64, 512, 2048, 5000),
        lines=(1, 5, 20, 100, 1000),
        journal_rows=(10**3, 10**4, 10**5, 10**6, 10**7),
        idle=5000,
        starts=20,
    ),
    SHORT: Form(
        name=SHORT,
        seconds=2.0,
        warm=1.0,
        rounds=3,
        connections=(1, 64, 1000),
        lines=(1, 5, 100, 1000),
        journal_rows=(10**3, 10**4, 10**5),
        idle=1000,
        starts=5,
    ),
}


class Piece(Struct, frozen=True):
    """A part: its name, what it measures, how, and how often it ticks; `compared`: with the first row."""

    name: str
    words: str
    run: Callable[[Form, Tick, Sequence[str]], Awaitable[list[Row]]]
    count: Callable[[Form, Sequence[str]], int]
    compared: bool = False


def _always(run: Callable[[Form, Tick], Awaitable[list[Row]]]) -> Callable[..., Awaitable[list[Row]]]:
    """A part that has no contestants to choose from."""
    return lambda form, tick, _: run(form, tick)


def _a_round(each: Callable[[Form], int]) -> Callable[[Form, Sequence[str]], int]:
    return lambda form, _: each(form) * form.rounds


PARTS = (
    Piece(
        "peers",
        "the gateway and its alternatives, 64 connections",
        compared.peers,
        lambda form, only: len(only or CONTESTANTS) * form.rounds,
        compared=True,
    ),
    Piece("half", "latency at half of what it can do", _always(compared.half), lambda form, _: 3 * form.rounds + 1),
    Piece(
        "connections", "against connections", _always(series.connections), _a_round(lambda form: len(form.connections))
    ),
    Piece("lines", "against lines of the invoice", _always(series.lines), _a_round(lambda form: len(form.lines))),
    Piece(
        "rows",
        "against invoices in the journal",
        _always(series.journal_rows),
        _a_round(lambda form: len(form.journal_rows)),
    ),
    Piece("stores", "SQLite and PostgreSQL, one gateway and two", _always(series.stores), _a_round(lambda _: 3)),
    Piece("idle", "memory when nobody sends", _always(resting.idle), _a_round(lambda _: 1)),
    Piece("start", "time to start", _always(resting.start), lambda form, _: form.starts),
    Piece("steps", "each step of the core", _always(steps.steps), lambda _, __: 1),
)

ALONE = {
    "journal": "what the journal alone costs an invoice; kept nowhere",
    "hung": "what a hung upstream costs another one; kept nowhere",
}
"""Parts that print what they find."""
