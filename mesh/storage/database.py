"""run.sqlite: the collector's memory, one transaction for each batch of log entries.

Facts, the vector of what was taken in, and the collector's own log entries are committed
together, so that a crash leaves them agreeing. The schema is in schema.sql. Which entries are
new is decided elsewhere (core.ledger); this module stores and looks up. Calls block: the
collector makes them from one storage thread.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, fields
from importlib import resources
from operator import attrgetter
from pathlib import Path
from typing import Any

from mesh.core.accounts import AccountRow, CallRow
from mesh.core.entries import CallFinished, CallStarted, FacetProposed
from mesh.core.facets import FacetPlan
from mesh.core.items import EntryId, LogId, NodeId
from mesh.core.metrics import HistoryPoint, ModelCounts
from mesh.core.seqset import SeqSet
from mesh.storage import call_tables, name_tables
from mesh.storage.call_tables import CallTables
from mesh.storage.name_tables import DoubtRow, NameTables, OtherFormRow, WaitingRow, write
from mesh.storage.page_queries import PageQueries

FORMAT_VERSION = "4"
READABLE_VERSIONS = frozenset({"3", FORMAT_VERSION})
"""Runs of 0.4.0 are shown; the log that their collector would go on with is of another protocol."""
LOOK_UP_KEYS_MAX = 500
"""Keys in one SELECT, well below SQLite's bound on parameters."""


class UnusableDatabase(Exception):
    """run.sqlite is not ours, of another format, or cannot be opened."""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One accepted entry."""

    ordinal: int
    key: bytes
    text: str
    origin: bytes
    epoch: int
    seq: int
    call: int
    model: str
    t_s: float
    facet: int = 0


@dataclass(frozen=True, slots=True)
class OwnFrame:
    """A frame of the collector's own log."""

    epoch: int
    first_seq: int
    count: int
    frame: bytes


@dataclass(slots=True)
class Batch:
    """What one transaction stores."""

    items: list[ItemRow] = field(default_factory=list)
    other_forms: list[OtherFormRow] = field(default_factory=list)
    doubts: list[DoubtRow] = field(default_factory=list)
    waiting: list[WaitingRow] = field(default_factory=list)
    settled: list[EntryId] = field(default_factory=list)
    """Entries that wait no longer, or are among `waiting` anew."""
    excluded: list[tuple[bytes, str]] = field(default_factory=list)
    calls_started: list[tuple[LogId, int, CallStarted]] = field(default_factory=list)
    calls_finished: list[tuple[LogId, CallFinished]] = field(default_factory=list)
    facets: list[tuple[LogId, int, FacetProposed]] = field(default_factory=list)
    accounts: list[AccountRow] = field(default_factory=list)
    taken_in: dict[LogId, list[tuple[int, int]]] = field(default_factory=dict)
    model_totals: dict[str, ModelCounts] = field(default_factory=dict)
    own_frames: list[OwnFrame] = field(default_factory=list)
    history: list[HistoryPoint] = field(default_factory=list)
    nodes: list[tuple[NodeId, str]] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)


_totals_of = attrgetter(*(column.name for column in fields(ModelCounts)))
_TOTAL_COLUMNS = ", ".join(f'"{column.name}"' for column in fields(ModelCounts))
_account_of = attrgetter(*(column.name for column in fields(AccountRow)))


