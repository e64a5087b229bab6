"""Tracing: where spans are sent, what a collector in trouble does to a gateway, and that it costs nobody else."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from threading import enumerate as threads

import pytest
from msgspec import structs

from gateway.core.config import Tracing
from gateway.shell import logs
from gateway.shell.compose import tracer
from gateway.shell.configuration import ConfigurationError, load
from gateway.shell.reload import pending
from gateway.shell.spans import CLOSE_SECONDS, Told
from gateway.shell.tracer import UNTRACED
from tests.support.collector import batches, collecting, hanging, spans, to
from tests.support.running import UNUSED, added, configured, invoice, playing, running
from tests.support.stores import Clock

NOWHERE = "http://127.0.0.1:1"
EXPORT_SECONDS = 3
"""How long a collector in trouble is tried; longer than the end waits for it."""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What still tries when a test is over would disturb the next: it asks the one `random`, as generated tests do."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(EXPORT_SECONDS))
    before = set(threads())
    yield
    for thread in set(threads()) - before:
        thread.join(10.0)
        assert not thread.is_alive(), thread.name


def complaints(lines: list[dict[str, str]]) -> list[dict[str, str]]:
    """What the log has of OpenTelemetry's complaints."""
    return [line for line in lines if line["event"] == "tracing"]


async def test_spans_arrive_as_a_tree_with_the_ids_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At `/v1/traces` below the endpoint, with its headers, under the gateway's name; the last ones when it stops."""
    monkeypatch.setenv("COLLECTOR_TOKEN", "geheim")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    async with playing(collecting) as peer:
        more = ('service_name = "invoices"', 'headers = { X-Token = { env = "COLLECTOR_TOKEN" } }')
        async with running(tmp_path, to(f"{peer.url}/prefix/", *more)) as world:
            assert (await world.send(invoice("chargeover"))).status == 201
            requests = await world.requests("chargeover")
            logged = {line["trace_id"] for line in world.logged() if "request_id" in line}
    (found,) = batches(peer)
    (request,) = peer.requests
    assert request.startswith(b"POST /prefix/v1/traces HTTP/1.1\r\n")
    assert b"\r\nx-token: geheim\r\n" in request
    assert b"geheim" not in request.partition(b"\r\n\r\n")[2]
    resource = {each.key: each.value.string_value for each in found.resource.attributes}
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("invoices", "test")
    root, *others = sorted(spans(peer), key=lambda span: span.parent_span_id)
    assert (root.name, root.parent_span_id) == ("POST /v1/invoices", b"")
    assert sorted(span.name for span in others) == sorted(
        ("route", "translate", "journal claim", "POST", "GET", "journal record")
    )
    assert {span.parent_span_id for span in others} == {root.span_id}
    assert {span.trace_id.hex() for span in (root, *others)} == logged
    turns = {f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01" for span in others if span.name in ("POST", "GET")}
    assert {text for each in requests for name, text in each["headers"] if name.lower() == "traceparent"} == turns
    assert "Harbour" not in str(peer.requests)


@pytest.mark.parametrize("url", [None, f"http://{UNUSED}"])
async def test_a_collector_in_trouble_holds_nobody_up(
    url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs, or is not there: more spans come than the queue holds; invoices are created, the end waits 2 s."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    async with playing(hanging) as peer:
        async with running(tmp_path, to(url or peer.url)) as world:
            for number in range(8):
                answer = await world.send(invoice("chargeover", external_id=f"billing:{number}", number=None))
                assert answer.status == 201
            began = time.monotonic()
        assert time.monotonic() - began < CLOSE_SECONDS + 2.0
    assert len(complaints(world.logged())) == 1


def test_complaints_are_told_once_a_minute_and_in_constant_words() -> None:
    """What a collector says, or where it is, is not told."""
    log, clock = BytesIO(), Clock(1000.0)
    told, source = Told(logs.logger(log), clock), logging.getLogger("opentelemetry.exporter")
    told.listen()
    for _ in range(3):
        source.warning("Transient error %s encountered", "geheim")
    clock.seconds += 59.9
    source.error("Queue full")
    clock.seconds += 0.1
    source.error("Queue full")
    told.leave()
    text = log.getvalue().decode()
    assert text.count("\n") == 2
    assert '"complaint":"Transient error %s encountered"' in text
    assert '"complaint":"Queue full","times":4' in text
    assert "geheim" not in text


def test_nothing_of_it_is_imported_where_nobody_asks_for_it() -> None:
    """A gateway that took and delivered invoices has none of OpenTelemetry in it, nor of what that needs."""
    ports = '"--port", "0", "--ops-port", "0", "--sandbox-port", "0"'
    code = f"""
import sys
from gateway.__main__ import main
assert main(["demo", "--once", {ports}]) == 0
print([name for name in sys.modules if name.split(".")[0] in ("opentelemetry", "google", "requests", "urllib3")])
"""
    assert _python(code, Path.cwd()) == (0, "[]")


def test_without_the_extra_it_is_a_fault_to_ask_for_it(tmp_path: Path) -> None:
    """Of the place, with the name of what to install; nothing starts."""
    path = configured(tmp_path, NOWHERE, added("[tracing]"))
    for command in (["check", str(path)], ["serve", "--config", str(path)]):
        code = f"""
import sys
sys.modules["opentelemetry"] = None
from gateway.__main__ import main
sys.stderr = sys.stdout
sys.exit(main({command!r}))
"""
        status, text = _python(code, tmp_path)
        assert status == 1
        assert "tracing: needs OpenTelemetry, which is not installed: pip install 'invoice-gateway[otel]'" in text
        assert text.endswith("1 fault")


def _python(code: str, folder: Path) -> tuple[int, str]:
    """Its exit code, and the last part of what it printed."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)  # noqa: S603 - our own
    assert done.stderr == ""
    return done.returncode, done.stdout.strip().split("\n\n")[-1].strip()


def test_the_environment_may_switch_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As anywhere else: `OTEL_SDK_DISABLED`."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "True")
    assert tracer(load(configured(tmp_path, NOWHERE, added("[tracing]"))), logs.logger(BytesIO())) is UNTRACED


def test_headers_are_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing one is a fault, a plain one a warning, and the file of one is watched."""
    lines = '[tracing.headers]\nplain = "text"\nfile = { file = "token" }\nlost = { env = "NOT_THERE" }'
    path = configured(tmp_path, NOWHERE, added(lines))
    (tmp_path / "token").write_text("geheim")
    with pytest.raises(ConfigurationError, match=r"tracing\.headers\.lost: .*NOT_THERE is not set") as caught:
        load(path)
    assert len(caught.value.messages) == 1
    monkeypatch.setenv("NOT_THERE", "there")
    loaded = load(path)
    assert [each for each in loaded.warnings if "tracing" in each] == [
        "[tracing] headers.plain is a secret in plain text"
    ]
    assert tmp_path / "token" in loaded.files


def test_it_changes_with_a_restart(tmp_path: Path) -> None:
    """A reload says so."""
    old = load(configured(tmp_path, NOWHERE)).config
    assert pending(old, structs.replace(old, tracing=Tracing())) == ["tracing"]
