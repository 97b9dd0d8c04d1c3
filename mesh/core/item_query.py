"""Which of a run's accepted entries somebody wants to see."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """One page of entries, ascending by ordinal. What is left out filters nothing."""

    limit: int
    """At most so many, 1 or more."""
    after: int = 0
    """Only entries with a larger ordinal."""
    containing: str = ""
    """Only those that contain it, or that have another form that does, in any case."""
    model: str | None = None
    """Only those that it found first."""
    facet: str | None = None
    """Only those whose row names it."""
    skip: int = 0
    """So many of them are left out, from the first on: lists only grow, so that offsets in one
    stay what they are."""

    @property
    def is_filtered(self) -> bool:
        return bool(self.containing) or self.model is not None or self.facet is not None
