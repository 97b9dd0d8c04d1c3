"""The whole mesh under seeded faults: whatever happens, nothing is lost, nothing is doubled."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.running import Tally, run_scenario, run_seed, run_seeds
from tests.simulation.scenarios import COLLECTOR, Fault, FaultKind, Work, draw_scenario

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 100
SEEDS_THAT_FAILED = (19_847, 20_947, 30_939)
"""A collector that knew nobody went on in an earlier epoch; that a node held what was declared lost
it told but once, to a network that lost it, or could not tell on a full disk."""
SETS_CLOCK_BACK = 4
"""The variant of a fault after which a node's clock is an hour slow."""


def test_a_hundred_seeds_lose_nothing_double_nothing_and_converge() -> None:
    """.ci/run has a thousand of them, and a command as many as one likes:
    python -m tests.simulation --seeds 100000."""
    tally = Tally()
    for outcome in run_seeds(range(SEEDS), processes=os.cpu_count() or 1):
        tally.add(outcome)
    assert [str(outcome) for outcome in tally.violations] == []
    assert tally.seeds == SEEDS
    assert tally.untested() == []


def test_a_seed_replays_exactly_whatever_process_it_runs_in() -> None:
    """Not even the order of a set, which differs from process to process, may matter."""
    command = [sys.executable, "-m", "tests.simulation", "--seed", "11", "--trace"]
    said = [
        subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert "seed 11: converged" in said[0]


@pytest.mark.parametrize("seed", range(8))
def test_a_collector_restored_from_before_anybody_joined_is_told_what_it_missed(seed: int) -> None:
    """Twice, and its clock is set back: by chance its last epoch is below the one before, in which
    all know it, and it knows nobody to learn that from."""
    scenario = dataclasses.replace(
        draw_scenario(seed),
        producers=tuple(Work(f"producer-{number}", 40, 0.05, 0.2) for number in range(1, 5)),
        faults=tuple(
            Fault(at_s, FaultKind.OLD_COPY, 0.3, COLLECTOR, amount=10.0, choice=SETS_CLOCK_BACK)
            for at_s in (2.0, 4.0)
        ),
        heal_s=5.0,
    )
    outcome = run_scenario(scenario)
    assert (outcome.invariant, outcome.detail) == (None, "")
    assert outcome.faults == 2
    assert outcome.converge_s < 5.0


@pytest.mark.parametrize("seed", SEEDS_THAT_FAILED)
def test_seeds_that_failed_once_converge(seed: int) -> None:
    outcome = run_seed(seed)
    assert (outcome.invariant, outcome.detail) == (None, "")


def test_a_trace_changes_nothing_and_names_what_happened() -> None:
    silent, traced = run_seed(12), run_seed(12, trace=True)
    assert silent.fingerprint == traced.fingerprint
    assert silent.trace == ()
    text = "\n".join(traced.trace)
    assert "collector    starts" in text
    assert "world        heals" in text


def test_a_failing_seed_is_named_with_the_command_that_replays_it() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "2", "--first", "0"]
    command += ["--processes", "1", "--without", "gap_fetch"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "seed 0: VIOLATED converges" in run.stdout
    assert "replay: python -m tests.simulation --seed 0 --trace --without gap_fetch" in run.stdout
