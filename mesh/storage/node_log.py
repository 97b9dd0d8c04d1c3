"""A node's own log on disk: one append-only file for each epoch.

It stores frames as opaque bytes with their place in the log, so that a fetch is answered with
the very bytes that were published. A frame is written before it is published (a killed process
loses nothing); `sync` makes it survive a power cut and is called at most a second later. A torn
last record, as a crash leaves it, ends the log before it. What frames mean is not known here.

File: 8 bytes "TMLOG" + format version, then records of
    u32 frame bytes | u32 CRC-32 of all that follows | u64 first seq | u32 count | frame
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

FORMAT = b"TMLOG\x00\x00\x01"
_RECORD = struct.Struct(">IIQI")
_PLACE = struct.Struct(">QI")
FRAME_BYTES_MAX = 1 << 20
INDEX_EVERY_RECORDS = 32


class UnreadableLog(Exception):
    """The file is no log of ours, or of another format version."""


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One record of a log."""

    first_seq: int
    count: int
    frame: bytes

    @property
    def last_seq(self) -> int:
        return self.first_seq + self.count - 1


def _read_record(file: BinaryIO) -> StoredFrame | None:
    """The record at the file's position; None at the end and at a torn or damaged record."""
    head = file.read(_RECORD.size)
    if len(head) < _RECORD.size:
        return None
    frame_bytes, checksum, first_seq, count = _RECORD.unpack(head)
    if frame_bytes > FRAME_BYTES_MAX:
        return None
    frame = file.read(frame_bytes)
    if len(frame) < frame_bytes or _checksum(frame, first_seq, count) != checksum:
        return None
    return StoredFrame(first_seq, count, frame)


def _checksum(frame: bytes, first_seq: int, count: int) -> int:
    return zlib.crc32(frame, zlib.crc32(_PLACE.pack(first_seq, count)))


@dataclass(slots=True)
class LogReader:
    """Reads one log file, also while another process appends to it.

    Keeps a sparse index, an offset for every INDEX_EVERY_RECORDS records, not the frames.
    """

    path: Path
    last_seq: int = 0
    _index: list[tuple[int, int]] = field(default_factory=list)
    _end: int = len(FORMAT)
    _records: int = 0
    _yielded: int = len(FORMAT)

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
        for record, end in self._records_from(self._yielded):
            self._yielded = end
            yield record

    def read_range(self, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        """Frames that hold any of first_seq..last_seq, in order, at most `bytes_max` together
        (but at least one); [] when none is held."""
        self.refresh()
        if first_seq > self.last_seq or not self._index:
            return []
        offset = max((at for seq, at in self._index if seq <= first_seq), default=len(FORMAT))
        frames: list[bytes] = []
        size = 0
        with self.path.open("rb") as file:
            file.seek(offset)
            while (record := _read_record(file)) is not None and record.first_seq <= last_seq:
                if record.last_seq < first_seq:
                    continue
                size += len(record.frame)
                if frames and size > bytes_max:
                    break
                frames.append(record.frame)
        return frames

    def _records_from(self, offset: int) -> Iterator[tuple[StoredFrame, int]]:
        """Whole records from `offset` on, each with where it ends; new ones are indexed."""
        with self.path.open("rb") as file:
            head = file.read(len(FORMAT))
            if head != FORMAT:
                if len(head) < len(FORMAT) and FORMAT.startswith(head):
                    return  # Killed, or not yet there, between creating the file and its head.
                raise UnreadableLog(f"{self.path} is no log of format {FORMAT[-1]}")
            file.seek(offset)
            while (record := _read_record(file)) is not None:
                end = file.tell()
                if offset == self._end:
                    self._note(record, end)
                offset = end
                yield record, end

    def _note(self, record: StoredFrame, end: int) -> None:
        if self._records % INDEX_EVERY_RECORDS == 0:
            self._index.append((record.first_seq, self._end))
        self._records += 1
        self._end = end
        self.last_seq = max(self.last_seq, record.last_seq)


@dataclass(slots=True)
class NodeLog:
    """The log that a node is writing now."""

    path: Path
    last_seq: int
    _file: BinaryIO
    _unsynced: bool = False

    @classmethod
    def create(cls, path: Path) -> NodeLog:
        """Start the log of a new epoch; the file must not exist."""
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        file = os.fdopen(descriptor, "wb", buffering=0)
        file.write(FORMAT)
        return cls(path, 0, file)

    def append(self, frame: bytes, first_seq: int, count: int) -> None:
        """Write one frame in one system call.

        Raises:
            OSError: disk full or gone. What was written of the record is cut off again, so the
                log goes on cleanly when there is room; the caller must not publish the frame.
        """
        assert first_seq == self.last_seq + 1, (first_seq, self.last_seq)
        checksum = _checksum(frame, first_seq, count)
        record = _RECORD.pack(len(frame), checksum, first_seq, count) + frame
        start = self._file.seek(0, os.SEEK_END)
        try:
            written = self._file.write(record)
            if written != len(record):
                raise OSError(28, "no space left for a whole log record", str(self.path))
        except OSError:
            self._file.truncate(start)
            raise
        self.last_seq = first_seq + count - 1
        self._unsynced = True

    def sync(self) -> None:
        """Make everything appended so far survive a power cut (fdatasync)."""
        if self._unsynced:
            self._unsynced = False
            getattr(os, "fdatasync", os.fsync)(self._file.fileno())

    def close(self) -> None:
        self.sync()
        self._file.close()


def log_path(directory: Path, epoch: int) -> Path:
    return directory / f"epoch-{epoch}.log"


def stored_logs(directory: Path) -> dict[int, LogReader]:
    """Readers of all logs in a node's directory, by epoch."""
    logs = {}
    for path in directory.glob("epoch-*.log"):
        number = path.stem.removeprefix("epoch-")
        if number.isdigit():
            logs[int(number)] = LogReader(path)
    return logs


def write_json(path: Path, value: object) -> None:
    """Replace a small JSON file atomically, readable by its owner alone."""
    part = path.with_suffix(path.suffix + ".part")
    descriptor = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
