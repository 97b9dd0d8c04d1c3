"""When a run ends by itself: target, budget, time, entries too dear, or nothing left to find."""

from __future__ import annotations

from dataclasses import dataclass


def dollars(amount: float) -> str:
    """An amount for people: whole cents, below ten of them what matters: $1.00, $0.015, $0.004."""
    if amount >= 0.1 or amount <= 0:
        return f"${amount:.2f}"
    digits = f"{float(f'{amount:.4g}'):.12f}".rstrip("0")
    return f"${amount:.2f}" if len(digits) <= len("0.00") else f"${digits}"


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run has come, as far as it may end for it."""

    unique_total: int
    cost_usd: float
    """Sum of the known costs."""
    start_elapsed_s: float
    """Of this start."""
    unpaid_call_usd: float | None = None
    """What the cheapest next call may cost, where the budget does not pay for it any more:
    core.budget."""
    item_cost_usd: float | None = None
    """Expected of the next new entry: core.item_cost."""
    exhausted: str | None = None
    """Why nothing is left to find."""


@dataclass(frozen=True, slots=True)
class StopRules:
    """Bounds of a run; None: no such bound."""

    target: int | None = None
    budget_usd: float | None = None
    time_limit_s: float | None = None
    """Counts this start only, the others the whole run."""
    max_cost_per_item_usd: float | None = None

    def reason_to_stop(self, now: RunProgress) -> str | None:
        """Why the run is over, in words for a person; None: it is not."""
        if self.target is not None and now.unique_total >= self.target:
            return f"target of {self.target} entries reached"
        if self.budget_usd is not None and now.cost_usd >= self.budget_usd:
            return f"budget of {dollars(self.budget_usd)} spent"
        if self.budget_usd is not None and now.unpaid_call_usd is not None:
            return _spent(self.budget_usd, now.cost_usd, now.unpaid_call_usd)
        if self.time_limit_s is not None and now.start_elapsed_s >= self.time_limit_s:
            return f"time limit of {self.time_limit_s:g} s reached"
        if now.exhausted is not None:
            return now.exhausted
        if self._is_too_dear(now.item_cost_usd):
            assert now.item_cost_usd is not None
            assert self.max_cost_per_item_usd is not None
            return (
                f"one more new entry is expected to cost {_about(now.item_cost_usd)}, "
                f"more than {dollars(self.max_cost_per_item_usd)}"
            )
        return None

    def _is_too_dear(self, item_cost_usd: float | None) -> bool:
        bound = self.max_cost_per_item_usd
        return bound is not None and item_cost_usd is not None and item_cost_usd > bound


def _spent(budget_usd: float, cost_usd: float, call_usd: float) -> str:
    """Why a budget that is not quite spent pays for nothing more."""
    budget, rest_usd = dollars(budget_usd), budget_usd - cost_usd
    if not cost_usd:
        return f"budget of {budget} pays for no call: one may cost {_about(call_usd)}"
    if rest_usd < call_usd:
        why = f"one more call may cost {_about(call_usd)}"
    else:
        why = "it is held for calls that were cut off or by producers that are gone"
    return f"budget of {budget} spent but for {_about(rest_usd)}: {why}"


def _about(amount: float) -> str:
    """Two digits that matter."""
    return dollars(float(f"{amount:.2g}"))
