"""What each part of the page shows: entries, models, mesh, facets, names."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.chromium import look_at, opened, reachable
from tests.scripted_run import MODELS, ScriptedRun

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def run() -> ScriptedRun:
    run = ScriptedRun()
    run.find(["Louvre", "Eiffel Tower"])
    run.find(["Musée d'Orsay"], model=MODELS[1], facet="Museums and galleries", node="producer-2")
    return run


async def expect_models(page: Page, names: list[str]) -> None:
    """From the top of the table."""
    await expect(page.locator("#models .model-name")).to_have_text(names)


# Entries


async def test_a_search_finds_among_all_entries_and_ends_where_it_began(
    browser: Browser, run: ScriptedRun
) -> None:
    run.find([f"Attraction {number}" for number in range(600)])
    run.merge("The Iron Lady", 2)
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await expect(page.locator(".entry .text").first).to_have_text("Attraction 599")
        search = page.get_by_label("Search all entries")
        await search.fill("musée")
        await expect(page.locator(".entry .text")).to_have_text(["Musée d'Orsay"])
        await expect(page.locator("#entries-note")).to_have_text("1 of 603 entries")
        await expect(page.locator("#entries-empty")).to_be_hidden()
        await search.fill("iron lady")
        await expect(page.locator(".entry .text")).to_have_text(["Eiffel Tower"])
        await expect(page.locator(".entry .source")).to_contain_text("also: The Iron Lady")
        await search.fill("no such thing")
        await expect(page.locator("#entries-empty")).to_have_text("No entry matches.")
        await page.get_by_role("button", name="Clear").click()
        await expect(page.locator(".entry .text").first).to_have_text("Attraction 599")


async def test_a_search_that_nobody_answers_is_not_taken_for_one_without_matches(
    browser: Browser, run: ScriptedRun
) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await expect(page.locator(".entry")).to_have_count(3)
        await page.route("**/api/items?*q=*", lambda route: route.abort())
        await page.get_by_label("Search all entries").fill("musée")
        await expect(page.locator("#entries-empty")).to_contain_text("cannot be searched now")
        await page.unroute("**/api/items?*q=*")
        await expect(page.locator(".entry .text")).to_have_text(["Musée d'Orsay"])


async def test_entries_are_filtered_by_model_and_facet_and_new_ones_join_them(
    browser: Browser, run: ScriptedRun
) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await page.get_by_label("Only entries of this model").select_option(MODELS[1])
        await expect(page.locator(".entry .text")).to_have_text(["Musée d'Orsay"])
        run.find(["Panthéon"])
        run.find(["Musée Rodin"], model=MODELS[1], facet="Museums and galleries")
        await expect(page.locator(".entry .text")).to_have_text(["Musée Rodin", "Musée d'Orsay"])
        await page.get_by_label("Only entries of this model").select_option("")
        await look_at(page, "#facets-card")
        await page.get_by_role("button", name="Museums and galleries").click()
        await expect(page.locator(".entry .text")).to_have_text(["Musée Rodin", "Musée d'Orsay"])
        await expect(page.get_by_label("Only entries of this facet")).to_have_value(
            "Museums and galleries"
        )


async def test_a_hundred_thousand_entries_scroll_with_few_of_them_in_the_document(
    browser: Browser, run: ScriptedRun
) -> None:
    run.find([f"Attraction {number}" for number in range(4, 100_001)])
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await expect(page.locator(".entry .text").first).to_have_text("Attraction 100000")
        entries = page.locator("#entries")
        await entries.evaluate("(list) => { list.scrollTop = list.scrollHeight / 2; }")
        middle = page.locator(".entry .text", has_text="Attraction 50")
        await expect(middle.first).to_be_visible()
        assert await page.locator(".entry").count() < 60
        top = await page.locator(".entry .text", has_text="Attraction 49990").bounding_box()
        run.find(["Newest of all"])
        await expect(page.locator("#unique-total")).to_have_text("100,001")
        # Who reads further down keeps his place.
        assert await page.locator(".entry .text", has_text="Attraction 49990").bounding_box() == top
        await page.keyboard.press("End")
        await entries.focus()
        await page.keyboard.press("End")
        await expect(page.locator(".entry .text").last).to_have_text("Louvre")
        await page.get_by_role("button", name="Newest").click()
        await expect(page.locator(".entry .text").first).to_have_text("Newest of all")


async def test_whoever_reads_a_very_long_list_keeps_place_and_text_while_thousands_come(
    browser: Browser, run: ScriptedRun
) -> None:
    """Longer than a browser can lay out, and more new entries than the page keeps."""
    run.find([f"Attraction {number}" for number in range(4, 160_001)])
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await expect(page.locator("#unique-total")).to_have_text("160,000")
        entries = page.locator("#entries")
        await entries.evaluate("(list) => { list.scrollTop = list.scrollHeight / 2; }")
        read = page.locator(".entry").nth(12)
        await expect(read.locator(".text")).to_have_text(re.compile("^Attraction (79|80)"))
        number, text = await read.get_attribute("id"), await read.locator(".text").text_content()
        assert text is not None
        top = await read.bounding_box()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for total in range(162_000, 168_001, 2_000):
            run.find([f"Attraction {new}" for new in range(total - 1_999, total + 1)])
            await expect(page.locator("#unique-total")).to_have_text(f"{total:,}")
            await expect(page.locator("#entries-note")).to_have_text(f"{total:,} entries")
        same = page.locator(f"#{number}")
        await expect(same.locator(".text")).to_have_text(text)
        box = await same.bounding_box()
        assert box is not None
        assert top is not None
        assert abs(box["y"] - top["y"]) <= 1
        assert not [url for url in asked if "/api/items" in url]


async def test_entries_are_walked_and_opened_by_keys_and_one_can_be_copied(
    browser: Browser, run: ScriptedRun
) -> None:
    run.merge("Tour Eiffel", 2)
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await expect(page.locator(".entry")).to_have_count(3)
        await page.locator("#entries").focus()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await expect(page.locator(".entry[aria-selected=true] .text")).to_have_text("Eiffel Tower")
        await page.keyboard.press("Enter")
        await expect(page.locator("#entry-text")).to_have_text("Eiffel Tower")
        facts = page.locator("#entry-facts")
        for fact in ("atlas", "producer-1", "Tour Eiffel"):
            await expect(facts).to_contain_text(fact)
        await copy_by(page, "#copy-entry")
        await page.keyboard.press("Escape")
        assert await copied(page) == "Louvre Eiffel Tower Musée d'Orsay"
        await page.get_by_label("Search all entries").fill("musée")
        await expect(page.locator(".entry")).to_have_count(1)
        assert await copied(page) == "Musée d'Orsay"


async def copy_by(page: Page, button: str) -> None:
    """Press a button that says for a moment that it has copied."""
    says_so = f"() => document.querySelector('{button}').textContent === 'Copied'"
    await asyncio.gather(page.wait_for_function(says_so), page.locator(button).click())


async def copied(page: Page) -> str:
    """What the list's button copies, as a field of one line takes it."""
    button = page.locator("#copy-entries")
    await expect(button).to_have_text("Copy")
    await copy_by(page, "#copy-entries")
    search = page.get_by_label("Search all entries")
    await search.fill("")
    await search.press("Control+V")
    return (await search.input_value()).strip()


