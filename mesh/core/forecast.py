"""When a run will reach its target or its budget, at the course that it is on now.

Rates of discovery fall: what is easy to find is found first. So a rate and its decay are read from
the latest stretch of the run's history, r(t) = r0 exp(-k t), where k is 0 unless the rate has
fallen by more than entries that come in bursts would make it seem. What is told is an estimate of
this course, not of what is left to find: a new facet or model changes it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from mesh.core.metrics import HistoryPoint

SPAN_S_MIN = 10.0
"""With less to go by nothing is told."""
SPAN_S_TYPICAL = 60.0
SPAN_S_MAX = 900.0
SPAN_SHARE = 1 / 3
"""Of a longer course so much is looked at: detail that matters grows with what has passed."""
SLICES = 10
HINT_OF_FALL, CLEAR_FALL = 1.5, 2.5
"""Standard errors by which the later half must bring less than the earlier for that to count at
all, and to count in full and be called slower."""
FORECAST_S_MAX = 30 * 86_400.0
"""Further ahead than a month nothing is told: it would say no more than "not at this course"."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The object `forecast` of /api/metrics."""

    target_s: float | None = None
    """Seconds until the target; None: there is none, nothing to go by, or not at this course."""
    budget_s: float | None = None
    """The same of the budget."""
    reach: int | None = None
    """Entries at which the list levels off, where its growth clearly slows down."""
    slowing: bool = False

    def as_json(self) -> dict[str, float | int | bool | None]:
        return asdict(self)


NO_FORECAST = Forecast()


@dataclass(frozen=True, slots=True)
class Growth:
    """What comes now, and how that falls."""

    rate: float
    """Entries a second at the end of what was looked at."""
    decay: float
    """k, 1/s; 0: steady."""
    slowing: bool


def forecast(
    points: Sequence[HistoryPoint], *, target: int | None, budget_usd: float | None
) -> Forecast:
    """Look ahead from the last of `points`, which ascend in time, with no pause among them."""
    if not points or points[-1].t_s - points[0].t_s < SPAN_S_MIN:
        return NO_FORECAST
    now = points[-1]
    course_s = now.t_s - points[0].t_s
    span_s = min(course_s, max(SPAN_S_TYPICAL, course_s * SPAN_SHARE), SPAN_S_MAX)
    growth = growth_of(_found(points, now.t_s - span_s, now.t_s), span_s)
    reach = None
    if growth.slowing:
        reach = now.unique_total + round(growth.rate / growth.decay)
    return Forecast(
        target_s=None if target is None else _until(target - now.unique_total, growth),
        budget_s=_until_spent(points, now.t_s - span_s, budget_usd),
        reach=reach,
        slowing=growth.slowing,
    )


@dataclass(slots=True)
class PresentCourse:
    """Since when a run is on its course: what came before a pause or a restart tells nothing."""

    _since_s: float | None = None

    def forecast(
        self,
        history: Sequence[HistoryPoint],
        *,
        is_running: bool,
        now_s: float,
        target: int | None,
        budget_usd: float | None,
    ) -> Forecast:
        """Look ahead at `now_s` seconds of the run; to be asked at least every few seconds."""
        if not is_running:
            self._since_s = None
            return NO_FORECAST
        if self._since_s is None:
            self._since_s = now_s
        first = _first_from(history, self._since_s)
        return forecast(history[first:], target=target, budget_usd=budget_usd)


def growth_of(found: Sequence[float], span_s: float) -> Growth:
    """Rate and decay from how many entries came in each of an even number of equal slices.

    Of a rate r0 exp(-k t), two halves of S/2 seconds bring a and b, a/b = exp(k S/2), whatever r0
    is: k follows from the halves, r0 from the later one. Entries come in bursts, as calls do; how
    far the slices scatter tells how far two halves may differ by chance (quasi-Poisson).
    """
    half = len(found) // 2
    before, after = sum(found[:half]), sum(found[half:])
    steady = Growth((before + after) / span_s, 0.0, False)
    if after >= before:
        return steady
    clearness = (before - after) / math.sqrt(_dispersion(found, half) * (before + after))
    if clearness < HINT_OF_FALL:
        return steady
    half_s = span_s / 2
    # Half an entry more in each half: where nothing comes any more, the decay is still finite.
    decay = math.log((before + 0.5) / (after + 0.5)) / half_s
    # What is not quite clear counts in part, so that an estimate does not jump.
    decay *= min(1.0, (clearness - HINT_OF_FALL) / (CLEAR_FALL - HINT_OF_FALL))
    if decay * half_s < 1e-9:
        return steady
    return Growth(decay * after / math.expm1(decay * half_s), decay, clearness >= CLEAR_FALL)


def _dispersion(found: Sequence[float], half: int) -> float:
    """Variance of a slice over its mean, at least 1, around a line through the two halves."""
    width = len(found)
    before, after = sum(found[:half]) / half, sum(found[half:]) / (width - half)
    slope = (after - before) / half
    middle = (before + after) / 2
    scatter = 0.0
    for number, count in enumerate(found):
        expected = max(middle + slope * (number - (width - 1) / 2), middle / width)
        scatter += (count - expected) ** 2 / expected
    return max(1.0, scatter / (width - 2))


def _until(missing: float, growth: Growth) -> float | None:
    """Seconds until `missing` more have come."""
    if missing <= 0:
        return 0.0
    if growth.rate <= 0:
        return None
    if growth.decay == 0:
        return _bounded(missing / growth.rate)
    share = missing * growth.decay / growth.rate
    return _bounded(-math.log1p(-share) / growth.decay) if share < 1 else None


def _until_spent(
    points: Sequence[HistoryPoint], since_s: float, budget_usd: float | None
) -> float | None:
    """Seconds until the budget is spent: calls cost as much whether they find much or little."""
    if budget_usd is None:
        return None
    priced = [
        (point.t_s, point.cost_usd)
        for point in points[_first_from(points, since_s) :]
        if point.cost_usd is not None
    ]
    if not priced:
        return None
    (first_s, first_usd), (last_s, last_usd) = priced[0], priced[-1]
    if last_usd >= budget_usd:
        return 0.0
    if last_s - first_s < SPAN_S_MIN / 2 or last_usd <= first_usd:
        return None
    return _bounded((budget_usd - last_usd) * (last_s - first_s) / (last_usd - first_usd))


def _bounded(seconds: float) -> float | None:
    return round(seconds, 1) if seconds <= FORECAST_S_MAX else None


def _found(points: Sequence[HistoryPoint], since_s: float, until_s: float) -> list[float]:
    """Entries that came in each slice of a span; between points they came evenly."""
    width_s = (until_s - since_s) / SLICES
    totals = [_total_at(points, since_s + number * width_s) for number in range(SLICES + 1)]
    return [max(0.0, later - earlier) for earlier, later in pairwise(totals)]


def _total_at(points: Sequence[HistoryPoint], t_s: float) -> float:
    index = _first_from(points, t_s)
    if index == len(points):
        return points[-1].unique_total
    later = points[index]
    if index == 0 or later.t_s <= t_s:
        return later.unique_total
    earlier = points[index - 1]
    share = (t_s - earlier.t_s) / (later.t_s - earlier.t_s)
    return earlier.unique_total + share * (later.unique_total - earlier.unique_total)


def _first_from(points: Sequence[HistoryPoint], t_s: float) -> int:
    return bisect_left(points, t_s, key=lambda point: point.t_s)
