"""Further keys of a name, each safe to merge on: who shares one with another is the same entry.

A rule is in here only where what it changes never makes a difference between two names of one
list; all else is weighed (comparing.py). Numbers keep their value in every key.

Most keys speak for both sides. A one-sided key leaves something out ("Colorado River (United
States)" without its gloss): it finds the name that never had it, but two names that both had to
leave something out are not one by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from mesh.core.names import vocabulary
from mesh.core.names.brackets import names_the_same, tells_apart
from mesh.core.names.canonical import canonical, canonical_form
from mesh.core.names.respelling import may_be_respelled, respelled
from mesh.core.names.words import NAMES_REMEMBERED, Name, parsed

_NAME_LETTERS_MIN = 6
_ARTICLES = vocabulary.ARTICLES | vocabulary.ARTICLES_OF_PLACES
_HONORIFICS = vocabulary.HONORIFICS.union(
    short
    for table in (vocabulary.ABBREVIATIONS, vocabulary.FIRST_ABBREVIATIONS)
    for short, long in table.items()
    if long in vocabulary.HONORIFICS
)


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
        _, key, rule = canonical_form(name)
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


def _has_one_form(name: Name) -> bool:
    """Whether `_all_keys` has but one to say, as of most names."""
    if name.gloss or name.inverted or name.unmarked:
        return False
    if _says_more_than_a_name(name):
        return False
    return not may_be_respelled(name.text)


def _all_keys(name: Name) -> Iterator[DerivedKey]:
    _, key, rule = canonical_form(name)
    if name.gloss:
        yield DerivedKey(f"{key} ({' '.join(name.gloss)})", rule)
        if not tells_apart(name):
            yield DerivedKey(key, _with(rule, "gloss"), one_sided=True)
            for inverted in _inverted_keys(name):
                yield inverted._replace(rule=_with(inverted.rule, "gloss"))
        if names_the_same(name):
            gloss, rule = canonical(name.gloss, name)
            yield DerivedKey(gloss, _with(rule, "name in brackets"), one_sided=True)
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
    for text, rule in respelled(name.text):
        other = parsed(text)
        key, more = canonical(other.words, other)
        yield DerivedKey(key, _with(more, rule), one_sided=bool(other.inverted))
        for inverted in _inverted_keys(other):
            yield inverted._replace(rule=_with(inverted.rule, rule))


def _inverted_keys(name: Name) -> Iterator[DerivedKey]:
    if name.inverted:
        inverted, rule = canonical(name.inverted, name)
        yield DerivedKey(inverted, _with(rule, "inversion"), one_sided=True)


def _says_more_than_a_name(name: Name) -> bool:
    """Whether it may begin or end with words that are no part of the name."""
    first, last = name.words[0], name.words[-1]
    return len(name.words) > 1 and (
        first in _ARTICLES or first in _HONORIFICS or last in vocabulary.LEGAL_FORMS
    )


def _with_less_around(name: Name) -> Iterator[tuple[tuple[str, ...], str]]:
    """Its words without an article, an honorific or the legal form of a company."""
    words, more = name.words, len(name.words) - 1
    if more and _is_article(words):
        yield words[1:], "article"
    if more >= 2 and words[0] in _HONORIFICS and _are_names(words[1:]):
        yield words[1:], "honorific"
    if more and words[-1] in vocabulary.LEGAL_FORMS and "," not in name.text:
        form = name.text.split()[-1].replace(".", "")
        # In capitals alone "AG" and "SA" are legal forms.
        is_form = len(form) > 2 or form.isupper()
        if is_form and (more > 1 or words[-1] not in vocabulary.LEGAL_FORMS_OF_NAMES):
            yield words[:-1], "legal form"


def _is_article(words: tuple[str, ...]) -> bool:
    """Whether the first of these says nothing of what is named."""
    article, *rest = words
    if article in vocabulary.ARTICLES:
        return len("".join(rest)) >= _NAME_LETTERS_MIN
    says_what = rest[-1] in vocabulary.KINDS or rest[-1] in vocabulary.DESCRIPTIONS
    return article in vocabulary.ARTICLES_OF_PLACES and len(rest) > 1 and not says_what


def _are_names(words: tuple[str, ...]) -> bool:
    """As far as can be told: no number and no kind of thing."""
    return all(map(str.isalpha, words)) and vocabulary.KINDS.keys().isdisjoint(words)


def _with(rule: str, more: str) -> str:
    return f"{rule} + {more}" if rule else more
