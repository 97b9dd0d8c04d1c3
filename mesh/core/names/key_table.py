"""Numbers filed under hashes of keys: flat arrays, some 13 bytes a key for any number of keys.

A Python dict of lists would take some 100. It owns nothing but hashes: what the keys are made of,
and whether a number that is found belongs there, its caller knows (blocking.py). Keys are hashed
to 32 bits: a collision finds a stranger.

What many are filed under holds up nobody else: each key has one node in its chain, and its numbers
hang on that.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

PART_GROWTH = 4
HEADS_PER_ENTRY = 8
"""About as many as a name has keys: a chain then holds one key or none."""


class KeyTable:
    """A chain of hash tables, each with room for four times as many entries as the one before, so
    that none is ever built anew, and few are to be searched.

    Args:
        first_part_entries: that the first table has room for.
    """

    __slots__ = ("_first_part_entries", "_parts", "_walked")

    def __init__(self, first_part_entries: int) -> None:
        self._first_part_entries = first_part_entries
        self._parts: list[_Part] = []
        """The latest first."""
        self._walked: list[tuple[array[int], int, array[int], array[int]]] = []
        """Of each part what a search needs: heads, mask, nodes and earlier numbers."""
        self._open_part()

    @property
    def byte_count(self) -> int:
        return sum(part.byte_count for part in self._parts)

    def add(self, hashes: Sequence[int], number: int) -> None:
        """File a number under each of `hashes`."""
        if self._parts[0].is_full:
            self._open_part()
        self._parts[0].add(hashes, number)

    def filed(self, hashed: int, found_max: int) -> list[int]:
        """Those filed under a hash, the latest first; of more than `found_max` the latest."""
        found: list[int] = []
        for heads, mask, nodes, earlier in self._walked:
            node = heads[hashed & mask]
            while node and nodes[node] != hashed:
                node = nodes[node + 3]
            if not node:
                continue
            found.append(nodes[node + 1])
            place = nodes[node + 2]
            while place and len(found) < found_max:
                found.append(earlier[place])
                place = earlier[place + 1]
            if len(found) == found_max:
                break
        return found

    def filed_under_any(self, hashes: Iterable[int], found_max: int) -> set[int]:
        """The same of several hashes, with `found_max` of each."""
        found: list[int] = []
        walked = self._walked
        for hashed in hashes:  # As `filed` does, without a call and a list for each.
            left = found_max
            for heads, mask, nodes, earlier in walked:
                node = heads[hashed & mask]
                while node and nodes[node] != hashed:
                    node = nodes[node + 3]
                if not node:
                    continue
                found.append(nodes[node + 1])
                place = nodes[node + 2]
                left -= 1
                while place and left:
                    found.append(earlier[place])
                    place = earlier[place + 1]
                    left -= 1
                if not left:
                    break
        return set(found)

    def _open_part(self) -> None:
        part = _Part(self._first_part_entries * PART_GROWTH ** len(self._parts))
        self._parts.insert(0, part)
        self._walked.insert(0, (part.heads, part.mask, part.nodes, part.earlier))


class _Part:
    """A hash table of chains with a fixed number of heads."""

    __slots__ = ("_entries_left", "earlier", "heads", "mask", "nodes")

    def __init__(self, entry_count: int) -> None:
        self._entries_left = entry_count
        head_count = 1 << (HEADS_PER_ENTRY * entry_count - 1).bit_length()
        self.mask = head_count - 1
        self.heads = array("I", bytes(4 * head_count))
        """Where in `nodes` a chain begins; 0: it is empty."""
        self.nodes = array("I", [0, 0, 0, 0])
        """A hash, the latest number under it, where the others stand in `earlier`, and the next
        node of the chain, beside each other: memory that is far apart is what a walk waits for."""
        self.earlier = array("I", [0, 0])
        """A number, and where the one before it stands; 0: it is the last."""

    @property
    def is_full(self) -> bool:
        return not self._entries_left

    @property
    def byte_count(self) -> int:
        arrays = (self.heads, self.nodes, self.earlier)
        return sum(each.itemsize * len(each) for each in arrays)

    def add(self, hashes: Sequence[int], number: int) -> None:
        heads, mask, nodes, earlier = self.heads, self.mask, self.nodes, self.earlier
        self._entries_left -= 1
        added: list[int] = []
        end = len(nodes)
        for hashed in hashes:
            first = node = heads[hashed & mask]
            if node >= end:  # It begins with one that is among `added`.
                nodes.fromlist(added)
                added, end = [], len(nodes)
            while node and nodes[node] != hashed:
                node = nodes[node + 3]
            if node:
                earlier.fromlist([nodes[node + 1], nodes[node + 2]])
                nodes[node + 1] = number
                nodes[node + 2] = len(earlier) - 2
            else:
                heads[hashed & mask] = end + len(added)
                added += (hashed, number, 0, first)
        nodes.fromlist(added)
