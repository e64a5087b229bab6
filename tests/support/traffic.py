"""Traffic of every outcome through a gateway that runs, so that each of its metrics has something to tell."""

from tests.support.running import NAMES, Answer, Edit, World, added, invoice

TOKEN = {"Authorization": "Bearer t"}
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACED = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
CLIENTS: Edit = added('[clients.billing]\ntoken = "t"\n[clients.narrow]\ntoken = "n"\nupstreams = ["katsupay-lagos"]')

FAULTS: tuple[tuple[str, dict[str, int]], ...] = (
    ("rate-limit", {"times": 3}),
    ("garbage", {}),
)
"""Not sent, unknown."""


async def sent(world: World, dialect: str, name: str, **headers: str) -> Answer:
    """An invoice of its own name."""
    return await world.send(invoice(dialect, external_id=name, number=name), headers=TOKEN | headers)


async def every_outcome(world: World, name: str = "") -> None:
    """At every upstream one invoice that is created, traced; and one of each other outcome. `name` makes them new."""
    for dialect in NAMES:
        made = await sent(world, dialect, f"{name}{dialect}", **TRACED)
        assert made.status == 201, (dialect, made.content)
        for fault, more in FAULTS:
            path = "invoice" if dialect == "exsited" else None
            await world.arm(dialect, fault, method="POST", path=path, **more)
            answer = await sent(world, dialect, f"{name}{dialect}:{fault}")
            assert answer.status in (503, 504), (dialect, fault, answer.content)
    await world.arm("mykaarma", "errors-in-200", method="POST")
    assert (await sent(world, "mykaarma", f"{name}rejected")).json["outcome"] == "rejected"


async def everything_else(world: World) -> None:
    """A replay, a discrepancy, and requests that are turned away."""
    assert (await sent(world, "chargeover", "chargeover")).status == 200
    await world.arm("chargeover", "total-off-by-a-cent", method="POST")
    assert (await sent(world, "chargeover", "cent")).json["discrepancies"]
    assert (await world.send(invoice())).status == 401
    assert (await world.send(invoice(), headers={"Authorization": "Bearer wrong"})).status == 401
    assert (await world.send(invoice(), headers={"Authorization": "Bearer n"})).status == 403
    assert (await world.send({}, headers=TOKEN)).status == 422
