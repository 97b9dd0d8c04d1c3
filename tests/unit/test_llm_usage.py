"""One rule for usage, whichever provider reports it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.llm.interface import CallProgress, Prompt, Usage
from mesh.llm.prompts import prompt_tokens_estimate
from mesh.llm.usage import (
    REQUEST_TOKENS,
    UNDER_WAY_PIECES,
    UNDER_WAY_TOKENS,
    anthropic_usage,
    cut_usage,
    ended_usage,
    largest_usage,
    openai_usage,
)


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


PROMPT = Prompt("a" * 40, ("b" * 40, "c" * 40), "d" * 40, "e" * 40)


def test_an_estimate_counts_prompt_and_answer_and_is_marked() -> None:
    progress = CallProgress(text_bytes=81, output_tokens_cap=500, may_hide_output=False)
    usage = ended_usage(PROMPT, progress)
    assert usage == Usage(prompt_tokens_estimate(PROMPT) + REQUEST_TOKENS, 0, 27, estimated=True)


def test_a_report_that_is_whole_is_never_replaced_by_an_estimate() -> None:
    reported = Usage(10, 5, 3)
    progress = CallProgress(text_bytes=900, output_tokens_cap=500, usage=reported)
    assert ended_usage(PROMPT, progress) == cut_usage(PROMPT, progress) == reported


def test_a_cut_answer_counts_what_may_have_been_under_way() -> None:
    progress = CallProgress(
        begun=True,
        text_bytes=300,
        piece_bytes_max=30,
        output_tokens_cap=5_000,
        may_hide_output=False,
    )
    expected = 100 + UNDER_WAY_TOKENS + UNDER_WAY_PIECES * 10
    assert cut_usage(PROMPT, progress).output_tokens == expected


def test_what_the_provider_has_told_of_a_cut_call_is_kept() -> None:
    told = Usage(7_000, 6_000, 1, cache_write_tokens=900, estimated=True)
    progress = CallProgress(
        begun=True, text_bytes=300, usage=told, output_tokens_cap=5_000, may_hide_output=False
    )
    usage = cut_usage(PROMPT, progress)
    assert replace(usage, output_tokens=1) == told
    assert usage.output_tokens > 100


def test_where_reasoning_may_be_hidden_a_cut_answer_counts_as_its_whole_cap() -> None:
    progress = CallProgress(begun=True, text_bytes=30, output_tokens_cap=5_000)
    assert cut_usage(PROMPT, progress).output_tokens == 5_000


@pytest.mark.parametrize("may_hide_output", [True, False])
@pytest.mark.parametrize("structured", [True, False])
@pytest.mark.parametrize("text_bytes", [0, 100, 1_000_000])
def test_no_estimate_is_above_what_was_reserved(
    may_hide_output: bool, structured: bool, text_bytes: int
) -> None:
    progress = CallProgress(
        begun=True,
        text_bytes=text_bytes,
        piece_bytes_max=40,
        output_tokens_cap=800,
        structured=structured,
        may_hide_output=may_hide_output,
    )
    largest = largest_usage(PROMPT, 800, structured=structured)
    usage = cut_usage(PROMPT, progress)
    assert usage.input_tokens <= largest.input_tokens
    assert usage.output_tokens <= largest.output_tokens
