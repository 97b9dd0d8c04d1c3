"""Carries out the fetches that core.replication decides: ask, apply the reply in turns, report."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from mesh.core.replication import FETCH_TIMEOUT_S, Fetch
from mesh.wire import messages
from mesh.wire.codec import FrameKind

if TYPE_CHECKING:
    from mesh.nodes.mesh_node import MeshNode

TICK_S = 0.05
APPLY_TURN_S = 0.005
"""A reply of 1 MiB takes longer to apply; after each turn heartbeats and live frames come first."""


class GapFetcher:
    """One node's fetches."""

    def __init__(self, node: MeshNode) -> None:
        self._node = node

    async def run(self) -> None:
        """Look for due fetches until cancelled."""
        node = self._node
        loop = asyncio.get_running_loop()
        while True:
            collector = node.membership.collector()
            due = node.replica.due_fetches(
                loop.time(), node.alive(), collector.origin if collector else None
            )
            for fetch in due:
                self._send(fetch)
            await asyncio.sleep(TICK_S)

    def _send(self, fetch: Fetch) -> None:
        member = self._node.membership.get(fetch.source)
        assert member is not None, fetch
        request = messages.Fetch(
            0, fetch.log.origin, fetch.log.epoch, fetch.first_seq, fetch.last_seq
        )
        self._node.transport.request(
            member.service_address,
            self._node.frame(FrameKind.FETCH, request),
            timeout_s=FETCH_TIMEOUT_S,
            reply=lambda parts: self._fetched(fetch, parts),
        )

    def _fetched(self, fetch: Fetch, parts: list[bytes] | None) -> None:
        self._apply_in_turns(fetch, deque((parts or [])[1:]))

    def _apply_in_turns(self, fetch: Fetch, frames: deque[bytes]) -> None:
        loop = asyncio.get_running_loop()
        turn_ends_s = loop.time() + APPLY_TURN_S
        while frames:
            self._node.receive(frames.popleft(), live=False)
            if loop.time() > turn_ends_s and frames:
                loop.call_soon(self._apply_in_turns, fetch, frames)
                return
        self._node.replica.answered(fetch, now_s=loop.time())
