"""What changes as the mesh grows: how often nodes beat, and who asks whom for its members."""

from __future__ import annotations

import random

import pytest

from mesh.core.items import NodeId
from mesh.core.membership import (
    HEARTBEAT_S,
    HEARTBEATS_PER_S_MAX,
    SUSPECT_AFTER_S,
    Liveness,
    Member,
    Membership,
    Role,
)
from mesh.wire import messages
from mesh.wire.codec import FrameKind
from tests.fuzz.attacked_node import AttackedNode
from tests.fuzz.cast import Cast


def member(number: int) -> Member:
    origin = NodeId(number.to_bytes(16, "big"))
    address = f"tcp://10.0.0.{number % 250}:{number}"
    return Member(origin, f"producer-{number}", Role.PRODUCER, 1, address, address, "host")


def members(count: int) -> Membership:
    table = Membership(member(0))
    for number in range(1, count):
        table.admit(member(number))
    return table


@pytest.mark.parametrize("count", [1, 5, HEARTBEATS_PER_S_MAX])
def test_a_small_mesh_beats_once_a_second(count: int) -> None:
    assert members(count).heartbeat_s == HEARTBEAT_S


def test_a_large_mesh_beats_more_seldom_so_that_each_node_hears_no_more_a_second() -> None:
    table = members(4 * HEARTBEATS_PER_S_MAX + 1)
    assert table.heartbeat_s == 4 * HEARTBEAT_S


def test_whoever_beats_more_seldom_is_suspected_later() -> None:
    table = members(4 * HEARTBEATS_PER_S_MAX + 1)
    one = member(1).origin
    table.heard(one, 0.0)
    assert table.liveness(one, 4 * SUSPECT_AFTER_S - 0.1) is Liveness.ALIVE
    assert table.liveness(one, 4 * SUSPECT_AFTER_S) is Liveness.SUSPECT
    table.left(one)
    assert table.reachable(4 * SUSPECT_AFTER_S - 0.1) == {one}
    assert table.reachable(4 * SUSPECT_AFTER_S) == frozenset()


def heartbeat(node: AttackedNode, *, member_count: int) -> bytes:
    """Of one that knows other members than `node` does, and `member_count` of them."""
    body = messages.Heartbeat(
        last_seq=0,
        applied_count=node.node.replica.passed_count,
        known_count=node.witness.known_summary()[0],
        known_digest=node.witness.known_summary()[1],
        member_digest=b"other members..!",
        loop_lag_ms=0.0,
        state="generating",
        model="m",
        propagation_ms=[],
        dropped={},
        member_count=member_count,
    )
    return node.cast.said(node.cast.other, FrameKind.HEARTBEAT, body)


def swaps_asked(node: AttackedNode) -> int:
    return sum(frame[5] == FrameKind.SWAP for frame in node.transport.frames_asked)


@pytest.mark.parametrize(("more", "asks"), [(1, 1), (0, 1), (-1, 0)])
def test_who_knows_fewer_members_asks_and_not_the_one_that_it_lacks_them_of(
    more: int, asks: int
) -> None:
    """Else a newcomer is asked by everybody at once."""
    node = AttackedNode(Cast(False), random.Random(0))
    node.hear(heartbeat(node, member_count=len(node.node.membership) + more))
    node.pass_time(0.5)
    assert swaps_asked(node) == asks


def test_a_node_that_differs_from_many_asks_one_of_them() -> None:
    node = AttackedNode(Cast(False), random.Random(0))
    node.hear(heartbeat(node, member_count=9))
    body = messages.Heartbeat(
        0, 0, 0, b"d" * 16, b"other members..!", 0.0, "running", "", [], {}, member_count=9
    )
    node.hear(node.cast.said(node.cast.collector, FrameKind.HEARTBEAT, body))
    node.pass_time(0.45)
    assert swaps_asked(node) == 1
    assert node.transport.services_asked[-1] == node.cast.collector.member.service


def test_a_record_that_is_known_needs_no_second_look_unless_its_member_was_removed() -> None:
    cast = Cast(True)
    node = AttackedNode(cast, random.Random(0)).node
    assert node.admit_record(cast.other.record).value == "known"
    node.revoke(cast.other.log.origin)
    assert node.admit_record(cast.other.record).value == "revoked"
