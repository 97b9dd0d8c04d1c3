"""Where the next call looks, and when another split is worth asking for.

Each pair of facet and model is an arm of a bandit whose yield falls as entries are found. What
counts is unique entries for each entry's worth of effort: a call costs some entries' worth
before its first one, so a call that brings three entries and an end is a poor one although all
three are new. Evidence is discounted call by call, what no call has touched is taken to be rich,
and the draw by Thompson sampling keeps producers from all choosing alike.

Sources: Thompson, "On the likelihood that one unknown probability exceeds another", Biometrika
25, 1933; discounting as in Garivier & Moulines, "On upper-confidence bound policies for
switching bandit problems", 2011. The constants are ours; bench/ holds what they do.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mesh.core.facet_calls import Arm, CallBooks, FacetCalls
from mesh.core.facet_ids import OPEN_FACET
from mesh.core.facet_tree import FACETS_MAX, Facet, FacetTree, PlanningCall
from mesh.core.items import NodeId

CALL_EFFORT_ENTRIES = 8.0
"""What a call costs beside its entries, in entries' worth."""

SAID_DRY_EFFORT_ENTRIES = 40.0
"""Weight of a model's word that it has no more: as if it had written so many known ones."""

EVIDENCE_DISCOUNT = 0.5
"""Of a call's weight with each later call of the same model there: yields fall fast."""

OTHERS_WEIGHT = 0.5
"""Of what other models met in a facet, for a model's own expectation."""

UNTOUCHED_SHARE, UNTOUCHED_WEIGHT_ENTRIES = 0.8, 6.0
"""Belief about a facet before any call."""

DRY_SHARE, DRY_EFFORT_ENTRIES = 0.05, 60.0
"""A model is dry for a facet when its latest calls there, worth so much effort, brought a smaller
share of unique entries: what is found so is found by luck."""

OPEN_DRY_SHARE, OPEN_DRY_EFFORT_ENTRIES = 0.05, 100.0
"""The same for the topic as a whole, which is held open for longer: it is where what no facet
holds is found."""

DRY_FOUND_MAX = 3
"""A model that said that it has no more is believed at once if it found no more than these."""

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

SPLIT_FOUND_MIN, SPLIT_SHARE_MIN = 60, 0.5
"""Entries and yield from which on a facet is split when places are short: it is large then. Not
before: what was found for the whole must be listed for each part, or is written again."""
LATELY_CALLS = 2
"""For a facet, of all models: what they met tells how rich it is."""
PART_ENTRIES = 30
"""Aimed at for each part: a facet splits into one for so many of its entries."""
PARTS_MIN, PARTS_MAX = 4, 8
DEPTH_MAX = 5

TOPIC_FACETS_MIN, TOPIC_FACETS_MAX = 24, 60
"""Facets of the first plan."""
TOPIC_FACETS_A_CALL = 3
"""Of these, for each call that is made at once."""

PLANNING_TRIES_MAX = 2
"""Planning calls in a row that bring nothing; then no more are made for a while."""
PLANNING_REST_CALLS = 100
"""Calls for entries until another is tried."""
CALLS_FOR_EACH_PLANNING = 4
"""Calls for entries to every planning call, at least: planning costs, too."""

EXHAUSTED_CALLS_MIN, EXHAUSTED_SHARE = 30, 0.005
"""So many calls in a row that brought so little end the run, though not every facet has been
looked into by every model: the most promising places were chosen, and these were they."""


@dataclass(frozen=True, slots=True)
class LookIn:
    """Ask for entries of a facet."""

    facet: int
    name: str | None
    """None: of the topic as a whole."""
    ask_max: int | None = None
    """Set: ask for no more, something better is about to come."""


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


Work = LookIn | PlanTopic | SplitFacet | MoreFacets


@dataclass(frozen=True, slots=True)
class Outlook:
    """What to expect of a call, as a Beta distribution over unique entries for effort."""

    gain: float
    loss: float

    @property
    def share(self) -> float:
        return self.gain / (self.gain + self.loss)

    def draw(self, source: random.Random) -> float:
        return source.betavariate(self.gain, self.loss)


def effort_of(call: CallBooks) -> float:
    """What a finished call cost, in entries' worth."""
    said_dry = SAID_DRY_EFFORT_ENTRIES if call.outcome == "dry" else 0.0
    return call.written_count + CALL_EFFORT_ENTRIES + said_dry