async def test_the_list_is_downloaded_as_text_csv_and_json_lines(
    browser: Browser, run: ScriptedRun
) -> None:
    run.merge("Tour Eiffel", 2)
    async with reachable(run, through_proxy=True) as url:
        page = (await opened(browser, url)).page
        await expect(page.locator(".entry")).to_have_count(3)
        texts = {}
        for form in ("plain text", "CSV", "JSON lines"):
            async with page.expect_download() as downloading:
                await page.get_by_label(f"Download as {form}").click()
            download = await downloading.value
            assert download.suggested_filename.startswith("paris-attractions")
            texts[form] = (await download.path()).read_text("utf-8-sig")
        assert texts["plain text"] == "Louvre\nEiffel Tower\nMusée d'Orsay\n"
        assert "Tour Eiffel" in texts["CSV"].splitlines()[2]
        lines = [json.loads(line) for line in texts["JSON lines"].splitlines()]
        assert [line["text"] for line in lines] == ["Louvre", "Eiffel Tower", "Musée d'Orsay"]


# Models


async def test_the_table_of_models_tells_everything_and_is_sorted_by_any_column(
    browser: Browser, run: ScriptedRun
) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url, width=1440)).page
        await look_at(page, "#models-card")
        await expect(page.locator("#models tr")).to_have_count(4)
        await expect_models(page, ["atlas", "sonata"])
        row = page.locator("#models tr", has_text="atlas").first.locator("td")
        await expect(row).to_have_text(
            [
                *("2", "2", "28.6 %", "4", "1", "3", "1", "2.5 s", "6.3 s", "4.6K", "25.0 %"),
                *("$0.0060", "$0.200"),
            ]
        )
        await expect(page.locator("#models tr.error").first).to_have_text(
            "Latest failure: 429: too many requests"
        )
        unique = page.get_by_role("button", name="Unique")
        await unique.click()
        await expect_models(page, ["sonata", "atlas"])
        await expect(page.locator("#models-table th[aria-sort]")).to_have_attribute(
            "aria-sort", "ascending"
        )
        await page.get_by_role("button", name="Model").focus()
        await page.keyboard.press("Enter")
        await expect_models(page, ["atlas", "sonata"])
        await expect(page.locator("#models-table tfoot td").nth(1)).to_have_text("3")


