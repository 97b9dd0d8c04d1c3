"""Which few of a million names are worth comparing with a new one.

Each name is filed under some blocking keys: its derived keys, its rare words, and the consonants of
its sound with one of them left out at a time, so that two spellings meet that differ in a
consonant; a long name under the first and the last half of them, a short one under its whole sound
in the same way. A new name is compared with those filed under a key of its own, the likeliest
first. A key under which many are filed tells nothing: only the latest of them are proposed, so that
the work for a name hardly grows with the list.

A Bloom filter over the derived keys answers first: most names have none that was seen before.

Filing is in flat arrays, some 20 bytes a key; a Python dict of lists would take some 100. Keys are
hashed to 32 bits: a collision proposes a stranger, which the comparison turns away.
"""

from __future__ import annotations

import heapq
import zlib
from array import array
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from mesh.core.bloom import BloomFilter
from mesh.core.names.derived_keys import derived_keys
from mesh.core.names.rarity import Rarity
from mesh.core.names.sounds import skeleton, sound
from mesh.core.names.structure import EXCHANGED_WORDS, KIND_WORDS, content, is_kind
from mesh.core.names.words import NAMES_REMEMBERED, Name

PROPOSED_MAX = 12
LOOKED_AT_MAX = 32
"""Of those filed under one key."""
WORD_KEYS_MAX = 4
WORD_BONES_MIN = 3
"""Consonants of a word that is found again though it is spelled otherwise."""
FEW_BONES = 3
"""Of so few consonants many names share all: the whole sound is a key then."""
MANY_BONES = 6
"""Of more consonants one that differs leaves the first or the last half as it is."""
SOUND_MAX = 9
"""Letters of a sound that is filed with one left out at a time."""
FIRST_PART_ENTRIES = 16_384
"""Names that the first part of the index has room for; each further part has room for twice as
many as the one before."""
ALIKE_MIN = 0.6
"""Share of sounds in common, of names that are not the same words arranged otherwise."""

_WORD, _WORD_BONES, _KIND_AND_BEGINNING = "w:", "v:", "k:"
_DERIVED_RANK = 2.0
"""Added to how alike two names sound, 0..1."""
_ARRANGED_RANK = 0.5


class _Part:
    """A hash table of chains with a fixed number of heads."""

    __slots__ = ("_capacity", "_hashes", "_heads", "_mask", "_next", "_numbers")

    def __init__(self, entry_count: int) -> None:
        self._capacity = entry_count
        head_count = 1 << (8 * entry_count - 1).bit_length()
        self._mask = head_count - 1
        self._heads = array("I", bytes(4 * head_count))
        self._hashes = array("I", [0])
        self._numbers = array("I", [0])
        self._next = array("I", [0])

    @property
    def is_full(self) -> bool:
        return len(self._numbers) > 8 * self._capacity

    @property
    def byte_count(self) -> int:
        arrays = (self._heads, self._hashes, self._numbers, self._next)
        return sum(each.itemsize * len(each) for each in arrays)

    def add(self, hashed: int, number: int) -> None:
        head = hashed & self._mask
        self._next.append(self._heads[head])
        self._heads[head] = len(self._numbers)
        self._hashes.append(hashed)
        self._numbers.append(number)

    def collect(self, hashed: int, found: list[int]) -> None:
        """Add those filed under a key to `found`, the latest first, until it has enough."""
        place = self._heads[hashed & self._mask]
        hashes, following = self._hashes, self._next
        while place and len(found) < LOOKED_AT_MAX:
            if hashes[place] == hashed:
                found.append(self._numbers[place])
            place = following[place]


@dataclass(frozen=True, slots=True)
class Proposal:
    """An earlier name that is worth comparing."""

    number: int
    may_share_key: bool
    """Its own key or a derived one may be the same; if not, none is."""


