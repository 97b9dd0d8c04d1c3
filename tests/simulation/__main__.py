"""`python -m tests.simulation`: run many seeds, or replay one with all that happens in it.

    python -m tests.simulation --seeds 100000                a long run, with progress
    python -m tests.simulation --seed 4711 --trace           one seed, line by line
    python -m tests.simulation --without epochs --seeds 300  a protection switched off

The exit status is 0 when no invariant was violated and a hundred seeds or more put all of it to
the test, else 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time

from mesh.core.metrics import percentile
from mesh.core.protections import ALL_ON, Protections
from tests.simulation.running import Outcome, Tally, run_seed, run_seeds
from tests.simulation.scenarios import ENTRIES_MIN

PROGRESS_S = 10.0
SEEDS_THAT_TEST_ALL = 100
"""Of fewer, chance may leave some kind of fault out."""
VIOLATIONS_SHOWN_MAX = 20


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    protections = _protections(options.without)
    if options.seed is not None:
        return _replay(options.seed, protections, trace=options.trace)
    seeds = range(options.first, options.first + options.seeds)
    return _run(seeds, protections, options)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    names = [field.name for field in dataclasses.fields(Protections)]
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description="The whole mesh in memory, from seeds."
    )
    parser.add_argument("--seeds", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--seed", type=int, help="replay this one alone")
    parser.add_argument("--trace", action="store_true", help="with --seed: say all that happens")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="at once (one a core)"
    )
    parser.add_argument(
        "--without",
        default="",
        metavar="NAMES",
        help=f"protections to switch off, with commas: {', '.join(names)}",
    )
    options = parser.parse_args(arguments)
    unknown = set(filter(None, options.without.split(","))) - set(names)
    if unknown:
        parser.error(f"no such protection: {', '.join(sorted(unknown))}")
    return options


def _protections(without: str) -> Protections:
    off = {name: False for name in without.split(",") if name}
    return dataclasses.replace(ALL_ON, **off)


def _replay(seed: int, protections: Protections, *, trace: bool) -> int:
    outcome = run_seed(seed, protections, trace=trace)
    for line in outcome.trace:
        _say(line)
    _say(f"{outcome} (fingerprint {outcome.fingerprint})")
    return int(outcome.invariant is not None)


def _run(seeds: range, protections: Protections, options: argparse.Namespace) -> int:
    tally = Tally()
    started_s = said_s = time.perf_counter()
    for outcome in run_seeds(seeds, protections, processes=options.processes):
        tally.add(outcome)
        if outcome.invariant is not None and len(tally.violations) <= VIOLATIONS_SHOWN_MAX:
            _show_violation(outcome, options.without)
        if time.perf_counter() - said_s >= PROGRESS_S:
            said_s = time.perf_counter()
            _say(_progress(tally, len(seeds), said_s - started_s))
    _say(_summary(tally, time.perf_counter() - started_s))
    untested = tally.untested() if tally.seeds >= SEEDS_THAT_TEST_ALL else []
    for fact in untested:
        _say(f"too little was put to the test: {fact}")
    return int(bool(tally.violations or untested))


def _show_violation(outcome: Outcome, without: str) -> None:
    _say(str(outcome))
    switched_off = f" --without {without}" if without else ""
    _say(f"    replay: python -m tests.simulation --seed {outcome.seed} --trace{switched_off}")


def _progress(tally: Tally, seeds_count: int, elapsed_s: float) -> str:
    return (
        f"{tally.seeds:,} of {seeds_count:,} seeds, {len(tally.violations)} violations, "
        f"{tally.seeds / elapsed_s:.0f} seeds/s"
    )


def _summary(tally: Tally, elapsed_s: float) -> str:
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(tally.kinds.items()))
    p50, p99 = percentile(tally.converge_s, 0.5), percentile(tally.converge_s, 0.99)
    lines = [
        f"{tally.seeds:,} seeds in {elapsed_s:.1f} s ({elapsed_s / max(1, tally.seeds) * 1e3:.1f} "
        f"ms each): {len(tally.violations)} violations",
        f"faults: {sum(tally.kinds.values()):,} ({kinds})",
        f"entries: {tally.entries:,}; log entries destroyed by faults and declared lost: "
        f"{tally.lost_places:,}",
        f"each seed: at least {tally.least_nodes} nodes, {tally.least_entries} entries, "
        f"{tally.least_faults} faults; {tally.idle:,} seeds said fewer than {ENTRIES_MIN} entries "
        "before the last fault was over",
    ]
    if p50 is not None and p99 is not None:
        lines.append(
            f"to converge, virtual: p50 {p50:.2f} s, p99 {p99:.2f} s, "
            f"longest {max(tally.converge_s):.2f} s"
        )
    for outcome in tally.violations[VIOLATIONS_SHOWN_MAX:]:
        lines.append(f"also violated: seed {outcome.seed} ({outcome.invariant})")
    return "\n".join(lines)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
