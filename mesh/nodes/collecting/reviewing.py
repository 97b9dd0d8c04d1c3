"""What a person changes in a list while nobody writes it: names taken apart, or made one.

An edit is said as the collector says everything: in its own log, in a new epoch that voids the
ordinals from the first line that changes and gives them anew. So every node learns of it at the
next start. run.sqlite comes first, then output.txt is replaced at once; should this process die
between the two, the next start of the run moves the old file aside and writes it anew.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh.config import MeshSettings
from mesh.core.entries import LogEntry, Merged
from mesh.core.items import LogId
from mesh.core.normalize import clean_text, item_key
from mesh.nodes.collecting.verdicts import list_anew
from mesh.nodes.peer.identity import node_keys
from mesh.storage.database import OwnFrame, RunDatabase
from mesh.storage.name_tables import YOU, NameTables
from mesh.storage.node_directory import NodeDirectory
from mesh.storage.output_file import rewrite
from mesh.storage.run_directory import DATABASE_FILE, DirectoryLock
from mesh.wire import codec

COLLECTOR_DIRECTORY = Path("nodes") / "collector"


class Refused(Exception):
    """An edit that cannot be made; the message says why."""


@dataclass(slots=True)
class Review:
    """A run that is open for edits: nobody else may start or edit it meanwhile."""

    run_id: bytes
    database: RunDatabase
    directory: NodeDirectory
    output: Path | None
    """None: the run has never said where it is."""
    moved_aside: Path | None = None
    """Where a file that stood in the output's place, and was not this run's, is now."""

    def take_apart(self, text: str) -> None:
        """Make another form an entry of its own: the last of the list.

        Raises:
            Refused: it is no other form of anything.
        """
        key = _key(text)
        if key not in {item_key(form) for form, _ in self.database.names.other_forms()}:
            raise Refused(f"'{text}' is no other form of an entry")
        ordinal = self._count() + 1
        self._edit(ordinal, lambda names: names.take_apart(key, ordinal))

    def merge(self, text: str, into: str) -> None:
        """Make an entry another form of another entry.

        Raises:
            Refused: one of them is no entry, or both are the same.
        """
        ordinal, other = self._ordinal(text), self._ordinal(into)
        if ordinal == other:
            raise Refused(f"'{text}' and '{into}' are one entry already")
        row = list(self.database.acceptances())[ordinal - 1]
        stands_at = other - (other > ordinal)
        merged = Merged(*row[1:4], stands_at, row[4], YOU)
        self._edit(ordinal, lambda names: names.merge(ordinal, other), merged)

    def keep_apart(self, text: str, other: str) -> None:
        """Note that two entries are two: nobody doubts it any more.

        Raises:
            Refused: one of them is no entry, or both are the same.
        """
        pair = self._ordinal(text), self._ordinal(other)
        if pair[0] == pair[1]:
            raise Refused(f"'{text}' and '{other}' are one entry")
        with self.database.transaction():
            self.database.names.keep_apart(*pair)

    def _edit(
        self, first_ordinal: int, change: Callable[[NameTables], None], *said: LogEntry
    ) -> None:
        """Change the tables, say the list anew from `first_ordinal` on, and write the output."""
        before = list(self.database.accepted_texts())
        with self.database.transaction():
            change(self.database.names)
            entries = [*list_anew(self.database, first_ordinal), *said]
            self.database.add_own_frames(self._frames(entries))
        if self.output is not None:
            moved = rewrite(self.output, before, self.database.accepted_texts())
            self.moved_aside = moved or self.moved_aside

    def _frames(self, entries: Sequence[LogEntry]) -> list[OwnFrame]:
        """A new epoch of the collector's log; signed where its node has a key to sign with."""
        directory = self.directory
        own_epochs = [epoch for epoch, _ in self.database.own_epochs()]
        directory.last_epoch = max([directory.last_epoch, *own_epochs])
        epoch = directory.open_epoch(time.time_ns() // 1_000_000)
        keys = node_keys(directory, MeshSettings(encrypted=bool(directory.secrets)))
        frames: list[OwnFrame] = []
        first_seq = 1
        for part in codec.frame_sized(entries):
            frame = codec.encode_entries(
                part,
                run_id=self.run_id,
                log=LogId(directory.origin, epoch),
                first_seq=first_seq,
                time_us=time.time_ns() // 1_000 + len(frames),
                sign=keys.signing.sign if keys else None,
            )
            frames.append(OwnFrame(epoch, first_seq, len(part), frame))
            first_seq += len(part)
        return frames

    def _count(self) -> int:
        return sum(1 for _ in self.database.accepted_keys())

    def _ordinal(self, text: str) -> int:
        """Of an entry that stands in the list."""
        key = _key(text)
        ordinal = self.database.ordinals_of([key]).get(key, 0)
        if not ordinal or key not in set(self.database.accepted_keys()):
            raise Refused(f"'{text}' is no entry of the list")
        return ordinal


@contextlib.contextmanager
def open_review(run_dir: Path, run_id: bytes) -> Iterator[Review]:
    """Open a run for edits.

    Raises:
        AlreadyLocked: the run goes on, or is being edited.
        UnusableDatabase, DamagedIdentity, OSError: it cannot be read or written.
    """
    with contextlib.ExitStack() as closing:
        lock = DirectoryLock.acquire(run_dir)
        closing.callback(lock.close)
        directory = NodeDirectory.open(run_dir / COLLECTOR_DIRECTORY)
        closing.callback(directory.close)
        database = RunDatabase.open(run_dir / DATABASE_FILE)
        closing.callback(database.close)
        output = database.meta().get("output")
        yield Review(run_id, database, directory, Path(os.fsdecode(output)) if output else None)


def _key(text: str) -> bytes:
    cleaned = clean_text(text)
    if cleaned is None:
        raise Refused(f"{text!r} cannot be an entry")
    return item_key(cleaned)
