"""A real node between a network and a disk that do nothing by themselves, and what must hold.

The node hears what the fuzzer hands it, as its transport would; asks, and is answered by the
fuzzer. After each input the oracle looks at what the node now believes: a frame that was refused
has changed nothing, and in an encrypted run nobody spoke in another's name.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mesh.core.entries import Accepted, Found, LogEntry, is_collectors
from mesh.core.items import LogId, NodeId
from mesh.core.known import KnownItems, digest_bytes
from mesh.core.membership import Endpoint, Member
from mesh.core.normalize import item_key
from mesh.nodes.peer.mesh_node import MeshNode
from mesh.storage.node_log import StoredFrame
from mesh.transport.interface import Reply
from mesh.wire import codec, messages
from mesh.wire.codec import FrameKind
from tests.fuzz.cast import RUN, TIME_US, Cast
from tests.simulation.virtual_clock import VirtualClock

REQUESTS_HELD_MAX = 64
"""Of those that a node asks and nobody has answered yet; older ones wait for their time-out."""
REPLY_BYTES_MAX = 2 * messages.FETCH_REPLY_BYTES_MAX
REFUSED_WHOLE = frozenset(
    {"magic", "version", "run", "size", "kind", "epoch", "entries", "body"}
    | {"origin", "signature", "role", "replayed", "repeated"}
)
"""Reasons for which nothing of a frame is believed; others concern one record of several."""


@dataclass(slots=True)
class SilentTransport:
    """Carries nothing: what is asked waits for the fuzzer to answer, or for its time-out."""

    clock: VirtualClock
    feed_address: str = "tcp://victim:1"
    service_address: str = "tcp://victim:2"
    listening: set[Endpoint] = field(default_factory=set)
    admitted: set[bytes] = field(default_factory=set)
    revoked: set[bytes] = field(default_factory=set)
    asked: list[Reply] = field(default_factory=list)
    frames_asked: list[bytes] = field(default_factory=list)
    services_asked: list[Endpoint] = field(default_factory=list)

    def admit_key(self, curve_key: bytes) -> None:
        self.admitted.add(curve_key)

    def revoke_key(self, curve_key: bytes) -> None:
        self.revoked.add(curve_key)

    def publish(self, frame: bytes, to: NodeId | None = None) -> None:
        assert len(frame) <= codec.FRAME_BYTES_MAX

    def listen_to(self, feed: Endpoint) -> None:
        self.listening.add(feed)

    def stop_listening_to(self, feed: Endpoint) -> None:
        self.listening.discard(feed)

    def request(self, service: Endpoint, frame: bytes, *, timeout_s: float, reply: Reply) -> None:
        assert len(frame) <= codec.FRAME_BYTES_MAX
        answered = False

        def once(parts: list[bytes] | None) -> None:
            nonlocal answered
            if not answered:
                answered = True
                reply(parts)

        self.clock.call_later(timeout_s, once, None)
        self.asked.append(once)
        self.frames_asked.append(frame)
        self.services_asked.append(service)
        for held in (self.asked, self.frames_asked, self.services_asked):
            del held[:-REQUESTS_HELD_MAX]

    def hang_up(self, service: Endpoint) -> None:
        for asked, reply in zip(tuple(self.services_asked), tuple(self.asked), strict=True):
            if asked == service:
                reply(None)

    def close(self, linger_s: float) -> None:
        self.asked.clear()


@dataclass(slots=True)
class MemoryShelf:
    """Serves the victim's own log, and forgets what it is to keep."""

    own: LogId
    frames: list[bytes] = field(default_factory=list)

    def read(self, log_id: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        return self.frames if log_id == self.own and first_seq <= last_seq else []

    def keep(self, log_id: LogId, first_seq: int, count: int, frame: bytes) -> bool:
        header = codec.decode_header(frame, RUN)
        # A member's record is kept before its first frame, in a log of its own.
        if header.kind is FrameKind.ENTRIES:
            assert (header.log, header.first_seq, header.count) == (log_id, first_seq, count)
        return True

    def write(self) -> None: ...

    def kept_logs(self) -> Iterator[tuple[LogId, StoredFrame]]:
        return iter(())


@dataclass(slots=True)
class Witness:
    """The victim's owner: knows what is applied, and objects to what must not be."""

    cast: Cast
    known: KnownItems = field(default_factory=KnownItems)
    marks: dict[LogId, int] = field(default_factory=dict)
    overtaken_by: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    may_speak: Callable[[NodeId], bool] = lambda _: True
    """Whose entries may come of the input at hand."""

    def apply(self, log: LogId, first_seq: int, entries: Sequence[LogEntry]) -> None:
        assert entries
        assert self.may_speak(log.origin), "entries in another node's name"
        is_collector = log.origin == self.cast.collector.log.origin
        for entry in entries:
            assert is_collector or not is_collectors(entry), entry
            if isinstance(entry, Found):
                self.known.add(item_key(entry.text), entry.text)
            elif isinstance(entry, Accepted):
                self.known.accept(entry.ordinal, item_key(entry.text), entry.text, log.epoch)

    def durable(self, log: LogId, last_seq: int) -> None:
        self.marks[log] = last_seq

    def members_changed(self) -> None:
        pass

    def known_summary(self) -> tuple[int, bytes]:
        return len(self.known), digest_bytes(self.known.digest)

    def activity_and_model(self) -> tuple[str, str]:
        return "generating", "m"

    def join_refused(self, reason: str) -> None:
        self.refused = [reason]

    def overtaken(self, epoch: int) -> None:
        self.overtaken_by = [epoch]


class AttackedNode:
    """The victim, in the middle of a run: it knows the collector and the other producer."""

    def __init__(self, cast: Cast, choose: random.Random) -> None:
        self.cast = cast
        self.clock = VirtualClock()
        self.transport = SilentTransport(self.clock)
        self.witness = Witness(cast)
        shelf = MemoryShelf(cast.victim.log)
        self.node = MeshNode(
            own=cast.victim.member,
            run_id=RUN,
            owner=self.witness,
            shelf=shelf,
            random=choose,
            clock=self.clock,
            signing=cast.victim.key,
            wall_us=lambda: TIME_US + round(self.clock.time() * 1e6),
            terms=b"{}",
        )
        self.node.attach(self.transport)
        self.node.dial_members([cast.collector.member, cast.other.member])
        self.node.start(lambda: [cast.collector.member.service])
        said = self.node.place([Found("Panthéon", 1, "m")])
        shelf.frames = [each.frame for each in said]
        self.node.tell(said)
        for frame in cast.tickets_said():
            self.node.receive(frame, live=False)
        self._genuine = set(cast.feed_frames())
        self._keys = {
            player.member.origin: (player.member.public_key, player.member.curve_key)
            for player in (cast.collector, cast.victim, cast.other, cast.newcomer)
        }
        self._believed = self.beliefs()

    # What an attacker does

    def hear(self, frame: bytes, *, live: bool = True, signer: NodeId | None = None) -> str:
        """Take one frame from a feed, or as part of a fetched log; return why it was refused,
        "" when it was not.

        Args:
            signer: whose key has signed it anew; None: nobody, so that in an encrypted run only
                the frames of the cast are genuine.
        """
        encrypted = self.cast.encrypted
        genuine = not encrypted or frame in self._genuine
        self.witness.may_speak = lambda origin: genuine or origin == signer
        dropped = self.node.dropped.copy()
        self.node.receive(frame, live=live)
        reasons = (self.node.dropped - dropped).keys()
        if not genuine and signer is None:
            self._check_unmoved("a frame that was altered or forged")
        elif reasons & REFUSED_WHOLE:
            self._check_unmoved("a frame that was refused")
        self._check_members()
        return " ".join(sorted(reasons))

    def ask(self, frame: bytes, asker_key: bytes) -> str:
        """Ask the victim's service; return why the request was refused, "" when it was not."""
        dropped = self.node.dropped.copy()
        is_stranger = self.node.membership.by_curve_key(asker_key) is None
        parts = self.node.request_received(frame, asker_key)
        assert sum(map(len, parts)) <= REPLY_BYTES_MAX
        kind = codec.decode_header(parts[0], RUN).kind
        if kind is FrameKind.REFUSED:
            self._check_unmoved("a request that was refused")
        elif self.cast.encrypted and is_stranger:
            assert kind in (FrameKind.WELCOME, FrameKind.TERMS), f"{kind.name} for a stranger"
        self._check_members()
        return " ".join(sorted((self.node.dropped - dropped).keys()))

    def answer(self, choose: random.Random, parts: list[bytes] | None) -> None:
        """Answer something that the victim has asked."""
        self.witness.may_speak = lambda origin: origin in self._keys
        if not self.transport.asked:
            self.pass_time(1.0)
        if self.transport.asked:
            self.transport.asked.pop(choose.randrange(len(self.transport.asked)))(parts)
        self._check_members()

    def pass_time(self, seconds: float) -> None:
        """Let the victim's timers do what is due."""
        self.clock.run_until(self.clock.time() + seconds)
        self._check_members()

    # What must hold

    def beliefs(self) -> tuple[Any, ...]:
        """All that frames may change in the victim, save what it counts."""
        node = self.node
        return (
            node.replica.applied_count,
            node.replica.vector(),
            node.replica.lost_count,
            node.membership.all(),
            node.membership.collector_origin,
            set(node.membership.revoked),
            dict(node.peers),
            copy.deepcopy(node.tickets),
            dict(node._hearer._latest),
            self.witness.known_summary(),
            len(self.witness.known.accepted),
            dict(self.witness.marks),
            set(self.transport.listening),
            set(self.transport.admitted),
            set(self.transport.revoked),
        )

    def _check_unmoved(self, what: str) -> None:
        for now, before in zip(self.beliefs(), self._believed, strict=True):
            assert now == before, f"{what} changed what the node believes: {before} -> {now}"

    def _check_members(self) -> None:
        """Remember what is believed; in an encrypted run nobody holds another's keys."""
        self._believed = self.beliefs()
        if self.cast.encrypted:
            for member in self.node.membership.all():
                assert self._keys[member.origin] == _keys(member), member


def _keys(member: Member) -> tuple[bytes, bytes]:
    return member.public_key, member.curve_key
