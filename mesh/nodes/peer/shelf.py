"""Which logs a node can serve, and where it finds them.

A node serves its own logs, every log of a node directory beside its own, and, from its spool,
what it heard of others: a log whose origin is gone still finds who serves it. A file that cannot
be read holds nothing; the asker goes to another node. Who may ask is serving.py's business.
"""

from __future__ import annotations

import itertools
import logging
import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mesh.core.items import LogId, NodeId
from mesh.storage.database import RunDatabase
from mesh.storage.node_directory import LogsOnDisk
from mesh.storage.node_log import LogReader, NodeLog, StoredFrame, UnreadableLog
from mesh.storage.spool import SPOOL_FILE, Spool

logger = logging.getLogger(__name__)

WAITING_BYTES_MAX = 16 << 20
"""Frames in memory that the disk has no room for; beyond it they are not kept."""
WRITTEN_TOGETHER_MAX = 64
"""Frames in one system call, 16 MiB at most; more would copy more at once."""


class LogShelf(Protocol):
    """The logs that this node can serve. No method raises."""

    def read(self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        """Frames that hold any of first_seq..last_seq, in order, also when the first of it is
        missing; at most `bytes_max` together (but at least one); [] when none is held."""
        ...

    def keep(self, log_id: LogId, first_seq: int, count: int, frame: bytes) -> bool:
        """Take a frame that was heard, to serve it in its origin's place from now on; False where
        there is no room, which others have to make up for."""
        ...

    def write(self) -> None:
        """Put on disk what was kept since; due before anyone is told of it."""
        ...

    def kept_logs(self) -> Iterator[tuple[LogId, StoredFrame]]:
        """What was kept, in the order it came: a node that starts again knows at once what it
        had heard."""
        ...


class FrameStore(Protocol):
    """What is asked of a spool: see there."""

    path: Path

    def append(self, frames: Sequence[tuple[LogId, StoredFrame]]) -> None: ...

    def read_range(
        self, log: LogId, first_seq: int, last_seq: int, bytes_max: int
    ) -> list[bytes]: ...

    def frames(self) -> Iterator[tuple[LogId, StoredFrame]]: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class KeptFrames:
    """A spool that may be missing or full: what fails is logged once.

    Frames wait in memory for the next `write`, and for longer where the disk has no room: a node
    can serve whatever it has applied, or it would know what nobody else can learn.
    """

    spool: FrameStore | None
    _waiting: deque[tuple[LogId, StoredFrame]] = field(default_factory=deque)
    _waiting_bytes: int = 0
    _write_failed: bool = False
    _read_failed: bool = False

    @classmethod
    def open(cls, node_directory: Path) -> KeptFrames:
        path = node_directory / SPOOL_FILE
        try:
            return cls(Spool.open(path))
        except OSError as error:
            logger.warning("event=no_spool path=%s error=%s", path, error)
            return cls(None)

    def read(self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        waiting = self._read_waiting(log_id, first_seq, last_seq, bytes_max)
        if waiting or self.spool is None:
            return waiting
        try:
            return self.spool.read_range(log_id, first_seq, last_seq, bytes_max)
        except OSError as error:
            self._note_unreadable(error)
            return []

    def keep(self, log_id: LogId, first_seq: int, count: int, frame: bytes) -> bool:
        """False: there is no place for it, not even in memory."""
        if self._waiting_bytes + len(frame) > WAITING_BYTES_MAX:
            self.write()
            if self._waiting_bytes + len(frame) > WAITING_BYTES_MAX:
                return False
        self._waiting.append((log_id, StoredFrame(first_seq, count, frame)))
        self._waiting_bytes += len(frame)
        return True

    def write(self) -> None:
        """As much of what waits as the disk has room for, in the order in which it came."""
        while self._waiting and self.spool is not None:
            together = list(itertools.islice(self._waiting, WRITTEN_TOGETHER_MAX))
            try:
                self.spool.append(together)
            except OSError as error:
                if not self._write_failed:
                    logger.warning("event=not_kept path=%s error=%s", self.spool.path, error)
                self._write_failed = True
                return
            for _, stored in together:
                self._waiting.popleft()
                self._waiting_bytes -= len(stored.frame)

    def _read_waiting(
        self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int
    ) -> list[bytes]:
        frames: list[bytes] = []
        size = 0
        for each_id, stored in self._waiting:
            if each_id != log_id or stored.first_seq > last_seq or stored.last_seq < first_seq:
                continue
            size += len(stored.frame)
            if frames and size > bytes_max:
                break
            frames.append(stored.frame)
        return frames

    def frames(self) -> Iterator[tuple[LogId, StoredFrame]]:
        if self.spool is not None:
            try:
                yield from self.spool.frames()
            except OSError as error:
                self._note_unreadable(error)

    def close(self) -> None:
        self.write()
        if self.spool is not None:
            self.spool.close()
            self.spool = None

    def _note_unreadable(self, error: OSError) -> None:
        if not self._read_failed:
            logger.warning("event=unreadable_spool error=%s", error)
        self._read_failed = True


class ProducerShelf:
    """Serves the logs of this producer's own starts, what it kept, and its neighbours' logs.

    Keeps every frame, its neighbours' too: their files may be lost while it lives.
    """

    def __init__(
        self,
        own: LogId,
        current: NodeLog,
        earlier: Mapping[int, LogReader],
        *,
        kept: KeptFrames | None = None,
        nodes_directory: Path | None = None,
    ) -> None:
        self._own = own
        self._readers = {**earlier, own.epoch: LogReader(current.path)}
        self._kept = kept or KeptFrames(None)
        self._neighbours = LogsOnDisk(nodes_directory) if nodes_directory else None

    def read(self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        asked = (first_seq, last_seq, bytes_max)
        if log_id.origin == self._own.origin:
            # What a torn log has lost came back from others, and was kept.
            frames = _read(self._readers.get(log_id.epoch), *asked)
            return frames or self._kept.read(log_id, *asked)
        frames = self._kept.read(log_id, *asked)
        if frames or self._neighbours is None:
            return frames
        return _read(self._neighbours.find(log_id), *asked)

    def keep(self, log_id: LogId, first_seq: int, count: int, frame: bytes) -> bool:
        return self._kept.keep(log_id, first_seq, count, frame)

    def write(self) -> None:
        self._kept.write()

    def kept_logs(self) -> Iterator[tuple[LogId, StoredFrame]]:
        return self._kept.frames()

    def close(self) -> None:
        self._kept.close()


class CollectorShelf:
    """Serves every log: its own from the database, those in the run's directory from their
    files, the rest from what it kept.

    `committed` is a connection of its own, which sees committed frames only.
    """

    def __init__(
        self,
        own: NodeId,
        committed: RunDatabase,
        nodes_directory: Path,
        *,
        kept: KeptFrames | None = None,
    ) -> None:
        self._own = own
        self._committed = committed
        self._logs = LogsOnDisk(nodes_directory)
        self._logs.look()
        self._kept = kept or KeptFrames(None)

    @property
    def readers(self) -> Mapping[LogId, LogReader]:
        """The logs in the run's directory, as of the last look."""
        return self._logs.readers

    def read(self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        asked = (first_seq, last_seq, bytes_max)
        if log_id.origin == self._own:
            # A database restored from an old copy lacks what others had heard; it was kept.
            frames = self._read_committed(log_id.epoch, *asked)
        else:
            frames = _read(self._logs.find(log_id), *asked)
        return frames or self._kept.read(log_id, *asked)

    def keep(self, log_id: LogId, first_seq: int, count: int, frame: bytes) -> bool:
        """What the log's own file holds is not kept a second time."""
        reader = self._logs.find(log_id)
        if reader is not None and _holds(reader, first_seq, first_seq + count - 1):
            return True
        return self._kept.keep(log_id, first_seq, count, frame)

    def write(self) -> None:
        self._kept.write()

    def kept_logs(self) -> Iterator[tuple[LogId, StoredFrame]]:
        return self._kept.frames()

    def look_for_new_logs(self) -> None:
        """Find logs that nodes have begun since."""
        self._logs.look()

    def close(self) -> None:
        self._kept.close()

    def _read_committed(
        self, epoch: int, first_seq: int, last_seq: int, bytes_max: int
    ) -> list[bytes]:
        try:
            return self._committed.own_frames(epoch, first_seq, last_seq, bytes_max)
        except sqlite3.Error as error:
            logger.warning("event=unreadable_own_log error=%s", error)
            return []


def _read(reader: LogReader | None, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
    try:
        return reader.read_range(first_seq, last_seq, bytes_max) if reader else []
    except (OSError, UnreadableLog):
        return []


def _holds(reader: LogReader, first_seq: int, last_seq: int) -> bool:
    try:
        return reader.holds(first_seq, last_seq)
    except (OSError, UnreadableLog):
        return False
