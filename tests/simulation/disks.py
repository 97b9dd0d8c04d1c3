"""What of a node survives its process, in memory: logs, what it kept of others, run.sqlite.

The rules are the real ones as far as a node can tell: a killed process loses nothing that was
written, a power cut what was not synced, a full disk takes nothing more. What decides which frames
of others are written when is the real one, as is run.sqlite, on a connection that outlives the
collector.
"""

from __future__ import annotations

import errno
import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mesh.core.items import LogId, NodeId
from mesh.core.membership import Member
from mesh.core.seqset import SeqSet
from mesh.nodes.peer.shelf import KeptFrames
from mesh.storage.database import RunDatabase
from mesh.storage.node_log import StoredFrame

UNBOUNDED_PAGES = 1_073_741_823


def _no_room() -> OSError:
    return OSError(errno.ENOSPC, "no space left on device")


@dataclass(slots=True)
class MemorySpool:
    """Frames of others, in the order they came; a cache that is never synced."""

    path = Path("others.spool")
    is_full: bool = False
    _frames: list[tuple[LogId, StoredFrame]] = field(default_factory=list)
    _held: dict[LogId, SeqSet] = field(default_factory=dict)

    def append(self, frames: Sequence[tuple[LogId, StoredFrame]]) -> None:
        if self.is_full:
            raise _no_room()
        for log, stored in frames:
            held = self._held.setdefault(log, SeqSet())
            if not held.covers(stored.first_seq, stored.last_seq):
                held.add_range(stored.first_seq, stored.last_seq)
                self._frames.append((log, stored))

    def read_range(self, log: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        of_log = [stored for each, stored in self._frames if each == log]
        return holding(of_log, first_seq, last_seq, bytes_max)

    def frames(self) -> Iterator[tuple[LogId, StoredFrame]]:
        return iter(tuple(self._frames))

    def close(self) -> None:
        """What it holds is still there when it is opened again."""

    def copy(self, *, lost_count: int = 0) -> MemorySpool:
        """All but the last `lost_count` frames, as a copy or a power cut leaves them."""
        copied = MemorySpool()
        copied.append(self._frames[: len(self._frames) - lost_count])
        return copied

    def __len__(self) -> int:
        return len(self._frames)


@dataclass(slots=True)
class NodeDisk:
    """One node's directory."""

    origin: NodeId
    last_epoch: int = 0
    """The highest that it opened or was heard in."""
    epoch: int = 0
    """The one it is writing."""
    members: list[Member] = field(default_factory=list)
    logs: dict[int, list[StoredFrame]] = field(default_factory=dict)
    """Its own logs by epoch; a collector's are in its database."""
    synced_frames: int = 0
    """Of the newest own log."""
    spool: MemorySpool = field(default_factory=MemorySpool)
    is_full: bool = False
    collector: NodeId | None = None
    """Whom alone it obeys."""

    def open_epoch(self, now_ms: int, dice: random.Random, *, new: bool) -> int:
        """Begin a later epoch, or go on in the last one (`new` False: the protection is off)."""
        if new or not self.last_epoch:
            # Chance keeps a copy whose clock is slow from opening what was opened after it.
            later = self.last_epoch + 1 + dice.randrange(1_000_000)
            self.last_epoch = now_ms if now_ms > self.last_epoch else later
            self.synced_frames = 0
        self.epoch = self.last_epoch
        self.logs.setdefault(self.epoch, [])
        return self.epoch

    @property
    def last_seq(self) -> int:
        """Of the newest own log."""
        frames = self.logs[self.epoch]
        return frames[-1].last_seq if frames else 0

    def append(self, stored: StoredFrame) -> None:
        """Write a frame of the newest own log; OSError on a full disk."""
        if self.is_full:
            raise _no_room()
        self.logs[self.epoch].append(stored)

    def sync(self) -> None:
        self.synced_frames = len(self.logs[self.epoch])

    def fill(self) -> None:
        """Leave no room for more."""
        self.is_full = self.spool.is_full = True

    def make_room(self) -> None:
        self.is_full = self.spool.is_full = False

    def lose_power(self, dice: random.Random, *, loses_log: bool) -> None:
        """Lose what was not synced, as much of it as chance wills; or the newest log whole."""
        frames = self.logs.get(self.epoch, [])
        if loses_log:
            self.logs.pop(self.epoch, None)
        else:
            del frames[dice.randint(min(self.synced_frames, len(frames)), len(frames)) :]
        self.spool = self.spool.copy(lost_count=dice.randint(0, min(20, len(self.spool))))
        self.spool.is_full = self.is_full

    def copy(self) -> NodeDisk:
        return NodeDisk(
            self.origin,
            self.last_epoch,
            self.epoch,
            list(self.members),
            {epoch: list(frames) for epoch, frames in self.logs.items()},
            self.synced_frames,
            self.spool.copy(),
            collector=self.collector,
        )

    def own_frames(self) -> Iterator[tuple[LogId, StoredFrame]]:
        for epoch, frames in self.logs.items():
            for stored in frames:
                yield LogId(self.origin, epoch), stored


@dataclass(slots=True)
class ProducerShelf:
    """Serves the own logs and what was kept of others'; it goes with its process."""

    disk: NodeDisk
    _kept: KeptFrames = field(init=False)

    def __post_init__(self) -> None:
        self._kept = KeptFrames(self.disk.spool)

    def read(self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        own: Sequence[StoredFrame] = ()
        if log_id.origin == self.disk.origin:
            own = self.disk.logs.get(log_id.epoch, ())
        frames = holding(own, first_seq, last_seq, bytes_max)
        return frames or self._kept.read(log_id, first_seq, last_seq, bytes_max)

    def keep(self, log_id: LogId, first_seq: int, count: int, frame: bytes) -> bool:
        return self._kept.keep(log_id, first_seq, count, frame)

    def write(self) -> None:
        self._kept.write()

    def kept_logs(self) -> Iterator[tuple[LogId, StoredFrame]]:
        return self._kept.frames()


def holding(
    frames: Sequence[StoredFrame], first_seq: int, last_seq: int, bytes_max: int
) -> list[bytes]:
    """Frames that hold any of the range, by seq, at most `bytes_max` but at least one."""
    found: list[bytes] = []
    size = 0
    for stored in sorted(frames, key=lambda each: each.first_seq):
        if stored.first_seq <= last_seq and stored.last_seq >= first_seq:
            size += len(stored.frame)
            if found and size > bytes_max:
                break
            found.append(stored.frame)
    return found


@dataclass(slots=True)
class OutputLines:
    """output.txt: brought in line at each start, appended to whole or not at all."""

    lines: list[str] = field(default_factory=list)
    moved_aside_count: int = 0
    is_full: bool = False

    def open(self, accepted: Sequence[str]) -> None:
        if self.lines != list(accepted[: len(self.lines)]):
            self.moved_aside_count += 1
            self.lines = []
        self.lines += accepted[len(self.lines) :]

    def append(self, texts: Sequence[str]) -> None:
        if self.is_full:
            raise _no_room()
        self.lines += texts

    def lose_power(self, dice: random.Random) -> None:
        """Lose some of the end."""
        if self.lines:
            del self.lines[len(self.lines) - dice.randint(0, 2) :]


@dataclass(slots=True)
class CollectorDisk(NodeDisk):
    """The collector's directory, with run.sqlite and output.txt."""

    connection: sqlite3.Connection = field(default_factory=lambda: new_database())
    output: OutputLines = field(default_factory=OutputLines)

    def copy(self) -> CollectorDisk:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.backup(connection)
        return CollectorDisk(
            self.origin,
            self.last_epoch,
            self.epoch,
            list(self.members),
            spool=self.spool.copy(),
            connection=connection,
            output=self.output,
        )

    def fill_files(self, *, database: bool, output: bool) -> None:
        """Leave no room in these; which of them meets the end of the disk is chance."""
        self.output.is_full = output
        if database:
            pages = self.connection.execute("PRAGMA page_count").fetchone()[0]
            self.connection.execute(f"PRAGMA max_page_count = {pages}")

    def make_room(self) -> None:
        NodeDisk.make_room(self)
        self.output.is_full = False
        self.connection.execute(f"PRAGMA max_page_count = {UNBOUNDED_PAGES}")


@dataclass(slots=True)
class CollectorShelf:
    """Serves the own log from the database and what was kept of others'."""

    disk: CollectorDisk
    database: RunDatabase
    _kept: KeptFrames = field(init=False)

    def __post_init__(self) -> None:
        self._kept = KeptFrames(self.disk.spool)

    def read(self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        frames: list[bytes] = []
        if log_id.origin == self.disk.origin:
            frames = self.database.own_frames(log_id.epoch, first_seq, last_seq, bytes_max)
        return frames or self._kept.read(log_id, first_seq, last_seq, bytes_max)

    def keep(self, log_id: LogId, first_seq: int, count: int, frame: bytes) -> bool:
        return self._kept.keep(log_id, first_seq, count, frame)

    def write(self) -> None:
        self._kept.write()

    def kept_logs(self) -> Iterator[tuple[LogId, StoredFrame]]:
        return self._kept.frames()


_template: list[sqlite3.Connection] = []


def new_database() -> sqlite3.Connection:
    """An empty run.sqlite in memory. The schema is run once in each process, then copied."""
    if not _template:
        template = sqlite3.connect(":memory:", isolation_level=None)
        RunDatabase(template)._prepare(Path("run.sqlite"))
        _template.append(template)
    connection: sqlite3.Connection = sqlite3.connect(":memory:", isolation_level=None)
    _template[0].backup(connection)
    return connection


def rows(connection: sqlite3.Connection, query: str) -> list[Any]:
    return connection.execute(query).fetchall()
