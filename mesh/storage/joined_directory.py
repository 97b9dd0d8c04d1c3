"""The directory of a machine that takes part in a run whose collector is elsewhere.

DIR/joined.json says which run, DIR/lock is held by the process in charge. It is never taken for a
run's own directory (run_directory.py), nor the reverse: two collectors of one run must not arise.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from mesh.core.topic_slug import topic_slug
from mesh.storage.node_log import write_json
from mesh.storage.run_directory import (
    LOCK_FILE,
    RUNS_DIRECTORY,
    AlreadyLocked,
    DirectoryLock,
    ForeignDirectory,
    RunGoesOn,
    UnwritableRunDirectory,
)

JOINED_FILE = "joined.json"
FORMAT_VERSION = 1
RUN_ID_DIGITS = 6
_LEFTOVERS = frozenset({LOCK_FILE, f"{JOINED_FILE}.part"})


@dataclass(slots=True)
class JoinedDirectory:
    """A directory that this process is now in charge of."""

    path: Path
    _lock: DirectoryLock = field(repr=False)

    def close(self) -> None:
        self._lock.close()


def default_joined_dir(topic: str, run_id: bytes) -> Path:
    """Example: `runs/joined/paris-attractions-0c5a1e`."""
    digits = run_id.hex()[:RUN_ID_DIGITS]
    return RUNS_DIRECTORY / "joined" / f"{topic_slug(topic)}-{digits}"


def open_joined(directory: Path, *, run_id: bytes, topic: str) -> JoinedDirectory:
    """Take charge of `directory`: go on in it, or begin where it is new or empty.

    Raises:
        RunDirectoryRefused: one of its subclasses.
    """
    try:
        _refuse_foreign(directory, run_id)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = DirectoryLock.acquire(directory)
    except AlreadyLocked as error:
        who = "another process" if error.process_id is None else f"process {error.process_id}"
        raise RunGoesOn(
            f"{who} has joined this run from {directory} already: for more producers stop it and "
            "give --peers, or choose another directory with --run-dir"
        ) from error
    except OSError as error:
        raise UnwritableRunDirectory(_unwritable(directory, error)) from error
    try:
        write_json(
            directory / JOINED_FILE,
            {"format_version": FORMAT_VERSION, "run_id": run_id.hex(), "topic": topic},
        )
    except OSError as error:
        lock.close()
        raise UnwritableRunDirectory(_unwritable(directory, error)) from error
    return JoinedDirectory(directory, lock)


def _refuse_foreign(directory: Path, run_id: bytes) -> None:
    """Raise ForeignDirectory unless it is of this run, is as good as empty, or does not exist."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ForeignDirectory(f"{directory} is no directory: choose another with --run-dir")
    path = directory / JOINED_FILE
    if path.exists():
        if _stored_run_id(path) != run_id.hex():
            raise ForeignDirectory(
                f"{directory} is of another run, or damaged: choose another with --run-dir"
            )
        return
    with contextlib.closing(directory.iterdir()) as entries:
        foreign = next((entry.name for entry in entries if entry.name not in _LEFTOVERS), None)
    if foreign is not None:
        raise ForeignDirectory(
            f"{directory} holds files of another kind ({foreign!r}): "
            "choose an empty or new directory with --run-dir"
        )


def _stored_run_id(path: Path) -> object:
    """The run id in the file; None when there is none to be read."""
    try:
        stored = json.loads(path.read_text("utf-8"))
    except ValueError:
        return None
    return stored.get("run_id") if isinstance(stored, dict) else None


def _unwritable(directory: Path, error: OSError) -> str:
    return (
        f"cannot use the directory {directory}: {error.strerror or error}; "
        "choose another with --run-dir"
    )
