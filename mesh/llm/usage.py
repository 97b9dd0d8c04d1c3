"""What a call used, by one rule for all providers, and the estimate where none is reported.

The rule: `input_tokens` counts the whole prompt, whatever part came from a cache. OpenAI reports
it so; Anthropic reports what was neither read from nor written to its cache. Prices are
pricing.py's.
"""

from __future__ import annotations

from mesh.llm.interface import Prompt, Usage
from mesh.llm.prompts import prompt_tokens_estimate

BYTES_A_TOKEN = 4
"""In an answer of names, its line ends included. In other scripts than Latin a character is two
or three bytes and often a token of its own, so that bytes, not characters, are counted."""


def openai_usage(
    *,
    prompt_tokens: int | None,
    completion_tokens: int | None,
    cached_tokens: int | None,
    cache_write_tokens: int | None,
    reasoning_tokens: int | None,
) -> Usage:
    """Usage as OpenAI's API reports it: the prompt's tokens include the cached ones."""
    prompt = _count(prompt_tokens)
    cached = min(_count(cached_tokens), prompt)
    return Usage(
        input_tokens=prompt,
        cached_input_tokens=cached,
        output_tokens=_count(completion_tokens),
        cache_write_tokens=min(_count(cache_write_tokens), prompt - cached),
        reasoning_tokens=min(_count(reasoning_tokens), _count(completion_tokens)),
    )


def anthropic_usage(
    *,
    input_tokens: int | None,
    output_tokens: int | None,
    cache_read_tokens: int | None,
    cache_write_tokens: int | None,
    thinking_tokens: int | None,
) -> Usage:
    """Usage as Anthropic's API reports it: cache reads and writes come on top of the input."""
    read, written = _count(cache_read_tokens), _count(cache_write_tokens)
    return Usage(
        input_tokens=_count(input_tokens) + read + written,
        cached_input_tokens=read,
        output_tokens=_count(output_tokens),
        cache_write_tokens=written,
        reasoning_tokens=min(_count(thinking_tokens), _count(output_tokens)),
    )


def estimated_usage(prompt: Prompt, answer_bytes: int) -> Usage:
    """Usage of a call that ended without a report, from the bytes sent and received."""
    return Usage(
        input_tokens=prompt_tokens_estimate(prompt),
        cached_input_tokens=0,
        output_tokens=-(-answer_bytes // BYTES_A_TOKEN),
        estimated=True,
    )


def _count(reported: int | None) -> int:
    """Compatible servers leave fields out, or fill them with null."""
    return max(0, reported or 0)
