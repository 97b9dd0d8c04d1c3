"""What a meter makes of a provider's words, for each way in which a limit comes back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.rate_meter import MARGIN_S, Meter, Reading, Refill
from mesh.simulation.rate_limiting import (
    Allowance,
    BucketAllowance,
    SlidingAllowance,
    WindowAllowance,
)

LIMIT = 60
TELLING_LIMIT = 10
JUST_AFTER_S = 0.001


def call(meter: Meter, provider: Allowance, at_s: float, *, heard_after_s: float = 0.0) -> None:
    """One call that is admitted, and what its answer says."""
    spend = meter.spend(1.0, at_s)
    provider.use(1.0, at_s)
    left, whole_in_s = int(provider.left(at_s)), provider.whole_in_s(at_s)
    heard_s = at_s + heard_after_s
    meter.read(Reading(at_s, heard_s, provider.limit, left, whole_in_s - heard_after_s), spend)


def after_calls(provider: Allowance, *at_s: float) -> Meter:
    meter = Meter()
    for each_s in at_s:
        call(meter, provider, each_s)
    return meter


def every(interval_s: float, count: int, *, from_s: float = 0.0) -> list[float]:
    return [from_s + number * interval_s for number in range(count)]


def test_without_a_word_everything_is_free() -> None:
    meter = Meter()
    meter.spend(1.0, 5.0)
    assert (meter.left(5.0), meter.free_s(1.0)) == (math.inf, -math.inf)


@pytest.mark.parametrize(
    ("provider", "refill"),
    [
        (BucketAllowance(LIMIT), Refill.BUCKET),
        (WindowAllowance(LIMIT), Refill.WINDOW),
        (SlidingAllowance(LIMIT), Refill.TRAILING),
    ],
    ids=["bucket", "window", "sliding"],
)
def test_how_a_limit_comes_back_shows_in_what_is_said(provider: Allowance, refill: Refill) -> None:
    assert after_calls(provider, *every(0.7, 40, from_s=3.0)).refill is refill


def test_one_answer_does_not_show_how_a_limit_comes_back() -> None:
    assert after_calls(BucketAllowance(LIMIT), 0.0).refill is Refill.TRAILING


def test_a_bucket_of_any_period_is_recognized() -> None:
    """A day's limit is told in the same headers as a minute's."""
    meter, left = Meter(), 1000.0
    for number in range(1, 301):
        left = min(1000.0, left + 1.0 * 1000 / 86_400) - 1.0
        spend = meter.spend(1.0, float(number))
        reset_s = (1000 - left) * 86_400 / 1000
        meter.read(Reading(float(number), float(number), 1000.0, int(left), reset_s), spend)
    assert meter.refill is Refill.BUCKET
    assert meter.left(300.0 + 864.0) - meter.left(300.0) == pytest.approx(10.0, rel=0.05)


def test_uses_since_the_latest_word_are_taken_off() -> None:
    meter = after_calls(WindowAllowance(LIMIT), *every(0.7, 20))
    meter.spend(1.0, 15.0)
    meter.spend(1.0, 15.0)
    assert meter.left(15.0) == LIMIT - 22


def test_a_bucket_fills_evenly_and_no_further_than_its_limit() -> None:
    meter = after_calls(BucketAllowance(LIMIT), *every(0.5, 40))
    assert meter.left(30.0) - meter.left(25.0) == pytest.approx(5.0, rel=0.05)
    assert meter.left(1000.0) == LIMIT


def test_a_window_comes_back_all_at_once() -> None:
    meter = after_calls(WindowAllowance(LIMIT), *every(0.5, 60, from_s=5.0))
    assert meter.left(59.9) == 0
    assert meter.left(60.1) == LIMIT
    assert meter.free_s(1.0) == pytest.approx(60.0 + MARGIN_S)


def test_each_use_of_a_sliding_window_comes_back_a_period_later() -> None:
    meter = after_calls(SlidingAllowance(LIMIT), *every(0.5, 60))
    assert [meter.left(at_s) for at_s in (59.9, 60.1, 61.1)] == [0, 1, 3]
    assert meter.free_s(2.0) == pytest.approx(60.5 + MARGIN_S)


def test_without_a_reset_uses_come_back_after_a_minute() -> None:
    meter = Meter()
    spend = meter.spend(1.0, 0.0)
    meter.read(Reading(0.0, 0.5, 2, 1, None), spend)
    meter.spend(1.0, 10.0)
    assert [meter.left(at_s) for at_s in (10.0, 60.0, 70.0)] == [0, 1, 2]


def test_an_answer_to_an_earlier_call_is_old_news() -> None:
    meter = after_calls(WindowAllowance(LIMIT), 1.0, 2.0, 3.0, 4.0)
    late = meter.spend(1.0, 2.5)
    meter.read(Reading(2.5, 5.0, LIMIT, 50, 55.0), late)
    assert meter.left(5.0) == LIMIT - 4


def test_of_calls_made_together_the_one_that_left_least_came_last() -> None:
    meter = Meter()
    first, second = meter.spend(1.0, 1.0), meter.spend(1.0, 1.001)
    meter.read(Reading(1.001, 1.5, LIMIT, 59, 30.0), second)
    meter.read(Reading(1.0, 1.6, LIMIT, 58, 29.9), first)
    assert meter.left(2.0) <= 58


def test_a_call_made_just_before_may_have_come_after() -> None:
    """Until its answer is heard, it counts as one that the word did not know of."""
    meter = Meter()
    meter.spend(1.0, 1.0)
    second = meter.spend(1.0, 1.001)
    meter.read(Reading(1.001, 1.5, LIMIT, 59, 30.0), second)
    assert meter.left(2.0) == 58


def test_a_refused_use_has_taken_nothing() -> None:
    meter = after_calls(WindowAllowance(LIMIT), *every(0.7, 20))
    meter.refused(meter.spend(1.0, 15.0), None)
    assert meter.left(15.0) == LIMIT - 20


def test_what_is_refused_against_expectation_is_tried_later_the_next_time() -> None:
    meter = after_calls(BucketAllowance(LIMIT), *every(0.1, 66))
    early_s = meter.free_s(1.0)
    spend = meter.spend(1.0, early_s)
    meter.refused(spend, 0)
    meter.read(Reading(early_s, early_s, LIMIT, 0, 60.0), spend)
    assert meter.free_s(1.0) - early_s == pytest.approx(1.0 + 2 * MARGIN_S, abs=0.03)


def test_a_way_of_coming_back_is_not_believed_when_much_less_is_left() -> None:
    meter = after_calls(WindowAllowance(LIMIT), *every(0.7, 40, from_s=3.0))
    spend = meter.spend(1.0, 61.0)
    meter.read(Reading(61.0, 61.0, LIMIT, 5, 60.0), spend)
    assert meter.refill is Refill.TRAILING


def test_another_limit_begins_anew() -> None:
    meter = after_calls(BucketAllowance(LIMIT), *every(0.7, 40))
    spend = meter.spend(1.0, 30.0)
    meter.read(Reading(30.0, 30.0, 600, 599, 0.1), spend)
    assert (meter.limit, meter.left(30.0), meter.refill) == (600, 599, Refill.TRAILING)


def test_more_than_the_limit_is_free_when_all_of_it_is() -> None:
    meter = after_calls(WindowAllowance(LIMIT), *every(0.7, 40, from_s=3.0))
    assert meter.free_s(1000.0) == meter.free_s(float(LIMIT)) == pytest.approx(60.0 + MARGIN_S)
    assert meter.free_s(1.0, besides=float(LIMIT)) == math.inf


PROVIDERS = st.sampled_from((BucketAllowance, WindowAllowance, SlidingAllowance))


@given(
    provider=PROVIDERS,
    limit=st.integers(1, 40),
    pauses_s=st.lists(st.floats(0.0, 20.0), max_size=60),
    latency_s=st.floats(0.0, 3.0),
)
def test_who_waits_for_what_is_free_is_hardly_ever_refused(
    provider: type[BucketAllowance | WindowAllowance | SlidingAllowance],
    limit: int,
    pauses_s: list[float],
    latency_s: float,
) -> None:
    """One caller that asks the meter each time: refusals stay rare whatever it is told when.

    Of a limit of a few calls a minute an answer tells in steps too large to learn as much from.
    """
    real, meter, now_s, refused_count = provider(limit), Meter(), 0.0, 0
    for pause_s in pauses_s:
        now_s = max(now_s + pause_s, meter.free_s(1.0))
        wait_s = real.wait_s(1.0, now_s)
        if wait_s > 0.0:
            refused_count += 1
            meter.refused(meter.spend(1.0, now_s), 0)
            now_s += wait_s + JUST_AFTER_S
            continue
        call(meter, real, now_s, heard_after_s=min(latency_s, real.whole_in_s(now_s)))
        assert meter.left(now_s + latency_s) <= limit
        now_s += latency_s
    refused_in = 10 if limit >= TELLING_LIMIT else 2
    assert refused_count <= 1 + len(pauses_s) // refused_in


@given(
    provider=PROVIDERS,
    moments_s=st.lists(st.floats(0.0, 200.0), min_size=1, max_size=60),
    amount=st.integers(1, 10),
)
def test_so_much_is_left_when_it_is_said_to_be_free(
    provider: type[BucketAllowance | WindowAllowance | SlidingAllowance],
    moments_s: list[float],
    amount: int,
) -> None:
    meter = after_calls(provider(LIMIT), *sorted(moments_s))
    free_s = max(meter.free_s(float(amount)), max(moments_s))
    assert meter.left(free_s) >= amount - 1e-6
