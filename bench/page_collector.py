"""The process that serves the page of a made-up run: `python -m bench.page_collector OPTIONS`.

The page's server, the collector's view of a run, its counters, plan, membership and database are
the program's own; what the nodes say is made up (page_run.py). Entries are stored by one thread in
batches, as in the collector. Told by lines of JSON on its standard input how many entries a second
are to come; answers each with a line: the URL, and how many are stored. Ends with its parent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from bench.page_run import (
    EARLIER_S,
    FORMS,
    MODELS,
    MadeUpRun,
    Producer,
    made_up_producers,
)
from mesh.config import CollectorSettings, ModelSpec
from mesh.core.items import LogId, NodeId
from mesh.core.membership import Member, Role
from mesh.nodes.collecting.collector import Collector
from mesh.nodes.collecting.database_reader import DatabaseReader
from mesh.nodes.collecting.run_course import CourseChange, RunCourse
from mesh.nodes.collecting.run_view import LiveRunView
from mesh.nodes.peer.hearing import PeerStatus
from mesh.nodes.peer.mesh_node import MeshNode, MeshOwner
from mesh.nodes.peer.shelf import LogShelf
from mesh.storage.database import Batch, RunDatabase
from mesh.web.server import PageServer
from mesh.wire.messages import Heartbeat

COMMITS_PER_S = 10
FILL_ENTRIES = 4000
"""In one transaction, before anything is measured."""
COLLECTOR = NodeId(b"collector of one")


@dataclass(slots=True)
class Desk:
    """What the view reads of the collector's desk."""

    run: MadeUpRun
    durable: dict[LogId, int] = field(default_factory=dict)

    @property
    def plan(self) -> Any:
        return self.run.plan


class MadeUpCollector:
    """In a Collector's place, for its view: heard and stored is what page_run.py says."""

    def __init__(self, directory: Path, producers_count: int, seed: int) -> None:
        epoch = time.time_ns() // 1_000_000
        self.run = MadeUpRun(made_up_producers(producers_count, epoch), seed)
        self.settings = _settings(directory, epoch)
        self.course = RunCourse(self.settings, _carry_out_nothing)
        self.desk = Desk(self.run)
        self.database = RunDatabase.open(directory / "run.sqlite")
        self.node = self._node(epoch)
        self._started_s = time.monotonic()

    @property
    def metrics(self) -> Any:
        return self.run.metrics

    def _node(self, epoch: int) -> MeshNode:
        """A node that is never started: it has no sockets, and knows what it is told here."""
        node = MeshNode(
            own=_member(LogId(COLLECTOR, epoch), "collector", Role.COLLECTOR),
            run_id=self.settings.run_id,
            owner=cast("MeshOwner", self),
            shelf=cast("LogShelf", None),
            random=random.Random(0),
            clock=asyncio.get_running_loop(),
        )
        for producer in self.run.producers:
            node.membership.admit(_member(producer.log, producer.label, Role.PRODUCER))
        return node

    def run_time_s(self) -> float:
        return EARLIER_S + time.monotonic() - self._started_s

    def known_summary(self) -> tuple[int, bytes]:
        return self.run.ordinal, _digest(self.run.ordinal)

    def fill(self, entries_count: int) -> None:
        """Store what was said before the bench began."""
        self._store(self.run.planned())
        while (missing := entries_count - self.run.ordinal) > 0:
            t_s = EARLIER_S * self.run.ordinal / entries_count
            self._store(self.run.said(min(FILL_ENTRIES, missing), t_s))
        history = self.run.earlier_history(entries_count)
        first = self.run.producers[0]
        forms = [self.run.other_form(first, n + 1, n * 1.0) for n in range(FORMS)]
        self._store(Batch(history=history, other_forms=forms, doubts=self.run.doubts()))
        self.run.metrics.history[:] = history
        self._hear_all()
        self._started_s = time.monotonic()

    def _store(self, batch: Batch) -> None:
        self.database.commit(batch)
        self.count(batch)

    def count(self, batch: Batch) -> None:
        self.run.stored(batch)
        for producer in self.run.producers:
            self.desk.durable[producer.log] = producer.said

    def _hear_all(self) -> None:
        for producer in self.run.producers:
            self.hear(producer)

    def hear(self, producer: Producer) -> None:
        """A heartbeat: each producer is a little behind, as it is when entries are on their way."""
        node, now_s = self.node, self.node.clock.time()
        known_count = self.run.ordinal - random.randrange(3)
        heartbeat = Heartbeat(
            last_seq=producer.said,
            applied_count=node.replica.passed_count - random.randrange(3),
            known_count=known_count,
            known_digest=_digest(known_count),
            member_digest=bytes(16),
            loop_lag_ms=0.1,
            state="asking",
            model=producer.model,
            propagation_ms=[random.uniform(0.3, 0.9), random.uniform(1.0, 4.0)],
            dropped={},
            member_count=len(node.membership),
        )
        node.peers[producer.log.origin] = PeerStatus(heartbeat, now_s)
        node.membership.heard(producer.log.origin, now_s)

    def apply_all(self) -> None:
        """The collector has applied what everyone has said."""
        now_s = self.node.clock.time()
        for producer in self.run.producers:
            self.node.replica.offer(producer.log, 1, producer.said, now_s)


