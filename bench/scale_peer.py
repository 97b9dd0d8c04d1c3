"""One peer of bench/mesh_scale.py: a real producer that opens, joins and talks when it is told.

It is forked from a process that has imported everything, as the fork server does it, and hears of
the collector by the command that a supervisor would send. What it tells the bench, it tells as
(word, moment) over its line; moments are on CLOCK_REALTIME of one host.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.mesh_peer import ArrivalClock, is_connected, said_times, say_items, wait_for_arrivals
from bench.peers import opened_producer, syncing
from bench.talk import Round, Times
from mesh.nodes.producing.producer import Producer

LOOK_S = 0.1
"""Looking costs processor time that the mesh needs: the moments are this coarse."""


@dataclass(frozen=True, slots=True)
class PeerOrders:
    """What one peer of a run is told before it is forked."""

    number: int
    directory: Path
    node_count: int
    """Peers and the collector."""
    encrypted: bool


def scale_peer(orders: PeerOrders, line: Connection) -> None:
    """Process: wait for the word, then be a peer."""
    gc.freeze()
    line.send(("started", len(list(Path("/proc/self/fd").iterdir()))))
    line.recv()
    asyncio.run(_scale_peer(orders, line))


async def _scale_peer(orders: PeerOrders, line: Connection) -> None:
    label = f"producer-{orders.number}"
    directory = orders.directory / "nodes" / label
    async with (
        opened_producer(directory, label, encrypted=orders.encrypted) as producer,
        syncing(producer),
    ):
        times = Times()
        producer.node.owner = ArrivalClock(producer, times.heard)
        producer.node.start(producer._services_to_join)  # noqa: SLF001 as its `run` does
        line.send(("opened", time.time()))
        producer._command(await received(line))  # noqa: SLF001 as the supervisor's channel does
        await _until(lambda: is_connected(producer, orders.node_count))
        line.send(("up", time.time()))
        await _talk(producer, orders, line, times)
        await received(line)  # Idle until the bench has seen enough.


async def _talk(producer: Producer, orders: PeerOrders, line: Connection, times: Times) -> None:
    this_round: Round
    this_round, start_s = await received(line)
    await say_items(producer, orders.number, this_round, start_s)
    line.send(("said", producer.node.last_seq))
    expected_count: int = await received(line)
    await _until(lambda: len(producer.outlook.known) >= expected_count)
    line.send(("converged", time.time(), producer.known_summary()))
    await wait_for_arrivals(times, expected_count - producer.node.last_seq)
    times.said = said_times(producer)
    line.send(times)


async def received(line: Connection) -> Any:
    """The next message of the bench, while the node goes on."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(line.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(line.fileno())
    return line.recv()


async def _until(condition: Callable[[], bool]) -> None:
    """Return once `condition()` holds; the bench gives up before this does."""
    while not condition():  # noqa: ASYNC110 a bench may look
        await asyncio.sleep(LOOK_S)
