"""What calls for a facet have yielded, what the next may, and when nothing is left.

What counts is unique entries for each entry's worth of effort: a call costs some entries' worth
before its first one, so a call that brings three entries and an end is a poor one although all
three are new. Evidence is discounted call by call, since yields fall as entries are found; what
no call has touched is taken to be rich. The constants are ours, tuned on simulated models. Where
to look is decided elsewhere (facet_choice.py).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mesh.core.facet_calls import Arm, CallBooks, FacetCalls
from mesh.core.facet_ids import OPEN_FACET
from mesh.core.facet_tree import FacetTree

CALL_EFFORT_ENTRIES = 8.0
"""What a call costs beside its entries, in entries' worth."""

SAID_DRY_EFFORT_ENTRIES = 40.0
"""Weight of a model's word that it has no more: as if it had written so many known ones."""

EVIDENCE_DISCOUNT = 0.5
"""Of a call's weight with each later call of the same model there: yields fall fast."""

OTHERS_WEIGHT = 1.0
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
"""A model that said that it has no more, and found no more than these, is believed: at once in a
facet, the second time running for the topic as a whole. Some models say so lightly."""
OPEN_SAID_DRY_CALLS = 2

LATELY_CALLS = 2
"""For a facet, of all models: what they met tells how rich it is."""

EXHAUSTED_CALLS_MIN, EXHAUSTED_SHARE = 30, 0.01
"""So many calls in a row that brought so little end the run once the topic as a whole is dry,
though not every facet has been looked into by every model: the most promising places were chosen,
and these were they."""


@dataclass(frozen=True, slots=True)
class Expectation:
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


def outlook(arms: Mapping[str, Arm], model: str) -> Expectation:
    """What `model` may expect where `arms` tell what has been met so far."""
    gain = UNTOUCHED_WEIGHT_ENTRIES * UNTOUCHED_SHARE
    loss = UNTOUCHED_WEIGHT_ENTRIES - gain
    for who, arm in arms.items():
        weight = 1.0 if who == model else OTHERS_WEIGHT
        for call in reversed(arm.recent):
            gain += weight * call.found_count
            loss += weight * max(0.0, effort_of(call) - call.found_count)
            weight *= EVIDENCE_DISCOUNT
    return Expectation(gain, loss)


def recent_share(calls: Iterable[CallBooks]) -> float | None:
    """Unique for effort of `calls` together; None when there are none."""
    found, effort = 0, 0.0
    for call in calls:
        found += call.found_count
        effort += effort_of(call)
    return min(1.0, found / effort) if effort else None


def lately_share(calls: FacetCalls, facet: int) -> float | None:
    """What a facet has yielded lately, whoever looked; None: nobody has."""
    return recent_share(calls.recent(facet)[-LATELY_CALLS:])


def is_dry(facet: int, arm: Arm | None) -> bool:
    """Whether a model has nothing more for a facet, by its latest calls there."""
    if arm is None or not arm.recent:
        return False
    if facet == OPEN_FACET:
        return _says_so(arm.recent, OPEN_SAID_DRY_CALLS) or _is_poor(
            arm.recent, OPEN_DRY_SHARE, OPEN_DRY_EFFORT_ENTRIES
        )
    return _says_so(arm.recent, 1) or _is_poor(arm.recent, DRY_SHARE, DRY_EFFORT_ENTRIES)


def _says_so(calls: Sequence[CallBooks], count: int) -> bool:
    latest = calls[-count:]
    return len(latest) == count and all(
        call.outcome == "dry" and call.found_count <= DRY_FOUND_MAX for call in latest
    )


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


def places(tree: FacetTree) -> list[int]:
    """Where calls may look: the topic as a whole first, then the facets that are not split."""
    return [OPEN_FACET, *(facet for facet in tree.facets() if not tree.is_split(facet))]


def is_exhausted(tree: FacetTree, calls: FacetCalls, models: Sequence[str]) -> bool:
    """Whether nothing is left to find for any of `models`."""
    if not models or any(map(tree.is_under_way, tree.calls())):
        return False
    if not _is_dry_for_all(calls, OPEN_FACET, models):
        return False
    if all(_is_dry_for_all(calls, facet, models) for facet in places(tree)):
        return True
    latest = calls.latest
    return len(latest) >= EXHAUSTED_CALLS_MIN and _is_poor(
        latest, EXHAUSTED_SHARE, sum(map(effort_of, latest[-EXHAUSTED_CALLS_MIN:]))
    )


def _is_dry_for_all(calls: FacetCalls, facet: int, models: Iterable[str]) -> bool:
    arms = calls.arms(facet)
    return all(is_dry(facet, arms.get(model)) for model in models)