class Growing:
    """Has the run go on: entries at a rate that can be changed, heartbeats, history."""

    def __init__(self, collector: MadeUpCollector, view: LiveRunView) -> None:
        self._collector = collector
        self._view = view
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="storage")
        self._rate_per_s = 0.0
        self._due_since_s = time.monotonic()
        self._written = 0
        self._storing = asyncio.Lock()

    async def set_rate(self, entries_per_s: float) -> int:
        """Return how many entries are stored."""
        async with self._storing:
            self._rate_per_s = entries_per_s
            self._due_since_s, self._written = time.monotonic(), 0
        return self._collector.run.metrics.unique_total

    async def store(self) -> None:
        """Ten commits a second of what is due; a late one brings more."""
        while True:
            await asyncio.sleep(1 / COMMITS_PER_S)
            async with self._storing:
                due = int((time.monotonic() - self._due_since_s) * self._rate_per_s)
                await self._store(due - self._written)
                self._written = due

    async def _store(self, entries_count: int) -> None:
        collector = self._collector
        t_s = collector.run_time_s()
        batch = collector.run.said(entries_count, t_s) if entries_count else Batch()
        history = collector.metrics.history
        if t_s - history[-1].t_s >= 1.0:
            batch.history = [collector.metrics.sample(t_s)]
            batch.model_totals = dict(collector.metrics.models)
            batch.meta = {"elapsed_s": f"{t_s:.3f}", **self._view.to_keep_if_due(t_s)}
        if not (batch.items or batch.history):
            return
        collector.apply_all()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, collector.database.commit, batch)
        collector.count(batch)

    async def beat(self) -> None:
        """Each producer once a second, spread over it as they are in a mesh."""
        producers = self._collector.run.producers
        while True:
            for producer in producers:
                self._collector.hear(producer)
                await asyncio.sleep(1 / len(producers))


async def serve(
    directory: Path, entries_count: int, producers_count: int, seed: int, public_url: str | None
) -> None:
    collector = MadeUpCollector(directory, producers_count, seed)
    collector.fill(entries_count)
    reader = DatabaseReader(directory / "run.sqlite")
    view = LiveRunView(cast("Collector", collector), reader)
    collector.course.first_entry()
    server = await PageServer.start(view, host="127.0.0.1", port=0, public_url=public_url)
    growing = Growing(collector, view)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(growing.store()), group.create_task(growing.beat())]
        url = f"http://127.0.0.1:{server.port}"
        _answer(url=url, unique_total=collector.metrics.unique_total)
        await _obey(growing)
        for task in tasks:
            task.cancel()
    await server.close(view.metrics(with_history=False))
    reader.close()
    collector.database.close()


async def _obey(growing: Growing) -> None:
    """Until the standard input ends, as it does with the parent."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        _answer(unique_total=await growing.set_rate(json.loads(line)["entries_per_s"]))


def _answer(**told: Any) -> None:
    print(json.dumps(told), flush=True)


def _settings(directory: Path, started_ms: int) -> CollectorSettings:
    return CollectorSettings(
        directory=directory,
        run_dir=directory,
        run_id=b"page of a bench.",
        topic="Made-up names",
        models=tuple(ModelSpec(spec, "openai", spec, simulated=True) for spec in MODELS),
        output=directory / "output.txt",
        target=2_000_000,
        budget_usd=100.0,
        started_ms=started_ms,
    )


def _member(log: LogId, label: str, role: Role) -> Member:
    address = "tcp://127.0.0.1:9"
    return Member(log.origin, label, role, log.epoch, address, address, "this host")


def _digest(known_count: int) -> bytes:
    return known_count.to_bytes(16, "big")


def _carry_out_nothing(change: CourseChange) -> None:
    """Nobody listens to what this collector decides."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--entries", type=int, required=True)
    parser.add_argument("--producers", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--public-url", help="the page's own address, as behind a proxy")
    given = parser.parse_args()
    asyncio.run(
        serve(given.directory, given.entries, given.producers, given.seed, given.public_url)
    )


if __name__ == "__main__":
    main()
