"""How many entries calls ask for."""

from __future__ import annotations

import pytest

from mesh.core.call_sizing import (
    ASK_COUNT_FIRST,
    ASK_COUNT_MAX,
    ASK_COUNT_MIN,
    FACETS_REMEMBERED_MAX,
    GROWTH,
    OVERHEAD_SHARE_MAX,
    CallOutcome,
    CallSizes,
)


def fresh(asked: int) -> CallOutcome:
    return CallOutcome(asked, asked, tail_share=0.95)


def stale(asked: int) -> CallOutcome:
    return CallOutcome(asked, asked, tail_share=0.1)


def after(*outcomes: CallOutcome) -> int:
    sizes = CallSizes()
    for outcome in outcomes:
        sizes.finished("m", 1, outcome)
    return sizes.ask_count("m", 1, 0.0)


def test_the_first_call_asks_for_a_usual_number() -> None:
    assert CallSizes().ask_count("m", 1, 0.0) == ASK_COUNT_FIRST


def test_an_answer_that_is_new_to_its_end_lets_the_next_ask_for_more() -> None:
    assert ASK_COUNT_FIRST < after(fresh(40)) <= after(fresh(40), fresh(60)) <= ASK_COUNT_MAX


def test_an_answer_that_is_stale_at_its_end_lets_the_next_ask_for_fewer() -> None:
    assert after(stale(40)) < ASK_COUNT_FIRST
    assert after(CallOutcome(40, 12, tail_share=0.9, was_cut=True)) < ASK_COUNT_FIRST


@pytest.mark.parametrize(
    "outcome",
    [
        CallOutcome(40, 15, tail_share=0.95),
        CallOutcome(40, 39, tail_share=0.95, said_dry=True),
        CallOutcome(40, 40, tail_share=0.6),
    ],
    ids=["ended early", "said dry", "neither fresh nor stale"],
)
def test_an_answer_that_its_size_did_not_limit_changes_nothing(outcome: CallOutcome) -> None:
    assert after(outcome) == ASK_COUNT_FIRST


def test_a_call_is_shorter_where_others_find_much_meanwhile() -> None:
    alone = CallOutcome(40, 40, tail_share=0.95, others_found_count=5)
    crowded = CallOutcome(40, 40, tail_share=0.95, others_found_count=60)
    assert after(crowded) < ASK_COUNT_FIRST < after(alone)


def test_sizes_stay_within_bounds_whatever_happens() -> None:
    assert after(*[fresh(150)] * 50) == ASK_COUNT_MAX
    assert after(*[stale(40)] * 50) == ASK_COUNT_MIN


@pytest.mark.parametrize("overhead", [20.0, 50.0, 10_000.0])
def test_no_call_is_so_small_that_its_overhead_eats_it_up(overhead: float) -> None:
    sizes = CallSizes()
    for _ in range(20):
        sizes.finished("m", 1, stale(40))
    asked = sizes.ask_count("m", 1, overhead)
    assert asked == ASK_COUNT_MAX or overhead / (overhead + asked) <= OVERHEAD_SHARE_MAX + 0.01


def test_what_one_facet_teaches_is_held_for_it_and_tried_in_others() -> None:
    sizes = CallSizes()
    sizes.finished("m", 1, fresh(40))
    assert ASK_COUNT_FIRST < sizes.ask_count("m", 2, 0.0) < sizes.ask_count("m", 1, 0.0)
    assert sizes.ask_count("n", 2, 0.0) == ASK_COUNT_FIRST
    sizes.finished("m", 2, stale(40))
    assert sizes.ask_count("m", 1, 0.0) == round(ASK_COUNT_FIRST * GROWTH)


def test_a_facet_that_goes_stale_with_repeated_calls_teaches_nothing_about_others() -> None:
    sizes = CallSizes()
    sizes.finished("m", 1, fresh(40))
    elsewhere = sizes.ask_count("m", 2, 0.0)
    for _ in range(5):
        sizes.finished("m", 1, stale(40))
    assert sizes.ask_count("m", 1, 0.0) < elsewhere == sizes.ask_count("m", 2, 0.0)


def test_facets_changed_least_lately_are_forgotten() -> None:
    sizes = CallSizes()
    sizes.finished("m", 0, fresh(40))
    for facet in range(1, FACETS_REMEMBERED_MAX + 1):
        sizes.finished("n", facet, CallOutcome(40, 40, tail_share=0.6))
    assert sizes.ask_count("m", 0, 0.0) == sizes.ask_count("m", 999_999, 0.0)