def outlook(arms: Mapping[str, Arm], model: str) -> Outlook:
    """What `model` may expect where `arms` tell what has been met so far."""
    gain = UNTOUCHED_WEIGHT_ENTRIES * UNTOUCHED_SHARE
    loss = UNTOUCHED_WEIGHT_ENTRIES - gain
    for who, arm in arms.items():
        weight = 1.0 if who == model else OTHERS_WEIGHT
        for call in reversed(arm.recent):
            gain += weight * call.found_count
            loss += weight * max(0.0, effort_of(call) - call.found_count)
            weight *= EVIDENCE_DISCOUNT
    return Outlook(gain, loss)


def recent_share(calls: Iterable[CallBooks]) -> float | None:
    """Unique for effort of `calls` together; None when there are none."""
    found, effort = 0, 0.0
    for call in calls:
        found += call.found_count
        effort += effort_of(call)
    return min(1.0, found / effort) if effort else None


def is_dry(facet: int, arm: Arm | None) -> bool:
    """Whether a model has nothing more for a facet, by its latest calls there."""
    if arm is None or not arm.recent:
        return False
    last = arm.recent[-1]
    if last.outcome == "dry" and last.found_count <= DRY_FOUND_MAX:
        return True
    if facet == OPEN_FACET:
        return _is_poor(arm.recent, OPEN_DRY_SHARE, OPEN_DRY_EFFORT_ENTRIES)
    return _is_poor(arm.recent, DRY_SHARE, DRY_EFFORT_ENTRIES)


def _is_poor(calls: Sequence[CallBooks], share: float, effort_min: float) -> bool:
    """Whether the latest of `calls`, as many as are worth `effort_min`, brought less than
    `share`; not while there are fewer."""
    found, effort = 0, 0.0
    for call in reversed(calls):
        found += call.found_count
        effort += effort_of(call)
        if effort >= effort_min:
            return found < share * effort
    return False


def awaits_plan(tree: FacetTree, leases: Collection[int]) -> bool:
    """Whether the topic's first facets are being named and none of them is free yet."""
    first_round = [call for call in tree.calls(OPEN_FACET) if tree.is_under_way(call)]
    is_first = not any(call.looked for call in tree.calls(OPEN_FACET))
    return bool(first_round) and is_first and all(facet in leases for facet in tree.facets())


def is_exhausted(tree: FacetTree, calls: FacetCalls, models: Sequence[str]) -> bool:
    """Whether nothing is left to find for any of `models`."""
    if not models:
        return False
    if all(_is_dry_for_all(calls, facet, models) for facet in _places(tree)):
        return True
    latest = calls.latest
    return len(latest) >= EXHAUSTED_CALLS_MIN and _is_poor(
        latest, EXHAUSTED_SHARE, sum(map(effort_of, latest[-EXHAUSTED_CALLS_MIN:]))
    )


def _is_dry_for_all(calls: FacetCalls, facet: int, models: Iterable[str]) -> bool:
    arms = calls.arms(facet)
    return all(is_dry(facet, arms.get(model)) for model in models)


