"""Real processes on a network that breaks: nothing said is lost, nothing is doubled.

The short form of bench/faults.py: the same runs and faults, one of each kind.
"""

from __future__ import annotations

import random
from pathlib import Path

from bench.fault_kinds import ALL, possible_kinds
from bench.fault_networks import RelayNetwork
from bench.fault_rounds import Tally, run_round, take_collector_away
from bench.fault_runs import FaultRun, Layout, await_that, started_run
from mesh.core.normalize import item_key
from tests.patience import PATIENCE_S

ENTRIES = 40_000
"""Of the catalog, which each machine reads: several times what so short a run finds."""


def test_one_fault_of_each_kind_loses_nothing(tmp_path: Path) -> None:
    chance, tally = random.Random(1), Tally()
    layout = Layout(producers=(2, 1), time_scale=10, catalog_entries=ENTRIES)
    with RelayNetwork(3) as network, started_run(tmp_path, layout, network) as run:
        kinds = possible_kinds(run, list(ALL))
        for pair in zip(kinds[::2], kinds[1::2], strict=True):
            run_round(run, [ALL[kind](run, chance) for kind in pair], chance, tally)
        assert tally.not_converged == []
        assert set(tally.injected) == set(kinds)
        end_and_judge(run)


def test_what_was_said_and_not_sent_when_a_producer_was_killed_is_in_the_output(
    tmp_path: Path,
) -> None:
    """The relay holds what the producer tells until it is dead: then nobody has it but its disk."""
    layout = Layout(producers=(1, 1), time_scale=10, catalog_entries=ENTRIES)
    with RelayNetwork(3) as network, started_run(tmp_path, layout, network) as run:
        victim = run.producers[0]
        await_that(lambda: run.collector_disk.output_count() > 30, "entries", PATIENCE_S)
        held = network.hold(1, victim)
        await_that(lambda: len(run.only_held_by(victim)) > 10, "unheard entries", PATIENCE_S)
        killed = {victim: run.epochs()[victim]}
        victim.machine.power_off()
        network.drop(held)
        network.release(held)
        unsent = {said.key for said in run.only_held_by(victim)}
        assert len(unsent) > 10
        run.await_whole(killed)
        said = run.said_positions()
        await_that(lambda: not run.lacking(said), "all to know", PATIENCE_S)
        end_and_judge(run)
        assert unsent <= {item_key(line) for line in run.collector_disk.output_lines()}


def test_producers_go_on_while_the_collector_is_away(tmp_path: Path) -> None:
    tally = Tally()
    layout = Layout(producers=(1, 1), time_scale=10, catalog_entries=ENTRIES)
    with RelayNetwork(3) as network, started_run(tmp_path, layout, network) as run:
        await_that(lambda: run.collector_disk.output_count() > 30, "entries", PATIENCE_S)
        absence = take_collector_away(run, 3.0, tally)
        assert absence.away_per_s > 0
        end_and_judge(run)


def end_and_judge(run: FaultRun) -> None:
    """End a run as its users do; what its nodes said must be what its collector holds."""
    run.end()
    assert [machine.statuses[-1] for machine in run.machines] == [0] * len(run.machines)
    verdict = run.verdict()
    assert verdict.said_count > 100
    assert (verdict.lost_count, verdict.doubled_count, verdict.differing_count) == (0, 0, 0)
