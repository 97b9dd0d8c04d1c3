"""Which few of a million names are worth comparing with a new one.

Each name is filed under some blocking keys: its derived keys, its rare words, all its words in any
order, the consonants of each word, and the consonants of its sound with one of them left out at a
time, so that two spellings meet that differ in a consonant; a long name under the first and the
last half of them, a short one under its whole sound in the same way. A new name is compared with
those filed under a key of its own, the likeliest first. A key under which many are filed tells
nothing: only the latest of them are proposed, so that the work for a name hardly grows with the
list.

A Bloom filter over the derived keys answers first: most names have none that was seen before.

What a name is filed under is told by hashes alone (key_table.py): a collision proposes a stranger,
which the comparison turns away.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from mesh.core.bloom import BloomFilter
from mesh.core.names.derived_keys import derived_keys, singular
from mesh.core.names.key_table import KeyTable
from mesh.core.names.rarity import Rarity
from mesh.core.names.scripts import in_latin
from mesh.core.names.sounds import skeleton, sound
from mesh.core.names.structure import EXCHANGED_WORDS, KIND_WORDS, content, is_kind
from mesh.core.names.words import NAMES_REMEMBERED, Name
from mesh.core.text_column import TextColumn

WORDS_REMEMBERED = 16_384
"""Words of which the key of their consonants is kept; some 250 bytes each."""
PROPOSED_MAX = 12
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
FIRST_PART_ENTRIES = 16_384
"""Names that the first part of the index has room for; each further part has room for twice as
many as the one before."""
ALIKE_MIN = 0.6
"""Share of sounds in common, of names that are not the same words arranged otherwise."""

_SAFE, _WORD, _ALL_WORDS, _WORD_BONES, _KIND_AND_BEGINNING = map(
    zlib.crc32, (b"", b"w:", b"a:", b"v:", b"k:")
)
_BONES, _SOUND, _FIRST_HALF, _LAST_HALF = map(zlib.crc32, (b"b:", b"s:", b"h:", b"t:"))
"""Kinds of key: what the hash of a key goes on from, so that equal letters do not meet."""
_DERIVED_RANK = 2.0
"""Added to how alike two names sound, 0..1."""
_ARRANGED_RANK = 0.5


@dataclass(frozen=True, slots=True)
class Proposal:
    """An earlier name that is worth comparing."""

    number: int
    may_share_key: bool
    """Its own key or a derived one may be the same; if not, none is."""
    may_share_word: bool
    """A word but links and the gloss may be the same; if not, none is."""


@dataclass(frozen=True, slots=True, eq=False)
class _Keys:
    """What a name is filed under and looked for by: worked out once for both, as hashes."""

    safe: dict[str, int]
    """Its own key and those derived from it, with their hashes."""
    words: dict[str, int]
    """Words that say more than the kind of thing, the longest of them."""
    parts_of_words: list[int]
    sounds: list[int]
    sounded: str
    content: frozenset[int]
    """Of all its words but links."""

    def all(self) -> list[int]:
        """Hashes that it is filed under, none twice."""
        found = (*self.words.values(), *self.parts_of_words, *self.sounds, *self.safe.values())
        return list(set(found))


class BlockingIndex:
    """Names by number, filed under their blocking keys."""

    def __init__(self, first_part_entries: int = FIRST_PART_ENTRIES) -> None:
        self._table = KeyTable(first_part_entries)
        self._derived = BloomFilter()
        self._sounds = TextColumn()
        self._words = array("I")
        """Hashes of each name's content words, name after name."""
        self._word_ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._sounds)

    @property
    def byte_count(self) -> int:
        """Bytes that it takes in all."""
        flat = sum(each.itemsize * len(each) for each in (self._words, self._word_ends))
        return self._table.byte_count + self._sounds.byte_count + flat + self._derived.byte_count

    def add(self, name: Name) -> int:
        """File a name; its number: 0, 1, 2, ..."""
        number = len(self)
        keys = _keys(name)
        self._sounds.append(keys.sounded)
        self._words.extend(keys.content)
        self._word_ends.append(len(self._words))
        self._derived.update(map(str.encode, keys.safe))
        self._table.add(keys.all(), number)
        return number

    def proposed(self, name: Name, rarity: Rarity) -> list[Proposal]:
        """The names to compare with `name`, the likeliest first."""
        keys = _keys(name)
        with_derived = self._filed(
            (hashed for key, hashed in keys.safe.items() if key.encode() in self._derived),
            LOOKED_AT_MAX,
        )
        with_word = self._filed(
            (hashed for word, hashed in keys.words.items() if not rarity.is_common(word)),
            LOOKED_AT_MAX,
        )
        with_word |= self._filed(keys.parts_of_words, LOOKED_AT_ALIKE_MAX)
        met = list(self._filed(keys.sounds, LOOKED_AT_ALIKE_MAX) | with_word | with_derived)
        ranks = dict.fromkeys(with_derived, _DERIVED_RANK)
        arranged = self._arranged_otherwise(keys.content, with_word - with_derived)
        ranks.update(dict.fromkeys(arranged, _ARRANGED_RANK))
        likenesses = process.extract(
            keys.sounded,
            self._sounds.at(met),
            scorer=Levenshtein.normalized_similarity,
            score_cutoff=ALIKE_MIN,
            limit=None,
        )
        for _, likeness, place in likenesses:
            ranks[met[place]] = ranks.get(met[place], 0.0) + likeness
        best = sorted((-rank, number) for number, rank in ranks.items())[:PROPOSED_MAX]
        return [
            Proposal(
                number,
                may_share_key=number in with_derived,
                may_share_word=not keys.content.isdisjoint(self._content(number)),
            )
            for _, number in best
        ]

    def _filed(self, hashes: Iterable[int], looked_at_max: int) -> set[int]:
        """Those filed under one of some keys, the latest of each."""
        found: set[int] = set()
        for hashed in hashes:
            found.update(self._table.filed(hashed, looked_at_max))
        return found

    def _content(self, number: int) -> array[int]:
        return self._words[self._word_ends[number] : self._word_ends[number + 1]]

    def _arranged_otherwise(self, own: frozenset[int], numbers: Iterable[int]) -> list[int]:
        """Those which, by their words alone, structure.py may find to be the same, or in doubt."""
        words, ends, shares_none = self._words, self._word_ends, own.isdisjoint
        return [
            number
            for number in numbers
            if not shares_none(theirs := words[ends[number] : ends[number + 1]])
            and _may_be_arranged_otherwise(own, theirs)
        ]


