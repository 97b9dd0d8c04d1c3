"""A run's directory: which run it holds, whether a start continues it, and who is using it.

RUN_DIR/run.json says which run it is, RUN_DIR/lock is held by the process in charge. Decided
here is only whether a start may use a directory. What else stands in it (run.sqlite, nodes/) is
made by the nodes; which directory to use is the command line's choice.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from mesh.core.normalize import clean_text
from mesh.core.topic_slug import topic_slug
from mesh.storage.node_log import write_json

RUNS_DIRECTORY = Path("runs")
RUN_FILE = "run.json"
DATABASE_FILE = "run.sqlite"
LOCK_FILE = "lock"
FORMAT_VERSION = 1
RUN_ID_BYTES = 16
CREATED_MS_MAX = 253_402_300_799_999
"""The end of the year 9999, where dates end."""


"""What is longer is cut: the hash tells long topics apart."""
TOPIC_HASH_DIGITS = 6
LOCK_TRIES_MAX = 10
"""A lock is tried again only when the directory was moved away in between."""

_LEFTOVERS = frozenset({LOCK_FILE, f"{RUN_FILE}.part"})
"""All that a start leaves behind which was killed before it wrote run.json."""


class AlreadyLocked(Exception):
    """Another process uses the directory."""

    def __init__(self, directory: Path, process_id: int | None) -> None:
        holder = "another process" if process_id is None else f"process {process_id}"
        super().__init__(f"{directory} is in use by {holder}")
        self.process_id = process_id
        """None: the holder has not said it yet."""


class RunDirectoryRefused(Exception):
    """The start may not use the directory; the message is for the user and says what to do.

    The command line shows it and ends with `exit_status`.
    """

    exit_status = 2


class OtherTopic(RunDirectoryRefused):
    """It holds a run on another topic."""


class OtherKindOfModels(RunDirectoryRefused):
    """It holds a run of simulated models and the start has real ones, or the reverse."""


class ForeignDirectory(RunDirectoryRefused):
    """What is there is no run of ours, or of a format that this version does not know."""


class RunGoesOn(RunDirectoryRefused):
    """Another process is carrying this run out."""

    exit_status = 1


class UnwritableRunDirectory(RunDirectoryRefused):
    """It cannot be made or written: no permission, no space, no such file system."""

    exit_status = 1


@dataclass(slots=True)
class DirectoryLock:
    """Exclusive use of a directory until `close`, or until this process is gone, however it ends.

    Not passed on by exec. A forked child shares it and must `close` its copy, which does not
    release the parent's; while any copy is open the directory stays locked.
    """

    directory: Path
    _descriptor: int = field(repr=False)

    @classmethod
    def acquire(cls, directory: Path) -> DirectoryLock:
        """Lock `directory`, which exists, without waiting.

        Raises:
            AlreadyLocked: another process, or another lock of this one, holds it.
            OSError: the lock file cannot be made, or the file system knows no locks.
        """
        for _ in range(LOCK_TRIES_MAX):
            descriptor = os.open(
                directory / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600
            )
            try:
                _lock_open_file(descriptor, directory)
                if _is_file_at(descriptor, directory / LOCK_FILE):
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
                    return cls(directory, descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            # Whoever held it has moved the directory away: what was locked is not what is there.
            os.close(descriptor)
        raise AlreadyLocked(directory, None)

    def close(self) -> None:
        """Close this process's copy. Never unlocks for others that share it; may be repeated."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Which run a directory holds."""

    run_id: bytes
    """16 random bytes: nodes of different runs do not speak with one another."""
    topic: str
    simulated: bool
    """Whether all its models are simulated."""
    created_ms: int
    """ms since 1970."""


@dataclass(slots=True)
class OpenedRun:
    """A run that this process is now in charge of."""

    directory: Path
    identity: RunIdentity
    continuing: bool
    """The directory held this run already."""
    moved_aside: Path | None
    """Where an earlier run is now, which `new` made way for; None: there was none."""
    _lock: DirectoryLock = field(repr=False)

    def close(self) -> None:
        self._lock.close()


def default_run_dir(topic: str, *, simulated: bool) -> Path:
    """Where a run on `topic` is kept unless the user says otherwise.

    Example: `runs/paris-attractions-0c5a1e`, or `runs/simulated/paris-attractions-0c5a1e`.
    """
    digits = hashlib.sha256(_comparable(topic).encode()).hexdigest()[:TOPIC_HASH_DIGITS]
    parent = RUNS_DIRECTORY / "simulated" if simulated else RUNS_DIRECTORY
    return parent / f"{topic_slug(topic)}-{digits}"


def open_run(directory: Path, *, topic: str, simulated: bool, new: bool, now_ms: int) -> OpenedRun:
    """Take charge of the run in `directory`: continue it, or begin one where there is none.

    Args:
        directory: made, with its parents, where it does not exist.
        topic: clean (`clean_text`); case does not matter, a continued run keeps its first
            spelling.
        simulated: whether all models of this start are.
        new: begin afresh; a run that is there is renamed with its date, never deleted.
        now_ms: when a new run is created, ms since 1970.

    Raises:
        RunDirectoryRefused: one of its subclasses; nothing was changed, save that an empty
            directory may have been made.
    """
    try:
        return _open_run(directory, topic, simulated, new, now_ms)
    except AlreadyLocked as error:
        who = "another process" if error.process_id is None else f"process {error.process_id}"
        raise RunGoesOn(
            f"this run is already going on in {who} ({directory}): "
            "stop it there with Ctrl-C, or choose another directory with --run-dir"
        ) from error
    except OSError as error:
        raise UnwritableRunDirectory(
            f"cannot use the run directory {directory}: {error.strerror or error}; "
            "choose another with --run-dir"
        ) from error


