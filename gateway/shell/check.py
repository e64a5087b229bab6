"""`check`: every fault of a configuration, what its rules will do to somebody later, and its own tests of routes.

None of this but the faults of the file keeps a gateway from starting or from taking over a changed configuration: at
night a gateway that runs is better than one that is right about its tests.
"""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from gateway.core.carriage import carriage_findings
from gateway.core.coverage import layout, rule_findings, unused_upstreams
from gateway.core.finding import Finding, Severity, Witness
from gateway.core.money import encode_amount
from gateway.core.route_tests import tested
from gateway.shell.compose import book
from gateway.shell.configuration import ConfigurationError, Loaded, load
from gateway.shell.lines import Complaint, place_of

_NEVER = ("never-matches", "never-reached")


class Found(Struct, frozen=True):
    """A finding with its line, None where it is of the whole file."""

    severity: Severity
    code: str
    line: int | None
    place: str
    words: str
    rule: str | None = None
    witness: Witness | None = None

    def text(self, path: Path) -> str:
        """One line for a person, and a second one for its witness, as `fields` of a test would say it."""
        severity = "warning: " if self.severity == "warning" else ""
        words = f"{self.place}: {self.words}" if self.place else self.words
        told = f"{path}:{self.line}: {severity}{words}" if self.line else f"{path}: {severity}{words}"
        return told if self.witness is None else f"{told}\n    such as {_short(self.witness)}"


class Checked(Struct, frozen=True):
    """All that was found; `revision` is None for a file that cannot be used."""

    file: str
    good: bool
    revision: str | None
    counts: dict[str, int]
    findings: tuple[Found, ...]


def _short(witness: Witness) -> str:
    """What matters of the witness, on one line."""
    fields = witness.fields
    told: dict[str, Any] = {"client": witness.client, "currency": fields.currency, "amount": fields.amount}
    told |= msgspec.to_builtins(fields, enc_hook=encode_amount)
    return msgspec.json.encode(told, enc_hook=encode_amount).decode()


def check(path: Path, *, strict: bool = False) -> Checked:
    """What there is to say of the configuration; `strict`: what is only a warning is a fault as well."""
    try:
        loaded = load(path)
    except ConfigurationError as error:
        found = [_complained(one) for one in error.complaints]
        return Checked(str(path), False, None, {}, tuple(found))
    findings = [*(Found("warning", "configuration", None, "", words) for words in loaded.warnings), *_findings(loaded)]
    if strict:
        findings = [msgspec.structs.replace(one, severity="fault") for one in findings]
    findings.sort(key=lambda one: one.line or 0)
    counts = {"upstreams": len(loaded.upstreams), "rules": len(loaded.rules), "clients": len(loaded.config.clients)}
    if loaded.config.tests:
        counts |= {"tests": len(loaded.config.tests), "tested_rules": _tested(loaded, findings)}
    good = all(one.severity == "warning" for one in findings)
    return Checked(str(path), good, loaded.revision, counts, tuple(findings))


def _tested(loaded: Loaded, findings: list[Found]) -> int:
    """How many rules a test reaches; one that nothing reaches is not said to be untested as well."""
    return len(loaded.rules) - len({one.rule for one in findings if one.code in (*_NEVER, "untested")})


def _complained(one: Complaint) -> Found:
    return Found("fault", one.code, one.line, one.place, one.words)


def _findings(loaded: Loaded) -> list[Found]:
    path, config = loaded.files[0], loaded.config
    text = path.read_text(encoding="utf-8")
    document = tomllib.loads(text)
    made = book(loaded)
    plan = layout(config, made.extension_types)
    found = [*rule_findings(plan), *carriage_findings(plan, loaded.upstreams), *unused_upstreams(config)]
    never = {one.rule for one in found if one.code in _NEVER}
    bodies, unread = _bodies(loaded)
    told = [one for one in tested(config, bodies, made) if one.code != "untested" or one.rule not in never]
    return [_located(one, text, document) for one in (*found, *unread, *told)]


def _located(one: Finding, text: str, document: object) -> Found:
    line, place = place_of(text, one.place, document)
    return Found(one.severity, one.code, line, place, one.words, one.rule, one.witness)


def _bodies(loaded: Loaded) -> tuple[dict[int, bytes], list[Finding]]:
    """The invoice files of the tests, and those that cannot be read."""
    bodies: dict[int, bytes] = {}
    unread = []
    for index, test in enumerate(loaded.config.tests):
        if test.invoice is not None:
            try:
                bodies[index] = (loaded.folder / test.invoice.file).read_bytes()
            except OSError as error:
                words = f"{test.invoice.file} cannot be read: {error.strerror}"
                unread.append(Finding("fault", "file", f"/tests/{index}/invoice/file", words))
    return bodies, unread


def as_json(checked: Checked) -> str:
    """For programs, on one line."""
    return msgspec.json.encode(checked, enc_hook=encode_amount).decode()
