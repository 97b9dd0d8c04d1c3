"""How many calls at once a server is asked that sets no limit, by how it serves them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from mesh.core.concurrency import CONCURRENT_MAX, ConcurrencyLimit, FinishedCall

TOKENS_PER_S = 100.0
FIRST_TOKEN_S = 0.5


def served(
    limit: ConcurrencyLimit,
    share: Callable[[int], float],
    *,
    callers: int,
    calls: int,
    seed: int = 0,
    begin_s: float = 0.0,
) -> list[int]:
    """Calls at once, one call after another, on a server that gives each `share` of its speed."""
    chance, counts, now_s = random.Random(seed), [], begin_s
    for number in range(calls):
        # The first call of all is alone, as in a run's warm-up.
        count = min(limit.limit, callers) if number or begin_s else 1
        tokens = chance.randint(200, 800)
        first_s = FIRST_TOKEN_S * chance.uniform(0.75, 1.25) / share(count)
        duration_s = first_s + tokens / TOKENS_PER_S / share(count)
        now_s += duration_s / count
        started_s = now_s - duration_s
        limit.add(FinishedCall(started_s, started_s + first_s, now_s, tokens, count))
        counts.append(count)
    return counts


def shared_beyond(knee: int) -> Callable[[int], float]:
    """A server that works on `knee` calls as fast as on one, and no faster on more."""
    return lambda count: min(1.0, knee / count)


def test_a_server_that_is_not_slowed_down_is_held_back_for_one_short_trial_alone() -> None:
    for seed in range(20):
        counts = served(ConcurrencyLimit(), lambda _: 1.0, callers=10, calls=300, seed=seed)
        assert counts[40:] == [10] * 260
        assert len([count for count in counts[1:] if count < 10]) <= 20


@pytest.mark.parametrize(("knee", "callers"), [(1, 5), (2, 5), (3, 8), (4, 20)])
def test_a_server_that_is_slowed_down_is_asked_as_much_as_it_can_do(
    knee: int, callers: int
) -> None:
    counts = served(ConcurrencyLimit(), shared_beyond(knee), callers=callers, calls=600)
    lasting = counts[200:]
    assert knee <= sum(lasting) / len(lasting) <= 1.5 * knee + 1


def test_a_server_that_serves_in_batches_is_not_cut_to_one_call() -> None:
    """Each call takes longer than alone, but many together bring much more."""
    counts = served(ConcurrencyLimit(), lambda n: 1 / (1 + 0.08 * (n - 1)), callers=16, calls=600)
    assert sum(counts[200:]) / 400 >= 10


def test_a_server_that_becomes_faster_is_asked_more() -> None:
    limit = ConcurrencyLimit()
    served(limit, shared_beyond(2), callers=12, calls=200)
    counts = served(limit, shared_beyond(12), callers=12, calls=600, begin_s=1e5)
    assert counts[-1] >= 9


def test_a_server_that_becomes_slower_is_asked_less() -> None:
    limit = ConcurrencyLimit()
    served(limit, shared_beyond(12), callers=12, calls=200)
    counts = served(limit, shared_beyond(2), callers=12, calls=400, begin_s=1e5)
    assert sum(counts[-100:]) / 100 <= 5


def test_calls_that_began_before_a_change_do_not_judge_it() -> None:
    limit = ConcurrencyLimit(limit=8)
    limit.overloaded(8, now_s=10.0)
    for number in range(50):
        limit.add(FinishedCall(9.0, 9.5, 11.0 + number, 500, 8))
    assert limit.limit == 4


def test_a_server_that_leaves_calls_unanswered_is_asked_half_as_much_but_never_nothing() -> None:
    limit = ConcurrencyLimit()
    limits = []
    for _ in range(4):
        limit.overloaded(min(10, limit.limit), now_s=1.0)
        limits.append(limit.limit)
    assert limits == [5, 2, 1, 1]


def test_it_begins_at_the_most_and_never_leaves_its_bounds() -> None:
    assert ConcurrencyLimit().limit == CONCURRENT_MAX
    limit, chance = ConcurrencyLimit(concurrent_max=6), random.Random(0)
    for number in range(2_000):
        started_s = float(number)
        call = FinishedCall(
            started_s,
            started_s + chance.uniform(-1.0, 50.0),
            started_s + chance.uniform(-1.0, 100.0),
            chance.randint(0, 1_000),
            chance.randint(1, 20),
        )
        limit.add(call)
        assert 1 <= limit.limit <= 6
