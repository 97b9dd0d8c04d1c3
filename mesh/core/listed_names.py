"""The names of a run and the entries of its list that they stand for.

Joins what a name is (resolve.py, which numbers names in order of arrival) with the collector's
ordinals. A name is taken in once; whether it gets an ordinal of its own, or waits for a judge, is
the ledger's decision.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from mesh.core.names.canonical import canonical_words
from mesh.core.names.nearness import Near
from mesh.core.names.rarity import Rarity
from mesh.core.names.words import parsed
from mesh.core.resolve import Resolution, Resolver

EXCLUDED_ORDINAL = 0
"""Stands for the list of entries to leave out."""
UNDECIDED = -1
"""Of a name that waits for a judge."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A name that another may be the same as."""

    number: int
    reason: str
    by_meaning: bool = False


@dataclass(frozen=True, slots=True)
class NewName:
    """What a name that nobody has written before is."""

    number: int
    same_as: int | None = None
    """Number of the earlier name that it is the same as, by a rule."""
    rule: str = ""
    doubts: tuple[Likeness, ...] = ()
    """The likeliest first."""
    bridged: tuple[int, ...] = ()
    """Numbers of names that it is the same as too, though they are entries of their own."""


class Names(Protocol):
    """Numbers names from 0 and says which are the same: a Resolver, or what stands in for it."""

    def __len__(self) -> int: ...

    def resolve(self, text: str, near: Near = ()) -> Resolution: ...

    def add(self, text: str, resolution: Resolution) -> int: ...

    def unite(self, one: int, other: int) -> None: ...

    def text(self, number: int) -> str: ...


class Vectors(Protocol):
    """What names mean, by number: a VectorIndex."""

    def nearest(self, vector: Any) -> Near: ...

    def add(self, vector: Any) -> int: ...

    def add_none(self) -> int: ...


@dataclass(slots=True)
class ListedNames:
    """All names taken in, by number, with the ordinal of the entry that each is."""

    names: Names = field(default_factory=Resolver)
    vectors: Vectors | None = None
    """Of the same numbers; None: names go by their letters alone."""
    _ordinals: array[int] = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self._ordinals)

    def restore(
        self,
        accepted: Iterable[str],
        excluded: Iterable[str],
        other_forms: Iterable[tuple[str, int]],
    ) -> None:
        """Take up, before anything else, what a list holds.

        Args:
            accepted: by ordinal, from 1.
            other_forms: (text, ordinal of the entry that stands for it); 0: excluded.
        """
        for ordinal, text in enumerate(accepted, 1):
            self._add(text, ordinal)
        for text in excluded:
            self._add(text, EXCLUDED_ORDINAL)
        for text, ordinal in other_forms:
            number = self._add(text, ordinal)
            if ordinal != EXCLUDED_ORDINAL:
                self.names.unite(number, ordinal - 1)

    def exclude(self, text: str, vector: Any = None) -> None:
        """Take in an entry to leave out."""
        self._add(text, EXCLUDED_ORDINAL)
        self._add_vector(vector)

    def take(self, text: str, vector: Any = None) -> NewName:
        """Take in a name whose key is new, and say what it is.

        Args:
            vector: of its meaning, as `vectors` takes it; None: it has none.
        """
        near = self.vectors.nearest(vector) if self.vectors and vector is not None else ()
        found = self.names.resolve(text, near)
        self._add_vector(vector)
        # What stands in the list twice stays so until a person says otherwise.
        number = self.names.add(text, Resolution(found.number, found.rule))
        self._ordinals.append(UNDECIDED)
        doubts = tuple(
            Likeness(doubt.number, doubt.reason, doubt.by_meaning) for doubt in found.doubts
        )
        return NewName(number, found.number, found.rule, doubts, found.bridges)

    def decided(self, number: int, ordinal: int) -> None:
        """From now on the name stands for this entry."""
        self._ordinals[number] = ordinal

    def unite(self, number: int, other: int) -> None:
        """A judge says that two names are one."""
        self.names.unite(number, other)

    def ordinal(self, number: int) -> int:
        """Of the entry that a name is: EXCLUDED_ORDINAL, or UNDECIDED."""
        return self._ordinals[number]

    def text(self, number: int) -> str:
        return self.names.text(number)

    def _add_vector(self, vector: Any) -> None:
        if self.vectors is not None:
            number = self.vectors.add_none() if vector is None else self.vectors.add(vector)
            assert number <= len(self._ordinals), "vectors go by the numbers of names"

    def _add(self, text: str, ordinal: int) -> int:
        self._ordinals.append(ordinal)
        return self.names.add(text, Resolution())


def listed_names(topic: str) -> ListedNames:
    """Of a run that has none yet; the words of its topic tell nothing apart."""
    topic_words = frozenset(canonical_words(parsed(topic)))
    return ListedNames(Resolver(Rarity(topic_words)))
