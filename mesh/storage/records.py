"""Checked records in an append-only file: how one is laid out, and how whole ones are found.

A record that a crash tore ends the file before it. A damaged one whose length still holds is
passed over: what follows it is as good as ever. Which file holds what, and what a record's place
and frame mean, is node_log.py's and spool.py's.

Record: u32 frame bytes | u32 CRC-32 of all that follows | place | frame
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

FRAME_BYTES_MAX = 1 << 20
"""A record that claims more is damaged: its length cannot be believed."""

_HEAD = struct.Struct(">II")


class Record(NamedTuple):
    """One whole record and where in its file it is."""

    start: int
    end: int
    place: bytes
    frame: bytes


def pack_record(place: bytes, frame: bytes) -> bytes:
    """The bytes of one record; `frame` has 1..FRAME_BYTES_MAX."""
    assert 0 < len(frame) <= FRAME_BYTES_MAX, len(frame)
    return _HEAD.pack(len(frame), _checksum(place, frame)) + place + frame


def whole_records(file: BinaryIO, start: int, place_bytes: int) -> Iterator[Record]:
    """Yield the whole records of `file` from `start` on, where one begins."""
    file.seek(start)
    head_bytes = _HEAD.size + place_bytes
    end = start
    while len(head := file.read(head_bytes)) == head_bytes:
        frame_bytes, checksum = _HEAD.unpack_from(head)
        if not 0 < frame_bytes <= FRAME_BYTES_MAX:  # 0: never written by us, left by power cuts.
            return
        frame = file.read(frame_bytes)
        if len(frame) < frame_bytes:
            return
        start, end = end, end + head_bytes + frame_bytes
        place = head[_HEAD.size :]
        if _checksum(place, frame) == checksum:
            yield Record(start, end, place, frame)


def record_at(file: BinaryIO, start: int, place_bytes: int) -> Record | None:
    """The record at `start`; None when it is damaged or torn."""
    record = next(whole_records(file, start, place_bytes), None)
    return record if record is not None and record.start == start else None


def write_whole(descriptor: int, data: bytes, end: int) -> None:
    """Write all of `data` at the file's `end`, in one system call, or nothing.

    Raises:
        OSError: disk full or gone. What was written is cut off; where even that fails it stays
            behind `end`, holds nothing, and is written over next time.
    """
    try:
        if os.pwrite(descriptor, data, end) == len(data):
            return
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def _checksum(place: bytes, frame: bytes) -> int:
    return zlib.crc32(frame, zlib.crc32(place))
