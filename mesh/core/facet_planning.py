"""When a call for facets is worth making: the first plan, a split, further facets.

A planning call is cheap against what it points calls at, but it is paid all the same. So there
is one for every few calls for entries at most, they come when good places are fewer than the
calls that are made at once, and they cease when the last ones were of no use. Which answers make
the plan is facet_tree.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.core.facet_calls import FacetCalls
from mesh.core.facet_ids import OPEN_FACET
from mesh.core.facet_tree import FACETS_MAX, Facet, FacetTree, PlanningCall
from mesh.core.facet_yields import lately_share

SPLIT_FOUND_MIN, SPLIT_SHARE_MIN = 60, 0.5
"""Entries and yield from which on a facet is split when places are short: it is large then. Not
before: what was found for the whole must be listed for each part, or is written again."""
PART_ENTRIES = 30
"""Aimed at for each part: a facet splits into one for so many of its entries."""
PARTS_MIN, PARTS_MAX = 4, 8
DEPTH_MAX = 5

TOPIC_FACETS_MIN, TOPIC_FACETS_MAX = 28, 60
"""Facets of the first plan."""
TOPIC_FACETS_A_CALL = 4
"""Of these, for each call that is made at once."""

PLANNING_TRIES_MAX = 2
"""Planning calls in a row that bring nothing; then no more are made for a while."""
PLANNING_REST_CALLS = 100
"""Calls for entries until another is tried."""
CALLS_FOR_EACH_PLANNING = 4
"""Calls for entries to every planning call, at least: planning costs, too."""

PLANNING_CALLS_EACH = 8
"""Calls made at once for each planning call beside the first that may be under way."""


@dataclass(frozen=True, slots=True)
class PlanTopic:
    """Ask for the facets of the topic."""

    count: int


@dataclass(frozen=True, slots=True)
class SplitFacet:
    """Ask for the parts of a facet."""

    facet: int
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class MoreFacets:
    """Ask for facets of the topic beside those there are."""

    count: int
    known: tuple[str, ...]


PlanningWork = PlanTopic | SplitFacet | MoreFacets


@dataclass(frozen=True, slots=True)
class Planner:
    """One decision whether to plan, and what."""

    tree: FacetTree
    calls: FacetCalls
    concurrent_count: int
    known_count: int

    def work(self, *, is_short: bool, is_topic_dry: bool) -> PlanningWork | None:
        """The planning call to make now, None when none is worth it.

        Args:
            is_short: fewer good places than calls that are made at once.
            is_topic_dry: the topic as a whole is, so nothing lies beside the facets.
        """
        planned = self.tree.calls()
        under_way = [call for call in planned if self.tree.is_under_way(call)]
        busy = {call.parent for call in under_way}
        if len(under_way) > self.concurrent_count // PLANNING_CALLS_EACH or OPEN_FACET in busy:
            return None  # Facets that are still being named may do without a split.
        facets = self.tree.facets()
        if len(facets) >= FACETS_MAX or not self._is_due(planned):
            return None
        if not facets:
            return PlanTopic(self._facets_count())
        if not is_short:
            return None
        split = self._facet_to_split(busy)
        if split is not None or is_topic_dry:
            return split
        known = (facet.name for facet in facets.values() if facet.parent == OPEN_FACET)
        return MoreFacets(self._facets_count(), tuple(known))

    def _is_due(self, planned: Sequence[PlanningCall]) -> bool:
        """Whether it is not too soon after the last planning call, nor in vain."""
        ended = [call for call in planned if call.looked and call.brought_count is not None]
        tries = ended[-PLANNING_TRIES_MAX:]
        if len(tries) == PLANNING_TRIES_MAX and not any(map(self._was_of_use, tries)):
            return self.calls.entry_calls_count >= PLANNING_REST_CALLS * (len(ended) - 1)
        return self.calls.entry_calls_count >= CALLS_FOR_EACH_PLANNING * len(ended)

    def _was_of_use(self, call: PlanningCall) -> bool:
        """Whether it named a facet that has brought entries, or that may still."""
        return any(
            self.calls.found_count(facet.id) or not self.calls.calls_count(facet.id)
            for facet in self.tree.facets().values()
            if facet.named_by == call.place
        )

    def _facets_count(self) -> int:
        wanted = max(TOPIC_FACETS_A_CALL * self.concurrent_count, self.known_count // PART_ENTRIES)
        return min(TOPIC_FACETS_MAX, max(TOPIC_FACETS_MIN, wanted))

    def _facet_to_split(self, busy: set[int | None]) -> SplitFacet | None:
        """The facet that has brought most of those that are still rich."""
        rich = [
            (self.calls.found_count(facet.id), facet)
            for facet in self.tree.facets().values()
            if facet.id not in busy and self._may_split(facet)
        ]
        if not rich:
            return None
        found_count, facet = max(rich, key=lambda each: (each[0], each[1].id))
        count = min(PARTS_MAX, max(PARTS_MIN, found_count // PART_ENTRIES))
        return SplitFacet(facet.id, facet.name, count)

    def _may_split(self, facet: Facet) -> bool:
        if facet.depth >= DEPTH_MAX or self.tree.is_split(facet.id):
            return False
        share = lately_share(self.calls, facet.id)
        is_rich = share is not None and share >= SPLIT_SHARE_MIN
        return is_rich and self.calls.found_count(facet.id) >= SPLIT_FOUND_MIN
