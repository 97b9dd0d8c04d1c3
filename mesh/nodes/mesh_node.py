"""One node of the mesh: joins, tells, listens, serves its log, and fills its gaps.

Producer and collector are both a MeshNode plus what they do with entries. This module carries
out what core.replication and core.membership decide; which entries mean what is its owner's
business (`MeshOwner`), how frames travel the transport's, where logs are kept the `LogShelf`'s.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mesh.core.entries import LogEntry
from mesh.core.items import LogId, NodeId
from mesh.core.membership import Liveness, Member, Membership, Role
from mesh.core.metrics import percentile
from mesh.core.replication import Replica
from mesh.nodes.gap_fetching import TICK_S, GapFetcher
from mesh.nodes.shelf import LogShelf
from mesh.transport.interface import Transport
from mesh.wire import codec, messages
from mesh.wire.codec import BadFrame, FrameHeader, FrameKind

logger = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
JOIN_TIMEOUT_S = 1.0
START_BARRIER_S = 3.0
MEMBER_DIFFERENCE_S = 0.3
LATENCIES_MAX = 2048
ENTRIES_BYTES_MAX = codec.FRAME_BYTES_MAX - codec.HEADER_BYTES - codec.SIGNATURE_BYTES


class MeshOwner(Protocol):
    """What a producer or collector makes of what its node hears."""

    def apply(self, log: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        """Take in entries, each exactly once, in any order of logs and seqs."""
        ...

    def durable(self, log: LogId, last_seq: int) -> None:
        """The collector holds `log` on disk up to `last_seq`."""
        ...

    def members_changed(self) -> None:
        """A member is new or has new addresses."""
        ...

    def known_summary(self) -> tuple[int, bytes]:
        """(known items, their digest) for the heartbeat."""
        ...

    def activity_and_model(self) -> tuple[str, str]:
        """What it is doing, for display, and which model it calls ("" for none)."""
        ...


@dataclass(frozen=True, slots=True)
class SaidFrame:
    """A frame of this node's own log, placed but perhaps not stored or published yet."""

    first_seq: int
    count: int
    frame: bytes


@dataclass(slots=True)
class PeerStatus:
    """The last heartbeat of a peer."""

    heartbeat: messages.Heartbeat
    heard_s: float
    members_differ_since_s: float | None = None
    asked_s: float = 0.0


