"""Which words of a list tell little: in a list of museums "Museum" says nothing, "Picasso" much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

COMMON_SHARE = 0.04
"""A word that so many of all names hold tells them apart no more."""
COUNT_MIN = 10
"""Names that must hold a word for it to be common, however short the list."""
WORDS_MAX = 40_000
"""Counted at most, some 100 bytes each; past this the words that were seen least are forgotten, so
many that half as many are left: one that is common is never among them."""


@dataclass(slots=True)
class Rarity:
    """In how many names of this list a word stands."""

    topic_words: frozenset[str] = frozenset()
    """Words of the topic itself say nothing either; in their common spelling."""
    name_count: int = 0
    once_common: set[str] = field(default_factory=set)
    """All that are common by their count, and those that were when the list was shorter."""
    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, words: Iterable[str]) -> None:
        """Count one more name, by its words in their common spelling (canonical.py)."""
        self.name_count += 1
        counts, common_from = self._counts, max(COUNT_MIN, COMMON_SHARE * self.name_count)
        for word in set(words):
            counts[word] = count = counts.get(word, 0) + 1
            if count >= common_from:
                self.once_common.add(word)
        if len(counts) > WORDS_MAX:
            self._forget()

    def _forget(self) -> None:
        least = 1
        while len(self._counts) > WORDS_MAX // 2:
            self._counts = {word: count for word, count in self._counts.items() if count > least}
            least *= 2

    def count(self, word: str) -> int:
        """Names that hold `word`; too low by one or more where the list is very long."""
        return self._counts.get(word, 0)

    def is_common(self, word: str) -> bool:
        if word in self.topic_words:
            return True
        return self.count(word) >= max(COUNT_MIN, COMMON_SHARE * self.name_count)
