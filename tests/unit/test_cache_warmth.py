"""When a call had better wait until another has filled the cache with its prompt."""

from __future__ import annotations

from mesh.core.cache_warmth import LIFETIME_S, WAIT_MAX_S, CacheWarmth

RULES = "rules " * 100
CHUNKS = [f"{number} " * 3_000 for number in range(4)]
"""About 1,500 tokens each."""
PARTS = [RULES, *CHUNKS[:2]]


def wait_s(warmth: CacheWarmth, parts: list[str], now_s: float, model: str = "m") -> float:
    return warmth.wait_s(model, parts, tokens_min=1_024, now_s=now_s)


def answered(warmth: CacheWarmth, call: int, parts: list[str], begun_s: float) -> None:
    """A call whose first text took half a second."""
    warmth.begins(call, "m", parts, begun_s)
    warmth.first_text(call, begun_s + 0.5)
    warmth.ends(call)


def test_nothing_is_waited_for_when_no_call_is_under_way() -> None:
    assert wait_s(CacheWarmth(), PARTS, 0.0) == 0.0


def test_a_second_call_of_a_cold_prompt_waits_until_the_first_is_answered() -> None:
    warmth = CacheWarmth()
    warmth.begins(1, "m", PARTS, 10.0)
    assert 0.0 < wait_s(warmth, PARTS, 10.1) <= WAIT_MAX_S
    warmth.first_text(1, 10.6)
    assert wait_s(warmth, PARTS, 10.6) == 0.0


def test_no_longer_is_waited_than_the_model_usually_takes() -> None:
    warmth = CacheWarmth()
    answered(warmth, 1, [RULES], 0.0)
    warmth.begins(2, "m", PARTS, 10.0)
    assert 0.0 < wait_s(warmth, PARTS, 10.0) <= 1.0
    assert wait_s(warmth, PARTS, 11.0) == 0.0


def test_a_call_that_fails_is_waited_for_no_more() -> None:
    warmth = CacheWarmth()
    warmth.begins(1, "m", PARTS, 10.0)
    warmth.ends(1)
    assert wait_s(warmth, PARTS, 10.0) == 0.0


def test_a_prompt_that_is_kept_already_is_not_waited_for() -> None:
    warmth = CacheWarmth()
    answered(warmth, 1, PARTS, 0.0)
    warmth.begins(2, "m", PARTS, 10.0)
    assert wait_s(warmth, PARTS, 10.0) == 0.0
    assert wait_s(warmth, PARTS, 10.0 + LIFETIME_S) == 0.0, "and the other call is late by then"


def test_one_new_chunk_after_a_kept_prefix_is_worth_a_wait_and_a_few_names_are_not() -> None:
    warmth = CacheWarmth()
    answered(warmth, 1, PARTS, 0.0)
    longer = [*PARTS, CHUNKS[2]]
    warmth.begins(2, "m", longer, 10.0)
    assert wait_s(warmth, longer, 10.0) > 0.0
    warmth.ends(2)
    few = [*PARTS, "Louvre\nOrsay"]
    warmth.begins(3, "m", few, 11.0)
    assert wait_s(warmth, few, 11.0) == 0.0


def test_prompts_too_short_to_be_kept_are_not_waited_for() -> None:
    warmth = CacheWarmth()
    warmth.begins(1, "m", [RULES], 10.0)
    assert wait_s(warmth, [RULES], 10.0) == 0.0


def test_neither_another_prompt_nor_another_model_is_waited_for() -> None:
    warmth = CacheWarmth()
    warmth.begins(1, "m", PARTS, 10.0)
    assert wait_s(warmth, [RULES, *CHUNKS[2:]], 10.0) == 0.0
    assert wait_s(warmth, PARTS, 10.0, model="other") == 0.0


def test_a_prefix_that_nobody_used_for_long_is_cold_again() -> None:
    warmth = CacheWarmth()
    answered(warmth, 1, PARTS, 0.0)
    later_s = LIFETIME_S + 1
    warmth.begins(2, "m", PARTS, later_s)
    assert wait_s(warmth, PARTS, later_s) > 0.0
