"""How long to wait, and when to give up."""

from __future__ import annotations

from random import Random

import pytest

from mesh.llm.interface import ErrorKind, ProviderError
from mesh.llm.retrying import (
    ATTEMPTS_MAX,
    WAIT_FIRST_S,
    WAIT_MAX_S,
    FailureStreak,
    RetryPolicy,
    given_up,
)

RETRY = ProviderError(ErrorKind.RETRY, "overloaded")
UNREACHABLE = ProviderError(ErrorKind.UNREACHABLE, "no answer from api.openai.com")
GIVE_UP = ProviderError(ErrorKind.GIVE_UP, "no credit")
SHORTEN = ProviderError(ErrorKind.SHORTEN_PROMPT, "the prompt is too long")


def policy(seed: int = 1) -> RetryPolicy:
    return RetryPolicy(Random(seed))


def waits(error: ProviderError, failures: int, draws: int = 300) -> list[float]:
    one = policy()
    drawn = [one.after(error, failures) for _ in range(draws)]
    return [wait for wait in drawn if wait is not None]


@pytest.mark.parametrize(("failures", "ceiling_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0)])
def test_waits_spread_evenly_below_a_ceiling_that_doubles(failures: int, ceiling_s: float) -> None:
    drawn = waits(RETRY, failures)
    assert max(drawn) <= ceiling_s
    assert max(drawn) > 0.95 * ceiling_s
    assert min(drawn) < 0.05 * ceiling_s
    assert sum(drawn) / len(drawn) == pytest.approx(ceiling_s / 2, rel=0.15)


def test_a_network_that_is_down_is_waited_for_for_ever_at_a_bounded_rhythm() -> None:
    drawn = waits(UNREACHABLE, 100_000)
    assert len(drawn) == 300
    assert WAIT_MAX_S * 0.9 < max(drawn) <= WAIT_MAX_S


def test_a_provider_that_keeps_failing_is_given_up() -> None:
    assert policy().after(RETRY, ATTEMPTS_MAX - 1) is not None
    assert policy().after(RETRY, ATTEMPTS_MAX) is None


def test_what_a_person_must_mend_is_given_up_at_once() -> None:
    assert policy().after(GIVE_UP, 1) is None


def test_a_shorter_prompt_is_sent_at_once_but_not_for_ever() -> None:
    assert policy().after(SHORTEN, 1) == 0.0
    assert policy().after(SHORTEN, ATTEMPTS_MAX) is None


def test_retry_after_is_the_least_that_is_waited_with_jitter_on_top() -> None:
    told = ProviderError(ErrorKind.RETRY, "rate limit", retry_after_s=7.0)
    drawn = waits(told, 1)
    assert min(drawn) >= 7.0
    assert max(drawn) <= 7.0 + WAIT_FIRST_S
    assert len(set(drawn)) > 200


def test_a_wait_of_hours_is_no_wait() -> None:
    told = ProviderError(ErrorKind.RETRY, "daily limit", retry_after_s=80_000.0)
    assert policy().after(told, 1) is None


def test_the_same_seed_waits_the_same() -> None:
    assert [policy(7).after(RETRY, n) for n in range(1, 7)] == [
        policy(7).after(RETRY, n) for n in range(1, 7)
    ]


def test_time_without_a_network_does_not_use_up_a_providers_attempts() -> None:
    streak = FailureStreak()
    assert [streak.failed(UNREACHABLE) for _ in range(20)][-1] == 20
    assert streak.failed(RETRY) == 1
    assert streak.failed(RETRY) == 2


def test_a_success_ends_a_streak() -> None:
    streak = FailureStreak()
    streak.failed(RETRY)
    streak.succeeded()
    assert streak.failed(RETRY) == 1


def test_giving_up_says_why_and_after_how_many_attempts() -> None:
    assert str(given_up(RETRY, 8)) == "given up after failing 8 times in a row: overloaded"
    assert given_up(RETRY, 8).kind is ErrorKind.GIVE_UP
    assert given_up(GIVE_UP, 1) is GIVE_UP
