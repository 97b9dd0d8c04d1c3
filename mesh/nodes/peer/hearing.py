"""What a node makes of the frames that reach it: who made them, whether they are news, who hears.

A frame is checked before anything in it is believed: layout, run, in encrypted runs its origin's
signature, and that verdicts and control come from the collector alone. What is refused is counted
by reason; log entries that are refused stay a gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.core.entries import (
    Accepted,
    Duplicate,
    LogEntry,
    Lost,
    MemberRevoked,
    Merged,
    is_collectors,
)
from mesh.core.items import LogId, NodeId
from mesh.core.membership import Liveness, Role
from mesh.core.metrics import percentile
from mesh.nodes.peer.objecting import Objector
from mesh.wire import codec, messages
from mesh.wire.codec import BadFrame, FrameHeader, FrameKind
from mesh.wire.signing import is_signed

if TYPE_CHECKING:
    from mesh.nodes.peer.mesh_node import MeshNode

_VERDICTS = frozenset({Accepted, Duplicate, Merged})
LATENCIES_MAX = 2048
RECORDS_EPOCH = 0
"""No node ever opens it: under it the shelf keeps what a member says of itself."""
TOO_MANY_LOGS = "too_many_logs"


@dataclass(slots=True)
class PeerStatus:
    """The last heartbeat of a peer."""

    heartbeat: messages.Heartbeat
    heard_s: float


class Hearer:
    """One node's ears."""

    def __init__(self, node: MeshNode) -> None:
        self._node = node
        self._latest: dict[tuple[NodeId, FrameKind], tuple[int, int]] = {}
        """(epoch, time) of the last frame of each repeated state: an older one is a replay."""
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_MAX)
        self._objector = Objector(node)
        self._not_loaded: set[NodeId] = set()
        """Origins of stored frames that could not be believed while their member was unknown."""
        self._introduced: dict[NodeId, int] = {}
        """Epochs of members' records that stand before their frames on this node's disk."""

    def receive(self, frame: bytes, *, live: bool, stored: bool) -> None:
        """Take one frame in; arguments as MeshNode.receive."""
        try:
            header = self._checked(frame, live=live, stored=stored)
            if header.kind is FrameKind.ENTRIES:
                self._take_in(frame, header, live=live, stored=stored)
            elif live:
                self._take_state(frame, header)
            elif stored and header.kind is FrameKind.MEMBERS:
                self._admit_all(frame, header)
            else:
                raise BadFrame("kind", header.kind.name)
        except BadFrame as error:
            self._node.drop(error, "feed" if live else "fetched")
            if stored and error.reason in ("origin", "role"):
                self._not_loaded.add(codec.decode_header(frame, self._node.run_id).origin)

    def load_again(self, origin: NodeId) -> None:
        """`origin` is a member now: take in what was kept of it, if that was refused before."""
        if origin in self._not_loaded:
            self._not_loaded.discard(origin)
            kept = self._node.shelf.kept_logs()
            self._node.load(stored.frame for log, stored in kept if log.origin == origin)

    def propagation_ms(self) -> list[float]:
        """p50 and p99 of the latest frames' way here, on this host; [] when there are none."""
        p50, p99 = percentile(self._latencies_ms, 0.5), percentile(self._latencies_ms, 0.99)
        return [] if p50 is None or p99 is None else [round(p50, 3), round(p99, 3)]

    def _checked(self, frame: bytes, *, live: bool, stored: bool) -> FrameHeader:
        """The header of a frame that its origin made; BadFrame `origin` for a stranger's and
        `signature` for one that was forged or altered.

        What is on this node's own disk was checked before it got there. What a removed member
        said before stays, and is fetched from others; from itself nothing is heard.
        """
        header = codec.decode_header(frame, self._node.run_id)
        if self._node.is_encrypted:
            member = self._node.membership.get(header.origin)
            if member is None or (live and header.origin in self._node.membership.revoked):
                raise BadFrame("origin", "not a member")
            if not stored:
                signature = codec.signature_of(frame, header)
                if not is_signed(codec.signed_part(frame, header), signature, member.public_key):
                    raise BadFrame("signature")
        return header

    def _take_in(self, frame: bytes, header: FrameHeader, *, live: bool, stored: bool) -> None:
        # Decoded before it counts as applied: a frame that is refused leaves its gap open.
        entries = codec.decode_entries(frame, header)
        self._check_role(header, entries)
        if not stored and self._is_own_future(header):
            self._node.owner.overtaken(header.epoch)
            return
        log, first_seq, count = header.log, header.first_seq, header.count
        new = self._node.replica.offer(log, first_seq, count, self._node.clock.time())
        if not new:
            self._count_no_news(log, live=live)
            if live:
                self._objector.heard(log, first_seq, count)
            return
        if live:
            self._note_latency(header)
        if not stored and log != self._node.own.log:
            self._introduce(header.origin)
            self._keep(log, first_seq, count, frame)
        for first, last in new:
            part = entries[first - first_seq : last - first_seq + 1]
            self._obey(header.origin, part)
            self._node.owner.apply(log, first, part)

    def _count_no_news(self, log: LogId, *, live: bool) -> None:
        if not self._node.replica.has_room_for(log):
            raise BadFrame(TOO_MANY_LOGS)
        self._node.dropped["repeated"] += live

    def _keep(self, log: LogId, first_seq: int, count: int, frame: bytes) -> None:
        if not self._node.shelf.keep(log, first_seq, count, frame):
            self._node.dropped["not_kept"] += 1

    def _introduce(self, origin: NodeId) -> None:
        """Keep a member's record before its frames: whoever holds these must be believed when it
        serves them, though everyone else may have forgotten that member."""
        member = self._node.membership.get(origin)
        if member is None or self._introduced.get(origin) == member.epoch:
            return
        self._introduced[origin] = member.epoch
        if origin == self._node.own.origin:
            return
        record = messages.Members([messages.MemberRecord.of(member)])
        frame = self._node.frame(FrameKind.MEMBERS, record, signed=True)
        self._keep(LogId(origin, RECORDS_EPOCH), max(1, member.epoch), 1, frame)

    def _admit_all(self, frame: bytes, header: FrameHeader) -> None:
        for record in messages.decode_body(frame, header, messages.Members).members:
            self._node.admit_record(record)

    def _is_own_future(self, header: FrameHeader) -> bool:
        """Whether this node has said this in another life, beyond what it knows of now."""
        own = self._node.own
        if not self._node.protections.epochs or header.origin != own.origin:
            return False
        unsaid = header.epoch == own.epoch and header.last_seq > self._node.last_seq
        return header.epoch > own.epoch or unsaid

    def _check_role(self, header: FrameHeader, entries: Sequence[LogEntry]) -> None:
        """Verdicts and control are the collector's alone."""
        member = self._node.membership.get(header.origin)
        if member is None or member.role is not Role.COLLECTOR:
            for entry in entries:
                if is_collectors(entry):
                    raise BadFrame("role", "a verdict or control that is not the collector's")

    def _obey(self, origin: NodeId, entries: Sequence[LogEntry]) -> None:
        """Carry out what the collector says to nodes as such."""
        collector = self._node.membership.collector()
        if collector is None or collector.origin != origin:
            return
        for entry in entries:
            if type(entry) in _VERDICTS:
                continue  # As nearly everything that it says.
            if isinstance(entry, Lost):
                log = LogId(NodeId(entry.origin), entry.epoch)
                self._objector.declared_lost(log, entry.first_seq, entry.last_seq)
                now_s = self._node.clock.time()
                self._node.replica.declare_lost(log, entry.first_seq, entry.last_seq, now_s)
            elif isinstance(entry, MemberRevoked):
                self._node.revoke(NodeId(entry.origin))
            else:
                self._node.tickets.apply(entry)

    def _take_state(self, frame: bytes, header: FrameHeader) -> None:
        """Repeated state: the latest wins."""
        if header.kind >= FrameKind.JOIN:
            raise BadFrame("kind", header.kind.name)
        member = self._node.membership.get(header.origin)
        if member is None:
            raise BadFrame("origin", "not a member")
        if header.kind is FrameKind.HEARTBEAT and member != self._node.own:
            self._node.swapper.heard_in(header.epoch, member)
        said = header.epoch, header.time_us
        if said <= self._latest.get((header.origin, header.kind), (0, -1)):
            raise BadFrame("replayed", header.kind.name)
        self._take_up(frame, header)
        # Only what could be read counts: a later, sound frame must not pass for a replay.
        self._latest[header.origin, header.kind] = said

    def _take_up(self, frame: bytes, header: FrameHeader) -> None:
        if header.kind is FrameKind.HEARTBEAT:
            self._heard(header, messages.decode_body(frame, header, messages.Heartbeat))
        elif header.kind is FrameKind.MEMBERS:
            self._admit_all(frame, header)
        elif header.kind is FrameKind.DURABLE:
            body = messages.decode_body(frame, header, messages.Durable)
            collector = self._node.membership.collector()
            if collector and collector.origin == header.origin:
                for origin, epoch, seq in body.watermarks:
                    self._node.owner.durable(LogId(NodeId(origin), epoch), seq)
        else:
            goodbye = messages.decode_body(frame, header, messages.Goodbye)
            self._node.announce_tail(header.log, goodbye.last_seq)
            self._node.membership.left(header.origin)

    def _take_back(self, origin: NodeId, before: Liveness, now_s: float) -> None:
        """A node is heard, for the first time or after a silence."""
        member = self._node.membership.get(origin)
        if member and before in (Liveness.SUSPECT, Liveness.DEAD):
            self._node.transport.hang_up(member.service)
        self._node.replica.ask_again(origin, now_s)

    def _note_latency(self, header: FrameHeader) -> None:
        member = self._node.membership.get(header.origin)
        # A collector's frame waits for its commit between being made and being published.
        says_at_once = member is not None and member.role is Role.PRODUCER
        if member and says_at_once and member.host == self._node.own.host:
            self._latencies_ms.append((self._node.wall_us() - header.time_us) / 1e3)

    def _heard(self, header: FrameHeader, heartbeat: messages.Heartbeat) -> None:
        now_s = self._node.clock.time()
        before = self._node.liveness(header.origin)
        self._node.membership.heard(header.origin, now_s)
        if before is not Liveness.ALIVE:
            self._take_back(header.origin, before, now_s)
        self._node.announce_tail(header.log, heartbeat.last_seq)
        self._node.peers[header.origin] = PeerStatus(heartbeat, now_s)
        self._node.swapper.heard(header.origin, heartbeat)
