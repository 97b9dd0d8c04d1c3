"""Which few of a million names are worth comparing with a new one.

Each name is filed under some blocking keys: its derived keys, its rare words, all its words in any
order, the consonants of each word (asked only where too many share the other words), and the
consonants of its sound with one of them left out at a time, so that two spellings meet that differ
in a consonant; a long name under the first and the last half of them, a short one under its whole
sound in the same way. A new name is compared with those filed under a key of its own, the likeliest
first. A key under which many are filed tells nothing: only the latest of them are proposed, so that
the work for a name hardly grows with the list.

A Bloom filter over the derived keys answers first: most names have none that was seen before.

What a name is filed under is told by hashes alone (key_table.py): a collision proposes a stranger,
which the comparison turns away.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple, TypeVar
from zlib import crc32

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from mesh.core.bloom import BloomFilter
from mesh.core.names.derived_keys import derived_keys
from mesh.core.names.key_table import KeyTable
from mesh.core.names.plurals import singular
from mesh.core.names.rarity import Rarity
from mesh.core.names.scripts import in_latin
from mesh.core.names.sounds import skeleton, sound_once
from mesh.core.names.structure import KIND_WORDS, is_kind
from mesh.core.names.word_marks import MarkColumn, Relation, WordMarks, marked, word_marks
from mesh.core.names.words import NAMES_REMEMBERED, Name

WORDS_REMEMBERED = 16_384
"""Words of which the key of their consonants is kept; some 250 bytes each."""
PROPOSED_MAX = 8
LOOKED_AT_MAX = 32
"""Of those filed under one key of a word."""
LOOKED_AT_ALIKE_MAX = 16
"""Of those filed under one key of a sound; a name has more of these, and they are rarer."""
WORD_KEYS_MAX = 4
WORD_BONES_MIN = 3
"""Consonants of a word that is found again though it is spelled otherwise."""
FEW_BONES = 3
"""Of so few consonants many names share all: the whole sound is a key then."""
MANY_BONES = 6
"""Of more consonants one that differs leaves the first or the last half as it is."""
SOUND_MAX = 9
"""Letters of a sound that is filed with one left out at a time."""
FIRST_PART_ENTRIES = 32_768
"""Names that the first part of the index has room for, at 32 bytes each; each further part has
room for four times as many as the one before."""
DERIVED_ERROR_RATE = 0.1
"""Of the Bloom filter: who passes for nothing is looked for once in vain, which is cheap."""
ALIKE_MIN = 0.6
"""Share of sounds in common, of names that are not the same words arranged otherwise."""
REST_ALIKE_MIN = 0.5
"""The same of what is left of names that share words; comparing.py asks for as much."""

_SAFE, _ALL_WORDS, _WORD_BONES, _KIND_AND_BEGINNING = map(crc32, (b"", b"a:", b"v:", b"k:"))
_BONES, _SOUND, _FIRST_HALF, _LAST_HALF = map(crc32, (b"b:", b"s:", b"h:", b"t:"))
"""Kinds of key: what the hash of a key goes on from, so that equal letters do not meet."""
_DERIVED_RANK = 2.0
"""Added to how alike two names sound, 0..1."""
_ARRANGED_RANK = 0.5
_POINTER_BYTES = 8
_SIMILARITY = Levenshtein.normalized_similarity

T = TypeVar("T")


class Proposal(NamedTuple):
    """An earlier name that is worth comparing."""

    number: int
    may_share_key: bool
    """Its own key or a derived one may be the same; if not, none is."""
    relation: Relation


@dataclass(slots=True, eq=False)
class _Keys:
    """What a name is filed under and looked for by: worked out once for both, as hashes."""

    safe: dict[str, int]
    """Its own key and those derived from it, with their hashes."""
    words: dict[str, int]
    """Those that say more than the kind of thing, the longest of them."""
    bones: dict[str, int]
    """The consonants of each of these, of names of several words."""
    parts_of_words: list[int]
    sounds: list[int]
    sounded: str
    marks: WordMarks

    def all(self) -> list[int]:
        """Hashes that it is filed under, none twice."""
        of_words = {*self.words.values(), *self.bones.values(), *self.parts_of_words}
        return [*of_words.union(self.sounds, self.safe.values())]


class BlockingIndex:
    """Names by number, filed under their blocking keys."""

    def __init__(self, first_part_entries: int = FIRST_PART_ENTRIES) -> None:
        self._table = KeyTable(first_part_entries)
        self._derived = BloomFilter(false_positive_rate=DERIVED_ERROR_RATE)
        self._sounds: list[str] = []
        """A text each: in a text column they take a third of that, and most of a look-up."""
        self._sounds_byte_count = 0
        self._marks = MarkColumn()
        self._common: set[int] = set()
        """Marks of words that may be common, and how many words they are of."""
        self._common_count = 0

    def __len__(self) -> int:
        return len(self._sounds)

    @property
    def byte_count(self) -> int:
        """Bytes that it takes in all."""
        parts = (self._marks, self._table, self._derived)
        return self._sounds_byte_count + sum(part.byte_count for part in parts)

    def add(self, name: Name) -> int:
        """File a name; its number: 0, 1, 2, ..."""
        number = len(self)
        keys = _keys(name)
        self._sounds.append(keys.sounded)
        self._sounds_byte_count += sys.getsizeof(keys.sounded) + _POINTER_BYTES
        self._marks.append(keys.marks)
        self._derived.update(map(str.encode, keys.safe))
        self._table.add(keys.all(), number)
        return number

    def proposed(self, name: Name, rarity: Rarity) -> list[Proposal]:
        """The names to compare with `name`, the likeliest first."""
        keys, filed = _keys(name), self._table.filed_under_any
        derived = [hashed for key, hashed in keys.safe.items() if key.encode() in self._derived]
        with_derived = filed(derived, LOOKED_AT_MAX)
        with_word = self._with_word(keys, rarity)
        all_met = filed(keys.sounds, LOOKED_AT_ALIKE_MAX)
        all_met |= with_word
        if with_derived:
            all_met |= with_derived
            with_word -= with_derived
        met, common = list(all_met), self._common_marks(rarity)
        relations = self._marks.arranged(keys.marks, with_word, common)
        ranks = dict.fromkeys(with_derived, _DERIVED_RANK)
        for number, relation in relations.items():
            if relation is Relation.ARRANGED:
                ranks[number] = _ARRANGED_RANK
        sounded, sounds = keys.sounded, _at(met, self._sounds)
        for other, likeness, place in process.extract(
            sounded, sounds, scorer=_SIMILARITY, score_cutoff=ALIKE_MIN, limit=None
        ):
            number = met[place]
            if number in ranks:
                ranks[number] += likeness
                continue
            relation = relations.get(number) or self._marks.relation(keys.marks, number, common)
            relations[number] = relation
            if relation is Relation.SHARING:
                longest = max(len(sounded), len(other))
                apart = longest - self._shared_sounds(keys, number)
                if longest * (1.0 - likeness) > apart * (1.0 - REST_ALIKE_MIN):
                    continue
            if relation is not Relation.DIFFERENT:
                ranks[number] = likeness
        best = sorted((-rank, number) for number, rank in ranks.items())[:PROPOSED_MAX]
        return [
            Proposal(number, number in with_derived, relations.get(number, Relation.ARRANGED))
            for _, number in best
        ]

    def _shared_sounds(self, keys: _Keys, number: int) -> float:
        """About how many sounds of a name are those of words that another has too."""
        letters = max(1, sum(map(len, keys.marks.of_words)))
        return len(keys.sounded) * self._marks.shared_letters(keys.marks, number) / letters

    def _common_marks(self, rarity: Rarity) -> set[int]:
        words = rarity.once_common
        if self._common_count != len(words) + len(rarity.topic_words):
            self._common = set(map(marked, words | rarity.topic_words))
            self._common_count = len(words) + len(rarity.topic_words)
        return self._common

    def _with_word(self, keys: _Keys, rarity: Rarity) -> set[int]:
        """Those that share a word, or all words but for how they are spelled.

        Who shares one word with a name and spells another one otherwise is found by the one that
        they share. Only where too many share it for all to be looked at, the consonants of the
        other are asked as well.
        """
        found = self._table.filed_under_any(keys.parts_of_words, LOOKED_AT_ALIKE_MAX)
        crowded = []
        for word, hashed in keys.words.items():
            if not rarity.is_common(word):
                under_word = self._table.filed(hashed, LOOKED_AT_MAX)
                found.update(under_word)
                if len(under_word) < LOOKED_AT_MAX:
                    continue
            crowded.append(word)
        if crowded:
            asked = [bones for word, bones in keys.bones.items() if crowded != [word]]
            found |= self._table.filed_under_any(asked, LOOKED_AT_ALIKE_MAX)
        return found


def _at(places: Sequence[int], values: Sequence[T]) -> Sequence[T]:
    """The values at several places: in C, which waits for memory that is far apart but once."""
    if len(places) < 2:  # itemgetter gives no tuple of one.
        return [values[place] for place in places]
    return itemgetter(*places)(values)  # type: ignore[no-any-return]


def blocking_keys(name: Name) -> list[int]:
    """Hashes of what a name is filed under, none twice."""
    return _keys(name).all()


@lru_cache(maxsize=NAMES_REMEMBERED)
def _keys(name: Name) -> _Keys:
    marks = word_marks(name)
    said = words = marks.of_words
    if not KIND_WORDS.isdisjoint(said):
        words = {word: hashed for word, hashed in said.items() if not is_kind(word)}
    if len(words) > WORD_KEYS_MAX:
        longest = sorted(words, key=lambda word: (-len(word), word))[:WORD_KEYS_MAX]
        words = {word: words[word] for word in longest}
    safe = {name.key: crc32(name.key.encode(), _SAFE)}
    for derived in derived_keys(name):
        if derived.key not in safe:
            safe[derived.key] = crc32(derived.key.encode(), _SAFE)
    sounded = sound_once(in_latin(name.joined))
    return _Keys(
        safe,
        words,
        _keys_of_bones(name, words),
        _keys_of_parts(said),
        _sound_keys(sounded),
        sounded,
        marks,
    )


def _keys_of_bones(name: Name, words: Iterable[str]) -> dict[str, int]:
    if len(name.words) == 1:
        return {}
    return {word: hashed for word in words if (hashed := _bones_key(word)) is not None}


def _keys_of_parts(said: Collection[str]) -> list[int]:
    """All words in whatever order, and the kind of thing with how its name begins."""
    singulars = [singular(word) if word[-1] == "s" else word for word in said]
    hashes = [_hashed(_ALL_WORDS, " ".join(sorted(singulars)))]
    if not KIND_WORDS.isdisjoint(said):
        kinds = [word for word in said if is_kind(word)]
        others = set(said).difference(kinds)
        if len(kinds) == len(others) == 1:
            hashes.append(_hashed(_KIND_AND_BEGINNING, kinds[0] + others.pop()[:2]))
    return hashes


@lru_cache(maxsize=WORDS_REMEMBERED)
def _bones_key(word: str) -> int | None:
    bones = skeleton(sound_once(in_latin(word)))
    return _hashed(_WORD_BONES, bones) if len(bones) >= WORD_BONES_MIN else None


def _sound_keys(sounded: str) -> list[int]:
    """All consonants and all but one or their first and last half, or the whole sound."""
    bones = skeleton(sounded)
    if len(bones) > MANY_BONES:
        return [_hashed(_BONES, bones), *_halves(bones)]
    if len(bones) > FEW_BONES:
        return _with_one_less(_BONES, bones)
    if len(sounded) > SOUND_MAX:
        return [_hashed(_BONES, bones), _hashed(_SOUND, sounded)]
    return [_hashed(_BONES, bones), *_with_one_less(_SOUND, sounded)]


def _halves(letters: str) -> list[int]:
    """With one letter more too: in another spelling the middle may lie beside it."""
    half = len(letters) // 2
    return [
        _hashed(_FIRST_HALF, letters[:half]),
        _hashed(_LAST_HALF, letters[-half:]),
        _hashed(_FIRST_HALF, letters[: half + 1]),
        _hashed(_LAST_HALF, letters[-half - 1 :]),
    ]


def _with_one_less(kind: int, letters: str) -> list[int]:
    encoded = letters.encode()
    if len(encoded) != len(letters):
        shorter = [letters[:at] + letters[at + 1 :] for at in range(len(letters))]
        return [_hashed(kind, each) for each in (letters, *shorter)]
    # As is told above, of letters of one byte each: most sounds are of these alone.
    whole = [crc32(encoded, kind)]
    return whole + [
        crc32(encoded[at + 1 :], crc32(encoded[:at], kind)) for at in range(len(encoded))
    ]


def _hashed(kind: int, letters: str) -> int:
    return crc32(letters.encode(), kind)
