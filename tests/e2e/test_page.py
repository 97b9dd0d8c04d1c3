"""The page in Chromium, directly and behind a proxy that strips a prefix under another name.

The run behind it is a scripted one; server, HTTP, WebSocket, proxy and browser are real.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web
from playwright.async_api import Browser, ConsoleMessage, Dialog, Page, async_playwright, expect

from mesh.web.server import PageServer
from mesh.web.token import new_token
from tests.scripted_run import MODELS, ScriptedRun

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
PREFIX = "/tools/mesh"
HOSTILE = "<img src=x onerror=alert(1)>"
PATIENCE_MS = 20_000
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length"}

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Opened:
    """A page and everything it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dialog)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} {message.location}")

    async def _dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        await dialog.dismiss()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
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


@pytest.fixture
def run() -> ScriptedRun:
    run = ScriptedRun()
    run.find(["Louvre", "Eiffel Tower"])
    run.find(["Musée d'Orsay"], model=MODELS[1])
    return run


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


class StrippingProxy:
    """Passes on what comes below PREFIX, without it, as a web proxy in front of many tools does."""

    def __init__(self, *, passes_websockets: bool) -> None:
        self.upstream_port = 0
        self._passes_websockets = passes_websockets
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
        if not self._passes_websockets:
            return web.Response(status=403)
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
    passes_websockets: bool = True,
    token: str | None = None,
) -> AsyncIterator[str]:
    """Serve `run`; the URL at which a browser finds it."""
    if not through_proxy:
        async with serving(run, token=token) as server:
            yield server.url
        return
    proxy = StrippingProxy(passes_websockets=passes_websockets)
    async with proxy.listening() as proxy_port:
        url = f"http://mesh.example:{proxy_port}{PREFIX}/"
        async with serving(run, public_url=url, token=token) as server:
            proxy.upstream_port = server.port
            yield server.url


async def opened(browser: Browser, url: str, *, width: int = 1280, height: int = 900) -> Opened:
    page = await browser.new_page(viewport={"width": width, "height": height})
    result = Opened(page)
    await page.goto(url)
    return result


both_ways = pytest.mark.parametrize("through_proxy", [False, True], ids=["directly", "by proxy"])


@both_ways
async def test_numbers_move_and_charts_draw_and_nothing_is_complained_about(
    browser: Browser, run: ScriptedRun, through_proxy: bool
) -> None:
    async with reachable(run, through_proxy=through_proxy) as url:
        seen = await opened(browser, url)
        page = seen.page
        await expect(page.locator("#topic")).to_have_text("Paris attractions")
        await expect(page.locator("#simulated")).to_be_visible()
        await expect(page.locator("#unique-total")).to_have_text("3")
        await expect(page.locator("#connection")).to_have_text("Live")
        run.find(["Panthéon", "Pont Neuf"], model=MODELS[1])
        await expect(page.locator("#unique-total")).to_have_text("5")
        await expect(page.locator("#unique-last-minute")).to_have_text("5")
        sonata = page.locator("#models tr", has_text="sonata")
        await expect(sonata.locator("td").nth(1)).to_have_text("3")
        await expect(page.locator("#chart-total .scatterlayer path.js-line")).to_have_count(1)
        await expect(page.locator("#chart-rate .scatterlayer path.js-line")).to_have_count(2)
        before = await page.locator("#chart-total path.js-line").get_attribute("d")
        run.find(["Sacré-Cœur"])
        await expect(page.locator("#chart-total path.js-line")).not_to_have_attribute(
            "d", before or ""
        )
        assert seen.complaints == []


async def test_the_browser_itself_refuses_to_read_text_as_markup_or_code(
    browser: Browser, run: ScriptedRun
) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await expect(page.locator("#chart-total path.js-line")).to_have_count(1)
        for attempt in (
            "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
            "document.body.innerHTML = '<b>x</b>'",
            "document.createElement('script').src = 'output.txt'",
            "document.createElement('script').text = '1'",
            "trustedTypes.createPolicy('another', {})",
        ):
            refused = f"() => {{ try {{ {attempt}; }} catch {{ return true; }} return false; }}"
            assert await page.evaluate(refused), attempt


