"""A node's own log on disk: one append-only file for each epoch.

It stores frames as opaque bytes with their place in the log, so that a fetch is answered with
the very bytes that were published. A frame is written before it is published (a killed process
loses nothing); `sync` makes it survive a power cut and is called at most a second later. A torn
last record, as a crash leaves it, ends the log before it; a damaged one within is a hole. What
frames mean is not known here.

File: 8 bytes "TMLOG" + format version, then records (records.py) whose place is
    u64 first seq | u32 count
"""

from __future__ import annotations

import json
import os
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mesh.core.seqset import SeqSet
from mesh.storage.records import Record, pack_record, whole_records, write_whole

FORMAT = b"TMLOG\x00\x00\x01"
INDEX_EVERY_RECORDS = 32
EPOCH_MAX = 2**63 - 1
"""The largest integer that a database holds; files named for more are none of ours."""

_PLACE = struct.Struct(">QI")


class UnreadableLog(Exception):
    """The file is no log of ours, or of another format version."""


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One record of a log: entries first_seq .. first_seq + count - 1."""

    first_seq: int
    count: int
    frame: bytes

    @property
    def last_seq(self) -> int:
        return self.first_seq + self.count - 1


@dataclass(slots=True)
class LogReader:
    """Reads one log file, also while another process appends to it.

    Keeps a sparse index, an offset for every INDEX_EVERY_RECORDS records, not the frames. A file
    that is gone, is a directory or may not be read is an OSError at each call, and is read as
    soon as it is there.
    """

    path: Path
    held: SeqSet = field(default_factory=SeqSet)
    """What is whole on disk, as of the last look."""
    _index: list[tuple[int, int]] = field(default_factory=list)
    _end: int = len(FORMAT)
    _records: int = 0
    _yielded: int = len(FORMAT)

    @property
    def last_seq(self) -> int:
        return self.held.highest

    def refresh(self) -> int:
        """Read what was appended since; return the highest seq that is whole on disk.

        Raises as `new_frames`, and takes nothing from it.
        """
        for _ in self._records_from(self._end):
            pass
        return self.last_seq

    def new_frames(self) -> Iterator[StoredFrame]:
        """Yield the frames appended since the last call, oldest first.

        Raises:
            UnreadableLog: no log of this format.
            OSError: the file cannot be read.
        """
        for record in self._records_from(self._yielded):
            self._yielded = record.end
            first_seq, count = _PLACE.unpack(record.place)
            yield StoredFrame(first_seq, count, record.frame)

    def holds(self, first_seq: int, last_seq: int) -> bool:
        """Whether all of first_seq..last_seq is on disk; looks again only if it was not.

        Raises as `new_frames`.
        """
        if last_seq > self.last_seq:
            self.refresh()
        return self.held.covers(first_seq, last_seq)

    def read_range(self, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        """Frames that hold any of first_seq..last_seq, in order, at most `bytes_max` together
        (but at least one); [] when none is held. Raises as `new_frames`."""
        self.refresh()
        frames: list[bytes] = []
        size = 0
        with self.path.open("rb") as file:
            for record in whole_records(file, self._offset_before(first_seq), _PLACE.size):
                first, count = _PLACE.unpack(record.place)
                if first > last_seq:
                    break
                if not first or not count or first + count <= first_seq:
                    continue
                size += len(record.frame)
                if frames and size > bytes_max:
                    break
                frames.append(record.frame)
        return frames

    def _offset_before(self, seq: int) -> int:
        """Where a record begins at or before the one with `seq`."""
        position = bisect_right(self._index, seq, key=lambda indexed: indexed[0])
        return self._index[position - 1][1] if position else len(FORMAT)

    def _records_from(self, offset: int) -> Iterator[Record]:
        """Whole records from `offset` on; new ones are noted."""
        with self.path.open("rb") as file:
            head = file.read(len(FORMAT))
            if head != FORMAT:
                if len(head) < len(FORMAT) and FORMAT.startswith(head):
                    return  # Killed, or not yet there, between creating the file and its head.
                raise UnreadableLog(f"{self.path} is no log of format {FORMAT[-1]}")
            for record in whole_records(file, offset, _PLACE.size):
                first_seq, count = _PLACE.unpack(record.place)
                if first_seq and count:
                    if record.end > self._end:
                        self._note(record, first_seq, count)
                    yield record

    def _note(self, record: Record, first_seq: int, count: int) -> None:
        if self._records % INDEX_EVERY_RECORDS == 0:
            self._index.append((first_seq, record.start))
        self._records += 1
        self._end = record.end
        self.held.add_range(first_seq, first_seq + count - 1)


@dataclass(slots=True)
class NodeLog:
    """The log that a node is writing now."""

    path: Path
    last_seq: int
    _descriptor: int
    _end: int
    _unsynced: bool = False

    @classmethod
    def create(cls, path: Path) -> NodeLog:
        """Start the log of a new epoch; the file must not exist.

        Raises:
            OSError: no room, no permission, or there is a file; no new one is left behind.
        """
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            write_whole(descriptor, FORMAT, 0)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        return cls(path, 0, descriptor, len(FORMAT))

    def append(self, frame: bytes, first_seq: int, count: int) -> None:
        """Write one frame in one system call.

        Raises:
            OSError: disk full or gone. Nothing of the record holds, so the log goes on cleanly
                when there is room; the caller must not publish the frame.
        """
        assert first_seq == self.last_seq + 1, (first_seq, self.last_seq)
        record = pack_record(_PLACE.pack(first_seq, count), frame)
        write_whole(self._descriptor, record, self._end)
        self._end += len(record)
        self.last_seq = first_seq + count - 1
        self._unsynced = True

    def sync(self) -> None:
        """Make everything appended so far survive a power cut (fdatasync)."""
        if self._unsynced:
            self._unsynced = False
            getattr(os, "fdatasync", os.fsync)(self._descriptor)

    def close(self) -> None:
        """Sync, and write no more; may be repeated."""
        if self._descriptor >= 0:
            try:
                self.sync()
            finally:
                os.close(self._descriptor)
                self._descriptor = -1


def log_path(directory: Path, epoch: int) -> Path:
    return directory / f"epoch-{epoch}.log"


def stored_logs(directory: Path) -> dict[int, LogReader]:
    """Readers of all logs in a node's directory, by epoch, readable or not."""
    logs = {}
    for path in directory.glob("epoch-*.log"):
        number = path.stem.removeprefix("epoch-")
        if number.isascii() and number.isdigit() and int(number) <= EPOCH_MAX:
            logs[int(number)] = LogReader(path)
    return logs


def write_json(path: Path, value: object) -> None:
    """Replace a small JSON file atomically, readable by its owner alone."""
    part = path.with_suffix(path.suffix + ".part")
    descriptor = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(value))  # Ten times as fast as dumping into the file.
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
