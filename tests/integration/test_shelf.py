"""What a node serves from whichever file holds it, also when some are torn, gone or unreadable."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mesh.core.items import LogId, NodeId
from mesh.nodes.peer.shelf import (
    WAITING_BYTES_MAX,
    CollectorShelf,
    KeptFrames,
    LogShelf,
    ProducerShelf,
)
from mesh.storage.database import Batch, OwnFrame, RunDatabase
from mesh.storage.node_directory import NodeDirectory
from mesh.storage.node_log import NodeLog, log_path
from mesh.storage.records import FRAME_BYTES_MAX
from mesh.storage.spool import SPOOL_FILE
from tests.integration.scarcity import no_file_larger_than

ALL_BYTES = 1 << 20
ELSEWHERE = LogId(NodeId(b"elsewhere".ljust(16, b".")), 1000)
"""A log of another machine: no directory here has it."""


def frame(log: LogId, first_seq: int) -> bytes:
    return b"%s/%d/%d" % (log.origin.hex().encode(), log.epoch, first_seq)


def keep(shelf: LogShelf, log: LogId, *seqs: int) -> None:
    for seq in seqs:
        shelf.keep(log, seq, 1, frame(log, seq))
    shelf.write()


def served(shelf: LogShelf, log: LogId, first_seq: int = 1, last_seq: int = 99) -> list[int]:
    """The seqs of what is served, each checked to be the very frame."""
    seqs = []
    for each in shelf.read(log, first_seq, last_seq, ALL_BYTES):
        seq = int(each.rpartition(b"/")[2])
        assert each == frame(log, seq)
        seqs.append(seq)
    return seqs


def kept(shelf: LogShelf) -> list[tuple[LogId, int]]:
    return [(log, stored.first_seq) for log, stored in shelf.kept_logs()]


@dataclass(slots=True)
class Node:
    """One start of a node, with a log of some entries."""

    directory: NodeDirectory
    log: NodeLog

    @property
    def id(self) -> LogId:
        return LogId(self.directory.origin, self.directory.last_epoch)

    def say(self, *seqs: int) -> None:
        for seq in seqs:
            self.log.append(frame(self.id, seq), seq, 1)


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    (tmp_path / "nodes").mkdir()
    return tmp_path / "nodes"


@contextlib.contextmanager
def started(nodes: Path, name: str, *seqs: int, now_ms: int = 1000) -> Iterator[Node]:
    directory = NodeDirectory.open(nodes / name)
    directory.open_epoch(now_ms)
    node = Node(directory, directory.create_log())
    node.say(*seqs)
    yield node
    node.log.close()
    directory.close()


def producer_shelf(node: Node) -> ProducerShelf:
    return ProducerShelf(
        node.id,
        node.log,
        node.directory.earlier,
        kept=KeptFrames.open(node.directory.path),
        nodes_directory=node.directory.path.parent,
    )


class Collector:
    """A collector's directory and database."""

    def __init__(self, nodes: Path) -> None:
        self.id = LogId(NodeId(b"collector".ljust(16, b".")), 7)
        self._nodes = nodes
        self._database = RunDatabase.open(nodes.parent / "run.sqlite")
        self.committed = RunDatabase.open_read_only(nodes.parent / "run.sqlite")
        (nodes / "collector").mkdir()

    def say(self, *seqs: int) -> None:
        frames = [OwnFrame(7, seq, 1, frame(self.id, seq)) for seq in seqs]
        self._database.commit(Batch(own_frames=frames))

    def shelf(self) -> CollectorShelf:
        kept = KeptFrames.open(self._nodes / "collector")
        return CollectorShelf(self.id.origin, self.committed, self._nodes, kept=kept)

    def close(self) -> None:
        self.committed.close()
        self._database.close()


@pytest.fixture
def collector(nodes: Path) -> Iterator[Collector]:
    opened = Collector(nodes)
    yield opened
    opened.close()


def test_a_producer_serves_its_own_logs_and_what_it_heard_of_others(nodes: Path) -> None:
    with started(nodes, "a", 1, 2) as first_start:
        pass
    with started(nodes, "a", 1) as node:
        shelf = producer_shelf(node)
        keep(shelf, ELSEWHERE, 1, 2, 4)
        node.say(2)
        assert served(shelf, first_start.id) == [1, 2]
        assert served(shelf, node.id) == [1, 2]
        assert served(shelf, ELSEWHERE) == [1, 2, 4]
        assert served(shelf, ELSEWHERE, 3, 4) == [4]
        assert served(shelf, LogId(ELSEWHERE.origin, 5)) == []
        shelf.close()


