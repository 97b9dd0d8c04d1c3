"""One producer of bench/late_joiner.py: with a long past on its disk, or with none."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from bench.made_up import RUN_ID, made_up_texts
from bench.mesh_peer import is_connected
from bench.peers import opened_producer, syncing
from bench.scale_peer import received
from mesh.core.entries import Found
from mesh.core.items import LogId
from mesh.core.membership import Member
from mesh.nodes.producing.producer import Producer
from mesh.storage.node_directory import NodeDirectory
from mesh.wire import codec

LOOK_S = 0.05
PAST_EPOCH = 1_700_000_000_000
MODEL = "simulated:atlas"


@dataclass(frozen=True, slots=True)
class LateOrders:
    """What one producer is told before it is forked."""

    label: str
    directory: Path
    node_count: int
    """Nodes that it must be connected with, itself among them."""
    entry_count: int
    """Entries of the run; it has converged when it knows and has applied them all."""


def write_past(directory: Path, number: int, entry_count: int, seed: int) -> None:
    """Make the directory of a producer that said `entry_count` entries in an earlier start, one
    frame each, as lines of an answer stream in."""
    node = NodeDirectory.open(directory)
    try:
        log = LogId(node.origin, node.open_epoch(PAST_EPOCH))
        with contextlib.closing(node.create_log()) as past:
            texts = made_up_texts(entry_count, seed, first=number * entry_count)
            for seq, text in enumerate(texts, 1):
                entries = [Found(text, 1, MODEL)]
                frame = codec.encode_entries(
                    entries, run_id=RUN_ID, log=log, first_seq=seq, time_us=PAST_EPOCH * 1000 + seq
                )
                past.append(frame, seq, 1)
    finally:
        node.close()


def late_peer(orders: LateOrders, line: Connection) -> None:
    """Process: wait for the word, then be a producer until told to leave."""
    gc.freeze()
    line.send("forked")
    line.recv()
    asyncio.run(_late_peer(orders, line))


async def _late_peer(orders: LateOrders, line: Connection) -> None:
    directory = orders.directory / "nodes" / orders.label
    async with opened_producer(directory, orders.label) as producer, syncing(producer):
        await producer._load_stored_logs()  # noqa: SLF001 as its `run` does
        producer.node.start(producer._services_to_join)  # noqa: SLF001
        line.send("opened")
        producer._command(await received(line))  # noqa: SLF001
        await _until(lambda: is_connected(producer, orders.node_count))
        line.send(("up", time.time(), [each.feed_address for each in members(producer)]))
        await _until(lambda: len(producer.outlook.known) >= orders.entry_count)
        line.send(("knows", time.time()))
        await _until(lambda: _has_all(producer, orders.entry_count))
        line.send(("converged", time.time(), producer.node.replica.applied_count))
        await received(line)


def members(producer: Producer) -> list[Member]:
    return producer.node.membership.all()


def _has_all(producer: Producer, entry_count: int) -> bool:
    """It knows every entry and the verdict on it, and of nothing that it lacks."""
    missing = producer.node.replica.missing_count
    return len(producer.outlook.known.accepted) >= entry_count and missing == 0


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 a bench may look
        await asyncio.sleep(LOOK_S)
