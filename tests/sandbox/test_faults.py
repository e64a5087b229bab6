"""What a client sees of each fault over a real socket, and whether the invoice was stored all the same."""

import asyncio
import json
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientSession, ClientTimeout

from gateway.core.exchange import Reply
from gateway.sandbox import faults
from gateway.sandbox.faults import ACTS, FAULTS
from gateway.sandbox.katsupay import Simulation
from gateway.sandbox.server import start, stop

CREATE = "/katsupay/api/v1/Invoice/Create"
FAULT = "/_sandbox/katsupay/faults"
INVOICE = {
    "counterPartyId": "c1000000-0000-4000-8000-000000000088",
    "receivingAccountId": "ac000000-0000-4000-8000-000000000001",
    "dueDate": "2026-07-30T00:00:00.000Z",
    "currency": 2,
    "products": [{"productId": "b0000000-0000-4000-8000-000000000001", "quantity": 2, "unitPrice": 50.25}],
}
SHORT = 0.2


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    """A client of a sandbox with one API."""
    runner, port = await start("127.0.0.1", 0, {"katsupay": Simulation()})
    async with ClientSession(f"http://127.0.0.1:{port}", timeout=ClientTimeout(total=10)) as session:
        yield session
    await stop(runner)


async def arm(client: ClientSession, fault: str, **more: Any) -> None:
    """Switches a fault on."""
    async with client.post(FAULT, json={"fault": fault, **more}) as answer:
        assert answer.status == 200, await answer.text()


async def create(client: ClientSession, **more: Any) -> Reply:
    """Sends an invoice and reads the answer; redirects are not followed unless told."""
    async with client.post(CREATE, json=INVOICE, **{"allow_redirects": False, **more}) as answer:
        return Reply(answer.status, await answer.read(), answer.headers)


async def count(client: ClientSession) -> int:
    """How many invoices are stored."""
    async with client.get("/_sandbox/katsupay/invoices") as answer:
        return len(await answer.json())


STORED = {
    "store-then-status": (503, b'{"message":"a fault of the sandbox"}'),
    "store-then-html": (200, b"<!DOCTYPE html>"),
    "garbage": (200, b'{"\xff\xfe\x00'),
    "truncated-json": (200, b'{"succeeded":true,'),
    "huge": (200, b"    "),
    "empty": (200, b""),
    "wrong-types": (200, b'{"succeeded":true,"message":null,"errors":null,"data":{"invoiceId":36,"amount":"100.50"}}'),
    "delay": (200, b'{"succeeded":true,'),
}
NOT_STORED = {
    "status": (503, b'{"message":"a fault of the sandbox"}'),
    "html": (503, b"<!DOCTYPE html>"),
    "rate-limit": (429, b""),
    "redirect": (302, b""),
    "redirect-307": (307, b""),
}
BROKEN = {
    "hang": (aiohttp.ServerDisconnectedError, 0),
    "store-then-hang": (aiohttp.ServerDisconnectedError, 1),
    "reset": (aiohttp.ClientOSError, 0),
    "store-then-reset": (aiohttp.ClientOSError, 1),
    "store-then-close": (aiohttp.ClientPayloadError, 1),
    "slow-drip": (aiohttp.ClientPayloadError, 1),
}


@pytest.mark.parametrize(("fault", "expected"), [*STORED.items(), *NOT_STORED.items()])
async def test_a_fault_with_an_answer(client: ClientSession, fault: str, expected: tuple[int, bytes]) -> None:
    """What the client reads, and that it happens once."""
    await arm(client, fault, seconds=SHORT)
    answer = await create(client)
    assert answer.status == expected[0]
    assert answer.body.startswith(expected[1])
    assert await count(client) == (fault in STORED)
    assert json.loads((await create(client)).body)["succeeded"]


@pytest.mark.parametrize(("fault", "expected"), BROKEN.items())
async def test_a_fault_without_a_whole_answer(
    client: ClientSession, fault: str, expected: tuple[type[Exception], int]
) -> None:
    """The connection breaks; only the stored invoice tells whether the request was processed."""
    await arm(client, fault, seconds=SHORT)
    with pytest.raises(expected[0]):
        await create(client)
    assert await count(client) == expected[1]


