"""Few large frames say what many small ones said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core import entries as log
from mesh.core.entries import LogEntry
from mesh.core.items import LogId, NodeId
from mesh.wire import codec
from mesh.wire.codec import FRAME_ENTRIES_MAX, FrameKind
from mesh.wire.repacking import repacked
from mesh.wire.signing import SigningKey, is_signed

RUN = b"r" * 16
LOG = LogId(NodeId(b"o" * 16), 5)


def found(seq: int, length: int = 8) -> LogEntry:
    return log.Found(f"{seq:0{length}d}", 1, "openai:gpt")


def frame_of(first_seq: int, count: int, *, length: int = 8, log_id: LogId = LOG) -> bytes:
    entries = [found(seq, length) for seq in range(first_seq, first_seq + count)]
    return codec.encode_entries(entries, run_id=RUN, log=log_id, first_seq=first_seq, time_us=7)


def raw_frame(body: bytes) -> bytes:
    return codec.encode_frame(
        FrameKind.ENTRIES, body, run_id=RUN, log=LOG, time_us=1, first_seq=3, count=1
    )


HEADER = codec.decode_header(frame_of(3, 1), RUN)


def read(frames: list[bytes]) -> list[tuple[LogId, int, LogEntry]]:
    """All entries with their places, in order."""
    places = []
    for frame in frames:
        header = codec.decode_header(frame, RUN)
        entries = codec.decode_entries(frame, header)
        places += [(header.log, header.first_seq + n, entry) for n, entry in enumerate(entries)]
    return places


def test_lines_of_their_own_come_in_full_frames() -> None:
    small = [frame_of(seq, 1) for seq in range(1, 1001)]
    large = repacked(small, run_id=RUN, sign=None)
    assert read(large) == read(small)
    counts = [codec.decode_header(frame, RUN).count for frame in large]
    assert counts == [FRAME_ENTRIES_MAX] * 3 + [1000 - 3 * FRAME_ENTRIES_MAX]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40)), max_size=60))
def test_every_entry_keeps_its_place_whatever_is_missing(parts: list[tuple[int, int]]) -> None:
    frames, seq = [], 1
    for hole, count in parts:
        frames.append(frame_of(seq + hole, count))
        seq += hole + count
    assert read(repacked(frames, run_id=RUN, sign=None)) == read(frames)


def test_frames_of_two_starts_and_of_overlapping_places_stay_apart() -> None:
    later = LogId(LOG.origin, LOG.epoch + 1)
    frames = [frame_of(1, 3), frame_of(2, 3), frame_of(5, 2, log_id=later)]
    assert read(repacked(frames, run_id=RUN, sign=None)) == read(frames)


def test_no_frame_outgrows_its_bound() -> None:
    small = [frame_of(1 + 2 * n, 2, length=450) for n in range(400)]
    large = repacked(small, run_id=RUN, sign=None)
    assert read(large) == read(small)
    assert 1 < len(large) < len(small)
    assert max(map(len, large)) <= codec.FRAME_BYTES_MAX


def test_each_is_signed_by_its_origin() -> None:
    key = SigningKey.new()
    small = [frame_of(seq, 1) for seq in range(1, 400)]
    for frame in repacked(small, run_id=RUN, sign=key.sign):
        header = codec.decode_header(frame, RUN)
        signed, signature = codec.signed_part(frame, header), codec.signature_of(frame, header)
        assert is_signed(signed, signature, key.public_key)


@pytest.mark.parametrize(
    "refused",
    [
        b"TMSH",
        codec.encode_frame(FrameKind.HEARTBEAT, b"\x91", run_id=RUN, log=LOG, time_us=1),
        raw_frame(b"\x92"),
        raw_frame(b""),
        raw_frame(b"\xdc\x00\x01" + codec.frame_body(frame_of(3, 1), HEADER)[1:]),
        frame_of(3, 1)[:-1] + b"\xff",
    ],
)
def test_what_others_may_refuse_takes_nothing_with_it(refused: bytes) -> None:
    good = [frame_of(1, 1), frame_of(2, 1)], [frame_of(4, 1), frame_of(5, 1)]
    packed = repacked([*good[0], refused, *good[1]], run_id=RUN, sign=None)
    assert len(packed) == 3
    assert packed[1] == refused
    assert read([packed[0], packed[2]]) == read([*good[0], *good[1]])


def test_nothing_is_nothing() -> None:
    assert repacked([], run_id=RUN, sign=None) == []
