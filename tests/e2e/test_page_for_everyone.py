"""The page for everyone: any width, both colour schemes, keys, screen readers, any script, and
whatever a model may write."""

from __future__ import annotations

from importlib.resources import files

import pytest
from playwright.async_api import Browser, Page, expect

from mesh.core.normalize import clean_text
from tests.e2e.chromium import ColourScheme, killed, look_at, opened, reachable, serving
from tests.scripted_run import MODELS, ScriptedRun

pytestmark = pytest.mark.asyncio(loop_scope="module")

AXE = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
HOSTILE = (
    "<script>document.title = 'run'</script>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch" * 8,
    "\u202egnirts desrever\u202c \u2066isolated",
    "zero\u200bwidth\u200djoined\ufeffmark",
    "مقهى دو ماغو (Paris)",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033da\u0351\u036b\u0343\u036a\u0302\u036b\u033dlgo"
    * 20,
    "🏳️‍🌈👩‍👩‍👧‍👦" * 30,
    "x" * 10_000,
)
WIDTHS = (360, 700, 930, 1180, 1280, 1440, 1900, 2100, 2560)


@pytest.fixture
def run() -> ScriptedRun:
    run = ScriptedRun()
    run.find(["Louvre", "Eiffel Tower"])
    run.find(["Musée d'Orsay"], model=MODELS[1], facet="Museums and galleries")
    run.actions = ["pause", "stop", "set_model", "set_target", "add_producer", "remove_producer"]
    return run


async def width_beyond(page: Page) -> int:
    """How far the page is wider than the window, in px."""
    width: int = await page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("peer_count", [5, 50])
async def test_axe_finds_nothing_in_either_colour_scheme(
    browser: Browser, run: ScriptedRun, scheme: ColourScheme, peer_count: int
) -> None:
    run.peer_count = peer_count
    run.peer_changes = {"producer-2": {"state": "dead"}, "producer-3": {"behind": 12}}
    run.changes = {"notices": ["atlas: rate limited; waiting for it"]}
    run.mesh_changes = {"lost_entries": 2}
    async with reachable(run, through_proxy=False) as url:
        # As high as everything: what is out of sight is not drawn.
        page = (await opened(browser, url, height=4000, charts=True, scheme=scheme)).page
        await expect(page.locator("#chart-rate path.js-line")).to_have_count(2)
        await expect(page.locator("#peers tr")).to_have_count(peer_count + 1)
        await page.evaluate(AXE)
        assert await violations(page) == []
        await page.get_by_role("button", name="Target and budget…").click()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        await page.locator(".entry").first.click()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        run.end("target reached")
        await expect(page.locator("#ending")).to_be_visible()
        assert await violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_while_the_connection_is_lost(
    browser: Browser, run: ScriptedRun, scheme: ColourScheme
) -> None:
    async with serving(run) as server:
        page = (await opened(browser, server.url, scheme=scheme)).page
        await expect(page.locator("#connection")).to_have_text("Live")
        await killed(server)
        await expect(page.locator("#lost")).to_be_visible()
        await page.evaluate(AXE)
        assert await violations(page) == []


async def violations(page: Page) -> list[str]:
    found: list[str] = await page.evaluate(
        """async () => {
            const { violations } = await axe.run(document, { resultTypes: ["violations"] });
            return violations.flatMap(({ impact, id, nodes }) =>
                nodes.map((node) => `${impact} ${id}: ${node.target}`));
        }"""
    )
    return found


