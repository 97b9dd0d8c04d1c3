"""`report RUN_DIR`: one file that holds all and runs nothing but the page's own scripts."""

from __future__ import annotations

import json
import re

from mesh.web.report import report_html
from tests.scripted_run import ScriptedRun

MARKUP = "</script><script>alert(1)</script><!--"


async def report_of(run: ScriptedRun) -> str:
    return report_html(
        {
            "written": "2026-01-02T03:04:05+00:00",
            "metrics": run.metrics(with_history=True),
            "items": run.accepted,
            "peers": run.peers(),
            "facets": run.facets(),
            "names": await run.names(limit=10),
        }
    )


async def test_a_report_needs_nothing_but_itself() -> None:
    run = ScriptedRun()
    run.find(["Louvre"])
    html = await report_of(run)
    assert not re.findall(r'(?:src|href)="(?!#|data:|output|api|metrics)[^"]', html[:100_000])
    assert "%CHART_LIBRARY%" not in html
    assert "default-src 'none'" in html
    modules = json.loads(re.findall(r'<script type="importmap"[^>]*>(.*?)</script>', html)[0])
    assert all(
        url.startswith("data:text/javascript;base64,") for url in modules["imports"].values()
    )


async def test_what_models_write_cannot_end_the_script_that_holds_it() -> None:
    run = ScriptedRun(topic=MARKUP)
    run.find([MARKUP])
    html = await report_of(run)
    assert MARKUP not in html
    assert html.count("</script>") == 4
    held = re.findall(r'id="reported-run">(.*?)</script>', html, re.DOTALL)[0]
    assert json.loads(held)["items"][0]["text"] == MARKUP
