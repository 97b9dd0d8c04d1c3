"""A text -> the words, gloss and order that the rules for names work on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mesh.core.names import vocabulary
from mesh.core.normalize import item_key

NAMES_REMEMBERED = 512
"""What is worked out about a name is kept for so many, here and in the modules above: as long
as one is resolved and taken in. An earlier name seldom comes twice; each costs up to 4 kB."""

_BRACKETS = (")", "）", "]")
_GLOSS = re.compile(r"^(.*[^\s(])\s*[(（\[]([^()（）\[\]]+)[)）\]]$")
_LIST_MARK = re.compile(r"^(?:\d{1,4}[.)]|[(\[](?:\d{1,2}|[a-z])[)\]]|[a-z]\))\s+(?=\S)")
"""Also "(2)", "(b)" and "b)"; a capital may be a grade."""
_YEAR_BEHIND = re.compile(r"^(.*\w),\s+(\d{3,4})$")
_ADDED = re.compile(r"(?<=\w)(?:\s+[-–—:;]\s+|[:;,—]\s+|\s+or:\s+)")
"""Behind this a name says more of itself: "Hamlet, Prince of Denmark"."""
_INVERTED = re.compile(r"^([^,\d]+),\s+([^,\d]+)$")
_INVERTED_WORDS_MAX = 4
_APART = re.compile(r"[\s‐‑-]+")
_ENGLISH_ARTICLES = {("the",), ("a",), ("an",)}
_ELISION = re.compile(r"(?<=[\s-])([dl]|dell|degl)['’](?=[^\W\d_])")
_ELIDED = {"d": "de ", "dell": "della ", "degl": "degli ", "l": ""}
_ROMAN = re.compile(r"^(?=.)(c{0,3})(xc|xl|l?x{0,3})(ix|iv|v?i{0,3})$")
_ROMAN_IN_TEXT = re.compile(r"[IVXLC](?<!\w[IVXLC])[IVXLC]*\b")
"""Starts with the letter itself, which the search then finds at the speed of C."""
_ROMAN_LETTERS = "ivxlc"
_NOTHING: frozenset[str] = frozenset()
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


@dataclass(slots=True, eq=False)
class Name:
    """A name taken apart; equal to itself alone, so that caches find it at once. Never changed: it
    is not frozen only because a frozen one takes four times as long to make.

    All but `text` is folded as keys are: no case, no accents on Latin letters, no punctuation.
    """

    text: str
    key: str
    """What core/normalize.py makes of the whole; equal keys are one entry."""
    words: tuple[str, ...]
    """Of the name without its gloss."""
    gloss: tuple[str, ...] = ()
    """Words of what stands behind it in brackets, or the year behind a comma."""
    inverted: tuple[str, ...] = ()
    """Words with what follows the comma first: "Beethoven, Ludwig van"; () without one."""
    unmarked: tuple[str, ...] = ()
    """Words without a mark in front that counts a list; () without one."""
    may_be_ordinal: bool = False
    """Whether the mark may be German for an ordinal instead: "2. Bundesliga"."""
    lead: tuple[str, ...] = ()
    """Words in front of a comma, a colon or a dash; () without one."""
    romans: frozenset[str] = frozenset()
    """Those of its words that are Roman numerals as written."""
    lowercase: frozenset[str] = frozenset()
    """Those of its words that are written without a capital: no part of anybody's name."""

    @property
    def joined(self) -> str:
        """All words in one."""
        return "".join(self.words)


@lru_cache(maxsize=NAMES_REMEMBERED)
def parsed(text: str) -> Name:
    """Take a clean text apart.

    Example: parsed("Colorado River (Texas)").gloss == ("texas",)
    """
    key = item_key(text).decode()
    if text.replace(" ", "").isalpha():
        words = _split(key)
        return Name(
            text, key, words, romans=_romans(text, words), lowercase=_lowercase(text, words)
        )
    head, gloss = _without_gloss(text)
    words = _split(key) if head is text and not _may_elide(text) else _words(head)
    mark = None if head[:1].isalpha() and head[1:2] != ")" else _LIST_MARK.match(head)
    unmarked = _words(head[mark.end() :]) if mark else ()
    return Name(
        text,
        key,
        words,
        gloss,
        _inverted(head),
        unmarked,
        mark is not None and "." in mark[0] and _is_counted(unmarked),
        _lead(head),
        _romans(head, words),
        frozenset(words).intersection(_APART.split(head)),
    )


def _is_counted(words: tuple[str, ...]) -> bool:
    """Whether a language that writes "2." for "second" counts such things."""
    return not vocabulary.COUNTED.isdisjoint(words) or any(
        word.endswith(vocabulary.COUNTED_ENDINGS) for word in words
    )


def _lead(head: str) -> tuple[str, ...]:
    match = _ADDED.search(head)
    return _words(head[: match.start()]) if match else ()


def _lowercase(letters: str, words: tuple[str, ...]) -> frozenset[str]:
    """Of a text of letters and spaces alone; as most are written, nothing is to be looked at."""
    if letters.isascii() and letters.istitle():
        return _NOTHING
    return frozenset(words).intersection(letters.split())


def roman_value(word: str) -> int | None:
    """Of a folded word: "xiv" -> 14, as far as 399; None: no Roman numeral."""
    if not may_be_roman(word) or not _ROMAN.match(word):
        return None
    worths = [_ROMAN_VALUES[letter] for letter in word]
    return sum(
        -worth if worth < after else worth
        for worth, after in zip(worths, [*worths[1:], 0], strict=True)
    )


def may_be_roman(word: str) -> bool:
    """Whether a folded word is of no other letters."""
    return not word.strip(_ROMAN_LETTERS)


def _words(text: str) -> tuple[str, ...]:
    if _may_elide(text):
        text = _ELISION.sub(lambda match: _ELIDED[match[1]], text)
    return _split(item_key(text).decode())


def _may_elide(text: str) -> bool:
    return "'" in text or "’" in text


def _split(folded: str) -> tuple[str, ...]:
    return tuple(folded.replace("&", " ").split()) or (folded,)


def _without_gloss(text: str) -> tuple[str, tuple[str, ...]]:
    match = _GLOSS.match(text) if text.endswith(_BRACKETS) else None
    if match is None and text[-1].isdigit():
        match = _YEAR_BEHIND.match(text)
    if match is None or not any(map(str.isalnum, match[1])):
        return text, ()
    return match[1], _words(match[2])


def _inverted(head: str) -> tuple[str, ...]:
    match = _INVERTED.match(head) if "," in head else None
    if match is None:
        return ()
    last, first = _words(match[1]), _words(match[2])
    if first in _ENGLISH_ARTICLES and (first == ("the",) or len(last) > 1):
        return last
    fits = 0 < len(last) <= _INVERTED_WORDS_MAX and 0 < len(first) <= _INVERTED_WORDS_MAX
    return first + last if fits else ()


def _romans(head: str, words: tuple[str, ...]) -> frozenset[str]:
    """Not the first word, which is the name itself ("I, Claudius"); of single letters I and V
    alone, at the end and beside small letters: "Chromosome X" counts nothing."""
    numerals = _ROMAN_IN_TEXT.findall(head)
    if not numerals:
        return _NOTHING
    is_shouted = head.isupper()
    found = set()
    for numeral in numerals:
        is_size = len(numeral) < 3 and not set(numeral).isdisjoint("LC")
        is_last = not is_shouted and numeral.lower() == words[-1]
        if (len(numeral) > 1 and not is_size) or (numeral in ("I", "V") and is_last):
            found.add(numeral.lower())
    return frozenset(found.intersection(words[1:]))
