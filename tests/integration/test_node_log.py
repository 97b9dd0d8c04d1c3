"""A node's log on a real file system: what was written is read, whatever broke off the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mesh.storage.node_log import (
    FORMAT,
    INDEX_EVERY_RECORDS,
    LogReader,
    NodeLog,
    StoredFrame,
    UnreadableLog,
    log_path,
    stored_logs,
)
from tests.integration.scarcity import no_file_larger_than

ALL_BYTES = 1 << 20


def frame(first_seq: int, count: int = 1, size: int = 20) -> StoredFrame:
    return StoredFrame(first_seq, count, (b"%d+%d " % (first_seq, count)).ljust(size, b"."))


def write(path: Path, frames: list[StoredFrame]) -> NodeLog:
    log = NodeLog.create(path)
    for each in frames:
        log.append(each.frame, each.first_seq, each.count)
    log.sync()
    return log


FRAMES = [frame(1, 3), frame(4), frame(5, 6), frame(11, 2)]


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    log = write(tmp_path / "log", FRAMES)
    assert log.last_seq == 12
    log.close()
    reader = LogReader(tmp_path / "log")
    assert list(reader.new_frames()) == FRAMES
    assert reader.last_seq == 12
    assert list(reader.new_frames()) == []


def test_a_reader_sees_what_another_appends_meanwhile(tmp_path: Path) -> None:
    log = write(tmp_path / "log", FRAMES[:2])
    reader = LogReader(tmp_path / "log")
    assert list(reader.new_frames()) == FRAMES[:2]
    for each in FRAMES[2:]:
        log.append(each.frame, each.first_seq, each.count)
        assert list(reader.new_frames()) == [each]
    assert reader.read_range(1, 12, ALL_BYTES) == [each.frame for each in FRAMES]


def test_serving_a_range_takes_nothing_from_who_reads_the_log_through(tmp_path: Path) -> None:
    """One reader does both: a fetch answered meanwhile must not hide frames from its node."""
    log = write(tmp_path / "log", FRAMES[:2])
    reader = LogReader(tmp_path / "log")
    assert reader.refresh() == 4
    through = reader.new_frames()
    assert next(through) == FRAMES[0]
    for each in FRAMES[2:]:
        log.append(each.frame, each.first_seq, each.count)
    assert reader.read_range(5, 5, ALL_BYTES) == [FRAMES[2].frame]
    assert list(through) == FRAMES[1:]
    assert list(reader.new_frames()) == []
    assert reader.read_range(11, 11, ALL_BYTES) == [FRAMES[3].frame]


def test_a_log_broken_off_at_any_byte_ends_after_its_last_whole_frame(tmp_path: Path) -> None:
    write(tmp_path / "whole", FRAMES).close()
    content = (tmp_path / "whole").read_bytes()
    ends = [len(FORMAT)]
    for each in FRAMES:
        ends.append(ends[-1] + 20 + len(each.frame))
    assert ends[-1] == len(content)
    torn = tmp_path / "torn"
    for length in range(len(content) + 1):
        torn.write_bytes(content[:length])
        whole = sum(end <= length for end in ends[1:])
        reader = LogReader(torn)
        assert list(reader.new_frames()) == FRAMES[:whole]
        assert reader.last_seq == (FRAMES[whole - 1].last_seq if whole else 0)
        assert reader.read_range(1, 99, ALL_BYTES) == [each.frame for each in FRAMES[:whole]]


def test_a_reader_that_met_a_half_written_frame_gets_it_once_it_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "whole", FRAMES).close()
    content = (tmp_path / "whole").read_bytes()
    growing = tmp_path / "growing"
    reader = LogReader(growing)
    seen: list[StoredFrame] = []
    for length in range(0, len(content) + 1, 7):
        growing.write_bytes(content[:length])
        seen += reader.new_frames()
    growing.write_bytes(content)
    assert [*seen, *reader.new_frames()] == FRAMES


@pytest.mark.parametrize("place", [0, 4, 8, 16, 20, 39])
def test_a_damaged_record_ends_the_log_before_it(tmp_path: Path, place: int) -> None:
    """Its length, checksum, seq, count or frame."""
    write(tmp_path / "log", FRAMES).close()
    content = bytearray((tmp_path / "log").read_bytes())
    second_record = len(FORMAT) + 20 + len(FRAMES[0].frame)
    content[second_record + place] ^= 0x55
    (tmp_path / "log").write_bytes(content)
    assert list(LogReader(tmp_path / "log").new_frames()) == FRAMES[:1]


@pytest.mark.parametrize("content", [b"something else entirely", b"TMLOG\x00\x00\x02", b"x"])
def test_a_file_that_is_no_log_of_this_format_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(UnreadableLog, match="no log of format 1"):
        LogReader(tmp_path / "log").refresh()
    with pytest.raises(UnreadableLog):
        LogReader(tmp_path / "log").read_range(1, 1, ALL_BYTES)


def test_a_log_that_is_gone_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LogReader(tmp_path / "log").refresh()


@pytest.mark.parametrize(
    ("first_seq", "last_seq", "expected"),
    [
        (1, 12, FRAMES),
        (1, 1, FRAMES[:1]),
        (2, 3, FRAMES[:1]),
        (3, 4, FRAMES[:2]),
        (6, 7, FRAMES[2:3]),
        (10, 11, FRAMES[2:]),
        (12, 900, FRAMES[3:]),
        (13, 900, []),
    ],
)
def test_a_range_brings_the_frames_that_hold_any_of_it(
    tmp_path: Path, first_seq: int, last_seq: int, expected: list[StoredFrame]
) -> None:
    write(tmp_path / "log", FRAMES)
    frames = LogReader(tmp_path / "log").read_range(first_seq, last_seq, ALL_BYTES)
    assert frames == [each.frame for each in expected]


def test_a_range_stops_at_the_bytes_asked_for_but_brings_at_least_one_frame(
    tmp_path: Path,
) -> None:
    write(tmp_path / "log", [frame(seq, size=100) for seq in range(1, 11)])
    reader = LogReader(tmp_path / "log")
    assert [len(reader.read_range(1, 10, bytes_max)) for bytes_max in (1, 199, 200, 999)] == [
        1,
        1,
        2,
        9,
    ]


def test_every_range_of_a_long_log_is_found_through_its_sparse_index(tmp_path: Path) -> None:
    frames = [frame(1 + 2 * n, 2) for n in range(5 * INDEX_EVERY_RECORDS + 3)]
    write(tmp_path / "log", frames)
    reader = LogReader(tmp_path / "log")
    for seq in range(1, frames[-1].last_seq + 1):
        assert reader.read_range(seq, seq, ALL_BYTES) == [frames[(seq - 1) // 2].frame]


def test_an_empty_log_holds_nothing(tmp_path: Path) -> None:
    write(tmp_path / "log", [])
    reader = LogReader(tmp_path / "log")
    assert reader.refresh() == 0
    assert reader.read_range(1, 5, ALL_BYTES) == []


def test_a_log_is_never_begun_over_another(tmp_path: Path) -> None:
    write(tmp_path / "log", FRAMES)
    with pytest.raises(FileExistsError):
        NodeLog.create(tmp_path / "log")


def test_entries_out_of_their_order_are_our_own_bug(tmp_path: Path) -> None:
    log = write(tmp_path / "log", FRAMES[:1])
    with pytest.raises(AssertionError):
        log.append(b"frame", 5, 1)


def test_a_full_disk_refuses_the_frame_whole_and_the_log_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    log = write(tmp_path / "log", FRAMES[:2])
    size = (tmp_path / "log").stat().st_size
    for room_bytes in (0, 5, 25):
        with (
            no_file_larger_than(size + room_bytes),
            pytest.raises(OSError, match=r"File too large|no space left"),
        ):
            log.append(FRAMES[2].frame, 5, 6)
        assert (tmp_path / "log").stat().st_size == size
        assert log.last_seq == 4
    log.append(FRAMES[2].frame, 5, 6)
    assert list(LogReader(tmp_path / "log").new_frames()) == FRAMES[:3]


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from mesh.storage.node_log import NodeLog
log = NodeLog.create(Path(sys.argv[1]))
for seq in range(1, 101):
    log.append(b"frame %d" % seq, seq, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_nothing_that_it_appended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path)], timeout=60, check=False)
    assert [each.frame for each in LogReader(path).new_frames()] == [
        b"frame %d" % seq for seq in range(1, 101)
    ]


def test_only_its_owner_may_read_a_log(tmp_path: Path) -> None:
    write(tmp_path / "log", [])
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_the_logs_of_a_directory_are_found_by_their_epochs(tmp_path: Path) -> None:
    for epoch in (5, 12):
        write(log_path(tmp_path, epoch), FRAMES[: epoch % 4]).close()
    (tmp_path / "epoch-x.log").write_bytes(b"")
    (tmp_path / "node.json").write_bytes(b"{}")
    logs = stored_logs(tmp_path)
    assert sorted(logs) == [5, 12]
    assert logs[5].refresh() == 3
