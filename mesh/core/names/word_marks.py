"""What the words of two names have to do with one another, by marks of them alone.

An index holds the marks of a million names; a name itself is taken apart only where they leave
something to find out (comparing.py). A mark is a hash of a word with another of how it begins:
words of two names with one mark are taken for the same.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from zlib import crc32

from mesh.core.names import vocabulary
from mesh.core.names.canonical import canonical_words
from mesh.core.names.structure import (
    CASTLE_WORDS,
    DESCRIBING_WORDS,
    EXCHANGED_WORDS,
    KIND_WORDS,
    PLAIN_WORDS_MAX,
    content,
    is_adjective,
)
from mesh.core.names.words import Name

_WORD = crc32(b"w:")
_ADJECTIVE = 1 << 26
_BEGINS_BITS = 27
"""Bits of a mark below those of how the word begins."""
_NUMBER = 31
"""How a number begins, in one form or another."""
_DIGITS = frozenset(b"0123456789")
_SIGNATURE_BITS = 63
"""Mask of the bit that stands for a word, of 64."""


class Relation(enum.Enum):
    """How two names may be one, by their words but links and the gloss."""

    STRANGERS = enum.auto()
    """They share no word: only if they are spelled alike as a whole."""
    SHARING = enum.auto()
    """They share words: only if what is left of both is spelled alike."""
    ARRANGED = enum.auto()
    """They may be the same words otherwise arranged, one name inside the other, or the same but
    for words of one kind."""
    DIFFERENT = enum.auto()
    """One is inside the other, and nothing says that both are one."""


def marked(word: str) -> int:
    """32 bits: a hash of 26, whether it is an adjective by its end, and five of how it begins.

    To keep them for words that come again takes longer than to work them out.
    """
    encoded = word.encode()
    begins = _NUMBER if encoded[0] in _DIGITS else crc32(encoded[:2]) & _NUMBER
    return crc32(encoded, _WORD) >> 6 | is_adjective(word) << 26 | begins << 27


_KINDS = frozenset(map(marked, KIND_WORDS))
_EXCHANGED = frozenset(map(marked, EXCHANGED_WORDS))
_CASTLES = frozenset(map(marked, CASTLE_WORDS))
_SAYING_WHAT = _KINDS.union(map(marked, DESCRIBING_WORDS))
_TITLES = frozenset(map(marked, vocabulary.TITLES))


@dataclass(slots=True, eq=False)
class WordMarks:
    """The marks of one name's words."""

    of_words: dict[str, int]
    """Of all that `content` tells, in its order."""
    marks: frozenset[int]
    signature: int
    """A bit of 64 for each: names whose bits have none in common share no word."""
    is_plain: bool
    """Whether it is those words and no more, in this order: no link, gloss or number."""
    exchange_bits: int
    """Of `signature`: a name for which one of its words stands for another shares one of these."""


def word_marks(name: Name) -> WordMarks:
    of_words = {word: marked(word) for word in content(name)}
    marks = frozenset(of_words.values())
    signature = exchange_bits = 0
    for mark in marks:
        signature |= 1 << (mark & _SIGNATURE_BITS)
    if not (marks.isdisjoint(_EXCHANGED) and marks.isdisjoint(_CASTLES)):
        exchange_bits = signature
    elif not marks.isdisjoint(_KINDS):
        for mark in marks & _KINDS:
            exchange_bits |= 1 << (mark & _SIGNATURE_BITS)
    return WordMarks(of_words, marks, signature, _is_plain(name, len(marks)), exchange_bits)


def _is_plain(name: Name, mark_count: int) -> bool:
    return (
        mark_count == len(name.words)
        and canonical_words(name) is name.words
        and not (name.gloss or name.inverted or name.unmarked or name.lead)
        and vocabulary.LINKS.isdisjoint(name.words)
    )


