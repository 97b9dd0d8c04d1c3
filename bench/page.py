"""What the live page of a large run costs those who look and the run that serves it.

One run of 100,000 entries, 50 producers, four models, 60 facets and 200 merged names, all made up
(page_run.py), is served by a process of its own with the program's page server, view, counters and
database. Measured with Chromium, HTTP, WebSocket and SQLite as they are:
- fresh pages, 100 entries a second coming: from navigation until the numbers are painted and until
  both charts are drawn; besides, the main thread's processor time until then, which says more
  where the machine is busy with other work;
- what the serving process takes with no page, one and 50, 100 entries a second coming, and so what
  50 pages cost; readers without a browser, in a process of their own, stand for the pages; the same
  of pages behind a proxy, which are sent everything compressed;
- an open page while 1,000 entries a second come: scripting and all else of its main thread in
  processor time, its heap and nodes, whether it shows all of them in the end; then with its list
  scrolled to the middle, whether what is read there stays; and with all parts in sight.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.page_browser import (
    Stay,
    chromium,
    fresh_page,
    load,
    scroll_list_to_middle,
    shows_in_s,
    stay,
)
from bench.page_children import ServedRun, open_pages, served_run
from bench.page_run import FACETS, FORMS, MODELS
from bench.reporting import Report, parse_options

ENTRIES = 100_000
PRODUCERS = 50
PAGES = 50
SLOW_PER_S, FAST_PER_S = 100, 1000
PUBLIC_URL = "http://mesh.example"
"""A page that is reached through a proxy is sent compressed."""
WIDE = {"width": 2560, "height": 2600}
"""Everything is in sight: nothing is left undrawn."""
SETTLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Extent:
    """How long to look."""

    loads: int
    rounds: int
    served_s: float
    """With each number of pages, in each round."""
    stay_s: float
    middle_s: float
    wide_s: float


FULL = Extent(loads=10, rounds=3, served_s=10.0, stay_s=600.0, middle_s=60.0, wide_s=30.0)
QUICK = Extent(loads=3, rounds=1, served_s=2.0, stay_s=12.0, middle_s=3.0, wide_s=2.0)


async def measure_loads(report: Report, run: ServedRun, browser: Browser, extent: Extent) -> None:
    run.go_on(SLOW_PER_S)
    for _ in range(extent.loads):
        async with fresh_page(browser) as page:
            loaded = await load(page, run.url)
        stored = run.go_on(SLOW_PER_S)
        assert ENTRIES <= loaded.shown_total <= stored, loaded
        report.add("numbers_painted_s", loaded.numbers_s, target="<= 1")
        report.add("charts_drawn_s", loaded.charts_s, target="<= 3")
        report.add("first_paint_s", loaded.first_paint_s)
        report.add("entries_shown_s", loaded.entries_s)
        report.add("main_thread_until_drawn_s", loaded.main_thread_s)


def measure_serving(report: Report, run: ServedRun, extent: Extent, name: str) -> None:
    """Rounds with no page, one and many, so that what else the machine does falls on all."""
    run.go_on(SLOW_PER_S)
    for _ in range(extent.rounds):
        shares: dict[int, float] = {}
        for pages_count in (0, 1, PAGES):
            with open_pages(run, pages_count) as reading:
                shares[pages_count] = run.processor_share(extent.served_s)
            report.add(f"{name}_with_{pages_count}_pages_ratio", shares[pages_count])
        report.add(f"{name}_for_50_pages_ratio", shares[PAGES] - shares[0], target="<= 0.2")
        report.add(f"{name}_frames_to_a_page_count", reading.told["frames"] / PAGES)
        report.add(f"{name}_frame_mean_bytes", reading.told["bytes"] / reading.told["frames"])


async def measure_stay(report: Report, run: ServedRun, browser: Browser, extent: Extent) -> None:
    async with fresh_page(browser) as page:
        await load(page, run.url)
        run.go_on(FAST_PER_S)
        await asyncio.sleep(SETTLE_S)
        at_top = await stay(page, extent.stay_s)
        _report_stay(report, "open", at_top)
        await _catch_up(report, "open", run, page)
        run.go_on(FAST_PER_S)
        await scroll_list_to_middle(page)
        in_middle = await stay(page, extent.middle_s)
        _report_stay(report, "scrolled", in_middle)
        report.add("scrolled_looks_count", in_middle.looked_count)
        report.add("scrolled_moved_count", in_middle.moved_count, target="0")
        await _catch_up(report, "scrolled", run, page)
    async with fresh_page(browser, **WIDE) as page:
        await load(page, run.url)
        run.go_on(FAST_PER_S)
        await asyncio.sleep(SETTLE_S)
        _report_stay(report, "all_in_sight", await stay(page, extent.wide_s))
    report.add("entries_at_the_end_count", run.go_on(0))


async def _catch_up(report: Report, name: str, run: ServedRun, page: Page) -> None:
    """No more comes: the page must show the run's total, to the last."""
    total = run.go_on(0)
    report.add(f"{name}_shows_total_after_s", await shows_in_s(page, total))


def _report_stay(report: Report, name: str, taken: Stay) -> None:
    report.add(f"{name}_scripting_ratio", taken.scripting_share, target="<= 0.3")
    report.add(f"{name}_main_thread_ratio", taken.tasks_share)
    report.add(f"{name}_process_ratio", taken.process_share)
    report.add(f"{name}_heap_mb", taken.heap_mb, target="<= 300")
    report.add(f"{name}_heap_peak_mb", taken.heap_peak_mb)
    report.add(f"{name}_nodes_count", taken.nodes_count)


async def measure_in_browser(report: Report, run: ServedRun, extent: Extent) -> None:
    async with chromium() as browser:
        await measure_loads(report, run, browser, extent)
        await measure_stay(report, run, browser, extent)


def main() -> None:
    options = parse_options(__doc__ or "")
    extent = QUICK if options.quick else FULL
    settings = {
        "seed": options.seed,
        "data": "made up",
        "entries": ENTRIES,
        "producers": PRODUCERS,
        "models": len(MODELS),
        "facets": FACETS,
        "merged_names": FORMS,
        "stay_s": extent.stay_s,
    }
    report = Report("page", settings)
    serve = functools.partial(
        served_run, entries_count=ENTRIES, producers_count=PRODUCERS, seed=options.seed
    )
    with tempfile.TemporaryDirectory() as name:
        with serve(Path(name) / "proxied", public_url=PUBLIC_URL) as run:
            measure_serving(report, run, extent, "server_to_afar")
        with serve(Path(name) / "run") as run:
            measure_serving(report, run, extent, "server")
            asyncio.run(measure_in_browser(report, run, extent))
    report.print(as_json=options.as_json)


if __name__ == "__main__":
    main()
