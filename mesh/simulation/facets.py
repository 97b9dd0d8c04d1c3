"""How simulated models split a topic, and which entries a facet's name means.

Models name facets differently and imperfectly: some overlap, and each name leaves out a share of
the entries that it should cover. Nothing is remembered between calls: a name is read by the
catalog's own facet names that stand in it, so that every model understands every other's facets,
after a restart too, and a facet that a person made up as well as may be.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from zlib import crc32

from mesh.simulation.catalog import Catalog
from mesh.simulation.folding import folded
from mesh.simulation.models import SimulatedModel

PARTS_IN_A_NAME_MAX = 6
"""Facets of the catalog that one proposed facet may name; what is smaller is in none."""

_STYLES = ("{}", "Famous {}", "{} worth knowing", "All {}", "{} and the like", "Well-known {}")
_SEPARATORS = (", ", " and ", " & ", " / ")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_RANGE = re.compile(r"\bfrom ([A-Za-z]) to ([A-Za-z])\b")
_UNKNOWN_FACET_SHARE = 0.125
_FILLER = frozenset({"and", "of", "the", "in", "for", "other", "all", "famous", "well", "known"})


def proposed_facets(
    model: SimulatedModel, catalog: Catalog, count: int, seed: int
) -> tuple[str, ...]:
    """`count` facets as `model` splits the topic; the same whenever it is asked."""
    source = random.Random(f"{seed}/facets/{model.name}/{catalog.topic}/{count}")
    style, separator = source.choice(_STYLES), source.choice(_SEPARATORS)
    groups = _groups(catalog, count, model, source)
    if not groups:
        return tuple(f"Names from {first} to {last}" for first, last in _letter_ranges(count))
    names = [style.format(separator.join(group)) for group in groups]
    return tuple(dict.fromkeys([*names, *_split_by_letter(names, count - len(names))]))[:count]


def entries_of_facet(facet: str, catalog: Catalog, miss_share: float, seed: int) -> frozenset[int]:
    """Catalog entries that belong to what `facet` names.

    A facet in the catalog's own words holds all its entries; any other name misses `miss_share`
    of them, other entries for other names.
    """
    inside = _named_entries(facet, catalog)
    if inside is None:
        return _sample(facet, range(len(catalog.entries)), _UNKNOWN_FACET_SHARE, seed)
    letters = _RANGE.search(facet)
    if letters:
        first, last = letters[1].lower(), letters[2].lower()
        inside = [i for i in inside if _is_between(catalog.entries[i].name, first, last)]
    if folded(facet) in {folded(own) for own in catalog.facets()}:
        return frozenset(inside)
    return frozenset(inside) - _sample(facet, inside, miss_share, seed)


def _groups(
    catalog: Catalog, count: int, model: SimulatedModel, source: random.Random
) -> list[list[str]]:
    """The catalog's facets in at most `count` groups of about equally many entries."""
    sizes = {facet: len(indices) for facet, indices in catalog.facets().items()}
    largest = sorted(sizes, key=lambda facet: -sizes[facet])[: count * PARTS_IN_A_NAME_MAX]
    groups: list[list[str]] = [[] for _ in range(min(count, len(largest)))]
    # Each model weighs facets a little differently, so that their groups differ too.
    felt = {facet: sizes[facet] * source.uniform(0.4, 1.6) for facet in largest}
    filled = [0.0] * len(groups)
    for facet in sorted(largest, key=lambda each: -felt[each]):
        open_groups = [at for at, group in enumerate(groups) if len(group) < PARTS_IN_A_NAME_MAX]
        least = min(filled[at] for at in open_groups)
        at = source.choice([at for at in open_groups if filled[at] == least])
        groups[at].append(facet)
        filled[at] += felt[facet]
    for group in groups:
        if len(groups) > 1 and source.random() < model.facet_overlap:
            other = source.choice([each for each in groups if each is not group])
            group.append(source.choice(other))
    source.shuffle(groups)
    return groups


def _split_by_letter(names: Sequence[str], missing_count: int) -> list[str]:
    """Further facets, where more are asked for than there are: parts of the first ones."""
    return [
        f"{names[number % len(names)]} from {first} to {last}"
        for number in range(max(0, missing_count))
        for first, last in [(("A", "L"), ("M", "Z"))[number // len(names) % 2]]
    ]


def _letter_ranges(count: int) -> list[tuple[str, str]]:
    count = min(count, len(_LETTERS))
    bounds = [round(len(_LETTERS) * number / count) for number in range(count + 1)]
    return [
        (_LETTERS[start].upper(), _LETTERS[end - 1].upper())
        for start, end in itertools.pairwise(bounds)
    ]


def _named_entries(facet: str, catalog: Catalog) -> list[int] | None:
    """Entries of the catalog's facets that `facet` names; None when it names none."""
    own = catalog.facets()
    named = _whole_names(facet, own) or _shared_words(facet, own)
    if named:
        return sorted({index for name in named for index in own[name]})
    return list(range(len(catalog.entries))) if _RANGE.search(facet) else None


def _whole_names(facet: str, own: Sequence[str] | dict[str, list[int]]) -> list[str]:
    """Names that stand in `facet` whole, longest first: "Papua New Guinea" is not "Guinea"."""
    rest = f" {folded(facet)} "
    named = []
    for name in sorted(own, key=lambda each: -len(folded(each))):
        words = f" {folded(name)} "
        if words in rest:
            rest = rest.replace(words, " | ")
            named.append(name)
    return named


def _shared_words(facet: str, own: Sequence[str] | dict[str, list[int]]) -> list[str]:
    """Names with a word of `facet`, a plural being its singular."""
    words = _stems(facet)
    return [name for name in own if words & _stems(name)]


def _stems(text: str) -> set[str]:
    return {word.rstrip("s") for word in folded(text).split() if len(word) > 2} - _FILLER


def _is_between(name: str, first: str, last: str) -> bool:
    initial = folded(name)[:1]
    # What begins with no Latin letter counts to the last range.
    return first <= initial <= last if initial in _LETTERS else last == "z"


def _sample(facet: str, indices: Sequence[int], share: float, seed: int) -> frozenset[int]:
    """A fixed, arbitrary `share` of `indices` that depends on the facet's name."""
    name = f"{seed}/{folded(facet)}/"
    limit = share * 2**32
    return frozenset(index for index in indices if crc32(f"{name}{index}".encode()) < limit)
