"""Invariants that are checked at every step of a run; those of its end are in judging.py."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from mesh.core.items import LogId, NodeId
from mesh.core.seqset import SeqSet
from mesh.storage.database import Batch
from tests.simulation.disks import rows
from tests.simulation.surroundings import ScriptedProcess, Violation


@dataclass(slots=True)
class DatabaseWatch:
    """run.sqlite: accepted entries only grow, each key once, ordinals without holes; what is
    announced as durable is in it."""

    connection: sqlite3.Connection
    accepted: list[bytes] = field(default_factory=list)
    """Keys by ordinal - 1."""

    def restored(self, connection: sqlite3.Connection) -> None:
        """An old copy has taken the database's place."""
        self.connection = connection
        self.accepted = [
            key for (key,) in rows(connection, "SELECT key FROM items ORDER BY ordinal")
        ]

    def committed(self, batch: Batch) -> None:
        """A transaction is through."""
        before = len(self.accepted)
        query = "SELECT ordinal, key FROM items WHERE ordinal > ? ORDER BY ordinal"
        added = self.connection.execute(query, (before,)).fetchall()
        ordinals = [ordinal for ordinal, _ in added]
        expected = list(range(before + 1, before + 1 + len(batch.items)))
        if ordinals != expected:
            raise Violation("ordinals", f"{ordinals} were added where {expected} were due")
        count, distinct = rows(self.connection, "SELECT count(*), count(DISTINCT key) FROM items")[
            0
        ]
        if not count == distinct == before + len(added):
            raise Violation("accepted_once", f"{count} entries with {distinct} keys")
        self.accepted += [key for _, key in added]

    def told(self, durable: Mapping[LogId, int]) -> None:
        """Durable marks have been announced."""
        stored = {
            (origin, epoch): _upto(ranges)
            for origin, epoch, ranges in rows(self.connection, "SELECT * FROM taken_in")
        }
        for log, last_seq in durable.items():
            if last_seq and stored.get(log, 0) < last_seq:
                raise Violation("durable", f"{log} is announced as stored up to {last_seq}")


@lru_cache(maxsize=256)
def _upto(ranges: str) -> int:
    """The watermark of stored ranges. Most rows are as they were a step before."""
    return SeqSet.of_ranges(json.loads(ranges)).upto


def taken_in(connection: sqlite3.Connection) -> dict[LogId, SeqSet]:
    """Which entries of which log the database's facts contain."""
    return {
        LogId(NodeId(origin), epoch): SeqSet.of_ranges(json.loads(ranges))
        for origin, epoch, ranges in rows(connection, "SELECT * FROM taken_in")
    }


@dataclass(slots=True)
class ProcessWatch:
    """One process: what it has applied and what it knows only grow, and it has applied nothing
    twice."""

    process: ScriptedProcess
    applied_count: int = 0
    known_count: int = 0

    def look(self) -> None:
        node = self.process.node
        label = self.process.around.label
        known_count, _ = node.owner.known_summary()
        if node.replica.applied_count < self.applied_count or known_count < self.known_count:
            raise Violation("grows", f"{label} has applied or knows less than before")
        self.applied_count, self.known_count = node.replica.applied_count, known_count
