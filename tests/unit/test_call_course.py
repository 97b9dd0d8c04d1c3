"""When an answer that still streams in is ended."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from mesh.core.call_course import (
    CHATTER_CHARACTERS_MAX,
    ENTRIES_MIN,
    LOOP_ENTRIES,
    OPENING_CHARACTERS_MAX,
    AverageYield,
    CallCourse,
    Cut,
)


def cut_after(course: CallCourse, flags: Iterable[bool]) -> int | None:
    """Entries written when the answer is cut for repeats; None: it never is."""
    for number, is_new in enumerate(flags, 1):
        course.entry(f"{number}".encode(), is_new)
        if course.verdict() is Cut.REPEATS:
            return number
    return None


def test_an_answer_that_turns_into_repeats_is_ended() -> None:
    cut = cut_after(CallCourse(average_share=0.6), [True] * 20 + [False] * 40)
    assert cut is not None
    assert 20 < cut <= 40


def test_an_answer_that_stays_new_is_not() -> None:
    assert cut_after(CallCourse(average_share=0.9), [True] * 100) is None


def test_no_answer_is_ended_before_it_has_begun_in_earnest() -> None:
    assert cut_after(CallCourse(average_share=0.9), [False] * 50) == ENTRIES_MIN


def test_an_answer_as_good_as_the_average_seldom_ends_by_chance() -> None:
    """Leaving costs a new call's overhead, so a row of repeats must be a long one."""
    source = random.Random(1)
    cuts = [
        cut_after(CallCourse(average_share=0.5), (source.random() < 0.7 for _ in range(60)))
        for _ in range(200)
    ]
    assert sum(cut is not None for cut in cuts) < 40


def test_near_the_end_of_a_topic_nothing_is_ended_for_repeats() -> None:
    source = random.Random(1)
    poor = (source.random() < 0.1 for _ in range(200))
    assert cut_after(CallCourse(average_share=0.02), poor) is None


def test_what_was_expected_of_a_call_counts_at_its_start() -> None:
    flags = [False] * 60
    doubtful = cut_after(CallCourse(average_share=0.5, expected_share=0.2), flags)
    hopeful = cut_after(CallCourse(average_share=0.5, expected_share=0.95), flags)
    assert doubtful is not None
    assert hopeful is not None
    assert doubtful < hopeful


def test_the_same_few_entries_again_and_again_are_a_loop_whatever_the_average() -> None:
    course = CallCourse(average_share=0.0)
    for number in range(3 + LOOP_ENTRIES):
        assert course.verdict() is None
        course.entry(f"{number % 3}".encode(), is_new=number < 3)
    assert course.verdict() is Cut.LOOP


def test_repeats_of_what_others_found_are_no_loop() -> None:
    course = CallCourse(average_share=0.0)
    for number in range(50):
        course.entry(f"{number}".encode(), is_new=False)
    assert course.verdict() is None


def test_talk_without_entries_is_ended_and_an_entry_ends_the_talk() -> None:
    course = CallCourse(average_share=0.0)
    course.entry(b"one", is_new=True)
    for _ in range(3):
        course.characters(CHATTER_CHARACTERS_MAX)
        assert course.verdict() is None
        course.entry(b"two", is_new=True)
    course.characters(CHATTER_CHARACTERS_MAX + 1)
    assert course.verdict() is Cut.CHATTER


def test_a_model_may_think_aloud_for_longer_before_its_first_entry() -> None:
    course = CallCourse(average_share=0.0)
    course.characters(OPENING_CHARACTERS_MAX)
    assert course.verdict() is None
    course.characters(1)
    assert course.verdict() is Cut.CHATTER


def test_the_share_of_new_ones_at_the_end_is_told() -> None:
    course = CallCourse(average_share=0.5)
    assert course.tail_share == 0.0
    for number in range(40):
        course.entry(f"{number}".encode(), is_new=number < 34)
    assert course.tail_share == pytest.approx(0.5)


def test_the_average_counts_what_calls_cost_beside_their_entries() -> None:
    cheap, dear = AverageYield(), AverageYield()
    for _ in range(200):
        cheap.finished(30, 40, overhead_entries=0.0)
        dear.finished(30, 40, overhead_entries=20.0)
    assert cheap.share == pytest.approx(0.75, abs=0.01)
    assert dear.share == pytest.approx(0.5, abs=0.01)


def test_the_average_follows_the_run() -> None:
    average = AverageYield()
    for _ in range(100):
        average.finished(40, 40, overhead_entries=10.0)
    rich = average.share
    for _ in range(150):
        average.finished(1, 40, overhead_entries=10.0)
    assert rich > 0.75
    assert average.share < 0.05
