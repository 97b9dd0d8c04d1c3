"""How long a run will take at its present course: right where that is known, silent otherwise."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.forecast import FORECAST_S_MAX, NO_FORECAST, Forecast, PresentCourse, forecast
from mesh.core.metrics import HistoryPoint, RunMetrics


def course(
    total_at: Callable[[float], float], end_s: int, usd_a_second: float | None = None
) -> list[HistoryPoint]:
    """A point a second, thinned with age as a run's history is."""
    metrics = RunMetrics()
    for t_s in range(end_s + 1):
        cost_usd = None if usd_a_second is None else usd_a_second * t_s
        metrics.history.append(HistoryPoint(t_s, int(total_at(t_s)), 0, 0.0, {}, cost_usd))
        metrics._thin()
    return metrics.history


def levelling_off(reach: float, decay: float) -> Callable[[float], float]:
    return lambda t_s: reach * (1 - math.exp(-decay * t_s))


def ahead(
    points: list[HistoryPoint], target: int | None = None, budget_usd: float | None = None
) -> Forecast:
    return forecast(points, target=target, budget_usd=budget_usd)


@pytest.mark.parametrize("end_s", [10, 30, 90, 600, 20_000])
@pytest.mark.parametrize("rate", [0.5, 3.0, 130.0])
def test_a_steady_rate_goes_on(rate: float, end_s: int) -> None:
    points = course(lambda t_s: rate * t_s, end_s)
    found = ahead(points, target=int(rate * end_s + 100 * rate))
    assert found.target_s == pytest.approx(100, rel=0.1, abs=3)
    assert (found.reach, found.slowing) == (None, False)


@pytest.mark.parametrize(
    ("reach", "decay", "end_s"),
    [(1000, 0.05, 30), (1000, 0.02, 60), (5000, 0.01, 120), (50_000, 0.001, 2000), (500, 0.1, 40)],
)
def test_a_rate_that_decays_levels_off_where_it_does(
    reach: float, decay: float, end_s: int
) -> None:
    total_at = levelling_off(reach, decay)
    points = course(total_at, end_s)
    target = (points[-1].unique_total + reach) / 2
    found = ahead(points, target=int(target))
    assert found.slowing
    assert found.reach == pytest.approx(reach, rel=0.03)
    # Half of what is left comes in one half-life.
    assert found.target_s == pytest.approx(math.log(2) / decay, rel=0.15, abs=1.5)
    assert ahead(points, target=int(reach * 1.1)).target_s is None


def test_a_run_that_has_stopped_finding_reaches_no_more() -> None:
    points = course(lambda t_s: min(100.0, 5 * t_s), 120)
    found = ahead(points, target=101)
    assert found.target_s is None
    dry = course(lambda t_s: min(400.0, 10 * t_s), 70)
    assert (ahead(dry, target=500).slowing, ahead(dry, target=500).target_s) == (True, None)


def test_a_rate_that_rises_counts_as_it_was_lately() -> None:
    found = ahead(course(lambda t_s: 0.05 * t_s * t_s, 60), target=1000)
    assert found.target_s is not None
    assert not found.slowing


def test_entries_that_come_in_bursts_are_seldom_taken_for_a_course_that_slows() -> None:
    """Five producers, answers of 25 every 8 s or so: totals rise by steps, at random times."""
    told = []
    for seed in range(200):
        source = random.Random(seed)
        steps = sorted(source.uniform(0, 60) for _ in range(38))
        points = course(partial(_burst_total, steps), 60)
        told.append(ahead(points, target=1900))
    assert sum(each.slowing for each in told) <= 6
    seconds = sorted(each.target_s or math.inf for each in told)
    assert seconds[10] > 50
    assert seconds[100] == pytest.approx(60, rel=0.05)
    assert seconds[190] < 120


def _burst_total(steps: list[float], t_s: float) -> float:
    return 25 * sum(at <= t_s for at in steps)


def test_money_goes_as_it_went_in_the_latest_stretch() -> None:
    points = course(lambda t_s: t_s, 100, usd_a_second=0.001)
    assert ahead(points, budget_usd=1.0).budget_s == pytest.approx(900, rel=0.01)
    assert ahead(points, budget_usd=0.05).budget_s == 0.0
    assert ahead(points).budget_s is None
    assert ahead(course(lambda t_s: t_s, 100, usd_a_second=0.0), budget_usd=1).budget_s is None
    assert ahead(course(lambda t_s: t_s, 100), budget_usd=1).budget_s is None


def test_nothing_is_told_by_too_little_and_no_target_needs_no_time() -> None:
    assert ahead([], target=5) == NO_FORECAST
    assert ahead(course(lambda t_s: t_s, 9), target=50) == NO_FORECAST
    assert ahead(course(lambda t_s: t_s, 100)).target_s is None
    assert ahead(course(lambda t_s: t_s, 100), target=100).target_s == 0.0
    assert ahead(course(lambda _: 0, 100), target=100).target_s is None


def test_nothing_is_told_while_paused_and_afterwards_only_by_what_came_since() -> None:
    present = PresentCourse()
    history: list[HistoryPoint] = []

    def told(seconds: int, found: int, *, is_running: bool = True) -> Forecast:
        """Go on for some seconds, asked in each of them."""
        for _ in range(seconds):
            total = history[-1].unique_total + found if history else 0
            history.append(HistoryPoint(len(history), total, 0, 0.0, {}))
            last = present.forecast(
                history,
                is_running=is_running,
                now_s=len(history) - 0.5,
                target=1000,
                budget_usd=None,
            )
        return last

    assert told(40, 10).target_s == pytest.approx(61, abs=1)
    assert told(30, 0, is_running=False) == NO_FORECAST
    assert told(10, 5) == NO_FORECAST
    assert told(20, 5).target_s == pytest.approx((1000 - 390 - 150) / 5, rel=0.1)


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 5000), st.integers(0, 100_000), st.none() | st.floats(0, 1e6)),
        max_size=60,
    ),
    target=st.none() | st.integers(1, 10**9),
    budget_usd=st.none() | st.floats(0, 1e6),
)
def test_whatever_a_history_holds_no_number_is_negative_or_none_at_all(
    steps: list[tuple[float, int, float | None]], target: int | None, budget_usd: float | None
) -> None:
    points: list[HistoryPoint] = []
    t_s, total = 0.0, 0
    for step_s, found, cost_usd in steps:
        t_s, total = round(t_s + step_s, 1), total + found
        points.append(HistoryPoint(t_s, total, 0, 0.0, {}, cost_usd))
    told = ahead(points, target, budget_usd)
    for seconds in (told.target_s, told.budget_s):
        assert seconds is None or 0 <= seconds <= FORECAST_S_MAX
    assert told.reach is None or told.reach >= total
