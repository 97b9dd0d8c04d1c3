"""Which facets there are: the one plan that follows from all planning calls.

Several producers may ask for a plan at once, without anyone to decide between them. So every
node applies one rule to what the logs hold: of the planning calls for one parent the earliest
counts, and those that began while it was under way count for nothing, unless it brought nothing.
A call that began after its end is another round. Whether a planning call is worth making is
decided elsewhere (facet_choice.py).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mesh.core.entries import CallStarted, FacetProposed
from mesh.core.facet_calls import CALLS_THAT_LOOKED, Place, StartKey, start_key
from mesh.core.facet_ids import facet_id
from mesh.core.items import LogId

FACETS_MAX = 400
"""Facets of a plan; those of the calls that began last are left out."""

PROPOSALS_MAX = 60
"""Facets that one planning call may propose; further ones are ignored."""

PLANNING_CALLS_MAX = 1_000
"""Planning calls remembered; further ones are ignored."""


@dataclass(frozen=True, slots=True)
class Facet:
    """One part of the topic."""

    id: int
    name: str
    parent: int
    """0: the topic."""
    depth: int
    """1 for a part of the topic."""


@dataclass(slots=True)
class PlanningCall:
    """One call for facets, as far as its entries have been heard."""

    place: Place
    parent: int | None = None
    """None: its start has not been heard of."""
    started_ms: int = 0
    latency_ms: int | None = None
    """None: its end has not been heard of."""
    outcome: str | None = None
    names: dict[int, str] = field(default_factory=dict)
    """Proposed names by the seq of their entries, which is the order of writing."""
    brought_count: int | None = 0
    """Facets that the plan has from it; None: it counts for nothing, another was earlier."""

    @property
    def key(self) -> StartKey:
        return start_key(self.place, self.started_ms)

    @property
    def looked(self) -> bool:
        return self.outcome in CALLS_THAT_LOOKED


@dataclass(slots=True)
class FacetTree:
    """All planning calls, and the facets that follow from them."""

    is_over: Callable[[LogId], bool]
    """Whether calls of this log can no longer be under way."""
    _calls: dict[Place, PlanningCall] = field(default_factory=dict)
    _facets: dict[int, Facet] = field(default_factory=dict)
    _parents: frozenset[int] = frozenset()
    _is_stale: bool = False

    def started(self, place: Place, entry: CallStarted, parent: int) -> None:
        call = self._call(place)
        if call is not None:
            call.parent, call.started_ms = parent, entry.started_ms

    def proposed(self, place: Place, seq: int, entry: FacetProposed) -> None:
        call = self._call(place)
        if call is not None:
            call.names[seq] = entry.name
            if len(call.names) > PROPOSALS_MAX:
                del call.names[max(call.names)]

    def finished(self, place: Place, outcome: str, latency_s: float) -> None:
        call = self._call(place)
        if call is not None:
            call.latency_ms, call.outcome = round(latency_s * 1000), outcome

    def stale(self) -> None:
        """Think again: who is over has changed."""
        self._is_stale = True

    def holds(self, place: Place) -> bool:
        """Whether the call is known to be a planning call."""
        return place in self._calls

    def facets(self) -> dict[int, Facet]:
        """The plan by id, parents before their parts."""
        if self._is_stale:
            self._rebuild()
        return self._facets

    def is_split(self, facet: int) -> bool:
        self.facets()
        return facet in self._parents

    def calls(self, parent: int | None = None) -> list[PlanningCall]:
        """All whose start has been heard of, or those for one parent, by start."""
        self.facets()
        heard = (call for call in self._calls.values() if call.parent is not None)
        wanted = (call for call in heard if parent is None or call.parent == parent)
        return sorted(wanted, key=lambda call: call.key)

    def is_under_way(self, call: PlanningCall) -> bool:
        return call.latency_ms is None and not self.is_over(call.place[0])

    def lineage(self, facet: int) -> tuple[int, ...]:
        """The facets that `facet` is a part of, the largest first, without itself."""
        facets = self.facets()
        above: list[int] = []
        at = facets.get(facet)
        while at is not None and at.parent:
            above.append(at.parent)
            at = facets.get(at.parent)
        return tuple(reversed(above))

    def _call(self, place: Place) -> PlanningCall | None:
        self._is_stale = True
        if place not in self._calls and len(self._calls) >= PLANNING_CALLS_MAX:
            return None
        return self._calls.setdefault(place, PlanningCall(place))

    def _rebuild(self) -> None:
        """Take the calls that count, earliest first, once their parent is in the plan."""
        by_parent: dict[int, list[PlanningCall]] = {}
        for call in self._calls.values():
            call.brought_count = None
            if call.parent is not None:
                by_parent.setdefault(call.parent, []).append(call)
        facets: dict[int, Facet] = {}
        waiting = [(call.key, 0, call) for call in self._counting(by_parent.pop(0, []))]
        heapq.heapify(waiting)
        while waiting:
            _, depth, call = heapq.heappop(waiting)
            call.brought_count = 0
            for facet in _proposals(call, depth + 1):
                if facet.id in facets or len(facets) >= FACETS_MAX:
                    continue
                facets[facet.id] = facet
                call.brought_count += 1
                for below in self._counting(by_parent.pop(facet.id, [])):
                    heapq.heappush(waiting, (below.key, depth + 1, below))
        self._facets = facets
        self._parents = frozenset(facet.parent for facet in facets.values() if facet.parent)
        self._is_stale = False

    def _counting(self, calls: list[PlanningCall]) -> Iterator[PlanningCall]:
        """Of the calls for one parent those that count, one for each round."""
        end_ms: int | None = None
        for call in sorted(calls, key=lambda each: each.key):
            if end_ms is not None and call.started_ms < end_ms:
                continue
            yield call
            if call.names:
                end_ms = call.started_ms + (call.latency_ms or 0)
            if self.is_under_way(call):
                return


def _proposals(call: PlanningCall, depth: int) -> Iterator[Facet]:
    assert call.parent is not None
    for _, name in sorted(call.names.items()):
        identity = facet_id(name)
        if identity != call.parent:
            yield Facet(identity, name, call.parent, depth)
