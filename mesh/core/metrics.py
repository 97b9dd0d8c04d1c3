"""Counters of a run and the snapshot that page, terminal and API show.

Fed with facts (a verdict, a finished call), each once; asked for a snapshot at a given time.
Nothing here is measured: times come in with the facts. `generated` counts every entry that an
LLM wrote and that has its verdict; each is unique, duplicate or rejected.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mesh.core.accounts import CallRow, OpenCalls, Place
from mesh.core.entries import CallFinished

WINDOW_S = 60.0
HISTORY_POINTS_MAX = 600
LATENCIES_MAX = 512
LAST_ERROR_CHARACTERS_MAX = 300

FAILED_OUTCOMES = frozenset({"retry", "unreachable", "give_up", "shorten_prompt"})
CUT_OUTCOME = "cut"


@dataclass(slots=True)
class ModelCounts:
    """One model's totals over the whole run; also a row of the table `model_totals`."""

    unique: int = 0
    duplicates: int = 0
    rejected: int = 0
    calls: int = 0
    calls_failed: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    calls_unpriced: int = 0
    """Calls whose price is unknown."""
    calls_cut: int = 0
    """Calls that their producer ended, as they brought too little."""
    cache_write_tokens: int = 0

    @property
    def generated(self) -> int:
        return self.unique + self.duplicates + self.rejected

    def count_call(self, call: CallFinished) -> None:
        self.calls += 1
        self.calls_failed += call.outcome in FAILED_OUTCOMES
        self.calls_cut += call.outcome == CUT_OUTCOME
        self.input_tokens += call.input_tokens
        self.cached_input_tokens += call.cached_input_tokens
        self.cache_write_tokens += call.cache_write_tokens
        self.output_tokens += call.output_tokens
        if call.cost_usd is not None:
            self.cost_usd += call.cost_usd
        elif call.input_tokens or call.output_tokens:
            self.calls_unpriced += 1


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """The run at one moment."""

    t_s: float
    unique_total: int
    unique_last_minute: int
    duplicate_rate: float
    models: dict[str, int]
    """Unique in the last minute, per model."""
    cost_usd: float | None = None
    """Known costs so far; None in points that were stored before it was noted."""


