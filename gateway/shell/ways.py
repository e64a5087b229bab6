"""The ways to the upstreams of a configuration: connections and token holders, which outlive it, and senders."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from gateway.core import config as settings
from gateway.shell import auth, client, footing, pool
from gateway.shell.configuration import Loaded
from gateway.shell.exchanges import Counterpart
from gateway.shell.lanes import Width
from gateway.shell.tracer import Tracer


class Ways:
    """Makes senders; needs a running event loop.

    They go the fast way where it has its footing; where not, `warn` is told once why they go the plain one. `kept`
    keeps its connections, `single` has one for each request.
    """

    def __init__(self, warn: Callable[[str], object]) -> None:
        plain, single = client.Plain(), client.Plain(reuse=False)
        self.kept: client.Way = plain
        self.single: client.Way = single
        self._all: list[client.Way] = [plain, single]
        if (lost := footing.lost(asyncio.get_running_loop())) is not None:
            warn(lost)
        else:
            self.kept, self.single = pool.Pool(plain), pool.Pool(single, reuse=False)
            self._all += [self.kept, self.single]
        self._holders: dict[tuple[str, settings.OAuth], auth.TokenHolder] = {}

    def senders(self, loaded: Loaded) -> dict[str, client.Sender]:
        """A sender for each upstream.

        Raises:
            ValueError: a secret cannot be had.
        """
        found = {}
        for name, upstream in loaded.config.upstreams.items():
            dialect = loaded.upstreams[name].dialect
            way = self.single if dialect.closes_on else self.kept
            found[name] = client.Sender(upstream.base_url, dialect, self._credentials(upstream, loaded), way)
        return found

    def _credentials(self, upstream: settings.UpstreamConfig, loaded: Loaded) -> auth.Credentials:
        """An upstream's credentials; upstreams with one OAuth credential share its holder, also after a reload."""
        oauth = upstream.auth.oauth
        if oauth is None:
            return auth.fixed(upstream.auth, loaded.folder)
        auth.token_request(oauth, loaded.folder)  # its secrets have to be there
        key = (urlsplit(upstream.base_url).netloc, oauth)
        if key not in self._holders:
            request = partial(auth.token_request, oauth, loaded.folder)
            self._holders[key] = auth.TokenHolder(request, time.monotonic)
        return self._holders[key]

    async def close(self) -> None:
        """Close all connections."""
        for way in self._all:
            await way.close()


def counterparts(loaded: Loaded, senders: dict[str, client.Sender], tracer: Tracer) -> dict[str, Counterpart]:
    """The upstreams as exchanges need them."""
    found = {}
    for name, sender in senders.items():
        each = loaded.config.upstreams[name]
        width = Width(each.max_in_flight, each.queue, each.rate)
        seconds, secrets = settings.seconds(each.timeout), sender.credentials.secrets
        sends = tracer.turns(sender, sender.base_url)
        found[name] = Counterpart(sends, seconds, width, sender.base_url, secrets)
    return found