@both_ways
async def test_an_entry_that_looks_like_markup_is_shown_as_text(
    browser: Browser, run: ScriptedRun, through_proxy: bool
) -> None:
    run.find([HOSTILE])
    run.changes = {"notices": [HOSTILE], "stop_reason": HOSTILE, "topic": HOSTILE}
    async with reachable(run, through_proxy=through_proxy) as url:
        seen = await opened(browser, url)
        page = seen.page
        await expect(page.locator("#entries li .text").first).to_have_text(HOSTILE)
        run.find([HOSTILE.upper()])
        await expect(page.locator("#entries li .text").first).to_have_text(HOSTILE.upper())
        for place in ("#notices li", "#reason", "#topic"):
            await expect(page.locator(place)).to_have_text(HOSTILE)
        await expect(page.locator("#chart-rate .scatterlayer path.js-line")).to_have_count(2)
        await expect(page.locator("img")).to_have_count(0)
        assert (seen.dialogs, seen.complaints) == ([], [])


@both_ways
async def test_the_run_is_paused_resumed_and_stopped_from_the_page(
    browser: Browser, run: ScriptedRun, through_proxy: bool
) -> None:
    async with reachable(run, through_proxy=through_proxy) as url:
        page = (await opened(browser, url)).page
        await page.get_by_role("button", name="Pause").click()
        await expect(page.locator("#state")).to_have_text("Paused")
        await page.get_by_role("button", name="Resume").click()
        await expect(page.locator("#state")).to_have_text("Running")
        await page.get_by_role("button", name="Stop…").click()
        await page.get_by_role("button", name="Keep running").click()
        await expect(page.locator("#stop-dialog")).to_be_hidden()
        assert [action for action, _ in run.wishes] == ["pause", "resume"]
        run.refusal = "not now"
        await page.get_by_role("button", name="Stop…").click()
        await page.get_by_role("button", name="Stop the run").click()
        await expect(page.locator("#toast")).to_have_text("Could not stop: not now")
        assert run.wishes[-1] == ("stop", {})


async def test_a_producer_is_given_another_model_from_the_page(
    browser: Browser, run: ScriptedRun
) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await page.get_by_label("Model of producer-1").select_option(MODELS[1])
        await expect(page.locator("#toast")).to_contain_text("producer-1 uses simulated:sonata")
        assert run.wishes == [("set_model", {"node": "producer-1", "model": MODELS[1]})]


async def test_without_websocket_the_page_polls(browser: Browser, run: ScriptedRun) -> None:
    async with reachable(run, through_proxy=True, passes_websockets=False) as url:
        seen = await opened(browser, url)
        page = seen.page
        await expect(page.locator("#connection")).to_have_text("Live, polling")
        run.find([f"Attraction {number}" for number in range(300)])
        await expect(page.locator("#unique-total")).to_have_text("303")
        await expect(page.locator("#entries li .text").first).to_have_text("Attraction 299")
        await expect(page.locator("#chart-total path.js-line")).to_have_count(1)
        run.end("target reached")
        await expect(page.locator("#ending-reason")).to_have_text("Target reached.")
        unexpected = [text for text in seen.complaints if "WebSocket connection" not in text]
        assert unexpected == []


async def test_after_a_restart_of_the_server_the_page_comes_back_and_catches_up(
    browser: Browser, run: ScriptedRun
) -> None:
    async with serving(run) as server:
        page = (await opened(browser, server.url)).page
        await expect(page.locator("#connection")).to_have_text("Live")
        await expect(page.locator("#entries li")).to_have_count(3)
        # As when the collector is killed: no last frame.
        server._live.close()
        await server._runner.cleanup()
        await expect(page.locator("#connection")).to_contain_text("Connection lost")
        await expect(page.locator("#pause")).to_be_disabled()
    run.find(f"Attraction {number}" for number in range(50))
    async with serving(run, port=server.port):
        await expect(page.locator("#connection")).to_have_text("Live")
        await expect(page.locator("#unique-total")).to_have_text("53")
        await expect(page.locator("#entries li")).to_have_count(53)
        run.find(["Panthéon"])
        await expect(page.locator("#entries li .text").first).to_have_text("Panthéon")
        ordinals = await page.locator("#entries .ordinal").all_text_contents()
        assert ordinals == [str(number) for number in range(54, 0, -1)]