def _places(tree: FacetTree) -> list[int]:
    """Where calls may look: facets that are not split, and the topic as a whole."""
    return [OPEN_FACET, *(facet for facet in tree.facets() if not tree.is_split(facet))]


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
    _outlooks: dict[int, Outlook] = field(init=False)
    """Of the places that are not dry for the model."""
    _usual_found_count: float = field(init=False)
    """Entries that a facet has brought so far, on average."""

    def __post_init__(self) -> None:
        self._leases = self.calls.leases()
        self._outlooks = {}
        places = _places(self.tree)
        found_count = sum(map(self.calls.found_count, places[1:]))
        self._usual_found_count = max(1.0, found_count / max(1, len(places) - 1))
        for facet in places:
            arms = self.calls.arms(facet)
            if not is_dry(facet, arms.get(self.model)):
                self._outlooks[facet] = outlook(arms, self.model)

    def choose(self) -> Work:
        return self._planning() or self._look()

    def _look(self) -> LookIn:
        if awaits_plan(self.tree, self._leases):
            return LookIn(OPEN_FACET, None, PLANLESS_ASK_MAX)
        if not self._outlooks:
            return self._look_where_least_sure()
        worth = {
            facet: each.draw(self.random) * self._factor(facet)
            for facet, each in self._outlooks.items()
        }
        return self._look_in(max(worth, key=worth.__getitem__))

    def _factor(self, facet: int) -> float:
        """How far being looked into now or later elsewhere lessens the worth of looking."""
        if facet == OPEN_FACET:
            return OPEN_FACTOR if self._promising_count() else 1.0
        depletion = self.calls.found_count(facet) / self._usual_found_count
        leased = LEASED_FACTOR ** len(self._leases.get(facet, ()))
        return leased / (1.0 + DEPLETION_WEIGHT * depletion)

    def _look_where_least_sure(self) -> LookIn:
        """All is dry for this model, and yet it must call: where it has looked least."""
        looked = {
            place: arm.calls_count if (arm := self.calls.arms(place).get(self.model)) else 0
            for place in _places(self.tree)
        }
        return self._look_in(min(looked, key=lambda place: (looked[place], self.random.random())))

    def _look_in(self, facet: int) -> LookIn:
        return LookIn(facet, self.tree.facets()[facet].name if facet else None)

    def _planning(self) -> PlanTopic | SplitFacet | MoreFacets | None:
        planned = self.tree.calls()
        under_way = [call for call in planned if self.tree.is_under_way(call)]
        if not self._may_plan(planned, under_way):
            return None
        busy = {call.parent for call in under_way}
        facets = self.tree.facets()
        if OPEN_FACET in busy or len(facets) >= FACETS_MAX:
            return None  # Facets that are still being named may do without a split.
        if not facets:
            return PlanTopic(self._topic_facets_count())
        is_short = self._promising_count() < self.concurrent_count
        if not is_short:
            return None
        split = self._facet_to_split(busy, SPLIT_FOUND_MIN)
        if split is not None:
            return split
        return self._more_facets() if is_short else None

    def _may_plan(self, planned: Sequence[PlanningCall], under_way: Sequence[PlanningCall]) -> bool:
        """Whether planning is within bounds: not too much at once, not too often, not in vain."""
        if len(under_way) > self.concurrent_count // 8:
            return False
        ended = [call for call in planned if call.looked and call.brought_count is not None]
        entry_calls_count = self.calls.entry_calls_count
        tries = ended[-PLANNING_TRIES_MAX:]
        in_vain = len(tries) == PLANNING_TRIES_MAX and not any(map(self._was_of_use, tries))
        if in_vain:
            return entry_calls_count >= PLANNING_REST_CALLS * (len(ended) - 1)
        return not ended or entry_calls_count >= CALLS_FOR_EACH_PLANNING * len(ended)

    def _was_of_use(self, call: PlanningCall) -> bool:
        return bool(call.brought_count)

    def _topic_facets_count(self) -> int:
        wanted = max(TOPIC_FACETS_A_CALL * self.concurrent_count, self.known_count // PART_ENTRIES)
        return min(TOPIC_FACETS_MAX, max(TOPIC_FACETS_MIN, wanted))

    def _promising_count(self) -> int:
        return sum(
            each.share >= PROMISING_SHARE
            for facet, each in self._outlooks.items()
            if facet != OPEN_FACET
        )

    def _facet_to_split(self, busy: set[int | None], found_min: int) -> SplitFacet | None:
        """The largest facet that is still rich by what all models have met there."""
        best: tuple[int, Facet] | None = None
        for facet in self.tree.facets().values():
            found_count = self.calls.found_count(facet.id)
            if found_count < found_min or facet.depth >= DEPTH_MAX or facet.id in busy:
                continue
            if self.tree.is_split(facet.id) or not self._is_rich(facet.id):
                continue
            if best is None or found_count > best[0]:
                best = (found_count, facet)
        if best is None:
            return None
        found_count, facet = best
        count = min(PARTS_MAX, max(PARTS_MIN, found_count // PART_ENTRIES))
        return SplitFacet(facet.id, facet.name, count)

    def _is_rich(self, facet: int) -> bool:
        share = recent_share(self.calls.recent(facet)[-LATELY_CALLS:])
        return share is not None and share >= SPLIT_SHARE_MIN

    def _more_facets(self) -> MoreFacets | None:
        """Not while the topic as a whole is dry: then nothing lies beside the facets."""
        if OPEN_FACET not in self._outlooks:
            return None
        facets = self.tree.facets().values()
        known = tuple(facet.name for facet in facets if facet.parent == OPEN_FACET)
        return MoreFacets(self._topic_facets_count(), known)
