"""Who holds what was declared lost tells it: how often, and when it leaves that to others."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

from mesh.core.items import LogId, NodeId
from mesh.nodes.peer.mesh_node import MeshNode
from mesh.nodes.peer.objecting import AGAIN_S, UNREAD_TURNS_MAX, Objector
from mesh.wire import codec
from mesh.wire.codec import FrameKind

RUN = b"a run for tests."
LOG = LogId(NodeId(b"holder's origin."), 7)


def frame(first_seq: int, count: int) -> bytes:
    return codec.encode_frame(
        FrameKind.ENTRIES, b"", run_id=RUN, log=LOG, time_us=1, first_seq=first_seq, count=count
    )


class Holder:
    """A node that holds entries 1..9 of LOG, whose turns are taken one after the other."""

    def __init__(self, *readings: list[bytes]) -> None:
        """`readings`: what its disk gives, one reading after the other; the last one for ever."""
        self.published: list[bytes] = []
        self.turns: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self.dropped: Counter[str] = Counter()
        self.asked: list[tuple[int, int]] = []
        self._readings = deque(readings)
        node = SimpleNamespace(
            closed=False,
            run_id=RUN,
            random=random.Random(1),
            dropped=self.dropped,
            clock=SimpleNamespace(
                call_later=lambda _, turn, *given: self.turns.append((turn, given))
            ),
            replica=SimpleNamespace(applied=lambda _, first, last: [(first, last)]),
            shelf=SimpleNamespace(read=self._read),
            transport=SimpleNamespace(publish=self.published.append),
        )
        self.objector = Objector(cast("MeshNode", node))
        self.objector.declared_lost(LOG, 1, 9)

    def take_turn(self) -> None:
        turn, given = self.turns.popleft()
        turn(*given)

    def _read(self, log: LogId, first_seq: int, last_seq: int, bytes_max: int) -> list[bytes]:
        self.asked.append((first_seq, last_seq))
        return self._readings.popleft() if len(self._readings) > 1 else self._readings[0]


ALL = [frame(1, 9)]


def test_it_is_told_a_few_times_and_then_no_more() -> None:
    holder = Holder(ALL)
    while holder.turns:
        holder.take_turn()
    assert len(holder.published) == len(AGAIN_S) + 1
    assert not +holder.dropped


def test_what_cannot_be_read_is_given_up_at_last_and_counted() -> None:
    holder = Holder([])
    turns = 0
    while holder.turns:
        holder.take_turn()
        turns += 1
    assert turns == UNREAD_TURNS_MAX
    assert holder.dropped == Counter(not_told=1)


def test_a_turn_is_left_out_when_another_has_told_it() -> None:
    holder = Holder(ALL)
    holder.objector.heard(LOG, 10, 2)
    holder.take_turn()
    assert len(holder.published) == 1
    holder.objector.heard(LOG, 3, 2)
    holder.take_turn()
    assert len(holder.published) == 1
    while holder.turns:
        holder.take_turn()
    assert len(holder.published) == len(AGAIN_S)


def test_what_could_not_be_read_with_the_rest_is_told_by_itself() -> None:
    holder = Holder([frame(4, 2)], [frame(1, 3)], [frame(6, 4)], ALL)
    for _ in range(3):
        holder.take_turn()
    assert holder.published == [frame(4, 2), frame(1, 3), frame(6, 4)]
    assert holder.asked == [(1, 9), (1, 3), (6, 9)]
    holder.take_turn()
    assert holder.asked[3:] == [(4, 5)]
    assert len(holder.turns) == 3