async def test_at_the_end_the_page_keeps_its_results_and_says_how_to_reopen(
    browser: Browser, run: ScriptedRun
) -> None:
    async with serving(run) as server:
        page = (await opened(browser, server.url)).page
        await expect(page.locator("#connection")).to_have_text("Live")
        run.find(["Panthéon"])
        run.end("target reached: 4 entries")
    await expect(page.locator("#state")).to_have_text("Finished")
    await expect(page.locator("#ending-reason")).to_have_text("Target reached: 4 entries.")
    await expect(page.locator("#ending-summary")).to_contain_text("4 unique entries")
    await expect(page.locator("#reopen-command")).to_have_text("python run_mesh.py view runs/paris")
    await expect(page.locator("#connection")).to_have_text("Server ended, results kept")
    await expect(page.locator("#unique-total")).to_have_text("4")
    await expect(page.locator("#entries li .text").first).to_have_text("Panthéon")
    await expect(page.locator("#controls")).to_be_hidden()


async def test_another_run_at_the_same_address_does_not_wipe_the_results(
    browser: Browser, run: ScriptedRun
) -> None:
    other = ScriptedRun(topic="Rivers of France", run_dir="runs/rivers")
    other.find(["Loire"])
    async with serving(run) as server:
        page = (await opened(browser, server.url)).page
        await expect(page.locator("#connection")).to_have_text("Live")
        server._live.close()
        await server._runner.cleanup()
    async with serving(other, port=server.port):
        await expect(page.locator("#other-run")).to_be_visible()
        await expect(page.locator("#topic")).to_have_text("Paris attractions")
        await expect(page.locator("#entries li")).to_have_count(3)
        await page.get_by_role("button", name="Show the new run").click()
        await expect(page.locator("#topic")).to_have_text("Rivers of France")
        await expect(page.locator("#entries li .text")).to_have_text(["Loire"])


async def test_a_search_finds_among_all_entries_and_ends_where_it_began(
    browser: Browser, run: ScriptedRun
) -> None:
    run.find([f"Attraction {number}" for number in range(600)])
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await expect(page.locator("#entries li")).to_have_count(200)
        await page.get_by_label("Find among all entries").fill("musée")
        await expect(page.locator("#entries li .text")).to_have_text(["Musée d'Orsay"])
        await page.get_by_label("Find among all entries").fill("")
        await expect(page.locator("#entries li .text").first).to_have_text("Attraction 599")
        await expect(page.locator("#entries li")).to_have_count(200)


async def test_numbers_do_not_wait_for_the_chart_library(
    browser: Browser, run: ScriptedRun
) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = await browser.new_page()
        await page.route("**/charts/*", lambda route: route.abort())
        await page.goto(url)
        await expect(page.locator("#unique-total")).to_have_text("3")
        await expect(page.locator("#chart-total")).to_contain_text("could not be loaded")
        run.find(["Panthéon"])
        await expect(page.locator("#unique-total")).to_have_text("4")


async def test_on_a_phone_nothing_runs_out_of_the_page_s_width(
    browser: Browser, run: ScriptedRun
) -> None:
    run.find(["Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch" * 4])
    run.changes = {"topic": "Sehenswürdigkeitenverzeichnis" * 4, "unique_total": 123_456}
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url, width=360, height=740)).page
        await expect(page.locator("#chart-rate path.js-line")).to_have_count(2)
        for place in ("main", "#topic", "#unique-total", "#entries"):
            box = await page.locator(place).bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 360
        assert await page.evaluate("() => document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("width", [700, 930, 1140, 1260, 1440])
async def test_no_table_is_cut_at_any_width(browser: Browser, width: int) -> None:
    models = ("openai:gpt-4.1-nano", "anthropic:claude-haiku-4-5", "llama3.1@http://127.0.0.1/v1")
    run = ScriptedRun(models=models)
    for model in models:
        run.find([f"{model} {number}" for number in range(1234)], model=model)
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url, width=width)).page
        await expect(page.locator("#models tr")).to_have_count(3)
        await expect(page.locator("#peers tr")).to_have_count(2)
        await expect(page.locator("#facets tr")).to_have_count(2)
        await expect(page.locator("#names tr")).to_have_count(2)
        cut_px = await page.evaluate(
            "() => [...document.querySelectorAll('.scroll')]"
            ".map((table) => table.scrollWidth - table.clientWidth)"
        )
        assert cut_px == [0, 0, 0, 0]