class RunDatabase:
    """One open run.sqlite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.names = NameTables(connection)
        self.pages = PageQueries(connection)
        self._calls = CallTables(connection)

    @classmethod
    def open(cls, path: Path) -> RunDatabase:
        """Open for writing, made new where there is none.

        Raises:
            UnusableDatabase: damaged, of another format, or the directory is not writable.
        """
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA busy_timeout = 2000")
            connection.execute("PRAGMA cache_size = -65536")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
            path.chmod(0o600)
            database = cls(connection)
            database._prepare(path)
        except (sqlite3.Error, OSError) as error:
            raise UnusableDatabase(f"cannot use {path}: {error}") from error
        return database

    @classmethod
    def open_read_only(cls, path: Path) -> RunDatabase:
        """Open an existing run for reading, also while it goes on.

        Raises:
            UnusableDatabase: there is none, or it is damaged or of another format.
        """
        try:
            connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False
            )
            database = cls(connection)
            database._check_format(path, READABLE_VERSIONS)
        except sqlite3.Error as error:
            raise UnusableDatabase(f"cannot read {path}: {error}") from error
        return database

    def close(self) -> None:
        self._connection.close()

    def commit(self, batch: Batch) -> None:
        """Store a batch, all or nothing, durable when this returns.

        Raises:
            sqlite3.Error: disk full, locked, damaged: nothing of the batch is stored.
        """
        with self.transaction() as cursor:
            self._store(cursor, batch)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """What is done meanwhile is done whole, and durable at the end, or not at all.

        Raises:
            sqlite3.Error: as `commit`.
        """
        cursor = self._connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                cursor.execute("ROLLBACK")
            raise

    def add_own_frames(self, frames: Sequence[OwnFrame]) -> None:
        """Append to the collector's own log, within a transaction."""
        self._connection.executemany("INSERT INTO own_log VALUES (?, ?, ?, ?)", _own_rows(frames))

    def ordinals_of(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Of those keys that are stored the ordinals of their entries; 0 for excluded ones."""
        found: dict[bytes, int] = {}
        for start in range(0, len(keys), LOOK_UP_KEYS_MAX):
            part = keys[start : start + LOOK_UP_KEYS_MAX]
            marks = ",".join("?" * len(part))
            for query in (
                f"SELECT key, ordinal FROM items WHERE key IN ({marks})",  # noqa: S608 only marks
                f"SELECT key, ordinal FROM other_forms WHERE key IN ({marks})",  # noqa: S608
                f"SELECT key, 0 FROM excluded WHERE key IN ({marks})",  # noqa: S608 only marks
            ):
                found.update(self._connection.execute(query, part))
        return found

    def accepted_keys(self) -> Iterator[bytes]:
        return (row[0] for row in self._connection.execute("SELECT key FROM items"))

    def beside_keys(self) -> Iterator[bytes]:
        """Keys that are known and in no list: excluded ones, and other forms of what is listed."""
        query = "SELECT key FROM excluded UNION ALL SELECT key FROM other_forms"
        return (row[0] for row in self._connection.execute(query))

    def excluded_texts(self, limit: int) -> Iterator[str]:
        query = "SELECT text FROM excluded ORDER BY key LIMIT ?"
        return (row[0] for row in self._connection.execute(query, (limit,)))

    def accepted_texts(self, after: int = 0) -> Iterator[str]:
        """Texts with ordinal > `after`, in order of ordinal."""
        query = "SELECT text FROM items WHERE ordinal > ? ORDER BY ordinal"
        return (row[0] for row in self._connection.execute(query, (after,)))

    def acceptances(self) -> Iterator[tuple[int, bytes, int, int, str, int]]:
        """(ordinal, origin, epoch, seq, text, facet) of every accepted entry, in order of
        ordinal."""
        query = "SELECT ordinal, origin, epoch, seq, text, facet FROM items ORDER BY ordinal"
        yield from self._connection.execute(query)

    def model_totals(self) -> dict[str, ModelCounts]:
        query = f"SELECT model, {_TOTAL_COLUMNS} FROM model_totals"  # noqa: S608 our own columns
        return {row[0]: ModelCounts(*row[1:]) for row in self._connection.execute(query)}

    def calls(self) -> Iterator[CallRow]:
        """Every call, of which start or end is known."""
        return self._calls.calls()

    def ended_calls(self) -> Iterator[tuple[str, str, str | None, float]]:
        """(model, outcome, error, seconds) of calls whose end is known, the earliest first."""
        return self._calls.ended_calls()

    def plan(self) -> FacetPlan:
        """The plan as it follows from all calls and the facets that they named."""
        return self._calls.plan()

    def accounts(self) -> Iterator[AccountRow]:
        """What each producer may spend."""
        return (AccountRow(*row) for row in self._connection.execute("SELECT * FROM accounts"))

    def recent_unique(self, since_t_s: float) -> list[tuple[float, str, int]]:
        """(t_s, model, count) of the entries accepted since then, in order."""
        query = """SELECT t_s, model, count(*) FROM items WHERE ordinal > (SELECT
            coalesce(max(ordinal), 0) - 200000 FROM items) AND t_s > ?
            GROUP BY t_s, model ORDER BY t_s"""
        return list(self._connection.execute(query, (since_t_s,)))

    def taken_in(self) -> dict[LogId, SeqSet]:
        rows = self._connection.execute("SELECT origin, epoch, ranges FROM taken_in")
        return {
            LogId(NodeId(origin), epoch): SeqSet.of_ranges(json.loads(ranges))
            for origin, epoch, ranges in rows
        }

    def history(self) -> list[HistoryPoint]:
        rows = self._connection.execute("SELECT point FROM history ORDER BY t_s")
        return [HistoryPoint(**json.loads(row[0])) for row in rows]

    def labels(self) -> dict[NodeId, str]:
        """What those who took part are called."""
        rows = self._connection.execute("SELECT origin, label FROM nodes")
        return {NodeId(origin): label for origin, label in rows}

    def meta(self) -> dict[str, str]:
        return dict(self._connection.execute("SELECT name, value FROM meta"))

    def own_epochs(self) -> list[tuple[int, int]]:
        """(epoch, last seq) of the collector's own logs."""
        query = "SELECT epoch, max(first_seq + count - 1) FROM own_log GROUP BY epoch"
        return list(self._connection.execute(query))

    def own_frames(self, epoch: int, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        """Frames that hold any of first_seq..last_seq, at most `bytes_max` but at least one."""
        rows = self._connection.execute(
            """SELECT frame FROM own_log WHERE epoch = ? AND first_seq <= ? AND first_seq >=
               coalesce((SELECT max(first_seq) FROM own_log WHERE epoch = ? AND first_seq <= ?), 0)
               AND first_seq + count > ? ORDER BY first_seq""",
            (epoch, last_seq, epoch, first_seq, first_seq),
        )
        frames: list[bytes] = []
        size = 0
        for (frame,) in rows:
            size += len(frame)
            if frames and size > bytes_max:
                break
            frames.append(frame)
        return frames

    def _prepare(self, path: Path) -> None:
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables:
            self._check_format(path, {FORMAT_VERSION})
            return
        schema = resources.files("mesh.storage").joinpath("schema.sql").read_text("utf-8")
        version = f"INSERT INTO meta VALUES ('format_version', '{FORMAT_VERSION}');"  # noqa: S608
        self._connection.executescript(f"BEGIN; {schema} {version} COMMIT;")

    def _check_format(self, path: Path, usable: Set[str | None]) -> None:
        version = self.meta().get("format_version")
        if version not in usable:
            raise UnusableDatabase(
                f"{path} has format {version}, this version reads {FORMAT_VERSION}: "
                "continue it with the version that wrote it, or start with --new"
            )

    def _store(self, cursor: sqlite3.Cursor, batch: Batch) -> None:
        write(
            cursor,
            "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    i.ordinal,
                    i.key,
                    i.text,
                    i.origin,
                    i.epoch,
                    i.seq,
                    i.call,
                    i.model,
                    i.facet,
                    i.t_s,
                )
                for i in batch.items
            ],
        )
        name_tables.store(cursor, batch.other_forms, batch.doubts, batch.waiting, batch.settled)
        write(cursor, "INSERT OR IGNORE INTO excluded VALUES (?, ?)", batch.excluded)
        call_tables.store(cursor, batch.calls_started, batch.calls_finished, batch.facets)
        write(
            cursor,
            "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?)",
            [_account_of(row) for row in batch.accounts],
        )
        self._store_progress(cursor, batch)

    def _store_progress(self, cursor: sqlite3.Cursor, batch: Batch) -> None:
        write(
            cursor,
            "INSERT OR REPLACE INTO taken_in VALUES (?, ?, ?)",
            [(log.origin, log.epoch, json.dumps(r)) for log, r in batch.taken_in.items()],
        )
        marks = ", ".join("?" * (1 + len(fields(ModelCounts))))
        write(
            cursor,
            f"INSERT OR REPLACE INTO model_totals (model, {_TOTAL_COLUMNS}) "  # noqa: S608
            f"VALUES ({marks})",
            [(model, *_totals_of(counts)) for model, counts in batch.model_totals.items()],
        )
        write(
            cursor,
            "INSERT INTO own_log VALUES (?, ?, ?, ?)",
            _own_rows(batch.own_frames),
        )
        write(
            cursor,
            "INSERT OR REPLACE INTO history VALUES (?, ?)",
            [(p.t_s, json.dumps(_point_json(p))) for p in batch.history],
        )
        write(cursor, "INSERT OR REPLACE INTO nodes VALUES (?, ?)", batch.nodes)
        write(cursor, "INSERT OR REPLACE INTO meta VALUES (?, ?)", [*batch.meta.items()])


def _point_json(point: HistoryPoint) -> Mapping[str, Any]:
    return {column.name: getattr(point, column.name) for column in fields(point)}


def _own_rows(frames: Sequence[OwnFrame]) -> list[tuple[int, int, int, bytes]]:
    return [(f.epoch, f.first_seq, f.count, f.frame) for f in frames]
