"""When a run ends by itself."""

from __future__ import annotations

from mesh.core.stopping import RunProgress, StopRules


def reason(
    rules: StopRules, unique_total: int = 0, cost_usd: float = 0.0, start_elapsed_s: float = 0.0
) -> str | None:
    return rules.reason_to_stop(RunProgress(unique_total, cost_usd, start_elapsed_s))


def test_without_bounds_a_run_goes_on() -> None:
    assert reason(StopRules(), 10**9, 10**9, 10**9) is None


def test_the_target_stops_when_reached_and_not_before() -> None:
    rules = StopRules(target=300)
    assert reason(rules, unique_total=299) is None
    assert reason(rules, unique_total=300) == "target of 300 entries reached"
    assert reason(rules, unique_total=312) == "target of 300 entries reached"


def test_the_budget_stops_when_spent_and_not_before() -> None:
    rules = StopRules(budget_usd=1.0)
    assert reason(rules, cost_usd=0.999) is None
    assert reason(rules, cost_usd=1.0) == "budget of $1.00 spent"


def test_the_time_limit_stops_when_reached_and_not_before() -> None:
    rules = StopRules(time_limit_s=2.5)
    assert reason(rules, start_elapsed_s=2.49) is None
    assert reason(rules, start_elapsed_s=2.5) == "time limit of 2.5 s reached"


def test_a_budget_stops_when_it_does_not_pay_for_one_more_call() -> None:
    rules = StopRules(budget_usd=1.0)
    assert rules.reason_to_stop(RunProgress(5, 0.9871, 1.0, unpaid_call_usd=0.0213)) == (
        "budget of $1.00 spent but for $0.013: one more call may cost $0.021"
    )
    assert rules.reason_to_stop(RunProgress(0, 0.0, 1.0, unpaid_call_usd=1.5)) == (
        "budget of $1.00 pays for no call: one may cost $1.50"
    )
    assert StopRules().reason_to_stop(RunProgress(5, 0.9, 1.0, unpaid_call_usd=0.2)) is None


def test_money_that_nobody_can_use_any_more_is_told_apart() -> None:
    reason = StopRules(budget_usd=1.0).reason_to_stop(RunProgress(5, 0.7, 1.0, unpaid_call_usd=0.1))
    assert reason == (
        "budget of $1.00 spent but for $0.30: it is held for calls that were cut off or by "
        "producers that are gone"
    )


def test_entries_that_have_become_too_dear_stop_a_run() -> None:
    rules = StopRules(max_cost_per_item_usd=0.002)
    assert rules.reason_to_stop(RunProgress(5, 0.9, 1.0)) is None
    assert rules.reason_to_stop(RunProgress(5, 0.9, 1.0, item_cost_usd=0.002)) is None
    assert rules.reason_to_stop(RunProgress(5, 0.9, 1.0, item_cost_usd=0.00234)) == (
        "one more new entry is expected to cost $0.0023, more than $0.002"
    )
    assert StopRules().reason_to_stop(RunProgress(5, 0.9, 1.0, item_cost_usd=9.0)) is None


def test_an_exhausted_topic_stops_a_run() -> None:
    progress = RunProgress(5, 0.9, 1.0, exhausted="exhausted: nothing new")
    assert StopRules().reason_to_stop(progress) == "exhausted: nothing new"


def test_a_budget_of_nothing_allows_nothing() -> None:
    assert reason(StopRules(budget_usd=0.0)) == "budget of $0.00 spent"


def test_of_several_reasons_the_best_news_is_told() -> None:
    rules = StopRules(target=1, budget_usd=1.0, time_limit_s=1.0)
    assert reason(rules, 5, 5.0, 5.0) == "target of 1 entries reached"
