"""The collector's way from frames to verdicts on disk, with real SQLite and files."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mesh.core.entries import Accepted, CallFinished, CallStarted, Duplicate, Found, LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.known import digest_bytes
from mesh.core.ledger import Ledger
from mesh.core.membership import Endpoint, Member, Role
from mesh.core.metrics import RunMetrics
from mesh.core.seqset import SeqSet
from mesh.nodes.collecting.intake import Intake
from mesh.nodes.collecting.verdicts import VerdictDesk
from mesh.nodes.peer.mesh_node import MeshNode
from mesh.nodes.peer.shelf import CollectorShelf
from mesh.storage.database import Batch, ItemRow, RunDatabase
from mesh.storage.output_file import OutputFile
from mesh.transport.interface import Reply
from mesh.wire import codec, messages
from tests.integration.eventually import eventually
from tests.integration.scarcity import no_file_larger_than

RUN = b"the run of tests"
COLLECTOR = NodeId(b"c" * 16)
PRODUCER = NodeId(b"p" * 16)
LOG = LogId(PRODUCER, 1)
MODEL = "simulated:atlas"


@dataclass
class NoNetwork:
    """A transport that leads nowhere and keeps what was published."""

    published: list[bytes] = field(default_factory=list)
    feed_address: str = ""
    service_address: str = ""

    def publish(self, frame: bytes, to: NodeId | None = None) -> None:
        self.published.append(frame)

    def admit_key(self, curve_key: bytes) -> None: ...

    def revoke_key(self, curve_key: bytes) -> None: ...

    def listen_to(self, feed: Endpoint) -> None: ...

    def stop_listening_to(self, feed: Endpoint) -> None: ...

    def hang_up(self, service: Endpoint) -> None: ...

    def request(
        self, service: Endpoint, frame: bytes, *, timeout_s: float, reply: Reply
    ) -> None: ...

    def close(self, linger_s: float) -> None: ...


class Taking:
    """A collector as far as its intake goes: node, ledger, database, output."""

    def __init__(self, directory: Path, epoch: int) -> None:
        self.path = directory / "run.sqlite"
        self.database = RunDatabase.open(self.path)
        self._committed = RunDatabase.open_read_only(self.path)
        self.output = OutputFile.open(directory / "output.txt", self.database.accepted_texts())
        self.transport = NoNetwork()
        self.troubles: list[str | None] = []
        own = Member(COLLECTOR, "collector", Role.COLLECTOR, epoch, "", "", "here")
        shelf = CollectorShelf(COLLECTOR, self._committed, directory / "nodes")
        self.node = MeshNode(own, RUN, self, shelf, random.Random(1), asyncio.get_running_loop())
        self.node.attach(self.transport)
        self.ledger = Ledger()
        self.ledger.restore(self.database.accepted_keys(), self.database.beside_keys())
        taken_in = self.database.taken_in()
        for log_id, seqs in taken_in.items():
            self.node.replica.restore(log_id, SeqSet.of_ranges(seqs.ranges()))
        self.desk = VerdictDesk(
            node=self.node,
            ledger=self.ledger,
            metrics=RunMetrics(self.database.model_totals(), self.database.history()),
            taken_in=taken_in,
            run_time_s=lambda: 1.0,
            call_finished=lambda *_: None,
        )
        self.intake = Intake(
            desk=self.desk,
            database=self.database,
            output=self.output,
            storage_trouble=self.troubles.append,
        )

    # What the node asks of its owner

    def apply(self, log: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        self.intake.add(log, first_seq, entries)

    def durable(self, log: LogId, last_seq: int) -> None: ...

    def members_changed(self) -> None: ...

    def known_summary(self) -> tuple[int, bytes]:
        return self.ledger.known_count, digest_bytes(self.ledger.known_digest)

    def activity_and_model(self) -> tuple[str, str]:
        return "running", ""

    def join_refused(self, reason: str) -> None: ...

    def overtaken(self, epoch: int) -> None: ...

    def accepted(self) -> list[str]:
        return list(self._committed.accepted_texts())

    def verdicts(self) -> list[LogEntry]:
        """What was told to the mesh."""
        told: list[LogEntry] = []
        for frame in self.transport.published:
            header = codec.decode_header(frame, RUN)
            if header.kind is codec.FrameKind.ENTRIES:
                told += codec.decode_entries(frame, header)
        return told

    def durable_mark(self) -> int:
        """The last mark told to the producer."""
        mark = 0
        for frame in self.transport.published:
            header = codec.decode_header(frame, RUN)
            if header.kind is codec.FrameKind.DURABLE:
                body = messages.decode_body(frame, header, messages.Durable)
                marks = {LogId(NodeId(o), e): seq for o, e, seq in body.watermarks}
                mark = marks.get(LOG, mark)
        return mark

    def close(self) -> None:
        self.intake.close()
        self.output.close()
        self._committed.close()
        self.database.close()


@asynccontextmanager
async def taking(directory: Path, epoch: int = 1) -> AsyncIterator[Taking]:
    collector = Taking(directory, epoch)
    running = asyncio.create_task(collector.intake.run())
    try:
        yield collector
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        collector.close()


def frame_of(first_seq: int, *entries: LogEntry) -> bytes:
    return codec.encode_entries(entries, run_id=RUN, log=LOG, first_seq=first_seq, time_us=1)


def found(*texts: str) -> list[LogEntry]:
    return [Found(text, 1, MODEL) for text in texts]


def call(cost_usd: float) -> list[LogEntry]:
    finished = CallFinished(1, MODEL, "ok", None, 100, 0, 20, 0, False, cost_usd, 0.5, 0.1)
    return [CallStarted(MODEL, 40, None, 1), *found("otter", "heron"), finished]


def output_lines(directory: Path) -> list[str]:
    return (directory / "output.txt").read_text("utf-8").splitlines()


async def test_verdicts_are_told_once_they_are_on_disk(tmp_path: Path) -> None:
    async with taking(tmp_path) as collector:
        collector.node.receive(frame_of(1, *found("otter", "heron", "Otter")), live=True)
        await collector.intake.drained()
        # Of the forms that came together the one that reads best is written.
        assert collector.accepted() == output_lines(tmp_path) == ["Otter", "heron"]
        kinds = [type(verdict) for verdict in collector.verdicts()]
        assert kinds == [Accepted, Accepted, Duplicate]
        assert collector.durable_mark() == 3
        (stored,) = collector.database.own_frames(1, 1, 3, 1 << 20)
        assert stored in collector.transport.published


async def test_frames_that_come_twice_or_overlap_count_once(tmp_path: Path) -> None:
    entries = call(0.25)
    async with taking(tmp_path) as collector:
        for first, last in ((1, 2), (1, 4), (2, 4), (1, 4), (3, 3)):
            collector.node.receive(frame_of(first, *entries[first - 1 : last]), live=True)
        await collector.intake.drained()
        counts = collector.desk.metrics.of(MODEL)
        assert (counts.unique, counts.duplicates, counts.calls) == (2, 0, 1)
        assert counts.cost_usd == collector.desk.heard_cost_usd == 0.25
    async with taking(tmp_path, epoch=2) as successor:
        successor.node.receive(frame_of(1, *entries), live=False)
        await successor.intake.drained()
        assert successor.desk.metrics.of(MODEL) == counts
        assert output_lines(tmp_path) == ["otter", "heron"]


async def test_a_hole_delays_the_durable_mark_and_nothing_else(tmp_path: Path) -> None:
    async with taking(tmp_path) as collector:
        collector.node.receive(frame_of(3, *found("heron")), live=True)
        await collector.intake.drained()
        assert output_lines(tmp_path) == ["heron"]
        assert collector.durable_mark() == 0
        collector.node.receive(frame_of(1, *found("otter", "stork")), live=False)
        await collector.intake.drained()
        assert output_lines(tmp_path) == ["heron", "otter", "stork"]
        assert collector.durable_mark() == 3


async def test_on_a_full_disk_nothing_is_told_and_it_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as collector:
        collector.node.receive(frame_of(1, *found("otter")), live=True)
        await collector.intake.drained()
        told = len(collector.verdicts())
        wal_bytes = (tmp_path / "run.sqlite-wal").stat().st_size
        with no_file_larger_than(wal_bytes):
            collector.node.receive(frame_of(2, *found("heron")), live=True)
            await eventually(lambda: any(collector.troubles))
            collector.node.receive(frame_of(3, *found("stork")), live=True)
            assert collector.accepted() == output_lines(tmp_path) == ["otter"]
            assert len(collector.verdicts()) == told
            assert collector.durable_mark() == 1
            assert collector.desk.stored_count == 1
        await collector.intake.drained()
        assert collector.troubles[-1] is None
        assert collector.accepted() == output_lines(tmp_path) == ["otter", "heron", "stork"]
        assert collector.durable_mark() == collector.desk.stored_count == 3


async def test_a_batch_that_was_committed_but_not_appended_is_appended_later(
    tmp_path: Path,
) -> None:
    """Only the output is full: the retry must neither commit again nor leave the lines out."""
    texts = [f"bird number {number}" for number in range(200)]
    limit_bytes = 1 << 20
    async with taking(tmp_path) as collector:
        with no_file_larger_than(limit_bytes):
            # SQLite's files stay far below the limit; the output is brought near it.
            collector.output.append(["x" * (limit_bytes - 100)])
            collector.node.receive(frame_of(1, *found(*texts)), live=True)
            await eventually(lambda: len(collector.accepted()) == len(texts))
            await eventually(lambda: any(collector.troubles))
            assert collector.verdicts() == []
            assert len(output_lines(tmp_path)) == 1, "no part of the batch is left behind"
        await collector.intake.drained()
        assert output_lines(tmp_path)[1:] == collector.accepted() == texts
        assert len(collector.verdicts()) == len(texts)


async def test_a_crash_between_commit_and_append_is_mended_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with taking(tmp_path) as collector:
        collector.node.receive(frame_of(1, *found("otter", "heron")), live=True)
        await collector.intake.drained()
        frames = [frame for frame in collector.transport.published if b"otter" in frame]
    (tmp_path / "output.txt").write_text("ott")  # The append had begun when the power went.
    async with taking(tmp_path, epoch=2) as successor:
        assert output_lines(tmp_path) == ["otter", "heron"]
        assert successor.node.shelf.read(LogId(COLLECTOR, 1), 1, 2, 1 << 20) == frames
        assert successor.desk.durable == {LOG: 2}
        successor.node.receive(frame_of(1, *found("otter", "heron", "stork")), live=False)
        await successor.intake.drained()
        assert output_lines(tmp_path) == ["otter", "heron", "stork"]
        assert [v.ordinal for v in successor.verdicts() if isinstance(v, Accepted)] == [3]


async def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    async with taking(tmp_path) as collector:
        with sqlite3.connect(collector.path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            collector.node.receive(frame_of(1, *found("otter")), live=True)
            await eventually(lambda: any("locked" in (each or "") for each in collector.troubles))
            assert collector.verdicts() == []
            other.execute("COMMIT")
        other.close()
        await collector.intake.drained()
        assert output_lines(tmp_path) == ["otter"]


async def test_what_waits_for_room_is_counted_against_the_budget(tmp_path: Path) -> None:
    async with taking(tmp_path) as collector:
        with sqlite3.connect(collector.path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            collector.node.receive(frame_of(1, *found("otter")), live=True)
            await eventually(lambda: any(collector.troubles))
            collector.node.receive(frame_of(2, *call(0.25)), live=True)
            assert collector.desk.metrics.cost_usd == 0
            assert collector.desk.heard_cost_usd == 0.25
            assert collector.desk.waiting_count == 4
            other.execute("COMMIT")
        other.close()
        await collector.intake.drained()
        assert collector.desk.metrics.cost_usd == 0.25
        assert collector.desk.waiting_count == 0


async def test_a_database_that_contradicts_the_ledger_ends_the_intake(tmp_path: Path) -> None:
    """Not waited for: no room mends it, and the collector's process must end visibly."""
    collector = Taking(tmp_path, 1)
    foreign = ItemRow(1, b"stork", "stork", PRODUCER, 1, 1, 1, MODEL, 0.0)
    collector.database.commit(Batch(items=[foreign]))
    running = asyncio.create_task(collector.intake.run())
    collector.node.receive(frame_of(1, *found("otter")), live=True)
    with pytest.raises(sqlite3.IntegrityError):
        await running
    assert collector.verdicts() == []
    collector.close()
