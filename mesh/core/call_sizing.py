"""How many entries one call asks for.

A small call is told afresh of what others find, a large one pays its prompt and its time to
first token once for more entries. So the size follows what answers are like at their end: still
mostly new, ask for more; stale, for fewer. It never falls below what makes a call worth its
overhead, and it shrinks where others find so much of the same facet meanwhile that the call's
knowledge does not last. When an answer that goes stale is cut is call_course.py's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ASK_COUNT_MIN, ASK_COUNT_MAX, ASK_COUNT_FIRST = 10, 200, 130

OVERHEAD_SHARE_MAX = 0.25
"""Of what a call costs; a smaller call would pay more for being made than that."""

GROWTH, SHRINKAGE = 1.5, 0.65
FRESH_SHARE, STALE_SHARE = 0.75, 0.4
"""New ones at an answer's end above and below which the next one is larger or smaller."""

OTHERS_SHARE_MAX = 0.5
"""Entries that others may find in the same facet during a call, for each entry of its own."""

FULL_SHARE = 0.9
"""Written of what was asked for: the size was what ended the answer."""

MODEL_STEP = 0.5
"""How far a model's general size follows the change that its first call for a facet makes, as an
exponent. Later calls there go stale because of the first, not because of the model."""

FACETS_REMEMBERED_MAX = 5_000
"""Pairs of model and facet; beyond it those changed least lately are forgotten."""


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call ended, as far as the next one's size depends on it."""

    asked_count: int
    written_count: int
    """Entries, new or not."""
    tail_share: float
    """New ones among the last entries, 0..1 (call_course.py)."""
    was_cut: bool = False
    said_dry: bool = False
    others_found_count: int = 0
    """Found by others in the same facet while it ran."""


@dataclass(slots=True)
class CallSizes:
    """One producer's experience with sizes; it starts anew with the producer."""

    _of_model: dict[str, float] = field(default_factory=dict)
    _of_facet: dict[tuple[str, int], float] = field(default_factory=dict)

    def ask_count(self, model: str, facet: int, overhead_entries: float) -> int:
        """Entries to ask for, ASK_COUNT_MIN..ASK_COUNT_MAX.

        Args:
            overhead_entries: what a call costs beside its entries, in entries' worth
                (core.pace).
        """
        floor = overhead_entries * (1 - OVERHEAD_SHARE_MAX) / OVERHEAD_SHARE_MAX
        size = max(self._size(model, facet), floor)
        return round(min(ASK_COUNT_MAX, max(ASK_COUNT_MIN, size)))

    def finished(self, model: str, facet: int, outcome: CallOutcome) -> None:
        """Learn from a call that was answered."""
        before = self._size(model, facet)
        after = min(float(ASK_COUNT_MAX), max(float(ASK_COUNT_MIN), _next_size(before, outcome)))
        if self._of_facet.pop((model, facet), None) is None:
            general = self._of_model.get(model, float(ASK_COUNT_FIRST))
            self._of_model[model] = general * (after / before) ** MODEL_STEP
        if len(self._of_facet) >= FACETS_REMEMBERED_MAX:
            del self._of_facet[next(iter(self._of_facet))]
        self._of_facet[model, facet] = after

    def _size(self, model: str, facet: int) -> float:
        general = self._of_model.get(model, float(ASK_COUNT_FIRST))
        return self._of_facet.get((model, facet), general)


def _next_size(size: float, outcome: CallOutcome) -> float:
    if outcome.was_cut or outcome.tail_share < STALE_SHARE:
        return size * SHRINKAGE
    if outcome.others_found_count > OTHERS_SHARE_MAX * max(1, outcome.written_count):
        return size * SHRINKAGE
    is_full = outcome.written_count >= FULL_SHARE * outcome.asked_count
    if is_full and not outcome.said_dry and outcome.tail_share >= FRESH_SHARE:
        return max(size, outcome.asked_count) * GROWTH
    return size