@dataclass(slots=True)
class MeshNode:
    """State and sockets of one node; lives on one event loop."""

    own: Member
    run_id: bytes
    topic: str
    owner: MeshOwner
    shelf: LogShelf
    random: random.Random
    membership: Membership = field(init=False)
    replica: Replica = field(init=False)
    transport: Transport = field(init=False)
    peers: dict[NodeId, PeerStatus] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    """Frames and requests dropped, by reason."""
    last_seq: int = 0
    _gaps: GapFetcher = field(init=False)
    _listening: dict[NodeId, str] = field(default_factory=dict)
    _latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_MAX))
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _lag_s: float = 0.0
    _welcomed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.membership = Membership(self.own)
        self.replica = Replica(self.random)
        self._gaps = GapFetcher(self)

    # What the owner does

    def attach(self, transport: Transport) -> None:
        """Take the transport whose events this node hears from now on."""
        self.transport = transport

    def place(self, entries: Sequence[LogEntry]) -> list[SaidFrame]:
        """Give `entries` their places in the own log: frames to store and then to `tell`."""
        frames = []
        for part in _frame_sized(entries):
            first_seq = self.last_seq + 1
            frame = codec.encode_entries(
                part,
                run_id=self.run_id,
                log=self.own.log,
                first_seq=first_seq,
                time_us=time.time_ns() // 1000,
            )
            self.last_seq += len(part)
            frames.append(SaidFrame(first_seq, len(part), frame))
        return frames

    def tell(self, frames: Iterable[SaidFrame]) -> None:
        """Publish stored frames of the own log."""
        for said in frames:
            self.replica.offer(self.own.log, said.first_seq, said.count, self._loop.time())
            self.transport.publish(said.frame)

    def publish_durable(self, watermarks: Mapping[LogId, int]) -> None:
        """Tell each log's origin up to which seq it is on disk here."""
        positions: list[messages.LogPosition] = [
            (log.origin, log.epoch, seq) for log, seq in watermarks.items()
        ]
        self._publish(FrameKind.DURABLE, messages.Durable(positions))

    def load(self, frames: Iterable[bytes]) -> None:
        """Apply frames of a log on this node's own disk."""
        for frame in frames:
            self.receive(frame, live=False)

    def listen_to_members(self, members: Iterable[Member]) -> None:
        """Take up members known from an earlier start, and ask each to take this node in."""
        for member in members:
            if self._admit(member):
                self._join(member.service_address)

    async def run(self, seeds: Callable[[], Sequence[str]]) -> None:
        """Keep the node going until cancelled: join, beat, fetch.

        Args:
            seeds: service addresses to join through, asked anew at each try.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._join_until_welcome(seeds))
            tasks.create_task(self._beat())
            tasks.create_task(self._gaps.run())

    async def ready(self) -> None:
        """Return once every alive member hears me and is heard and I know what they know, or
        after START_BARRIER_S."""
        deadline_s = self._loop.time() + START_BARRIER_S
        while self._loop.time() < deadline_s:
            connected = self.membership.connected_both_ways(self._loop.time())
            if connected and self.replica.missing_count == 0:
                return
            await asyncio.sleep(TICK_S)

    def say_goodbye(self) -> None:
        self._publish(FrameKind.GOODBYE, messages.Goodbye(self._told_seq))

    def beat(self) -> None:
        """Publish a heartbeat now."""
        known_count, digest = self.owner.known_summary()
        state, model = self.owner.activity_and_model()
        self._publish(
            FrameKind.HEARTBEAT,
            messages.Heartbeat(
                last_seq=self._told_seq,
                applied_count=self.replica.applied_count,
                known_count=known_count,
                known_digest=digest,
                member_digest=self.membership.digest(),
                loop_lag_ms=round(self._lag_s * 1000, 1),
                state=state[:300],
                model=model[:300],
                propagation_ms=self.propagation_ms(),
                dropped=dict(self.dropped),
            ),
        )

    @property
    def _told_seq(self) -> int:
        # What is placed but not stored yet may never be said: announced, it would stay a hole.
        return self.replica.watermark(self.own.log)

    def propagation_ms(self) -> list[float]:
        """p50 and p99 of the latest frames' way here, on this host; [] when there are none."""
        p50, p99 = percentile(self._latencies_ms, 0.5), percentile(self._latencies_ms, 0.99)
        return [] if p50 is None or p99 is None else [round(p50, 3), round(p99, 3)]

    def liveness(self, origin: NodeId) -> Liveness:
        return self.membership.liveness(origin, self._loop.time(), self._lag_s)

    def alive(self) -> frozenset[NodeId]:
        return self.membership.alive(self._loop.time())

    # What the transport reports

    def feed_received(self, frame: bytes) -> None:
        self.receive(frame, live=True)

    def feed_subscribed(self, node: NodeId, listening: bool) -> None:
        self.membership.subscribed(node, listening)
        if listening:
            self.beat()

    def request_received(self, frame: bytes) -> list[bytes]:
        try:
            header = codec.decode_header(frame, self.run_id)
            if header.kind is FrameKind.JOIN:
                return self._answer_join(messages.decode_body(frame, header, messages.Join))
            if header.kind is FrameKind.FETCH:
                return self._answer_fetch(messages.decode_body(frame, header, messages.Fetch))
            raise BadFrame("kind", header.kind.name)
        except BadFrame as error:
            self._drop(error, "service")
            refusal = messages.Refused(0, f"{error}"[:300])
            return [self.frame(FrameKind.REFUSED, refusal)]

    # Frames

    def receive(self, frame: bytes, *, live: bool) -> None:
        """Take one frame in; `live` is False for those that come later than they were said."""
        try:
            self._receive(frame, live=live)
        except BadFrame as error:
            self._drop(error, "feed" if live else "fetched")

    def _receive(self, frame: bytes, *, live: bool) -> None:
        header = codec.decode_header(frame, self.run_id)
        if header.kind is FrameKind.ENTRIES:
            self._take_in(frame, header, live=live)
        elif header.kind is FrameKind.HEARTBEAT:
            self._heard(header, messages.decode_body(frame, header, messages.Heartbeat))
        elif header.kind is FrameKind.MEMBERS:
            for record in messages.decode_body(frame, header, messages.Members).members:
                self._admit(record.member())
        elif header.kind is FrameKind.DURABLE:
            collector = self.membership.collector()
            if collector and collector.origin == header.origin:
                body = messages.decode_body(frame, header, messages.Durable)
                for origin, epoch, seq in body.watermarks:
                    self.owner.durable(LogId(NodeId(origin), epoch), seq)
        elif header.kind is FrameKind.GOODBYE:
            goodbye = messages.decode_body(frame, header, messages.Goodbye)
            self.replica.announce(header.log, goodbye.last_seq, self._loop.time())
            self.membership.left(header.origin)
        else:
            raise BadFrame("kind", header.kind.name)

    def _take_in(self, frame: bytes, header: FrameHeader, *, live: bool) -> None:
        # Decoded before it counts as applied: a frame that is refused leaves its gap open.
        entries = codec.decode_entries(frame, header)
        new = self.replica.offer(header.log, header.first_seq, header.count, self._loop.time())
        if not new:
            return
        if live:
            self._note_latency(header)
        for first, last in new:
            part = entries[first - header.first_seq : last - header.first_seq + 1]
            self.owner.apply(header.log, first, part)

    def _note_latency(self, header: FrameHeader) -> None:
        member = self.membership.get(header.origin)
        # A collector's frame waits for its commit between being made and being published.
        says_at_once = member is not None and member.role is Role.PRODUCER
        if member and says_at_once and member.host == self.own.host:
            self._latencies_ms.append(time.time_ns() / 1e6 - header.time_us / 1e3)

    def _heard(self, header: FrameHeader, heartbeat: messages.Heartbeat) -> None:
        now_s = self._loop.time()
        self.membership.heard(header.origin, now_s)
        self.replica.announce(header.log, heartbeat.last_seq, now_s)
        status = self.peers.get(header.origin)
        if status is None:
            status = self.peers[header.origin] = PeerStatus(heartbeat, now_s)
        status.heartbeat, status.heard_s = heartbeat, now_s
        if heartbeat.member_digest == self.membership.digest():
            status.members_differ_since_s = None
        elif status.members_differ_since_s is None:
            status.members_differ_since_s = now_s

    def _drop(self, error: BadFrame, where: str) -> None:
        self.dropped[error.reason] += 1
        if self.dropped[error.reason] == 1:
            logger.warning("event=dropped where=%s reason=%s", where, error)

    # Joining

    async def _join_until_welcome(self, seeds: Callable[[], Sequence[str]]) -> None:
        while not self._welcomed.is_set():
            for address in seeds():
                self._join(address)
            try:
                async with asyncio.timeout(JOIN_TIMEOUT_S):
                    await self._welcomed.wait()
            except TimeoutError:
                continue

    def _join(self, service_address: str) -> None:
        request = messages.Join(0, messages.MemberRecord.of(self.own))
        self.transport.request(
            service_address,
            self.frame(FrameKind.JOIN, request),
            timeout_s=JOIN_TIMEOUT_S,
            reply=self._on_join_reply,
        )

    def _on_join_reply(self, parts: list[bytes] | None) -> None:
        if not parts:
            return
        try:
            header = codec.decode_header(parts[0], self.run_id)
            if header.kind is FrameKind.REFUSED:
                reason = messages.decode_body(parts[0], header, messages.Refused).reason
                logger.warning("event=join_refused reason=%r", reason)
                return
            welcome = messages.decode_body(parts[0], header, messages.Welcome)
        except BadFrame as error:
            self._drop(error, "welcome")
            return
        now_s = self._loop.time()
        for origin, epoch, seq in welcome.vector:
            self.replica.announce(LogId(NodeId(origin), epoch), seq, now_s)
        for index, record in enumerate(welcome.members):
            # The first is the one who answered: it knows this node already.
            if self._admit(record.member()) and index:
                self._join(record.service_address)
        self._welcomed.set()

    def _answer_join(self, join: messages.Join) -> list[bytes]:
        member = join.member.member()
        if self._admit(member):
            self._publish(FrameKind.MEMBERS, messages.Members([join.member]))
        welcome = messages.Welcome(
            request=join.request,
            members=[messages.MemberRecord.of(each) for each in self.membership.all()],
            vector=[(log.origin, log.epoch, seq) for log, seq in self.replica.vector()],
            topic=self.topic,
        )
        return [self.frame(FrameKind.WELCOME, welcome)]

    def _admit(self, member: Member) -> bool:
        if not self.membership.admit(member):
            return False
        now_s = self._loop.time()
        for epoch, seq in member.earlier_logs:
            self.replica.announce(LogId(member.origin, epoch), seq, now_s)
        listening = self._listening.get(member.origin)
        if listening != member.feed_address:
            self._listening[member.origin] = member.feed_address
            # Another node may have taken the port meanwhile: one connection serves both.
            if listening and listening not in self._listening.values():
                self.transport.stop_listening_to(listening)
            self.transport.listen_to(member.feed_address)
        self.owner.members_changed()
        logger.info("event=member label=%s origin=%s", member.label, member.origin.hex()[:8])
        return True

    # Heartbeats and gaps

    async def _beat(self) -> None:
        while True:
            due_s = self._loop.time() + HEARTBEAT_S
            self.beat()
            self._ask_where_members_differ()
            await asyncio.sleep(HEARTBEAT_S)
            self._lag_s = max(0.0, self._loop.time() - due_s)

    def _ask_where_members_differ(self) -> None:
        now_s = self._loop.time()
        for origin in self.alive() & self.peers.keys():
            since_s = self.peers[origin].members_differ_since_s
            member = self.membership.get(origin)
            if member and since_s is not None and now_s - since_s >= MEMBER_DIFFERENCE_S:
                self._join(member.service_address)

    def _answer_fetch(self, fetch: messages.Fetch) -> list[bytes]:
        log = LogId(NodeId(fetch.origin), fetch.epoch)
        frames = self.shelf.read(
            log, fetch.first_seq, fetch.last_seq, messages.FETCH_REPLY_BYTES_MAX
        )
        fetched = messages.Fetched(fetch.request, len(frames))
        return [self.frame(FrameKind.FETCHED, fetched), *frames]

    # Sending

    def _publish(self, kind: FrameKind, message: messages.Message) -> None:
        self.transport.publish(self.frame(kind, message))

    def frame(self, kind: FrameKind, message: messages.Message) -> bytes:
        """`message` with this node's header."""
        return codec.encode_frame(
            kind,
            messages.encode_body(message),
            run_id=self.run_id,
            log=self.own.log,
            time_us=time.time_ns() // 1000,
        )


def _frame_sized(entries: Sequence[LogEntry]) -> Iterable[Sequence[LogEntry]]:
    """Cut `entries` into parts that fit a frame each."""
    for start in range(0, len(entries), codec.FRAME_ENTRIES_MAX):
        part = entries[start : start + codec.FRAME_ENTRIES_MAX]
        if codec.entries_size(part) <= ENTRIES_BYTES_MAX:
            yield part
        else:
            yield from ([entry] for entry in part)
