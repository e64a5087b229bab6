"""What can be tried before anything is served: a configuration (`check`), the simulated APIs, the demo."""

from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from gateway import demo as tour
from gateway.sandbox import server as sandbox_server
from gateway.shell import check as examination
from gateway.shell.commands import complain, run_until_ended, say, stop_asked
from gateway.shell.configuration import load
from gateway.shell.service import Service


class Ports(Struct, frozen=True):
    """Where the demo listens; 0 for any free port."""

    api: int
    ops: int
    sandbox: int


def check(path: Path, *, strict: bool = False, as_json: bool = False) -> int:
    """`check FILE`: exit 1 if there is a fault."""
    checked = examination.check(path, strict=strict)
    if as_json:
        say(examination.as_json(checked))
        return 0 if checked.good else 1
    for one in checked.findings:
        complain(one.text(path))
    if checked.good:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in checked.counts.items())
        say(f"{path}: good ({counts}, revision {checked.revision})")
        return 0
    faults = sum(one.severity == "fault" for one in checked.findings)
    complain(f"{faults} fault{'s' if faults > 1 else ''}")
    return 1


def sandbox(port: int) -> int:
    """`sandbox`."""

    async def run() -> None:
        stopped = stop_asked()
        runner, bound = await sandbox_server.start("127.0.0.1", port)
        say(sandbox_server.describe(f"http://127.0.0.1:{bound}"))
        try:
            await stopped
        finally:
            await sandbox_server.stop(runner)

    return run_until_ended(run)


def demo(ports: Ports, *, once: bool) -> int:
    """`demo`."""

    async def run() -> int:
        runner, bound = await sandbox_server.start("127.0.0.1", ports.sandbox)
        folder = TemporaryDirectory(prefix="invoice-gateway-")
        try:
            loaded = tour.configuration(load(tour.CONFIG), ports.api, ports.ops, bound, Path(folder.name))
            service = Service(loaded, tour.quiet_log())
            await service.start()
            try:
                good = await tour.run(service.url, service.ops_url, f"http://127.0.0.1:{bound}", say)
                if not once:
                    say("Everything stays up until you press Ctrl-C.")
                    await stop_asked()
            finally:
                await service.stop()
        finally:
            await sandbox_server.stop(runner)
            folder.cleanup()
        return 0 if good else 1

    return run_until_ended(run)
