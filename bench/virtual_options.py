"""The command line that the benches in virtual time share, and the scenarios that it means."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.virtual_modes import DEFAULT_MODES, MODES
from bench.virtual_runs import (
    CITIES,
    PACKAGED_MODELS,
    PARIS,
    Scenario,
    Variation,
    default_processes,
)
from mesh.llm.selection import DEFAULT_SIMULATED

COUNTS = {PARIS: (100, 250, 350), CITIES: (500, 1_000, 2_500)}
PRODUCER_COUNTS = (1, 2, 5, 10, 20)
TOPICS = {"paris": PARIS, "cities": CITIES}

VARIATIONS = (
    Variation(),
    Variation("onset_50", onset_count=50),
    Variation("onset_1000", onset_count=1_000),
    Variation("obey_50", obey=0.50),
    Variation("obey_80", obey=0.80),
    Variation("obey_95", obey=0.95),
    Variation("overlap_high", shared_knowledge=0.9),
    Variation("tiring", self_repeats=0.2),
)
"""The sensitivity grid, one assumption changed at a time. The packaged models begin to repeat
above 100 listed entries, obey to 0.60 .. 0.95, share knowledge by chance alone, and repeat nothing
within one answer, however long, which favours long answers."""


@dataclass(frozen=True, slots=True)
class VirtualOptions:
    """How a bench in virtual time was asked to run."""

    quick: bool
    as_json: bool
    markdown: bool
    html: Path | None
    seed: int
    seed_count: int
    processes: int
    scenarios: tuple[Scenario, ...]


def parse_options(description: str, arguments: Sequence[str] | None = None) -> VirtualOptions:
    given = _parser(description).parse_args(arguments)
    if given.quick:
        _make_quick(given)
    return VirtualOptions(
        quick=given.quick,
        as_json=given.json,
        markdown=given.markdown,
        html=given.html,
        seed=given.seed,
        seed_count=given.seeds,
        processes=given.processes,
        scenarios=tuple(_scenarios(given)),
    )


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two modes, small: within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--markdown", action="store_true", help="tables for people, too")
    parser.add_argument("--html", type=Path, metavar="FILE", help="one page of plots")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="how many of them")
    parser.add_argument("--processes", type=int, default=default_processes())
    parser.add_argument("--modes", type=Names(MODES), default=DEFAULT_MODES, help=", ".join(MODES))
    parser.add_argument("--producers", type=_counts, default=PRODUCER_COUNTS, metavar="N,N")
    parser.add_argument("--topics", type=Names(TOPICS), default=tuple(TOPICS), help="paris,cities")
    parser.add_argument("--models", type=Names(PACKAGED_MODELS), default=DEFAULT_SIMULATED)
    parser.add_argument("--counts", type=_counts, help="unique entries at which figures are taken")
    parser.add_argument("--to-the-end", action="store_true", help="until nothing is left to find")
    parser.add_argument("--grid", action="store_true", help="vary what models are assumed to do")
    return parser


def _make_quick(given: argparse.Namespace) -> None:
    given.seeds, given.producers, given.topics = 1, (5,), ("paris",)
    given.modes = tuple(mode for mode in given.modes if mode in ("star", "all")) or given.modes[:2]
    given.counts = given.counts or (100,)


def _scenarios(given: argparse.Namespace) -> list[Scenario]:
    seeds = range(given.seed, given.seed + given.seeds)
    variations = VARIATIONS if given.grid else VARIATIONS[:1]
    sides = itertools.product(variations, given.topics, given.producers, given.modes, seeds)
    return [
        Scenario(
            mode=mode,
            topic=TOPICS[topic],
            producer_count=producers,
            seed=seed,
            models=given.models,
            counts=() if given.to_the_end else given.counts or COUNTS[TOPICS[topic]],
            variation=variation,
        )
        for variation, topic, producers, mode, seed in sides
    ]


class Names:
    """Reads `a,b` where each is one of the known names."""

    def __init__(self, known: object) -> None:
        self._known = known

    def __call__(self, text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(","))
        for name in names:
            if name not in self._known:  # type: ignore[operator]
                raise argparse.ArgumentTypeError(f"unknown: {name}")
        return names


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))
