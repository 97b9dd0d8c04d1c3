"""The same words otherwise arranged, or one name inside another.

"University of Oxford" and "Oxford University" are one, and so are "Louvre" and "Louvre Museum";
"Musée Picasso" and "Musée Picasso Antibes" are two. What decides is which words are left over on
either side when those that both have are taken away, and where they stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from mesh.core.names import vocabulary
from mesh.core.names.derived_keys import canonical_words, singular
from mesh.core.names.rarity import Rarity
from mesh.core.names.words import NAMES_REMEMBERED, Name

_CORE_LETTERS_MIN = 4
_KIND_MARK = "<"
KIND_WORDS = frozenset(
    f"{_KIND_MARK}{kind}>"
    for kind in vocabulary.KINDS.values()
    if kind not in vocabulary.ALIKE_KINDS
)
"""How `content` tells kinds of thing."""
EXCHANGED_WORDS = frozenset(
    word for word, kind in vocabulary.KINDS.items() if kind in vocabulary.ALIKE_KINDS
)
"""Words that may stand for one another."""


class Leftover(NamedTuple):
    """What only one of two names has, in order: content words, kinds of thing as "<museum>"."""

    one: tuple[str, ...]
    other: tuple[str, ...]
    shared: tuple[str, ...]

    @property
    def both(self) -> tuple[str, ...]:
        return self.one + self.other


@lru_cache(maxsize=NAMES_REMEMBERED)
def content(name: Name) -> tuple[str, ...]:
    """Its words in their common spelling without links, words for kinds of thing as "<kind>"."""
    return tuple(map(_kind_or_word, _saying(name)))


def words_left(one: Name, other: Name) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What only one of two names has, as it is spelled; None where that is of two known kinds."""
    mine, theirs = _saying(one), _saying(other)
    left = _minus(mine, theirs), _minus(theirs, mine)
    has_kind = [not vocabulary.KINDS.keys().isdisjoint(side) for side in left]
    return None if all(has_kind) else left


def leftover(one: Name, other: Name) -> Leftover:
    """Take away what both have, as often as both have it."""
    mine, theirs = content(one), content(other)
    left = _minus(mine, theirs)
    if left == mine:
        return Leftover(mine, theirs, ())
    return Leftover(left, _minus(theirs, mine), _minus(mine, left))


def same_rearranged(one: Name, other: Name, left: Leftover) -> str | None:
    """Why two names with the same words are one; None where order or a link may matter."""
    if left.one or left.other or bool(one.gloss) != bool(other.gloss):
        return None
    if content(one) == content(other):
        return "linking words" if _differ_in_silent_links(one, other) else None
    for turned, plain in ((one, other), (other, one)):
        if _turned_round(turned) == content(plain) and not _has_genitive(plain):
            return "X of Y"
    return None


def same_without_kind(one: Name, other: Name, left: Leftover) -> str | None:
    """Why a name and the same with a word for its kind are one; None: they may be two.

    "X Museum" and "X Building" end with it, "Museo del X" begins; English "Museum of X" is
    another thing than X.
    """
    if len(left.one) + len(left.other) != 1:
        return None
    longer, shorter = (one, other) if len(one.words) > len(other.words) else (other, one)
    core, words = _saying(shorter), _saying(longer)
    if len(words) != len(core) + 1 or not _is_distinctive(core):
        return None
    first, last = (vocabulary.KINDS.get(singular(word)) for word in (words[0], words[-1]))
    if words[:-1] == core and last in vocabulary.SILENT_KINDS:
        fits = last == "museum" or (last == "building" and len(core) > 1)
    elif words[1:] == core and first in vocabulary.SILENT_KINDS:
        link = longer.words[1]
        fits = link in vocabulary.GENITIVES and (first == "tragedy" or link != "of")
    else:
        return None
    return f"without {last if words[:-1] == core else first}" if fits else None


def maybe_same(one: Name, other: Name, left: Leftover, rarity: Rarity) -> str | None:
    """Why the two may be one, for somebody to judge; None: nothing suggests it."""
    if not left.shared:
        return None
    if not left.both:
        if content(one) != content(other):
            return "the same words in another order"
        return "other linking words" if one.gloss == other.gloss else "one says which"
    if left.one and left.other:
        return _maybe_exchanged(left)
    core = [word for word in left.shared if not is_kind(word) and not rarity.is_common(word)]
    if not core:
        return None
    return _maybe_longer(one, other, left, rarity)


def is_kind(word: str) -> bool:
    return word.startswith(_KIND_MARK)


