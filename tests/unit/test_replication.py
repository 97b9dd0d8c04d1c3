"""Which ranges are new, and what is asked of whom, when."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.items import LogId, NodeId
from mesh.core.replication import (
    FETCH_BACKOFF_MAX_S,
    FETCH_DELAY_S,
    FETCH_TIMEOUT_S,
    FETCHES_IN_FLIGHT_MAX,
    LOGS_MAX,
    LOST_RETRY_S,
    Fetch,
    Replica,
)
from mesh.core.seqset import SeqSet

ORIGIN, COLLECTOR, THIRD, FOURTH = (NodeId(bytes([n]) * 16) for n in (9, 1, 3, 2))
LOG = LogId(ORIGIN, 100)
ALL = frozenset({ORIGIN, COLLECTOR, THIRD, FOURTH})


@pytest.fixture
def replica() -> Replica:
    return Replica(random.Random(7))


def due(replica: Replica, now_s: float, alive: frozenset[NodeId] = ALL) -> list[Fetch]:
    return replica.due_fetches(now_s, alive, COLLECTOR)


def one_due(replica: Replica, now_s: float, alive: frozenset[NodeId] = ALL) -> Fetch:
    fetches = due(replica, now_s, alive)
    assert len(fetches) == 1
    return fetches[0]


def test_entries_apply_on_arrival_whatever_is_missing_before_them(replica: Replica) -> None:
    assert replica.offer(LOG, 5, 3, now_s=0.0) == [(5, 7)]
    assert replica.offer(LOG, 1, 2, now_s=0.0) == [(1, 2)]
    assert replica.watermark(LOG) == 2
    assert replica.missing_count == 2


def test_a_frame_delivered_again_brings_nothing_new(replica: Replica) -> None:
    replica.offer(LOG, 1, 4, now_s=0.0)
    assert replica.offer(LOG, 1, 4, now_s=1.0) == []
    assert replica.applied_count == 4


def test_of_an_overlapping_frame_only_the_new_part_applies(replica: Replica) -> None:
    replica.offer(LOG, 1, 4, now_s=0.0)
    replica.offer(LOG, 7, 2, now_s=0.0)
    assert replica.offer(LOG, 3, 8, now_s=0.0) == [(5, 6), (9, 10)]


def test_a_restarted_origin_counts_from_one_again_and_is_heard(replica: Replica) -> None:
    replica.offer(LOG, 1, 2, now_s=0.0)
    assert replica.offer(LogId(ORIGIN, 101), 1, 2, now_s=0.0) == [(1, 2)]
    assert replica.vector() == [(LOG, 2), (LogId(ORIGIN, 101), 2)]


def test_a_hole_is_not_asked_for_before_its_moment_and_surely_after(replica: Replica) -> None:
    replica.offer(LOG, 3, 1, now_s=10.0)
    assert due(replica, 10.0 + FETCH_DELAY_S[0] - 0.001) == []
    assert one_due(replica, 10.0 + FETCH_DELAY_S[1]) == Fetch(ORIGIN, LOG, 1, 2)


def test_nodes_that_see_the_same_hole_do_not_all_ask_at_the_same_moment() -> None:
    def asks_at_ms(seed: int) -> int:
        replica = Replica(random.Random(seed))
        replica.offer(LOG, 2, 1, now_s=0.0)
        return next(ms for ms in range(0, 300, 5) if due(replica, ms / 1000))

    moments = {asks_at_ms(seed) for seed in range(20)}
    assert len(moments) > 5
    assert min(moments) >= FETCH_DELAY_S[0] * 1000
    assert max(moments) <= FETCH_DELAY_S[1] * 1000 + 5


def test_a_hole_that_closes_by_itself_is_never_asked_for(replica: Replica) -> None:
    replica.offer(LOG, 2, 1, now_s=0.0)
    replica.offer(LOG, 1, 1, now_s=0.05)
    assert due(replica, 60.0) == []
    assert replica.missing_count == 0


def test_a_loss_at_the_tail_shows_by_the_announced_last_seq(replica: Replica) -> None:
    replica.offer(LOG, 1, 2, now_s=0.0)
    replica.announce(LOG, 5, now_s=0.0)
    assert replica.missing_count == 3
    assert one_due(replica, 1.0) == Fetch(ORIGIN, LOG, 3, 5)


def test_an_announcement_of_what_is_held_or_of_nothing_asks_for_nothing(replica: Replica) -> None:
    replica.offer(LOG, 1, 5, now_s=0.0)
    replica.announce(LOG, 3, now_s=0.0)
    replica.announce(LogId(THIRD, 1), 0, now_s=0.0)
    assert due(replica, 60.0) == []
    assert replica.vector() == [(LOG, 5)]


def test_the_first_hole_is_asked_for_first_and_the_next_at_once_after_it(replica: Replica) -> None:
    replica.offer(LOG, 3, 2, now_s=0.0)
    replica.announce(LOG, 6, now_s=0.0)
    first = one_due(replica, 1.0)
    assert (first.first_seq, first.last_seq) == (1, 2)
    replica.offer(LOG, 1, 2, now_s=1.1)
    replica.answered(first, replied=True, now_s=1.1)
    second = one_due(replica, 1.1)
    assert (second.source, second.first_seq, second.last_seq) == (ORIGIN, 5, 6)


def test_while_a_fetch_is_in_flight_it_is_not_repeated(replica: Replica) -> None:
    replica.announce(LOG, 2, now_s=0.0)
    one_due(replica, 1.0)
    assert due(replica, 1.0 + FETCH_TIMEOUT_S - 0.001) == []


def test_a_fetch_that_is_not_answered_goes_to_origin_then_collector_then_others(
    replica: Replica,
) -> None:
    replica.announce(LOG, 2, now_s=0.0)
    asked = [one_due(replica, 1.0 + n * FETCH_TIMEOUT_S).source for n in range(5)]
    assert asked == [ORIGIN, COLLECTOR, FOURTH, THIRD, ORIGIN]


def test_who_is_silent_is_asked_after_all_others(replica: Replica) -> None:
    replica.announce(LOG, 2, now_s=0.0)
    silent = frozenset({ORIGIN, FOURTH})
    asked = [
        fetch.source
        for n in range(4)
        for fetch in replica.due_fetches(1.0 + n * FETCH_TIMEOUT_S, ALL, COLLECTOR, silent)
    ]
    assert asked == [COLLECTOR, THIRD, ORIGIN, FOURTH]


def test_who_is_back_is_asked_at_once_however_long_the_waits_had_become(replica: Replica) -> None:
    replica.announce(LOG, 2, now_s=0.0)
    now_s = 1.0
    for _ in range(8):
        replica.answered(one_due(replica, now_s), replied=False, now_s=now_s)
        now_s += FETCH_BACKOFF_MAX_S
    replica.answered(one_due(replica, now_s), replied=False, now_s=now_s)
    assert due(replica, now_s + FETCH_DELAY_S[0]) == []
    replica.ask_again(ORIGIN, now_s)
    again = one_due(replica, now_s + FETCH_DELAY_S[0])
    assert again == Fetch(ORIGIN, LOG, 1, 2)
    replica.answered(again, replied=False, now_s=now_s)
    one_due(replica, now_s + 2 * FETCH_DELAY_S[1])


def test_who_is_back_may_hold_now_what_it_did_not_hold_before(replica: Replica) -> None:
    replica.announce(LOG, 2, now_s=0.0)
    only_third = frozenset({THIRD})
    replica.answered(one_due(replica, 1.0, only_third), replied=True, now_s=1.0)
    assert due(replica, 2.0, only_third) == []
    replica.ask_again(THIRD, now_s=2.0)
    assert one_due(replica, 2.0 + FETCH_DELAY_S[0], only_third).source == THIRD


def test_an_origin_that_is_gone_is_not_asked(replica: Replica) -> None:
    replica.announce(LOG, 2, now_s=0.0)
    assert one_due(replica, 1.0, ALL - {ORIGIN}).source == COLLECTOR


def test_with_nobody_alive_it_waits_and_asks_when_somebody_is(replica: Replica) -> None:
    replica.announce(LOG, 2, now_s=0.0)
    assert due(replica, 1.0, frozenset()) == []
    assert one_due(replica, 1.05, frozenset({THIRD})).source == THIRD


def test_a_source_that_does_not_hold_it_makes_the_next_one_asked_after_a_wait(
    replica: Replica,
) -> None:
    replica.announce(LOG, 2, now_s=0.0)
    replica.answered(one_due(replica, 1.0), replied=True, now_s=1.0)
    assert due(replica, 1.0) == []
    assert one_due(replica, 2.0).source == COLLECTOR


def test_a_reply_whose_frames_were_refused_is_no_progress(replica: Replica) -> None:
    """Otherwise one damaged frame would be asked for, of the same node, without a pause."""
    replica.announce(LOG, 2, now_s=0.0)
    fetch = one_due(replica, 1.0)
    replica.answered(fetch, replied=True, now_s=1.0)
    assert due(replica, 1.01) == []
    assert one_due(replica, 10.0).source != fetch.source


def ask_everyone(replica: Replica, now_s: float) -> tuple[list[NodeId], float]:
    """Let everyone answer that it does not hold it; who was asked, and when the round was over."""
    asked: list[NodeId] = []
    for _ in range(100):
        for fetch in due(replica, now_s):
            asked.append(fetch.source)
            replica.answered(fetch, replied=True, now_s=now_s)
        if len(asked) >= len(ALL):
            return asked, now_s
        now_s += 0.05
    return asked, now_s


def test_in_one_round_everyone_alive_is_asked_once_then_there_is_a_long_pause(
    replica: Replica,
) -> None:
    replica.announce(LOG, 2, now_s=0.0)
    asked, over_s = ask_everyone(replica, 1.0)
    assert asked == [ORIGIN, COLLECTOR, FOURTH, THIRD]
    pause_ends_s = over_s + FETCH_DELAY_S[0] + FETCH_BACKOFF_MAX_S / 2
    assert all(due(replica, over_s + n / 20) == [] for n in range(int(pause_ends_s - over_s) * 20))
    assert due(replica, over_s + FETCH_DELAY_S[0] + FETCH_BACKOFF_MAX_S + 0.1)


def test_what_everyone_alive_has_answered_twice_not_to_hold_may_be_declared_lost(
    replica: Replica,
) -> None:
    replica.offer(LOG, 3, 1, now_s=0.0)
    now_s = 1.0
    for _ in range(2):
        assert replica.nobody_holds() == []
        _, now_s = ask_everyone(replica, now_s)
        due(replica, now_s + FETCH_DELAY_S[0])
        now_s += FETCH_BACKOFF_MAX_S + 1.0
    assert replica.nobody_holds() == [(LOG, 1, 2)]


def test_who_does_not_answer_has_not_said_that_it_does_not_hold_it(replica: Replica) -> None:
    replica.announce(LOG, 2, now_s=0.0)
    now_s = 1.0
    for _ in range(60):
        for fetch in due(replica, now_s):
            replica.answered(fetch, replied=fetch.source != ORIGIN, now_s=now_s)
        now_s += 1.0
    assert replica.nobody_holds() == []


def test_a_second_hole_is_filled_although_nobody_holds_the_first(replica: Replica) -> None:
    replica.offer(LOG, 2, 1, now_s=0.0)
    replica.announce(LOG, 4, now_s=0.0)
    asked, _ = ask_everyone(replica, 1.0)
    assert len(asked) == len(ALL)
    second = one_due(replica, 3.0)
    assert (second.first_seq, second.last_seq) == (3, 4)


def test_what_is_lost_is_passed_and_still_applies_when_it_turns_up(replica: Replica) -> None:
    replica.offer(LOG, 4, 1, now_s=0.0)
    replica.declare_lost(LOG, 1, 3, now_s=0.0)
    assert (replica.watermark(LOG), replica.missing_count, replica.lost_count) == (4, 0, 3)
    assert replica.offer(LOG, 2, 2, now_s=5.0) == [(2, 3)]
    assert (replica.applied_count, replica.lost_count) == (3, 1)
    assert replica.offer(LOG, 2, 2, now_s=5.0) == []


def test_what_was_applied_before_it_was_declared_lost_stays_applied(replica: Replica) -> None:
    replica.offer(LOG, 1, 3, now_s=0.0)
    replica.declare_lost(LOG, 2, 5, now_s=0.0)
    assert (replica.applied_count, replica.lost_count) == (3, 2)


def search_in_vain(replica: Replica, now_s: float) -> float:
    """Everyone answers that it does not hold it, in as many rounds as make it lost; then is now."""
    for _ in range(2 * len(ALL)):
        replica.answered(one_due(replica, now_s), replied=True, now_s=now_s)
        now_s += FETCH_BACKOFF_MAX_S
        due(replica, now_s)  # A round may end here.
        now_s += FETCH_BACKOFF_MAX_S
    return now_s


def test_who_reads_of_a_loss_that_it_has_not_searched_for_asks_everyone_once(
    replica: Replica,
) -> None:
    replica.declare_lost(LOG, 1, 3, now_s=0.0)
    due(replica, 1.0)
    fetches = due(replica, 1.0)
    assert sorted(fetches, key=lambda fetch: fetch.source) == [
        Fetch(source, LOG, 1, 3) for source in sorted(ALL)
    ]
    for fetch in fetches:
        replica.answered(fetch, replied=True, now_s=1.0)
    assert due(replica, 2.0) == []


def test_what_is_lost_is_asked_for_when_its_origin_is_back_and_now_and_then(
    replica: Replica,
) -> None:
    replica.announce(LOG, 3, now_s=0.0)
    now_s = search_in_vain(replica, 1.0)
    replica.declare_lost(LOG, 1, 3, now_s)
    first = one_due(replica, now_s + 1.0)
    replica.answered(first, replied=True, now_s=now_s + 1.0)
    assert due(replica, now_s + 2.0) == []
    replica.ask_again(THIRD, now_s + 2.0)
    assert one_due(replica, now_s + 2.0) == Fetch(THIRD, LOG, 1, 3)
    assert one_due(replica, now_s + 2.0 + 2 * LOST_RETRY_S).log == LOG


def test_of_ever_more_logs_those_beyond_the_bound_are_not_taken_in(replica: Replica) -> None:
    for epoch in range(LOGS_MAX):
        assert replica.has_room_for(LogId(THIRD, epoch))
        replica.announce(LogId(THIRD, epoch), 1, now_s=0.0)
    assert not replica.has_room_for(LOG)
    replica.announce(LOG, 1, now_s=0.0)
    assert replica.offer(LOG, 1, 1, now_s=0.0) == []
    assert len(replica.vector()) == LOGS_MAX
    assert replica.has_room_for(LogId(THIRD, 0))
    assert replica.offer(LogId(THIRD, 0), 1, 1, now_s=0.0) == [(1, 1)]


def test_a_late_answer_to_a_fetch_given_up_does_not_disturb_the_one_in_flight(
    replica: Replica,
) -> None:
    replica.announce(LOG, 4, now_s=0.0)
    first = one_due(replica, 1.0)
    second = one_due(replica, 1.0 + FETCH_TIMEOUT_S)
    replica.answered(first, replied=True, now_s=3.1)
    assert due(replica, 3.2) == []
    replica.offer(LOG, 1, 4, now_s=3.3)
    replica.answered(second, replied=True, now_s=3.3)
    assert due(replica, 60.0) == []


def test_only_so_many_fetches_are_in_flight_at_once(replica: Replica) -> None:
    for epoch in range(20):
        replica.announce(LogId(ORIGIN, epoch + 1), 1, now_s=0.0)
    first = due(replica, 1.0)
    assert len(first) == FETCHES_IN_FLIGHT_MAX
    assert due(replica, 1.1) == []
    for fetch in first[:3]:
        replica.offer(fetch.log, 1, 1, now_s=1.2)
        replica.answered(fetch, replied=True, now_s=1.2)
    assert len(due(replica, 1.2)) == 3


def test_a_restored_vector_is_not_asked_for_again(replica: Replica) -> None:
    replica.restore(LOG, SeqSet.of_ranges([(1, 5)]))
    assert replica.offer(LOG, 4, 3, now_s=0.0) == [(6, 6)]
    assert replica.applied_count == 6
    assert due(replica, 60.0) == []


def test_a_hole_in_a_restored_vector_is_asked_for_without_a_new_announcement(
    replica: Replica,
) -> None:
    replica.restore(LOG, SeqSet.of_ranges([(1, 2), (5, 6)]))
    assert replica.missing_count == 2
    assert one_due(replica, 0.0) == Fetch(ORIGIN, LOG, 3, 4)


def test_the_vector_names_the_highest_seq_known_to_exist(replica: Replica) -> None:
    replica.offer(LOG, 1, 2, now_s=0.0)
    replica.announce(LOG, 9, now_s=0.0)
    replica.offer(LogId(THIRD, 4), 5, 1, now_s=0.0)
    assert replica.vector() == [(LogId(THIRD, 4), 5), (LOG, 9)]
    assert replica.watermark(LogId(FOURTH, 1)) == 0


FRAMES = [(1, 3), (4, 1), (5, 6), (11, 2), (13, 1)]


@given(
    st.lists(st.sampled_from(FRAMES), max_size=20),
    st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_whatever_is_lost_or_doubled_every_entry_applies_exactly_once(
    delivered: list[tuple[int, int]], replies: list[bool]
) -> None:
    """A virtual run: some frames arrive, any number of times; the rest comes by fetches that
    may be lost themselves."""
    replica = Replica(random.Random(1))
    applied: list[int] = []

    def take(first: int, count: int, now_s: float) -> None:
        for low, high in replica.offer(LOG, first, count, now_s):
            applied.extend(range(low, high + 1))

    for first, count in delivered:
        take(first, count, 0.0)
    replica.announce(LOG, 13, 0.0)
    arrive = iter([*replies, *[True] * 40])
    now_s = 0.0
    while replica.missing_count and now_s < 600.0:
        now_s += 0.05
        for fetch in due(replica, now_s):
            if next(arrive, True):
                for first, count in FRAMES:
                    if first + count > fetch.first_seq and first <= fetch.last_seq:
                        take(first, count, now_s)
                replica.answered(fetch, replied=True, now_s=now_s)
    assert sorted(applied) == list(range(1, 14))
