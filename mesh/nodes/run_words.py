"""Phrases about a run that its plain lines, live lines, remarks and summary share.

Pure: metrics in the shape of `/api/metrics` in, text out. Who shows a phrase that holds something
from outside (a topic, a model's name, a reason) passes it through `shown`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mesh.core.stopping import dollars

Metrics = Mapping[str, Any]
"""What `/api/metrics` answers, or {} before there are any."""

MODELS_SHOWN_MAX = 12
"""Rows of the summary; more models are counted only."""


def state_words(metrics: Metrics) -> str:
    """Example: `draining (simulated): stopped by Ctrl-C`."""
    reason = f": {metrics['stop_reason']}" if metrics.get("stop_reason") else ""
    return f"{metrics['state']}{simulated_words(metrics)}{reason}"


def simulated_words(metrics: Metrics) -> str:
    return " (simulated)" if metrics.get("simulated") else ""


def figures(metrics: Metrics, *, short: bool = False) -> list[str]:
    """The figures that matter while a run goes on, the most important first.

    Args:
        short: for few columns; none is longer than 20 characters as long as numbers are small.
    """
    found, target = f"{metrics['unique_total']:,}", metrics.get("target")
    if target and target > metrics["unique_total"]:
        found = f"{found} of {target:,}"
    return [
        f"{found} found",
        f"{metrics['unique_last_minute']:,} {'last min' if short else 'in the last minute'}",
        f"{percent(metrics['duplicate_rate'])} {'dup' if short else 'duplicates'}",
        short_cost_words(metrics) if short else cost_words(metrics),
    ]


def forecast_words(metrics: Metrics, *, short: bool = False) -> list[str]:
    """When the run is expected to reach its target or its budget, whichever is sooner.

    Example: `["target in about 3 min", "slowing"]`; [] where nothing is expected, or no more.
    """
    forecast = metrics.get("forecast")
    if not forecast or metrics["state"] not in ("starting", "running"):
        return []
    ends = {"target": forecast.get("target_s"), "budget": forecast.get("budget_s")}
    known = {
        end: wait_s for end, wait_s in ends.items() if wait_s is not None and math.isfinite(wait_s)
    }
    words = []
    if known:
        sooner = min(known, key=lambda end: known[end])
        wait = span(known[sooner])
        words.append(f"{sooner} ~{wait}" if short else f"{_EXPECTED[sooner]} in about {wait}")
    reach, target = forecast.get("reach"), metrics.get("target")
    if reach is not None and (target is None or reach < target):
        words.append(f"~{reach:,} in all" if short else f"about {reach:,} in all")
    if forecast.get("slowing"):
        words.append("slowing")
    return words


_EXPECTED = {"target": "target", "budget": "budget spent"}


def mesh_words(metrics: Metrics, *, short: bool = False) -> list[str]:
    """Who is there and what is known to all; [] before anything is known of the mesh.

    Example: `["5 peers", "converged", "propagation 2 ms (p99 14 ms)"]`.
    """
    mesh = metrics.get("mesh", {})
    words = []
    if (peers := mesh.get("peers_alive")) is not None:
        words.append(peers_words(peers))
    if "converged" in mesh:
        missing = mesh.get("missing_entries") or 0
        apart = f"{missing:,} missing" if short else f"{missing:,} log entries missing somewhere"
        words.append("converged" if mesh["converged"] else apart if missing else "not converged")
    if (p50 := mesh.get("propagation_ms_p50")) is not None:
        p99 = mesh.get("propagation_ms_p99")
        worst = "" if p99 is None or short else f" (p99 {p99:.0f} ms)"
        words.append(f"{'' if short else 'propagation '}{p50:.0f} ms{worst}")
    if lost := mesh.get("lost_entries"):
        words.append(f"{lost:,} lost")
    if refused := sum(mesh.get("refused", {}).values()):
        words.append(f"{refused:,} kept out")
    return words


def peers_words(count: int) -> str:
    return f"{count} peer{'' if count == 1 else 's'}"


def cost_words(metrics: Metrics) -> str:
    """What was spent, of what may be; what is not known is said to be so."""
    known = metrics["cost_usd"]
    if metrics["cost_complete"]:
        spent = amount(known)
    else:
        spent = f"more than {amount(known)} (prices unknown)" if known else "cost unknown"
    return spent + _of_budget(metrics) + (" in play money" if metrics.get("simulated") else "")


def short_cost_words(metrics: Metrics) -> str:
    known = metrics["cost_usd"]
    unknown = f">{amount(known)}" if known else "cost unknown"
    return (amount(known) if metrics["cost_complete"] else unknown) + _of_budget(metrics)


def _of_budget(metrics: Metrics) -> str:
    budget = metrics.get("budget_usd")
    return f" of {dollars(budget)}" if budget is not None else ""


def amount(usd: float | None) -> str:
    """Example: $0.0123, $12.50; unknown where the price is."""
    if usd is None:
        return "unknown"
    return f"${usd:.4f}" if usd < 1 else f"${usd:,.2f}"


def percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def duration(metrics: Metrics) -> str:
    """Example: 12 s, 3:05 min, 1:02:03 h."""
    minutes, seconds = divmod(int(metrics["elapsed_s"]), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02} h"
    return f"{minutes}:{seconds:02} min" if minutes else f"{seconds} s"


def span(wait_s: float) -> str:
    """A time that is only expected, no more exact than that: 5 s, 40 s, 3 min, 2 h, 4 days."""
    if wait_s < 57.5:
        return f"{max(5, 5 * round(wait_s / 5))} s"
    for unit_s, unit in ((60, "min"), (3_600, "h")):
        if wait_s < 90 * unit_s:
            return f"{max(1, round(wait_s / unit_s))} {unit}"
    return f"{round(wait_s / 86_400):,} days"


def calls_words(row: Metrics) -> str:
    """Example: `14 (1 failed)`."""
    failed = f" ({row['calls_failed']:,} failed)" if row["calls_failed"] else ""
    return f"{row['calls_total']:,}{failed}"


def most_fruitful_first(metrics: Metrics) -> list[Metrics]:
    """The models."""
    return sorted(
        metrics.get("models", ()), key=lambda row: (-int(row["unique_total"]), str(row["model"]))
    )


def all_models(metrics: Metrics) -> dict[str, int]:
    """Calls and tokens of all models together."""
    names = (
        "calls_total", "calls_failed", "input_tokens", "cached_input_tokens", "output_tokens"
    )  # fmt: skip
    return {name: sum(int(row[name]) for row in metrics.get("models", ())) for name in names}