def _maybe_exchanged(left: Leftover) -> str | None:
    """Words of one kind are used for one another; a country and its adjective begin alike."""
    if len(left.one) != 1 or len(left.other) != 1:
        return None
    word, against = left.one[0], left.other[0]
    if is_kind(word) or is_kind(against):
        return None
    if word.rstrip("th") == against.rstrip("th") and word[:1].isdigit():
        return "a number in another form"
    if singular(word) == singular(against):
        return "one in the plural"
    kind = vocabulary.KINDS.get(word)
    if kind is not None and kind == vocabulary.KINDS.get(against):
        return f"{word} may be used for {against}"
    shares_kind = any(map(is_kind, left.shared))
    begins_alike = word[:2] == against[:2] and abs(len(word) - len(against)) <= 3
    if shares_kind and begins_alike and is_adjective(word) != is_adjective(against):
        return "a name and its adjective"
    return None


def _maybe_longer(one: Name, other: Name, left: Leftover, rarity: Rarity) -> str | None:
    """One name inside another: what is more may say where, whose or what."""
    longer = other if left.other else one
    extra = left.both
    if vocabulary.TITLES.issuperset(extra):
        return "one has a title"
    if all(is_kind(word) for word in extra):
        return "one names the kind of thing"
    if all(rarity.is_common(word) or is_kind(word) for word in extra):
        return "one has words that are common here"
    words = canonical_words(longer)
    plain = [word for word in extra if not is_kind(word)]
    if len(plain) > 1:
        return None
    place = words.index(plain[0]) if plain[0] in words else 0
    if place and words[place - 1] in vocabulary.LINKS:
        return "one says where or whose"
    if place < len(words) - 1 and _stands_before_shared(words, place, left.shared):
        return "one has a word before the name"
    return None


def _stands_before_shared(words: Sequence[str], place: int, shared: Sequence[str]) -> bool:
    return _kind_or_word(words[place + 1]) in shared


def _turned_round(name: Name) -> tuple[str, ...] | None:
    """ "X of Y" as "Y X", of two words that say something; None: it is none such."""
    words = canonical_words(name)
    if len(words) < 3 or not _has_genitive(name) or len(_saying(name)) != 2:
        return None
    return tuple(_kind_or_word(word) for word in (words[-1], words[0]))


def _has_genitive(name: Name) -> bool:
    return not vocabulary.GENITIVES.isdisjoint(canonical_words(name)[1:-1])


def _differ_in_silent_links(one: Name, other: Name) -> bool:
    """Whether nothing else but what says nothing stands on one side alone, and the kind of thing
    is named in one language, or in two."""
    differing = set(canonical_words(one)) ^ set(canonical_words(other))
    return all(
        word in vocabulary.SILENT_LINKS or vocabulary.KINDS.get(singular(word)) is not None
        for word in differing
    )


def _is_distinctive(core: Sequence[str]) -> bool:
    names = [word for word in core if singular(word) not in vocabulary.KINDS]
    return sum(map(len, names)) >= _CORE_LETTERS_MIN and not all(map(str.isdigit, names))


@lru_cache(maxsize=NAMES_REMEMBERED)
def _saying(name: Name) -> tuple[str, ...]:
    """Its words without those inside it that only link."""
    words = canonical_words(name)
    if len(words) < 3 or vocabulary.LINKS.isdisjoint(words[1:-1]):
        return words
    first, *inner, last = words
    return (first, *(word for word in inner if not _only_links(word, name)), last)


def _only_links(word: str, name: Name) -> bool:
    """A letter by itself does so only where it is written small: not in "Hepatitis A virus"."""
    return word in vocabulary.LINKS and (len(word) > 1 or word in name.lowercase)


def _kind_or_word(word: str) -> str:
    kind = vocabulary.KINDS.get(word)
    if kind is None and word.endswith("s"):
        kind = vocabulary.KINDS.get(singular(word))
    return f"{_KIND_MARK}{kind}>" if kind and kind not in vocabulary.ALIKE_KINDS else word


def is_adjective(word: str) -> bool:
    """By its end, in English or German."""
    return word.endswith(("ish", "ese", "ian", "ean", "an", "ic", "ch", "i", "en", "ais"))


def _minus(words: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    if len(words) == 1:  # As most names are, or nearly.
        return () if words[0] in others else tuple(words)
    rest = list(others)
    kept = []
    for word in words:
        if word in rest:
            rest.remove(word)
        else:
            kept.append(word)
    return tuple(kept)