async def test_names_that_are_one_or_may_be_are_listed_with_the_reason(
    browser: Browser, run: ScriptedRun
) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await expect(page.locator("#names-line")).to_have_text(
            "1 other form of entries · 1 in doubt · 0 judged different"
        )
        rows = page.locator("#names tr")
        await expect(rows.nth(0)).to_contain_text("Quai d'Orsay")
        await expect(rows.nth(0).locator("td").nth(0)).to_have_text("perhaps")
        await expect(rows.nth(1).locator("td").last).to_have_text("without museum")
        command = page.locator("#review-command")
        await expect(command).to_have_text("python run_mesh.py review runs/paris")


async def test_a_node_that_has_left_is_neither_ill_nor_behind(
    browser: Browser, run: ScriptedRun
) -> None:
    run.node_state = "left"
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        row = page.locator("#peers tr").last
        await expect(row.locator(".peer-state")).to_have_text("left")
        await expect(row.locator("td").last).to_have_text("–")
        await expect(row.locator(".dot")).to_have_attribute("data-health", "over")


async def test_trouble_in_the_mesh_is_told_once_there_is_any(
    browser: Browser, run: ScriptedRun
) -> None:
    run.dropped = {"repeated": 12}
    async with reachable(run, through_proxy=False) as url:
        seen = await opened(browser, url)
        health = seen.page.locator("#mesh-health")
        await expect(seen.page.locator("#peers tr")).to_have_count(2)
        await expect(health).to_be_hidden()
        run.mesh_changes = {"refused": {"unknown_key": 3, "handshake": 1}, "lost_entries": 2}
        run.dropped = {"repeated": 12, HOSTILE: 5}
        await expect(health.locator("li")).to_have_text(
            [
                "Lost: 2 entries nobody holds",
                "Refused connections: 3 unknown key, 1 failed handshake",
                f"Dropped by producer-1: 5 {HOSTILE}",
            ]
        )
        assert (seen.dialogs, seen.complaints) == ([], [])


@both_ways
async def test_a_page_with_a_token_opens_by_its_address_and_stays_open(
    browser: Browser, run: ScriptedRun, through_proxy: bool
) -> None:
    async with reachable(run, through_proxy=through_proxy, token=new_token()) as url:
        seen = await opened(browser, url)
        page = seen.page
        await expect(page.locator("#connection")).to_have_text("Live")
        assert page.url == url.partition("?")[0]
        await page.get_by_role("button", name="Pause").click()
        await expect(page.locator("#state")).to_have_text("Paused")
        await page.reload()
        await expect(page.locator("#unique-total")).to_have_text("3")
        await expect(page.locator("#chart-total .scatterlayer path.js-line")).to_have_count(1)
        assert await page.evaluate("() => document.cookie") == ""
        assert seen.complaints == []
        stranger = await (await browser.new_context()).new_page()
        answer = await stranger.goto(page.url)
        assert answer is not None
        assert answer.status == 401
        await expect(stranger.locator("h1")).to_have_text("Not open to everyone")


async def test_a_link_on_another_site_opens_a_page_with_a_token(
    browser: Browser, run: ScriptedRun
) -> None:
    """The browser keeps a strict cookie back from what another site has it open."""
    async with reachable(run, through_proxy=False, token=new_token()) as url:
        page = await browser.new_page()
        await page.set_content(f'<base href="http://elsewhere.example"><a href="{url}">Look</a>')
        await page.get_by_text("Look").click()
        await expect(page.locator("#unique-total")).to_have_text("3")
        assert page.url == url.partition("?")[0]
