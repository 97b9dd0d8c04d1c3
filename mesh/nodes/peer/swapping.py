"""Carries out vector swaps: two nodes tell each other which logs and members they know of.

A heartbeat that shows what this node lacks, for longer than frames take, starts a swap with its
sender, and so does a node that goes on in another epoch than it is known in; besides, there is one
with a random node every few seconds. What a swap shows to be
missing is then fetched as any gap is. What a log holds never travels in a swap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.core.items import LogId, NodeId
from mesh.core.membership import Member
from mesh.nodes.peer.clock import Timer
from mesh.wire import messages
from mesh.wire.codec import BadFrame, FrameKind

if TYPE_CHECKING:
    from mesh.nodes.peer.mesh_node import MeshNode

DIFFERENCE_S = 0.3
SWAP_EVERY_S = 5.0
"""With a random node, whatever heartbeats say."""
SWAP_AGAIN_S = 1.0
"""With the same node, at most so often."""
SWAP_TIMEOUT_S = 2.0
SWAPS_IN_FLIGHT_MAX = 3


@dataclass(slots=True)
class _Difference:
    """What a peer's heartbeat showed that this node does not know."""

    since_s: float
    applied_count: int
    """The peer's, then."""
    digest_differs: bool
    members_differ: bool


class Swapper:
    """One node's swaps."""

    def __init__(self, node: MeshNode) -> None:
        self._node = node
        self._differences: dict[NodeId, _Difference] = {}
        self._swapped_s: dict[NodeId, float] = {}
        self._epochs_differ: dict[NodeId, tuple[float, float]] = {}
        """Members that are heard in another epoch than they are known in: when to swap, and how
        long to wait after that."""
        self._in_flight = 0
        self._timers: list[Timer] = []
        self._looking: Timer | None = None

    def start(self) -> None:
        wait_s = self._node.random.uniform(0.5, 1.5) * SWAP_EVERY_S
        self._timers = [self._node.clock.call_later(wait_s, self._swap_at_random)]

    def close(self) -> None:
        for timer in [*self._timers, *([self._looking] if self._looking else [])]:
            timer.cancel()

    def heard(self, origin: NodeId, heartbeat: messages.Heartbeat) -> None:
        """Note whether a peer knows what this node does not."""
        node = self._node
        known_count, known_digest = node.owner.known_summary()
        applied = node.replica.passed_count
        # Whoever knows fewer asks: else all would ask the one that has just come.
        members_differ = (
            heartbeat.member_digest != node.membership.digest()
            and heartbeat.member_count >= len(node.membership)
        )
        same_count = heartbeat.applied_count == applied and heartbeat.known_count == known_count
        digest_differs = same_count and heartbeat.known_digest != known_digest
        if heartbeat.applied_count > applied or members_differ or digest_differs:
            before = self._differences.get(origin)
            since_s = before.since_s if before else node.clock.time()
            self._differences[origin] = _Difference(
                since_s, heartbeat.applied_count, digest_differs, members_differ
            )
            self._look_soon()
        else:
            self._differences.pop(origin, None)

    def swap(self, member: Member) -> None:
        """Tell `member` what this node knows of, and learn what it does."""
        node = self._node
        if not node.protections.vector_swaps or self._in_flight >= SWAPS_IN_FLIGHT_MAX:
            return
        self._in_flight += 1
        self._swapped_s[member.origin] = node.clock.time()
        positions, records = node.vector_positions(), node.member_records()
        swap = messages.Swap(
            self._some(positions, messages.POSITIONS_IN_A_FRAME_MAX),
            self._some(records, messages.MEMBERS_IN_A_FRAME_MAX),
        )
        node.transport.request(
            member.service,
            node.frame(FrameKind.SWAP, swap),
            timeout_s=SWAP_TIMEOUT_S,
            reply=self._on_reply,
        )

    def heard_in(self, epoch: int, member: Member) -> None:
        """Note whether `member` speaks in the epoch that it is known in.

        Where it goes on in another, each lacks what the other knows: a node restored from an old
        copy may know nobody to join through, nor that it was overtaken, and what it says in an
        earlier epoch passes for a replay.
        """
        if epoch == member.epoch:
            self._epochs_differ.pop(member.origin, None)
            return
        now_s = self._node.clock.time()
        due_s, wait_s = self._epochs_differ.get(member.origin, (None, self._first_wait_s()))
        if due_s is None or now_s >= due_s:
            self._epochs_differ[member.origin] = now_s + wait_s, min(2.0 * wait_s, SWAP_EVERY_S)
        if due_s is not None and now_s >= due_s:
            self.swap(member)

    def _first_wait_s(self) -> float:
        """By chance, and the longer the more members there are: all hear what this one hears, and
        one swap tells most of it."""
        return self._node.random.uniform(0.5, 1.5 + len(self._node.membership) / 50)

    def answer(self, swap: messages.Swap) -> list[bytes]:
        """Take in what an asker knows of; return the parts that tell what this node does."""
        parts = self.parts()
        self.learn(swap.members, swap.vector)
        return parts

    def parts(self) -> list[bytes]:
        """All members and logs that this node knows of, members first."""
        node = self._node
        return [
            node.frame(FrameKind.SWAPPED, messages.Swapped(list(positions), list(records)))
            for positions, records in _paged(node.vector_positions(), node.member_records())
        ]

    def learn(
        self,
        records: Iterable[messages.MemberRecord],
        positions: Iterable[messages.LogPosition],
    ) -> None:
        """Take in what another node knows of; logs of strangers are not believed."""
        node = self._node
        for record in records:
            node.admit_record(record)
        for origin, epoch, seq in positions:
            node.announce(LogId(NodeId(origin), epoch), seq)

    def take_in(self, parts: Sequence[bytes]) -> None:
        """Learn from Swapped parts; one that cannot be read is counted and left out."""
        node = self._node
        for part in parts:
            try:
                swapped = node.read(part, FrameKind.SWAPPED, messages.Swapped)
            except BadFrame as error:
                node.drop(error, "swapped")
            else:
                self.learn(swapped.members, swapped.vector)

    def _on_reply(self, parts: list[bytes] | None) -> None:
        self._in_flight -= 1
        answer = self._node.reply(parts, FrameKind.SWAPPED)
        if answer is not None:
            self.take_in(answer)

    def _some(self, entries: list[messages.E], count_max: int) -> list[messages.E]:
        return (
            entries if len(entries) <= count_max else self._node.random.sample(entries, count_max)
        )

    def _swap_at_random(self) -> None:
        node = self._node
        alive = sorted(node.alive())
        if alive:
            member = node.membership.get(node.random.choice(alive))
            if member is not None:
                self.swap(member)
        self.start()

    def _look_soon(self) -> None:
        if self._looking is None and not self._node.closed:
            self._looking = self._node.clock.call_later(DIFFERENCE_S, self._look)

    def _look(self) -> None:
        self._looking = None
        node = self._node
        now_s = node.clock.time()
        alive = node.alive()
        due = []
        for origin, difference in sorted(self._differences.items()):
            if origin not in alive or not self._still_lacks(difference):
                del self._differences[origin]
                continue
            waited = now_s - difference.since_s >= DIFFERENCE_S * 0.9
            last_s = self._swapped_s.get(origin)
            again = last_s is None or now_s - last_s >= SWAP_AGAIN_S
            if waited and again:
                due.append(origin)
        # One at a time: what it tells is mostly what all the others would tell too.
        collector = node.membership.collector()
        if due:
            is_due = collector is not None and collector.origin in due
            member = collector if is_due else node.membership.get(node.random.choice(due))
            if member is not None:
                self.swap(member)
        if self._differences:
            self._look_soon()

    def _still_lacks(self, difference: _Difference) -> bool:
        """What the peer had applied then, or one of its members, is still unknown here."""
        lacking = difference.applied_count - self._node.replica.passed_count
        known_to_lack = self._node.replica.missing_count
        return lacking > known_to_lack or difference.digest_differs or difference.members_differ


def _paged(
    positions: Sequence[messages.LogPosition], records: Sequence[messages.MemberRecord]
) -> Iterator[tuple[Sequence[messages.LogPosition], Sequence[messages.MemberRecord]]]:
    """Cut both tables into parts that fit a frame each; at least one part."""
    records_max, positions_max = messages.MEMBERS_IN_A_FRAME_MAX, messages.POSITIONS_IN_A_FRAME_MAX
    for start in range(0, max(1, len(records)), records_max):
        yield (), records[start : start + records_max]
    for start in range(0, len(positions), positions_max):
        yield positions[start : start + positions_max], ()