def test_a_producer_serves_a_neighbour_of_which_it_heard_nothing(nodes: Path) -> None:
    """The neighbour is gone, and nobody else was there."""
    with started(nodes, "gone", 1, 2, 3) as gone:
        pass
    with started(nodes, "a") as node:
        shelf = producer_shelf(node)
        assert served(shelf, gone.id, 2) == [2, 3]
        assert kept(shelf) == []


def test_a_producer_keeps_what_it_heard_of_a_neighbour_whose_log_is_lost(nodes: Path) -> None:
    with started(nodes, "a") as node, started(nodes, "neighbour", 1, 2) as neighbour:
        shelf = producer_shelf(node)
        keep(shelf, neighbour.id, 1, 2)
        neighbour.log.path.unlink()
        assert served(shelf, neighbour.id) == [1, 2]


def test_a_producer_that_starts_again_knows_what_it_had_kept(nodes: Path) -> None:
    with started(nodes, "a") as node:
        shelf = producer_shelf(node)
        keep(shelf, ELSEWHERE, 2, 1)
        shelf.close()
    with started(nodes, "a") as node:
        shelf = producer_shelf(node)
        assert kept(shelf) == [(ELSEWHERE, 2), (ELSEWHERE, 1)]
        assert served(shelf, ELSEWHERE) == [1, 2]


def test_what_a_torn_own_log_has_lost_is_served_once_others_gave_it_back(nodes: Path) -> None:
    with started(nodes, "a", 1, 2, 3) as torn:
        pass
    path = torn.log.path
    path.write_bytes(path.read_bytes()[:-1])
    with started(nodes, "a") as node:
        shelf = producer_shelf(node)
        assert served(shelf, torn.id) == [1, 2]
        keep(shelf, torn.id, 3)
        assert served(shelf, torn.id, 3) == [3]


@pytest.mark.parametrize("fault", ["missing", "directory", "other format", "empty"])
def test_a_log_that_cannot_be_read_is_served_from_what_was_kept(nodes: Path, fault: str) -> None:
    with started(nodes, "a", 1, 2) as lost:
        pass
    path = log_path(lost.directory.path, lost.id.epoch)
    path.unlink()
    if fault == "directory":
        path.mkdir()
    elif fault != "missing":
        path.write_bytes(b"" if fault == "empty" else b"something else")
    with started(nodes, "a", 1) as node:
        shelf = producer_shelf(node)
        assert served(shelf, lost.id) == []
        keep(shelf, lost.id, 2)
        assert served(shelf, lost.id) == [2]
        assert served(shelf, node.id) == [1]


