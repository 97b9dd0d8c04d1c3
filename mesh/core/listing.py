"""Which known entries a prompt carries: the whole list, or what the facet asked for holds.

A long list costs input and is heeded less: models begin to repeat what is listed. A short one
leaves out entries that the model then repeats because nobody told it. Both rates are measured,
per model and length of list, and each call takes the listing whose next new entry is expected to
cost less, in money and in time alike; no length is built in. How lists are worded and laid out is
llm.prompts'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

FADE = 0.97
"""Weight of what was measured before, at each new answer: some thirty answers are remembered."""
PRIOR_ENTRIES = 40.0
"""An answer's worth of belief before anything is measured."""
PRIOR_LISTED = 0.02
"""Repeats of listed entries by a model never asked with a list of that length: a reason to try."""
PRIOR_UNLISTED = 0.05
PRIOR_CACHED = 0.5
CACHED_WEIGHT = 0.2
"""Of the newest call."""


class Listing(StrEnum):
    WHOLE = "whole"
    FACET = "facet"


@dataclass(slots=True)
class CachedShares:
    """Share of the prompts' tokens that were read from a cache, per model and listing."""

    _shares: dict[tuple[str, Listing], float] = field(default_factory=dict)

    def answered(self, model: str, listing: Listing, cached_tokens: int, tokens: int) -> None:
        if tokens:
            before = self.share(model, listing)
            now = before + CACHED_WEIGHT * (cached_tokens / tokens - before)
            self._shares[model, listing] = now

    def share(self, model: str, listing: Listing) -> float:
        """Before anything is measured a facet's list counts as too short to be cached."""
        return self._shares.get((model, listing), PRIOR_CACHED if listing is Listing.WHOLE else 0.0)


@dataclass(frozen=True, slots=True)
class AnswerCounts:
    """What one answer held, of what its prompt had listed or not."""

    listing: Listing
    listed_count: int
    generated_count: int
    listed_repeats: int
    unlisted_repeats: int
    """Repeats of what was known when the prompt was built, but was not in it."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a call costs, in any unit, as long as it is one unit."""

    entry: float
    """Of writing one entry."""
    listed_entry: Mapping[Listing, float]
    """Of one more entry in the prompt, caches heeded."""
    beside: float
    """Of the rest of the prompt, and of the wait for the first token."""


@dataclass(slots=True)
class _Rate:
    """A share that fades towards what is measured now, from a prior."""

    prior: float
    hits: float = 0.0
    entries: float = 0.0

    def add(self, hits: int, entries: int) -> None:
        self.hits = self.hits * FADE + hits
        self.entries = self.entries * FADE + entries

    @property
    def value(self) -> float:
        return (self.hits + self.prior * PRIOR_ENTRIES) / (self.entries + PRIOR_ENTRIES)


@dataclass(slots=True)
class RepeatRates:
    """How often each model repeats what was listed, by length of list, and what was not."""

    _listed: dict[tuple[str, int], _Rate] = field(default_factory=dict)
    _unlisted: dict[tuple[str, Listing], _Rate] = field(default_factory=dict)

    def answered(self, model: str, counts: AnswerCounts) -> None:
        listed = self._listed_rate(model, counts.listed_count)
        listed.add(counts.listed_repeats, counts.generated_count)
        unlisted = self._unlisted_rate(model, counts.listing)
        unlisted.add(counts.unlisted_repeats, counts.generated_count)

    def listed(self, model: str, listed_count: int) -> float:
        """Expected share of an answer that repeats one of `listed_count` listed entries."""
        return self._listed_rate(model, listed_count).value

    def unlisted(self, model: str, listing: Listing) -> float:
        return self._unlisted_rate(model, listing).value

    def choose(
        self, model: str, *, whole_count: int, facet_count: int, ask_count: int, costs: Costs
    ) -> Listing:
        """The listing whose next new entry is expected to cost less.

        Args:
            whole_count: entries that the whole list would carry.
            facet_count: the same of the facet's.
            ask_count: entries that are asked for.
        """
        expected = {
            Listing.WHOLE: self._cost_of_new(model, Listing.WHOLE, whole_count, ask_count, costs),
            Listing.FACET: self._cost_of_new(model, Listing.FACET, facet_count, ask_count, costs),
        }
        return min(expected, key=lambda listing: expected[listing])

    def _cost_of_new(
        self, model: str, listing: Listing, listed_count: int, ask_count: int, costs: Costs
    ) -> float:
        repeats = self.listed(model, listed_count)
        if listing is Listing.FACET:
            repeats += self.unlisted(model, listing)
        paid = costs.beside + costs.listed_entry[listing] * listed_count + costs.entry * ask_count
        new_count = ask_count * max(0.01, 1.0 - repeats)
        # Both kinds of call take as long: the money times the time that a new entry costs.
        return paid / new_count * ask_count / new_count

    def _listed_rate(self, model: str, listed_count: int) -> _Rate:
        """Lengths count as alike within a factor of two; one that was never tried is expected to
        do as the next shorter one."""
        length = listed_count.bit_length()
        if (model, length) not in self._listed:
            shorter = [each for name, each in self._listed if name == model and each < length]
            prior = self._listed[model, max(shorter)].value if shorter else PRIOR_LISTED
            self._listed[model, length] = _Rate(prior)
        return self._listed[model, length]

    def _unlisted_rate(self, model: str, listing: Listing) -> _Rate:
        return self._unlisted.setdefault((model, listing), _Rate(PRIOR_UNLISTED))
