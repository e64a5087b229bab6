"""The sandbox over real sockets: requests find their API as they were sent, and the control API does what it says."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import pytest
from aiohttp import ClientSession, ClientTimeout, web
from yarl import URL

from gateway.core.exchange import Reply, Request
from gateway.sandbox.faults import FAULTS
from gateway.sandbox.server import catalog, describe, start, stop
from gateway.sandbox.simulation import Simulation as Kind
from gateway.sandbox.simulation import header, json_reply


class Tiny:
    """A simulation that stores whatever is posted and echoes what it saw."""

    name: ClassVar[str] = "tiny"
    quirks: ClassVar[Mapping[str, str]] = {"odd": "answers oddly"}

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def answer(self, request: Request, quirk: str | None = None) -> Reply:
        """201 for a POST, else 200, with the path and one header."""
        if request.method == "POST":
            self.bodies.append(request.body)
        seen = {"path": request.path, "x": header(request, "x-mark"), "quirk": quirk, "count": len(self.bodies)}
        return json_reply(201 if request.method == "POST" else 200, seen, x_tiny="yes")

    def stored(self) -> list[dict[str, Any]]:
        """One entry for each body."""
        return [{"id": str(index), "number": None, "total": "1.00"} for index, _ in enumerate(self.bodies)]


class Client:
    """A client of a running sandbox."""

    def __init__(self, session: ClientSession, port: int) -> None:
        self.session = session
        self.base = f"http://127.0.0.1:{port}"

    async def send(
        self, method: str, path: str, body: object = None, **more: Any
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, body and headers of an answer that was read completely; redirects are not followed unless told."""
        more = {"allow_redirects": False, "data": None if body is None else json.dumps(body), **more}
        async with self.session.request(method, URL(self.base + path, encoded=True), **more) as answer:
            return answer.status, await answer.read(), answer.headers

    async def arm(self, fault: str, name: str = "tiny", **more: Any) -> None:
        """Switches a fault on."""
        status, body, _ = await self.send("POST", f"/_sandbox/{name}/faults", {"fault": fault, **more})
        assert status == 200, body

    async def count(self, name: str = "tiny") -> int:
        """How many invoices are stored."""
        return len(json.loads((await self.send("GET", f"/_sandbox/{name}/invoices"))[1]))

    async def state(self, name: str = "tiny") -> Any:
        """The state of an API."""
        return json.loads((await self.send("GET", "/_sandbox"))[1])[name]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A sandbox with a tiny API and the real ones."""
    runner, port = await start("127.0.0.1", 0, {"tiny": Tiny(), **catalog()})
    async with ClientSession(timeout=ClientTimeout(total=10)) as session:
        yield Client(session, port)
    await stop(runner)


async def test_a_request_arrives_as_it_was_sent(client: Client) -> None:
    """Raw path and query, headers, body; and the reply's own status and headers go back."""
    status, body, headers = await client.send(
        "POST", "/tiny/a%2Fb%20c/%C3%A4?q=%26&r=1", {"a": 1}, headers={"X-Mark": "m"}
    )
    assert (status, headers["X-Tiny"], headers["Content-Type"]) == (201, "yes", "application/json")
    assert json.loads(body) == {"path": "/a%2Fb%20c/%C3%A4?q=%26&r=1", "x": "m", "quirk": None, "count": 1}


@pytest.mark.parametrize(
    ("path", "seen"), [("/tiny", ""), ("/tiny/", "/"), ("/tiny?x=1", "?x=1"), ("/tiny/tiny", "/tiny")]
)
async def test_the_prefix_alone_is_cut_off(client: Client, path: str, seen: str) -> None:
    """What follows the name is the path, whatever it is."""
    assert json.loads((await client.send("GET", path))[1])["path"] == seen


@pytest.mark.parametrize("path", ["/nobody/x", "/_sandbox/nobody/invoices", "/_sandbox/nobody/requests", "/_sandbox/x"])
async def test_an_unknown_name_is_not_found(client: Client, path: str) -> None:
    """The answer lists the names that exist."""
    status, body, _ = await client.send("GET", path)
    assert status == 404
    assert "tiny" in json.loads(body)["known"]


async def test_the_real_simulations_answer(client: Client) -> None:
    """One invoice at each of two APIs."""
    department = "d0000000-0000-4000-8000-000000000001"
    path = f"/mykaarma/payment/v4/departments/{department}/invoices"
    signed = {"Authorization": "Basic " + b64encode(b"sandbox:sandbox").decode(), "Content-Type": "application/json"}
    body = {"amount": 1.5, "customerUuid": "c0000000-0000-4000-8000-000000000088"}
    assert (await client.send("POST", path, body, headers=signed))[0] == 200
    assert (await client.send("POST", "/katsupay/api/v1/Invoice/Create", {}, headers=signed))[0] == 400
    assert (await client.count("mykaarma"), await client.count("katsupay")) == (1, 0)


def test_the_catalog_is_what_the_folder_holds() -> None:
    """Each simulation under its own name, and no quirk hides a fault."""
    found = catalog()
    assert {"mykaarma", "katsupay"} <= set(found)
    for name, simulation in found.items():
        assert name == simulation.name
        assert not simulation.quirks.keys() & FAULTS.keys()
    assert Kind not in map(type, found.values())


