"""Run directories and their locks, on a real file system with real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mesh.core.items import NodeId
from mesh.storage.node_directory import NodeDirectory
from mesh.storage.run_directory import (
    RUN_FILE,
    AlreadyLocked,
    DirectoryLock,
    ForeignDirectory,
    OpenedRun,
    OtherKindOfModels,
    OtherTopic,
    RunDirectoryRefused,
    RunGoesOn,
    RunIdentity,
    UnwritableRunDirectory,
    default_run_dir,
    open_run,
    read_run,
)

NOW_MS = 1_790_000_000_000

HOLDER = """
import sys, time
from pathlib import Path
from mesh.storage.run_directory import DirectoryLock
lock = DirectoryLock.acquire(Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(600)
"""


def start(
    directory: Path,
    *,
    topic: str = "Birds",
    simulated: bool = True,
    new: bool = False,
    now_ms: int = NOW_MS,
) -> OpenedRun:
    return open_run(directory, topic=topic, simulated=simulated, new=new, now_ms=now_ms)


def run_once(directory: Path, **options: bool | str | int) -> RunIdentity:
    """Open the run and let it go again."""
    run = start(directory, **options)  # type: ignore[arg-type]
    run.close()
    return run.identity


def test_a_first_start_makes_the_directory_and_says_that_the_run_is_new(tmp_path: Path) -> None:
    run = start(tmp_path / "runs" / "birds")
    try:
        assert not run.continuing
        assert run.moved_aside is None
        assert run.identity.topic == "Birds"
        assert run.identity.simulated
        assert run.identity.created_ms == NOW_MS
        assert len(run.identity.run_id) == 16
        assert read_run(run.directory) == run.identity
    finally:
        run.close()


def test_the_same_directory_continues_the_run_under_the_same_id(tmp_path: Path) -> None:
    first = run_once(tmp_path / "birds")
    again = start(tmp_path / "birds", now_ms=NOW_MS + 1)
    again.close()
    assert again.continuing
    assert again.identity == first


def test_a_topic_in_other_case_or_spacing_continues_with_its_first_spelling(
    tmp_path: Path,
) -> None:
    run_once(tmp_path, topic="Paris attractions")
    again = start(tmp_path, topic="paris  ATTRACTIONS")
    again.close()
    assert again.continuing
    assert again.identity.topic == "Paris attractions"


def test_two_runs_have_different_ids(tmp_path: Path) -> None:
    assert run_once(tmp_path / "a").run_id != run_once(tmp_path / "b").run_id


def test_only_the_owner_can_read_what_a_run_keeps(tmp_path: Path) -> None:
    run_once(tmp_path / "birds")
    assert (tmp_path / "birds").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "birds" / RUN_FILE).stat().st_mode & 0o777 == 0o600


def test_another_topic_is_refused_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    first = run_once(tmp_path, topic="Birds")
    with pytest.raises(OtherTopic, match=r"'Birds', not on 'Fish'.*--run-dir.*--new") as refusal:
        start(tmp_path, topic="Fish")
    assert refusal.value.exit_status == 2
    assert read_run(tmp_path) == first


@pytest.mark.parametrize("simulated", [True, False])
def test_real_and_simulated_models_do_not_continue_one_another(
    tmp_path: Path, simulated: bool
) -> None:
    run_once(tmp_path, simulated=simulated)
    with pytest.raises(OtherKindOfModels, match="--new") as refusal:
        start(tmp_path, simulated=not simulated)
    assert refusal.value.exit_status == 2


def test_a_refused_start_leaves_the_directory_free_for_the_next(tmp_path: Path) -> None:
    run_once(tmp_path)
    with pytest.raises(OtherTopic):
        start(tmp_path, topic="Fish")
    assert run_once(tmp_path).topic == "Birds"


def test_new_keeps_the_earlier_run_under_its_date_and_begins_another(tmp_path: Path) -> None:
    directory = tmp_path / "birds"
    first = run_once(directory)
    (directory / "run.sqlite").write_text("kept")
    run = start(directory, new=True, now_ms=NOW_MS + 1)
    run.close()
    assert not run.continuing
    assert run.identity.run_id != first.run_id
    assert run.moved_aside is not None
    assert re.fullmatch(r"birds-\d{4}-\d\d-\d\d-\d{6}", run.moved_aside.name)
    assert read_run(run.moved_aside) == first
    assert (run.moved_aside / "run.sqlite").read_text() == "kept"
    assert not (directory / "run.sqlite").exists()


def test_the_nodes_of_a_new_run_obey_nobody_of_the_earlier_one(tmp_path: Path) -> None:
    directory = tmp_path / "birds"
    run_once(directory)
    before = NodeDirectory.open(directory / "nodes" / "producer-1")
    before.collector = NodeId(b"c" * 16)
    before.save()
    before.close()
    run_once(directory, new=True)
    after = NodeDirectory.open(directory / "nodes" / "producer-1")
    after.close()
    assert after.collector is None
    assert after.origin != before.origin


def test_new_may_change_the_topic_and_the_kind_of_models(tmp_path: Path) -> None:
    run_once(tmp_path / "run", topic="Birds", simulated=True)
    identity = run_once(tmp_path / "run", topic="Fish", simulated=False, new=True)
    assert (identity.topic, identity.simulated) == ("Fish", False)


def test_new_twice_within_a_second_keeps_both_earlier_runs(tmp_path: Path) -> None:
    directory = tmp_path / "birds"
    identities = {run_once(directory).run_id}
    identities |= {run_once(directory, new=True).run_id for _ in range(2)}
    kept = {run.run_id for path in tmp_path.iterdir() if (run := read_run(path)) is not None}
    assert kept == identities


def test_new_in_an_empty_place_is_simply_a_new_run(tmp_path: Path) -> None:
    run = start(tmp_path / "birds", new=True)
    run.close()
    assert not run.continuing
    assert run.moved_aside is None


def test_a_run_that_was_moved_aside_can_be_continued_there(tmp_path: Path) -> None:
    first = run_once(tmp_path / "birds")
    moved = start(tmp_path / "birds", new=True)
    moved.close()
    assert moved.moved_aside is not None
    assert run_once(moved.moved_aside) == first


@pytest.mark.parametrize("new", [True, False])
def test_a_directory_with_files_of_others_is_refused_and_left_as_it_is(
    tmp_path: Path, new: bool
) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ForeignDirectory, match=r"thesis\.tex.*--run-dir"):
        start(tmp_path, new=new)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "birds").write_text("mine")
    with pytest.raises(ForeignDirectory, match="no directory"):
        start(tmp_path / "birds")


def test_a_start_that_was_killed_before_it_wrote_run_json_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("123\n")
    (tmp_path / "run.json.part").write_text('{"format_')
    run = start(tmp_path)
    run.close()
    assert not run.continuing


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"format_version": 1}',
        b'{"format_version": 1, "run_id": "00", "topic": "Birds", "simulated": true, '
        b'"created_ms": 1}',
    ],
)
@pytest.mark.parametrize("new", [True, False])
def test_a_damaged_run_json_is_refused_and_kept(tmp_path: Path, content: bytes, new: bool) -> None:
    (tmp_path / RUN_FILE).write_bytes(content)
    with pytest.raises(ForeignDirectory, match=r"run\.json is damaged or not ours"):
        start(tmp_path, new=new)
    assert (tmp_path / RUN_FILE).read_bytes() == content


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("topic", 7),
        ("topic", "Birds\x1b[2J"),
        ("simulated", "yes"),
        ("created_ms", 10**18),
        ("run_id", "not hexadecimal"),
    ],
)
def test_a_run_json_with_impossible_values_is_refused(
    tmp_path: Path, name: str, value: object
) -> None:
    run_once(tmp_path)
    stored = json.loads((tmp_path / RUN_FILE).read_text())
    (tmp_path / RUN_FILE).write_text(json.dumps(stored | {name: value}))
    with pytest.raises(ForeignDirectory, match="damaged or not ours"):
        start(tmp_path)


def test_a_run_of_another_format_is_refused_with_both_versions(tmp_path: Path) -> None:
    run_once(tmp_path)
    stored = json.loads((tmp_path / RUN_FILE).read_text())
    (tmp_path / RUN_FILE).write_text(json.dumps(stored | {"format_version": 2}))
    with pytest.raises(ForeignDirectory, match="format 2, this program knows format 1"):
        start(tmp_path)


def test_new_cannot_move_a_directory_that_is_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_once(tmp_path / "birds")
    monkeypatch.chdir(tmp_path / "birds")
    with pytest.raises(RunDirectoryRefused, match="name the directory itself"):
        start(Path(), new=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_is_refused_with_the_reason(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UnwritableRunDirectory, match=r"Permission denied.*--run-dir"):
            start(tmp_path / "birds")
    finally:
        tmp_path.chmod(0o700)


def test_a_directory_below_a_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnwritableRunDirectory, match="Not a directory") as refusal:
        start(tmp_path / "file" / "birds")
    assert refusal.value.exit_status == 1


def test_a_second_start_is_refused_with_the_process_that_is_at_it(tmp_path: Path) -> None:
    run = start(tmp_path)
    try:
        with pytest.raises(RunGoesOn, match=f"already going on in process {os.getpid()} "):
            start(tmp_path)
    finally:
        run.close()


def test_new_does_not_move_a_run_that_goes_on(tmp_path: Path) -> None:
    run = start(tmp_path / "birds")
    try:
        with pytest.raises(RunGoesOn):
            start(tmp_path / "birds", new=True)
        assert [path.name for path in tmp_path.iterdir()] == ["birds"]
    finally:
        run.close()


def test_a_lock_is_held_across_processes_and_falls_when_its_process_is_killed(
    tmp_path: Path,
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(AlreadyLocked) as refusal:
            DirectoryLock.acquire(tmp_path)
        assert refusal.value.process_id == holder.pid
    finally:
        holder.kill()
        holder.communicate()
    assert holder.returncode == -signal.SIGKILL
    DirectoryLock.acquire(tmp_path).close()


def test_a_program_that_is_started_meanwhile_does_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = DirectoryLock.acquire(tmp_path)
    with subprocess.Popen(["sleep", "600"], close_fds=False) as child:
        try:
            lock.close()
            DirectoryLock.acquire(tmp_path).close()
        finally:
            child.kill()


def test_a_forked_child_that_closes_its_copy_leaves_the_lock_to_its_parent(
    tmp_path: Path,
) -> None:
    lock = DirectoryLock.acquire(tmp_path)
    process_id = os.fork()
    if process_id == 0:
        lock.close()
        os._exit(0)
    assert os.waitpid(process_id, 0)[1] == 0
    with pytest.raises(AlreadyLocked):
        DirectoryLock.acquire(tmp_path)
    lock.close()
    DirectoryLock.acquire(tmp_path).close()


def test_a_forked_child_that_closed_its_copy_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = DirectoryLock.acquire(tmp_path)
    closed, tell = os.pipe()
    wait, done = os.pipe()
    process_id = os.fork()
    if process_id == 0:
        lock.close()
        os.close(done)
        os.write(tell, b"c")
        os.read(wait, 1)
        os._exit(0)
    try:
        assert os.read(closed, 1) == b"c"
        lock.close()
        DirectoryLock.acquire(tmp_path).close()
    finally:
        for descriptor in (closed, tell, wait, done):
            os.close(descriptor)
        os.waitpid(process_id, 0)


def test_closing_a_lock_again_does_nothing(tmp_path: Path) -> None:
    lock = DirectoryLock.acquire(tmp_path)
    lock.close()
    lock.close()
    DirectoryLock.acquire(tmp_path).close()


def test_the_default_directory_tells_topics_and_kinds_of_models_apart() -> None:
    paris = default_run_dir("Paris attractions", simulated=False)
    assert re.fullmatch(r"runs/paris-attractions-[0-9a-f]{6}", str(paris))
    simulated = default_run_dir("Paris attractions", simulated=True)
    assert simulated == Path("runs/simulated") / paris.name
    assert default_run_dir("Paris attractions!", simulated=False) != paris


def test_the_default_directory_is_the_same_for_the_same_topic_in_other_case() -> None:
    assert default_run_dir("PARIS Attractions", simulated=False) == default_run_dir(
        "paris attractions", simulated=False
    )


@pytest.mark.parametrize(
    ("topic", "pattern"),
    [
        ("東京の観光名所", r"topic-[0-9a-f]{6}"),
        ("../../etc/passwd", r"etc-passwd-[0-9a-f]{6}"),
        ("Musées & cafés", r"musees-cafes-[0-9a-f]{6}"),
        ("x" * 200, r"x{40}-[0-9a-f]{6}"),
    ],
)
def test_any_topic_makes_a_plain_directory_name(topic: str, pattern: str) -> None:
    path = default_run_dir(topic, simulated=False)
    assert path.parent == Path("runs")
    assert re.fullmatch(pattern, path.name)
