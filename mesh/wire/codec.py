"""Frames: bytes <-> header and body, with every limit checked before anything is believed.

A frame is the unit of log, publish and fetch: 72 bytes of header, a msgpack body, and, in
encrypted runs, the origin's 64-byte signature over both. A fetched frame is byte for byte the one
first published, so anyone may serve it and nobody can forge it, or one that the origin has packed
of these (repacking.py). Magic, version, kind and the
layout of JOIN and REFUSED stay as they are in every version, so that two versions can tell each
other apart. What a frame's body means is messages.py's and
core.entries'; whether its entries are new is core.replication's.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from mesh.core.entries import (
    Accepted,
    Found,
    Imported,
    JudgementAsked,
    LogEntry,
    Lost,
    Merged,
    Question,
    Repeat,
)
from mesh.core.items import LogId, NodeId
from mesh.core.normalize import ENTRY_BYTES_MAX, clean_text

MAGIC = b"TMSH"
PROTOCOL_VERSION = 5
FRAME_ENTRIES_MAX = 256
FRAME_BYTES_MAX = 256 * 1024
SIGNATURE_BYTES = 64
EPOCH_MAX = 2**63 - 1
"""The largest integer that a database holds."""

# magic, version, kind, signature bytes, run, origin, epoch, first seq, count, body bytes, time
_HEADER = struct.Struct(">4sBBH16s16sQQIIQ")
HEADER_BYTES = _HEADER.size
ENTRIES_BYTES_MAX = FRAME_BYTES_MAX - HEADER_BYTES - SIGNATURE_BYTES


class FrameKind(enum.IntEnum):
    """What a frame's body holds. Kinds below 16 travel on feeds, the others on services."""

    ENTRIES = 1
    HEARTBEAT = 2
    MEMBERS = 3
    DURABLE = 4
    GOODBYE = 5
    JOIN = 16
    WELCOME = 17
    REFUSED = 18
    FETCH = 19
    FETCHED = 20
    SWAP = 21
    SWAPPED = 22
    ASK_TERMS = 23
    TERMS = 24


_KINDS = {int(kind): kind for kind in FrameKind}


class BadFrame(Exception):
    """These bytes are no frame for us. `reason` is one of a few words, for counting."""

    def __init__(self, reason: str, detail: str = "") -> None:
        # The detail may quote a stranger, and ends in logs and before people.
        shown = "".join(each if each.isprintable() else "?" for each in detail)
        super().__init__(f"{reason}: {shown}" if shown else reason)
        self.reason = reason


@dataclass(slots=True)
class FrameHeader:
    """What stands before the body. For ENTRIES `first_seq` and `count` place the entries in
    their log; elsewhere they are 0. Nobody changes one.

    Not frozen: one is made of each frame that is taken in, and a frozen one takes three times as
    long to make.
    """

    kind: FrameKind
    run_id: bytes
    origin: NodeId
    epoch: int
    first_seq: int
    count: int
    time_us: int
    """When the origin made the frame, µs since 1970 on its own clock."""
    body_bytes: int
    signature_bytes: int = 0

    @property
    def log(self) -> LogId:
        return LogId(self.origin, self.epoch)

    @property
    def last_seq(self) -> int:
        return self.first_seq + self.count - 1


Sign = Callable[[bytes], bytes]
"""Returns the origin's signature, SIGNATURE_BYTES long, over what it is given."""

_entries_encoder = msgspec.msgpack.Encoder()
_entries_decoder = msgspec.msgpack.Decoder(list[LogEntry])


def encode_frame(
    kind: FrameKind,
    body: bytes,
    *,
    run_id: bytes,
    log: LogId,
    time_us: int,
    first_seq: int = 0,
    count: int = 0,
    sign: Sign | None = None,
) -> bytes:
    """Put a header before `body`, and the signature behind it where there is a key to sign with;
    ValueError when the whole exceeds FRAME_BYTES_MAX."""
    if HEADER_BYTES + len(body) + SIGNATURE_BYTES > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {len(body)} body bytes exceeds {FRAME_BYTES_MAX}")
    header = _HEADER.pack(
        MAGIC,
        PROTOCOL_VERSION,
        kind,
        SIGNATURE_BYTES if sign else 0,
        run_id,
        log.origin,
        log.epoch,
        first_seq,
        count,
        len(body),
        time_us,
    )
    return header + body + sign(header + body) if sign else header + body


def signed_part(frame: bytes, header: FrameHeader) -> bytes:
    """What a frame's signature is over."""
    return frame[: len(frame) - header.signature_bytes]


def signature_of(frame: bytes, header: FrameHeader) -> bytes:
    """The signature behind a frame's body; empty where there is none."""
    return frame[len(frame) - header.signature_bytes :] if header.signature_bytes else b""


