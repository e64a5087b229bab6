"""Requests made from the published document, right ones and wrong ones, to a real gateway: it answers as it says.

Schemathesis makes the requests and compares the answers: status, headers, media type and body are documented, nothing
is a 5xx, what the schemas refuse is refused, so is a request without a token, an unknown method is 405 with `Allow`.
"""

import asyncio
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import schemathesis
from msgspec import Struct
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from tests.proof.row import Found, Tick
from tests.support.running import World, added, invoice, running

TOKEN = "the-token-of-the-operator"
CLIENT = added(f'[clients.operator]\ntoken_sha256 = "{sha256(TOKEN.encode()).hexdigest()}"\noperator = true')
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}
WAIT = 20.0
SHARE = 10
"""One example for each operation makes about so many requests."""
THOROUGH = 200
"""From so many examples on, every keyword of the invoice is varied, too."""
INVOICES = ("/v1/invoices", "/v1/invoices/explain")
ITSELF = "GET /openapi.json"
"""With it the run begins. Every other operation has to succeed at least once, or the run would say nothing."""


class Scenario(Struct, frozen=True):
    """What was tried at once: how many requests, which operations succeeded, what was wrong."""

    sent: int = 0
    fine: frozenset[str] = frozenset()
    wrong: tuple[str, ...] = ()


def configuration(examples: int, seed: int, ids: list[str]) -> SchemathesisConfig:
    """All checks on; so many examples for each operation, beside those that cover every keyword of its schemas.

    Every other time the id in a path is one of `ids`.
    """
    # To vary every keyword of the invoice takes thousands of requests, and is left to the long run.
    brief = [] if examples >= THOROUGH else INVOICES
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "continue-on-failure": True,
            "request-timeout": WAIT,
            # No unknown headers and parameters are made up: HTTP has it that they are ignored.
            "generation": {
                "max-examples": examples,
                "database": "none",
                "allow-extra-parameters": False,
            },
            "parameters": {"path.id": {"dictionary": "ids", "probability": 0.5}},
            "dictionaries": {"ids": {"values": ids}},
            "auth": {"openapi": {"token": {"bearer": TOKEN}}},
            "checks": {
                # What a schema cannot say is refused with 422 or, of a verdict, with 400: totals that do not follow
                # from the lines, dates out of order, a customer that no crosswalk knows.
                "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "404", "409", "422", "503", "504"]},
                # Whoever waits for a millisecond hears that nothing was sent, or that nobody knows.
                "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503", "504"]},
            },
            # One after the other, where one answer leads to the next request: slow, since each example is several.
            "phases": {"stateful": {"generation": {"max-examples": max(1, examples // 5)}}},
            "operations": [{"include-path": path, "phases": {"coverage": {"enabled": False}}} for path in brief],
        }
    )


def tried(url: str, examples: int, seed: int, ids: list[str]) -> Iterator[Scenario]:
    """Everything that is tried at this gateway, in this thread."""
    schema = schemathesis.openapi.from_url(
        f"{url}/openapi.json", config=configuration(examples, seed, ids), timeout=WAIT
    )
    labels = {f"{method.upper()} {path}" for path, methods in schema.raw_schema["paths"].items() for method in methods}
    fine = {ITSELF}
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished(recorder=recorder):
                scenario = _recorded(recorder)
                fine |= scenario.fine
                yield scenario
            case events.NonFatalError(info=info):
                yield Scenario(wrong=(str(info),))
            case events.FatalError(exception=exception):
                yield Scenario(wrong=(repr(exception),))
            case _:
                pass
    yield Scenario(wrong=tuple(f"{label} never succeeded" for label in sorted(labels - fine)))


def _recorded(recorder: ScenarioRecorder) -> Scenario:
    failures = [check.failure_info for checks in recorder.checks.values() for check in checks if check.failure_info]
    answers = ((case, each.response) for case, each in recorder.interactions.items() if each.response is not None)
    return Scenario(
        len(recorder.cases),
        frozenset(recorder.cases[case].value.operation.label for case, answer in answers if answer.status_code < 300),
        tuple(f"{recorder.label}: {each.failure}\n{each.code_sample}" for each in failures),
    )


async def run(count: int, seed: int, tick: Tick) -> Found:
    """About so many requests."""
    began = time.monotonic()
    with TemporaryDirectory(prefix="published-") as folder:
        async with running(Path(folder), CLIENT) as world:
            ids = await _known(world)
            scenarios = await asyncio.to_thread(_all, world.service.url, max(1, count // SHARE), seed, ids, tick)
    wrong = tuple(each for scenario in scenarios for each in scenario.wrong)
    return Found(sum(scenario.sent for scenario in scenarios), wrong, time.monotonic() - began)


async def _known(world: World) -> list[str]:
    """Ids of an invoice that was created, and of one in doubt."""
    created = await world.send(invoice(), headers=OPERATOR)
    await world.arm("mykaarma", "store-then-reset", method="POST")
    doubtful = await world.send(invoice("mykaarma"), headers=OPERATOR)
    return [created.json["id"], doubtful.json["invoice"]]


def _all(url: str, examples: int, seed: int, ids: list[str], tick: Tick) -> list[Scenario]:
    found = []
    for scenario in tried(url, examples, seed, ids):
        found.append(scenario)
        for _ in range(scenario.sent):
            tick()
    return found
