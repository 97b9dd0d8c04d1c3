"""The simulator's limits on calls and tokens, and the headers that tell them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.simulation.limit_headers import anthropic_headers, go_duration, openai_headers
from mesh.simulation.models import LimitKind, SimulatedModel, load_models
from mesh.simulation.rate_limiting import (
    Allowance,
    BucketAllowance,
    ModelLimits,
    SlidingAllowance,
    ToldLimit,
    WindowAllowance,
)

ATLAS = load_models()["atlas"]
TOLD = {"requests": ToldLimit(60, 59, 1.0), "tokens": ToldLimit(6000, 0, 59.9)}


def model(kind: LimitKind, requests: int = 0, tokens: int = 0) -> SimulatedModel:
    return replace(ATLAS, requests_per_minute=requests, tokens_per_minute=tokens, limit_kind=kind)


def admitted(allowance: Allowance, *, until_s: int) -> int:
    """Calls that a client gets through which asks ten times a second."""
    count = 0
    for number in range(10 * until_s):
        if allowance.wait_s(1.0, number / 10) == 0.0:
            allowance.use(1.0, number / 10)
            count += 1
    return count


@pytest.mark.parametrize(
    ("allowance", "count"),
    [(SlidingAllowance(30), 90), (WindowAllowance(30), 90), (BucketAllowance(30), 119)],
    ids=["sliding", "window", "bucket"],
)
def test_so_many_calls_get_through_in_three_minutes(allowance: Allowance, count: int) -> None:
    assert admitted(allowance, until_s=180) == pytest.approx(count, abs=1)


@pytest.mark.parametrize(
    ("allowance", "left", "wait_s", "whole_in_s"),
    [
        # Two calls at 10 s and 20 s, asked at 30 s.
        (SlidingAllowance(2), 0, 40.0, 50.0),
        (WindowAllowance(2), 0, 30.0, 30.0),
        (BucketAllowance(2), 2 / 3, 10.0, 40.0),
    ],
    ids=["sliding", "window", "bucket"],
)
def test_what_is_left_comes_back_in_its_own_way(
    allowance: Allowance, left: float, wait_s: float, whole_in_s: float
) -> None:
    allowance.use(1.0, 10.0)
    allowance.use(1.0, 20.0)
    told = (allowance.left(30.0), allowance.wait_s(1.0, 30.0), allowance.whole_in_s(30.0))
    assert told == pytest.approx((left, wait_s, whole_in_s))


@pytest.mark.parametrize("kind", ["sliding", "bucket", "window"])
def test_a_minute_after_it_was_made_a_call_is_forgotten(kind: LimitKind) -> None:
    limits = ModelLimits.of(model(kind, requests=1))
    assert limits.admit(0, 59.0) is None
    assert limits.admit(0, 59.5) is not None
    assert limits.admit(0, 119.0) is None


def test_a_prompt_takes_tokens_when_it_comes_and_an_answer_when_it_ends() -> None:
    limits = ModelLimits.of(model("window", tokens=1000))
    assert limits.admit(600, 1.0) is None
    assert limits.told(1.0)["tokens"].left == 400
    limits.answered(300, 2.0)
    refusal = limits.admit(200, 3.0)
    assert refusal is not None
    assert (refusal.of, refusal.limit, refusal.wait_s) == ("tokens", 1000, 57.0)


def test_a_refused_call_takes_neither_a_request_nor_tokens() -> None:
    limits = ModelLimits.of(model("window", requests=10, tokens=1000))
    limits.admit(900, 1.0)
    assert limits.admit(200, 2.0) is not None
    told = limits.told(3.0)
    assert (told["requests"].left, told["tokens"].left) == (9, 100)


def test_a_prompt_beyond_the_limit_passes_when_all_of_it_is_left() -> None:
    limits = ModelLimits.of(model("bucket", tokens=1000))
    assert limits.admit(5000, 1.0) is None
    assert limits.told(1.0)["tokens"].left == 0


def test_a_model_without_limits_tells_none() -> None:
    limits = ModelLimits.of(ATLAS)
    assert limits.admit(10**6, 0.0) is None
    assert limits.told(0.0) == {}


def test_openai_tells_durations_in_real_seconds() -> None:
    assert openai_headers(TOLD, time_scale=10.0) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "100ms",
        "x-ratelimit-limit-tokens": "6000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "5.99s",
    }


@pytest.mark.parametrize(
    ("time_scale", "moment"), [(1.0, "2027-01-15T08:01:00Z"), (10.0, "2027-01-15T08:00:05.990Z")]
)
def test_anthropic_tells_moments_finer_where_time_runs_fast(time_scale: float, moment: str) -> None:
    headers = anthropic_headers(TOLD, time_scale, now_s=1_800_000_000.0)
    assert headers["anthropic-ratelimit-tokens-reset"] == moment
    assert headers["anthropic-ratelimit-requests-limit"] == "60"
    assert headers["anthropic-ratelimit-requests-remaining"] == "59"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0ms"),
        (0.02, "20ms"),
        (1.0, "1s"),
        (59.5, "59.5s"),
        (360.0, "6m0s"),
        (3600.5, "1h0m0.5s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
