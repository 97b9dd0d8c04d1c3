"""A text -> the words, gloss and order that the rules for names work on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mesh.core.normalize import item_key

NAMES_REMEMBERED = 4_096
"""What is worked out about a name is kept for so many, here and in the modules above."""

_GLOSS = re.compile(r"^(.*[^\s(])\s*[(（\[]([^()（）\[\]]+)[)）\]]$")
_LIST_MARK = re.compile(r"^\d{1,4}[.)]\s+(?=\S)")
_INVERTED = re.compile(r"^([^,\d]+),\s+([^,\d]+)$")
_INVERTED_WORDS_MAX = 4
_ELISION = re.compile(r"\b([dl]|dell|all|nell|sull)['’](?=[^\W\d_])", re.IGNORECASE)
_ROMAN = re.compile(r"^(?=.)(?:x{0,3})(?:ix|iv|v?i{0,3})$")
_ROMAN_IN_TEXT = re.compile(r"\b[IVX]{1,6}\b")


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """A name taken apart; equal to itself alone, so that caches find it at once.

    All but `text` is folded as keys are: no case, no accents on Latin letters, no punctuation.
    """

    text: str
    key: str
    """What core/normalize.py makes of the whole; equal keys are one entry."""
    words: tuple[str, ...]
    """Of the name without its gloss."""
    gloss: tuple[str, ...] = ()
    """Words of what stands behind it in brackets."""
    inverted: tuple[str, ...] = ()
    """Words with what follows the comma first: "Beethoven, Ludwig van"; () without one."""
    unmarked: tuple[str, ...] = ()
    """Words without a number in front that counts a list; () without one."""
    romans: frozenset[str] = frozenset()
    """Those of its words that are Roman numerals as written."""

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
    head, gloss = _without_gloss(text)
    words = _words(head)
    mark = _LIST_MARK.match(head)
    return Name(
        text,
        key,
        words,
        gloss,
        _inverted(head),
        _words(head[mark.end() :]) if mark else (),
        _romans(head, words),
    )


def roman_value(word: str) -> int | None:
    """Of a folded word: "xiv" -> 14, as far as 39; None: no Roman numeral."""
    if not _ROMAN.match(word):
        return None
    value = 0
    for letter, after in zip(word, [*word[1:], ""], strict=True):
        worth = {"i": 1, "v": 5, "x": 10}
        value += -worth[letter] if worth[letter] < worth.get(after, 0) else worth[letter]
    return value


def _words(text: str) -> tuple[str, ...]:
    if "'" in text or "’" in text:
        text = _ELISION.sub(r"\1 ", text)
    folded = item_key(text).decode()
    return tuple(folded.replace("&", " ").split()) or (folded,)


def _without_gloss(text: str) -> tuple[str, tuple[str, ...]]:
    match = _GLOSS.match(text)
    if match is None or not any(map(str.isalnum, match[1])):
        return text, ()
    return match[1], _words(match[2])


def _inverted(head: str) -> tuple[str, ...]:
    match = _INVERTED.match(head)
    if match is None:
        return ()
    last, first = _words(match[1]), _words(match[2])
    fits = 0 < len(last) <= _INVERTED_WORDS_MAX and 0 < len(first) <= _INVERTED_WORDS_MAX
    return first + last if fits else ()


def _romans(head: str, words: tuple[str, ...]) -> frozenset[str]:
    if head.isupper():
        return frozenset()  # Any word might be one.
    found = {numeral.lower() for numeral in _ROMAN_IN_TEXT.findall(head)}
    # At the start a lone letter is one: "X-ray", "I, Claudius"; the first word is the name itself.
    return frozenset(found.intersection(words[1:]))
