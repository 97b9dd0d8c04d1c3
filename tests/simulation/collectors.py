"""The collector by script: the real node, verdict desk, ledger, metrics and run.sqlite.

It takes the steps that the real one takes with threads, each with a moment of its own between it
and the next, so that it can be stopped there: decide, commit, append to the output, tell.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence

from mesh.core import entries as log
from mesh.core.doubtful import Doubtful
from mesh.core.entries import LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.known import digest_bytes
from mesh.core.ledger import Ledger
from mesh.core.listed_names import ListedNames
from mesh.core.membership import Role
from mesh.core.metrics import RunMetrics
from mesh.core.normalize import item_key
from mesh.core.seqset import SeqSet
from mesh.nodes.collecting.verdicts import VerdictDesk
from mesh.storage.database import Batch, RunDatabase
from tests.simulation.disks import CollectorDisk, CollectorShelf
from tests.simulation.naming import ScriptedNames
from tests.simulation.surroundings import ScriptedProcess, Surroundings
from tests.simulation.watching import DatabaseWatch

RETRY_S = 1.0
STEP_S = (0.0002, 0.006)
"""Between two steps of a batch."""
WATCH_S = 0.2
REPORT_S = 0.5
ANSWER_S_MAX = 5.0
GATHER_S = 0.2
STEPS = ("decided", "committed", "appended")
"""Where a collector can be told to die."""


class ScriptedCollector(ScriptedProcess):
    """One process of the collector."""

    role = Role.COLLECTOR

    def __init__(
        self,
        around: Surroundings,
        disk: CollectorDisk,
        watch: DatabaseWatch,
        excluded: Sequence[str],
        *,
        host: str,
    ) -> None:
        super().__init__(around, disk)
        self.database = RunDatabase(disk.connection)
        self.ledger = Ledger(
            names=ListedNames(ScriptedNames()), doubtful=Doubtful(ANSWER_S_MAX, GATHER_S)
        )
        self.dies_when: str | None = None
        self._files = disk
        self._watch = watch
        self._busy = False
        self._lost: list[tuple[str, int, int, int]] = json.loads(
            self.database.meta().get("lost", "[]")
        )
        own_epochs = self.database.own_epochs()
        disk.last_epoch = max([disk.last_epoch, *(epoch for epoch, _ in own_epochs)])
        epoch = disk.open_epoch(
            around.wall_us() // 1000, around.dice, new=around.protections.epochs
        )
        earlier = [each for each in own_epochs if each[0] != epoch]
        self.open_node(CollectorShelf(disk, self.database), earlier, host, self)
        self.desk = self._restore(own_epochs)
        disk.output.open(list(self.database.accepted_texts()))
        self.node.dial_members(disk.members)
        self.desk.open_epoch()
        self.desk.restore_names(self.database)
        self.desk.restore_waiting(self.database)
        self._exclude(excluded)
        for log_id, stored in disk.spool.frames():
            if stored.last_seq > self.node.replica.watermark(log_id):
                self.node.load([stored.frame])
        self.node.start(around.seeds)
        self.timers.call_later(WATCH_S, self._declare_lost)
        self.timers.call_later(REPORT_S, self._report)
        self._wake()

    def _restore(self, own_epochs: Sequence[tuple[int, int]]) -> VerdictDesk:
        """Take up where run.sqlite left off."""
        self.ledger.restore(self.database.accepted_keys(), self.database.beside_keys())
        taken_in = self.database.taken_in()
        for log_id, seqs in taken_in.items():
            self.node.replica.restore(log_id, SeqSet.of_ranges(seqs.ranges()))
            self.applied[log_id] = SeqSet.of_ranges(seqs.ranges())
        for origin, epoch, first_seq, last_seq in self._lost:
            lost_log = LogId(NodeId(bytes.fromhex(origin)), epoch)
            self.node.replica.declare_lost(lost_log, first_seq, last_seq, self.timers.time())
        for epoch, last_seq in own_epochs:
            own_log = LogId(self.origin, epoch)
            self.node.replica.offer(own_log, 1, last_seq, self.timers.time())
            self.applied[own_log] = SeqSet.of_ranges([(1, last_seq)])
            if epoch == self.node.own.epoch:
                self.node.last_seq = last_seq
        return VerdictDesk(
            node=self.node,
            ledger=self.ledger,
            metrics=RunMetrics(self.database.model_totals(), self.database.history()),
            taken_in=taken_in,
            run_time_s=self.timers.time,
            call_finished=lambda *_: None,
            has_judge=True,
        )

    def _exclude(self, texts: Sequence[str]) -> None:
        by_key = {item_key(text): text for text in texts}
        stored = self.database.ordinals_of(list(by_key))
        self.desk.exclude([(key, text) for key, text in by_key.items() if key not in stored])

    # What the node asks of its owner

    def apply(self, log_id: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        self.note_applied(log_id, first_seq, entries)
        if log_id.origin != self.origin:
            self.desk.add(log_id, first_seq, entries)
        else:
            self.desk.hear_own_past(entries, self.database)
        self._wake()

    def durable(self, log_id: LogId, last_seq: int) -> None:
        """Durable marks are this node's own."""

    def known_summary(self) -> tuple[int, bytes]:
        return self.ledger.known_count, digest_bytes(self.ledger.known_digest)

    def activity_and_model(self) -> tuple[str, str]:
        return "running", ""

    # The way of a batch to disk

    @property
    def is_idle(self) -> bool:
        return not self._busy and not self.desk.has_work() and not len(self.ledger.doubtful)

    def _wake(self) -> None:
        if not self._busy and self.desk.has_work():
            self._busy = True
            self._next(self._decide)

    def _next(self, step: Callable[..., None], *arguments: object) -> None:
        self.timers.call_later(self.around.dice.uniform(*STEP_S), step, *arguments)

    def _dies(self, where: str) -> bool:
        if self.dies_when == where:
            self.around.ended("died")
        return self.timers.is_held

    def _decide(self) -> None:
        under_way = self.desk.begin()
        to_look_up = self.ledger.to_look_up(under_way.keys())
        stored = self.database.ordinals_of(to_look_up) if to_look_up else {}
        self.desk.name(under_way, stored)
        batch = self.desk.decide(under_way, stored)
        if not self._dies("decided"):
            self._next(self._commit, batch)

    def _commit(self, batch: Batch) -> None:
        try:
            self.database.commit(batch)
        except sqlite3.OperationalError as error:
            self.around.trace.note(self.around.label, "cannot store:", error)
            self.timers.call_later(RETRY_S, self._commit, batch)
            return
        self._watch.committed(batch)
        self.around.trace.note(self.around.label, "stores", len(batch.items), "new")
        if not self._dies("committed"):
            self._next(self._append, batch)

    def _append(self, batch: Batch) -> None:
        try:
            self._files.output.append([row.text for row in batch.items])
        except OSError:
            self.around.trace.note(self.around.label, "cannot write output.txt")
            self.timers.call_later(RETRY_S, self._append, batch)
            return
        if not self._dies("appended"):
            self._next(self._tell, batch)

    def _tell(self, batch: Batch) -> None:
        self.desk.publish(batch)
        self._watch.told(self.desk.durable)
        self._busy = False
        self._wake()

    # What it does now and then

    def _declare_lost(self) -> None:
        for log_id, first_seq, last_seq in self.node.lost_for_good():
            self.node.replica.declare_lost(log_id, first_seq, last_seq, self.timers.time())
            self.around.trace.note(self.around.label, "gives up", log_id, first_seq, last_seq)
            self.desk.say(log.Lost(log_id.origin, log_id.epoch, first_seq, last_seq))
            self.desk.recover(log_id, first_seq, last_seq)
            self._lost.append((log_id.origin.hex(), log_id.epoch, first_seq, last_seq))
            self.desk.remember(lost=json.dumps(self._lost))
        self._judge()
        self._wake()
        self.timers.call_later(WATCH_S, self._declare_lost)

    def _judge(self) -> None:
        alive = self.node.alive()
        producers = [m.origin for m in self.node.membership.others() if m.origin in alive]
        now_ms = self.around.wall_us() // 1000
        self.desk.judge(producers, now_s=self.timers.time(), now_ms=now_ms)

    def _report(self) -> None:
        """Repeat the durable marks: one that was lost would keep a producer from leaving."""
        durable = self.desk.durable
        logs = (member.log for member in self.node.membership.others())
        self.node.publish_durable({log_id: durable.get(log_id, 0) for log_id in logs})
        self.save_members()
        self.timers.call_later(REPORT_S, self._report)
