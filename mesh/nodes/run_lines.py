"""A run in words, for the terminal: one plain line, a few live ones, the closing summary.

Pure: metrics in the shape of `/api/metrics` in, text out. Topics, model names and reasons come
from outside: they are shown as text, without control characters, and never read as markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.core.stopping import dollars
from mesh.nodes.terminal import Lines, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

Metrics = Mapping[str, Any]
"""What `/api/metrics` answers, or {} before there are any."""

MODELS_SHOWN_MAX = 12
"""Rows of the live table and of the summary; more models are counted only."""
NOTICES_SHOWN_MAX = 4


def plain_line(metrics: Metrics) -> str:
    """The run in one line.

    Example: `running (simulated), 12 s: 812 found, 640 in the last minute, 9.4 % duplicates,
    $0.0123 of $1.00, 5 peers [openai:a 500, openai:b 312]`.
    """
    models = [f"{row['model']} {row['unique_total']:,}" for row in _rows(metrics)]
    return shown(
        f"{_state(metrics)}, {_duration(metrics)}: {', '.join(_figures(metrics))}"
        + (f" [{', '.join(models)}]" if models else "")
    )


def summary_lines(metrics: Metrics, *, output: Path) -> list[str]:
    """What the run came to, for its end; nothing when there are no metrics.

    Args:
        metrics: the last ones; `run_dir` and `reopen_command` say how to go on.
        output: where the entries are.
    """
    if not metrics:
        return []
    reason = metrics.get("stop_reason") or "stopped"
    models = _rows(metrics)
    lines = [
        f"{metrics['topic']}: {metrics['unique_total']:,} entries{_simulated(metrics)}",
        f"  ended       {reason}, after {_duration(metrics)}",
        f"  found       {metrics['unique_total']:,} of {metrics['generated_total']:,} written; "
        f"{metrics['duplicates_total']:,} duplicates ({_percent(metrics['duplicate_rate'])}), "
        f"{metrics['rejected_total']:,} rejected",
    ]
    lines += [f"    {_model_summary(row)}" for row in models[:MODELS_SHOWN_MAX]]
    lines += [
        f"  calls       {_calls_and_tokens(_all_models(metrics))}",
        f"  cost        {_cost(metrics).removeprefix('cost ')}{_cost_of_100(metrics)}",
        f"  mesh        {_mesh(metrics)}",
        f"  entries     {output}",
    ]
    if metrics.get("run_dir"):
        lines.append(f"  run         {metrics['run_dir']} (the same command continues it)")
    if metrics.get("reopen_command"):
        lines.append(f"  page again  {metrics['reopen_command']}")
    return [shown(line) for line in lines]


def live_block(metrics: Metrics, page_url: str | None = None) -> RenderableType:
    """The live lines, as rich draws them."""
    from rich.console import Group
    from rich.text import Text

    head = Text.assemble(
        (shown(metrics["topic"]), "bold"), "  ", shown(metrics["state"]), no_wrap=True
    )
    if metrics.get("stop_reason"):
        head.append(f": {shown(metrics['stop_reason'])}")
    if metrics.get("simulated"):
        head.append("  ").append(" SIMULATED ", "black on yellow")
    head.append(f"  {_duration(metrics)}", "dim")
    parts: list[RenderableType] = [head, Text("  ".join(_figures(metrics)), style="bold green")]
    parts.append(_model_table(metrics))
    for notice in list(metrics.get("notices", ()))[:NOTICES_SHOWN_MAX]:
        parts.append(Text(shown(notice), style="yellow"))
    foot = f"page {page_url}  " if page_url else ""
    parts.append(Text(shown(f"{foot}Ctrl-C stops"), style="dim"))
    return Group(*parts)


def _model_table(metrics: Metrics) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("model", no_wrap=True, overflow="ellipsis")
    for heading in ("found", "last minute", "duplicates", "calls", "cost"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = _rows(metrics)
    for row in rows[:MODELS_SHOWN_MAX]:
        cells = (
            row["model"],
            f"{row['unique_total']:,}",
            f"{row['unique_last_minute']:,}",
            f"{row['duplicates_total']:,}",
            _calls(row),
            _dollars(row["cost_usd"]),
        )
        table.add_row(*(Text(shown(cell)) for cell in cells))
    if len(rows) > MODELS_SHOWN_MAX:
        table.add_row(Text(f"and {len(rows) - MODELS_SHOWN_MAX} more"))
    return table


def _figures(metrics: Metrics) -> list[str]:
    """The figures that matter while a run goes on, in words."""
    found, target = f"{metrics['unique_total']:,}", metrics.get("target")
    if target and target > metrics["unique_total"]:
        found = f"{found} of {target:,}"
    figures = [
        f"{found} found",
        f"{metrics['unique_last_minute']:,} in the last minute",
        f"{_percent(metrics['duplicate_rate'])} duplicates",
        _cost(metrics),
    ]
    peers_alive = metrics.get("mesh", {}).get("peers_alive")
    return (
        figures
        if peers_alive is None
        else [*figures, f"{peers_alive} peer{'' if peers_alive == 1 else 's'}"]
    )


def _state(metrics: Metrics) -> str:
    reason = f": {metrics['stop_reason']}" if metrics.get("stop_reason") else ""
    return f"{metrics['state']}{_simulated(metrics)}{reason}"


def _simulated(metrics: Metrics) -> str:
    return " (simulated)" if metrics.get("simulated") else ""


def _mesh(metrics: Metrics) -> str:
    mesh = metrics.get("mesh", {})
    if mesh.get("converged") and not mesh.get("peers_alive"):
        return "complete: the collector holds everything that was said"
    if mesh.get("converged"):
        return "converged: all know the same entries"
    return f"not converged: {mesh.get('missing_entries', 'unknown')} log entries missing somewhere"


def _cost(metrics: Metrics) -> str:
    """What was spent, of what may be; what is not known is said to be so."""
    known = metrics["cost_usd"]
    if metrics["cost_complete"]:
        spent = _dollars(known)
    else:
        spent = f"more than {_dollars(known)} (prices unknown)" if known else "cost unknown"
    budget = metrics.get("budget_usd")
    play = " in play money" if metrics.get("simulated") else ""
    return spent + (f" of {dollars(budget)}" if budget is not None else "") + play


def _cost_of_100(metrics: Metrics) -> str:
    """What 100 entries cost, and what calls may have cost besides whose end nobody knows."""
    cost_usd, reserved_usd = metrics.get("cost_per_100_unique_usd"), metrics.get("reserved_usd")
    each = f"; {_dollars(cost_usd)} for each 100 unique" if cost_usd else ""
    cut = (
        f"; up to {_dollars(reserved_usd)} more for calls that were cut off" if reserved_usd else ""
    )
    return each + cut


def _dollars(amount: float | None) -> str:
    """Example: $0.0123, $12.50; unknown where the price is."""
    if amount is None:
        return "unknown"
    return f"${amount:.4f}" if amount < 1 else f"${amount:,.2f}"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _duration(metrics: Metrics) -> str:
    """Example: 12 s, 3:05 min, 1:02:03 h."""
    minutes, seconds = divmod(int(metrics["elapsed_s"]), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02} h"
    return f"{minutes}:{seconds:02} min" if minutes else f"{seconds} s"


def _rows(metrics: Metrics) -> list[Metrics]:
    """The models, the most fruitful first."""
    return sorted(
        metrics.get("models", ()), key=lambda row: (-int(row["unique_total"]), str(row["model"]))
    )


def _all_models(metrics: Metrics) -> dict[str, int]:
    """Calls and tokens of all models together."""
    names = (
        "calls_total", "calls_failed", "input_tokens", "cached_input_tokens", "output_tokens"
    )  # fmt: skip
    return {name: sum(int(row[name]) for row in metrics.get("models", ())) for name in names}


def _calls(row: Metrics) -> str:
    """Example: `14 (1 failed)`."""
    failed = f" ({row['calls_failed']:,} failed)" if row["calls_failed"] else ""
    return f"{row['calls_total']:,}{failed}"


def _calls_and_tokens(row: Metrics) -> str:
    return (
        f"{_calls(row)}; tokens {row['input_tokens']:,} in "
        f"({row['cached_input_tokens']:,} cached), {row['output_tokens']:,} out"
    )


def _model_summary(row: Metrics) -> str:
    return (
        f"{row['model']}: found {row['unique_total']:,}, duplicates {row['duplicates_total']:,}, "
        f"calls {_calls(row)}, cost {_dollars(row['cost_usd'])}"
    )


def _milestone(metrics: Metrics) -> object:
    return metrics.get("state"), metrics.get("stop_reason")


RUN_LINES = Lines(plain=plain_line, live=live_block, milestone=_milestone)
