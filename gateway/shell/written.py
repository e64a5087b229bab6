"""An answer that leaves in one write: its head is a few lines that are known, and not built piece by piece."""

from typing import cast

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time

JSON = "application/json"


class Written(web.Response):
    """A whole answer to an HTTP/1.1 request; to another one it is a plain `web.Response`."""

    _asked: web.BaseRequest | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """See `StreamResponse`; nothing is written yet."""
        if request.version != HttpVersion11 or request.method == hdrs.METH_HEAD or self._asked is not None:
            return await super().prepare(request)
        self._asked = request
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        await request._prepare_hook(self)  # noqa: SLF001 - the application's signals, as in `StreamResponse`
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """See `StreamResponse`."""
        if self._asked is None:
            return await super().write_eof(data)
        await self._asked.writer.write(self._text())
        return None

    def _text(self) -> bytes:
        body = cast("bytes", self.body)  # it is given none other
        head = [f"HTTP/1.1 {self.status} {self.reason}\r\n"]
        head += [f"{name}: {value}\r\n" for name, value in self.headers.items()]
        if not self._keep_alive and hdrs.CONNECTION not in self.headers:
            head.append("Connection: close\r\n")
        head.append(f"Content-Length: {len(body)}\r\nDate: {rfc822_formatted_time()}\r\n\r\n")
        return "".join(head).encode() + body


def json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Written:
    """An answer in JSON."""
    return Written(status=status, body=body, headers=headers, content_type=JSON)
