"""The directory of a machine that has joined a run, on a real file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mesh.storage.joined_directory import JOINED_FILE, default_joined_dir, open_joined
from mesh.storage.run_directory import ForeignDirectory, RunDirectoryRefused, RunGoesOn, open_run

RUN = bytes(range(16))


def test_each_run_has_a_directory_of_its_own() -> None:
    assert default_joined_dir("Paris attractions", RUN) == Path(
        "runs/joined/paris-attractions-000102"
    )


def test_a_directory_is_made_and_gone_on_in(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    for _ in range(2):
        open_joined(directory, run_id=RUN, topic="Birds").close()
    assert directory.stat().st_mode & 0o077 == 0, "others cannot look into it"


def test_it_is_in_use_by_one_process_at_a_time(tmp_path: Path) -> None:
    first = open_joined(tmp_path, run_id=RUN, topic="Birds")
    try:
        with pytest.raises(RunGoesOn, match=f"process {os.getpid()} has joined") as refusal:
            open_joined(tmp_path, run_id=RUN, topic="Birds")
    finally:
        first.close()
    assert refusal.value.exit_status == 1


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"run_id": "ff"}', "\x00"])
def test_another_runs_or_a_damaged_directory_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / JOINED_FILE).write_text(content)
    with pytest.raises(ForeignDirectory, match="of another run, or damaged"):
        open_joined(tmp_path, run_id=RUN, topic="Birds")


def test_a_runs_own_directory_is_refused_and_the_reverse(tmp_path: Path) -> None:
    """Two collectors of one run must not arise, nor logs of two runs in one directory."""
    own, joined = tmp_path / "own", tmp_path / "joined"
    open_run(own, topic="Birds", simulated=True, new=False, now_ms=1).close()
    with pytest.raises(ForeignDirectory, match="files of another kind"):
        open_joined(own, run_id=RUN, topic="Birds")
    open_joined(joined, run_id=RUN, topic="Birds").close()
    with pytest.raises(ForeignDirectory, match="belong to no run"):
        open_run(joined, topic="Birds", simulated=True, new=False, now_ms=1)


def test_what_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(ForeignDirectory, match="is no directory"):
        open_joined(path, run_id=RUN, topic="Birds")
    with pytest.raises(RunDirectoryRefused, match="cannot use the directory"):
        open_joined(path / "below", run_id=RUN, topic="Birds")


def test_a_start_that_was_killed_at_its_first_file_leaves_nothing_foreign(tmp_path: Path) -> None:
    (tmp_path / f"{JOINED_FILE}.part").write_text("{")
    open_joined(tmp_path, run_id=RUN, topic="Birds").close()
