"""Budgets in the whole mesh under seeded faults: nothing is spent beyond, nothing is forgotten."""

from __future__ import annotations

import os

import pytest

from tests.simulation.auditing import audit_seeds

SEEDS = 12


@pytest.mark.timeout(300)
def test_whatever_crashes_no_more_is_billed_than_the_budget_and_the_ledger_equals_the_books() -> (
    None
):
    """A command runs more: python bench/budget.py."""
    audits = list(audit_seeds(range(SEEDS), processes=os.cpu_count() or 1))
    assert [audit for audit in audits if audit.violation is not None] == []
    # It was put to the test: most budgets were nearly spent, among crashes, calls were cut, and
    # most ledgers could be compared whole.
    assert sum(audit.ledger_usd > 0.7 * audit.budget_usd for audit in audits) >= SEEDS / 2
    assert sum(audit.crashes for audit in audits) >= SEEDS
    assert sum(audit.cut_calls for audit in audits) >= SEEDS
    assert sum(not audit.lost_places for audit in audits) >= SEEDS * 0.8
    assert sum(audit.completed_calls for audit in audits) >= 5 * SEEDS
