"""output.txt: the accepted entries, one a line, always equal to what run.sqlite holds.

The database is written first; this file follows it. On start it is brought in line: a torn or
missing end is completed, and a file that is no prefix of the run's entries belongs to somebody
else and is moved aside, never overwritten, truncated or appended to. While a run writes it, it is
locked: another run of the same directory, which writes output.txt there too, is refused.
"""

from __future__ import annotations

import datetime
import errno
import fcntl
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


class UnwritableOutput(Exception):
    """The output file cannot be written; the message says which and why."""


@dataclass(slots=True)
class OutputFile:
    """The output, open for appending."""

    path: Path
    moved_aside: Path | None
    """Where a file that was not this run's is now; None: there was none."""
    _file: BinaryIO
    _end: int

    @classmethod
    def open(cls, path: Path, accepted: Iterable[str]) -> OutputFile:
        """Bring `path` in line with the accepted texts, in order, and open it.

        Raises:
            UnwritableOutput: no permission, a directory, a full disk, another run's.
        """
        content = "".join(f"{text}\n" for text in accepted).encode()
        try:
            moved_aside = _move_foreign_file(path, content)
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
            file = os.fdopen(descriptor, "r+b", buffering=0)
            try:
                _lock(file)
                output = cls(path, moved_aside, file, 0)
                output._complete(content)
            except OSError:
                file.close()
                raise
        except BlockingIOError as error:
            raise UnwritableOutput(
                f"{path} is being written by another run: choose another with --output"
            ) from error
        except OSError as error:
            raise UnwritableOutput(
                f"cannot write {path}: {error.strerror or error}; choose another with --output"
            ) from error
        return output

    def append(self, texts: Sequence[str]) -> None:
        """Write more lines and make them durable.

        Raises:
            OSError: disk full or gone. The file ends where it did before.
        """
        block = "".join(f"{text}\n" for text in texts).encode()
        self._file.seek(self._end)
        try:
            self._write(block)
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(self._end)
            raise
        self._end += len(block)

    def close(self) -> None:
        self._file.close()

    def _complete(self, content: bytes) -> None:
        size = self._file.seek(0, os.SEEK_END)
        if size < len(content):
            self._file.seek(size)
            self._write(content[size:])
        os.fsync(self._file.fileno())
        self._end = len(content)

    def _write(self, block: bytes) -> None:
        view = memoryview(block)
        while view:
            view = view[self._file.write(view) :]


def rewrite(path: Path, before: Iterable[str], after: Iterable[str]) -> Path | None:
    """Put another list into `path` at once, where it held the texts `before`, or a part of them.

    Returns:
        where a file that was somebody else's is now; None: there was none.

    Raises:
        UnwritableOutput: no permission, a full disk, a run that is writing it.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        moved_aside = _move_foreign_file(path, "".join(f"{text}\n" for text in before).encode())
        with part.open("wb") as file:
            file.write("".join(f"{text}\n" for text in after).encode())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UnwritableOutput(f"cannot write {path}: {error.strerror or error}") from error
    return moved_aside


def _move_foreign_file(path: Path, content: bytes) -> Path | None:
    """Rename `path` unless it is a prefix of `content`; return its new name.

    Raises:
        BlockingIOError: a run is writing it.
    """
    try:
        with path.open("rb") as file:
            _lock(file)
            if content.startswith(file.read()):
                return None
            return _move_aside(path)
    except FileNotFoundError:
        return None


def _move_aside(path: Path) -> Path:
    modified = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC).astimezone()
    stem = f"{path.stem}-{modified:%Y-%m-%d-%H%M%S}"
    aside = path.with_name(f"{stem}{path.suffix}")
    number = 2
    while aside.exists():
        aside = path.with_name(f"{stem}-{number}{path.suffix}")
        number += 1
    path.rename(aside)
    return aside


def _lock(file: BinaryIO) -> None:
    """Keep other runs from writing this file until it is closed, where the file system can."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
            raise
