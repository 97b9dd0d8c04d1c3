"""Which words of a list tell little: in a list of museums "Museum" says nothing, "Picasso" much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

COMMON_SHARE = 0.04
"""A word that so many of all names hold tells them apart no more."""
NAMES_MIN = 50
"""In a shorter list nothing is known to be common."""
WORDS_MAX = 200_000
"""Counted at most; past this words that were seen once are forgotten."""


@dataclass(slots=True)
class Rarity:
    """In how many names of this list a word stands."""

    topic_words: frozenset[str] = frozenset()
    """Words of the topic itself say nothing either."""
    name_count: int = 0
    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, words: Iterable[str]) -> None:
        """Count one more name."""
        self.name_count += 1
        for word in set(words):
            self._counts[word] = self._counts.get(word, 0) + 1
        if len(self._counts) > WORDS_MAX:
            self._counts = {word: count for word, count in self._counts.items() if count > 1}

    def count(self, word: str) -> int:
        """Names that hold `word`; too low by one or more where the list is very long."""
        return self._counts.get(word, 0)

    def is_common(self, word: str) -> bool:
        if word in self.topic_words:
            return True
        return self.name_count >= NAMES_MIN and self.count(word) >= COMMON_SHARE * self.name_count