async def test_a_model_has_one_colour_everywhere(browser: Browser, run: ScriptedRun) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url, height=5000, charts=True)).page
        await expect(page.locator("#peers tr")).to_have_count(2)
        await expect(page.locator("#chart-rate path.js-line")).to_have_count(2)
        colours = await page.evaluate(
            """() => {
                const of = (place, property, pseudo) =>
                    getComputedStyle(document.querySelector(place), pseudo)[property];
                return [
                    of("#models .swatch", "backgroundColor"),
                    of("#peers .swatch", "backgroundColor"),
                    of("#legend .swatch", "backgroundColor"),
                    of("#mesh-picture .node:not(.collector) .arc", "stroke"),
                    of("#chart-rate path.js-line", "stroke"),
                    of(".entry:last-child .source", "backgroundColor", "::before"),
                ];
            }"""
        )
        assert len(set(colours)) == 1, colours


# Mesh, facets, names


async def test_the_mesh_is_a_picture_and_a_table_that_say_the_same(
    browser: Browser, run: ScriptedRun
) -> None:
    run.peer_count = 50
    run.peer_changes = {
        "producer-3": {"state": "dead", "restarts": 2},
        "producer-7": {"behind": 340, "known_count": 1},
    }
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await look_at(page, "#mesh-card")
        await expect(page.locator("#mesh-picture .node")).to_have_count(51)
        dead = page.locator("#mesh-picture .node[data-health=gone]")
        await expect(dead.locator(".node-label")).to_have_text("3")
        behind = page.locator("#mesh-picture .node-badge:not([display=none])")
        await expect(behind).to_have_text("−340")
        await expect(page.locator("#mesh-picture")).to_have_attribute(
            "aria-label",
            "The mesh: the collector and 50 producers; in trouble: producer-3 (dead); "
            "all know the same",
        )
        rows = page.locator("#peers tr")
        await expect(rows).to_have_count(51)
        await expect(rows.nth(3)).to_contain_text("dead, restarted 2×")
        await expect(rows.nth(7).locator("td").nth(2)).to_have_text("340")
        await expect(rows.nth(7).locator("td").nth(3)).to_have_text("0.4 ms")
        labels = page.locator("#mesh-picture .node-label")
        boxes = [await labels.nth(index).bounding_box() for index in range(51)]
        assert all(box is not None and box["height"] >= 9 for box in boxes)


