"""A set of sequence numbers that is nearly always 1..n: a watermark and the islands above it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class SeqSet:
    """Sequence numbers >= 1. Costs memory for each hole, none for each member."""

    upto: int = 0
    """Watermark: every number 1..upto is in the set, upto + 1 is not."""
    _firsts: list[int] = field(default_factory=list)
    _lasts: list[int] = field(default_factory=list)

    def add_range(self, first: int, last: int) -> list[tuple[int, int]]:
        """Add first..last (inclusive); return the sub-ranges that were new, ascending."""
        assert 1 <= first <= last, (first, last)
        if first == self.upto + 1 and not self._firsts:
            self.upto = last
            return [(first, last)]
        if last <= self.upto:
            return []
        new = list(self._missing(max(first, self.upto + 1), last))
        if new:
            self._insert(max(first, self.upto + 1), last)
        return new

    def __contains__(self, seq: int) -> bool:
        if seq <= self.upto:
            return seq >= 1
        index = bisect_right(self._firsts, seq) - 1
        return index >= 0 and seq <= self._lasts[index]

    def covers(self, first: int, last: int) -> bool:
        """Whether all of first..last (inclusive) is in the set."""
        if last <= self.upto:
            return first >= 1
        index = bisect_right(self._firsts, first) - 1
        return index >= 0 and last <= self._lasts[index]

    def __len__(self) -> int:
        islands = zip(self._firsts, self._lasts, strict=True)
        return self.upto + sum(last - first + 1 for first, last in islands)

    @property
    def highest(self) -> int:
        return self._lasts[-1] if self._lasts else self.upto

    def missing_upto(self, last: int) -> list[tuple[int, int]]:
        """Holes in 1..last, ascending, as inclusive ranges."""
        return list(self._missing(self.upto + 1, last)) if last > self.upto else []

    def ranges(self) -> list[tuple[int, int]]:
        """Members as inclusive ranges, ascending."""
        head = [(1, self.upto)] if self.upto else []
        return head + list(zip(self._firsts, self._lasts, strict=True))

    def overlap(self, first: int, last: int) -> list[tuple[int, int]]:
        """Members among first..last, ascending, as inclusive ranges."""
        return [
            (max(first, low), min(last, high))
            for low, high in self.ranges()
            if low <= last and high >= first
        ]

    def without(self, other: SeqSet) -> SeqSet:
        """A new set: what is in this one and not in `other`."""
        rest = SeqSet()
        for first, last in self.ranges():
            start = first
            for low, high in other.overlap(first, last):
                if start < low:
                    rest.add_range(start, low - 1)
                start = high + 1
            if start <= last:
                rest.add_range(start, last)
        return rest

    @classmethod
    def of_ranges(cls, ranges: Iterable[tuple[int, int]]) -> SeqSet:
        seqs = cls()
        for first, last in ranges:
            seqs.add_range(first, last)
        return seqs

    def _missing(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        start = first
        for index in range(bisect_left(self._lasts, first), len(self._firsts)):
            if self._firsts[index] > last:
                break
            if start < self._firsts[index]:
                yield start, self._firsts[index] - 1
            start = self._lasts[index] + 1
        if start <= last:
            yield start, last

    def _insert(self, first: int, last: int) -> None:
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first, last = min(first, self._firsts[low]), max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]
        if self._firsts[0] == self.upto + 1:
            self.upto = self._lasts.pop(0)
            self._firsts.pop(0)
