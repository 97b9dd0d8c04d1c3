"""Numbers filed under hashes of keys: flat arrays, some 15 bytes a key for any number of keys.

A Python dict of lists would take some 100. It owns nothing but hashes: what the keys are made of,
and whether a number that is found belongs there, its caller knows (blocking.py). Keys are hashed
to 32 bits: a collision finds a stranger.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

HEADS_PER_ENTRY = 8
"""About as many as a name has keys: a chain then holds one key or two."""


class KeyTable:
    """A chain of hash tables, each with room for twice as many entries as the one before, so that
    none is ever built anew.

    Args:
        first_part_entries: that the first table has room for.
    """

    __slots__ = ("_first_part_entries", "_parts")

    def __init__(self, first_part_entries: int) -> None:
        self._first_part_entries = first_part_entries
        self._parts = [_Part(first_part_entries)]
        """The latest first."""

    @property
    def byte_count(self) -> int:
        return sum(part.byte_count for part in self._parts)

    def add(self, hashes: Sequence[int], number: int) -> None:
        """File a number under each of `hashes`."""
        if self._parts[0].is_full:
            self._parts.insert(0, _Part(self._first_part_entries << len(self._parts)))
        self._parts[0].add(hashes, number)

    def filed(self, hashed: int, found_max: int) -> list[int]:
        """Those filed under a hash, the latest first; of more than `found_max` the latest."""
        found: list[int] = []
        for part in self._parts:
            place = part.heads[hashed & part.mask]
            links = part.links
            while place:
                if links[place] == hashed:
                    found.append(links[place + 1])
                    if len(found) == found_max:
                        return found
                place = links[place + 2]
        return found


class _Part:
    """A hash table of chains with a fixed number of heads."""

    __slots__ = ("_capacity", "heads", "links", "mask")

    def __init__(self, entry_count: int) -> None:
        self._capacity = 3 * HEADS_PER_ENTRY * entry_count
        head_count = 1 << (HEADS_PER_ENTRY * entry_count - 1).bit_length()
        self.mask = head_count - 1
        self.heads = array("I", bytes(4 * head_count))
        """Where in `links` a chain begins; 0: it is empty."""
        self.links = array("I", [0, 0, 0])
        """A hash, a number and where the next of the chain stands, beside each other: memory that
        is far apart is what a walk along a chain waits for."""

    @property
    def is_full(self) -> bool:
        return len(self.links) > self._capacity

    @property
    def byte_count(self) -> int:
        return sum(each.itemsize * len(each) for each in (self.heads, self.links))

    def add(self, hashes: Sequence[int], number: int) -> None:
        heads, mask = self.heads, self.mask
        place = len(self.links)
        added: list[int] = []
        for hashed in hashes:
            head = hashed & mask
            added += (hashed, number, heads[head])
            heads[head] = place
            place += 3
        self.links.extend(array("I", added))
