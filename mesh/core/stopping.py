"""When a run ends by itself: target, budget, time, or nothing left to find."""

from __future__ import annotations

from dataclasses import dataclass

DRY_CALLS_PER_PRODUCER = 3
"""In a row, over all producers, without one accepted entry: then the topic counts as exhausted."""

CALLS_THAT_LOOKED = frozenset({"ok", "length", "dry", "empty"})
"""Outcomes of calls that really looked; a failed or cut one says nothing about the topic."""


def dollars(amount: float) -> str:
    """An amount for people: cents, and more digits only where it is below one: $1.00, $0.004."""
    return f"${amount:.2f}" if amount >= 0.01 or amount == 0 else f"${amount:g}"


@dataclass(frozen=True, slots=True)
class StopRules:
    """Bounds of a run; None: no such bound."""

    target: int | None = None
    budget_usd: float | None = None
    time_limit_s: float | None = None
    """Counts this start only, the others the whole run."""

    def reason_to_stop(
        self, *, unique_total: int, cost_usd: float, start_elapsed_s: float
    ) -> str | None:
        """Why the run is over, in words for a person; None: it is not."""
        if self.target is not None and unique_total >= self.target:
            return f"target of {self.target} entries reached"
        if self.budget_usd is not None and cost_usd >= self.budget_usd:
            return f"budget of {dollars(self.budget_usd)} spent"
        if self.time_limit_s is not None and start_elapsed_s >= self.time_limit_s:
            return f"time limit of {self.time_limit_s:g} s reached"
        return None


@dataclass(slots=True)
class Dryness:
    """Counts finished calls in a row that brought nothing new."""

    calls_in_a_row: int = 0

    def call_finished(self, outcome: str, accepted_count: int) -> None:
        if accepted_count:
            self.calls_in_a_row = 0
        elif outcome in CALLS_THAT_LOOKED:
            self.calls_in_a_row += 1

    def is_exhausted(self, producer_count: int) -> bool:
        return self.calls_in_a_row >= DRY_CALLS_PER_PRODUCER * max(1, producer_count)
