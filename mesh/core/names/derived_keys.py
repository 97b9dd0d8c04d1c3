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
from functools import lru_cache
from typing import NamedTuple

from mesh.core.names import vocabulary
from mesh.core.names.words import NAMES_REMEMBERED, Name, parsed, roman_value

WORDS_REMEMBERED = 8_192

_DIGRAPHS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue",
     "Ø": "Oe", "Å": "Aa"}
)  # fmt: skip
_SINGLE_LETTERS = str.maketrans("æœÆŒ", "eeEE")
_HYPHENS = frozenset("-‐‑")
_RESPELLED_LETTERS = _HYPHENS.union("·", map(chr, _DIGRAPHS), map(chr, _SINGLE_LETTERS))
"""A text without any of these is spelled in one way alone."""
_HYPHEN = re.compile(r"(?<![^\W_])([^\W\d_])[-‐‑](?=[^\W\d_])")
"""Behind a single letter: "e-mail"; "re-sign" is not "resign"."""
_OPENING = re.compile(r"[(（\[]")
_ORDINAL = re.compile(r"^(\d+)(?:st|nd|rd|th|er|eme)$")
_MAY_BE_RESPELLED = re.compile("|".join(("is", "ys", *vocabulary.SPELLING_SIGNS))).search
_COMPOUND = re.compile(r"(?<![^\W_])([^\W\d_]{2,})[-‐‑]([^\W\d_]{3,})(?![\w‐‑-])")
"""A word of two parts: "Spider-Man", which is also written "Spiderman"."""
_FIRST_PARTS_APART = frozenset(("re", "un", "de", "in", "ex", "non", "pre"))
"""Joined to what follows they make another word: "re-creation"."""
_NAME_LETTERS_MIN = 6
_SHORT_LETTERS_MAX = 3
_PLURAL_LETTERS_MIN = 4
_IES_LETTERS_MIN = 6
_IE = frozenset(("movies", "cookies", "zombies", "calories", "genies", "prairies", "brownies"))
_HUNDREDS = frozenset(("100", "1000"))
_COUNTING = ("number word", "ordinal")
_TENS = frozenset(str(tens) for tens in range(20, 100, 10))
_SPECIAL_WORDS = frozenset().union(
    vocabulary.ABBREVIATIONS,
    vocabulary.FIRST_ABBREVIATIONS,
    vocabulary.INNER_ABBREVIATIONS,
    vocabulary.LAST_ABBREVIATIONS,
    vocabulary.ORDINAL_WORDS,
    vocabulary.NUMBER_WORDS,
)
_RESPELLED_WORDS = _SPECIAL_WORDS.union(vocabulary.SPELLINGS)
_HONORIFICS = vocabulary.HONORIFICS.union(
    short
    for table in (vocabulary.ABBREVIATIONS, vocabulary.FIRST_ABBREVIATIONS)
    for short, long in table.items()
    if long in vocabulary.HONORIFICS
)
_NOT_PLURAL = ("ss", "us", "is", "as", "os")
_ES = ("ches", "shes", "sses", "xes", "zzes", "ruses", "toes", "roes")


class DerivedKey(NamedTuple):
    """A key, and the rules that made it. A tuple, as one is made for every name that is met."""

    key: str
    rule: str
    """For a person; several with " + "."""
    one_sided: bool = False


@lru_cache(maxsize=NAMES_REMEMBERED)
def derived_keys(name: Name) -> tuple[DerivedKey, ...]:
    """All further keys of `name`, none twice; its own key is none of them, but may stand for
    the unchanged words where other names reach them by a rule."""
    if _has_one_form(name):
        _, key, rule = _canonical_name(name)
        return (DerivedKey(key, rule),)
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


def canonical_words(name: Name) -> tuple[str, ...]:
    """The words of `name`, without its gloss, in the form that all their spellings share."""
    return _canonical_name(name)[0]


def canonical(words: tuple[str, ...], name: Name) -> tuple[str, str]:
    """Words of `name` in the form that all their spellings share, and the rules that changed
    them."""
    if _is_canonical(words, name):
        return " ".join(words), ""
    return _in_canonical_form(words, name)


@lru_cache(maxsize=NAMES_REMEMBERED)
def _canonical_name(name: Name) -> tuple[tuple[str, ...], str, str]:
    """Its canonical words, the same as one text, and the rules that changed them."""
    if _is_canonical(name.words, name):
        return name.words, " ".join(name.words), ""
    text, rule = _in_canonical_form(name.words, name)
    return tuple(text.split()), text, rule


