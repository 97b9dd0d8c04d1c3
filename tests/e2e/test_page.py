"""The page in Chromium, directly and behind a proxy that strips a prefix under another name: how
it keeps up, what it survives, and that what models write is text to it."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, Page, Route, WebSocket, expect

from mesh.web.token import new_token
from tests.e2e.chromium import killed, look_at, opened, reachable, serving
from tests.scripted_run import MODELS, ScriptedRun

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARKUP = "<img src=x onerror=alert(1)>"
NOTE_NUMBERS = """() => {
  const total = document.querySelector("#unique-total");
  const change = { childList: true, characterData: true, subtree: true };
  window.noted = [];
  new MutationObserver(() => { noted.push(total.textContent); }).observe(total, change);
}"""
both_ways = pytest.mark.parametrize("through_proxy", [False, True], ids=["directly", "by proxy"])


@pytest.fixture
def run() -> ScriptedRun:
    run = ScriptedRun()
    run.find(["Louvre", "Eiffel Tower"])
    run.find(["Musée d'Orsay"], model=MODELS[1])
    return run


@both_ways
async def test_numbers_move_and_charts_draw_and_nothing_is_complained_about(
    browser: Browser, run: ScriptedRun, through_proxy: bool
) -> None:
    async with reachable(run, through_proxy=through_proxy) as url:
        seen = await opened(browser, url, charts=True)
        page = seen.page
        await expect(page.locator("#topic")).to_have_text("Paris attractions")
        await expect(page.locator("#simulated")).to_be_visible()
        await expect(page.locator("#unique-total")).to_have_text("3")
        await expect(page.locator("#connection")).to_have_text("Live")
        run.find(["Panthéon", "Pont Neuf"], model=MODELS[1])
        await expect(page.locator("#unique-total")).to_have_text("5")
        await expect(page.locator("#unique-last-minute")).to_have_text("5")
        await expect(page.locator(".entry .text").first).to_have_text("Pont Neuf")
        await expect(page.locator("#forecast")).to_have_text(
            "target in about 40 s · budget in about 10 min"
        )
        await look_at(page, "#models-card")
        sonata = page.locator("#models tr", has_text="sonata").first
        await expect(sonata.locator("td").nth(1)).to_have_text("3")
        await expect(page.locator("#chart-total .scatterlayer path.js-line")).to_have_count(1)
        await expect(page.locator("#chart-rate .scatterlayer path.js-line")).to_have_count(2)
        await look_at(page, "#overview")
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
        await expect(page.locator("#connection")).to_have_text("Live")
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
async def test_whatever_looks_like_markup_is_shown_as_text(
    browser: Browser, run: ScriptedRun, through_proxy: bool
) -> None:
    run.find([MARKUP])
    run.merge(MARKUP, 4)
    run.add_facet(MARKUP)
    run.peer_changes = {"producer-1": {"state": MARKUP}}
    run.changes = {"notices": [MARKUP], "stop_reason": MARKUP, "topic": MARKUP}
    async with reachable(run, through_proxy=through_proxy) as url:
        seen = await opened(browser, url, charts=True)
        page = seen.page
        await expect(page.locator(".entry .text").first).to_have_text(MARKUP)
        await page.locator(".entry").first.click()
        await expect(page.locator("#entry-text")).to_have_text(MARKUP)
        await expect(page.locator("#entry-facts")).to_contain_text(f"Also known as{MARKUP}")
        await page.keyboard.press("Escape")
        run.find([MARKUP.upper()])
        await expect(page.locator(".entry .text").first).to_have_text(MARKUP.upper())
        for place in ("#notices li", "#reason", "#topic"):
            await expect(page.locator(place)).to_have_text(MARKUP)
        await expect(page.locator("#chart-rate .scatterlayer path.js-line")).to_have_count(2)
        await look_at(page, "#mesh-card")
        await expect(page.locator("#peers .peer-state").last).to_have_text(MARKUP)
        await look_at(page, "#facets-card")
        await expect(page.locator("#facets .facet-name", has_text=MARKUP)).to_have_count(1)
        await expect(page.locator("img")).to_have_count(0)
        assert (seen.dialogs, seen.complaints) == ([], [])


async def test_without_websocket_the_page_polls(browser: Browser, run: ScriptedRun) -> None:
    async with reachable(run, through_proxy=True, sockets="refused") as url:
        seen = await opened(browser, url)
        page = seen.page
        await expect(page.locator("#connection")).to_have_text("Live, polling")
        run.find([f"Attraction {number}" for number in range(300)])
        await expect(page.locator("#unique-total")).to_have_text("303")
        await expect(page.locator(".entry .text").first).to_have_text("Attraction 299")
        await look_at(page, "#mesh-card")
        await expect(page.locator("#peers tr")).to_have_count(2)
        run.end("target reached")
        await expect(page.locator("#ending-reason")).to_have_text("Target reached.")
        unexpected = [text for text in seen.complaints if "WebSocket connection" not in text]
        assert unexpected == []


async def test_a_socket_that_says_nothing_is_given_up_at_once(
    browser: Browser, run: ScriptedRun
) -> None:
    async with reachable(run, through_proxy=True, sockets="swallowed") as url:
        page = (await opened(browser, "about:blank")).page
        await page.clock.install()
        async with page.expect_websocket():
            await page.goto(url)
        await expect(page.locator("#unique-total")).to_have_text("3")
        await page.clock.run_for(6_000)
        await expect(page.locator("#connection")).to_have_text("Live, polling")
        run.find(["Panthéon"])
        await expect(page.locator("#unique-total")).to_have_text("4")


async def test_a_socket_that_speaks_is_kept_while_the_first_numbers_are_late(
    browser: Browser, run: ScriptedRun
) -> None:
    numbers_may_come = asyncio.Event()

    async def hold(route: Route) -> None:
        await numbers_may_come.wait()
        await route.continue_()

    async with serving(run) as server:
        page = (await opened(browser, "about:blank")).page
        await page.route("**/api/metrics*", hold)
        await page.clock.install(time=0)
        await page.clock.pause_at(1)
        sockets: list[WebSocket] = []
        page.on("websocket", lambda each: sockets.append(each))
        async with page.expect_websocket() as first:
            await page.goto(server.url)
        socket = await first.value
        for _ in range(8):
            await socket.wait_for_event("framereceived")
            await page.clock.run_for(1_000)
        numbers_may_come.set()
        await page.clock.resume()
        await expect(page.locator("#connection")).to_have_text("Live")
        await expect(page.locator("#unique-total")).to_have_text("3")
        assert sockets == [socket]


async def test_numbers_that_were_asked_for_before_a_socket_opened_do_not_replace_its_own(
    browser: Browser, run: ScriptedRun
) -> None:
    live, late_ones_given = asyncio.Event(), asyncio.Event()
    asked_count = 0

    async def hold_first(route: Route) -> None:
        nonlocal asked_count
        asked_count += 1
        is_first, answer = asked_count == 1, await route.fetch()
        if is_first:
            await live.wait()
        await route.fulfill(response=answer)
        if is_first:
            late_ones_given.set()

    async with serving(run) as server:
        page = (await opened(browser, "about:blank")).page
        await page.route("**/api/metrics*", hold_first)
        await page.goto(server.url)
        await expect(page.locator("#connection")).to_have_text("Live")
        run.find(["Panthéon"])
        await expect(page.locator("#unique-total")).to_have_text("4")
        await page.evaluate(NOTE_NUMBERS)
        live.set()
        await late_ones_given.wait()
        run.find(["Sainte-Chapelle"])
        await expect(page.locator("#unique-total")).to_have_text("5")
        assert await page.evaluate("noted") == ["5"]


async def test_a_page_that_lost_its_server_says_since_when_comes_back_and_catches_up(
    browser: Browser, run: ScriptedRun, held_port: int
) -> None:
    async with serving(run, port=held_port) as server:
        page = (await opened(browser, server.url)).page
        await expect(page.locator("#connection")).to_have_text("Live")
        await expect(page.locator(".entry")).to_have_count(3)
        await killed(server)
        await expect(page.locator("#connection")).to_have_text("Connection lost")
        lost = page.locator("#lost")
        told = await page.evaluate("() => document.querySelector('#lost').textContent")
        assert "No connection since" in told
        assert ":" in told.partition("since")[2]
        await expect(lost).to_contain_text("python run_mesh.py view runs/paris")
        await expect(page.locator("#pause")).to_be_disabled()
        await expect(page.locator("#unique-total")).to_have_text("3")
    run.find(f"Attraction {number}" for number in range(250))
    async with serving(run, port=held_port):
        await expect(page.locator("#connection")).to_have_text("Live")
        await expect(lost).to_be_hidden()
        await expect(page.locator("#unique-total")).to_have_text("253")
        run.find(["Panthéon"])
        await expect(page.locator(".entry .text").first).to_have_text("Panthéon")
        seen = await all_ordinals(page)
        assert seen == list(range(254, 0, -1))


async def test_a_page_that_slept_has_not_lost_its_server(
    browser: Browser, run: ScriptedRun
) -> None:
    async with serving(run) as server:
        page = (await opened(browser, "about:blank")).page
        await page.clock.install()
        await page.goto(server.url)
        await expect(page.locator("#connection")).to_have_text("Live")
        await page.evaluate(
            """() => {
                window.modes = [];
                new MutationObserver(() => window.modes.push(document.body.dataset.connection))
                    .observe(document.body, { attributeFilter: ["data-connection"] });
            }"""
        )
        for number in range(3):
            # Timers fire once each, as when a laptop is opened again.
            await page.clock.fast_forward("10:00")
            run.find([f"Attraction {number}"])
            await expect(page.locator("#unique-total")).to_have_text(str(4 + number))
        assert await page.evaluate("() => window.modes") == []


async def all_ordinals(page: Page) -> list[int]:
    """Every entry's number from the top of the list to its end, scrolling as a person would."""
    found: dict[int, None] = {}
    entries = page.locator("#entries")
    await entries.evaluate("(list) => { list.scrollTop = 0; }")
    while True:
        await expect(page.locator(".entry.loading")).to_have_count(0)
        rows = await page.locator(".entry .ordinal").all_text_contents()
        found.update(dict.fromkeys(int(row.replace(",", "")) for row in rows))
        at_end = await entries.evaluate(
            """(list) => new Promise((resolve) => {
                const before = list.scrollTop;
                list.scrollTop += list.clientHeight;
                const told = () => resolve(list.scrollTop === before);
                requestAnimationFrame(() => requestAnimationFrame(told));
            })"""
        )
        if at_end:
            return list(found)


