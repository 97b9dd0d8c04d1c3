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

import asyncio
import contextlib
import gc
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import zmq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Runs from a checkout as it is.

from bench.made_up import MODEL, RUN_ID, made_up_texts
from bench.peers import opened_producer
from bench.reporting import Report, parse_options, percentile
from mesh.core.entries import Found, LogEntry
from mesh.core.items import LogId
from mesh.nodes.mesh_node import MeshOwner
from mesh.nodes.producer import SYNC_S, Producer
from mesh.wire import codec

PEERS = 5
ITEMS_PER_S = 1_000
"""In all."""
WARM_UP_S = 1.0
START_IN_S = 0.3
SETTLE_S = 20.0
"""For importing, connecting, and handing in results; a peer that takes longer is broken."""
ARRIVALS_WAIT_S = 10.0
"""After the last item was said; what is missing then counts as lost."""

Item = tuple[bytes, int]
"""Its publisher's id and its number there."""


@dataclass(frozen=True, slots=True)
class Round:
    """One side's run, as every peer of it is told."""

    directory: Path
    rate_per_s: float
    """Of each peer."""
    duration_s: float
    """Counted part; the warm-up comes before it."""
    frame_bytes: int
    seed: str


@dataclass(slots=True)
class Times:
    """One peer's clock readings, ns since 1970."""

    said: dict[Item, int] = field(default_factory=dict)
    heard: dict[Item, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round, warm-up left out."""

    one_way_ms: list[float]
    """A value for each item and other peer."""
    known_by_all_ms: list[float]
    """A value for each item: when the last of the others had it."""
    lost_count: int


def say_times_s(this_round: Round, peer: int) -> list[float]:
    """Random moments from the start of the round, exponentially spaced."""
    choose = random.Random(f"{this_round.seed}/{peer}")
    times: list[float] = []
    now_s = 0.0
    while True:
        now_s += choose.expovariate(this_round.rate_per_s)
        if now_s >= WARM_UP_S + this_round.duration_s:
            return times
        times.append(now_s)


# One peer of the mesh


@dataclass(slots=True)
class ArrivalClock:
    """Stands between node and producer, and notes when the producer knows what arrived."""

    producer: Producer
    heard: dict[Item, int]

    def apply(self, log: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        self.producer.apply(log, first_seq, entries)
        now_ns = time.time_ns()
        for seq in range(first_seq, first_seq + len(entries)):
            self.heard[log.origin, seq] = now_ns

    def durable(self, log: LogId, last_seq: int) -> None:
        self.producer.durable(log, last_seq)

    def members_changed(self) -> None:
        self.producer.members_changed()

    def known_summary(self) -> tuple[int, bytes]:
        return self.producer.known_summary()

    def activity_and_model(self) -> tuple[str, str]:
        return self.producer.activity_and_model()


def mesh_peer(peer: int, this_round: Round, line: Connection) -> None:
    """Process: a producer that says items on schedule."""
    asyncio.run(_mesh_peer(peer, this_round, line))


async def _mesh_peer(peer: int, this_round: Round, line: Connection) -> None:
    label = f"producer-{peer}"
    async with opened_producer(this_round.directory / label, label) as producer:
        times = Times()
        owner: MeshOwner = ArrivalClock(producer, times.heard)
        producer.node.owner = owner
        line.send(producer.node.own.service_address)
        addresses: list[str] = await asyncio.to_thread(line.recv)
        running = [
            asyncio.create_task(producer.node.run(lambda: addresses)),
            asyncio.create_task(_sync_log(producer)),
        ]
        while not _is_connected(producer, len(addresses)):  # noqa: ASYNC110 a bench may look
            await asyncio.sleep(0.02)
        line.send("ready")
        start_s: float = await asyncio.to_thread(line.recv)
        gc.freeze()  # As the fork server does for producers.
        await _say_items(producer, peer, this_round, start_s)
        line.send(producer.node.last_seq)
        expected_count: int = await asyncio.to_thread(line.recv)
        await _wait_for_arrivals(times, expected_count - producer.node.last_seq)
        times.said = _said_times(producer)
        line.send(times)
        await asyncio.to_thread(line.recv)
        for task in running:
            assert not task.done(), task
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _sync_log(producer: Producer) -> None:
    while True:
        await asyncio.sleep(SYNC_S)
        await asyncio.to_thread(producer._log.sync)  # noqa: SLF001 as its own task does it


def _is_connected(producer: Producer, peer_count: int) -> bool:
    membership = producer.node.membership
    now_s = asyncio.get_running_loop().time()
    return len(membership.alive(now_s)) == peer_count - 1 and membership.connected_both_ways(now_s)


async def _say_items(producer: Producer, peer: int, this_round: Round, start_s: float) -> None:
    due_times_s = say_times_s(this_round, peer)
    texts = made_up_texts(len(due_times_s), peer, first=peer * 1_000_000)
    for due_s, text in zip(due_times_s, texts, strict=True):
        wait_s = start_s + due_s - time.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        await producer.say([Found(text, 1, MODEL)])


async def _wait_for_arrivals(times: Times, expected_count: int) -> None:
    ends_s = time.monotonic() + ARRIVALS_WAIT_S
    while len(times.heard) < expected_count and time.monotonic() < ends_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def _said_times(producer: Producer) -> dict[Item, int]:
    """When each frame of the own log was made, from the headers of the log on disk."""
    own = producer.node.own
    frames = producer.node.shelf.read(own.log, 1, producer.node.last_seq, bytes_max=1 << 40)
    headers = [codec.decode_header(frame, RUN_ID) for frame in frames]
    return {(own.origin, header.first_seq): header.time_us * 1000 for header in headers}


# One peer of bare ZeroMQ


def bare_peer(peer: int, this_round: Round, line: Connection) -> None:
    """Process: the same schedule over a PUB and a SUB socket, nothing else."""
    context = zmq.Context()
    feed, inbox = context.socket(zmq.PUB), context.socket(zmq.SUB)
    try:
        feed.bind("tcp://127.0.0.1:*")
        inbox.subscribe(b"")
        line.send(feed.getsockopt_string(zmq.LAST_ENDPOINT))
        addresses: list[str] = line.recv()
        for address in addresses[:peer] + addresses[peer + 1 :]:
            inbox.connect(address)
        times = Times()
        _greet(feed, inbox, peer, len(addresses))
        line.send("ready")
        start_s: float = line.recv()
        gc.freeze()
        _say_bare(feed, inbox, peer, this_round, start_s, times)
        line.send(len(times.said))
        while not line.poll(0):  # The others still talk.
            _hear_bare(inbox, times, until_s=time.time() + 0.02)
        expected_count: int = line.recv()
        ends_s = time.time() + ARRIVALS_WAIT_S
        while len(times.heard) < expected_count - len(times.said) and time.time() < ends_s:
            _hear_bare(inbox, times, until_s=time.time() + 0.02)
        line.send(times)
        line.recv()
    finally:
        feed.close(linger=0)
        inbox.close(linger=0)
        context.term()


def _greet(feed: zmq.Socket[bytes], inbox: zmq.Socket[bytes], peer: int, peer_count: int) -> None:
    """Return once every other peer is heard; its greetings go on until all have heard it too."""
    greeted: set[int] = set()
    quiet_s = time.time() + 1.0
    while len(greeted) < peer_count - 1 or time.time() < quiet_s:
        feed.send(bytes([peer]))
        if inbox.poll(20):
            greeted.add(inbox.recv()[0])


def _say_bare(
    feed: zmq.Socket[bytes],
    inbox: zmq.Socket[bytes],
    peer: int,
    this_round: Round,
    start_s: float,
    times: Times,
) -> None:
    origin = bytes([peer])
    padding = bytes(this_round.frame_bytes - 9)
    for number, due_s in enumerate(say_times_s(this_round, peer), start=1):
        _hear_bare(inbox, times, until_s=start_s + due_s)
        times.said[origin, number] = time.time_ns()
        feed.send(origin + number.to_bytes(8, "big") + padding)


def _hear_bare(inbox: zmq.Socket[bytes], times: Times, *, until_s: float) -> None:
    """Read everything that waits, at least once, until `until_s`."""
    while True:
        with contextlib.suppress(zmq.Again):
            while True:
                message = inbox.recv(zmq.NOBLOCK)
                if len(message) > 1:
                    number = int.from_bytes(message[1:9], "big")
                    times.heard[message[:1], number] = time.time_ns()
        wait_s = until_s - time.time()
        if wait_s <= 0:
            return
        inbox.poll(max(1, round(wait_s * 1000)))


# A round


def run_round(side: Any, this_round: Round, peer_count: int) -> Outcome:
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
def _started(side: Any, this_round: Round, peer_count: int) -> Iterator[list[Connection]]:
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


# The bench


SIDES: Mapping[str, Any] = {"mesh": mesh_peer, "bare": bare_peer}


def main() -> None:
    options = parse_options(__doc__ or "")
    round_count, duration_s = (1, 4.0) if options.quick else (5, 10.0)
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