@dataclass(slots=True)
class RunMetrics:
    """Totals per model, the last minute, and the run's course so far.

    Times are seconds of the run: they go on where the previous start left off.
    """

    models: dict[str, ModelCounts] = field(default_factory=dict)
    history: list[HistoryPoint] = field(default_factory=list)
    _window: deque[tuple[float, str, int]] = field(default_factory=deque)
    _window_counts: dict[str, int] = field(default_factory=dict)
    _latencies: dict[str, deque[float]] = field(default_factory=dict)
    _last_errors: dict[str, str] = field(default_factory=dict)
    _open: dict[str, OpenCalls] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._thin()

    def of(self, model: str) -> ModelCounts:
        return self.models.setdefault(model, ModelCounts())

    def count_unique(self, model: str, count: int, t_s: float) -> None:
        self.of(model).unique += count
        self.restore_window(model, count, t_s)

    def restore_window(self, model: str, count: int, t_s: float) -> None:
        """Put entries that are counted already back into the last minute."""
        self._window.append((t_s, model, count))
        self._window_counts[model] = self._window_counts.get(model, 0) + count

    def count_call(self, call: CallFinished) -> None:
        self.of(call.model).count_call(call)
        self.restore_end(call.model, call.outcome, call.error, call.latency_s)

    def restore_end(self, model: str, outcome: str, error: str | None, latency_s: float) -> None:
        """Take up how a call ended that is counted already, the earliest first."""
        if outcome in FAILED_OUTCOMES:
            self._last_errors[model] = (error or outcome)[:LAST_ERROR_CHARACTERS_MAX]
        elif outcome != "cancelled":
            latencies = self._latencies.setdefault(model, deque(maxlen=LATENCIES_MAX))
            latencies.append(latency_s)

    def call_started(self, place: Place, model: str, reserved_usd: float | None) -> None:
        """From here on the call may cost so much, until its end is known."""
        self._open_of(model).started(place, reserved_usd)

    def call_ended(self, place: Place, model: str) -> None:
        """What it cost is counted by `count_call`."""
        self._open_of(model).ended(place)

    def restore_call(self, call: CallRow) -> None:
        """Take up a call as it was stored; the totals contain it already."""
        self._open_of(call.model).restore(call)

    def _open_of(self, model: str) -> OpenCalls:
        return self._open.setdefault(model, OpenCalls())

    def sample(self, t_s: float) -> HistoryPoint:
        """Add a point to the history and return it; older points thin out past the bound."""
        last_minute = self._last_minute(t_s)
        point = HistoryPoint(
            t_s=round(t_s, 1),
            unique_total=self.unique_total,
            unique_last_minute=sum(last_minute.values()),
            duplicate_rate=round(self.duplicate_rate, 4),
            models=last_minute,
            cost_usd=round(self.cost_usd, 6),
        )
        self.history.append(point)
        self._thin()
        return point

    def _thin(self) -> None:
        while len(self.history) > HISTORY_POINTS_MAX:
            self.history = thinned(self.history)

    @property
    def unique_total(self) -> int:
        return sum(counts.unique for counts in self.models.values())

    @property
    def cost_usd(self) -> float:
        """Sum of the known costs."""
        return math.fsum(counts.cost_usd for counts in self.models.values())

    @property
    def reserved_usd(self) -> float:
        """What calls may cost whose end is not known: they are under way, or were cut by a crash.
        With the known costs this is never less than what providers bill."""
        return math.fsum(calls.total_usd for calls in self._open.values())

    @property
    def cost_complete(self) -> bool:
        return not any(counts.calls_unpriced for counts in self.models.values())

    @property
    def duplicate_rate(self) -> float:
        """Duplicates of everything generated, 0 when there is nothing."""
        generated = sum(counts.generated for counts in self.models.values())
        duplicates = sum(counts.duplicates for counts in self.models.values())
        return duplicates / generated if generated else 0.0

    def snapshot(self, t_s: float) -> dict[str, Any]:
        """The counting part of `/api/metrics` at `t_s` seconds of the run."""
        last_minute = self._last_minute(t_s)
        totals = self.models.values()
        return {
            "elapsed_s": round(t_s, 1),
            "unique_total": self.unique_total,
            "unique_last_minute": sum(last_minute.values()),
            "generated_total": sum(counts.generated for counts in totals),
            "duplicates_total": sum(counts.duplicates for counts in totals),
            "rejected_total": sum(counts.rejected for counts in totals),
            "duplicate_rate": round(self.duplicate_rate, 4),
            "cost_usd": round(self.cost_usd, 6),
            "cost_complete": self.cost_complete,
            "reserved_usd": round(self.reserved_usd, 6),
            "cost_per_100_unique_usd": cost_per_100_usd(self.cost_usd, self.unique_total),
            "cached_share": share(
                sum(counts.cached_input_tokens for counts in totals),
                sum(counts.input_tokens for counts in totals),
            ),
            "models": [
                self._model_snapshot(model, last_minute.get(model, 0))
                for model in sorted(self.models)
            ],
        }

    def history_snapshot(self) -> list[dict[str, Any]]:
        return [
            {
                "t_s": point.t_s,
                "unique_total": point.unique_total,
                "unique_last_minute": point.unique_last_minute,
                "duplicate_rate": point.duplicate_rate,
                "models": point.models,
                "cost_usd": point.cost_usd,
            }
            for point in self.history
        ]

    def _model_snapshot(self, model: str, last_minute: int) -> dict[str, Any]:
        counts = self.models[model]
        latencies = self._latencies.get(model, ())
        slow = percentile(latencies, 0.95)
        open_calls = self._open.get(model, OpenCalls())
        unpriced = counts.calls_unpriced > 0 and counts.cost_usd == 0
        cost_usd = None if unpriced else counts.cost_usd
        return {
            "model": model,
            "unique_total": counts.unique,
            "unique_last_minute": last_minute,
            "generated_total": counts.generated,
            "duplicates_total": counts.duplicates,
            "rejected_total": counts.rejected,
            "calls_total": counts.calls,
            "calls_failed": counts.calls_failed,
            "calls_cut": counts.calls_cut,
            "calls_open": len(open_calls),
            "input_tokens": counts.input_tokens,
            "cached_input_tokens": counts.cached_input_tokens,
            "cache_write_tokens": counts.cache_write_tokens,
            "cached_share": share(counts.cached_input_tokens, counts.input_tokens),
            "output_tokens": counts.output_tokens,
            "cost_usd": None if cost_usd is None else round(cost_usd, 6),
            "reserved_usd": round(open_calls.total_usd, 6),
            "cost_per_100_unique_usd": cost_per_100_usd(cost_usd, counts.unique),
            "latency_s_p50": round(statistics.median(latencies), 3) if latencies else None,
            "latency_s_p95": round(slow, 3) if slow is not None else None,
            "last_error": self._last_errors.get(model),
        }

    def _last_minute(self, t_s: float) -> dict[str, int]:
        while self._window and self._window[0][0] <= t_s - WINDOW_S:
            _, model, count = self._window.popleft()
            self._window_counts[model] -= count
        return {model: self._window_counts.get(model, 0) for model in sorted(self.models)}


def cost_per_100_usd(cost_usd: float | None, unique: int) -> float | None:
    """Dollars for each 100 unique entries; None: price unknown, or nothing found yet."""
    return None if cost_usd is None or not unique else round(100 * cost_usd / unique, 6)


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def thinned(history: list[HistoryPoint]) -> list[HistoryPoint]:
    """Half of the points in the older half are dropped: detail fades with age."""
    middle = len(history) // 2
    return history[:middle:2] + history[middle:]


def percentile(values: Iterable[float], share: float) -> float | None:
    """Nearest-rank percentile, `share` in [0, 1]; None without values."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else None
