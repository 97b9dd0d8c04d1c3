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
from mesh.core.names.canonical import canonical, canonical_words
from mesh.core.names.plurals import singular
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
CASTLE_WORDS = frozenset(f"{_KIND_MARK}{kind}>" for kind in vocabulary.CASTLES)
"""Kinds that may stand for one another."""
DESCRIBING_WORDS = (
    vocabulary.DESCRIPTIONS | {f"{word}s" for word in vocabulary.DESCRIPTIONS} | EXCHANGED_WORDS
)
"""Further words that may say what a thing is."""
PLAIN_WORDS_MAX = 3
"""So many words that say nothing of the kind may stand before a name: "Pyotr Ilyich"."""


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
        if _is_translated(turned, plain):
            return "kind of thing in another language"
    return None


def same_but_for_topic(one: Name, other: Name, left: Leftover, rarity: Rarity) -> str | None:
    """Why a name and the same with a word of the topic behind it are one: in a list of Paris
    attractions "Panthéon, Paris" and "Eiffel Tower in Paris" say nothing more."""
    longer, shorter = (other, one) if left.other else (one, other)
    if (left.one and left.other) or not (left.both and rarity.topic_words.issuperset(left.both)):
        return None
    words = canonical_words(longer)
    core, behind = words[: -len(left.both)], words[-len(left.both) :]
    is_behind = behind == left.both and core == (*canonical_words(shorter), "in")
    return "topic" if is_behind or _leads(longer, shorter) else None


def _has_article_inside(name: Name) -> bool:
    """Whether behind its first word a link and an article stand, if as one: "Musée du Louvre"."""
    if len(name.words) < 3:
        return False
    link, after = name.words[1:3]
    return link in vocabulary.GENITIVES and (
        link not in vocabulary.GENITIVES_ALONE or after in vocabulary.SILENT_LINKS
    )


def _is_translated(romance: Name, english: Name) -> bool:
    """ "Musée Rodin" and "Rodin Museum": the word for the kind changes its place with its
    language."""
    words, other = _saying(romance), _saying(english)
    first, last = singular(words[0]), singular(other[-1])
    return (
        len(words) > 1
        and words[1:] == other[:-1]
        and vocabulary.KINDS.get(first, "") == vocabulary.KINDS.get(last)
        and last in vocabulary.ENGLISH_KINDS
        and _is_romance(first)
        and vocabulary.KINDS[last] in vocabulary.BUILT_KINDS
        and not (vocabulary.GENERIC_WORDS | vocabulary.RIVAL_WORDS).issuperset(words[1:])
    )


def _is_romance(word: str) -> bool:
    """Whether a kind of thing is named in a language in which the name follows."""
    return word in vocabulary.KINDS and word not in vocabulary.ENGLISH_KINDS


def same_without_kind(one: Name, other: Name, left: Leftover) -> str | None:
    """Why a name and the same with a word for its kind are one; None: they may be two.

    "X Museum" and "X Building" end with it, "Museo del X" begins;
    "Museum of X" and "Musée de X" are in X or about it. "Pont Neuf Bridge" says it twice.
    """
    if len(left.one) + len(left.other) != 1:
        return None
    longer, shorter = (one, other) if left.one else (other, one)
    core, words = _saying(shorter), _saying(longer)
    if len(words) != len(core) + 1 or not _is_distinctive(core):
        return None
    first, last = (vocabulary.KINDS.get(singular(word)) for word in (words[0], words[-1]))
    if words[:-1] == core and last in vocabulary.SILENT_KINDS:
        fits = last == "museum" or (last == "building" and len(core) > 1)
    elif words[:-1] == core and first == last and _is_romance(words[0]):
        return "kind of thing in another language"
    elif words[1:] == core and first in vocabulary.SILENT_KINDS:
        fits = _has_genitive(longer) if first == "tragedy" else _has_article_inside(longer)
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
        return "a castle or a palace" if CASTLE_WORDS.issuperset((word, against)) else None
    if word.rstrip("th") == against.rstrip("th") and word[:1].isdigit():
        return "a number in another form"
    kind = vocabulary.KINDS.get(word)
    if kind is not None and kind == vocabulary.KINDS.get(against):
        return f"{word} may be used for {against}"
    has_kind = not EXCHANGED_WORDS.isdisjoint(left.shared) or any(map(is_kind, left.shared))
    if has_kind and is_adjective(word) != is_adjective(against) and _begin_alike(word, against):
        return "a name and its adjective"
    return None


def _begin_alike(word: str, against: str) -> bool:
    """As "France" and "French", or "Poland" and "Polish"."""
    if word[:2] != against[:2] or abs(len(word) - len(against)) > 3 or word[0].isdigit():
        return False
    is_country = word.endswith("land") or against.endswith("land")
    return is_country or sum(map(str.__eq__, word[2:4], against[2:4])) > 0


def _maybe_longer(one: Name, other: Name, left: Leftover, rarity: Rarity) -> str | None:
    """One name inside another: what is more may say where, whose or what."""
    longer, shorter = (other, one) if left.other else (one, other)
    extra = left.both
    if vocabulary.TITLES.issuperset(extra):
        return "one has a title"
    plain = [word for word in extra if not _says_what(word)]
    if not plain:
        return "one names the kind of thing"
    if all(map(rarity.is_common, plain)):
        return "one has words that are common here"
    if _leads(longer, shorter):
        return "one says more of itself"
    if len(plain) > PLAIN_WORDS_MAX:
        return None
    words = canonical_words(longer)
    place = max(map(words.index, plain))
    if len(plain) == 1 and place and words[place - 1] in vocabulary.LINKS:
        return "one says where or whose"
    if _stands_before_shared(words, place, left.shared):
        return "one has a word before the name"
    return None


def _says_what(word: str) -> bool:
    return is_kind(word) or word in DESCRIBING_WORDS


def _leads(longer: Name, shorter: Name) -> bool:
    """Whether one name is what the other has in front of a comma, a colon or a dash."""
    return bool(longer.lead) and canonical(longer.lead, longer)[0] == " ".join(
        canonical_words(shorter)
    )


def _stands_before_shared(words: Sequence[str], place: int, shared: Sequence[str]) -> bool:
    """Whether the next word that says something is one that both names have."""
    after = place + 1
    while after < len(words) - 1 and words[after] in vocabulary.LINKS:
        after += 1
    return after < len(words) and _kind_or_word(words[after]) in shared


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
