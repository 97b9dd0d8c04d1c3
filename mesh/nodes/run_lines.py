"""A run in words, for the terminal: one plain line, the closing summary, and what they belong to.

Pure: metrics in the shape of `/api/metrics` in, text out. Topics, model names and reasons come
from outside: they are shown as text, without control characters, and never read as markup.
"""

from __future__ import annotations

from pathlib import Path

from mesh.nodes.run_live import live_block
from mesh.nodes.run_remarks import run_remarks
from mesh.nodes.run_words import (
    MODELS_SHOWN_MAX,
    Metrics,
    all_models,
    amount,
    calls_words,
    cost_words,
    duration,
    figures,
    forecast_words,
    mesh_words,
    most_fruitful_first,
    peers_words,
    percent,
    simulated_words,
    state_words,
)
from mesh.nodes.terminal import Lines, shown


def plain_line(metrics: Metrics) -> str:
    """The run in one line.

    Example: `running (simulated), 12 s: 812 found, 640 in the last minute, 9.4 % duplicates,
    $0.0123 of $1.00, 5 peers [openai:a 500, openai:b 312]`.
    """
    words = figures(metrics)
    peers_alive = metrics.get("mesh", {}).get("peers_alive")
    if peers_alive is not None:
        words.append(peers_words(peers_alive))
    return shown(f"{_head(metrics)}: {', '.join(words)}{_models(metrics)}")


def explained_plain_line(metrics: Metrics) -> str:
    """The same with calls, what is expected, and how the mesh does, for `-v`.

    Example: `running, 12 s: 812 found, 640 in the last minute, 9.4 % duplicates, $0.0123 of $1.00;
    28 calls (2 failed); target in about 3 min; mesh: 5 peers, converged, propagation 2 ms
    (p99 14 ms) [openai:a 500, openai:b 312]`.
    """
    calls = all_models(metrics)
    failed = f" ({calls['calls_failed']:,} failed)" if calls["calls_failed"] else ""
    parts = [", ".join(figures(metrics)), f"{calls['calls_total']:,} calls{failed}"]
    if expected := forecast_words(metrics):
        parts.append(", ".join(expected))
    if mesh := mesh_words(metrics):
        parts.append(f"mesh: {', '.join(mesh)}")
    return shown(f"{_head(metrics)}: {'; '.join(parts)}{_models(metrics)}")


def summary_lines(metrics: Metrics, *, output: Path) -> list[str]:
    """What the run came to, for its end; nothing when there are no metrics.

    Args:
        metrics: the last ones; `run_dir` and `reopen_command` say how to go on.
        output: where the entries are.
    """
    if not metrics:
        return []
    reason = metrics.get("stop_reason") or "stopped"
    models = most_fruitful_first(metrics)
    lines = [
        f"{metrics['topic']}: {metrics['unique_total']:,} entries{simulated_words(metrics)}",
        f"  ended       {reason}, after {duration(metrics)}",
        f"  found       {metrics['unique_total']:,} of {metrics['generated_total']:,} written; "
        f"{metrics['duplicates_total']:,} duplicates ({percent(metrics['duplicate_rate'])}), "
        f"{metrics['rejected_total']:,} rejected",
    ]
    lines += [f"    {_model_summary(row)}" for row in models[:MODELS_SHOWN_MAX]]
    lines += [
        f"  calls       {_calls_and_tokens(all_models(metrics))}",
        f"  cost        {cost_words(metrics).removeprefix('cost ')}{_cost_of_100(metrics)}",
        f"  mesh        {_mesh_at_end(metrics)}",
        f"  entries     {output}",
    ]
    if metrics.get("run_dir"):
        lines.append(f"  run         {metrics['run_dir']} (the same command continues it)")
    if metrics.get("reopen_command"):
        lines.append(f"  page again  {metrics['reopen_command']}")
    return [shown(line) for line in lines]


def _head(metrics: Metrics) -> str:
    return f"{state_words(metrics)}, {duration(metrics)}"


def _models(metrics: Metrics) -> str:
    models = [f"{row['model']} {row['unique_total']:,}" for row in most_fruitful_first(metrics)]
    return f" [{', '.join(models)}]" if models else ""


def _mesh_at_end(metrics: Metrics) -> str:
    mesh = metrics.get("mesh", {})
    if mesh.get("converged") and not mesh.get("peers_alive"):
        return "complete: the collector holds everything that was said"
    if mesh.get("converged"):
        return "converged: all know the same entries"
    return f"not converged: {mesh.get('missing_entries', 'unknown')} log entries missing somewhere"


def _cost_of_100(metrics: Metrics) -> str:
    """What 100 entries cost, and what calls may have cost besides whose end nobody knows."""
    cost_usd, reserved_usd = metrics.get("cost_per_100_unique_usd"), metrics.get("reserved_usd")
    each = f"; {amount(cost_usd)} for each 100 unique" if cost_usd else ""
    cut = f"; up to {amount(reserved_usd)} more for calls that were cut off" if reserved_usd else ""
    return each + cut


def _calls_and_tokens(row: Metrics) -> str:
    return (
        f"{calls_words(row)}; tokens {row['input_tokens']:,} in "
        f"({row['cached_input_tokens']:,} cached), {row['output_tokens']:,} out"
    )


def _model_summary(row: Metrics) -> str:
    return (
        f"{row['model']}: found {row['unique_total']:,}, duplicates {row['duplicates_total']:,}, "
        f"calls {calls_words(row)}, cost {amount(row['cost_usd'])}"
    )


def _milestone(metrics: Metrics) -> object:
    return metrics.get("state"), metrics.get("stop_reason")


RUN_LINES = Lines(
    plain=plain_line,
    live=live_block,
    milestone=_milestone,
    plain_explained=explained_plain_line,
    remarks=run_remarks,
)
