"""Budgets under crashes: what providers bill against the budget, and against the ledger.

Meshes in memory, seeded (tests/simulation/spending.py): producers that spend through the real
purses, treasury and logs, collectors and producers that crash, lose power, are cut off or are
replaced by old copies of themselves, and a provider whose books are the truth. Billed must never
be more than the budget; the ledger equals the books for every completed call and is never below
them in all, too much by no more than was reserved for calls that were cut.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.reporting import Report, parse_options
from tests.simulation.auditing import Audit, audit_seeds

RUNS = 100
RUNS_QUICK = 20
FIRST_SEED = 10_000
"""Others than those of the tests."""
VIOLATIONS_PRINTED_MAX = 10
TARGETS = {
    "violations_count": "0",
    "billed_of_budget_max_ratio": "<= 1",
    "completed_call_difference_max_usd": "<= 1e-9",
    "ledger_above_books_min_usd": ">= 0",
}


def figures(audits: list[Audit]) -> dict[str, float]:
    whole = [audit for audit in audits if not (audit.lost_places or audit.violation)]
    excess = [audit.ledger_usd - audit.billed_usd for audit in whole]
    shares = sorted(audit.ledger_usd / audit.budget_usd for audit in audits)
    return {
        "runs_count": len(audits),
        "violations_count": sum(audit.violation is not None for audit in audits),
        "crashes_count": sum(audit.crashes for audit in audits),
        "calls_count": sum(audit.calls for audit in audits),
        "calls_completed_count": sum(audit.completed_calls for audit in audits),
        "calls_cut_count": sum(audit.cut_calls for audit in audits),
        "runs_compared_whole_count": len(whole),
        "billed_of_budget_max_ratio": max(audit.billed_usd / audit.budget_usd for audit in audits),
        "ledger_of_budget_p50_ratio": shares[len(shares) // 2],
        "completed_call_difference_max_usd": max(a.largest_difference_usd for a in audits),
        "ledger_above_books_min_usd": min(excess, default=0.0),
        "ledger_above_books_max_usd": max(excess, default=0.0),
    }


def main() -> int:
    options = parse_options(__doc__ or "")
    count = RUNS_QUICK if options.quick else RUNS
    first_seed = FIRST_SEED + options.seed
    report = Report("budget", {"seed": options.seed, "first_run": first_seed})
    seeds = range(first_seed, first_seed + count)
    audits = list(audit_seeds(seeds, processes=os.cpu_count() or 1))
    for audit in [each for each in audits if each.violation][:VIOLATIONS_PRINTED_MAX]:
        print(f"seed {audit.seed}: {audit.violation}")
    for name, value in figures(audits).items():
        report.add(name, value, target=TARGETS.get(name, ""))
    report.print(as_json=options.as_json)
    return int(any(audit.violation for audit in audits))


if __name__ == "__main__":
    sys.exit(main())
