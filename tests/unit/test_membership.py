"""Who is known and who seems alive; an opinion that never touches data."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.items import LogId, NodeId
from mesh.core.membership import (
    DEAD_AFTER_S,
    MEMBERS_MAX,
    SUSPECT_AFTER_S,
    Admission,
    Liveness,
    Member,
    Membership,
    Role,
    members_digest,
)


def member(name: str, epoch: int = 1, role: Role = Role.PRODUCER) -> Member:
    return Member(
        origin=NodeId(name.encode() * 16),
        label=f"producer {name}",
        role=role,
        epoch=epoch,
        feed_address=f"feed-{name}-{epoch}",
        service_address=f"service-{name}-{epoch}",
        host="here",
    )


A, B, C = member("A"), member("B"), member("C", role=Role.COLLECTOR)


@pytest.fixture
def members() -> Membership:
    members = Membership(own=A)
    members.admit(B)
    return members


def test_a_member_is_admitted_once() -> None:
    members = Membership(own=A)
    assert members.admit(B) is Admission.NEW
    assert members.admit(B) is Admission.KNOWN
    assert members.others() == [B]
    assert members.all() == [A, B]


def test_a_restarted_member_replaces_its_record_and_an_older_one_does_not(
    members: Membership,
) -> None:
    newer = member("B", epoch=2)
    assert members.admit(newer) is Admission.NEW
    assert members.admit(B) is Admission.STALE
    assert members.get(B.origin) == newer
    assert newer.log == LogId(B.origin, 2)


def test_nobody_can_admit_me_to_myself(members: Membership) -> None:
    assert members.admit(member("A", epoch=9)) is Admission.OWN
    assert members.get(A.origin) == A
    assert members.get(C.origin) is None


@pytest.mark.parametrize(
    ("silence_s", "liveness"),
    [
        (0.0, Liveness.ALIVE),
        (SUSPECT_AFTER_S - 0.01, Liveness.ALIVE),
        (SUSPECT_AFTER_S, Liveness.SUSPECT),
        (DEAD_AFTER_S - 0.01, Liveness.SUSPECT),
        (DEAD_AFTER_S, Liveness.DEAD),
        (1e6, Liveness.DEAD),
    ],
)
def test_silence_makes_suspect_and_then_dead(
    members: Membership, silence_s: float, liveness: Liveness
) -> None:
    members.heard(B.origin, 100.0)
    assert members.liveness(B.origin, 100.0 + silence_s) is liveness


def test_an_observer_that_was_busy_itself_suspects_nobody(members: Membership) -> None:
    members.heard(B.origin, 0.0)
    assert members.liveness(B.origin, 6.0) is Liveness.SUSPECT
    assert members.liveness(B.origin, 6.0, own_lag_s=5.0) is Liveness.ALIVE


def test_the_dead_come_back_by_one_heartbeat(members: Membership) -> None:
    members.heard(B.origin, 0.0)
    assert members.alive(100.0) == frozenset()
    members.heard(B.origin, 100.0)
    assert members.alive(100.0) == {B.origin}


def test_a_suspect_still_counts_as_alive(members: Membership) -> None:
    members.heard(B.origin, 0.0)
    assert members.alive(SUSPECT_AFTER_S + 1) == {B.origin}


def test_who_was_admitted_and_not_heard_yet_is_not_alive(members: Membership) -> None:
    assert members.liveness(B.origin, 0.0) is Liveness.UNHEARD
    assert members.liveness(C.origin, 0.0) is Liveness.UNHEARD
    assert members.alive(0.0) == frozenset()


def test_who_said_goodbye_has_left_and_stays_a_member(members: Membership) -> None:
    members.heard(B.origin, 0.0)
    members.left(B.origin)
    assert members.liveness(B.origin, 0.0) is Liveness.LEFT
    assert members.alive(0.0) == frozenset()
    assert members.others() == [B]


def test_who_has_said_goodbye_can_be_asked_for_as_long_as_it_is_heard(members: Membership) -> None:
    members.heard(B.origin, 0.0)
    members.left(B.origin)
    assert members.reachable(SUSPECT_AFTER_S - 0.01) == {B.origin}
    assert members.reachable(SUSPECT_AFTER_S) == frozenset()


def test_who_is_alive_can_be_asked_and_neither_the_dead_nor_the_unheard(
    members: Membership,
) -> None:
    members.admit(C)
    assert members.reachable(0.0) == frozenset()
    members.heard(B.origin, 0.0)
    assert members.reachable(DEAD_AFTER_S - 0.01) == {B.origin}
    assert members.reachable(DEAD_AFTER_S) == frozenset()


def test_an_observer_that_lags_does_not_take_others_for_gone(members: Membership) -> None:
    """What they said meanwhile waits in its sockets."""
    members.heard(B.origin, 0.0)
    now_s = DEAD_AFTER_S + 5.0
    assert members.alive(now_s, own_lag_s=5.01) == {B.origin}
    assert members.alive(now_s, own_lag_s=5.0) == frozenset()
    members.left(B.origin)
    now_s = SUSPECT_AFTER_S + 5.0
    assert members.reachable(now_s, own_lag_s=5.01) == {B.origin}
    assert members.reachable(now_s, own_lag_s=5.0) == frozenset()


def test_a_goodbye_is_undone_by_a_restart_and_by_a_heartbeat(members: Membership) -> None:
    members.heard(B.origin, 0.0)
    members.left(B.origin)
    members.admit(member("B", epoch=2))
    assert members.liveness(B.origin, 0.0) is Liveness.ALIVE
    members.left(B.origin)
    members.heard(B.origin, 1.0)
    assert members.liveness(B.origin, 1.0) is Liveness.ALIVE


def test_a_goodbye_or_a_heartbeat_of_a_stranger_changes_nothing(members: Membership) -> None:
    members.left(C.origin)
    members.heard(C.origin, 0.0)
    assert members.liveness(C.origin, 0.0) is Liveness.UNHEARD
    assert members.alive(0.0) == frozenset()


def test_connected_needs_to_hear_and_to_be_heard_by_everyone_alive(members: Membership) -> None:
    assert not members.connected_both_ways(0.0)
    members.heard(B.origin, 0.0)
    assert not members.connected_both_ways(0.0)
    members.subscribed(B.origin, True)
    assert members.connected_both_ways(0.0)
    members.admit(C)
    assert members.connected_both_ways(0.0)
    members.heard(C.origin, 0.0)
    assert not members.connected_both_ways(0.0)
    members.subscribed(C.origin, True)
    assert members.connected_both_ways(0.0)
    members.subscribed(C.origin, False)
    assert not members.connected_both_ways(0.0)


def test_a_subscription_seen_before_its_node_was_admitted_is_remembered() -> None:
    members = Membership(own=A)
    members.subscribed(B.origin, True)
    assert members.others() == []
    members.admit(B)
    members.heard(B.origin, 0.0)
    assert members.connected_both_ways(0.0)


def test_the_collector_is_the_newest_one_known(members: Membership) -> None:
    assert members.collector() is None
    members.admit(C)
    assert members.collector() == C
    newer = member("D", epoch=5, role=Role.COLLECTOR)
    members.admit(newer)
    assert members.collector() == newer
    assert Membership(own=C).collector() == C


@given(st.permutations([A, B, C]))
def test_equal_tables_have_equal_digests_whoever_owns_them(order: list[Member]) -> None:
    assert members_digest(order) == members_digest([A, B, C])
    mine, yours = Membership(own=A), Membership(own=B)
    for each in order:
        mine.admit(each)
        yours.admit(each)
    assert mine.digest() == yours.digest()


def test_a_digest_tells_a_member_more_and_a_newer_epoch_apart(members: Membership) -> None:
    before = members.digest()
    members.admit(C)
    with_c = members.digest()
    members.admit(dataclasses.replace(C, epoch=2))
    assert len({before, with_c, members.digest()}) == 3


def test_a_broken_connection_reported_late_does_not_hide_the_one_that_replaced_it(
    members: Membership,
) -> None:
    members.heard(B.origin, 0.0)
    members.subscribed(B.origin, True)
    members.subscribed(B.origin, True)
    members.subscribed(B.origin, False)
    assert members.connected_both_ways(0.0)
    members.subscribed(B.origin, False)
    assert not members.connected_both_ways(0.0)


def test_an_origin_belongs_to_the_keys_it_was_first_admitted_with() -> None:
    members = Membership(own=A)
    assert members.admit(dataclasses.replace(B, public_key=b"k" * 32)) is Admission.NEW
    forged = dataclasses.replace(B, epoch=9, public_key=b"x" * 32)
    assert members.admit(forged) is Admission.ANOTHER_KEY
    assert members.get(B.origin) == dataclasses.replace(B, public_key=b"k" * 32)


def test_once_a_collector_is_named_no_other_is_admitted() -> None:
    members = Membership(own=A, collector_origin=B.origin)
    second = dataclasses.replace(C, role=Role.COLLECTOR, epoch=99)
    assert members.admit(second) is Admission.ANOTHER_COLLECTOR
    assert members.admit(dataclasses.replace(B, role=Role.COLLECTOR)) is Admission.NEW
    collector = members.collector()
    assert collector is not None
    assert collector.origin == B.origin


def test_a_member_that_was_removed_is_not_admitted_again_nor_known_by_its_key() -> None:
    members = Membership(own=A)
    keyed = dataclasses.replace(B, curve_key=b"c" * 40)
    members.admit(keyed)
    assert members.by_curve_key(keyed.curve_key) == keyed
    members.revoked.add(B.origin)
    assert members.by_curve_key(keyed.curve_key) is None
    assert members.admit(dataclasses.replace(keyed, epoch=2)) is Admission.REVOKED


def test_members_and_made_up_listeners_are_bounded() -> None:
    members = Membership(own=A)
    last = NodeId((MEMBERS_MAX - 1).to_bytes(16, "big"))
    for number in range(MEMBERS_MAX + 10):
        origin = NodeId(number.to_bytes(16, "big"))
        verdict = members.admit(dataclasses.replace(B, origin=origin))
        members.subscribed(NodeId((10_000 + number).to_bytes(16, "big")), True)
    assert verdict is Admission.TOO_MANY
    assert len(members.others()) == MEMBERS_MAX
    members.heard(last, 0.0)
    members.subscribed(last, True)
    assert not members.connected_both_ways(0.0), "it was noted beside MEMBERS_MAX others"
