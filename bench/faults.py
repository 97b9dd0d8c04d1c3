"""Whether a mesh of real processes loses anything, whatever happens to it, and how soon it mends.

Five producers on two machines and a collector on a third, each a command as users type it, find
entries as fast as simulated models can be made to answer, while processes are killed and stopped
and the network between them breaks: on loopback through a relay (relay.py), and, where there is
root, in network namespaces, encrypted. Each run ends with Ctrl-C; then what all logs say is
compared with what output.txt and run.sqlite hold. In one run the collector is away for a while.

Times to converge are of rounds of one to three faults at once, as fault_rounds.py defines them.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.fault_footprint import Footprints
from bench.fault_kinds import ALL, possible_kinds
from bench.fault_networks import NamespaceNetwork, RelayNetwork
from bench.fault_rounds import (
    Absence,
    Deck,
    Tally,
    draw_round,
    run_round,
    take_collector_away,
    undisturbed_per_s,
)
from bench.fault_runs import FaultRun, Layout, Verdict, started_run
from bench.reporting import Report, percentile
from tests.e2e.namespaces import NoNamespaces, check_namespaces

NETWORKS: Mapping[str, type[RelayNetwork] | type[NamespaceNetwork]] = {
    "relay": RelayNetwork,
    "namespaces": NamespaceNetwork,
}
FAULTS = 60
QUICK_FAULTS = 5
FAULTS_OF_A_RUN_MAX = 40
AWAY_S = 30.0
QUICK_AWAY_S = 6.0
TIME_SCALE = 20.0
"""Keeps two cores busy."""
SLOW_TIME_SCALE = 1.0
"""Of long runs: an hour's entries fit into the catalog."""
CONVERGE_TARGET_S = 5.0
SAMPLE_EVERY_S = 5.0
TOPIC_USED_UP = 0.5
"""A run in which this share of the catalog has been found gives way to the next."""


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """How the bench was asked to run."""

    quick: bool
    as_json: bool
    seed: int
    fault_count: int
    """At least so many, over all runs."""
    duration_s: float | None
    """Instead of a count: one run for so long, with footprints."""
    kinds: Sequence[str]
    networks: Sequence[str]
    """Taken in turn."""
    away_s: float
    """0: the collector stays."""
    time_scale: float


@dataclass(slots=True)
class Results:
    """What all runs have come to."""

    tally: Tally = field(default_factory=Tally)
    verdicts: list[Verdict] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    undisturbed_per_s: list[float] = field(default_factory=list)
    """Of a run in which nobody is away, at the moment of the absence."""
    statuses: list[int] = field(default_factory=list)
    """Exit status of each command at its run's end."""
    footprints: Footprints = field(default_factory=Footprints)


def parse_options() -> FaultOptions:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--seed", type=int, default=0, help="of the faults and the entries")
    parser.add_argument("--faults", type=int, help=f"at least so many; default {FAULTS}")
    parser.add_argument("--duration", type=float, metavar="S", help="one run for so long instead")
    parser.add_argument("--kinds", help=f"of faults, by commas: {','.join(ALL)}")
    parser.add_argument("--network", choices=[*NETWORKS, "both"], default="both")
    parser.add_argument("--away", type=float, metavar="S", help=f"collector; default {AWAY_S:g}")
    parser.add_argument("--time-scale", type=float, metavar="X", help="of simulated models")
    given = parser.parse_args()
    kinds = given.kinds.split(",") if given.kinds else list(ALL)
    if unknown := set(kinds) - set(ALL):
        parser.error(f"unknown kinds: {', '.join(sorted(unknown))}")
    return FaultOptions(
        quick=given.quick,
        as_json=given.json,
        seed=given.seed,
        fault_count=given.faults or (QUICK_FAULTS if given.quick else FAULTS),
        duration_s=given.duration,
        kinds=kinds,
        networks=_usable_networks(given.network, quick=given.quick),
        away_s=(QUICK_AWAY_S if given.quick else AWAY_S) if given.away is None else given.away,
        time_scale=given.time_scale or (SLOW_TIME_SCALE if given.duration else TIME_SCALE),
    )


def _usable_networks(wanted: str, *, quick: bool) -> list[str]:
    if wanted == "both" and quick:
        return ["relay"]
    if wanted == "relay":
        return ["relay"]
    try:
        check_namespaces()
    except NoNamespaces as error:
        if wanted == "namespaces":
            sys.exit(f"error: {error}")
        _say(f"left out: faults of cables and switches ({error})")
        return ["relay"]
    return ["relay", "namespaces"] if wanted == "both" else ["namespaces"]


@contextmanager
def _new_run(network: str, layout: Layout) -> Iterator[FaultRun]:
    with (
        tempfile.TemporaryDirectory(prefix="mesh-faults-") as directory,
        NETWORKS[network](len(layout.producers) + 1) as links,
        started_run(Path(directory), layout, links) as run,
    ):
        yield run


def run_undisturbed(options: FaultOptions, network: str, results: Results) -> None:
    """The first run without its faults, as far as the collector's absence is compared with it."""
    layout = Layout(time_scale=options.time_scale, seed=options.seed)
    with _new_run(network, layout) as run:
        results.undisturbed_per_s.append(undisturbed_per_s(run, options.away_s))
        _say(f"nobody away: {results.undisturbed_per_s[-1]:.0f} new entries a second")
        run.end()


