"""What a call used, by one rule for all providers, and the estimate where none is reported.

The rule: `input_tokens` counts the whole prompt, whatever part came from a cache. OpenAI reports
it so; Anthropic reports what was neither read from nor written to its cache. An estimate is never
below what the provider will bill, as far as bytes can tell, and never above `largest_usage`, which
is what a budget reserves. Prices, a surcharge for filling a cache included, are pricing.py's.
"""

from __future__ import annotations

import math
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

TOKENS_SCALE_MAX = 4.0
SCALED_BYTES_MIN = 300
"""Shorter answers say little about a tokenizer."""

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


def largest_usage(
    prompt: Prompt,
    output_tokens_cap: int,
    *,
    structured: bool = False,
    tokens_scale: float = 1.0,
) -> Usage:
    """What a call may use at most: nothing read from the cache, the whole cap written.

    Args:
        output_tokens_cap: as it is sent, hidden reasoning included.
        structured: whether a schema goes with it.
        tokens_scale: as `tokens_scale` of this module tells.
    """
    return Usage(
        input_tokens=math.ceil(_prompt_tokens(prompt, structured) * tokens_scale),
        cached_input_tokens=0,
        output_tokens=output_tokens_cap,
        estimated=True,
    )


def tokens_scale(prompt: Prompt, progress: CallProgress, reported: Usage) -> float:
    """How many tokens a finished call had for each one that the size of its texts lets expect.

    Tokenizers differ by a third from one generation of models to the next. Example: 1.2 for an
    answer of 300 bytes that was billed as 120 tokens. In 1 .. TOKENS_SCALE_MAX.
    """
    scale = reported.input_tokens / _prompt_tokens(prompt, progress.structured)
    if progress.text_bytes >= SCALED_BYTES_MIN:
        shown_tokens = reported.output_tokens - reported.reasoning_tokens
        scale = max(scale, shown_tokens / _tokens(progress.text_bytes))
    return min(TOKENS_SCALE_MAX, max(1.0, scale))


def cut_usage(prompt: Prompt, progress: CallProgress) -> Usage:
    """Usage of a call that was ended, by us or by the network, before its end was reported.

    The prompt's tokens are the provider's own where it has told them; hidden reasoning, which is
    billed and not seen, counts as the whole cap.
    """
    under_way_bytes = UNDER_WAY_PIECES * progress.piece_bytes_max
    written = _tokens(progress.text_bytes + under_way_bytes) * progress.tokens_scale
    return _usage(prompt, progress, math.ceil(written) + UNDER_WAY_TOKENS)


def ended_usage(prompt: Prompt, progress: CallProgress) -> Usage:
    """Usage of an answer that has ended, whether its provider has reported it or not."""
    written = _tokens(progress.text_bytes) * progress.tokens_scale
    return _usage(prompt, progress, math.ceil(written))


def shown_tokens(progress: CallProgress) -> int:
    """About how many tokens have come: what a call has brought, not what it costs."""
    return -(-progress.text_bytes // USUAL_BYTES_A_TOKEN)


def _usage(prompt: Prompt, progress: CallProgress, written_tokens: int) -> Usage:
    reported = progress.usage
    if reported is not None and not reported.estimated:
        return reported
    largest = largest_usage(
        prompt,
        progress.output_tokens_cap,
        structured=progress.structured,
        tokens_scale=progress.tokens_scale,
    )
    output_tokens = largest.output_tokens
    if not progress.may_hide_output:
        output_tokens = min(output_tokens, written_tokens)
    if reported is None:
        return replace(largest, output_tokens=output_tokens)
    return replace(reported, output_tokens=max(output_tokens, reported.output_tokens))


def _prompt_tokens(prompt: Prompt, structured: bool) -> int:
    """By its size alone."""
    return prompt_tokens_estimate(prompt) + REQUEST_TOKENS + (SCHEMA_TOKENS if structured else 0)


def _tokens(size_bytes: int) -> int:
    return -(-size_bytes // BYTES_A_TOKEN)


def _count(reported: int | None) -> int:
    """Compatible servers leave fields out, or fill them with null."""
    return max(0, reported or 0)