def _is_canonical(words: tuple[str, ...], name: Name) -> bool:
    """Whether no rule can change any of the words, as it is with most; False: one may.

    All of vocabulary.SPELLING_ENDINGS have "is" or "ys" in them.
    """
    if name.romans or not _RESPELLED_WORDS.isdisjoint(words):
        return False
    letters = "".join(words)
    if not letters.isalpha() or _MAY_BE_RESPELLED(letters):
        return False
    return not (name.lowercase and any(word.endswith("s") for word in name.lowercase))


def _in_canonical_form(words: tuple[str, ...], name: Name) -> tuple[str, str]:
    changed: dict[str, None] = {}
    found: list[str] = []
    for place, word in enumerate(words):
        if word in vocabulary.NUMBER_SIGNS and _is_number_after(words, place):
            if word != "no":
                changed["number sign"] = None
            found.append("no")
            continue
        form, rule = _canonical_word(word, place, len(words), name)
        tens = found[-1] if found else ""
        if form in _HUNDREDS and tens == "1" and words[place - 1] == "one":
            found.pop()
        if rule in _COUNTING and tens in _TENS and tens != words[place - 1] and len(form) < 4:
            units = int(form.removesuffix("th"))
            if 0 < units < 10:
                form = form.replace(str(units), str(int(tens) + units), 1)
                found.pop()
        found.append(form)
        if rule:
            changed[rule] = None
    joined = _with_joined_numbers(found)
    if len(joined) != len(found):
        changed["number spacing"] = None
    return " ".join(joined), " + ".join(changed)


def _is_number_after(words: tuple[str, ...], place: int) -> bool:
    return place + 1 < len(words) and words[place + 1][:1].isdigit()


def _has_one_form(name: Name) -> bool:
    """Whether `_all_keys` has but one to say, as of most names."""
    if name.gloss or name.inverted or name.unmarked:
        return False
    if _says_more_than_a_name(name):
        return False
    text = name.text
    return "-" not in text if text.isascii() else _RESPELLED_LETTERS.isdisjoint(text)


def _all_keys(name: Name) -> Iterator[DerivedKey]:
    _, key, rule = _canonical_name(name)
    if name.gloss:
        yield DerivedKey(f"{key} ({' '.join(name.gloss)})", rule)
        if not _tells_apart(name):
            yield DerivedKey(key, _with(rule, "gloss"), one_sided=True)
            for inverted in _inverted_keys(name):
                yield inverted._replace(rule=_with(inverted.rule, "gloss"))
        return
    # Else "Paris, Texas" turned round were "Texas, Paris" as it stands.
    yield DerivedKey(key, rule, one_sided=bool(name.inverted))
    yield from _inverted_keys(name)
    if name.unmarked and not name.may_be_ordinal:
        unmarked, rule = canonical(name.unmarked, name)
        yield DerivedKey(unmarked, _with(rule, "list mark"), one_sided=True)
    for words, rule in _with_less_around(name):
        key, more = canonical(words, name)
        yield DerivedKey(key, _with(more, rule), one_sided=True)
    for text, rule in _respelled(name.text):
        respelled = parsed(text)
        key, more = canonical(respelled.words, respelled)
        yield DerivedKey(key, _with(more, rule), one_sided=bool(respelled.inverted))
        for inverted in _inverted_keys(respelled):
            yield inverted._replace(rule=_with(inverted.rule, rule))


def _inverted_keys(name: Name) -> Iterator[DerivedKey]:
    if name.inverted:
        inverted, rule = canonical(name.inverted, name)
        yield DerivedKey(inverted, _with(rule, "inversion"), one_sided=True)


def _says_more_than_a_name(name: Name) -> bool:
    """Whether it may begin or end with words that are no part of the name."""
    first, last = name.words[0], name.words[-1]
    return len(name.words) > 1 and (
        first in vocabulary.ARTICLES or first in _HONORIFICS or last in vocabulary.LEGAL_FORMS
    )


def _with_less_around(name: Name) -> Iterator[tuple[tuple[str, ...], str]]:
    """Its words without an article, an honorific or the legal form of a company."""
    words, more = name.words, len(name.words) - 1
    if words[0] in vocabulary.ARTICLES and _say_enough_without(words[0], words[1:]):
        yield words[1:], "article"
    if more >= 2 and words[0] in _HONORIFICS and _are_names(words[1:]):
        yield words[1:], "honorific"
    if more and words[-1] in vocabulary.LEGAL_FORMS and "," not in name.text:
        form = name.text.split()[-1].replace(".", "")
        # In capitals alone "AG" and "SA" are legal forms.
        if len(form) > 2 or form.isupper():
            yield words[:-1], "legal form"


