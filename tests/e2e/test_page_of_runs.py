"""The page of real runs, used as a person would: watched, steered, left and come back to, and its
numbers held against the API and the database. The same page afterwards: `view` and `report`."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.chromium import Opened, look_at, opened
from tests.e2e.running import (
    ROOT,
    Run,
    assert_nothing_lost_or_doubled,
    eventually,
    node_process,
    start_run,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

CITIES = "Cities of the world"


async def awaited(condition: Callable[[], Any], what: str) -> Any:
    """`eventually`, while the browser goes on."""
    return await asyncio.to_thread(eventually, condition, what)


async def number(page: Page, place: str) -> int:
    return int((await page.locator(place).text_content() or "0").replace(",", ""))


async def test_a_person_watches_and_steers_a_run(
    browser: Browser, tmp_path: Path, held_port: int
) -> None:
    run = start_run(
        tmp_path,
        *(CITIES, "--peers", "2", "--target", "40000", "--budget-usd", "20", "--keep-page"),
        time_scale=3,
        page_port=str(held_port),
    )
    seen = await opened(browser, await asyncio.to_thread(run.page_url))
    page = seen.page
    await expect(page.locator("#connection")).to_have_text("Live")
    await expect(page.locator("#simulated")).to_have_text("Simulated: no real LLM is asked")

    await raise_target(page, 50_000)
    await expect(page.locator("#target-text")).to_contain_text("of target 50,000")
    await expect(page.locator(".entry").first).to_be_visible()
    await pause_and_resume(page, run)
    await search_and_download(page, run)
    await change_producers(page, run)
    await expect(page.locator("#unique-total")).not_to_have_text("0")

    before = await number(page, "#unique-total")
    await page.reload()
    await expect(page.locator("#connection")).to_have_text("Live")
    assert await number(page, "#unique-total") >= before

    complaints = list(seen.complaints)
    (await asyncio.to_thread(node_process, run, "collector")).kill()
    await expect(page.locator("#lost")).to_contain_text("No connection since")
    await expect(page.locator("#connection")).to_have_text("Live")
    await expect(page.locator("#lost")).to_be_hidden()
    await expect(page.locator("#target-text")).to_contain_text("of target 50,000")

    await finish_soon(page)
    await expect(page.locator("#state")).to_have_text("Finished")
    await expect(page.locator("#ending-reason")).to_contain_text("entries reached.")
    await assert_page_equals_run(page, run)
    assert complaints == []
    run.process.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(run.wait) == 0, run.said
    await expect(page.locator("#connection")).to_have_text("Server ended, results kept")
    await asyncio.to_thread(assert_nothing_lost_or_doubled, run)
    await assert_seen_again(browser, run)


async def raise_target(page: Page, target: int) -> None:
    await page.get_by_role("button", name="Target and budget…").click()
    await page.get_by_label("Target, in entries").fill(str(target))
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("#toast")).to_have_text(f"The target is {target:,} now.")
    await expect(page.locator("#bounds-dialog")).to_be_hidden()


async def finish_soon(page: Page) -> None:
    """Paused, so that the target is still ahead when it is set."""
    await page.get_by_role("button", name="Pause").click()
    await expect(page.locator("#state")).to_have_text("Paused")
    await raise_target(page, await number(page, "#unique-total") + 400)
    await page.get_by_role("button", name="Resume").click()


async def pause_and_resume(page: Page, run: Run) -> None:
    await page.get_by_role("button", name="Pause").click()
    await expect(page.locator("#state")).to_have_text("Paused")
    calls = "SELECT count(*) FROM calls WHERE outcome IS NULL"
    await awaited(lambda: run.query(calls) == [(0,)], "calls under way to end")
    started = run.query("SELECT count(*) FROM calls")
    await page.get_by_role("button", name="Resume").click()
    await expect(page.locator("#state")).to_have_text("Running")
    await awaited(lambda: run.query("SELECT count(*) FROM calls") > started, "calls again")


async def search_and_download(page: Page, run: Run) -> None:
    text = run.accepted()[0]
    await page.get_by_label("Search all entries").fill(text)
    await expect(page.locator(".entry .text", has_text=text).first).to_be_visible()
    await expect(page.locator("#entries-note")).to_contain_text(" of ")
    await page.get_by_role("button", name="Clear").click()
    for form in ("plain text", "CSV", "JSON lines"):
        async with page.expect_download() as downloading:
            await page.get_by_label(f"Download as {form}").click()
        content = (await (await downloading.value).path()).read_text("utf-8-sig")
        lines = content.splitlines()
        accepted = run.accepted()
        if form == "JSON lines":
            lines = [json.loads(line)["text"] for line in lines]
        elif form == "CSV":
            lines = lines[1:]
            accepted = [f"{ordinal}," for ordinal in range(1, len(lines) + 1)]
            lines = [f"{line.partition(',')[0]}," for line in lines]
        assert lines == accepted[: len(lines)]
        assert lines


async def change_producers(page: Page, run: Run) -> None:
    """Another model for one, one more, one less."""
    await look_at(page, "#mesh-card")
    await expect(page.locator("#peers tr")).to_have_count(3)
    await page.get_by_label("Model of producer-1").select_option("simulated:swift")
    await expect(page.locator("#peers tr", has_text="producer-1")).to_contain_text("swift")
    await page.get_by_role("button", name="Add producer").click()
    await expect(page.locator("#toast")).to_contain_text("One more producer is starting")
    newcomer = page.locator("#peers tr", has_text="producer-3")
    await expect(newcomer).to_be_visible()
    await expect(page.locator("#mesh-picture .node")).to_have_count(4)
    found = "SELECT count(*) FROM items JOIN nodes USING (origin) WHERE label = 'producer-3'"
    await awaited(lambda: run.query(found) > [(0,)], "entries of producer-3")
    await page.get_by_label("Remove producer-2").click()
    await page.get_by_role("button", name="Remove it").click()
    leaver = page.locator("#peers tr", has_text="producer-2").locator(".peer-state")
    await expect(leaver).to_have_text("left")


def dollars(amount: float) -> str:
    """As the page writes it."""
    return f"${amount:.{2 if amount >= 1 else 3 if amount >= 0.1 else 4}f}"


async def assert_page_equals_run(page: Page, run: Run) -> None:
    """Every number on the page is the API's, and the API's the database's."""
    metrics = await asyncio.to_thread(run.get, "api/metrics")
    await expect(page.locator("#entries-note")).to_have_text(f"{metrics['unique_total']:,} entries")
    shown = {
        "#unique-total": f"{metrics['unique_total']:,}",
        "#unique-last-minute": f"{metrics['unique_last_minute']:,}",
        "#duplicate-rate": f"{100 * metrics['duplicate_rate']:.1f} %",
        "#duplicates": f"{metrics['duplicates_total']:,} of {metrics['generated_total']:,} written",
        "#cost": dollars(metrics["cost_usd"]),
    }
    for place, text in shown.items():
        await expect(page.locator(place)).to_have_text(text)
    await look_at(page, "#models-card")
    await expect(page.locator("#models tr:not(.error)")).to_have_count(len(metrics["models"]))
    for model in metrics["models"]:
        name = model["model"].partition(":")[2]
        row = page.locator("#models tr:not(.error)", has_text=name)
        await expect(row.locator("td").nth(1)).to_have_text(f"{model['unique_total']:,}")
        cells = await row.locator("td").all_text_contents()
        assert cells[:2] == [f"{model['unique_last_minute']:,}", f"{model['unique_total']:,}"]
        assert cells[3:7] == [
            f"{model[key]:,}"
            for key in ("duplicates_total", "rejected_total", "calls_total", "calls_failed")
        ]
        assert cells[2] == f"{100 * model['unique_total'] / model['generated_total']:.1f} %"
        assert cells[10] == f"{100 * model['cached_share']:.1f} %"
        each = [model["cost_usd"], model["cost_per_100_unique_usd"]]
        assert cells[11:] == [dollars(amount) for amount in each]
    accepted = run.accepted()
    assert metrics["unique_total"] == len(accepted)
    by_model = run.query("SELECT model, count(*) FROM items GROUP BY model")
    assert {row["model"]: row["unique_total"] for row in metrics["models"]} == dict(by_model)
    sums = run.query(
        'SELECT sum("unique"), sum(duplicates), sum(rejected), sum(cost_usd) FROM model_totals'
    )[0]
    assert sums[:3] == (
        *(metrics["unique_total"], metrics["duplicates_total"], metrics["rejected_total"]),
    )
    assert sums[3] == pytest.approx(metrics["cost_usd"], abs=1e-6)
    assert metrics["generated_total"] == sum(sums[:3])
    first = page.locator(".entry .text").first
    await page.locator("#entries").evaluate("(list) => { list.scrollTop = 0; }")
    await expect(first).to_have_text(accepted[-1])


