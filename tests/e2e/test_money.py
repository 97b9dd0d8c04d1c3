"""Money, with processes that are killed: what a provider's books say against run.sqlite."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.running import Run, eventually, node_process, start_run
from tests.patience import PATIENCE_S

PRICES = {"atlas": (0.3, 0.15, 1.2), "swift": (0.15, 0.075, 0.6)}
"""Dollars for a million tokens of input, cached input, output."""
BUDGET_USD = 0.03
EXACT_USD = 1e-9


@dataclass(frozen=True, slots=True)
class Ledger:
    """What run.sqlite says."""

    completed: Counter[tuple[str, int, int, int, float]]
    """(model, input, cached input, output tokens, dollars) of calls whose usage was reported."""
    total_usd: float
    """Known costs, and what calls may have cost besides whose end was never said."""
    cut_reserved_usd: float
    """Reserved for calls whose cost is an estimate or unknown."""


def start_priced_run(directory: Path, url: str, *words: str) -> Run:
    """A run of models on a private server, priced by a config file."""
    specs = {f"{name}@{url}/v1": prices for name, prices in PRICES.items()}
    lines = [
        f"prices.{json.dumps(spec)} = {{ input = {read}, cached_input = {cached}, output = {out} }}"
        for spec, (read, cached, out) in specs.items()
    ]
    (directory / "prices.toml").write_text("\n".join(lines))
    models = [word for spec in specs for word in ("--model", spec)]
    return start_run(directory, "Paris attractions", "--config", "prices.toml", *models, *words)


def books_of(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/books/calls", timeout=PATIENCE_S) as answer:
        calls: list[dict[str, Any]] = json.load(answer)["calls"]
    return calls


def billed(call: dict[str, Any]) -> float:
    read, cached, written = PRICES[call["model"]]
    uncached = call["input_tokens"] - call["cached_input_tokens"]
    dollars = uncached * read + call["cached_input_tokens"] * cached
    return float(dollars + call["output_tokens"] * written) / 1e6


def ledger_of(run: Run) -> Ledger:
    rows = run.query(
        "SELECT model, input_tokens, cached_input_tokens, output_tokens, cost_usd, "
        "reserved_usd, outcome IS NOT NULL AND NOT estimated FROM calls"
    )
    assert all(row[5] is not None for row in rows), "each call was reserved for"
    known = [row for row in rows if row[6]]
    return Ledger(
        Counter((row[0].partition("@")[0], *row[1:4], round(row[4], 9)) for row in known),
        sum(row[5] if row[4] is None else row[4] for row in rows),
        sum(row[5] for row in rows if not row[6]),
    )


def test_killed_processes_spend_no_more_than_the_budget_and_the_ledger_equals_the_books(
    tmp_path: Path, simulator_url: str
) -> None:
    run = start_priced_run(tmp_path, simulator_url, "--peers", "3", "--budget-usd", str(BUDGET_USD))
    victims = ("producer-1", "collector", "producer-2", "producer-1")
    for number, victim in enumerate(victims, 1):
        eventually(lambda: len(books_of(simulator_url)) >= 3 * number, "calls")  # noqa: B023
        node_process(run, victim).kill()
    assert run.wait() == 0, run.said
    calls = books_of(simulator_url)
    books = Counter(
        (
            call["model"],
            call["input_tokens"],
            call["cached_input_tokens"],
            call["output_tokens"],
            round(billed(call), 9),
        )
        for call in calls
    )
    ledger, billed_usd = ledger_of(run), sum(map(billed, calls))
    assert billed_usd <= BUDGET_USD
    assert ledger.total_usd <= BUDGET_USD + EXACT_USD
    # Calls that failed cost nothing and are in no book.
    assert {each for each in ledger.completed - books if each[4]} == set()
    assert billed_usd - EXACT_USD <= ledger.total_usd
    assert ledger.total_usd - billed_usd <= ledger.cut_reserved_usd + EXACT_USD


def test_a_public_server_without_a_price_is_refused_with_the_line_to_write(tmp_path: Path) -> None:
    run = start_run(
        tmp_path,
        "Birds",
        "--model",
        "llama@https://llm.example.com/v1",
        "--budget-usd",
        "1",
    )
    assert run.wait() == 2
    assert 'prices."llama@https://llm.example.com/v1" = { input = 0.15, output = 0.60 }' in run.said


def test_a_run_stops_when_entries_become_too_dear(tmp_path: Path, simulator_url: str) -> None:
    run = start_priced_run(
        tmp_path, simulator_url, "--peers", "2", "--max-cost-per-item", "0.0000001"
    )
    assert run.wait() == 0
    assert "one more new entry is expected to cost $0.00" in run.said
    reason = run.query("SELECT value FROM meta WHERE name = 'stop_reason'")[0][0]
    assert reason in run.said
    assert run.said.count("for each 100 entries at these prices") == 1
