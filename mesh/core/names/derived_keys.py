"""Further keys of a name, each safe to merge on: who shares one with another is the same entry.

A rule is in here only where what it changes never makes a difference between two names of one
list; all else is weighed (comparing.py). Numbers keep their value in every key.

Most keys speak for both sides. A one-sided key leaves something out ("Colorado River (United
States)" without its gloss): it finds the name that never had it, but two names that both had to
leave something out are not one by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mesh.core.names import vocabulary
from mesh.core.names.words import NAMES_REMEMBERED, Name, parsed, roman_value

WORDS_REMEMBERED = 50_000

_DIGRAPHS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue",
     "Ø": "Oe", "Å": "Aa"}
)  # fmt: skip
_SINGLE_LETTERS = str.maketrans("æœÆŒ", "eeEE")
_HYPHEN = re.compile(r"(?<=[^\W\d_])[-‐‑](?=[^\W\d_])")
_ORDINAL = re.compile(r"^(\d+)(?:st|nd|rd|th|er|re|e|eme|o|a)$")
_SHORT_LETTERS_MAX = 3
_PLURAL_LETTERS_MIN = 5
_IES_LETTERS_MIN = 6
_SPECIAL_WORDS = frozenset().union(
    vocabulary.ABBREVIATIONS,
    vocabulary.FIRST_ABBREVIATIONS,
    vocabulary.LAST_ABBREVIATIONS,
    vocabulary.ORDINAL_WORDS,
    vocabulary.NUMBER_WORDS,
)
_NOT_PLURAL = ("ss", "us", "is", "as", "os", "ys")
_ES = ("ches", "shes", "sses", "xes", "zes")


@dataclass(frozen=True, slots=True)
class DerivedKey:
    """A key, and the rules that made it."""

    key: str
    rule: str
    """For a person; several with " + "."""
    one_sided: bool = False


@lru_cache(maxsize=NAMES_REMEMBERED)
def derived_keys(name: Name) -> tuple[DerivedKey, ...]:
    """All further keys of `name`, none twice; its own key is none of them, but may stand for
    the unchanged words where other names reach them by a rule."""
    keys: dict[str, DerivedKey] = {}
    for derived in _all_keys(name):
        if derived.key and derived.key not in keys:
            keys[derived.key] = derived
    return tuple(keys.values())


def shared_key(one: Name, other: Name) -> str | None:
    """The rule by which two names are one entry; None: by none of these."""
    of_other = _by_key(other)
    for mine in derived_keys(one):
        theirs = of_other.get(mine.key)
        if theirs is not None and not (mine.one_sided and theirs.one_sided):
            rules = [rule for each in (mine, theirs) for rule in each.rule.split(" + ") if rule]
            return " + ".join(dict.fromkeys(rules)) or "words"
    return None


@lru_cache(maxsize=NAMES_REMEMBERED)
def _by_key(name: Name) -> dict[str, DerivedKey]:
    return {derived.key: derived for derived in derived_keys(name)}


@lru_cache(maxsize=NAMES_REMEMBERED)
def canonical_words(name: Name) -> tuple[str, ...]:
    """The words of `name`, without its gloss, in the form that all their spellings share."""
    return tuple(canonical(name.words, name.romans)[0].split())


def canonical(words: tuple[str, ...], romans: frozenset[str] = frozenset()) -> tuple[str, str]:
    """Words in the form that all their spellings share, and the rules that changed them."""
    changed: dict[str, None] = {}
    found: list[str] = []
    for place, word in enumerate(words):
        form, rule = _canonical_word(word, place, len(words), romans)
        found.append(form)
        if rule:
            changed[rule] = None
    joined = _with_joined_numbers(found)
    if len(joined) != len(found):
        changed["number spacing"] = None
    return " ".join(joined), " + ".join(changed)


def _all_keys(name: Name) -> Iterator[DerivedKey]:
    key, rule = canonical(name.words, name.romans)
    if not name.gloss:
        # Else "Paris, Texas" turned round were "Texas, Paris" as it stands.
        yield DerivedKey(key, rule, one_sided=bool(name.inverted))
    else:
        yield DerivedKey(f"{key} ({' '.join(name.gloss)})", rule)
        yield DerivedKey(key, _with(rule, "gloss"), one_sided=True)
    if name.inverted:
        inverted, rule = canonical(name.inverted)
        yield DerivedKey(inverted, _with(rule, "inversion"), one_sided=True)
    if name.unmarked:
        unmarked, rule = canonical(name.unmarked)
        yield DerivedKey(unmarked, _with(rule, "list mark"), one_sided=True)
    if name.gloss:
        return
    for text, rule in _respelled(name.text):
        respelled = parsed(text)
        key, more = canonical(respelled.words, respelled.romans)
        yield DerivedKey(key, _with(more, rule))


def _respelled(text: str) -> Iterator[tuple[str, str]]:
    digraphs = text.translate(_DIGRAPHS)
    if digraphs != text:
        yield digraphs, "umlaut"
    single = text.translate(_SINGLE_LETTERS)
    if single != text:
        yield single, "ligature"
    without = _HYPHEN.sub("", text)
    if without != text:
        yield without, "hyphen"


def _with(rule: str, more: str) -> str:
    return f"{rule} + {more}" if rule else more


def _canonical_word(
    word: str, place: int, count: int, romans: frozenset[str]
) -> tuple[str, str | None]:
    if word.isalpha() and word not in _SPECIAL_WORDS and word not in romans:
        return _in_one_spelling(word)
    if word.isdigit():
        return word, None
    if word in romans and place:
        value = roman_value(word)
        if value is not None:
            return str(value), "Roman numeral"
    if match := _ORDINAL.match(word):
        return f"{match[1]}th", "ordinal" if word != f"{match[1]}th" else None
    if count > 1:
        if word in vocabulary.ORDINAL_WORDS:
            return f"{vocabulary.ORDINAL_WORDS[word]}th", "ordinal"
        if word in vocabulary.NUMBER_WORDS:
            return vocabulary.NUMBER_WORDS[word], "number word"
        if long := _unabbreviated(word, is_last=place == count - 1):
            return _in_one_spelling(long)[0], "abbreviation"
    return _in_one_spelling(word)


def _unabbreviated(word: str, *, is_last: bool) -> str | None:
    by_place = vocabulary.LAST_ABBREVIATIONS if is_last else vocabulary.FIRST_ABBREVIATIONS
    return by_place.get(word) or vocabulary.ABBREVIATIONS.get(word)


@lru_cache(maxsize=WORDS_REMEMBERED)
def _in_one_spelling(word: str) -> tuple[str, str | None]:
    single = _singular(word)
    spelled = vocabulary.SPELLINGS.get(single, single)
    for british, american in vocabulary.SPELLING_ENDINGS:
        if len(spelled) >= 8 and spelled.endswith(british):
            spelled = spelled.removesuffix(british) + american
    rule = "spelling convention" if spelled != single else "plural" if single != word else None
    return spelled, rule


def _singular(word: str) -> str:
    """An English plural's singular, where the word cannot well be anything else."""
    if len(word) < _PLURAL_LETTERS_MIN or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) >= _IES_LETTERS_MIN:
        return word[:-3] + "y"
    if word.endswith(_ES):
        return word[:-2]
    if word.endswith("s") and not word.endswith(_NOT_PLURAL):
        return word[:-1]
    return word


def _with_joined_numbers(words: list[str]) -> list[str]:
    """ "b 12" and "b12" as one."""
    if all(map(str.isalpha, words)):
        return words
    joined: list[str] = []
    for word in words:
        before = joined[-1] if joined else ""
        is_short = 0 < len(before) <= _SHORT_LETTERS_MAX and before.isalpha() and before.isascii()
        if word[:1].isdigit() and is_short and before not in vocabulary.LINKS:
            joined[-1] = before + word
        else:
            joined.append(word)
    return joined
