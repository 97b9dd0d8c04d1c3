"""Who holds what was declared lost tells it: how often, and when it leaves that to others."""

from __future__ import annotations

import random
from collections import Counter
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
FRAME = codec.encode_frame(
    FrameKind.ENTRIES, b"", run_id=RUN, log=LOG, time_us=1, first_seq=1, count=3
)


class Holder:
    """A node that holds entries 1..3 of LOG, whose turns are taken one after the other."""

    def __init__(self, *, readable: bool) -> None:
        self.published: list[bytes] = []
        self.turns: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        self.dropped: Counter[str] = Counter()
        frames = [FRAME] if readable else []
        node = SimpleNamespace(
            closed=False,
            run_id=RUN,
            random=random.Random(1),
            dropped=self.dropped,
            clock=SimpleNamespace(
                call_later=lambda _, turn, *given: self.turns.append((turn, given))
            ),
            replica=SimpleNamespace(applied=lambda *_: [(1, 3)]),
            shelf=SimpleNamespace(read=lambda *_: frames),
            transport=SimpleNamespace(publish=self.published.append),
        )
        self.objector = Objector(cast("MeshNode", node))
        self.objector.declared_lost(LOG, 1, 3)

    def take_turn(self) -> None:
        turn, given = self.turns.pop()
        turn(*given)


def test_it_is_told_a_few_times_and_then_no_more() -> None:
    holder = Holder(readable=True)
    while holder.turns:
        holder.take_turn()
    assert len(holder.published) == len(AGAIN_S) + 1
    assert not +holder.dropped


def test_what_cannot_be_read_is_given_up_at_last_and_counted() -> None:
    holder = Holder(readable=False)
    turns = 0
    while holder.turns:
        holder.take_turn()
        turns += 1
    assert turns == UNREAD_TURNS_MAX
    assert holder.dropped == Counter(not_told=1)


def test_a_turn_is_left_out_when_another_has_told_it() -> None:
    holder = Holder(readable=True)
    holder.objector.heard(LOG, 9, 2)
    holder.take_turn()
    assert len(holder.published) == 1
    holder.objector.heard(LOG, 3, 2)
    holder.take_turn()
    assert len(holder.published) == 1
    while holder.turns:
        holder.take_turn()
    assert len(holder.published) == len(AGAIN_S)