async def test_nodes_of_one_name_are_each_shown(browser: Browser, run: ScriptedRun) -> None:
    run.peer_count = 2
    run.peer_changes = {"producer-2": {"node": "producer-1", "known_count": 77}}
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await look_at(page, "#mesh-card")
        await expect(page.locator("#peers tr")).to_have_count(3)
        await expect(page.locator("#mesh-picture .node")).to_have_count(3)
        await expect(page.locator("#peers tr").last).to_contain_text("producer-1 (2)")
        await expect(page.locator("#peers tr").last).to_contain_text("77")


async def test_a_node_that_has_left_is_neither_ill_nor_behind(
    browser: Browser, run: ScriptedRun
) -> None:
    run.node_state = "left"
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await look_at(page, "#mesh-card")
        row = page.locator("#peers tr").last
        await expect(row.locator(".peer-state")).to_have_text("left")
        await expect(row.locator("td").nth(2)).to_have_text("–")
        await expect(row.locator(".dot")).to_have_attribute("data-health", "over")


async def test_trouble_in_the_mesh_is_told_once_there_is_any(
    browser: Browser, run: ScriptedRun
) -> None:
    run.dropped = {"repeated": 12}
    async with reachable(run, through_proxy=False) as url:
        seen = await opened(browser, url)
        health = seen.page.locator("#mesh-health")
        await look_at(seen.page, "#mesh-card")
        await expect(seen.page.locator("#peers tr")).to_have_count(2)
        await expect(health).to_be_hidden()
        run.mesh_changes = {"refused": {"unknown_key": 3, "handshake": 1}, "lost_entries": 2}
        run.dropped = {"repeated": 12, "bad_frame": 5}
        await expect(health.locator("li")).to_have_text(
            [
                "Lost: 2 entries nobody holds",
                "Refused connections: 3 unknown key, 1 failed handshake",
                "Dropped by producer-1: 5 bad frame",
            ]
        )
        await expect(seen.page.locator("#peers tr").last.locator("td").nth(4)).to_have_text("5")
        assert (seen.dialogs, seen.complaints) == ([], [])


async def test_facets_tell_what_is_rich_or_dry_and_who_looks_where(
    browser: Browser, run: ScriptedRun
) -> None:
    run.add_facet("Bridges", state="dry", leased_by=[], found_total=9, **{"yield": 0.0})
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await look_at(page, "#facets-card")
        await expect(page.locator("#facets-line")).to_have_text("2 facets · 1 rich · 1 dry")
        bridges = page.locator("#facets tr", has_text="Bridges").locator("td")
        await expect(bridges).to_have_text(["dry", "9", "0 %", "–"])
        museums = page.locator("#facets tr", has_text="Museums").locator("td")
        await expect(museums.last).to_have_text("producer-1")


async def test_names_that_are_one_or_may_be_are_listed_with_the_reason(
    browser: Browser, run: ScriptedRun
) -> None:
    async with reachable(run, through_proxy=False) as url:
        page = (await opened(browser, url)).page
        await look_at(page, "#names-card")
        await expect(page.locator("#names-line")).to_have_text(
            "1 other form of entries · 1 in doubt · 0 judged different"
        )
        rows = page.locator("#names tr")
        await expect(rows.nth(0)).to_contain_text("Quai d'Orsay")
        await expect(rows.nth(0).locator("td").nth(0)).to_have_text("perhaps")
        await expect(rows.nth(1).locator("td").last).to_have_text("without museum")
        command = page.locator("#review-command")
        await expect(command).to_have_text("python run_mesh.py review runs/paris")
