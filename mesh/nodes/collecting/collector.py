"""The collector process: verdicts, output.txt, the page, and when the run ends.

A normal node whose log decides. What is new is core.ledger's decision, how it gets to disk
intake.py's, what the page shows run_view.py's, what it asks for steering.py's. Producers need
none of it to go on exploring.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from mesh.config import CollectorSettings
from mesh.core import entries as log
from mesh.core.entries import LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.known import digest_bytes
from mesh.core.ledger import Ledger
from mesh.core.listed_names import listed_names
from mesh.core.membership import Endpoint, Liveness
from mesh.core.metrics import RunMetrics
from mesh.core.seqset import SeqSet
from mesh.core.stopping import RunProgress
from mesh.nodes.channel import Channel, ChildFailed, Message
from mesh.nodes.collecting.database_reader import DatabaseReader
from mesh.nodes.collecting.facts import entries_to_exclude, lost_as_json, lost_from_json
from mesh.nodes.collecting.granting import Granting
from mesh.nodes.collecting.intake import Intake
from mesh.nodes.collecting.page_opening import open_page
from mesh.nodes.collecting.run_course import CourseChange, RunCourse
from mesh.nodes.collecting.run_view import LiveRunView
from mesh.nodes.collecting.steering import Steering
from mesh.nodes.collecting.ticket_office import TicketOffice
from mesh.nodes.collecting.verdicts import VerdictDesk
from mesh.nodes.peer.identity import Overtaken, members_as_json
from mesh.nodes.peer.mesh_node import MeshNode
from mesh.nodes.peer.shelf import CollectorShelf
from mesh.nodes.supervising.limits import raise_descriptor_limit
from mesh.storage.database import RunDatabase
from mesh.storage.node_directory import NodeDirectory
from mesh.storage.node_log import UnreadableLog
from mesh.storage.output_file import OutputFile
from mesh.storage.run_directory import DATABASE_FILE
from mesh.web.server import PageServer

logger = logging.getLogger(__name__)

NODES_DIRECTORY = "nodes"
WATCH_S = 0.1
REPORT_S = 0.5
ORPHAN_DRAIN_S = 2.5
"""Producers without a supervisor leave within 2 s."""
STORE_S = 6.0
"""For the last entries; the supervisor waits for 10 s in all."""
ORPHAN_STORE_S = 1.0
WAITING_ENTRIES_MAX = 200_000
"""With the disk full entries wait in memory; past this the run ends, and they stay in the logs."""
DESCRIPTORS = "descriptors"
STORAGE = "storage"
EMBEDDING = "embedding"
"""What notices are about: too few open files allowed, a full disk, no vectors of names."""


class Collector:
    """One collector: its node, its intake, the run's state."""

    def __init__(
        self,
        settings: CollectorSettings,
        directory: NodeDirectory,
        database: RunDatabase,
        output: OutputFile,
        channel: Channel,
    ) -> None:
        self.settings = settings
        self.database = database
        self.ledger = Ledger(names=listed_names(settings.topic) if settings.names else None)
        self.metrics = RunMetrics()
        self.granting = Granting(settings.budget_usd)
        self.tickets = TicketOffice(self)
        self.course = RunCourse(settings, self._carry_out)
        self.steering = Steering(self, channel)
        self._directory = directory
        self._output = output
        self._channel = channel
        self._leave = asyncio.Event()
        self.orphaned = False
        """The supervisor is gone."""
        self._members_saved = True
        self._seeds: list[Endpoint] = []
        """Producers that the supervisor knows to run: one of them may know this node no more."""
        meta = database.meta()
        goes_on = meta.get("started_ms") == str(settings.started_ms)
        self._remembered = meta.get("course", "") if goes_on else ""
        # A collector that is restarted within a start counts no second of it twice.
        self._earlier_s = float(meta.get("earlier_s" if goes_on else "elapsed_s", "0"))
        self._ended_by: Exception | None = None
        self._ended_s: float | None = None
        self.lost = [lost_from_json(each) for each in json.loads(meta.get("lost", "[]"))]
        self.node: MeshNode
        self.desk: VerdictDesk
        self.intake: Intake

    # What the node asks of its owner

    def apply(self, log_id: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        if log_id.origin != self.node.own.origin:
            self.intake.add(log_id, first_seq, entries)
            self.course.first_entry()
            if any(isinstance(entry, log.BudgetAsked) for entry in entries):
                self._grant()
        else:
            self.intake.hear_own_past(entries)

    def durable(self, log_id: LogId, last_seq: int) -> None:
        """Durable marks are this node's own."""

    def members_changed(self) -> None:
        """A restarted collector finds its producers by this list; without it they find it."""
        if trouble := raise_descriptor_limit(len(self.node.membership.all())):
            self.course.notices[DESCRIPTORS] = trouble
        self._members_saved = False

    def _save_members(self) -> None:
        self._members_saved = True
        self._directory.members = members_as_json(self.node.membership.others())
        try:
            self._directory.save()
        except OSError as error:
            logger.warning("event=members_not_saved error=%s", error)

    def join_refused(self, reason: str) -> None:
        """Whoever is left of the run takes this collector for another's: better none than two."""
        self._end_by(ChildFailed(f"the producers refuse this collector: {reason}"))

    def overtaken(self, epoch: int) -> None:
        if self._directory.heard_epoch(epoch):
            error = f"the collector was heard in epoch {epoch}: it opens a later one"
            self._end_by(Overtaken(error))

    def _end_by(self, error: Exception) -> None:
        self._ended_by = self._ended_by or error
        self._leave.set()

    def _carry_out(self, change: CourseChange) -> None:
        """Put a change of the run's course into the log, the database and before the user."""
        self.granting.treasury.budget_usd = self.course.budget_usd
        self.intake.say(*change.entries)
        if change.meta:
            self.intake.remember(**change.meta)
        if change.stop:
            self.node.ending = True
            self._channel.send({"event": "draining", **change.stop})

    def show_trouble(self, about: str, text: str | None) -> None:
        """Show what is wrong; None: it is well again."""
        if text is None:
            self.course.notices.pop(about, None)
        else:
            self.course.notices[about] = text

    def known_summary(self) -> tuple[int, bytes]:
        return self.ledger.known_count, digest_bytes(self.ledger.known_digest)

    def activity_and_model(self) -> tuple[str, str]:
        return self.course.state, ""

    def call_finished(self, log_id: LogId, call: log.CallFinished, accepted_count: int) -> None:
        # A call of an earlier start says nothing about the models of this one.
        if log_id.epoch >= self.settings.started_ms:
            # Its last heartbeat may be older than the call, or still to come.
            models = {**self._models_heard(), log_id.origin: call.model}
            self.course.call_finished(call, accepted_count, models)

    def _models_heard(self) -> dict[NodeId, str]:
        heartbeats = ((origin, peer.heartbeat) for origin, peer in self.node.peers.items())
        return {origin: heartbeat.model for origin, heartbeat in heartbeats if heartbeat.model}

    def run_time_s(self) -> float:
        """Seconds of the run, over all its starts; once it is over it stays at its end."""
        if self._ended_s is not None:
            return self._ended_s
        return self._earlier_s + self.start_elapsed_s()

    def start_elapsed_s(self) -> float:
        return max(0.0, time.time() - self.settings.started_ms / 1000)

    # The process

    async def run(self) -> int:
        """Serve until told to leave; return the run's exit status."""
        reader = DatabaseReader(self.settings.run_dir / DATABASE_FILE)
        view = LiveRunView(self, reader)
        try:
            # A task that fails ends them all, and with them this process: it starts again.
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.intake.run())]
                await self._take_up()
                page = await open_page(view, self.settings)
                self._say_ready(page)
                self.node.start(lambda: self._seeds)
                going_on = (self._watch(view), self._report(view), self._obey())
                tasks += [group.create_task(each) for each in going_on]
                await self._leave.wait()
                if self._ended_by is not None:
                    raise self._ended_by
                await self._finish(view)
                if page:
                    await page.close(view.metrics(with_history=False))
                if not self.orphaned:
                    self.node.say_goodbye()
                if self.intake.meanings is not None:
                    await self.intake.meanings.close()
                for task in tasks:
                    task.cancel()
        finally:
            self.node.close()
            reader.close()
        self._channel.send({"event": "left", "metrics": view.metrics(with_history=False)})
        return self.course.stop_status

    async def _take_up(self) -> None:
        """Say that this start begins, and decide what was said without this collector."""
        self._announce_start()
        await self._read_logs_on_disk()
        # A bound that was met before is said before any producer joins: no call is paid for.
        self._check_course()
        await self.intake.drained()

    def _say_ready(self, page: PageServer | None) -> None:
        self._channel.send(
            {
                "event": "ready",
                "address": self.node.own.service_address,
                "curve_key": self.node.own.curve_key.decode("ascii"),
                "ticket": self.tickets.text(),
                "page_url": page.url if page else None,
                "page_url_elsewhere": page.url_elsewhere if page else None,
                "moved_aside": str(self._output.moved_aside or ""),
            }
        )

    def _announce_start(self) -> None:
        self.intake.remember(
            run_id=self.settings.run_id.hex(),
            topic=self.settings.topic,
            simulated=str(int(self.settings.simulated)),
            started_ms=str(self.settings.started_ms),
            earlier_s=str(self._earlier_s),
            output=str(self.settings.output.resolve()),
        )
        self.intake.open_epoch()
        self.course.start(self._remembered)
        self.intake.say(log.BudgetSet(self.course.budget_usd))
        self.tickets.take_up()
        if self.settings.exclude:
            self._exclude(self.settings.exclude)

    def _exclude(self, path: Path) -> None:
        rows = entries_to_exclude(path)
        stored = self.database.ordinals_of(list(rows))
        self.intake.exclude([(key, line) for key, line in rows.items() if key not in stored])

    async def _read_logs_on_disk(self) -> None:
        """Take in what nodes of this directory said and this collector has not decided yet."""
        shelf = self.node.shelf
        assert isinstance(shelf, CollectorShelf)
        shelf.look_for_new_logs()
        for log_id, reader in sorted(shelf.readers.items()):
            try:
                for stored in reader.new_frames():
                    if stored.last_seq > self.node.replica.watermark(log_id):
                        self.node.load([stored.frame])
                        await asyncio.sleep(0)
            except (OSError, UnreadableLog) as error:
                self.course.notices[str(reader.path)] = f"cannot read {reader.path}: {error}"
        for log_id, stored in shelf.kept_logs():
            if stored.last_seq > self.node.replica.watermark(log_id):
                self.node.load([stored.frame])
                await asyncio.sleep(0)

    async def _watch(self, view: LiveRunView) -> None:
        """End the run when a rule says so."""
        sampled_s = 0.0
        while True:
            now_s = self.run_time_s()
            if now_s - sampled_s >= 1.0 and self._ended_s is None:
                sampled_s = now_s
                self.intake.add_history(self.metrics.sample(now_s))
                self.intake.remember(elapsed_s=f"{now_s:.3f}", **view.to_keep_if_due(now_s))
            self._check_course()
            self._grant()
            self._judge()
            self._declare_lost()
            await asyncio.sleep(WATCH_S)

    def _declare_lost(self) -> None:
        """Have everyone pass what nobody holds any more."""
        for log_id, first_seq, last_seq in self.node.lost_for_good():
            entry = log.Lost(log_id.origin, log_id.epoch, first_seq, last_seq)
            self.node.replica.declare_lost(log_id, first_seq, last_seq, self.node.clock.time())
            self.lost.append(entry)
            self.intake.say(entry)
            self.intake.recover(log_id, first_seq, last_seq)
            self.intake.remember(lost=json.dumps([lost_as_json(each) for each in self.lost]))

    def _grant(self) -> None:
        """Grant budget to producers that need more."""
        if self.course.stop_reason is None:
            self.intake.say(*self.granting.grants(self.node, self._producers_at_work()))

    def _judge(self) -> None:
        """Have names in doubt judged; what is in doubt at the end counts as new."""
        self.intake.is_ending = self.course.stop_reason is not None or self.orphaned
        self.desk.has_judge = self.settings.judge and not self.intake.is_ending
        now_s, now_ms = self.node.clock.time(), time.time_ns() // 1_000_000
        self.intake.judge(self._producers_at_work(), now_s=now_s, now_ms=now_ms)

    def _check_course(self) -> None:
        producers = self._producers_at_work()
        progress = RunProgress(
            # What is not stored yet may have to wait for room: no target is reached by it.
            unique_total=self.desk.stored_count,
            cost_usd=max(self.metrics.cost_usd, self.desk.heard_cost_usd),
            start_elapsed_s=self.start_elapsed_s(),
            unpaid_call_usd=self.granting.unpaid_call_usd(self.node, producers),
        )
        members = {member.origin for member in self.node.membership.others()}
        self.desk.plan.nodes_gone(members - self.node.alive())
        left = {origin for origin in members if self.node.liveness(origin) is Liveness.LEFT}
        models = self._models_heard()
        self.course.check(progress, plan=self.desk.plan, models_heard=models, left=left)
        trouble = self.course.notices.get(STORAGE)
        if trouble and self.desk.waiting_count > WAITING_ENTRIES_MAX:
            self.course.stop(f"{trouble} for too long", status=1)

    async def _report(self, view: LiveRunView) -> None:
        """Tell the supervisor how it goes, and the producers again what is durable: a mark that
        was lost would keep a producer from leaving."""
        while True:
            durable = self.desk.durable
            logs = (member.log for member in self.node.membership.others())
            self.node.publish_durable({log_id: durable.get(log_id, 0) for log_id in logs})
            self._tell_leaving()
            self._channel.send({"event": "metrics", "metrics": view.metrics(with_history=False)})
            if self.tickets.changed():
                self._channel.send({"event": "ticket", "ticket": self.tickets.text()})
            if not self._members_saved:
                self._save_members()
            await asyncio.sleep(REPORT_S)

    def _tell_leaving(self) -> None:
        """Tell who leaves what is durable of its earlier starts, too, or is lost for good."""
        for origin in self.node.reachable() - self.node.alive():
            member = self.node.membership.get(origin)
            if member is not None and member.earlier_logs:
                logs = [LogId(origin, epoch) for epoch, _ in member.earlier_logs]
                self.node.publish_durable({log_id: self._settled_seq(log_id) for log_id in logs})

    def _settled_seq(self, log_id: LogId) -> int:
        """Up to where nothing of a log is waited for any more."""
        lost = [
            (each.first_seq, each.last_seq)
            for each in self.lost
            if (each.origin, each.epoch) == log_id
        ]
        if not lost:
            return self.desk.durable.get(log_id, 0)
        return SeqSet.of_ranges([*self.desk.taken_in.get(log_id, SeqSet()).ranges(), *lost]).upto

    async def _obey(self) -> None:
        while (message := await self._channel.receive()) is not None:
            self._command(message)
        # The supervisor is gone: leave, as soon as its producers have handed over, which notice
        # it themselves. The run is not over: machines that have joined it explore on.
        self.orphaned = True
        await self._neighbours_gone(ORPHAN_DRAIN_S)
        self._leave.set()
        await asyncio.Event().wait()

    def _command(self, message: Message) -> None:
        if message["command"] == "stop":
            self.course.stop(message["reason"], message.get("status", 0))
        elif message["command"] == "leave":
            self._leave.set()
        elif message["command"] == "peers":
            services = message["services"]
            self._seeds = [Endpoint(at, key.encode("ascii")) for at, key in services]
            self.node.joiner.look()
        elif message["command"] == "answer":
            self.steering.answered(message["number"], message["reason"])
        elif message["command"] == "notice":
            self.course.notices[message["about"]] = message["text"]

    async def _neighbours_gone(self, wait_s: float) -> None:
        """Wait for the producers of this machine."""
        deadline_s = time.monotonic() + wait_s
        host = self.node.own.host
        while time.monotonic() < deadline_s:
            alive = map(self.node.membership.get, self._producers_alive())
            if not any(member.host == host for member in alive if member):
                return
            await asyncio.sleep(WATCH_S)

    def _producers_alive(self) -> list[NodeId]:
        alive = self.node.alive()
        return [m.origin for m in self.node.membership.others() if m.origin in alive]

    def _producers_at_work(self) -> list[NodeId]:
        """Those that are given budget and questions: who is to leave could not use them."""
        dismissed = self.course.dismissed
        return [origin for origin in self._producers_alive() if origin not in dismissed]

    async def _finish(self, view: LiveRunView) -> None:
        """Store and tell the end; the page keeps showing it."""
        # A producer that died while the run ended has its last words on disk only.
        await self._read_logs_on_disk()
        if not self.orphaned:
            self.course.end()
        self._judge()
        self._ended_s = round(self.run_time_s(), 3)
        try:
            async with asyncio.timeout(ORPHAN_STORE_S if self.orphaned else STORE_S):
                await self.intake.drained()
                # Whoever opens the run again is shown this moment.
                view.freeze()
                self.intake.add_history(self.metrics.sample(self._ended_s))
                self.intake.remember(elapsed_s=f"{self._ended_s:.3f}", **view.to_keep())
                await self.intake.drained()
        except TimeoutError as error:
            trouble = self.course.notices.get(STORAGE, "it takes too long")
            raise ChildFailed(
                f"not all entries are stored: {trouble}; they are kept in "
                f"{self.settings.run_dir / NODES_DIRECTORY}, the same command takes them in"
            ) from error
        if self.settings.keep_page and not self.orphaned and not self.settings.headless:
            self._channel.send({"event": "kept", "metrics": view.metrics(with_history=False)})
            self._leave.clear()
            await self._leave.wait()
