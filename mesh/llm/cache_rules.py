"""Providers' prompt caches: how long a prefix must be, who wants breakpoints, which key to send.

What a prompt's prefix is made of is prompts.py's, where breakpoints stand in a request the
clients'. Source: both providers' prompt caching guides, as of 2026-11. A model that is not known
here gets the least demanding rule of its provider.
"""

from __future__ import annotations

import math
import re
from hashlib import blake2b

from mesh.config import ModelSpec
from mesh.llm.endpoints import is_named_by_address, is_official

CALLS_A_MINUTE_PER_KEY = 15
"""More calls of one prefix and key than this are spread over machines that do not know it."""

LOWEST_TOKENS_MIN = 512
OPENAI_TOKENS_MIN = 1_024
BYTES_A_TOKEN_MIN = 2
"""To tell which prefixes may be long enough: a breakpoint too many costs nothing."""

_ANTHROPIC_TOKENS_MIN = (
    (re.compile(r"claude-(?:opus-4-[56]|haiku-4-5)"), 4_096),
    (re.compile(r"claude-(?:opus-4-7|3-5-haiku|3-haiku)"), 2_048),
    (re.compile(r"claude-(?:opus-4|sonnet-4|sonnet-5(?!-5)|3-)"), 1_024),
)
_OPENAI_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?")
_BREAKPOINTS_SINCE = (5, 6)


def cache_tokens_min(model: ModelSpec) -> int:
    """Shortest prefix of a prompt, in tokens, that the provider of `model` keeps."""
    if model.api == "openai":
        return OPENAI_TOKENS_MIN
    if model.simulated:
        return LOWEST_TOKENS_MIN
    found = (tokens for name, tokens in _ANTHROPIC_TOKENS_MIN if name.match(model.name))
    return next(found, LOWEST_TOKENS_MIN)


def wants_breakpoints(model: ModelSpec) -> bool:
    """Whether OpenAI keeps prompts of `model` up to breakpoints alone, as from 5.6 on.

    A simulated model is taken for the one whose price it has.
    """
    name = model.price_of or "" if model.simulated else model.name
    version = _OPENAI_VERSION.match(name)
    if model.api != "openai" or version is None or not takes_cache_key(model):
        return False
    return (int(version[1]), int(version[2] or 0)) >= _BREAKPOINTS_SINCE


def takes_cache_key(model: ModelSpec) -> bool:
    """Whether the server is OpenAI's own, or stands for it; others may refuse an unknown word."""
    if model.simulated:
        return model.api == "openai"
    official = is_official("openai", model.base_url) and not is_named_by_address(model)
    return model.api == "openai" and official


def cache_key(run_id: bytes, model: str, prefix_kind: str, shard: int) -> str:
    """A short word that calls of one prefix share: the same at all producers, telling nothing.

    Args:
        model: its SPEC.
        prefix_kind: what the prefix lists, such as "all" or a facet's id.
        shard: 0 .. cache_key_shards(...) - 1.
    """
    told = "\x00".join((run_id.hex(), model, prefix_kind, str(shard)))
    return blake2b(told.encode(), digest_size=8).hexdigest()


def cache_key_shards(calls_a_minute: float) -> int:
    """How many keys keep each below the rate that one machine takes; each has to warm its own."""
    return max(1, math.ceil(calls_a_minute / CALLS_A_MINUTE_PER_KEY))


def may_be_cached(prefix_bytes: int, tokens_min: int) -> bool:
    """Whether a prefix of so many bytes can be long enough to be kept."""
    return prefix_bytes >= tokens_min * BYTES_A_TOKEN_MIN
