"""A real Prometheus before real gateways, on a port that was free; and `promtool`, which comes with it."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import ClientSession, ClientTimeout
from msgspec import Struct

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
CONFIG = DEPLOY / "prometheus" / "prometheus.yaml"
RULES = DEPLOY / "prometheus" / "rules.yaml"
CASES = DEPLOY / "prometheus" / "rules_test.yaml"
SECONDS = 30.0
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def program(name: str) -> str:
    """Where `prometheus` or `promtool` is.

    Raises:
        AssertionError: it is not there; the tests need it, and are not left out.
    """
    places = f"{sys.prefix}/bin:{os.environ['PATH']}"
    found = shutil.which(name, path=places)
    assert found is not None, f"{name} is missing; `make .venv/.prometheus` brings it"
    return found


def promtool(*arguments: str, given: str = "") -> tuple[int, str]:
    """Run `promtool`; its exit code and everything that it says."""
    command = [program("promtool"), *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    return done.returncode, done.stdout + done.stderr


class Rule(Struct, frozen=True):
    """A rule of `rules.yaml`; a recording rule has no severity and no annotations."""

    name: str
    expr: str
    severity: str
    annotations: dict[str, str]


def rules() -> list[Rule]:
    """Every rule of `rules.yaml`."""
    return [
        Rule(each.get("alert") or each["record"], each["expr"], severity, each.get("annotations", {}))
        for group in yaml.safe_load(RULES.read_text())["groups"]
        for each in group["rules"]
        for severity in [each.get("labels", {}).get("severity", "")]
    ]


def alerts() -> list[Rule]:
    """The alerts among them."""
    return [each for each in rules() if each.annotations]


def shortened(text: str, times: int) -> str:
    """Rules in which all goes `times` as fast: ranges, `for`, and the one threshold that is an age. Nothing else.

    What names and words say of times (`…:ratio_rate5m`) stays.
    """

    def shorter(found: re.Match[str]) -> str:
        before, count, unit = found.groups()
        return f"{before}{int(count) * UNIT_SECONDS[unit] * 1000 // times}ms"

    def younger(found: re.Match[str]) -> str:
        return f"{found[1]}{int(found[2]) / times:g}"

    text = re.sub(r"(\[|\bfor: )(\d+)([smhd])\b", shorter, text)
    return re.sub(r"(_age_seconds:max > )(\d+)", younger, text)


def cases() -> Iterator[tuple[str, bool]]:
    """Every question of `rules_test.yaml`: an alert, and whether it has to fire there."""
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for asked in case["alert_rule_test"]:
            yield asked["alertname"], bool(asked["exp_alerts"])


class Prometheus:
    """A Prometheus that runs, asked through its HTTP API; `targets` is the file that says what it scrapes."""

    def __init__(self, url: str, session: ClientSession, targets: Path) -> None:
        self._url = url
        self._session = session
        self._targets = targets

    async def ready(self) -> None:
        """Wait until it answers queries."""
        deadline = asyncio.get_running_loop().time() + SECONDS
        while True:
            async with self._session.get(f"{self._url}/-/ready") as answer:
                if answer.status == 200:
                    return
            assert asyncio.get_running_loop().time() < deadline, "Prometheus does not get ready"
            await asyncio.sleep(0.05)

    def scrape(self, *targets: str) -> None:
        """Scrape these (`host:port`) and no others; it takes up to 10 s until it does."""
        _list(self._targets, targets)

    async def ask(self, path: str, **parameters: str) -> Any:
        """What the API answers to `/api/v1/PATH`; it must not be an error."""
        async with self._session.get(f"{self._url}/api/v1/{path}", params=parameters) as answer:
            said = await answer.json()
        assert said["status"] == "success", (said.get("error"), parameters)
        return said["data"]

    async def query(self, expr: str) -> list[dict[str, Any]]:
        """The samples that a query gives now."""
        found: list[dict[str, Any]] = (await self.ask("query", query=expr))["result"]
        return found

    async def by(self, label: str, expr: str) -> dict[str, float]:
        """The values that a query gives now, by a label of their samples."""
        return {each["metric"].get(label, ""): float(each["value"][1]) for each in await self.query(expr)}

    async def alerts(self, state: str) -> set[str]:
        """The alerts that are `firing`, or `pending`, as `/api/v1/alerts` says."""
        found = (await self.ask("alerts"))["alerts"]
        return {each["labels"]["alertname"] for each in found if each["state"] == state}

    async def until(self, expr: str, seconds: float = SECONDS) -> list[dict[str, Any]]:
        """The samples that a query gives, as soon as it gives any."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not (found := await self.query(expr)):
            assert asyncio.get_running_loop().time() < deadline, f"no samples within {seconds:g} s: {expr}"
            await asyncio.sleep(0.1)
        return found

    async def still(self, over: str, *targets: str) -> None:
        """Wait until it has seen, in several scrapes `over` so much time, that these have counted no more invoices."""
        these = f'{{instance=~"{"|".join(targets)}"}}[{over}]'
        counting = f"sum(changes(invoice_gateway_requests_total{these}))"
        await self.until(f"{counting} == 0 and min(sum_over_time(up{these})) >= 3")


def _list(file: Path, targets: tuple[str, ...]) -> None:
    """Write a file of targets, at once and whole."""
    written = file.with_suffix(".new")
    written.write_text(json.dumps([{"targets": targets}]))
    written.replace(file)


def _configure(folder: Path, every: str, times: int) -> Path:
    """The shipped configuration and rules as files in `folder`, which scrape what `targets.json` there says."""
    text = CONFIG.read_text().replace("15s", every).replace("rules.yaml", str(folder / "rules.yaml"))
    file = folder / "prometheus.yaml"
    found = '  file_sd_configs:\n      - files: ["targets.json"]'
    file.write_text(re.sub(r"  static_configs:\n.*", found, text))
    assert found in file.read_text()
    (folder / "rules.yaml").write_text(shortened(RULES.read_text(), times))
    return file


@asynccontextmanager
async def scraping(folder: Path, *targets: str, every: str = "1s", times: int = 1) -> AsyncIterator[Prometheus]:
    """A Prometheus with the shipped configuration that scrapes targets (`host:port`) and judges them `every` so often.

    It goes by the shipped rules, or by such in which all goes so many `times` as fast.
    """
    file = _configure(folder, every, times)
    _list(folder / "targets.json", targets)
    running = await asyncio.create_subprocess_exec(
        program("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--web.listen-address=127.0.0.1:0",
        "--enable-feature=exemplar-storage",
        stderr=PIPE,
    )
    drain = None
    try:
        url = f"http://{await asyncio.wait_for(_address(running), SECONDS)}"
        drain = asyncio.create_task(_drain(running))
        async with ClientSession(timeout=ClientTimeout(total=10)) as session:
            found = Prometheus(url, session, folder / "targets.json")
            await found.ready()
            yield found
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()
        if drain is not None:
            await drain


async def _address(running: Process) -> str:
    """Where it says that it listens."""
    said: list[str] = []
    assert running.stderr is not None
    async for line in running.stderr:
        said.append(line.decode())
        if found := re.search(r'"Listening on" address=(\S+)', said[-1]):
            return found[1]
    raise AssertionError("Prometheus ended:\n" + "".join(said))


async def _drain(running: Process) -> None:
    """Read what it says, so that it never waits for a reader."""
    assert running.stderr is not None
    async for _ in running.stderr:
        pass