def test_every_fault_is_tested_and_described() -> None:
    """The tables above name them all; each description says whether the request was processed."""
    assert {*STORED, *NOT_STORED, *BROKEN} == set(ACTS) == set(FAULTS)
    processed = STORED.keys() | {name for name, (_, stored) in BROKEN.items() if stored}
    assert {name for name, words in FAULTS.items() if words.startswith("Processed")} == processed


@pytest.mark.parametrize("fault", ["truncated-json", "garbage", "empty", "wrong-types"])
async def test_a_spoilt_answer_is_not_json_of_its_kind(client: ClientSession, fault: str) -> None:
    """A complete HTTP answer without the invoice's id as text."""
    await arm(client, fault)
    text = (await create(client)).body
    try:
        identity = json.loads(text)["data"]["invoiceId"]
    except ValueError:
        identity = None
    assert not isinstance(identity, str)


async def test_a_reset_is_a_reset(client: ClientSession) -> None:
    """RST, not an orderly end."""
    await arm(client, "reset")
    async with client.get("/") as answer:
        port = answer.url.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /katsupay HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_hanging_upstream_hangs_as_long_as_told(client: ClientSession) -> None:
    """The client waits for `seconds`."""
    await arm(client, "hang", seconds=SHORT)
    begin = monotonic()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await create(client)
    assert SHORT <= monotonic() - begin < 5


async def test_a_delayed_request_is_processed_although_the_client_has_gone(client: ClientSession) -> None:
    """The doubt that a timeout leaves."""
    await arm(client, "delay", seconds=SHORT)
    with pytest.raises(TimeoutError):
        await create(client, timeout=ClientTimeout(total=SHORT / 4))
    assert await count(client) == 0
    await asyncio.sleep(SHORT)
    assert await count(client) == 1


async def test_a_slow_answer_may_arrive(client: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte by byte, if that is fast enough."""
    monkeypatch.setattr(faults, "DRIP", 0)
    await arm(client, "slow-drip")
    assert json.loads((await create(client)).body)["succeeded"]


async def test_huge_is_huge(client: ClientSession) -> None:
    """64 MiB before the answer, and an end to it when the client has enough."""
    await arm(client, "huge", times=2)
    whole = (await create(client)).body
    assert len(whole) > 64 * 2**20
    assert json.loads(whole)["succeeded"]
    async with client.post(CREATE, json=INVOICE) as answer:
        await answer.content.readexactly(10)
        answer.close()
    assert await count(client) == 2


async def test_a_redirect_that_is_followed_sends_again(client: ClientSession) -> None:
    """307 leads to the same address, 302 to a login page."""
    await arm(client, "redirect")
    assert (await create(client)).headers["Location"] == "/katsupay/login"
    await arm(client, "redirect-307")
    assert (await create(client, allow_redirects=True)).status == 200
    assert await count(client) == 1


async def test_status_and_retry_after_are_as_told(client: ClientSession) -> None:
    """The numbers of the control API arrive."""
    for fault in ("status", "html", "store-then-status"):
        await arm(client, fault, status=418)
        assert (await create(client)).status == 418
    for wait in (3, "Wed, 21 Oct 2026 07:28:00 GMT"):
        await arm(client, "rate-limit", retry_after=wait)
        assert (await create(client)).headers["Retry-After"] == str(wait)


@pytest.mark.parametrize("fault", ["hang", "delay", "store-then-hang", "slow-drip"])
async def test_stopping_is_prompt(fault: str) -> None:
    """What hangs is cut off within a second."""
    runner, port = await start("127.0.0.1", 0, {"katsupay": Simulation()})
    async with ClientSession(f"http://127.0.0.1:{port}") as client:
        await arm(client, fault, seconds=60)
        waiting = asyncio.create_task(create(client))
        await asyncio.sleep(SHORT / 4)
        assert not waiting.done()
        begin = monotonic()
        await stop(runner)
        assert monotonic() - begin < 1
        with pytest.raises(aiohttp.ClientError):
            await waiting
