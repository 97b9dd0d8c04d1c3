"""A producer process: a node of the mesh that finds entries by calling LLMs.

It knows what all logs say, writes its own log before it publishes, obeys the collector's control
and the supervisor's, and hands everything over before it leaves. How calls are made is
calling.py's, how frames reach others mesh_node.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Sequence

from mesh.config import ApiKey, ModelSpec, ProducerSettings
from mesh.core import entries as log
from mesh.core.budget import Purse
from mesh.core.entries import LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.known import digest_bytes
from mesh.core.membership import Endpoint, Liveness, Role
from mesh.core.outlook import Outlook
from mesh.core.rate_limits import Allowances
from mesh.llm.clients import open_client
from mesh.llm.endpoints import is_own_server
from mesh.llm.interface import LLMClient
from mesh.nodes.channel import Channel, ChildFailed, Message
from mesh.nodes.peer.identity import Overtaken, members_as_json, members_from_json
from mesh.nodes.peer.mesh_node import MeshNode, SaidFrame
from mesh.nodes.producing.calling import Caller
from mesh.nodes.producing.orders import ControlHeard, ControlPlace, Orders
from mesh.nodes.supervising.limits import raise_descriptor_limit
from mesh.storage.node_directory import NodeDirectory
from mesh.storage.node_log import NodeLog, UnreadableLog
from mesh.wire.tickets import JoinTicket

logger = logging.getLogger(__name__)

SYNC_S = 0.5
"""Time between fdatasyncs; the contract is at most 1 s behind a write."""
HANDOVER_S = 10.0
ORPHAN_HANDOVER_S = 2.0
"""With the supervisor gone nobody restarts a collector: no use in waiting long for one."""
GOODBYE_S = 0.25
REPORT_S = 0.5
WRITE_RETRY_S = 1.0
PAST_LOOK_S = 0.1
LOAD_SLICE_S = 0.005
"""Stored frames are applied for so long at a time."""


class Producer:
    """One producer: its node, what it knows, what it was told."""

    def __init__(
        self,
        settings: ProducerSettings,
        directory: NodeDirectory,
        own_log: NodeLog,
        channel: Channel,
    ) -> None:
        self.settings = settings
        self.orders = Orders(settings.model)
        self.activity = "starting"
        self.node: MeshNode
        self.outlook: Outlook
        self._directory = directory
        self._log = own_log
        self._channel = channel
        self._unsaid: list[LogEntry] = []
        self._unwritable = False
        self._stopping = asyncio.Event()
        self._dismissed = False
        self._control = ControlHeard(settings.started_ms)
        self._durable: dict[int, int] = {}  # Up to where the collector holds its logs, by epoch.
        self._durable_moved = asyncio.Event()
        self._seeds: dict[str, list[Endpoint]] = {}
        self._ended_by: Exception | None = None
        self._members_saved = True
        self._handover_s = HANDOVER_S
        self._gone: set[NodeId] = set()

    def take_node(self, node: MeshNode) -> None:
        """Become the owner of `node`, before it hears anything."""
        self.node = node
        own, settings = node.own, self.settings
        is_bounded = settings.terms is not None and settings.terms.has_budget
        self.outlook = Outlook(
            own.log,
            Purse(own.log, is_bounded=is_bounded, since_ms=settings.started_ms),
            Allowances(own.origin, {m.spec for m in settings.models if is_own_server(m)}),
        )

    # What the node asks of its owner

    def apply(self, log_id: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        now_s, now_ms = asyncio.get_running_loop().time(), time.time_ns() // 1_000_000
        for seq, entry in enumerate(entries, first_seq):
            self.outlook.apply(log_id, seq, entry, now_s=now_s, now_ms=now_ms)
            match entry:
                case log.StateChanged():
                    self._state_changed(entry, (log_id.epoch, seq))
                case log.ModelAssigned():
                    self._model_assigned(entry, (log_id.epoch, seq))
                case log.ProducerDismissed(origin=origin) if origin == self.node.own.origin:
                    self._dismiss((log_id.epoch, seq))
                case log.BudgetGranted() | log.BudgetSet():
                    self.orders.money_moved.set()
                case log.JudgementAsked():
                    self._judgement_asked(entry)
                case log.Judged(number=number) if log_id.origin == self.node.own.origin:
                    self.orders.to_judge.answered(number)
                case log.Lost(origin=origin) if origin == self.node.own.origin:
                    self.outlook.purse.forfeit()

    def durable(self, log_id: LogId, last_seq: int) -> None:
        # The latest holds: a collector restored from an old copy holds less than it did.
        if log_id.origin == self.node.own.origin and last_seq != self._durable.get(log_id.epoch):
            self._durable[log_id.epoch] = last_seq
            self._durable_moved.set()

    def known_summary(self) -> tuple[int, bytes]:
        known = self.outlook.known
        return len(known), digest_bytes(known.digest)

    def activity_and_model(self) -> tuple[str, str]:
        return self.activity, self.orders.model

    def members_changed(self) -> None:
        self._members_saved = False
        if trouble := raise_descriptor_limit(len(self.node.membership.all())):
            logger.warning("event=descriptors %s", trouble)

    def join_refused(self, reason: str) -> None:
        self._end_by(ChildFailed(f"cannot join the run: {reason}"))

    def overtaken(self, epoch: int) -> None:
        if self._directory.heard_epoch(epoch):
            self._end_by(Overtaken(f"this node was heard in epoch {epoch}: it opens a later one"))

    def _end(self) -> None:
        """The run is over: finish, hand over, leave."""
        self.node.ending = True
        self._stopping.set()

    def _end_by(self, error: Exception) -> None:
        self._ended_by = self._ended_by or error
        self._stopping.set()

    # What the caller asks

    async def say(self, entries: Sequence[LogEntry]) -> int:
        """Write entries to the own log, then publish them; return the first one's seq.

        Waits, generating nothing, for as long as the log cannot be written: what was not
        written is not published either. A task that is cancelled does not wait: what it leaves
        unsaid is tried again until this producer has left.
        """
        self._unsaid.extend(entries)
        while not self._say_unsaid() and not _is_cancelled():  # noqa: ASYNC110
            await asyncio.sleep(WRITE_RETRY_S)
        return self._log.last_seq - len(entries) + 1

    def _say_unsaid(self) -> bool:
        """Write and publish what waits; False when it cannot be written now."""
        try:
            for said in self.node.place(self._unsaid):
                self._log.append(said.frame, said.first_seq, said.count)
                entries = self._unsaid[: said.count]
                self.publish(said, entries)
                self._take_in(said.first_seq, entries)
                del self._unsaid[: said.count]
        except OSError as error:
            self.node.last_seq = self._log.last_seq
            self._cannot_write(error)
            return False
        if self._unwritable:
            self._unwritable = False
            self.notice(f"{self.settings.label} can write its log again")
        return True

    def publish(self, said: SaidFrame, entries: Sequence[LogEntry]) -> None:
        """Tell the others what has just been stored; `entries` are those in the frame. Benches
        compare with producers that tell later."""
        self.node.tell([said])

    def open_client(self, model: ModelSpec, key: ApiKey | None) -> LLMClient:
        """How calls reach `model`. Benches compare with producers that ask otherwise."""
        return open_client(model, key)

    def _take_in(self, first_seq: int, entries: Sequence[LogEntry]) -> None:
        """What this producer has said itself counts as what others say does."""
        now_s, now_ms = asyncio.get_running_loop().time(), time.time_ns() // 1_000_000
        for seq, entry in enumerate(entries, first_seq):
            self.outlook.said(seq, entry, now_s=now_s, now_ms=now_ms)
            if isinstance(entry, log.CallFinished):
                self.orders.money_moved.set()

    async def stored(self) -> None:
        """Return when all that was said would survive a power cut: no call may be forgotten that
        counts against a budget."""
        if self.outlook.purse.left_usd is not None:
            await asyncio.to_thread(self._log.sync)

    def producers(self) -> list[NodeId]:
        """Those of the run that are alive, this one first."""
        alive = self.node.alive()
        others = (m for m in self.node.membership.others() if m.origin in alive)
        return [self.node.own.origin, *(m.origin for m in others if m.role is Role.PRODUCER)]

    def _cannot_write(self, error: OSError) -> None:
        self.activity = f"cannot write its log: {error.strerror or error}"
        if not self._unwritable:
            self._unwritable = True
            logger.warning("event=log_unwritable error=%s", error)
            self.notice(f"{self.settings.label} {self.activity}; waiting")

    def notice(self, text: str) -> None:
        """Tell the user something."""
        self._channel.send({"event": "notice", "text": text})

    # The process

    async def run(self) -> int:
        """Join, generate until told to stop, hand over; return the exit status."""
        self.node.dial_members(members_from_json(self._directory.members))
        self.node.loading = True
        self.node.start(self._services_to_join)
        try:
            # A task that fails ends them all, and with them this process: it starts again.
            async with asyncio.TaskGroup() as group:
                generating = group.create_task(self._load_and_generate())
                others = (self._sync(), self._obey(), self._report())
                tasks = [group.create_task(each) for each in others]
                await self._stopping.wait()
                generating.cancel()
                await asyncio.wait({generating})
                if self._ended_by is not None:
                    raise self._ended_by
                status = await self._hand_over()
                for task in tasks:
                    task.cancel()
        finally:
            self.node.close()
            self._save_members()
        return status

    def _save_members(self) -> None:
        self._directory.members = members_as_json(self.node.membership.others())
        self._directory.collector = self.node.membership.collector_origin
        try:
            self._directory.save()
        except OSError as error:
            logger.warning("event=members_not_saved error=%s", error)

    async def _load_stored_logs(self) -> None:
        """What this producer said before its restart, and what it had heard of others."""
        for reader in self._directory.earlier.values():
            with contextlib.suppress(OSError, UnreadableLog):  # Said when the node was opened.
                await self._load(stored.frame for stored in reader.new_frames())
        await self._load(stored.frame for _, stored in self.node.shelf.kept_logs())

    async def _load(self, frames: Iterable[bytes]) -> None:
        """Apply stored frames, in slices: meanwhile others hear this node's heart."""
        loop = asyncio.get_running_loop()
        slice_ends_s = loop.time() + LOAD_SLICE_S
        for frame in frames:
            self.node.load([frame])
            if loop.time() >= slice_ends_s:
                await asyncio.sleep(0)
                slice_ends_s = loop.time() + LOAD_SLICE_S

    async def _load_and_generate(self) -> None:
        """Know first, then ask: it is heard by others and hears them from the start."""
        await self._load_stored_logs()
        self.node.loaded()
        if self._dismissed:
            self._stopping.set()
        else:
            await self._generate()

    async def _generate(self) -> None:
        ready = asyncio.Event()
        # A newcomer may not spend before it has heard that the run goes on; who has taken part
        # in it goes on while the collector is away.
        newcomer = not self._directory.earlier
        self.activity = "joining"
        self.node.when_ready(ready.set, awaits_collector=newcomer)
        await ready.wait()
        own = self.node.own
        self._channel.send(
            {
                "event": "ready",
                "address": own.service_address,
                "curve_key": own.curve_key.decode("ascii"),
            }
        )
        await self._past_known()
        await Caller(self.settings, self.orders, self, open_client=self.open_client).run()

    async def _past_known(self) -> None:
        """Where money is limited, wait for what others hold of this node's own past: before, it
        cannot know what it has spent."""
        missing_of = self.node.replica.missing_of
        while self.outlook.purse.left_usd is not None and missing_of(self.node.own.origin):  # noqa: ASYNC110
            await asyncio.sleep(PAST_LOOK_S)

    async def _report(self) -> None:
        """Tell the supervisor how it goes; hold back when the collector is away for too long."""
        loop = asyncio.get_running_loop()
        alone_since_s = loop.time()
        limit_s = self.settings.mesh.alone_limit_s
        while True:
            collector = self.node.membership.collector()
            heard = self.node.peers.get(collector.origin) if collector else None
            alone_since_s = max(alone_since_s, heard.heard_s if heard else 0.0)
            alone = loop.time() - alone_since_s > limit_s
            if collector and self.node.liveness(collector.origin) is Liveness.LEFT:
                self._end()  # It leaves at the end of the run; this one was told too late.
            self.orders.hold(f"waiting for the collector, unheard for {limit_s:g} s", alone)
            self._free_leases()
            self._channel.send(
                {
                    "event": "status",
                    "known_count": len(self.outlook.known),
                    "said_count": self._log.last_seq,
                    "state": self.activity,
                }
            )
            await asyncio.sleep(REPORT_S)

    def _free_leases(self) -> None:
        """What a dead node was looking into is free for others."""
        gone = {member.origin for member in self.node.membership.others()} - self.node.alive()
        for origin in gone - self._gone:
            self.outlook.node_gone(origin)
        for origin in self._gone - gone:
            self.outlook.node_back(origin)
        self._gone = gone

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(SYNC_S)
            await asyncio.to_thread(self._log.sync)
            if not self._members_saved:
                self._members_saved = True
                self._save_members()

    async def _obey(self) -> None:
        while (message := await self._channel.receive()) is not None:
            self._command(message)
        # The supervisor is gone: keep what is complete, and end.
        self._handover_s = ORPHAN_HANDOVER_S
        self._stopping.set()
        await asyncio.Event().wait()

    def _command(self, message: Message) -> None:
        if message["command"] == "stop":
            self._stopping.set()
        elif message["command"] == "collector":
            collector = Endpoint(message["address"], message["curve_key"].encode("ascii"))
            self._seeds["collector"] = [collector]
            self.take_ticket(message["ticket"])
            self.node.joiner.look()
        elif message["command"] == "peers":
            services = message["services"]
            self._seeds["peers"] = [Endpoint(at, key.encode("ascii")) for at, key in services]
            self.node.joiner.look()

    def take_ticket(self, text: str | None) -> None:
        """Join with this ticket from now on."""
        if text:
            self.node.joiner.take_ticket(JoinTicket.from_text(text))

    async def _hand_over(self) -> int:
        """Repeat the goodbye until the collector holds everything; 0 when it does."""
        self.activity = "handing over"
        self._give_back()
        await asyncio.to_thread(self._log.sync)
        deadline_s = time.monotonic() + self._handover_s
        while time.monotonic() < deadline_s:
            if self._say_unsaid() and not self._not_durable_count():
                break
            self._durable_moved.clear()
            self.node.beat()
            self.node.say_goodbye()
            try:
                async with asyncio.timeout(GOODBYE_S):
                    await self._durable_moved.wait()
            except TimeoutError:
                continue
        self.node.say_goodbye()
        missing = self._not_durable_count()
        lost = len(self._unsaid)
        left = {"not_handed_over": missing, "lost": lost, "dismissed": self._dismissed}
        self._channel.send({"event": "left", **left})
        return 1 if missing or lost else 0

    def _not_durable_count(self) -> int:
        """Entries that the collector has not said to hold. It reads the logs of its own machine
        itself; on another only this node may still hold what it said before it was killed."""
        own = self.node.own
        earlier = own.earlier_logs if self.settings.ticket else ()
        logs = [(own.epoch, self._log.last_seq), *earlier]
        return sum(max(0, last_seq - self._durable.get(epoch, 0)) for epoch, last_seq in logs)

    def _give_back(self) -> None:
        """Return what is left of its grants. One that has not read all that it said in earlier
        starts does not know what it has spent: it keeps what it may have spent."""
        if self.node.loading or self.node.replica.missing_of(self.node.own.origin):
            return
        if (given_back := self.outlook.purse.give_back()) is not None:
            self._unsaid.append(given_back)
            self._say_unsaid()

    def _services_to_join(self) -> list[Endpoint]:
        """Whom the supervisor named: the collector first."""
        return [service for named in self._seeds.values() for service in named]

    def _state_changed(self, change: log.StateChanged, said: ControlPlace) -> None:
        if not self._control.is_news("state", said):
            return
        if change.state in ("draining", "stopped"):
            self._end()
        self.orders.hold("paused", change.state == "paused")

    def _model_assigned(self, assigned: log.ModelAssigned, said: ControlPlace) -> None:
        specs = {model.spec for model in self.settings.models}
        mine = assigned.origin == self.node.own.origin and assigned.model in specs
        if mine and self._control.is_news("model", said):
            self.orders.assign(assigned.model)

    def _dismiss(self, said: ControlPlace) -> None:
        """Leave the run, which goes on; not before its own logs tell it what it has spent."""
        if self._control.is_news("dismissal", said):
            self._dismissed = True
            if not self.node.loading:
                self._stopping.set()

    def _judgement_asked(self, asked: log.JudgementAsked) -> None:
        """What was asked in an earlier start of the run, nobody waits for any more."""
        if asked.origin == self.node.own.origin and asked.number >= self.settings.started_ms:
            self.orders.to_judge.asked(asked)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
