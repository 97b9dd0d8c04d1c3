"""The words of a name -> the form that all their spellings share, and the rules that changed them.

Word by word: abbreviations, numbers however written, plurals of what is written small, British
spellings.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mesh.core.names import vocabulary
from mesh.core.names.plurals import singular
from mesh.core.names.words import NAMES_REMEMBERED, Name, roman_value

WORDS_REMEMBERED = 8_192
_ORDINAL = re.compile(r"^(\d+)(?:st|nd|rd|th|er|eme)$")
_MAY_BE_RESPELLED = re.compile("|".join(("is", "ys", *vocabulary.SPELLING_SIGNS))).search
_SHORT_LETTERS_MAX = 3
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
_RESPELLED_WORDS = _SPECIAL_WORDS.union(vocabulary.SPELLINGS, vocabulary.IRREGULAR_PLURALS)


def canonical_words(name: Name) -> tuple[str, ...]:
    """The words of `name`, without its gloss, in the form that all their spellings share."""
    return canonical_form(name)[0]


def canonical(words: tuple[str, ...], name: Name) -> tuple[str, str]:
    """Words of `name` in the form that all their spellings share, and the rules that changed
    them."""
    if _is_canonical(words, name):
        return " ".join(words), ""
    return _in_canonical_form(words, name)


@lru_cache(maxsize=NAMES_REMEMBERED)
def canonical_form(name: Name) -> tuple[tuple[str, ...], str, str]:
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
