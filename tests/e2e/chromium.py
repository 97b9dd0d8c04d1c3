"""Pages in Chromium for the tests: the browser, a scripted run behind a real server, a proxy.

Server, HTTP, WebSocket, proxy and browser are real; the run is what a test says it is.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web
from playwright.async_api import Browser, ConsoleMessage, Dialog, Page, async_playwright, expect

from mesh.web.server import PageServer
from tests.patience import PATIENCE_S
from tests.scripted_run import ScriptedRun

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP mesh.example 127.0.0.1",
]
ColourScheme = Literal["light", "dark"]
Sockets = Literal["passed", "refused", "swallowed"]
"""What a proxy does with a WebSocket; one that is swallowed opens, and nobody hears or speaks."""
CHART_LIBRARY = "**/charts/*"
PREFIX = "/tools/mesh"
SOCKET_GIVEN_UP = "closed before the connection is established"
SOCKETS_GIVEN_UP_MAX = 2
"""On a busy machine a socket may take long to open: the page tries another."""
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length"}

expect.set_options(timeout=1000 * PATIENCE_S)


@dataclass
class Opened:
    """A page and everything it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    sockets_given_up: int = 0

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dialog)

    def _console(self, message: ConsoleMessage) -> None:
        is_kept_back = "/charts/" in message.location.get("url", "")
        if SOCKET_GIVEN_UP in message.text and self.sockets_given_up < SOCKETS_GIVEN_UP_MAX:
            self.sockets_given_up += 1
        elif message.type in ("error", "warning") and not is_kept_back:
            self.complaints.append(f"{message.text} {message.location}")

    async def _dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        await dialog.dismiss()


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """Chromium; where there is none the test is skipped, but not in CI."""
    if CHROMIUM is None:
        missing = "Chromium is not installed: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def serving(
    run: ScriptedRun, *, port: int = 0, public_url: str | None = None, token: str | None = None
) -> AsyncIterator[PageServer]:
    server = await PageServer.start(
        run, host="127.0.0.1", port=port, public_url=public_url, token=token, update_s=0.1
    )
    try:
        yield server
    finally:
        await server.close(run.metrics(with_history=False))


async def killed(server: PageServer) -> None:
    """As when the collector is killed: no last frame."""
    server._live.close()
    await server._runner.cleanup()


class StrippingProxy:
    """Passes on what comes below PREFIX, without it, as a web proxy in front of many tools does."""

    def __init__(self, *, sockets: Sockets) -> None:
        self.upstream_port = 0
        self._sockets = sockets
        self._client: ClientSession

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        app = web.Application()
        app.router.add_route("*", PREFIX + "{path:/.*}", self._pass_on)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ClientSession(auto_decompress=False) as self._client:
            yield runner.addresses[0][1]
            await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path.removeprefix(PREFIX)
        query = f"?{request.query_string}" if request.query_string else ""
        url = f"http://127.0.0.1:{self.upstream_port}{path}{query}"
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._pass_on_websocket(request, url)
        async with self._client.request(
            request.method, url, headers=headers, data=await request.read(), allow_redirects=False
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    async def _pass_on_websocket(self, request: web.Request, url: str) -> web.StreamResponse:
        if self._sockets == "refused":
            return web.Response(status=403)
        if self._sockets == "swallowed":
            await web.WebSocketResponse().prepare(request)
            await asyncio.get_running_loop().create_future()
        kept = {
            name: request.headers[name] for name in ("Origin", "Cookie") if name in request.headers
        }
        async with self._client.ws_connect(url, headers=kept) as upstream:
            downstream = web.WebSocketResponse()
            await downstream.prepare(request)
            async with asyncio.TaskGroup() as tasks:
                passing = tasks.create_task(_pass_down(upstream, downstream))
                async for _ in downstream:
                    pass
                passing.cancel()
        return downstream


async def _pass_down(upstream: ClientWebSocketResponse, downstream: web.WebSocketResponse) -> None:
    async for message in upstream:
        if message.type == WSMsgType.TEXT:
            await downstream.send_str(message.data)
    await downstream.close()


@asynccontextmanager
async def reachable(
    run: ScriptedRun,
    *,
    through_proxy: bool,
    sockets: Sockets = "passed",
    token: str | None = None,
) -> AsyncIterator[str]:
    """Serve `run`; the URL at which a browser finds it."""
    if not through_proxy:
        async with serving(run, token=token) as server:
            yield server.url
        return
    proxy = StrippingProxy(sockets=sockets)
    async with proxy.listening() as proxy_port:
        url = f"http://mesh.example:{proxy_port}{PREFIX}/"
        async with serving(run, public_url=url, token=token) as server:
            proxy.upstream_port = server.port
            yield server.url


async def opened(
    browser: Browser,
    url: str,
    *,
    width: int = 1280,
    height: int = 900,
    charts: bool = False,
    scheme: ColourScheme = "light",
) -> Opened:
    """A new page on `url`.

    Args:
        charts: let it have the chart library, which takes a second or two of processor time to
            read; a page that cannot have it shows everything else.
    """
    page = await browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.set_default_timeout(1000 * PATIENCE_S)
    result = Opened(page)
    if not charts:
        await page.route(CHART_LIBRARY, lambda route: route.abort())
    await page.goto(url)
    return result


async def look_at(page: Page, place: str) -> None:
    """Scroll to a part of the page: what is out of sight is not drawn."""
    await page.locator(place).scroll_into_view_if_needed()
