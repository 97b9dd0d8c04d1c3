"""A run whose directory was restored from an old copy goes on: no item lost, no ordinal twice."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
from pathlib import Path

from tests.e2e.running import (
    Run,
    assert_nothing_lost_or_doubled,
    eventually,
    node_process,
    said_entries,
    start_run,
)


def test_a_collector_restored_from_an_old_copy_accepts_again_what_it_forgot(
    tmp_path: Path,
) -> None:
    first = start(tmp_path)
    eventually(lambda: len(first.lines()) > 30, "entries")
    keep_copy(first, tmp_path / "copy")
    copied_count = len(first.lines())
    eventually(lambda: len(first.lines()) > copied_count + 60, "more entries")
    collector = node_process(first, "collector")
    collector.kill()  # While producers live, and know what it had accepted.
    kill_all(first)
    restore_copy(first, tmp_path / "copy")
    before = len(first.lines())
    second = start(tmp_path)
    eventually(lambda: len(second.lines()) > before + 30, "the run to go on")
    second.signal_group()
    assert second.wait() == 0
    assert_nothing_lost_or_doubled(second)
    ordinals = [row[0] for row in second.query("SELECT ordinal FROM items ORDER BY ordinal")]
    assert ordinals == list(range(1, len(ordinals) + 1))


def test_a_producer_restored_from_an_old_copy_is_heard_in_a_later_epoch(tmp_path: Path) -> None:
    first = start(tmp_path)
    eventually(lambda: said_entries(first, "producer-1"), "entries of producer 1")
    source = first.run_dir / "nodes" / "producer-1"
    shutil.copytree(source, tmp_path / "copy", ignore=shutil.ignore_patterns("lock"))
    eventually(lambda: len(first.lines()) > 60, "more entries")
    first.signal_group()
    assert first.wait() == 0
    shutil.rmtree(source)
    shutil.copytree(tmp_path / "copy", source)
    before = first.lines()
    second = start(tmp_path)
    eventually(lambda: len(second.lines()) > len(before) + 30, "the run to go on")
    second.signal_group()
    assert second.wait() == 0
    assert second.lines()[: len(before)] == before
    assert_nothing_lost_or_doubled(second)


def start(directory: Path) -> Run:
    """A run that no bound ends while a test is busy with it."""
    options = ("--peers", "3", "--budget-usd", "none")
    return start_run(directory, "Cities of the world", *options, time_scale=3)


def kill_all(run: Run) -> None:
    os.kill(run.process.pid, signal.SIGKILL)
    for child in run.children():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
    run.wait()
    eventually(lambda: run.children() == [], "no process left")


def keep_copy(run: Run, copy: Path) -> None:
    """What a backup made while the run goes on would hold of the collector."""
    shutil.copytree(
        run.run_dir / "nodes" / "collector",
        copy / "collector",
        ignore=shutil.ignore_patterns("lock"),
    )
    with (
        contextlib.closing(sqlite3.connect(run.run_dir / "run.sqlite")) as source,
        contextlib.closing(sqlite3.connect(copy / "run.sqlite")) as target,
    ):
        source.backup(target)


def restore_copy(run: Run, copy: Path) -> None:
    for path in run.run_dir.glob("run.sqlite*"):
        path.unlink()
    shutil.copy(copy / "run.sqlite", run.run_dir / "run.sqlite")
    shutil.rmtree(run.run_dir / "nodes" / "collector")
    shutil.copytree(copy / "collector", run.run_dir / "nodes" / "collector")
