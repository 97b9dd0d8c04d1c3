"""How many connections the page holds, and how long one may keep silent before it asks.

A page that strangers can reach must not use up the process's memory and descriptors: the run needs
them. So connections are counted at the door, before a byte of them is read, and one that has asked
nothing in time is cut. What is asked, and by whom, is gate.py's and routes.py's.
"""

from __future__ import annotations

import asyncio
import functools
import logging

from aiohttp import http_exceptions, web
from aiohttp.typedefs import Handler

CONNECTIONS_MAX = 256
"""A further one is closed unread. Each costs a descriptor and some 20 kB, 64 kB while it sends."""
FIRST_REQUEST_S = 10.0
"""Time for the first whole request; a connection without one is cut."""
KEEP_ALIVE_S = 75.0
"""An idle connection is kept for its next request; proxies do so for about a minute."""
LINGER_S = 1.0
"""Time for the rest of a body that nobody wants, so that its sender gets to read the answer."""

request_logger = logging.getLogger(__name__)


class Doorway:
    """Which connections of one page are open and have asked nothing yet."""

    def __init__(self, *, first_request_s: float = FIRST_REQUEST_S) -> None:
        self.turned_away_count = 0
        """Connections beyond CONNECTIONS_MAX."""
        self._first_request_s = first_request_s
        self._silent: set[web.RequestHandler] = set()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note that a whole request has come."""
        self._silent.discard(request.protocol)
        return await handler(request)

    def accept(self, server: web.Server) -> asyncio.Protocol:
        """Return who is to speak with a new connection."""
        if len(server.connections) >= CONNECTIONS_MAX:
            self.turned_away_count += 1
            return _Closed()
        handler = server()
        self._silent.add(handler)
        asyncio.get_running_loop().call_later(self._first_request_s, self._cut_if_silent, handler)
        return handler

    def _cut_if_silent(self, handler: web.RequestHandler) -> None:
        if handler in self._silent:
            self._silent.discard(handler)
            if handler.transport is not None:
                handler.transport.abort()


class BoundedSite(web.BaseSite):
    """A listening port of `runner`, behind `doorway`."""

    __slots__ = ("_doorway", "_host", "_port")

    def __init__(self, runner: web.AppRunner, doorway: Doorway, host: str, port: int) -> None:
        super().__init__(runner)
        self._doorway = doorway
        self._host = host
        self._port = port

    @property
    def name(self) -> str:
        return f"{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen; raises OSError when the port cannot be had."""
        await super().start()
        server = self._runner.server
        assert server is not None
        accept = functools.partial(self._doorway.accept, server)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(accept, self._host, self._port)


class _Closed(asyncio.Protocol):
    """A connection that is closed as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether aiohttp tells of a fault of ours rather than of a request that is no HTTP.

    Such a request would be written out whole, a token in it too, and as often as anyone likes.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, http_exceptions.HttpProcessingError)


request_logger.addFilter(_is_ours)
