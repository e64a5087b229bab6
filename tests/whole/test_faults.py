"""Every fault and every quirk that the sandbox has, at every upstream: what the caller hears is what really happened.

The oracle is the sandbox's own store: `created` only if the invoice is there, `rejected` and `not_sent` only if it is
not; for everything else there is `unknown`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from gateway.sandbox.faults import FAULTS
from gateway.sandbox.server import catalog
from tests.support.running import NAMES, Answer, World, added, invoice, running, timeout

pytestmark = pytest.mark.usefixtures("each_way")
DIALECTS = sorted(NAMES)
"""Those that the demo has an upstream for; another dialect joins with its upstream there."""
CREATION: dict[str, dict[str, str]] = {name: {"method": "POST"} for name in DIALECTS} | {
    "exsited": {"method": "POST", "path": "/invoices"}
}
"""What tells the request that creates an invoice from all others."""

SLOW = ("hang", "store-then-hang", "slow-drip")
"""Faults that only end by the gateway's own deadline."""


class Ending(Struct, frozen=True):
    """What the caller hears, and how many invoices the sandbox then holds."""

    status: int
    problem: str | None
    stored: int


CREATED = Ending(201, None, 1)
NOT_SENT = Ending(503, "upstream-unavailable", 0)
UNKNOWN = Ending(504, "outcome-unknown", 0)
STORED = Ending(504, "outcome-unknown", 1)

ENDINGS: dict[str, Ending] = {
    "delay": CREATED,
    "hang": UNKNOWN,
    "store-then-hang": STORED,
    "reset": UNKNOWN,
    "store-then-reset": STORED,
    "store-then-close": STORED,
    "status": UNKNOWN,
    "store-then-status": STORED,
    "html": UNKNOWN,
    "store-then-html": STORED,
    "rate-limit": CREATED,  # once: what is turned away unread is sent again
    "redirect": UNKNOWN,
    "redirect-307": UNKNOWN,
    "garbage": STORED,
    "truncated-json": STORED,
    "huge": STORED,
    "slow-drip": STORED,
    "empty": STORED,
    "wrong-types": STORED,
}
"""What each fault of the creating request comes to anywhere; source: reliability.md, "Which failure is what"."""

OWN_ENDINGS: dict[tuple[str, str], Ending] = {
    ("exsited", "redirect"): CREATED,  # its 302 means that the token ended: renewed once, then sent again
}


def outcome(answer: Answer) -> str:
    """The outcome that the caller is told."""
    return str(answer.json["outcome"])


async def check_truth(world: World, dialect: str, answer: Answer, external_id: str | None = None) -> None:
    """`created` means stored, once, and by that id; `rejected` and `not_sent` mean that nothing is stored."""
    stored = await world.stored(dialect)
    told = (answer.status, outcome(answer))
    assert told in ((201, "created"), (422, "rejected"), (503, "not_sent"), (504, "unknown")), answer.content
    assert len(stored) <= 1, "created twice"
    if answer.status == 201:
        assert answer.json["invoice"]["id"] in {stored[0]["id"], *_other_ids(stored[0])}
    elif answer.status in (422, 503):
        assert stored == []
    check_problem(answer, dialect, external_id)


def _other_ids(stored: dict[str, Any]) -> set[str]:
    """At myKaarma one knows an invoice by a guid and by a number."""
    return {str(stored.get("invoice", {}).get("id"))}


def check_problem(answer: Answer, dialect: str, external_id: str | None = None) -> None:
    """A problem has every member that contract 2 names, and the headers that go with it."""
    if answer.status == 201:
        return
    problem = answer.json
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert problem["status"] == answer.status
    assert problem["external_id"] == (external_id or invoice(dialect)["external_id"])
    assert problem["instance"] == answer.headers["X-Request-Id"]
    assert (problem["upstream"]["name"], problem["upstream"]["dialect"]) == (NAMES[dialect], dialect)
    assert {"http_status", "code", "message"} <= problem["upstream"].keys()
    assert problem["retryable"] is (answer.status in (503, 504))
    assert ("Retry-After" in answer.headers) is (answer.status in (503, 504))
    assert ("Location" in answer.headers) is (answer.status == 504)
    if answer.status == 504:
        assert answer.headers["Location"] == f"/v1/invoices/{problem['invoice']}"


def ended(answer: Answer, stored: list[dict[str, Any]]) -> Ending:
    """What came of it, to be compared."""
    problem = None if answer.status == 201 else answer.json["type"].removeprefix("/problems/")
    return Ending(answer.status, problem, len(stored))