async def test_at_the_end_the_page_keeps_its_results_and_says_how_to_go_on(
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
    await expect(page.locator("#report-command")).to_have_text(
        "python run_mesh.py report runs/paris"
    )
    await expect(page.locator("#connection")).to_have_text("Server ended, results kept")
    await expect(page.locator("#unique-total")).to_have_text("4")
    await expect(page.locator(".entry .text").first).to_have_text("Panthéon")
    await expect(page.locator("#controls")).to_be_hidden()


async def test_another_run_at_the_same_address_does_not_wipe_the_results(
    browser: Browser, run: ScriptedRun, held_port: int
) -> None:
    other = ScriptedRun(topic="Rivers of France", run_dir="runs/rivers")
    other.find(["Loire"])
    other.facet_rows = other.facet_rows[:1]
    other.state = "paused"
    async with serving(run, port=held_port) as server:
        page = (await opened(browser, server.url, height=4000)).page
        await expect(page.locator("#connection")).to_have_text("Live")
        await expect(page.locator("#facets .facet-name")).to_have_count(2)
        await killed(server)
    async with serving(other, port=held_port):
        await expect(page.locator("#other-run")).to_be_visible()
        await expect(page.locator("#connection")).to_have_text(
            "Results kept, another run is here now"
        )
        await expect(page.locator("#topic")).to_have_text("Paris attractions")
        await expect(page.locator("#state")).to_have_text("Running")
        await expect(page.locator("#unique-total")).to_have_text("3")
        await expect(page.locator(".entry")).to_have_count(3)
        await expect(page.locator("#facets .facet-name")).to_have_count(2)
        for button in ("#pause", "#stop"):
            await expect(page.locator(button)).to_be_disabled()
        assert await page.evaluate("() => fetch('api/metrics').then((each) => each.ok)")
        assert other.wishes == []
        await page.get_by_role("button", name="Show the new run").click()
        await expect(page.locator("#topic")).to_have_text("Rivers of France")
        await expect(page.locator(".entry .text")).to_have_text(["Loire"])


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


async def test_before_anything_is_found_the_page_says_so(browser: Browser) -> None:
    run = ScriptedRun()
    run.state = "starting"
    async with reachable(run, through_proxy=False) as url:
        seen = await opened(browser, url, charts=True)
        page = seen.page
        await expect(page.locator("#unique-total")).to_have_text("0")
        await expect(page.locator("#entries-empty")).to_contain_text("Nothing yet")
        await expect(page.locator("#chart-total .waiting")).to_have_count(0)
        run.find(["Louvre"])
        await expect(page.locator(".entry .text")).to_have_text(["Louvre"])
        await expect(page.locator("#entries-empty")).to_be_hidden()
        assert seen.complaints == []


@both_ways
async def test_a_page_with_a_token_opens_by_its_address_and_stays_open(
    browser: Browser, run: ScriptedRun, through_proxy: bool
) -> None:
    async with reachable(run, through_proxy=through_proxy, token=new_token()) as url:
        seen = await opened(browser, url, charts=True)
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