async def test_at_any_width_nothing_runs_out_of_the_page(browser: Browser) -> None:
    models = ("openai:gpt-4.1-nano", "anthropic:claude-haiku-4-5", "llama3.1@http://127.0.0.1/v1")
    run = ScriptedRun(models=models, topic="Sehenswürdigkeitenverzeichnis" * 4)
    run.peer_count = 8
    for model in models:
        run.find([f"{model} {number}" for number in range(1234)], model=model)
    run.changes = {"cost_usd": 1234.5, "budget_usd": 2000.0, "elapsed_s": 360_000.0}
    async with reachable(run, through_proxy=False) as url:
        # As high as all of it on a phone: what is out of sight is not drawn.
        page = (await opened(browser, url, width=WIDTHS[0], height=9000)).page
        await expect(page.locator("#models tr:not(.error)")).to_have_count(3)
        await expect(page.locator("#peers tr")).to_have_count(9)
        await expect(page.locator("#facets tr")).to_have_count(2)
        await expect(page.locator("#names tr")).to_have_count(2)
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 9000})
            assert (width, await width_beyond(page)) == (width, 0)
            assert (width, await cut_parts(page)) == (width, [])
            if width >= 1280:
                assert (width, await cut_tables(page)) == (width, [])


async def cut_parts(page: Page) -> list[str]:
    """What does not fit where it stands."""
    cut: list[str] = await page.evaluate(
        """() => [...document.querySelectorAll(".figure, h2, .tile, .buttons, .filters")]
            .filter((each) => each.scrollWidth > each.clientWidth + 1
                || each.getBoundingClientRect().right > innerWidth)
            .map((each) => each.id || each.className || each.textContent)"""
    )
    return cut


async def cut_tables(page: Page) -> list[str]:
    """Tables that must be scrolled sideways."""
    tables: list[str] = await page.evaluate(
        """() => [...document.querySelectorAll(".scroll")]
            .filter((table) => table.scrollWidth > table.clientWidth + 1)
            .map((each) => each.ariaLabel)"""
    )
    return tables


async def watch_shifts(page: Page) -> None:
    """Sum up from now on how much of the page moves how far, as Web Vitals do (layout shift)."""
    await page.evaluate(
        """() => {
            window.shift = 0;
            new PerformanceObserver((list) => {
                for (const each of list.getEntries()) window.shift += each.value;
            }).observe({ type: "layout-shift", buffered: false });
        }"""
    )


async def shift(page: Page) -> float:
    """A line of text that appears at the top of the page moves all of it: 0.02."""
    value: float = await page.evaluate(
        """() => new Promise((resolve) => {
            requestAnimationFrame(() => requestAnimationFrame(() => resolve(window.shift)));
        })"""
    )
    return value


async def test_nothing_jumps_while_numbers_grow(browser: Browser, run: ScriptedRun) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url, charts=True)).page
        await expect(page.locator("#chart-rate path.js-line")).to_have_count(2)
        await expect(page.locator("#facets-card")).to_be_visible()
        await watch_shifts(page)
        for size in (7, 90, 900, 9_000, 90_000):
            run.find([f"Attraction {size} {number}" for number in range(size)])
            total = f"{len(run.accepted):,}"
            await expect(page.locator("#unique-total")).to_have_text(total)
        await expect(page.locator(".entry .text").first).to_have_text("Attraction 90000 89999")
        assert await shift(page) < 0.01


async def test_nothing_jumps_when_the_connection_is_lost_and_found(
    browser: Browser, run: ScriptedRun, held_port: int
) -> None:
    async with serving(run, port=held_port) as server:
        page = (await opened(browser, server.url, charts=True)).page
        await expect(page.locator("#chart-rate path.js-line")).to_have_count(2)
        await expect(page.locator("#connection")).to_have_text("Live")
        await watch_shifts(page)
        await killed(server)
        await expect(page.locator("#lost")).to_be_in_viewport(ratio=1)
        assert await shift(page) < 0.01
    async with serving(run, port=held_port):
        await expect(page.locator("#lost")).to_be_hidden()
        assert await shift(page) < 0.01