def one_run(options: FaultOptions, network: str, number: int, results: Results) -> None:
    """Start a run, let faults happen until it has had its share, end it, judge it."""
    layout = Layout(time_scale=options.time_scale, seed=options.seed + number)
    chance = random.Random(f"{options.seed}/{number}")
    with _new_run(network, layout) as run:
        _say(f"run {number + 1} ({network}): all nodes up")
        if options.away_s and not results.absences:
            results.absences.append(take_collector_away(run, options.away_s, results.tally))
            _say(f"collector away: {results.absences[-1]}")
        _faults(run, layout, options, chance, results)
        run.end()
        results.statuses += [machine.statuses[-1] for machine in run.machines]
        results.verdicts.append(run.verdict())
        _say(f"run {number + 1}: {results.verdicts[-1]}")


def _faults(
    run: FaultRun,
    layout: Layout,
    options: FaultOptions,
    chance: random.Random,
    results: Results,
) -> None:
    """Round after round, until this run or all of them have had enough."""
    deck = Deck(possible_kinds(run, options.kinds), chance)
    tally, before = results.tally, results.tally.injected.total()
    begun_s = sampled_s = time.monotonic()
    while not _is_enough(options, tally, begun_s):
        if options.duration_s is None:
            if tally.injected.total() - before >= FAULTS_OF_A_RUN_MAX:
                return
            if run.collector_disk.accepted_count() > TOPIC_USED_UP * layout.catalog_entries:
                return
        faults = draw_round(run, deck, chance)
        run_round(run, faults, chance, tally)
        what = ", ".join(f"{fault.kind} {fault.target}" for fault in faults)
        times = f"{tally.converged_s[-1]:6.2f} s"
        if any(fault.killed for fault in faults):
            times += f" ({tally.since_opened_s[-1]:.2f} s since all logs were opened)"
        _say(f"{tally.injected.total():4}  {times}  {what}")
        if time.monotonic() - sampled_s >= SAMPLE_EVERY_S:
            sampled_s = time.monotonic()
            results.footprints.take(run)


def _is_enough(options: FaultOptions, tally: Tally, begun_s: float) -> bool:
    if options.duration_s is not None:
        return time.monotonic() - begun_s >= options.duration_s
    return tally.injected.total() >= options.fault_count


def report_of(options: FaultOptions, results: Results) -> Report:
    """The figures of all runs together."""
    tally = results.tally
    report = Report(
        "faults",
        {
            "seed": options.seed,
            "runs": len(results.verdicts),
            "networks": "+".join(options.networks),
            "time_scale": options.time_scale,
            "away_s": options.away_s,
        },
    )
    report.add("faults_count", tally.injected.total())
    report.add("kill_9_count", tally.kill_count)
    for kind, count in sorted(tally.injected.items()):
        report.add(f"{kind}_count", count)
    report.add("said_count", sum(each.said_count for each in results.verdicts))
    report.add("unique_count", sum(each.unique_count for each in results.verdicts))
    report.add("lost_count", sum(each.lost_count for each in results.verdicts), target="0")
    report.add("doubled_count", sum(each.doubled_count for each in results.verdicts), target="0")
    differing = sum(each.differing_count for each in results.verdicts)
    report.add("output_unlike_database_count", differing, target="0")
    report.add("failed_command_count", sum(map(bool, results.statuses)), target="0")
    _add_times(report, tally)
    for absence in results.absences:
        report.add("unique_before_per_s", absence.before_per_s)
        report.add("unique_while_collector_away_per_s", absence.away_per_s)
        report.add("unique_after_per_s", absence.after_per_s)
        report.add("in_output_after_absence_s", absence.in_output_s, target="<= 5")
    for per_s in results.undisturbed_per_s:
        report.add("unique_with_nobody_away_per_s", per_s, target="no more than while it is")
    results.footprints.add_to(report, with_slopes=options.duration_s is not None)
    return report


def _add_times(report: Report, tally: Tally) -> None:
    target = f"<= {CONVERGE_TARGET_S:g}"
    report.add("not_converged_count", len(tally.not_converged), target="0")
    report.add("converged_p50_s", percentile(tally.converged_s, 0.5))
    report.add("converged_p99_s", percentile(tally.converged_s, 0.99), target=target)
    if tally.since_opened_s:
        report.add("converged_since_log_opened_p50_s", percentile(tally.since_opened_s, 0.5))
        report.add("converged_since_log_opened_p99_s", percentile(tally.since_opened_s, 0.99))
    for kind, times_s in sorted(tally.converged_by_kind_s.items()):
        report.add(f"converged_after_{kind}_s", *times_s, target=target)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> None:
    options = parse_options()
    results = Results()
    if options.away_s and not options.quick:
        run_undisturbed(options, options.networks[0], results)
    number = 0
    while not results.verdicts or (
        options.duration_s is None and results.tally.injected.total() < options.fault_count
    ):
        network = options.networks[number % len(options.networks)]
        one_run(options, network, number, results)
        number += 1
    for each in results.tally.not_converged:
        _say(f"not converged: {each}")
    report_of(options, results).print(as_json=options.as_json)


if __name__ == "__main__":
    main()