def test_what_a_full_disk_has_no_room_for_waits_in_memory_and_is_logged_once(
    nodes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with started(nodes, "a") as node:
        frames = KeptFrames.open(node.directory.path)
        shelf = ProducerShelf(node.id, node.log, {}, kept=frames)
        keep(shelf, ELSEWHERE, 1)
        size = (node.directory.path / SPOOL_FILE).stat().st_size
        with caplog.at_level(logging.WARNING), no_file_larger_than(size):
            keep(shelf, ELSEWHERE, 2, 3)
        assert [record.message.split()[0] for record in caplog.records] == ["event=not_kept"]
        assert served(shelf, ELSEWHERE, 2) == [2, 3]
        assert kept(shelf) == [(ELSEWHERE, 1)]
        keep(shelf, ELSEWHERE, 4)
        assert kept(shelf) == [(ELSEWHERE, seq) for seq in (1, 2, 3, 4)]
        assert served(shelf, ELSEWHERE) == [1, 2, 3, 4]


def test_memory_for_what_the_disk_has_no_room_for_is_bounded(nodes: Path) -> None:
    frames = KeptFrames(spool=None)
    large = b"." * (WAITING_BYTES_MAX // 2)
    assert [frames.keep(ELSEWHERE, seq, 1, large) for seq in (1, 2, 3)] == [True, True, False]
    assert frames.read(ELSEWHERE, 1, 3, 3 * len(large)) == [large, large]
    assert frames.read(ELSEWHERE, 1, 3, 1) == [large]


def test_what_waited_in_full_memory_is_kept_once_the_disk_has_room(nodes: Path) -> None:
    (nodes / "a").mkdir()
    frames = KeptFrames.open(nodes / "a")
    large = b"." * FRAME_BYTES_MAX
    count = WAITING_BYTES_MAX // FRAME_BYTES_MAX
    with no_file_larger_than(100):
        assert all(frames.keep(ELSEWHERE, seq, 1, large) for seq in range(1, count + 1))
        assert not frames.keep(ELSEWHERE, count + 1, 1, large)
    assert frames.keep(ELSEWHERE, count + 2, 1, large)
    frames.write()
    assert [kept.first_seq for _, kept in frames.frames()] == [*range(1, count + 1), count + 2]
    frames.close()


def test_a_spool_that_cannot_be_opened_leaves_a_node_without_one(
    nodes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (nodes / "a").mkdir()
    (nodes / "a" / SPOOL_FILE).mkdir()
    with caplog.at_level(logging.WARNING), started(nodes, "a", 1) as node:
        shelf = producer_shelf(node)
        keep(shelf, ELSEWHERE, 1)
        assert (served(shelf, ELSEWHERE), served(shelf, node.id), kept(shelf)) == ([1], [1], [])
    assert "event=no_spool" in caplog.text


def test_a_spool_that_vanishes_is_as_good_as_empty(nodes: Path) -> None:
    with started(nodes, "a") as node:
        shelf = producer_shelf(node)
        keep(shelf, ELSEWHERE, 1)
        (node.directory.path / SPOOL_FILE).unlink()
        assert (served(shelf, ELSEWHERE), kept(shelf)) == ([], [])


def test_the_collector_serves_its_own_log_every_local_log_and_what_it_heard(
    nodes: Path, collector: Collector
) -> None:
    with started(nodes, "a", 1, 2) as node:
        shelf = collector.shelf()
        collector.say(1, 2, 3)
        keep(shelf, ELSEWHERE, 1, 5)
        with started(nodes, "b", 1) as later:
            assert served(shelf, later.id) == [1]
        assert served(shelf, node.id) == [1, 2]
        assert served(shelf, collector.id, 2) == [2, 3]
        assert served(shelf, ELSEWHERE) == [1, 5]
        assert set(shelf.readers) == {node.id, later.id}


def test_the_collector_keeps_nothing_a_second_time(nodes: Path, collector: Collector) -> None:
    shelf = collector.shelf()
    with started(nodes, "a", 1) as node:
        keep(shelf, node.id, 1)
        node.say(2)
        keep(shelf, node.id, 2)
        keep(shelf, ELSEWHERE, 1)
        assert kept(shelf) == [(ELSEWHERE, 1)]
        assert served(shelf, node.id) == [1, 2]


def test_the_collector_keeps_what_a_local_log_has_lost(nodes: Path, collector: Collector) -> None:
    with started(nodes, "a", 1, 2, 3) as node:
        pass
    path = node.log.path
    path.write_bytes(path.read_bytes()[:-1])
    shelf = collector.shelf()
    keep(shelf, node.id, 2, 3)
    assert kept(shelf) == [(node.id, 3)]
    assert served(shelf, node.id, 3) == [3]


def test_a_collector_restored_from_an_old_copy_serves_what_others_gave_back(
    nodes: Path, collector: Collector
) -> None:
    collector.say(1)
    shelf = collector.shelf()
    keep(shelf, collector.id, 2, 3)
    assert served(shelf, collector.id) == [1]
    assert served(shelf, collector.id, 2) == [2, 3]


def test_a_database_that_fails_holds_nothing(nodes: Path, collector: Collector) -> None:
    collector.say(1)
    shelf = collector.shelf()
    keep(shelf, collector.id, 2)
    collector.committed.close()
    assert served(shelf, collector.id) == [2]


def test_a_log_that_nobody_here_has_is_looked_for_once(nodes: Path, collector: Collector) -> None:
    """Each look reads the directories of all nodes: an asker must not cause one a request."""
    shelf = collector.shelf()
    with started(nodes, "a", 1) as node:
        unknown = LogId(node.id.origin, 2000)
        assert served(shelf, unknown) == []
    with started(nodes, "a", 1, now_ms=2000) as again:
        assert again.id == unknown
        assert served(shelf, unknown) == []
        shelf.look_for_new_logs()
        assert served(shelf, unknown) == [1]
