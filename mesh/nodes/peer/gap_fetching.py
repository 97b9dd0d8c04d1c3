"""Carries out the fetches that core.replication decides: ask, apply the reply in turns, report.

Nothing runs while nothing is open: `look` is called when something may be, and sets one timer.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from mesh.core.membership import Liveness
from mesh.core.replication import FETCH_TIMEOUT_S, Fetch
from mesh.nodes.peer.clock import Timer
from mesh.wire import messages
from mesh.wire.codec import FrameKind

if TYPE_CHECKING:
    from mesh.nodes.peer.mesh_node import MeshNode

TICK_S = 0.02
"""Holes are looked after no more often than this."""
LOOK_AGAIN_S = 1.0
"""With something open and nothing due: who is alive may have changed."""
APPLY_TURN_S = 0.005
"""A reply of 1 MiB takes longer to apply; after each turn heartbeats and live frames come first."""


class GapFetcher:
    """One node's fetches."""

    def __init__(self, node: MeshNode) -> None:
        self._node = node
        self._timer: Timer | None = None
        self._timer_due_s = math.inf
        self._asked_s = -math.inf

    def look(self) -> None:
        """Something may be missing: see to it when it is due."""
        if not self._node.replica.is_open or self._node.closed or self._node.loading:
            return
        now_s = self._node.clock.time()
        soonest_s = now_s + TICK_S
        if self._timer is not None and self._timer_due_s <= soonest_s:
            return
        due_s = soonest_s
        # Of many open logs how soon is asked once a tick: frames come far more often.
        if now_s >= self._asked_s + TICK_S:
            self._asked_s = now_s
            due_s = max(soonest_s, self._node.replica.next_due_s())
        due_s = min(now_s + LOOK_AGAIN_S, due_s)
        if self._timer is not None and due_s < self._timer_due_s:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer_due_s = due_s
            self._timer = self._node.clock.call_later(due_s - now_s, self._tick)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        node = self._node
        self._timer = None
        collector = node.membership.collector()
        now_s = node.clock.time()
        reachable = node.reachable()
        silent = (each for each in reachable if node.liveness(each) is Liveness.SUSPECT)
        due = node.replica.due_fetches(
            now_s, reachable, collector.origin if collector else None, frozenset(silent)
        )
        for fetch in due:
            self._send(fetch)
        self.look()

    def _send(self, fetch: Fetch) -> None:
        member = self._node.membership.get(fetch.source)
        assert member is not None, fetch
        request = messages.Fetch(fetch.log.origin, fetch.log.epoch, fetch.first_seq, fetch.last_seq)
        self._node.transport.request(
            member.service,
            self._node.frame(FrameKind.FETCH, request),
            timeout_s=FETCH_TIMEOUT_S,
            reply=lambda parts: self._fetched(fetch, parts),
        )

    def _fetched(self, fetch: Fetch, parts: list[bytes] | None) -> None:
        answer = self._node.reply(parts, FrameKind.FETCHED)
        self._apply_in_turns(fetch, answer is not None, deque(answer[1:] if answer else ()))

    def _apply_in_turns(self, fetch: Fetch, replied: bool, frames: deque[bytes]) -> None:
        clock = self._node.clock
        turn_ends_s = clock.time() + APPLY_TURN_S
        while frames and not self._node.closed:
            self._node.receive(frames.popleft(), live=False)
            if clock.time() > turn_ends_s and frames:
                self._node.shelf.write()
                clock.call_later(0.0, self._apply_in_turns, fetch, replied, frames)
                return
        self._node.shelf.write()
        self._node.replica.answered(fetch, replied=replied, now_s=clock.time())
        self.look()
