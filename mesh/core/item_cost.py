"""What one more new entry is expected to cost, from what the latest calls cost and brought.

All models and producers together, waste included: failed and cut calls, planning calls and
duplicates are paid for as well. The user's bound on it is stopping.py's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_CALLS = 20
"""The latest calls that count: more say it more exactly, and later."""
CALLS_MIN = 10
"""Fewer say nothing: one call that brought little is chance."""


@dataclass(slots=True)
class ItemCost:
    """Cost for each new entry over a window of calls."""

    _calls: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=WINDOW_CALLS))

    def call_finished(self, cost_usd: float | None, accepted_count: int) -> None:
        """Note a call: what it cost, None where nobody bills for it, and what was new of it."""
        self._calls.append((cost_usd or 0.0, accepted_count))

    @property
    def expected_usd(self) -> float | None:
        """Dollars for the next new entry; None: too few calls to tell. Where nothing new was
        found at all it is what the window cost, which is the least that can be said."""
        if len(self._calls) < CALLS_MIN:
            return None
        cost = sum(cost for cost, _ in self._calls)
        return cost / max(1, sum(count for _, count in self._calls))