def _say_enough_without(article: str, words: tuple[str, ...]) -> bool:
    if len(words) == 1:
        return article in vocabulary.ARTICLES_OF_ONE and len(words[0]) >= _NAME_LETTERS_MIN
    return sum(word not in vocabulary.LINKS for word in words) >= 2


def _are_names(words: tuple[str, ...]) -> bool:
    """As far as can be told: no number and no kind of thing."""
    return all(map(str.isalpha, words)) and vocabulary.KINDS.keys().isdisjoint(words)


def _tells_apart(name: Name) -> bool:
    """Whether its gloss says which of several: by a number, a letter or a word that others rival,
    but not where that is part of a place: "(South America)"."""
    is_place = len(name.gloss) > 1 and _OPENING.split(name.text)[-1].istitle()
    return any(
        len(word) == 1
        or not word.isalpha()
        or roman_value(word) is not None
        or (not is_place and (word in vocabulary.MARKING or word in vocabulary.RIVAL_WORDS))
        for word in name.gloss
    )


def _respelled(text: str) -> Iterator[tuple[str, str]]:
    if _RESPELLED_LETTERS.isdisjoint(text):
        return
    if not _DIGRAPHS.keys().isdisjoint(map(ord, text)):
        yield text.translate(_DIGRAPHS), "umlaut"
    if not _SINGLE_LETTERS.keys().isdisjoint(map(ord, text)):
        yield text.translate(_SINGLE_LETTERS), "ligature"
    if not _HYPHENS.isdisjoint(text):
        without = _COMPOUND.sub(_joined, _HYPHEN.sub(r"\1", text))
        if without != text:
            yield without, "hyphen"
    if "·" in text:
        yield text.replace("·", " "), "middle dot"


def _joined(compound: re.Match[str]) -> str:
    first, second = compound.groups()
    return compound[0] if first.lower() in _FIRST_PARTS_APART else first + second.lower()


def _with(rule: str, more: str) -> str:
    return f"{rule} + {more}" if rule else more


def _canonical_word(word: str, place: int, count: int, name: Name) -> tuple[str, str | None]:
    if word.isalpha() and word not in _SPECIAL_WORDS and word not in name.romans:
        return _in_one_spelling(word, may_be_plural=word in name.lowercase)
    if word.isdigit():
        return word, None
    if word in name.romans and place:
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
        if long := _unabbreviated(word, place, count, name):
            return long, "abbreviation"
    return _in_one_spelling(word, may_be_plural=word in name.lowercase)


def _unabbreviated(word: str, place: int, count: int, name: Name) -> str | None:
    if place == count - 1:
        return vocabulary.LAST_ABBREVIATIONS.get(word) or vocabulary.ABBREVIATIONS.get(word)
    if place and word in vocabulary.INNER_ABBREVIATIONS:
        # In capitals it is a number or an initial.
        is_small = f" {word} " in name.text or f" {word}. " in name.text
        return vocabulary.INNER_ABBREVIATIONS[word] if is_small else None
    return vocabulary.FIRST_ABBREVIATIONS.get(word) or vocabulary.ABBREVIATIONS.get(word)


@lru_cache(maxsize=WORDS_REMEMBERED)
def _in_one_spelling(word: str, *, may_be_plural: bool) -> tuple[str, str | None]:
    single = singular(word) if may_be_plural else word
    spelled = vocabulary.SPELLINGS.get(single, single)
    if spelled == single and _MAY_BE_RESPELLED(single):
        for british, american in vocabulary.SPELLING_STEMS:
            if spelled.startswith(british):
                spelled = american + spelled.removeprefix(british)
    for british, american in vocabulary.SPELLING_ENDINGS:
        if len(spelled) >= 8 and spelled.endswith(british):
            spelled = spelled.removesuffix(british) + american
    rule = "spelling convention" if spelled != single else "plural" if single != word else None
    return spelled, rule


def singular(word: str) -> str:
    """An English plural's singular; a word that is none as it is, as far as its end tells."""
    if (
        not word.endswith("s")
        or len(word) < _PLURAL_LETTERS_MIN
        or not word.isascii()
        or not word.isalpha()
    ):
        return word
    if word in _IE:
        return word[:-1]
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
