"""Budgets in the whole mesh under seeded faults: nothing is spent beyond, nothing is forgotten."""

from __future__ import annotations

import dataclasses
import os

from tests.simulation.auditing import audit, audit_seeds
from tests.simulation.scenarios import COLLECTOR, Fault, FaultKind
from tests.simulation.spending import draw_spending

SEEDS = 12
OLD_COPY_SEEDS = 8


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


def test_a_collector_from_an_old_copy_grants_nothing_before_it_has_heard_its_own_past() -> None:
    """Twice its run.sqlite is replaced by one from before most grants were made, while producers
    spend and ask for more."""
    copied_s = 0.4
    faults = tuple(
        Fault(at_s, FaultKind.OLD_COPY, 0.2, COLLECTOR, amount=at_s - copied_s)
        for at_s in (1.2, 3.2)
    )
    for seed in range(OLD_COPY_SEEDS):
        scenario, budget_usd = draw_spending(seed)
        scenario = dataclasses.replace(scenario, faults=faults, heal_s=5.5)
        audited = audit(scenario, budget_usd / 2)
        assert audited.violation is None, audited
        assert audited.crashes == len(faults)