async def deliver(folder: Path, dialect: str, fault: str, **more: Any) -> tuple[Answer, Ending, list[dict[str, Any]]]:
    """Send the demo's invoice while a fault is switched on; the answer, what came of it, and all requests."""
    wait = "400ms" if fault in SLOW else "2s"
    async with running(folder, timeout(wait)) as world:
        await world.arm(dialect, fault, **{"retry_after": 0, **more})
        answer = await world.send(invoice(dialect))
        await check_truth(world, dialect, answer)
        return answer, ended(answer, await world.stored(dialect)), await world.requests(dialect)


def test_every_fault_of_the_sandbox_has_an_expectation() -> None:
    """A new one must say here what it comes to."""
    assert set(ENDINGS) == set(FAULTS)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_a_fault_of_the_creating_request_ends_as_the_table_says(fault: str, dialect: str, tmp_path: Path) -> None:
    """Whatever the upstream is: the same fault, the same words to the caller."""
    seconds = 0.05 if fault == "delay" else 5
    _, ending, _ = await deliver(tmp_path, dialect, fault, seconds=seconds, **CREATION[dialect])
    assert ending == OWN_ENDINGS.get((dialect, fault), ENDINGS[fault])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_a_fault_at_every_request_is_never_taken_for_something_else(
    fault: str, dialect: str, tmp_path: Path
) -> None:
    """Tokens, creations, lookups and reading back all go wrong; the caller still hears nothing that is not so."""
    seconds = 0.02 if fault == "delay" else 5
    await deliver(tmp_path, dialect, fault, seconds=seconds, times=0)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_a_creation_that_may_have_been_read_is_sent_once(fault: str, dialect: str, tmp_path: Path) -> None:
    """No retry and no followed redirect; what was turned away unread is sent again, if need be with a new token."""
    seconds = 0.02 if fault == "delay" else 5
    _, _, requests = await deliver(tmp_path, dialect, fault, seconds=seconds, times=0, **CREATION[dialect])
    created = [one for one in requests if one["method"] == "POST" and "oauth2" not in one["path"]]
    assert len(created) == (3 if fault == "rate-limit" else 2 if (dialect, fault) == ("exsited", "redirect") else 1)
    assert not [one for one in requests if "login" in one["path"]]


@pytest.mark.parametrize("fault", ["redirect", "status"])
async def test_a_token_is_renewed_once_and_then_given_up(fault: str, tmp_path: Path) -> None:
    """A 302 or 401 to both requests is `not_sent`; two tokens were asked for, and the invoice was refused unread."""
    answer, ending, requests = await deliver(tmp_path, "exsited", fault, status=401, times=0, **CREATION["exsited"])
    assert ending == NOT_SENT
    assert answer.json["upstream"]["http_status"] == {"redirect": 302, "status": 401}[fault]
    assert [one["path"].split("/")[-1] for one in requests] == ["token", "invoices"] * 2


@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_without_a_token_nothing_is_sent(fault: str, tmp_path: Path) -> None:
    """However the token endpoint fails: certainly not sent, and no request for an invoice is ever made."""
    seconds = 0.02 if fault == "delay" else 5
    _, ending, requests = await deliver(tmp_path, "exsited", fault, seconds=seconds, times=0, path="/oauth2/token")
    assert ending == (CREATED if fault == "delay" else NOT_SENT)
    assert len([one for one in requests if one["path"].endswith("/invoices")]) == ending.stored


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_a_failure_to_read_back_does_not_undo_a_creation(fault: str, dialect: str, tmp_path: Path) -> None:
    """What an upstream said to have created is created, whatever comes of later questions about it."""
    seconds = 0.02 if fault == "delay" else 5
    _, ending, _ = await deliver(tmp_path, dialect, fault, seconds=seconds, times=0, method="GET")
    assert ending == CREATED


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"delay"}))
async def test_a_refusal_that_cannot_be_looked_up_is_unknown(fault: str, tmp_path: Path) -> None:
    """A number that exists is refused by onlyoffice; asked whether that is ours, it does not answer: nobody knows."""
    async with running(tmp_path, timeout("400ms" if fault in SLOW else "10s")) as world:
        assert (await world.send(invoice("onlyoffice"))).status == 201
        await world.arm("onlyoffice", fault, times=0, method="GET")
        answer = await world.send(invoice("onlyoffice", external_id="another"))
        assert (answer.status, outcome(answer)) == (504, "unknown")
        check_problem(answer, "onlyoffice", "another")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("retry_after", "stated"),
    [
        (7, "7"),
        ("0", "0"),
        ("999999999", "86400"),
        ("Thu, 01 Jan 1970 00:00:00 GMT", "0"),
        ("soon", "5"),
        ("-1", "5"),
        ("", "5"),
    ],
)
async def test_a_rate_limit_says_when_to_come_back(
    retry_after: int | str, stated: str, dialect: str, tmp_path: Path
) -> None:
    """The upstream's own `Retry-After` in seconds, no longer than a day; ours where it has none that can be read."""
    limit = {"retry_after": retry_after, "times": 0}
    answer, ending, _ = await deliver(tmp_path, dialect, "rate-limit", **limit, **CREATION[dialect])
    assert ending == NOT_SENT
    assert answer.headers["Retry-After"] == stated


