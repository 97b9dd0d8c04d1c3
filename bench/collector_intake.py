"""The collector's real intake for a bench: node, ledger, run.sqlite and output.txt on disk.

Put together as `nodes.collector` does it, without page, supervisor and the rules that end a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.made_up import RUN_ID, found_frames, made_up_log
from mesh.config import MeshSettings
from mesh.core.bloom import BloomFilter
from mesh.core.entries import CallFinished, LogEntry
from mesh.core.items import LogId
from mesh.core.known import digest_bytes
from mesh.core.ledger import Ledger
from mesh.core.membership import Role
from mesh.core.metrics import RunMetrics
from mesh.nodes.collecting.intake import Intake
from mesh.nodes.collecting.verdicts import VerdictDesk
from mesh.nodes.peer.identity import open_transport, own_member
from mesh.nodes.peer.mesh_node import MeshNode
from mesh.nodes.peer.shelf import CollectorShelf, KeptFrames
from mesh.storage.database import RunDatabase
from mesh.storage.node_directory import NodeDirectory
from mesh.storage.output_file import OutputFile


class LooksUpEveryKey(BloomFilter):
    """In the filter's place: remembers nothing, so that every key goes to the database."""

    def add(self, key: bytes) -> None:
        """Not kept."""

    def __contains__(self, key: bytes) -> bool:
        return True


class MeasuredCollector:
    """The owner of a collector's node, as far as intake goes."""

    def __init__(self, ledger: Ledger, output: Path) -> None:
        self.ledger = ledger
        self.output = output
        self.node: MeshNode
        self.intake: Intake
        self.logs_heard = 0

    def apply(self, log: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        self.intake.add(log, first_seq, entries)

    def durable(self, log: LogId, last_seq: int) -> None:
        """Durable marks are this node's own."""

    def members_changed(self) -> None:
        """Nobody joins."""

    def known_summary(self) -> tuple[int, bytes]:
        return self.ledger.known_count, digest_bytes(self.ledger.known_digest)

    def activity_and_model(self) -> tuple[str, str]:
        return "running", ""

    def join_refused(self, reason: str) -> None:
        """Nobody is asked to take it in."""

    def overtaken(self, epoch: int) -> None:
        """Nobody has heard it before."""


@asynccontextmanager
async def open_intake(directory: Path, bloom: BloomFilter) -> AsyncIterator[MeasuredCollector]:
    """A collector with nothing in it yet, its storing loop running."""
    own_directory = NodeDirectory.open(directory / "collector")
    epoch = own_directory.open_epoch(time.time_ns() // 1_000_000)
    database = RunDatabase.open(directory / "run.sqlite")
    committed = RunDatabase.open_read_only(directory / "run.sqlite")
    output = OutputFile.open(directory / "output.txt", [])
    settings = MeshSettings()
    transport = open_transport(own_directory, settings, None)
    own = own_member(
        own_directory,
        transport,
        run_id=RUN_ID,
        keys=None,
        label="collector",
        role=Role.COLLECTOR,
        epoch=epoch,
        earlier_logs=[],
    )
    kept = KeptFrames.open(own_directory.path)
    collector = MeasuredCollector(Ledger(bloom=bloom), output.path)
    collector.node = MeshNode(
        own=own,
        run_id=RUN_ID,
        owner=collector,
        shelf=CollectorShelf(own_directory.origin, committed, directory / "nodes", kept=kept),
        random=random.Random(0),
        clock=asyncio.get_running_loop(),
    )
    started_s = time.monotonic()
    desk = VerdictDesk(
        node=collector.node,
        ledger=collector.ledger,
        metrics=RunMetrics(),
        taken_in={},
        run_time_s=lambda: time.monotonic() - started_s,
        call_finished=_no_calls,
    )
    collector.intake = Intake(desk, database, output, _fail_on_trouble)
    collector.node.attach(transport)
    transport.start(collector.node)
    storing = asyncio.create_task(collector.intake.run())
    try:
        yield collector
    finally:
        storing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await storing
        collector.intake.close()
        collector.node.close()
        transport.close(linger_s=0)
        kept.close()
        output.close()
        committed.close()
        database.close()
        own_directory.close()


async def fill(collector: MeasuredCollector, texts: Sequence[str]) -> None:
    """Have `texts` accepted, untimed."""
    await take_in(collector, texts)
    assert collector.ledger.accepted_count == len(texts)


async def take_in(collector: MeasuredCollector, texts: Sequence[str]) -> float:
    """Seconds from the first frame off the wire until the last entry is durable and told."""
    collector.logs_heard += 1
    frames = list(found_frames(iter(texts), made_up_log(collector.logs_heard)))
    start_s = time.perf_counter()
    for frame in frames:
        collector.node.feed_received(frame)
        await asyncio.sleep(0)
    await collector.intake.drained()
    taken_s = time.perf_counter() - start_s
    assert not collector.node.dropped, collector.node.dropped
    lines = collector.output.read_bytes().count(b"\n")
    assert lines == collector.ledger.accepted_count, (lines, collector.ledger.accepted_count)
    return taken_s


def _no_calls(log: LogId, call: CallFinished, accepted_count: int) -> None:
    raise AssertionError(f"{log} ended call {call.call} with {accepted_count} accepted entries")


def _fail_on_trouble(text: str | None) -> None:
    assert text is None, text