def _may_be_arranged_otherwise(own: frozenset[int], others: Iterable[int]) -> bool:
    """The same of two names that share a word, by the hashes of their words."""
    theirs = frozenset(others)
    mine_left, theirs_left = own - theirs, theirs - own
    if not (mine_left and theirs_left):
        return True
    if len(mine_left) > 1 or len(theirs_left) > 1:
        return False
    (mine,), (other,) = mine_left, theirs_left
    if mine in _KIND_HASHES or other in _KIND_HASHES:
        return False
    is_exchanged = mine in _EXCHANGED_HASHES and other in _EXCHANGED_HASHES
    return is_exchanged or not _KIND_HASHES.isdisjoint(own & theirs)


def blocking_keys(name: Name) -> list[int]:
    """Hashes of what a name is filed under, none twice."""
    return _keys(name).all()


@lru_cache(maxsize=NAMES_REMEMBERED)
def _keys(name: Name) -> _Keys:
    said = {word: _hashed(_WORD, word) for word in content(name)}
    words = said
    if not KIND_WORDS.isdisjoint(said):
        words = {word: hashed for word, hashed in said.items() if not is_kind(word)}
    if len(words) > WORD_KEYS_MAX:
        longest = sorted(words, key=lambda word: (-len(word), word))[:WORD_KEYS_MAX]
        words = {word: words[word] for word in longest}
    safe = (name.key, *(derived.key for derived in derived_keys(name)))
    sounded = sound(in_latin(name.joined))
    return _Keys(
        {key: _hashed(_SAFE, key) for key in safe},
        words,
        _keys_of_parts(name, words),
        _sound_keys(sounded),
        sounded,
        frozenset(said.values()),
    )


def _keys_of_parts(name: Name, words: Iterable[str]) -> list[int]:
    """All words in whatever order, the consonants of each, and the kind of thing with how its name
    begins."""
    said = content(name)
    singulars = [singular(word) if word.endswith("s") else word for word in said]
    hashes = [_hashed(_ALL_WORDS, " ".join(sorted(singulars)))]
    if len(name.words) == 1:
        return hashes
    hashes += [hashed for word in words if (hashed := _bones_key(word)) is not None]
    if not KIND_WORDS.isdisjoint(said):
        kinds = [word for word in said if is_kind(word)]
        others = set(said).difference(kinds)
        if len(kinds) == len(others) == 1:
            hashes.append(_hashed(_KIND_AND_BEGINNING, kinds[0] + others.pop()[:2]))
    return hashes


@lru_cache(maxsize=WORDS_REMEMBERED)
def _bones_key(word: str) -> int | None:
    bones = skeleton(sound(in_latin(word)))
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
    shorter = [letters[:at] + letters[at + 1 :] for at in range(len(letters))]
    return [zlib.crc32(each.encode(), kind) for each in (letters, *shorter)]


def _hashed(kind: int, letters: str) -> int:
    return zlib.crc32(letters.encode(), kind)


_KIND_HASHES = frozenset(_hashed(_WORD, word) for word in KIND_WORDS)
_EXCHANGED_HASHES = frozenset(_hashed(_WORD, word) for word in EXCHANGED_WORDS)
