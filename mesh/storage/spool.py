"""Frames of other nodes' logs on disk, so that any node can serve a log whose origin is gone.

One append-only file in a node's directory holds them all in the order they came. In memory stays
where each begins: 16 bytes a frame. It is a cache of what others hold too: nothing is synced, a
file of another format is begun anew, and what breaks off is cut. Which frames are worth keeping
and what they mean is not decided here.

File: 8 bytes "TMSPL" + format version, then records (records.py) whose place is
    16 bytes origin | u64 epoch | u64 first seq | u32 count
"""

from __future__ import annotations

import errno
import os
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from mesh.core.items import LogId, NodeId
from mesh.core.seqset import SeqSet
from mesh.storage.node_log import StoredFrame
from mesh.storage.records import Record, pack_record, record_at, whole_records, write_whole

SPOOL_FILE = "others.spool"
FORMAT = b"TMSPL\x00\x00\x01"
SPOOL_BYTES_MAX = 8 << 30
"""Some 40 million single entries. Beyond it `append` fails as on a full disk."""
SCAN_BYTES = 1 << 20
READ_AHEAD_BYTES = 1 << 16
"""Neighbours in a log lie apart when many nodes speak at once: read a piece, then pick from it."""

_LOG = struct.Struct(">16sQ")
_SEQS = struct.Struct(">QI")
_PLACE = struct.Struct(">16sQQI")
_PLACE_BYTES = _PLACE.size


@dataclass(slots=True)
class _Places:
    """Where the frames of one log begin, by ascending first seq. They may overlap: an origin packs
    what it said in small frames into larger ones when it is asked for it later."""

    held: SeqSet = field(default_factory=SeqSet)
    first_seqs: array[int] = field(default_factory=lambda: array("Q"))
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    count_max: int = 0
    """Entries of the largest frame."""

    def add(self, first_seq: int, count: int, offset: int) -> None:
        self.count_max = max(self.count_max, count)
        self.held.add_range(first_seq, first_seq + count - 1)
        if not self.first_seqs or first_seq > self.first_seqs[-1]:
            self.first_seqs.append(first_seq)
            self.offsets.append(offset)
            return
        index = bisect_right(self.first_seqs, first_seq)
        self.first_seqs.insert(index, first_seq)
        self.offsets.insert(index, offset)

    def offsets_of(self, first_seq: int, last_seq: int) -> array[int]:
        """Frames that begin in first_seq..last_seq, and those before that may reach into it."""
        start = bisect_left(self.first_seqs, max(0, first_seq - self.count_max + 1))
        return self.offsets[start : bisect_right(self.first_seqs, last_seq)]


@dataclass(slots=True)
class Spool:
    """One open spool file. Its directory's lock keeps other processes away."""

    path: Path
    bytes_max: int
    _descriptor: int
    _end: int = len(FORMAT)
    _logs: dict[LogId, _Places] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, *, bytes_max: int = SPOOL_BYTES_MAX) -> Spool:
        """Open the spool, made new where there is none of this format; cut a torn end.

        Raises:
            OSError: it cannot be made, read or written.
        """
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            if os.pread(descriptor, len(FORMAT), 0) != FORMAT:
                os.ftruncate(descriptor, 0)
                write_whole(descriptor, FORMAT, 0)
            spool = cls(path, bytes_max, descriptor)
            spool._index_all()
        except BaseException:
            os.close(descriptor)
            raise
        return spool

    def append(self, frames: Sequence[tuple[LogId, StoredFrame]]) -> None:
        """Store frames, each another one, in one system call; those that are held already are
        not stored again.

        Raises:
            OSError: no room, or the disk is gone. None of them is held, and the next ones take
                their place in the file.
        """
        records: list[bytes] = []
        placed: list[tuple[LogId, StoredFrame, int]] = []
        end = self._end
        for log, stored in frames:
            places = self._logs.get(log)
            if places is not None and places.held.covers(stored.first_seq, stored.last_seq):
                continue
            place = _PLACE.pack(log.origin, log.epoch, stored.first_seq, stored.count)
            records.append(pack_record(place, stored.frame))
            placed.append((log, stored, end))
            end += len(records[-1])
        if end > self.bytes_max:
            raise OSError(errno.EFBIG, f"holds all of its {self.bytes_max} bytes", str(self.path))
        if records:
            write_whole(self._descriptor, b"".join(records), self._end)
        for log, stored, start in placed:
            places = self._logs.get(log)
            if places is None:
                places = self._logs[log] = _Places()
            places.add(stored.first_seq, stored.count, start)
        self._end = end

    def read_range(self, log: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        """Frames that hold any of first_seq..last_seq, by ascending seq, at most `bytes_max`
        together (but at least one); [] when none is held. Damaged ones are left out.

        Raises:
            OSError: the file cannot be read.
        """
        places = self._logs.get(log)
        if places is None:
            return []
        frames: list[bytes] = []
        size = 0
        with self._reading(READ_AHEAD_BYTES) as file:
            for offset in places.offsets_of(first_seq, last_seq):
                record = record_at(file, offset, _PLACE_BYTES)
                if record is None or _last_seq(record) < first_seq:
                    continue
                size += len(record.frame)
                if frames and size > bytes_max:
                    break
                frames.append(record.frame)
        return frames

    def logs(self) -> dict[LogId, SeqSet]:
        """Which entries of which logs are held; the sets are the spool's own, to be read only."""
        return {log: places.held for log, places in self._logs.items()}

    def frames(self) -> Iterator[tuple[LogId, StoredFrame]]:
        """All frames held now, in the order they came; appending meanwhile is allowed.

        Raises:
            OSError: the file cannot be read.
        """
        end = self._end
        with self._reading(SCAN_BYTES) as file:
            for record in whole_records(file, len(FORMAT), _PLACE_BYTES):
                if record.end > end:
                    return
                first_seq, count = _SEQS.unpack_from(record.place, _LOG.size)
                if first_seq and count:
                    yield _log_id(record.place), StoredFrame(first_seq, count, record.frame)

    def close(self) -> None:
        """May be repeated."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _index_all(self) -> None:
        # Millions of records: no object is made of them that is not needed.
        by_name: dict[bytes, _Places] = {}
        with self._reading(SCAN_BYTES) as file:
            for start, end, place, _ in whole_records(file, len(FORMAT), _PLACE_BYTES):
                name = place[: _LOG.size]
                first_seq, count = _SEQS.unpack_from(place, _LOG.size)
                if first_seq and count:
                    if name not in by_name:
                        by_name[name] = _Places()
                    by_name[name].add(first_seq, count, start)
                self._end = end
        self._logs = {_log_id(name): places for name, places in by_name.items()}
        os.ftruncate(self._descriptor, self._end)

    def _reading(self, buffer_bytes: int) -> BinaryIO:
        # Opened by path: a second reader then has a position of its own.
        return self.path.open("rb", buffering=buffer_bytes)


def _last_seq(record: Record) -> int:
    first_seq, count = _SEQS.unpack_from(record.place, _LOG.size)
    return int(first_seq + count - 1)


def _log_id(place: bytes) -> LogId:
    origin, epoch = _LOG.unpack_from(place)
    return LogId(NodeId(origin), epoch)
