"""What a call used, by one rule for all providers, and the estimate where none is reported.

The rule: `input_tokens` counts the whole prompt, whatever part came from a cache. OpenAI reports
it so; Anthropic reports what was neither read from nor written to its cache. An estimate is never
below what the provider will bill, as far as bytes can tell, and never above `largest_usage`, which
is what a budget reserves. Prices, a surcharge for filling a cache included, are pricing.py's.
"""

from __future__ import annotations

from dataclasses import replace

from mesh.llm.interface import CallProgress, Prompt, Usage
from mesh.llm.prompts import prompt_tokens_estimate

BYTES_A_TOKEN = 3
"""In an answer of names, its line ends included; of common words it is about 4. In other scripts
than Latin a character is two or three bytes and often a token of its own, so that bytes, not
characters, are counted."""

USUAL_BYTES_A_TOKEN = 4

REQUEST_TOKENS = 64
"""Roles and delimiters that a provider wraps around the messages."""
SCHEMA_TOKENS = 400
"""The schema of a structured answer, and the words by which a provider explains it to the model."""

UNDER_WAY_TOKENS = 100
UNDER_WAY_PIECES = 4
"""What a provider may have written when a stream is closed, beside what has arrived: until it
notices, it goes on for a round trip or so, some pieces as large as those before."""


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


def largest_usage(prompt: Prompt, output_tokens_cap: int, *, structured: bool = False) -> Usage:
    """What a call may use at most: nothing read from the cache, the whole cap written.

    Args:
        output_tokens_cap: as it is sent, hidden reasoning included.
        structured: whether a schema goes with it.
    """
    input_tokens = prompt_tokens_estimate(prompt) + REQUEST_TOKENS
    input_tokens += SCHEMA_TOKENS if structured else 0
    return Usage(
        input_tokens=input_tokens,
        cached_input_tokens=0,
        output_tokens=output_tokens_cap,
        estimated=True,
    )


def cut_usage(prompt: Prompt, progress: CallProgress) -> Usage:
    """Usage of a call that was ended, by us or by the network, before its end was reported.

    The prompt's tokens are the provider's own where it has told them; hidden reasoning, which is
    billed and not seen, counts as the whole cap.
    """
    under_way = UNDER_WAY_TOKENS + UNDER_WAY_PIECES * _tokens(progress.piece_bytes_max)
    return _usage(prompt, progress, _tokens(progress.text_bytes) + under_way)


def ended_usage(prompt: Prompt, progress: CallProgress) -> Usage:
    """Usage of an answer that has ended, whether its provider has reported it or not."""
    return _usage(prompt, progress, _tokens(progress.text_bytes))


def shown_tokens(progress: CallProgress) -> int:
    """About how many tokens have come: what a call has brought, not what it costs."""
    return -(-progress.text_bytes // USUAL_BYTES_A_TOKEN)


def _usage(prompt: Prompt, progress: CallProgress, written_tokens: int) -> Usage:
    reported = progress.usage
    if reported is not None and not reported.estimated:
        return reported
    largest = largest_usage(prompt, progress.output_tokens_cap, structured=progress.structured)
    output_tokens = largest.output_tokens
    if not progress.may_hide_output:
        output_tokens = min(output_tokens, written_tokens)
    if reported is None:
        return replace(largest, output_tokens=output_tokens)
    return replace(reported, output_tokens=max(output_tokens, reported.output_tokens))


def _tokens(size_bytes: int) -> int:
    return -(-size_bytes // BYTES_A_TOKEN)


def _count(reported: int | None) -> int:
    """Compatible servers leave fields out, or fill them with null."""
    return max(0, reported or 0)
