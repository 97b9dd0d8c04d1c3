"""Whether virtual time tells the truth: the same modes in real processes, beside the virtual runs.

Each producer is a process: the real node on the real ZeroMQ mesh with the real collector, asking
simulated models over HTTP through the real SDKs. Modes, models, seeds and catalog are those of
`duplicate_rate.py`, and the truth is judged alike; the models are those that a run without
`--model` asks. Answers come `--time-scale` times as fast as a real model's, while what the program
itself takes and waits stays as it is: minutes are minutes of the models' time. `busy` is the share
of the processors that the run used; near 100 % the machine has slowed it down.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.real_processes import ChildLost
from bench.real_runs import NotInTime, run_real
from bench.reporting import Report
from bench.virtual_figures import figures, spreads
from bench.virtual_modes import MODES
from bench.virtual_options import Names
from bench.virtual_record import Standing
from bench.virtual_runs import CITIES, Scenario, default_processes, run_all
from bench.virtual_tables import Column, cell
from mesh.cli.commands import UsageError
from mesh.cli.offline import check_topic
from mesh.llm.selection import DEFAULT_SIMULATED

USUAL_MODES = ("independent", "star", "mesh_by_line", "all")
PRODUCERS = 5
QUICK_COUNT = 300
PROCESSES, VIRTUAL = "processes", "virtual"
COLUMNS = (
    Column("duplicate_ratio", "wasted %", ".1f", 100),
    Column("listed_ratio", "listed repeated %", ".1f", 100),
    Column("collision_ratio", "collisions %", ".1f", 100),
    Column("unique_a_minute_count", "unique a minute", ",.0f"),
    Column("calls_count", "calls", ".0f"),
    Column("input_tokens_per_100_count", "input", ",.0f"),
    Column("cached_tokens_per_100_count", "cached", ",.0f"),
    Column("output_tokens_per_100_count", "output", ",.0f"),
    Column("busy_ratio", "busy %", ".0f", 100),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line."""

    scenarios: tuple[Scenario, ...]
    time_scale: float
    as_json: bool


@dataclass(slots=True)
class Sides:
    """Figures of the runs that got to the count, by mode and side."""

    run_counts: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    figures: dict[tuple[str, str], list[dict[str, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, scenario: Scenario, side: str, standing: Standing | None, **more: float) -> None:
        key = (scenario.mode, side)
        self.run_counts[key] += 1
        if standing is not None:
            self.figures[key].append({**figures(standing), **more})

    def markdown(self) -> str:
        """Medians, from three seeds on with their range; the two sides of a mode together."""
        lines = [
            "| mode | in | " + " | ".join(column.heading for column in COLUMNS) + " |",
            "| --- | --- |" + " --- |" * len(COLUMNS),
        ]
        for mode, side in sorted(self.run_counts, key=lambda key: list(MODES).index(key[0])):
            each = self.figures[mode, side]
            of_side = spreads(each)
            cells = [cell(of_side.get(column.figure), column) for column in COLUMNS]
            reached, run_count = len(each), self.run_counts[mode, side]
            missing = "" if reached == run_count else f" ({reached} of {run_count} runs got there)"
            lines.append(f"| {mode} | {side}{missing} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def add_to(self, report: Report) -> None:
        for (mode, side), each in self.figures.items():
            report.add(f"{mode}_{side}_runs_count", len(each))
            for name, spread in spreads(each).items():
                if any(column.figure == name for column in COLUMNS):
                    report.add(f"{mode}_{side}_{name}", *spread.samples)


def asked_for(arguments: Sequence[str] | None = None) -> Asked:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one seed, few entries: a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="how many of them")
    parser.add_argument("--modes", type=Names(MODES), default=USUAL_MODES, help=", ".join(MODES))
    parser.add_argument("--producers", type=int, default=PRODUCERS, help="processes that ask")
    parser.add_argument("--topic", default=CITIES, help="one that simulated models know")
    parser.add_argument("--count", type=int, default=2_500, help="distinct entries to find")
    parser.add_argument("--time-scale", type=float, default=5.0, help="of the simulated models")
    given = parser.parse_args(arguments)
    try:
        check_topic(given.topic, ())
    except UsageError as error:
        parser.error(str(error))
    seeds = range(given.seed, given.seed + (1 if given.quick else given.seeds))
    count = min(given.count, QUICK_COUNT) if given.quick else given.count
    scenarios = (
        Scenario(mode, given.topic, given.producers, seed, DEFAULT_SIMULATED, (count,))
        for mode in given.modes
        for seed in seeds
    )
    return Asked(tuple(scenarios), given.time_scale, given.json)


def run_sides(asked: Asked) -> Sides:
    """All real runs, one after the other, then the virtual ones."""
    sides = Sides()
    for scenario in asked.scenarios:
        with tempfile.TemporaryDirectory(prefix="real-modes-") as directory:
            real = run_real(scenario, asked.time_scale, Path(directory))
        sides.add(
            scenario,
            PROCESSES,
            real.standings.get(max(scenario.counts)),
            busy_ratio=real.busy_share,
        )
    for virtual in run_all(asked.scenarios, default_processes()):
        sides.add(virtual.scenario, VIRTUAL, virtual.standings.get(max(virtual.scenario.counts)))
    return sides


def main() -> int:
    asked = asked_for()
    first = asked.scenarios[0]
    report = Report(
        "real_modes",
        {
            "seed": first.seed,
            "seeds": len({each.seed for each in asked.scenarios}),
            "topic": first.topic,
            "entries": max(first.counts),
            "producers": first.producer_count,
            "models": list(first.models),
            "time_scale": asked.time_scale,
        },
    )
    try:
        sides = run_sides(asked)
    except (ChildLost, NotInTime) as error:
        print(error, file=sys.stderr)
        return 1
    sides.add_to(report)
    print(sides.markdown(), end="\n\n")
    report.print(as_json=asked.as_json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
