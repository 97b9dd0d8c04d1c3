"""Other nodes' frames on a real disk: held once, found by their place, whatever breaks."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.items import LogId, NodeId
from mesh.storage.node_log import StoredFrame
from mesh.storage.spool import FORMAT, READ_AHEAD_BYTES, Spool
from tests.integration.scarcity import no_file_larger_than
from tests.patience import PATIENCE_S

ALL_BYTES = 1 << 20
OTTER = LogId(NodeId(b"otter".ljust(16, b".")), 1000)
OTTER_AGAIN = LogId(OTTER.origin, 2000)
HERON = LogId(NodeId(b"heron".ljust(16, b".")), 1000)
HEAD_BYTES = 44

Kept = tuple[LogId, StoredFrame]


def kept(log: LogId, first_seq: int, count: int = 1, size: int = 20) -> Kept:
    text = b"%s %d+%d " % (log.origin[:5], first_seq, count)
    return log, StoredFrame(first_seq, count, text.ljust(size, b"."))


def append(spool: Spool, *frames: Kept) -> None:
    for log, stored in frames:
        spool.append([(log, stored)])


def spool_of(path: Path, *frames: Kept) -> Spool:
    spool = Spool.open(path)
    append(spool, *frames)
    return spool


FRAMES = [
    kept(OTTER, 1, 3),
    kept(HERON, 1),
    kept(OTTER_AGAIN, 1, 2),
    kept(OTTER, 4),
    kept(HERON, 2, 200),
    kept(OTTER, 5, 6),
]


def test_the_frames_of_many_logs_are_told_apart(tmp_path: Path) -> None:
    spool = spool_of(tmp_path / "spool", *FRAMES)
    for log in (OTTER, OTTER_AGAIN, HERON):
        expected = [stored.frame for each, stored in FRAMES if each == log]
        assert spool.read_range(log, 1, 999, ALL_BYTES) == expected
    assert {log: seqs.ranges() for log, seqs in spool.logs().items()} == {
        OTTER: [(1, 10)],
        OTTER_AGAIN: [(1, 2)],
        HERON: [(1, 201)],
    }
    assert spool.read_range(LogId(HERON.origin, 2000), 1, 999, ALL_BYTES) == []


def test_a_spool_opened_again_holds_what_it_held(tmp_path: Path) -> None:
    spool_of(tmp_path / "spool", *FRAMES[:4]).close()
    spool = Spool.open(tmp_path / "spool")
    assert list(spool.frames()) == FRAMES[:4]
    append(spool, *FRAMES[4:])
    spool.close()
    again = Spool.open(tmp_path / "spool")
    assert list(again.frames()) == FRAMES
    assert again.read_range(OTTER, 4, 10, ALL_BYTES) == [FRAMES[3][1].frame, FRAMES[5][1].frame]


@pytest.mark.parametrize(
    ("first_seq", "last_seq", "expected"),
    [
        (1, 99, [2, 6, 20]),
        (1, 1, []),
        (1, 2, [2]),
        (4, 5, []),
        (4, 6, [6]),
        (3, 3, [2]),
        (5, 20, [6, 20]),
        (9, 19, [6]),
        (10, 10, []),
        (21, 99, [20]),
        (22, 99, []),
    ],
)
def test_a_range_brings_what_is_held_of_it_also_when_its_first_is_missing(
    tmp_path: Path, first_seq: int, last_seq: int, expected: list[int]
) -> None:
    """Held are 2..3, 6..9 and 20..21."""
    frames = {seq: kept(OTTER, seq, count) for seq, count in [(20, 2), (2, 2), (6, 4)]}
    spool = spool_of(tmp_path / "spool", *frames.values())
    found = spool.read_range(OTTER, first_seq, last_seq, ALL_BYTES)
    assert found == [frames[seq][1].frame for seq in expected]


def test_frames_that_came_in_any_order_are_served_by_their_seq(tmp_path: Path) -> None:
    frames = [kept(log, 1 + 3 * n, 3) for n in range(200) for log in (OTTER, HERON)]
    shuffled = random.Random(7).sample(frames, len(frames))
    spool = spool_of(tmp_path / "spool", *shuffled)
    assert list(spool.frames()) == shuffled
    for look in range(2):
        for log in (OTTER, HERON):
            in_order = [stored.frame for each, stored in frames if each == log]
            assert spool.read_range(log, 1, 600, ALL_BYTES) == in_order, look
            assert spool.read_range(log, 299, 301, ALL_BYTES) == in_order[99:101], look
        spool.close()
        spool = Spool.open(tmp_path / "spool")


def test_a_frame_that_is_held_already_is_not_stored_again(tmp_path: Path) -> None:
    spool = spool_of(tmp_path / "spool", *FRAMES)
    size = (tmp_path / "spool").stat().st_size
    append(spool, *FRAMES)
    assert (tmp_path / "spool").stat().st_size == size
    assert list(spool.frames()) == FRAMES


def test_a_frame_of_which_only_the_ends_are_held_is_stored(tmp_path: Path) -> None:
    packed = kept(OTTER, 1, 5)
    spool = spool_of(tmp_path / "spool", kept(OTTER, 1), kept(OTTER, 5), packed)
    assert spool.logs()[OTTER].ranges() == [(1, 5)]
    assert spool.read_range(OTTER, 3, 3, ALL_BYTES) == [packed[1].frame]


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 20)), max_size=25))
def test_of_frames_that_overlap_every_entry_is_found(places: list[tuple[int, int]]) -> None:
    with TemporaryDirectory() as directory:
        spool = spool_of(Path(directory) / "spool", *(kept(OTTER, *place) for place in places))
        for again in (False, True):
            if again:
                spool.close()
                spool = Spool.open(spool.path)
            for first, count in places:
                for seq in (first, first + count // 2, first + count - 1):
                    read = spool.read_range(OTTER, seq, seq, ALL_BYTES)
                    assert any(_has(frame, seq) for frame in read)
                    assert all(_has(frame, seq) for frame in read)
        spool.close()


def _has(frame: bytes, seq: int) -> bool:
    first, count = map(int, frame.split(b" ")[1].split(b"+"))
    return first <= seq < first + count


def test_a_reply_stops_at_the_bytes_asked_for_but_brings_at_least_one_frame(
    tmp_path: Path,
) -> None:
    spool = spool_of(tmp_path / "spool", *(kept(OTTER, seq, size=100) for seq in range(1, 11)))
    counts = [len(spool.read_range(OTTER, 1, 10, size)) for size in (1, 199, 200, 999, 1000)]
    assert counts == [1, 1, 2, 9, 10]


def test_frames_larger_than_what_is_read_ahead_are_read_whole(tmp_path: Path) -> None:
    frames = [kept(OTTER, seq, size=READ_AHEAD_BYTES * 2 + seq) for seq in range(1, 4)]
    spool = spool_of(tmp_path / "spool", *frames)
    assert spool.read_range(OTTER, 1, 3, ALL_BYTES) == [stored.frame for _, stored in frames]


def test_a_spool_broken_off_at_any_byte_ends_after_its_last_whole_frame(tmp_path: Path) -> None:
    spool_of(tmp_path / "whole", *FRAMES).close()
    content = (tmp_path / "whole").read_bytes()
    ends = [len(FORMAT)]
    for _, stored in FRAMES:
        ends.append(ends[-1] + HEAD_BYTES + len(stored.frame))
    assert ends[-1] == len(content)
    torn = tmp_path / "torn"
    for length in range(len(content) + 1):
        torn.write_bytes(content[:length])
        whole = sum(end <= length for end in ends[1:])
        spool = Spool.open(torn)
        assert list(spool.frames()) == FRAMES[:whole]
        assert torn.stat().st_size == ends[whole]
        append(spool, *FRAMES[whole:])
        spool.close()
        assert torn.read_bytes() == content


@pytest.mark.parametrize("place", [4, 8, 24, 32, 40, 44])
def test_a_damaged_frame_is_left_out_and_may_be_kept_again(tmp_path: Path, place: int) -> None:
    """Its checksum, origin, epoch, seq, count or frame."""
    spool = spool_of(tmp_path / "spool", *FRAMES)
    fourth = len(FORMAT) + sum(HEAD_BYTES + len(stored.frame) for _, stored in FRAMES[:3])
    content = bytearray((tmp_path / "spool").read_bytes())
    content[fourth + place] ^= 0x55
    (tmp_path / "spool").write_bytes(content)
    rest = [FRAMES[0][1].frame, FRAMES[5][1].frame]
    assert spool.read_range(OTTER, 1, 10, ALL_BYTES) == rest
    spool.close()
    again = Spool.open(tmp_path / "spool")
    assert list(again.frames()) == [*FRAMES[:3], *FRAMES[4:]]
    assert again.logs()[OTTER].ranges() == [(1, 3), (5, 10)]
    append(again, *FRAMES)
    assert list(again.frames()) == [*FRAMES[:3], *FRAMES[4:], FRAMES[3]]
    assert again.read_range(OTTER, 4, 4, ALL_BYTES) == [FRAMES[3][1].frame]


@pytest.mark.parametrize("content", [b"something else entirely", b"TMSPL\x00\x00\x02...", b"x"])
def test_a_file_of_another_format_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "spool").write_bytes(content)
    spool = spool_of(tmp_path / "spool", *FRAMES)
    assert list(spool.frames()) == FRAMES
    assert (tmp_path / "spool").read_bytes().startswith(FORMAT)


def test_a_full_disk_refuses_the_frame_whole_and_the_spool_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    spool = spool_of(tmp_path / "spool", *FRAMES[:3])
    size = (tmp_path / "spool").stat().st_size
    for room_bytes in (0, 5, 50):
        with (
            no_file_larger_than(size + room_bytes),
            pytest.raises(OSError, match=r"File too large|No space left"),
        ):
            append(spool, FRAMES[3])
        assert (tmp_path / "spool").stat().st_size == size
        assert 4 not in spool.logs()[OTTER]
        assert spool.read_range(OTTER, 1, 10, ALL_BYTES) == [FRAMES[0][1].frame]
    append(spool, *FRAMES[3:])
    assert list(spool.frames()) == FRAMES
    spool.close()
    assert list(Spool.open(tmp_path / "spool").frames()) == FRAMES


def test_of_frames_stored_together_all_are_held_or_none(tmp_path: Path) -> None:
    spool = spool_of(tmp_path / "spool", *FRAMES[:2])
    size = (tmp_path / "spool").stat().st_size
    room_for_one_more = size + HEAD_BYTES + 20
    with no_file_larger_than(room_for_one_more), pytest.raises(OSError, match=r"large|No space"):
        spool.append(FRAMES[2:])
    assert (tmp_path / "spool").stat().st_size == size
    assert list(spool.frames()) == FRAMES[:2]
    spool.append(FRAMES)
    for each in (spool, Spool.open(tmp_path / "spool")):
        assert list(each.frames()) == FRAMES
        assert each.read_range(OTTER, 4, 10, ALL_BYTES) == [FRAMES[3][1].frame, FRAMES[5][1].frame]


def test_a_spool_takes_no_more_than_it_may(tmp_path: Path) -> None:
    room_bytes = len(FORMAT) + 2 * (HEAD_BYTES + 20)
    spool = Spool.open(tmp_path / "spool", bytes_max=room_bytes)
    append(spool, *FRAMES[:2])
    with pytest.raises(OSError, match=f"holds all of its {room_bytes} bytes"):
        append(spool, FRAMES[2])
    assert list(spool.frames()) == FRAMES[:2]
    assert (tmp_path / "spool").stat().st_size == room_bytes


def test_frames_kept_while_the_spool_is_read_through_are_not_part_of_it(tmp_path: Path) -> None:
    spool = spool_of(tmp_path / "spool", *FRAMES[:2])
    through = spool.frames()
    assert next(through) == FRAMES[0]
    append(spool, *FRAMES[2:])
    assert spool.read_range(OTTER, 5, 5, ALL_BYTES) == [FRAMES[5][1].frame]
    assert list(through) == FRAMES[1:2]


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from mesh.core.items import LogId
from mesh.storage.node_log import StoredFrame
from mesh.storage.spool import Spool
spool = Spool.open(Path(sys.argv[1]))
for seq in range(1, 101):
    spool.append([(LogId(b"." * 16, 5), StoredFrame(seq, 1, b"frame %d" % seq))])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_has_kept_all_that_it_heard(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    subprocess.run(
        [sys.executable, "-c", KILLED_WRITER, str(path)], timeout=PATIENCE_S, check=False
    )
    assert [stored.frame for _, stored in Spool.open(path).frames()] == [
        b"frame %d" % seq for seq in range(1, 101)
    ]


def test_a_directory_in_the_spool_s_place_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        Spool.open(tmp_path)


def test_only_its_owner_may_read_a_spool(tmp_path: Path) -> None:
    spool_of(tmp_path / "spool").close()
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o600
