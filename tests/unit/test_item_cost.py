"""What the next new entry is expected to cost."""

from __future__ import annotations

import pytest

from mesh.core.item_cost import CALLS_MIN, WINDOW_CALLS, ItemCost


def after(*calls: tuple[float | None, int]) -> float | None:
    cost = ItemCost()
    for cost_usd, accepted_count in calls:
        cost.call_finished(cost_usd, accepted_count)
    return cost.expected_usd


def test_few_calls_say_nothing() -> None:
    assert after(*[(0.01, 0)] * (CALLS_MIN - 1)) is None
    assert after(*[(0.01, 2)] * CALLS_MIN) == pytest.approx(0.005)


def test_calls_that_brought_nothing_are_paid_for_too() -> None:
    assert after(*[(0.01, 4), (0.01, 0)] * CALLS_MIN) == pytest.approx(0.005)


def test_where_nothing_new_is_found_an_entry_costs_all_that_was_spent() -> None:
    assert after(*[(0.01, 0)] * CALLS_MIN) == pytest.approx(0.01 * CALLS_MIN)


def test_calls_of_long_ago_are_forgotten() -> None:
    assert after(*[(0.01, 100)] * 50, *[(0.01, 1)] * WINDOW_CALLS) == pytest.approx(0.01)


def test_calls_that_nobody_bills_for_cost_nothing() -> None:
    assert after(*[(None, 1)] * CALLS_MIN) == 0.0
