"""Which entries a model writes in one answer: the draw that simulated_models.toml defines.

A model knows a seeded part of a catalog and has a seeded taste in it; from these an answer is
drawn without replacement, entries that are listed or outside the facet being unlikely. How the
entries are spelled and laid out is writing.py's.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mesh.simulation.catalog import Catalog
from mesh.simulation.models import SimulatedModel


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What one model knows of one catalog, and how readily each entry comes to its mind."""

    indices: tuple[int, ...]
    """Entries known, by catalog index."""
    inverse_weights: tuple[float, ...]
    """1 / w of each, before the prompt has its say."""
    position_of: dict[int, int]
    """Catalog index -> position in the two above."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One answer's entries, in the order of writing."""

    indices: tuple[int, ...]
    dry: bool
    """Nothing is left that it knows, that fits and that is not listed."""


def knowledge_of(model: SimulatedModel, catalog: Catalog, seed: int) -> Knowledge:
    """The same for the same seed, model and topic, whatever was asked before."""
    source = random.Random(f"{seed}/knowledge/{model.name}/{catalog.topic}")
    count = len(catalog.entries)
    known_count = min(count, max(1, round(model.knows * count)))
    common = _common_knowledge(catalog, round(model.shared_knowledge * known_count), seed)
    others = range(count) if not common else sorted(set(range(count)) - common)
    indices = tuple(sorted([*common, *source.sample(others, known_count - len(common))]))
    inverse_weights = tuple(
        math.exp(model.zipf * math.log(index + 1) - model.taste * source.gauss(0.0, 1.0))
        for index in indices
    )
    return Knowledge(indices, inverse_weights, {i: at for at, i in enumerate(indices)})


def _common_knowledge(catalog: Catalog, known_count: int, seed: int) -> frozenset[int]:
    """The first of the entries in the order in which all models come to know what all know."""
    if not known_count:
        return frozenset()
    count = len(catalog.entries)
    order = random.Random(f"{seed}/shared knowledge/{catalog.topic}").sample(range(count), count)
    return frozenset(order[:known_count])


def draw(
    model: SimulatedModel,
    knowledge: Knowledge,
    *,
    asked_count: int,
    listed: Collection[int],
    inside: Collection[int] | None,
    source: random.Random,
) -> Draw:
    """Draw up to `asked_count` entries.

    Args:
        listed: entries that appear in the prompt.
        inside: entries of the facet asked for; None: no facet was.

    The draw ends at the last entry that is neither listed nor outside: there is nothing left to
    say then, strays aside. A model that has nothing left at all draws nothing.

    Source: Gumbel top-k as an exponential race, Efraimidis & Spirakis, "Weighted random sampling
    with a reservoir", 2006: the k largest of ln(u) / w are k draws without replacement by w.
    """
    # 1 - random() is in (0, 1], so that its logarithm exists.
    keys = [
        math.log(1.0 - source.random()) * inverse_weight
        for inverse_weight in knowledge.inverse_weights
    ]
    known = knowledge.position_of
    _press_down(keys, knowledge, known.keys() & set(listed), model.suppression(len(listed)))
    fitting = known.keys() if inside is None else known.keys() & set(inside)
    fresh = [known[index] for index in fitting if index not in listed]
    if not fresh:
        return Draw((), dry=True)
    last_fresh = min(keys[at] for at in fresh)
    race = [at for at in map(known.__getitem__, fitting) if keys[at] >= last_fresh]
    first = heapq.nlargest(asked_count, race, key=keys.__getitem__)
    dry = len(race) <= asked_count
    if inside is not None:
        others = [at for index, at in known.items() if index not in fitting]
        strays = heapq.nlargest(asked_count, others, key=keys.__getitem__)
        mixed = _strayed(first, strays, model.obey, source)
        first, dry = mixed[:asked_count], dry and len(mixed) <= asked_count
    return Draw(tuple(knowledge.indices[at] for at in first), dry)


def _press_down(
    keys: list[float], knowledge: Knowledge, indices: Collection[int], strength: float
) -> None:
    """Add ln(1 - strength) to the log weight of `indices`."""
    factor = 1.0 / (1.0 - strength) if strength < 1.0 else math.inf
    for index in indices:
        keys[knowledge.position_of[index]] *= factor


def _strayed(
    inside: Sequence[int], outside: Sequence[int], obey: float, source: random.Random
) -> list[int]:
    """`inside` in its order with entries of `outside` between: before each with chance 1 - obey.

    The models file gives what is outside the weight 1 - obey. Taken for each entry alone, a facet
    of a sixteenth would keep a model that obeys to 0.95 inside half of the time; `obey` is meant
    as the share of an answer that stays inside. So the weight is what all outside have together,
    against obey for all inside, whatever is left of either.
    """
    strays = iter(outside)
    mixed: list[int] = []
    for at in inside:
        while source.random() >= obey:
            stray = next(strays, None)
            if stray is None:
                break
            mixed.append(stray)
        mixed.append(at)
    return mixed
