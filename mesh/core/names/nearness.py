"""What the vectors of names (sentence embeddings) say of two of them, beside their letters.

Names near in the vector space may mean the same though no letter is shared: "Burma" and
"Myanmar". They may as well be two of a kind, as "Sydney" and "Melbourne" are: so nearness alone
never makes two names one. It puts a name that stands out among the neighbours before a judge,
and it is a second witness where two spellings are alike. There a crowd tells against: where other
names are as near, letters that look alike are the fashion of the place ("Suzhou", "Quzhou").

Who computes vectors is llm's (embedding.py), who finds the nearest core/vector_index.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Near = Sequence[tuple[int, float]]
"""(number, cosine) of the names nearest to a new one, the nearest first."""

NEIGHBOURS = 8
"""To ask for: more find hardly more of what is the same, and take longer."""
NEAREST = 3
"""Of these each may mean the same; what lies behind them is the background."""
COSINE_MIN = 0.45
"""Names farther apart have nothing to do with one another."""
ABOVE_BACKGROUND_MIN = 0.05
"""How much nearer than the farthest neighbours a name must be to stand out."""
FAR_ABOVE_BACKGROUND_MIN = 0.1
"""The same of the nearest of all, for it to stand out by far."""
CROWD = 0.7
"""Among ten thousand names most have a neighbour so near, whatever they mean."""
AGREEMENT_WEIGHT = 1.75
CROWD_WEIGHT = 11.5
"""Weights of cosines beside the log-odds of spellings, of the size that bench/learn_nearness.py
fits; samples of pairs differ (0.6 to 1.8, 11 to 14)."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """Of one neighbour of a new name."""

    cosine: float
    rank: int
    """0 for the nearest."""
    crowd: float
    """Cosine of the nearest other neighbour that is not of the same group; 0 without one."""
    background: float
    """Mean cosine of the neighbours behind the first few; 0 where there are no more."""

    @property
    def stands_out(self) -> bool:
        """Whether it may mean the same as the new name, as far as vectors tell."""
        is_near = self.rank < NEAREST and self.cosine >= COSINE_MIN
        return is_near and self.cosine - self.background >= ABOVE_BACKGROUND_MIN

    @property
    def stands_far_out(self) -> bool:
        """The same beyond what letters in common make of it."""
        is_nearest = self.stands_out and self.rank == 0
        return is_nearest and self.cosine - self.background >= FAR_ABOVE_BACKGROUND_MIN


def by_neighbour(near: Near, group_of: Callable[[int], int]) -> dict[int, Nearness]:
    """What the neighbours of a new name say of each of them, by number."""
    near = near[:NEIGHBOURS]
    far = [cosine for _, cosine in near[NEAREST + 2 :]]
    background = sum(far) / len(far) if far else 0.0
    found = {}
    for rank, (number, cosine) in enumerate(near):
        group = group_of(number)
        others = (each for other, each in near if group_of(other) != group)
        found[number] = Nearness(cosine, rank, next(others, 0.0), background)
    return found


def with_nearness(log_odds: float, nearness: Nearness) -> float:
    """The odds that two spellings are of one name, with what their vectors say."""
    agreement = AGREEMENT_WEIGHT * (nearness.cosine - CROWD)
    return log_odds + agreement - CROWD_WEIGHT * max(0.0, nearness.crowd - CROWD)
