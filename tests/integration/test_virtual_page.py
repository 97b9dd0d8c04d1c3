"""The page of plots stands alone: a browser needs no network for it."""

from __future__ import annotations

import re
from pathlib import Path

from bench.virtual_page import write_page
from bench.virtual_runs import CITIES, Scenario, run_scenario
from bench.virtual_tables import Results


def test_the_page_holds_its_plots_and_everything_they_need(tmp_path: Path) -> None:
    results = Results(
        run_scenario(Scenario("star", CITIES, producer_count=count, counts=(60,)))
        for count in (1, 2)
    )
    write_page(tmp_path / "page.html", "What <it> wastes", {"seed": 0}, results)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "What &lt;it&gt; wastes" in page
    assert len(re.findall(r"Plotly\.newPlot\(\"plot-\d+\"", page)) == 2 * 3 + 1
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=", page)
    assert len(page) > 1_000_000  # The script itself.