async def test_a_quirk_reaches_the_simulation(client: Client) -> None:
    """For as many requests as told."""
    await client.arm("odd", times=2)
    seen = [json.loads((await client.send("GET", "/tiny"))[1])["quirk"] for _ in range(3)]
    assert seen == ["odd", "odd", None]


async def test_a_fault_holds_until_it_is_cleared(client: Client) -> None:
    """`times` 0 never runs out; a new fault replaces the old one."""
    await client.arm("html", times=0)
    await client.arm("status", times=0)
    for _ in range(3):
        assert (await client.send("GET", "/tiny"))[0] == 503
    assert (await client.state())["fault"]["fault"] == "status"
    assert (await client.send("DELETE", "/_sandbox/tiny/faults"))[0] == 204
    assert (await client.send("GET", "/tiny"))[0] == 200
    assert (await client.state())["fault"] is None


async def test_a_fault_is_narrowed_to_a_method_and_a_path(client: Client) -> None:
    """Other requests pass and do not use it up."""
    await client.arm("status", method="POST", path="/create")
    assert (await client.send("GET", "/tiny/create"))[0] == 200
    assert (await client.send("POST", "/tiny/token"))[0] == 201
    assert (await client.state())["fault"]["times"] == 1
    assert (await client.send("POST", "/tiny/create?x=1"))[0] == 503
    assert (await client.send("POST", "/tiny/create?x=1"))[0] == 201


async def test_a_fault_at_one_api_leaves_the_others_alone(client: Client) -> None:
    """Each API has its own."""
    await client.arm("status", "katsupay")
    assert (await client.send("GET", "/tiny"))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        {"fault": "no-such"},
        {"fault": "warning"},
        {"fault": "status", "time": 1},
        {"fault": "status", "times": -1},
        {"fault": "status", "times": "1"},
        {"fault": "status", "status": 99},
        {"fault": "hang", "seconds": -1},
        {"times": 1},
        [],
    ],
)
async def test_a_wrong_fault_is_refused_with_the_known_ones(client: Client, body: object) -> None:
    """422; the quirks of another API are unknown too."""
    status, answer, _ = await client.send("POST", "/_sandbox/tiny/faults", body)
    assert status == 422
    assert set(json.loads(answer)["known"]) == {*FAULTS, "odd"}
    assert (await client.state())["fault"] is None


async def test_no_json_is_no_fault(client: Client) -> None:
    """Bytes that are not JSON, nor text."""
    for body in (b"", b"{", b'{"fault": "\xff"}'):
        assert (await client.send("POST", "/_sandbox/tiny/faults", data=body))[0] == 422


async def test_requests_are_remembered_without_credentials(client: Client) -> None:
    """The last hundred, with masked values where a name sounds secret."""
    headers = {"Authorization": "Basic geheim", "X-Api-Key": "geheim", "X-Mark": "m"}
    await client.send("POST", "/tiny/a?b=1", {"c": 1}, headers=headers)
    text = (await client.send("GET", "/_sandbox/tiny/requests"))[1]
    (request,) = json.loads(text)
    assert b"geheim" not in text
    assert (request["method"], request["path"], request["body"]) == ("POST", "/a?b=1", '{"c": 1}')
    assert {("Authorization", "***"), ("X-Api-Key", "***"), ("X-Mark", "m")} <= set(map(tuple, request["headers"]))
    for _ in range(100):
        await client.send("GET", "/tiny/later")
    assert {r["path"] for r in json.loads((await client.send("GET", "/_sandbox/tiny/requests"))[1])} == {"/later"}
    assert (await client.state())["requests"] == 101


async def test_everything_can_be_forgotten(client: Client) -> None:
    """Invoices, requests and faults are as at the start."""
    await client.send("POST", "/tiny", {})
    await client.arm("status")
    assert await client.state() == {
        "invoices": 1,
        "requests": 1,
        "fault": dict(fault="status", times=1, seconds=5, status=503, retry_after=7, method=None, path=None),  # noqa: C408 - shorter
    }
    assert (await client.send("DELETE", "/_sandbox"))[0] == 204
    assert await client.state() == {"invoices": 0, "requests": 0, "fault": None}


async def test_the_overview_tells_a_person_what_there_is(client: Client) -> None:
    """Every API, fault and quirk, and commands that work."""
    text = (await client.send("GET", "/"))[1].decode()
    for word in (*FAULTS, "odd", f"{client.base}/tiny", f"curl {client.base}/_sandbox"):
        assert word in text
    offered = describe()
    for name, simulation in catalog().items():
        assert all(word in offered for word in (name, *simulation.quirks))


async def test_a_taken_port_leaves_nothing_running(client: Client) -> None:
    """The second server says so."""
    with pytest.raises(OSError, match="address"):
        await start("127.0.0.1", int(client.base.rpartition(":")[2]))


async def test_a_stopped_server_gives_its_port_back() -> None:
    """The same port can be used again at once."""
    runner, port = await start("127.0.0.1", 0, {})
    assert isinstance(runner, web.AppRunner)
    await stop(runner)
    runner, again = await start("127.0.0.1", port, {})
    await stop(runner)
    assert again == port
