"""The numbers that page, terminal and API show."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.accounts import CallRow
from mesh.core.entries import CallFinished
from mesh.core.items import LogId, NodeId
from mesh.core.metrics import (
    HISTORY_POINTS_MAX,
    LAST_ERROR_CHARACTERS_MAX,
    LATENCIES_MAX,
    WINDOW_S,
    HistoryPoint,
    ModelCounts,
    RunMetrics,
    percentile,
)


def call(
    model: str = "atlas", outcome: str = "ok", cost_usd: float | None = 0.01, **changes: Any
) -> CallFinished:
    values: dict[str, Any] = {
        "call": 1,
        "error": None,
        "input_tokens": 100,
        "cached_input_tokens": 40,
        "output_tokens": 20,
        "reasoning_tokens": 0,
        "estimated": False,
        "latency_s": 1.5,
        "first_token_s": 0.2,
        **changes,
    }
    return CallFinished(model=model, outcome=outcome, cost_usd=cost_usd, **values)


def of_model(metrics: RunMetrics, model: str, t_s: float = 0.0) -> dict[str, Any]:
    rows: list[dict[str, Any]] = metrics.snapshot(t_s)["models"]
    return next(row for row in rows if row["model"] == model)


def test_the_last_minute_ends_sharply() -> None:
    metrics = RunMetrics()
    metrics.count_unique("atlas", 3, t_s=10.0)
    metrics.count_unique("atlas", 2, t_s=20.0)
    in_last_minute = [
        metrics.snapshot(t_s)["unique_last_minute"]
        for t_s in (20.0, 10.0 + WINDOW_S - 0.01, 10.0 + WINDOW_S, 20.0 + WINDOW_S)
    ]
    assert in_last_minute == [5, 5, 2, 0]
    assert metrics.snapshot(1000.0)["unique_total"] == 5


def test_the_last_minute_is_kept_per_model_and_adds_up() -> None:
    metrics = RunMetrics()
    metrics.count_unique("atlas", 3, t_s=10.0)
    metrics.count_unique("sonata", 4, t_s=40.0)
    snapshot = metrics.snapshot(75.0)
    assert {row["model"]: row["unique_last_minute"] for row in snapshot["models"]} == {
        "atlas": 0,
        "sonata": 4,
    }
    assert snapshot["unique_last_minute"] == 4


def test_entries_put_back_after_a_restart_fill_the_minute_and_are_not_counted_again() -> None:
    metrics = RunMetrics()
    metrics.of("atlas").unique = 7
    metrics.restore_window("atlas", 3, t_s=55.0)
    snapshot = metrics.snapshot(60.0)
    assert (snapshot["unique_total"], snapshot["unique_last_minute"]) == (7, 3)


COUNTS = st.dictionaries(
    st.sampled_from(["atlas", "sonata", "swift"]), st.tuples(*[st.integers(0, 1000)] * 3)
)


@given(COUNTS)
def test_everything_generated_is_unique_duplicate_or_rejected(
    counts: dict[str, tuple[int, int, int]],
) -> None:
    metrics = RunMetrics()
    for model, (unique, duplicates, rejected) in counts.items():
        metrics.count_unique(model, unique, t_s=0.0)
        metrics.of(model).duplicates = duplicates
        metrics.of(model).rejected = rejected
    snapshot = metrics.snapshot(1.0)
    for row in [snapshot, *snapshot["models"]]:
        parts = row["unique_total"] + row["duplicates_total"] + row["rejected_total"]
        assert row["generated_total"] == parts
    for name in ("unique_total", "generated_total", "unique_last_minute"):
        assert snapshot[name] == sum(row[name] for row in snapshot["models"])
    assert 0.0 <= snapshot["duplicate_rate"] <= 1.0


def test_the_duplicate_rate_is_the_duplicates_share_of_everything_generated() -> None:
    metrics = RunMetrics()
    assert metrics.snapshot(0.0)["duplicate_rate"] == 0
    metrics.count_unique("atlas", 812, t_s=0.0)
    metrics.of("atlas").duplicates = 85
    metrics.of("atlas").rejected = 3
    assert metrics.snapshot(0.0)["duplicate_rate"] == 0.0944


def test_a_call_adds_its_tokens_and_its_cost() -> None:
    metrics = RunMetrics()
    metrics.count_call(call())
    metrics.count_call(call(cost_usd=0.02, input_tokens=1, cached_input_tokens=0, output_tokens=2))
    row = of_model(metrics, "atlas")
    assert (row["calls_total"], row["calls_failed"]) == (2, 0)
    assert (row["input_tokens"], row["cached_input_tokens"], row["output_tokens"]) == (101, 40, 22)
    assert row["cost_usd"] == metrics.snapshot(0.0)["cost_usd"] == 0.03


def test_an_unknown_cost_is_null_and_never_zero() -> None:
    metrics = RunMetrics()
    metrics.count_call(call("free", cost_usd=None))
    metrics.count_call(call("priced", cost_usd=0.5))
    snapshot = metrics.snapshot(0.0)
    assert of_model(metrics, "free")["cost_usd"] is None
    assert of_model(metrics, "priced")["cost_usd"] == 0.5
    assert (snapshot["cost_usd"], snapshot["cost_complete"]) == (0.5, False)
    assert not metrics.cost_complete


def test_a_call_that_reached_no_model_leaves_the_cost_complete() -> None:
    metrics = RunMetrics()
    metrics.count_call(call(outcome="unreachable", cost_usd=None, input_tokens=0, output_tokens=0))
    assert metrics.cost_complete
    assert of_model(metrics, "atlas")["cost_usd"] == 0


@pytest.mark.parametrize("outcome", ["retry", "unreachable", "give_up", "shorten_prompt"])
def test_a_failed_call_is_counted_as_failed_and_does_not_blur_the_latency(outcome: str) -> None:
    metrics = RunMetrics()
    metrics.count_call(call(latency_s=2.0))
    metrics.count_call(call(outcome=outcome, latency_s=90.0))
    row = of_model(metrics, "atlas")
    assert (row["calls_total"], row["calls_failed"], row["latency_s_p50"]) == (2, 1, 2.0)


def test_a_call_that_was_cut_off_has_not_failed_and_has_no_latency() -> None:
    metrics = RunMetrics()
    metrics.count_call(call(outcome="cancelled", latency_s=90.0))
    row = of_model(metrics, "atlas")
    assert (row["calls_failed"], row["latency_s_p50"]) == (0, None)


def test_the_history_of_a_day_stays_bounded_and_keeps_its_first_and_last_point() -> None:
    metrics = RunMetrics()
    for second in range(86_400 // 10):
        metrics.count_unique("atlas", 1, t_s=float(second))
        metrics.sample(float(second))
        assert len(metrics.history) <= HISTORY_POINTS_MAX
        assert metrics.history[0].t_s == 0.0
        assert metrics.history[-1].t_s == second
    times = [point.t_s for point in metrics.history]
    assert times == sorted(set(times))
    recent, old = times[-1] - times[-100], times[100] - times[0]
    assert recent < old


def test_a_history_restored_at_full_length_is_thinned_by_the_next_point() -> None:
    metrics = RunMetrics()
    metrics.history = [HistoryPoint(float(t), t, t, 0.0, {}) for t in range(10_000)]
    metrics.sample(10_000.0)
    assert len(metrics.history) <= HISTORY_POINTS_MAX
    assert (metrics.history[0].t_s, metrics.history[-1].t_s) == (0.0, 10_000.0)


def test_a_point_of_the_history_says_what_the_run_was_then() -> None:
    metrics = RunMetrics()
    metrics.count_unique("atlas", 2, t_s=0.5)
    metrics.of("sonata").duplicates = 2
    metrics.of("sonata").cost_usd = 0.25
    metrics.sample(1.04)
    assert metrics.history_snapshot() == [
        {
            "t_s": 1.0,
            "unique_total": 2,
            "unique_last_minute": 2,
            "duplicate_rate": 0.5,
            "models": {"atlas": 2, "sonata": 0},
            "cost_usd": 0.25,
        }
    ]


def test_a_point_that_was_stored_without_its_cost_says_so() -> None:
    stored = {"t_s": 1.0, "unique_total": 2, "unique_last_minute": 2, "duplicate_rate": 0.5}
    metrics = RunMetrics(history=[HistoryPoint(**stored, models={})])  # type: ignore[arg-type]
    assert metrics.history_snapshot()[0]["cost_usd"] is None


def test_slow_calls_show_in_the_95th_percentile_and_only_the_latest_count() -> None:
    metrics = RunMetrics()
    for _ in range(LATENCIES_MAX):
        metrics.count_call(call(latency_s=1000.0))
    for latency_s in range(LATENCIES_MAX):
        metrics.count_call(call(latency_s=float(latency_s)))
    row = of_model(metrics, "atlas")
    assert (row["latency_s_p50"], row["latency_s_p95"]) == (255.5, 486.0)
    assert of_model(RunMetrics({"atlas": ModelCounts()}), "atlas")["latency_s_p95"] is None


def test_the_last_error_is_the_latest_failed_call_s_and_outlives_a_success() -> None:
    metrics = RunMetrics()
    metrics.count_call(call())
    assert of_model(metrics, "atlas")["last_error"] is None
    metrics.count_call(call(outcome="retry", error="429: too many requests"))
    metrics.count_call(call(outcome="unreachable", error="x" * 5000))
    metrics.count_call(call())
    metrics.count_call(call(outcome="cancelled", error="the run ends"))
    assert of_model(metrics, "atlas")["last_error"] == "x" * LAST_ERROR_CHARACTERS_MAX
    metrics.count_call(call(outcome="give_up", error=None))
    assert of_model(metrics, "atlas")["last_error"] == "give_up"


def test_a_snapshot_is_plain_json() -> None:
    metrics = RunMetrics()
    metrics.count_unique("atlas", 2, t_s=0.5)
    metrics.count_call(call(cost_usd=None))
    snapshot = {**metrics.snapshot(1.0), "history": metrics.history_snapshot()}
    assert json.loads(json.dumps(snapshot, allow_nan=False)) == snapshot


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([3.0], 0.99, 3.0),
        ([4.0, 1.0, 3.0, 2.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([1.0, 2.0], 0.0, 1.0),
        ([1.0, 2.0], 1.0, 2.0),
    ],
)
def test_percentiles_are_of_the_nearest_rank(
    values: list[float], share: float, expected: float | None
) -> None:
    assert percentile(values, share) == expected


LOG = LogId(NodeId(b"a" * 16), 1)


def test_what_calls_under_way_may_cost_is_shown_until_their_end_is_known() -> None:
    metrics = RunMetrics()
    metrics.of("atlas")
    metrics.call_started((LOG, 1), "atlas", 0.02)
    metrics.call_started((LOG, 9), "atlas", None)
    assert metrics.snapshot(0.0)["reserved_usd"] == 0.02
    assert of_model(metrics, "atlas")["calls_open"] == 2
    assert of_model(metrics, "atlas")["reserved_usd"] == 0.02
    metrics.call_ended((LOG, 1), "atlas")
    metrics.call_ended((LOG, 9), "atlas")
    assert metrics.snapshot(0.0)["reserved_usd"] == 0.0
    assert of_model(metrics, "atlas")["calls_open"] == 0


def test_a_call_whose_end_is_heard_first_is_never_open() -> None:
    metrics = RunMetrics()
    metrics.of("atlas")
    metrics.call_ended((LOG, 1), "atlas")
    metrics.call_started((LOG, 1), "atlas", 0.02)
    assert metrics.snapshot(0.0)["reserved_usd"] == 0.0


def test_calls_as_they_were_stored_are_open_or_not() -> None:
    metrics = RunMetrics()
    metrics.restore_call(CallRow(LOG, 1, "atlas", True, 0.02, False, None))
    metrics.restore_call(CallRow(LOG, 2, "atlas", True, 0.03, True, 0.01))
    metrics.restore_call(CallRow(LOG, 3, "atlas", False, None, True, 0.01))
    assert metrics.reserved_usd == 0.02
    metrics.call_started((LOG, 3), "atlas", 0.05)
    assert metrics.reserved_usd == 0.02


def test_what_100_unique_entries_cost_is_told_for_the_run_and_for_each_model() -> None:
    metrics = RunMetrics()
    metrics.count_call(call("atlas", cost_usd=0.03))
    metrics.count_call(call("swift", cost_usd=0.01))
    assert metrics.snapshot(0.0)["cost_per_100_unique_usd"] is None
    metrics.count_unique("atlas", 150, 1.0)
    metrics.count_unique("swift", 50, 1.0)
    assert metrics.snapshot(1.0)["cost_per_100_unique_usd"] == pytest.approx(0.02)
    assert of_model(metrics, "atlas")["cost_per_100_unique_usd"] == pytest.approx(0.02)


def test_an_unknown_price_leaves_the_cost_of_100_unknown() -> None:
    metrics = RunMetrics()
    metrics.count_call(call("local", cost_usd=None))
    metrics.count_unique("local", 100, 1.0)
    assert of_model(metrics, "local")["cost_per_100_unique_usd"] is None


def test_the_share_of_cached_input_is_told_and_nothing_where_there_is_no_input() -> None:
    metrics = RunMetrics()
    metrics.of("atlas")
    assert of_model(metrics, "atlas")["cached_share"] is None
    metrics.count_call(call("atlas", input_tokens=1_000, cached_input_tokens=800))
    metrics.count_call(call("atlas", input_tokens=1_000, cached_input_tokens=0))
    assert of_model(metrics, "atlas")["cached_share"] == 0.4
    assert metrics.snapshot(0.0)["cached_share"] == 0.4


def test_calls_that_their_producer_cut_are_counted_and_are_no_failures() -> None:
    metrics = RunMetrics()
    metrics.count_call(call("atlas", "cut"))
    metrics.count_call(call("atlas", "retry"))
    row = of_model(metrics, "atlas")
    assert (row["calls_total"], row["calls_cut"], row["calls_failed"]) == (2, 1, 1)
