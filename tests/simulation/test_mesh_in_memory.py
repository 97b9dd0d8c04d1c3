"""The whole mesh under seeded faults: whatever happens, nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.running import Tally, run_seed, run_seeds

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 100


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
