"""What `invoice-gateway journal` does: list, show and resolve what the journal holds."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.core.config import SecretRef
from gateway.core.errors import Problem
from gateway.shell import report
from gateway.shell.commands import complain, loaded_or_none, say
from gateway.shell.desk import Desk, Found, Refusal, open_desk
from gateway.shell.requests import verdict_of
from gateway.shell.secrets import resolve as secret


class Way(Struct, frozen=True):
    """How the journal is reached: by the configuration, or the API at `url` with the token in the variable."""

    config: Path
    url: str | None = None
    token_env: str | None = None


def show_list(way: Way, parameters: Mapping[str, str], *, as_json: bool) -> int:
    """`journal list`: a table, or one JSON line each."""

    async def act(desk: Desk) -> None:
        items, following = await desk.page(parameters)
        if as_json:
            for item in items:
                say(_line(item))
        elif not items:
            say("nothing")
        else:
            for line in report.records(items):
                say(line)
        if following is not None:
            complain(f"more: --cursor {following}")

    return _run(way, act)


def show_one(way: Way, entry_id: str, *, as_json: bool) -> int:
    """`journal show`."""

    async def act(desk: Desk) -> None:
        found = await desk.show(entry_id)
        say(_line(found) if as_json else report.record(found))

    return _run(way, act)


def resolve(way: Way, entry_id: str, said: Mapping[str, str | None], *, as_json: bool) -> int:
    """`journal resolve`."""
    try:
        verdict = verdict_of(msgspec.json.encode({name: value for name, value in said.items() if value is not None}))
    except Problem as problem:
        for fault in problem.faults:
            complain(f"--{fault.pointer.strip('/').replace('_', '-')}: {fault.detail}")
        return 2

    async def act(desk: Desk) -> None:
        found = await desk.resolve(entry_id, verdict)
        say(_line(found) if as_json else report.record(found))

    return _run(way, act)


def _line(found: Found) -> str:
    return msgspec.json.encode(found).decode()


def _run(way: Way, act: Callable[[Desk], Awaitable[None]]) -> int:
    loaded = loaded_or_none(way.config, with_secrets=False)
    if loaded is None:
        return 1
    try:
        token = None if way.token_env is None else secret(SecretRef(env=way.token_env), loaded.folder)
    except ValueError as error:
        complain(f"--token-env: {error}")
        return 2

    async def run() -> None:
        desk = await open_desk(loaded, way.url, token)
        try:
            await act(desk)
        finally:
            await desk.close()

    try:
        asyncio.run(run())
    except Refusal as refusal:
        complain(str(refusal))
        return 1
    return 0
