"""An HTTP client that sends whatever bytes it is told to, and reads what comes back as strictly as it can."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from msgspec import Struct

SECONDS = 20.0
"""After which nothing comes any more."""


class Hangs(Exception):  # noqa: N818 - it is what the other side does
    """No answer came, and the connection was not closed."""


class Answer(Struct, frozen=True):
    """An answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Line:
    """One connection to a server, made anew where it was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes, *, bodiless: bool = False) -> Answer | None:
        """Send a request and read its answer; None where the connection was closed instead.

        Raises:
            Hangs: neither came.
        """
        try:
            async with asyncio.timeout(SECONDS):
                return await self._ask(request, bodiless=bodiless)
        except TimeoutError:
            await self.close()
            raise Hangs(f"nothing within {SECONDS:g} s") from None
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.close()
            return None

    async def _ask(self, request: bytes, *, bodiless: bool) -> Answer:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(request)
        answer = await read(self._reader, bodiless=bodiless)
        if answer.headers.get("connection", "").lower() == "close":
            await self.close()
        return answer

    async def close(self) -> None:
        """Let go."""
        if self._writer is not None:
            self._writer.close()
            with suppress(ConnectionError):
                await self._writer.wait_closed()
        self._reader = self._writer = None


async def read(reader: asyncio.StreamReader, *, bodiless: bool = False) -> Answer:
    """One answer.

    Raises:
        asyncio.IncompleteReadError: the connection ended before it did.
        ValueError: it is no HTTP answer of known length.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    version, code, _ = first.split(" ", 2)
    if not version.startswith("HTTP/1."):
        raise ValueError(f"no HTTP answer: {first!r}")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(code)
    if status == 100:
        return await read(reader, bodiless=bodiless)
    if bodiless or status in (204, 304):
        return Answer(status, headers, b"")
    if headers.get("transfer-encoding") == "chunked":
        return Answer(status, headers, await _chunks(reader))
    return Answer(status, headers, await reader.readexactly(int(headers["content-length"])))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while size := int(await reader.readline(), 16):
        found += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
    return bytes(found)
