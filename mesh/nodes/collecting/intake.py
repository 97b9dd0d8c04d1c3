"""Stores the collector's batches: one after another, each until it is on disk.

What a batch holds is verdicts.py's. A batch that cannot be stored is tried again, unchanged,
until there is room; meanwhile entries wait in the queue and in the producers' logs, and nothing
of the batch is told to anyone.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mesh.core.entries import LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.metrics import HistoryPoint
from mesh.nodes.collecting.meanings import Meanings
from mesh.nodes.collecting.verdicts import BatchUnderWay, VerdictDesk
from mesh.storage.database import Batch, RunDatabase
from mesh.storage.output_file import OutputFile

logger = logging.getLogger(__name__)

RETRY_S = 1.0
MEANINGS_BACKLOG_MAX = 1_000
"""With more entries waiting, names go by their letters: a small model embeds some 300 a second."""

A = TypeVar("A")
R = TypeVar("R")


@dataclass(slots=True)
class Intake:
    """The storage loop of one collector."""

    desk: VerdictDesk
    database: RunDatabase
    output: OutputFile
    storage_trouble: Callable[[str | None], None]
    """Told why nothing can be stored, and None when it goes on."""
    meanings: Meanings | None = None
    """None: names go by their letters alone."""
    is_ending: bool = False
    """The run ends: no entry waits for the embedding model any more."""
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="storage")
    )

    def add(self, log_id: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        """Queue entries that are new to this collector."""
        self.desk.add(log_id, first_seq, entries)
        self._wake()

    def open_epoch(self) -> None:
        """Queue what each epoch begins with: how many are accepted."""
        self.desk.open_epoch()
        self._wake()

    def hear_own_past(self, entries: Sequence[LogEntry]) -> None:
        """Take in what this collector said in an epoch that its database does not know of."""
        self.desk.hear_own_past(entries, self.database)
        self._wake()

    def recover(self, log_id: LogId, first_seq: int, last_seq: int) -> None:
        """Take in what is left of entries that are lost."""
        self.desk.recover(log_id, first_seq, last_seq)
        self._wake()

    def say(self, *entries: LogEntry) -> None:
        """Queue entries of the collector's own log, behind the verdicts of what is queued."""
        self.desk.say(*entries)
        self._wake()

    def exclude(self, rows: Sequence[tuple[bytes, str]]) -> None:
        """Queue new (key, text) rows of the exclude list."""
        self.desk.exclude(rows)
        self._wake()

    def remember(self, **meta: str) -> None:
        """Queue values of the table `meta`."""
        self.desk.remember(**meta)
        self._wake()

    def add_history(self, point: HistoryPoint) -> None:
        """Store a point with the next batch; it is not worth one of its own."""
        self.desk.add_history(point)

    def judge(self, producers: Sequence[NodeId], *, now_s: float, now_ms: int) -> None:
        """Have what is in doubt judged by the models of `producers`."""
        self.desk.judge(producers, now_s=now_s, now_ms=now_ms)
        if self.desk.has_work():
            self._wake()

    async def run(self) -> None:
        """Store batch after batch until cancelled; only a wait for work is interrupted."""
        self._idle.clear()
        await asyncio.shield(self._take_up_names())
        while True:
            if not self.desk.has_work():
                self._idle.set()
                self._work.clear()
                await self._work.wait()
            self._idle.clear()
            await asyncio.shield(self._take_in_batch())

    async def _take_up_names(self) -> None:
        names = self.desk.ledger.names
        if names is None:
            return
        await self._in_thread(self.desk.restore_names, self.database)
        if self.meanings is not None:
            names.vectors = await self.meanings.take_up(names)

    @property
    def in_haste(self) -> bool:
        return self.is_ending or self.desk.waiting_count > MEANINGS_BACKLOG_MAX

    async def drained(self) -> None:
        """Return when everything queued so far is durable and told."""
        while self.desk.has_work() or not self._idle.is_set():
            await self._idle.wait()

    def close(self) -> None:
        self._thread.shutdown()

    def _wake(self) -> None:
        self._idle.clear()
        self._work.set()

    async def _take_in_batch(self) -> None:
        under_way = self.desk.begin()
        to_look_up = self.desk.ledger.to_look_up(under_way.keys())
        stored = await self._in_thread(self.database.ordinals_of, to_look_up) if to_look_up else {}
        if self.desk.ledger.names is not None:
            await self._name(under_way, stored)
        batch = self.desk.decide(under_way, stored)
        await self._store(batch)
        self.desk.publish(batch)

    async def _name(self, under_way: BatchUnderWay, stored: Mapping[bytes, int]) -> None:
        """Have what is new looked at by its name."""
        vectors: Mapping[str, Any] = {}
        if self.meanings is not None and not self.in_haste:
            new = self.desk.to_name(under_way, stored).values()
            vectors = await self.meanings.of([*under_way.to_exclude, *(each.text for each in new)])
        if under_way.found or under_way.to_exclude:
            await self._in_thread(lambda _: self.desk.name(under_way, stored, vectors), None)

    async def _store(self, batch: Batch) -> None:
        """Commit, append to the output; repeated until both are done."""
        committed = False
        while True:
            try:
                if not committed:
                    await self._in_thread(self.database.commit, batch)
                    committed = True
                if batch.items:
                    await self._in_thread(self.output.append, [row.text for row in batch.items])
            except (sqlite3.OperationalError, OSError) as error:
                logger.warning("event=not_stored error=%s", error)
                self.storage_trouble(f"cannot store entries: {error}; waiting")
                await asyncio.sleep(RETRY_S)
            else:
                self.storage_trouble(None)
                return

    async def _in_thread(self, call: Callable[[A], R], argument: A) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, argument)
