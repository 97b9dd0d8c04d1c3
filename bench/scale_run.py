"""A mesh of many processes for benches: the real collector and peers, with the bench in between.

The bench stands where the supervisor does: it starts them, passes the collector's address on, and
hears their events. Everything is forked from the bench's own process, which has imported what
they need, so that starting and importing is nobody's time.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import multiprocessing
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from bench.made_up import RUN_ID
from bench.peers import NO_MODEL, TOPIC
from mesh.config import CollectorSettings, MeshSettings
from mesh.nodes.channel import Channel
from mesh.nodes.collecting.collector_opening import run_collector

EVENT_WAIT_S = 180.0
"""A node that takes longer for its next step is broken."""
LEAVE_S = 10.0

Process = Callable[[Any, Connection], None]


@dataclass(slots=True)
class CollectorProcess:
    """The real collector, and what it says on its channel."""

    process: BaseProcess
    _channel: socket.socket
    events: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    """All but metrics."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """The latest."""
    ended_with: str = ""

    def send(self, message: dict[str, Any]) -> None:
        self._channel.sendall(json.dumps(message).encode() + b"\n")

    def next_event(self, name: str, wait_s: float = EVENT_WAIT_S) -> dict[str, Any]:
        """Wait for this event."""
        while True:
            try:
                event = self.events.get(timeout=wait_s)
            except queue.Empty:
                raise TimeoutError(f"the collector said no {name!r}") from None
            if event["event"] in ("failed", "crashed"):
                raise RuntimeError(f"the collector: {event['message']}")
            if event["event"] == name:
                return event

    def listen(self) -> None:
        """Take its events in until it ends, in a thread of its own."""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with self._channel, self._channel.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                event = json.loads(line)
                if event["event"] == "metrics":
                    self.metrics = event["metrics"]
                else:
                    self.events.put(event)


@dataclass(slots=True)
class ScaleRun:
    """The processes of one run. Their lines are in the peers' order."""

    collector: CollectorProcess
    peers: list[BaseProcess]
    lines: list[Connection]

    def hear_all(self, wait_s: float = EVENT_WAIT_S) -> list[Any]:
        """One message from each peer; one that is silent for `wait_s` ends the bench."""
        heard: dict[int, Any] = {}
        silent = {line: number for number, line in enumerate(self.lines)}
        ends_s = time.monotonic() + wait_s
        while silent:
            ready = wait(list(silent), timeout=max(0.0, ends_s - time.monotonic()))
            if not ready:
                raise TimeoutError(f"peers {sorted(silent.values())} said nothing for {wait_s} s")
            for line in ready:
                assert isinstance(line, Connection)
                heard[silent.pop(line)] = line.recv()
        return [heard[number] for number in sorted(heard)]

    def tell_all(self, message: object) -> None:
        for line in self.lines:
            line.send(message)

    def process_ids(self) -> list[int]:
        ids = [process.pid for process in (self.collector.process, *self.peers)]
        return [process_id for process_id in ids if process_id is not None]


@contextmanager
def running(
    directory: Path, peer: Process, orders: Sequence[Any], *, encrypted: bool
) -> Iterator[ScaleRun]:
    """Fork a collector and a peer for each of `orders`; none does anything before it is told.

    The collector waits for one message on its channel, of any kind.
    """
    fork = multiprocessing.get_context("fork")
    gc.collect()
    gc.freeze()
    ours, theirs = socket.socketpair()
    process: BaseProcess
    processes: list[BaseProcess] = []
    lines: list[Connection] = []
    try:
        process = fork.Process(
            target=_collect, args=(directory, encrypted, theirs, ours), daemon=True
        )
        process.start()
        processes.append(process)
        theirs.close()
        for each in orders:
            line, its_line = fork.Pipe()
            process = fork.Process(
                target=_be_peer, args=(peer, each, its_line, [ours, *lines, line]), daemon=True
            )
            process.start()
            its_line.close()
            processes.append(process)
            lines.append(line)
        collector = CollectorProcess(processes[0], ours)
        collector.listen()
        yield ScaleRun(collector, processes[1:], lines)
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        ours.close()
        for line in lines:
            line.close()


def leave(run: ScaleRun) -> None:
    """End all, the collector last."""
    run.tell_all("leave")
    for process in run.peers:
        process.join(LEAVE_S)
    run.collector.send({"command": "leave"})
    run.collector.next_event("left")
    run.collector.process.join(LEAVE_S)


def _be_peer(
    peer: Process,
    orders: Any,
    line: Connection,
    inherited: Sequence[Connection | socket.socket],
) -> None:
    for end in inherited:  # Held open here, they would never be seen to end.
        end.close()
    with contextlib.suppress(EOFError, BrokenPipeError):
        peer(orders, line)


def _collect(
    directory: Path, encrypted: bool, channel_end: socket.socket, bench_end: socket.socket
) -> None:
    """Process: the collector, once the bench says so."""
    bench_end.close()
    channel_end.recv(4096)  # Whatever it says: begin.
    settings = CollectorSettings(
        directory=directory / "nodes" / "collector",
        run_dir=directory,
        run_id=RUN_ID,
        topic=TOPIC,
        models=(NO_MODEL,),
        output=directory / "output.txt",
        started_ms=time.time_ns() // 1_000_000,
        mesh=MeshSettings(encrypted=encrypted),
        headless=True,
        names=False,  # Its entries are no names, and come a thousand times as fast as models write.
    )
    asyncio.run(_run_collector(settings, channel_end))


async def _run_collector(settings: CollectorSettings, channel_end: socket.socket) -> None:
    channel = await Channel.over(channel_end)
    await run_collector(settings, channel)
    await channel.finish()
