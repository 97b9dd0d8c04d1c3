"""What stands in brackets behind a name: which of several it is, or the name once more."""

from __future__ import annotations

from collections import Counter

from mesh.core.names import vocabulary
from mesh.core.names.plurals import singular
from mesh.core.names.words import Name, roman_value

_ACRONYM_LETTERS_MIN = 3


def tells_apart(name: Name) -> bool:
    """Whether its gloss says which of several: by a number, a letter or a word that others rival,
    but not where that is part of another place: "(South America)"."""
    if _is_place_of_two(name.gloss) and set(name.gloss).isdisjoint(name.words):
        return False
    return any(
        len(word) == 1
        or not word.isalpha()
        or roman_value(word) is not None
        or word in vocabulary.MARKING
        or word in vocabulary.RIVAL_WORDS
        for word in name.gloss
    )


def _is_place_of_two(gloss: tuple[str, ...]) -> bool:
    return (
        len(gloss) == 2 and gloss[0] in vocabulary.MARKING and gloss[1] in vocabulary.PLACES_OF_TWO
    )


def names_the_same(name: Name) -> bool:
    """Whether what stands in brackets is the name once more: short, spelled out or translated."""
    short, long = sorted((name.words, name.gloss), key=lambda words: len("".join(words)))
    if len(short) == 1 and _is_acronym(short[0], long, name.text):
        return True
    return len(short) > 1 and sorted(map(_meaning, _told(short))) == sorted(
        map(_meaning, _told(long))
    )


def _told(words: tuple[str, ...]) -> list[str]:
    return [word for word in words if word not in vocabulary.LINKS]


def _meaning(word: str) -> str:
    return vocabulary.KINDS.get(singular(word), word)


def _is_acronym(short: str, words: tuple[str, ...], text: str) -> bool:
    """Whether it is letters of these words in their order, with how each begins: "DNA"."""
    if len(words) < 2 or len(short) < _ACRONYM_LETTERS_MIN or short.upper() not in text:
        return False
    left = iter("".join(words))
    initials = [word[0] for word in _told(words)]
    return (
        short[0] == words[0][0]
        and all(letter in left for letter in short)
        and not Counter(initials) - Counter(short)
    )
