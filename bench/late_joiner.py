"""How long a producer takes that joins when a million entries have been said.

The logs of PRODUCERS producers are written to disk beforehand, one frame an entry. A real
collector and these producers start on them and converge; then one more producer, with nothing,
joins, and has to fetch and apply every entry and every verdict. A listener of its own hears all
heartbeats meanwhile: learning much must not keep anyone, the newcomer included, from beating.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.heartbeat_watch import HeartbeatWatch
from bench.late_peer import LateOrders, late_peer, write_past
from bench.processes import figures_of, processor_s
from bench.reporting import Report, parse_options
from bench.scale_run import ScaleRun, leave, running

PRODUCERS = 2
ENTRIES, ENTRIES_QUICK = 1_000_000, 40_000
PREPARE_S = 600.0
"""The producers learn each other's entries on two cores, at the collector's side."""
CALM_S = 3.0
"""Watched before the newcomer comes."""
JOIN_S_MAX = 300.0
HEARD_S_MAX = 10.0


def measure(report: Report, entry_count: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        labels = [f"producer-{number}" for number in range(PRODUCERS)]
        for number, label in enumerate(labels):
            path = directory / "nodes" / label
            write_past(path, number, entry_count // PRODUCERS, seed)
        orders = [LateOrders(label, directory, PRODUCERS + 1, entry_count) for label in labels]
        newcomer = LateOrders("newcomer", directory, PRODUCERS + 2, entry_count)
        with running(directory, late_peer, [*orders, newcomer], encrypted=False) as run:
            watch = HeartbeatWatch()
            command = _prepare(run, report, watch)
            _join(run, report, watch, command, entry_count)
            leave(run)


def _prepare(run: ScaleRun, report: Report, watch: HeartbeatWatch) -> dict[str, Any]:
    """Have collector and producers know everything; return what the newcomer is to be told."""
    started_s = time.time()
    run.hear_all()
    settled = range(PRODUCERS)
    run.collector.send({"command": "start"})
    for number in settled:
        run.lines[number].send("start")
    ready = run.collector.next_event("ready", PREPARE_S)
    command = {
        "command": "collector",
        "address": ready["address"],
        "curve_key": ready["curve_key"],
        "ticket": ready["ticket"],
    }
    for number in settled:
        _hear(run, number, PREPARE_S)
        run.lines[number].send(command)
    for number in settled:
        _, _, feeds = _hear(run, number, PREPARE_S)
        _hear(run, number, PREPARE_S)
        _hear(run, number, PREPARE_S)
    report.add("prepared_s", time.time() - started_s)
    watch.listen_to(feeds)
    return command


def _join(
    run: ScaleRun,
    report: Report,
    watch: HeartbeatWatch,
    command: dict[str, Any],
    entry_count: int,
) -> None:
    newcomer = PRODUCERS
    watch.start()
    time.sleep(CALM_S)
    calm_gap_s = max(watch.longest_gap_s.values())
    started_s = time.time()
    run.lines[newcomer].send("start")
    _hear(run, newcomer, JOIN_S_MAX)
    run.lines[newcomer].send(command)
    _, up_s, feeds = _hear(run, newcomer, JOIN_S_MAX)
    watch.listen_to(feeds[:1])  # Its own; the others are heard already.
    _, knows_s = _hear(run, newcomer, JOIN_S_MAX)
    _, converged_s, applied_count = _hear(run, newcomer, JOIN_S_MAX)
    newcomer_id = run.peers[newcomer].pid
    assert newcomer_id is not None
    took_s, memory_mb = processor_s(newcomer_id), figures_of(newcomer_id).proportional_mb
    watch.await_nodes(PRODUCERS + 2, HEARD_S_MAX)
    watch.stop()
    report.add("newcomer_up_s", up_s - started_s)
    report.add("newcomer_knows_all_s", knows_s - started_s)
    report.add("newcomer_converged_s", converged_s - started_s, target="target <= 60")
    report.add("applied_entries_count", applied_count)
    report.add("applied_entries_per_s", applied_count / (converged_s - started_s))
    report.add("newcomer_processor_s", took_s)
    report.add("newcomer_proportional_mb", memory_mb)
    report.add("heartbeats_heard_count", watch.heard_count)
    report.add("longest_heartbeat_gap_before_s", calm_gap_s)
    report.add("longest_heartbeat_gap_s", max(watch.longest_gap_s.values()), target="target <= 2")
    assert applied_count >= 2 * entry_count, applied_count


def _hear(run: ScaleRun, number: int, wait_s: float) -> Any:
    if not run.lines[number].poll(wait_s):
        raise TimeoutError(f"producer {number} said nothing for {wait_s} s")
    return run.lines[number].recv()


def main() -> None:
    options = parse_options(__doc__ or "", with_entries=True)
    entry_count = options.entry_count or (ENTRIES_QUICK if options.quick else ENTRIES)
    settings = {"entries": entry_count, "producers": PRODUCERS, "seed": options.seed}
    report = Report("late_joiner", settings)
    measure(report, entry_count, options.seed)
    report.print(as_json=options.as_json)


if __name__ == "__main__":
    main()
