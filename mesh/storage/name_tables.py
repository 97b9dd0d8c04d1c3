"""The tables of run.sqlite about names: other forms of entries, pairs in doubt, what waits.

They are part of the collector's transactions (database.py); edits by hand are one each, made while
no collector runs. What is one entry is decided elsewhere (core.resolve, core.ledger, a person).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from mesh.core.entries import Found
from mesh.core.items import EntryId, LogId, NodeId

OPEN, DIFFERENT = "open", "different"
"""Verdicts on pairs in doubt."""
YOU = "you"
"""Who decided, where a person did."""


@dataclass(frozen=True, slots=True)
class OtherFormRow:
    """Another name of an accepted entry, or of an excluded one."""

    key: bytes
    text: str
    ordinal: int
    """Of the entry that stands for both; 0: excluded."""
    rule: str
    origin: bytes
    epoch: int
    seq: int
    call: int
    model: str
    facet: int
    t_s: float


@dataclass(frozen=True, slots=True)
class DoubtRow:
    """Two accepted entries that may be one."""

    ordinal: int
    other: int
    """The earlier one."""
    reason: str
    verdict: str = OPEN
    judge: str = ""


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A found entry that a judge is asked about."""

    log: LogId
    seq: int
    found: Found


@dataclass(frozen=True, slots=True)
class Merge:
    """Another form, for people."""

    text: str
    entry: str
    """That stands for it; "" where both are to be left out."""
    rule: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """A pair of entries, for people."""

    text: str
    other: str
    reason: str
    verdict: str
    judge: str


_other_form_of = attrgetter(*(column.name for column in fields(OtherFormRow)))
_doubt_of = attrgetter(*(column.name for column in fields(DoubtRow)))


def write(cursor: sqlite3.Cursor, query: str, rows: Sequence[Sequence[object]]) -> None:
    """Most batches have rows for few tables: a statement that writes nothing costs as much as a
    short one that does."""
    if rows:
        cursor.executemany(query, rows)


def store(
    cursor: sqlite3.Cursor,
    other_forms: Sequence[OtherFormRow],
    doubts: Sequence[DoubtRow],
    waiting: Sequence[WaitingRow],
    settled: Sequence[EntryId],
) -> None:
    """Write a batch's rows; `settled` wait no longer, or are among `waiting` anew."""
    write(
        cursor,
        "INSERT INTO other_forms VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_other_form_of(row) for row in other_forms],
    )
    write(
        cursor,
        "INSERT OR REPLACE INTO doubts VALUES (?, ?, ?, ?, ?)",
        [_doubt_of(row) for row in doubts],
    )
    write(
        cursor,
        "DELETE FROM waiting WHERE origin = ? AND epoch = ? AND seq = ?",
        [(entry.origin, entry.epoch, entry.seq) for entry in settled],
    )
    write(
        cursor,
        "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (*row.log, row.seq, f.text, f.call, f.model, f.facet)
            for row in waiting
            for f in (row.found,)
        ],
    )


