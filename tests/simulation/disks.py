"""What of a node survives its process, in memory: logs, what it kept of others, run.sqlite.

The rules are the real ones as far as a node can tell: a killed process loses nothing that was
written, a power cut what was not synced, a full disk takes nothing more. run.sqlite is the real
one, on a connection that outlives the collector.
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
from mesh.storage.database import RunDatabase
from mesh.storage.node_log import StoredFrame

UNBOUNDED_PAGES = 1_073_741_823


def _no_room() -> OSError:
    return OSError(errno.ENOSPC, "no space left on device")


@dataclass(slots=True)
class KeptFrames:
    """Frames of others, in the order they came; a cache that is never synced."""

    frames: list[tuple[LogId, StoredFrame]] = field(default_factory=list)
    waiting: list[tuple[LogId, StoredFrame]] = field(default_factory=list)
    """In memory, for want of room; gone with the process."""
    _by_log: dict[LogId, list[StoredFrame]] = field(default_factory=dict)

    def append(self, log: LogId, stored: StoredFrame) -> None:
        self.frames.append((log, stored))
        self._by_log.setdefault(log, []).append(stored)

    def of(self, log: LogId) -> Sequence[StoredFrame]:
        waiting = [stored for each, stored in self.waiting if each == log]
        return waiting or self._by_log.get(log, ())

    def cut(self, count: int) -> KeptFrames:
        """The first `count` frames, as a copy or a power cut leaves them."""
        kept = KeptFrames()
        for log, stored in self.frames[:count]:
            kept.append(log, stored)
        return kept


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
    kept: KeptFrames = field(default_factory=KeptFrames)
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

    def keep(self, log: LogId, stored: StoredFrame) -> None:
        """Keep a frame of another node; on a full disk it waits in memory."""
        self.kept.waiting.append((log, stored))
        if not self.is_full:
            for each, waited in self.kept.waiting:
                self.kept.append(each, waited)
            self.kept.waiting.clear()

    def lose_power(self, dice: random.Random, *, loses_log: bool) -> None:
        """Lose what was not synced, as much of it as chance wills; or the newest log whole."""
        frames = self.logs.get(self.epoch, [])
        if loses_log:
            self.logs.pop(self.epoch, None)
        else:
            del frames[dice.randint(min(self.synced_frames, len(frames)), len(frames)) :]
        kept_count = len(self.kept.frames)
        self.kept = self.kept.cut(kept_count - dice.randint(0, min(20, kept_count)))

    def copy(self) -> NodeDisk:
        return NodeDisk(
            self.origin,
            self.last_epoch,
            self.epoch,
            list(self.members),
            {epoch: list(frames) for epoch, frames in self.logs.items()},
            self.synced_frames,
            self.kept.cut(len(self.kept.frames)),
            collector=self.collector,
        )

    def own_frames(self) -> Iterator[tuple[LogId, StoredFrame]]:
        for epoch, frames in self.logs.items():
            for stored in frames:
                yield LogId(self.origin, epoch), stored


@dataclass(slots=True)
class ProducerShelf:
    """Serves the own logs and what was kept of others'."""

    disk: NodeDisk

    def read(self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        own: Sequence[StoredFrame] = ()
        if log_id.origin == self.disk.origin:
            own = self.disk.logs.get(log_id.epoch, ())
        frames = holding(own, first_seq, last_seq, bytes_max)
        return frames or holding(self.disk.kept.of(log_id), first_seq, last_seq, bytes_max)

    def keep(self, log_id: LogId, first_seq: int, count: int, frame: bytes) -> bool:
        self.disk.keep(log_id, StoredFrame(first_seq, count, frame))
        return True

    def write(self) -> None:
        """What is kept is on disk at once, or waits for room there."""

    def kept_logs(self) -> Iterator[tuple[LogId, StoredFrame]]:
        return iter(self.disk.kept.frames)


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
            kept=self.kept.cut(len(self.kept.frames)),
            connection=connection,
            output=self.output,
        )

    def fill(self, *, database: bool, output: bool) -> None:
        """Leave no room for more."""
        self.is_full = True
        self.output.is_full = output
        if database:
            pages = self.connection.execute("PRAGMA page_count").fetchone()[0]
            self.connection.execute(f"PRAGMA max_page_count = {pages}")

    def make_room(self) -> None:
        self.is_full = self.output.is_full = False
        self.connection.execute(f"PRAGMA max_page_count = {UNBOUNDED_PAGES}")


@dataclass(slots=True)
class CollectorShelf:
    """Serves the own log from the database and what was kept of others'."""

    disk: CollectorDisk
    database: RunDatabase

    def read(self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        frames: list[bytes] = []
        if log_id.origin == self.disk.origin:
            frames = self.database.own_frames(log_id.epoch, first_seq, last_seq, bytes_max)
        return frames or holding(self.disk.kept.of(log_id), first_seq, last_seq, bytes_max)

    def keep(self, log_id: LogId, first_seq: int, count: int, frame: bytes) -> bool:
        self.disk.keep(log_id, StoredFrame(first_seq, count, frame))
        return True

    def write(self) -> None:
        """What is kept is on disk at once, or waits for room there."""

    def kept_logs(self) -> Iterator[tuple[LogId, StoredFrame]]:
        return iter(self.disk.kept.frames)


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
