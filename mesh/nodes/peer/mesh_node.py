"""One node of the mesh: what it tells, whom it knows, and its parts put together.

Producer and collector are both a MeshNode plus what they do with entries. It carries out what
core.replication and core.membership decide; hearing.py takes frames in, joining.py, serving.py,
gap_fetching.py and swapping.py ask and answer. Which entries mean what is its owner's business
(`MeshOwner`), how frames travel the transport's, where logs are kept the `LogShelf`'s. Time comes
from a Clock: the same node runs in a process and in the simulation.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mesh.core.admission import TicketBook
from mesh.core.entries import LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.membership import (
    DEAD_AFTER_S,
    Admission,
    Endpoint,
    Liveness,
    Member,
    Membership,
    Role,
)
from mesh.core.protections import ALL_ON, Protections
from mesh.core.replication import Replica
from mesh.nodes.peer.beating import Heart
from mesh.nodes.peer.clock import Clock, Timer, wall_time_us
from mesh.nodes.peer.gap_fetching import GapFetcher
from mesh.nodes.peer.hearing import TOO_MANY_LOGS, Hearer, PeerStatus
from mesh.nodes.peer.joining import Joiner
from mesh.nodes.peer.serving import Server
from mesh.nodes.peer.shelf import LogShelf
from mesh.nodes.peer.swapping import Swapper
from mesh.transport.interface import Transport
from mesh.wire import codec, messages
from mesh.wire.codec import BadFrame, FrameKind
from mesh.wire.signing import SigningKey, is_signed

logger = logging.getLogger(__name__)

START_BARRIER_S = 3.0
READY_LOOK_S = 0.05


class MeshOwner(Protocol):
    """What a producer or collector makes of what its node hears."""

    def apply(self, log: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        """Take in entries, each exactly once, in any order of logs and seqs."""
        ...

    def durable(self, log: LogId, last_seq: int) -> None:
        """The collector holds `log` on disk up to `last_seq`."""
        ...

    def members_changed(self) -> None:
        """A member is new or has new addresses, or the collector was named."""
        ...

    def known_summary(self) -> tuple[int, bytes]:
        """(known items, their digest) for the heartbeat."""
        ...

    def activity_and_model(self) -> tuple[str, str]:
        """What it is doing, for display, and which model it calls ("" for none)."""
        ...

    def join_refused(self, reason: str) -> None:
        """Nobody takes this node in; `reason` is for a person."""
        ...

    def overtaken(self, epoch: int) -> None:
        """Others have heard this node in an epoch as late as its own or later: an old copy of its
        directory was restored, or it was copied. It must start again above `epoch`."""
        ...


@dataclass(frozen=True, slots=True)
class SaidFrame:
    """A frame of this node's own log, placed but perhaps not stored or published yet."""

    first_seq: int
    count: int
    frame: bytes


