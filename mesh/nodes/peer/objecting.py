"""Tells everyone what was declared lost and is held here.

A search may end while nobody could ask the node that holds what it was for. That node publishes
it, not at the same moment as others that hold it too, and more than once, as what is published may
be lost on its way; whoever hears another tell it leaves that turn out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.core.items import LogId
from mesh.core.seqset import SeqSet
from mesh.wire import codec
from mesh.wire.messages import FETCH_REPLY_BYTES_MAX

if TYPE_CHECKING:
    from mesh.nodes.peer.mesh_node import MeshNode

FIRST_TURN_S = (0.0, 0.5)
"""Until the first turn, drawn by chance."""
AGAIN_S = (2.0, 8.0, 30.0)
"""From one telling to the next, give or take a quarter."""
UNREAD_AGAIN_S = (0.5, 30.0)
"""Until it is tried again where nothing could be read, as on a full disk: at first, and at most;
each wait is twice the one before."""
UNREAD_TURNS_MAX = 40
"""Some twenty minutes; then it is given up, and counted."""
OBJECTIONS_MAX = 256
"""At once; more are left to those who ask again."""


@dataclass(slots=True, eq=False)
class _Objection:
    log: LogId
    first_seq: int
    last_seq: int
    told_count: int = 0
    unread_count: int = 0
    """Turns at which nothing of it could be read, since it was told."""
    heard: bool = False
    """Another has told it since the last turn."""
    is_read: bool = False
    """It has been, and is down to what could be read then; the rest is told as others."""


class Objector:
    """One node's objections."""

    def __init__(self, node: MeshNode) -> None:
        self._node = node
        self._objections: list[_Objection] = []

    def declared_lost(self, log: LogId, first_seq: int, last_seq: int) -> None:
        """Object where any of it is held here."""
        held = self._node.replica.applied(log, first_seq, last_seq)
        if held:
            self._object(log, held[0][0], held[-1][1])

    def heard(self, log: LogId, first_seq: int, count: int) -> None:
        """Entries that are known here have come again, from somebody who tells them to all."""
        for objection in self._objections:
            if objection.log == log and (
                first_seq <= objection.last_seq and objection.first_seq < first_seq + count
            ):
                objection.heard = True

    def _object(self, log: LogId, first_seq: int, last_seq: int) -> None:
        if len(self._objections) < OBJECTIONS_MAX:
            objection = _Objection(log, first_seq, last_seq)
            self._objections.append(objection)
            wait_s = self._node.random.uniform(*FIRST_TURN_S)
            self._node.clock.call_later(wait_s, self._take_turn, objection)

    def _take_turn(self, objection: _Objection) -> None:
        if self._node.closed:
            return
        if objection.heard or self._tell(objection):
            objection.told_count += 1
            objection.unread_count = 0
        else:
            objection.unread_count += 1
        objection.heard = False
        is_told = objection.told_count > len(AGAIN_S)
        if is_told or objection.unread_count == UNREAD_TURNS_MAX:
            self._objections.remove(objection)
            self._node.dropped["not_told"] += not is_told
            return
        wait_s = _wait_s(objection) * self._node.random.uniform(0.75, 1.25)
        self._node.clock.call_later(wait_s, self._take_turn, objection)

    def _tell(self, objection: _Objection) -> bool:
        """Publish what can be read of it, a reply's worth."""
        node, log = self._node, objection.log
        place = log, objection.first_seq, objection.last_seq
        told = SeqSet()
        for frame in node.shelf.read(*place, FETCH_REPLY_BYTES_MAX):
            node.transport.publish(frame)
            header = codec.decode_header(frame, node.run_id)
            told.add_range(header.first_seq, header.first_seq + header.count - 1)
        if not told:
            return False
        if not objection.is_read:
            objection.is_read = True
            rest = SeqSet.of_ranges(node.replica.applied(*place)).without(told)
            objection.first_seq, objection.last_seq = told.ranges()[0][0], told.highest
            for first_seq, last_seq in rest.ranges():
                self._object(log, first_seq, last_seq)
        return True


def _wait_s(objection: _Objection) -> float:
    if not objection.unread_count:
        return AGAIN_S[objection.told_count - 1]
    first_s, most_s = UNREAD_AGAIN_S
    return min(first_s * 2.0 ** (objection.unread_count - 1), most_s)