def version_of(frame: bytes) -> int | None:
    """The protocol version that a frame of ours was made by, of whatever version; None: no frame
    of ours."""
    return frame[4] if len(frame) >= HEADER_BYTES and frame[:4] == MAGIC else None


def decode_header(frame: bytes, run_id: bytes) -> FrameHeader:
    """Read and check a frame's header.

    Raises:
        BadFrame: magic | version | run | size | kind | epoch. The caller counts it and drops
            the frame.
    """
    if len(frame) < HEADER_BYTES or frame[:4] != MAGIC:
        raise BadFrame("magic")
    if len(frame) > FRAME_BYTES_MAX:
        raise BadFrame("size", f"{len(frame)} bytes")
    _, version, kind, signature, run, origin, epoch, first_seq, count, body_bytes, time_us = (
        _HEADER.unpack_from(frame)
    )
    if version != PROTOCOL_VERSION:
        raise BadFrame("version", f"theirs {version}, ours {PROTOCOL_VERSION}")
    if run != run_id:
        raise BadFrame("run", run.hex())
    if signature not in (0, SIGNATURE_BYTES) or HEADER_BYTES + body_bytes + signature != len(frame):
        raise BadFrame("size", f"{len(frame)} bytes")
    known_kind = _KINDS.get(kind)
    if known_kind is None:
        raise BadFrame("kind", str(kind))
    if epoch > EPOCH_MAX:
        raise BadFrame("epoch", str(epoch))
    if known_kind is FrameKind.ENTRIES and not (
        0 < count <= FRAME_ENTRIES_MAX and 0 < first_seq < 2**62
    ):
        raise BadFrame("size", f"{count} entries from {first_seq}")
    return FrameHeader(
        known_kind, run, NodeId(origin), epoch, first_seq, count, time_us, body_bytes, signature
    )


def frame_body(frame: bytes, header: FrameHeader) -> bytes:
    """A copy: of most frames, which are small, a view takes longer to make."""
    return frame[HEADER_BYTES : HEADER_BYTES + header.body_bytes]


def encode_entries(
    entries: Sequence[LogEntry],
    *,
    run_id: bytes,
    log: LogId,
    first_seq: int,
    time_us: int,
    sign: Sign | None = None,
) -> bytes:
    """One ENTRIES frame of 1..FRAME_ENTRIES_MAX entries."""
    assert 0 < len(entries) <= FRAME_ENTRIES_MAX, len(entries)
    return encode_frame(
        FrameKind.ENTRIES,
        _entries_encoder.encode(entries),
        run_id=run_id,
        log=log,
        time_us=time_us,
        first_seq=first_seq,
        count=len(entries),
        sign=sign,
    )


def decode_entries(frame: bytes, header: FrameHeader) -> list[LogEntry]:
    """Read an ENTRIES frame's body; BadFrame `entries` when it is not what the header says."""
    try:
        entries = _entries_decoder.decode(frame_body(frame, header))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrame("entries", str(error)[:200]) from None
    if len(entries) != header.count:
        raise BadFrame("entries", f"{len(entries)} entries, {header.count} in the header")
    for entry in entries:
        if isinstance(entry, (Found, Accepted, Repeat, Imported, Merged)):
            is_clean = _is_clean(entry.text)
        elif isinstance(entry, JudgementAsked):
            is_clean = all(map(_are_clean, entry.questions))
        elif isinstance(entry, Lost):
            if not 1 <= entry.first_seq <= entry.last_seq:
                raise BadFrame("entries", f"lost {entry.first_seq}..{entry.last_seq}")
            continue
        else:
            continue
        if not is_clean:
            raise BadFrame("entries", "text that is not one clean line")
    return entries


def entries_size(entries: Sequence[LogEntry]) -> int:
    """Bytes that `entries` take in a body."""
    return len(_entries_encoder.encode(entries))


def frame_sized(entries: Sequence[LogEntry]) -> Iterator[Sequence[LogEntry]]:
    """Cut `entries` into parts that fit a frame each."""
    for start in range(0, len(entries), FRAME_ENTRIES_MAX):
        part = entries[start : start + FRAME_ENTRIES_MAX]
        if entries_size(part) <= ENTRIES_BYTES_MAX:
            yield part
        else:
            yield from ([entry] for entry in part)


def _are_clean(question: Question) -> bool:
    return all(map(_is_clean, (question.text, *question.candidates)))


def _is_clean(text: str) -> bool:
    # Printable ASCII, the usual case, needs no normalisation.
    if text.isascii() and text.isprintable() and text[0] != " " and text[-1] != " ":
        return "  " not in text
    return len(text.encode()) <= ENTRY_BYTES_MAX and clean_text(text) == text
