"""Reloading: as a whole or not at all; what is under way ends by what it began with."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from gateway.core.breaker import Closed, Open
from gateway.core.errors import Unauthenticated
from gateway.core.events import Event, Reloaded
from gateway.shell import reload as reloading
from gateway.shell.configuration import Loaded, load
from gateway.shell.exchanges import Counterpart, Exchanges
from gateway.shell.journal.sqlite import SqliteStore
from gateway.shell.lanes import Width
from gateway.shell.metrics import Metrics
from gateway.shell.reload import Reloader, pending
from gateway.shell.service import Parts
from tests.support.engines import FIRST, NOT_SENT, POLICY, SECOND, Side, created, until, working
from tests.support.running import World, added, configured, invoice, replaced, running, timeout
from tests.support.stores import Clock

ELSEWHERE = replaced('to = "chargeover-us"', 'to = "katsupay-lagos"')
TYPO = replaced("[[routes]]", "[[rutes]]")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "LOOK_SECONDS", 0.02)


class Watched:
    """A configuration that is watched, what was taken over of it, and what was told."""

    def __init__(self, folder: Path, *edits: Callable[[str], str]) -> None:
        self.path = configured(folder, "http://127.0.0.1:1", *edits)
        self.adopted: list[Loaded] = []
        self.told: list[Event] = []
        self.fails: Exception | None = None
        self.reloader = Reloader(load(self.path), self.adopt, self.told.append)

    def adopt(self, loaded: Loaded) -> None:
        """Take it over, or not."""
        if self.fails is not None:
            raise self.fails
        self.adopted.append(loaded)

    def edit(self, *edits: Callable[[str], str]) -> None:
        """Write the file anew."""
        text = self.path.read_text()
        for edit in edits:
            text = edit(text)
        self.path.write_text(text)

    @property
    def said(self) -> list[str]:
        """The results that were told."""
        return [event.result for event in self.told if isinstance(event, Reloaded)]

    async def __aenter__(self) -> "Watched":
        self._task = asyncio.create_task(self.reloader.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def looks(count: int = 4) -> None:
    """Let it look so often."""
    await asyncio.sleep(reloading.LOOK_SECONDS * count)


# ------------------------------------------------------------------ when


async def test_a_changed_file_is_taken_over(tmp_path: Path) -> None:
    """Once, by itself; nothing is where nothing changed."""
    async with Watched(tmp_path) as watched:
        await looks()
        assert watched.told == []
        watched.edit(ELSEWHERE)
        await until(lambda: bool(watched.told))
        await looks()
        assert watched.said == ["applied"]
        assert watched.told == [Reloaded("applied", load(watched.path).revision)]


@pytest.mark.parametrize("name", ["customers.csv", "token"])
async def test_a_changed_file_that_it_refers_to_is_taken_over(name: str, tmp_path: Path) -> None:
    """A crosswalk or a secret, also where another file is put in its place, as Kubernetes does."""
    (tmp_path / "customers.csv").write_text("id,upstream_id\nacct-88,88\n")
    (tmp_path / "token").write_text("one")
    edits = (
        replaced('customers = { "acct-88" = 88, "acct-89" = 89 }', 'customers = { file = "customers.csv" }'),
        added('[clients.billing]\ntoken = { file = "token" }'),
    )
    async with Watched(tmp_path, *edits) as watched:
        before = (tmp_path / name).read_text()
        (tmp_path / "new").write_text(f"{before.strip()}9\n")
        (tmp_path / "new").replace(tmp_path / name)
        await until(lambda: watched.said == ["applied"])


async def test_a_file_that_it_refers_to_no_more_is_forgotten(tmp_path: Path) -> None:
    """It is taken over once, not at every look from then on; and a change of that file is none."""
    (tmp_path / "token").write_text("one")
    clients = '\n[clients.billing]\ntoken = { file = "token" }\n'
    async with Watched(tmp_path, added(clients)) as watched:
        watched.edit(replaced(clients, ""))
        await until(lambda: bool(watched.told))
        await looks()
        (tmp_path / "token").write_text("another")
        await looks()
        assert watched.said == ["applied"]


async def test_a_file_that_is_still_written_is_left_alone(tmp_path: Path) -> None:
    """Until it is the same for two looks: half of a configuration is not refused, it is not read."""
    async with Watched(tmp_path) as watched:
        text = watched.path.read_text()
        for end in range(0, len(text), len(text) // 40):
            watched.path.write_text(text[:end])
            await asyncio.sleep(reloading.LOOK_SECONDS / 2)
        watched.path.write_text(text + "\n")
        await until(lambda: bool(watched.told))
        assert watched.said[-1] == "applied"


async def test_who_asks_needs_no_change(tmp_path: Path) -> None:
    """SIGHUP reads it in any case."""
    async with Watched(tmp_path) as watched:
        watched.reloader.ask()
        await until(lambda: watched.said == ["applied"])


# ------------------------------------------------------------------ what is wrong


async def test_a_wrong_configuration_is_refused_once_and_the_last_good_one_stays(tmp_path: Path) -> None:
    """Every fault is told, by file and line; the next good one is taken over."""
    async with Watched(tmp_path) as watched:
        good = load(watched.path).revision
        text = watched.path.read_text()
        watched.edit(TYPO)
        await until(lambda: bool(watched.told))
        await looks()
        (refused,) = watched.told
        assert isinstance(refused, Reloaded)
        assert (refused.result, refused.revision) == ("refused", good)
        assert any("rutes" in fault for fault in refused.faults)
        assert watched.adopted == []
        watched.path.write_text(text)
        await until(lambda: watched.said == ["refused", "applied"])


async def test_a_file_that_is_gone_is_a_wrong_configuration(tmp_path: Path) -> None:
    """Until it is back."""
    async with Watched(tmp_path) as watched:
        text = watched.path.read_text()
        watched.path.unlink()
        await until(lambda: watched.said == ["refused"])
        watched.path.write_text(text)
        await until(lambda: watched.said == ["refused", "applied"])


async def test_a_file_that_was_missing_is_waited_for(tmp_path: Path) -> None:
    """A crosswalk or a secret that a changed configuration names, and that comes after it."""
    customers = replaced('customers = { "acct-88" = 88, "acct-89" = 89 }', 'customers = { file = "customers.csv" }')
    async with Watched(tmp_path) as watched:
        watched.edit(customers, added('[clients.billing]\ntoken = { file = "token" }'))
        await until(lambda: watched.said == ["refused"])
        (tmp_path / "customers.csv").write_text("id,upstream_id\nacct-88,88\n")
        await until(lambda: watched.said == ["refused", "refused"])
        (tmp_path / "token").write_text("one")
        await until(lambda: watched.said == ["refused", "refused", "applied"])


async def test_a_secret_that_vanishes_while_it_is_taken_over_is_refused(tmp_path: Path) -> None:
    """Between two reads of one file."""
    async with Watched(tmp_path) as watched:
        watched.fails = ValueError("token cannot be read")
        watched.reloader.ask()
        await until(lambda: watched.said == ["refused"])
        watched.fails = None
        watched.reloader.ask()
        await until(lambda: watched.said == ["refused", "applied"])


async def test_a_defect_does_not_end_the_watch(tmp_path: Path) -> None:
    """It is told where, and the next change is taken over."""
    async with Watched(tmp_path) as watched:
        watched.fails = KeyError("x")
        watched.reloader.ask()
        await until(lambda: len(watched.told) == 1)
        watched.fails = None
        watched.edit(ELSEWHERE)
        await until(lambda: watched.said == ["applied"])


def test_what_only_a_restart_takes_over_is_named(tmp_path: Path) -> None:
    """Listeners and the journal."""
    old = load(configured(tmp_path, "http://127.0.0.1:1")).config
    server = structs.replace(old.server, listen="127.0.0.1:1", ops_listen="127.0.0.1:2", max_body="2MiB")
    journal = structs.replace(old.journal, url="sqlite://other.db", keep_bodies="1d")
    assert pending(old, structs.replace(old, server=server, journal=journal)) == [
        "server.listen",
        "server.ops_listen",
        "journal.url",
    ]
    assert pending(old, old) == []


# ------------------------------------------------------------------ what is taken over


async def test_what_is_under_way_ends_by_what_it_began_with(tmp_path: Path) -> None:
    """Its upstream left the configuration while it was being sent: it is created there; the next goes elsewhere."""
    async with working(tmp_path) as works:
        before = works.engine.current()
        first = await works.held()
        rest = {name: each for name, each in before.book.upstreams.items() if name != FIRST}
        rules = tuple(
            structs.replace(rule, targets=((SECOND, 1),)) if rule.name == "default" else rule
            for rule in before.book.rules
        )
        changed = structs.replace(before.book, upstreams=rest, rules=rules, revision="sha256:new")
        works.engine.adopt(changed, {name: Counterpart(Side(), 10.0) for name in rest}, POLICY)
        works.side.open.set()
        answer = await first
        assert (answer.result.outcome, answer.result.upstream.name) == ("created", FIRST)
        assert answer.result.route.config == before.book.revision
        following = await works.submit(external_id="another")
        assert (following.result.upstream.name, following.result.route.config) == (SECOND, "sha256:new")


def test_what_is_known_of_an_upstreams_health_stays_where_nothing_of_it_changed() -> None:
    """An open breaker stays open, and who is under way counts; elsewhere, or wider, is another upstream."""
    sender: Any = None

    def ways(**changes: Any) -> dict[str, Counterpart]:
        made = Counterpart(sender, 10.0, Width(), "https://a")
        return {"a": structs.replace(made, **changes)}

    first = Exchanges(ways(), Clock(), print)
    first.lanes["a"].breaker = Open(1e9)
    same = Exchanges(ways(timeout=5.0), Clock(), print, before=first)
    assert same.lanes["a"] is first.lanes["a"]
    for changes in ({"where": "https://b"}, {"width": Width(1)}):
        other = Exchanges(ways(**changes), Clock(), print, before=first)
        assert other.lanes["a"].breaker == Closed()
    assert Exchanges({}, Clock(), print, before=first).lanes == {}


async def reloaded(world: World, *edits: Callable[[str], str]) -> dict[str, Any]:
    """The configuration file of a running gateway, edited and taken over or refused; the line that says so."""
    path = world.path
    before = sum(one["event"] == "reloaded" for one in world.logged())
    text = path.read_text()
    for edit in edits:
        text = edit(text)
    path.write_text(text)
    await until(lambda: sum(one["event"] == "reloaded" for one in world.logged()) > before)
    return [one for one in world.logged() if one["event"] == "reloaded"][-1]


async def test_a_running_gateway_takes_routes_clients_and_limits_over(tmp_path: Path) -> None:
    """Over real sockets; the revision in force is in results and metrics, and only that one."""
    async with running(tmp_path) as world:
        first = await world.send(invoice())
        line = await reloaded(world, ELSEWHERE, added('[clients.billing]\ntoken = "of-billing"'))
        assert (line["result"], line["level"]) == ("applied", "info")
        who = {"Authorization": "Bearer of-billing"}
        assert (await world.send(invoice(external_id="another"))).status == 401
        second = await world.send(invoice(external_id="another"), headers=who)
        assert second.json["upstream"]["name"] == "katsupay-lagos"
        revisions = [answer.json["route"]["config"] for answer in (first, second)]
        assert revisions[1] == line["revision"] != revisions[0]
        metrics = await world.metrics()
        assert f'invoice_gateway_config_info{{revision="{revisions[1]}"}} 1.0' in metrics
        assert revisions[0] not in metrics
        assert 'invoice_gateway_config_reloads_total{result="applied"} 1.0' in metrics
        small = await reloaded(world, replaced("[server]\n", '[server]\nmax_body = "100B"\n'))
        assert small["result"] == "applied"
        assert (await world.send(invoice(external_id="third"), headers=who)).status == 413


async def test_a_running_gateway_goes_on_with_the_last_good_one(tmp_path: Path) -> None:
    """A mistake is logged with every fault and counted; invoices are created as before."""
    async with running(tmp_path) as world:
        line = await reloaded(world, TYPO)
        assert (line["result"], line["level"]) == ("refused", "error")
        assert any("gateway.toml" in fault and "rutes" in fault for fault in line["faults"])
        assert (await world.send(invoice())).status == 201
        assert 'invoice_gateway_config_reloads_total{result="refused"} 1.0' in await world.metrics()


async def test_a_fault_does_not_tell_a_secret(tmp_path: Path) -> None:
    """Wherever a secret stands by mistake."""
    wrong = 'password = { fille = "canary-1" } , pasword = "canary-2"'
    async with running(tmp_path) as world:
        line = await reloaded(
            world,
            replaced('password = "sandbox-private"', wrong),
            added('[clients.x]\ntoken = ["canary-3", "canary-4", "canary-5"]\n[clients.y]\ntoken_sha256 = "canary-6"'),
        )
        assert line["result"] == "refused"
        assert len(line["faults"]) >= 4
        assert "canary" not in json.dumps(world.logged())


async def test_what_needs_a_restart_is_said(tmp_path: Path) -> None:
    """The rest is taken over."""
    async with running(tmp_path) as world:
        line = await reloaded(world, added('[journal]\nurl = "sqlite://other.db"'))
        assert (line["result"], line["restart"]) == ("applied", ["journal.url"])
        assert (await world.send(invoice())).status == 201


async def test_no_request_notices_a_reload(tmp_path: Path) -> None:
    """A hundred invoices while the configuration changes ten times: all are created, each by one revision."""
    async with running(tmp_path, timeout("10s")) as world:
        answers = []

        async def send(number: int) -> None:
            answers.append(await world.send(invoice(external_id=f"under-way-{number}")))

        tasks = []
        for number in range(10):
            tasks += [asyncio.create_task(send(number * 10 + each)) for each in range(10)]
            await reloaded(world, lambda text: f"{text}\n# once more\n")
        await asyncio.gather(*tasks)
        assert [answer.status for answer in answers] == [201] * 100
        assert len({answer.json["route"]["config"] for answer in answers}) > 1
        assert len(await world.stored("chargeover")) == 100


async def test_a_breaker_that_is_open_is_open_after_a_reload(tmp_path: Path) -> None:
    """A change of routes does not set a broken upstream free."""
    async with working(tmp_path, fallback=False, chargeover=Side(NOT_SENT, created("1"))) as works:
        lane = works.engine.current().exchanges.lanes[FIRST]
        lane.breaker = Open(1e12)
        setup = works.engine.current()
        ways = {name: Counterpart(works.side, 10.0, Width(32, 64)) for name in setup.book.upstreams}
        works.engine.adopt(setup.book, ways, POLICY)
        assert (await works.submit()).result.outcome == "not_sent"
        assert works.side.posts == 0


async def test_a_gateway_that_others_reach_is_never_left_without_clients(tmp_path: Path) -> None:
    """It listens where it began to, also where the changed configuration would listen on loopback."""
    clients = added('[clients.billing]\ntoken = "of-billing"')
    everywhere = replaced('\nlisten = "127.0.0.1:0"', '\nlisten = "0.0.0.0:0"')
    began, changed = tmp_path / "began", tmp_path / "changed"
    for folder in (began, changed):
        folder.mkdir()
    loaded = load(configured(began, "http://127.0.0.1:1", clients, everywhere))
    parts = Parts(loaded, SqliteStore(tmp_path / "journal.db"), Metrics(), lambda _: None, warn=lambda _: None)
    try:
        with pytest.raises(ValueError, match="anybody could send"):
            parts.adopt(load(configured(changed, "http://127.0.0.1:1")))
        with pytest.raises(Unauthenticated):
            parts.api.clients.caller(None)
        parts.adopt(load(configured(changed, "http://127.0.0.1:1", clients)))
        assert parts.loaded.revision != loaded.revision
    finally:
        await parts.close()
