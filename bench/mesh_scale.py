"""What the full mesh costs as it grows: 5, 50 and 100 producers and the collector on one machine.

Every node is an OS process with its real sockets, log, directory and known items; no LLM takes
part. Measured, for each size, in plaintext and with CURVE and signatures:
- from "every process has started and imported" until every producer hears, and is heard by, every
  other node, the collector among them, and the processor time that this takes, which says more
  where the machine is busy with other work;
- an item's way from "published" to "known by a producer", at a modest rate in all, one frame an
  item, with the collector's verdicts on the same wires; the first WARM_UP_S are not counted;
- from the last item until everyone knows everything, and what was lost;
- memory, descriptors and processor time of a process when nobody says anything.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.processes import figures_of, processor_s
from bench.propagation import evaluate
from bench.reporting import Options, Report, percentile
from bench.scale_peer import PeerOrders, scale_peer
from bench.scale_run import ScaleRun, leave, running
from bench.talk import WARM_UP_S, Round, Times
from mesh.nodes.supervising.limits import raise_descriptor_limit

ITEMS_PER_S = 40
"""In all. Each is delivered to every other node, and so is the verdict on it: more of them take a
hundred nodes' time from everything else on two cores."""
START_IN_S = 0.5
SETTLE_S = 1.0
"""From the last item to the begin of the idle time."""
DESCRIPTORS_OF_ANY_PROCESS = 3
FRAME_BYTES = 130
"""About; the frames are made by the real node."""
UP_TARGETS_S = {50: "target <= 3", 100: "target <= 10"}


@dataclass(frozen=True, slots=True)
class Talk:
    """What the nodes do once they are up."""

    items_per_s: float
    """In all."""
    talk_s: float
    idle_s: float
    seed: int


def measure(report: Report, peer_count: int, encrypted: bool, talk: Talk) -> None:
    """One mesh from start to end."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        orders = [
            PeerOrders(number, directory, peer_count + 1, encrypted)
            for number in range(1, peer_count + 1)
        ]
        with running(directory, scale_peer, orders, encrypted=encrypted) as run:
            figures = Figures(report, f"{'curve' if encrypted else 'plain'}_{peer_count}")
            open_before = _bring_up(run, figures, peer_count)
            rate_per_s = talk.items_per_s / peer_count
            this_round = Round(directory, rate_per_s, talk.talk_s, FRAME_BYTES, str(talk.seed))
            said_count = _talk(run, figures, this_round)
            _measure_idle(run, figures, talk.idle_s, open_before)
            leave(run)
        lines = (directory / "output.txt").read_bytes().count(b"\n")
        figures.add("not_in_output_count", said_count - lines, target="0")


class Figures:
    """A report's figures of one mesh, all of whose names begin alike."""

    def __init__(self, report: Report, prefix: str) -> None:
        self._report = report
        self._prefix = prefix

    def add(self, name: str, *samples: float, target: str = "") -> None:
        self._report.add(f"{self._prefix}_{name}", *samples, target=target)


def _bring_up(run: ScaleRun, figures: Figures, peer_count: int) -> int:
    """Start all and wait until all are connected; return the descriptors that a peer's process
    had open before, inherited from the bench."""
    open_before: int = max(count for _, count in run.hear_all())
    busy_from_s = _processor_s(run)
    started_s = time.time()
    run.collector.send({"command": "start"})
    run.tell_all("start")
    opened = run.hear_all()
    ready = run.collector.next_event("ready")
    collector_ready_s = time.time()
    run.tell_all(
        {
            "command": "collector",
            "address": ready["address"],
            "curve_key": ready["curve_key"],
            "ticket": ready["ticket"],
        }
    )
    up = run.hear_all()
    busy_s = _processor_s(run) - busy_from_s
    target = UP_TARGETS_S.get(peer_count, "")
    figures.add("opened_s", max(moment for _, moment in opened) - started_s)
    figures.add("collector_ready_s", collector_ready_s - started_s)
    figures.add("first_up_s", min(moment for _, moment in up) - started_s)
    figures.add("all_up_s", max(moment for _, moment in up) - started_s, target=target)
    figures.add("processor_until_all_up_s", busy_s)
    return open_before