def _statuses() -> Iterator[tuple[int, set[int]]]:
    """A status of a small JSON body that is no dialect's own, and what the caller may then hear."""
    unknown = {200, 201, 202, 203, 206, 226, 300, 301, 303, 305, 307, 308, 408, 500, 501, 502, 503, 504, 507, 520, 599}
    not_sent = {401, 402, 403, 429}
    judged = {400, 404, 405, 406, 409, 410, 412, 413, 414, 415, 417, 418, 422, 423, 424, 425, 426, 428, 431, 451, 499}
    for statuses, told in ((unknown, {504}), (not_sent, {503}), (judged, {422, 504})):
        yield from ((status, told) for status in sorted(statuses))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_status_means_the_same_at_every_upstream(dialect: str, tmp_path: Path) -> None:
    """5xx, 408, 3xx and a 2xx without an id are unknown; 401 to 403 and 429 not sent; the dialect judges others."""
    async with running(tmp_path, added("[breaker]\nmin_calls = 1000")) as world:  # it is not left alone for that
        for status, told in _statuses():
            await world.arm(dialect, "status", status=status, times=0, **CREATION[dialect])  # also after a renewal
            external_id = f"status-{status}"
            answer = await world.send(invoice(dialect, external_id=external_id))
            assert answer.status in told, (status, answer.content)
            await check_truth(world, dialect, answer, external_id)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_server_error_after_storing_is_unknown(dialect: str, tmp_path: Path) -> None:
    """Whichever of them it is, the invoice is there."""
    for status in (408, 500, 502, 503, 504, 520):
        (folder := tmp_path / str(status)).mkdir()
        async with running(folder) as world:
            await world.arm(dialect, "store-then-status", status=status, **CREATION[dialect])
            answer = await world.send(invoice(dialect))
            await check_truth(world, dialect, answer)
            assert ended(answer, await world.stored(dialect)) == STORED


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", [200, 201, 400, 404, 409, 422, 500, 502])
async def test_a_page_of_html_says_neither_yes_nor_no(status: int, dialect: str, tmp_path: Path) -> None:
    """Something else answered, such as a proxy: unknown, under any status that is not the credentials' own."""
    _, ending, _ = await deliver(tmp_path, dialect, "html", status=status, **CREATION[dialect])
    assert ending == UNKNOWN


QUIRKS: dict[tuple[str, str], Ending] = {
    ("mykaarma", "errors-in-200"): Ending(422, "rejected", 0),
    ("mykaarma", "errors-with-guid"): CREATED,
    ("mykaarma", "warning"): CREATED,
    ("mykaarma", "error-100005"): STORED,
    ("mykaarma", "singular-error"): Ending(422, "rejected", 0),
    ("mykaarma", "without-guid"): CREATED,
    ("mykaarma", "without-ids"): STORED,
    ("katsupay", "succeeded-false"): Ending(422, "rejected", 0),
    ("katsupay", "pascal-case-400"): Ending(422, "rejected", 0),
    ("katsupay", "camel-case-400"): Ending(422, "rejected", 0),
    ("katsupay", "flat-shape"): CREATED,
    ("katsupay", "without-id"): STORED,
    ("katsupay", "text-plain"): CREATED,
    ("katsupay", "amount-off-by-a-cent"): CREATED,
    ("katsupay", "tax-before-discount"): CREATED,
    ("katsupay", "echo"): STORED,
    ("exsited", "expired-302"): CREATED,
    ("exsited", "expired-401"): CREATED,
    ("exsited", "login-page"): UNKNOWN,
    ("exsited", "renumbers"): CREATED,
    ("exsited", "duplicate-409"): CREATED,
    ("exsited", "status-200"): CREATED,
    ("exsited", "object-error"): UNKNOWN,
    ("exsited", "errors-v4"): Ending(422, "rejected", 0),
    ("exsited", "errors-as-strings"): Ending(422, "rejected", 0),
    ("exsited", "errors-as-map"): Ending(422, "rejected", 0),
    ("exsited", "code-401-under-400"): NOT_SENT,
    ("exsited", "json-types-of-v4"): CREATED,
    ("onlyoffice", "bare-pascal-case"): CREATED,
    ("onlyoffice", "error-in-200"): Ending(422, "rejected", 0),
    ("onlyoffice", "stored-error-in-200"): CREATED,
    ("onlyoffice", "stored-then-400"): CREATED,
    ("onlyoffice", "half-written"): STORED,
    ("onlyoffice", "unauthorized-html"): NOT_SENT,
    ("chargeover", "error-in-201"): Ending(422, "rejected", 0),
    ("chargeover", "stored-error-in-200"): CREATED,
    ("chargeover", "without-details"): CREATED,
    ("chargeover", "details-as-list"): CREATED,
    ("chargeover", "true-in-errors"): CREATED,
    ("chargeover", "total-off-by-a-cent"): CREATED,
    ("chargeover", "list-answer-ids-as-text"): CREATED,
}
"""What each quirk of the creating request comes to; source: mappings.md, "created means" and "a 2xx that failed"."""

