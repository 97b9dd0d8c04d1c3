"""output.txt follows the database, and nobody else's file is ever touched."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from mesh.storage.output_file import OutputFile, UnwritableOutput
from tests.integration.scarcity import no_file_larger_than

ACCEPTED = ["Louvre", "Musée d’Orsay", "東京"]
WHOLE = "Louvre\nMusée d’Orsay\n東京\n".encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output.txt"


def moved_aside(path: Path) -> Path:
    """Open over whatever stands at `path`; where that is now."""
    output = OutputFile.open(path, ACCEPTED)
    output.close()
    assert path.read_bytes() == WHOLE
    assert output.moved_aside is not None
    return output.moved_aside


def test_a_new_file_gets_every_accepted_entry_a_line(path: Path) -> None:
    output = OutputFile.open(path, ACCEPTED)
    assert path.read_bytes() == WHOLE
    assert output.moved_aside is None
    output.close()


@pytest.mark.parametrize("accepted", [[], ACCEPTED[:1], ACCEPTED, ["Eiffel Tower"]])
def test_a_file_that_another_run_is_writing_is_refused_and_left_to_it(
    path: Path, accepted: list[str]
) -> None:
    writing = OutputFile.open(path, ACCEPTED)
    with pytest.raises(UnwritableOutput, match=r"being written by another run.*--output"):
        OutputFile.open(path, accepted)
    writing.append(["C++"])
    writing.close()
    assert path.read_bytes() == WHOLE + b"C++\n"
    assert [each.name for each in path.parent.iterdir()] == ["output.txt"]


def test_a_file_is_free_once_its_run_has_closed_it(path: Path) -> None:
    OutputFile.open(path, ACCEPTED).close()
    OutputFile.open(path, ACCEPTED).close()
    assert path.read_bytes() == WHOLE


def test_more_lines_are_appended(path: Path) -> None:
    output = OutputFile.open(path, ACCEPTED)
    output.append(["C++", "São Paulo"])
    output.append([])
    output.append(["x"])
    assert path.read_bytes() == WHOLE + "C++\nSão Paulo\nx\n".encode()


def test_a_file_torn_at_any_byte_is_completed_in_place(path: Path) -> None:
    for length in range(len(WHOLE) + 1):
        path.write_bytes(WHOLE[:length])
        output = OutputFile.open(path, ACCEPTED)
        output.append(["more"])
        output.close()
        assert path.read_bytes() == WHOLE + b"more\n"
        assert output.moved_aside is None
    assert [each.name for each in path.parent.iterdir()] == ["output.txt"]


@pytest.mark.parametrize(
    "foreign",
    [
        b"my shopping list\n",
        WHOLE + b"one line more than the run has\n",
        WHOLE.replace(b"\n", b"\r\n"),
        WHOLE[:-1] + b" ",
        b"\xff\xfe no text",
    ],
)
def test_a_file_that_is_not_this_run_s_is_moved_aside_with_its_content_intact(
    path: Path, foreign: bytes
) -> None:
    path.write_bytes(foreign)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    aside = moved_aside(path)
    assert aside.read_bytes() == foreign
    assert re.fullmatch(r"output-2023-11-1[45]-\d{6}\.txt", aside.name)
    assert aside.stat().st_mtime == 1_700_000_000


def test_files_moved_aside_in_the_same_second_do_not_replace_one_another(path: Path) -> None:
    asides = []
    for content in (b"first", b"second", b"third"):
        path.write_bytes(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        asides.append(moved_aside(path))
    assert [aside.read_bytes() for aside in asides] == [b"first", b"second", b"third"]


def test_a_file_of_another_run_is_moved_aside_when_this_one_has_nothing_yet(path: Path) -> None:
    path.write_bytes(WHOLE)
    output = OutputFile.open(path, [])
    assert output.moved_aside is not None
    assert output.moved_aside.read_bytes() == WHOLE
    assert path.read_bytes() == b""


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    path = tmp_path / "lists" / "paris" / "output.txt"
    OutputFile.open(path, ACCEPTED).close()
    assert path.read_bytes() == WHOLE


def test_a_directory_in_the_file_s_place_is_said(path: Path) -> None:
    path.mkdir()
    with pytest.raises(UnwritableOutput, match=r"cannot write .*output\.txt: .*--output"):
        OutputFile.open(path, ACCEPTED)
    assert path.is_dir()


def test_a_file_in_the_directory_s_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnwritableOutput, match="--output"):
        OutputFile.open(tmp_path / "file" / "output.txt", ACCEPTED)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UnwritableOutput, match="Permission denied"):
        OutputFile.open(tmp_path / "output.txt", ACCEPTED)


def test_a_full_disk_when_opening_is_said(path: Path) -> None:
    with no_file_larger_than(4), pytest.raises(UnwritableOutput, match="--output"):
        OutputFile.open(path, ACCEPTED)
    OutputFile.open(path, ACCEPTED).close()
    assert path.read_bytes() == WHOLE


def test_a_full_disk_leaves_whole_lines_and_appending_goes_on_when_there_is_room(
    path: Path,
) -> None:
    output = OutputFile.open(path, ACCEPTED)
    for room_bytes in (0, 3):
        with (
            no_file_larger_than(len(WHOLE) + room_bytes),
            pytest.raises(OSError, match="File too large"),
        ):
            output.append(["Eiffel Tower", "Panthéon"])
        assert path.read_bytes() == WHOLE
    output.append(["Eiffel Tower", "Panthéon"])
    assert path.read_bytes() == WHOLE + "Eiffel Tower\nPanthéon\n".encode()
