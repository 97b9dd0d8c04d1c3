"""A page in Chromium under measurement: when it has shown what, what it takes, what stays put.

What the page does is measured by the browser's own counters (Performance.getMetrics), in processor
time of its main thread, which other work on the machine lengthens little; times from navigation to
paint are wall-clock.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Browser, CDPSession, Page, async_playwright

from tests.e2e.chromium import CHROMIUM, CHROMIUM_ARGUMENTS

PATIENCE_MS = 60_000
CATCH_UP_S = 20.0
SAMPLE_S = 1.0
WATCH_SCRIPT = """
(() => {
  const seen = window.benchTimes = {};
  // Once the frame that shows it is drawn.
  const painted = (name) => requestAnimationFrame(() => setTimeout(() => {
    seen[name] ??= performance.now();
  }));
  const isDrawn = (id) => document.querySelector(`#${id} .scatterlayer .trace path.js-line`);
  const look = () => {
    const total = document.getElementById("unique-total");
    if (!("numbers" in seen) && total && /[0-9]/.test(total.textContent)) {
      seen.shownTotal = total.textContent;
      painted("numbers");
    }
    if (!("charts" in seen) && isDrawn("chart-total") && isDrawn("chart-rate")) painted("charts");
    if (!("entries" in seen) && document.querySelector(".entry:not(.loading)")) painted("entries");
  };
  const everything = { childList: true, subtree: true, characterData: true };
  new MutationObserver(look).observe(document, everything);
})();
"""
"""Notes when the total, the charts and the first entries are on the page, ms since navigation."""
ROW_SCRIPT = """
() => {
  const list = document.getElementById("entries");
  const middle = list.getBoundingClientRect().top + list.clientHeight / 2;
  const row = [...document.querySelectorAll(".entry")].find((each) => {
    const { top, bottom } = each.getBoundingClientRect();
    return top <= middle && bottom > middle;
  });
  const text = row?.querySelector(".text").textContent;
  return { id: row?.id, text, top: row?.getBoundingClientRect().top };
}
"""
FOLLOWED_SCRIPT = """
(id) => {
  const row = document.getElementById(id);
  const text = row?.querySelector(".text").textContent;
  return row ? { id, text, top: row.getBoundingClientRect().top } : null;
}
"""


@dataclass(frozen=True, slots=True)
class Load:
    """One page from navigation on, in seconds."""

    first_paint_s: float
    numbers_s: float
    entries_s: float
    charts_s: float
    main_thread_s: float
    """Processor time until the charts are drawn."""
    shown_total: int


@dataclass(slots=True)
class Stay:
    """What an open page took while it stood open."""

    scripting_share: float
    """Of one core, by JavaScript."""
    tasks_share: float
    """By all that its main thread did: scripts, styles, layout, painting."""
    process_share: float
    """By the renderer process with all its threads."""
    heap_mb: float
    """After everything unused is collected."""
    heap_peak_mb: float
    nodes_count: int
    """Elements, texts and what is kept though it is no longer in the document."""
    moved_count: int = 0
    """How often the row in the middle of the list stood elsewhere or said something else."""
    looked_count: int = 0


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        raise SystemExit("Chromium is not installed: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def fresh_page(
    browser: Browser, *, width: int = 1280, height: int = 900
) -> AsyncIterator[Page]:
    """A page with nothing in any cache; whatever it complains about ends the bench."""
    context = await browser.new_context(viewport={"width": width, "height": height})
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.add_init_script(WATCH_SCRIPT)
    yield page
    await context.close()
    assert not complaints, complaints


async def load(page: Page, url: str) -> Load:
    session = await _counting(page)
    before = await _counters(session)
    await page.goto(url)
    await page.wait_for_function(
        "() => window.benchTimes.charts && window.benchTimes.entries && window.benchTimes.numbers",
        timeout=PATIENCE_MS,
    )
    after = await _counters(session)
    await session.detach()
    seen = await page.evaluate("window.benchTimes")
    first_paint_ms = await page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    return Load(
        first_paint_ms / 1000,
        # The total is not on the page before anything is.
        max(seen["numbers"], first_paint_ms) / 1000,
        seen["entries"] / 1000,
        seen["charts"] / 1000,
        after["TaskDuration"] - before["TaskDuration"],
        _whole(seen["shownTotal"]),
    )


async def stay(page: Page, stay_s: float) -> Stay:
    """Measure the open page for `stay_s`; where its list is scrolled, also whether that stands."""
    session = await _counting(page)
    await session.send("HeapProfiler.enable")
    is_scrolled = await page.evaluate("document.getElementById('entries').scrollTop > 0")
    followed = await page.evaluate(ROW_SCRIPT) if is_scrolled else None
    before = await _counters(session)
    started_s = time.monotonic()
    heap_peak, moved_count, looked_count = 0.0, 0, 0
    while time.monotonic() - started_s < stay_s:
        await asyncio.sleep(SAMPLE_S)
        heap_peak = max(heap_peak, (await _counters(session))["JSHeapUsedSize"])
        if followed:
            looked_count += 1
            now = await page.evaluate(FOLLOWED_SCRIPT, followed["id"])
            moved_count += _differs(followed, now)
            followed = now or await page.evaluate(ROW_SCRIPT)
    measured_s = time.monotonic() - started_s
    after = await _counters(session)
    await session.send("HeapProfiler.collectGarbage")
    collected = await _counters(session)
    await session.detach()

    def share(counter: str) -> float:
        return (after[counter] - before[counter]) / measured_s

    return Stay(
        scripting_share=share("ScriptDuration"),
        tasks_share=share("TaskDuration"),
        process_share=share("ProcessTime"),
        heap_mb=collected["JSHeapUsedSize"] / 1e6,
        heap_peak_mb=max(heap_peak, after["JSHeapUsedSize"]) / 1e6,
        nodes_count=round(collected["Nodes"]),
        moved_count=moved_count,
        looked_count=looked_count,
    )


async def shows_in_s(page: Page, total: int) -> float:
    """Seconds until the page shows that there are `total` entries, in its figure and its list."""
    started_s = time.monotonic()
    await page.wait_for_function(
        """(total) => {
          const text = (id) => document.getElementById(id).textContent;
          const number = (id) => Number(text(id).replace(/\\D/g, ""));
          return number("unique-total") === total && number("entries-note") === total;
        }""",
        arg=total,
        timeout=CATCH_UP_S * 1000,
    )
    return time.monotonic() - started_s


async def scroll_list_to_middle(page: Page) -> None:
    await page.evaluate(
        """() => {
          const list = document.getElementById("entries");
          list.scrollIntoView({ block: "center" });
          list.scrollTop = list.scrollHeight / 2;
        }"""
    )
    await page.wait_for_function(
        """() => {
          const rows = [...document.querySelectorAll(".entry")];
          return rows.length && rows.every((row) => !row.classList.contains("loading"));
        }""",
        timeout=PATIENCE_MS,
    )
    await asyncio.sleep(SAMPLE_S)


async def _counting(page: Page) -> CDPSession:
    """The browser's counters, durations in processor time."""
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})
    return session


async def _counters(session: CDPSession) -> dict[str, float]:
    answer = await session.send("Performance.getMetrics")
    return {each["name"]: each["value"] for each in answer["metrics"]}


def _differs(before: dict[str, Any], now: dict[str, Any] | None) -> bool:
    return now is None or now["text"] != before["text"] or abs(now["top"] - before["top"]) > 1


def _whole(text: str) -> int:
    return int(re.sub(r"\D", "", text))
