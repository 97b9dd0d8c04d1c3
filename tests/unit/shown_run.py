"""A run as `/api/metrics` tells it, and how live lines come out on a terminal of some size."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console


def model_row(model: str = "openai:a", **changes: Any) -> dict[str, Any]:
    row = {
        "model": model,
        "unique_total": 500,
        "unique_last_minute": 400,
        "generated_total": 560,
        "duplicates_total": 58,
        "rejected_total": 2,
        "calls_total": 14,
        "calls_failed": 1,
        "input_tokens": 9_000,
        "cached_input_tokens": 4_000,
        "output_tokens": 3_000,
        "cost_usd": 0.01,
        "latency_s_p50": 1.2,
    }
    return row | changes


def metrics(**changes: Any) -> dict[str, Any]:
    shape = {
        "topic": "Paris attractions",
        "state": "running",
        "stop_reason": None,
        "simulated": False,
        "elapsed_s": 12.5,
        "unique_total": 812,
        "unique_last_minute": 640,
        "generated_total": 900,
        "duplicates_total": 85,
        "rejected_total": 3,
        "duplicate_rate": 0.0944,
        "cost_usd": 0.0123,
        "cost_complete": True,
        "budget_usd": 1.0,
        "models": [
            model_row("openai:b", unique_total=312, unique_last_minute=240, cost_usd=0.0023),
            model_row("openai:a"),
        ],
        "mesh": {"converged": True, "missing_entries": 0, "peers_alive": 5},
        "run_dir": "runs/paris-attractions-0c5a1e",
        "reopen_command": "python run_mesh.py view runs/paris-attractions-0c5a1e",
        "target": None,
        "notices": [],
    }
    return shape | changes


def drawn(block: Any, width: int = 120, height: int = 25) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(block)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
