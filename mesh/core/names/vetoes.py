"""Why two names that look alike are two things: what differs is never merged by likeness.

Whatever else speaks for one entry (letters, words, meaning by embeddings), a veto speaks last.
Keys that are safe by themselves (derived_keys.py) come before it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from mesh.core.names import vocabulary
from mesh.core.names.canonical import canonical, canonical_words
from mesh.core.names.plurals import singular
from mesh.core.names.words import NAMES_REMEMBERED, Name, may_be_roman, roman_value

_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_STEM_LETTERS_MIN = 4
_SHORT_STEM_LETTERS_MIN = 3
_RIVAL_ENDINGS = frozenset(vocabulary.RIVAL_ENDINGS)
_HYDROCARBONS = frozenset(("ane", "ene", "yne"))
"""These tell apart even short stems: "ethane" and "ethene"."""
_COMPASS = {
    "northern": "north", "southern": "south", "eastern": "east", "western": "west",
}  # fmt: skip


_TELLING_WORDS = vocabulary.RIVAL_WORDS | vocabulary.MARKING | _COMPASS.keys()
_NONE: frozenset[str] = frozenset()


class _Traits(NamedTuple):
    """What vetoes look at in one name. A tuple, as one is made for every name that is compared."""

    words: frozenset[str]
    numbers: tuple[str, ...] = ()
    """Those of its words, in order of size."""
    gloss: frozenset[str] = _NONE
    gloss_numbers: tuple[str, ...] = ()
    letters: tuple[str, ...] = ()
    """Words of one letter, but for links before the end."""
    ends_with_letter: bool = False
    units: frozenset[str] = _NONE
    rivals: frozenset[str] = _NONE
    marks: frozenset[str] = _NONE
    has_words_alone: bool = False
    """All but `words` is empty, as of most names."""


def veto(one: Name, other: Name) -> str | None:
    """Why the two cannot be one; None: nothing speaks against it."""
    mine, theirs = _traits(one), _traits(other)
    if mine.has_words_alone and theirs.has_words_alone:
        return _rival_words(mine, theirs)
    return (
        _numbers(mine, theirs)
        or _grades(mine, theirs)
        or _units(mine, theirs)
        or _rivals(mine, theirs)
        or _marks(mine, theirs)
        or _rival_words(mine, theirs)
        or _glosses(mine, theirs)
    )


@lru_cache(maxsize=NAMES_REMEMBERED)
def _traits(name: Name) -> _Traits:
    words = frozenset(canonical_words(name))
    if _has_words_alone(name, words):
        return _Traits(words, has_words_alone=True)
    if not words.isdisjoint(_COMPASS):
        words = frozenset(_COMPASS.get(word, word) for word in words)
    return _Traits(
        words,
        _numbers_in_words(name),
        frozenset(map(singular, name.gloss)),
        tuple(sorted(_NUMBER.findall(" ".join(name.gloss)))) if name.gloss else (),
        _letters(name) if 1 in map(len, name.words) else (),
        _is_letter(name.words[-1]),
        _NONE if vocabulary.UNITS.isdisjoint(name.words) else _units_of_numbers(name),
        words & vocabulary.RIVAL_WORDS,
        words & vocabulary.MARKING,
    )


def _has_words_alone(name: Name, words: frozenset[str]) -> bool:
    """Whether nothing but `words`, its canonical ones, tells anything; False: something may."""
    if name.gloss or name.unmarked or canonical_words(name) is not name.words:
        return False
    return (
        words.isdisjoint(_TELLING_WORDS)
        and "".join(words).isalpha()
        and not any(len(word) == 1 or may_be_roman(word) for word in words)
    )


def _letters(name: Name) -> tuple[str, ...]:
    *others, last = name.words
    links = vocabulary.LINKS & name.lowercase
    return tuple(sorted(filter(_is_letter, [*(w for w in others if w not in links), last])))


def _units_of_numbers(name: Name) -> frozenset[str]:
    return frozenset(
        word
        for before, word in itertools.pairwise(name.words)
        if word in vocabulary.UNITS and before[-1:].isdigit()
    )


def _numbers_in_words(name: Name) -> tuple[str, ...]:
    words = canonical(name.unmarked, name)[0].split() if name.unmarked else canonical_words(name)
    found: list[str] = []
    for place, word in enumerate(words):
        value = roman_value(word) if place and len(word) > 1 else None
        if value is not None:
            found.append(str(value))
        elif not word.isalpha():
            found += _NUMBER.findall(word)
    return tuple(sorted(found))


def _numbers(mine: _Traits, theirs: _Traits) -> str | None:
    # A year in brackets tells two apart only where both have one.
    glosses_differ = (
        mine.gloss_numbers != theirs.gloss_numbers and mine.gloss_numbers and theirs.gloss_numbers
    )
    if mine.numbers == theirs.numbers and not glosses_differ:
        return None
    if sorted(mine.numbers + mine.gloss_numbers) == sorted(theirs.numbers + theirs.gloss_numbers):
        return None
    return (
        f"numbers differ: {_listed(mine.numbers + mine.gloss_numbers)} "
        f"and {_listed(theirs.numbers + theirs.gloss_numbers)}"
    )


def _grades(mine: _Traits, theirs: _Traits) -> str | None:
    """Letters that stand alone: "Avenue A", "vitamin C"; initials in the middle may be missing."""
    if mine.letters == theirs.letters:
        return None
    if mine.ends_with_letter or theirs.ends_with_letter or (mine.letters and theirs.letters):
        return f"letters differ: {_listed(mine.letters)} and {_listed(theirs.letters)}"
    return None


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word.isascii() and word.isalpha()


def _units(mine: _Traits, theirs: _Traits) -> str | None:
    if mine.units and theirs.units and mine.units != theirs.units:
        return f"units differ: {_listed(mine.units)} and {_listed(theirs.units)}"
    return None


def _rivals(mine: _Traits, theirs: _Traits) -> str | None:
    """Words that exclude one another stand against each other."""
    if not (mine.rivals and theirs.rivals):
        return None
    for word in sorted(mine.rivals - theirs.words):
        for against in sorted(theirs.rivals - mine.words):
            if any(word in rivals and against in rivals for rivals in vocabulary.RIVALS):
                return f"{word} is not {against}"
    return None


def _marks(mine: _Traits, theirs: _Traits) -> str | None:
    """A word that marks a neighbour stands on one side alone."""
    marks = sorted(mine.marks ^ theirs.marks)
    return f"only one has {marks[0]!r}" if marks else None


def _glosses(mine: _Traits, theirs: _Traits) -> str | None:
    """Glosses tell apart, unless one only says more than the other."""
    if (
        mine.gloss
        and theirs.gloss
        and not (mine.gloss <= theirs.gloss or theirs.gloss <= mine.gloss)
    ):
        return f"({_listed(mine.gloss)}) is not ({_listed(theirs.gloss)})"
    return None


def _rival_words(mine: _Traits, theirs: _Traits) -> str | None:
    """Words that differ by an ending or beginning that makes another thing of them."""
    only_mine, only_theirs = mine.words - theirs.words, theirs.words - mine.words
    if len(only_mine) != 1 or len(only_theirs) != 1:
        return None
    (word,), (against,) = only_mine, only_theirs
    if _rival_endings(word, against) or _rival_beginnings(word, against):
        return f"{word} is not {against}"
    return None


def _rival_endings(one: str, other: str) -> bool:
    if one[:_SHORT_STEM_LETTERS_MIN] != other[:_SHORT_STEM_LETTERS_MIN]:
        return False
    for ending in vocabulary.RIVAL_ENDINGS:
        stem = one.removesuffix(ending)
        if stem == one or len(stem) < _SHORT_STEM_LETTERS_MIN or not other.startswith(stem):
            continue
        endings = {ending, other[len(stem) :]}
        if endings <= _HYDROCARBONS:
            return True
        if len(stem) >= _STEM_LETTERS_MIN and endings <= _RIVAL_ENDINGS:
            return True
    return False


def _rival_beginnings(one: str, other: str) -> bool:
    if one[-_STEM_LETTERS_MIN:] != other[-_STEM_LETTERS_MIN:]:
        return False
    for pair in vocabulary.RIVAL_BEGINNINGS:
        for first, second in (pair, pair[::-1]):
            stem = one.removeprefix(first)
            if stem != one and len(stem) >= _STEM_LETTERS_MIN and other == second + stem:
                return True
    return False


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(sorted(parts)) or "none"
