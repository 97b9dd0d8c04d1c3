"""Many small ENTRIES frames -> few large ones: what an origin serves of its own log.

A line of an answer is published as it comes, in a frame of its own. Who asks for ten thousand of
them later would check as many signatures; of frames that hold FRAME_ENTRIES_MAX entries each it
checks forty. Only the origin can make these, for it signs them; everyone else serves what it
heard, byte for byte. Bodies are msgpack arrays: their elements are put one after another as they
are. A frame that others would refuse stays alone, so that nothing is refused with it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from mesh.core.items import LogId
from mesh.wire import codec
from mesh.wire.codec import (
    ENTRIES_BYTES_MAX,
    FRAME_ENTRIES_MAX,
    BadFrame,
    FrameHeader,
    FrameKind,
    Sign,
)

_FIXARRAY, _FIXARRAY_MAX, _ARRAY16 = 0x90, 15, 0xDC
_ARRAY_HEADER_BYTES_MAX = 3


@dataclass(slots=True)
class _Batch:
    """Elements of successive entries of one log."""

    log: LogId
    first_seq: int
    time_us: int = 0
    count: int = 0
    size: int = 0
    elements: list[bytes] = field(default_factory=list)

    def takes(self, header: FrameHeader) -> bool:
        return (
            header.log == self.log
            and header.first_seq == self.first_seq + self.count
            and self.count + header.count <= FRAME_ENTRIES_MAX
            and self.size + header.body_bytes <= ENTRIES_BYTES_MAX - _ARRAY_HEADER_BYTES_MAX
        )

    def add(self, header: FrameHeader, elements: bytes) -> None:
        self.elements.append(elements)
        self.count += header.count
        self.size += len(elements)
        self.time_us = header.time_us

    def frame(self, run_id: bytes, sign: Sign | None) -> bytes:
        return codec.encode_frame(
            FrameKind.ENTRIES,
            b"".join([_array_header(self.count), *self.elements]),
            run_id=run_id,
            log=self.log,
            time_us=self.time_us,
            first_seq=self.first_seq,
            count=self.count,
            sign=sign,
        )


def repacked(frames: Sequence[bytes], *, run_id: bytes, sign: Sign | None) -> list[bytes]:
    """The entries of `frames`, in order, in as few frames as hold them.

    Args:
        frames: of one origin, as it made them.
        sign: that origin's; None in plaintext runs.
    """
    packed: list[bytes] = []
    if len(frames) < 2:
        return [*frames]  # Alone it would be made anew as it is.
    batch: _Batch | None = None
    for frame in frames:
        try:
            header = codec.decode_header(frame, run_id)
            elements = _elements(frame, header)
        except BadFrame:
            packed += _frames(batch, run_id, sign)
            packed.append(frame)
            batch = None
            continue
        if batch is None or not batch.takes(header):
            packed += _frames(batch, run_id, sign)
            batch = _Batch(header.log, header.first_seq)
        batch.add(header, elements)
    return packed + _frames(batch, run_id, sign)


def _frames(batch: _Batch | None, run_id: bytes, sign: Sign | None) -> list[bytes]:
    return [batch.frame(run_id, sign)] if batch is not None else []


def _elements(frame: bytes, header: FrameHeader) -> bytes:
    """What stands behind the array header of a frame's body; BadFrame as who takes it in."""
    if header.kind is not FrameKind.ENTRIES:
        raise BadFrame("kind", header.kind.name)
    codec.decode_entries(frame, header)
    array = _array_header(header.count)
    body = codec.frame_body(frame, header)
    if body[: len(array)] != array:
        raise BadFrame("entries", "an array header longer than need be")
    return body[len(array) :]


def _array_header(count: int) -> bytes:
    """As msgpack writes it, in the shortest form."""
    if count <= _FIXARRAY_MAX:
        return bytes([_FIXARRAY | count])
    return struct.pack(">BH", _ARRAY16, count)