class BlockingIndex:
    """Names by number, filed under their blocking keys."""

    def __init__(self, first_part_entries: int = FIRST_PART_ENTRIES) -> None:
        self._first_part_entries = first_part_entries
        self._parts = [_Part(first_part_entries)]
        self._derived = BloomFilter()
        self._sounds = bytearray()
        self._ends = array("Q", [0])
        self._words = array("I")
        """Hashes of each name's content words, name after name."""
        self._word_ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    @property
    def byte_count(self) -> int:
        """Bytes that it takes in all."""
        filed = sum(part.byte_count for part in self._parts)
        arrays = (self._ends, self._words, self._word_ends)
        flat = sum(each.itemsize * len(each) for each in arrays)
        return filed + len(self._sounds) + flat + self._derived.byte_count

    def add(self, name: Name) -> int:
        """File a name; its number: 0, 1, 2, ..."""
        number = len(self)
        self._sounds += sound(name.joined).encode()
        self._ends.append(len(self._sounds))
        self._words.extend(map(_hashed, content(name)))
        self._word_ends.append(len(self._words))
        if self._parts[-1].is_full:
            self._parts.append(_Part(self._first_part_entries << len(self._parts)))
        part = self._parts[-1]
        for key in blocking_keys(name):
            part.add(_hashed(key), number)
        for key_bytes in _safe_keys(name):
            self._derived.add(key_bytes)
            part.add(zlib.crc32(key_bytes), number)
        return number

    def proposed(self, name: Name, rarity: Rarity) -> list[Proposal]:
        """The names to compare with `name`, the likeliest first."""
        with_derived: set[int] = set()
        for key_bytes in _safe_keys(name):
            if key_bytes in self._derived:
                with_derived.update(self._filed(zlib.crc32(key_bytes)))
        with_word, alike = set[int](), set[int]()
        for key in blocking_keys(name):
            if key.startswith(_WORD) and rarity.is_common(key.removeprefix(_WORD)):
                continue
            is_of_word = key.startswith((_WORD, _WORD_BONES, _KIND_AND_BEGINNING))
            (with_word if is_of_word else alike).update(self._filed(_hashed(key)))
        own = frozenset(map(_hashed, content(name)))
        ranks = dict.fromkeys(with_derived, _DERIVED_RANK)
        for number in with_word - with_derived:
            if self._may_be_arranged_otherwise(own, number):
                ranks[number] = _ARRANGED_RANK
        met = list(alike | with_word | with_derived)
        sounds = map(self._sound, met)
        likenesses = process.extract(
            sound(name.joined),
            list(sounds),
            scorer=Levenshtein.normalized_similarity,
            score_cutoff=ALIKE_MIN,
            limit=None,
        )
        for _, likeness, place in likenesses:
            ranks[met[place]] = ranks.get(met[place], 0.0) + likeness
        best = heapq.nsmallest(PROPOSED_MAX, ranks, key=lambda number: (-ranks[number], number))
        return [Proposal(number, number in with_derived) for number in best]

    def _filed(self, hashed: int) -> list[int]:
        """Those filed under a key, the latest first."""
        found: list[int] = []
        for part in reversed(self._parts):
            part.collect(hashed, found)
        return found

    def _may_be_arranged_otherwise(self, own: frozenset[int], number: int) -> bool:
        """Whether, by its words alone, structure.py may find it to be the same, or in doubt."""
        theirs = frozenset(self._words[self._word_ends[number] : self._word_ends[number + 1]])
        shared = own & theirs
        if not shared:
            return False
        mine_left, theirs_left = own - shared, theirs - shared
        if not (mine_left and theirs_left):
            return True
        if len(mine_left) > 1 or len(theirs_left) > 1:
            return False
        (mine,), (other,) = mine_left, theirs_left
        if mine in _KIND_HASHES or other in _KIND_HASHES:
            return False
        is_exchanged = mine in _EXCHANGED_HASHES and other in _EXCHANGED_HASHES
        return is_exchanged or not shared.isdisjoint(_KIND_HASHES)

    def _sound(self, number: int) -> str:
        return self._sounds[self._ends[number] : self._ends[number + 1]].decode()


@lru_cache(maxsize=NAMES_REMEMBERED)
def blocking_keys(name: Name) -> tuple[str, ...]:
    """What a name is filed under, none twice: keys of its words, then of its sound as a whole."""
    words = {word for word in content(name) if not is_kind(word)}
    longest = sorted(words, key=lambda word: (-len(word), word))[:WORD_KEYS_MAX]
    keys = [f"{_WORD}{word}" for word in longest]
    if len(name.words) > 1:
        sounds = (skeleton(sound(word)) for word in longest)
        keys += [f"{_WORD_BONES}{bones}" for bones in sounds if len(bones) >= WORD_BONES_MIN]
    kinds = [word for word in content(name) if is_kind(word)]
    if len(kinds) == len(words) == 1:
        keys.append(f"{_KIND_AND_BEGINNING}{kinds[0]}{longest[0][:2]}")
    return tuple(dict.fromkeys([*keys, *_sound_keys(sound(name.joined))]))


def _safe_keys(name: Name) -> set[bytes]:
    """Its own key and those derived from it."""
    return {name.key.encode(), *(derived.key.encode() for derived in derived_keys(name))}


def _sound_keys(sounded: str) -> list[str]:
    """ "b:" all consonants or all but one, "h:" and "t:" their first and last half, "s:" all."""
    bones = skeleton(sounded)
    if len(bones) > MANY_BONES:
        half = len(bones) // 2
        return [
            f"h:{bones[:half]}",
            f"t:{bones[-half:]}",
            f"h:{bones[: half + 1]}",
            f"t:{bones[-half - 1 :]}",
        ]
    if len(bones) > FEW_BONES:
        return _with_one_less("b:", bones)
    if len(sounded) > SOUND_MAX:
        return [f"b:{bones}", f"s:{sounded}"]
    return [f"b:{bones}", *_with_one_less("s:", sounded)]


def _with_one_less(kind: str, letters: str) -> list[str]:
    shorter = [f"{kind}{letters[:at]}{letters[at + 1 :]}" for at in range(len(letters))]
    return [kind + letters, *shorter]


def _hashed(key: str) -> int:
    return zlib.crc32(key.encode())


_KIND_HASHES = frozenset(map(_hashed, KIND_WORDS))
_EXCHANGED_HASHES = frozenset(map(_hashed, EXCHANGED_WORDS))