class NameTables:
    """Reads them, and edits them by hand."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def other_forms(self) -> Iterator[tuple[str, int]]:
        """(text, ordinal of the entry that stands for it), in the order in which they came."""
        query = "SELECT text, ordinal FROM other_forms ORDER BY t_s, key"
        yield from self._connection.execute(query)

    def waiting(self) -> Iterator[WaitingRow]:
        """Found entries that had no verdict yet."""
        query = "SELECT origin, epoch, seq, text, call, model, facet FROM waiting"
        for origin, epoch, seq, *found in self._connection.execute(query):
            yield WaitingRow(LogId(NodeId(origin), epoch), seq, Found(*found))

    def counts(self) -> tuple[int, int, int]:
        """Other forms, pairs in doubt, pairs that were judged different."""
        query = """SELECT (SELECT count(*) FROM other_forms),
            (SELECT count(*) FROM doubts WHERE verdict = 'open'),
            (SELECT count(*) FROM doubts WHERE verdict = 'different')"""
        forms, open_count, different_count = self._connection.execute(query).fetchone()
        return forms, open_count, different_count

    def merges(self, limit: int, offset: int = 0) -> list[Merge]:
        """The latest first."""
        # Only those shown are looked up among the entries: pages ask every few seconds.
        query = """SELECT o.text, coalesce(i.text, ''), o.rule
            FROM (SELECT * FROM other_forms ORDER BY t_s DESC, key LIMIT ? OFFSET ?) o
            LEFT JOIN items i ON i.ordinal = o.ordinal ORDER BY o.t_s DESC, o.key"""
        return [Merge(*row) for row in self._connection.execute(query, (limit, offset))]

    def doubts(self, limit: int, offset: int = 0) -> list[Doubt]:
        """Open ones first, then the latest."""
        query = """SELECT a.text, b.text, d.reason, d.verdict, d.judge FROM doubts d
            JOIN items a ON a.ordinal = d.ordinal JOIN items b ON b.ordinal = d.other
            ORDER BY d.verdict != 'open', d.ordinal DESC, d.other LIMIT ? OFFSET ?"""
        return [Doubt(*row) for row in self._connection.execute(query, (limit, offset))]

    def take_apart(self, key: bytes, ordinal: int) -> None:
        """Make another form the entry number `ordinal`, which is one more than there are."""
        execute = self._connection.execute
        execute(
            """INSERT INTO items SELECT ?, key, text, origin, epoch, seq, call, model, facet, t_s
            FROM other_forms WHERE key = ?""",
            (ordinal, key),
        )
        execute(
            """INSERT OR REPLACE INTO doubts SELECT ?, ordinal, rule, 'different', ?
            FROM other_forms WHERE key = ? AND ordinal > 0""",
            (ordinal, YOU, key),
        )
        self._credit("SELECT model FROM other_forms WHERE key = ?", key, 1)
        execute("DELETE FROM other_forms WHERE key = ?", (key,))

    def merge(self, ordinal: int, into: int) -> None:
        """Make the entry `ordinal` another form of the entry `into`; those behind it move up."""
        execute = self._connection.execute
        self._credit("SELECT model FROM items WHERE ordinal = ?", ordinal, -1)
        execute(
            """INSERT INTO other_forms SELECT key, text, ?, ?, origin, epoch, seq, call, model,
            facet, t_s FROM items WHERE ordinal = ?""",
            (into, YOU, ordinal),
        )
        execute("UPDATE other_forms SET ordinal = ? WHERE ordinal = ?", (into, ordinal))
        execute("DELETE FROM doubts WHERE ordinal = ? OR other = ?", (ordinal, ordinal))
        execute("DELETE FROM items WHERE ordinal = ?", (ordinal,))
        for table, column in (
            *(("items", "ordinal"), ("other_forms", "ordinal")),
            *(("doubts", "ordinal"), ("doubts", "other")),
        ):
            # Below zero in between: a row must not meet the next one's number.
            behind = f"UPDATE {table} SET {column} = -{column} WHERE {column} > ?"  # noqa: S608
            moved = f"UPDATE {table} SET {column} = -{column} - 1 WHERE {column} < 0"  # noqa: S608
            execute(behind, (ordinal,))
            execute(moved)

    def keep_apart(self, ordinal: int, other: int) -> None:
        """Note that two entries are two."""
        pair = max(ordinal, other), min(ordinal, other)
        self._connection.execute(
            """INSERT INTO doubts VALUES (?, ?, '', 'different', ?)
            ON CONFLICT DO UPDATE SET verdict = 'different', judge = excluded.judge""",
            (*pair, YOU),
        )

    def _credit(self, model_query: str, parameter: object, unique: int) -> None:
        """Count an entry for its model, or a duplicate in its stead."""
        self._connection.execute(
            f"""UPDATE model_totals SET "unique" = "unique" + ?, duplicates = duplicates - ?
            WHERE model = ({model_query})""",  # noqa: S608 our own
            (unique, unique, parameter),
        )
