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
from collections.abc import Mapping, Sequence
from zlib import crc32

from mesh.simulation.catalog import Catalog
from mesh.simulation.folding import folded
from mesh.simulation.models import SimulatedModel

PARTS_IN_A_NAME_MAX = 6
"""Facets of the catalog that one proposed facet may name; what is smaller is in none."""

_STYLES = ("{}", "Famous {}", "{} worth knowing", "All {}", "{} and the like", "Well-known {}")
_SEPARATORS = (", ", " and ", " & ", " / ")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_RANGE_STYLES = ("{}", "({})", "with names {}")
_RANGE = re.compile(r"\bfrom ([A-Za-z]) to ([A-Za-z])\b")
_RANGE_WORDS = re.compile(rf"\s*\(?(?:\bwith names )?{_RANGE.pattern}\)?")
_UNKNOWN_FACET_SHARE = 0.125
NO_FACETS = "No more facets.\n"
_ANYTHING = frozenset({"name", "entrie", "entry", "item", "thing"})
_FILLER = frozenset({"and", "of", "the", "in", "for", "other", "all", "famous", "well", "known"})


def proposed_facets(
    model: SimulatedModel,
    catalog: Catalog,
    count: int,
    seed: int,
    *,
    within: str | None = None,
    beside: Sequence[str] = (),
) -> tuple[str, ...]:
    """`count` facets as `model` splits the topic; the same whenever it is asked.

    Args:
        within: split this facet instead.
        beside: facets there are already: only what none of them names is split. () when they
            name everything.
    """
    asked = f"{within or ''}/{'/'.join(sorted(beside))}"
    source = random.Random(f"{seed}/facets/{model.name}/{catalog.topic}/{count}{asked.strip('/')}")
    style, separator = source.choice(_STYLES), source.choice(_SEPARATORS)
    own = catalog.facets()
    if within is not None:
        named = _whole_names(within, own) or _shared_words(within, own)
        if len(named) < 2 or _RANGE.search(within):
            return _parts_by_letter(within, count, model, source)
        own = {name: own[name] for name in own if name in named}
    elif beside:
        named_beside = {name for facet in beside for name in _whole_names(facet, own)}
        own = {name: own[name] for name in own if name not in named_beside}
        if not own:
            return ()
    groups = _groups(own, count, model, source)
    if not groups:
        return tuple(f"Names from {first} to {last}" for first, last in _letter_ranges(count))
    names = [style.format(separator.join(group)) for group in groups]
    if within is not None or beside:
        return tuple(dict.fromkeys(names))
    return tuple(dict.fromkeys([*names, *_split_by_letter(names, count - len(names))]))[:count]


def entries_of_facet(facet: str, catalog: Catalog, miss_share: float, seed: int) -> frozenset[int]:
    """Catalog entries that belong to what `facet` names.

    A facet in the catalog's own words holds all its entries; any other name misses `miss_share`
    of them, other entries for other names.
    """
    inside = _named_entries(facet, catalog)
    letters = _RANGE.search(facet)
    if inside is None:
        whole = _RANGE_WORDS.sub("", facet)
        unnamed = _sample(whole, range(len(catalog.entries)), _UNKNOWN_FACET_SHARE, seed)
        if letters is None:
            return unnamed
        inside = sorted(unnamed)
    if letters:
        first, last = letters[1].lower(), letters[2].lower()
        inside = [i for i in inside if _is_between(catalog.entries[i].name, first, last)]
    if folded(facet) in {folded(own) for own in catalog.facets()}:
        return frozenset(inside)
    return frozenset(inside) - _sample(facet, inside, miss_share, seed)


def _groups(
    own: Mapping[str, Sequence[int]], count: int, model: SimulatedModel, source: random.Random
) -> list[list[str]]:
    """The catalog's facets `own` in at most `count` groups of about equally many entries."""
    sizes = {facet: len(indices) for facet, indices in own.items()}
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


def _parts_by_letter(
    facet: str, count: int, model: SimulatedModel, source: random.Random
) -> tuple[str, ...]:
    """Parts of a facet that is not made of several: by the first letter of entries' names.

    Some parts begin a letter early, into the part before.
    """
    style = source.choice(_RANGE_STYLES)
    letters = _LETTERS
    found = _RANGE.search(facet)
    if found:
        first, last = found[1].lower(), found[2].lower()
        letters = _LETTERS[_LETTERS.index(first) : _LETTERS.index(last) + 1]
        style = "{}"
    parts = []
    for first, last in _letter_ranges(count, letters):
        at = letters.index(first.lower())
        if at and source.random() < model.facet_overlap:
            first = letters[at - 1].upper()
        words = f"from {first} to {last}"
        whole = facet[: found.start()] + words + facet[found.end() :] if found else None
        parts.append(whole or f"{facet} {style.format(words)}")
    return tuple(part for part in dict.fromkeys(parts) if part != facet)


def _letter_ranges(count: int, letters: str = _LETTERS) -> list[tuple[str, str]]:
    if not letters:
        return []
    count = min(count, len(letters))
    bounds = [round(len(letters) * number / count) for number in range(count + 1)]
    return [
        (letters[start].upper(), letters[end - 1].upper())
        for start, end in itertools.pairwise(bounds)
    ]


def _named_entries(facet: str, catalog: Catalog) -> list[int] | None:
    """Entries of the catalog's facets that `facet` names; None when it names none."""
    own = catalog.facets()
    named = _whole_names(facet, own) or _shared_words(facet, own)
    if named:
        return sorted({index for name in named for index in own[name]})
    rest = _RANGE_WORDS.sub("", facet)
    means_all = rest != facet and _stems(rest) <= _ANYTHING
    return list(range(len(catalog.entries))) if means_all else None


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
