"""Each protection is needed: switched off, some seed loses, doubles or never agrees.

Where another protection covers for the one in question, both are off, and the seed is one that
either of them alone would have saved. Each seed found is whole with all protections on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from mesh.core.protections import ALL_ON, Protections
from tests.simulation.running import Outcome, run_seed

SEEDS_MAX = 300


@dataclass(frozen=True, slots=True)
class Needed:
    """A protection, what covers for it, and what goes wrong without."""

    protection: str
    violated: frozenset[str]
    """One of these invariants."""
    seed: int
    """Known to fail; should chance fall otherwise some day, another is searched for."""
    covered_by: str = ""
    why: str = ""

    @property
    def name(self) -> str:
        return " and ".join(filter(None, (self.protection, self.covered_by)))


NEEDED = [
    Needed("gap_fetch", frozenset({"converges"}), seed=0),
    Needed(
        "tail_check",
        frozenset({"converges"}),
        seed=15,
        covered_by="vector_swaps",
        why="a swap names the last seq of every log, up to five seconds later",
    ),
    Needed("vector_swaps", frozenset({"converges"}), seed=0),
    Needed("idempotent", frozenset({"applied_once"}), seed=0),
    Needed("epochs", frozenset({"converges", "nothing_lost", "equal_lists", "joins"}), seed=0),
    Needed("void_ordinals", frozenset({"equal_lists"}), seed=0),
]


def test_every_protection_is_tried() -> None:
    assert {each.protection for each in NEEDED} == {
        field.name for field in dataclasses.fields(Protections)
    }


@pytest.mark.parametrize("needed", NEEDED, ids=lambda needed: needed.name)
def test_without_it_some_seed_fails(
    needed: Needed, record_property: Callable[[str, object], None]
) -> None:
    outcome = _first_failure(needed)
    assert outcome is not None, f"{SEEDS_MAX} seeds are whole without {needed.name}"
    record_property("without", needed.name)
    record_property("seed", outcome.seed)
    record_property("violated", f"{outcome.invariant}: {outcome.detail}")
    assert outcome.invariant in needed.violated, str(outcome)
    assert run_seed(outcome.seed).invariant is None


def _first_failure(needed: Needed) -> Outcome | None:
    for seed in (needed.seed, *range(SEEDS_MAX)):
        if needed.covered_by and not _either_alone_saves(seed, needed):
            continue
        outcome = run_seed(seed, _without(needed.protection, needed.covered_by))
        if outcome.invariant is not None:
            return outcome
    return None


def _either_alone_saves(seed: int, needed: Needed) -> bool:
    alone = (needed.covered_by, needed.protection)
    return all(run_seed(seed, _without(name)).invariant is None for name in alone)


def _without(*names: str) -> Protections:
    return dataclasses.replace(ALL_ON, **{name: False for name in names if name})