def read_run(directory: Path) -> RunIdentity | None:
    """Which run `directory` holds; None when it holds nothing of ours, or does not exist.

    Raises:
        ForeignDirectory: run.json is not what this version writes.
        OSError: it cannot be read.
    """
    path = directory / RUN_FILE
    try:
        stored = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise ForeignDirectory(_unreadable(path)) from error
    if not isinstance(stored, dict) or "format_version" not in stored:
        raise ForeignDirectory(_unreadable(path))
    if stored["format_version"] != FORMAT_VERSION:
        raise ForeignDirectory(
            f"{path} is of format {stored['format_version']!r}, this program knows format "
            f"{FORMAT_VERSION}: use the version that wrote it, or another --run-dir"
        )
    try:
        identity = RunIdentity(
            bytes.fromhex(stored["run_id"]),
            stored["topic"],
            stored["simulated"],
            stored["created_ms"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ForeignDirectory(_unreadable(path)) from error
    if not _is_sound(identity):
        raise ForeignDirectory(_unreadable(path))
    return identity


def _open_run(directory: Path, topic: str, simulated: bool, new: bool, now_ms: int) -> OpenedRun:
    _refuse_foreign(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = DirectoryLock.acquire(directory)
    try:
        # Read under the lock: another start may have been here since the look above.
        identity = read_run(directory)
        moved_aside = None
        if identity is not None and new:
            moved_aside = _move_aside(directory, identity)
            # A lock stays with its file, which has moved; it is closed once ours is held.
            moved, lock = lock, _lock_afresh(directory)
            moved.close()
            identity = None
        if identity is not None:
            _refuse_other_run(directory, identity, topic, simulated)
            return OpenedRun(directory, identity, True, None, lock)
        identity = RunIdentity(secrets.token_bytes(RUN_ID_BYTES), topic, simulated, now_ms)
        _write_run(directory, identity)
        return OpenedRun(directory, identity, False, moved_aside, lock)
    except BaseException:
        lock.close()
        raise


def _refuse_foreign(directory: Path) -> None:
    """Raise ForeignDirectory unless it holds a run, is as good as empty, or does not exist."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ForeignDirectory(f"{directory} is no directory: choose another with --run-dir")
    if read_run(directory) is not None:
        return
    with contextlib.closing(directory.iterdir()) as entries:
        foreign = next((entry.name for entry in entries if entry.name not in _LEFTOVERS), None)
    if foreign is not None:
        raise ForeignDirectory(
            f"{directory} holds files that belong to no run ({foreign!r}): "
            "choose an empty or new directory with --run-dir"
        )


def _refuse_other_run(directory: Path, identity: RunIdentity, topic: str, simulated: bool) -> None:
    remedy = "choose another directory with --run-dir, or start afresh with --new"
    if _comparable(identity.topic) != _comparable(topic):
        raise OtherTopic(
            f"{directory} holds a run on '{identity.topic}', not on '{topic}': {remedy}"
        )
    if identity.simulated != simulated:
        kinds = ("simulated", "real") if identity.simulated else ("real", "simulated")
        raise OtherKindOfModels(
            f"{directory} holds a run of {kinds[0]} models, which {kinds[1]} ones cannot "
            f"continue: {remedy}"
        )


def _move_aside(directory: Path, identity: RunIdentity) -> Path:
    """Rename the directory after the day and time its run began; return the new name."""
    if directory.name in {"", ".."}:
        raise RunDirectoryRefused(
            f"--new cannot move {directory} aside: name the directory itself with --run-dir"
        )
    created = datetime.datetime.fromtimestamp(identity.created_ms / 1000, datetime.UTC)
    stem = f"{directory.name}-{created.astimezone():%Y-%m-%d-%H%M%S}"
    aside, number = directory.with_name(stem), 2
    while aside.exists():
        aside, number = directory.with_name(f"{stem}-{number}"), number + 1
    return directory.rename(aside)


def _lock_afresh(directory: Path) -> DirectoryLock:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return DirectoryLock.acquire(directory)


def _write_run(directory: Path, identity: RunIdentity) -> None:
    write_json(
        directory / RUN_FILE,
        {
            "format_version": FORMAT_VERSION,
            "run_id": identity.run_id.hex(),
            "topic": identity.topic,
            "simulated": identity.simulated,
            "created_ms": identity.created_ms,
        },
    )


def _is_sound(identity: RunIdentity) -> bool:
    """Whether what was read has the types and ranges that were written: JSON promises none."""
    return (
        len(identity.run_id) == RUN_ID_BYTES
        and isinstance(identity.topic, str)
        and clean_text(identity.topic) == identity.topic
        and isinstance(identity.simulated, bool)
        and isinstance(identity.created_ms, int)
        and 0 <= identity.created_ms <= CREATED_MS_MAX
    )


def _comparable(topic: str) -> str:
    return (clean_text(topic) or topic).casefold()


def _unreadable(path: Path) -> str:
    return f"{path} is damaged or not ours: choose another directory with --run-dir"


def _lock_open_file(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        digits = os.pread(descriptor, 20, 0).strip()
        raise AlreadyLocked(directory, int(digits) if digits.isdigit() else None) from error


def _is_file_at(descriptor: int, path: Path) -> bool:
    """Whether `path` still names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
