"""The collector process: verdicts, output.txt, the page, and when the run ends.

A normal node whose log decides. What is new is core.ledger's decision, how it gets to disk
intake.py's, what the page shows run_view.py's. Producers need none of it to go on exploring.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mesh.config import CollectorSettings
from mesh.core import entries as log
from mesh.core.entries import LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.known import digest_bytes
from mesh.core.ledger import Ledger
from mesh.core.membership import Role
from mesh.core.metrics import WINDOW_S, RunMetrics
from mesh.core.normalize import clean_text, item_key
from mesh.core.seqset import SeqSet
from mesh.nodes.channel import Channel, ChildFailed, Message
from mesh.nodes.identity import members_as_json, members_from_json, own_member
from mesh.nodes.intake import Intake
from mesh.nodes.mesh_node import MeshNode
from mesh.nodes.run_course import CourseChange, RunCourse
from mesh.nodes.run_view import DatabaseReader, LiveRunView
from mesh.nodes.shelf import CollectorShelf
from mesh.storage.database import RunDatabase, UnusableDatabase
from mesh.storage.node_directory import DamagedIdentity, NodeDirectory
from mesh.storage.node_log import UnreadableLog
from mesh.storage.output_file import OutputFile, UnwritableOutput
from mesh.storage.run_directory import DATABASE_FILE
from mesh.transport.zmq_transport import AddressInUse, ZmqTransport
from mesh.web.server import PageServer, PageUnavailable

logger = logging.getLogger(__name__)

NODES_DIRECTORY = "nodes"
WATCH_S = 0.1
REPORT_S = 0.5
DRAIN_S = 10.0
ORPHAN_DRAIN_S = 3.0


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
        self.ledger = Ledger()
        self.metrics = RunMetrics()
        self.course = RunCourse(settings, self._carry_out)
        self._directory = directory
        self._output = output
        self._channel = channel
        self._leave = asyncio.Event()
        self._orphaned = False
        self._earlier_s = _earlier_s(database.meta(), settings.started_ms)
        self.node: MeshNode
        self.intake: Intake

    # What the node asks of its owner

    def apply(self, log_id: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        if log_id.origin != self.node.own.origin:
            self.intake.add(log_id, first_seq, entries)
            self.course.first_entry()

    def durable(self, log_id: LogId, last_seq: int) -> None:
        """Durable marks are this node's own."""

    def members_changed(self) -> None:
        """A restarted collector finds its producers by this list."""
        self._directory.members = members_as_json(self.node.membership.others())
        self._directory.save()

    def _carry_out(self, change: CourseChange) -> None:
        """Put a change of the run's course into the log, the database and before the user."""
        self.intake.say(*change.entries)
        if change.meta:
            self.intake.remember(**change.meta)
        if change.stop:
            self._channel.send({"event": "draining", **change.stop})

    def known_summary(self) -> tuple[int, bytes]:
        return self.ledger.known_count, digest_bytes(self.ledger.known_digest)

    def activity_and_model(self) -> tuple[str, str]:
        return self.course.state, ""

    def call_finished(self, log_id: LogId, call: log.CallFinished, accepted_count: int) -> None:
        # A call of an earlier start says nothing about the models of this one.
        if log_id.epoch >= self.settings.started_ms:
            self.course.call_finished(call, accepted_count, self._models_heard())

    def _models_heard(self) -> dict[NodeId, str]:
        heartbeats = ((origin, peer.heartbeat) for origin, peer in self.node.peers.items())
        return {origin: heartbeat.model for origin, heartbeat in heartbeats if heartbeat.model}

    def run_time_s(self) -> float:
        """Seconds of the run, over all its starts."""
        return self._earlier_s + self.start_elapsed_s()

    def start_elapsed_s(self) -> float:
        return max(0.0, time.time() - self.settings.started_ms / 1000)

    # The process

    async def run(self) -> int:
        """Serve until told to leave; return the run's exit status."""
        storing = asyncio.create_task(self.intake.run())
        self._announce_start()
        await self._read_logs_on_disk()
        # A bound that was met before is said before any producer joins: no call is paid for.
        self._check_course()
        await self.intake.drained()
        reader = DatabaseReader(self.settings.run_dir / DATABASE_FILE)
        view = LiveRunView(self, reader)
        page = await self._open_page(view)
        self._channel.send(
            {
                "event": "ready",
                "address": self.node.own.service_address,
                "page_url": page.url if page else None,
                "moved_aside": str(self._output.moved_aside or ""),
            }
        )
        tasks = [
            storing,
            asyncio.create_task(self.node.run(list)),
            asyncio.create_task(self._watch()),
            asyncio.create_task(self._report(view)),
            asyncio.create_task(self._obey()),
        ]
        leaving = asyncio.create_task(self._leave.wait())
        try:
            await asyncio.wait({*tasks, leaving}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
            await self._finish(view)
            if page:
                await page.close(view.metrics(with_history=False))
        finally:
            leaving.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, leaving, return_exceptions=True)
            reader.close()
        self._channel.send({"event": "left", "metrics": view.metrics(with_history=False)})
        return self.course.stop_status

    async def _open_page(self, view: LiveRunView) -> PageServer | None:
        settings = self.settings
        if settings.headless:
            return None
        try:
            return await PageServer.start(
                view,
                host=settings.page_host,
                port=settings.port,
                public_url=settings.public_url,
            )
        except PageUnavailable as error:
            raise ChildFailed(str(error)) from error

    def _announce_start(self) -> None:
        budget = self.settings.budget_usd
        self.intake.remember(
            run_id=self.settings.run_id.hex(),
            topic=self.settings.topic,
            simulated=str(int(self.settings.simulated)),
            budget_usd="" if budget is None else str(budget),
            started_ms=str(self.settings.started_ms),
            earlier_s=str(self._earlier_s),
        )
        self.intake.say(
            log.EpochOpened(self.ledger.accepted_count, digest_bytes(self.ledger.accepted_digest))
        )
        self.course.start()
        if self.settings.exclude:
            self._exclude(self.settings.exclude)

    def _exclude(self, path: Path) -> None:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ChildFailed(f"cannot read --exclude {path}: {error}", status=2) from error
        cleaned = (clean_text(line) for line in text.splitlines())
        rows = {item_key(line): line for line in cleaned if line}
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

    async def _watch(self) -> None:
        """End the run when a rule says so."""
        sampled_s = 0.0
        while True:
            now_s = self.run_time_s()
            if now_s - sampled_s >= 1.0:
                sampled_s = now_s
                self.intake.add_history(self.metrics.sample(now_s))
                self.intake.remember(elapsed_s=f"{now_s:.3f}")
            self._check_course()
            await asyncio.sleep(WATCH_S)

    def _check_course(self) -> None:
        self.course.check(
            unique_total=self.metrics.unique_total,
            cost_usd=self.metrics.cost_usd,
            start_elapsed_s=self.start_elapsed_s(),
            producer_count=len(self._producers_alive()),
        )

    async def _report(self, view: LiveRunView) -> None:
        """Tell the supervisor how it goes, and the producers again what is durable: a mark that
        was lost would keep a producer from leaving."""
        while True:
            durable = self.intake.durable
            logs = (member.log for member in self.node.membership.others())
            self.node.publish_durable({log_id: durable.get(log_id, 0) for log_id in logs})
            self._channel.send({"event": "metrics", "metrics": view.metrics(with_history=False)})
            await asyncio.sleep(REPORT_S)

    async def _obey(self) -> None:
        while (message := await self._channel.receive()) is not None:
            self._command(message)
        # The supervisor is gone: end the run, as soon as the producers have handed over.
        self._orphaned = True
        self.course.stop("the supervisor ended")
        await self._producers_gone(ORPHAN_DRAIN_S)
        self._leave.set()
        await asyncio.Event().wait()

    def _command(self, message: Message) -> None:
        if message["command"] == "stop":
            self.course.stop(message["reason"], message.get("status", 0))
        elif message["command"] == "leave":
            self._leave.set()
        elif message["command"] == "notice":
            self.course.notices[message["about"]] = message["text"]

    async def _producers_gone(self, wait_s: float) -> None:
        deadline_s = time.monotonic() + wait_s
        while self._producers_alive() and time.monotonic() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(WATCH_S)

    def _producers_alive(self) -> list[NodeId]:
        alive = self.node.alive()
        return [m.origin for m in self.node.membership.others() if m.origin in alive]

    async def _finish(self, view: LiveRunView) -> None:
        """Store and tell the end; the page keeps showing it."""
        # A producer that died while the run ended has its last words on disk only.
        await self._read_logs_on_disk()
        self.course.end()
        now_s = self.run_time_s()
        self.intake.add_history(self.metrics.sample(now_s))
        self.intake.remember(elapsed_s=f"{now_s:.3f}")
        await self.intake.drained()
        if self.settings.keep_page and not self._orphaned and not self.settings.headless:
            view.freeze()
            self._channel.send({"event": "kept", "metrics": view.metrics(with_history=False)})
            self._leave.clear()
            await self._leave.wait()


