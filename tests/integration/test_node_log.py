"""A node's log on a real file system: what was written is read, whatever broke off the rest."""

from __future__ import annotations

import struct
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
from mesh.storage.records import pack_record
from tests.integration.scarcity import no_file_larger_than
from tests.patience import PATIENCE_S

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


def damaged_log(path: Path, place: int) -> LogReader:
    """FRAMES with one byte of the second record changed."""
    write(path, FRAMES).close()
    content = bytearray(path.read_bytes())
    content[len(FORMAT) + 20 + len(FRAMES[0].frame) + place] ^= 0x55
    path.write_bytes(content)
    return LogReader(path)


@pytest.mark.parametrize("place", [4, 8, 16, 20, 39])
def test_a_damaged_record_is_a_hole_in_the_log(tmp_path: Path, place: int) -> None:
    """Its checksum, seq, count or frame: what follows it is as good as ever."""
    reader = damaged_log(tmp_path / "log", place)
    assert list(reader.new_frames()) == [FRAMES[0], *FRAMES[2:]]
    assert reader.held.ranges() == [(1, 3), (5, 12)]
    assert reader.read_range(4, 4, ALL_BYTES) == []
    assert reader.read_range(4, 6, ALL_BYTES) == [FRAMES[2].frame]
    assert reader.read_range(1, 99, 1) == [FRAMES[0].frame]


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_record_whose_length_is_damaged_ends_the_log_before_it(
    tmp_path: Path, place: int
) -> None:
    assert list(damaged_log(tmp_path / "log", place).new_frames()) == FRAMES[:1]


def test_a_log_goes_on_behind_a_damaged_record(tmp_path: Path) -> None:
    reader = damaged_log(tmp_path / "log", 20)
    assert reader.refresh() == 12
    later = StoredFrame(13, 1, b"later")
    with (tmp_path / "log").open("ab") as file:
        write(tmp_path / "other", [frame(1, 12), later]).close()
        file.write((tmp_path / "other").read_bytes()[-25:])
    assert reader.refresh() == 13
    assert list(reader.new_frames()) == [FRAMES[0], *FRAMES[2:], later]
    assert list(reader.new_frames()) == []


def test_zeros_that_a_power_cut_left_at_the_end_hold_nothing(tmp_path: Path) -> None:
    write(tmp_path / "log", FRAMES).close()
    with (tmp_path / "log").open("ab") as file:
        file.write(bytes(4096))
    reader = LogReader(tmp_path / "log")
    assert list(reader.new_frames()) == FRAMES
    assert reader.read_range(12, 99, ALL_BYTES) == [FRAMES[3].frame]


def test_a_record_placed_nowhere_is_passed_over(tmp_path: Path) -> None:
    """Whole by its checksum, but before the first entry, or of none."""
    path = tmp_path / "log"
    strange = [pack_record(struct.pack(">QI", *place), b"x") for place in [(0, 1), (7, 0)]]
    path.write_bytes(FORMAT + b"".join(strange))
    whole = pack_record(struct.pack(">QI", 1, 3), b"whole")
    with path.open("ab") as file:
        file.write(whole)
    reader = LogReader(path)
    assert reader.refresh() == 3
    assert reader.read_range(1, 99, ALL_BYTES) == [b"whole"]


def test_whether_entries_are_held_is_looked_up_again_only_when_they_were_not(
    tmp_path: Path,
) -> None:
    log = write(tmp_path / "log", FRAMES[:2])
    reader = LogReader(tmp_path / "log")
    assert reader.holds(1, 4)
    assert not reader.holds(4, 5)
    log.append(FRAMES[2].frame, 5, 6)
    assert reader.holds(4, 5)
    assert not reader.holds(10, 11)
    (tmp_path / "log").unlink()
    assert reader.holds(2, 10)


@pytest.mark.parametrize("content", [b"something else entirely", b"TMLOG\x00\x00\x02", b"x"])
def test_a_file_that_is_no_log_of_this_format_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(UnreadableLog, match="no log of format 1"):
        LogReader(tmp_path / "log").refresh()
    with pytest.raises(UnreadableLog):
        LogReader(tmp_path / "log").read_range(1, 1, ALL_BYTES)


def test_a_log_that_is_gone_is_an_os_error_until_it_is_there(tmp_path: Path) -> None:
    reader = LogReader(tmp_path / "log")
    with pytest.raises(FileNotFoundError):
        reader.refresh()
    write(tmp_path / "log", FRAMES)
    assert reader.refresh() == 12


def test_a_directory_in_a_log_s_place_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    reader = LogReader(tmp_path / "log")
    for look in (reader.refresh, lambda: reader.read_range(1, 1, 1), lambda: reader.holds(1, 1)):
        with pytest.raises(IsADirectoryError):
            look()


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
            pytest.raises(OSError, match=r"File too large|No space left"),
        ):
            log.append(FRAMES[2].frame, 5, 6)
        assert (tmp_path / "log").stat().st_size == size
        assert log.last_seq == 4
    log.append(FRAMES[2].frame, 5, 6)
    assert list(LogReader(tmp_path / "log").new_frames()) == FRAMES[:3]


def test_a_log_for_whose_head_there_is_no_room_is_not_left_behind(tmp_path: Path) -> None:
    for room_bytes in (0, 5):
        with (
            no_file_larger_than(room_bytes),
            pytest.raises(OSError, match=r"File too large|No space left"),
        ):
            NodeLog.create(tmp_path / "log")
        assert not (tmp_path / "log").exists()
    write(tmp_path / "log", FRAMES)


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
    subprocess.run(
        [sys.executable, "-c", KILLED_WRITER, str(path)], timeout=PATIENCE_S, check=False
    )
    assert [each.frame for each in LogReader(path).new_frames()] == [
        b"frame %d" % seq for seq in range(1, 101)
    ]


def test_only_its_owner_may_read_a_log(tmp_path: Path) -> None:
    write(tmp_path / "log", [])
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_the_logs_of_a_directory_are_found_by_their_epochs(tmp_path: Path) -> None:
    for epoch in (5, 12):
        write(log_path(tmp_path, epoch), FRAMES[: epoch % 4]).close()
    for name in ("x", "²", "", str(2**63)):
        (tmp_path / f"epoch-{name}.log").write_bytes(b"")
    (tmp_path / "node.json").write_bytes(b"{}")
    logs = stored_logs(tmp_path)
    assert sorted(logs) == [5, 12]
    assert logs[5].refresh() == 3
