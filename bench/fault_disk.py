"""What the nodes of a run have on disk: what each has said, what each knows of the others.

An entry is written before it is told, and what is heard is written before it counts, so a run's
state can be read without asking anyone, also of nodes that are stopped, cut off or dead. Files
are read on from where the last look ended. Which state is right is not decided here.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mesh.core.entries import Found
from mesh.core.items import LogId, NodeId
from mesh.core.normalize import item_key
from mesh.core.seqset import SeqSet
from mesh.storage.node_directory import read_identity
from mesh.storage.node_log import LogReader, StoredFrame, UnreadableLog, stored_logs
from mesh.storage.records import whole_records
from mesh.storage.run_directory import DATABASE_FILE
from mesh.storage.spool import FORMAT as SPOOL_FORMAT
from mesh.storage.spool import SPOOL_FILE
from mesh.wire import codec

Positions = Mapping[LogId, int]
"""The last seq of each log."""
Held = Mapping[LogId, SeqSet]

_SPOOL_PLACE = struct.Struct(">16sQQI")
_RUN_ID_AT = slice(8, 24)


@dataclass(frozen=True, slots=True)
class Said:
    """One entry that a producer has found, as its log has it."""

    log: LogId
    seq: int
    key: bytes
    text: str
    time_s: float
    """Since 1970, on its producer's clock."""


@dataclass(slots=True)
class ProducerDisk:
    """One producer's directory."""

    directory: Path
    said: list[Said] = field(default_factory=list)
    """In the order of its logs."""
    _origin: NodeId | None = None
    _logs: dict[int, LogReader] = field(default_factory=dict)
    _spool_end: int = len(SPOOL_FORMAT)
    _held: defaultdict[LogId, SeqSet] = field(default_factory=lambda: defaultdict(SeqSet))

    def look(self) -> None:
        """Read what was added since the last look."""
        if self._origin is None:
            identity = read_identity(self.directory) if self.directory.is_dir() else None
            if identity is None:
                return
            self._origin = identity.origin
        for epoch, reader in stored_logs(self.directory).items():
            self._logs.setdefault(epoch, reader)
        for epoch, reader in sorted(self._logs.items()):
            log = LogId(self._origin, epoch)
            with contextlib.suppress(UnreadableLog):
                for stored in reader.new_frames():
                    self._held[log].add_range(stored.first_seq, stored.last_seq)
                    self.said += _found(log, stored)
        self._look_at_spool()

    @property
    def newest_epoch(self) -> int:
        """Of its latest start that got as far as its log; 0 before any."""
        return max(self._logs, default=0)

    @property
    def positions(self) -> Positions:
        """Its own logs."""
        if self._origin is None:
            return {}
        own = (LogId(self._origin, epoch) for epoch in self._logs)
        return {log: self._held[log].highest for log in own}

    @property
    def held(self) -> Held:
        """All that it has said and heard."""
        return self._held

    def _look_at_spool(self) -> None:
        with contextlib.suppress(FileNotFoundError), (self.directory / SPOOL_FILE).open("rb") as f:
            for record in whole_records(f, self._spool_end, _SPOOL_PLACE.size):
                origin, epoch, first_seq, count = _SPOOL_PLACE.unpack(record.place)
                log = LogId(NodeId(origin), epoch)
                self._held[log].add_range(first_seq, first_seq + count - 1)
                self._spool_end = record.end


@dataclass(slots=True)
class CollectorDisk:
    """run.sqlite, output.txt and the collector's directory."""

    run_dir: Path
    output: Path
    directory: Path
    _database: sqlite3.Connection | None = None

    @property
    def newest_epoch(self) -> int:
        """Of its latest start that got as far as its log; 0 before any."""
        return max((log.epoch for log in self.positions), default=0)

    @property
    def positions(self) -> Positions:
        """Its own logs: verdicts and control."""
        identity = read_identity(self.directory) if self.directory.is_dir() else None
        if identity is None:
            return {}
        found: dict[LogId, int] = {}
        below = 2**63 - 1
        # By the primary key alone: the table is long, and looked at often.
        newest = (
            "SELECT epoch, first_seq + count - 1 FROM own_log WHERE epoch < ? "
            "ORDER BY epoch DESC, first_seq DESC LIMIT 1"
        )
        while rows := self._query(newest, below):
            below, last_seq = rows[0]
            found[LogId(identity.origin, below)] = last_seq
        return found

    @property
    def held(self) -> Held:
        """What it has decided and stored."""
        rows = self._query("SELECT origin, epoch, ranges FROM taken_in")
        return {
            LogId(NodeId(origin), epoch): SeqSet.of_ranges(json.loads(ranges))
            for origin, epoch, ranges in rows
        }

    def accepted_count(self) -> int:
        rows = self._query("SELECT max(ordinal) FROM items")
        return int(rows[0][0] or 0) if rows else 0

    def accepted_texts(self) -> list[str]:
        """In order of ordinals; ordinals themselves must be 1, 2, 3, ..."""
        rows = self._query("SELECT ordinal, text FROM items ORDER BY ordinal")
        assert [ordinal for ordinal, _ in rows] == list(range(1, len(rows) + 1))
        return [text for _, text in rows]

    def output_lines(self) -> list[str]:
        if not self.output.exists():
            return []
        return self.output.read_text("utf-8").split("\n")[:-1]

    def output_count(self) -> int:
        return self.output.read_bytes().count(b"\n") if self.output.exists() else 0

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _query(self, sql: str, *arguments: int) -> list[Any]:
        """Rows; [] before there is a database with this table."""
        path = self.run_dir / DATABASE_FILE
        try:
            if self._database is None:
                self._database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
            return self._database.execute(sql, arguments).fetchall()
        except sqlite3.OperationalError:
            return []


def _found(log: LogId, stored: StoredFrame) -> Iterator[Said]:
    header = codec.decode_header(stored.frame, stored.frame[_RUN_ID_AT])
    for offset, entry in enumerate(codec.decode_entries(stored.frame, header)):
        if isinstance(entry, Found):
            seq, time_s = stored.first_seq + offset, header.time_us / 1e6
            yield Said(log, seq, item_key(entry.text), entry.text, time_s)
