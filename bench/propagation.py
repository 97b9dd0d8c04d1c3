"""How long an item takes from "published" to "known by every other producer".

Five producers, each an OS process with its real node, log on disk, sockets and known items, say
items at seeded random moments, 1,000 a second in all, one frame an item. The same schedule and
frame size over bare PUB and SUB sockets of as many processes, in alternating rounds of the same
call, say what the network itself takes. No LLM and no collector take part.

An item's clock starts with the time in its frame's header, before it is written to the log, and
stops when the receiver's known items hold it; both on CLOCK_REALTIME of one host. The first
WARM_UP_S of a round are not counted: connections, caches and the allocator settle in them.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.bare_peer import bare_peer
from bench.made_up import MODEL, made_up_texts
from bench.mesh_peer import mesh_peer
from bench.reporting import Report, parse_options, percentile
from bench.talk import ARRIVALS_WAIT_S, WARM_UP_S, Round, Times
from mesh.core.entries import Found
from mesh.wire import codec

PEERS = 5
ITEMS_PER_S = 1_000
"""In all."""
START_IN_S = 0.3
SETTLE_S = 20.0
"""For importing, connecting, and handing in results; a peer that takes longer is broken."""

Side = Callable[[int, Round, Connection], None]
"""What a peer's process runs: its number, the round, its line to the bench."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round, warm-up left out."""

    one_way_ms: list[float]
    """A value for each item and other peer."""
    known_by_all_ms: list[float]
    """A value for each item: when the last of the others had it."""
    lost_count: int


def run_round(side: Side, this_round: Round, peer_count: int) -> Outcome:
    """Start `peer_count` processes of `side`, bring them together, let them talk, evaluate."""
    with _started(side, this_round, peer_count) as lines:
        addresses = _hear_all(lines, SETTLE_S)
        _tell_all(lines, addresses)
        _hear_all(lines, SETTLE_S)
        start_s = time.time() + START_IN_S
        _tell_all(lines, start_s)
        talk_s = WARM_UP_S + this_round.duration_s + SETTLE_S
        _tell_all(lines, sum(_hear_all(lines, talk_s)))
        all_times = _hear_all(lines, ARRIVALS_WAIT_S + SETTLE_S)
        _tell_all(lines, "done")
    return evaluate(all_times, counted_from_ns=int((start_s + WARM_UP_S) * 1e9))


def evaluate(all_times: Sequence[Times], counted_from_ns: int) -> Outcome:
    """Put the peers' clock readings together."""
    one_way_ms: list[float] = []
    known_by_all_ms: list[float] = []
    lost_count = 0
    for speaker in all_times:
        for item, said_ns in speaker.said.items():
            if said_ns < counted_from_ns:
                continue
            ways_ms = [
                (other.heard[item] - said_ns) / 1e6
                for other in all_times
                if other is not speaker and item in other.heard
            ]
            one_way_ms += ways_ms
            lost = len(all_times) - 1 - len(ways_ms)
            lost_count += lost
            if not lost:
                known_by_all_ms.append(max(ways_ms))
    return Outcome(one_way_ms, known_by_all_ms, lost_count)


@contextmanager
def _started(side: Side, this_round: Round, peer_count: int) -> Iterator[list[Connection]]:
    spawn = multiprocessing.get_context("spawn")
    lines, processes = [], []
    try:
        for peer in range(peer_count):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=side, args=(peer, this_round, theirs), daemon=True)
            process.start()
            theirs.close()  # Its death then ends our `recv`.
            lines.append(ours)
            processes.append(process)
        yield lines
        for process in processes:
            process.join(5.0)
    finally:
        for process in processes:
            process.kill()


def _hear_all(lines: Sequence[Connection], wait_s: float) -> list[Any]:
    """One message from each; a peer that is silent for `wait_s` ends the bench."""
    messages = []
    for peer, line in enumerate(lines):
        if not line.poll(wait_s):
            raise TimeoutError(f"peer {peer} said nothing for {wait_s} s")
        messages.append(line.recv())
    return messages


def _tell_all(lines: Sequence[Connection], message: object) -> None:
    for line in lines:
        line.send(message)


SIDES: Mapping[str, Side] = {"mesh": mesh_peer, "bare": bare_peer}


def main() -> None:
    options = parse_options(__doc__ or "")
    round_count, duration_s = (1, 2.0) if options.quick else (5, 10.0)
    frame_bytes = codec.HEADER_BYTES + codec.entries_size(
        [Found(next(made_up_texts(1, 0)), 1, MODEL)]
    )
    report = Report(
        "propagation",
        {
            "peers": PEERS,
            "items_per_s": ITEMS_PER_S,
            "rounds": round_count,
            "duration_s": duration_s,
            "frame_bytes": frame_bytes,
            "seed": options.seed,
        },
    )
    for number in range(round_count):
        with tempfile.TemporaryDirectory() as directory:
            this_round = Round(
                Path(directory),
                ITEMS_PER_S / PEERS,
                duration_s,
                frame_bytes,
                f"{options.seed}/{number}",
            )
            outcomes = {name: run_round(side, this_round, PEERS) for name, side in SIDES.items()}
        _add_round(report, outcomes)
    report.print(as_json=options.as_json)


def _add_round(report: Report, outcomes: Mapping[str, Outcome]) -> None:
    medians = {}
    for name, outcome in outcomes.items():
        medians[name] = percentile(outcome.known_by_all_ms, 0.5)
        target = {"p50": "target <= 1", "p99": "target <= 10"} if name == "mesh" else {}
        for share, label in ((0.5, "p50"), (0.99, "p99")):
            report.add(
                f"{name}_known_by_all_{label}_ms",
                percentile(outcome.known_by_all_ms, share),
                target=target.get(label, ""),
            )
            report.add(f"{name}_one_way_{label}_ms", percentile(outcome.one_way_ms, share))
        report.add(f"{name}_one_way_largest_ms", max(outcome.one_way_ms))
        report.add(f"{name}_items_count", len(outcome.known_by_all_ms))
        report.add(f"{name}_lost_count", outcome.lost_count)
    report.add("mesh_to_bare_p50_ratio", medians["mesh"] / medians["bare"])
    one_way = {name: statistics.median(outcome.one_way_ms) for name, outcome in outcomes.items()}
    report.add("mesh_to_bare_one_way_p50_ratio", one_way["mesh"] / one_way["bare"])


if __name__ == "__main__":
    main()