async def test_hostile_entries_neither_run_nor_break_the_layout(
    browser: Browser, run: ScriptedRun
) -> None:
    # As they come to the collector, and as they would if it let anything through.
    cleaned = [text for each in HOSTILE if (text := clean_text(each))]
    run.find([*cleaned, *HOSTILE])
    for form in HOSTILE[:5]:
        run.merge(form, 1)
    async with reachable(run, through_proxy=False) as url:
        for width in (360, 1280):
            seen = await opened(browser, url, width=width)
            page = seen.page
            await look_at(page, "#entries-card")
            await expect(page.locator(".entry .text").first).to_have_text(HOSTILE[-1])
            assert await width_beyond(page) == 0
            uneven = await page.evaluate(
                """() => {
                    const { right } = document.querySelector("#entries").getBoundingClientRect();
                    const rows = [...document.querySelectorAll(".entry")];
                    const boxes = rows.map((entry) => entry.getBoundingClientRect());
                    const { height } = boxes[0];
                    const isOff = (row) => row.height !== height || row.right > right + 1;
                    return boxes.filter(isOff).length;
                }"""
            )
            assert uneven == 0
            await page.locator(".entry").first.click()
            box = await page.locator("#entry-dialog").bounding_box()
            assert box is not None
            assert box["width"] <= width
            await page.get_by_role("button", name="Close").click()
            assert "Topic Mesh" in await page.title()
            assert (seen.dialogs, seen.complaints) == ([], [])


async def test_right_to_left_entries_read_from_the_right(
    browser: Browser, run: ScriptedRun
) -> None:
    run.find(["متحف اللوفر"])
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        entry = page.locator(".entry .text").first
        await expect(entry).to_have_text("متحف اللوفر")
        assert await entry.evaluate("(text) => getComputedStyle(text).direction") == "rtl"
        other = page.locator(".entry .text").last
        assert await other.evaluate("(text) => getComputedStyle(text).direction") == "ltr"


async def test_everything_is_reached_and_done_by_keys(browser: Browser, run: ScriptedRun) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await expect(page.locator(".entry")).to_have_count(3)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the numbers")).to_be_focused()
        reached = set()
        for _ in range(60):
            await page.keyboard.press("Tab")
            reached.add(await page.evaluate("() => document.activeElement.id"))
        assert {"pause", "bounds", "stop", "search", "filter-model", "entries"} <= reached
        await page.locator("#pause").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#state")).to_have_text("Paused")
        outline = await page.locator("#pause").evaluate(
            "(button) => getComputedStyle(button).outlineStyle"
        )
        assert outline != "none"


async def test_a_screen_reader_hears_of_changes_and_not_of_every_number(
    browser: Browser, run: ScriptedRun
) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        told = page.locator("#announcement")
        await expect(told).to_have_text("Paris attractions, simulated, running. 3 unique entries.")
        await page.evaluate(
            """() => {
                window.tellings = 0;
                window.spoken = 0;
                const live = "[aria-live], [role=status], [role=alert], [role=log]";
                const all = { subtree: true, childList: true, characterData: true };
                const elementOf = (node) => node.nodeType === 1 ? node : node.parentElement;
                new MutationObserver((changes) => {
                    window.tellings += changes.length;
                    const spoken = changes.filter(({ target }) => elementOf(target)?.closest(live));
                    window.spoken += spoken.length;
                }).observe(document.body, all);
            }"""
        )
        for number in range(5):
            run.find([f"Attraction {number}"])
            await expect(page.locator("#unique-total")).to_have_text(str(4 + number))
        assert await page.evaluate("() => window.tellings") > 5
        assert await page.evaluate("() => window.spoken") == 0
        run.end("target reached")
        await expect(told).to_contain_text("stopped: target reached")


async def test_who_wants_no_motion_gets_none(browser: Browser, run: ScriptedRun) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = await browser.new_page(reduced_motion="reduce")
        await page.goto(url)
        await expect(page.locator(".entry")).to_have_count(3)
        run.find(["Panthéon"])
        await expect(page.locator(".entry")).to_have_count(4)
        assert await page.evaluate("() => document.getAnimations().length") == 0