class MarkColumn:
    """The marks of many names, by number."""

    __slots__ = ("_ends", "_marks", "_plain", "_signatures")

    def __init__(self) -> None:
        self._signatures = array("Q")
        self._marks = array("I")
        """Name after name, in the order of the words."""
        self._ends = array("Q", [0])
        self._plain = bytearray()

    def __len__(self) -> int:
        return len(self._signatures)

    @property
    def byte_count(self) -> int:
        arrays = (self._signatures, self._marks, self._ends)
        return sum(each.itemsize * len(each) for each in arrays) + len(self._plain)

    def append(self, words: WordMarks) -> None:
        self._signatures.append(words.signature)
        self._marks.extend(words.of_words.values())
        self._ends.append(len(self._marks))
        self._plain.append(words.is_plain)

    def arranged(
        self, own: WordMarks, numbers: Iterable[int], common: Collection[int]
    ) -> dict[int, Relation]:
        """Of these names those that stand ARRANGED or DIFFERENT to `own`.

        Args:
            common: marks of all words that may be common in the list (rarity.py).
        """
        mine, exchange_bits, signatures = own.signature, own.exchange_bits, self._signatures
        # Bits turn away most: who has words left on both sides has exchanged one for one.
        passed = [
            number
            for number in numbers
            if (shared := mine & (theirs := signatures[number])) == mine
            or shared == theirs
            or (shared & exchange_bits and (mine ^ theirs).bit_count() <= 2)
        ]
        found: dict[int, Relation] = {}
        for number in passed:
            relation = self.relation(own, number, common)
            if relation is Relation.ARRANGED or relation is Relation.DIFFERENT:
                found[number] = relation
        return found

    def relation(self, own: WordMarks, number: int, common: Collection[int]) -> Relation:
        """How the name of this number stands to `own`."""
        marks = own.marks
        if not own.signature & self._signatures[number]:
            return Relation.STRANGERS
        theirs = self._marks[self._ends[number] : self._ends[number + 1]]
        others = frozenset(theirs)
        mine_left = marks - others
        if len(mine_left) == len(marks):
            return Relation.STRANGERS
        theirs_left = others - marks
        if mine_left and theirs_left:
            if len(mine_left) > 1 or len(theirs_left) > 1:
                return Relation.SHARING
            (word,), (against,) = mine_left, theirs_left
            is_exchanged = _is_exchanged(word, against, marks)
            return Relation.ARRANGED if is_exchanged else Relation.SHARING
        if not (own.is_plain and self._plain[number] and (mine_left or theirs_left)):
            return Relation.ARRANGED
        longer: Iterable[int] = own.of_words.values() if mine_left else theirs
        may_be = _may_be_longer([*longer], mine_left or theirs_left, common)
        return Relation.ARRANGED if may_be else Relation.DIFFERENT

    def shared_letters(self, own: WordMarks, number: int) -> int:
        """Letters of the words of `own` that the name of this number has too."""
        theirs = self._marks[self._ends[number] : self._ends[number + 1]]
        return sum(len(word) for word, mark in own.of_words.items() if mark in theirs)


def _is_exchanged(mine: int, other: int, marks: frozenset[int]) -> bool:
    """Whether structure.py may take two words for one another, in names that share all else."""
    if mine in _KINDS or other in _KINDS:
        return mine in _CASTLES and other in _CASTLES
    if mine in _EXCHANGED and other in _EXCHANGED:
        return True
    begins = mine >> _BEGINS_BITS
    if begins != other >> _BEGINS_BITS or _SAYING_WHAT.isdisjoint(marks):
        return False
    return begins == _NUMBER or bool((mine ^ other) & _ADJECTIVE)


def _may_be_longer(longer: Sequence[int], extra: Collection[int], common: Collection[int]) -> bool:
    """Whether structure.py may find a reason in the words that one of two plain names has more."""
    plain = [mark for mark in extra if mark not in _SAYING_WHAT]
    if all(mark in common for mark in plain) or _TITLES.issuperset(extra):
        return True
    if len(plain) > PLAIN_WORDS_MAX:
        return False
    after = max(map(longer.index, plain)) + 1
    return after < len(longer) and longer[after] not in extra