ALL_QUIRKS = sorted((name, quirk) for name in DIALECTS for quirk in catalog()[name].quirks)


def test_every_quirk_of_the_sandbox_has_an_expectation() -> None:
    """A new one must say here what it comes to."""
    assert set(QUIRKS) == set(ALL_QUIRKS)


@pytest.mark.parametrize(("dialect", "quirk"), ALL_QUIRKS)
async def test_a_quirk_of_the_creating_request_ends_as_the_table_says(dialect: str, quirk: str, tmp_path: Path) -> None:
    """Created only if it is stored, refused only if it is not, whatever the answer looks like."""
    _, ending, requests = await deliver(tmp_path, dialect, quirk, **CREATION[dialect])
    assert ending == QUIRKS[dialect, quirk]
    renewed = quirk.startswith("expired-")
    created = [one for one in requests if one["method"] == "POST" and "oauth2" not in one["path"]]
    assert len(created) == (2 if renewed else 1)


@pytest.mark.parametrize(("dialect", "quirk"), ALL_QUIRKS)
async def test_a_quirk_at_every_request_is_never_taken_for_something_else(
    dialect: str, quirk: str, tmp_path: Path
) -> None:
    """Also where lookups and reading back are odd too."""
    await deliver(tmp_path, dialect, quirk, times=0)


@pytest.mark.parametrize(
    ("dialect", "quirk"), [("chargeover", "total-off-by-a-cent"), ("katsupay", "amount-off-by-a-cent")]
)
async def test_a_total_that_is_off_by_a_cent_is_a_discrepancy(dialect: str, quirk: str, tmp_path: Path) -> None:
    """Created all the same, and the caller is told both figures."""
    answer, _, _ = await deliver(tmp_path, dialect, quirk, **CREATION[dialect])
    for pointer in ("/totals/tax_inclusive_total", "/totals/amount_due"):
        assert {"pointer": pointer, "expected": "492.00", "received": "492.01"} in answer.json["discrepancies"]


async def test_a_number_that_the_upstream_changed_is_a_discrepancy(tmp_path: Path) -> None:
    """The upstream may give its own; the caller is told both."""
    answer, _, _ = await deliver(tmp_path, "exsited", "renumbers", **CREATION["exsited"])
    number = answer.json["invoice"]["number"]
    assert number != "INV-2026-000417"
    wanted = {"pointer": "/number", "expected": "INV-2026-000417", "received": number}
    assert wanted in answer.json["discrepancies"]


@pytest.mark.parametrize(("quirk", "code"), [("warning", "150000"), ("errors-with-guid", "100006")])
async def test_what_an_upstream_minds_of_a_created_invoice_is_a_warning(quirk: str, code: str, tmp_path: Path) -> None:
    """Also errors, where there is an invoice beside them."""
    answer, _, _ = await deliver(tmp_path, "mykaarma", quirk, **CREATION["mykaarma"])
    assert [warning["code"] for warning in answer.json["warnings"]] == [code]


@pytest.mark.parametrize(("dialect", "quirk"), [one for one in ALL_QUIRKS if QUIRKS[one].problem == "rejected"])
async def test_a_refusal_is_told_in_the_upstreams_own_words(dialect: str, quirk: str, tmp_path: Path) -> None:
    """Its code and message in `upstream`, each of its faults in `errors`."""
    answer, _, _ = await deliver(tmp_path, dialect, quirk, **CREATION[dialect])
    problem = answer.json
    assert problem["upstream"]["code"]
    assert problem["upstream"]["message"]
    assert problem["errors"]
    assert all(one["code"] and one["detail"] and isinstance(one["pointer"], str) for one in problem["errors"])