async def assert_seen_again(browser: Browser, run: Run) -> None:
    """`view` and `report` show the run as it ended."""
    total = f"{len(run.accepted()):,}"
    command = [sys.executable, str(ROOT / "run_mesh.py")]
    viewing = await asyncio.create_subprocess_exec(
        *(*command, "view", "run", "--port", "0"),
        cwd=run.directory,
        stdout=subprocess.PIPE,
    )
    assert viewing.stdout is not None
    url = (await viewing.stdout.readline()).decode().split()[0]
    report = run.directory / "report.html"
    reporting = await asyncio.create_subprocess_exec(
        *(*command, "report", "run", "--to", str(report)), cwd=run.directory
    )
    assert await reporting.wait() == 0
    for address in (url, report.as_uri()):
        seen = await opened(browser, address, charts=True)
        await assert_run_is_shown(seen, run, total)
    viewing.send_signal(signal.SIGINT)
    assert await viewing.wait() == 0


async def assert_run_is_shown(seen: Opened, run: Run, total: str) -> None:
    page = seen.page
    await expect(page.locator("#state")).to_have_text("Finished")
    await expect(page.locator("#unique-total")).to_have_text(total)
    await expect(page.locator("#controls")).to_be_hidden()
    await expect(page.locator("#chart-total path.js-line")).to_have_count(1)
    await expect(page.locator(".entry .text").first).to_have_text(run.accepted()[-1])
    await page.get_by_label("Search all entries").fill(run.accepted()[0])
    await expect(page.locator(".entry .text", has_text=run.accepted()[0]).first).to_be_visible()
    await look_at(page, "#mesh-card")
    await expect(page.locator("#peers tr")).to_have_count(4)
    assert seen.complaints == []
