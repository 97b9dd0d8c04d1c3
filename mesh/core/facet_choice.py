"""Where the next call looks.

Each pair of facet and model is an arm of a bandit whose yield falls as entries are found. The
draw by Thompson sampling keeps producers from all choosing alike; calls under way elsewhere count
against a facet, and so does what it has brought already. What an arm may yield is
facet_yields.py's, when to plan instead facet_planning.py's.

Sources: Thompson, "On the likelihood that one unknown probability exceeds another", Biometrika
25, 1933; discounting as in Garivier & Moulines, "On upper-confidence bound policies for
switching bandit problems", 2011.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from mesh.core.facet_calls import FacetCalls
from mesh.core.facet_ids import OPEN_FACET
from mesh.core.facet_planning import MoreFacets, Planner, PlanTopic, SplitFacet
from mesh.core.facet_tree import FacetTree
from mesh.core.facet_yields import Expectation, is_dry, outlook, places
from mesh.core.items import NodeId

LEASED_FACTOR = 0.3
"""Of a facet's worth, for each call under way there."""

DEPLETION_WEIGHT = 1.0
"""How much the entries that a facet has brought, against the usual, lessen its worth: what was
rich so far may be nearly empty."""

OPEN_FACTOR = 0.3
"""Of the worth of the topic as a whole while facets are promising: what is found there is not
listed for the facet that it belongs to, and so is written again."""

PLANLESS_ASK_MAX = 12
"""Entries to ask for while the first plan is being made, for the same reason."""

PROMISING_SHARE = 0.35
"""Unique for effort that makes a facet a good place for one more call."""


@dataclass(frozen=True, slots=True)
class LookIn:
    """Ask for entries of a facet."""

    facet: int
    name: str | None
    """None: of the topic as a whole."""
    ask_max: int | None = None
    """Set: ask for no more, something better is about to come."""


Work = LookIn | PlanTopic | SplitFacet | MoreFacets


def is_first_being_made(tree: FacetTree) -> bool:
    """Whether the topic's first facets are being named."""
    rounds = tree.calls(OPEN_FACET)
    return any(map(tree.is_under_way, rounds)) and not any(call.looked for call in rounds)


def place_in_turn(
    tree: FacetTree,
    calls: FacetCalls,
    own: NodeId,
    producers: Collection[NodeId],
    concurrency: int,
) -> LookIn | None:
    """The facet that falls to a call of `own` while the first ones are being named; None: none
    has yet.

    All who wait would take each name the moment it comes, and write the same entries: so the first
    free one is for the first of those who wait, by their ids, the second for the second.

    Args:
        producers: those alive, `own` among them.
        concurrency: calls that each makes at once.
    """
    leases = calls.leases()
    busy = Counter(origin for origins in leases.values() for origin in origins)
    before = sum(max(0, concurrency - busy[each]) for each in producers if each < own)
    free = [
        facet
        for facet in tree.facets().values()
        if facet.id not in leases and not calls.calls_count(facet.id)
    ]
    return LookIn(free[before].id, free[before].name) if before < len(free) else None


@dataclass(slots=True)
class Chooser:
    """One choice of what to do next."""

    tree: FacetTree
    calls: FacetCalls
    model: str
    concurrent_count: int
    known_count: int
    random: random.Random
    _leases: dict[int, list[NodeId]] = field(init=False)
    _outlooks: dict[int, Expectation] = field(init=False)
    """Of the places that are not dry for the model."""
    _promising_count: int = field(init=False)
    """Facets among them that are good places for one more call."""

    def __post_init__(self) -> None:
        self._leases = self.calls.leases()
        self._outlooks = {}
        for place in places(self.tree):
            arms = self.calls.arms(place)
            if not is_dry(place, arms.get(self.model)):
                self._outlooks[place] = outlook(arms, self.model)
        self._promising_count = sum(
            each.share >= PROMISING_SHARE
            for place, each in self._outlooks.items()
            if place != OPEN_FACET
        )

    def choose(self, *, may_plan: bool) -> Work:
        if not may_plan:
            return self._look()
        planner = Planner(self.tree, self.calls, self.concurrent_count, self.known_count)
        planning = planner.work(
            is_short=self._promising_count < self.concurrent_count,
            is_topic_dry=OPEN_FACET not in self._outlooks,
        )
        return planning or self._look()

    def _look(self) -> LookIn:
        if is_first_being_made(self.tree) and all(
            map(self._leases.__contains__, self.tree.facets())
        ):
            return LookIn(OPEN_FACET, None, PLANLESS_ASK_MAX)
        if not self._outlooks:
            return self._look_where_least_sure()
        usual_count = self._usual_found_count()
        worth = {
            place: each.draw(self.random) * self._factor(place, usual_count)
            for place, each in self._outlooks.items()
        }
        return self._look_in(max(worth, key=worth.__getitem__))

    def _factor(self, place: int, usual_count: float) -> float:
        """How far what is found elsewhere, now or before, lessens the worth of looking here."""
        if place == OPEN_FACET:
            return OPEN_FACTOR if self._promising_count else 1.0
        depletion = self.calls.found_count(place) / usual_count
        leased = LEASED_FACTOR ** len(self._leases.get(place, ()))
        return leased / (1.0 + DEPLETION_WEIGHT * depletion)

    def _usual_found_count(self) -> float:
        """Entries that a facet has brought so far, on average."""
        counts = [self.calls.found_count(place) for place in places(self.tree) if place]
        return max(1.0, sum(counts) / max(1, len(counts)))

    def _look_where_least_sure(self) -> LookIn:
        """All is dry for this model, and yet it must call: where it has looked least."""
        looked = {
            place: arm.calls_count if (arm := self.calls.arms(place).get(self.model)) else 0
            for place in places(self.tree)
        }
        return self._look_in(min(looked, key=lambda place: (looked[place], self.random.random())))

    def _look_in(self, place: int) -> LookIn:
        return LookIn(place, self.tree.facets()[place].name if place else None)
