"""A node's heartbeats: what it tells of itself to all, once in a while and to each who begins to
listen. What others make of it is hearing.py's, how often it is due core.membership's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.core.items import NodeId
from mesh.nodes.peer.clock import Timer
from mesh.wire import messages
from mesh.wire.codec import FrameKind

if TYPE_CHECKING:
    from mesh.nodes.peer.mesh_node import MeshNode

IN_STEP_MEMBERS = 12
"""About so many nodes beat at one moment: each node of a machine wakes up once to hear them all.
More would keep the frames that come then waiting for longer."""


class Heart:
    """One node's heartbeats."""

    def __init__(self, node: MeshNode) -> None:
        self.lag_s = 0.0
        """By how much the last regular heartbeat was late: how busy the event loop is."""
        self._node = node
        self._timer: Timer | None = None
        self._due_s = 0.0

    def start(self) -> None:
        self._due_s = self._node.clock.time()
        self._beat_regularly()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def beat(self) -> None:
        """Tell all now."""
        self._node.transport.publish(self._heartbeat())

    def answer(self, listener: NodeId) -> None:
        """Tell one who has begun to listen."""
        if self._timer is not None:
            self._node.transport.publish(self._heartbeat(), to=listener)

    def _heartbeat(self) -> bytes:
        node = self._node
        known_count, digest = node.owner.known_summary()
        state, model = node.owner.activity_and_model()
        heartbeat = messages.Heartbeat(
            last_seq=node.told_seq,
            applied_count=node.replica.passed_count,
            known_count=known_count,
            known_digest=digest,
            member_digest=node.membership.digest(),
            loop_lag_ms=round(self.lag_s * 1000, 1),
            state=_shown(state),
            model=_shown(model),
            propagation_ms=node.propagation_ms(),
            dropped=dict(node.dropped),
            member_count=len(node.membership),
        )
        return node.frame(FrameKind.HEARTBEAT, heartbeat, signed=True)

    def _beat_regularly(self) -> None:
        now_s = self._node.clock.time()
        self.lag_s = max(0.0, now_s - self._due_s)
        self.beat()
        wait_s = self._until_due_s(now_s)
        self._due_s = now_s + wait_s
        self._timer = self._node.clock.call_later(wait_s, self._beat_regularly)

    def _until_due_s(self, now_s: float) -> float:
        """The nodes of one machine, whose clock is one, beat in step, in groups by their ids."""
        membership = self._node.membership
        period_s = membership.heartbeat_s
        group_count = 1 + len(membership) // IN_STEP_MEMBERS
        group = int.from_bytes(self._node.own.origin[:4], "big") % group_count
        wait_s = (group / group_count * period_s - now_s) % period_s
        return wait_s if wait_s >= period_s / 2 else wait_s + period_s


def _shown(text: str) -> str:
    """As others take it for display: an activity may quote a provider's error."""
    shown = text[:300]
    if shown.isprintable():
        return shown
    return "".join(each if each.isprintable() else " " for each in shown)