@dataclass(slots=True)
class MeshNode:
    """State of one node; everything it does is done in calls of its clock and its transport."""

    own: Member
    run_id: bytes
    owner: MeshOwner
    shelf: LogShelf
    random: random.Random
    clock: Clock
    signing: SigningKey | None = None
    """None: a plaintext run."""
    wall_us: Callable[[], int] = wall_time_us
    protections: Protections = ALL_ON
    terms: bytes = b""
    """config.RunTerms as JSON, for newcomers' machines."""
    membership: Membership = field(init=False)
    replica: Replica = field(init=False)
    tickets: TicketBook = field(default_factory=TicketBook)
    transport: Transport = field(init=False)
    joiner: Joiner = field(init=False)
    swapper: Swapper = field(init=False)
    peers: dict[NodeId, PeerStatus] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    """Frames, requests, connections and announcements refused, ignored or not kept, by reason."""
    last_seq: int = 0
    ending: bool = False
    """The run is over: nobody new is taken in."""
    loading: bool = False
    """What is on this node's own disk is being read: nobody is asked for it meanwhile."""
    closed: bool = False
    _gaps: GapFetcher = field(init=False)
    _hearer: Hearer = field(init=False)
    _heart: Heart = field(init=False)
    _server: Server = field(init=False)
    _records: dict[bytes, messages.MemberRecord] = field(default_factory=dict)
    """Of all members but this node, as they came."""
    _listening: dict[NodeId, Endpoint] = field(default_factory=dict)
    _started_s: float = 0.0
    _held_at_start: list[tuple[LogId, int]] = field(default_factory=list)
    _last_time_us: int = 0
    _awaiting_ready: Timer | None = None

    def __post_init__(self) -> None:
        self.membership = Membership(self.own)
        if self.own.role is Role.COLLECTOR:
            self.membership.collector_origin = self.own.origin
        self.replica = Replica(self.random, self.protections)
        self._gaps = GapFetcher(self)
        self._hearer = Hearer(self)
        self._heart = Heart(self)
        self._server = Server(self)
        self.joiner = Joiner(self)
        self.swapper = Swapper(self)

    @property
    def is_encrypted(self) -> bool:
        return self.signing is not None

    # What the owner does

    def attach(self, transport: Transport) -> None:
        """Take the transport whose events this node hears from now on."""
        self.transport = transport

    def start(self, seeds: Callable[[], Sequence[Endpoint]] = list) -> None:
        """Join through `seeds`, asked anew at each try; beat, fetch and swap until `close`."""
        self._started_s = self.clock.time()
        self._held_at_start = self.replica.vector()
        self.joiner.start(seeds)
        self.swapper.start()
        self._heart.start()
        self._gaps.look()

    def close(self) -> None:
        """Do nothing more; the transport is the owner's to close."""
        self.closed = True
        if self._awaiting_ready is not None:
            self._awaiting_ready.cancel()
        self._heart.close()
        self.joiner.close()
        self.swapper.close()
        self._gaps.close()

    def when_ready(self, callback: Callable[[], None], *, awaits_collector: bool = False) -> None:
        """Call `callback` once every alive member hears me and is heard and I know what they
        know, or after START_BARRIER_S.

        Args:
            awaits_collector: not before the collector was heard, however long that takes.
        """
        deadline_s = self.clock.time() + START_BARRIER_S

        def look() -> None:
            now_s = self.clock.time()
            connected = self.membership.connected_both_ways(now_s)
            whole = connected and self.replica.missing_count == 0
            if (whole or now_s >= deadline_s) and (self._hears_collector() or not awaits_collector):
                callback()
            elif not self.closed:
                self._awaiting_ready = self.clock.call_later(READY_LOOK_S, look)

        look()

    def _hears_collector(self) -> bool:
        collector = self.membership.collector()
        return collector is not None and collector.origin in self.peers

    def place(self, entries: Sequence[LogEntry]) -> list[SaidFrame]:
        """Give `entries` their places in the own log: frames to store and then to `tell`."""
        frames = []
        for part in codec.frame_sized(entries):
            first_seq = self.last_seq + 1
            frame = codec.encode_entries(
                part,
                run_id=self.run_id,
                log=self.own.log,
                first_seq=first_seq,
                time_us=self._next_time_us(),
                sign=self.signing.sign if self.signing else None,
            )
            self.last_seq += len(part)
            frames.append(SaidFrame(first_seq, len(part), frame))
        return frames

    def tell(self, frames: Iterable[SaidFrame]) -> None:
        """Publish stored frames of the own log."""
        for said in frames:
            self.replica.offer(self.own.log, said.first_seq, said.count, self.clock.time())
            self.transport.publish(said.frame)

    def publish_durable(self, watermarks: Mapping[LogId, int]) -> None:
        """Tell each log's origin up to which seq it is on disk here."""
        positions: list[messages.LogPosition] = [
            (log.origin, log.epoch, seq) for log, seq in watermarks.items()
        ]
        self.publish(FrameKind.DURABLE, messages.Durable(positions))

    def load(self, frames: Iterable[bytes]) -> None:
        """Apply frames that are on this node's own disk."""
        for frame in frames:
            self.receive(frame, live=False, stored=True)
        self._gaps.look()

    def loaded(self) -> None:
        """All that is on this node's own disk has been read: what is missing is fetched."""
        self.loading = False
        self._gaps.look()

    def name_collector(self, origin: NodeId) -> None:
        """Take `origin` for the run's collector from now on, and nobody else."""
        if self.membership.collector_origin != origin:
            self.membership.collector_origin = origin
            self.owner.members_changed()

    def dial_members(self, members: Iterable[Member]) -> None:
        """Take up members known from an earlier start."""
        for member in members:
            self.admit_record(messages.MemberRecord.of(member))

    def say_goodbye(self) -> None:
        self.publish(FrameKind.GOODBYE, messages.Goodbye(self.told_seq))

    def beat(self) -> None:
        """Publish a heartbeat now."""
        self._heart.beat()

    @property
    def told_seq(self) -> int:
        """The last entry of the own log that was published; what is placed and not stored yet may
        never be said: announced, it would stay a hole."""
        return self.replica.watermark(self.own.log)

    def lost_for_good(self) -> list[tuple[LogId, int, int]]:
        """(log, first seq, last seq) of what everyone alive has answered not to hold. An origin
        that may still be starting is waited for."""
        settled = self.clock.time() - self._started_s >= DEAD_AFTER_S
        here = self.reachable() | {self.own.origin}
        holes = [hole for hole in self.replica.nobody_holds() if settled or hole[0].origin in here]
        return holes + self._server.take_unserved() + (self._of_forgotten() if settled else [])

    def _of_forgotten(self) -> list[tuple[LogId, int, int]]:
        """What this node held at its start of members whom nobody remembers any more: the others
        would never learn that there was such a log, and never know as much."""
        held, self._held_at_start = self._held_at_start, []
        return [
            (log, 1, last_seq)
            for log, last_seq in held
            if last_seq and self.membership.get(log.origin) is None
        ]

    def propagation_ms(self) -> list[float]:
        """p50 and p99 of the latest frames' way here, on this host; [] when there are none."""
        return self._hearer.propagation_ms()

    def liveness(self, origin: NodeId) -> Liveness:
        return self.membership.liveness(origin, self.clock.time(), self._heart.lag_s)

    def alive(self) -> frozenset[NodeId]:
        return self.membership.alive(self.clock.time(), self._heart.lag_s)

    def reachable(self) -> frozenset[NodeId]:
        """Who can be asked: also those who are leaving and still there."""
        return self.membership.reachable(self.clock.time(), self._heart.lag_s)

    # What the transport reports

    def feed_received(self, frame: bytes) -> None:
        self.receive(frame, live=True)

    def feed_subscribed(self, node: NodeId, listening: bool) -> None:
        self.membership.subscribed(node, listening)
        if listening:
            self._heart.answer(node)

    def request_received(self, frame: bytes, asker_key: bytes) -> list[bytes]:
        return [] if self.closed else self._server.answer(frame, asker_key)

    def turned_away(self, reason: str) -> None:
        self.dropped[reason] += 1

    # What it hears

    def receive(self, frame: bytes, *, live: bool, stored: bool = False) -> None:
        """Take one frame in.

        Args:
            live: it comes from a feed; False for those that come later than they were said, and
                many together: when all are in, the caller has the shelf write what was kept of
                them, and what they leave missing looked after.
            stored: it comes from this node's own disk.
        """
        if not self.closed:
            self._hearer.receive(frame, live=live, stored=stored)
            if live:
                self.shelf.write()
                self._gaps.look()

    def revoke(self, origin: NodeId) -> None:
        """Have nothing more to do with a member; what it said stays."""
        self.membership.revoked.add(origin)
        if (member := self.membership.get(origin)) is not None:
            self.transport.hang_up(member.service)
            if member.curve_key:
                self.transport.revoke_key(member.curve_key)
        if (listening := self._listening.pop(origin, None)) is not None:
            self.transport.stop_listening_to(listening)

    def announce_tail(self, log: LogId, last_seq: int) -> None:
        if self.protections.tail_check:
            self.announce(log, last_seq)

    def announce(self, log: LogId, last_seq: int) -> None:
        """Learn that a member's log has entries up to `last_seq`."""
        if self.membership.get(log.origin) is None:
            return
        if not self.replica.has_room_for(log):
            self.dropped[TOO_MANY_LOGS] += 1
            return
        self.replica.announce(log, last_seq, self.clock.time())
        self._gaps.look()

    def admit_record(self, record: messages.MemberRecord) -> Admission:
        """Learn of a member by its own record, whoever passes it on."""
        is_revoked = record.origin in self.membership.revoked
        if self._records.get(record.origin) == record and not is_revoked:
            return Admission.KNOWN  # As nearly all that a swap brings.
        member = record.member()
        if self.is_encrypted:
            claim = messages.record_claim(record, self.run_id)
            if not is_signed(claim, record.signature, record.public_key):
                self.dropped["record_signature"] += 1
                return Admission.ANOTHER_KEY
        verdict = self.membership.admit(member)
        if verdict is Admission.NEW:
            self._records[record.origin] = record
            self._dial(member)
        elif verdict is Admission.OWN and member.epoch > self.own.epoch:
            if self.protections.epochs:
                self.owner.overtaken(member.epoch)
        elif verdict not in (
            Admission.KNOWN,
            Admission.STALE,
            Admission.OWN,
            Admission.REVOKED,  # Passed on by everyone; counted where it asks to come in.
        ):
            self.dropped[verdict.value] += 1
        return verdict

    def _dial(self, member: Member) -> None:
        for epoch, seq in member.earlier_logs:
            self.announce(LogId(member.origin, epoch), seq)
        self.replica.ask_again(member.origin, self.clock.time())
        self._hearer.load_again(member.origin)
        if member.curve_key:
            self.transport.admit_key(member.curve_key)
        listening = self._listening.get(member.origin)
        if listening != member.feed:
            self._listening[member.origin] = member.feed
            # Another node may have taken the port meanwhile: one connection serves both.
            if listening and listening not in self._listening.values():
                self.transport.stop_listening_to(listening)
            self.transport.listen_to(member.feed)
        self.owner.members_changed()
        logger.info("event=member label=%s origin=%s", member.label, member.origin.hex()[:8])

    def drop(self, error: BadFrame, where: str) -> None:
        """Count what is refused; each reason is logged once."""
        self.dropped[error.reason] += 1
        if self.dropped[error.reason] == 1:
            logger.warning("event=dropped where=%s reason=%s", where, error)

    # What the parts of this node share

    def vector_positions(self) -> list[messages.LogPosition]:
        return [(log.origin, log.epoch, seq) for log, seq in self.replica.vector()]

    def member_records(self) -> list[messages.MemberRecord]:
        return [messages.MemberRecord.of(self.own), *self._records.values()]

    def reply(self, parts: list[bytes] | None, kind: FrameKind) -> list[bytes] | None:
        """The parts of a reply of this kind; None for none, a refusal or anything else."""
        if not parts or self.closed:
            return None
        try:
            header = codec.decode_header(parts[0], self.run_id)
        except BadFrame as error:
            self.drop(error, "reply")
            return None
        return parts if header.kind is kind else None

    def read(self, frame: bytes, kind: FrameKind, body: type[messages.M]) -> messages.M:
        """The body of a frame that must be of `kind`; BadFrame otherwise."""
        header = codec.decode_header(frame, self.run_id)
        if header.kind is not kind:
            raise BadFrame("kind", header.kind.name)
        return messages.decode_body(frame, header, body)

    def publish(self, kind: FrameKind, message: messages.Message) -> None:
        self.transport.publish(self.frame(kind, message, signed=True))

    def frame(self, kind: FrameKind, message: messages.Message, *, signed: bool = False) -> bytes:
        """`message` with this node's header; what goes to all is signed in encrypted runs, what
        goes to one is proved by the connection."""
        return codec.encode_frame(
            kind,
            messages.encode_body(message),
            run_id=self.run_id,
            log=self.own.log,
            time_us=self._next_time_us(),
            sign=self.signing.sign if signed and self.signing else None,
        )

    def _next_time_us(self) -> int:
        """Now, but later than every frame before: the order in which things were said."""
        self._last_time_us = max(self.wall_us(), self._last_time_us + 1)
        return self._last_time_us
