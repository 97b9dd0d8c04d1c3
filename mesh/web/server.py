"""Serves a run's page: opens the port, keeps pages up to date, and tells them the end.

It owns the listening socket and the task of live updates. The contract is routes.py's, the run
whoever's view it is given.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import Self

from aiohttp import web

from mesh.web.access import PageAccess
from mesh.web.connections import KEEP_ALIVE_S, LINGER_S, BoundedSite, Doorway, request_logger
from mesh.web.gate import TOKEN_PARAMETER, Gate
from mesh.web.guarded_view import GuardedView
from mesh.web.interface import JsonObject, RunView
from mesh.web.live_updates import UPDATE_S, LiveUpdates
from mesh.web.routes import Routes

logger = logging.getLogger(__name__)

CLOSE_S = 0.5
"""Time for requests in progress when the server ends; then they are cut."""
POLLED_LATELY_S = 3.0
LAST_POLL_S = 1.5
"""How long the end waits for a page without WebSocket to ask once more, if one did lately."""


class PageUnavailable(Exception):
    """The page cannot be served there; the message says what to do."""


class PageServer:
    """A run's page on one port."""

    def __init__(
        self,
        runner: web.AppRunner,
        routes: Routes,
        live: LiveUpdates,
        shown: GuardedView,
        port: int,
        url: str,
        url_elsewhere: str | None,
    ) -> None:
        self.port = port
        """The one it is bound to."""
        self.url = url
        """Where a person opens it; carries the token where there is one."""
        self.url_elsewhere = url_elsewhere
        """The same on another machine, where that is another one and known."""
        self._runner = runner
        self._routes = routes
        self._live = live
        self._shown = shown
        self._updating = asyncio.create_task(live.run(), name="page updates")
        self._updating.add_done_callback(self._updates_ended)

    @classmethod
    async def start(
        cls,
        view: RunView,
        *,
        host: str,
        port: int,
        public_url: str | None = None,
        host_elsewhere: str | None = None,
        token: str | None = None,
        update_s: float = UPDATE_S,
    ) -> Self:
        """Serve `view` on `host`:`port`; port 0 takes any free one.

        Args:
            public_url: the page's address where that is another one, behind a proxy.
            host_elsewhere: by what other machines find this one, where `host` does not say it.
            token: what every request must carry. Required where `host` is not loopback; on
                loopback usually None, also behind a proxy: the proxy is who lets people in.
            update_s: time between two live updates; shorter costs the run more.

        Raises:
            PageUnavailable: the port is taken, or cannot be opened.
        """
        access = PageAccess(host, public_url, token)
        gate, doorway = Gate(access), Doorway()
        shown = GuardedView(view, gate, doorway)
        live = LiveUpdates(shown, update_s=update_s)
        routes = Routes(shown, live, access, gate)
        runner = web.AppRunner(
            routes.application(doorway.middleware, gate.middleware),
            access_log=None,
            logger=request_logger,
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=LINGER_S,
            shutdown_timeout=CLOSE_S,
        )
        await runner.setup()
        try:
            await BoundedSite(runner, doorway, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise PageUnavailable(_explained(error, host, port)) from error
        bound_port: int = runner.addresses[0][1]
        url = _with_token(public_url or _url(host, bound_port), token)
        elsewhere = None
        if host_elsewhere is not None and public_url is None:
            elsewhere = _with_token(_url(host_elsewhere, bound_port), token)
        return cls(runner, routes, live, shown, bound_port, url, elsewhere)

    @property
    def client_count(self) -> int:
        """Pages that are told live."""
        return self._live.client_count

    async def close(self, final_metrics: JsonObject) -> None:
        """Tell every page how the run finished, then end; may be repeated.

        The view must show the end already. Takes at most about 4 s.
        """
        if self._updating.cancelling():
            return
        self._routes.metrics_asked.clear()
        self._updating.cancel()
        await asyncio.wait([self._updating])
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._live.finish(self._shown.counted(final_metrics)))
                tasks.create_task(self._last_poll())
        finally:
            await self._runner.cleanup()

    async def _last_poll(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._routes.metrics_asked_s > POLLED_LATELY_S:
            return
        try:
            async with asyncio.timeout(LAST_POLL_S):
                await self._routes.metrics_asked.wait()
        except TimeoutError:
            return

    def _updates_ended(self, updating: asyncio.Task[None]) -> None:
        """Without live updates pages poll: cut them loose rather than leave them stale."""
        if updating.cancelled():
            return
        logger.error("page updates ended", exc_info=updating.exception())
        self._live.close()


def _explained(error: OSError, host: str, port: int) -> str:
    advice = "choose another with --port, or --headless for no page"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: {advice}"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} is not allowed for this user: {advice}"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: correct --page-host"
    reason = error.strerror or str(error)
    return f"cannot open port {port} on {host}: {reason}; {advice}"


def _url(host: str, port: int) -> str:
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 names only
    shown = everywhere.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _with_token(url: str, token: str | None) -> str:
    return url if token is None else f"{url.rstrip('/')}/?{TOKEN_PARAMETER}={token}"
