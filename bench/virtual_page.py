"""The virtual benches' results as one HTML page of plots that needs no network.

For each topic and number of producers: entries found over time, duplicates over entries found,
and dollars for each 100 entries; for each topic how speed grows with producers. Curves are of the
first seed, bars medians over all.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.virtual_figures import PRICE_TABLES
from bench.virtual_runs import Result
from bench.virtual_tables import Group, Results

Trace = dict[str, Any]

_STYLE = "body{font:15px sans-serif;max-width:1200px;margin:2em auto;padding:0 1em}"
_PLOT_HEIGHT_PX = 420


def write_page(path: Path, title: str, conditions: Mapping[str, Any], results: Results) -> None:
    """Write the page; replaces the file."""
    from plotly.offline import get_plotlyjs  # 0.5 s that a bench without a page need not spend.

    told = ", ".join(f"{name} {value}" for name, value in conditions.items())
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>",
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script>",
        f"<h1>{html.escape(title)}</h1><p>{html.escape(told)}</p>",
        *(_section(number, *each) for number, each in enumerate(_plots(results))),
        "</html>",
    ]
    path.write_text("\n".join(parts), encoding="utf-8")


def _plots(results: Results) -> list[tuple[str, Sequence[Trace], str, str]]:
    """Title, traces and the axes' titles of every plot."""
    plots: list[tuple[str, Sequence[Trace], str, str]] = []
    for group in dict.fromkeys(group for group, _ in results.sections()):
        variation, topic, producer_count = group
        where = f"{topic}, {producer_count} producers, models {variation}"
        first = _first_seeds(results, group)
        curves = [_curve(each, 0, 1, 1.0) for each in first]
        plots.append((f"Entries found over time: {where}", curves, "seconds", "entries"))
        curves = [_curve(each, 1, 2, 100.0) for each in first]
        plots.append((f"Duplicates so far: {where}", curves, "entries found", "% of generated"))
        plots.append((f"Cost: {where}", _cost_bars(results, group), "", "dollars / 100 entries"))
    for topic in dict.fromkeys(group[1] for group, _ in results.sections()):
        traces = _scaling(results, topic)
        if traces:
            title = f"Speed by number of producers: {topic}"
            plots.append((title, traces, "producers", "entries a minute"))
    return plots


def _first_seeds(results: Results, group: Group) -> list[Result]:
    first: dict[str, Result] = {}
    for each in results.of(group):
        first.setdefault(each.scenario.mode, each)
    return list(first.values())


def _curve(result: Result, x: int, y: int, scale: float) -> Trace:
    return {
        "name": result.scenario.mode,
        "mode": "lines",
        "x": [point[x] for point in result.timeline],
        "y": [point[y] * scale for point in result.timeline],
    }


def _cost_bars(results: Results, group: Group) -> list[Trace]:
    """At the last count, a bar for each mode and price table."""
    count = max(count for each, count in results.sections() if each == group)
    sides = results.sides(group, count)
    return [
        {
            "name": f"charged as {charged_as or 'their own'}",
            "type": "bar",
            "x": list(sides),
            "y": [side[f"{table}_per_100_usd"].median for side in sides.values()],
        }
        for table, charged_as in PRICE_TABLES.items()
    ]


def _scaling(results: Results, topic: str) -> list[Trace]:
    by_mode: dict[str, list[tuple[int, float]]] = {}
    last = {group: count for group, count in results.sections() if group[1] == topic}
    for group, count in last.items():
        if group[0] != "as_packaged":
            continue
        for mode, side in results.sides(group, count).items():
            speed = side["unique_a_minute_count"].median
            by_mode.setdefault(mode, []).append((group[2], speed))
    return [
        {"name": mode, "x": [each[0] for each in points], "y": [each[1] for each in points]}
        for mode, points in by_mode.items()
        if len(points) > 1
    ]


def _section(number: int, title: str, traces: Sequence[Trace], x: str, y: str) -> str:
    layout = {
        "title": {"text": title},
        "height": _PLOT_HEIGHT_PX,
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}, "rangemode": "tozero"},
    }
    data, shape = (json.dumps(each).replace("</", "<\\/") for each in (traces, layout))
    return (
        f'<div id="plot-{number}"></div>'
        f'<script>Plotly.newPlot("plot-{number}", {data}, {shape})</script>'
    )