def _talk(run: ScaleRun, figures: Figures, this_round: Round) -> int:
    """Let all talk; return how many items they said."""
    start_s = time.time() + START_IN_S
    busy_from_s = _processor_s(run)
    run.tell_all((this_round, start_s))
    said_count: int = sum(count for _, count in run.hear_all())
    last_said_s = time.time()
    busy_s = _processor_s(run) - busy_from_s
    run.tell_all(said_count)
    converged = run.hear_all()
    all_times: Sequence[Times] = run.hear_all()
    outcome = evaluate(all_times, counted_from_ns=int((start_s + WARM_UP_S) * 1e9))
    for share, label in ((0.5, "p50"), (0.99, "p99")):
        figures.add(f"one_way_{label}_ms", percentile(outcome.one_way_ms, share))
    figures.add("items_count", said_count)
    figures.add("lost_count", outcome.lost_count, target="0")
    figures.add("talking_cores_ratio", busy_s / (last_said_s - start_s))
    figures.add("converged_s", max(0.0, max(each[1] for each in converged) - last_said_s))
    figures.add("digests_count", len({each[2] for each in converged}), target="1")
    _await_collector(run, figures, said_count, last_said_s)
    return said_count


def _await_collector(run: ScaleRun, figures: Figures, said_count: int, last_said_s: float) -> None:
    """Until it holds everything, and sees all others know the same."""
    ends_s = time.time() + 30.0
    while time.time() < ends_s:
        mesh = run.collector.metrics.get("mesh", {})
        if mesh.get("converged") and run.collector.metrics["unique_total"] >= said_count:
            break
        time.sleep(0.05)
    figures.add("collector_converged_s", time.time() - last_said_s)


def _measure_idle(run: ScaleRun, figures: Figures, idle_s: float, open_before: int) -> None:
    time.sleep(SETTLE_S)
    from_s, busy_from_s = time.monotonic(), _processor_s(run)
    time.sleep(idle_s)
    idle_cores = (_processor_s(run) - busy_from_s) / (time.monotonic() - from_s)
    figures.add("idle_cores_ratio", idle_cores)
    each = [figures_of(process_id) for process_id in run.process_ids()]
    peers = each[1:]
    figures.add("proportional_mb", statistics.median(one.proportional_mb for one in peers))
    figures.add("collector_proportional_mb", each[0].proportional_mb)
    figures.add("proportional_in_all_mb", sum(one.proportional_mb for one in each))
    opened = max(one.descriptors_count for one in peers) - open_before
    figures.add("descriptors_count", opened + DESCRIPTORS_OF_ANY_PROCESS)


def _processor_s(run: ScaleRun) -> float:
    return sum(processor_s(process_id) for process_id in run.process_ids())


def _options() -> tuple[Options, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--seed", type=int, default=0, help="of the schedule")
    parser.add_argument("--peers", type=int, action="append", help="sizes to measure")
    parser.add_argument("--plain", action="store_true", help="without CURVE beside it")
    parser.add_argument("--items-per-s", type=float, default=ITEMS_PER_S, help="in all")
    parser.add_argument("--repeat", type=int, default=1)
    given = parser.parse_args()
    return Options(given.quick, given.json, given.seed), given


def main() -> None:
    options, given = _options()
    sizes = given.peers or ([5, 20] if options.quick else [5, 50, 100])
    talk_s, idle_s = (2.0, 2.0) if options.quick else (10.0, 5.0)
    trouble = raise_descriptor_limit(max(sizes) + 1)
    if trouble:
        raise SystemExit(trouble)
    talk = Talk(given.items_per_s, talk_s, idle_s, options.seed)
    settings = {"peers": sizes, **asdict(talk)}
    report = Report("mesh_scale", {**settings, "repetitions": given.repeat})
    for _ in range(given.repeat):
        for peer_count in sizes:
            for encrypted in (False,) if given.plain else (False, True):
                measure(report, peer_count, encrypted, talk)
    report.print(as_json=options.as_json)


if __name__ == "__main__":
    main()
