"""Whether contestants do the same: one invoice through each, compared with what the gateway sends and answers."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from msgspec import Struct

from tests.bench import nginx
from tests.bench.contestants import CONTESTANTS, Contestant
from tests.bench.machine import PROGRAM_CORE
from tests.bench.program import running
from tests.bench.scene import NAME, TOKEN, Place, amount, invoice, workplace
from tests.support.ports import free_port
from tests.support.running import Peer, ok, playing

COMPARED = ("external_id", "outcome", "adopted", "invoice", "upstream", "route")
"""The members of the result that every contestant has; left out are ids, times, losses and what they rest on."""
OWN = {"route": "config"}
"""What only the gateway says inside of them: the revision of its configuration."""
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}


class Done(Struct, frozen=True):
    """What was sent to the upstream, and what was answered."""

    line: str
    key: str
    sent: Any
    status: int
    answered: Any


async def done(contestant: Contestant, answer: str, body: bytes) -> Done:
    """One invoice through a contestant, before an upstream that writes down what it gets."""

    async def play(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.read(reader)
            writer.write(ok(answer.encode(), "200 OK", "Content-Type: application/json"))

    with workplace() as folder:
        async with playing(play) as upstream:
            place = Place(Path(folder), free_port(), f"127.0.0.1:{upstream.port}")
            async with running(contestant.command(place), PROGRAM_CORE, place.folder / "log") as program:
                url = f"{program.url}/v1/invoices"
                async with ClientSession() as session, session.post(url, data=body, headers=HEADERS) as told:
                    answered = exactly(await told.read())
                assert len(upstream.requests) == 1, f"{len(upstream.requests)} requests to the upstream"
                head, _, content = upstream.requests[0].partition(b"\r\n\r\n")
                return Done(_line(head), _key(head), exactly(content), told.status, answered)


def _line(head: bytes) -> str:
    return head.partition(b" HTTP/")[0].decode().replace("/katsupay/", "/")


def _key(head: bytes) -> str:
    """The header with the upstream's credentials."""
    lines = (line.partition(b":") for line in head.split(b"\r\n"))
    return next((value.strip().decode() for name, _, value in lines if name.lower() == b"x-api-key"), "")


def exactly(text: bytes) -> Any:
    """JSON with its numbers as decimals, so that 8.90 and 8.9 are the same and 8.900000001 is not."""
    return json.loads(text, parse_float=Decimal)


def differences(expected: Done, found: Done) -> list[str]:
    """What a contestant sent or answered otherwise than the gateway; empty where it did the same."""
    wrong = [name for name in ("line", "key", "sent", "status") if getattr(found, name) != getattr(expected, name)]
    for name in COMPARED:
        wanted, got = ({**_member(each, name)} for each in (expected, found))
        if wanted != got:
            wrong.append(f"{name}: {got} instead of {wanted}")
    return wrong


def _member(done: Done, name: str) -> dict[str, Any]:
    value = done.answered.get(name) if isinstance(done.answered, dict) else None
    return {
        key: each for key, each in (value if isinstance(value, dict) else {"": value}).items() if key != OWN.get(name)
    }


def canned() -> str:
    """The upstream's answer, with an id that does not change."""
    return nginx.ANSWER.format(amount=amount(body())).replace("$request_id", "2" * 32)


def body() -> bytes:
    """The canonical invoice."""
    return json.dumps(invoice()).encode()


async def wanted() -> Done:
    """What the gateway does with the invoice that is measured."""
    found = await done(CONTESTANTS[0], canned(), body())
    assert found.status == 201, found
    assert found.answered["external_id"] == NAME
    return found


async def unlike(contestant: Contestant, expected: Done) -> list[str]:
    """What a contestant does otherwise than the gateway; one that does not translate is not compared."""
    return differences(expected, await done(contestant, canned(), body())) if contestant.translates else []
