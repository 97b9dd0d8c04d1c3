"""One peer of the mesh in benches: a real producer that says items on schedule."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from bench.made_up import MODEL, RUN_ID, made_up_texts
from bench.peers import opened_producer, syncing
from bench.talk import ARRIVALS_WAIT_S, Item, Round, Times, say_times_s
from mesh.core.entries import Found, LogEntry
from mesh.core.items import LogId
from mesh.core.membership import Endpoint
from mesh.nodes.peer.mesh_node import MeshOwner
from mesh.nodes.producing.producer import Producer
from mesh.wire import codec


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

    def join_refused(self, reason: str) -> None:
        self.producer.join_refused(reason)

    def overtaken(self, epoch: int) -> None:
        self.producer.overtaken(epoch)


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
        async with syncing(producer):
            producer.node.start(lambda: [Endpoint(address) for address in addresses])
            while not is_connected(producer, len(addresses)):  # noqa: ASYNC110 a bench may look
                await asyncio.sleep(0.02)
            line.send("ready")
            start_s: float = await asyncio.to_thread(line.recv)
            gc.freeze()  # As the fork server does for producers.
            await say_items(producer, peer, this_round, start_s)
            line.send(producer.node.last_seq)
            expected_count: int = await asyncio.to_thread(line.recv)
            await wait_for_arrivals(times, expected_count - producer.node.last_seq)
            times.said = said_times(producer)
            line.send(times)
            await asyncio.to_thread(line.recv)


def is_connected(producer: Producer, peer_count: int) -> bool:
    """Whether it hears, and is heard by, all of `peer_count` nodes, itself among them."""
    membership = producer.node.membership
    now_s = asyncio.get_running_loop().time()
    return len(membership.alive(now_s)) == peer_count - 1 and membership.connected_both_ways(now_s)


async def say_items(producer: Producer, peer: int, this_round: Round, start_s: float) -> None:
    """Say this peer's items of the round, each when it is due."""
    due_times_s = say_times_s(this_round, peer)
    texts = made_up_texts(len(due_times_s), peer, first=peer * 1_000_000)
    for due_s, text in zip(due_times_s, texts, strict=True):
        wait_s = start_s + due_s - time.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        await producer.say([Found(text, 1, MODEL)])


async def wait_for_arrivals(times: Times, expected_count: int) -> None:
    """Return when so many items of others are here, or after ARRIVALS_WAIT_S."""
    ends_s = time.monotonic() + ARRIVALS_WAIT_S
    while len(times.heard) < expected_count and time.monotonic() < ends_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def said_times(producer: Producer) -> dict[Item, int]:
    """When each frame of the own log was made, from the headers of the log on disk."""
    own = producer.node.own
    frames = producer.node.shelf.read(own.log, 1, producer.node.last_seq, bytes_max=1 << 40)
    headers = [codec.decode_header(frame, RUN_ID) for frame in frames]
    return {(own.origin, header.first_seq): header.time_us * 1000 for header in headers}
