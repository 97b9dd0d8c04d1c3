"""One rule for usage, whichever provider reports it."""

from __future__ import annotations

from mesh.llm.interface import Prompt, Usage
from mesh.llm.prompts import prompt_tokens_estimate
from mesh.llm.usage import anthropic_usage, estimated_usage, openai_usage


def test_both_providers_input_counts_the_whole_prompt() -> None:
    """OpenAI's count includes what the cache gave, Anthropic's leaves it out."""
    by_openai = openai_usage(
        prompt_tokens=1_500,
        completion_tokens=80,
        cached_tokens=1_024,
        cache_write_tokens=None,
        reasoning_tokens=None,
    )
    by_anthropic = anthropic_usage(
        input_tokens=476,
        output_tokens=80,
        cache_read_tokens=1_024,
        cache_write_tokens=0,
        thinking_tokens=None,
    )
    assert by_openai == by_anthropic == Usage(1_500, 1_024, 80)


def test_cache_writes_are_part_of_the_input() -> None:
    usage = anthropic_usage(
        input_tokens=10,
        output_tokens=5,
        cache_read_tokens=20,
        cache_write_tokens=30,
        thinking_tokens=2,
    )
    assert usage == Usage(60, 20, 5, cache_write_tokens=30, reasoning_tokens=2)


def test_fields_that_a_server_leaves_out_or_gets_wrong_count_as_nothing() -> None:
    usage = openai_usage(
        prompt_tokens=None,
        completion_tokens=7,
        cached_tokens=50,
        cache_write_tokens=-3,
        reasoning_tokens=900,
    )
    assert usage == Usage(0, 0, 7, reasoning_tokens=7)


def test_an_estimate_counts_prompt_and_answer_and_is_marked() -> None:
    prompt = Prompt("a" * 40, ("b" * 40, "c" * 40), "d" * 40, "e" * 40)
    estimate = estimated_usage(prompt, 81)
    assert estimate == Usage(prompt_tokens_estimate(prompt), 0, 21, estimated=True)
    assert estimate.input_tokens >= 50