async def run_collector(settings: CollectorSettings, channel: Channel) -> int:
    """Open directory, database, output and sockets; run; close in order.

    Raises:
        ChildFailed: something only the user can mend.
    """
    path = settings.run_dir / DATABASE_FILE
    try:
        directory = NodeDirectory.open(settings.directory)
        database = RunDatabase.open(path)
        committed = RunDatabase.open_read_only(path)
        output = OutputFile.open(settings.output, database.accepted_texts())
    except (DamagedIdentity, UnusableDatabase, UnwritableOutput) as error:
        raise ChildFailed(str(error)) from error
    try:
        return await _run_opened(settings, channel, directory, database, committed, output)
    finally:
        output.close()
        committed.close()
        database.close()
        directory.close()


async def _run_opened(
    settings: CollectorSettings,
    channel: Channel,
    directory: NodeDirectory,
    database: RunDatabase,
    committed: RunDatabase,
    output: OutputFile,
) -> int:
    own_epochs = database.own_epochs()
    directory.last_epoch = max([directory.last_epoch, *(epoch for epoch, _ in own_epochs)])
    epoch = directory.open_epoch(time.time_ns() // 1_000_000)
    try:
        transport = ZmqTransport(directory.origin, host=settings.host, ports=directory.ports)
    except AddressInUse as error:
        raise ChildFailed(str(error)) from error
    directory.ports = transport.ports
    directory.save()
    collector = Collector(settings, directory, database, output, channel)
    collector.node = MeshNode(
        own=own_member(
            directory,
            transport,
            label="collector",
            role=Role.COLLECTOR,
            epoch=epoch,
            earlier_logs=own_epochs,
        ),
        run_id=settings.run_id,
        topic=settings.topic,
        owner=collector,
        shelf=CollectorShelf(directory.origin, committed, settings.run_dir / NODES_DIRECTORY),
        random=random.Random(f"{settings.seed}/collector/{epoch}"),
    )
    _restore(collector, own_epochs)
    collector.node.attach(transport)
    transport.start(collector.node)
    collector.node.listen_to_members(members_from_json(directory.members))
    try:
        return await collector.run()
    finally:
        transport.close(linger_s=1.0)
        collector.intake.close()


def _restore(collector: Collector, own_epochs: Sequence[tuple[int, int]]) -> None:
    """Take up where run.sqlite left off: counters, vector, known keys."""
    database, node = collector.database, collector.node
    collector.ledger.restore(database.accepted_keys(), database.excluded_keys())
    collector.metrics.models = database.model_totals()
    collector.metrics.history = database.history()
    for t_s, model, count in database.recent_unique(collector.run_time_s() - WINDOW_S):
        collector.metrics.restore_window(model, count, t_s)
    taken_in = database.taken_in()
    for log_id, seqs in taken_in.items():
        node.replica.restore(log_id, SeqSet.of_ranges(seqs.ranges()))
    now_s = asyncio.get_running_loop().time()
    for epoch, last_seq in own_epochs:
        node.replica.offer(LogId(node.own.origin, epoch), 1, last_seq, now_s)
    collector.intake = Intake(
        node=node,
        ledger=collector.ledger,
        metrics=collector.metrics,
        database=database,
        output=collector._output,  # noqa: SLF001 built together
        taken_in=taken_in,
        run_time_s=collector.run_time_s,
        call_finished=collector.call_finished,
        storage_trouble=lambda text: _note_storage(collector, text),
    )


def _earlier_s(meta: Mapping[str, str], started_ms: int) -> float:
    """Seconds of the run before this start; a collector restarted within it counts none twice."""
    if meta.get("started_ms") == str(started_ms):
        return float(meta.get("earlier_s", "0"))
    return float(meta.get("elapsed_s", "0"))


def _note_storage(collector: Collector, text: str | None) -> None:
    if text is None:
        collector.course.notices.pop("storage", None)
    else:
        collector.course.notices["storage"] = text
