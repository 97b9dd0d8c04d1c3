"""The tables of run.sqlite about calls of models, and about the facets that they named.

They are part of the collector's transactions (database.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from operator import attrgetter

from mesh.core.accounts import CallRow
from mesh.core.entries import CallFinished, CallStarted, FacetProposed
from mesh.core.facet_ids import facet_id
from mesh.core.facets import FacetPlan
from mesh.core.items import LogId, NodeId
from mesh.storage.name_tables import write

_STARTED_COLUMNS = ("model", "asked_count", "facet", "purpose", "started_ms", "reserved_usd")
_FINISHED_COLUMNS = (
    *("call", "model", "outcome", "error", "found_count", "repeat_count"),
    *("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens"),
    *("reasoning_tokens", "estimated", "cost_usd", "latency_s", "first_token_s"),
)
_started_of = attrgetter(*_STARTED_COLUMNS)
_finished_of = attrgetter(*_FINISHED_COLUMNS)
_STARTED_SQL = """
    INSERT INTO calls (origin, epoch, seq, model, asked_count, facet, purpose, started_ms,
        reserved_usd)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET asked_count = excluded.asked_count, facet = excluded.facet,
        purpose = excluded.purpose, started_ms = excluded.started_ms,
        reserved_usd = excluded.reserved_usd, model = excluded.model"""
_FINISHED_SQL = """
    INSERT INTO calls (origin, epoch, seq, model, outcome, error, found_count, repeat_count,
        input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
        estimated, cost_usd, latency_s, first_token_s, ended)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
        (SELECT coalesce(max(ended), 0) + 1 FROM calls))
    ON CONFLICT DO UPDATE SET outcome = excluded.outcome, error = excluded.error,
        found_count = excluded.found_count, repeat_count = excluded.repeat_count,
        input_tokens = excluded.input_tokens, cached_input_tokens = excluded.cached_input_tokens,
        cache_write_tokens = excluded.cache_write_tokens,
        output_tokens = excluded.output_tokens, reasoning_tokens = excluded.reasoning_tokens,
        estimated = excluded.estimated, cost_usd = excluded.cost_usd,
        latency_s = excluded.latency_s, first_token_s = excluded.first_token_s,
        ended = excluded.ended"""


def store(
    cursor: sqlite3.Cursor,
    started: Sequence[tuple[LogId, int, CallStarted]],
    finished: Sequence[tuple[LogId, CallFinished]],
    facets: Sequence[tuple[LogId, int, FacetProposed]],
) -> None:
    """Write a batch's rows."""
    write(cursor, _STARTED_SQL, [(*log, seq, *_started_of(call)) for log, seq, call in started])
    write(cursor, _FINISHED_SQL, [(*log, *_finished_of(call)) for log, call in finished])
    write(
        cursor,
        "INSERT OR REPLACE INTO facets VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (facet_id(f.name), f.name, f.parent, f.model, f.call, log.origin, log.epoch, seq)
            for log, seq, f in facets
        ],
    )


class CallTables:
    """Reads them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def calls(self) -> Iterator[CallRow]:
        """Every call, of which start or end is known."""
        query = """SELECT origin, epoch, seq, model, started_ms IS NOT NULL, reserved_usd,
            outcome IS NOT NULL, cost_usd FROM calls"""
        for origin, epoch, seq, model, started, reserved, ended, cost in self._connection.execute(
            query
        ):
            log = LogId(NodeId(origin), epoch)
            yield CallRow(log, seq, model, bool(started), reserved, bool(ended), cost)

    def ended_calls(self) -> Iterator[tuple[str, str, str | None, float]]:
        """(model, outcome, error, seconds) of every call whose end is known, in the order in which
        that was taken in; of older runs in that in which they began."""
        order = "ended" if self._has_ended_column() else "started_ms"
        query = f"""SELECT model, outcome, error, latency_s FROM calls WHERE outcome IS NOT NULL
            ORDER BY {order}"""  # noqa: S608 one of ours
        yield from self._connection.execute(query)

    def _has_ended_column(self) -> bool:
        columns = self._connection.execute("SELECT name FROM pragma_table_info('calls')")
        return ("ended",) in columns.fetchall()

    def plan(self) -> FacetPlan:
        """The plan as it follows from all calls and the facets that they named."""
        plan = FacetPlan(holds_members=False)
        proposals = "SELECT origin, epoch, seq, name, parent, call, model FROM facets"
        for origin, epoch, seq, *proposed in self._connection.execute(proposals):
            plan.proposed(LogId(NodeId(origin), epoch), seq, FacetProposed(*proposed))
        started_columns = ", ".join(_STARTED_COLUMNS)
        finished_columns = ", ".join(_FINISHED_COLUMNS[1:])
        query = (
            f"SELECT origin, epoch, seq, {started_columns}, {finished_columns} FROM calls "  # noqa: S608
            "ORDER BY started_ms"
        )
        for origin, epoch, seq, *told in self._connection.execute(query):
            started = dict(zip(_STARTED_COLUMNS, told, strict=False))
            ended = dict(zip(_FINISHED_COLUMNS[1:], told[len(_STARTED_COLUMNS) :], strict=True))
            plan.restore_call(
                (LogId(NodeId(origin), epoch), seq),
                CallStarted(**started) if started["started_ms"] is not None else None,
                CallFinished(call=seq, **ended) if ended["outcome"] is not None else None,
            )
        return plan
