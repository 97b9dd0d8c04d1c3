"""Which known entries belong to a facet: what its prompts list.

Members stand in the collector's order of acceptance, so that all producers list the same sealed
chunks; an entry takes 20 bytes. Beside them stand the texts that calls for the facet have
written and that are no members: not accepted yet, or strays that were found elsewhere. The texts
of members are not held here (known.py).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

import mmh3

BESIDE_MAX = 2_000
"""Texts beside one facet's members; beyond it the oldest are forgotten, and may be written
again."""

FACETS_HELD_MAX = 1_000
"""Facets with members; entries of further ones belong to the topic alone."""


@dataclass(frozen=True, slots=True)
class FacetMembers:
    """The entries of one facet."""

    ordinals: Sequence[int] = ()
    """Of accepted ones, ascending, known without a hole before them."""
    tail: Sequence[str] = ()
    """Others that belong to it: strays and what is not accepted yet, by arrival."""
    related: Sequence[int] = ()
    """Ordinals of what was accepted for the facets that it is a part of, the largest first."""


@dataclass(slots=True)
class _Shelf:
    """One facet's entries."""

    ordinals: array[int] = field(default_factory=lambda: array("I"))
    fingerprints: array[int] = field(default_factory=lambda: array("I"))
    epochs: array[int] = field(default_factory=lambda: array("Q"))
    """Of the collector, in which each was accepted."""
    held: array[int] = field(default_factory=lambda: array("I"))
    """The same fingerprints, ascending."""
    beside: dict[int, str] = field(default_factory=dict)

    def put(self, ordinal: int, fingerprint: int, epoch: int) -> None:
        at = len(self.ordinals)
        if at and self.ordinals[-1] >= ordinal:
            at = bisect_right(self.ordinals, ordinal)
        self.ordinals.insert(at, ordinal)
        self.fingerprints.insert(at, fingerprint)
        self.epochs.insert(at, epoch)
        insort(self.held, fingerprint)
        self.beside.pop(fingerprint, None)

    def take_back(self, first_void: int, epoch: int, accepted: Sequence[str]) -> None:
        """Void what epochs before `epoch` accepted from `first_void` on; it is fresh again."""
        start = bisect_left(self.ordinals, first_void)
        for at in range(len(self.ordinals) - 1, start - 1, -1):
            if self.epochs[at] >= epoch:
                continue
            ordinal, fingerprint = self.ordinals.pop(at), self.fingerprints.pop(at)
            self.epochs.pop(at)
            self.held.pop(bisect_left(self.held, fingerprint))
            if ordinal <= len(accepted):
                self.keep_beside(fingerprint, accepted[ordinal - 1])

    def keep_beside(self, fingerprint: int, text: str) -> None:
        if fingerprint in self.beside or self._holds(fingerprint):
            return
        if len(self.beside) >= BESIDE_MAX:
            del self.beside[next(iter(self.beside))]
        self.beside[fingerprint] = text

    def _holds(self, fingerprint: int) -> bool:
        at = bisect_left(self.held, fingerprint)
        return at < len(self.held) and self.held[at] == fingerprint


@dataclass(slots=True)
class Membership:
    """The entries of all facets; those of the open one are all that is known, and not held."""

    _shelves: dict[int, _Shelf] = field(default_factory=dict)
    _first_of_epoch: dict[int, int] = field(default_factory=dict)
    """For each epoch of the collector the first ordinal that it gave out."""

    def wrote(self, facet: int, key: bytes, text: str) -> None:
        """A call for `facet` wrote an entry, new or not."""
        shelf = self._shelf(facet)
        if shelf is not None:
            shelf.keep_beside(_fingerprint(key), text)

    def accepted(self, ordinal: int, facet: int, key: bytes, epoch: int) -> None:
        """The collector accepted, in its `epoch`, what a call for `facet` found."""
        later = self._first_of_epoch.items()
        if any(opened > epoch and ordinal >= first for opened, first in later):
            return
        shelf = self._shelf(facet)
        if shelf is not None:
            shelf.put(ordinal, _fingerprint(key), epoch)

    def open_epoch(self, epoch: int, accepted_count: int, accepted: Sequence[str] = ()) -> None:
        """The collector restarted holding `accepted_count`; `accepted`: all texts by ordinal - 1,
        as known before this was heard."""
        first_void = accepted_count + 1
        first_void = min(first_void, self._first_of_epoch.get(epoch, first_void))
        self._first_of_epoch[epoch] = first_void
        for shelf in self._shelves.values():
            if shelf.ordinals and shelf.ordinals[-1] >= first_void:
                shelf.take_back(first_void, epoch, accepted)

    def count(self, facet: int) -> int:
        shelf = self._shelves.get(facet)
        return len(shelf.ordinals) if shelf is not None else 0

    def ordinals(self, facet: int, upto: int | None = None) -> Sequence[int]:
        """Ascending, none above `upto`."""
        shelf = self._shelves.get(facet)
        if shelf is None:
            return ()
        if upto is None or not shelf.ordinals or shelf.ordinals[-1] <= upto:
            return shelf.ordinals
        return shelf.ordinals[: bisect_right(shelf.ordinals, upto)]

    def tail(self, facet: int) -> Sequence[str]:
        shelf = self._shelves.get(facet)
        return tuple(shelf.beside.values()) if shelf is not None else ()

    def _shelf(self, facet: int) -> _Shelf | None:
        if not facet:
            return None
        shelf = self._shelves.get(facet)
        if shelf is None and len(self._shelves) < FACETS_HELD_MAX:
            shelf = self._shelves[facet] = _Shelf()
        return shelf


def _fingerprint(key: bytes) -> int:
    """32 bits of a key: of 2,000 entries of a facet one in a million is taken for another, which
    leaves it out of a prompt."""
    return mmh3.hash(key, signed=False)
